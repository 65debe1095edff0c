"""What a network shows of itself: the methods of Network that look and change nothing. The work is done elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._data import positive, positive_int

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    from ._gradient_check import GradientCheck
    from ._svg import Picture


class Inspection:
    """The methods of Network that look into it, and what of Network they take."""

    _state: Any
    _paused: Callable[..., Any]
    _drafted: Callable[..., Any]
    _built: Callable[..., Any]
    get_weights: Callable[..., Any]

    def activations(self, X: ArrayLike, layers: str | Sequence[str] | None = None) -> dict[str, Any]:
        """{layer: what it returns for X}, (n, ...), as prediction computes it: dropout is absent.

        Args:
            X: samples, as for predict.
            layers: names as `summary` shows them, "layers.0" or "layers.2.layers.0" for one inside a container; the
                default is all of them. A layer that is called several times, or returns several values, has a list.

        Raises:
            ValueError: there is no such layer. Otherwise as predict.

        >>> import fastnn as fnn
        >>> net = fnn.Network([fnn.Dense(3, "relu"), fnn.Dropout(0.5), fnn.Dense(2)], input_shape=4, seed=0)
        >>> {name: array.shape for name, array in net.activations([[1, 2, 3, 4], [0, 0, 0, 1]]).items()}
        {'layers.0': (2, 3), 'layers.1': (2, 3), 'layers.2': (2, 2)}
        """
        from . import _inspect

        return _inspect.activations(self, X, layers)

    def input_gradient(self, X: ArrayLike, *, output: ArrayLike | None = None, y: ArrayLike | None = None) -> Any:
        """How an output, or the loss, changes with each input: d output_j / dx or d loss / dx, in the shape of X.

        That of prediction: dropout is absent, and normalization goes by the running statistics. So no row depends on
        the others; the loss is that of each sample by itself, as `evaluate(X[i:i+1], y[i:i+1])` has it.

        Args:
            X: samples, as for predict.
            output: which output j of a sample, or (n,) one for each: its number, counted through all outputs, each
                flattened. The default is the only one, or the largest of each sample.
            y: targets, for the gradient of the loss.

        Returns:
            An array like X, or a list for several inputs: None in it for one of ids, or that is a mask.

        Raises:
            ValueError: there is no such output, or the network reads ids alone. Otherwise as predict and evaluate.

        >>> import fastnn as fnn
        >>> net = fnn.Network([fnn.Dense(1, weight_init=[[2.0], [-3.0]])], input_shape=2)
        >>> net.input_gradient([[0.5, 0.5]]).tolist()
        [[2.0, -3.0]]
        >>> net.input_gradient([[0.5, 0.5]], y=[0.0]).tolist()  # of (2 a - 3 b)^2
        [[-2.0, 3.0]]
        """
        from . import _inspect

        return _inspect.input_gradient(self, X, output, y)

    def jacobian(self, X: ArrayLike, wrt: str = "inputs") -> Any:
        """The derivatives of all outputs with respect to a sample's inputs, or to the parameters, as predict has them.

        Args:
            X: samples, as for predict.
            wrt: "inputs", for (n, *output shape, *input shape), or "params", for (n, *output shape, parameters), laid
                out as `params`.

        Returns:
            An array; for several outputs a list with one for each; for several inputs each a list, as input_gradient's.

        Raises:
            ValueError: with respect to the inputs, the network reads ids alone. Otherwise as predict.

        >>> import fastnn as fnn
        >>> net = fnn.Network([fnn.Dense(2, weight_init=[[1.0, 2.0], [3.0, 4.0]])], input_shape=2)
        >>> net.jacobian([[0.5, 0.25]]).tolist()
        [[[1.0, 3.0], [2.0, 4.0]]]
        >>> net.jacobian([[0.5, 0.25]], wrt="params")[0, 0].tolist()  # of output 0: weight, row by row, then bias
        [0.5, 0.0, 0.25, 0.0, 1.0, 0.0]
        """
        from . import _inspect

        return _inspect.jacobian(self, X, wrt)

    def gradient_check(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        samples: int | None = 16,
        epsilon: float = 1e-5,
        tolerance: float = 1e-4,
        sample_weight: ArrayLike | None = None,
    ) -> GradientCheck:
        """Compares the gradients of training with central differences: for layers, activations and losses of your own.

        (L(w + epsilon) - L(w - epsilon)) / (2 epsilon) for elements w of each parameter and of X, all in float64, also
        where the network is of float32, on a copy: the network is not changed. Dropout draws the masks of the next step
        every time. An element that differs is looked at again with epsilon / 100, since relu may bend in between.

        Args:
            X, y, sample_weight: as for fit; a few samples do.
            samples: elements of each parameter, and of X, that are looked at, taken at random; None for all.
            epsilon: half of the distance of the two points.
            tolerance: the largest relative error that is `ok`.

        Returns:
            A GradientCheck: `ok`, `error`, `worst`, figures by parameter, and `suspect`, a part in Python that may be
            at fault; its repr is a table.

        >>> import fastnn as fnn
        >>> def loss(y, p):
        ...     return ((p - y) ** 4).mean(), 3 * (p - y) ** 3 / p.size  # 3 should be 4
        >>> net = fnn.Network([fnn.Dense(1)], loss=loss, input_shape=2, seed=0)
        >>> check = net.gradient_check([[0.5, 1.0], [1.0, 0.0]], [1.0, 2.0])
        >>> check.ok, check.suspect
        (False, 'the loss')
        """
        from . import _gradient_check

        samples = None if samples is None else positive_int(samples, "samples")
        epsilon, tolerance = positive(epsilon, "epsilon"), positive(tolerance, "tolerance")
        with self._paused():
            state = self._drafted(X)
            return _gradient_check.check(self, state, X, y, sample_weight, samples, epsilon, tolerance)

    def plot(self, kind: str = "auto") -> Picture:
        """The network as a picture in SVG, which notebooks show; needs no other library.

        Args:
            kind: "layers", a box for each layer with its output's shape and parameters; "units", circles with a line
                for each weight, coloured and as wide as it is large, for dense networks of at most 16 units a layer;
                "auto" takes units where it can.

        Returns:
            A Picture: `svg` is its text, `save(path)` writes it.

        Raises:
            NotFittedError: the network has no parameters yet. ValueError: it has no picture of that kind.

        >>> import fastnn as fnn
        >>> net = fnn.Network([fnn.Dense(64, "relu"), fnn.Dense(10, "softmax")], input_shape=784, seed=0)
        >>> "Dense · relu" in net.plot().svg and "50,240 parameters" in net.plot().svg
        True
        """
        from ._picture import picture

        return picture(self._built().graph, self.get_weights(), kind)

    def _repr_svg_(self) -> str | None:
        return None if self._state is None else self.plot().svg
