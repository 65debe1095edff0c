"""Random networks that are valid by construction, from all layers: what the instruments of this folder run on.

`draw(seed)` makes a network, samples and targets from a seed alone. Every move below knows one family of layers: to
which shapes it applies and which shape it gives, so that the shape rules of the library are checked by a second set.
`size` scales widths and rows: 1 for gradients of every weight, more where the work is to be worth several threads.
"""

from dataclasses import dataclass

import numpy as np

import fastnn as fnn

SMOOTH = ("linear", "elu", "sigmoid", "tanh", "softplus", "silu", "gelu")
KINKED = ("relu", "leaky_relu", "selu")
MOST_ELEMENTS = 160  # of a sample between two layers, times `size`
OPTIMIZERS = (
    lambda: fnn.SGD(0.01), lambda: fnn.SGD(0.01, 0.9, nesterov=True), lambda: fnn.Adam(0.003, clip_norm=1.0),
    lambda: fnn.AdamW(0.003), lambda: fnn.RMSprop(0.001, centered=True), lambda: fnn.Adagrad(0.01),
    lambda: fnn.Rprop(0.001), lambda: fnn.SGD(0.01, clip_value=0.1, weight_decay=0.01),
)  # fmt: skip


class Square(fnn.PythonLayer):
    """y = scale x^2, with a scale for each feature: a layer in Python among those of the engine."""

    def parameters(self, shape):
        return {"scale": (shape[-1:], "ones")}

    def forward(self, x, scale):
        return scale * x * x

    def backward(self, dy, x, y, scale):
        return 2 * scale * x * dy, {"scale": (dy * x * x).sum(axis=tuple(range(x.ndim - 1)))}


@dataclass
class Drawn:
    """A network with its data."""

    network: fnn.Network
    X: object
    y: object


class Stem:
    """A value on its way through the network: its node, the shape it must have, and its mask where it has one."""

    def __init__(self, node, shape, mask=None):
        self.node, self.shape, self.mask = node, tuple(shape), mask

    def after(self, layer, shape, **named):
        node = layer(self.node, **named)
        return Stem(node[0] if isinstance(node, list) else node, shape, self.mask if len(shape) > 1 else None)


def draw(seed, dtype="float64", size=1, **options) -> Drawn:
    """The network of this seed, with parameters made and away from 0, and data for it."""
    return _Drawing(seed, size).finished(dtype, options)


class _Drawing:
    def __init__(self, seed, size):
        self.rng, self.size, self.seed = np.random.default_rng(seed), size, seed
        self.rows = self.between(5, 12) * size * size
        self.inputs, self.makers, self.adapts = [], [], False

    # ---- choices -------------------------------------------------------------------------------------------------

    def between(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def one_of(self, *things):
        return things[self.between(0, len(things) - 1)]

    def chance(self, probability):
        return bool(self.rng.random() < probability)

    def width(self, high=9):
        return self.between(1, high) * self.one_of(1, self.size)

    def activation(self):
        return self.one_of(*SMOOTH, *KINKED)

    # ---- inputs --------------------------------------------------------------------------------------------------

    def real(self, shape):
        """A new input of reals."""
        node = fnn.Input(shape)
        self.inputs.append(node)
        self.makers.append(lambda: self.rng.standard_normal((self.rows, *shape)))
        return self.learned_first(Stem(node, shape))

    def learned_first(self, stem):
        """Often the input itself, else what a layer makes of it that learns from the data before training."""
        kind = self.between(0, 11)
        if kind == 0:
            self.adapts = True
            indicator = self.chance(0.3)
            layer = fnn.Standardize(missing=self.one_of("mean", "median", 0.5), indicator=indicator)
            return stem.after(layer, (*stem.shape[:-1], stem.shape[-1] * (2 if indicator else 1)))
        if kind == 1:
            column = self.between(0, stem.shape[-1] - 1)
            return stem.after(fnn.OneHot(column, categories=[[0, 1, 3]]), (*stem.shape[:-1], stem.shape[-1] + 2))
        return stem

    def tokens(self):
        count, steps = self.between(2, 12), self.between(1, 6)
        node = fnn.Input(steps)
        self.inputs.append(node)
        self.makers.append(lambda: self.rng.integers(0, count, (self.rows, steps)))
        units = self.width(6)
        return Stem(fnn.Embedding(count, units)(node), (steps, units))

    def padded(self):
        """A sequence with a mask; a recurrent layer or attention hands the mask on."""
        stem = self.real((self.between(2, 6), self.width(5)))
        steps = stem.shape[0]
        mask = fnn.Input(steps)
        self.inputs.append(mask)
        self.makers.append(lambda: np.arange(steps) < self.rng.integers(1, steps + 1, (self.rows, 1)))
        units = self.width(5)
        layer = self.one_of(fnn.LSTM, fnn.GRU, fnn.RNN)(units, return_sequences=True)
        return Stem(layer(stem.node, mask=mask), (steps, units), mask)

    def new_stem(self):
        kind = self.between(0, 5)
        if kind <= 1:
            return self.real((self.width(),))
        if kind == 2:
            return self.real((self.between(1, 7), self.width(5)))
        if kind == 3:
            return self.real((self.between(1, 6), self.between(1, 6), self.between(1, 3)))
        return self.tokens() if kind == 4 else self.padded()

    # ---- moves: each returns a stem, or None where it does not apply -----------------------------------------------

    def grown(self, stem, layers):
        for _ in range(layers):
            for _ in range(20):
                move = self.one_of(*MOVES)
                further = move(self, stem)
                if further is not None and np.prod(further.shape) <= MOST_ELEMENTS * self.size:
                    stem = further
                    break
        return stem

    def dense(self, stem):
        units = self.width()
        options = {"use_bias": self.chance(0.8)}
        if self.chance(0.2):
            options |= {"l2": 0.01, "l1": self.one_of(0.0, 0.001)}
        if self.chance(0.1):
            options["max_norm"] = 3.0
        activation = self.activation()
        if units > 1 and self.chance(0.1):
            activation = "softmax"
        elif self.chance(0.05):
            activation = (np.sin, np.cos)
        return stem.after(fnn.Dense(units, activation, **options), (*stem.shape[:-1], units))

    def activated(self, stem):
        kind = self.between(0, 3)
        if kind == 0:
            return stem.after(fnn.Activation("leaky_relu", alpha=0.3), stem.shape)
        if kind == 1 and stem.shape[-1] > 1:
            return stem.after(fnn.Activation("softmax"), stem.shape)
        return stem.after(fnn.Activation(self.activation()), stem.shape)

    def normalized(self, stem):
        """Epsilon away from 0, so that rows that are nearly constant have gradients that differences can measure."""
        if self.chance(0.4) and stem.mask is None:
            return stem.after(fnn.BatchNorm(epsilon=0.1), stem.shape)
        return stem.after(self.one_of(fnn.LayerNorm, fnn.RMSNorm)(0.1), stem.shape)

    def dropped(self, stem):
        return stem.after(fnn.Dropout(0.3), stem.shape)

    def ascending(self, stem):
        return stem.after(fnn.Ascending(), stem.shape) if stem.shape[-1] > 1 and self.chance(0.3) else None

    def squared(self, stem):
        return stem.after(Square(), stem.shape) if stem.mask is None and self.chance(0.3) else None

    def reshaped(self, stem):
        if stem.mask is not None:
            return None
        if len(stem.shape) > 1:
            return stem.after(fnn.Flatten(), (int(np.prod(stem.shape)),))
        steps = next((n for n in (3, 2, 5) if stem.shape[0] % n == 0), 1)
        shape = (steps, stem.shape[0] // steps)
        return stem.after(fnn.Reshape(self.one_of(shape, (-1, shape[1]))), shape)

    def residual(self, stem):
        width = stem.shape[-1]
        inner = [fnn.Dense(self.width(), self.activation()), fnn.Dense(width)]
        if self.chance(0.4):
            inner.insert(1, fnn.LayerNorm(0.1))
        if self.chance(0.2):
            inner.insert(0, fnn.Residual(fnn.Dense(width, "tanh")))
        return stem.after(fnn.Residual(*inner), stem.shape)

    def shared(self, stem):
        """One layer called twice."""
        layer = fnn.Dense(stem.shape[-1], "tanh")
        return stem.after(layer, stem.shape).after(layer, stem.shape)

    def joined(self, stem):
        """Two ways from one value, added or side by side."""
        units = self.width()
        if stem.mask is not None:
            return None
        ways = [stem.after(fnn.Dense(units, self.activation()), (*stem.shape[:-1], units)) for _ in range(2)]
        if self.chance(0.5):
            return Stem(fnn.Add()([way.node for way in ways]), ways[0].shape)
        shape = (*stem.shape[:-1], units + units)
        return Stem(fnn.Concat()([way.node for way in ways]), shape)

    def recurrent(self, stem):
        if len(stem.shape) != 2:
            return None
        kind, units = self.one_of(fnn.LSTM, fnn.GRU, fnn.RNN), self.width(6)
        sequences = self.chance(0.5)
        options = {"return_sequences": sequences, "go_backwards": self.chance(0.3), "use_bias": self.chance(0.8)}
        named = {}
        if self.chance(0.3):  # a state that another layer made of the last steps
            start = fnn.GRU(units)(stem.node)
            named["initial_state"] = [start, fnn.Dense(units, "tanh")(start)] if kind is fnn.LSTM else start
        options["return_state"] = self.chance(0.3)
        return stem.after(kind(units, **options), (stem.shape[0], units) if sequences else (units,), **named)

    def both_ways(self, stem):
        if len(stem.shape) != 2:
            return None
        kind, units, sequences = self.one_of(fnn.LSTM, fnn.GRU, fnn.RNN), self.width(4), self.chance(0.5)
        merge = self.one_of("concat", "sum")
        width = 2 * units if merge == "concat" else units
        layer = fnn.Bidirectional(kind(units, return_sequences=sequences), merge)
        return stem.after(layer, (stem.shape[0], width) if sequences else (width,))

    def attention(self, stem):
        if len(stem.shape) != 2:
            return None
        heads = next(n for n in (self.between(2, 4), 2, 1) if stem.shape[1] % n == 0)
        causal = self.chance(0.5)
        if self.chance(0.5):
            block = fnn.TransformerBlock(heads, self.width(6), causal=causal, pre_norm=self.chance(0.7),
                                         dropout=self.one_of(0.0, 0.1))  # fmt: skip
            return stem.after(block, stem.shape)
        layer = fnn.MultiHeadAttention(heads, causal=causal, use_bias=self.chance(0.7))
        if self.chance(0.3) and stem.mask is None:
            memory = self.real((self.between(1, 5), self.width(4)))
            return Stem(fnn.MultiHeadAttention(heads)([stem.node, memory.node]), stem.shape)
        return stem.after(layer, stem.shape)

    def positioned(self, stem):
        kind = self.one_of("learned", "sinusoidal")
        return stem.after(fnn.PositionalEmbedding(kind), stem.shape) if len(stem.shape) == 2 else None

    def convolved(self, stem):
        axes = len(stem.shape) - 1
        if axes not in (1, 2) or stem.mask is not None:
            return None
        groups = self.one_of(1, 1, next(n for n in (3, 2, 1) if stem.shape[-1] % n == 0), stem.shape[-1])
        filters = groups * self.between(1, 3) * self.one_of(1, self.size)
        window = self.window(stem.shape[:-1], dilated=True)
        if window is None:
            return None
        sizes, options = window
        kind = (fnn.Conv1D, fnn.Conv2D)[axes - 1]
        layer = kind(filters, groups=groups, activation=self.activation(), use_bias=self.chance(0.8), **options)
        return stem.after(layer, (*sizes, filters))

    def pooled(self, stem):
        axes = len(stem.shape) - 1
        if axes not in (1, 2) or stem.mask is not None:
            return None
        window = self.window(stem.shape[:-1], dilated=False)
        if window is None:
            return None
        sizes, options = window
        kinds = {1: (fnn.MaxPool1D, fnn.AvgPool1D), 2: (fnn.MaxPool2D, fnn.AvgPool2D)}[axes]
        layer = self.one_of(*kinds)(options.pop("kernel_size"), **options)
        return stem.after(layer, (*sizes, stem.shape[-1]))

    def window(self, sizes, dilated):
        """(sizes after a sliding window, its options) by the textbooks' formulas, or None where it is too large."""
        draw_each = [self.between(1, 3) for _ in sizes], [self.between(1, 2) for _ in sizes]
        kernel, stride = (values if self.chance(0.5) else [values[0]] * len(sizes) for values in draw_each)
        dilation = [self.between(1, 2) if dilated else 1] * len(sizes)
        padding = self.one_of("valid", "same", self.between(0, min(kernel) - 1))
        result = []
        for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
            added = 0 if padding == "valid" else padding
            result.append((n + s - 1) // s if padding == "same" else (n + 2 * added - d * (k - 1) - 1) // s + 1)
            if padding != "same" and n + 2 * added < d * (k - 1) + 1:
                return None
        options = {"kernel_size": tuple(kernel), "stride": tuple(stride), "padding": padding}
        if dilated:
            options["dilation"] = tuple(dilation)
        return tuple(result), options

    def pooled_whole(self, stem):
        axes = len(stem.shape) - 1
        if axes == 1 and stem.mask is not None:
            return stem.after(fnn.GlobalAvgPool1D(), stem.shape[-1:])
        kinds = {1: (fnn.GlobalAvgPool1D, fnn.GlobalMaxPool1D), 2: (fnn.GlobalAvgPool2D, fnn.GlobalMaxPool2D)}
        return stem.after(self.one_of(*kinds[axes])(), stem.shape[-1:]) if axes in kinds else None

    # ---- ends ----------------------------------------------------------------------------------------------------

    def flat(self, stem):
        """One row of features, whatever came before."""
        while len(stem.shape) > 1:
            if stem.mask is not None or (len(stem.shape) < 4 and self.chance(0.3)):
                stem = self.pooled_whole(stem)
            else:
                stem = stem.after(fnn.Flatten(), (int(np.prod(stem.shape)),))
        return stem

    def head(self, stem):
        """(output node, loss, a function that makes targets)."""
        kind, rows, rng = self.between(0, 9), self.rows, self.rng
        units = self.between(2, 4)

        def normal():
            return rng.standard_normal((rows, units))

        def ids():
            return rng.integers(0, units, rows)

        losses = {
            0: ("linear", "mse", normal), 1: ("tanh", fnn.losses.Huber(0.4), normal), 2: ("linear", "mae", normal),
            3: ("sigmoid", None, lambda: rng.integers(0, 2, (rows, units))),
            4: ("softmax", fnn.losses.CrossEntropy(self.one_of(0.0, 0.1)), ids), 5: ("linear", "cross_entropy", ids),
            6: ("linear", "poisson", lambda: rng.integers(0, 4, (rows, units))),
            7: ("linear", fnn.losses.Quantile([0.2, 0.5, 0.9][: units]), lambda: rng.standard_normal(rows)),
            8: ("linear", "hinge", lambda: rng.choice([-1, 1], (rows, units))),
            9: ("tanh", "gaussian_nll", normal),
        }  # fmt: skip
        activation, loss, target = losses[kind]
        width = len(loss.levels) if kind == 7 else 2 * units if kind == 9 else units
        return fnn.Dense(width, activation)(stem.node), loss, target

    def finished(self, dtype, options):
        stems = [self.grown(self.new_stem(), self.between(0, 3)) for _ in range(self.one_of(1, 1, 1, 2))]
        flat = [self.flat(stem) if len(stems) > 1 else stem for stem in stems]
        trunk = flat[0]
        if len(flat) > 1:
            trunk = Stem(fnn.Concat()([stem.node for stem in flat]), (sum(stem.shape[0] for stem in flat),))
        trunk = self.flat(self.grown(trunk, self.between(0, 3)))
        heads = [self.head(trunk) for _ in range(self.one_of(1, 1, 2))]
        network = fnn.Network(
            inputs=self.inputs, outputs=[node for node, _, _ in heads], loss=[loss for _, loss, _ in heads],
            optimizer=self.one_of(*OPTIMIZERS)(), dtype=dtype, seed=self.seed, **options,
        )  # fmt: skip
        network.params[:] += self.rng.uniform(-0.1, 0.1, network.params.shape)
        X, y = [make() for make in self.makers], [target() for _, _, target in heads]
        X, y = (part if len(part) > 1 else part[0] for part in (X, y))
        return Drawn(network.adapt(X) if self.adapts else network, X, y)


MOVES = (
    _Drawing.dense, _Drawing.dense, _Drawing.activated, _Drawing.normalized, _Drawing.dropped, _Drawing.squared,
    _Drawing.ascending,
    _Drawing.reshaped, _Drawing.residual, _Drawing.shared, _Drawing.joined, _Drawing.recurrent, _Drawing.both_ways,
    _Drawing.attention, _Drawing.positioned, _Drawing.convolved, _Drawing.pooled, _Drawing.pooled_whole,
)  # fmt: skip
