"""Metrics against fixed figures, against scikit-learn where it is installed, and what they refuse."""

import doctest
import math

import numpy as np
import pytest

from fastnn import metrics
from fastnn.errors import ShapeError
from fastnn.metrics import AUC, F1, R2, Accuracy, ConfusionMatrix, FromFunction, Metric, Precision, Recall, TopKAccuracy

pytestmark = pytest.mark.filterwarnings("error")

# Ten samples of three classes; the predictions are 0 2 1 1 0 2 2 1 0 2.
IDS = np.array([0, 2, 1, 0, 0, 2, 1, 1, 2, 2])
SCORES = np.array([
    [0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.2, 0.5, 0.3], [0.3, 0.4, 0.3], [0.8, 0.1, 0.1],
    [0.2, 0.2, 0.6], [0.1, 0.4, 0.5], [0.1, 0.7, 0.2], [0.5, 0.1, 0.4], [0.25, 0.25, 0.5],
])  # fmt: skip
# Six samples of two classes; above 0.5: 0 1 1 0 1 0.
BINARY = np.array([0, 1, 0, 1, 1, 0])
CHANCES = np.array([0.1, 0.9, 0.6, 0.4, 0.6, 0.2])
# Four samples of three labels.
LABELS = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
LABEL_SCORES = np.array([[0.9, 0.2, 0.4], [0.3, 0.8, 0.1], [0.7, 0.6, 0.2], [0.1, 0.55, 0.3]])
# Four samples of two targets.
REALS = np.array([1.5, 0.5, 2.0, 1.0])
TARGETS = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0], [4.0, 10.0]])
OUTPUTS = np.array([[1.0, 3.0], [2.0, 4.0], [4.0, 5.0], [4.0, 8.0]])


def test_examples_in_the_docstrings():
    failed, attempted = doctest.testmod(metrics)
    assert attempted >= 15 and failed == 0


def test_the_names_are_the_promised_ones():
    assert set(Metric.known) == {
        "accuracy", "top_k_accuracy", "precision", "recall", "f1", "auc", "confusion_matrix",
        "r2", "mae", "mse", "rmse",
    }  # fmt: skip


FIGURES = [
    ("accuracy", IDS, SCORES, 7 / 10),
    ("accuracy", BINARY, CHANCES, 4 / 6),
    (Accuracy(threshold=0.35), BINARY, CHANCES, 5 / 6),
    (Accuracy(multilabel=True), LABELS, LABEL_SCORES, 2 / 4),
    (TopKAccuracy(1), IDS, SCORES, 7 / 10),
    (TopKAccuracy(2), IDS, SCORES, 9 / 10),
    (TopKAccuracy(3), IDS, SCORES, 1.0),
    ("top_k_accuracy", IDS, SCORES, 1.0),
    (TopKAccuracy(1), BINARY, CHANCES, 4 / 6),
    (TopKAccuracy(2), BINARY, CHANCES, 1.0),
    # confusion matrix of IDS: [[2, 1, 0], [0, 2, 1], [1, 0, 3]]
    ("precision", IDS, SCORES, (2 / 3 + 2 / 3 + 3 / 4) / 3),
    ("recall", IDS, SCORES, (2 / 3 + 2 / 3 + 3 / 4) / 3),
    (Precision("micro"), IDS, SCORES, 7 / 10),
    (Recall("weighted"), IDS, SCORES, 7 / 10),
    (F1("weighted"), IDS, SCORES, (3 * 2 / 3 + 3 * 2 / 3 + 4 * 3 / 4) / 10),
    # confusion matrix of BINARY: [[2, 1], [1, 2]]
    ("precision", BINARY, CHANCES, 2 / 3),
    ("recall", BINARY, CHANCES, 2 / 3),
    ("f1", BINARY, CHANCES, 2 / 3),
    (Recall(threshold=0.35), BINARY, CHANCES, 1.0),
    (Precision(threshold=0.35), BINARY, CHANCES, 3 / 4),
    (F1("macro"), BINARY, CHANCES, 2 / 3),
    # labels: hits 2 2 0, predicted 2 3 0, true 2 2 1
    (Precision(multilabel=True), LABELS, LABEL_SCORES, (1 + 2 / 3 + 0) / 3),
    (Recall(multilabel=True), LABELS, LABEL_SCORES, (1 + 1 + 0) / 3),
    (F1("micro", multilabel=True), LABELS, LABEL_SCORES, 8 / 10),
    # pairs of one in and one out of class 1, in order of scores 0.1- 0.2- 0.4+ 0.6(+-) 0.9+
    ("auc", BINARY, CHANCES, (2 + 2.5 + 3) / 9),
    ("mse", TARGETS, OUTPUTS, (1 / 4 + 6 / 4) / 2),
    ("mae", TARGETS, OUTPUTS, (1 / 4 + 4 / 4) / 2),
    ("rmse", TARGETS, OUTPUTS, (math.sqrt(1 / 4) + math.sqrt(6 / 4)) / 2),
    ("r2", TARGETS, OUTPUTS, 1 - (1 / 5 + 6 / 35) / 2),
]


@pytest.mark.parametrize("spec, y, p, expected", FIGURES, ids=lambda v: v if isinstance(v, str) else None)
def test_figures(spec, y, p, expected):
    value = Metric.get(spec)(y, p)
    assert type(value) is float
    assert value == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("spec, y, p, expected", FIGURES, ids=lambda v: v if isinstance(v, str) else None)
def test_forms_of_targets_and_outputs_do_not_matter(spec, y, p, expected):
    metric = Metric.get(spec)
    forms = [(y.tolist(), p.tolist()), (y[::-1], p[::-1]), (np.asfortranarray(y), np.asfortranarray(p)),
             (y.astype(np.float32), p), (y, p.reshape(len(p), -1)), (y.reshape(len(y), -1), p)]  # fmt: skip
    for y_form, p_form in forms:
        assert metric(y_form, p_form) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("spec", ["accuracy", "top_k_accuracy", "precision", "recall", "f1", "auc", "confusion_matrix"])
def test_ids_one_hot_rows_and_probabilities_mean_the_same(spec):
    metric, one_hot = Metric.get(spec), np.eye(3)[IDS]
    expected = metric(IDS, SCORES)
    for rows in (one_hot, one_hot.astype(bool), 0.9 * one_hot + 0.1 / 3):
        np.testing.assert_array_equal(metric(rows, SCORES), expected)
    two = np.column_stack([1 - CHANCES, CHANCES])
    np.testing.assert_allclose(metric(BINARY, two), metric(BINARY, CHANCES), rtol=1e-14)


@pytest.mark.parametrize("spec", ["accuracy", "precision", "recall", "f1", "auc", "confusion_matrix"])
def test_the_labels_of_a_hinge_loss_are_classes_too(spec):
    np.testing.assert_array_equal(Metric.get(spec)(2 * BINARY - 1, 2 * CHANCES - 1), Metric.get(spec)(BINARY, CHANCES))


@pytest.mark.parametrize("spec, y, p, expected", FIGURES, ids=lambda v: v if isinstance(v, str) else None)
def test_a_weight_counts_a_sample_that_often(spec, y, p, expected):
    metric = Metric.get(spec)
    times = np.arange(len(y)) % 3
    repeated = metric(np.repeat(y, times, axis=0), np.repeat(p, times, axis=0))
    for weights in (times, times.reshape(-1, 1), times / 7, times.tolist()):
        assert metric(y, p, weights) == pytest.approx(repeated, rel=1e-12)
    assert metric(y, p, np.ones(len(y))) == pytest.approx(expected, rel=1e-12)


def test_confusion_matrix():
    table = ConfusionMatrix()(IDS, SCORES)
    assert table.dtype == np.int64 and table.tolist() == [[2, 1, 0], [0, 2, 1], [1, 0, 3]]
    assert ConfusionMatrix()(BINARY, CHANCES).tolist() == [[2, 1], [1, 2]]
    assert ConfusionMatrix(threshold=0.35)(BINARY, CHANCES).tolist() == [[2, 1], [0, 3]]
    assert ConfusionMatrix()([0], [[0.1, 0.2, 0.7]]).tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]
    weighted = ConfusionMatrix()(BINARY, CHANCES, [0.5, 1, 2, 3, 4, 5])
    assert weighted.dtype == np.float64 and weighted.tolist() == [[5.5, 2], [3, 5]]


def test_each_step_of_a_sequence_is_a_sample():
    ids, scores = IDS.reshape(5, 2), SCORES.reshape(5, 2, 3)
    weights = [1, 2, 3, 0, 1]
    for spec in ("accuracy", "f1", "auc", TopKAccuracy(2)):
        metric = Metric.get(spec)
        assert metric(ids, scores) == metric(IDS, SCORES)
        assert metric(ids, scores, weights) == metric(IDS, SCORES, np.repeat(weights, 2))
    flat = Metric.get("rmse")(TARGETS, OUTPUTS)
    assert Metric.get("rmse")(TARGETS.reshape(4, 2, 1), OUTPUTS.reshape(4, 2, 1)) == flat


@pytest.mark.parametrize("metric, y, p, expected", [
    (Precision(), [1, 1], [0.1, 0.2], 0.0),
    (Recall(), [0, 0], [0.1, 0.9], 0.0),
    (F1(), [0, 0], [0.1, 0.2], 0.0),
    (Precision("macro"), [0, 0], [[0.9, 0.1, 0.0], [0.8, 0.2, 0.0]], 1.0),  # classes that do not occur do not count
    (Recall("weighted"), [0], [[0.1, 0.8, 0.1]], 0.0),
    (AUC(), [1, 1], [0.1, 0.2], math.nan),
    (AUC(), [0, 1], [0.1, math.nan], math.nan),
    (AUC(), [0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5], 0.5),
    (AUC(), [0, 1, 0, 1], [[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1], [0.3, 0.6, 0.1]], 1.0),
    (TopKAccuracy(1), [0, 1], [[0.5, 0.5], [0.5, 0.5]], 0.5),  # of equal outputs the later class is first
    (TopKAccuracy(2), [0], [[math.nan, 0.1, 0.2]], 0.0),
    (R2(), [1.0], [2.0], math.nan),
    (R2(), [3.0, 3.0], [3.0, 3.0], 1.0),
    (R2(), [3.0, 3.0], [3.0, 4.0], 0.0),
    (Accuracy(), [0, 1], [[math.nan, 0.1], [math.nan, 0.2]], 0.5),  # predictions are not checked: training may diverge
])  # fmt: skip
def test_corner_cases(metric, y, p, expected):
    assert metric(y, p) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("make, error, message", [
    (lambda: Accuracy()([0, 1], SCORES), ShapeError, "y_true has 2 samples, y_pred has 10"),
    (lambda: Accuracy()(np.eye(4)[[0, 1]], SCORES[:2]), ShapeError, "y_true needs the shape (n,) for class ids or"),
    (lambda: Accuracy()([0, 3], SCORES[:2]), ValueError, "y_true holds 3 at row 1: class ids for 3 outputs are 0 to 2"),
    (lambda: Accuracy()(LABELS, LABEL_SCORES), ValueError, "y_true has the sum 2 at row 0"),
    (lambda: Accuracy()([1, 2], [0.1, 0.2]), ValueError, "y_true holds 2.0 at row 1"),
    (lambda: Accuracy()([], []), ShapeError, "y_pred must have at least one sample, got shape (0,)"),
    (lambda: Accuracy()(["a"], [0.1]), TypeError, "y_true holds str 'a' at row 0"),
    (lambda: Accuracy()([0], [0.1], [-1]), ValueError, "sample_weight holds -1.0 at row 0"),
    (lambda: Accuracy(multilabel=1), TypeError, "multilabel must be True or False, got int 1"),
    (lambda: Metric.get("mse")([1, 2, 3], TARGETS[:3]), ShapeError, "needs y_true of shape (n, 2), got (3,)"),
    (lambda: Precision("binary")(IDS, SCORES), ValueError, "average='binary' needs two classes, got 3; take 'macro'"),
    (lambda: Precision("makro"), ValueError, "unknown average 'makro'; did you mean 'macro'?"),
    (lambda: TopKAccuracy(0), ValueError, "k must be a positive integer, got 0"),
    (lambda: Metric.get("acuracy"), ValueError, "unknown metric 'acuracy'; did you mean 'accuracy'?"),
    (lambda: Metric.get(3), TypeError, "metric: expected a name or a Metric, got int"),
])  # fmt: skip
def test_what_is_refused(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)


def worst(y_true, y_pred):
    return abs(y_true - y_pred).max()


def heaviest(y_true, y_pred, sample_weight=None):
    return 0 if sample_weight is None else max(sample_weight)


def test_functions_are_metrics():
    metric = Metric.get(worst)
    assert isinstance(metric, FromFunction) and metric.name == "worst"
    assert metric(TARGETS, OUTPUTS) == 2.0
    with pytest.raises(TypeError, match="metric 'worst' has no argument sample_weight; give it one"):
        metric(TARGETS, OUTPUTS, np.ones(4))
    assert Metric.get(heaviest)(TARGETS, OUTPUTS) == 0.0
    assert Metric.get(heaviest)(TARGETS, OUTPUTS, np.array([1, 3, 2, 0])) == 3.0
    assert Metric.get(print).name == "print"


def unreachable(y_true, y_pred):
    raise AssertionError("a check calls no function of the user's")


@pytest.mark.parametrize("spec, y, output_shape, weights, error, message", [
    ("accuracy", REALS, (1,), None, ValueError, "y_true holds 1.5 at row 0: targets are 0, 1 or a probability between"),
    ("accuracy", IDS, (2,), None, ValueError, "y_true holds 2 at row 1: class ids for 2 outputs are 0 to 1"),
    ("mae", REALS, (2,), None, ShapeError, "needs y_true of shape (n, 2), got (4,)"),
    ("auc", BINARY, (1,), -np.ones(6), ValueError, "sample_weight holds -1.0 at row 0"),
    (unreachable, REALS, (1,), np.ones(4), TypeError, "metric 'unreachable' has no argument sample_weight"),
])  # fmt: skip
def test_what_would_fail_after_training_is_known_before(spec, y, output_shape, weights, error, message):
    with pytest.raises(error) as caught:
        Metric.get(spec).check(y, output_shape, weights)
    assert message in str(caught.value)


@pytest.mark.parametrize("spec, y, p, expected", FIGURES, ids=lambda v: v if isinstance(v, str) else None)
def test_what_fits_passes_the_check(spec, y, p, expected):
    shape = p.shape[1:] or (1,)
    assert Metric.get(spec).check(y, shape) is None
    assert Metric.get(spec).check(y, shape, np.ones(len(y))) is None
    assert Metric.get(unreachable).check(y, shape) is None


@pytest.mark.parametrize("metric", [
    *map(Metric.get, Metric.known),
    Accuracy(0.0), TopKAccuracy(3), Precision("micro", 0.3), F1("macro", multilabel=True), AUC(multilabel=True),
    FromFunction(worst),
], ids=repr)  # fmt: skip
def test_each_is_rebuilt_from_its_configuration(metric):
    again = type(metric).from_config(metric.config())
    assert again == metric and repr(again) == repr(metric) and again.name == metric.name


# ---- scikit-learn as the second opinion -------------------------------------------------------------------------


def problems():
    """Random ids, scores with ties, and weights, of several sizes and numbers of classes."""
    random = np.random.default_rng(0)
    for n, k in [(20, 2), (50, 3), (200, 3), (300, 10)]:
        scores = random.dirichlet(np.ones(k), n).round(2)
        scores[:, 0] += 1 - scores.sum(axis=1)
        ids = np.concatenate([np.arange(k), random.integers(0, k, n - k)])
        yield ids, scores, random.integers(1, 5, n) / 4


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_class_metrics_are_those_of_scikit_learn(average, weighted):
    reference = pytest.importorskip("sklearn.metrics")
    for ids, scores, w in problems():
        w, predicted = (w if weighted else None), scores.argmax(axis=1)
        for ours, theirs in [(Precision, "precision_score"), (Recall, "recall_score"), (F1, "f1_score")]:
            expected = getattr(reference, theirs)(ids, predicted, average=average, sample_weight=w, zero_division=0.0)
            assert ours(average)(ids, scores, w) == pytest.approx(expected, rel=1e-12)
        assert Accuracy()(ids, scores, w) == pytest.approx(reference.accuracy_score(ids, predicted, sample_weight=w))
        expected = reference.confusion_matrix(ids, predicted, sample_weight=w, labels=range(scores.shape[1]))
        np.testing.assert_allclose(ConfusionMatrix()(ids, scores, w), expected, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_auc_and_top_k_are_those_of_scikit_learn(weighted):
    reference = pytest.importorskip("sklearn.metrics")
    for ids, scores, w in problems():
        w, k = (w if weighted else None), scores.shape[1]
        expected = reference.roc_auc_score(ids, scores if k > 2 else scores[:, 1], multi_class="ovr", sample_weight=w)
        assert AUC()(ids, scores, w) == pytest.approx(expected, rel=1e-12)
        for top in range(1, k if k > 2 else 1):
            expected = reference.top_k_accuracy_score(ids, scores, k=top, sample_weight=w, labels=range(k))
            assert TopKAccuracy(top)(ids, scores, w) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_several_labels_are_those_of_scikit_learn(weighted):
    reference = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(1)
    labels, scores = random.integers(0, 2, (60, 4)), random.random((60, 4)).round(1)
    w = random.random(60) if weighted else None
    predicted = scores > 0.5
    for ours, theirs in [(Precision, "precision_score"), (Recall, "recall_score"), (F1, "f1_score")]:
        for average in ("macro", "micro", "weighted"):
            expected = getattr(reference, theirs)(labels, predicted, average=average, sample_weight=w)
            assert ours(average, multilabel=True)(labels, scores, w) == pytest.approx(expected, rel=1e-12)
    expected = reference.accuracy_score(labels, predicted, sample_weight=w)
    assert Accuracy(multilabel=True)(labels, scores, w) == pytest.approx(expected, rel=1e-12)
    expected = reference.roc_auc_score(labels, scores, sample_weight=w)
    assert AUC(multilabel=True)(labels, scores, w) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(30,), (30, 1), (30, 4)], ids=str)
@pytest.mark.parametrize("name, theirs", [
    ("mse", "mean_squared_error"), ("mae", "mean_absolute_error"), ("rmse", "root_mean_squared_error"),
    ("r2", "r2_score"),
])  # fmt: skip
def test_regression_metrics_are_those_of_scikit_learn(name, theirs, shape, weighted):
    reference = getattr(pytest.importorskip("sklearn.metrics"), theirs)
    random = np.random.default_rng(2)
    y, p, w = random.normal(size=shape), random.normal(size=shape), random.random(30) if weighted else None
    assert Metric.get(name)(y, p, w) == pytest.approx(reference(y, p, sample_weight=w), rel=1e-12)
