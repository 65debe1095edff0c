"""Predictions with their spread: the standard deviation that a loss taught the network, Monte Carlo dropout, or both.

Apart from `predict`, whose path none of this lengthens. Monte Carlo samples are drawn by programs in which dropout has
stayed: the samples of a draw lie one behind the other as rows of one prediction, since a few rows at a time would waste
the matrix products. A mask is a function of seed, draw, row and layer, never of the batches or threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _predict, _samples
from ._data import boolean, non_negative_int, positive_int
from ._predict import empty_outputs
from ._threads import thread_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from .network import Network

DRAW_ROWS = 1 << 14  # rows of a draw, if several samples of all rows fit: more would leave the caches, and memory


def predict(
    network: Network,
    X: ArrayLike,
    batch_size: int | None,
    out: Any,
    threads: int | None,
    return_std: bool,
    samples: int | None,
    seed: int | None,
    view: Callable[[list[Any]], list[Any]] = list,
) -> Any:
    """(mean, standard deviation) for X, each a list for several outputs; the mean alone without `return_std`.

    view: what samples are taken of, from the outputs, where a loss reads no variance in them.
    """
    state = network._built()
    losses = network.losses
    return_std = boolean(return_std, "return_std")
    if out is not None:
        raise ValueError("out takes plain predictions; leave it out with return_std or samples")
    if samples is None:
        if seed is not None:
            raise ValueError("seed is of the masks that samples= draws; a plain prediction has nothing random")
        _require_variances(losses)
        outputs = network.predict(X, batch_size=batch_size, threads=threads)
        several = outputs if len(losses) > 1 else [outputs]
        pairs = [_moments_of(loss, output) for loss, output in zip(losses, several, strict=True)]
    else:
        samples = positive_int(samples, "samples")
        if samples == 1 and return_std:
            raise ValueError("samples: one sample has no standard deviation, expected 2 or more")
        if not any(op.kind == "dropout" for op in state.graph.ops):
            raise ValueError(
                "samples: the network has no Dropout with a rate above 0, so all samples would be the same; put "
                "fnn.Dropout between its layers, or leave samples out"
            )
        seed = network._seed if seed is None else non_negative_int(seed, "seed")
        pairs = _draw(network, state, losses, X, batch_size, thread_count(threads), samples, seed, view)
    means = [mean for mean, _ in pairs]
    if not return_std:
        return means if len(means) > 1 else means[0]
    stds = [std for _, std in pairs]
    return (means, stds) if len(means) > 1 else (means[0], stds[0])


def _require_variances(losses):
    for i, loss in enumerate(losses):
        if not loss.has_variance:
            which = f"output {i}" if len(losses) > 1 else "the output"
            raise ValueError(
                f"return_std: {which} has no variance, its loss is {loss.name or 'a function'!r}. Train a network "
                "whose last layer is Dense(2 * k) with loss='gaussian_nll', or give samples= to a network with Dropout"
            )


def _moments_of(loss, output):
    """Mean and standard deviation of what a loss with a variance reads; of each sequence where there are several."""
    if isinstance(output, list):
        parts = [_moments_of(loss, one) for one in output]
        return [mean for mean, _ in parts], [std for _, std in parts]
    mean, variance = loss.mean_and_variance(output)
    return mean.astype(output.dtype), np.sqrt(variance).astype(output.dtype)


class _Moments:
    """Mean and variance over draws as they come, in float64 (Chan, Golub and LeVeque 1983), and the mean variance."""

    def __init__(self, loss):
        self.loss, self.count = loss, 0
        self.mean = self.squares = self.variance = 0.0  # squares: the sum of squared distances from the mean

    def add(self, draws, viewed):
        """Takes in draws (count, n, ...) of an output, and what is wanted of them where they hold no variance."""
        values, variance = self.loss.mean_and_variance(draws if self.loss.has_variance else viewed)
        count, mean = len(values), values.mean(axis=0)
        distance = mean - self.mean
        total = self.count + count
        self.squares = self.squares + ((values - mean) ** 2).sum(axis=0) + distance**2 * (self.count * count / total)
        self.mean = self.mean + distance * (count / total)
        if variance is not None:
            self.variance = self.variance + (variance.mean(axis=0) - self.variance) * (count / total)
        self.count = total

    def result(self, dtype):
        """Mean and standard deviation: the mean variance of the data and the variance of the means add up."""
        std = np.sqrt(self.variance + self.squares / self.count)
        return self.mean.astype(dtype), std.astype(dtype)


def _draw(network, state, losses, X, batch_size, threads, samples, seed, view):
    inputs = _samples.read_inputs(X, state.graph.inputs, network.dtype, network._where())
    graph, n = _samples.graph_of(inputs, state, network._where()), inputs.n
    arrays, moments = inputs.fed(network.dtype), [_Moments(loss) for loss in losses]
    at_once = min(samples, max(1, DRAW_ROWS // n))
    rows = state.predict_batch(n * at_once, graph) if batch_size is None else positive_int(batch_size, "batch_size")
    multiple = state.memory.engine.OPS["sampled_dropout"].batch_multiple
    rows = -(-rows // multiple) * multiple
    if at_once > 1:
        arrays = [np.tile(array, (at_once, *[1] * (array.ndim - 1))) for array in arrays]
    for first in range(0, samples, at_once):
        count = min(at_once, samples - first)
        outputs = empty_outputs(state, graph, count * n)
        fed = [array[: count * n] for array in arrays]
        _predict.run(state, graph, fed, outputs, rows, threads, draw=(seed, first))
        for one, *found in zip(moments, outputs, view(outputs), strict=True):
            one.add(*(values.reshape(count, n, *values.shape[1:]) for values in found))
    pairs = [one.result(network.dtype) for one in moments]
    if inputs.lengths:
        cut = [[inputs.cut(a, value, graph) for a in pair] for pair, value in zip(pairs, graph.outputs, strict=True)]
        return [tuple(pair) for pair in cut]
    return pairs
