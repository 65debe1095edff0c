/* pool.h: when a second thread pays. The pool itself is declared in fastnn.h.
 *
 * Measured on a virtual machine with two cores (medians): while the workers still spin from the region before, a region
 * costs its caller 0.2 us and a worker takes its first chunk after 0.5 us. Once they are parked, waking one costs the
 * caller 15 us in the system call, and it takes 45 us until the worker begins. So a share of work must be worth some
 * 5 us where the workers are awake, and eight times that where they sleep. The results do not depend on the choice.
 */
#ifndef FASTNN_POOL_H
#define FASTNN_POOL_H

#include <stdbool.h>
#include <stdint.h>

/* Work worth a thread of its own, as 5 us of one AVX-512 core; slower cores then only gain more. */
#define FNN_GRAIN_FLOPS 6e5           /* of a matrix product */
#define FNN_GRAIN_BYTES (128 * 1024.) /* of an elementwise kernel: bytes read and written, out of the caches */
#define FNN_GRAIN_ASLEEP 8            /* times as much while the workers are parked */

/* Whether the first worker would take a chunk at once. */
bool fnn_pool_awake(void);

/* How many of `threads` threads `work` is worth, at `grain` a thread. */
static inline int fnn_worthwhile_threads(double work, double grain, int threads)
{
    if (threads <= 1 || work < 2 * grain) return 1;
    double worth = work / (fnn_pool_awake() ? grain : grain * FNN_GRAIN_ASLEEP);
    return worth >= (double)threads ? threads : worth < 1 ? 1 : (int)worth;
}

#endif
