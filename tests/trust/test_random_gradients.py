"""Gradients of random networks agree with differences of their loss, in float64 to 1e-5.

    python tests/trust/test_random_gradients.py --count 10000

Each parameter is moved along a random direction of signs d, and the difference quotient is compared with g d, relative
to |g|, which is how large g d is for such a direction.
"""

import command
import networks
import numpy as np
import pytest

import fastnn as fnn
from fastnn.layers import Layer

BOUND = 1e-5
STEPS = (1e-4, 1e-5, 1e-6, 1e-7)  # a kink (relu, a maximum) that lies within one of them is outside of the next


def check(seed):
    """The gradients of the network of this seed."""
    drawn = networks.draw(seed)
    net, rng = drawn.network, np.random.default_rng(seed)
    loss, gradients = net.loss_and_gradients(drawn.X, drawn.y)
    gradients = {name: gradient.ravel() for name, gradient in gradients.items()}
    largest = max(np.linalg.norm(gradient) for gradient in gradients.values())
    for name, param in net._state.graph.params.items():
        signs = rng.choice([-1.0, 1.0], param.size)
        expected, length = gradients[name] @ signs, np.linalg.norm(gradients[name])
        weights = param.flat(net.params)
        found = []
        for step in STEPS:
            quotient, noise = difference(net, drawn, weights, signs, step)
            found.append(quotient)
            if abs(quotient - expected) <= BOUND * length + noise * max(1.0, abs(loss)) + 1e-9 * largest:
                break
        else:
            raise AssertionError(f"{name}: gradient {expected:.12g}, differences {found}, |g| {length:.3g}")


def difference(net, drawn, weights, signs, step):
    """(f(w + h d) - f(w - h d)) / 2 h to the fourth order, and the bound of its rounding for losses of size 1."""
    before, values = weights.copy(), []
    for times in (2, 1, -1, -2):
        weights[:] = before + times * step * signs
        values.append(net.loss_and_gradients(drawn.X, drawn.y)[0])
    weights[:] = before
    return (8 * (values[1] - values[2]) - (values[0] - values[3])) / (12 * step), 3e-15 / step


def test_every_layer_is_drawn():
    """A layer that is new wants a move in networks.py."""
    seen, pending = set(), [layer for seed in range(400) for layer in networks.draw(seed).network.layers]
    for layer in pending:
        seen.add(type(layer))
        pending.extend(getattr(layer, "layers", ()))
    assert {cls for cls in Layer.known.values() if getattr(fnn, cls.__name__, None) is cls} <= seen


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_gradients_of_random_networks(first):
    for seed in range(first, first + 20):
        check(seed)


if __name__ == "__main__":
    command.main(__doc__, check, count=10_000)
