"""Nonlinear regressions with certified values, as networks: NIST's Statistical Reference Datasets.

The data, starting values and certified parameters are those of https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml,
a work of the United States government. Each model is a small network of built-in layers: a hidden one of exponentials
or of a logistic function, and a linear one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

import fastnn as fnn


@dataclass(frozen=True)
class Problem:
    """A data set with its model f(b, x), two starting values, the certified parameters and sum of squares.

    layers() makes the network; weights(b) are its weights for the parameters b; order: the indices of the network's
    flat parameters that are b, and signs, by which they differ.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    starts: tuple[tuple[float, ...], tuple[float, ...]]
    certified: tuple[float, ...]
    residual: float
    model: Any
    layers: Any
    order: tuple[int, ...]
    signs: tuple[float, ...]

    def network(self, optimizer, start):
        """The network at one of the starting values."""
        net = fnn.Network(self.layers(), optimizer=optimizer, loss="mse", dtype="float64", input_shape=1)
        net.params[list(self.order)] = np.array(self.starts[start]) * self.signs
        return net

    def parameters(self, net):
        """The model's parameters b, from the network's."""
        return net.params[list(self.order)] * self.signs


def _misra(b, x):
    return b[0] * (1 - np.exp(-b[1] * x))


def _saturating():
    """b0 (1 - exp(-b1 x)): the layer between, which takes the exponential from 1, is not trained."""
    from_one = fnn.Dense(1, weight_init=-np.ones((1, 1)), bias_init="ones")
    from_one.trainable = False
    return [fnn.Dense(1, "exponential", use_bias=False), from_one, fnn.Dense(1, use_bias=False)]


MISRA1A = Problem(
    "Misra1a",
    np.array([77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0]),
    np.array([10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78]),
    ((500.0, 0.0001), (250.0, 0.0005)),
    (2.3894212918e02, 5.5015643181e-04),
    1.2455138894e-01,
    _misra,
    _saturating,
    (3, 0),
    (1.0, -1.0),
)

BOXBOD = Problem(
    "BoxBOD",
    np.array([1.0, 2.0, 3.0, 5.0, 7.0, 10.0]),
    np.array([109.0, 149.0, 149.0, 191.0, 213.0, 224.0]),
    ((1.0, 1.0), (100.0, 0.75)),
    (2.1380940889e02, 5.4723748542e-01),
    1.1680088766e03,
    _misra,
    _saturating,
    (3, 0),
    (1.0, -1.0),
)

RAT42 = Problem(
    "Rat42",
    np.array([9.0, 14.0, 21.0, 28.0, 42.0, 57.0, 63.0, 70.0, 79.0]),
    np.array([8.93, 10.80, 18.59, 22.33, 39.35, 56.11, 61.73, 64.62, 67.08]),
    ((100.0, 1.0, 0.1), (75.0, 2.5, 0.07)),
    (7.2462237576e01, 2.6180768402e00, 6.7359200066e-02),
    8.0565229338e00,
    lambda b, x: b[0] / (1 + np.exp(b[1] - b[2] * x)),
    lambda: [fnn.Dense(1, "sigmoid"), fnn.Dense(1, use_bias=False)],
    (2, 1, 0),
    (1.0, -1.0, 1.0),
)

MGH17 = Problem(
    "MGH17",
    10.0 * np.arange(33),
    np.array([
        0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658, 0.628, 0.603,
        0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411,
        0.406,
    ]),
    ((50.0, 150.0, -100.0, 1.0, 2.0), (0.5, 1.5, -1.0, 0.01, 0.02)),
    (3.7541005211e-01, 1.9358469127e00, -1.4646871366e00, 1.2867534640e-02, 2.2122699662e-02),
    5.4648946975e-05,
    lambda b, x: b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4]),
    lambda: [fnn.Dense(2, "exponential", use_bias=False), fnn.Dense(1)],
    (4, 2, 3, 0, 1),
    (1.0, 1.0, 1.0, -1.0, -1.0),
)  # fmt: skip

PROBLEMS = [MISRA1A, BOXBOD, RAT42, MGH17]
