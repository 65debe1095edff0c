"""What the tests beside PyTorch share: a network and a module of equal weights, compared pass by pass and step by step.

Importing it skips a test file where PyTorch is not installed.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

CLASSES, STEPS = 5, 100
BOUNDS = {"float64": 1e-9, "float32": 1e-4}


def value(parameter):
    return parameter.detach().numpy()


def gradient(parameter):
    return parameter.grad.numpy()


def assert_agree(got, expected, bound, scale=None):
    """Each to `bound`, relative to its largest element, or to `scale`."""
    assert got.keys() == expected.keys()
    for name, theirs in expected.items():
        largest = np.abs(theirs).max() if scale is None else scale
        np.testing.assert_allclose(got[name], theirs, rtol=0, atol=bound * largest, err_msg=name)


def assert_same_passes(net, model, X, y, bound):
    """The loss of classes y is the same; returns our gradients, and leaves theirs in the parameters of `model`."""
    loss = torch.nn.functional.cross_entropy(model(torch.tensor(X)), torch.tensor(y))
    loss.backward()
    got, gradients = net.loss_and_gradients(X, y)
    assert got == pytest.approx(loss.item(), rel=bound)
    return gradients


def assert_same_predictions(net, model, X, bound):
    """Our probabilities are the softmax of their logits."""
    with torch.no_grad():
        expected = model(torch.tensor(X)).softmax(1)
    np.testing.assert_allclose(net.predict(X), expected, rtol=bound, atol=bound)


def train_both(net, model, X, y):
    """STEPS steps of Adam on one batch, which lead somewhere."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, net.optimizer.learning_rate)
    before = net.params.copy()
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(torch.tensor(X)), torch.tensor(y)).backward()
        optimizer.step()
        net.train_on_batch(X, y)
    assert np.abs(net.params - before).max() > 0.05
