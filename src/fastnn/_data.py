"""The edge: every check of what users hand over (arrays, labels, weights, numbers) is made here, once.

Behind it the engine trusts its input: C-contiguous, aligned, of the network's dtype, finite, in range. What is so
already passes through without a copy, after one look at its header and one pass for NaN. Knows nothing of layers or
losses: the caller says the shape that it needs and, for targets, their kind.
"""

import math
import operator

import numpy as np

from ._arrays import numbers, place, short, with_batch
from ._core.kernels import first_nonfinite, first_refused
from .errors import ShapeError, unknown_name

_ndarray = np.ndarray
_INT64_MAX = 2**63 - 1
_INT32_COUNT = 2**31
# Rows of probabilities may come as float16, whose rounding alone moves a sum by half a thousandth.
_SUM_TOLERANCE = 1e-3


# ---- arrays -----------------------------------------------------------------------------------------------------


def features(X, shape, dtype, *, name="X", where=None, integer=False, limit=None, free=0, checked_later=False,
             missing=False):  # fmt: skip
    """The samples X as a C-contiguous, finite array (n, *shape) of `dtype`; X itself where it already is one.

    Arguments:
        X: (n, *shape) of any numeric dtype and memory order: array, nested lists, data frame; (n,) means (n, 1).
        shape: the shape of one sample, or None for any.
        dtype: the NumPy dtype of the network, float32 or float64.
        name, where: what the message calls the array and the layer that reads it, as "layers.0 (Dense)".
        free: axes of a sample, the first ones, whose lengths may differ from those of `shape`.
        checked_later: X is not searched for NaN and infinities if it can be taken as it is.
        integer: X holds token ids: whole numbers from 0 to below `limit`; the result is int32.
        missing: whether values may be NaN; or the features, indices into the last axis, that may.

    Raises ShapeError for another shape or no samples, ValueError for NaN, infinities and values out of range (with the
    place of the first), TypeError for what is not numbers.

    >>> features([[1, 2], [3, 4]], (2,), np.dtype("float32"))
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    >>> features([[1, 2, 3]], (2,), np.dtype("float32"), where="layers.0 (Dense)")
    Traceback (most recent call last):
    fastnn.errors.ShapeError: layers.0 (Dense) expects 2 features, got 3: X has shape (1, 3)
    """
    if type(X) is _ndarray and X.dtype is dtype and X.shape[1:] == shape and not integer:
        flags = X.flags
        if flags.c_contiguous and flags.aligned and len(X) and (checked_later or first_nonfinite(X) < 0):
            return X
    array = numbers(X, name)
    if not (free and array.ndim == len(shape) + 1 and array.size and array.shape[1 + free :] == shape[free:]):
        array = expect_samples(array, shape, name, where)
    if integer:
        reader = where or "the network"
        return _whole(array, limit or _INT32_COUNT, name, X, "token id", f"{reader} takes {{range}}")
    return _finite(array, dtype, name, X, missing)


def weight(value, shape, dtype, *, name):
    """A parameter's new value as a C-contiguous, finite array of exactly this shape and dtype.

    Raises ShapeError, ValueError or TypeError as `features` does.

    >>> weight([[1, 2]], (2, 1), np.dtype("float32"), name="layers.0.weight")
    Traceback (most recent call last):
    fastnn.errors.ShapeError: layers.0.weight has shape (2, 1), got (1, 2)
    """
    array = numbers(value, name)
    if array.shape != tuple(shape):
        raise ShapeError(f"{name} has shape {tuple(shape)}, got {array.shape}")
    return _finite(array, dtype, name, value)


def padded(items, shape, dtype, *, name, where, integer=False, limit=None, missing=False):
    """Sequences of different lengths as one array (n, longest, *shape), with zeros behind the shorter ones.

    items: arrays (steps, *shape) of at least one step; shape: of one step, or None for that of the first.
    """
    rest = items[0].shape[1:] if shape is None else tuple(shape)
    result = np.zeros((len(items), max(map(len, items)), *rest), np.int32 if integer else dtype)
    for i, item in enumerate(items):
        one = f"{name}[{i}]"
        if item.shape[1:] != rest or not len(item):
            raise ShapeError(f"{one} needs the shape (steps{''.join(f', {size}' for size in rest)}), got {item.shape}")
        checked = features(
            item, rest or None, dtype, name=one, where=where, integer=integer, limit=limit, missing=missing
        )
        result[i, : len(item)] = checked.reshape(item.shape)
    return result


def pad_targets(items, lengths, name):
    """Targets for each step of sequences of these lengths, as one array; what is behind their ends does not count."""
    for i, (item, length) in enumerate(zip(items, lengths, strict=False)):
        if len(item) != length or item.shape[1:] != items[0].shape[1:]:
            raise ShapeError(f"{name}[{i}] has shape {item.shape}, and the sequence X[{i}] has {length} steps")
    result = np.empty((len(items), max(lengths), *items[0].shape[1:]), np.result_type(*{item.dtype for item in items}))
    result[:] = items[0][0]  # any valid target will do
    for item, row in zip(items, result, strict=True):
        row[: len(item)] = item
    return result


def expect_samples(array, shape, name, where):
    """`array` as (n, *shape); a 1-D array is n samples of one feature."""
    if array.ndim == 0:
        raise ShapeError(f"{name} is a single number; one sample of one feature is [[{array}]]")
    if array.size == 0:
        raise ShapeError(f"{name} is empty: it has shape {array.shape}")
    if array.ndim == 1 and shape in (None, (1,)):
        return array.reshape(-1, 1)
    if shape is None or array.shape[1:] == tuple(shape):
        return array
    raise ShapeError(_wrong_samples(array.shape, tuple(shape), name, where or "the network"))


def _wrong_samples(got, shape, name, where):
    if len(got) == 2 and len(shape) == 1:
        return f"{where} expects {shape[0]} features, got {got[1]}: {name} has shape {got}"
    expected = f"{where} expects {name} of shape {with_batch(shape)}, got {got}"
    if got == shape:
        return f"{expected}; a single sample is {name}[None]"
    if len(got) == 1:
        return f"{expected}; a 1-D {name} means one feature per sample"
    if (*got[1:], 1) == shape:
        return f"{expected}; add the last axis with {name}[..., None]"
    if math.prod(got[1:]) == math.prod(shape):
        how = f"{name}.reshape({', '.join(map(str, (-1, *shape)))})"
        return f"{expected}; use {how}" + (" or start with a Flatten layer" if len(shape) == 1 else "")
    return expected


def _finite(array, dtype, name, source, missing=False):
    """`array` as C-contiguous, aligned and of `dtype`, uncopied where it is; the first NaN or infinity is an error.

    missing: whether NaN is let through; or the features in which it is.
    """
    flags = array.flags
    if array.dtype is dtype and flags.c_contiguous and flags.aligned:
        result = array
    else:
        with np.errstate(over="ignore"):  # what overflows becomes an infinity, and is reported below with its place
            result = _required(array, dtype)
    position = first_nonfinite(result) if array.dtype.kind == "f" else -1
    if position >= 0 and missing:
        position = first_refused(result, range(result.shape[-1]) if missing is True else missing)
    if position < 0:
        return result
    value = array[np.unravel_index(position, array.shape)]
    where = place(array.shape, position, source)
    if np.isfinite(value):
        raise ValueError(f"{name} holds {value} at {where}, beyond the range of {result.dtype}; scale the data")
    value = "NaN" if np.isnan(value) else "infinity" if value > 0 else "-infinity"
    raise ValueError(f"{name} holds {value} at {where}; drop or replace such values first")


def _required(array, dtype):
    """`array` as C-contiguous, aligned and of `dtype`, uncopied where it is: np.require in a fifth of its time."""
    result = array.astype(dtype, order="C", copy=False)
    return result if result.flags.aligned else result.copy()


def _whole(array, count, name, source, noun, reason):
    """`array` as C-contiguous int32 after checking that every value is a whole number from 0 to count - 1."""
    if array.dtype.kind == "f":
        array = _finite(array, np.dtype(np.float64), name, source)
        _check(array == np.floor(array), array, name, source, f"{noun}s are whole numbers")
    elif array.dtype.kind == "b":
        array = array.view(np.uint8)
    if array.min() < 0 or array.max() >= count:
        reason = reason.format(range=f"0 to {count - 1}")
        if array.min() == 1 and array.max() == count:
            reason += f"; subtract 1 from {name}"
        _check((array >= 0) & (array < count), array, name, source, reason)
    return _required(array, np.int32)


def _check(good, array, name, source, reason):
    """Raises ValueError with the first value of `array` that is not good, and the reason."""
    position = int(np.argmin(good))
    if not good.flat[position]:
        value = array.flat[position]
        raise ValueError(f"{name} holds {value} at {place(array.shape, position, source)}: {reason}")


# ---- targets and weights ----------------------------------------------------------------------------------------


def targets(y, kind, output_shape, n, dtype, *, name="y", partner="X"):
    """The targets y in the form that a loss of this kind reads.

    Arguments:
        y: n targets of any numeric dtype; (n,) and (n, 1) mean the same.
        kind: what the loss takes, and the result:
            "real": any reals -> (n, *output_shape)
            "classes": class ids (n, ...) from 0 to output_shape[-1] - 1 -> int32 (n, ...); or one-hot rows or rows of
                probabilities (n, *output_shape), not negative, each with sum 1 -> the same
            "binary": reals in [0, 1] -> (n, *output_shape)
            "sign": -1 and 1, or 0 and 1, which become -1 and 1 -> (n, *output_shape)
            "count": reals not below 0 -> (n, *output_shape)
            "column": reals, one column for all outputs -> (n, ..., 1)
            "mean_variance": reals, half of the output's columns -> (n, ..., columns / 2)
            "any": reals of any shape -> (n, ...), at least two axes
        output_shape: the shape of one output of the network.
        n: the number of samples in X.
        dtype: the NumPy dtype of the network.
        name, partner: what the messages call y and X.

    Raises ShapeError, ValueError (with the place of the first value that is wrong) or TypeError.

    >>> targets([0, 2], "classes", (3,), 2, np.dtype("float32"))
    array([0, 2], dtype=int32)
    >>> targets([0, 3], "classes", (3,), 2, np.dtype("float32"))
    Traceback (most recent call last):
    ValueError: y holds 3 at row 1: class ids for 3 outputs are 0 to 2
    """
    if kind != "classes" and kind not in _KINDS:
        raise unknown_name("kind of targets", kind, ["classes", *_KINDS])
    array = numbers(y, name)
    if array.ndim == 0:
        raise ShapeError(f"{name} is a single number; one target is [{array}]")
    if len(array) != n:
        raise ShapeError(f"{name} has {len(array)} samples, {partner} has {n}")
    if array.size == 0:
        raise ShapeError(f"{name} is empty: it has shape {array.shape}")
    if kind == "classes":
        return _class_targets(array, tuple(output_shape), dtype, name, y)
    sample, check = _KINDS[kind]
    shape = (n, *sample(tuple(output_shape), array.shape[1:]))
    return check(_finite(_as_targets(array, shape, name), dtype, name, y), name, y)


def _as_targets(array, shape, name):
    if array.shape == shape:
        return array
    if shape[-1] == 1 and array.shape == shape[:-1]:
        return array.reshape(shape)
    message = f"the network's output needs {name} of shape {with_batch(shape[1:])}, got {array.shape}"
    if array.ndim == 1 and array.dtype.kind in "biu":
        message += "; for class ids take the loss 'cross_entropy', or give one-hot rows"
    raise ShapeError(message)


def _class_targets(array, output_shape, dtype, name, source):
    *inner, count = output_shape
    ids_shape = (len(array), *inner)
    if array.shape == (*ids_shape, 1):
        array = array.reshape(ids_shape)
    if array.shape == ids_shape:
        reason = f"class ids for {count} outputs are {{range}}"
        if count == 1:
            reason = "one output tells no classes apart; take the loss 'binary_cross_entropy', or one output per class"
        return _whole(array, count, name, source, "class id", reason)
    if array.shape != (*ids_shape, count):
        ids, rows = with_batch(inner), with_batch(output_shape)
        raise ShapeError(f"{name} needs the shape {ids} for class ids or {rows} for one-hot rows, got {array.shape}")
    rows = _finite(array, dtype, name, source)
    _check(rows >= 0, rows, name, source, "probabilities are not negative")
    sums = rows.sum(axis=-1, dtype=np.float64)
    good = np.abs(sums - 1) <= _SUM_TOLERANCE
    if not good.all():
        position = int(np.argmin(good))
        raise ValueError(
            f"{name} has the sum {sums.flat[position]:g} at {place(sums.shape, position)}: one-hot rows and "
            f"probabilities have sum 1; for several labels a sample take the loss 'binary_cross_entropy'"
        )
    return rows


def _any_real(array, name, source):
    return array


def _in_unit_interval(array, name, source):
    if array.min() < 0 or array.max() > 1:
        _check((array >= 0) & (array <= 1), array, name, source, "targets are 0, 1 or a probability between")
    return array


def _signs(array, name, source):
    zero_one = not (array < 0).any()
    good = (array == 1) | (array == (0 if zero_one else -1))
    _check(good, array, name, source, "labels are -1 and 1, or 0 and 1")
    return array * 2 - 1 if zero_one else array


def _not_negative(array, name, source):
    if array.min() < 0:
        _check(array >= 0, array, name, source, "counts are not negative")
    return array


def _half(output):
    if output[-1] % 2:
        raise ShapeError(f"a mean and a variance for each target need an even number of outputs, got {output[-1]}")
    return *output[:-1], output[-1] // 2


# kind -> (the shape of one target from the output's and the given one, what is checked and returned); class ids have
# their own way, since they come in two shapes
_KINDS = {
    "real": (lambda output, given: output, _any_real),
    "binary": (lambda output, given: output, _in_unit_interval),
    "sign": (lambda output, given: output, _signs),
    "count": (lambda output, given: output, _not_negative),
    "column": (lambda output, given: (*output[:-1], 1), _any_real),
    "mean_variance": (lambda output, given: _half(output), _any_real),
    "any": (lambda output, given: given or (1,), _any_real),
}


def sample_weights(w, n, dtype, *, name="sample_weight"):
    """The weights of n samples, (n,) or (n, 1), as a C-contiguous array (n,) of `dtype`.

    Raises ShapeError for another shape, ValueError for NaN, infinities, weights below 0 and weights that are all 0.

    >>> sample_weights([1, 2], 2, np.dtype("float32"))
    array([1., 2.], dtype=float32)
    """
    array = numbers(w, name)
    if array.shape == (n, 1):
        array = array.reshape(n)
    if array.shape != (n,):
        raise ShapeError(f"{name} needs one weight for each of the {n} samples, got shape {array.shape}")
    result = _finite(array, dtype, name, w)
    _check(result >= 0, result, name, w, "weights are not negative")
    if not result.any():
        raise ValueError(f"{name} is 0 for every sample; at least one must count")
    return result


def class_weights(weights, y, k, *, name="class_weight"):
    """The weight of each sample that follows from its class, float64 (n,).

    "balanced" gives class c the weight n / (classes present * samples of c), as scikit-learn does, so that every class
    counts the same.

    Arguments:
        weights: "balanced", or a mapping from class id to weight; a class that it does not name has weight 1.
        y: what `targets` returned: class ids (n,), rows (n, k) whose largest entry is the class, or one column of 0, 1.
        k: the number of classes.

    >>> class_weights({1: 3.0}, np.array([0, 1, 1]), 2)
    array([1., 3., 3.])
    >>> class_weights("balanced", np.array([0, 1, 1, 1]), 2)
    array([2.        , 0.66666667, 0.66666667, 0.66666667])
    """
    if isinstance(weights, str):
        if weights != "balanced":
            raise unknown_name(name, weights, ["balanced"])
    elif not hasattr(weights, "items"):
        raise TypeError(f"{name} must be 'balanced' or a mapping from class id to weight, got {type(weights).__name__}")
    if y.ndim == 2:
        y = y[:, 0] if y.shape[1] == 1 else y.argmax(axis=1)
    if y.ndim != 1:
        raise ShapeError(f"{name} needs one class for each sample, y has shape {y.shape}")
    ids = _whole(y, k, "y", None, "class id", f"{name} needs classes {{range}}")
    if isinstance(weights, str):
        counts = np.bincount(ids, minlength=k)
        present = counts > 0
        table = np.divide(len(ids), present.sum() * counts, out=np.ones(k), where=present)
    else:
        table = _weight_of_class(weights, k, name)
    result = table[ids]
    if not result.any():
        raise ValueError(f"{name} gives every sample the weight 0; at least one must count")
    return result


def _weight_of_class(weights, k, name):
    table = np.ones(k)
    for key, value in weights.items():
        class_id = non_negative_int(key, f"a class in {name}")
        if class_id >= k:
            raise ValueError(f"{name} names class {class_id}, the classes are 0 to {k - 1}")
        table[class_id] = non_negative(value, f"{name}[{class_id}]")
    return table


# ---- single arguments -------------------------------------------------------------------------------------------


def positive_int(value, name):
    """`value` as an int from 1; TypeError for what is not an integer (True, 1.5, "3"), ValueError out of range.

    >>> positive_int(0, "units")
    Traceback (most recent call last):
    ValueError: units must be a positive integer, got 0
    """
    return _integer(value, name, 1, "a positive integer")


def non_negative_int(value, name):
    """`value` as an int from 0; TypeError for what is not an integer, ValueError out of range."""
    return _integer(value, name, 0, "an integer not below 0")


def positive(value, name):
    """`value` as a finite float above 0."""
    return _real(value, name, lambda x: x > 0, "a positive number")


def non_negative(value, name):
    """`value` as a finite float not below 0."""
    return _real(value, name, lambda x: x >= 0, "a number not below 0")


def fraction(value, name):
    """`value` as a float in [0, 1): a rate, a share, a decay."""
    return _real(value, name, lambda x: 0 <= x < 1, "a number from 0 to below 1")


def finite(value, name):
    """`value` as a finite float."""
    return _real(value, name, lambda x: True, "a finite number")


def boolean(value, name):
    """`value` as a bool; TypeError for what is not True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {short(value)}")
    return bool(value)


def sample_shape(value, name):
    """The shape of one sample as a tuple of positive ints; one int is a shape of one axis.

    >>> sample_shape(4, "input_shape"), sample_shape([28, 28, 1], "input_shape")
    ((4,), (28, 28, 1))
    """
    sizes = value if isinstance(value, (tuple, list)) else (value,)
    if not sizes:
        raise ShapeError(f"{name} must have at least one axis, got {value!r}")
    sizes = tuple(positive_int(size, f"each size in {name}" if len(sizes) > 1 else name) for size in sizes)
    if math.prod(sizes) > _INT64_MAX:
        raise ValueError(f"{name} has more elements than memory can have: {sizes}")
    return sizes


def _integer(value, name, least, kind):
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be {kind}, got {short(value)}") from None
    if number.bit_length() > 63:  # its digits may be too many to print
        raise ValueError(f"{name} must be {kind} below 2**63, got a number of {number.bit_length()} bits")
    if number < least:
        raise ValueError(f"{name} must be {kind}, got {number}")
    return number


def _real(value, name, fits, kind):
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be {kind}, got {short(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and fits(number)):
        raise ValueError(f"{name} must be {kind}, got {number:g}")
    return number
