"""What is taken for an array of numbers and what is not, and the words for both."""

import doctest

import numpy as np
import pytest

from fastnn import _arrays
from fastnn._arrays import numbers, place, short, with_batch
from fastnn.errors import ShapeError

ROWS = [[1, 2], [3, 4], [5, 6]]


class Foreign:
    """An array type of another library."""

    def __init__(self, make):
        self.make = make

    def __array__(self, dtype=None, copy=None):
        return self.make()


class NullableColumn:
    """What pandas before 2.2 does with a nullable column: an array of objects unless a dtype is asked for."""

    class dtype:
        kind = "i"

    def __array__(self, dtype=None, copy=None):
        return np.array([1, 2], dtype=object)

    def to_numpy(self, dtype, na_value):
        return np.array([1, na_value], dtype=dtype)


def fail(error):
    raise error


def test_examples_in_the_docstrings():
    failed, attempted = doctest.testmod(_arrays)
    assert attempted >= 2 and failed == 0


def test_an_array_passes_uncopied():
    array = np.array(ROWS)
    assert numbers(array, "X") is array
    subclass = type("Subclass", (np.ndarray,), {})
    assert type(numbers(array.view(subclass), "X")) is np.ndarray
    assert np.shares_memory(numbers(array.view(subclass), "X"), array)
    assert np.shares_memory(numbers(np.ma.masked_array(array), "X"), array)


@pytest.mark.parametrize("data, kind", [
    (ROWS, "i"),
    (tuple(map(tuple, ROWS)), "i"),
    ([np.array(row) for row in ROWS], "i"),
    ([[1, 2], [3, 4.0], [5, True]], "f"),
    (range(6), "i"),
    (Foreign(lambda: np.array(ROWS)), "i"),
    (np.float32(3), "f"),
    (True, "b"),
    ([2**63, 1], "uf"),
    ([], "f"),
])  # fmt: skip
def test_what_holds_numbers_is_taken(data, kind):
    array = numbers(data, "X")
    assert type(array) is np.ndarray and array.dtype.kind in kind


@pytest.mark.parametrize("data, error, message", [
    (["a", "b"], TypeError, "X holds str 'a' at row 0; encode them as numbers first"),
    ([["1", "2"], ["3", "4"]], TypeError, "X holds str '1' at row 0, column 0; encode"),
    ([[1, 2], [3, "x"]], TypeError, "X holds str 'x' at row 1, column 1"),
    ([b"a"], TypeError, "X holds bytes b'a' at row 0"),
    ("abc", TypeError, "X must be an array or a list of numbers, got str"),
    (np.array(["a", "b"]), TypeError, "X holds strings (dtype <U1); encode them as numbers first"),
    (np.array([b"a"]), TypeError, "X holds strings (dtype |S1)"),
    ([1 + 2j], TypeError, "X holds complex numbers (dtype complex128); give real and imaginary part"),
    (np.array(["2024-01-01"], dtype="M8[D]"), TypeError, "X holds dates (dtype datetime64[D]); turn them into numbers"),
    (np.array([1], dtype="m8[s]"), TypeError, "X holds time differences"),
    (np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]), TypeError, "X holds records"),
    ([[1.0, None]], TypeError, "X holds None at row 0, column 1; fill or drop missing values first"),
    ([[1.0, {}]], TypeError, "X holds dict {} at row 0, column 1"),
    (np.array([1, 2], dtype=object), TypeError, "X holds objects (dtype object); convert with numpy.asarray"),
    (np.array([[1], [1, 2]], dtype=object), TypeError, "X holds list [1] at row 0; all rows must have the same length"),
    (None, TypeError, "X must be an array or a list of numbers, got NoneType"),
    ({"a": 1}, TypeError, "X must be an array or a list of numbers, got dict"),
    ({1, 2}, TypeError, "X must be an array or a list of numbers, got set"),
    ((i for i in range(3)), TypeError, "X must be an array or a list of numbers, got generator"),
    ([[1, 2], [3, 4], [5]], ShapeError, "X is ragged: row 0 has length 2, row 2 has length 1"),
    ([1, [2, 3]], ShapeError, "X is ragged: row 0 has length 1, row 1 has length 2"),
    ([[[1, 2]], [[1]]], ShapeError, "X is ragged: its rows differ in shape"),
    (np.ma.masked_array([1, 2], [False, True]), ValueError, "X has masked entries; fill them first"),
    (Foreign(lambda: fail(RuntimeError("needs detach()"))), TypeError, "X cannot be made an array: needs detach()"),
    (Foreign(lambda: fail(ValueError("not now"))), ValueError, "X cannot be made an array: not now"),
])  # fmt: skip
def test_what_does_not_hold_numbers_is_named(data, error, message):
    with pytest.raises(error) as caught:
        numbers(data, "X")
    assert message in str(caught.value)


def test_running_out_of_memory_stays_what_it_is():
    with pytest.raises(MemoryError):
        numbers(Foreign(lambda: fail(MemoryError())), "X")


def test_a_sparse_matrix_is_told_the_way_out():
    class Sparse:
        def toarray(self):
            return np.eye(2)

    with pytest.raises(TypeError, match=r"X is a sparse matrix; make it dense with X\.toarray\(\)"):
        numbers(Sparse(), "X")


def test_a_nullable_column_of_an_older_pandas_becomes_floats():
    assert np.array_equal(numbers(NullableColumn(), "y"), [1, np.nan], equal_nan=True)


PANDAS = {
    "floats": (lambda pd: pd.DataFrame({"a": [1.0, 3.0], "b": [2.0, 4.0]}), [[1, 2], [3, 4]]),
    "mixed numbers": (lambda pd: pd.DataFrame({"a": [1, 3], "b": [2.5, 4.5]}), [[1, 2.5], [3, 4.5]]),
    "bool and float": (lambda pd: pd.DataFrame({"a": [True, False], "b": [2.5, 4.5]}), [[1, 2.5], [0, 4.5]]),
    "nullable": (lambda pd: pd.DataFrame({"a": pd.array([1, 3], "Int64"), "b": [0.5, 1]}), [[1, 0.5], [3, 1]]),
    "missing": (lambda pd: pd.DataFrame({"a": pd.array([1, None], "Int64")}), [[1], [np.nan]]),
    "same names": (lambda pd: pd.DataFrame({"a": [True], "b": [2.5]}).set_axis(["a", "a"], axis=1), [[1, 2.5]]),
    "no columns": (lambda pd: pd.DataFrame(index=[0, 1]), np.empty((2, 0))),
    "series": (lambda pd: pd.Series([1, 2], index=[5, 7]), [1, 2]),
    "nullable series": (lambda pd: pd.Series([True, False], dtype="boolean"), [1, 0]),
    "integer categories": (lambda pd: pd.Series([1, 2]).astype("category"), [1, 2]),
}

POLARS = {
    "mixed numbers": (lambda pl: pl.DataFrame({"a": [1, 3], "b": [2.5, 4.5]}), [[1, 2.5], [3, 4.5]]),
    "bool and float": (lambda pl: pl.DataFrame({"a": [True, False], "b": [2.5, 4.5]}), [[1, 2.5], [0, 4.5]]),
    "missing": (lambda pl: pl.DataFrame({"a": [1, None]}), [[1], [np.nan]]),
    "series": (lambda pl: pl.Series([1, 2]), [1, 2]),
    "array column": (lambda pl: pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int32, 2)), [[1, 2], [3, 4]]),
}


@pytest.mark.parametrize("library, case", [("pandas", c) for c in PANDAS] + [("polars", c) for c in POLARS])
def test_frames_and_series_are_taken(library, case):
    module = pytest.importorskip(library)
    make, expected = (PANDAS if library == "pandas" else POLARS)[case]
    array = numbers(make(module), "X")
    assert type(array) is np.ndarray and array.dtype.kind in "biuf"
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("library, columns, message", [
    ("pandas", {"age": [1, 2], "city": ["Rome", "Oslo"]}, "column 'city' of X holds str 'Rome' at row 0; encode"),
    ("polars", {"age": [1, 2], "city": ["Rome", "Oslo"]}, "column 'city' of X holds str 'Rome' at row 0; encode"),
    ("pandas", {"a": [1, 2], "b": np.array(["2024-01-01"] * 2, "M8[ns]")}, "column 'b' of X holds dates"),
    ("polars", {"a": [1, 2], "b": np.array(["2024-01-01"] * 2, "M8[D]")}, "column 'b' of X holds dates"),
    ("pandas", {"a": [1, 2], "b": [1.0, [2]]}, "column 'b' of X holds list [2] at row 1"),
])  # fmt: skip
def test_the_column_that_is_not_numeric_is_named(library, columns, message):
    frame = pytest.importorskip(library).DataFrame(columns)
    with pytest.raises(TypeError) as caught:
        numbers(frame, "X")
    assert message in str(caught.value)


def test_a_lazy_frame_is_no_array():
    frame = pytest.importorskip("polars").LazyFrame({"a": [1]})
    with pytest.raises(TypeError, match="X must be an array or a list of numbers, got LazyFrame"):
        numbers(frame, "X")


@pytest.mark.parametrize("shape, position, words", [
    ((5,), 3, "row 3"),
    ((5, 1), 3, "row 3"),
    ((5, 1, 1), 3, "row 3"),
    ((3, 4), 7, "row 1, column 3"),
    ((3, 4, 2), 9, "index (1, 0, 1)"),
    ((1, 3), 2, "row 0, column 2"),
])  # fmt: skip
def test_places_count_from_zero(shape, position, words):
    assert place(shape, position) == words


def test_shapes_and_values_in_messages():
    assert [with_batch(s) for s in ((), (3,), (28, 28))] == ["(n,)", "(n, 3)", "(n, 28, 28)"]
    assert short(None) == "None" and short("3") == "str '3'" and short(1.5) == "float 1.5"
    assert len(short(list(range(10**5)))) < 60
