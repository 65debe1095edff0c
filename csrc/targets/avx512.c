/* avx512.c: CPUs with AVX-512 F, BW, DQ, VL (Skylake-SP, Zen 4 and later). Compile with
 * -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mprefer-vector-width=512. */
#define TARGET avx512
#define TARGET_FEATURES "AVX-512 F BW DQ VL, FMA"
#define TARGET_SUPPORTED fnn_cpu_has_avx512
#define SIMD "../simd/vec_avx512.h"
#include "target.h"
