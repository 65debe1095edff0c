"""The specification: forward and backward of every op in plain float64 NumPy, one small pair of functions each.

x, y: in and out; dx, dy: their gradients; p: predictions; n rows. Nothing here is clever, fused or in place, and
nothing is shared with the engine, so that the two can only agree by being right. Checked by central differences itself
(tests/test_reference.py). Optimizers and penalties are in reference_optimizers.py, whole networks in
reference_network.py. A new op adds its pair here.
"""

import math

import numpy as np

# ---- dense -----------------------------------------------------------------------------------------------------------


def dense_forward(x, weight, bias=None):
    """y = x W + b; x (..., inputs), weight (inputs, units)."""
    y = x @ weight
    return y if bias is None else y + bias


def dense_backward(dy, x, weight):
    """Return dx, dweight, dbias."""
    rows, drows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    return dy @ weight.T, rows.T @ drows, drows.sum(axis=0)


# ---- activations: y = f(x), and f'(x) --------------------------------------------------------------------------------

SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717

_erf = np.vectorize(math.erf, otypes=[np.float64])


def linear(x):
    return x


def linear_derivative(x):
    return np.ones_like(x)


def relu(x):
    return np.maximum(x, 0.0)  # NaN stays NaN


def relu_derivative(x):
    return np.where(x > 0, 1.0, 0.0)


def leaky_relu(x, alpha=0.01):
    return np.where(x > 0, x, alpha * x)


def leaky_relu_derivative(x, alpha=0.01):
    return np.where(x > 0, 1.0, alpha)


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def elu_derivative(x, alpha=1.0):
    return np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0.0)))


def selu(x):
    return SELU_SCALE * elu(x, SELU_ALPHA)


def selu_derivative(x):
    return SELU_SCALE * elu_derivative(x, SELU_ALPHA)


def sigmoid(x):
    # exp of a number that is never positive does not overflow
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def sigmoid_derivative(x):
    return sigmoid(x) * sigmoid(-x)


def tanh(x):
    return np.tanh(x)


def tanh_derivative(x):
    return 1.0 / np.cosh(np.clip(x, -350, 350)) ** 2


def softplus(x):
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def softplus_derivative(x):
    return sigmoid(x)


def exponential(x):
    return np.exp(x)


exponential_derivative = exponential


def silu(x):
    return np.where(x == -np.inf, -0.0, x * sigmoid(x))  # the limit


def silu_derivative(x):
    return sigmoid(x) + x * sigmoid_derivative(x)


def gelu(x):
    return np.where(x == -np.inf, -0.0, x * 0.5 * (1.0 + _erf(x / math.sqrt(2.0))))  # the limit


def gelu_derivative(x):
    density = np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    return 0.5 * (1.0 + _erf(x / math.sqrt(2.0))) + x * density


ACTIVATIONS = {
    f.__name__: (f, derivative)
    for f, derivative in [
        (linear, linear_derivative),
        (relu, relu_derivative),
        (leaky_relu, leaky_relu_derivative),
        (elu, elu_derivative),
        (selu, selu_derivative),
        (sigmoid, sigmoid_derivative),
        (tanh, tanh_derivative),
        (softplus, softplus_derivative),
        (exponential, exponential_derivative),
        (silu, silu_derivative),
        (gelu, gelu_derivative),
    ]
}


def softmax_forward(x):
    """Over the last axis: exp(x) / sum(exp(x))."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(dy, y):
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def ascending_forward(x):
    """Over the last axis: the first value, then running sums of softplus."""
    return np.cumsum(np.concatenate([x[..., :1], softplus(x[..., 1:])], axis=-1), axis=-1)


def ascending_backward(dy, x):
    later = np.cumsum(dy[..., ::-1], axis=-1)[..., ::-1]
    return later * np.concatenate([np.ones_like(x[..., :1]), sigmoid(x[..., 1:])], axis=-1)


def activation_forward(name, x, **options):
    return softmax_forward(x) if name == "softmax" else ACTIVATIONS[name][0](x, **options)


def activation_backward(name, dy, x, **options):
    """dx from dy and the input."""
    if name == "softmax":
        return softmax_backward(dy, softmax_forward(x))
    return dy * ACTIVATIONS[name][1](x, **options)


# ---- normalization ---------------------------------------------------------------------------------------------------
# Over all axes but the last.


def batch_statistics(x):
    """Mean and variance of each channel; the variance divided by n."""
    rows = x.reshape(-1, x.shape[-1])
    return rows.mean(axis=0), rows.var(axis=0)


def batch_norm_forward(x, weight, bias, mean, variance, epsilon=1e-5):
    return weight * (x - mean) / np.sqrt(variance + epsilon) + bias


def batch_norm_backward(dy, x, weight, epsilon=1e-5):
    """Return dx, dweight, dbias, where mean and variance are those of x: dx has a part through each of them."""
    mean, variance = batch_statistics(x)
    axes, deviation = tuple(range(x.ndim - 1)), np.sqrt(variance + epsilon)
    normal, n = (x - mean) / deviation, x.size // x.shape[-1]
    dweight, dbias = (dy * normal).sum(axis=axes), dy.sum(axis=axes)
    return weight / deviation * (dy - dbias / n - normal * dweight / n), dweight, dbias


# ---- windows ---------------------------------------------------------------------------------------------------------
# Images are (n, height, width, channels). `padding` is "valid", "same" or the number on each side of each axis.


def margins(sizes, kernel, stride, padding, dilation):
    """(before, after) of each axis; "same" gives ceil(size / stride) windows, an odd one goes to the end."""
    found = []
    for axis, (n, k, s, d) in enumerate(zip(sizes, kernel, stride, dilation, strict=True)):
        if padding == "same":
            total = max((math.ceil(n / s) - 1) * s + (k - 1) * d + 1 - n, 0)
            found.append((total // 2, total - total // 2))
        else:
            found.append((0, 0) if padding == "valid" else (padding[axis], padding[axis]))
    return found


def padded(x, around, value):
    return np.pad(x, [(0, 0), *around, (0, 0)], constant_values=value)


def unpadded(x, around):
    """The image inside."""
    (top, bottom), (left, right) = around
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


def taps(shape, kernel, stride, dilation):
    """For each tap of the kernel, its position in it and what it sees in each window: an index of padded images."""
    ends = [n - (k - 1) * d for n, k, d in zip(shape[1:3], kernel, dilation, strict=True)]
    for a, b in np.ndindex(*kernel):
        starts = a * dilation[0], b * dilation[1]
        rows, columns = (slice(start, start + end, s) for start, end, s in zip(starts, ends, stride, strict=True))
        yield (a, b), (slice(None), rows, columns)


def conv_forward(x, weight, bias=None, *, stride=(1, 1), padding="valid", dilation=(1, 1), groups=1):
    """weight (kernel height, kernel width, channels / groups, filters)."""
    kernel = weight.shape[:2]
    x = padded(x, margins(x.shape[1:3], kernel, stride, padding, dilation), 0.0)
    y = 0.0 if bias is None else bias
    for tap, seen in taps(x.shape, kernel, stride, dilation):
        inputs, filters = np.split(x[seen], groups, axis=-1), np.split(weight[tap], groups, axis=-1)
        y = y + np.concatenate([part @ w for part, w in zip(inputs, filters, strict=True)], axis=-1)
    return y


def conv_backward(dy, x, weight, *, stride=(1, 1), padding="valid", dilation=(1, 1), groups=1):
    """Return dx, dweight, dbias."""
    kernel, shape = weight.shape[:2], x.shape
    around = margins(shape[1:3], kernel, stride, padding, dilation)
    x = padded(x, around, 0.0)
    dx, dweight, dys = np.zeros_like(x), np.zeros_like(weight), np.split(dy, groups, axis=-1)
    for tap, seen in taps(x.shape, kernel, stride, dilation):
        inputs, filters = np.split(x[seen], groups, axis=-1), np.split(weight[tap], groups, axis=-1)
        dx[seen] += np.concatenate([d @ w.T for d, w in zip(dys, filters, strict=True)], axis=-1)
        dweight[tap] = np.concatenate(
            [np.einsum("nijc,nijf->cf", part, d) for part, d in zip(inputs, dys, strict=True)], axis=-1
        )
    return unpadded(dx, around), dweight, dy.sum(axis=(0, 1, 2))


def max_pool_forward(x, kernel, *, stride, padding="valid"):
    """The largest value of each window; what is added by padding is none."""
    x = padded(x, margins(x.shape[1:3], kernel, stride, padding, (1, 1)), -np.inf)
    return np.max([x[seen] for _, seen in taps(x.shape, kernel, stride, (1, 1))], axis=0)


def max_pool_backward(dy, x, kernel, *, stride, padding="valid"):
    """The first of the largest values of a window takes its gradient."""
    around = margins(x.shape[1:3], kernel, stride, padding, (1, 1))
    x = padded(x, around, -np.inf)
    first = np.argmax([x[seen] for _, seen in taps(x.shape, kernel, stride, (1, 1))], axis=0)
    dx = np.zeros_like(x)
    for i, (_, seen) in enumerate(taps(x.shape, kernel, stride, (1, 1))):
        dx[seen] += np.where(first == i, dy, 0.0)
    return unpadded(dx, around)


def counts(shape, kernel, stride, around):
    """How many pixels of the image each window sees."""
    inside = padded(np.ones((1, *shape[1:3], 1)), around, 0.0)
    return np.sum([inside[seen] for _, seen in taps(inside.shape, kernel, stride, (1, 1))], axis=0)


def mean_pool_forward(x, kernel, *, stride, padding="valid"):
    """The mean of the values of the image that a window sees."""
    around = margins(x.shape[1:3], kernel, stride, padding, (1, 1))
    count = counts(x.shape, kernel, stride, around)
    x = padded(x, around, 0.0)
    return np.sum([x[seen] for _, seen in taps(x.shape, kernel, stride, (1, 1))], axis=0) / count


def mean_pool_backward(dy, x, kernel, *, stride, padding="valid"):
    around = margins(x.shape[1:3], kernel, stride, padding, (1, 1))
    share = dy / counts(x.shape, kernel, stride, around)
    dx = np.zeros_like(padded(x, around, 0.0))
    for _, seen in taps(dx.shape, kernel, stride, (1, 1)):
        dx[seen] += share
    return unpadded(dx, around)


# ---- normalization of rows -------------------------------------------------------------------------------------------


def normalized(x, epsilon, centered):
    """(x - mean) / deviation over the last axis, and the inverse deviation; without the mean where not centered."""
    if centered:
        x = x - x.mean(axis=-1, keepdims=True)
    inverse = 1.0 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + epsilon)
    return x * inverse, inverse


def row_norm_forward(x, weight, bias=None, *, epsilon, centered):
    y = normalized(x, epsilon, centered)[0] * weight
    return y + bias if centered else y


def row_norm_backward(dy, x, weight, *, epsilon, centered):
    """Return dx, dweight, dbias."""
    normal, inverse = normalized(x, epsilon, centered)
    g = dy * weight
    dx = g - normal * (g * normal).mean(axis=-1, keepdims=True)
    if centered:
        dx -= g.mean(axis=-1, keepdims=True)
    rows = tuple(range(x.ndim - 1))
    return dx * inverse, (dy * normal).sum(axis=rows), dy.sum(axis=rows)


# ---- preprocessing ---------------------------------------------------------------------------------------------------


def standardize_forward(x, mean, deviation, median=None, *, missing=None, indicator=False):
    there = ~np.isnan(x)
    value = x if missing is None else np.where(there, x, {"mean": mean, "median": median}.get(missing, missing))
    y = (value - mean) / deviation
    return np.concatenate([y, ~there], axis=-1) if indicator else y


def standardize_backward(dy, x, deviation):
    """Return dx: a value that was filled in has no part in it."""
    return np.where(np.isnan(x), 0, dy[..., : x.shape[-1]] / deviation)


def one_hot_forward(x, columns, categories, *, missing=False):
    parts = [np.delete(x, columns, axis=-1)]
    for column, known in zip(columns, categories, strict=True):
        value = x[..., column, None]
        parts.append(value == known)
        if missing:
            parts.append(np.isnan(value))
    return np.concatenate(parts, axis=-1)


def one_hot_backward(dy, x, columns):
    """Return dx: categories have no slope."""
    dx, rest = np.zeros(x.shape), np.delete(np.arange(x.shape[-1]), columns)
    dx[..., rest] = dy[..., : len(rest)]
    return dx


# ---- embeddings ------------------------------------------------------------------------------------------------------


def embedding_forward(ids, table):
    return table[ids]


def embedding_backward(dy, ids, table):
    """dtable: each place adds to its token's row."""
    dtable = np.zeros_like(table)
    np.add.at(dtable, ids, dy)
    return dtable


def sinusoids(steps, units):
    """Vectors of positions (Vaswani et al. 2017), number by number."""
    table = np.zeros((steps, units))
    for t, i in np.ndindex(steps, units):
        angle = t / 10000 ** ((i - i % 2) / units)
        table[t, i] = math.cos(angle) if i % 2 else math.sin(angle)
    return table


# ---- attention -------------------------------------------------------------------------------------------------------


def heads_of(x, heads):
    """(n, steps, units) as (n, heads, steps, size)."""
    n, steps, units = x.shape
    return x.reshape(n, steps, heads, units // heads).transpose(0, 2, 1, 3)


def joined_heads(x):
    """The way back."""
    n, heads, steps, size = x.shape
    return x.transpose(0, 2, 1, 3).reshape(n, steps, heads * size)


def probabilities(q, k, causal, mask):
    """Of heads: softmax(q k^T / sqrt(size)) over the keys that may be seen; 0 where a query sees none."""
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
    seen = np.ones(scores.shape, dtype=bool)
    if causal:
        seen &= np.tri(*scores.shape[-2:], dtype=bool)
    if mask is not None:
        seen &= mask[:, None, None, :] != 0
    e = np.where(seen, np.exp(scores - scores.max(axis=-1, keepdims=True)), 0.0)
    total = e.sum(axis=-1, keepdims=True)
    return e / np.where(total > 0, total, 1.0)


def attention_forward(q, k, v, heads, *, causal=False, mask=None):
    """q (n, steps, units), k and v (n, keys, units), mask (n, keys): 0 where a key is not seen."""
    q, k, v = (heads_of(x, heads) for x in (q, k, v))
    return joined_heads(probabilities(q, k, causal, mask) @ v)


def attention_backward(dy, q, k, v, heads, *, causal=False, mask=None):
    """Return dq, dk, dv."""
    q, k, v, dy = (heads_of(x, heads) for x in (q, k, v, dy))
    p = probabilities(q, k, causal, mask)
    dp = dy @ v.swapaxes(-1, -2)
    ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True)) / math.sqrt(q.shape[-1])
    return tuple(joined_heads(x) for x in (ds @ k, ds.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ dy))


# ---- shapes, merges, dropout -----------------------------------------------------------------------------------------


def reshape_forward(x, shape):
    """Rows keep; the rest of each gets another shape."""
    return x.reshape(len(x), *shape)


def reshape_backward(dy, x_shape):
    return dy.reshape(x_shape)


def flatten_forward(x):
    return x.reshape(len(x), -1)


def flatten_backward(dy, x_shape):
    return dy.reshape(x_shape)


def add_forward(*xs):
    return np.sum(xs, axis=0)


def add_backward(dy, count):
    return [dy] * count


def concat_forward(*xs, axis=-1):
    return np.concatenate(xs, axis=axis)


def concat_backward(dy, sizes, axis=-1):
    return np.split(dy, np.cumsum(sizes)[:-1], axis=axis)


def residual_forward(x, f):
    """y = x + f(x)."""
    return x + f(x)


def residual_backward(dy, df):
    """dx, where df(dy) is the gradient through f."""
    return dy + df(dy)


def dropout_forward(x, mask, rate):
    """mask: where x is kept; scaled so that the expectation is x."""
    return np.where(mask, x / (1.0 - rate), 0.0)


def dropout_backward(dy, mask, rate):
    return np.where(mask, dy / (1.0 - rate), 0.0)


# ---- losses: l_i of each row and dl_i / dp ---------------------------------------------------------------------------
# Elementwise losses are the mean over the columns of a row.


def mse(p, y):
    return np.mean((p - y) ** 2, axis=1), 2.0 * (p - y) / p.shape[1]


def mae(p, y):
    return np.mean(np.abs(p - y), axis=1), np.sign(p - y) / p.shape[1]


def huber(p, y, delta=1.0):
    e = p - y
    small = np.abs(e) <= delta
    loss = np.where(small, e * e / 2, delta * (np.abs(e) - delta / 2))
    return loss.mean(axis=1), np.where(small, e, delta * np.sign(e)) / p.shape[1]


def binary_cross_entropy(p, y, label_smoothing=0.0):
    """p are logits: -(y log(sigmoid(p)) + (1 - y) log(1 - sigmoid(p))), with y smoothed towards 1/2."""
    y = y * (1.0 - label_smoothing) + label_smoothing / 2
    loss = y * softplus(-p) + (1.0 - y) * softplus(p)
    return loss.mean(axis=1), (sigmoid(p) - y) / p.shape[1]


def cross_entropy(p, y, label_smoothing=0.0):
    """p are logits, y class ids (n,) or rows of probabilities: -sum(y log(softmax(p))), y smoothed towards 1/k."""
    k = p.shape[1]
    if y.ndim == 1:
        y = np.eye(k)[y]
    y = y * (1.0 - label_smoothing) + label_smoothing / k
    shifted = p - p.max(axis=1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -(y * log_softmax).sum(axis=1), y.sum(axis=1, keepdims=True) * np.exp(log_softmax) - y


def poisson(p, y, log_input=True):
    """p is the logarithm of the rate, or the rate."""
    if log_input:
        loss, dp = np.exp(p) - y * p, np.exp(p) - y
    else:
        loss, dp = p - y * np.log(p + 1e-8), 1.0 - y / (p + 1e-8)
    return loss.mean(axis=1), dp / p.shape[1]


def gaussian_nll(p, y, epsilon=1e-6):
    """p are means, then log variances: (log v + (y - m)^2 / v) / 2, v = max(exp(s), epsilon) with the slope exp(s)."""
    m, s = np.split(p, 2, axis=1)
    v = np.maximum(np.exp(s), epsilon)
    loss = (np.log(v) + (y - m) ** 2 / v) / 2
    dv = (1.0 / v - (y - m) ** 2 / v**2) / 2
    dp = np.concatenate([(m - y) / v, dv * np.exp(s)], axis=1)
    return loss.mean(axis=1), dp / y.shape[1]


def quantile(p, y, levels=(0.1, 0.5, 0.9)):
    """One column of p a level q, y has one column: max(q e, (q - 1) e) with e = y - p."""
    q = np.asarray(levels)
    e = y - p
    slope = np.where(e > 0, -q, np.where(e < 0, 1.0 - q, 0.0))
    return np.maximum(q * e, (q - 1.0) * e).mean(axis=1), slope / p.shape[1]


def hinge(p, y):
    """y is -1 or 1."""
    margin = 1.0 - y * p
    return np.maximum(margin, 0.0).mean(axis=1), np.where(margin > 0, -y, 0.0) / p.shape[1]


LOSSES = {
    f.__name__: f
    for f in (mse, mae, huber, binary_cross_entropy, cross_entropy, poisson, gaussian_nll, quantile, hinge)
}

# A loss that works on the sums before this last activation.
FUSED = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}


def weighted_loss(name, p, y, weights=None, **options):
    """Return sum(w l) / sum(w) and its gradient with respect to p."""
    rows, drows = LOSSES[name](p, y, **options)
    w = np.ones(len(p)) if weights is None else np.asarray(weights, dtype=np.float64)
    return (w * rows).sum() / w.sum(), w[:, None] * drows / w.sum()
