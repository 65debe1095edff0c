"""Windows over images and sequences: what the arguments of convolutions and pooling mean, and the shapes they give.

Axes are those between the batch and the channels: height and width of an image, time of a sequence.
"""

from .._data import non_negative_int, positive_int
from ..errors import ShapeError

SAMPLES = {1: "sequences (time, channels)", 2: "images (height, width, channels)"}


def sizes(value, axes, name, check=positive_int):
    """`value` checked: an int for all axes, or a tuple of one for each."""
    if not isinstance(value, (tuple, list)):
        return check(value, name)
    if len(value) != axes:
        expected = f"an int or {axes} of them" if axes > 1 else "an int"
        raise ValueError(f"{name}: expected {expected}, got {value!r}")
    return tuple(check(one, f"each size in {name}") for one in value)


def checked_padding(value, axes):
    """ "valid", "same", an int for all axes, or a tuple of one for each."""
    if isinstance(value, str):
        if value not in ("valid", "same"):
            raise ValueError(f'padding: expected "valid", "same" or an int, got {value!r}')
        return value
    return sizes(value, axes, "padding", non_negative_int)


def each(value, axes):
    """One value for each axis."""
    return value if isinstance(value, tuple) else (value,) * axes


def expect_samples(g, x, axes):
    """Raises ShapeError unless x has its axes and channels."""
    if len(x.shape) == axes + 1:
        return
    fix = f"Reshape({(*x.shape, 1)})" if len(x.shape) == axes else "a Reshape"
    raise ShapeError(f"{g.where()} expects {SAMPLES[axes]}, got samples of shape {x.shape}; put {fix} before it")


def slide(g, shape, *, kernel, stride, padding, dilation=1):
    """Where windows lie on the axes of `shape` (channels last): the output's axes, and an op's attributes,
    pairs in which a sequence is an image of height 1.

    An axis of n elements under a kernel of k that reaches over r = (k - 1) dilation + 1 of them gives
        "valid"  floor((n - r) / stride) + 1, nothing being added
        p        floor((n + 2 p - r) / stride) + 1, p zeros being added on each side
        "same"   ceil(n / stride): what is missing is added on both sides, an odd one at the end, as in TensorFlow
    """
    axes = len(shape) - 1
    kernel, stride, dilation = (each(value, axes) for value in (kernel, stride, dilation))
    out, before = [], []
    for n, k, s, d, p in zip(shape, kernel, stride, dilation, each(padding, axes), strict=False):
        reach = (k - 1) * d + 1
        if p == "same":
            out.append(-(-n // s))
            before.append(max((out[-1] - 1) * s + reach - n, 0) // 2)
        else:
            before.append(0 if p == "valid" else p)
            out.append((n + 2 * before[-1] - reach) // s + 1)
    if min(out) < 1:
        raise ShapeError(_too_large(g, shape[:-1], kernel, dilation, padding))
    along = {"kernel": (1, kernel), "stride": (1, stride), "before": (0, before), "dilation": (1, dilation)}
    attrs = {name: (*[none] * (2 - axes), *values) for name, (none, values) in along.items()}
    return tuple(out), attrs


def _too_large(g, sizes, kernel, dilation, padding):
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    dilated = f", {_by(reach)} with its dilation," if reach != kernel else ""
    return (
        f"{g.where()}: a window of {_by(kernel)}{dilated} does not fit into an input of {_by(sizes)} with "
        f'padding={padding!r}; use a smaller one, padding="same", or fewer or smaller strides and pools before it'
    )


def _by(sizes):
    return " x ".join(map(str, sizes))
