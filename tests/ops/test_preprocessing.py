"""Layers that learn from data: what they learn and when, what they let through, and what they refuse.

The battery of cases.py has their forward and backward passes.
"""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fnn

NAN = float("nan")
DTYPES = ["float32", "float64"]


def table(rows=60, features=4, seed=0):
    """Features of very different size, and targets."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, features)) * 10.0 ** np.arange(features) + 100
    return X, rng.normal(size=(rows, 1))


def with_gaps(X, share=0.2, seed=1):
    X = X.copy()
    X[np.random.default_rng(seed).random(X.shape) < share] = NAN
    return X


def network(*layers, dtype="float64", **options):
    return fnn.Network([*layers, fnn.Dense(1)], dtype=dtype, seed=0, **options)


def adapted(layer, X, dtype="float64"):
    return fnn.Network([layer], dtype=dtype).adapt(X)


def learned(net, layer=0):
    prefix = f"layers.{layer}."
    return {name.removeprefix(prefix): w.copy() for name, w in net.get_weights().items() if name.startswith(prefix)}


# ---- what is learned ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_standardize_is_scikit_learns(dtype):
    X = table()[0].astype(dtype)
    X[:, 1] = 0.1  # constant but for rounding
    scaler = pytest.importorskip("sklearn.preprocessing").StandardScaler().fit(X.astype("float64"))
    net = adapted(fnn.Standardize(), X, dtype)
    eps = np.finfo(dtype).eps
    rounding = eps + 60 * np.finfo("float64").eps  # of one number to the dtype, and of scikit-learn's sums
    np.testing.assert_allclose(learned(net)["mean"], scaler.mean_, rtol=rounding)
    np.testing.assert_allclose(learned(net)["deviation"], scaler.scale_, rtol=rounding)
    # The mean is rounded to the dtype: by half a unit of values up to 100, beside deviations of 1 and more
    np.testing.assert_allclose(net.predict(X), scaler.transform(X.astype("float64")), rtol=8 * eps, atol=100 * eps)


def test_many_rows_far_from_0_cost_no_digits():
    """Several chunks, of a mean that is 1e6 times the deviation; the variance by two passes over longer numbers."""
    X = 1e6 + np.random.default_rng(0).standard_normal((200_000, 2))
    state = learned(adapted(fnn.Standardize(), X))
    exact = X.astype(np.longdouble)
    np.testing.assert_allclose(state["mean"], exact.mean(axis=0).astype(float), rtol=1e-15)
    np.testing.assert_allclose(state["deviation"], exact.std(axis=0).astype(float), rtol=1e-12)


def test_statistics_do_not_depend_on_the_order():
    X = table(50_000, 3)[0]
    one, other = learned(adapted(fnn.Standardize(), X)), learned(adapted(fnn.Standardize(), X[::-1]))
    for role in one:
        np.testing.assert_allclose(one[role], other[role], rtol=1e-13)


def test_steps_and_pixels_share_the_statistics_of_their_feature():
    X = np.random.default_rng(0).normal(3, 2, (20, 4, 5, 3))
    state = learned(adapted(fnn.Standardize(), X))
    np.testing.assert_allclose(state["mean"], X.mean(axis=(0, 1, 2)), rtol=1e-14)
    np.testing.assert_allclose(state["deviation"], X.std(axis=(0, 1, 2)), rtol=1e-14)


def test_padding_is_not_learned_from():
    sequences = [np.full((2, 1), 4.0), np.full((5, 1), 8.0), np.full((1, 1), 4.0)]
    net = fnn.Network([fnn.Standardize(), fnn.LSTM(2)], dtype="float64", seed=0).adapt(sequences)
    assert learned(net)["mean"].tolist() == [(3 * 4 + 5 * 8) / 8]
    codes = [np.array([[3.0], [5.0]]), np.array([[3.0]])]
    net = fnn.Network([fnn.OneHot(0), fnn.LSTM(2)], dtype="float64", seed=0).adapt(codes)
    assert learned(net) == {"categories.0": pytest.approx([3, 5])}


def test_one_hot_is_scikit_learns():
    rng = np.random.default_rng(0)
    X = np.stack([rng.integers(-2, 3, 50), rng.normal(size=50), rng.choice([0.5, 7, NAN], 50)], axis=1)
    encoders = pytest.importorskip("sklearn.preprocessing")
    encoder = encoders.OneHotEncoder(sparse_output=False, handle_unknown="ignore").fit(X[:, [2, 0]])
    net = adapted(fnn.OneHot([2, 0], missing=True), X)
    X[:3, 0] = 99  # unknown: none of the categories
    y = net.predict(X)
    assert y.shape == (50, 1 + 3 + 6)
    np.testing.assert_array_equal(y[:, 0], X[:, 1])
    np.testing.assert_array_equal(y[:, 1:9], encoder.transform(X[:, [2, 0]]))
    np.testing.assert_array_equal(y[:, 9], 0)


def test_a_later_layer_learns_from_what_the_earlier_ones_make():
    X = np.array([[0.0, 10], [1, 20], [0, 30], [2, 60]])
    net = fnn.Network([fnn.OneHot(0), fnn.Standardize()], dtype="float64").adapt(X)
    y = net.predict(X)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(y.std(axis=0), 1, rtol=1e-15)
    assert learned(net, 1)["mean"].tolist() == [30, 0.5, 0.25, 0.25]
    behind = fnn.Network([fnn.Dense(3, "tanh"), fnn.Standardize(), fnn.Reshape((3,)), fnn.OneHot(1)], seed=2)
    z = behind.adapt(X / 10).predict(X / 10)
    assert z.shape == (4, 2 + 4)
    np.testing.assert_allclose(z[:, :2].std(axis=0), 1, rtol=1e-5)
    np.testing.assert_array_equal(z[:, 2:].sum(axis=1), 1)


def test_a_chain_in_many_chunks():
    rng = np.random.default_rng(0)
    X = np.stack([rng.integers(0, 5, 70_001), rng.normal(7, 3, 70_001)], axis=1)
    net = fnn.Network([fnn.OneHot(0), fnn.Standardize()], dtype="float64").adapt(X)
    shares = np.bincount(X[:, 0].astype(int)) / len(X)
    np.testing.assert_allclose(learned(net, 1)["mean"], [X[:, 1].mean(), *shares], rtol=1e-12)


def test_several_inputs_and_a_shared_layer():
    a, b = fnn.Input(2), fnn.Input(2)
    scale, codes = fnn.Standardize(), fnn.OneHot(0)
    out = fnn.Dense(1)(fnn.Concat()([scale(a), scale(b), codes(a)]))
    net = fnn.Network(inputs=[a, b], outputs=out, dtype="float64", seed=0)
    X = [np.array([[1.0, 2], [3, 4], [1, 6]]), np.full((3, 2), 100.0)]
    net.fit(X, [1, 2, 3], verbose=0)
    assert learned(net)["mean"].tolist() == pytest.approx([5 / 3, 4])  # by its first call
    assert net.predict(X).shape == (3, 1)


# ---- when it is learned ------------------------------------------------------------------------------------------


def test_the_first_fit_learns_from_its_training_part_alone():
    X, y = table()
    net = network(fnn.Standardize())
    net.fit(X, y, validation_split=0.25, sample_weight=np.arange(60), verbose=0)
    np.testing.assert_allclose(learned(net)["mean"], X[:45].mean(axis=0), rtol=1e-14)
    codes = np.arange(10.0)[:, None]
    other = network(fnn.OneHot(0)).fit(codes, codes, validation_split=0.4, verbose=0)
    assert "val_loss" in other


def test_categories_of_the_validation_part_are_unknown():
    codes = np.arange(10.0)[:, None]
    net = network(fnn.OneHot(0))
    net.fit(codes, codes, validation_split=0.4, verbose=0)
    assert learned(net)["categories.0"].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("first", ["fit", "partial_fit", "train_on_batch", "adapt"])
def test_a_further_fit_leaves_what_was_learned(first):
    X, y = table()
    net = network(fnn.Standardize())
    (net.adapt(X) if first == "adapt" else getattr(net, first)(X, y))
    before = learned(net)
    np.testing.assert_allclose(before["mean"], X.mean(axis=0), rtol=1e-14)
    net.fit(5 * X, y, verbose=0)
    for role, values in before.items():
        assert np.array_equal(learned(net)[role], values)


def test_adapt_learns_anew_and_keeps_the_parameters():
    X, y = table()
    net = network(fnn.Standardize(missing="mean"))
    net.fit(X, y, verbose=0)
    params, steps = net.params.copy(), net._state.steps
    assert net.adapt(X + 7) is net
    np.testing.assert_allclose(learned(net)["mean"], X.mean(axis=0) + 7, rtol=1e-14)
    assert np.array_equal(net.params, params) and net._state.steps == steps


def test_standardized_training_is_that_on_standardized_data():
    X, y = table()
    inside, outside = network(fnn.Standardize()), network(fnn.Activation("linear"))
    losses = inside.fit(X, y, epochs=3, verbose=0)["loss"]
    standardized = (X - X.mean(axis=0)) / X.std(axis=0)
    np.testing.assert_allclose(losses, outside.fit(standardized, y, epochs=3, verbose=0)["loss"], rtol=1e-10)
    np.testing.assert_allclose(inside.params, outside.params, rtol=1e-9)


def test_a_network_that_was_built_learns_at_its_first_fit():
    X, y = table()
    net = network(fnn.Standardize(), input_shape=4)
    assert not learned(net)["deviation"].any()
    net.fit(X, y, verbose=0)
    np.testing.assert_allclose(learned(net)["mean"], X.mean(axis=0), rtol=1e-14)


@pytest.mark.parametrize("built", [False, True])
def test_a_fit_that_fails_before_its_first_step_leaves_nothing(built):
    X, y = table()
    net = network(fnn.Standardize(), **({"input_shape": 4} if built else {}))

    class Refuses(fnn.Callback):
        def on_batch_begin(self, batch):
            raise OSError("no")

    with pytest.raises(OSError, match="no"):
        net.fit(X, y, callbacks=[Refuses()], verbose=0)
    assert (net._state is None) != built
    if built:
        assert not learned(net)["deviation"].any()
    with pytest.raises(ValueError, match="y has 5 samples"):
        net.fit(X, y[:5], verbose=0)
    with pytest.raises(fnn.NotFittedError):
        net.predict(X)
    net.fit(2 * X, y, verbose=0)
    np.testing.assert_allclose(learned(net)["mean"], 2 * X.mean(axis=0), rtol=1e-14)


def test_a_fit_that_fails_after_a_step_keeps_what_was_learned():
    X, y = table()
    net = network(fnn.Standardize(), input_shape=4)

    class Refuses(fnn.Callback):
        def on_batch_end(self, batch, logs):
            raise OSError("no")

    with pytest.raises(OSError, match="no"):
        net.fit(X, y, callbacks=[Refuses()], verbose=0)
    assert net._state.steps == 1
    np.testing.assert_allclose(learned(net)["mean"], X.mean(axis=0), rtol=1e-14)


def test_the_search_for_a_learning_rate_learns_for_itself():
    X, y = table()
    net = network(fnn.Standardize(), input_shape=4)
    params = net.params.copy()
    assert np.isfinite(net.lr_find(X, y, steps=5).losses).all()
    assert not learned(net)["deviation"].any() and np.array_equal(net.params, params)
    with pytest.raises(fnn.NotFittedError, match="learned nothing"):
        net.predict(X)


def test_batches_one_by_one_need_a_network_that_has_learned():
    X, y = table()
    batches = [(X[:30], y[:30]), (X[30:], y[30:])]
    for layer in (fnn.Standardize(), fnn.OneHot(0)):
        net = network(layer)
        with pytest.raises(fnn.NotFittedError, match=rf"layers.0 \({type(layer).__name__}\).*net\.adapt\(X\)"):
            net.fit(batches, verbose=0)
        assert net._state is None
        net.adapt(X).fit(batches, verbose=0)
        assert net._state.steps == 2


def test_a_network_that_has_learned_nothing_refuses_to_predict():
    X, y = table()
    for net in (network(fnn.Standardize(), input_shape=4), network(fnn.Dense(4), fnn.Standardize(), input_shape=4)):
        for call, arguments in (
            (net.predict, [X]), (net.evaluate, [X, y]), (net.predictor, []), (net.loss_and_gradients, [X, y])
        ):  # fmt: skip
            with pytest.raises(fnn.NotFittedError, match="Standardize.*has learned nothing from data yet"):
                call(*arguments)
    net = fnn.Network([fnn.Standardize(), fnn.Dense(1)], input_shape=(3, 2))
    with pytest.raises(fnn.NotFittedError, match="has learned nothing"):
        net.stream()
    net = network(fnn.OneHot(0), input_shape=4)
    for call in (lambda: net.predict(X), lambda: net.build(4), lambda: net.params):
        with pytest.raises(fnn.NotFittedError):
            call()


def test_data_larger_than_memory_are_read_where_they_lie(tmp_path):
    """A file is read in place, in chunks: what is made beside it is far smaller than it."""
    import tracemalloc

    X = np.lib.format.open_memmap(tmp_path / "X.npy", mode="w+", dtype="float32", shape=(400_000, 20))
    X[:] = np.random.default_rng(0).normal(5, 2, X.shape[1])
    X[::2] += 1
    X.flush()
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    net = network(fnn.Standardize(), fnn.Standardize(), dtype="float32")
    tracemalloc.start()
    net.adapt(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes / 8
    np.testing.assert_allclose(learned(net)["deviation"], 0.5, rtol=1e-6)
    np.testing.assert_allclose(learned(net, 1)["deviation"], 1, rtol=1e-5)


# ---- missing values ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("missing", ["mean", "median", 0, -2.5])
def test_missing_values_are_filled(dtype, missing):
    X = with_gaps(table()[0]).astype(dtype)
    there = ~np.isnan(X)
    net = adapted(fnn.Standardize(missing=missing, indicator=True), X, dtype)
    state, y = learned(net), net.predict(X)
    np.testing.assert_allclose(state["mean"], np.nanmean(X.astype("float64"), axis=0), rtol=1e-6)
    np.testing.assert_allclose(state["deviation"], np.nanstd(X.astype("float64"), axis=0), rtol=1e-6)
    np.testing.assert_array_equal(y[:, 4:], ~there)
    filling = state.get(missing, missing)
    assert set(state) == {"mean", "deviation", *({"median"} & {missing})}
    filled = (filling - state["mean"]) / state["deviation"]
    np.testing.assert_allclose(y[:, :4][~there], np.broadcast_to(filled, X.shape)[~there], rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [59, 60, 40_000])
def test_the_median_is_that_of_scikit_learns_imputer(rows, dtype):
    """Of an odd and an even number of values, of other numbers in each feature, and of samples in several chunks."""
    X = with_gaps(table(rows)[0]).astype(dtype)
    X[:3, 2] = 1e7  # moves the mean
    imputer = pytest.importorskip("sklearn.impute").SimpleImputer(strategy="median").fit(X)
    net = adapted(fnn.Standardize(missing="median"), X, dtype)
    state = learned(net)
    np.testing.assert_allclose(state["median"], imputer.statistics_, rtol=np.finfo(dtype).eps)
    expected = (imputer.transform(X).astype("float64") - state["mean"]) / state["deviation"]
    # The median and the mean are rounded to the dtype, far from 0
    atol = 8 * np.finfo(dtype).eps * (abs(state["median"]) / state["deviation"]).max()
    np.testing.assert_allclose(net.predict(X), expected, rtol=8 * np.finfo(dtype).eps, atol=atol)


def test_a_median_that_was_learned_anew_holds_at_once():
    """In the programs that are there, where features lie side by side several times as well."""
    X, gaps = table(40, 6)[0].reshape(20, 6, 2), np.full((1, 6, 2), NAN)
    net = adapted(fnn.Standardize(missing="median"), X)
    predict, first = net.predictor(), net.predict(gaps)
    state = learned(net)
    expected = np.broadcast_to((state["median"] - state["mean"]) / state["deviation"], (1, 6, 2))
    np.testing.assert_allclose(first, expected, rtol=1e-12)
    np.testing.assert_array_equal(predict(gaps), first)
    net.adapt(X**2)
    state = learned(net)
    again = np.broadcast_to((state["median"] - state["mean"]) / state["deviation"], (1, 6, 2))
    np.testing.assert_allclose(net.predict(gaps), again, rtol=1e-12)
    np.testing.assert_allclose(predict(gaps), again, rtol=1e-12)


def test_predictions_with_missing_values_do_not_depend_on_the_way():
    """predict for many and for few, the predictor, streams and training see the same numbers."""
    X, y = table()
    X = with_gaps(X)
    net = network(fnn.Standardize(missing="mean", indicator=True), fnn.Dense(5, "tanh"))
    net.fit(X, y, verbose=0)
    whole = net.predict(X)
    few = [net.predict(X[i : i + 2]) for i in range(0, 60, 2)]
    np.testing.assert_allclose(np.concatenate(few), whole, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose([net.predictor()(row) for row in X], whole, rtol=1e-13, atol=1e-15)
    assert np.mean((whole - y) ** 2) == pytest.approx(net.loss_and_gradients(X, y)[0], rel=1e-13)
    steps = fnn.Network([fnn.Standardize(missing=0.0), fnn.LSTM(3, return_sequences=True)], dtype="float64", seed=0)
    sequences = X.reshape(10, 6, 4)
    expected = steps.adapt(sequences).predict(sequences[:1])[0]
    stream = steps.stream()
    np.testing.assert_allclose([stream.step(row) for row in sequences[0]], expected, rtol=1e-12, atol=1e-15)


def test_nan_passes_only_where_all_readers_take_it():
    X, y = table(20)
    gaps = X.copy()
    gaps[3, 2] = NAN
    x = fnn.Input(4)
    takes = fnn.Standardize(missing="mean")(x)
    for net in (
        fnn.Network([fnn.Standardize(), fnn.Dense(1)], dtype="float64"),
        fnn.Network(inputs=x, outputs=fnn.Dense(1)(fnn.Concat()([takes, x])), dtype="float64"),
        fnn.Network([fnn.Dense(4), fnn.Standardize(missing="mean")], dtype="float64"),
        fnn.Network([fnn.OneHot(0), fnn.Dense(1)], dtype="float64"),
    ):
        for call, arguments in ((net.fit, (gaps, y)), (net.adapt, [gaps])):
            with pytest.raises(ValueError, match="X holds NaN at row 3, column 2"):
                call(*arguments)
        if "Standardize" not in repr(net.layers[-1]):
            net.fit(X, y, verbose=0)
        else:
            net.adapt(X)
        for call, x in ((net.predict, gaps), (net.predict, gaps[3:4]), (net.predictor(), gaps[3])):
            with pytest.raises(ValueError, match="X holds NaN"):
                call(x)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_refused_all_the_same(value):
    X, y = table(20)
    bad = with_gaps(X)
    bad[5, 1] = value
    net = network(fnn.Standardize(missing="mean"))
    sign = "" if value > 0 else "-"
    for call in (lambda: net.fit(bad, y, verbose=0), lambda: net.adapt(X).predict(bad), lambda: net.predict(bad[5:6])):
        with pytest.raises(ValueError, match=f"X holds {sign}infinity at row"):
            call()


def test_nan_through_one_hot_to_a_layer_that_takes_it():
    """The columns that pass may be missing where the next layer fills them; categories where they are one."""
    X = np.array([[0, 1.0, 5], [1, NAN, 6], [2, 3, NAN], [0, 4, 8]])
    net = network(fnn.OneHot(0), fnn.Standardize(missing="mean"))
    net.fit(X, np.arange(4), verbose=0)
    assert np.isfinite(net.predict(X)).all()
    missing_category = X.copy()
    missing_category[2, 0] = NAN
    with pytest.raises(ValueError, match="X holds NaN at row 2, column 0"):
        net.predict(missing_category)
    with pytest.raises(ValueError, match="X holds NaN at row 0, column 0"):
        net.predict(missing_category[2:3])
    with pytest.raises(ValueError, match=r"layers.0 \(OneHot\): column 0 holds NaN; missing=True"):
        network(fnn.OneHot(0), fnn.Standardize(missing="mean")).fit(missing_category, np.arange(4), verbose=0)
    taking = network(fnn.OneHot(0, missing=True), fnn.Dense(2)).adapt(np.nan_to_num(X))
    with pytest.raises(ValueError, match="X holds NaN at row 1, column 1"):
        taking.predict(missing_category)
    assert taking.predict(np.where([True, False, False], missing_category, 0)).shape == (4, 1)


def test_under_another_shape_all_features_are_missing_or_none():
    net = fnn.Network([fnn.Reshape((2, 2)), fnn.Standardize(missing="mean")], dtype="float64")
    y = net.adapt([[1, NAN, 3, 4.0], [5, 6, NAN, 10]]).predict([[NAN, 1, 1, NAN]])
    assert y[0, 0, 0] == y[0, 1, 1] == 0


# ---- categories --------------------------------------------------------------------------------------------------


def test_an_unknown_category_is_an_error_if_asked_for():
    X = np.array([[1.0, 0], [4, 0], [4, 1]])
    net = network(fnn.OneHot(0, unknown="error"), fnn.Standardize())
    net.fit(X, [1, 2, 3], verbose=0)
    bad = np.array([[1.0, 5], [2, 5]])
    message = r"X holds 2 at row 1, column 0: layers.0 \(OneHot\) knows no such category"
    for call in (lambda: net.predict(bad), lambda: net.evaluate(bad, [1, 2]), lambda: net.fit(bad, [1, 2], verbose=0)):
        with pytest.raises(ValueError, match=message):
            call()
    net.predict(X[:1])  # after which short calls go the short way, where there is one
    with pytest.raises(ValueError, match="X holds 2 at row 0"):
        net.predict(bad[1:])
    with pytest.raises(ValueError, match="X holds 2 at row 0"):
        net.predictor()(bad[1])
    assert net.predictor()(bad[0]).shape == (1,)
    steps = fnn.Network([fnn.OneHot(0, unknown="error"), fnn.Dense(1)], dtype="float64").adapt(X.reshape(3, 2, 1))
    stream = steps.stream()
    assert stream.step([4.0]).shape == (1,)
    with pytest.raises(ValueError, match="X holds 7"):
        stream.step([7.0])
    assert stream.position == 1


def test_categories_that_are_given():
    net = fnn.Network([fnn.OneHot([1], categories=[[3, 1, 2]])], input_shape=2, dtype="float64")
    assert net.predict([[5, 1], [6, 2], [7, 9]]).tolist() == [[5, 0, 1, 0], [6, 0, 0, 1], [7, 0, 0, 0]]
    assert net.adapt([[5, 9]]).predict([[5, 3]]).tolist() == [[5, 1, 0, 0]]


def test_adapt_to_another_number_of_categories():
    X = np.array([[1.0], [4], [4]])
    net = network(fnn.OneHot(0), fnn.Standardize())
    net.fit(X, [1, 2, 3], verbose=0)
    before = {name: w.tolist() for name, w in net.get_weights().items()}
    with pytest.raises(fnn.ShapeError, match="categories.0: the network has 2, and these samples have 3"):
        net.adapt([[1.0], [2], [3]])
    assert {name: w.tolist() for name, w in net.get_weights().items()} == before
    assert learned(net.adapt([[7.0], [8]]))["categories.0"].tolist() == [7, 8]


# ---- saving, copies, estimators ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_saved_with_the_network(dtype, tmp_path):
    X, y = table()
    X[:, 0] = np.arange(60) % 5
    X = with_gaps(X)
    net = network(fnn.OneHot(0, missing=True), fnn.Standardize(missing="median", indicator=True), dtype=dtype)
    net.fit(X, y, verbose=0)
    net.save(tmp_path / "net.safetensors")
    for again in (fnn.load(tmp_path / "net.safetensors"), pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert np.array_equal(again.predict(X), net.predict(X))
        other = copy.deepcopy(net)
        assert again.fit(X, y, epochs=2, verbose=0)["loss"] == other.fit(X, y, epochs=2, verbose=0)["loss"]
    untrained = network(fnn.OneHot(0))
    untrained.save(tmp_path / "untrained.safetensors")
    assert fnn.load(tmp_path / "untrained.safetensors").fit(y[:5], y[:5], verbose=0)["loss"]


def test_estimators_learn_at_each_fit_and_clone_without_it():
    pytest.importorskip("sklearn")
    from sklearn.base import clone
    from sklearn.model_selection import cross_val_score

    from fastnn.sklearn import NetworkClassifier, NetworkRegressor

    X, y = table(80)
    X[:, 0] = np.arange(80) % 3
    X, labels = with_gaps(X, 0.1), np.where(X[:, 0] == 1, "one", "other")
    layers = [fnn.OneHot(0, missing=True), fnn.Standardize(missing="mean")]
    model = NetworkClassifier(layers, optimizer=fnn.Adam(0.05), epochs=40, random_state=0).fit(X, labels)
    assert model.score(X, labels) > 0.85  # a tenth of the codes are missing
    assert learned(model.network_, 1)["mean"][0] == pytest.approx(np.nanmean(X[:, 1]))
    again = clone(model).fit(X * [1, 2, 1, 1], labels)
    assert learned(again.network_, 1)["mean"][0] == pytest.approx(2 * np.nanmean(X[:, 1]))
    assert cross_val_score(model, X, labels, cv=2).min() > 0.7
    strict = NetworkRegressor([fnn.Standardize()], epochs=1)
    assert not strict.__sklearn_tags__().input_tags.allow_nan and model.__sklearn_tags__().input_tags.allow_nan
    with pytest.raises(ValueError, match="NaN"):
        strict.fit(X, y[:, 0])


# ---- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: fnn.Standardize(missing="mode"), "unknown filling of missing values 'mode'.*Known: mean, median"),
        (lambda: fnn.Standardize(missing=NAN), "missing must be a finite number"),
        (lambda: fnn.Standardize(indicator=True), "indicator: nothing is missing"),
        (lambda: fnn.OneHot([]), "columns: expected one or more different columns"),
        (lambda: fnn.OneHot([1, 1]), "columns: expected one or more different columns"),
        (lambda: fnn.OneHot(-1), "each of columns must be an integer not below 0"),
        (lambda: fnn.OneHot([0, 1], categories=[[1]]), "for each of 2 columns, got 1"),
        (lambda: fnn.OneHot(0, categories=[[1, 1.0]]), "one or more different numbers for each column"),
        (lambda: fnn.OneHot(0, categories=[[NAN]]), "each category must be a finite number"),
        (lambda: fnn.OneHot(0, unknown="ignore"), "unknown treatment of unknown categories 'ignore'"),
        (lambda: network(fnn.OneHot(4)).adapt(np.ones((2, 4))), "layers.0 .OneHot.: there is no column 4 among 4"),
        (lambda: network(fnn.Dense(2), fnn.OneHot(0, unknown="error"), input_shape=3), "has to stand first"),
        (lambda: adapted(fnn.Standardize(missing="mean"), [[1, NAN], [2, NAN]]), "feature 1 is missing in all samples"),
        (lambda: adapted(fnn.OneHot(0, missing=True), [[NAN], [NAN]]), "column 0 is missing in all samples"),
        (lambda: adapted(fnn.Standardize(), [[1e300], [-1e300]]), "feature 0 lie too far apart for float64"),
    ],
)
def test_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_declared_shape_holds_whatever_comes_first():
    """Categories are learned from sequences of any length, and the network is made for the one that was said."""
    X = np.array([[[1.0, 5], [2, 6]], [[3, 7], [1, 8]]])
    for net in (
        fnn.Network([fnn.OneHot(0), fnn.LSTM(2)], input_shape=(4, 2), dtype="float64", seed=0),
        fnn.Network(inputs=(x := fnn.Input((4, 2))), outputs=fnn.LSTM(2)(fnn.OneHot(0)(x)), dtype="float64", seed=0),
    ):
        assert net._state is None
        assert net.adapt(X)._state.graph.inputs[0].shape == (4, 2)
        assert learned(net)["categories.0"].tolist() == [1, 2, 3]
        assert net.predict(X).shape == (2, 2)
        with pytest.raises(fnn.ShapeError, match="expects X of shape"):
            net.predict(X[..., :1])
    with pytest.raises(fnn.ShapeError, match=r"layers.0 \(OneHot\) expects 3 features, got 2"):
        network(fnn.OneHot(0), input_shape=3).fit([[1, 2]], [1])


def test_planning_makes_no_list_of_all_features():
    """A file may claim any shape."""
    structure = fnn.Network([fnn.OneHot(0, categories=[[1]], missing=True), fnn.Activation("relu")])._structure
    assert structure.plan(((2**40,),)).outputs[0].shape == (2**40 + 1,)


def test_a_solver_takes_them():
    X, y = table()
    net = network(fnn.Standardize(missing="mean"), optimizer=fnn.LBFGS())
    net.fit(with_gaps(X), y, epochs=20, verbose=0)
    assert np.isfinite(net.predict(X.mean(axis=0)[None])).all()


def test_the_summary_shows_them(capsys):
    net = network(fnn.OneHot(0), fnn.Standardize(missing="mean", indicator=True)).adapt([[1, 5.0], [2, 6], [9, 7]])
    text = net.summary()
    capsys.readouterr()
    assert "layers.0 (OneHot)       (n, 4)" in text and "layers.1 (Standardize)  (n, 8)" in text
