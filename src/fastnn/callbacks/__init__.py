"""Callbacks: code that runs at fixed moments of `fit`. One subject a file; `base` says what the moments are."""

from .averaging import EMA, SWA
from .base import Callback, CallbackList, LambdaCallback
from .diagnostics import Diagnostics
from .recording import CSVLogger, ModelCheckpoint, TensorBoard
from .watching import EarlyStopping, ReduceLROnPlateau, TerminateOnNaN

__all__ = [
    "EMA", "SWA", "CSVLogger", "Callback", "CallbackList", "Diagnostics", "EarlyStopping", "LambdaCallback",
    "ModelCheckpoint", "ReduceLROnPlateau", "TensorBoard", "TerminateOnNaN",
]  # fmt: skip
