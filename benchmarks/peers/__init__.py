"""The libraries that are compared. Importing this imports none of them."""

from .base import Unfit  # noqa: F401
from .fastnn import Fastnn, High, Medium, Predictor
from .jax import Jax, JaxByEpoch
from .numpy import NumPy
from .onnx import OnnxRuntime
from .pure_python import PurePython
from .pytorch import TorchCompile, TorchEager, TorchMedium
from .sklearn import Sklearn

PEERS = [
    Fastnn,
    Predictor,
    High,
    Medium,
    PurePython,
    NumPy,
    Sklearn,
    TorchEager,
    TorchCompile,
    TorchMedium,
    Jax,
    JaxByEpoch,
    OnnxRuntime,
]
