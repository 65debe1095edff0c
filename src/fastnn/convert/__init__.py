"""Reading others' weights: networks of PyTorch, scikit-learn and Keras become fastnn's, with the same predictions.

None of these libraries is imported or needed; what is read are the attributes of the objects that are handed over.
"""

from .keras import from_keras
from .sklearn import from_sklearn
from .torch import from_torch

__all__ = ["from_keras", "from_sklearn", "from_torch"]
