/* limit.c: how many threads a call takes that does not say; for whom the process sets such limits (fastnn.h). */
#include <stdatomic.h>

#include "fastnn.h"

static _Atomic int limit;

int fastnn_get_num_threads(void) { return atomic_load_explicit(&limit, memory_order_relaxed); }

void fastnn_set_num_threads(int threads)
{
    atomic_store_explicit(&limit, threads < 0 ? 0 : threads, memory_order_relaxed);
}
