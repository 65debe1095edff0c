"""The specification itself: every backward against central differences of its forward, and values known by hand."""

import math

import numpy as np
import pytest
import reference
import reference_optimizers
import reference_recurrent

STEP = 1e-6
BOUND = 1e-8  # of a central difference: STEP^2 f''' + rounding / STEP, for functions of size 1


def numeric_gradient(f, x):
    """Central differences of a scalar function of an array."""
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        old = x[i]
        x[i] = old + STEP
        high = f()
        x[i] = old - STEP
        gradient[i] = (high - f()) / (2 * STEP)
        x[i] = old
    return gradient


def assert_gradient(got, f, x):
    np.testing.assert_allclose(got, numeric_gradient(f, x), rtol=0, atol=BOUND * max(1.0, np.abs(got).max()))


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_dense(rng):
    x, w, b, dy = (rng.standard_normal(shape) for shape in [(4, 2, 3), (3, 5), (5,), (4, 2, 5)])
    dx, dw, db = reference.dense_backward(dy, x, w)
    for got, of in [(dx, x), (dw, w), (db, b)]:
        assert_gradient(got, lambda: (dy * reference.dense_forward(x, w, b)).sum(), of)


@pytest.mark.parametrize("shape", [(4, 1), (3, 5), (2, 3, 4)])
def test_ascending(shape, rng):
    x, dy = rng.standard_normal(shape), rng.standard_normal(shape)
    assert_gradient(reference.ascending_backward(dy, x), lambda: (dy * reference.ascending_forward(x)).sum(), x)


WINDOWS = [
    {},
    {"padding": "same", "stride": (2, 1)},
    {"padding": (1, 2), "stride": (1, 3)},
]


@pytest.mark.parametrize(
    "options", [*WINDOWS, {"dilation": (2, 1), "groups": 2}, {"padding": "same", "dilation": (2, 3)}]
)
def test_conv(options, rng):
    x, b = rng.standard_normal((2, 5, 6, 4)), rng.standard_normal(6)
    w = rng.standard_normal((2, 3, 4 // options.get("groups", 1), 6))
    dy = rng.standard_normal(reference.conv_forward(x, w, b, **options).shape)
    dx, dw, db = reference.conv_backward(dy, x, w, **options)
    for got, of in [(dx, x), (dw, w), (db, b)]:
        assert_gradient(got, lambda: (dy * reference.conv_forward(x, w, b, **options)).sum(), of)


@pytest.mark.parametrize("options", WINDOWS)
@pytest.mark.parametrize("kind", ["max", "mean"])
def test_pool(kind, options, rng):
    forward, backward = getattr(reference, f"{kind}_pool_forward"), getattr(reference, f"{kind}_pool_backward")
    options = {"stride": (2, 3), **options}
    x = rng.permutation(180).reshape(2, 5, 6, 3) / 180  # no two are near each other
    dy = rng.standard_normal(forward(x, (2, 3), **options).shape)
    assert_gradient(backward(dy, x, (2, 3), **options), lambda: (dy * forward(x, (2, 3), **options)).sum(), x)


CELLS = {"RNN": (1, 1), "GRU": (3, 1), "LSTM": (4, 2)}  # gates, states


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_recurrent(cell, reverse, rng):
    """Of the input, the first states and all parameters, from every output and the last states, with padding."""
    gates, count = CELLS[cell]
    x, mask = rng.standard_normal((3, 4, 2)), np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 0, 1.0]])
    states = [rng.standard_normal((3, 5)) for _ in range(count)]
    biases = [rng.standard_normal(gates * 5) for _ in range(2 if cell == "GRU" else 1)]
    parameters = [rng.standard_normal((2, gates * 5)), rng.standard_normal((5, gates * 5)), *biases]
    dy, dstates = rng.standard_normal((3, 4, 5)), [rng.standard_normal((3, 5)) for _ in range(count)]
    options = {"mask": mask, "reverse": reverse}

    def total():
        y, history = reference_recurrent.recurrent_forward(cell, x, states, parameters, **options)
        return (dy * y).sum() + sum((d * state).sum() for d, state in zip(dstates, history[-1], strict=True))

    _, history = reference_recurrent.recurrent_forward(cell, x, states, parameters, **options)
    dx, dfirst, gradients = reference_recurrent.recurrent_backward(cell, dy, dstates, x, history, parameters, **options)
    for got, of in zip([dx, *dfirst, *gradients], [x, *states, *parameters], strict=True):
        assert_gradient(got, total, of)


def test_recurrent_by_hand():
    """One unit: h = tanh(x w + h u), with nothing from a step of padding; a GRU that keeps; an LSTM that counts."""
    x, one = np.array([[[1.0], [9.0], [2.0]]]), np.ones((1, 1))
    y, _ = reference_recurrent.recurrent_forward("RNN", x, [0 * one], [one, 2 * one], mask=np.array([[1, 0, 1]]))
    first = math.tanh(1)
    np.testing.assert_allclose(y.ravel(), [first, first, math.tanh(2 + 2 * first)])
    kept = [np.zeros((1, 3)), np.zeros((1, 3)), np.array([0, 100.0, 0])]
    y, _ = reference_recurrent.recurrent_forward("GRU", x, [0.5 * one], kept)
    np.testing.assert_allclose(y.ravel(), 0.5)
    open_gates = [np.zeros((1, 4)), np.zeros((1, 4)), np.array([100.0, 100, 100, 100])]
    y, history = reference_recurrent.recurrent_forward("LSTM", x, [0 * one, 0 * one], open_gates)
    np.testing.assert_allclose([c.item() for _, c in history], [0, 1, 2, 3])
    np.testing.assert_allclose(y.ravel(), np.tanh([1, 2, 3]))


@pytest.mark.parametrize("centered", [False, True])
def test_row_norm(centered, rng):
    x, dy = rng.standard_normal((2, 3, 5)), rng.standard_normal((2, 3, 5))
    w, b = rng.standard_normal(5), rng.standard_normal(5)
    options = {"epsilon": 0.01, "centered": centered}
    dx, dw, db = reference.row_norm_backward(dy, x, w, **options)
    for got, of in [(dx, x), (dw, w), (db, b)] if centered else [(dx, x), (dw, w)]:
        assert_gradient(got, lambda: (dy * reference.row_norm_forward(x, w, b, **options)).sum(), of)


def test_row_norm_by_hand():
    x, one, two = np.array([[1.0, 5.0]]), np.ones(2), np.full(2, 2.0)
    assert reference.row_norm_forward(x, two, one, epsilon=0.0, centered=True).tolist() == [[-1, 3]]
    assert reference.row_norm_forward(x, one, epsilon=3.0, centered=False).tolist() == [[0.25, 1.25]]


def test_embedding(rng):
    ids, table, dy = np.array([[1, 3], [3, 0]]), rng.standard_normal((5, 2)), rng.standard_normal((2, 2, 2))
    dtable = reference.embedding_backward(dy, ids, table)
    assert_gradient(dtable, lambda: (dy * reference.embedding_forward(ids, table)).sum(), table)
    np.testing.assert_allclose(reference.sinusoids(2, 3)[1], [math.sin(1), math.cos(1), math.sin(10000 ** (-2 / 3))])


MASK = np.array([[1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])  # the second row sees nothing


@pytest.mark.parametrize(("causal", "mask"), [(False, None), (True, None), (False, MASK), (True, MASK)])
def test_attention(causal, mask, rng):
    q, k, v, dy = (rng.standard_normal((2, 4, 6)) for _ in range(4))
    options = {"heads": 3, "causal": causal, "mask": mask}
    gradients = reference.attention_backward(dy, q, k, v, **options)
    for got, of in zip(gradients, [q, k, v], strict=True):
        assert_gradient(got, lambda: (dy * reference.attention_forward(q, k, v, **options)).sum(), of)


def test_attention_by_hand():
    """One head of size 1: the keys' scores are q k; a causal query sees those up to its own."""
    q, k, v = (np.array(x, dtype=float).reshape(1, 2, 1) for x in ([1, 1], [0, math.log(3)], [4, 8]))
    assert reference.attention_forward(q, k, v, 1).ravel().tolist() == pytest.approx([7, 7])
    assert reference.attention_forward(q, k, v, 1, causal=True).ravel().tolist() == pytest.approx([4, 7])
    masked = reference.attention_forward(q, k, v, 1, causal=True, mask=np.array([[0, 1]]))
    assert masked.ravel().tolist() == pytest.approx([0, 8])


def test_windows_by_hand():
    x = np.arange(1.0, 5.0).reshape(1, 1, 4, 1)
    w = np.array([1.0, 10.0, 100.0]).reshape(1, 3, 1, 1)
    assert reference.conv_forward(x, w).ravel().tolist() == [321, 432]
    assert reference.conv_forward(x, w, padding="same").ravel().tolist() == [210, 321, 432, 43]
    assert reference.conv_forward(x, w, padding="same", stride=(1, 2)).ravel().tolist() == [321, 43]
    assert reference.conv_forward(x, w, padding=(0, 2), dilation=(1, 2)).ravel().tolist() == [310, 420, 31, 42]
    pooled = {"stride": (1, 2), "padding": (0, 1)}
    assert reference.max_pool_forward(x, (1, 2), **pooled).ravel().tolist() == [1, 3, 4]
    assert reference.mean_pool_forward(x, (1, 2), **pooled).ravel().tolist() == [1, 2.5, 4]


@pytest.mark.parametrize("name", [*reference.ACTIVATIONS, "softmax"])
def test_activation(name, rng):
    # Away from zero, where relu and its like have a kink; to both sides, and into the tails.
    x = rng.uniform(0.05, 6.0, (6, 5)) * rng.choice([-1.0, 1.0], (6, 5))
    dy = rng.standard_normal(x.shape)
    got = reference.activation_backward(name, dy, x)
    assert_gradient(got, lambda: (dy * reference.activation_forward(name, x)).sum(), x)


@pytest.mark.parametrize("name", [*reference.ACTIVATIONS, "softmax"])
def test_activation_far_out(name):
    x = np.array([[-1e4, -745.0, 0.0, 745.0, 1e4]])
    x = np.minimum(x, 700.0) if name == "exponential" else x
    with np.errstate(over="raise", invalid="raise"):
        assert np.isfinite(reference.activation_forward(name, x)).all()
        assert np.isfinite(reference.activation_backward(name, np.ones_like(x), x)).all()


@pytest.mark.parametrize("shape", [(6, 3), (2, 4, 3), (2, 2, 3, 3)])
def test_batch_norm(shape, rng):
    x, dy, w, b = rng.standard_normal(shape), rng.standard_normal(shape), rng.standard_normal(3), rng.standard_normal(3)

    def forward():
        return (dy * reference.batch_norm_forward(x, w, b, *reference.batch_statistics(x))).sum()

    for got, of in zip(reference.batch_norm_backward(dy, x, w), (x, w, b), strict=True):
        assert_gradient(got, forward, of)


def test_merges_and_dropout(rng):
    a, b, dy = rng.standard_normal((3, 2, 4)), rng.standard_normal((3, 5, 4)), rng.standard_normal((3, 7, 4))
    for got, of in zip(reference.concat_backward(dy, [2, 5], axis=1), (a, b), strict=True):
        assert_gradient(got, lambda: (dy * reference.concat_forward(a, b, axis=1)).sum(), of)
    c, dy = rng.standard_normal((3, 2, 4)), rng.standard_normal((3, 2, 4))
    for got, of in zip(reference.add_backward(dy, 2), (a, c), strict=True):
        assert_gradient(got, lambda: (dy * reference.add_forward(a, c)).sum(), of)
    mask = rng.random(a.shape) < 0.7
    got = reference.dropout_backward(dy, mask, 0.3)
    assert_gradient(got, lambda: (dy * reference.dropout_forward(a, mask, 0.3)).sum(), a)
    got = reference.residual_backward(dy, lambda d: reference.activation_backward("tanh", d, a))
    assert_gradient(got, lambda: (dy * reference.residual_forward(a, np.tanh)).sum(), a)
    flat = dy.reshape(3, -1)
    assert_gradient(reference.flatten_backward(flat, a.shape), lambda: (flat * reference.flatten_forward(a)).sum(), a)
    assert_gradient(
        reference.reshape_backward(flat.reshape(3, 4, 2), a.shape),
        lambda: (flat.reshape(3, 4, 2) * reference.reshape_forward(a, (4, 2))).sum(),
        a,
    )


def loss_cases():
    rng = np.random.default_rng(11)
    real, positive = rng.standard_normal((6, 3)), rng.uniform(0.1, 3.0, (6, 3))
    unit, ids = rng.random((6, 3)), rng.integers(0, 3, 6)
    rows = unit / unit.sum(axis=1, keepdims=True)
    return [
        ("mse", real, {}),
        ("mae", real, {}),
        ("huber", real, {"delta": 0.5}),
        ("binary_cross_entropy", unit, {}),
        ("binary_cross_entropy", unit, {"label_smoothing": 0.1}),
        ("cross_entropy", ids, {}),
        ("cross_entropy", ids, {"label_smoothing": 0.2}),
        ("cross_entropy", rows, {"label_smoothing": 0.1}),
        ("poisson", np.floor(positive), {}),
        ("poisson", positive, {"log_input": False}),
        ("gaussian_nll", real, {}),
        ("quantile", real[:, :1], {"levels": (0.05, 0.5, 0.8)}),
        ("hinge", np.sign(real), {}),
    ]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "y", "options"), loss_cases())
def test_loss(name, y, options, weighted, rng):
    p = rng.standard_normal((6, 6 if name == "gaussian_nll" else 3))
    if options.get("log_input") is False:
        p = np.abs(p) + 0.1
    weights = rng.uniform(0.0, 2.0, 6) if weighted else None
    _, dp = reference.weighted_loss(name, p, y, weights, **options)
    assert_gradient(dp, lambda: reference.weighted_loss(name, p, y, weights, **options)[0], p)


def test_losses_by_hand():
    p, y = np.array([[1.0, 3.0]]), np.array([[2.0, 1.0]])

    def loss(name, p=p, y=y, **options):
        return pytest.approx(reference.weighted_loss(name, p, y, **options)[0], rel=1e-14)

    assert loss("mse") == (1 + 4) / 2
    assert loss("mae") == (1 + 2) / 2
    assert loss("huber") == (0.5 + 1.5) / 2
    assert loss("hinge", y=np.array([[1.0, -1.0]])) == (0 + 4) / 2
    assert loss("quantile", p=np.array([[1.0, 3.0]]), y=np.array([[2.0]]), levels=(0.1, 0.9)) == (0.1 + 0.1) / 2
    assert loss("poisson") == (math.e - 2 + math.exp(3) - 3) / 2
    assert loss("gaussian_nll", p=np.array([[1.0, 0.0]]), y=np.array([[3.0]])) == 2
    assert loss("cross_entropy", p=np.zeros((1, 4)), y=np.array([2])) == math.log(4)
    assert loss("binary_cross_entropy", p=np.zeros((1, 4)), y=np.full((1, 4), 0.3)) == math.log(2)


def test_weight_equals_repetition(rng):
    p, y = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    counts = np.array([1, 3, 0, 2])
    loss, dp = reference.weighted_loss("mse", p, y, counts)
    repeated, drepeated = reference.weighted_loss("mse", p.repeat(counts, axis=0), y.repeat(counts, axis=0))
    assert loss == pytest.approx(repeated, rel=1e-14)
    np.testing.assert_allclose(dp[counts > 0], np.add.reduceat(drepeated, [0, 1, 4]), rtol=1e-13)


def test_penalty_and_clipping(rng):
    w = rng.standard_normal((4, 3))
    loss, dw = reference_optimizers.penalty(w, l1=0.3, l2=0.2)
    assert_gradient(dw, lambda: reference_optimizers.penalty(w, l1=0.3, l2=0.2)[0], w)
    clipped = reference_optimizers.clip_by_norm({"a": w, "b": -w}, 0.5)
    assert math.sqrt(2 * (clipped["a"] ** 2).sum()) == pytest.approx(0.5, rel=1e-5)
    np.testing.assert_array_equal(reference_optimizers.clip_by_norm({"a": w}, 1e3)["a"], w)
    np.testing.assert_array_equal(reference_optimizers.clip_by_value({"a": w}, 0.4)["a"], np.clip(w, -0.4, 0.4))
    limited = reference_optimizers.max_norm(np.array([[3.0, 0.0, 0.1], [4.0, 0.0, 0.2]]), 1.0)
    np.testing.assert_allclose(limited, [[0.6, 0.0, 0.1], [0.8, 0.0, 0.2]], rtol=1e-15)


def test_optimizers_by_hand():
    """The second step from p = 1 with gradients 1, then 2, by the textbook formulas."""
    rules = reference_optimizers.OPTIMIZERS

    def two_steps(name, **options):
        state = {}
        p = rules[name](np.array([1.0]), np.array([1.0]), state, **options)
        return pytest.approx(rules[name](p, np.array([2.0]), state, **options)[0], rel=1e-12)

    assert two_steps("sgd", learning_rate=0.1) == 1 - 0.1 - 0.2
    assert two_steps("sgd", learning_rate=0.1, momentum=0.5) == 1 - 0.1 - 0.1 * 2.5
    assert two_steps("sgd", learning_rate=0.1, momentum=0.5, nesterov=True) == 1 - 0.15 - 0.1 * (2 + 0.5 * 2.5)
    assert two_steps("adagrad", learning_rate=0.1, epsilon=0.0) == 1 - 0.1 - 0.2 / math.sqrt(5)
    assert two_steps("rmsprop", learning_rate=0.1, alpha=0.5, epsilon=0.0) == (
        1 - 0.1 / math.sqrt(0.5) - 0.2 / math.sqrt(0.25 + 2)
    )
    assert two_steps("adam", learning_rate=0.1, beta1=0.5, beta2=0.5, epsilon=0.0) == (
        1 - 0.1 - 0.1 * (1.25 / 0.75) / math.sqrt(2.25 / 0.75)
    )
    assert two_steps("adamw", learning_rate=0.1, weight_decay=0.5, beta1=0.0, beta2=0.0, epsilon=0.0) == (
        (1 - 0.05 - 0.1) * 0.95 - 0.1
    )
    assert two_steps("rprop", learning_rate=0.1) == 1 - 0.1 - 0.12
