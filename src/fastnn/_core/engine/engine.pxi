# The engine, for the `real` of the including module: kernels, then ops, then the programs that run them.
# One family a file; each op is found by its `kind`, which layers name in their plan().
from libc.math cimport INFINITY, isfinite, sqrt
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from cpython.ref cimport PyObject

import numpy

include "table.pxi"
include "op.pxi"
include "feed.pxi"
include "optimizer.pxi"
include "dense.pxi"
include "window.pxi"
include "conv.pxi"
include "pooling.pxi"
include "row_norm.pxi"
include "embedding.pxi"
include "preprocessing.pxi"
include "attention.pxi"
include "batch_norm.pxi"
include "recurrent.pxi"
include "activation.pxi"
include "dropout.pxi"
include "merge.pxi"
include "loss.pxi"
include "python.pxi"
include "program.pxi"
include "parts.pxi"
include "predict.pxi"
include "solver.pxi"
include "functions.pxi"


def _by_kind(cls):
    """{kind: class} of a class and all that is derived from it."""
    found = {cls.kind: cls} if cls.__dict__.get("kind") else {}
    for child in cls.__subclasses__():
        found.update(_by_kind(child))
    return found


OPS = _by_kind(Op)
