/* test_pool.c: every chunk runs once, whatever the number of threads, whoever else wants the pool, before and after a
 * fork and a shutdown, and where the system grants no threads. Meant to be run under the thread sanitizer too. */
#define _GNU_SOURCE
#include "harness.h"
#include "../pool.h"

#if REAL_BITS == 64 /* nothing of it depends on the precision */
SUITE(pool) {}
#else

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
/* The child of test_fork makes threads, which the sanitizer refuses unless told. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) { return "die_after_fork=0"; }
#endif

enum { CHUNKS = 1000 };

typedef struct {
    int runs[CHUNKS]; /* plain integers: two threads on one chunk are a race that the sanitizer reports */
} region;

static void count_chunk(void *arg, int64_t i)
{
    region *r = arg;
    r->runs[i]++;
}

static bool each_ran(const region *r, int64_t chunks, int times)
{
    for (int64_t i = 0; i < CHUNKS; i++)
        if (r->runs[i] != (i < chunks ? times : 0)) return false;
    return true;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void test_every_chunk_once(void)
{
    static const int64_t counts[] = {0, 1, 2, 3, 7, 8, 9, 64, CHUNKS};
    for (int threads = 0; threads <= 9; threads++)
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            region r = {{0}};
            fnn_parallel(threads, counts[c], count_chunk, &r);
            CHECK(each_ran(&r, counts[c], 1), "threads %d, chunks %d", threads, (int)counts[c]);
        }
    CHECK(fnn_pool_size() >= 1 && fnn_pool_size() <= 8, "size %d", fnn_pool_size());
}

static void test_many_small_regions(void)
{
    region r = {{0}};
    double start = seconds();
    for (int i = 0; i < 20000; i++) fnn_parallel(8, 8, count_chunk, &r);
    CHECK(each_ran(&r, 8, 20000), "8 threads, 20000 regions");
    /* More threads than CPUs must not crawl: parked for their turn, not spinning against each other. */
    CHECK(seconds() - start < 20.0, "20000 regions took %.1f s", seconds() - start);
}

/* A watch whose answer is no to question `last`; both threads run chunks that take a millisecond. */
typedef struct {
    fnn_watch watch;
    pthread_t asked_on;
    int questions, last;
    _Atomic int chunks, nested;
} asking;

static int answer(void *arg)
{
    asking *w = arg;
    w->asked_on = pthread_self();
    region r = {{0}};
    fnn_parallel(2, 8, count_chunk, &r); /* what is asked may use kernels, which its answer does not concern */
    w->nested += each_ran(&r, 8, 1) && !fnn_stopped();
    return ++w->questions >= w->last;
}

static void take_a_millisecond(void *arg, int64_t i)
{
    asking *w = arg;
    (void)i;
    for (double start = seconds(); seconds() - start < 1e-3;) continue;
    w->chunks++;
}

static void test_watch(void)
{
    for (int threads = 1; threads <= 3; threads++) {
        asking w = {.last = 2};
        w.watch.ask = answer;
        w.watch.arg = &w;
        CHECK(!fnn_stopped(), "without a watch");
        fnn_set_watch(&w.watch);
        fnn_parallel(threads, 100000, take_a_millisecond, &w);
        CHECK(fnn_stopped() && w.watch.stopped && w.questions == 2, "%d questions on %d threads", w.questions, threads);
        CHECK(w.nested == 2, "kernels within a question");
        CHECK(pthread_equal(w.asked_on, pthread_self()), "asked on the thread whose watch it is");
        CHECK(w.chunks > 0 && w.chunks < 100000, "%d chunks", w.chunks);
        int before = w.chunks;
        fnn_parallel(threads, 100, take_a_millisecond, &w);
        CHECK(w.chunks == before, "a region that begins when all is over");
        fnn_set_watch(NULL);
        region r = {{0}};
        fnn_parallel(threads, CHUNKS, count_chunk, &r);
        CHECK(!fnn_stopped() && each_ran(&r, CHUNKS, 1), "after it, %d threads", threads);
        fnn_set_watch(&w.watch);
        CHECK(!fnn_stopped(), "set again");
        fnn_set_watch(NULL);
    }
}

enum { STEPS = 50, STEP_CHUNKS = 7 };

typedef struct {
    int64_t chunks;
    int runs[STEPS][STEP_CHUNKS]; /* plain integers, as in a region */
    int early[STEP_CHUNKS];
} course;

static void run_in_step(void *arg, int64_t step, int64_t i)
{
    course *c = arg;
    for (int64_t j = 0; j < c->chunks && step > 0; j++) c->early[i] += c->runs[step - 1][j] != 1;
    c->runs[step][i]++;
}

static void test_steps_in_turn(void)
{
    for (int threads = 0; threads <= 20; threads += threads < 6 ? 1 : 14)
        for (int64_t chunks = 0; chunks <= STEP_CHUNKS; chunks++) {
            course c = {.chunks = chunks};
            int wrong = 0;
            fnn_parallel_steps(threads, STEPS, chunks, run_in_step, &c);
            for (int i = 0; i < STEP_CHUNKS; i++) {
                wrong += c.early[i];
                for (int s = 0; s < STEPS; s++) wrong += c.runs[s][i] != (i < chunks);
            }
            CHECK(!wrong, "steps of %d chunks on %d threads", (int)chunks, threads);
        }
}

static void step_of_a_millisecond(void *arg, int64_t step, int64_t i)
{
    (void)step;
    take_a_millisecond(arg, i);
}

static void test_steps_are_watched(void)
{
    for (int threads = 1; threads <= 3; threads++) {
        asking w = {.last = 2};
        w.watch.ask = answer;
        w.watch.arg = &w;
        fnn_set_watch(&w.watch);
        fnn_parallel_steps(threads, 50000, 3, step_of_a_millisecond, &w);
        CHECK(w.watch.stopped && w.chunks > 0 && w.chunks < 100000, "%d chunks on %d threads", w.chunks, threads);
        fnn_set_watch(NULL);
    }
}

/* What the pool asks of the system, by the linker's --wrap: threads are refused where none are left to allow. */
static int threads_allowed = INT_MAX, watch_allowed = 1;
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *arg);
int __real_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *arg)
{
    return threads_allowed-- > 0 ? __real_pthread_create(thread, attributes, start, arg) : EAGAIN;
}

int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    return watch_allowed ? __real_pthread_atfork(prepare, parent, child) : ENOMEM;
}

/* With as many threads as the system grants, none among them, every chunk runs all the same; and with more when it does. */
static void test_refused_threads(void)
{
    static const int allowed[] = {0, 1, 3};
    for (int watched = 0; watched < 2; watched++)
        for (int i = 0; i < COUNT(allowed); i++) {
            region r = {{0}};
            fnn_pool_shutdown();
            watch_allowed = watched, threads_allowed = allowed[i];
            fnn_parallel(6, 100, count_chunk, &r);
            int size = fnn_pool_size();
            watch_allowed = 1, threads_allowed = INT_MAX;
            CHECK(each_ran(&r, 100, 1), "%d of 5 threads granted", allowed[i]);
            CHECK(size == allowed[i] || (size == 0 && !watched), "%d of 5 threads granted, %d taken", allowed[i], size);
            fnn_parallel(6, 100, count_chunk, &r);
            CHECK(each_ran(&r, 100, 2) && fnn_pool_size() == 5, "all granted, %d taken", fnn_pool_size());
        }
}

static void sleep_chunk(void *arg, int64_t i)
{
    nanosleep(&(struct timespec){0, 300000}, NULL);
    count_chunk(arg, i);
}

static void test_parked_workers_wake(void)
{
    for (int i = 0; i < 30; i++) {
        region r = {{0}};
        nanosleep(&(struct timespec){0, 200000}, NULL); /* long enough to park */
        fnn_parallel(4, 6, sleep_chunk, &r);
        CHECK(each_ran(&r, 6, 1), "round %d", i);
    }
}

static void nest_chunk(void *arg, int64_t i)
{
    region *outer = arg, inner = {{0}};
    fnn_parallel(4, 10, count_chunk, &inner);
    outer->runs[i] += each_ran(&inner, 10, 1);
}

#if defined(__linux__)
/* Two chunks that end when both have begun, so that each has a thread, and the CPUs which a worker may use: none, if it
 * slept over its invitation. */
typedef struct {
    pthread_t caller;
    cpu_set_t worker_cpus;
    _Atomic int begun;
} encounter;

static void meet(void *arg, int64_t i)
{
    (void)i;
    encounter *e = arg;
    if (!pthread_equal(pthread_self(), e->caller))
        pthread_getaffinity_np(pthread_self(), sizeof e->worker_cpus, &e->worker_cpus);
    atomic_fetch_add(&e->begun, 1);
    for (double end = seconds() + 0.5; atomic_load(&e->begun) < 2 && seconds() < end;) sched_yield();
}

/* Wherever the caller goes, its worker may use the other CPUs, and the caller any as before. */
static void test_workers_keep_apart(void)
{
    cpu_set_t before, after, one;
    if (sched_getaffinity(0, sizeof before, &before) != 0 || CPU_COUNT(&before) < 2) return;
    int seen = 0;
    for (size_t cpu = 0, round = 0; round < 20; cpu = (cpu + 1) % CPU_SETSIZE) {
        if (!CPU_ISSET(cpu, &before)) continue;
        round++;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof one, &one); /* brings the caller there */
        sched_setaffinity(0, sizeof before, &before);
        nanosleep(&(struct timespec){0, 10000000}, NULL); /* longer than PARTING_NS */
        encounter e = {.caller = pthread_self()};
        size_t started_on = (size_t)sched_getcpu();
        fnn_parallel(2, 2, meet, &e);
        /* Or the system moved the caller meanwhile, perhaps before the worker was invited. */
        if (CPU_COUNT(&e.worker_cpus) == 0 || (size_t)sched_getcpu() != started_on) continue;
        seen++;
        CHECK(CPU_COUNT(&e.worker_cpus) == CPU_COUNT(&before) - 1, "a worker may use %d CPUs of %d",
              CPU_COUNT(&e.worker_cpus), CPU_COUNT(&before));
        CHECK(!CPU_ISSET(started_on, &e.worker_cpus), "a worker may use its caller's CPU, %zu", started_on);
    }
    CHECK(seen > 0, "nothing seen in 20 regions");
    sched_getaffinity(0, sizeof after, &after);
    CHECK(CPU_EQUAL(&before, &after), "the caller may use other CPUs than before");
}
#endif

static void test_nested_calls_run_serially(void)
{
    region r = {{0}};
    fnn_parallel(4, 50, nest_chunk, &r);
    CHECK(each_ran(&r, 50, 1), "nested");
}

static void *call_often(void *arg)
{
    for (int i = 0; i < 500; i++) {
        region r = {{0}};
        fnn_parallel(3, 20, count_chunk, &r);
        if (!each_ran(&r, 20, 1)) *(int *)arg = 1;
    }
    return NULL;
}

static void test_concurrent_callers(void)
{
    enum { CALLERS = 5 };
    pthread_t callers[CALLERS];
    int failed[CALLERS] = {0};
    for (int i = 0; i < CALLERS; i++) pthread_create(&callers[i], NULL, call_often, &failed[i]);
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i], NULL);
        CHECK(failed[i] == 0, "caller %d", i);
    }
}

static void test_shutdown(void)
{
    for (int i = 0; i < 5; i++) {
        region r = {{0}};
        fnn_parallel(4, 100, count_chunk, &r);
        CHECK(each_ran(&r, 100, 1), "round %d", i);
        fnn_pool_shutdown();
        CHECK(fnn_pool_size() == 0, "size %d", fnn_pool_size());
    }
}

/* Whether the child of a fork can make threads. The thread sanitizer takes the parent's for alive there, and a new one
 * whose stack lies where one of theirs did for a mistake; qemu's user mode makes none at all. */
static bool child_makes_threads(void)
{
#ifdef __SANITIZE_THREAD__
    return false;
#else
    return !emulated;
#endif
}

/* Runs a region in a child and shuts its pool down; a child that hangs is killed by its alarm and so fails. */
static bool child_works(void)
{
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        region r = {{0}};
        bool empty = fnn_pool_size() == 0;
        fnn_parallel(child_makes_threads() ? 4 : 1, 200, count_chunk, &r);
        bool grown = !child_makes_threads() || fnn_pool_size() >= 1;
        fnn_pool_shutdown();
        _exit(empty && grown && fnn_pool_size() == 0 && each_ran(&r, 200, 1) ? 0 : 1);
    }
    int status = -1;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static atomic_bool stop;

static void *keep_busy(void *arg)
{
    region *r = arg;
    while (!atomic_load(&stop)) fnn_parallel(4, 8, count_chunk, r);
    return NULL;
}

static void test_fork(void)
{
    region r = {{0}}, busy = {{0}};
    fnn_parallel(4, 100, count_chunk, &r);
    CHECK(child_works(), "idle pool");
    pthread_t holder; /* another thread has the pool, its locks in any state, while this one forks */
    atomic_store(&stop, false);
    pthread_create(&holder, NULL, keep_busy, &busy);
    for (int i = 0; i < 20; i++) CHECK(child_works(), "busy pool, fork %d", i);
    atomic_store(&stop, true);
    pthread_join(holder, NULL);
    fnn_parallel(4, 100, count_chunk, &r);
    CHECK(each_ran(&r, 100, 2), "the parent's pool after the forks");
}

static void note_mask(void *arg, int64_t i)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    nanosleep(&(struct timespec){0, 1000000}, NULL); /* so that every thread gets a chunk */
    ((pthread_t *)arg)[2 * i] = pthread_self();
    ((pthread_t *)arg)[2 * i + 1] = (pthread_t)(sigismember(&mask, SIGINT) && !sigismember(&mask, SIGSEGV));
}

static void test_workers_block_signals(void)
{
    pthread_t seen[2 * 12];
    int workers = 0;
    fnn_parallel(4, 12, note_mask, seen);
    for (int i = 0; i < 12; i++) {
        if (pthread_equal(seen[2 * i], pthread_self())) continue;
        workers++;
        CHECK(seen[2 * i + 1] == 1, "SIGINT reaches a worker, or a fault of its own does not");
    }
    CHECK(workers > 0, "no worker took a chunk");
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    CHECK(sigismember(&mask, SIGINT) == 0, "the caller's mask is as it was");
}

static void test_idle_workers_use_no_cpu(void)
{
    region r = {{0}};
    fnn_parallel(2, 100, count_chunk, &r);
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    clock_t before = clock();
    nanosleep(&(struct timespec){0, 200000000}, NULL);
    CHECK(clock() - before < CLOCKS_PER_SEC / 100, "%ld us of CPU in 200 ms", (long)(clock() - before));
}

SUITE(pool)
{
    test_refused_threads(); /* first: a pool watches for forks once in a process */
    fnn_pool_shutdown();
    test_every_chunk_once();
    test_watch();
    test_steps_in_turn();
    test_steps_are_watched();
    test_many_small_regions();
    test_parked_workers_wake();
#if defined(__linux__)
    test_workers_keep_apart();
#endif
    test_nested_calls_run_serially();
    test_concurrent_callers();
    test_shutdown();
    test_fork();
    test_workers_block_signals();
    test_idle_workers_use_no_cpu();
}
#endif
