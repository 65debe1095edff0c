"""`python -m fastnn selftest`: it passes here, and a kernel that computes wrongly is named with exit code 1."""

import numpy as np
import pytest

from fastnn import Network, cli, selftest
from fastnn._core import binding, kernels


def test_passes_and_names_the_target(capsys):
    assert cli.main(["selftest"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"target {binding.target_name()} ")
    assert [line.split(None, 1)[1] for line in printed.splitlines() if line.startswith("ok ")] == list(selftest.CHECKS)
    assert printed.endswith("all passed\n")


def off_by_a_little(results):
    results = np.array(results)
    results.flat[-1] *= 1.0001
    return results


@pytest.mark.parametrize(
    "owner, name, check",
    [
        (kernels, "apply", "elementary functions"),
        (kernels, "random_uniform", "random numbers"),
        (Network, "predict", "bits on several threads"),
    ],
)
def test_a_wrong_result_fails_its_check(monkeypatch, capsys, owner, name, check):
    right, calls = getattr(owner, name), []

    def wrong(*args, **options):
        calls.append(name)
        return off_by_a_little(right(*args, **options)) if len(calls) % 2 == 0 else right(*args, **options)

    monkeypatch.setattr(owner, name, wrong)
    assert cli.main(["selftest"]) == 1
    printed = capsys.readouterr().out
    assert f"FAILED  {check}: " in printed
    assert printed.endswith(f"failed: {check}\n")


def test_wrong_gradients_and_products_are_noticed(monkeypatch):
    def wrong_gradients(net, X, y):
        loss, gradients = right(net, X, y)
        return loss, {key: value * 1.001 for key, value in gradients.items()}

    right = Network.loss_and_gradients
    monkeypatch.setattr(Network, "loss_and_gradients", wrong_gradients)
    with pytest.raises(selftest.Mismatch, match="gradient of dense"):
        selftest.CHECKS["gradients of layers"]()
    monkeypatch.setattr(kernels, "engine_of", lambda dtype: NoProducts)
    with pytest.raises(selftest.Mismatch, match="product nn, float32"):
        selftest.CHECKS["matrix products"]()


class NoProducts:
    """An engine whose products store nothing."""

    @staticmethod
    def gemm(*args, **options):
        pass
