/* target.h: makes one target of the kernel bodies: every body once for float and once for double, a table of each from
 * kernels.def, and the fnn_target record.
 *
 * A target file defines TARGET (its name, also the end of every function's name), TARGET_FEATURES (for people),
 * TARGET_SUPPORTED (a function) and SIMD (its vocabulary header), perhaps SIMD_TILES (that of tiles), and includes this file. The instruction set itself
 * comes from the build's flags. Bodies have no include guards: to be included twice is what they are for. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../cpu.h"
#include "../fastnn.h"
#include "../rng.h"
#include "../simd/vocabulary.h"

#define PRECISION f32
#define REAL_BITS 32
#define REAL_MIN FLT_MIN
#define REAL_MAX FLT_MAX
#define real float
#include "instance.h"
static const fnn_kernels_f32 FN(table) = {
#define KERNEL(name, args) .name = FN(name),
#include "../kernels.def"
#undef KERNEL
};
#define GEMM_SCRATCH_F32 FN_EXPAND(gemm_scratch, f32, TARGET)
#define TABLE_F32 FN_EXPAND(table, f32, TARGET)
#undef PRECISION
#undef REAL_BITS
#undef REAL_MIN
#undef REAL_MAX
#undef real

#define PRECISION f64
#define REAL_BITS 64
#define REAL_MIN DBL_MIN
#define REAL_MAX DBL_MAX
#define real double
#include "instance.h"
static const fnn_kernels_f64 FN(table) = {
#define KERNEL(name, args) .name = FN(name),
#include "../kernels.def"
#undef KERNEL
};
#define GEMM_SCRATCH_F64 FN_EXPAND(gemm_scratch, f64, TARGET)
#define TABLE_F64 FN_EXPAND(table, f64, TARGET)
#undef PRECISION
#undef REAL_BITS
#undef REAL_MIN
#undef REAL_MAX
#undef real

#define TARGET_RECORD_PASTE(target) fnn_target_##target
#define TARGET_RECORD(target) TARGET_RECORD_PASTE(target)
#define TARGET_NAME_TEXT(target) #target
#define TARGET_NAME(target) TARGET_NAME_TEXT(target)

extern const fnn_target TARGET_RECORD(TARGET);
const fnn_target TARGET_RECORD(TARGET) = {
    .name = TARGET_NAME(TARGET),
    .features = TARGET_FEATURES,
    .supported = TARGET_SUPPORTED,
    .f32 = &TABLE_F32,
    .f64 = &TABLE_F64,
    .gemm_scratch_f32 = GEMM_SCRATCH_F32,
    .gemm_scratch_f64 = GEMM_SCRATCH_F64,
#ifdef SIMD_TILES
    .tiles = fnn_cpu_tiles,
#else
    .tiles = fnn_cpu_no_tiles,
#endif
};
