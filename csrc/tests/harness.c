/* harness.c: what the suites share, and main. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define REAL_BITS 32
#include "harness.h"

/* A float or double of CANARY bytes is within a factor of two of the largest. */
enum { SHOWN = 20, WATCHED = 256, LINE = 64, CANARY = 0x7F };

int thinned, emulated;
static int stops; /* at the first failure */
static long passed, failed, begun;

void problem_begins(void) { begun++; }

int check_at(const char *file, int line, int ok, const char *format, ...)
{
    if (ok) {
        passed++;
        return 1;
    }
    if (failed++ < SHOWN) {
        va_list args;
        va_start(args, format);
        printf("%s:%d: ", file, line);
        vprintf(format, args);
        printf("\n");
        va_end(args);
    }
    if (stops) _Exit(1);
    return 0;
}

int usable_targets(const fnn_target **list)
{
    const fnn_target *const *all;
    int count = fnn_targets(&all), usable = 0;
    for (int i = 0; i < count; i++)
        if (all[i]->supported()) list[usable++] = all[i];
    return usable;
}

/* In a build with the address sanitizer what is watched may not be touched at all. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)0)
#endif

static struct {
    unsigned char *base;
    struct {
        unsigned char *bytes;
        size_t size;
    } watched[2]; /* before and after the buffer; of size 0 where a page is */
} slots[SLOTS];

/* The bytes of a slot, between two pages that nobody may touch. */
static unsigned char *slot_bytes(int slot)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *base = slots[slot].base;
    if (!base) {
        base = mmap(NULL, SLOT_BYTES + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (base == MAP_FAILED || mprotect(base, page, PROT_NONE) || mprotect(base + page + SLOT_BYTES, page, PROT_NONE)) {
            printf("no memory for the tests\n");
            exit(2);
        }
        slots[slot].base = base;
    }
    return base + page;
}

/* Watches the bytes before and after a buffer in place of those of the slot's buffer so far. */
static void watch(int slot, unsigned char *before, size_t size_before, unsigned char *after, size_t size_after)
{
    for (int side = 0; side < 2; side++)
        ASAN_UNPOISON_MEMORY_REGION(slots[slot].watched[side].bytes, slots[slot].watched[side].size);
    slots[slot].watched[0].bytes = before, slots[slot].watched[0].size = size_before;
    slots[slot].watched[1].bytes = after, slots[slot].watched[1].size = size_after;
    if (size_before) memset(before, CANARY, size_before);
    if (size_after) memset(after, CANARY, size_after);
    for (int side = 0; side < 2; side++)
        ASAN_POISON_MEMORY_REGION(slots[slot].watched[side].bytes, slots[slot].watched[side].size);
}

void *placed(int slot, size_t size, size_t unit, int place)
{
    unsigned char *first = slot_bytes(slot), *last = first + SLOT_BYTES, *buffer = first;
    if (size + 2 * (WATCHED + LINE) > SLOT_BYTES) {
        printf("a test asks for %zu bytes; SLOT_BYTES is too small\n", size);
        exit(2);
    }
    if (place == ANYWHERE) place = (int)below(ANYWHERE);
    if (place == AT_END) buffer = last - (size + unit - 1) / unit * unit;
    if (place == INSIDE) {
        buffer = last - (size + WATCHED + LINE + LINE - 1) / LINE * LINE;
        buffer += (size_t)below((int64_t)(LINE / unit)) * unit;
    }
    unsigned char *end = buffer + size;
    watch(slot, place == AT_START ? first : buffer - WATCHED, place == AT_START ? 0 : WATCHED, end,
          place == AT_END ? (size_t)(last - end) : WATCHED);
    return buffer;
}

void *scratch_of(int slot, size_t size) { return placed(slot, size, LINE, AT_END); }

void soil(void *scratch, size_t size)
{
    if (size) memset(scratch, CANARY, size);
}

#ifdef __SANITIZE_ADDRESS__
int guards_intact(void) { return 1; }
#else
int guards_intact(void)
{
    for (int s = 0; s < 2 * SLOTS; s++) {
        for (size_t i = 0; i < slots[s / 2].watched[s % 2].size; i++)
            if (slots[s / 2].watched[s % 2].bytes[i] != CANARY) return 0;
    }
    return 1;
}
#endif

enum { SEED = 0x9E3779B9 };
static uint64_t state = SEED;

/* xorshift64* (Vigna 2016) */
static uint64_t next(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545F4914F6CDD1Du;
}

double uniform(double low, double high) { return low + (high - low) * ((double)(next() >> 11) * 0x1p-53); }
int64_t below(int64_t n) { return (int64_t)(next() % (uint64_t)n); }

#define SUITE_ROW(name) void suite_##name##_f32(void), suite_##name##_f64(void);
#include "suites.inc"
#undef SUITE_ROW
#define PROBLEM_ROW(name) void random_problem_##name##_f32(const fnn_target *), random_problem_##name##_f64(const fnn_target *);
#include "problems.inc"
#undef PROBLEM_ROW

static void run_suites(const char *wanted)
{
    static const struct {
        const char *name;
        void (*f32)(void), (*f64)(void);
    } suites[] = {
#define SUITE_ROW(name) {#name, suite_##name##_f32, suite_##name##_f64},
#include "suites.inc"
#undef SUITE_ROW
    };
    for (int i = 0; i < COUNT(suites); i++) {
        if (wanted && strcmp(wanted, suites[i].name) != 0) continue;
        long before = passed + failed;
        state = SEED; /* a suite on its own repeats what it does among the others */
        suites[i].f32();
        suites[i].f64();
        printf("%-12s %ld checks\n", suites[i].name, passed + failed - before);
    }
}

/* Random problems first .. first + count - 1 of the seed: suites, precisions and targets in turn. */
static void soak(const char *wanted, uint64_t seed, long first, long count)
{
    static const struct {
        const char *name;
        void (*make[2])(const fnn_target *);
    } kinds[] = {
#define PROBLEM_ROW(name) {#name, {random_problem_##name##_f32, random_problem_##name##_f64}},
#include "problems.inc"
#undef PROBLEM_ROW
    };
    enum { TENTHS = 10 };
    const fnn_target *targets[8];
    int target_count = usable_targets(targets);
    printf("problems %ld .. %ld of seed %llu\n", first, first + count - 1, (unsigned long long)seed);
    for (long i = 0; i < count; i++) {
        long n = first + i, which = n % COUNT(kinds), before = failed;
        if (wanted && strcmp(wanted, kinds[which].name) != 0) continue;
        state = (seed + 1) * 0x9E3779B97F4A7C15u ^ (uint64_t)n * 0xD1B54A32D192ED03u;
        state |= state == 0; /* which xorshift would never leave */
        for (int warm = 0; warm < 4; warm++) next();
        kinds[which].make[n / COUNT(kinds) % 2](targets[n / COUNT(kinds) / 2 % target_count]);
        if (failed > before) printf("that was problem %ld: --soak 1 --first %ld --seed %llu\n", n, n, (unsigned long long)seed);
        if (count >= 1000 && (i + 1) % (count / TENTHS) == 0) printf("%ld problems, %ld failed checks\n", begun, failed);
    }
}

/* test [SUITE] [--stop] [--thinned] [--emulated] [--soak COUNT [--seed NUMBER] [--first NUMBER]] */
int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *wanted = NULL;
    long count = 0, first = 0;
    uint64_t seed = 1;
    for (int i = 1; i < argc; i++) {
        int more = i + 1 < argc;
        if (strcmp(argv[i], "--emulated") == 0) emulated = thinned = 1;
        else if (strcmp(argv[i], "--thinned") == 0) thinned = 1;
        else if (strcmp(argv[i], "--stop") == 0) stops = 1;
        else if (more && strcmp(argv[i], "--soak") == 0) count = atol(argv[++i]);
        else if (more && strcmp(argv[i], "--first") == 0) first = atol(argv[++i]);
        else if (more && strcmp(argv[i], "--seed") == 0) seed = strtoull(argv[++i], NULL, 10);
        else wanted = argv[i];
    }
    const fnn_target *targets[8];
    int target_count = usable_targets(targets);
    printf("targets:");
    for (int t = 0; t < target_count; t++) printf(" %s", targets[t]->name);
    printf("\n");
    if (count) soak(wanted, seed, first, count);
    else run_suites(wanted);
    fnn_pool_shutdown(); /* so that nothing is in use at the end */
    printf("%ld problems\n%ld passed, %ld failed\n", begun, passed, failed);
    return failed != 0 || passed == 0;
}
