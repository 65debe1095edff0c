"""Layers: configuration only. Each says in `plan` which values, parameters and ops it stands for."""

from .ascending import Ascending
from .attention import MultiHeadAttention, TransformerBlock
from .base import Input, Layer, Node
from .conv import Conv1D, Conv2D
from .dense import Activation, Dense
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
