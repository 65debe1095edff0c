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

enum { SHOWN = 20, WATCHED = 256, CANARY = 0xA5 };

int emulated;
static long passed, failed;

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

static struct {
    unsigned char *base, *buffer;
    size_t size;
} slots[SLOTS];

void *guarded(int slot, size_t size, int side)
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
    if (size + WATCHED > SLOT_BYTES) {
        printf("a test asks for %zu bytes; SLOT_BYTES is too small\n", size);
        exit(2);
    }
    unsigned char *first = base + page, *last = first + SLOT_BYTES;
    slots[slot].size = size;
    slots[slot].buffer = side == AT_END ? last - size : first;
    if (side == AT_END)
        memset(slots[slot].buffer - WATCHED, CANARY, WATCHED);
    else
        memset(first + size, CANARY, WATCHED);
    return slots[slot].buffer;
}

int guards_intact(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int s = 0; s < SLOTS; s++) {
        if (!slots[s].buffer) continue;
        int at_start = slots[s].buffer == slots[s].base + page;
        const unsigned char *watched = at_start ? slots[s].buffer + slots[s].size : slots[s].buffer - WATCHED;
        for (int i = 0; i < WATCHED; i++)
            if (watched[i] != CANARY) return 0;
    }
    return 1;
}

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

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*f32)(void), (*f64)(void);
    } suites[] = {
#define SUITE_ROW(name) {#name, suite_##name##_f32, suite_##name##_f64},
#include "suites.inc"
#undef SUITE_ROW
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *wanted = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--emulated") == 0) emulated = 1;
        else wanted = argv[i];
    }
    const fnn_target *targets[8];
    int count = usable_targets(targets);
    printf("targets:");
    for (int t = 0; t < count; t++) printf(" %s", targets[t]->name);
    printf("\n");
    for (int i = 0; i < COUNT(suites); i++) {
        if (wanted && strcmp(wanted, suites[i].name) != 0) continue;
        long before = passed + failed;
        state = SEED; /* a suite on its own repeats what it does among the others */
        suites[i].f32();
        suites[i].f64();
        printf("%-12s %ld checks\n", suites[i].name, passed + failed - before);
    }
    printf("%ld passed, %ld failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
