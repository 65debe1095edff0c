"""The flat vectors of a network: parameters, gradients and the optimizer's slots, of one layout; state."""

from __future__ import annotations

import os

import numpy as np

from ._core import binding, kernels
from ._locks import brief
from ._memory import ALIGNMENT

STREAM_INIT = 1  # a namespace among the random streams of one seed; the engine's op.pxi has the others


class Memory:
    """The flat vectors of a network: parameters, gradients, the optimizer's slots of the same layout; and state."""

    __slots__ = ("graph", "dtype", "engine", "params", "slots", "state", "_grads", "_totals")

    def __init__(self, graph, dtype):
        self.graph, self.dtype = graph, dtype
        self.engine = kernels.engine_of(dtype)
        ensure_room(3 * graph.size * np.dtype(dtype).itemsize)  # parameters, gradients, at least one slot
        self.params = aligned_vector(graph.size, dtype)
        self._grads = None
        self.slots: dict[str, np.ndarray] = {}
        self.state = aligned_vector(graph.state_size, dtype)
        self._totals = None

    def totals(self):
        """Room for the gradients of several batches; made when first needed."""
        if self._totals is None:
            self._totals = aligned_vector(self.graph.size, self.dtype)
        return self._totals

    @property
    def grads(self):
        """Made when first needed: a network that only predicts has none."""
        with brief:
            if self._grads is None:
                self._grads = aligned_vector(self.params.size, self.dtype)
        return self._grads

    def initialize(self, seed):
        """Draws every parameter from its initializer; parameter i has a random stream of its own."""
        for i, param in enumerate(self.graph.params.values()):
            key = seed & (2**64 - 1), STREAM_INIT << 60 | i
            param.view(self.params)[...] = param.init(param.shape, self.dtype, key)
        for param in self.graph.states.values():
            param.view(self.state)[...] = param.init

    def vector(self) -> np.ndarray:
        """A vector of the parameters' layout, of zeros."""
        return aligned_vector(self.params.size, self.dtype)

    def named(self) -> dict:
        """{name: view} of every parameter and all state."""
        return {
            **{name: param.view(self.params) for name, param in self.graph.params.items()},
            **{name: param.view(self.state) for name, param in self.graph.states.items()},
        }

    def penalties(self, training):
        """Ops for the penalties of the parameters that have one."""
        penalty = self.engine.OPS["penalty"]
        return [
            penalty(param.flat(self.params), param.flat(self.grads) if training else None, param.l1, param.l2)
            for param in self.graph.params.values()
            if param.l1 or param.l2
        ]

    def constraints(self, frozen):
        """Ops for the parameters with a largest norm, but for those that do not move."""
        return [
            self.engine.OPS["max_norm"](param.view(self.params), param.max_norm)
            for param in self.graph.params.values()
            if param.max_norm is not None and param not in frozen
        ]


def ensure_room(size: int):
    """MemoryError for more than the machine has: the system might grant it and end the process at the first touch."""
    if size > _MEMORY:
        raise MemoryError(f"{size / 2**30:.1f} GiB are needed at once, and this machine has {_MEMORY / 2**30:.1f} GiB")


def aligned_bytes(size: int) -> np.ndarray:
    """`size` bytes that start at a multiple of the alignment."""
    ensure_room(size)
    raw = np.empty(size + ALIGNMENT, dtype=np.uint8)
    start = binding.bytes_to_alignment(raw, ALIGNMENT)
    return raw[start : start + size]


def aligned_vector(size: int, dtype) -> np.ndarray:
    """A zeroed vector that starts at a multiple of the alignment."""
    vector = aligned_bytes(size * np.dtype(dtype).itemsize).view(dtype)
    vector[:] = 0
    return vector


_MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**63
