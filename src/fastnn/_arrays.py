"""Whatever holds numbers as an ndarray, and the words for where in it a value lies.

Nothing is imported for pandas, polars or SciPy: their objects are recognized by what they can do. Which shape or range
is right is not known here; `_data` asks for it.
"""

import reprlib

import numpy as np

from .errors import ShapeError

_ndarray = np.ndarray

# kind of dtype -> what the array holds, and the way out
_REFUSED = {
    "U": ("strings", "encode them as numbers first"),
    "S": ("strings", "encode them as numbers first"),
    "T": ("strings", "encode them as numbers first"),
    "c": ("complex numbers", "give real and imaginary part as two features"),
    "M": ("dates", "turn them into numbers first"),
    "m": ("time differences", "turn them into numbers first"),
    "V": ("records", "give a plain array with one column per field"),
    "O": ("objects", "convert with numpy.asarray(..., dtype=float)"),
}


def numbers(data, name):
    """`data` as an ndarray of booleans, integers or floats, uncopied where it is one; TypeError where it holds others.

    >>> numbers([[1, 2], [3, 4.5]], "X")
    array([[1. , 2. ],
           [3. , 4.5]])
    >>> numbers([[1, 2], [3]], "X")
    Traceback (most recent call last):
    fastnn.errors.ShapeError: X is ragged: row 0 has length 2, row 1 has length 1
    """
    array = data if type(data) is _ndarray else _as_array(data, name)
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind == "O" and getattr(getattr(data, "dtype", None), "kind", "O") in "biuf":
        return data.to_numpy(dtype=np.float64, na_value=np.nan)  # a nullable column of pandas before 2.2
    raise TypeError(_not_numbers(data, array, name))


def sequences(data, name):
    """A list (or array of objects) of sequences that differ in length, as a list of arrays; None for anything else.

    >>> [one.shape for one in sequences([[[1, 2], [3, 4]], [[5, 6]]], "X")]
    [(2, 2), (1, 2)]
    """
    if type(data) is _ndarray and data.dtype == object and data.ndim == 1:
        data = list(data)
    if not isinstance(data, (list, tuple)) or not all(hasattr(one, "__len__") for one in data):
        return None
    if len({len(one) for one in data}) < 2:
        return None
    return [numbers(one, f"{name}[{i}]") for i, one in enumerate(data)]


def _as_array(data, name):
    if hasattr(data, "toarray"):
        raise TypeError(f"{name} is a sparse matrix; make it dense with {name}.toarray()")
    if isinstance(data, _ndarray) and np.any(getattr(data, "mask", False)):
        raise ValueError(f"{name} has masked entries; fill them first, as with {name}.filled(0)")
    try:
        array = np.asarray(data)
    except MemoryError:
        raise
    except ValueError as error:
        if ragged := _ragged(data, name):
            raise ShapeError(ragged) from None
        raise ValueError(f"{name} cannot be made an array: {error}") from error
    except Exception as error:  # a foreign __array__ may raise anything
        raise TypeError(f"{name} cannot be made an array: {error}") from error
    if array.ndim == 2 and _is_frame(data) and (array.dtype.kind == "O" or _has_dates(data)):
        return _stacked_columns(data, name)
    return array


def _is_frame(data):
    return hasattr(data, "columns") and hasattr(data, "dtypes")


def _has_dates(frame):
    """Polars hands dates over as plain integers where other columns are numbers."""
    return any(hasattr(dtype, "is_temporal") and dtype.is_temporal() for dtype in frame.dtypes)


def _stacked_columns(frame, name):
    """A frame of mixed column types as one array; the first column that is not numeric is named in the error."""
    parts = [
        numbers(frame.iloc[:, i] if hasattr(frame, "iloc") else frame[column], f"column {column!r} of {name}")
        for i, column in enumerate(frame.columns)
    ]
    return np.stack(parts, axis=1) if parts else np.empty((len(frame), 0))


def with_batch(shape):
    """The shape of n samples as text: "(n, 28, 28)"."""
    return f"({', '.join(map(str, ('n', *shape)))})" if shape else "(n,)"


def place(shape, position, source=None):
    """Where the value with this flat position lies: rows and columns count from 0."""
    row, *rest = (int(i) for i in np.unravel_index(position, shape))
    if all(size == 1 for size in shape[1:]):
        return f"row {row}"
    if len(rest) > 1:
        return f"index {(row, *rest)}"
    column = f" ({source.columns[rest[0]]!r})" if _is_frame(source) else ""
    return f"row {row}, column {rest[0]}{column}"


def _not_numbers(data, array, name):
    holds, hint = _REFUSED[array.dtype.kind]
    if array.ndim == 0 and array.dtype.kind in "OUST":
        return f"{name} must be an array or a list of numbers, got {type(data).__name__}"
    if array.dtype.kind in "UST" and not isinstance(data, _ndarray):
        array = np.asarray(data, dtype=object)  # as given: in a list with one string every number became a string
    if array.dtype.kind == "O":
        number = (bool, int, float, np.bool_, np.integer, np.floating)
        odd = (i for i, value in enumerate(array.flat) if not isinstance(value, number))
        position = next(odd, None)
        if position is not None:
            value = array.flat[position]
            if isinstance(value, (str, bytes)):
                hint = _REFUSED["U"][1]
            elif value is None:
                hint = "fill or drop missing values first"
            elif isinstance(value, (list, tuple, _ndarray)):
                hint = "all rows must have the same length"
            return f"{name} holds {short(value)} at {place(array.shape, position, data)}; {hint}"
    return f"{name} holds {holds} (dtype {array.dtype}); {hint}"


def short(value):
    """Type and value on one short line; reprlib, since the whole text of a long list could take seconds."""
    return "None" if value is None else f"{type(value).__name__} {reprlib.repr(value)}"


def _ragged(data, name):
    """What to say of rows of different length; "" where that is not the trouble."""
    if not isinstance(data, (list, tuple)):
        return ""
    lengths = [len(row) if hasattr(row, "__len__") else 1 for row in data]
    odd = next((i for i, length in enumerate(lengths) if length != lengths[0]), None)
    if odd is None:
        return f"{name} is ragged: its rows differ in shape"
    return f"{name} is ragged: row 0 has length {lengths[0]}, row {odd} has length {lengths[odd]}"
