"""Callbacks: code that runs at fixed moments of `fit`. One subject a file; `base` says what the moments are."""

from typing import TYPE_CHECKING

from .._later import later
from .base import Callback, CallbackList, LambdaCallback

if TYPE_CHECKING:
    from .averaging import EMA, SWA
    from .diagnostics import Diagnostics
    from .recording import CSVLogger, ModelCheckpoint, TensorBoard
    from .watching import EarlyStopping, ReduceLROnPlateau, TerminateOnNaN

__all__ = [
    "EMA", "SWA", "CSVLogger", "Callback", "CallbackList", "Diagnostics", "EarlyStopping", "LambdaCallback",
    "ModelCheckpoint", "ReduceLROnPlateau", "TensorBoard", "TerminateOnNaN",
]  # fmt: skip

__getattr__, __dir__ = later(globals(), {
    "averaging": "EMA SWA",
    "diagnostics": "Diagnostics",
    "recording": "CSVLogger ModelCheckpoint TensorBoard",
    "watching": "EarlyStopping ReduceLROnPlateau TerminateOnNaN",
})  # fmt: skip
