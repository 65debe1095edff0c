"""Layers: configuration only. Each says in `plan` which values, parameters and ops it stands for."""

from typing import TYPE_CHECKING

from .._later import later
from .base import Input, Layer, Node
from .dense import Activation, Dense

if TYPE_CHECKING:
    from .ascending import Ascending
    from .attention import MultiHeadAttention, TransformerBlock
    from .conv import Conv1D, Conv2D
    from .dropout import Dropout
    from .embedding import Embedding, PositionalEmbedding
    from .merge import Add, Concat, Residual
    from .norm import BatchNorm, LayerNorm, RMSNorm
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
    from .preprocessing import OneHot, Standardize
    from .python import PythonLayer
    from .recurrent import GRU, LSTM, RNN, Bidirectional
    from .shape import Flatten, Reshape

__all__ = [
    "GRU", "LSTM", "RNN", "Activation", "Add", "Ascending", "AvgPool1D", "AvgPool2D", "BatchNorm", "Bidirectional",
    "Concat", "Conv1D", "Conv2D", "Dense", "Dropout", "Embedding", "Flatten", "GlobalAvgPool1D", "GlobalAvgPool2D",
    "GlobalMaxPool1D", "GlobalMaxPool2D", "Input", "Layer", "LayerNorm", "MaxPool1D", "MaxPool2D",
    "MultiHeadAttention", "Node", "OneHot", "PositionalEmbedding", "PythonLayer", "RMSNorm", "Reshape", "Residual",
    "Standardize", "TransformerBlock",
]  # fmt: skip

__getattr__, __dir__ = later(globals(), {
    "ascending": "Ascending",
    "attention": "MultiHeadAttention TransformerBlock",
    "conv": "Conv1D Conv2D",
    "dropout": "Dropout",
    "embedding": "Embedding PositionalEmbedding",
    "merge": "Add Concat Residual",
    "norm": "BatchNorm LayerNorm RMSNorm",
    "pooling": "AvgPool1D AvgPool2D GlobalAvgPool1D GlobalAvgPool2D GlobalMaxPool1D GlobalMaxPool2D MaxPool1D "
    "MaxPool2D",
    "preprocessing": "OneHot Standardize",
    "python": "PythonLayer",
    "recurrent": "Bidirectional GRU LSTM RNN",
    "shape": "Flatten Reshape",
})  # fmt: skip
