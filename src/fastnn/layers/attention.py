"""Attention between the steps of sequences, and the block that transformers are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import initializers
from .._data import boolean, fraction, positive_int
from ..errors import ShapeError
from .base import Layer
from .dense import Dense
from .dropout import Dropout
from .norm import LayerNorm

if TYPE_CHECKING:
    from .._typing import InitializerLike


class MultiHeadAttention(Layer):
    r"""Every step looks at all steps: y = concat over heads of softmax(q k^T / sqrt(size)) v, times an output weight.

    q, k and v are projections x W + b, cut into `heads` parts of size = features / heads along the features; the
    softmax runs over the steps of k and v. The matrix of all scores is never in memory, in training neither: memory
    grows with the length of a sequence, not with its square. Vaswani et al. 2017; as torch.nn.MultiheadAttention.

    In call syntax `layer([x, memory])` attends from the steps of x to those of another sequence (cross attention).
    Sequences of different lengths have a mask; steps of k and v that it leaves out are not seen, and a step that sees
    none has the output of zeros, before the output weight.

    A stream keeps the keys and values of all steps so far, so that a step costs one row of attention; it wants
    causal=True.

    Args:
        heads: how many; they divide the features.
        causal: whether a step sees only itself and those before it.
        use_bias: whether the projections have a bias.
        weight_init: of all weights; the default is glorot_uniform, as in PyTorch. Biases start at 0.

    Shapes: x and y (steps, features), memory (other steps, other features). Parameters: of self attention `qkv_weight`
    (features, 3 features), whose columns are those of q, k and v, each head after head; of cross attention
    `query_weight` (features, features) and `key_value_weight` (other features, 2 features); `output_weight`
    (features, features); and for each weight its `_bias`.

    Raises:
        ValueError, TypeError: an argument is out of range.
        ShapeError: samples are not (steps, features), heads do not divide the features, or attention that is not causal
            is streamed.

    >>> import fastnn as fnn
    >>> x, memory = fnn.Input((5, 8)), fnn.Input((7, 4))
    >>> net = fnn.Network(inputs=[x, memory], outputs=fnn.MultiHeadAttention(2)([x, memory]))
    >>> net.get_weights()["layers.0.key_value_weight"].shape
    (4, 16)
    """

    keeps_time = True

    def __init__(
        self,
        heads: int,
        *,
        causal: bool = False,
        use_bias: bool = True,
        weight_init: InitializerLike = "glorot_uniform",
    ) -> None:
        self.heads = positive_int(heads, "heads")
        self.causal = boolean(causal, "causal")
        self.use_bias = boolean(use_bias, "use_bias")
        self.weight_init = initializers.Initializer.get(weight_init)

    def plan(self, g, x):
        query, memory = x if isinstance(x, list) and len(x) == 2 else (x, None)
        if isinstance(query, list):
            raise ShapeError(f"{g.where()} takes one sequence, or the one that attends and its memory, got {len(x)}")
        for value in (query, memory):
            if value is not None:
                g.expect_rank(value, 2, "sequences (steps, features)")
        features = query.shape[1]
        if features % self.heads:
            raise ShapeError(f"{g.where()}: {self.heads} heads do not divide {features} features")
        self._check_causal(g, memory)
        if memory is None:
            inputs = [self._project(g, query, "qkv", 3 * features)]
        else:
            inputs = [self._project(g, query, "query", features), self._project(g, memory, "key_value", 2 * features)]
        keys = query if memory is None else memory
        if keys.mask is not None:
            inputs.append(keys.mask)
        steps = g.stream_length if g.streaming else keys.shape[0]
        y = g.op(
            "attention", inputs, query.shape, heads=self.heads, causal=self.causal, cross=memory is not None,
            masked=keys.mask is not None, length=steps if g.streaming else 0,
            multiply_adds=2 * query.shape[0] * steps * features,
        )  # fmt: skip
        y.timed, y.mask = query.timed, query.mask  # not those of the memory
        return self._project(g, y, "output", features)

    def _check_causal(self, g, memory):
        if memory is not None and (self.causal or g.streaming):
            what = "streamed" if g.streaming else "causal"
            raise ShapeError(f"{g.where()}: attention to another sequence cannot be {what}")
        if g.streaming and not self.causal:
            raise ShapeError(f"{g.where()} looks at later steps, so it cannot be streamed; causal=True does not")

    def _project(self, g, x, role, units):
        params = {"weight": g.param(f"{role}_weight", (x.shape[1], units), self.weight_init)}
        if self.use_bias:
            params["bias"] = g.param(f"{role}_bias", (units,), initializers.Zeros())
        return g.op("dense", [x], (x.shape[0], units), params)


class TransformerBlock(Layer):
    """Attention, then a perceptron of one hidden layer on each step, each added to its input and normalized.

        pre_norm:  x = x + attention(norm(x)),   y = x + mlp(norm(x))
        else:      x = norm(x + attention(x)),   y = norm(x + mlp(x))

    with mlp(x) = gelu(x W1 + b1) W2 + b2. As torch.nn.TransformerEncoderLayer with activation="gelu" and its
    norm_first, but attention's probabilities are never dropped. Vaswani et al. 2017; before the layers, the norms let
    deep stacks train without warm-up (Xiong et al. 2020).

    Args:
        heads: of the attention; they divide the features.
        mlp_units: hidden units, usually four times the features.
        causal: whether a step sees only itself and those before it; such blocks can be streamed.
        dropout: in [0, 1): of the attention's output, the hidden units and the mlp's output, in training.
        pre_norm: whether the norms stand before the layers, or after the sums.

    Shapes: x and y (steps, features). Parameters: `attention_norm`, `attention` (see MultiHeadAttention), `mlp_norm`,
    `mlp_in` and `mlp_out`, each with its weight and bias.

    Raises:
        ValueError, TypeError: an argument is out of range.
        ShapeError: samples are not (steps, features), or heads do not divide the features.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.TransformerBlock(4, 256, causal=True), fnn.Dense(10, "softmax")], input_shape=(32, 64))
    >>> net.stream().step([0.5] * 64).shape
    (10,)
    """

    keeps_time = True

    def __init__(
        self, heads: int, mlp_units: int, *, causal: bool = False, dropout: float = 0.0, pre_norm: bool = True
    ) -> None:
        self.heads = positive_int(heads, "heads")
        self.mlp_units = positive_int(mlp_units, "mlp_units")
        self.causal = boolean(causal, "causal")
        self.dropout = fraction(dropout, "dropout")
        self.pre_norm = boolean(pre_norm, "pre_norm")

    def plan(self, g, x):
        g.expect_rank(x, 2, "sequences (steps, features)")
        x = self._add(g, "attention", x, self._attention)
        return self._add(g, "mlp", x, self._mlp)

    def _add(self, g, name, x, part):
        """x and what `part` makes of it, with the norm of that name."""
        inside = g.layer(LayerNorm(), f"{name}_norm", x) if self.pre_norm else x
        total = g.op("add", [x, part(g, inside)], x.shape)
        return total if self.pre_norm else g.layer(LayerNorm(), f"{name}_norm", total)

    def _attention(self, g, x):
        x = g.layer(MultiHeadAttention(self.heads, causal=self.causal), "attention", x)
        return self._drop(g, "attention", x)

    def _mlp(self, g, x):
        features = x.shape[1]
        x = g.layer(Dense(self.mlp_units, "gelu"), "mlp_in", x)
        x = g.layer(Dense(features), "mlp_out", self._drop(g, "mlp_in", x))
        return self._drop(g, "mlp_out", x)

    def _drop(self, g, name, x):
        return g.layer(Dropout(self.dropout), f"{name}_dropout", x) if self.dropout else x
