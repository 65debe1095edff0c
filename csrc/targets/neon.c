/* neon.c: any AArch64 CPU: Advanced SIMD (NEON) with fused multiply-add is part of the architecture. Compile without -m
 * flags. */
#define TARGET neon
#define TARGET_FEATURES "NEON, FMA"
#define TARGET_SUPPORTED fnn_cpu_has_neon
#define SIMD "../simd/vec_neon.h"
#include "target.h"
