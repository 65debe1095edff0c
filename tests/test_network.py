"""Network: what its methods return, leave and refuse. What a single bad argument gives is in test_bad_input.py."""

import gc
import threading
import weakref

import numpy as np
import pytest

import fastnn as fnn
from fastnn import NotFittedError, ShapeError

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((30, 3))
Y = RANDOM.standard_normal((30, 2))


def network(*layers, **options):
    options = {"seed": 1, "input_shape": 3, **options}
    return fnn.Network(list(layers or [fnn.Dense(4, "tanh"), fnn.Dense(2)]), **options)


def two_by_two(**options):
    """Two inputs, two outputs: classes and a number."""
    a, b = fnn.Input(3), fnn.Input((2, 2))
    h = fnn.Dense(4, "tanh")(fnn.Concat()([a, fnn.Flatten()(b)]))
    outputs = [fnn.Dense(3, "softmax")(h), fnn.Dense(1)(h)]
    net = fnn.Network(inputs=[a, b], outputs=outputs, seed=1, **options)
    return net, [X, RANDOM.standard_normal((30, 2, 2))], [np.arange(30) % 3, Y[:, 0]]


# ---- construction and build ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options,error,message",
    [
        ({}, TypeError, "either a list of layers, or inputs= and outputs="),
        ({"layers": [fnn.Dense(1)], "outputs": fnn.Input(1)}, TypeError, "either a list of layers"),
        ({"inputs": fnn.Input(1)}, TypeError, "either a list of layers"),
        ({"layers": []}, TypeError, "layers: expected a list of layers"),
        ({"layers": [fnn.Dense]}, TypeError, r"layers\[0\]: expected a layer, .*write fnn\.Dense\(\.\.\.\)"),
        ({"layers": [fnn.Input(3)]}, TypeError, r"layers\[0\]: expected a layer"),
        ({"inputs": fnn.Dense(1), "outputs": fnn.Input(1)}, TypeError, r"inputs: expected fnn\.Input"),
        ({"inputs": [], "outputs": []}, ValueError, "inputs: expected one or more different values"),
        ({"layers": [fnn.Dense(1)], "loss": ["mse", "mse"], "input_shape": 1}, ValueError, "1 outputs, got 2 losses"),
        ({"layers": [fnn.Dense(2, "softmax")], "loss": "binary_cross_entropy", "input_shape": 1}, ValueError,
         "'binary_cross_entropy' does not fit after softmax; take sigmoid or a linear last layer"),
        ({"layers": [fnn.Dense(2)], "loss": "quantile", "input_shape": 1}, ShapeError, "an output for each level"),
    ],
)  # fmt: skip
def test_networks_that_cannot_be(options, error, message):
    with pytest.raises(error, match=message):
        fnn.Network(**options)


def test_graphs_that_cannot_be():
    a, b = fnn.Input(3), fnn.Input(2)
    with pytest.raises(ValueError, match=r"Input\(\(2,\)\) is used but is not among inputs="):
        fnn.Network(inputs=a, outputs=fnn.Concat()([a, b]))
    with pytest.raises(ValueError, match=r"inputs: no output depends on Input\(\(2,\)\)"):
        fnn.Network(inputs=[a, b], outputs=fnn.Dense(1)(a))
    with pytest.raises(ValueError, match="the same value is listed twice"):
        h = fnn.Dense(2)(a)
        fnn.Network(inputs=a, outputs=[h, fnn.Flatten()(h)])
    with pytest.raises(TypeError, match="input_shape belongs to a list of layers"):
        fnn.Network(inputs=a, outputs=fnn.Dense(1)(a), input_shape=3)


@pytest.mark.parametrize(
    "last,loss",
    [("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy"), (None, "mse"), ("tanh", "mse")],
)
def test_the_loss_follows_the_last_activation(last, loss):
    net = network(fnn.Dense(4, "sigmoid"), fnn.Dense(2, last))
    assert net.loss is None and [one.name for one in net.losses] == [loss]


def test_build_makes_the_parameters_once():
    net = network(input_shape=None)
    with pytest.raises(ValueError, match="build needs the shape of one sample"):
        net.build()
    with pytest.raises(NotFittedError, match="no parameters yet"):
        net.predict(X)
    assert net.build((3,)) is net
    first = net.params.copy()
    assert np.array_equal(net.build(3).build().params, first)
    with pytest.raises(ShapeError, match=r"was built for samples of shape \(3,\), not \(4,\)"):
        net.build(4)


def test_a_seed_makes_the_parameters():
    assert np.array_equal(network(seed=7).params, network(seed=7).params)
    assert not np.array_equal(network(seed=7).params, network(seed=8).params)
    assert not np.array_equal(network(seed=None).params, network(seed=None).params)


def test_data_build_what_a_shape_builds():
    net = network(input_shape=None)
    net.loss_and_gradients(X, Y)
    assert np.array_equal(net.params, network().params)


def test_a_first_fit_that_fails_leaves_no_parameters():
    net = network(loss=lambda y, p: 1 / 0, input_shape=None)
    for call in (net.fit, net.train_on_batch, net.loss_and_gradients):
        with pytest.raises(ZeroDivisionError):
            call(X, Y)
        with pytest.raises(NotFittedError):
            net.predict(X)
    net.loss = "mse"
    net.fit(X[:, :2], Y)  # another shape is free


# ---- parameters ---------------------------------------------------------------------------------------------------


def test_params_are_the_networks_own_memory():
    net = network(fnn.Dense(2))
    before = net.predict(X)
    net.params[:] *= 2
    np.testing.assert_allclose(net.predict(X), 2 * before, rtol=1e-6)
    assert net.params is net.params and net.params.shape == net.grads.shape == (8,)
    assert np.shares_memory(net.params, net.get_weights()["layers.0.weight"])


def test_weights_are_views_that_cannot_be_written():
    weights = network().get_weights()
    assert {name: w.shape for name, w in weights.items()} == {
        "layers.0.weight": (3, 4), "layers.0.bias": (4,), "layers.1.weight": (4, 2), "layers.1.bias": (2,),
    }  # fmt: skip
    for view in weights.values():
        with pytest.raises(ValueError, match="read-only"):
            view[...] = 0


def test_views_show_further_training():
    net = network()
    bias = net.get_weights()["layers.1.bias"]
    before = bias.copy()
    net.fit(X, Y)
    assert not np.array_equal(bias, before)


def test_set_weights_sets_all_or_nothing():
    net, other = network(), network(seed=2)
    net.set_weights(other.get_weights())
    assert np.array_equal(net.params, other.params)
    weights = {name: np.zeros_like(w) for name, w in net.get_weights().items()}
    for name, value in (("layers.1.bias", np.zeros(3)), ("layers.1.bias", [np.nan, 0]), ("layers.1.bias", ["a", "b"])):
        with pytest.raises((ValueError, TypeError), match=r"layers\.1\.bias"):
            net.set_weights({**weights, name: value})
        assert np.array_equal(net.params, other.params)
    with pytest.raises(ValueError, match=r"unknown weight 'layers\.0\.wieght'; did you mean 'layers\.0\.weight'"):
        net.set_weights({**weights, "layers.0.wieght": 0})
    with pytest.raises(ValueError, match=r"missing layers\.0\.bias"):
        net.set_weights({name: w for name, w in weights.items() if name != "layers.0.bias"})
    assert np.array_equal(net.params, other.params)


def test_grads_are_those_of_the_last_call():
    net = network()
    loss, gradients = net.loss_and_gradients(X, Y)
    flat = np.concatenate([g.ravel() for g in gradients.values()])
    assert np.array_equal(flat, net.grads) and loss > 0
    net.loss_and_gradients(X[:1], Y[:1])
    assert not np.array_equal(flat, net.grads)  # those that were returned are copies
    assert np.array_equal(flat, np.concatenate([g.ravel() for g in gradients.values()]))


# ---- training ways ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop", "adagrad", "rprop"])
def test_train_on_batch_is_one_step_of_fit(optimizer):
    layers = [fnn.Dense(4, "tanh", l2=0.1, max_norm=0.5), fnn.Dropout(0.3), fnn.Dense(2)]
    fit, by_hand = (network(*layers, optimizer=optimizer) for _ in range(2))
    w = RANDOM.random(30)
    history = fit.fit(X, Y, epochs=3, batch_size=30, shuffle=False, sample_weight=w)
    losses = [by_hand.train_on_batch(X, Y, sample_weight=w) for _ in range(3)]
    np.testing.assert_allclose(losses, history["loss"], rtol=1e-15)  # fit's is a mean over its one batch
    assert np.array_equal(fit.params, by_hand.params)


def test_train_on_batch_needs_gradients():
    with pytest.raises(ValueError, match="CoordinateSearch works on whole data sets; call fit"):
        network(optimizer="coordinate_search").train_on_batch(X, Y)


def test_partial_fit_is_an_epoch_in_order():
    one, other = network(), network()
    assert one.partial_fit(X, Y, batch_size=8) is one
    other.fit(X, Y, batch_size=8, shuffle=False)
    assert np.array_equal(one.params, other.params)


def test_loss_and_gradients_is_what_a_step_takes():
    net = network(fnn.Dense(4, "tanh"), fnn.Dropout(0.5), fnn.Dense(2, l2=0.1), optimizer=fnn.SGD(0.5), dtype="float64")
    before = net.params.copy()
    loss, gradients = net.loss_and_gradients(X, Y)
    assert np.array_equal(net.params, before) and net.loss_and_gradients(X, Y)[0] == loss  # the same masks again
    assert net.train_on_batch(X, Y) == loss
    flat = np.concatenate([g.ravel() for g in gradients.values()])
    np.testing.assert_allclose(net.params, before - 0.5 * flat, rtol=1e-12, atol=1e-15)


def test_evaluate_is_loss_and_metrics_without_dropout():
    layers = [fnn.Dense(4, "tanh"), fnn.Dropout(0.5), fnn.Dense(2)]
    net = network(*layers, metrics=["mae", lambda y, p: 7.0], dtype="float64")
    p = net.predict(X)
    found = net.evaluate(X, Y)
    assert list(found) == ["loss", "mae", "<lambda>"]
    assert found["loss"] == pytest.approx(((p - Y) ** 2).mean(), rel=1e-12)
    assert found["mae"] == pytest.approx(abs(p - Y).mean(), rel=1e-12)


def test_an_optimizer_that_is_set_starts_afresh():
    net, twin = network(), network()
    net.fit(X, Y, epochs=3)
    twin.set_weights(net.get_weights())
    net.optimizer = fnn.Adam()
    assert net._state.steps == 0
    assert net.train_on_batch(X, Y) == twin.train_on_batch(X, Y)
    assert np.array_equal(net.params, twin.params)


def test_a_loss_that_is_set_counts_from_then_on():
    net = network()
    mse = net.evaluate(X, Y)["loss"]
    net.loss = "mae"
    p = net.predict(X)
    assert net.evaluate(X, Y)["loss"] == pytest.approx(abs(p - Y).mean(), rel=1e-6)
    net.loss = fnn.losses.Huber(1e9)
    assert net.evaluate(X, Y)["loss"] == pytest.approx(mse / 2, rel=1e-6)
    net.loss = None
    assert net.evaluate(X, Y)["loss"] == mse


def test_a_loss_that_does_not_fit_changes_nothing():
    net = network(fnn.Dense(2, "softmax"))
    bad = {"binary_cross_entropy": ValueError, "quantile": ShapeError, "mes": ValueError, 3: TypeError}
    for loss, error in bad.items():
        with pytest.raises(error):
            net.loss = loss
        assert net.loss is None and net.losses[0].name == "cross_entropy"


# ---- functions of the user's own ----------------------------------------------------------------------------------


def test_a_loss_function_is_a_loss():
    def mse(y, p):
        return ((p - y) ** 2).mean(), 2 * (p - y) / p.size

    own, known = network(loss=mse, dtype="float64"), network(dtype="float64")
    a, b = own.fit(X, Y, epochs=3, batch_size=8)["loss"], known.fit(X, Y, epochs=3, batch_size=8)["loss"]
    np.testing.assert_allclose(a, b, rtol=1e-12)
    np.testing.assert_allclose(own.params, known.params, rtol=1e-9)


def test_activation_functions_are_an_activation():
    own = network(fnn.Dense(4, (np.tanh, lambda x: 1 - np.tanh(x) ** 2)), fnn.Dense(2), dtype="float64")
    known = network(fnn.Dense(4, "tanh"), fnn.Dense(2), dtype="float64")
    own.params[:] = known.params
    own.fit(X, Y, epochs=3, batch_size=8)
    known.fit(X, Y, epochs=3, batch_size=8)
    np.testing.assert_allclose(own.params, known.params, rtol=1e-9)
    np.testing.assert_allclose(own.predict(X), known.predict(X), rtol=1e-9)


def broken(*args):
    raise LookupError("mine")


@pytest.mark.parametrize(
    "layers,loss,error,message",
    [
        ([fnn.Dense(2, (broken, np.cos))], "mse", LookupError, "mine"),
        ([fnn.Dense(2, (np.sin, broken))], "mse", LookupError, "mine"),
        ([fnn.Dense(2, (lambda x: x[0], np.cos))], "mse", ValueError, r"activation function returned shape \(2,\), "),
        ([fnn.Dense(2, (np.sin, lambda x: 1.0))], "mse", ValueError, "activation's derivative returned shape"),
        ([fnn.Dense(2)], broken, LookupError, "mine"),
        ([fnn.Dense(2)], lambda y, p: (0.0, p[:1]), ValueError, "loss function's gradient returned shape"),
        ([fnn.Dense(2)], lambda y, p: 1.0, TypeError, r"must return \(loss, gradient\), got float"),
        ([fnn.Dense(2)], lambda y, p: ("high", p), ValueError, "could not convert string to float"),
        ([fnn.Dense(2, (broken, np.cos))], lambda y, p: 1 / 0, LookupError, "mine"),  # the first error is the one
    ],
)
def test_what_user_functions_raise_reaches_the_user(layers, loss, error, message):
    net = network(*layers, loss=loss)
    before = net.params.copy()
    for _ in range(2):
        for call in (net.fit, net.train_on_batch, net.loss_and_gradients):
            with pytest.raises(error, match=message):
                call(X, Y)
            assert np.array_equal(net.params, before)
    net.loss = "mae"
    assert net._state.steps == 0


def test_an_activation_that_fails_in_predict():
    fail = [False]

    def f(x):
        return 1 / 0 if fail[0] else np.sin(x)

    net = network(fnn.Dense(2, (f, np.cos)))
    predictor = net.predictor()
    before = net.predict(X), predictor(X[0]), net.predict(X[:1])
    fail[0] = True
    for call, *args in ((net.predict, X), (predictor, X[0]), (net.predict, X[:1]), (net.evaluate, X, Y)):
        with pytest.raises(ZeroDivisionError):
            call(*args)
    fail[0] = False
    for a, b in zip(before, (net.predict(X), predictor(X[0]), net.predict(X[:1])), strict=True):
        assert np.array_equal(a, b)


def test_user_functions_get_arrays_that_cannot_be_written():
    def in_place(x):
        x += 1
        return x

    with pytest.raises(ValueError, match="read-only"):
        network(fnn.Dense(2, (in_place, np.cos))).predict(X)


# ---- prediction ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predict_writes_where_it_is_told(dtype):
    net = network(dtype=dtype)
    expected = net.predict(X)
    out = np.full((30, 2), 7, dtype)
    assert net.predict(X, out=out) is out and np.array_equal(out, expected)
    assert expected.dtype == dtype
    one = np.empty((1, 2), dtype)
    for _ in range(2):  # the second time on the short way
        assert net.predict(X[:1].astype(dtype), out=one) is one
        np.testing.assert_allclose(one, expected[:1], rtol=1e-6)


@pytest.mark.parametrize(
    "out,message",
    [
        (np.empty((30, 2)), r"expected an array float32 \(30, 2\), got float64 \(30, 2\)"),
        (np.empty((30, 3), "float32"), r"got float32 \(30, 3\)"),
        (np.empty((2, 30), "float32").T, "writable C-contiguous"),
        (np.broadcast_to(np.float32(0), (30, 2)), "writable C-contiguous"),
        ([[0.0] * 2] * 30, "got list"),
    ],
)
def test_out_that_does_not_fit(out, message):
    with pytest.raises(ValueError, match=message):
        network().predict(X, out=out)


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("batch_size", [None, 1, 7, 10**6])
def test_predict_does_not_depend_on_threads(batch_size, threads):
    net = network(fnn.Dense(300, "relu"), fnn.Dense(300, "tanh"), fnn.Dense(2))
    many = RANDOM.standard_normal((2000, 3))
    expected = net.predict(many, batch_size=batch_size, threads=1)
    assert np.array_equal(net.predict(many, batch_size=batch_size, threads=threads), expected)


def test_predict_in_eight_threads_is_predict_in_one():
    net = network(fnn.Dense(64, "relu"), fnn.Dense(64, (np.sin, np.cos)), fnn.Dense(2))
    parts = [RANDOM.standard_normal((n, 3)).astype("float32") for n in (1, 2, 16, 17, 100, 1000, 1, 3000)]
    expected = [net.predict(part) for part in parts]
    wrong = []

    def work(i):
        for _ in range(30):
            if not np.array_equal(net.predict(parts[i]), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_predictors_in_eight_threads():
    net = network(fnn.Dense(400, "relu"), fnn.Dense(400, "relu"), fnn.Dense(2))  # enough work to give up the GIL
    expected, shared, wrong = net.predict(X[:1])[0], net.predictor(), []

    def work():
        own = net.predictor()
        for _ in range(100):
            if not (np.array_equal(own(X[0]), expected) and np.array_equal(shared(X[0]), expected)):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


SAMPLE_FORMS = {
    "one sample": (lambda x: x, (2,)),
    "a batch of one": (lambda x: x[None], (1, 2)),
    "float32": (lambda x: x.astype("float32"), (2,)),
    "a batch of one, float32": (lambda x: x[None].astype("float32"), (1, 2)),
    "a list": (lambda x: x.tolist(), (2,)),
    "a list of a list": (lambda x: [x.tolist()], (1, 2)),
    "a tuple": (lambda x: tuple(x), (2,)),
    "strided": (lambda x: np.repeat(x, 2).astype("float32")[::2], (2,)),
    "big-endian": (lambda x: x.astype(">f4"), (2,)),
}


@pytest.mark.parametrize("form", SAMPLE_FORMS)
def test_forms_of_a_sample(form):
    net = network()
    convert, shape = SAMPLE_FORMS[form]
    predictor = net.predictor()
    result = predictor(convert(X[4]))
    assert result.shape == shape and result.dtype == np.float32
    np.testing.assert_array_equal(result.ravel(), net.predict(X[4:5])[0])
    out = np.empty(shape, "float32")
    assert predictor(convert(X[4]), out=out) is out and np.array_equal(out, result)


def test_a_predictor_sees_further_training():
    net = network()
    predictor = net.predictor()
    before = predictor(X[0])
    net.fit(X, Y)
    assert not np.array_equal(predictor(X[0]), before)
    np.testing.assert_array_equal(predictor(X[0]), net.predict(X[:1])[0])


def test_the_results_of_a_predictor_are_arrays_of_their_own():
    predictor = network().predictor()
    a, b = predictor(X[0]), predictor(X[1])
    assert not np.shares_memory(a, b) and not np.array_equal(a, b)


@pytest.mark.parametrize("bad", [[1, 2], [[1, 2]], np.ones((2, 3, 1)), [1, 2, np.nan], "abc"])
def test_bad_samples_of_a_predictor(bad):
    with pytest.raises((ValueError, TypeError), match="X"):
        network().predictor()(bad)


# ---- several inputs and outputs -----------------------------------------------------------------------------------


def test_several_inputs_and_outputs():
    def outputs(y, p):
        return p.shape[-1]

    net, inputs, targets = two_by_two(metrics=[outputs], dtype="float64")
    assert [loss.name for loss in net.losses] == ["cross_entropy", "mse"]
    history = net.fit(inputs, targets, epochs=3, batch_size=7, validation_split=0.2)
    assert list(history) == ["loss", "outputs_0", "outputs_1", "val_loss", "val_outputs_0", "val_outputs_1"]
    assert history["outputs_0"] == [3] * 3 and history["val_outputs_1"] == [1] * 3
    classes, numbers = net.predict(inputs)
    assert classes.shape == (30, 3) and numbers.shape == (30, 1)
    loss = -np.log(classes[np.arange(30), targets[0]]).mean() + ((numbers[:, 0] - targets[1]) ** 2).mean()
    assert net.evaluate(inputs, targets)["loss"] == pytest.approx(loss, rel=1e-12)
    assert net.loss_and_gradients(inputs, targets)[0] == pytest.approx(loss, rel=1e-12)


def test_several_outputs_are_written_where_they_are_told():
    net, inputs, _ = two_by_two()
    expected = net.predict(inputs)
    out = [np.empty((30, 3), "float32"), np.empty((30, 1), "float32")]
    assert net.predict(inputs, out=out) == out
    assert all(np.array_equal(a, b) for a, b in zip(out, expected, strict=True))


def test_a_predictor_of_several_inputs_and_outputs():
    net, inputs, _ = two_by_two()
    expected = [result[0] for result in net.predict([x[:1] for x in inputs])]
    predictor = net.predictor()
    out = [np.empty(3, "float32"), np.empty(1, "float32")]
    for result in (predictor([x[0] for x in inputs]), predictor([x[0] for x in inputs], out=out)):
        assert all(np.array_equal(a, b) for a, b in zip(result, expected, strict=True))
    assert np.array_equal(out[0], expected[0])


@pytest.mark.parametrize(
    "X, y, message",
    [
        (lambda X: X[0], lambda y: y, "X: the network has 2, expected a list of 2 arrays, got one ndarray"),
        (lambda X: [*X, X[0]], lambda y: y, "expected a list of 2 arrays, got 3"),
        (lambda X: [X[0], X[1][:5]], lambda y: y, r"X\[1\] has 5 samples, X\[0\] has 30"),
        (lambda X: X[::-1], lambda y: y, r"expects X\[0\] of shape \(n, 3\)"),
        (lambda X: X, lambda y: y[0], "y: the network has 2"),
        (lambda X: X, lambda y: [y[0], y[1][:5]], r"y\[1\] has 5 samples, X has 30"),
        (lambda X: X, lambda y: [y[0] + 1, y[1]], r"y\[0\] holds 3 at row 2: class ids for 3 outputs are 0 to 2"),
    ],
)
def test_lists_that_do_not_fit(X, y, message):
    net, inputs, targets = two_by_two()
    with pytest.raises(ValueError, match=message):
        net.fit(X(inputs), y(targets))


def test_class_weights_need_one_output():
    net, inputs, targets = two_by_two()
    with pytest.raises(ValueError, match="class_weight needs one output with classes"):
        net.fit(inputs, targets, class_weight="balanced")


# ---- the rest -----------------------------------------------------------------------------------------------------


def test_summary_prints_what_it_returns(capsys):
    net = network(fnn.Dense(4, "tanh"), fnn.Residual(fnn.Dropout(0.1), fnn.Dense(4)), fnn.Dense(1000))
    text = net.summary()
    assert capsys.readouterr().out == text + "\n"
    rows = [line.split() for line in text.splitlines()]
    assert rows[0] == ["input", "(n,", "3)"]
    assert ["layers.0", "(Dense)", "(n,", "4)", "16", "12"] in rows
    assert ["layers.1", "(Residual)", "(n,", "4)", "20", "16"] in rows
    assert "  layers.1.layers.1 (Dense)" in text
    assert ["layers.2", "(Dense)", "(n,", "1000)", "5,000", "4,000"] in rows
    assert text.splitlines()[-1] == "5,036 parameters, 4,028 multiply-adds for each sample"


def test_repr_names_what_the_network_is_made_of():
    text = repr(network(fnn.Dense(4, "tanh"), fnn.Dense(1), optimizer=fnn.SGD(0.5)))
    assert text.startswith("Network([Dense(units=4, activation='tanh'") and "SGD(learning_rate=0.5" in text


def call_fit(net, X, Y):
    net.fit(X, Y, validation_data=(X, Y), epochs=2)


def call_predict(net, X, Y):
    net.predict(X, out=Y)


def call_failing(net, X, Y):
    net.loss = lambda y, p: 1 / 0
    with pytest.raises(ZeroDivisionError):
        net.fit(X, Y)


CALLS = {
    "fit": call_fit, "predict": call_predict, "a fit that fails": call_failing,
    "evaluate": lambda net, X, Y: net.evaluate(X, Y),
    "train_on_batch": lambda net, X, Y: net.train_on_batch(X, Y),
    "loss_and_gradients": lambda net, X, Y: net.loss_and_gradients(X, Y),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_no_array_of_the_user_is_kept(call):
    net = network(metrics=["mae"])
    inputs, targets = X.astype("float32"), Y.astype("float32")
    kept = [weakref.ref(inputs), weakref.ref(targets)]
    CALLS[call](net, inputs, targets)
    del inputs, targets
    gc.collect()
    assert [ref() for ref in kept] == [None, None]


def test_a_network_that_is_dropped_goes():
    net = network()
    net.fit(X, Y)
    net.predict(X[:1])
    kept = [weakref.ref(net), weakref.ref(net.params.base)]
    del net
    gc.collect()
    assert [ref() for ref in kept] == [None, None]
