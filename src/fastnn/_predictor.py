"""What `Network.predictor` returns for whatever the engine's Predictor does not take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _samples
from ._predict import engine_predictor

if TYPE_CHECKING:
    from collections.abc import Callable

    from .network import Network


def predictor(network: Network) -> Callable[..., Any]:
    """A callable (x, out=None): the engine's own, so that no Python code stands before it, where it can be."""
    general = General(network)
    engine = engine_predictor(network._state, 1)
    if engine is None:
        return general
    engine.general = general
    return engine


class General:
    """One sample in, one prediction out, in whatever form x is."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def __call__(self, x, out=None):
        network = self._network
        shapes = [value.shape for value in network._state.graph.inputs]
        arrays = _samples.several(x, len(shapes), "x")
        single = all(_rank(a) == len(shape) for a, shape in zip(arrays, shapes, strict=True))
        if not single:
            return network.predict(x, out=out)
        batch = [[a] for a in arrays] if len(arrays) > 1 else [arrays[0]]
        if out is not None:
            outs = _samples.several(out, len(network._state.graph.outputs), "out")
            network.predict(batch, out=[o[None] for o in outs] if len(outs) > 1 else outs[0][None])
            return out
        result = network.predict(batch)
        return [r[0] for r in result] if isinstance(result, list) else result[0]


def _rank(array):
    rank = getattr(array, "ndim", None)
    if rank is not None:
        return rank
    rank = 0
    while isinstance(array, (list, tuple)):
        rank, array = rank + 1, (array[0] if array else None)
    return rank
