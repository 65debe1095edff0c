"""The predictor that `Network.predictor` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _samples

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .network import Network


class Predictor:
    """One sample in, one prediction out, over buffers of its own."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._engine = network._make_predictor(1)

    def __call__(self, x: ArrayLike, out: Any = None) -> Any:
        """The prediction for one sample; x is (...) or (1, ...), and so is the result (and `out`)."""
        if self._engine is not None:
            result = self._engine.attempt(x, out)
            if result is not None:
                return result
        return self._general(x, out)

    def _general(self, x, out):
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
