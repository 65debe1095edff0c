"""Recurrent layers: a state that goes from step to step of a sequence.

A layer says which cell it is and what it gives back; the engine's op `recurrent` goes through the steps. Where LSTM's
last c is asked for, the op leaves it as one row more behind its output, and `take` ops part the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import initializers
from .._data import boolean, positive_int
from ..errors import ShapeError, unknown_name
from .base import Layer
from .merge import Add, Concat

if TYPE_CHECKING:
    from .._typing import InitializerLike


class _Recurrent:
    """What the cells share; `cell` is the engine's name, `states` what goes from step to step: h, and LSTM's c."""

    gates: int
    states = 1
    has_recurrent_bias = False
    keeps_time = True
    named_inputs = ("mask", "initial_state")

    def __init__(
        self,
        units: int,
        *,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        use_bias: bool = True,
        weight_init: InitializerLike = "glorot_uniform",
        recurrent_init: InitializerLike = "orthogonal",
        bias_init: InitializerLike = "zeros",
    ) -> None:
        self.units = positive_int(units, "units")
        self.return_sequences = boolean(return_sequences, "return_sequences")
        self.return_state = boolean(return_state, "return_state")
        self.go_backwards = boolean(go_backwards, "go_backwards")
        self.use_bias = boolean(use_bias, "use_bias")
        self.weight_init = initializers.Initializer.get(weight_init)
        self.recurrent_init = initializers.Initializer.get(recurrent_init)
        self.bias_init = initializers.Initializer.get(bias_init)

    @property
    def cell(self):
        """The engine's name of the cell."""
        return self.name

    @property
    def outputs(self) -> int:
        """1, and with return_state the states after the last step: h, for LSTM h and c."""
        return 1 + self.states * self.return_state

    def plan(self, g, x, initial_state=None):
        g.expect_rank(x, 2, "sequences (time, features)")
        if g.streaming and (self.go_backwards or initial_state is not None):
            what = "starts at the end of its sequence" if self.go_backwards else "starts from a state that it is given"
            raise ShapeError(f"{g.where()} {what}, so it cannot be streamed step by step")
        mask = [] if x.mask is None else [x.mask]
        states = self._initial(g, initial_state)
        keeps_c = self.return_state and self.states == 2
        steps = x.shape[0] if self.return_sequences else 1
        params = self._params(g, x.shape[1])
        y = g.op(
            "recurrent",
            [x, *mask, *states],
            (steps + keeps_c, self.units),
            params,
            cell=self.cell,
            reverse=self.go_backwards,
            sequences=self.return_sequences,
            keeps_c=keeps_c,
            reads=(*["mask"][: len(mask)], *["h", "c"][: len(states)]),
            stream=g.streaming,
            multiply_adds=x.shape[0] * (params["weight"].size + params["recurrent_weight"].size),
            kept=x.shape[0] * (params["weight"].shape[1] + self.states * self.units),
        )
        if self.return_state:
            return self._parts(g, x, y, steps)
        return self._output(g, x, y)

    def _output(self, g, x, y):
        """y under its own shape, as the sequence that it is."""
        if not self.return_sequences:
            return g.reshape(y, (self.units,))
        y.timed, y.mask = x.timed, x.mask
        return y

    def _parts(self, g, x, y, steps):
        """[y, h] or [y, h, c], each a value of its own."""
        last = 0 if self.go_backwards else steps - 1  # padding carries the state on, so this is the state at the end

        def row(at):
            return g.reshape(g.op("take", [y], (1, self.units), axis=1, offset=at), (self.units,))

        first = y if y.shape[0] == steps else g.op("take", [y], (steps, self.units), axis=1, offset=0)
        return [self._output(g, x, first), row(last), *([row(steps)] if self.states == 2 else [])]

    def _initial(self, g, given):
        values = [] if given is None else given if isinstance(given, list) else [given]
        if given is not None and len(values) != self.states:
            expected = "two values, h and c" if self.states == 2 else "one value, h"
            raise ShapeError(f"{g.where()}: initial_state is {expected}, got {len(values)}")
        for value in values:
            if value.shape != (self.units,):
                raise ShapeError(f"{g.where()}: initial_state has shape ({self.units},) each, got {value.shape}")
        return values

    def _params(self, g, features):
        width = self.gates * self.units
        params = {
            "weight": g.param("weight", (features, width), self.weight_init),
            "recurrent_weight": g.param("recurrent_weight", (self.units, width), self.recurrent_init),
        }
        if self.use_bias:
            params["bias"] = g.param("bias", (width,), self._bias())
            if self.has_recurrent_bias:
                params["recurrent_bias"] = g.param("recurrent_bias", (width,), self.bias_init)
        return params

    def _bias(self):
        return self.bias_init


class RNN(_Recurrent, Layer):
    r"""A plain recurrent layer (Elman 1990): h[t] = activation(x[t] W + b + h[t-1] U).

    Args:
        units: of the state.
        activation: "tanh" or "relu".
        return_sequences: whether y is h after every step, or after the last one.
        return_state: whether a call returns a list [y, h], h being the state after the last step.
        go_backwards: from the last step to the first. With return_sequences y[t] stands at the place of x[t] all the
            same, and is what steps t and later make.
        use_bias: whether b is there.
        weight_init, recurrent_init, bias_init: as in `Dense`; Keras' defaults.

    A call takes `mask`, an Input (time,) with 0 for padding, and `initial_state`, a value (units,) in the place of
    zeros. At a step of padding the state stays as it is, and so does y.

    Shapes: x (time, features), W `weight` (features, units), U `recurrent_weight` (units, units), b `bias` (units,),
    y (units,) or (time, units).

    Raises:
        ValueError, TypeError: an argument is out of range or unknown.
        ShapeError: samples are not (time, features).

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.RNN(32, "relu"), fnn.Dense(1)], input_shape=(20, 3))
    >>> net.predict([[[0.0] * 3] * 20]).shape
    (1, 1)
    """

    gates = 1

    def __init__(
        self,
        units: int,
        activation: str = "tanh",
        *,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        use_bias: bool = True,
        weight_init: InitializerLike = "glorot_uniform",
        recurrent_init: InitializerLike = "orthogonal",
        bias_init: InitializerLike = "zeros",
    ) -> None:
        super().__init__(
            units, return_sequences=return_sequences, return_state=return_state, go_backwards=go_backwards,
            use_bias=use_bias, weight_init=weight_init, recurrent_init=recurrent_init, bias_init=bias_init,
        )  # fmt: skip
        if activation not in ("tanh", "relu"):
            raise unknown_name("activation of RNN", activation, ("tanh", "relu"))
        self.activation = activation

    @property
    def cell(self) -> str:
        """The engine's name of the cell."""
        return f"rnn_{self.activation}"


class GRU(_Recurrent, Layer):
    r"""Gated recurrent units (Cho et al. 2014), in the variant of cuDNN and PyTorch: reset acts on the product.

        r, z = sigmoid(x[t] W + b + h[t-1] U + b')     n = tanh(x[t] W + b + r (h[t-1] U + b'))
        h[t] = (1 - z) n + z h[t-1]

    each with its own columns of W, U and the biases.

    Args:
        units: of the state.
        return_sequences: whether y is h after every step, or after the last one.
        return_state: whether a call returns a list [y, h], h being the state after the last step.
        go_backwards: from the last step to the first; see `RNN`.
        use_bias: whether b and b' are there.
        weight_init, recurrent_init, bias_init: as in `Dense`; Keras' defaults.

    A call takes `mask` and `initial_state`, as that of `RNN`.

    Shapes: x (time, features), W `weight` (features, 3 units), U `recurrent_weight` (units, 3 units), b `bias` and b'
    `recurrent_bias` (3 units,), in the order r, z, n; y (units,) or (time, units).

    Raises:
        ValueError, TypeError: an argument is out of range or unknown.
        ShapeError: samples are not (time, features).

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.GRU(8, return_sequences=True), fnn.GRU(4), fnn.Dense(1)], input_shape=(20, 3))
    >>> net.get_weights()["layers.0.recurrent_weight"].shape
    (8, 24)
    """

    gates = 3
    has_recurrent_bias = True


class _ForgetBias:
    """A bias whose second quarter, LSTM's forget gate, is 1."""

    def __init__(self, init):
        self.init = init

    def __call__(self, shape, dtype, key):
        bias = self.init(shape, dtype, key)
        bias[shape[0] // 4 : shape[0] // 2] = 1
        return bias


class LSTM(_Recurrent, Layer):
    r"""Long short-term memory (Hochreiter and Schmidhuber 1997), with a forget gate (Gers et al. 2000).

        i, f, o = sigmoid(x[t] W + b + h[t-1] U)     g = tanh(x[t] W + b + h[t-1] U)
        c[t] = f c[t-1] + i g     h[t] = o tanh(c[t])

    each gate with its own columns of W, U and b.

    Args:
        units: of the state.
        return_sequences: whether y is h after every step, or after the last one.
        return_state: whether a call returns a list [y, h, c] with the states after the last step.
        go_backwards: from the last step to the first; see `RNN`.
        use_bias: whether b is there.
        unit_forget_bias: whether b of the forget gate starts at 1, so that a new layer remembers (Jozefowicz et al.
            2015).
        weight_init, recurrent_init, bias_init: as in `Dense`; Keras' defaults.

    A call takes `mask`, as that of `RNN`, and `initial_state`, a list [h, c].

    Shapes: x (time, features), W `weight` (features, 4 units), U `recurrent_weight` (units, 4 units), b `bias`
    (4 units,), in the order i, f, g, o; y (units,) or (time, units).

    Raises:
        ValueError, TypeError: an argument is out of range or unknown.
        ShapeError: samples are not (time, features).

    >>> import fastnn as fnn
    >>> x = fnn.Input((20, 3))
    >>> y, h, c = fnn.LSTM(16, return_sequences=True, return_state=True)(x)
    >>> decoded = fnn.LSTM(16)(y, initial_state=[h, c])
    >>> fnn.Network(inputs=x, outputs=fnn.Dense(2)(decoded)).predict([[[0.0] * 3] * 20]).shape
    (1, 2)
    """

    gates = 4
    states = 2

    def __init__(
        self,
        units: int,
        *,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        use_bias: bool = True,
        unit_forget_bias: bool = True,
        weight_init: InitializerLike = "glorot_uniform",
        recurrent_init: InitializerLike = "orthogonal",
        bias_init: InitializerLike = "zeros",
    ) -> None:
        super().__init__(
            units, return_sequences=return_sequences, return_state=return_state, go_backwards=go_backwards,
            use_bias=use_bias, weight_init=weight_init, recurrent_init=recurrent_init, bias_init=bias_init,
        )  # fmt: skip
        self.unit_forget_bias = boolean(unit_forget_bias, "unit_forget_bias")

    def _bias(self):
        return _ForgetBias(self.bias_init) if self.unit_forget_bias else self.bias_init


class Bidirectional(Layer):
    """A recurrent layer and its twin that goes the other way, side by side (Schuster and Paliwal 1997).

    Args:
        layer: an RNN, GRU or LSTM. The twin has weights of its own; all else is the same.
        merge: "concat" (the layer's output, then the twin's, on the last axis) or "sum".

    With return_sequences y[t] joins what is before and after step t; otherwise the two last states are joined: after
    the last step, and, for the twin, after the first. With return_state of the layer a call returns a list of y, the
    states of the layer, and those of the twin; `initial_state` is a list in that order.

    Shapes: those of the layer; twice its units with "concat". Weights are "layers.0. ..." of the layer and
    "layers.1. ..." of the twin.

    Raises:
        TypeError, ValueError: `layer` is no recurrent layer, or `merge` is unknown.
        ShapeError: in a stream, which has no end to start from.

    >>> import fastnn as fnn
    >>> layers = [fnn.Bidirectional(fnn.LSTM(8, return_sequences=True)), fnn.Dense(2)]
    >>> fnn.Network(layers, input_shape=(20, 3)).predict([[[0.0] * 3] * 20]).shape
    (1, 20, 2)
    """

    keeps_time = True
    named_inputs = ("mask", "initial_state")
    MERGES = {"concat": Concat, "sum": Add}

    def __init__(self, layer: RNN | GRU | LSTM, merge: str = "concat") -> None:
        if not isinstance(layer, _Recurrent):
            raise TypeError(f"Bidirectional: expected an RNN, GRU or LSTM, got {type(layer).__name__}")
        if merge not in self.MERGES:
            raise unknown_name("merge", merge, self.MERGES)
        self.layer, self.merge = layer, merge
        twin = type(layer).from_config({**layer.config(), "go_backwards": not layer.go_backwards})
        self.layers: list[Any] = [layer, twin]

    @property
    def outputs(self) -> int:
        """1, and with return_state of the layer the states of both directions."""
        return 2 * self.layer.outputs - 1

    def plan(self, g, x, initial_state=None):
        if g.streaming:
            raise ShapeError(f"{g.where()} reads its sequence from the end too, so it cannot be streamed step by step")
        given = self._initial(g, initial_state)
        results = []
        for i, (layer, state) in enumerate(zip(self.layers, given, strict=True)):
            y = g.layer(layer, f"layers.{i}", x, several=True, initial_state=state)
            results.append(y if isinstance(y, list) else [y])
        joined = self.MERGES[self.merge]().plan(g, [first for first, *_ in results])
        states = [state for _, *states in results for state in states]
        return [joined, *states] if states else joined

    def _initial(self, g, given):
        if given is None:
            return [None, None]
        count = self.layer.states
        if not isinstance(given, list) or len(given) != 2 * count:
            got = len(given) if isinstance(given, list) else 1
            raise ShapeError(f"{g.where()}: initial_state is a list of {2 * count} values, got {got}")
        return [given[:count], given[count:]]
