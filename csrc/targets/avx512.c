/* avx512.c: CPUs with AVX-512 F, BW, DQ, VL (Skylake-SP, Zen 4 and later). Compile with
 * -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mprefer-vector-width=512. */
#define TARGET avx512
#define TARGET_FEATURES "AVX-512 F BW DQ VL, FMA"
#define TARGET_SUPPORTED fnn_cpu_has_avx512
#define SIMD "../simd/vec_avx512.h"
/* Compilers that know the instructions, on the system that gives leave to use them. */
#if defined(__linux__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define SIMD_TILES "../simd/tiles_amx.h"
#endif
#include "target.h"
