/* baseline.c: any CPU that the compiler makes code for: SSE2 on x86-64, NEON on ARMv8. Compile without -m flags. */
static int fnn_always(void) { return 1; }

#define TARGET baseline
#define TARGET_FEATURES "128-bit vectors"
#define TARGET_SUPPORTED fnn_always
#define SIMD "../simd/vec_portable.h"
#include "target.h"
