"""The machine that was measured: its name, and its peak of fused multiply-adds, measured in the same run."""

import os
import re
import subprocess
import tempfile
from pathlib import Path


def describe_machine():
    """CPU model, cores that may be used, and memory."""
    model = "unknown CPU"
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"model name\s*:\s*(.+)", info.read_text())
        model = found.group(1) if found else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory, 1)}


# Twelve independent chains hide the latency of the multiply-add; eight lanes or sixteen, as the compiler's widest.
PEAK = r"""
#include <stdio.h>
#include <time.h>
#define LANES (%(bytes)d / sizeof(float))
typedef float v __attribute__((vector_size(%(bytes)d)));
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec; }
int main(void)
{
    v s[12], a, b;
    for (unsigned i = 0; i < LANES; i++) a[i] = 1.0000001f, b[i] = 1e-9f;
    for (int i = 0; i < 12; i++) s[i] = a;
    double best = 0;
    for (int round = 0; round < 20; round++) {
        double start = now();
        for (long i = 0; i < 2000000; i++) {
            for (int k = 0; k < 12; k++) s[k] = s[k] * a + b;
            __asm__ volatile("" ::: "memory");
        }
        double rate = 2.0 * 12 * LANES * 2000000 / (now() - start);
        if (rate > best) best = rate;
    }
    float sum = 0;
    for (int i = 0; i < 12; i++) sum += s[i][0];
    printf("%%g %%g\n", best, (double)sum);
}
"""


def fma_peak():
    """float32 operations a second of one core with nothing but multiply-adds in registers; None without a compiler."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    size, options = (64, ["-mavx512f", "-mprefer-vector-width=512"]) if "avx512f" in flags else (32, ["-mavx2", "-mfma"])
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "peak.c"), Path(folder, "peak")
        source.write_text(PEAK % {"bytes": size})
        try:
            subprocess.run(["cc", "-O3", *options, "-o", program, source], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        answer = subprocess.run([program], capture_output=True, text=True).stdout
    return float(answer.split()[0])
