"""Whatever is wrong in a call, the error says so, and the network is afterwards as if the call had not been made.

"As if" is meant in full: the parameters are the same bytes, and the training that follows gives the same bytes as on a
twin that never saw the failed call, so neither the random state nor a counter nor the optimizer has moved.
"""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import FastnnError, NotFittedError, ShapeError

pytestmark = pytest.mark.filterwarnings("error")

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(50, 4)).astype(np.float32)
REALS = X[:, 0] - X[:, 1]
IDS = np.arange(50) % 3
BINARY = np.arange(50) % 2

LOSSES = {
    "real": (lambda: [fnn.Dense(8, "tanh"), fnn.Dropout(0.1), fnn.Dense(1)], "mse", REALS),
    "classes": (lambda: [fnn.Dense(8, "relu"), fnn.Dropout(0.1), fnn.Dense(3, "softmax")], "cross_entropy", IDS),
    "binary": (lambda: [fnn.Dense(8, "relu"), fnn.Dense(1, "sigmoid")], "binary_cross_entropy", BINARY),
    "sign": (lambda: [fnn.Dense(8, "relu"), fnn.Dense(1)], "hinge", BINARY),
    "count": (lambda: [fnn.Dense(8, "relu"), fnn.Dense(1)], "poisson", IDS),
    "quantile": (lambda: [fnn.Dense(8, "relu"), fnn.Dense(3)], fnn.losses.Quantile((0.1, 0.5, 0.9)), REALS),
    "gaussian": (lambda: [fnn.Dense(8, "relu"), fnn.Dense(2)], "gaussian_nll", REALS),
}
_twins = {}


def network(kind="real", **options):
    layers, loss, _ = LOSSES[kind]
    return fnn.Network(layers(), loss=loss, seed=3, **options)


def trained(kind="real"):
    net = network(kind)
    net.fit(X, LOSSES[kind][2], epochs=2)
    return net


def train_on(net, kind):
    history = net.fit(X, LOSSES[kind][2], epochs=2)
    return net.params.tobytes(), history["loss"]


def assert_fails_without_a_trace(call, error, message, kind="real"):
    """`call(net)` raises exactly this error on a trained network, each time, and leaves no trace in it."""
    if kind not in _twins:
        twin = trained(kind)
        _twins[kind] = twin.params.tobytes(), train_on(twin, kind)
    before, after = _twins[kind]
    net = trained(kind)
    for _ in range(2):  # the second time, buffers and programs of the first may be at hand
        assert_raises(call, net, error, message)
        assert net.params.tobytes() == before
    net.predict(X[:1])
    assert_raises(call, net, error, message)
    assert train_on(net, kind) == after


def assert_builds_nothing(call, error, message):
    """`call(net)` raises this error on a network without parameters; it has none afterwards and trains as a new one."""
    net = network()
    assert_raises(call, net, error, message)
    with pytest.raises(NotFittedError):
        net.params  # noqa: B018
    if "fresh" not in _twins:
        _twins["fresh"] = train_on(network(), "real")
    assert train_on(net, "real") == _twins["fresh"]


def assert_raises(call, net, error, message):
    with pytest.raises(Exception) as caught:
        call(net)
    assert type(caught.value) is error, repr(caught.value)
    assert message in str(caught.value), str(caught.value)


def replaced(array, at, value, dtype=None):
    array = np.array(array, dtype=dtype)
    array[at] = value
    return array


# ---- samples ----------------------------------------------------------------------------------------------------

BAD_X = {
    "too few features": (X[:, :3], ShapeError, "layers.0 (Dense) expects 4 features, got 3"),
    "too many features": (np.ones((50, 5)), ShapeError, "layers.0 (Dense) expects 4 features, got 5"),
    "three axes": (np.ones((50, 2, 2)), ShapeError, "expects X of shape (n, 4), got (50, 2, 2); use X.reshape(-1, 4)"),
    "one axis": (X[0], ShapeError, "expects X of shape (n, 4), got (4,); a single sample is X[None]"),
    "a number": (1.0, ShapeError, "X is a single number"),
    "empty": (X[:0], ShapeError, "X is empty: it has shape (0, 4)"),
    "empty list": ([], ShapeError, "X is empty"),
    "ragged": ([[1, 2, 3, 4], [1, 2]], ShapeError, "X is ragged: row 0 has length 4, row 1 has length 2"),
    "NaN": (replaced(X, (17, 2), np.nan), ValueError, "X holds NaN at row 17, column 2; drop or replace"),
    "infinity": (replaced(X, (49, 3), np.inf), ValueError, "X holds infinity at row 49, column 3"),
    "-infinity": (replaced(X, (0, 0), -np.inf), ValueError, "X holds -infinity at row 0, column 0"),
    "beyond float32": (replaced(X, (1, 1), 1e39, float), ValueError, "X holds 1e+39 at row 1, column 1, beyond"),
    "strings": (X.astype(str), TypeError, "X holds strings"),
    "a string": ("X", TypeError, "X must be an array or a list of numbers, got str"),
    "objects": (X.astype(object), TypeError, "X holds objects"),
    "None inside": ([[1, 2, 3, None]], TypeError, "X holds None at row 0, column 3"),
    "complex": (X.astype(complex), TypeError, "X holds complex numbers"),
    "dates": (np.zeros((50, 4), "M8[s]"), TypeError, "X holds dates"),
    "None": (None, TypeError, "X must be an array or a list of numbers, got NoneType"),
    "a mapping": ({"a": 1}, TypeError, "X must be an array or a list of numbers, got dict"),
    "a generator": ((row for row in X), TypeError, "X must be an array or a list of numbers, got generator"),
    "masked": (np.ma.masked_less(X, 0), ValueError, "X has masked entries"),
}

CALLS = {
    "fit": lambda net, bad: net.fit(bad, REALS),
    "partial_fit": lambda net, bad: net.partial_fit(bad, REALS),
    "train_on_batch": lambda net, bad: net.train_on_batch(bad, REALS),
    "loss_and_gradients": lambda net, bad: net.loss_and_gradients(bad, REALS),
    "evaluate": lambda net, bad: net.evaluate(bad, REALS),
    "predict": lambda net, bad: net.predict(bad),
    "validation": lambda net, bad: net.fit(X, REALS, validation_data=(bad, REALS)),
}


@pytest.mark.parametrize("how", CALLS)
@pytest.mark.parametrize("case", BAD_X)
def test_bad_samples(case, how):
    bad, error, message = BAD_X[case]
    assert_fails_without_a_trace(lambda net: CALLS[how](net, bad), error, message)


@pytest.mark.parametrize("value, word", [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "-infinity")])
@pytest.mark.parametrize("rows", [1, 3, 16, 17])
def test_bad_values_are_found_on_the_short_way_of_predict(rows, value, word):
    net = trained()
    good = net.predict(X[:rows])
    bad = replaced(X[:rows], (rows - 1, 3), value, np.float32)
    for _ in range(3):
        assert_raises(lambda net: net.predict(bad), net, ValueError, f"X holds {word} at row {rows - 1}, column 3")
        assert np.array_equal(net.predict(X[:rows]), good)
    predictor = net.predictor()
    expected = predictor(X[0]).copy()
    with pytest.raises(ValueError, match=f"holds {word} at row 0, column 3"):
        predictor(bad[-1])
    assert np.array_equal(predictor(X[0]), expected)


@pytest.mark.parametrize("how", ["fit", "partial_fit", "train_on_batch", "loss_and_gradients", "validation"])
@pytest.mark.parametrize("case", [case for case in BAD_X if not case.endswith(("features", "axes", "axis"))])
def test_bad_samples_do_not_build_a_network(case, how):
    bad, error, message = BAD_X[case]
    assert_builds_nothing(lambda net: CALLS[how](net, bad), error, message)


def test_after_a_failed_first_fit_another_number_of_features_is_free():
    net = network()
    with pytest.raises(ValueError):
        net.fit(replaced(X[:, :2], (0, 0), np.nan), REALS)
    net.fit(X, REALS)
    assert net.get_weights()["layers.0.weight"].shape == (4, 8)


# ---- targets ----------------------------------------------------------------------------------------------------

BAD_Y = [
    ("real", REALS[:49], ShapeError, "y has 49 samples, X has 50"),
    ("real", np.append(REALS, 1), ShapeError, "y has 51 samples, X has 50"),
    ("real", [], ShapeError, "y has 0 samples, X has 50"),
    ("real", 1.0, ShapeError, "y is a single number"),
    ("real", X, ShapeError, "the network's output needs y of shape (n, 1), got (50, 4)"),
    ("real", np.ones((50, 1, 1)), ShapeError, "the network's output needs y of shape (n, 1), got (50, 1, 1)"),
    ("real", replaced(REALS, 7, np.nan), ValueError, "y holds NaN at row 7"),
    ("real", replaced(REALS, 49, np.inf), ValueError, "y holds infinity at row 49"),
    ("real", replaced(REALS, 3, 1e300, float), ValueError, "y holds 1e+300 at row 3, beyond the range of float32"),
    ("real", REALS.astype(str), TypeError, "y holds strings"),
    ("real", REALS.astype(object), TypeError, "y holds objects"),
    ("real", REALS.astype(complex), TypeError, "y holds complex numbers"),
    ("real", None, TypeError, "y must be an array or a list of numbers, got NoneType"),
    ("classes", IDS[:49], ShapeError, "y has 49 samples, X has 50"),
    ("classes", replaced(IDS, 9, 3), ValueError, "y holds 3 at row 9: class ids for 3 outputs are 0 to 2"),
    ("classes", replaced(IDS, 9, -1), ValueError, "y holds -1 at row 9: class ids for 3 outputs are 0 to 2"),
    ("classes", replaced(IDS, 9, 2**40), ValueError, "y holds 1099511627776 at row 9"),
    ("classes", replaced(IDS, 9, 0.5, float), ValueError, "y holds 0.5 at row 9: class ids are whole numbers"),
    ("classes", replaced(IDS, 9, np.nan, float), ValueError, "y holds NaN at row 9"),
    ("classes", IDS + 1, ValueError, "class ids for 3 outputs are 0 to 2; subtract 1 from y"),
    ("classes", np.eye(4)[IDS], ShapeError, "(n,) for class ids or (n, 3) for one-hot rows, got (50, 4)"),
    ("classes", np.ones((50, 3)), ValueError, "y has the sum 3 at row 0"),
    ("classes", replaced(np.eye(3)[IDS], (5, 1), -1.0), ValueError, "y holds -1.0 at row 5, column 1"),
    ("classes", np.array(["cat", "dog"] * 25), TypeError, "y holds strings"),
    ("binary", replaced(BINARY, 4, 2), ValueError, "y holds 2.0 at row 4: targets are 0, 1 or a probability"),
    ("binary", replaced(BINARY, 4, -1), ValueError, "y holds -1.0 at row 4"),
    ("sign", replaced(BINARY, 4, 2), ValueError, "y holds 2.0 at row 4: labels are -1 and 1, or 0 and 1"),
    ("count", replaced(IDS, 4, -1), ValueError, "y holds -1.0 at row 4: counts are not negative"),
    ("quantile", np.ones((50, 3)), ShapeError, "the network's output needs y of shape (n, 1), got (50, 3)"),
    ("gaussian", np.ones((50, 2)), ShapeError, "the network's output needs y of shape (n, 1), got (50, 2)"),
]


@pytest.mark.parametrize("how", [how for how in CALLS if how != "predict"])
@pytest.mark.parametrize("kind, bad, error, message", BAD_Y, ids=lambda v: v if isinstance(v, str) and " " in v else "")
def test_bad_targets(kind, bad, error, message, how):
    good = LOSSES[kind][2]
    calls = {
        "fit": lambda net: net.fit(X, bad),
        "partial_fit": lambda net: net.partial_fit(X, bad),
        "train_on_batch": lambda net: net.train_on_batch(X, bad),
        "loss_and_gradients": lambda net: net.loss_and_gradients(X, bad),
        "evaluate": lambda net: net.evaluate(X, bad),
        "validation": lambda net: net.fit(X, good, validation_data=(X, bad)),
    }
    assert_fails_without_a_trace(calls[how], error, message, kind)


# ---- the other arguments of fit, predict and evaluate -----------------------------------------------------------

ONES = np.ones(50)
BAD_ARGUMENTS = [
    ("fit", {"batch_size": 0}, ValueError, "batch_size must be a positive integer, got 0"),
    ("fit", {"batch_size": -1}, ValueError, "batch_size must be a positive integer, got -1"),
    ("fit", {"batch_size": 1.5}, TypeError, "batch_size must be a positive integer, got float 1.5"),
    ("fit", {"batch_size": True}, TypeError, "batch_size must be a positive integer, got bool True"),
    ("fit", {"batch_size": 2**63}, ValueError, "batch_size must be a positive integer below 2**63"),
    ("fit", {"batch_size": None}, TypeError, "batch_size must be a positive integer, got None"),
    ("fit", {"epochs": 0}, ValueError, "epochs must be a positive integer, got 0"),
    ("fit", {"epochs": -3}, ValueError, "epochs must be a positive integer, got -3"),
    ("fit", {"epochs": "3"}, TypeError, "epochs must be a positive integer, got str '3'"),
    ("fit", {"epochs": float("nan")}, TypeError, "epochs must be a positive integer, got float nan"),
    ("fit", {"threads": 0}, ValueError, "threads must be a positive integer, got 0"),
    ("fit", {"validation_split": 1.0}, ValueError, "validation_split must be a number from 0 to below 1, got 1"),
    ("fit", {"validation_split": -0.1}, ValueError, "validation_split must be a number from 0 to below 1, got -0.1"),
    ("fit", {"validation_split": "a"}, TypeError, "validation_split must be a number from 0 to below 1, got str"),
    ("fit", {"validation_split": 0.001}, ValueError, "leaves a part empty"),
    ("fit", {"validation_split": 0.5, "validation_data": (X, REALS)}, ValueError, "not both"),
    ("fit", {"validation_data": X}, ValueError, "validation_data: expected (X, y) or (X, y, sample_weight)"),
    ("fit", {"validation_data": (X, REALS, -ONES)}, ValueError, "sample_weight holds -1.0 at row 0"),
    ("fit", {"sample_weight": ONES[:49]}, ShapeError, "sample_weight needs one weight for each of the 50 samples, got"),
    ("fit", {"sample_weight": -ONES}, ValueError, "sample_weight holds -1.0 at row 0: weights are not negative"),
    ("fit", {"sample_weight": 0 * ONES}, ValueError, "sample_weight is 0 for every sample"),
    ("fit", {"sample_weight": replaced(ONES, 8, np.nan)}, ValueError, "sample_weight holds NaN at row 8"),
    ("fit", {"sample_weight": ONES.astype(str)}, TypeError, "sample_weight holds strings"),
    ("fit", {"class_weight": "balanced"}, ValueError, "class_weight needs one output with classes"),
    ("fit", {"verbose": "loud"}, ValueError, "verbose"),
    ("fit", {"callbacks": [print]}, TypeError, "callbacks: expected Callback objects"),
    ("fit", {"callbacks": 3}, TypeError, "callbacks"),
    ("fit", {"shuffle": "no"}, TypeError, "shuffle must be True or False, got str 'no'"),
    ("partial_fit", {"batch_size": 0}, ValueError, "batch_size must be a positive integer, got 0"),
    ("train_on_batch", {"sample_weight": -ONES}, ValueError, "sample_weight holds -1.0 at row 0"),
    ("loss_and_gradients", {"sample_weight": ONES[:3]}, ShapeError, "sample_weight needs one weight for each of the"),
    ("evaluate", {"sample_weight": -ONES}, ValueError, "sample_weight holds -1.0 at row 0"),
    ("predict", {"batch_size": 0}, ValueError, "batch_size must be a positive integer, got 0"),
    ("predict", {"batch_size": "1"}, TypeError, "batch_size must be a positive integer, got str '1'"),
    ("predict", {"threads": -1}, ValueError, "threads must be a positive integer, got -1"),
    ("predict", {"out": np.empty((50, 2), np.float32)}, ValueError, "out: expected an array float32 (50, 1)"),
    ("predict", {"out": np.empty((50, 1))}, ValueError, "out: expected an array float32 (50, 1), got float64"),
    ("predict", {"out": np.empty((50, 2), np.float32)[:, :1]}, ValueError, "out: expected a writable C-contiguous"),
    ("predict", {"out": [1.0] * 50}, ValueError, "out: expected an array float32 (50, 1), got list"),
]  # fmt: skip


@pytest.mark.parametrize("method, options, error, message", BAD_ARGUMENTS)
def test_bad_arguments(method, options, error, message):
    samples = (X,) if method == "predict" else (X, REALS)
    assert_fails_without_a_trace(lambda net: getattr(net, method)(*samples, **options), error, message)
    if method not in ("predict", "evaluate"):
        assert_builds_nothing(lambda net: getattr(net, method)(*samples, **options), error, message)


@pytest.mark.parametrize("weights, error, message", [
    ("balanecd", ValueError, "unknown class_weight 'balanecd'; did you mean 'balanced'?"),
    ([1, 2, 3], TypeError, "class_weight must be 'balanced' or a mapping from class id to weight, got list"),
    ({3: 1.0}, ValueError, "class_weight names class 3, the classes are 0 to 2"),
    ({0: -1.0}, ValueError, "class_weight[0] must be a number not below 0, got -1"),
    ({0: "a"}, TypeError, "class_weight[0] must be a number not below 0, got str 'a'"),
    ({0: 0, 1: 0, 2: 0}, ValueError, "class_weight gives every sample the weight 0"),
])  # fmt: skip
def test_bad_class_weights(weights, error, message):
    assert_fails_without_a_trace(lambda net: net.fit(X, IDS, class_weight=weights), error, message, "classes")


def half_zero():
    return np.repeat([1.0, 0.0], 25)


@pytest.mark.parametrize("kind, call, error, message", [
    ("real", lambda net: net.fit(X, REALS, sample_weight=half_zero(), validation_split=0.2), ValueError,
     "validation_split=0.2 leaves a part whose samples all have the weight 0"),
    ("real", lambda net: net.fit(X, REALS, sample_weight=half_zero()[::-1], validation_split=0.8), ValueError,
     "validation_split=0.8 leaves a part whose samples all have the weight 0"),
    ("classes", lambda net: net.fit(X, IDS, sample_weight=(IDS == 0) * 1.0, class_weight={0: 0}), ValueError,
     "sample_weight and class_weight together give every sample the weight 0"),
])  # fmt: skip
def test_weights_that_leave_nothing(kind, call, error, message):
    assert_fails_without_a_trace(call, error, message, kind)


def no_weights(y_true, y_pred):
    return 0.0


@pytest.mark.parametrize("kind, metric, options, error, message", [
    ("real", "accuracy", {}, ValueError, "y_true holds"),
    ("real", no_weights, {"sample_weight": ONES}, TypeError, "metric 'no_weights' has no argument sample_weight"),
    ("classes", "mae", {}, ShapeError, "needs y_true of shape (n, 3), got (50,"),
    ("classes", fnn.metrics.Precision("binary"), {}, ValueError, "average='binary' needs two classes, got 3"),
])  # fmt: skip
@pytest.mark.parametrize("how", ["fit", "evaluate"])
def test_a_metric_that_does_not_fit_is_known_before_training(kind, metric, options, error, message, how):
    def call(net):
        net.metrics = [metric]
        try:
            getattr(net, how)(X, LOSSES[kind][2], **options)
        finally:
            net.metrics = []

    assert_fails_without_a_trace(call, error, message, kind)


# ---- parameters -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change, error, message", [
    ({"layers.0.weight": np.ones((8, 4))}, ShapeError, "layers.0.weight has shape (4, 8), got (8, 4)"),
    ({"layers.2.weight": np.ones(8)}, ShapeError, "layers.2.weight has shape (8, 1), got (8,)"),
    ({"layers.2.bias": 1.0}, ShapeError, "layers.2.bias has shape (1,), got ()"),
    ({"layers.2.bias": [np.nan]}, ValueError, "layers.2.bias holds NaN at row 0"),
    ({"layers.2.bias": ["1"]}, TypeError, "layers.2.bias holds str '1' at row 0"),
    ({"layers.2.bais": [1.0]}, ValueError, "unknown weight 'layers.2.bais'; did you mean 'layers.2.bias'?"),
    ({"layers.2.bias": ...}, ValueError, "set_weights: missing layers.2.bias"),
])  # fmt: skip
def test_bad_weights_change_none(change, error, message):
    def call(net):
        weights = {name: value + 1 for name, value in net.get_weights().items()}
        weights.update(change)
        net.set_weights({name: value for name, value in weights.items() if value is not ...})

    assert_fails_without_a_trace(call, error, message)


def test_weights_that_were_read_cannot_be_written():
    net = trained()
    with pytest.raises(ValueError, match="read-only"):
        net.get_weights()["layers.0.weight"][0, 0] = 1


@pytest.mark.parametrize("use", [
    lambda net: net.predict(X), lambda net: net.evaluate(X, REALS), lambda net: net.predictor(),
    lambda net: net.params, lambda net: net.grads, lambda net: net.get_weights(), lambda net: net.set_weights({}),
    lambda net: net.summary(),
])  # fmt: skip
def test_nothing_works_before_the_shape_is_known(use):
    net = network()
    with pytest.raises(NotFittedError, match="the network has no parameters yet: call fit, or build"):
        use(net)
    assert issubclass(NotFittedError, (FastnnError, ValueError, AttributeError))
    assert train_on(net, "real") == train_on(network(), "real")


# ---- construction -----------------------------------------------------------------------------------------------

dense = fnn.Dense


@pytest.mark.parametrize("make, error, message", [
    (lambda: dense(0), ValueError, "units must be a positive integer, got 0"),
    (lambda: dense(-5), ValueError, "units must be a positive integer, got -5"),
    (lambda: dense(2.0), TypeError, "units must be a positive integer, got float 2.0"),
    (lambda: dense(True), TypeError, "units must be a positive integer, got bool True"),
    (lambda: dense("3"), TypeError, "units must be a positive integer, got str '3'"),
    (lambda: dense(None), TypeError, "units must be a positive integer, got None"),
    (lambda: dense(2**64), ValueError, "units must be a positive integer below 2**63"),
    (lambda: dense(3, "rleu"), ValueError, "unknown activation 'rleu'; did you mean 'relu'?"),
    (lambda: dense(3, 7), TypeError, "activation: expected a name, None, or a pair of callables"),
    (lambda: dense(3, weight_init="he_unifrom"), ValueError, "unknown initializer 'he_unifrom'; did"),
    (lambda: dense(3, bias_init=2), TypeError, "initializer"),
    (lambda: dense(3, l2=-1), ValueError, "l2 must be a number not below 0, got -1"),
    (lambda: dense(3, l1=float("nan")), ValueError, "l1 must be a number not below 0, got nan"),
    (lambda: dense(3, max_norm=0), ValueError, "max_norm must be a positive number, got 0"),
    (lambda: dense(3, use_bias="no"), TypeError, "use_bias must be True or False, got str 'no'"),
    (lambda: fnn.Dropout(1), ValueError, "rate must be a number from 0 to below 1, got 1"),
    (lambda: fnn.Dropout(-0.5), ValueError, "rate must be a number from 0 to below 1, got -0.5"),
    (lambda: fnn.Dropout("a"), TypeError, "rate must be a number from 0 to below 1, got str 'a'"),
    (lambda: fnn.Reshape((2, 0)), ValueError, "shape must be a positive integer, got 0"),
    (lambda: fnn.Reshape((-1, -1)), ValueError, "shape: at most one axis may be -1"),
    (lambda: fnn.Reshape((2, 1.5)), TypeError, "each size in shape must be a positive integer, got float 1.5"),
    (lambda: fnn.Input(0), ValueError, "shape must be a positive integer, got 0"),
    (lambda: fnn.SGD(0), ValueError, "learning_rate must be a positive number, got 0"),
    (lambda: fnn.SGD(-0.1), ValueError, "learning_rate must be a positive number, got -0.1"),
    (lambda: fnn.SGD("0.1"), TypeError, "learning_rate must be a positive number, got str '0.1'"),
    (lambda: fnn.SGD(0.1, momentum=1.0), ValueError, "momentum must be a number from 0 to below 1, got 1"),
    (lambda: fnn.Adam(beta1=1.0), ValueError, "beta1 must be a number from 0 to below 1, got 1"),
    (lambda: fnn.Adam(clip_norm=0), ValueError, "clip_norm must be a positive number, got 0"),
    (lambda: fnn.CoordinateSearch(step=0), ValueError, "step must be a positive number, got 0"),
    (lambda: fnn.Network([]), TypeError, "layers: expected a list of layers, got []"),
    (lambda: fnn.Network(["dense"]), TypeError, "layers[0]: expected a layer, got 'dense'"),
    (lambda: fnn.Network([dense]), TypeError, "write fnn.Dense(...)"),
    (lambda: fnn.Network([dense(1)], loss="msee"), ValueError, "unknown loss 'msee'; did you mean 'mse'?"),
    (lambda: fnn.Network([dense(1)], optimizer="adm"), ValueError, "unknown optimizer 'adm'; did you mean 'adam'?"),
    (lambda: fnn.Network([dense(1)], metrics=["acuracy"]), ValueError, "unknown metric 'acuracy'; did you"),
    (lambda: fnn.Network([dense(1)], metrics="acuracy"), ValueError, "unknown metric 'acuracy'; did you"),
    (lambda: fnn.Network([dense(1)], dtype="float16"), ValueError, "unknown dtype 'float16'; did you mean 'float"),
    (lambda: fnn.Network([dense(1)], precision="hihg"), ValueError, "unknown precision 'hihg'; did you mean 'high'?"),
    (lambda: fnn.Network([dense(1)], seed=-1), ValueError, "seed must be an integer not below 0, got -1"),
    (lambda: fnn.Network([dense(1)], seed=1.5), TypeError, "seed must be an integer not below 0, got float 1.5"),
    (lambda: fnn.Network([dense(1)], input_shape=0), ValueError, "input_shape must be a positive integer, got 0"),
    (lambda: fnn.Network([dense(1)], input_shape=(2, -1)), ValueError, "each size in input_shape must be a"),
    (lambda: fnn.Network([dense(1)], input_shape="4"), TypeError, "input_shape must be a positive integer, got str"),
    (lambda: fnn.Network([dense(1, "softmax")], input_shape=4), ShapeError, "softmax needs at least 2 units"),
    (lambda: fnn.Network([dense(1, weight_init=np.ones(2))], input_shape=4), ShapeError, "has shape (4, 1), got (2,)"),
    (lambda: fnn.Network([dense(1, "sigmoid")], loss="cross_entropy", input_shape=4), ValueError, "does not fit after"),
])  # fmt: skip
def test_bad_constructions(make, error, message):
    assert_raises(lambda _: make(), None, error, message)


@pytest.mark.parametrize("units", [2**31 - 1, 2**31 + 1, 2**44, 2**62, 2**63 - 1])
def test_a_layer_that_no_memory_holds_is_a_memory_error(units):
    net = fnn.Network([fnn.Dense(units), fnn.Dense(units), fnn.Dense(1)], loss="mse", seed=3)
    for call in (lambda: net.fit(X, REALS), lambda: net.build(4), lambda: net.train_on_batch(X, REALS)):
        with pytest.raises(MemoryError):
            call()
        with pytest.raises(NotFittedError):
            net.params  # noqa: B018


@pytest.mark.parametrize("setting, value, error, message", [
    ("loss", "msee", ValueError, "unknown loss 'msee'"),
    ("loss", 3, TypeError, "loss"),
    ("optimizer", "adm", ValueError, "unknown optimizer 'adm'"),
    ("optimizer", None, TypeError, "optimizer"),
    ("metrics", ["acuracy"], ValueError, "unknown metric 'acuracy'"),
    ("metrics", 3, TypeError, "metric"),
])  # fmt: skip
def test_bad_settings_of_a_trained_network(setting, value, error, message):
    assert_fails_without_a_trace(lambda net: setattr(net, setting, value), error, message)


# ---- several inputs and outputs ---------------------------------------------------------------------------------


def two_by_two():
    a, b = fnn.Input(4), fnn.Input(2)
    h = fnn.Dense(5, "tanh")(fnn.Concat()([a, b]))
    return fnn.Network(
        inputs=[a, b], outputs=[fnn.Dense(1)(h), fnn.Dense(3, "softmax")(h)], loss=["mse", "cross_entropy"], seed=1
    )


@pytest.mark.parametrize("inputs, outputs, error, message", [
    (X, [REALS, IDS], ShapeError, "X: the network has 2, expected a list of 2 arrays, got one ndarray"),
    ([X], [REALS, IDS], ShapeError, "X: the network has 2, expected a list of 2 arrays, got 1"),
    ([X, X], [REALS, IDS], ShapeError, "expects 2 features, got 4: X[1] has shape (50, 4)"),
    ([X, X[:49, :2]], [REALS, IDS], ShapeError, "X[1] has 49 samples, X[0] has 50"),
    ([X, replaced(X[:, :2], (3, 1), np.nan)], [REALS, IDS], ValueError, "X[1] holds NaN at row 3, column 1"),
    ([X, X[:, :2]], REALS, ShapeError, "y: the network has 2, expected a list of 2 arrays, got one ndarray"),
    ([X, X[:, :2]], [REALS, IDS + 1], ValueError, "y[1] holds 3 at row 2: class ids for 3 outputs are 0 to 2"),
    ([X, X[:, :2]], [replaced(REALS, 5, np.inf), IDS], ValueError, "y[0] holds infinity at row 5"),
])  # fmt: skip
def test_several_inputs_and_outputs(inputs, outputs, error, message):
    net, twin = two_by_two(), two_by_two()
    good = [X, X[:, :2]], [REALS, IDS]
    assert_raises(lambda net: net.fit(inputs, outputs), net, error, message)
    assert_raises(lambda net: net.evaluate(inputs, outputs), net, error, message)
    for each in (net, twin):
        each.fit(*good, epochs=2)
    assert net.params.tobytes() == twin.params.tobytes()
