"""Pooling over sequences and images: the largest value or the mean of windows, channel by channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ShapeError
from . import window
from .base import Layer

if TYPE_CHECKING:
    from .._typing import PaddingLike, Sizes


class _Pooling:
    """What pooling over any number of axes shares; `op` is the engine's."""

    axes: int
    op: str

    def __init__(self, pool_size: Sizes, *, stride: Sizes | None = None, padding: PaddingLike = "valid") -> None:
        self.pool_size = window.sizes(pool_size, self.axes, "pool_size")
        self.stride = None if stride is None else window.sizes(stride, self.axes, "stride")
        self.padding = window.checked_padding(padding, self.axes)
        if not isinstance(self.padding, str):
            pairs = zip(window.each(self.padding, self.axes), window.each(self.pool_size, self.axes), strict=True)
            if any(added >= size for added, size in pairs):
                raise ValueError(
                    f"padding must be below pool_size, so that every window meets the input: got {padding} and "
                    f"{pool_size}"
                )

    def plan(self, g, x):
        window.expect_samples(g, x, self.axes)
        stride = self.pool_size if self.stride is None else self.stride
        out, windows = window.slide(g, x.shape, kernel=self.pool_size, stride=stride, padding=self.padding)
        return g.op(self.op, [x], (*out, x.shape[-1]), **windows)


class _GlobalPooling:
    """One window over the whole sample."""

    axes: int
    op: str

    def __init__(self) -> None:
        pass

    def plan(self, g, x):
        window.expect_samples(g, x, self.axes)
        *whole, channels = x.shape
        out, windows = window.slide(g, x.shape, kernel=tuple(whole), stride=1, padding="valid")
        return g.reshape(g.op(self.op, [x], (*out, channels), **windows), (channels,))


class MaxPool1D(_Pooling, Layer):
    """The largest of pool_size steps of time: y[t, c] = max over k of x[t stride - before + k, c].

    The gradient goes to the first of the steps that hold the largest value.

    Args:
        pool_size: steps of time.
        stride: from one window to the next; None for pool_size, so that windows touch.
        padding: "valid" (none), "same" (such that there are ceil(time / stride) windows), or an int, steps added on
            each side, below pool_size. What is added is no value, so it is never the largest.

    Shapes: x (time, channels), y (time', channels).

    Raises:
        ValueError, TypeError: an argument is out of range.
        ShapeError: samples are not (time, channels), or the window does not fit.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.MaxPool1D(2)], input_shape=(4, 1))
    >>> net.predict([[[1], [3], [2], [2]]]).ravel().tolist()
    [3.0, 2.0]
    """

    axes, op = 1, "max_pool"


class MaxPool2D(_Pooling, Layer):
    """The largest value of a window: y[i, j, c] = max over a, b of x[i stride - top + a, j stride - left + b, c].

    The gradient goes to the first of the window's pixels, row by row, that hold the largest value.

    Args:
        pool_size: height and width of the window; one int for both.
        stride: from one window to the next, an int or a pair; None for pool_size, so that windows touch.
        padding: "valid" (none: pixels that fill no window are left out), "same" (such that there are
            ceil(size / stride) windows), or pixels added on each side, an int or a pair, below pool_size. What is added
            is no value, so it is never the largest.

    Shapes: x (height, width, channels), y (height', width', channels).

    Raises:
        ValueError, TypeError: an argument is out of range.
        ShapeError: samples are not (height, width, channels), or the window does not fit.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.MaxPool2D(2)], input_shape=(2, 4, 1))
    >>> net.predict([[[[1], [3], [0], [4]], [[2], [0], [5], [1]]]]).ravel().tolist()
    [3.0, 5.0]
    """

    axes, op = 2, "max_pool"


class AvgPool1D(_Pooling, Layer):
    """The mean of pool_size steps of time; what padding adds is not counted, as in Keras.

    Args:
        pool_size, stride, padding: as in `MaxPool1D`.

    Shapes: x (time, channels), y (time', channels).

    Raises:
        ValueError, TypeError: an argument is out of range.
        ShapeError: samples are not (time, channels), or the window does not fit.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.AvgPool1D(2, padding="same")], input_shape=(3, 1))
    >>> net.predict([[[1], [3], [5]]]).ravel().tolist()
    [2.0, 5.0]
    """

    axes, op = 1, "mean_pool"


class AvgPool2D(_Pooling, Layer):
    """The mean of a window's pixels; what padding adds is not counted, as in Keras.

    Args:
        pool_size, stride, padding: as in `MaxPool2D`.

    Shapes: x (height, width, channels), y (height', width', channels).

    Raises:
        ValueError, TypeError: an argument is out of range.
        ShapeError: samples are not (height, width, channels), or the window does not fit.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.AvgPool2D(2)], input_shape=(2, 2, 1))
    >>> net.predict([[[[1], [3]], [[2], [6]]]]).ravel().tolist()
    [3.0]
    """

    axes, op = 2, "mean_pool"


class GlobalMaxPool1D(_GlobalPooling, Layer):
    """The largest value of each channel over all of time: (time, channels) to (channels,).

    The gradient goes to the first of the steps that hold it.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.GlobalMaxPool1D()], input_shape=(3, 2))
    >>> net.predict([[[1, 5], [3, 0], [2, 1]]]).tolist()
    [[3.0, 5.0]]
    """

    axes, op = 1, "max_pool"


class GlobalMaxPool2D(_GlobalPooling, Layer):
    """The largest value of each channel over an image: (height, width, channels) to (channels,).

    The gradient goes to the first of the pixels, row by row, that hold it.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Conv2D(8, 3), fnn.GlobalMaxPool2D(), fnn.Dense(1)], input_shape=(9, 9, 1))
    """

    axes, op = 2, "max_pool"


class GlobalAvgPool1D(_GlobalPooling, Layer):
    """The mean of each channel over all of time: (time, channels) to (channels,).

    Of sequences of different lengths, over the steps that each has.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.GlobalAvgPool1D()], input_shape=(3, 2))
    >>> net.predict([[[1, 5], [3, 0], [2, 1]]]).tolist()
    [[2.0, 2.0]]
    """

    axes, op = 1, "mean_pool"
    keeps_time = True

    def plan(self, g, x):
        if g.streaming:
            raise ShapeError(f"{g.where()} takes the mean over all steps, so it cannot be streamed step by step")
        if x.mask is None:
            return super().plan(g, x)
        window.expect_samples(g, x, self.axes)
        return g.op("masked_mean", [x, x.mask], x.shape[1:])


class GlobalAvgPool2D(_GlobalPooling, Layer):
    """The mean of each channel over an image: (height, width, channels) to (channels,).

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Conv2D(8, 3), fnn.GlobalAvgPool2D(), fnn.Dense(1)], input_shape=(9, 9, 1))
    """

    axes, op = 2, "mean_pool"
