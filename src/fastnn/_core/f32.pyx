"""The engine in float: engine/*.pxi with `real` as float. f64 is the same in double."""
from fastnn._core.binding cimport *

ctypedef float real
PRECISION = "float32"

include "engine/engine.pxi"

K = <const fnn_kernels *>target.f32
gemm_scratch = target.gemm_scratch_f32
