"""fastnn: neural networks on the CPU at the cost of their arithmetic.

>>> import fastnn as fnn
>>> net = fnn.Network([fnn.Dense(1)], optimizer=fnn.SGD(0.5), seed=0)
>>> history = net.fit([[0.0], [0.5], [1.0]], [32.0, 122.0, 212.0], epochs=200)
>>> net.predict([[0.2]]).round(2).tolist()
[[68.0]]
"""

from typing import TYPE_CHECKING

from . import initializers, layers, losses, optimizers, schedules
from ._later import later
from ._threadpoolctl import register_if_imported as _register_if_imported
from ._threadpoolctl import register_threadpoolctl
from .errors import FastnnError, ModelFileError, NonFiniteWarning, NotFittedError, ShapeError
from .layers import Activation, Dense, Input, Layer
from .losses import Loss
from .network import Network
from .optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop, Rprop

if TYPE_CHECKING:
    from . import datasets, metrics
    from ._config_report import show_config
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
    from .convert import from_keras, from_sklearn, from_torch
    from .displays import ConfusionMatrixDisplay, DecisionBoundaryDisplay, HistoryDisplay, WeightsDisplay
    from .history import History
    from .layers import (
        GRU,
        LSTM,
        RNN,
        Add,
        Ascending,
        AvgPool1D,
        AvgPool2D,
        BatchNorm,
        Bidirectional,
        Concat,
        Conv1D,
        Conv2D,
        Dropout,
        Embedding,
        Flatten,
        GlobalAvgPool1D,
        GlobalAvgPool2D,
        GlobalMaxPool1D,
        GlobalMaxPool2D,
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
    from .metrics import Metric
    from .serialize import load
    from .solvers import LBFGS, CoordinateSearch, LevenbergMarquardt

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

# What making a dense network and its predictions do not need.
__getattr__, __dir__ = later(globals(), {
    "": "callbacks datasets displays metrics sklearn solvers",
    "_config_report": "show_config",
    "callbacks": "EMA SWA CSVLogger Callback Diagnostics EarlyStopping LambdaCallback ModelCheckpoint "
    "ReduceLROnPlateau TensorBoard TerminateOnNaN",
    "convert": "from_keras from_sklearn from_torch",
    "displays": "ConfusionMatrixDisplay DecisionBoundaryDisplay HistoryDisplay WeightsDisplay",
    "history": "History",
    "layers": "GRU LSTM RNN Add Ascending AvgPool1D AvgPool2D BatchNorm Bidirectional Concat Conv1D Conv2D Dropout "
    "Embedding Flatten GlobalAvgPool1D GlobalAvgPool2D GlobalMaxPool1D GlobalMaxPool2D LayerNorm MaxPool1D MaxPool2D "
    "MultiHeadAttention OneHot PositionalEmbedding PythonLayer Reshape Residual RMSNorm Standardize TransformerBlock",
    "metrics": "Metric",
    "serialize": "load",
    "solvers": "LBFGS CoordinateSearch LevenbergMarquardt",
})  # fmt: skip
