"""The edge: what comes through and in which form, what is refused and in which words."""

import doctest

import numpy as np
import pytest

from fastnn import _data
from fastnn._data import class_weights, features, sample_weights, targets, weight
from fastnn.errors import ShapeError

pytestmark = pytest.mark.filterwarnings("error")

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
ROWS = [[1, 2], [3, 4], [5, 6]]
VALUES = np.array(ROWS, dtype=np.float64)


def assert_ready(array, dtype, expected):
    assert type(array) is np.ndarray and array.dtype is dtype
    assert array.flags.c_contiguous and array.flags.aligned
    np.testing.assert_array_equal(array, expected, strict=False)
    assert array.shape == np.shape(expected)


def assert_refused(error, message, call, *args, **kwargs):
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    assert type(caught.value) is error
    assert message in str(caught.value), str(caught.value)


def test_examples_in_the_docstrings():
    failed, attempted = doctest.testmod(_data)
    assert attempted >= 10 and failed == 0


# ---- features ---------------------------------------------------------------------------------------------------


def unaligned(dtype):
    return np.frombuffer(b"\0" + VALUES.astype(dtype).tobytes(), dtype=dtype, offset=1).reshape(VALUES.shape)


def read_only(dtype):
    array = VALUES.astype(dtype)
    array.flags.writeable = False
    return array


FORMS = {
    "lists": ROWS,
    "tuples": tuple(map(tuple, ROWS)),
    "list of arrays": [np.array(row) for row in ROWS],
    **{np.dtype(t).name: VALUES.astype(t) for t in "bBhHiIlLefdg"},
    "big endian": VALUES.astype(">f4"),
    "Fortran order": np.asfortranarray(VALUES),
    "negative strides": VALUES[::-1, ::-1].copy()[::-1, ::-1],
    "every other column": np.repeat(VALUES, 2, axis=1)[:, ::2],
    "broadcast": np.broadcast_to(VALUES, (1, 3, 2))[0],
    "read-only": read_only(np.float32),
    "unaligned float32": unaligned(np.float32),
    "unaligned float64": unaligned(np.float64),
    "no mask": np.ma.masked_array(VALUES),
}


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("shape", [(2,), None], ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_features_of_any_form_become_the_same_array(form, shape, dtype):
    before = np.array(FORMS[form])
    assert_ready(features(FORMS[form], shape, dtype), dtype, VALUES)
    np.testing.assert_array_equal(FORMS[form], before)


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_booleans_are_0_and_1(dtype):
    assert_ready(features([[True, False]], (2,), dtype), dtype, [[1, 0]])


@pytest.mark.parametrize("shape", [(2,), None], ids=str)
@pytest.mark.parametrize("X", [VALUES.astype(np.float32), read_only(np.float32)], ids=["writable", "read-only"])
def test_suitable_features_are_not_copied(X, shape):
    assert features(X, shape, F32) is X


def test_memory_maps_and_column_vectors_are_not_copied(tmp_path):
    VALUES.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", dtype=np.float64, shape=(3, 2), mode="r")
    assert_ready(features(mapped, (2,), F64), F64, VALUES)
    assert np.shares_memory(features(mapped, (2,), F64), mapped)
    column = np.arange(3.0)
    assert np.shares_memory(features(column, (1,), F64), column)


@pytest.mark.parametrize("X, shape, expected", [
    ([1, 2, 3], (1,), [[1], [2], [3]]),
    ([1, 2, 3], None, [[1], [2], [3]]),
    ([[1, 2, 3]], (3,), [[1, 2, 3]]),
    (np.arange(12).reshape(2, 3, 2), (3, 2), np.arange(12).reshape(2, 3, 2)),
    (np.arange(12).reshape(2, 3, 2), None, np.arange(12).reshape(2, 3, 2)),
])  # fmt: skip
def test_shapes_that_fit(X, shape, expected):
    assert_ready(features(X, shape, F32), F32, expected)


@pytest.mark.parametrize("X, shape, message", [
    (np.ones((9, 3)), (2,), "layers.0 (Dense) expects 2 features, got 3: X has shape (9, 3)"),
    (np.ones((9, 8, 8)), (64,), "(n, 64), got (9, 8, 8); use X.reshape(-1, 64) or start with a Flatten layer"),
    (np.ones((9, 8, 9)), (64,), "layers.0 (Dense) expects X of shape (n, 64), got (9, 8, 9)"),
    (np.ones((9, 64)), (8, 8, 1), "expects X of shape (n, 8, 8, 1), got (9, 64); use X.reshape(-1, 8, 8, 1)"),
    (np.ones((9, 8, 8)), (8, 8, 1), "got (9, 8, 8); add the last axis with X[..., None]"),
    (np.ones((8, 8)), (8, 8), "expects X of shape (n, 8, 8), got (8, 8); a single sample is X[None]"),
    (np.ones(2), (2,), "expects X of shape (n, 2), got (2,); a single sample is X[None]"),
    (np.ones(9), (2,), "expects X of shape (n, 2), got (9,); a 1-D X means one feature per sample"),
    (5.0, (1,), "X is a single number; one sample of one feature is [[5.0]]"),
    (5.0, None, "X is a single number"),
    ([], (1,), "X is empty: it has shape (0,)"),
    ([], None, "X is empty: it has shape (0,)"),
    (np.ones((0, 2)), (2,), "X is empty: it has shape (0, 2)"),
    (np.ones((0, 2), np.float32), (2,), "X is empty: it has shape (0, 2)"),
    (np.ones((9, 0)), None, "X is empty: it has shape (9, 0)"),
    ([[1, 2], [3]], (2,), "X is ragged: row 0 has length 2, row 1 has length 1"),
])  # fmt: skip
def test_shapes_that_do_not_fit(X, shape, message):
    assert_refused(ShapeError, message, features, X, shape, F32, where="layers.0 (Dense)")


def test_without_a_layer_the_network_is_named():
    message = "the network expects 2 features, got 3: images has shape (1, 3)"
    assert_refused(ShapeError, message, features, [[1, 2, 3]], (2,), F32, name="images")


def spoiled(value, at, shape=(50, 4), dtype=np.float64, order="C"):
    array = np.ones(shape, dtype, order=order)
    array[at] = value
    return array


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("source", "efdg")
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("value, word", [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "-infinity")])
def test_the_first_value_that_is_not_finite_is_named(value, word, order, source, dtype):
    X = spoiled(value, (17, 3), dtype=source, order=order)
    X[18, 0] = np.nan  # before (17, 3) in Fortran order, but not the first in reading order
    assert_refused(ValueError, f"X holds {word} at row 17, column 3; drop or replace", features, X, (4,), dtype)


@pytest.mark.parametrize("X, place", [
    (spoiled(np.nan, 3, shape=50), "row 3"),
    (spoiled(np.nan, (3, 0), shape=(50, 1)), "row 3"),
    (spoiled(np.nan, (3, 1, 2), shape=(5, 4, 3)), "index (3, 1, 2)"),
    (spoiled(np.nan, (-1, -1))[::-1, ::-1], "row 0, column 0"),
    ([[1, 2], [float("nan"), 1]], "row 1, column 0"),
])  # fmt: skip
def test_where_a_value_lies(X, place):
    assert_refused(ValueError, f"X holds NaN at {place}; drop", features, X, None, F32)


@pytest.mark.parametrize("value, dtype, shown", [(1e39, F32, "1e+39"), (-1e300, F32, "-1e+300")])
def test_values_beyond_the_range_of_float32(value, dtype, shown):
    message = f"X holds {shown} at row 2, column 1, beyond the range of float32; scale the data"
    assert_refused(ValueError, message, features, spoiled(value, (2, 1)), (4,), dtype)
    assert_ready(features(spoiled(value, (2, 1)), (4,), F64), F64, spoiled(value, (2, 1)))


def test_the_largest_and_the_smallest_float32_pass():
    X = np.array([[np.finfo(np.float32).max, -np.finfo(np.float32).max, 1e-45, 1e-60]])
    assert_ready(features(X, (4,), F32), F32, X.astype(np.float32))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_the_column_of_a_frame_is_named(library):
    module = pytest.importorskip(library)
    frame = module.DataFrame({"age": [30.0, 40.0], "height": [1.8, float("nan")]})
    assert_refused(ValueError, "X holds NaN at row 1, column 1 ('height'); drop", features, frame, (2,), F32)
    frame = module.DataFrame({"age": [30, 40], "height": [1.5, 2.0]})
    assert_ready(features(frame, (2,), F32), F32, [[30, 1.5], [40, 2]])
    assert_ready(features(frame["age"], (1,), F32), F32, [[30], [40]])


# ---- token ids --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("X", [
    *(np.array([[0, 5], [3, 1]], dtype=t) for t in "bBhHiIlLefd"),
    [[0, 5], [3, 1]],
    np.array([[0, 5], [3, 1]], order="F"),
])  # fmt: skip
def test_token_ids_of_any_dtype_become_int32(X):
    assert_ready(features(X, (2,), F32, integer=True, limit=6), np.dtype(np.int32), [[0, 5], [3, 1]])


def test_suitable_token_ids_are_not_copied():
    X = np.array([[0, 5], [3, 1]], dtype=np.int32)
    assert features(X, (2,), F32, integer=True, limit=6) is X
    assert_ready(features([True, False], None, F32, integer=True), np.dtype(np.int32), [[1], [0]])


@pytest.mark.parametrize("X, limit, message", [
    ([[0, 6]], 6, "X holds 6 at row 0, column 1: layers.0 (Embedding) takes 0 to 5"),
    ([[0, -1]], 6, "X holds -1 at row 0, column 1: layers.0 (Embedding) takes 0 to 5"),
    ([[1, 6]], 6, "takes 0 to 5; subtract 1 from X"),
    ([[0, 2**31]], None, "X holds 2147483648 at row 0, column 1: layers.0 (Embedding) takes 0 to 2147483647"),
    ([[0, 2**63]], None, "takes 0 to 2147483647"),
    ([[0, 1.5]], 6, "X holds 1.5 at row 0, column 1: token ids are whole numbers"),
    ([[0, np.nan]], 6, "X holds NaN at row 0, column 1"),
    ([[0, 1e300]], 6, "X holds 1e+300 at row 0, column 1: layers.0 (Embedding) takes 0 to 5"),
])  # fmt: skip
def test_token_ids_out_of_range(X, limit, message):
    assert_refused(ValueError, message, features, X, (2,), F32, integer=True, limit=limit, where="layers.0 (Embedding)")


# ---- targets ----------------------------------------------------------------------------------------------------

COLUMN = [[0], [1], [1]]
ONE_HOT = [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("kind, output_shape, y, expected", [
    ("real", (1,), [0, 1, 1], COLUMN),
    ("real", (1,), COLUMN, COLUMN),
    ("real", (2,), ROWS, ROWS),
    ("real", (2,), np.asfortranarray(VALUES), ROWS),
    ("real", (2, 1), ROWS, VALUES[..., None]),
    ("real", (2, 3), np.ones((3, 2, 3)), np.ones((3, 2, 3))),
    ("real", (1,), np.array([True, False, True]), [[1], [0], [1]]),
    ("binary", (1,), [0, 1, 0.25], [[0], [1], [0.25]]),
    ("binary", (2,), [[0, 1], [1, 1], [0, 0]], [[0, 1], [1, 1], [0, 0]]),
    ("sign", (1,), [-1, 1, 1], [[-1], [1], [1]]),
    ("sign", (1,), [0, 1, 1], [[-1], [1], [1]]),
    ("sign", (1,), [1, 1, 1], [[1], [1], [1]]),
    ("sign", (1,), [False, True, False], [[-1], [1], [-1]]),
    ("count", (1,), [0, 7, 2.5], [[0], [7], [2.5]]),
    ("column", (3,), [1, 2, 3], [[1], [2], [3]]),
    ("column", (5, 3), np.ones((3, 5)), np.ones((3, 5, 1))),
    ("mean_variance", (2,), [1, 2, 3], [[1], [2], [3]]),
    ("mean_variance", (4,), ROWS, ROWS),
    ("any", (7,), [1, 2, 3], [[1], [2], [3]]),
    ("any", (7,), np.ones((3, 2, 5)), np.ones((3, 2, 5))),
    ("classes", (3,), ONE_HOT, ONE_HOT),
    ("classes", (3,), np.array(ONE_HOT, dtype=bool), ONE_HOT),
    ("classes", (2,), [[0.25, 0.75]] * 3, [[0.25, 0.75]] * 3),
    ("classes", (2, 3), [ONE_HOT[:2]] * 3, [ONE_HOT[:2]] * 3),
])  # fmt: skip
def test_targets_become_what_the_loss_reads(kind, output_shape, y, expected, dtype):
    assert_ready(targets(y, kind, output_shape, 3, dtype), dtype, expected)


@pytest.mark.parametrize("y", [
    *(np.array([2, 0, 1], dtype=t) for t in "bBhHiIlLefdg"),
    [2, 0, 1], [2.0, 0.0, 1.0], [[2], [0], [1]], np.array([1, 0, 2])[::-1], np.array([2, 9, 0, 9, 1])[::2],
])  # fmt: skip
def test_class_ids_of_any_dtype_become_int32(y):
    assert_ready(targets(y, "classes", (3,), 3, F32), np.dtype(np.int32), [2, 0, 1])


def test_class_ids_of_sequences_and_of_two_classes():
    ids = [[0, 1], [2, 2], [1, 0]]
    assert_ready(targets(ids, "classes", (2, 3), 3, F32), np.dtype(np.int32), ids)
    assert_ready(targets([False, True], "classes", (2,), 2, F32), np.dtype(np.int32), [0, 1])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_targets_from_series_and_frames(library):
    module = pytest.importorskip(library)
    assert_ready(targets(module.Series([2, 0, 1]), "classes", (3,), 3, F32), np.dtype(np.int32), [2, 0, 1])
    assert_ready(targets(module.Series([2, 0, 1]), "real", (1,), 3, F32), F32, [[2], [0], [1]])
    assert_ready(targets(module.DataFrame({"a": [1, 2], "b": [0.5, 2]}), "real", (2,), 2, F32), F32, [[1, 0.5], [2, 2]])


def test_suitable_targets_are_not_copied():
    real = np.ones((3, 2), np.float32)
    assert targets(real, "real", (2,), 3, F32) is real
    ids = np.array([0, 1, 2], np.int32)
    assert targets(ids, "classes", (3,), 3, F32) is ids
    column = np.ones(3, np.float32)
    assert np.shares_memory(targets(column, "real", (1,), 3, F32), column)


@pytest.mark.parametrize("kind, output_shape, y, message", [
    ("real", (1,), [1, 2], "y has 2 samples, X has 3"),
    ("classes", (3,), [1, 2, 0, 1], "y has 4 samples, X has 3"),
    ("real", (1,), 1.0, "y is a single number; one target is [1.0]"),
    ("real", (1,), np.ones((3, 0)), "y is empty: it has shape (3, 0)"),
    ("real", (2,), np.ones((3, 3)), "the network's output needs y of shape (n, 2), got (3, 3)"),
    ("real", (2,), [0.5, 1, 1], "the network's output needs y of shape (n, 2), got (3,)"),
    ("real", (2,), [0, 1, 1], "got (3,); for class ids take the loss 'cross_entropy', or give one-hot rows"),
    ("binary", (1,), ROWS, "the network's output needs y of shape (n, 1), got (3, 2)"),
    ("classes", (4,), ONE_HOT, "y needs the shape (n,) for class ids or (n, 4) for one-hot rows, got (3, 3)"),
    ("classes", (2, 4), [0, 1, 2], "y needs the shape (n, 2) for class ids or (n, 2, 4) for one-hot rows, got (3,)"),
    ("mean_variance", (4,), [1, 2, 3], "needs y of shape (n, 2), got (3,)"),
    ("mean_variance", (3,), [1, 2, 3], "a mean and a variance for each target need an even number of outputs, got 3"),
])  # fmt: skip
def test_targets_of_a_wrong_shape(kind, output_shape, y, message):
    assert_refused(ShapeError, message, targets, y, kind, output_shape, 3, F32)


@pytest.mark.parametrize("kind, output_shape, y, message", [
    ("real", (1,), [1, np.nan, 2], "y holds NaN at row 1; drop or replace"),
    ("real", (2,), [[1, 2], [3, 4], [5, np.inf]], "y holds infinity at row 2, column 1"),
    ("real", (1,), [1, 2, 1e39], "y holds 1e+39 at row 2, beyond the range of float32"),
    ("classes", (3,), [0, 3, 1], "y holds 3 at row 1: class ids for 3 outputs are 0 to 2"),
    ("classes", (3,), [0, -1, 1], "y holds -1 at row 1: class ids for 3 outputs are 0 to 2"),
    ("classes", (3,), [1, 2, 3], "y holds 3 at row 2: class ids for 3 outputs are 0 to 2; subtract 1 from y"),
    ("classes", (3,), [0, 0.5, 1], "y holds 0.5 at row 1: class ids are whole numbers"),
    ("classes", (3,), [0, np.nan, 1], "y holds NaN at row 1"),
    ("classes", (3,), [0, 2**63, 1], "at row 1: class ids for 3 outputs are 0 to 2"),
    ("classes", (2, 3), [[0, 1], [2, 9], [0, 0]], "y holds 9 at row 1, column 1"),
    ("classes", (1,), [0, 1, 1], "y holds 1 at row 1: one output tells no classes apart; take the loss 'binary_cross"),
    ("classes", (3,), [[1, 0, 0], [0.5, 0.4, 0], [0, 1, 0]], "y has the sum 0.9 at row 1: one-hot rows and"),
    ("classes", (3,), [[1, 0, 0], [1, 1, 0], [0, 1, 0]], "for several labels a sample take the loss 'binary_"),
    ("classes", (3,), [[1, 0, 0], [2, -1, 0], [0, 1, 0]], "y holds -1.0 at row 1, column 1: probabilities are"),
    ("classes", (3,), [[1, 0, 0], [0, np.nan, 0], [0, 1, 0]], "y holds NaN at row 1, column 1"),
    ("binary", (1,), [0, 1, 2], "y holds 2.0 at row 2: targets are 0, 1 or a probability between"),
    ("binary", (1,), [-1, 1, 1], "y holds -1.0 at row 0: targets are 0, 1"),
    ("sign", (1,), [-1, 0, 1], "y holds 0.0 at row 1: labels are -1 and 1, or 0 and 1"),
    ("sign", (1,), [0, 1, 2], "y holds 2.0 at row 2: labels are -1 and 1, or 0 and 1"),
    ("count", (1,), [0, 1, -2], "y holds -2.0 at row 2: counts are not negative"),
    ("reals", (1,), [0, 1, 2], "unknown kind of targets 'reals'; did you mean 'real'?"),
])  # fmt: skip
def test_targets_that_the_loss_cannot_take(kind, output_shape, y, message):
    assert_refused(ValueError, message, targets, y, kind, output_shape, 3, F32)


@pytest.mark.parametrize("kind, output_shape", [("real", (1,)), ("classes", (3,))])
@pytest.mark.parametrize("y, message", [
    (["cat", "dog", "cat"], "y holds str 'cat' at row 0; encode them as numbers first"),
    ([1j, 0, 0], "y holds complex numbers"),
    ([None, 1, 2], "y holds None at row 0"),
    (None, "y must be an array or a list of numbers, got NoneType"),
])  # fmt: skip
def test_targets_that_are_no_numbers(y, message, kind, output_shape):
    assert_refused(TypeError, message, targets, y, kind, output_shape, 3, F32)


def test_rounded_probabilities_pass():
    rows = np.random.default_rng(0).dirichlet(np.ones(1000), size=20)
    for dtype in (np.float16, np.float32):
        assert targets(rows.astype(dtype), "classes", (1000,), 20, F32).shape == (20, 1000)


# ---- weights ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("w", [[1, 2, 0], [[1], [2], [0]], np.array([0, 2, 1])[::-1], np.array([1, 2, 0], np.float16)])
def test_sample_weights(w):
    assert_ready(sample_weights(w, 3, F32), F32, [1, 2, 0])


@pytest.mark.parametrize("w, error, message", [
    ([1, 2], ShapeError, "sample_weight needs one weight for each of the 3 samples, got shape (2,)"),
    (2.0, ShapeError, "got shape ()"),
    ([[1, 2, 3]], ShapeError, "got shape (1, 3)"),
    ([1, -2, 1], ValueError, "sample_weight holds -2.0 at row 1: weights are not negative"),
    ([1, np.nan, 1], ValueError, "sample_weight holds NaN at row 1"),
    ([0, 0, 0], ValueError, "sample_weight is 0 for every sample; at least one must count"),
    (["a", "b", "c"], TypeError, "sample_weight holds str 'a' at row 0"),
])  # fmt: skip
def test_sample_weights_that_are_refused(w, error, message):
    assert_refused(error, message, sample_weights, w, 3, F32)


IDS = np.array([0, 1, 1, 2, 1], np.int32)


@pytest.mark.parametrize("weights, y, k, expected", [
    ({1: 3.0}, IDS, 3, [1, 3, 3, 1, 3]),
    ({np.int64(0): 0, 2: 0.5}, IDS, 3, [0, 1, 1, 0.5, 1]),
    ({1: 3.0}, np.eye(3)[IDS], 3, [1, 3, 3, 1, 3]),
    ({1: 3.0}, np.array([[0.0], [1.0]]), 2, [1, 3]),
    ("balanced", IDS, 3, [5 / 3, 5 / 9, 5 / 9, 5 / 3, 5 / 9]),
    ("balanced", IDS, 4, [5 / 3, 5 / 9, 5 / 9, 5 / 3, 5 / 9]),
])  # fmt: skip
def test_class_weights(weights, y, k, expected):
    assert_ready(class_weights(weights, y, k), F64, expected)


def test_balanced_class_weights_are_those_of_scikit_learn():
    compute = pytest.importorskip("sklearn.utils.class_weight").compute_sample_weight
    y = np.random.default_rng(0).integers(0, 7, 100)
    np.testing.assert_allclose(class_weights("balanced", y, 7), compute("balanced", y), rtol=1e-15)


@pytest.mark.parametrize("weights, y, error, message", [
    ("balancd", IDS, ValueError, "unknown class_weight 'balancd'; did you mean 'balanced'?"),
    ([1, 2, 3], IDS, TypeError, "class_weight must be 'balanced' or a mapping from class id to weight, got list"),
    ({3: 1.0}, IDS, ValueError, "class_weight names class 3, the classes are 0 to 2"),
    ({-1: 1.0}, IDS, ValueError, "a class in class_weight must be an integer not below 0, got -1"),
    ({"a": 1.0}, IDS, TypeError, "a class in class_weight must be an integer not below 0, got str 'a'"),
    ({0: -1.0}, IDS, ValueError, "class_weight[0] must be a number not below 0, got -1"),
    ({0: None}, IDS, TypeError, "class_weight[0] must be a number not below 0, got None"),
    ({0: 0, 1: 0, 2: 0}, IDS, ValueError, "class_weight gives every sample the weight 0"),
    ({1: 2.0}, np.array([[0.5], [1.0]]), ValueError, "y holds 0.5 at row 0: class ids are whole numbers"),
    ({1: 2.0}, np.ones((2, 3, 4)), ShapeError, "class_weight needs one class for each sample, y has shape (2, 3, 4)"),
])  # fmt: skip
def test_class_weights_that_are_refused(weights, y, error, message):
    assert_refused(error, message, class_weights, weights, y, 3)


def test_a_parameter_takes_its_own_shape_only():
    value = np.ones((2, 3), np.float32)
    assert weight(value, (2, 3), F32, name="w") is value
    assert_ready(weight([[1, 2]], (1, 2), F64, name="w"), F64, [[1, 2]])
    for value in (np.ones((3, 2)), np.ones(6), 1.0, np.ones((2, 3, 1))):
        message = f"layers.0.weight has shape (2, 3), got {np.shape(value)}"
        assert_refused(ShapeError, message, weight, value, (2, 3), F32, name="layers.0.weight")
    assert_refused(ValueError, "w holds NaN at row 0, column 1", weight, [[1, np.nan]], (1, 2), F32, name="w")
    assert_refused(TypeError, "w holds str 'a'", weight, [["a", "b"]], (1, 2), F32, name="w")
