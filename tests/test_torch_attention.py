"""Normalization, embeddings and attention beside PyTorch: from the same weights, the same outputs, gradients and 100
steps of Adam."""

import numpy as np
import pytest
from beside_torch import (
    BOUNDS,
    CLASSES,
    assert_agree,
    assert_same_passes,
    assert_same_predictions,
    gradient,
    torch,
    train_both,
    value,
)

import fastnn as fnn

F, nn = torch.nn.functional, torch.nn

pytestmark = pytest.mark.torch

ROWS = 6


# ---- the same layers in PyTorch: a module, and its parameters by our names -------------------------------------------
# `names` of a module gives {our name: a function from a reader of parameters to our array}; a reader returns a
# parameter's value or its gradient.


class Norm(nn.Module):
    def __init__(self, kind, features):
        super().__init__()
        self.inside = kind(features, eps=1e-5)

    def forward(self, x):
        return self.inside(x)

    def names(self):
        return {name: lambda read, p=p: read(p) for name, p in self.inside.named_parameters()}


class Table(nn.Module):
    def __init__(self, tokens, units):
        super().__init__()
        self.inside = nn.Embedding(tokens, units)

    def forward(self, x):
        return self.inside(x)

    def names(self):
        return {"weight": lambda read: read(self.inside.weight)}


class Positions(nn.Module):
    def __init__(self, steps, units):
        super().__init__()
        self.table = nn.Parameter(0.1 * torch.randn(steps, units))

    def forward(self, x):
        return x + self.table[: x.shape[1]]

    def names(self):
        return {"weight": lambda read: read(self.table)}


def attention_names(attention):
    d = attention.embed_dim
    if attention.in_proj_weight is None:
        names = {
            "query_weight": lambda read: read(attention.q_proj_weight).T,
            "query_bias": lambda read: read(attention.in_proj_bias)[:d],
            "key_value_weight": lambda read: np.concatenate(
                [read(attention.k_proj_weight).T, read(attention.v_proj_weight).T], axis=1
            ),
            "key_value_bias": lambda read: read(attention.in_proj_bias)[d:],
        }
    else:
        names = {
            "qkv_weight": lambda read: read(attention.in_proj_weight).T,
            "qkv_bias": lambda read: read(attention.in_proj_bias),
        }
    return {
        **names,
        "output_weight": lambda read: read(attention.out_proj.weight).T,
        "output_bias": lambda read: read(attention.out_proj.bias),
    }


def causal_mask(steps):
    return torch.triu(torch.ones(steps, steps, dtype=torch.bool), 1)


class Attention(nn.Module):
    def __init__(self, features, heads, causal=False, memory=None):
        super().__init__()
        self.inside = nn.MultiheadAttention(features, heads, kdim=memory, vdim=memory, batch_first=True)
        self.causal = causal
        nn.init.normal_(self.inside.in_proj_bias, std=0.1)

    def forward(self, x, memory=None, padding=None):
        keys = x if memory is None else memory
        mask = causal_mask(x.shape[1]) if self.causal else None
        return self.inside(x, keys, keys, key_padding_mask=padding, attn_mask=mask, need_weights=False)[0]

    def names(self):
        return attention_names(self.inside)


class Block(nn.Module):
    def __init__(self, features, heads, units, causal=False, pre_norm=True):
        super().__init__()
        self.inside = nn.TransformerEncoderLayer(
            features, heads, units, dropout=0.0, activation="gelu", batch_first=True, norm_first=pre_norm
        )
        self.causal = causal

    def forward(self, x, padding=None):
        mask = causal_mask(x.shape[1]) if self.causal else None
        return self.inside(x, src_mask=mask, src_key_padding_mask=padding)

    def names(self):
        b = self.inside
        names = {f"attention.{name}": f for name, f in attention_names(b.self_attn).items()}
        for ours, theirs in (
            ("attention_norm", b.norm1),
            ("mlp_norm", b.norm2),
            ("mlp_in", b.linear1),
            ("mlp_out", b.linear2),
        ):
            names[f"{ours}.weight"] = lambda read, p=theirs.weight: read(p).T
            names[f"{ours}.bias"] = lambda read, p=theirs.bias: read(p)
        return names


# layers, their twins, the shape of a sample; ids below TOKENS where that is a single number
TOKENS = 11
NETWORKS = {
    "layer norm": ([fnn.LayerNorm()], lambda: [Norm(nn.LayerNorm, 7)], (4, 7)),
    "rms norm": ([fnn.RMSNorm()], lambda: [Norm(nn.RMSNorm, 17)], (3, 17)),
    "embedding": ([fnn.Embedding(TOKENS, 6)], lambda: [Table(TOKENS, 6)], 5),
    "positions": (
        [fnn.Embedding(TOKENS, 6), fnn.PositionalEmbedding(), fnn.LayerNorm()],
        lambda: [Table(TOKENS, 6), Positions(5, 6), Norm(nn.LayerNorm, 6)],
        5,
    ),
    "one head": ([fnn.MultiHeadAttention(1)], lambda: [Attention(6, 1)], (5, 6)),
    "heads of one": ([fnn.MultiHeadAttention(3)], lambda: [Attention(3, 3)], (4, 3)),
    "causal": ([fnn.MultiHeadAttention(4, causal=True)], lambda: [Attention(20, 4, causal=True)], (19, 20)),
    "long": ([fnn.MultiHeadAttention(2, causal=True)], lambda: [Attention(6, 2, causal=True)], (150, 6)),
    "long to all": ([fnn.MultiHeadAttention(2)], lambda: [Attention(6, 2)], (131, 6)),
    "pre-norm": ([fnn.TransformerBlock(2, 16)], lambda: [Block(8, 2, 16)], (6, 8)),
    "post-norm": ([fnn.TransformerBlock(2, 16, pre_norm=False)], lambda: [Block(8, 2, 16, pre_norm=False)], (6, 8)),
    "transformer": (
        [fnn.Embedding(TOKENS, 8), fnn.PositionalEmbedding(), fnn.TransformerBlock(4, 32, causal=True),
         fnn.TransformerBlock(4, 32, causal=True), fnn.LayerNorm()],
        lambda: [Table(TOKENS, 8), Positions(9, 8), Block(8, 4, 32, causal=True), Block(8, 4, 32, causal=True),
                 Norm(nn.LayerNorm, 8)],
        9,
    ),
}  # fmt: skip


class Model(nn.Module):
    """The twins in sequence and a linear layer on all of a sample."""

    def __init__(self, parts, outputs):
        super().__init__()
        self.parts, self.last = nn.ModuleList(parts), nn.Linear(outputs, CLASSES)

    def forward(self, x):
        for part in self.parts:
            x = part(x)
        return self.last(x.flatten(1))

    def read(self, how):
        """{our name: value or gradient}"""
        found = {f"layers.{i}.{name}": f(how) for i, part in enumerate(self.parts) for name, f in part.names().items()}
        last = f"layers.{len(self.parts) + 1}"  # after Flatten
        return {**found, f"{last}.weight": how(self.last.weight).T, f"{last}.bias": how(self.last.bias)}


def twins(name, dtype):
    layers, parts, shape = NETWORKS[name]
    torch.manual_seed(3)
    shape = shape if isinstance(shape, tuple) else (shape,)
    layers = [*layers, fnn.Flatten(), fnn.Dense(CLASSES, "softmax")]
    net = fnn.Network(layers, input_shape=shape, dtype=dtype, seed=2, optimizer="adam")
    model = Model(parts(), net.get_weights()[f"layers.{len(layers) - 1}.weight"].shape[0]).to(getattr(torch, dtype))
    net.set_weights(model.read(value))
    rng = np.random.default_rng(1)
    X = rng.standard_normal((ROWS, *shape)).astype(dtype) if len(shape) > 1 else rng.integers(0, TOKENS, (ROWS, *shape))
    return net, model, X, rng.integers(0, CLASSES, ROWS)


def assert_gradients_agree(got, expected, bound):
    """Relative to the largest of all: the gradient of the keys' bias is 0 but for rounding."""
    assert_agree(got, expected, bound, max(np.abs(g).max() for g in expected.values()))


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_gradients(name, dtype):
    net, model, X, y = twins(name, dtype)
    assert_same_predictions(net, model, X, BOUNDS[dtype])
    gradients = assert_same_passes(net, model, X, y, BOUNDS[dtype])
    assert_gradients_agree(gradients, model.read(gradient), BOUNDS[dtype])


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_100_steps_of_adam_end_at_the_same_weights(name, dtype):
    net, model, X, y = twins(name, dtype)
    train_both(net, model, X, y)
    # The gradients of the keys' bias are nothing but rounding, and Adam divides by their size: they are left out.
    weights, expected = dict(net.get_weights()), model.read(value)
    for name in [name for name in expected if name.endswith("qkv_bias")]:
        features = len(expected[name]) // 3
        for found in (weights, expected):
            found[name] = np.delete(found[name], np.s_[features : 2 * features])
    assert_agree(weights, expected, BOUNDS[dtype])


# ---- two sequences, padding ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("masked", [False, True])
def test_cross_attention(dtype, masked):
    torch.manual_seed(3)
    x, memory, mask = fnn.Input((4, 6)), fnn.Input((7, 10)), fnn.Input(7)
    named = {"mask": mask} if masked else {}
    y = fnn.MultiHeadAttention(3)([x, memory], **named)
    net = fnn.Network(inputs=[x, memory, *named.values()], outputs=y, dtype=dtype)
    model = Attention(6, 3, memory=10).to(getattr(torch, dtype))
    net.set_weights({f"layers.0.{name}": f(value) for name, f in model.names().items()})
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((ROWS, *shape)).astype(dtype) for shape in ((4, 6), (7, 10))]
    counts = np.arange(7) <= np.arange(ROWS)[:, None]  # all lengths different
    target = rng.standard_normal((ROWS, 4, 6)).astype(dtype)
    given = [*arrays, counts.astype(dtype)] if masked else arrays
    out = model(*map(torch.tensor, arrays), padding=torch.tensor(~counts) if masked else None)
    loss = F.mse_loss(out, torch.tensor(target))
    loss.backward()
    bound = BOUNDS[dtype]
    np.testing.assert_allclose(net.predict(given), out.detach(), rtol=bound, atol=bound)
    got, gradients = net.loss_and_gradients(given, target)
    assert got == pytest.approx(loss.item(), rel=bound)
    assert_gradients_agree(gradients, {f"layers.0.{name}": f(gradient) for name, f in model.names().items()}, bound)


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("causal", [False, True])
def test_sequences_of_different_lengths(dtype, causal):
    """Their loss is that of the steps that are there."""
    torch.manual_seed(3)
    net = fnn.Network([fnn.TransformerBlock(2, 12, causal=causal)], input_shape=(7, 6), dtype=dtype)
    model = Block(6, 2, 12, causal=causal).to(getattr(torch, dtype))
    net.set_weights({f"layers.0.{name}": f(value) for name, f in model.names().items()})
    rng = np.random.default_rng(0)
    lengths = [3, 7, 1, 5]
    X, target = ([rng.standard_normal((n, 6)).astype(dtype) for n in lengths] for _ in range(2))
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(one) for one in X], batch_first=True)
    padding = torch.arange(7) >= torch.tensor(lengths)[:, None]
    out = model(padded, padding=padding)
    steps = [out[i, :n] for i, n in enumerate(lengths)]
    loss = F.mse_loss(torch.cat(steps), torch.tensor(np.concatenate(target)))
    loss.backward()
    bound = BOUNDS[dtype]
    for got, one in zip(net.predict(X), steps, strict=True):
        np.testing.assert_allclose(got, one.detach(), rtol=bound, atol=bound)
    got, gradients = net.loss_and_gradients(X, target)
    assert got == pytest.approx(loss.item(), rel=bound)
    assert_gradients_agree(gradients, {f"layers.0.{name}": f(gradient) for name, f in model.names().items()}, bound)
