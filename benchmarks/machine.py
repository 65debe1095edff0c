"""The machine that was measured: its name, and its peak of fused multiply-adds, measured in the same run."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def cpu_text():
    return CPUINFO.read_text() if CPUINFO.exists() else ""


def has_feature(name):
    """Whether the CPU says that it has an instruction set, by the system's name for it."""
    return re.search(rf"\b{name}\b", cpu_text()) is not None


def describe_machine():
    """CPU model, cores that may be used, and memory."""
    found = re.search(r"model name\s*:\s*(.+)", cpu_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": found.group(1) if found else "unknown CPU",
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory, 1),
    }


def thread_counts():
    """One thread, and two where there are two cores."""
    return [1, 2] if len(os.sched_getaffinity(0)) > 1 else [1]


# Twelve independent chains hide the latency of the multiply-add. The barrier keeps the compiler from folding them.
PEAK = r"""
#include <stdio.h>
#include <time.h>
typedef float v __attribute__((vector_size(%(bytes)d)));
enum { LANES = sizeof(v) / sizeof(float), STEPS = 100000, SECONDS_PER_RUN = 1 };
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
int main(void)
{
    v a = {0}, b = {0};
    v s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a, s8 = a, s9 = a, s10 = a, s11 = a;
    double best = 1e9, end = now() + SECONDS_PER_RUN;
    while (now() < end) {
        double start = now();
        for (int i = 0; i < STEPS; i++) {
            s0 = s0 * a + b, s1 = s1 * a + b, s2 = s2 * a + b, s3 = s3 * a + b, s4 = s4 * a + b, s5 = s5 * a + b;
            s6 = s6 * a + b, s7 = s7 * a + b, s8 = s8 * a + b, s9 = s9 * a + b, s10 = s10 * a + b, s11 = s11 * a + b;
            __asm__ volatile("" : "+%(register)s"(s0), "+%(register)s"(s1), "+%(register)s"(s2), "+%(register)s"(s3),
                                  "+%(register)s"(s4), "+%(register)s"(s5));
            __asm__ volatile("" : "+%(register)s"(s6), "+%(register)s"(s7), "+%(register)s"(s8), "+%(register)s"(s9),
                                  "+%(register)s"(s10), "+%(register)s"(s11));
        }
        double time = now() - start;
        if (time < best) best = time;
    }
    printf("%%.6g\n", 2.0 * 12 * LANES * STEPS / best);
    return 0;
}
"""


def instruction_set():
    """Bytes of the widest vector, the compiler's options and its letter for such a register."""
    if has_feature("avx512f"):
        return 64, ["-mavx512f", "-mprefer-vector-width=512"], "v"
    if has_feature("avx2"):
        return 32, ["-mavx2", "-mfma"], "x"
    return 16, [], "x" if os.uname().machine in ("x86_64", "i686") else "w"


def fma_peak():
    """{threads: float32 operations a second} with nothing but multiply-adds in registers; None without a compiler."""
    size, options, register = instruction_set()
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "peak.c"), Path(folder, "peak")
        source.write_text(PEAK % {"bytes": size, "register": register})
        try:
            subprocess.run(["cc", "-O3", *options, "-o", program, source], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        found = {}
        for threads in thread_counts():
            running = [subprocess.Popen([program], stdout=subprocess.PIPE, text=True) for _ in range(threads)]
            found[str(threads)] = sum(float(process.communicate()[0]) for process in running)
    return found
