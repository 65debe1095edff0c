"""Whole networks by the specification: loss, gradients, prediction and training of a fastnn network in float64 NumPy.

It reads a network's layers, nodes, their configuration and the weights by name, and runs reference.py over them. A
layer's function takes its inputs and returns its output and a pullback: a function from dy to the inputs' gradients,
which adds the weights' gradients to a dict by name. A new layer adds its function here.
"""

import re
from functools import wraps

import numpy as np
import reference
import reference_optimizers
import reference_recurrent

import fastnn
from fastnn import Input, PythonLayer

LAYERS = {}


RUNNING = ("running_mean", "running_variance")
# Roles of what is not trained.
STATE = re.compile(r"\.(running_mean|running_variance|mean|deviation|median|categories\.\d+)$")


class Run:
    """What the layers of one pass share: the weights, the masks of dropout by layer path, and the gradients to come.

    training: whether the pass is one of a training step; state: what is not trained, as it is after that step.
    """

    def __init__(self, weights, masks=None, training=False):
        self.weights = {name: np.asarray(w, dtype=np.float64) for name, w in weights.items()}
        self.masks, self.training = masks, training
        self.state = {name: w for name, w in self.weights.items() if STATE.search(name)}
        self.gradients = {name: np.zeros_like(w) for name, w in self.weights.items() if name not in self.state}


def layer(function):
    """Registers a layer's function (run, layer, path, *xs) under the name of the layer's class."""
    LAYERS[function.__name__] = function
    return function


def activated(function):
    """Applies the layer's activation after the layer, unless only the sums before it are asked for."""

    @wraps(function)
    def with_activation(run, layer, path, *xs, logits=False):
        z, pullback = function(run, layer, path, *xs)
        if logits:
            return z, pullback
        name, options = activation_of(layer)
        if callable(name):
            f, derivative = layer.activation
            return f(z), lambda dy: pullback(dy * derivative(z))
        return (
            reference.activation_forward(name, z, **options),
            lambda dy: pullback(reference.activation_backward(name, dy, z, **options)),
        )

    return with_activation


def activation_of(layer):
    """The name (or callable) and options of a layer's last activation."""
    activation = getattr(layer, "activation", None) or "linear"
    if isinstance(activation, tuple):
        return activation[0], {}
    alpha = getattr(layer, "alpha", None)
    return activation, {} if alpha is None else {"alpha": alpha}


# ---- layers ----------------------------------------------------------------------------------------------------------


@layer
@activated
def Dense(run, layer, path, x):
    weight, bias = run.weights[f"{path}.weight"], run.weights.get(f"{path}.bias")

    def pullback(dy):
        dx, dweight, dbias = reference.dense_backward(dy, x, weight)
        run.gradients[f"{path}.weight"] += dweight
        if bias is not None:
            run.gradients[f"{path}.bias"] += dbias
        return [dx]

    return reference.dense_forward(x, weight, bias), pullback


@layer
@activated
def Activation(run, layer, path, x):
    return x, lambda dy: [dy]


def pair(value, axes, along=1):
    """One for each of the two axes of an image; a sequence is an image of height 1, where `along` is its height's."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    return values if axes == 2 else (along, *values)


def as_image(x, axes):
    return x if axes == 2 else x[:, None]


def as_sample(x, axes):
    return x if axes == 2 else x[:, 0]


def padding_of(layer):
    return layer.padding if isinstance(layer.padding, str) else pair(layer.padding, layer.axes, 0)


@activated
def convolution(run, layer, path, x):
    weight, bias = run.weights[f"{path}.weight"], run.weights.get(f"{path}.bias")
    kernel = weight if layer.axes == 2 else weight[None]
    image = as_image(x, layer.axes)
    options = {
        "stride": pair(layer.stride, layer.axes),
        "dilation": pair(layer.dilation, layer.axes),
        "padding": padding_of(layer),
        "groups": layer.groups,
    }

    def pullback(dy):
        dx, dweight, dbias = reference.conv_backward(as_image(dy, layer.axes), image, kernel, **options)
        run.gradients[f"{path}.weight"] += dweight.reshape(weight.shape)
        if bias is not None:
            run.gradients[f"{path}.bias"] += dbias
        return [as_sample(dx, layer.axes)]

    return as_sample(reference.conv_forward(image, kernel, bias, **options), layer.axes), pullback


def pooling(run, layer, path, x):
    image = as_image(x, layer.axes)
    forward, backward = {
        "max_pool": (reference.max_pool_forward, reference.max_pool_backward),
        "mean_pool": (reference.mean_pool_forward, reference.mean_pool_backward),
    }[layer.op]
    if type(layer).__name__.startswith("Global"):
        kernel, options = image.shape[1:3], {"stride": (1, 1)}
        return forward(image, kernel, **options)[:, 0, 0], lambda dy: [
            as_sample(backward(dy[:, None, None], image, kernel, **options), layer.axes)
        ]
    kernel = pair(layer.pool_size, layer.axes)
    stride = kernel if layer.stride is None else pair(layer.stride, layer.axes)
    options = {"stride": stride, "padding": padding_of(layer)}
    return as_sample(forward(image, kernel, **options), layer.axes), lambda dy: [
        as_sample(backward(as_image(dy, layer.axes), image, kernel, **options), layer.axes)
    ]


LAYERS.update(dict.fromkeys(["Conv1D", "Conv2D"], convolution))
LAYERS.update(
    dict.fromkeys(
        [f"{of}{kind}Pool{axes}D" for of in ("", "Global") for kind in ("Max", "Avg") for axes in (1, 2)], pooling
    )
)


@layer
def BatchNorm(run, layer, path, x):
    weight, bias = run.weights[f"{path}.weight"], run.weights[f"{path}.bias"]
    known = {role: run.weights[f"{path}.{role}"] for role in RUNNING}
    if not run.training:
        return reference.batch_norm_forward(x, weight, bias, *known.values(), layer.epsilon), None
    mean, variance = reference.batch_statistics(x)
    n = x.size // x.shape[-1]
    for role, found in [("running_mean", mean), ("running_variance", variance * n / (n - 1))]:
        run.state[f"{path}.{role}"] = (1 - layer.momentum) * known[role] + layer.momentum * found

    def pullback(dy):
        dx, dweight, dbias = reference.batch_norm_backward(dy, x, weight, layer.epsilon)
        run.gradients[f"{path}.weight"] += dweight
        run.gradients[f"{path}.bias"] += dbias
        return [dx]

    return reference.batch_norm_forward(x, weight, bias, mean, variance, layer.epsilon), pullback


@layer
def Standardize(run, layer, path, x):
    mean, deviation = run.weights[f"{path}.mean"], run.weights[f"{path}.deviation"]
    options = {"missing": layer.missing, "indicator": layer.indicator}
    y = reference.standardize_forward(x, mean, deviation, run.weights.get(f"{path}.median"), **options)
    return y, lambda dy: [reference.standardize_backward(dy, x, deviation)]


@layer
def OneHot(run, layer, path, x):
    categories = [run.weights[f"{path}.categories.{column}"] for column in layer.columns]
    y = reference.one_hot_forward(x, layer.columns, categories, missing=layer.missing)
    return y, lambda dy: [reference.one_hot_backward(dy, x, layer.columns)]


def in_python(run, layer, path, *xs):
    """A layer that says itself what it computes: the gradient check holds it to that."""
    own = {name.removeprefix(f"{path}."): w for name, w in run.weights.items() if name.startswith(f"{path}.")}
    x = list(xs) if len(xs) > 1 else xs[0]
    y = layer.forward(x, **own)

    def pullback(dy):
        dx = layer.backward(dy, x, y, **own)
        if own:
            dx, gradients = dx
            for name, gradient in gradients.items():
                run.gradients[f"{path}.{name}"] += gradient
        return dx if len(xs) > 1 else [dx]

    return y, pullback


@layer
def RNN(run, layer, path, x):
    return recurrent(run, layer, path, x, activation=layer.activation)


@layer
def GRU(run, layer, path, x):
    return recurrent(run, layer, path, x)


@layer
def LSTM(run, layer, path, x):
    return recurrent(run, layer, path, x)


def recurrent(run, layer, path, x, **options):
    cell = type(layer).__name__
    roles = [
        role for role in ("weight", "recurrent_weight", "bias", "recurrent_bias") if f"{path}.{role}" in run.weights
    ]
    parameters = [run.weights[f"{path}.{role}"] for role in roles]
    states = [np.zeros((len(x), layer.units)) for _ in range(layer.states)]
    options["reverse"] = layer.go_backwards
    y, history = reference_recurrent.recurrent_forward(cell, x, states, parameters, **options)
    last = 0 if layer.go_backwards else -1

    def pullback(dy):
        if not layer.return_sequences:
            whole = np.zeros_like(y)
            whole[:, last] = dy
            dy = whole
        dx, _, gradients = reference_recurrent.recurrent_backward(cell, dy, states, x, history, parameters, **options)
        for role, gradient in zip(roles, gradients, strict=True):
            run.gradients[f"{path}.{role}"] += gradient
        return [dx]

    return y if layer.return_sequences else y[:, last], pullback


@layer
def Bidirectional(run, layer, path, x):
    (a, pull_a), (b, pull_b) = (call(run, one, f"{path}.layers.{i}", x) for i, one in enumerate(layer.layers))
    joined, parts = {
        "concat": (
            reference.concat_forward(a, b),
            lambda dy: reference.concat_backward(dy, [a.shape[-1], b.shape[-1]]),
        ),
        "sum": (reference.add_forward(a, b), lambda dy: reference.add_backward(dy, 2)),
    }[layer.merge]

    def pullback(dy):
        da, db = parts(dy)
        return [pull_a(da)[0] + pull_b(db)[0]]

    return joined, pullback


@layer
def Dropout(run, layer, path, x):
    if run.masks is None:
        return x, lambda dy: [dy]
    mask = run.masks[path]
    return reference.dropout_forward(x, mask, layer.rate), lambda dy: [reference.dropout_backward(dy, mask, layer.rate)]


@layer
def Ascending(run, layer, path, x):
    return reference.ascending_forward(x), lambda dy: [reference.ascending_backward(dy, x)]


@layer
def Flatten(run, layer, path, x):
    return reference.flatten_forward(x), lambda dy: [reference.flatten_backward(dy, x.shape)]


@layer
def Reshape(run, layer, path, x):
    return reference.reshape_forward(x, layer.shape), lambda dy: [reference.reshape_backward(dy, x.shape)]


@layer
def Add(run, layer, path, *xs):
    return reference.add_forward(*xs), lambda dy: reference.add_backward(dy, len(xs))


@layer
def Concat(run, layer, path, *xs):
    sizes = [x.shape[layer.axis] for x in xs]
    return (
        reference.concat_forward(*xs, axis=layer.axis),
        lambda dy: reference.concat_backward(dy, sizes, layer.axis),
    )


@layer
def Residual(run, layer, path, x):
    y, pullback = sequence(run, layer.layers, f"{path}.", x)
    return reference.residual_forward(x, lambda _: y), lambda dy: [
        reference.residual_backward(dy, lambda d: pullback(d)[0])
    ]


def row_norm(run, layer, path, x):
    weight, bias = run.weights[f"{path}.weight"], run.weights.get(f"{path}.bias")
    options = {"epsilon": layer.epsilon, "centered": bias is not None}

    def pullback(dy):
        dx, dweight, dbias = reference.row_norm_backward(dy, x, weight, **options)
        run.gradients[f"{path}.weight"] += dweight
        if bias is not None:
            run.gradients[f"{path}.bias"] += dbias
        return [dx]

    return reference.row_norm_forward(x, weight, bias, **options), pullback


LAYERS.update(dict.fromkeys(["LayerNorm", "RMSNorm"], row_norm))


@layer
def Embedding(run, layer, path, ids):
    ids, table = ids.astype(int), run.weights[f"{path}.weight"]

    def pullback(dy):
        run.gradients[f"{path}.weight"] += reference.embedding_backward(dy, ids, table)
        return [np.zeros(ids.shape)]

    return reference.embedding_forward(ids, table), pullback


@layer
def PositionalEmbedding(run, layer, path, x):
    if layer.kind == "sinusoidal":
        return x + reference.sinusoids(*x.shape[1:]), lambda dy: [dy]

    def pullback(dy):
        run.gradients[f"{path}.weight"][: x.shape[1]] += dy.sum(axis=0)
        return [dy]

    return x + run.weights[f"{path}.weight"][: x.shape[1]], pullback


@layer
def MultiHeadAttention(run, layer, path, x, *memory):
    def projected(role, x):
        return reference.dense_forward(x, run.weights[f"{path}.{role}_weight"], run.weights.get(f"{path}.{role}_bias"))

    def gradient(role, dy, x):
        dx, dweight, dbias = reference.dense_backward(dy, x, run.weights[f"{path}.{role}_weight"])
        run.gradients[f"{path}.{role}_weight"] += dweight
        if layer.use_bias:
            run.gradients[f"{path}.{role}_bias"] += dbias
        return dx

    if memory:
        q, (k, v) = projected("query", x), np.split(projected("key_value", *memory), 2, axis=-1)
    else:
        q, k, v = np.split(projected("qkv", x), 3, axis=-1)
    options = {"heads": layer.heads, "causal": layer.causal}
    y = reference.attention_forward(q, k, v, **options)

    def pullback(dy):
        dq, dk, dv = reference.attention_backward(gradient("output", dy, y), q, k, v, **options)
        if memory:
            return [gradient("query", dq, x), gradient("key_value", np.concatenate([dk, dv], axis=-1), *memory)]
        return [gradient("qkv", np.concatenate([dq, dk, dv], axis=-1), x)]

    return projected("output", y), pullback


@layer
def TransformerBlock(run, layer, path, x):
    """Two sums; the layers inside go by the names of their parameters."""
    inside = {
        "attention": [("attention", fastnn.MultiHeadAttention(layer.heads, causal=layer.causal))],
        "mlp": [("mlp_in", fastnn.Dense(layer.mlp_units, "gelu")), ("mlp_out", fastnn.Dense(x.shape[-1]))],
    }

    def chained(layers, x):
        pullbacks = []
        for name, one in layers:
            x, pullback = call(run, one, f"{path}.{name}", x)
            pullbacks.append(pullback)

        def back(dy):
            for pullback in reversed(pullbacks):
                [dy] = pullback(dy)
            return dy

        return x, back

    backs = []
    for name, layers in inside.items():
        norm = [(f"{name}_norm", fastnn.LayerNorm())]
        if layer.pre_norm:
            part, back = chained([*norm, *layers], x)
            x = x + part
            backs.append(lambda dy, back=back: dy + back(dy))
        else:
            part, back = chained(layers, x)
            x, back_norm = chained(norm, x + part)
            backs.append(lambda dy, back=back, back_norm=back_norm: (d := back_norm(dy)) + back(d))
    first, second = backs
    return x, lambda dy: [first(second(dy))]


# ---- networks --------------------------------------------------------------------------------------------------------


def call(run, layer, path, *xs, logits=False):
    """Run one layer; with `logits`, without its last activation."""
    function = in_python if isinstance(layer, PythonLayer) else LAYERS[type(layer).__name__]
    return function(run, layer, path, *xs, logits=True) if logits else function(run, layer, path, *xs)


def sequence(run, layers, prefix, x):
    """Layers one after the other; the pullback goes through them in reverse."""
    pullbacks = []
    for i, one in enumerate(layers):
        x, pullback = call(run, one, f"{prefix}layers.{i}", x)
        pullbacks.append(pullback)

    def through_all(dy):
        for pullback in reversed(pullbacks):
            [dy] = pullback(dy)
        return [dy]

    return x, through_all


def penalties(net, run):
    """The sum of the layers' penalties; adds their gradients."""
    total = 0.0
    for path, one in named_layers(net.layers):
        if getattr(one, "l1", 0.0) or getattr(one, "l2", 0.0):
            name = f"{path}.weight"
            loss, gradient = reference_optimizers.penalty(run.weights[name], one.l1, one.l2)
            total += loss
            run.gradients[name] += gradient
    return total


def named_layers(layers, prefix=""):
    """(path, layer) of all layers, those inside of containers too."""
    for i, one in enumerate(layers):
        path = f"{prefix}layers.{i}"
        yield path, one
        yield from named_layers(getattr(one, "layers", ()), f"{path}.")


def rows_of(array):
    """float64, with (n,) as (n, 1)."""
    array = np.asarray(array, dtype=np.float64)
    return array[:, None] if array.ndim == 1 else array


def nodes_of(net):
    """(input nodes, output nodes) of any network; layers in sequence become nodes here."""
    structure = net._structure
    if structure.inputs is not None:
        return structure.inputs, structure.outputs
    x = node = Input(1)  # its shape is not looked at
    for one in net.layers:
        node = one(node)
    return [x], [node]


def forward(net, run, inputs, fused=()):
    """Outputs of a network, and a pullback from their gradients; those in `fused` stop before their last activation."""
    xs, outputs = nodes_of(net)
    paths = {id(one): f"layers.{i}" for i, one in enumerate(net.layers)}
    values = {x: rows_of(array) for x, array in zip(xs, inputs, strict=True)}
    tape = []

    def visit(node):
        if node not in values:
            sources, layer = node.call.sources, node.call.layer
            arrays = [visit(source) for source in sources]
            logits = node in outputs and outputs.index(node) in fused
            values[node], pullback = call(run, layer, paths[id(layer)], *arrays, logits=logits)
            tape.append((node, sources, pullback))
        return values[node]

    results = [visit(node) for node in outputs]

    def pull(gradients):
        dys = dict(zip(outputs, gradients, strict=True))
        for node, sources, pullback in reversed(tape):
            for source, dx in zip(sources, pullback(dys[node]), strict=True):
                dys[source] = dys[source] + dx if source in dys else dx

    return results, pull


def predict(net, X):
    """The output, or the list of outputs; X is a list of arrays for several inputs."""
    outputs, _ = forward(net, Run(net.get_weights()), X if isinstance(X, list) else [X])
    return outputs if len(outputs) > 1 else outputs[0]


def loss_and_gradients(net, X, y, sample_weight=None, weights=None, masks=None):
    """Loss (penalties included) and {name: gradient} of one batch; what `net.loss_and_gradients` returns.

    Several outputs: y is a list, and the loss is the sum over them.
    """
    total, run = training_pass(net, X, y, sample_weight, weights, masks)
    return total, run.gradients


def training_pass(net, X, y, sample_weight=None, weights=None, masks=None):
    """The loss, and the pass that has the gradients and the new state."""
    run = Run(net.get_weights() if weights is None else weights, masks, training=True)
    losses, (_, nodes) = net.losses, nodes_of(net)
    fused = [
        i
        for i, (loss, node) in enumerate(zip(losses, nodes, strict=True))
        if loss.name in reference.FUSED and activation_of(node.call.layer)[0] == reference.FUSED[loss.name]
    ]
    outputs, pull = forward(net, run, X if isinstance(X, list) else [X], fused)
    total, gradients = penalties(net, run), []
    for loss, p, target in zip(losses, outputs, y if isinstance(y, list) else [y], strict=True):
        target = np.asarray(target) if loss.name == "cross_entropy" else rows_of(target)
        value, dp = reference.weighted_loss(loss.name, p, target, sample_weight, **loss.config())
        total += value
        gradients.append(dp)
    pull(gradients)
    return total, run


def fit(net, X, y, *, epochs=1, batch_size=32, sample_weight=None):
    """Train in the order of the rows from the network's weights; return {name: weight} and each epoch's loss."""
    weights = {name: np.array(w, dtype=np.float64) for name, w in net.get_weights().items()}
    states, history = {}, []
    limits = {
        f"{path}.weight": one.max_norm for path, one in named_layers(net.layers) if getattr(one, "max_norm", None)
    }
    for _ in range(epochs):
        losses, sizes = [], []
        for start in range(0, len(X), batch_size):
            rows = slice(start, start + batch_size)
            w = None if sample_weight is None else sample_weight[rows]
            loss, run = training_pass(net, X[rows], y[rows], w, weights)
            trained = {name: weights[name] for name in run.gradients}
            weights = {**reference_optimizers.update(net.optimizer, trained, run.gradients, states), **run.state}
            for name, limit in limits.items():
                weights[name] = reference_optimizers.max_norm(weights[name], limit)
            losses.append(loss)
            sizes.append(len(X[rows]) if w is None else w.sum())
        history.append(np.average(losses, weights=sizes))
    return weights, history
