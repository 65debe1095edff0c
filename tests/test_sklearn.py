"""The perceptrons of fastnn.sklearn: scikit-learn's own checks, and its own estimators beside them, step for step."""

import copy
import inspect
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from scipy import sparse
from sklearn import config_context, neural_network
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastnn.sklearn as seat
from fastnn.sklearn import MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor
from fastnn.sklearn._perceptron import threads

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_digits(return_X_y=True)
X, y = X[:430] / 16, y[:430]
ONE_HOT = np.eye(10)[y]
WEIGHT = np.random.default_rng(0).uniform(0.5, 2, len(X))


@parametrize_with_checks([MLPClassifier(), MLPRegressor(), NetworkClassifier(), NetworkRegressor()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


# ---- the same steps --------------------------------------------------------------------------------------------------


def both(kind, **arguments):
    """(scikit-learn's estimator, fastnn's) with the same arguments."""
    arguments = {"random_state": 3, "hidden_layer_sizes": (20, 11), "max_iter": 6, **arguments}
    return [getattr(module, kind)(**arguments) for module in (neural_network, seat)]


def assert_same_parameters(theirs, ours, bound=1e-9):
    for a, b in zip(theirs.coefs_ + theirs.intercepts_, ours.coefs_ + ours.intercepts_, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(b, a, rtol=0, atol=bound * abs(a).max())


def assert_same_fit(theirs, ours, bound=1e-9):
    """Every public attribute of scikit-learn's, of the same type and value up to rounding."""
    assert_same_parameters(theirs, ours, bound)
    for name, value in vars(theirs).items():
        if not name.endswith("_") or name.startswith("_") or name in ("coefs_", "intercepts_"):
            continue
        found = getattr(ours, name)
        if isinstance(value, (float, list)):
            np.testing.assert_allclose(found, value, rtol=bound, err_msg=name)
        else:
            assert np.array_equal(found, value), name


C, R = "MLPClassifier", "MLPRegressor"
LONG = {"learning_rate_init": 0.05, "tol": 1e-2, "n_iter_no_change": 2, "alpha": 0.5, "max_iter": 60}
EARLY = {"early_stopping": True, "learning_rate_init": 0.1, "hidden_layer_sizes": 10, "max_iter": 200}
FITS = {
    "constant": (C, y, {"solver": "sgd", "activation": "tanh", **LONG}),
    "invscaling": (C, y, {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.25, **LONG}),
    "adaptive": (C, y, {"solver": "sgd", "learning_rate": "adaptive", **LONG}),
    "momentum 1": (C, y, {"solver": "sgd", "momentum": 1.0, "activation": "logistic"}),
    "plain momentum": (C, y, {"solver": "sgd", "nesterovs_momentum": False, "activation": "identity"}),
    "no shuffle": (C, y, {"solver": "sgd", "shuffle": False, "momentum": 0}),
    "small batches": (C, y, {"solver": "sgd", "batch_size": 32, "alpha": 1.0}),
    "adam": (C, y, {}),
    "adam of other numbers": (C, y, {"beta_1": 0.0, "beta_2": 0.9, "epsilon": 1e-3, "batch_size": 50}),
    "adam regression": (R, y * 1.0, {"beta_1": 0.99, "beta_2": 1 - 1e-12, "max_iter": 30}),
    "lbfgs": (C, y, {"solver": "lbfgs", "alpha": 1.0}),
    "lbfgs max_fun": (C, y, {"solver": "lbfgs", "max_fun": 3}),
    "two classes": (C, y > 4, {"solver": "sgd"}),
    "labels": (C, ONE_HOT.astype(int), {"solver": "sgd", "alpha": 1.0}),
    "early, two classes": (C, y > 4, {"solver": "sgd", **EARLY}),
    "early, ten classes": (C, y, {"solver": "sgd", **EARLY}),
    "early, labels": (C, ONE_HOT[:, :3].astype(int), {"solver": "sgd", **EARLY}),
    "regression": (R, y * 1.0, {"solver": "sgd", "learning_rate_init": 0.01}),
    "early regression": (R, y * 1.0, {"solver": "sgd", **EARLY, "learning_rate_init": 0.01}),
    "poisson": (R, y * 1.0, {"solver": "sgd", "loss": "poisson", "learning_rate_init": 0.01}),
    "poisson, ten outputs": (R, ONE_HOT, {"solver": "sgd", "loss": "poisson"}),
    "poisson, lbfgs": (R, y * 1.0, {"solver": "lbfgs", "loss": "poisson"}),
}


@pytest.mark.parametrize("name", FITS)
def test_fits_differ_by_rounding(name):
    kind, target, arguments = FITS[name]
    theirs, ours = (model.fit(X, target) for model in both(kind, **arguments))
    assert_same_fit(theirs, ours)
    np.testing.assert_allclose(ours.predict(X) * 1.0, theirs.predict(X) * 1.0, rtol=1e-9, atol=1e-12)
    assert ours.score(X, target) == pytest.approx(theirs.score(X, target))
    if kind == C:
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)
        np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=1e-9, atol=1e-12)


def test_several_outputs_follow_the_gradient_of_the_sum():
    """scikit-learn reports the mean of the squared error over outputs; its penalty is taken at the epoch's end here."""
    theirs, ours = (model.fit(X, ONE_HOT) for model in both(R, solver="sgd"))
    assert_same_parameters(theirs, ours)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
@pytest.mark.parametrize("kind, target", [(C, y), (C, y > 4), (R, y * 1.0)])
def test_sample_weights(kind, target, solver):
    # Not more iterations: scikit-learn clips probabilities in the loss, so a trial step far off has another loss there.
    models = both(kind, solver=solver, batch_size=len(X), alpha=1.0, learning_rate_init=1e-3, max_iter=4)
    theirs, ours = (model.fit(X, target, sample_weight=WEIGHT) for model in models)
    assert_same_fit(theirs, ours)


def test_sample_weights_of_several_batches():
    """The penalty of a batch is divided by the mean weight of so many samples, in scikit-learn by their own weight."""
    models = both(C, solver="sgd", alpha=0.0)
    theirs, ours = (model.fit(X, y, sample_weight=WEIGHT) for model in models)
    assert_same_parameters(theirs, ours)
    models = both(C, solver="sgd", alpha=1e-4)
    theirs, ours = (model.fit(X, y, sample_weight=WEIGHT) for model in models)
    assert_same_parameters(theirs, ours, 1e-8)


def test_sparse_input_and_memory_orders():
    dense = both(C, solver="sgd")[1].fit(X, y)
    for other in (sparse.csr_matrix(X), sparse.csc_array(X), np.asfortranarray(X)):
        again = clone(dense).fit(other, y)
        assert all(np.array_equal(a, b) for a, b in zip(dense.coefs_, again.coefs_, strict=True))
        assert np.array_equal(dense.predict_proba(X), again.predict_proba(other))


def test_float32_stays_float32():
    theirs, ours = (model.fit(X.astype(np.float32), y * 1.0) for model in both(R, solver="sgd"))
    assert_same_parameters(theirs, ours, 1e-5)
    assert ours.predict(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("kind, target", [(C, y), (R, y * 1.0)])
def test_partial_fit_and_warm_start(kind, target):
    for solver in ("sgd", "adam"):
        theirs, ours = both(kind, solver=solver, learning_rate_init=0.01)
        for rows in (slice(0, 300), slice(100, 430)):
            classes = {"classes": np.arange(10)} if kind == C else {}
            for model in (theirs, ours):
                model.partial_fit(X[rows], target[rows], **classes)
            assert_same_fit(theirs, ours)
            ours = pickle.loads(pickle.dumps(ours))  # with the optimizer's state
    theirs, ours = both(kind, warm_start=True)
    for _ in range(2):
        theirs.fit(X, target), ours.fit(X, target)
        assert_same_fit(theirs, ours)


def test_solvers_go_on_from_each_other():
    model = MLPClassifier(10, solver="lbfgs", max_iter=15, warm_start=True, random_state=0).fit(X, y)
    loss = model.loss_
    assert model.set_params(solver="adam", max_iter=5).fit(X, y).loss_ < loss and len(model.loss_curve_) == 5
    loss = model.loss_
    assert model.set_params(solver="lbfgs").fit(X, y).loss_ < loss


def test_a_rate_that_changes_between_calls_keeps_the_velocity():
    theirs, ours = both(C, solver="sgd", learning_rate="invscaling", learning_rate_init=0.3)
    for _ in range(4):
        for model in (theirs, ours):
            model.partial_fit(X, y, classes=np.arange(10))
        ours = copy.deepcopy(ours)
    assert_same_parameters(theirs, ours)


# ---- the same seat ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [C, R])
def test_arguments_and_defaults_are_scikit_learns(kind):
    signatures = [inspect.signature(getattr(module, kind)) for module in (neural_network, seat)]
    theirs, ours = ([(p.name, p.kind, p.default) for p in s.parameters.values()] for s in signatures)
    assert ours == theirs
    members = [{name for name in dir(getattr(module, kind)) if name[0] != "_"} for module in (neural_network, seat)]
    assert members[0] <= members[1]


@pytest.mark.parametrize(
    "labels", [["b", "a"], [True, False], [2.0, 7.0], ["b", "a", "c"], [10, -3, 5], [None, "a", "b"]], ids=str
)
def test_labels_of_any_kind(labels):
    target = np.array(labels, dtype=object if None in labels else None)[y % len(labels)]
    if None in labels:
        with pytest.raises((TypeError, ValueError)):
            MLPClassifier().fit(X, target)
        return
    model = MLPClassifier(20, max_iter=100, learning_rate_init=0.01, random_state=0).fit(X, target)
    assert model.classes_.tolist() == sorted(labels)
    assert model.predict(X).dtype == target.dtype
    assert model.score(X, target) > 0.95
    assert model.predict_proba(X).shape == (len(X), len(labels))


def test_several_labels_come_back_as_they_came():
    target = ONE_HOT[:, :4].astype(int)
    model = MLPClassifier(solver="lbfgs", max_iter=20, random_state=0).fit(X, target)
    again = clone(model).fit(X, sparse.csr_matrix(target))
    assert sparse.issparse(again.predict(X))
    assert np.array_equal(again.predict(X).toarray(), model.predict(X))


def test_parameters_that_are_set_count():
    model = MLPClassifier(5, solver="sgd", max_iter=2, random_state=0).fit(X, y)
    before = model.predict_proba(X)
    weights = [weight.copy() for weight in model.coefs_]
    model.coefs_[0][:] = 0
    assert np.ptp(model.predict_proba(X), axis=0).max() == 0
    model.coefs_ = weights
    assert np.array_equal(model.predict_proba(X), before)
    other = copy.deepcopy(model)
    other.coefs_[0][:] = 0
    assert np.array_equal(model.predict_proba(X), before)


def test_warnings_and_errors():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(1\)"):
        MLPClassifier(max_iter=1).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge after 1 iter"):
        MLPClassifier(max_iter=1, solver="lbfgs").fit(X, y)
    with pytest.warns(UserWarning, match="clipped to the 430 samples"):
        MLPClassifier(max_iter=1, batch_size=1000).fit(X, y)
    with pytest.raises(ValueError, match="non-finite parameter weights"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MLPRegressor(solver="sgd", learning_rate_init=1e30).fit(X, y * 1e6)
    with pytest.raises(ValueError, match="validation set is too small"):
        MLPRegressor(early_stopping=True).fit(X[:5], y[:5])
    with pytest.raises(ValueError, match="does not support early_stopping"):
        MLPRegressor(early_stopping=True).partial_fit(X, y)
    with pytest.raises(ValueError, match="must not be negative"):
        MLPRegressor(loss="poisson").fit(X, -y)
    with pytest.raises(ValueError, match="at least one"):
        MLPRegressor().fit(X, y, sample_weight=np.zeros(len(X)))
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")


def test_labels_that_do_not_go_on():
    model = MLPClassifier(5, max_iter=1).fit(X, y)
    for labels in (ONE_HOT.astype(int), y + 1, y.astype(str)):
        with pytest.raises(ValueError, match="classes"):
            model.partial_fit(X, labels)
    with pytest.raises(ValueError, match="same classes as in the previous"):
        model.set_params(warm_start=True).fit(X[y < 5], y[y < 5])
    with pytest.raises(ValueError, match="not what the calls before had"):
        model.partial_fit(X, y, classes=[0, 1])
    several = MLPClassifier(5, max_iter=1).fit(X, ONE_HOT.astype(int))
    for labels in (y, ONE_HOT[:, :3].astype(int), 2 * ONE_HOT.astype(int)):
        with pytest.raises(ValueError, match="labels"):
            several.partial_fit(X, labels)


@pytest.mark.parametrize(
    "wrong",
    [
        {"activation": "relu6"}, {"solver": "rmsprop"}, {"learning_rate": "cosine"}, {"alpha": -1}, {"batch_size": 0},
        {"learning_rate_init": 0}, {"power_t": -1}, {"max_iter": 0}, {"tol": -1}, {"momentum": 1.1}, {"beta_1": 1},
        {"validation_fraction": 1}, {"epsilon": 0}, {"n_iter_no_change": 0}, {"max_fun": 0}, {"random_state": "a"},
        {"hidden_layer_sizes": (3, 0)}, {"hidden_layer_sizes": "wide"}, {"loss": "mae"},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_arguments_change_nothing(wrong):
    model = MLPRegressor(hidden_layer_sizes=5, max_iter=2, random_state=0).fit(X, y)
    before = model.predict(X)
    params = model.coefs_
    with pytest.raises((ValueError, TypeError)):
        model.set_params(**wrong).fit(X, y)
    assert model.coefs_ is params
    model.set_params(**MLPRegressor(hidden_layer_sizes=5, max_iter=2).get_params())
    assert np.array_equal(model.predict(X), before)


def test_verbose_prints_what_scikit_learn_prints(capsys):
    texts = []
    for model in both(C, solver="sgd", verbose=True, early_stopping=True, hidden_layer_sizes=4, max_iter=4):
        model.fit(X, y)
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] and "Validation score" in texts[0]


# ---- in its surroundings ---------------------------------------------------------------------------------------------


def test_search_pipeline_and_workers():
    """Two processes at once: each has the share of the CPUs that joblib gives it, and the results are those of one."""
    model = make_pipeline(StandardScaler(), MLPClassifier(max_iter=5, random_state=0))
    grid = {"mlpclassifier__hidden_layer_sizes": [(5,), (10, 5)]}
    one, two = (GridSearchCV(model, grid, cv=2, n_jobs=jobs).fit(X, y) for jobs in (1, 2))
    assert np.array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])


def test_threads_are_shared_out(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    most = threads()
    for text, expected in (("1", 1), ("1,4", 1), ("1000", most), ("many", most), ("", most)):
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        assert threads() == expected


@pytest.mark.parametrize("backend", ["threading", "multiprocessing", "loky"])
def test_every_backend_of_joblib(backend):
    joblib = pytest.importorskip("joblib")
    model = MLPClassifier(30, max_iter=3, random_state=0).fit(X, y)
    expected = model.predict_proba(X)
    with joblib.parallel_config(backend, n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(_fit_and_predict)(clone(model)) for _ in range(4))
        assert all(np.array_equal(one, expected) for one in found)
        again = joblib.Parallel()(joblib.delayed(model.predict_proba)(X) for _ in range(4))
        assert all(np.array_equal(one, expected) for one in again)


def _fit_and_predict(model):
    return model.fit(X, y).predict_proba(X)


def test_sample_weights_are_routed():
    with config_context(enable_metadata_routing=True):
        model = MLPRegressor(hidden_layer_sizes=5, max_iter=3, random_state=0)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        found = cross_validate(
            make_pipeline(MinMaxScaler(), model), X, y, params={"sample_weight": WEIGHT}, cv=2, return_estimator=True
        )
        assert len(found["test_score"]) == 2
    plain = cross_validate(make_pipeline(MinMaxScaler(), model), X, y, cv=2)
    assert not np.array_equal(found["test_score"], plain["test_score"])


@pytest.mark.parametrize("estimator", [MLPClassifier(max_iter=3), NetworkClassifier(epochs=3)])
def test_feature_names(estimator):
    pandas = pytest.importorskip("pandas")
    frame, target = load_iris(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), estimator).set_output(transform="pandas")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(frame, target).predict(frame)
    assert model[-1].feature_names_in_.tolist() == frame.columns.tolist()
    with pytest.raises(ValueError, match="feature names"):
        model[-1].predict(pandas.DataFrame(frame.to_numpy(), columns=list("abcd")))


def test_scikit_learn_is_imported_by_those_who_ask():
    code = "import sys, fastnn; print('sklearn' in sys.modules, fastnn.sklearn.MLPClassifier().max_iter)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == [
        "False",
        "200",
    ]
    code = "import sys; sys.modules['sklearn'] = None; import fastnn.sklearn"
    assert (
        "pip install -U scikit-learn"
        in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
    )
