"""Weights as images."""

from __future__ import annotations

from math import isqrt, prod
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .._data import positive_int
from ..errors import ShapeError, unknown_name
from ..network import Network
from .base import Display

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class WeightsDisplay(Display):
    """Weights as images side by side: what each unit of a dense layer, or each filter of a convolution, looks for.

    Args:
        images: (count, rows, columns).
        columns: images in a row; the default makes a square.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Dense(32, "relu"), fnn.Dense(10, "softmax")], input_shape=64, seed=0)
    >>> display = fnn.WeightsDisplay.from_estimator(net)
    >>> display.images.shape, display.columns
    ((32, 8, 8), 6)
    """

    im_: Any

    def __init__(self, images: ArrayLike, *, columns: int | None = None) -> None:
        self.images = np.asarray(images, dtype=float)
        if self.images.ndim != 3 or not self.images.size:
            raise ShapeError(f"images: expected (count, rows, columns), got {self.images.shape}")
        square = isqrt(len(self.images) - 1) + 1
        self.columns = square if columns is None else min(positive_int(columns, "columns"), len(self.images))

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        layer: str | int | None = None,
        *,
        image_shape: tuple[int, int] | None = None,
        columns: int | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draws the weights of a layer of a Network or an estimator.

        A dense layer has an image for each unit, a 1-D convolution one of (inputs, positions) for each filter, a 2-D
        one a row of images for each filter, one for each channel of its input.

        Args:
            estimator: a Network; an estimator with `network_`; or with `coefs_`, as the perceptrons have it.
            layer: its name, "layers.0", or of `coefs_` its number; the default is the first with a weight.
            image_shape: (rows, columns) of the dense layer's input; the default is that of the network's own input
                where it is an image, or a square.
            columns: images in a row.
            ax, kwargs: as for plot.
        """
        weight, shapes = _weight_of(estimator, layer)
        if weight.ndim == 2:
            images = weight.T.reshape(-1, *_image_shape(image_shape, weight.shape[0], shapes))
        elif image_shape is not None:
            raise ValueError("image_shape: the filters of a convolution have their own")
        elif weight.ndim == 3:
            images = weight.transpose(2, 1, 0)
        else:
            rows, cols, channels, filters = weight.shape
            images = weight.transpose(3, 2, 0, 1).reshape(-1, rows, cols)
            columns = channels if columns is None and channels > 1 else columns
        return cls(images, columns=columns).plot(ax=ax, **kwargs)

    @property
    def mosaic(self) -> NDArray[Any]:
        """All images in one array, with NaN between them."""
        count, rows, cols = self.images.shape
        lines = -(-count // self.columns)
        whole = np.full((lines * (rows + 1) - 1, self.columns * (cols + 1) - 1), np.nan)
        for i, image in enumerate(self.images):
            top, left = i // self.columns * (rows + 1), i % self.columns * (cols + 1)
            whole[top : top + rows, left : left + cols] = image
        return whole

    def plot(self, ax: Any = None, *, cmap: Any = "RdBu_r", colorbar: bool = True) -> Self:
        """Draws it, 0 in the middle of the colours.

        Args:
            ax: axes of matplotlib; the default is a new figure.
            cmap: the colour map.
            colorbar: whether a bar tells what the colours mean.
        """
        ax = self._on(ax)
        reach = float(np.abs(self.images).max()) or 1.0
        self.im_ = ax.imshow(self.mosaic, cmap=cmap, vmin=-reach, vmax=reach, interpolation="nearest")
        ax.set_axis_off()
        if colorbar:
            self.figure_.colorbar(self.im_, ax=ax, shrink=0.8)
        return self


def _weight_of(estimator, layer):
    """(the weight of a layer, shapes of the network's inputs)."""
    if hasattr(estimator, "coefs_"):
        number = 0 if layer is None else layer
        if not isinstance(number, int) or not -len(estimator.coefs_) <= number < len(estimator.coefs_):
            raise ValueError(f"layer: expected a number from 0 to {len(estimator.coefs_) - 1}, got {layer!r}")
        return estimator.coefs_[number], []
    network = getattr(estimator, "network_", estimator)
    if not isinstance(network, Network):
        kind = type(estimator).__name__
        raise TypeError(f"estimator: expected a Network, or one with network_ or coefs_, got {kind}")
    weights = network.get_weights()
    found = {name.removesuffix(".weight"): w for name, w in weights.items() if name.endswith(".weight") and w.ndim > 1}
    if not found:
        raise ValueError("estimator: no layer of this network has a weight that makes an image")
    name = next(iter(found)) if layer is None else layer
    if name not in found:
        raise unknown_name("layer with a weight", str(name), found)
    return found[name], [value.shape for value in network._built().graph.inputs]


def _image_shape(given, size, inputs):
    if given is not None:
        if len(given) != 2 or prod(given) != size:
            raise ShapeError(f"image_shape: expected (rows, columns) with {size} elements, got {tuple(given)}")
        return tuple(given)
    for shape in inputs:
        image = shape[:-1] if len(shape) == 3 and shape[-1] == 1 else shape
        if len(image) == 2 and prod(image) == size:
            return image
    side = isqrt(size)
    if side * side != size:
        raise ShapeError(f"image_shape: {size} inputs are no square; give image_shape=(rows, columns)")
    return side, side
