"""fastnn: neural networks on the CPU at the cost of their arithmetic.

>>> import fastnn as fnn
>>> net = fnn.Network([fnn.Dense(1)], optimizer=fnn.SGD(0.5), seed=0)
>>> history = net.fit([[0.0], [0.5], [1.0]], [32.0, 122.0, 212.0], epochs=200)
>>> net.predict([[0.2]]).round(2).tolist()
[[68.0]]
"""

from typing import TYPE_CHECKING

from . import datasets, initializers, layers, losses, metrics, optimizers, schedules
from ._config_report import show_config
from ._threadpoolctl import register_if_imported as _register_if_imported
from ._threadpoolctl import register_threadpoolctl
from .callbacks import (
    EMA,
    SWA,
    Callback,
    CSVLogger,
    Diagnostics,
    EarlyStopping,
    LambdaCallback,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TensorBoard,
    TerminateOnNaN,
)
from .errors import FastnnError, ModelFileError, NonFiniteWarning, NotFittedError, ShapeError
from .history import History
from .layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    Add,
    Ascending,
    AvgPool1D,
    AvgPool2D,
    BatchNorm,
    Bidirectional,
    Concat,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    Input,
    Layer,
    LayerNorm,
    MaxPool1D,
    MaxPool2D,
    MultiHeadAttention,
    OneHot,
    PositionalEmbedding,
    PythonLayer,
    Reshape,
    Residual,
    RMSNorm,
    Standardize,
    TransformerBlock,
)
from .losses import Loss
from .metrics import Metric
from .network import Network
from .optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop, Rprop
from .solvers import LBFGS, CoordinateSearch, LevenbergMarquardt

if TYPE_CHECKING:
    from .convert import from_keras, from_sklearn, from_torch
    from .displays import ConfusionMatrixDisplay, DecisionBoundaryDisplay, HistoryDisplay, WeightsDisplay
    from .serialize import load

__version__ = "0.1.0"

__all__ = [
    "EMA", "GRU", "LBFGS", "LSTM", "RNN", "SGD", "SWA", "Activation", "Adagrad", "Adam", "AdamW", "Add", "Ascending",
    "AvgPool1D", "AvgPool2D", "BatchNorm", "Bidirectional", "CSVLogger", "Callback", "Concat",
    "ConfusionMatrixDisplay", "Conv1D", "Conv2D", "CoordinateSearch", "DecisionBoundaryDisplay", "Dense",
    "Diagnostics", "Dropout", "EarlyStopping", "Embedding", "FastnnError", "Flatten", "GlobalAvgPool1D",
    "GlobalAvgPool2D", "GlobalMaxPool1D", "GlobalMaxPool2D", "History", "HistoryDisplay", "Input", "LambdaCallback",
    "Layer", "LayerNorm", "LevenbergMarquardt", "Loss", "MaxPool1D", "MaxPool2D", "Metric", "ModelCheckpoint",
    "ModelFileError", "MultiHeadAttention", "Network", "NonFiniteWarning", "NotFittedError", "OneHot", "Optimizer",
    "PositionalEmbedding", "PythonLayer", "RMSNorm", "RMSprop", "ReduceLROnPlateau", "Reshape", "Residual", "Rprop",
    "ShapeError", "Standardize", "TensorBoard", "TerminateOnNaN", "TransformerBlock", "WeightsDisplay", "datasets",
    "from_keras", "from_sklearn", "from_torch", "initializers", "layers", "load", "losses", "metrics", "optimizers",
    "register_threadpoolctl", "schedules", "show_config",
]  # fmt: skip

_register_if_imported()

# What needs modules that not every program needs is imported when it is first asked for; "" is a module itself.
_LATER = {
    "load": "serialize", "from_torch": "convert", "from_sklearn": "convert", "from_keras": "convert", "sklearn": "",
    "ConfusionMatrixDisplay": "displays", "DecisionBoundaryDisplay": "displays", "HistoryDisplay": "displays",
    "WeightsDisplay": "displays", "displays": "",
}  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f".{_LATER[name] or name}", __name__)
    globals()[name] = getattr(module, name) if _LATER[name] else module
    return globals()[name]
