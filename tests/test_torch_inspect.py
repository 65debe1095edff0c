"""Input gradients and Jacobians beside PyTorch's automatic differentiation, from equal weights, in evaluation mode."""

import numpy as np
import pytest
from beside_torch import torch

import fastnn as fnn

nn = torch.nn

pytestmark = pytest.mark.torch

BOUNDS = {"float64": 1e-11, "float32": 2e-5}


def dense():
    return nn.Sequential(
        nn.Linear(6, 12), nn.BatchNorm1d(12), nn.GELU(), nn.Dropout(0.4), nn.Linear(12, 4), nn.Softmax(dim=1)
    )


def recurrent():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.head = nn.LSTM(3, 5, batch_first=True), nn.Linear(5, 2)

        def forward(self, x):
            return self.head(self.lstm(x)[0][:, -1])

    return Last()


def same(module, dtype):
    """The network of the module's weights, with running statistics away from 0 and 1, and samples for both."""
    rng = np.random.default_rng(0)
    if isinstance(module, nn.Sequential):
        module[1].running_mean += torch.from_numpy(rng.standard_normal(12))
        module[1].running_var += torch.from_numpy(rng.uniform(0, 1, 12))
        net = fnn.from_torch(module, input_shape=6, dtype=dtype)
        return net, rng.standard_normal((9, 6))
    net = fnn.Network([fnn.LSTM(5), fnn.Dense(2)], input_shape=(7, 3), dtype=dtype)
    theirs = {name: array.numpy() for name, array in module.state_dict().items()}
    net.set_weights({
        "layers.0.weight": theirs["lstm.weight_ih_l0"].T, "layers.0.recurrent_weight": theirs["lstm.weight_hh_l0"].T,
        "layers.0.bias": theirs["lstm.bias_ih_l0"] + theirs["lstm.bias_hh_l0"],
        "layers.1.weight": theirs["head.weight"].T, "layers.1.bias": theirs["head.bias"],
    })  # fmt: skip
    return net, rng.standard_normal((9, 7, 3))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [dense, recurrent])
def test_derivatives_are_those_of_autograd(make, dtype):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    module = make().double().eval()
    net, X = same(module, dtype)
    x, bound = torch.from_numpy(X), BOUNDS[dtype]
    rows = torch.autograd.functional.jacobian(lambda x: module(x).sum(dim=0), x)  # (outputs, n, ...): rows are apart
    expected = rows.movedim(0, 1).numpy()
    np.testing.assert_allclose(net.jacobian(X), expected, rtol=0, atol=bound * np.abs(expected).max())

    y = np.arange(9) % net.predict(X).shape[1]
    given = x.clone().requires_grad_()
    loss = nn.NLLLoss(reduction="sum")(module(given).log(), torch.from_numpy(y)) if make is dense else (
        ((module(given) - torch.from_numpy(np.eye(2)[y])) ** 2).mean(dim=1).sum()
    )  # fmt: skip
    loss.backward()
    got = net.input_gradient(X, y=y if make is dense else np.eye(2)[y])
    np.testing.assert_allclose(got, given.grad.numpy(), rtol=0, atol=bound * np.abs(given.grad.numpy()).max())

    weight = module[0].weight if make is dense else module.lstm.weight_ih_l0
    by_weight = [[torch.autograd.grad(out, weight, retain_graph=True)[0].T.numpy().ravel() for out in row]
                 for row in module(x)]  # fmt: skip
    got = net.jacobian(X, wrt="params")[:, :, : weight.numel()]
    np.testing.assert_allclose(got, by_weight, rtol=0, atol=bound * np.abs(by_weight).max())
