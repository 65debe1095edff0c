"""NetworkClassifier and NetworkRegressor: what Network.fit can do, in scikit-learn's manners."""

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastnn as fnn
from fastnn.sklearn import NetworkClassifier, NetworkRegressor

X, y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]


def classifier(**arguments):
    defaults = {"layers": [fnn.Dense(8, "tanh")], "optimizer": fnn.Adam(0.05), "epochs": 20, "random_state": 0}
    return NetworkClassifier(**{**defaults, **arguments})


def test_it_is_the_network_that_it_wraps():
    model = classifier(batch_size=32).fit(X, NAMES)
    seed = int(np.random.RandomState(0).randint(2**31 - 1))
    net = fnn.Network(
        [fnn.Dense(8, "tanh"), fnn.Dense(3, "softmax")], optimizer=fnn.Adam(0.05), dtype="float64", seed=seed
    )
    history = net.fit(X, y, epochs=20, batch_size=32)
    assert model.history_["loss"] == history["loss"]
    assert np.array_equal(model.predict_proba(X), net.predict(X))
    assert model.predict(X).tolist() == model.classes_[net.predict(X).argmax(1)].tolist()
    assert model.n_iter_ == 20 and model.score(X, NAMES) > 0.95


def test_a_callable_makes_the_layers_from_the_shapes():
    images, digits = load_digits(return_X_y=True)
    images = (images[:300] / 16).reshape(-1, 8, 8, 1).astype(np.float32)

    def layers(shape, outputs):
        assert (shape, outputs) == ((8, 8, 1), 10)
        return [fnn.Conv2D(8, 3, activation="relu"), fnn.MaxPool2D(2), fnn.Flatten(), fnn.Dense(outputs, "softmax")]

    model = classifier(layers=layers, batch_size=32, epochs=10).fit(images, digits[:300])
    assert model.network_.dtype == np.float32
    assert model.score(images, digits[:300]) > 0.95
    with pytest.raises(ValueError, match="3 classes need"):
        classifier(layers=lambda shape, outputs: [fnn.Dense(5, "softmax")]).fit(X, y)


def test_logits_become_probabilities():
    model = classifier(layers=lambda shape, outputs: [fnn.Dense(outputs)], loss="cross_entropy").fit(X, y)
    shares = np.exp(model.network_.predict(X))
    np.testing.assert_allclose(model.predict_proba(X), shares / shares.sum(axis=1, keepdims=True))
    two = classifier(layers=lambda shape, outputs: [fnn.Dense(outputs)], loss="binary_cross_entropy").fit(X, y == 0)
    np.testing.assert_allclose(two.predict_proba(X)[:, 1:], 1 / (1 + np.exp(-two.network_.predict(X))))
    assert np.array_equal(two.predict(X), two.network_.predict(X)[:, 0] > 0)


def test_arguments_stay_as_they_are():
    callback, dropout = fnn.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch)), fnn.Dropout(0.2)
    seen = []
    arguments = {
        "layers": [fnn.Dense(4, "relu"), dropout], "optimizer": fnn.Adam(0.01), "callbacks": [callback],
        "metrics": ["accuracy"], "class_weight": {"setosa": 2.0}, "epochs": 3, "validation_split": 0.2,
    }  # fmt: skip
    before = copy.deepcopy({name: value for name, value in arguments.items() if name != "callbacks"})
    model = classifier(**arguments).fit(X, NAMES)
    assert seen == [0, 1, 2] and not hasattr(callback, "network")
    assert {name: value for name, value in model.get_params().items() if name in before} == before
    assert all(layer is not dropout for layer in model.network_.layers)
    assert set(model.history_) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert np.array_equal(clone(model).fit(X, NAMES).predict_proba(X), model.predict_proba(X))


def test_own_validation_set_with_labels():
    model = classifier(metrics="accuracy", epochs=5).fit(X[::2], NAMES[::2], validation_data=(X[1::2], NAMES[1::2]))
    assert model.history_["val_accuracy"][-1] == pytest.approx(model.score(X[1::2], NAMES[1::2]))
    with pytest.raises(ValueError, match="`y` has classes not in"):
        classifier().fit(X, y, validation_data=(X, y + 1))
    with pytest.raises(ValueError, match=r"expected \(X, y\)"):
        classifier().fit(X, y, validation_data=X)


def test_class_weights_by_label():
    rows = slice(50, 150)
    weighted = classifier(class_weight={"versicolor": 3.0}).fit(X[rows], NAMES[rows])
    weight = np.where(NAMES[rows] == "versicolor", 3.0, 1.0)
    sampled = classifier().fit(X[rows], NAMES[rows], sample_weight=weight)
    assert np.array_equal(weighted.predict_proba(X), sampled.predict_proba(X))
    balanced = classifier(class_weight="balanced").fit(X[:70], NAMES[:70])
    weight = np.where(NAMES[:70] == "setosa", 70 / 100, 70 / 40)
    sampled = classifier().fit(X[:70], NAMES[:70], sample_weight=weight)
    assert np.array_equal(balanced.predict_proba(X), sampled.predict_proba(X))
    with pytest.raises(ValueError, match="class_weight names"):
        classifier(class_weight={"rose": 2.0}).fit(X, NAMES)
    with pytest.raises(ValueError, match="one class a sample"):
        classifier(class_weight="balanced").fit(X, np.eye(3, dtype=int)[y])


def test_several_labels():
    target = np.stack([y == 0, y > 0, X[:, 0] > 0], axis=1).astype(int)
    model = classifier(epochs=60).fit(X, target)
    assert model.predict(X).shape == target.shape and model.score(X, target) > 0.9
    assert model.predict_proba(X).shape == target.shape


def test_own_loss():
    def brier(t, p):
        return float(np.square(p - t).mean()), 2 * (p - t) / p.size

    model = classifier(loss=brier).fit(X, NAMES == "setosa")
    assert model.score(X, NAMES == "setosa") == 1
    with pytest.raises(ValueError, match="no probabilities"):
        classifier(loss="hinge").fit(X, y)


@pytest.mark.parametrize(
    "loss", ["mse", "mae", fnn.losses.Huber(2.0), "gaussian_nll", fnn.losses.Quantile((0.1, 0.5, 0.9))]
)
def test_regression(loss):
    features, target = load_diabetes(return_X_y=True)
    features, target = StandardScaler().fit_transform(features), (target - target.mean()) / target.std()
    model = NetworkRegressor([fnn.Dense(8, "tanh")], loss=loss, optimizer=fnn.Adam(0.01), epochs=100, random_state=0)
    model.fit(features, target)
    assert model.predict(features).shape == target.shape
    assert model.score(features, target) > 0.4


def test_rates_and_several_outputs():
    rates = np.exp(X[:, :2] / 2)
    model = NetworkRegressor([], loss="poisson", optimizer=fnn.Adam(0.05), epochs=200, random_state=0).fit(X, rates)
    np.testing.assert_allclose(model.predict(X), rates, rtol=0.1)
    assert NetworkRegressor(epochs=1, random_state=0).fit(X, y).predict(X.astype(np.float32)).dtype == np.float64


@pytest.mark.parametrize("dtype, given, expected", [
    ("auto", "float64", "float64"), ("auto", "float32", "float32"), ("auto", "int64", "float32"),
    ("float32", "float64", "float32"), ("float64", "float32", "float64"),
])  # fmt: skip
def test_dtypes(dtype, given, expected):
    model = classifier(dtype=dtype, epochs=1).fit(X.astype(given), y)
    assert model.network_.dtype == expected


def test_warm_start_and_partial_fit_go_on():
    whole = classifier(epochs=6, batch_size=32).fit(X, y)
    parts = classifier(epochs=3, batch_size=32, warm_start=True).fit(X, y)
    parts.fit(X, y)
    assert np.array_equal(parts.predict_proba(X), whole.predict_proba(X))
    steps = classifier(batch_size=32)
    for _ in range(6):
        steps.partial_fit(X, y, classes=[0, 1, 2])
    assert np.array_equal(steps.predict_proba(X), whole.predict_proba(X))
    regressor = NetworkRegressor(random_state=0, epochs=2).fit(X, y)
    again = NetworkRegressor(random_state=0)
    assert np.array_equal(again.partial_fit(X, y).partial_fit(X, y).predict(X), regressor.predict(X))
    with pytest.raises(ValueError, match="first call"):
        classifier().partial_fit(X, y)


def test_pickles_and_searches():
    model = classifier().fit(X, NAMES)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert np.array_equal(other.predict_proba(X), model.predict_proba(X))
        assert other.get_params() == model.get_params()
    grid = {"networkclassifier__layers": [[fnn.Dense(4, "relu")], [fnn.Dense(4, "tanh"), fnn.Dropout(0.1)]]}
    search = GridSearchCV(make_pipeline(StandardScaler(), classifier()), grid, n_jobs=2, cv=2).fit(X, NAMES)
    assert search.best_score_ > 0.85
    assert cross_val_score(classifier(), X, NAMES, cv=3, n_jobs=2).min() > 0.85


def test_callbacks_of_scikit_learn():
    pytest.importorskip("sklearn.callback")

    class StopAtThird:
        def __init__(self):
            self.told, self.scores = [], []

        def setup(self, estimator, context):
            self.told.append("setup")

        def teardown(self, estimator, context):
            self.told.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            self.told.append((context.task_name, context.task_id))

        def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
            assert metadata["sample_weight"].sum() == len(X)
            self.scores.append(fitted_estimator.score(X, y))
            return context.task_name == "epoch" and context.task_id == 2

    callback = StopAtThird()
    model = classifier().set_callbacks(callback).fit(X, NAMES, sample_weight=np.ones(len(X)))
    assert callback.told == ["setup", ("fit", 0), ("epoch", 0), ("epoch", 1), ("epoch", 2), "teardown"]
    assert model.n_iter_ == 3
    assert callback.scores[-2:] == [model.score(X, NAMES)] * 2 and callback.scores[0] < callback.scores[-1]
    with pytest.raises(ValueError, match="optimizer"):
        classifier(optimizer="adm").set_callbacks(callback).fit(X, NAMES)
    assert callback.told[-1] == "teardown"


@pytest.mark.parametrize("wrong", [
    {"layers": "dense"}, {"optimizer": "adm"}, {"epochs": 0}, {"batch_size": "all"}, {"dtype": "float16"},
    {"validation_split": 1.0}, {"precision": "low"}, {"metrics": "acc"}, {"callbacks": [print]}, {"threads": 0},
], ids=str)  # fmt: skip
def test_wrong_arguments(wrong):
    model = classifier(epochs=2).fit(X, y)
    before = model.predict_proba(X)
    with pytest.raises((ValueError, TypeError)):
        model.set_params(**wrong).fit(X, y)
    model.set_params(**classifier().get_params())
    assert np.array_equal(model.predict_proba(X), before)


def test_standard_deviations():
    """As GaussianProcessRegressor has it: (values, deviations), of the noise, of samples, or of both."""
    features, target = load_diabetes(return_X_y=True)
    features, target = StandardScaler().fit_transform(features), (target - target.mean()) / target.std()
    hidden = [fnn.Dense(16, "relu"), fnn.Dropout(0.2)]
    options = {"optimizer": fnn.Adam(0.01), "epochs": 40, "random_state": 0}
    model = NetworkRegressor(hidden, loss="gaussian_nll", **options).fit(features, target)
    values, noise = model.predict(features, return_std=True)
    assert np.array_equal(values, model.predict(features)) and values.shape == noise.shape == target.shape
    assert abs(((target - values) / noise).std() - 1) < 0.2
    means, total = model.predict(features, return_std=True, samples=50)
    assert np.array_equal(means, model.predict(features, samples=50)) and total.shape == target.shape
    assert np.corrcoef(means, values)[0, 1] > 0.98 and (total > 0.5 * noise).all() and total.mean() > noise.mean()
    with pytest.raises(ValueError, match="has no variance, its loss is 'mse'"):
        NetworkRegressor(hidden, **options).fit(features, target).predict(features, return_std=True)

    rates = np.exp(X[:, :2] / 2)
    model = NetworkRegressor(hidden, loss="poisson", **options).fit(X, rates)
    means, stds = model.predict(X, return_std=True, samples=200)
    drawn = np.exp(np.stack([model.network_.predict(X, samples=1, seed=seed) for seed in range(100)]))
    # Of the rates, not of their logarithms; a hundred samples against two hundred others.
    assert np.abs(means / drawn.mean(axis=0) - 1).mean() < 0.1
    assert np.abs(stds / drawn.std(axis=0) - 1).mean() < 0.2

    quantiles = NetworkRegressor(hidden, loss=fnn.losses.Quantile((0.1, 0.5, 0.9)), **options).fit(features, target)
    median, std = quantiles.predict(features, return_std=True, samples=5)
    assert median.shape == std.shape == target.shape
