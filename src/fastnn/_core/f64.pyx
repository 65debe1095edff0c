"""The engine in double: engine/*.pxi with `real` as double. f32 is the same in float."""
from fastnn._core.binding cimport *

ctypedef double real
PRECISION = "float64"

include "engine/engine.pxi"

K = <const fnn_kernels *>target.f64
gemm_scratch = target.gemm_scratch_f64
