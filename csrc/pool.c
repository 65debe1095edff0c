/* pool.c: one persistent pool of threads for the process.
 *
 * Threads are made when first asked for and kept. A worker that has nothing to do spins for a moment, since a training
 * step is a series of regions a few microseconds apart, and then parks on a condition variable. The caller of
 * fnn_parallel works on its own region too and never waits for a worker that has not begun: it takes the invitation
 * back. So a region costs little more than a serial run when the CPUs are taken by someone else.
 *
 * One region at a time has the pool. Whoever finds it taken (another caller, or a task that calls fnn_parallel itself)
 * runs its chunks alone: that can never deadlock, and small concurrent calls do best that way.
 *
 * The child of a fork has no workers. It starts with an empty pool, in whatever state the parent's was.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "pool.h"
#include "fastnn.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

enum {
    MAX_WORKERS = 255,
    STACK_BYTES = 512 << 10, /* kernels use a few KB; the sanitizers' run-times want the rest */
    WAKING_NS = 50000,       /* what waking a parked thread takes */
    SPIN_NS = 4 * WAKING_NS, /* the kernels of a training step that want one thread take as long: 1.3 times as fast at
                                784-128-10 with 128 rows as with a quarter of it */
    PARTING_NS = 5000000,    /* a wrong CPU costs about as long, until the system parts the threads */
    SPIN_ALONE_NS = 2000,    /* after this long a spinning thread lets others run... */
    SPIN_TURNS = 16,         /* ... between so many looks, half a microsecond or so: the system call takes as long */
};

/* A worker's state. Only the caller that holds the pool invites and takes back; only the worker starts and ends. */
enum { IDLE, INVITED, RUNNING, QUIT };

/* A thread's view of a region. The chunks are cut into as many parts as there are threads; it begins with its own. */
typedef struct {
    _Atomic int state;     /* of a worker */
    int parts;             /* the caller and the workers that are invited */
    int64_t chunks;
    _Atomic int64_t next;  /* the first of its part that nobody has claimed */
    fnn_task task;
    void *arg;
    fnn_watch *watch;
    unsigned fp_mode;
} seat;

/* What a region says to a worker lies in one line of the cache, which goes over once and back once, at some 130 ns. The
 * caller reads `parked` in every region, from its own cache as long as that lies apart. Lines are two apart, since
 * neighbours are fetched in pairs. */
typedef struct {
    _Alignas(128) seat seat;
    _Alignas(128) _Atomic bool parked;
    pthread_mutex_t lock; /* with `wake`, for parking only */
    pthread_cond_t wake;
    pthread_t thread;
} worker;

static struct {
    _Atomic bool taken; /* by the caller whose region runs */
    bool fork_handled;
    int apart_from; /* the CPU that the workers keep off, or -1 */
    int64_t parted; /* since when, ns */
    _Alignas(128) seat caller;
    worker workers[MAX_WORKERS];

    _Alignas(128) _Atomic int size; /* workers alive; written by the holder */
    _Atomic int spin_ns; /* 0 while there are more threads than CPUs: spinning would steal from those that work */
    _Atomic bool caller_parked;
    pthread_mutex_t done_lock; /* with `done`, for the caller's parking only */
    pthread_cond_t done;
} pool = {.done_lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

/* ---- waiting ------------------------------------------------------------------------------------------------- */

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Whether a worker has ended, or not begun. */
static bool has_ended(seat *s) { return atomic_load_explicit(&s->state, memory_order_acquire) != RUNNING; }

/* Whether an invited worker has begun, or is told to quit. It asks by the exchange that begins, which brings the line
 * for writing at once: a load before it would cost a second transfer. */
static bool has_begun(seat *s)
{
    int invited = INVITED;
    return atomic_compare_exchange_strong(&s->state, &invited, RUNNING) || invited == QUIT;
}

/* Spins for at most `ns` until `over`; returns whether it is. */
static inline bool spin_until(bool (*over)(seat *), seat *s, int64_t ns)
{
    if (over(s)) return true;
    if (ns == 0) return false;
    for (int64_t start = now_ns(), spent = 0; spent < ns; spent = now_ns() - start) {
        if (spent >= SPIN_ALONE_NS) sched_yield();
        for (int turn = 0; turn < SPIN_TURNS; turn++) {
            pause_cpu();
            if (over(s)) return true;
        }
    }
    return false;
}

/* ---- CPUs ---------------------------------------------------------------------------------------------------- */

/* Keeps all workers off the CPU that the holder of the pool runs on, among those that it may use. Some systems wake a
 * thread where its waker runs although other CPUs idle (those that save CPUs, or whose CPUs share no cache) and part the
 * two only some milliseconds later: where that was measured, two threads took 1.40 ms for a product of 512 x 512 x 512
 * after a pause, no less than one, and take 0.70 so; a `predict` of 64 rows by 784-512-512-10 every 3 ms 0.46 for 0.60.
 * A caller that stays where it is pays 2 ns, one that goes from CPU to CPU, or callers that take turns, no more than the
 * workers' moves once in PARTING_NS; two callers without a pause on two CPUs, whose worker then never waits, 3 to 8 %. A
 * system that refuses leaves the workers as they are. */
static void keep_workers_apart(void)
{
#if defined(__linux__)
    const int cpu = sched_getcpu();
    if (cpu == pool.apart_from) return;
    const int64_t now = now_ns();
    if (pool.apart_from >= 0 && now - pool.parted < PARTING_NS) return;
    pool.apart_from = cpu;
    pool.parted = now;
    cpu_set_t others;
    if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof others, &others) != 0) return;
    CPU_CLR((size_t)cpu, &others);
    if (CPU_COUNT(&others) == 0) return;
    for (int i = 0; i < atomic_load_explicit(&pool.size, memory_order_relaxed); i++)
        pthread_setaffinity_np(pool.workers[i].thread, sizeof others, &others);
#endif
}

/* ---- workers ------------------------------------------------------------------------------------------------- */

static seat *seat_of(int thread) { return thread ? &pool.workers[thread - 1].seat : &pool.caller; }

static int64_t first_chunk(int64_t chunks, int part, int parts) { return chunks * part / parts; }

/* Chunks of the thread's own part, then what is left of the others'. So one step after another, the same thread works
 * on the same part of the same vectors, which it finds in its own cache. Where each has one chunk alone a worker leaves
 * it at that: the caller sees to those that have not begun. The caller has its first chunk without a claim, which would
 * wait until the workers' lines are written. */
static void run_chunks(int self)
{
    const seat *mine = seat_of(self);
    const int parts = mine->parts, looks = self && mine->chunks == parts ? 1 : parts;
    const int64_t chunks = mine->chunks;
    const fnn_task task = mine->task;
    void *arg = mine->arg;
    if (self == 0 && !fnn_stopped()) task(arg, 0);
    for (int k = 0; k < looks; k++) {
        int part = self + k < parts ? self + k : self + k - parts;
        int64_t end = first_chunk(chunks, part + 1, parts);
        _Atomic int64_t *next = &seat_of(part)->next;
        while (!fnn_stopped() && atomic_load_explicit(next, memory_order_relaxed) < end) {
            int64_t i = atomic_fetch_add_explicit(next, 1, memory_order_relaxed);
            if (i >= end) break;
            task(arg, i);
        }
    }
}

/* Waits until the worker has begun, or is told to quit; returns whether it has begun. */
static bool begin(worker *self)
{
    if (!spin_until(has_begun, &self->seat, atomic_load_explicit(&pool.spin_ns, memory_order_relaxed))) {
        pthread_mutex_lock(&self->lock);
        atomic_store(&self->parked, true);
        while (!has_begun(&self->seat)) pthread_cond_wait(&self->wake, &self->lock);
        atomic_store(&self->parked, false);
        pthread_mutex_unlock(&self->lock);
    }
    return atomic_load_explicit(&self->seat.state, memory_order_relaxed) == RUNNING;
}

static void *work(void *arg)
{
    worker *self = arg;
    while (begin(self)) {
        fnn_set_fp_mode(self->seat.fp_mode);
        fnn_take_watch(self->seat.watch);
        run_chunks(1 + (int)(self - pool.workers));
        fnn_take_watch(NULL);
        atomic_store(&self->seat.state, IDLE); /* sequentially consistent with release_worker */
        if (atomic_load(&pool.caller_parked)) {
            pthread_mutex_lock(&pool.done_lock);
            pthread_cond_signal(&pool.done);
            pthread_mutex_unlock(&pool.done_lock);
        }
    }
    return NULL;
}

static void wake(worker *w)
{
    pthread_mutex_lock(&w->lock);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

/* Invites a worker. It does not wait for the line, as a fence would for 130 ns: one that parks at this moment may then
 * sleep over the invitation, which is taken back in the end as that of any other that has not begun. */
static void invite(worker *w)
{
    atomic_store_explicit(&w->seat.state, INVITED, memory_order_release);
    if (atomic_load_explicit(&w->parked, memory_order_relaxed)) wake(w);
}

/* Returns when the worker has ended its chunks, or has not begun and will not. */
static void release_worker(worker *w)
{
    int expected = INVITED;
    if (atomic_load_explicit(&w->seat.state, memory_order_relaxed) == INVITED
        && atomic_compare_exchange_strong(&w->seat.state, &expected, IDLE))
        return;
    if (spin_until(has_ended, &w->seat, WAKING_NS)) return;
    pthread_mutex_lock(&pool.done_lock);
    atomic_store(&pool.caller_parked, true);
    while (atomic_load(&w->seat.state) == RUNNING) pthread_cond_wait(&pool.done, &pool.done_lock);
    atomic_store(&pool.caller_parked, false);
    pthread_mutex_unlock(&pool.done_lock);
}

/* ---- making threads ------------------------------------------------------------------------------------------ */

/* In the child of a fork: the workers are gone, and any lock may have been held by one of them. */
static void forget_workers(void)
{
    for (int i = 0; i < MAX_WORKERS; i++) atomic_store(&pool.workers[i].seat.state, IDLE);
    pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t unwaited = PTHREAD_COND_INITIALIZER;
    pool.done_lock = unlocked;
    pool.done = unwaited;
    atomic_store(&pool.caller_parked, false);
    atomic_store(&pool.size, 0);
    atomic_store(&pool.taken, false);
}

static bool start_worker(worker *w)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return false;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t unwaited = PTHREAD_COND_INITIALIZER;
    w->lock = unlocked;
    w->wake = unwaited;
    atomic_store(&w->parked, false);
    atomic_store(&w->seat.state, IDLE);
    int failure = pthread_create(&w->thread, &attributes, work, w);
    pthread_attr_destroy(&attributes);
    return failure == 0;
}

/* Grows the pool to `wanted` workers; returns how many there are for the holder, fewer where the system refuses. */
static int ensure_workers(int wanted)
{
    int size = atomic_load_explicit(&pool.size, memory_order_relaxed);
    if (size >= wanted) return wanted;
    if (!pool.fork_handled) {
        if (pthread_atfork(NULL, NULL, forget_workers) != 0) return 0;
        pool.fork_handled = true;
    }
    pool.spin_ns = wanted < fnn_cpu_count() ? SPIN_NS : 0;
    /* Signals belong to the application's threads, but for those that a thread brings on itself, whose handlers (Python's
     * faulthandler, for one) could not run if they were blocked. */
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    sigset_t others, before;
    sigfillset(&others);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) sigdelset(&others, own[i]);
    pthread_sigmask(SIG_SETMASK, &others, &before);
    while (size < wanted && start_worker(&pool.workers[size])) size++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    atomic_store(&pool.size, size);
    pool.apart_from = -1; /* the new ones may run anywhere */
    return size;
}

/* ---- the interface ------------------------------------------------------------------------------------------- */

void fnn_parallel(int threads, int64_t chunks, fnn_task task, void *arg)
{
    int wanted = (chunks < threads ? (int)chunks : threads) - 1;
    if (wanted < 1 || atomic_exchange(&pool.taken, true)) {
        for (int64_t i = 0; i < chunks && !fnn_stopped(); i++) task(arg, i);
        return;
    }
    int helpers = ensure_workers(wanted < MAX_WORKERS ? wanted : MAX_WORKERS);
    keep_workers_apart();
    const unsigned fp_mode = fnn_fp_mode();
    fnn_watch *watch = fnn_watch_to_lend();
    for (int i = 0; i <= helpers; i++) {
        seat *s = seat_of(i);
        s->parts = helpers + 1;
        s->chunks = chunks;
        s->task = task;
        s->arg = arg;
        s->watch = watch;
        s->fp_mode = fp_mode;
        atomic_store_explicit(&s->next, i ? first_chunk(chunks, i, helpers + 1) : 1, memory_order_relaxed);
    }
    for (int i = 0; i < helpers; i++) invite(&pool.workers[i]);
    run_chunks(0);
    for (int i = 0; i < helpers; i++) release_worker(&pool.workers[i]);
    atomic_store(&pool.taken, false);
}

bool fnn_pool_awake(void)
{
    return atomic_load_explicit(&pool.size, memory_order_relaxed) > 0
           && !atomic_load_explicit(&pool.workers[0].parked, memory_order_relaxed);
}

bool fnn_pool_worth_waking(double grains)
{
    static _Atomic int64_t last;    /* when it was asked, ns */
    static _Atomic double together; /* grains since the last pause or waking */
    int64_t now = now_ns(), before = atomic_exchange_explicit(&last, now, memory_order_relaxed);
    double sum = grains;
    if (now - before < SPIN_NS) sum += atomic_load_explicit(&together, memory_order_relaxed);
    bool worth = sum >= 2 * FNN_GRAIN_ASLEEP;
    atomic_store_explicit(&together, worth ? 0 : sum, memory_order_relaxed);
    return worth;
}

int fnn_pool_size(void) { return atomic_load(&pool.size); }

void fnn_pool_shutdown(void)
{
    while (atomic_exchange(&pool.taken, true)) sched_yield();
    int size = atomic_load(&pool.size);
    for (int i = 0; i < size; i++) {
        atomic_store(&pool.workers[i].seat.state, QUIT);
        wake(&pool.workers[i]);
    }
    for (int i = 0; i < size; i++) pthread_join(pool.workers[i].thread, NULL);
    atomic_store(&pool.size, 0);
    atomic_store(&pool.taken, false);
}

/* ---- work in steps ------------------------------------------------------------------------------------------- */

/* Threads that meet after every step in one region are back at work 0.4 us after the last of them came, where ending a
 * region and beginning the next takes 0.8.
 *
 * A chunk is claimed before it is run, and the chunks of a step only when those of the step before have run. So whoever
 * waits does so for threads that are at work, never for one that has not come: a caller whom nobody helps goes through
 * all chunks alone. */
enum {
    MAX_PARTS = 16,    /* threads that a step is worth; their shares lie on the caller's stack */
    SPINS_ALONE = 256, /* some 10 us, after which a waiting thread lets others run at every turn */
};

typedef struct {
    _Alignas(128) _Atomic int64_t chunks; /* counted over all steps */
} tally;

typedef struct {
    fnn_step_task task;
    void *arg;
    int64_t steps, chunks;
    int parts;
    tally claimed[MAX_PARTS]; /* of each thread's share */
    tally finished;
} course;

/* Chunks of the thread's own share, the same at every step, then what is left of the others'. */
static void run_step(course *c, int self, int64_t step)
{
    for (int k = 0; k < c->parts; k++) {
        const int part = (self + k) % c->parts;
        const int64_t first = first_chunk(c->chunks, part, c->parts);
        const int64_t size = first_chunk(c->chunks, part + 1, c->parts) - first;
        int64_t claim = atomic_load(&c->claimed[part].chunks);
        while (claim < (step + 1) * size) {
            if (!atomic_compare_exchange_weak(&c->claimed[part].chunks, &claim, claim + 1)) continue;
            c->task(c->arg, step, first + claim - step * size);
            atomic_fetch_add(&c->finished.chunks, 1);
            claim = atomic_load(&c->claimed[part].chunks);
        }
    }
}

static void take_part(void *arg, int64_t self)
{
    course *c = arg;
    for (int64_t step = 0; step < c->steps && !fnn_stopped(); step++) {
        run_step(c, (int)self, step);
        if (step == c->steps - 1) return; /* the last meeting is the region's end */
        for (int turn = 0; atomic_load(&c->finished.chunks) < (step + 1) * c->chunks; turn += turn < SPINS_ALONE) {
            if (fnn_stopped()) return; /* as those may have done whose chunks are missing */
            if (turn < SPINS_ALONE) pause_cpu();
            else sched_yield();
        }
    }
}

void fnn_parallel_steps(int threads, int64_t steps, int64_t chunks, fnn_step_task task, void *arg)
{
    course c = {.task = task, .arg = arg, .steps = steps, .chunks = chunks};
    c.parts = threads < 1 ? 1 : threads > MAX_PARTS ? MAX_PARTS : threads;
    fnn_parallel(c.parts, c.parts, take_part, &c);
}
