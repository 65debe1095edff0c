"""The types of the public interface. For type checkers alone: nothing imports this when the package runs."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .callbacks import Callback
from .initializers import Initializer
from .losses import Loss
from .metrics import Metric
from .optimizers import Optimizer

__all__ = [
    "ActivationLike", "ArrayLike", "CallbacksLike", "InitializerLike", "LossLike", "MetricLike", "OptimizerLike",
    "PaddingLike", "Reals", "Shape", "Sizes",
]  # fmt: skip

Reals: TypeAlias = NDArray[np.floating[Any]]
Shape: TypeAlias = int | Sequence[int]  # of one sample
Sizes: TypeAlias = int | Sequence[int]  # for all axes, or for each
PaddingLike: TypeAlias = str | Sizes
Function: TypeAlias = Callable[[Any], Any]  # on arrays, elementwise

ActivationLike: TypeAlias = str | tuple[Function, Function] | None
InitializerLike: TypeAlias = str | Initializer | ArrayLike | Callable[[tuple[int, ...]], ArrayLike]
LossLike: TypeAlias = str | Loss | Callable[[Any, Any], tuple[Any, Any]]
MetricLike: TypeAlias = str | Metric | Callable[[Any, Any], Any]
OptimizerLike: TypeAlias = str | Optimizer
CallbacksLike: TypeAlias = Callback | Sequence[Callback]
