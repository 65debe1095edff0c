"""What Diagnostics and History say, against NumPy; and that looking changes nothing."""

import time

import numpy as np
import pytest

import fastnn as fnn

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((30, 4))
Y = X[:, 0]


def network(**options):
    options = {"optimizer": fnn.SGD(0.1), **options}
    return fnn.Network([fnn.Dense(10, "relu"), fnn.Dense(1)], dtype="float64", seed=1, input_shape=4, **options)


def test_gradient_norms_and_update_ratios_are_those_of_numpy():
    net, look, steps = network(), fnn.Diagnostics(), []
    watch = fnn.LambdaCallback(
        on_batch_begin=lambda batch: steps.append(net.params.copy()),
        on_batch_end=lambda batch, logs: steps.append(net.params.copy()),
    )
    net.fit(X, Y, epochs=2, batch_size=8, callbacks=[watch, look])
    before, after = steps[-2:]
    for name, param in net._state.graph.params.items():
        a, b = param.flat(before), param.flat(after)
        expected = np.linalg.norm(b - a) / np.linalg.norm(a)
        assert look.records[-1]["update_ratio"][name] == pytest.approx(expected, rel=1e-12)
    _, gradients = net.loss_and_gradients(X, Y)
    for name, gradient in gradients.items():
        assert look.records[-1]["gradient_norm"][name] == pytest.approx(np.linalg.norm(gradient), rel=1e-12)
    assert len(look.records) == 2


def test_dead_units_are_counted():
    net, look = network(optimizer=fnn.SGD(1e-300)), fnn.Diagnostics(samples=20)
    net._state.graph.params["layers.0.bias"].view(net.params)[:3] = -100.0
    net.fit(X, Y, callbacks=look)
    hidden = np.maximum(X[:20] @ net.get_weights()["layers.0.weight"] + net.get_weights()["layers.0.bias"], 0)
    share = (hidden == 0).all(axis=0).mean()
    assert look.records[0]["dead"] == {"layers.0": share} and share >= 0.3


def test_hints_name_what_stands_out():
    look = fnn.Diagnostics()
    assert look.hints() == []
    look.records = [{
        "gradient_norm": {"a": 1.0, "b": 1e-9, "c": 1e4}, "update_ratio": {"a": 1e-3, "b": 1e-8, "c": 0.5},
        "dead": {"x": 0.1, "y": 0.75},
    }]  # fmt: skip
    hints = look.hints()
    assert [hint.partition(":")[0] for hint in hints] == ["y", "b", "c", "b", "c"]
    assert "75% of the relu units are dead" in hints[0]


@pytest.mark.parametrize("options", [{}, {"accumulate": 2}, {"sample_weight": RANDOM.random(30)}])
def test_looking_changes_nothing(options):
    nets = network(), network()
    seen = []
    grads = fnn.LambdaCallback(on_epoch_end=lambda *_: seen.append(nets[0].grads.copy()))
    a = nets[0].fit(X, Y, epochs=3, batch_size=8, callbacks=[fnn.Diagnostics(), grads], **options)
    other = fnn.LambdaCallback(on_epoch_end=lambda *_: seen.append(nets[1].grads.copy()))
    b = nets[1].fit(X, Y, epochs=3, batch_size=8, callbacks=other, **options)
    assert a["loss"] == b["loss"] and np.array_equal(nets[0].params, nets[1].params)
    assert all(np.array_equal(one, two) for one, two in zip(seen[:3], seen[3:], strict=True))


def test_solvers_have_no_steps_to_look_at():
    with pytest.raises(ValueError, match="solvers and batches one by one have none"):
        network(optimizer="lbfgs").fit(X, Y, callbacks=fnn.Diagnostics())


# ---- history --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("watched", [False, True])
def test_seconds_add_up_to_the_time_that_was_spent(watched):
    callbacks = [fnn.Callback()] if watched else []
    net = network()
    net.fit(X, Y, batch_size=2, callbacks=callbacks)  # makes the program
    start = time.perf_counter()
    history = net.fit(X, Y, epochs=10_000, batch_size=2, callbacks=callbacks)
    spent = time.perf_counter() - start
    assert len(history.seconds) == 10_000 and min(history.seconds) > 0
    assert 0.5 * spent < sum(history.seconds) <= spent


def test_seconds_have_the_validation_in_them():
    def slow(y, p):
        time.sleep(0.02)
        return 0.0

    history = network(metrics=[slow]).fit(X, Y, epochs=2, validation_split=0.2)
    assert min(history.seconds) >= 0.04


def test_learning_rates_are_those_of_each_epochs_last_step():
    net = network(optimizer=fnn.SGD(0.1))

    def halve(epoch, logs):
        net.optimizer.learning_rate /= 2

    assert net.fit(X, Y, epochs=2).learning_rates == [0.1, 0.1]
    halving = net.fit(X, Y, epochs=3, callbacks=fnn.LambdaCallback(on_epoch_end=halve))
    assert halving.learning_rates == [0.1, 0.05, 0.025]
