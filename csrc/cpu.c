/* cpu.c: features, caches and the number of CPUs.
 *
 * Nothing here runs in a hot path: features are read once, when a target is chosen; cache sizes are kept after the first
 * question. The number of CPUs is read anew each time, since affinity and cgroup limits may change while a process runs.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* sched_getaffinity, CPU_COUNT_S */
#endif

#include "cpu.h"
#include "fastnn.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>
#else
#include <unistd.h>
#endif
#ifdef __linux__
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#endif
#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

/* ---- x86 features -------------------------------------------------------------------------------------------- */

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

/* Bit positions: Intel SDM volume 2A, CPUID, leaves 1 and 7; volume 1, 13.1 for XCR0. */
enum {
    LEAF1_ECX_FMA = 1 << 12,
    LEAF1_ECX_OSXSAVE = 1 << 27,
    LEAF1_ECX_AVX = 1 << 28,
    LEAF7_EBX_AVX2 = 1 << 5,
    LEAF7_EBX_AVX512F = 1 << 16,
    LEAF7_EBX_AVX512DQ = 1 << 17,
    LEAF7_EBX_AVX512BW = 1 << 30,
    XCR0_YMM = 0x06, /* SSE and AVX state */
    XCR0_ZMM = 0xe6, /* those, and the mask registers and both halves of the zmm state */
};
#define LEAF7_EBX_AVX512VL (1u << 31)

static int has(unsigned value, unsigned bits) { return (value & bits) == bits; }

static unsigned xcr0(void)
{
    unsigned low, high; /* by its bytes in assembly: the intrinsic would need -mxsave */
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* EBX of leaf 7, or 0 where the system does not save all of `state`. */
static unsigned leaf7_ebx(unsigned state)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return 0;
    if (!has(ecx, LEAF1_ECX_FMA | LEAF1_ECX_OSXSAVE | LEAF1_ECX_AVX) || !has(xcr0(), state)) return 0;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return 0;
    return ebx;
}

int fnn_cpu_has_avx2(void) { return has(leaf7_ebx(XCR0_YMM), LEAF7_EBX_AVX2); }

int fnn_cpu_has_avx512(void)
{
    return has(leaf7_ebx(XCR0_ZMM), LEAF7_EBX_AVX2 | LEAF7_EBX_AVX512F | LEAF7_EBX_AVX512DQ | LEAF7_EBX_AVX512BW
                                        | LEAF7_EBX_AVX512VL);
}

/* Size of the data cache of a level by leaf `leaf` (4: Intel, 0x8000001d: AMD, one layout); 0 where it does not tell. */
static size_t cpuid_cache(unsigned leaf, int level)
{
    unsigned eax, ebx, ecx, edx;
    if ((unsigned)__get_cpuid_max(leaf & 0x80000000u, NULL) < leaf) return 0; /* an int in some compilers */
    for (unsigned i = 0; i < 16; i++) {
        __cpuid_count(leaf, i, eax, ebx, ecx, edx);
        unsigned type = eax & 31; /* 0: no more caches; 2: instructions */
        if (type == 0) break;
        if (type == 2 || (int)((eax >> 5) & 7) != level) continue;
        size_t ways = (ebx >> 22) + 1, parts = ((ebx >> 12) & 1023) + 1, line = (ebx & 4095) + 1, sets = (size_t)ecx + 1;
        return ways * parts * line * sets;
    }
    return 0;
}

int fnn_cpu_has_neon(void) { return 0; }

static size_t detect_cache(int level)
{
    size_t size = cpuid_cache(4, level);
    return size ? size : cpuid_cache(0x8000001du, level);
}

#else /* not x86 */

int fnn_cpu_has_avx2(void) { return 0; }
int fnn_cpu_has_avx512(void) { return 0; }
int fnn_cpu_has_neon(void)
{
#if defined(__aarch64__)
    return 1; /* compilers take it for granted: not even the baseline would run without it */
#else
    return 0;
#endif
}

static size_t detect_cache(int level)
{
#if defined(__APPLE__)
    const char *names[] = {"hw.l1dcachesize", "hw.l2cachesize", "hw.l3cachesize"};
    uint64_t size = 0;
    size_t length = sizeof size;
    return sysctlbyname(names[level - 1], &size, &length, NULL, 0) == 0 ? (size_t)size : 0;
#elif defined(__linux__)
    for (int index = 0; index < 8; index++) { /* instruction and data caches in no promised order */
        char path[96], type[16];
        int found = 0;
        unsigned long kib = 0;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/level", index);
        FILE *file = fopen(path, "re");
        if (!file) break;
        if (fscanf(file, "%d", &found) != 1) found = 0;
        fclose(file);
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/type", index);
        if (found != level || !(file = fopen(path, "re"))) continue;
        if (fscanf(file, "%15s", type) != 1) type[0] = 0;
        fclose(file);
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", index);
        if (strcmp(type, "Instruction") == 0 || !(file = fopen(path, "re"))) continue;
        if (fscanf(file, "%luK", &kib) != 1) kib = 0;
        fclose(file);
        if (kib) return (size_t)kib * 1024;
    }
    return 0;
#else
    (void)level;
    return 0;
#endif
}

#endif

/* ---- tiles --------------------------------------------------------------------------------------------------- */

#if defined(__linux__) && defined(__x86_64__)

/* CPUID leaf 7: AMX-BF16 and AMX-TILE in EDX, AVX512-BF16 in EAX of its second part; XCR0: both parts of the tiles' state.
 * arch_prctl asks for that state (Documentation/arch/x86/xstate.rst of Linux 5.16 and later). */
enum {
    LEAF7_EDX_AMX = 1 << 22 | 1 << 24,
    LEAF7_1_EAX_AVX512_BF16 = 1 << 5,
    XCR0_TILES = 3 << 17,
    ARCH_REQ_XCOMP_PERM = 0x1023,
    XFEATURE_XTILEDATA = 18
};

static int tiles_permitted(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!fnn_cpu_has_avx512() || !has(xcr0(), XCR0_TILES)) return 0;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !has(edx, LEAF7_EDX_AMX) || eax < 1) return 0;
    if (!__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) || !has(eax, LEAF7_1_EAX_AVX512_BF16)) return 0;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

#else

static int tiles_permitted(void) { return 0; }

#endif

static _Atomic int tiles; /* 0: not yet asked; 1: there; -1: not. A race asks twice for the same */

int fnn_cpu_tiles(void)
{
    int known = atomic_load_explicit(&tiles, memory_order_relaxed);
    if (known == 0) {
        known = tiles_permitted() ? 1 : -1;
        atomic_store_explicit(&tiles, known, memory_order_relaxed);
    }
    return known > 0;
}

int fnn_cpu_no_tiles(void) { return 0; }

void fnn_assume_tiles(int there) { atomic_store_explicit(&tiles, there, memory_order_relaxed); }

/* ---- caches -------------------------------------------------------------------------------------------------- */

size_t fnn_cache_size(int level)
{
    static _Atomic size_t known[4]; /* a race stores the same value twice */
    static const size_t guess[4] = {0, (size_t)32 << 10, (size_t)256 << 10, (size_t)4 << 20};
    if (level < 1 || level > 3) return 0;
    size_t size = atomic_load_explicit(&known[level], memory_order_relaxed);
    if (size == 0) {
        size = detect_cache(level);
        if (size == 0) size = guess[level];
        atomic_store_explicit(&known[level], size, memory_order_relaxed);
    }
    return size;
}

/* ---- CPUs ---------------------------------------------------------------------------------------------------- */

#ifdef __linux__

static long allowed_cpus(void)
{
    for (int cpus = 1024; cpus <= 1 << 20; cpus *= 4) { /* the call fails while the set is smaller than the kernel's */
        cpu_set_t *set = CPU_ALLOC((size_t)cpus);
        if (!set) break;
        size_t size = CPU_ALLOC_SIZE((size_t)cpus);
        long count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (count > 0) return count;
    }
    return sysconf(_SC_NPROCESSORS_ONLN);
}

/* CPUs granted by a quota over a period, rounded up: a limit of 1.5 CPUs keeps two threads busy better than one. */
static long quota_cpus(double quota, double period)
{
    if (quota <= 0 || period <= 0) return 0;
    double cpus = quota / period;
    return cpus >= 1e6 ? 0 : (long)cpus + (cpus > (double)(long)cpus);
}

/* The limit set in one cgroup directory, 0 for none. Version 2: "max 100000" or "150000 100000" in cpu.max; version 1:
 * one number a file, -1 for none. */
static long directory_limit(const char *root, const char *group, int version)
{
    char path[4352];
    double quota = 0, period = 0;
    snprintf(path, sizeof path, "%s%s/%s", root, group, version == 2 ? "cpu.max" : "cpu.cfs_quota_us");
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    int read = fscanf(file, "%lf %lf", &quota, &period);
    fclose(file);
    if (read < 1) return 0;
    if (version == 1) {
        snprintf(path, sizeof path, "%s%s/cpu.cfs_period_us", root, group);
        if (!(file = fopen(path, "re"))) return 0;
        if (fscanf(file, "%lf", &period) != 1) period = 0;
        fclose(file);
    }
    return quota_cpus(quota, period);
}

/* The tightest limit on the way from a cgroup up to the root. Directories that a container hides are passed over, and
 * the root, where a container sees its own group, is always looked at. */
static long group_limit(const char *root, char *group, int version)
{
    long limit = 0;
    for (;;) {
        long here = directory_limit(root, group, version);
        if (here > 0 && (limit == 0 || here < limit)) limit = here;
        char *slash = strrchr(group, '/');
        if (!slash) return limit;
        *slash = 0;
    }
}

/* Whether "cpu" is one of the comma-separated controllers. */
static int names_cpu(const char *controllers)
{
    for (const char *at = controllers; at; at = strchr(at, ',')) {
        at += *at == ',';
        size_t length = strcspn(at, ",");
        if (length == 3 && memcmp(at, "cpu", 3) == 0) return 1;
    }
    return 0;
}

/* Lines of /proc/self/cgroup: "0::/path" for version 2, "4:cpu,cpuacct:/path" for version 1. */
static long cgroup_cpus(void)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file) return 0;
    char line[4096];
    long limit = 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *controllers++ = 0;
        *group++ = 0;
        long here = 0;
        if (*controllers == 0) here = group_limit("/sys/fs/cgroup", group, 2);
        else if (names_cpu(controllers)) here = group_limit("/sys/fs/cgroup/cpu", group, 1);
        if (here > 0 && (limit == 0 || here < limit)) limit = here;
    }
    fclose(file);
    return limit;
}

/* The same, read anew when it is older than a second: the files cost some 30 us, and every call of fit or predict asks. */
static long recent_cgroup_cpus(void)
{
    static _Atomic long known, until; /* until: seconds of the clock */
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec >= atomic_load_explicit(&until, memory_order_acquire)) {
        atomic_store_explicit(&known, cgroup_cpus(), memory_order_relaxed);
        atomic_store_explicit(&until, (long)now.tv_sec + 1, memory_order_release);
    }
    return atomic_load_explicit(&known, memory_order_relaxed);
}

int fnn_cpu_count(void)
{
    long count = allowed_cpus(), limit = recent_cgroup_cpus();
    if (limit > 0 && limit < count) count = limit;
    return count < 1 ? 1 : (int)count;
}

#elif defined(_WIN32)

int fnn_cpu_count(void)
{
    DWORD_PTR process = 0, system = 0;
    int count = 0;
    if (GetProcessAffinityMask(GetCurrentProcess(), &process, &system))
        for (; process; process &= process - 1) count++;
    if (count == 0) count = (int)GetActiveProcessorCount(ALL_PROCESSOR_GROUPS); /* several groups: the mask is empty */
    return count < 1 ? 1 : count;
}

#else

int fnn_cpu_count(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : (int)count;
}

#endif
