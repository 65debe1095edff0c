/* steps.c: work in steps, each of which wants all of the one before; declared in pool.h.
 *
 * Threads that meet after every step in one region are back at work after the time that a line takes from one cache to
 * another: 0.4 us, where ending a region and beginning the next takes 0.8 (two cores of one machine).
 *
 * A chunk is claimed before it is run, and the chunks of a step only when those of the step before have run. Whoever
 * waits therefore waits for threads that are at work, never for one that has not come: a caller whom nobody helps goes
 * through all chunks alone. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "pool.h"

#include <sched.h>
#include <stdatomic.h>

enum {
    MOST_PARTS = 16,  /* threads that a step is worth; their claims lie on the caller's stack */
    SPINS_ALONE = 256 /* some 10 us, after which a waiting thread lets others run at every turn */
};

typedef struct {
    _Alignas(128) _Atomic int64_t chunks; /* two lines apart: neighbouring lines are fetched in pairs */
} count;

typedef struct {
    fnn_step_task task;
    void *arg;
    int64_t steps, chunks;
    int parts;
    count claimed[MOST_PARTS]; /* of each thread's own share, over all steps */
    count finished;            /* over all steps and shares */
} course;

static int64_t first_of(const course *c, int part) { return c->chunks * part / c->parts; }

/* Chunks of the thread's own share, the same at every step, then what is left of the others'. */
static void run_step(course *c, int self, int64_t step)
{
    for (int k = 0; k < c->parts; k++) {
        const int part = (self + k) % c->parts;
        const int64_t first = first_of(c, part), size = first_of(c, part + 1) - first;
        int64_t claim = atomic_load(&c->claimed[part].chunks);
        while (claim < (step + 1) * size) {
            if (!atomic_compare_exchange_weak(&c->claimed[part].chunks, &claim, claim + 1)) continue;
            c->task(c->arg, step, first + claim - step * size);
            atomic_fetch_add(&c->finished.chunks, 1);
            claim = atomic_load(&c->claimed[part].chunks);
        }
    }
}

static void pause_for(int turn)
{
    if (turn >= SPINS_ALONE) sched_yield();
#if defined(__x86_64__) || defined(__i386__)
    else __builtin_ia32_pause();
#elif defined(__aarch64__)
    else __asm__ volatile("yield");
#endif
}

static void take_part(void *arg, int64_t self)
{
    course *c = arg;
    for (int64_t step = 0; step < c->steps; step++) {
        run_step(c, (int)self, step);
        for (int turn = 0; atomic_load(&c->finished.chunks) < (step + 1) * c->chunks; turn += turn < SPINS_ALONE) {
            if (fnn_stopped()) return; /* as those may have done whose chunks are missing */
            pause_for(turn);
        }
        if (fnn_stopped()) return;
    }
}

void fnn_parallel_steps(int threads, int64_t steps, int64_t chunks, fnn_step_task task, void *arg)
{
    course c = {.task = task, .arg = arg, .steps = steps, .chunks = chunks};
    c.parts = threads < 1 ? 1 : threads > MOST_PARTS ? MOST_PARTS : threads;
    fnn_parallel(c.parts, c.parts, take_part, &c);
}
