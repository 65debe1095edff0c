/* pool.h: when a second thread pays. The pool itself is declared in fastnn.h.
 *
 * Measured on a virtual machine with two cores (medians): while the workers still spin from the region before, a worker
 * takes its first chunk after 0.2 us, and a region of one chunk a thread takes 0.46 us longer than the chunk; where they
 * have chunks to take from each other, 0.65 us. Once they are parked, waking one costs the caller 15 us in the system
 * call, and it takes 45 us until the worker begins. So a share of work must be worth some 5 us where the
 * workers are awake, since what one has written also costs another 0.12 ns a byte to read; and eight times that where
 * they sleep; or several such shares close upon each other, as in a stream of predictions, together. The results do not
 * depend on the choice.
 *
 * A training step multiplies the same vectors by rows, by columns and, in the optimizer, by their place in memory, so
 * that half of what a second thread reads lies in the first one's cache: with shares of 5 us a step of 64-100-10 at 200
 * rows took 93 us on two threads and 71 us on one. With four times as large ones its kernels stay on one, which leaves
 * it to be taken in parts, and 64-256-256-10 at 64 rows keeps the 1.3 times of two.
 */
#ifndef FASTNN_POOL_H
#define FASTNN_POOL_H

#include "fastnn.h"

#include <stdbool.h>
#include <stdint.h>

/* Work worth a thread of its own, as 5 us of one AVX-512 core; slower cores then only gain more. */
#define FNN_GRAIN_FLOPS 6e5           /* of a matrix product */
#define FNN_GRAIN_BYTES (128 * 1024.) /* of an elementwise kernel: bytes read and written, out of the caches */
#define FNN_GRAIN_ASLEEP 8            /* times as much while the workers are parked */
#define FNN_GRAIN_EXCHANGED 4         /* times as much where each thread reads what others have just written */

/* Multiply-adds are not what bounds a product of a few rows with a wide matrix: reading the matrix out of L2 or beyond
 * takes as long as so many rows more would. */
#define FNN_READING_ROWS 4

/* Whether the first worker would take a chunk at once. */
bool fnn_pool_awake(void);

/* The calling thread's watch, and the loan of one to a worker, which sees its end but does not ask; NULL ends the loan. */
fnn_watch *fnn_watch_to_lend(void);
void fnn_take_watch(fnn_watch *lent);

/* Calls task(arg, step, chunk) for every chunk of every step, those of a step when all of the one before are done, as one
 * region of fnn_parallel. What the chunks are must not depend on `threads`; a thread has the same ones at every step, as
 * far as it can. */
typedef void (*fnn_step_task)(void *arg, int64_t step, int64_t chunk);
void fnn_parallel_steps(int threads, int64_t steps, int64_t chunks, fnn_step_task task, void *arg);

/* For work of `grains` while the workers are parked: whether it is time to wake them, since with what was asked for a
 * moment ago it is worth the waking. */
bool fnn_pool_worth_waking(double grains);

/* How many of the context's threads `work` is worth, at `grain` a thread. */
static inline int fnn_worthwhile_threads(const fnn_ctx *cx, double work, double grain)
{
    const double share = cx->exchanges ? grain * FNN_GRAIN_EXCHANGED : grain;
    if (cx->threads <= 1 || work < 2 * share) return 1;
    if (!fnn_pool_awake() && !fnn_pool_worth_waking(work / grain)) return 1;
    return work >= share * cx->threads ? cx->threads : (int)(work / share);
}

#endif
