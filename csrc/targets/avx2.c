/* avx2.c: CPUs with AVX2 and FMA (Haswell, Zen and later). Compile with -mavx2 -mfma. */
#define TARGET avx2
#define TARGET_FEATURES "AVX2, FMA"
#define TARGET_SUPPORTED fnn_cpu_has_avx2
#define SIMD "../simd/vec_avx2.h"
#include "target.h"
