"""How a network is used once it is trained: the methods of Network that predict. The work is done elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._data import positive_int
from ._figures import check
from ._predict import evaluate, predict
from ._threads import thread_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from ._stream import Stream


class Prediction:
    """The methods of Network that predict, and what of Network they take."""

    _predictor: Any
    losses: Any
    metrics: Any
    _built: Callable[..., Any]
    _samples: Callable[..., Any]

    def predict(
        self,
        X: ArrayLike,
        *,
        batch_size: int | None = None,
        out: Any = None,
        threads: int | None = None,
        return_std: bool = False,
        samples: int | None = None,
        seed: int | None = None,
    ) -> Any:
        """The outputs for X, (n, ...); a list of arrays for several outputs. Dropout is absent, but for `samples`.

        Args:
            X: samples; for one sample of k features an array (1, k).
            batch_size: samples at a time; the default keeps the activations in cache.
            out: an array (or list) of the result's shape and the network's dtype to write to.
            threads: the most threads to use; the result does not depend on it.
            return_std: True: a pair (mean, std), each (n, k). With the loss "gaussian_nll" the deviation that the
                network predicts; with `samples` that of the samples; with both the root of the sum of the mean variance
                and the variance of the means, v = mean(v_t) + var(m_t) (Kendall and Gal 2017).
            samples: predictions to draw with the network's dropout in place (Monte Carlo dropout, Gal and Ghahramani
                2016), 2 or more for a deviation; the result is their mean, of "gaussian_nll" that of the means.
                batch_size is then rounded up to a multiple of 64.
            seed: of the masks; the default is the network's own, so that a call repeats itself. A mask depends on the
                seed, the sample, the row and the layer alone.

        Raises:
            NotFittedError: the network has no parameters yet.
            ShapeError, ValueError, TypeError: X or out is not as needed; return_std for a network without a variance;
                samples for one without Dropout.

        >>> import fastnn as fnn
        >>> layers = [fnn.Dense(16, "relu"), fnn.Dropout(0.2), fnn.Dense(2)]
        >>> net = fnn.Network(layers, loss="gaussian_nll", input_shape=1, seed=0)
        >>> net.predict([[0.5]]).shape  # the mean and the logarithm of the variance
        (1, 2)
        >>> mean, noise = net.predict([[0.5]], return_std=True)
        >>> mean, total = net.predict([[0.5]], return_std=True, samples=100)
        >>> bool(total > 0)
        True
        """
        if return_std or samples is not None or seed is not None:
            from . import _uncertainty

            return _uncertainty.predict(self, X, batch_size, out, threads, return_std, samples, seed)
        if self._predictor is not None and batch_size is None and threads is None:
            result = self._predictor.attempt(X, out)
            if result is not None:
                return result
        return predict(self, X, batch_size, out, threads)

    def predictor(self) -> Callable[..., Any]:
        """A callable for the lowest latency: `p(x)` or `p(x, out=...)` is `predict` for one sample at a time.

        It has buffers of its own over the network's live parameters, so further training shows in it. x is (1, ...) or
        one sample (...); the result has the same form. Not for use by several threads at once; make one for each.

        >>> import fastnn as fnn
        >>> net = fnn.Network([fnn.Dense(3)], input_shape=2, seed=0)
        >>> net.predictor()([0.5, 0.25]).shape
        (3,)
        """
        from ._predictor import predictor

        self._built()
        return predictor(self)

    def stream(self, rows: int = 1, length: int | None = None) -> Stream:
        """The network taking one time step after another: recurrent layers and attention remember the steps before.

        Args:
            rows: sequences that go on side by side.
            length: the most steps, where attention keeps keys and values of all steps, or a layer has learned
                positions; the default is the length the network was built for.

        Returns:
            A Stream: `step(x_t)`, `reset()`, `position`. It works on the live parameters, for one thread at a time.

        Raises:
            ShapeError: a layer needs the whole sequence at once (Flatten, pooling over time, Bidirectional, attention
                that is not causal).

        >>> import fastnn as fnn
        >>> net = fnn.Network([fnn.Dense(2)], input_shape=(5, 3), seed=0)
        >>> stream = net.stream()
        >>> stream.step([0.5, 0.25, 1.0]).shape
        (2,)
        """
        from ._stream import Stream

        return Stream(self, positive_int(rows, "rows"), None if length is None else positive_int(length, "length"))

    def evaluate(self, X: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None) -> dict[str, Any]:
        """{"loss": ..., metric: ...} on these samples, without dropout, penalties included."""
        state = self._built()
        samples = self._samples(state, X, y, sample_weight)
        check(self.metrics, self.losses, samples)
        return evaluate(self, state, samples, thread_count(None))
