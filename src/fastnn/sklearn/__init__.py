"""fastnn in scikit-learn's seat: estimators with its own names, and estimators around networks of any layers.

>>> from fastnn.sklearn import MLPClassifier  # in place of: from sklearn.neural_network import MLPClassifier
"""

try:
    from sklearn.utils.validation import validate_data as _needed  # noqa: F401
except ImportError as error:
    raise ImportError("fastnn.sklearn needs scikit-learn 1.6 or newer: pip install -U scikit-learn") from error

from .._threadpoolctl import register_if_imported
from ._mlp import MLPClassifier, MLPRegressor
from ._network import NetworkClassifier, NetworkRegressor

register_if_imported()  # scikit-learn imports threadpoolctl, whose limits hold from here on

__all__ = ["MLPClassifier", "MLPRegressor", "NetworkClassifier", "NetworkRegressor"]
