"""Layers: configuration only. Each says in `plan` which values, parameters and ops it stands for."""

from .base import Input, Layer, Node
from .conv import Conv1D, Conv2D
from .dense import Activation, Dense
from .dropout import Dropout
from .merge import Add, Concat, Residual
from .pooling import (
    AvgPool1D,
    AvgPool2D,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    MaxPool1D,
    MaxPool2D,
)
from .shape import Flatten, Reshape

__all__ = [
    "Activation", "Add", "AvgPool1D", "AvgPool2D", "Concat", "Conv1D", "Conv2D", "Dense", "Dropout", "Flatten",
    "GlobalAvgPool1D", "GlobalAvgPool2D", "GlobalMaxPool1D", "GlobalMaxPool2D", "Input", "Layer", "MaxPool1D",
    "MaxPool2D", "Node", "Reshape", "Residual",
]  # fmt: skip
