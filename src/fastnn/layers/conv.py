"""Convolutions over sequences and images, channels last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import initializers
from .._data import boolean, non_negative, positive, positive_int
from ..errors import ShapeError
from . import window
from .base import Layer
from .dense import activate, checked_activation

if TYPE_CHECKING:
    from .._typing import ActivationLike, InitializerLike, PaddingLike, Sizes


class _Convolution:
    """What convolutions over any number of axes share."""

    axes: int

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        *,
        stride: Sizes = 1,
        padding: PaddingLike = "valid",
        dilation: Sizes = 1,
        groups: int = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        weight_init: InitializerLike | None = None,
        bias_init: InitializerLike = "zeros",
        l1: float = 0.0,
        l2: float = 0.0,
        max_norm: float | None = None,
    ) -> None:
        self.filters, self.groups = positive_int(filters, "filters"), positive_int(groups, "groups")
        if self.filters % self.groups:
            raise ValueError(f"groups must divide filters: {filters} filters do not make {groups} equal groups")
        self.kernel_size = window.sizes(kernel_size, self.axes, "kernel_size")
        self.stride = window.sizes(stride, self.axes, "stride")
        self.padding = window.checked_padding(padding, self.axes)
        self.dilation = window.sizes(dilation, self.axes, "dilation")
        self.activation = checked_activation(activation)
        self.use_bias = boolean(use_bias, "use_bias")
        self.weight_init = None if weight_init is None else initializers.Initializer.get(weight_init)
        self.bias_init = initializers.Initializer.get(bias_init)
        self.l1, self.l2 = non_negative(l1, "l1"), non_negative(l2, "l2")
        self.max_norm = None if max_norm is None else positive(max_norm, "max_norm")

    def plan(self, g, x):
        window.expect_samples(g, x, self.axes)
        channels = x.shape[-1]
        if channels % self.groups:
            raise ShapeError(
                f"{g.where()}: {channels} channels do not make {self.groups} equal groups; groups must divide the "
                "channels of its input"
            )
        out, windows = window.slide(
            g, x.shape, kernel=self.kernel_size, stride=self.stride, padding=self.padding, dilation=self.dilation
        )
        init = self.weight_init or initializers.default_for(self.activation)
        shape = (*window.each(self.kernel_size, self.axes), channels // self.groups, self.filters)
        params = {"weight": g.param("weight", shape, init, l1=self.l1, l2=self.l2, max_norm=self.max_norm)}
        if self.use_bias:
            params["bias"] = g.param("bias", (self.filters,), self.bias_init)
        y = g.op("conv", [x], (*out, self.filters), params, groups=self.groups, **windows)
        return activate(g, y, self.activation)


class Conv1D(_Convolution, Layer):
    r"""A convolution over time, the cross-correlation of the field:

        y[t, f] = activation(b[f] + sum over k, c of x[t stride - before + k dilation, c] W[k, c, f])

    What lies outside of the sequence counts as 0.

    Args:
        filters: channels of the output.
        kernel_size: steps of time that a filter sees.
        stride: steps from one output to the next.
        padding: "valid" (none), "same" (zeros on both sides such that the output has ceil(time / stride) steps; an odd
            one goes to the end, as in TensorFlow), or an int, zeros on each side.
        dilation: steps from one element of the kernel to the next.
        groups: channels and filters are split into so many groups in order; a filter sees its own group alone.
            groups equal to the channels is a depthwise convolution.
        activation: a name (see `Activation`), None for linear, or a pair of callables (f, derivative).
        use_bias: whether b is there.
        weight_init, bias_init: as in `Dense`. fan_in is kernel_size x channels / groups, fan_out kernel_size x filters.
        l1, l2: penalties l1 sum|W| and l2 sum(W^2), added to the loss.
        max_norm: largest Euclidean norm of a filter's weights, held after each step.

    Shapes: x (time, channels), W `weight` (kernel_size, channels / groups, filters), b `bias` (filters,),
    y (time', filters).

    Raises:
        ValueError, TypeError: an argument is out of range or unknown, or groups do not divide filters.
        ShapeError: samples are not (time, channels), groups do not divide the channels, or the kernel does not fit.

    >>> import fastnn as fnn
    >>> layers = [fnn.Conv1D(8, 5, padding="same", activation="relu"), fnn.GlobalAvgPool1D(), fnn.Dense(1)]
    >>> fnn.Network(layers, input_shape=(100, 2)).get_weights()["layers.0.weight"].shape
    (5, 2, 8)
    """

    axes = 1


class Conv2D(_Convolution, Layer):
    r"""A convolution over images, the cross-correlation of the field:

        y[i, j, f] = activation(b[f] + sum over a, b, c of
                                x[i stride - top + a dilation, j stride - left + b dilation, c] W[a, b, c, f])

    What lies outside of the image counts as 0.

    Args:
        filters: channels of the output.
        kernel_size: height and width that a filter sees; one int for both.
        stride: pixels from one output to the next; one int for both axes, or a pair.
        padding: "valid" (none), "same" (zeros on all sides such that the output is ceil(size / stride); an odd one
            goes to the bottom and the right, as in TensorFlow), or zeros on each side, an int or a pair.
        dilation: pixels from one element of the kernel to the next; one int for both axes, or a pair.
        groups: channels and filters are split into so many groups in order; a filter sees its own group alone.
            groups equal to the channels is a depthwise convolution.
        activation: a name (see `Activation`), None for linear, or a pair of callables (f, derivative).
        use_bias: whether b is there.
        weight_init, bias_init: as in `Dense`. fan_in is kernel height x width x channels / groups, fan_out kernel
            height x width x filters.
        l1, l2: penalties l1 sum|W| and l2 sum(W^2), added to the loss.
        max_norm: largest Euclidean norm of a filter's weights, held after each step.

    Shapes: x (height, width, channels), W `weight` (kernel height, kernel width, channels / groups, filters),
    b `bias` (filters,), y (height', width', filters).

    Raises:
        ValueError, TypeError: an argument is out of range or unknown, or groups do not divide filters.
        ShapeError: samples are not (height, width, channels), groups do not divide the channels, or the kernel does not
            fit.

    >>> import fastnn as fnn
    >>> layers = [fnn.Conv2D(16, 3, activation="relu"), fnn.MaxPool2D(2), fnn.Flatten(), fnn.Dense(10, "softmax")]
    >>> fnn.Network(layers, input_shape=(28, 28, 1)).get_weights()["layers.0.weight"].shape
    (3, 3, 1, 16)
    """

    axes = 2
