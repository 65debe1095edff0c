/* watch.c: how kernels that take long learn that they are to stop; declared in fastnn.h.
 *
 * The caller of a region lends its watch to the workers: they see that it was stopped but never ask themselves. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "pool.h"

#include <time.h>

static const double EVERY = 0.04; /* seconds between two questions: each may have to wait for Python's lock, for 5 ms */

static _Thread_local struct {
    fnn_watch *watch;
    bool lent;
} here;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void fnn_set_watch(fnn_watch *watch)
{
    here.watch = watch;
    here.lent = false;
    if (!watch) return;
    watch->next = now_s() + EVERY;
    __atomic_store_n(&watch->stopped, 0, __ATOMIC_RELAXED);
}

fnn_watch *fnn_watch_to_lend(void) { return here.watch; }

void fnn_take_watch(fnn_watch *lent)
{
    here.watch = lent;
    here.lent = true;
}

int fnn_stopped(void)
{
    fnn_watch *watch = here.watch;
    if (!watch) return 0;
    int stopped = __atomic_load_n(&watch->stopped, __ATOMIC_RELAXED);
    if (here.lent || stopped || now_s() < watch->next) return stopped;
    here.watch = NULL; /* what is asked may run kernels of its own */
    stopped = watch->ask(watch->arg) != 0;
    here.watch = watch;
    watch->next = now_s() + EVERY;
    __atomic_store_n(&watch->stopped, stopped, __ATOMIC_RELAXED);
    return stopped;
}
