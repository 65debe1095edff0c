/* test_dispatch.c: the choice of a target, and what the process is told about its CPU. */
#define _GNU_SOURCE
#include "harness.h"

#ifdef __linux__
#include <sched.h>

/* Bound to one CPU, the process may use one. */
static void test_affinity_counts(void)
{
    cpu_set_t before, one;
    if (sched_getaffinity(0, sizeof before, &before) != 0) return;
    int allowed = CPU_COUNT(&before);
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &before)) cpu++;
    CHECK(fnn_cpu_count() <= allowed, "%d CPUs, of %d allowed", fnn_cpu_count(), allowed);
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    CHECK(fnn_cpu_count() == 1, "%d CPUs when bound to one", fnn_cpu_count());
    sched_setaffinity(0, sizeof before, &before);
}
#endif

SUITE(dispatch)
{
    if (REAL_BITS == 64) return;
    const fnn_target *const *targets;
    int count = fnn_targets(&targets);
    CHECK(count >= 1 && strcmp(targets[count - 1]->name, "baseline") == 0, "the last target is the baseline");
    CHECK(targets[count - 1]->supported(), "the baseline runs everywhere");

    const fnn_target *best = NULL;
    for (int i = 0; i < count; i++) {
        const fnn_target *t = targets[i];
        CHECK(fnn_find_target(t->name) == (t->supported() ? t : NULL), "%s by name", t->name);
        CHECK(t->f32 && t->f64 && t->gemm_scratch_f32 && t->gemm_scratch_f64 && t->tiles, "%s is complete", t->name);
        if (!best && t->supported()) best = t;
    }
    CHECK(fnn_find_target(NULL) == best, "no name is the best supported target");
    CHECK(fnn_find_target("") == NULL && fnn_find_target("avx") == NULL && fnn_find_target("AVX2") == NULL,
          "unknown names are no target");

    CHECK(fnn_cpu_count() >= 1, "%d CPUs", fnn_cpu_count());
    size_t l1 = fnn_cache_size(1), l2 = fnn_cache_size(2), l3 = fnn_cache_size(3);
    CHECK(l1 >= 4096 && l1 <= (1u << 20) && l2 >= l1 && l3 >= 4096, "caches of %zu, %zu, %zu bytes", l1, l2, l3);
    CHECK(fnn_cache_size(0) == 0 && fnn_cache_size(4) == 0, "levels that are none");
    CHECK(fastnn_get_num_threads() == 0, "no limit to begin with");
    fastnn_set_num_threads(3);
    CHECK(fastnn_get_num_threads() == 3, "the limit that was set");
    fastnn_set_num_threads(-1);
    CHECK(fastnn_get_num_threads() == 0, "less than one thread is no limit");
#ifdef __linux__
    test_affinity_counts();
#endif
}
