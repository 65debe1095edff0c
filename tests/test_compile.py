"""The compiler: which ops a mode has, who stores and who adds to a gradient, and where values live.

Programs are asked for as `Network` asks for them, and looked at from inside: `kinds` are the ops in the order of the
forward pass.
"""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import _memory

ROWS = 6


def samples(net, seed=0):
    """Random arrays for every input and a target for every output: class ids after a softmax, else reals in [0, 1)."""
    rng = np.random.default_rng(seed)
    graph = net._state.graph
    X = [rng.standard_normal((ROWS, *value.shape)) for value in graph.inputs]
    y = []
    for value, loss in zip(graph.outputs, net.losses, strict=True):
        *positions, classes = ROWS, *value.shape
        y.append(rng.integers(0, classes, positions) if loss.target == "classes" else rng.random((*positions, classes)))
    return (X if len(X) > 1 else X[0]), (y if len(y) > 1 else y[0])


def take(net, mode, **options):
    """A program of a mode with its (key, Compiled), as `fit`, `evaluate` and `predict` take it."""
    if mode in ("predict", "predictor"):
        return net._state.take(mode, ROWS, **options)
    X, y = samples(net)
    read = net._samples(net._state, X, y)
    optimizer = net.optimizer if mode == "train" else None
    return net._state.take(mode, ROWS, losses=net.losses, targets=read.kinds, optimizer=optimizer, **options)


def kinds(net, mode, **options):
    compiled = take(net, mode, **options)[1]
    return [node.kind for node in compiled._plan.nodes if not node.kind.startswith(("feed", "record"))]


def sequential(*layers, shape=(4,), **options):
    return fnn.Network(list(layers), input_shape=shape, seed=1, **options)


def graph(inputs, outputs, **options):
    return fnn.Network(inputs=inputs, outputs=outputs, seed=1, **options)


def assert_gradients(net, seed=0):
    """Every gradient against central differences in float64, from memory that held NaN: what is read was written."""
    X, y = samples(net, seed)
    taken = net._take("gradient", net._samples(net._state, X, y))
    for array in taken[1]._bound.arrays.values():
        array[...] = np.nan if array.dtype.kind == "f" else -1
    net._state.give(taken)
    net.grads[:] = np.nan
    net.loss_and_gradients(X, y)
    found, numeric, step = net.grads.copy(), np.empty_like(net.grads), 1e-6
    for i, weight in enumerate(net.params.copy()):
        ends = []
        for net.params[i] in (weight + step, weight - step):
            ends.append(net.loss_and_gradients(X, y)[0])
        net.params[i] = weight
        numeric[i] = (ends[0] - ends[1]) / (2 * step)
    np.testing.assert_allclose(found, numeric, rtol=0, atol=1e-8)


# ---- the ops of a mode --------------------------------------------------------------------------------------------

FROM_OUTPUT = ["relu", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "softplus"]
FROM_INPUT = ["silu", "gelu"]


@pytest.mark.parametrize("mode", ["train", "gradient", "evaluate", "predict", "predictor"])
@pytest.mark.parametrize("activation", FROM_OUTPUT)
def test_an_activation_is_fused_into_its_dense_op(activation, mode):
    end = [] if mode.startswith("predict") else ["loss"]
    assert kinds(sequential(fnn.Dense(3, activation), fnn.Dense(2)), mode) == ["dense", "dense", *end]


@pytest.mark.parametrize("activation", FROM_INPUT)
def test_a_derivative_from_the_input_needs_the_input_in_training(activation):
    net = sequential(fnn.Dense(3, activation), fnn.Dense(2))
    assert kinds(net, "train") == ["dense", "activation", "dense", "loss"]
    assert kinds(net, "predict") == ["dense", "dense"]


def test_a_dense_op_that_others_read_keeps_its_own_output():
    x = fnn.Input(4)
    h = fnn.Dense(3)(x)
    net = graph(x, fnn.Add()([h, fnn.Activation("relu")(h)]))
    assert kinds(net, "predict") == ["dense", "activation", "add"]
    assert kinds(net, "train") == ["dense", "activation", "add", "loss"]


def test_a_dense_op_that_is_an_output_keeps_it():
    x = fnn.Input(4)
    h = fnn.Dense(3)(x)
    net = graph(x, [h, fnn.Activation("relu")(h)])
    assert kinds(net, "predict") == ["dense", "activation"]
    X, _ = samples(net)
    before, after = net.predict(X)
    assert (before < 0).any() and np.array_equal(after, np.maximum(before, 0))


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("between", [fnn.Reshape((2, 3)), fnn.Reshape((3, 2, 1)), fnn.Flatten()])
def test_an_activation_behind_another_shape(activation, between):
    """The dense op is fused in its own shape: six columns, not the three of the activation's rows."""
    net = sequential(fnn.Dense(6), between, fnn.Activation(activation), fnn.Flatten(), fnn.Dense(2), dtype="float64")
    plain = sequential(fnn.Dense(6, activation), fnn.Dense(2), dtype="float64")
    plain.params[:] = net.params
    X, _ = samples(net)
    assert kinds(net, "predict") == ["dense", "dense"]
    assert np.array_equal(net.predict(X), plain.predict(X))
    assert_gradients(net)


@pytest.mark.parametrize("mode", ["train", "gradient"])
def test_dropout_is_there_in_training(mode):
    layers = [fnn.Dense(3, "relu"), fnn.Dropout(0.5), fnn.Dense(2)]
    assert kinds(sequential(*layers), mode) == ["dense", "dropout", "dense", "loss"]


@pytest.mark.parametrize("mode,end", [("evaluate", ["loss"]), ("predict", []), ("predictor", [])])
def test_dropout_is_absent_from_prediction(mode, end):
    layers = [fnn.Dropout(0.1), fnn.Dense(3), fnn.Dropout(0.5), fnn.Activation("gelu"), fnn.Dense(2), fnn.Dropout(0.5)]
    assert kinds(sequential(*layers), mode) == ["dense", "dense", *end]


@pytest.mark.parametrize("output,loss", [("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy")])
@pytest.mark.parametrize("mode", ["train", "gradient", "evaluate"])
def test_an_output_is_fused_with_its_own_loss(output, loss, mode):
    """The loss reads logits and the activation is not computed, unless metrics look at the output."""
    net = sequential(fnn.Dense(3, output))
    assert net.losses[0].name == loss
    end = "loss_of_ids" if output == "softmax" else "loss"
    assert kinds(net, mode) == ["dense", end]
    assert kinds(net, mode, record=True) == ["dense", "softmax" if output == "softmax" else "activation", end]


@pytest.mark.parametrize("mode", ["train", "evaluate"])
def test_another_loss_reads_the_output_itself(mode):
    assert kinds(sequential(fnn.Dense(3, "softmax"), loss="mse"), mode) == ["dense", "softmax", "loss"]
    assert kinds(sequential(fnn.Dense(3, "sigmoid"), loss="mse"), mode) == ["dense", "loss"]


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_training_and_evaluation_agree_on_what_a_loss_reads(loss):
    """A Dropout after the softmax is no reason to take its probabilities for logits in one mode alone."""
    net = sequential(fnn.Dense(3, "softmax"), fnn.Dropout(1e-9), loss=loss, dtype="float64")
    X, _ = samples(net)
    y = np.eye(3)[np.arange(ROWS) % 3]
    assert net.evaluate(X, y)["loss"] == pytest.approx(net.loss_and_gradients(X, y)[0], rel=1e-6)


def test_a_softmax_that_was_reshaped_is_not_fused():
    net = sequential(fnn.Dense(6, "softmax"), fnn.Reshape((2, 3)), loss="cross_entropy")
    assert kinds(net, "train") == ["dense", "softmax", "loss_of_ids"]


def test_a_sigmoid_that_was_reshaped_is_fused():
    net = sequential(fnn.Dense(6, "sigmoid"), fnn.Reshape((2, 3)), dtype="float64")
    assert kinds(net, "train") == ["dense", "loss"]
    X, y = samples(net)
    p = net.predict(X)
    expected = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
    assert net.evaluate(X, y)["loss"] == pytest.approx(expected, rel=1e-12)
    assert_gradients(net)


def test_what_nobody_reads_is_left_out():
    x = fnn.Input(4)
    net = graph(x, fnn.Dense(2)(fnn.Dense(3)(x)), loss="mse")
    assert kinds(net, "predict") == ["dense", "dense"]
    net = sequential(fnn.Dense(3), fnn.Activation("linear"), fnn.Flatten())
    assert kinds(net, "predict") == ["dense"]


# ---- gradients: the first writer stores, later ones add -----------------------------------------------------------


def adds(net):
    """(op, input or parameter role, whether its gradient is added) in the order of the backward pass."""
    plan = take(net, "gradient")[1]._plan
    return [(node.kind, what, value) for (node, what), value in plan.adds.items()]


def test_a_value_with_one_reader_is_stored_to():
    net = sequential(fnn.Dense(3, "relu"), fnn.Dense(2))
    assert not any(value for *_, value in adds(net))


def test_the_last_reader_stores_and_the_others_add():
    x = fnn.Input(4)
    h = fnn.Dense(3, "tanh")(x)
    net = graph(x, fnn.Dense(1)(fnn.Add()([h, fnn.Dense(3)(h)])))
    found = [entry for entry in adds(net) if entry[1] in (0, 1)]
    assert found == [
        ("loss", 0, False), ("dense", 0, False), ("add", 0, False), ("add", 1, False), ("dense", 0, True),
    ]  # fmt: skip


def test_a_shared_weight_is_stored_to_once():
    x, shared = fnn.Input(4), fnn.Dense(4, "tanh")
    net = graph(x, shared(shared(shared(x))))
    assert [value for _, role, value in adds(net) if role == "weight"] == [False, True, True]
    assert [value for _, role, value in adds(net) if role == "bias"] == [False, True, True]


def several_readers():
    x = fnn.Input(4)
    h = fnn.Dense(3, "tanh")(x)
    return x, fnn.Dense(1)(fnn.Concat()([h, h, fnn.Dense(2, "gelu")(h), fnn.Flatten()(h)]))


def shared_parameters():
    a, b, shared = fnn.Input(3), fnn.Input(3), fnn.Dense(3, "tanh")
    return [a, b], fnn.Dense(1)(fnn.Concat()([shared(a), shared(b), shared(shared(a))]))


def an_output_that_is_read_again():
    x = fnn.Input(4)
    h = fnn.Dense(3, "tanh")(x)
    return x, [h, fnn.Dense(2, "softmax")(h), fnn.Dense(1)(fnn.Dense(2, "relu")(h))]


def two_losses_on_one_value():
    """The cross entropy reads the softmax's input, which has a loss of its own."""
    x = fnn.Input(4)
    logits = fnn.Dense(3)(x)
    return x, [logits, fnn.Activation("softmax")(logits)]


def twice_the_same_value():
    x = fnn.Input(4)
    h = fnn.Dense(3, "tanh")(x)
    return x, fnn.Dense(1)(fnn.Add()([h, h, h]))


def residual_at_the_input():
    x = fnn.Input(4)
    return x, fnn.Dense(2)(fnn.Residual(fnn.Dense(5, "relu"), fnn.Dense(4))(x))


def an_input_beside_a_layer():
    x = fnn.Input((2, 3))
    return x, fnn.Dense(1)(fnn.Flatten()(fnn.Concat(1)([x, fnn.Dense(3, "tanh")(x)])))


def shapes_in_between():
    x = fnn.Input(4)
    h = fnn.Reshape((2, 3))(fnn.Dense(6, "tanh")(x))
    return x, fnn.Dense(1)(fnn.Flatten()(fnn.Add()([h, fnn.Residual(fnn.Dense(3))(h)])))


GRAPHS = [
    several_readers, shared_parameters, an_output_that_is_read_again, two_losses_on_one_value, twice_the_same_value,
    residual_at_the_input, an_input_beside_a_layer, shapes_in_between,
]  # fmt: skip


@pytest.mark.parametrize("make", GRAPHS, ids=lambda make: make.__name__)
def test_gradients_of_graphs(make):
    assert_gradients(graph(*make(), dtype="float64"))


@pytest.mark.parametrize("make", GRAPHS, ids=lambda make: make.__name__)
def test_metrics_do_not_change_a_training(make):
    """With metrics the outputs are computed and recorded, without them they may be fused away."""
    nets = [graph(*make(), metrics=metrics) for metrics in ((), (lambda y, p: 0.0,))]
    X, y = samples(nets[0])
    for net in nets:
        net.fit(X, y, epochs=3, batch_size=4)
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=1e-5, atol=1e-6)


def test_a_network_without_parameters_has_a_loss():
    net = sequential(fnn.Dropout(0.5), fnn.Flatten(), shape=(2, 2))
    X, _ = samples(net)
    y = np.zeros((ROWS, 4))
    net.fit(X, y, epochs=2, batch_size=4)
    assert np.array_equal(net.predict(X), X.reshape(ROWS, 4).astype("float32"))
    assert net.evaluate(X, y)["loss"] == pytest.approx((X**2).mean(), rel=1e-6)
    assert net.loss_and_gradients(X, y)[1] == {}


def test_an_input_that_is_the_output():
    x = fnn.Input(3)
    net = graph(x, x)
    X, _ = samples(net)
    assert np.array_equal(net.predict(X), X.astype("float32"))
    assert np.array_equal(net.predictor()(X[0]), X[0].astype("float32"))


# ---- memory -------------------------------------------------------------------------------------------------------


def arena_bytes(compiled):
    arrays = compiled._bound.arrays.values()
    first = min(a.__array_interface__["data"][0] for a in arrays)
    return max(a.__array_interface__["data"][0] + a.nbytes for a in arrays) - first


def test_prediction_of_a_chain_takes_two_buffers():
    net = sequential(*(fnn.Dense(32, "relu") for _ in range(10)), shape=(32,))
    assert arena_bytes(take(net, "predict")[1]) == 2 * _memory.aligned(ROWS * 32 * 4)


def test_training_keeps_what_backward_reads_and_shares_the_rest():
    """Ten values and their input are kept; of the ten gradients two live at a time."""
    net = sequential(*(fnn.Dense(32, "relu") for _ in range(10)), shape=(32,))
    size = _memory.aligned(ROWS * 32 * 4)
    assert arena_bytes(take(net, "train")[1]) <= (11 + 2 + 1) * size  # and the targets


def test_every_buffer_is_aligned():
    net = sequential(fnn.Dense(3, "relu"), fnn.Dropout(0.5), fnn.Dense(5, "gelu"), fnn.Dense(2))
    for mode in ("train", "predict", "predictor"):
        for array in take(net, mode)[1]._bound.arrays.values():
            assert array.__array_interface__["data"][0] % _memory.ALIGNMENT == 0
    assert net.params.__array_interface__["data"][0] % _memory.ALIGNMENT == 0


@pytest.mark.parametrize("rows", [1, 5, 6])
def test_a_batch_smaller_than_the_programs(rows):
    """Programs are for at most so many rows: what lies behind a smaller batch takes no part."""
    net = sequential(fnn.Dense(3, "tanh"), fnn.Reshape((3, 1)), fnn.Dense(2, "softmax"), fnn.Flatten(), dtype="float64")
    X, _ = samples(net)
    expected = net.predict(X[:rows])
    taken = take(net, "predict")
    compiled = taken[1]
    for array in compiled._bound.arrays.values():
        array[...] = np.nan
    out = np.zeros((rows, 6))
    compiled.feed([np.ascontiguousarray(X[:rows])])
    compiled.record([out])
    compiled.program.set_rows(rows, False)
    compiled.program.reset()
    assert compiled.program.evaluate(0, 1.0) == 1
    assert np.array_equal(out, expected)
    net._state.give(taken)


# ---- programs are lent --------------------------------------------------------------------------------------------


def test_a_program_is_made_once_and_lent_again():
    net = sequential(fnn.Dense(3))
    first = take(net, "predict")
    second = take(net, "predict")
    assert first[1] is not second[1]  # two callers at once
    net._state.give(first)
    assert take(net, "predict")[1] is first[1]


def test_forgotten_programs_do_not_come_back():
    net = sequential(fnn.Dense(3))
    lent = take(net, "train")
    net.optimizer = "adam"
    net._state.give(lent)
    assert take(net, "train")[1] is not lent[1]


def test_a_learning_rate_needs_no_new_program_and_other_settings_do():
    net = sequential(fnn.Dense(3), optimizer=fnn.SGD(0.1))
    lent = take(net, "train")
    net._state.give(lent)
    net.optimizer.learning_rate = 0.2
    again = take(net, "train")
    assert again[1] is lent[1]
    net._state.give(again)
    net.optimizer.momentum = 0.5
    assert take(net, "train")[1] is not lent[1]


def test_few_programs_wait():
    net = sequential(fnn.Dense(3))
    X, _ = samples(net)
    for batch_size in range(1, 60):
        net.predict(np.ones((60, 4)), batch_size=batch_size)
    assert len(net._state._free) <= 16
