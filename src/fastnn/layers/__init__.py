"""Layers: configuration only. Each says in `plan` which values, parameters and ops it stands for."""

from .base import Input, Layer, Node
from .dense import Activation, Dense
from .dropout import Dropout
from .merge import Add, Concat, Residual
from .shape import Flatten, Reshape

__all__ = [
    "Activation", "Add", "Concat", "Dense", "Dropout", "Flatten", "Input", "Layer", "Node", "Reshape", "Residual",
]  # fmt: skip
