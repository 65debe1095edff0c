"""Gradients gathered over several batches: the step of the large batch, penalties, weights and clipping included."""

import numpy as np
import pytest

import fastnn as fnn

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((48, 5))
Y = X[:, 0] - X[:, 1] ** 2
IDS = np.arange(48) % 3


def network(*layers, **options):
    options = {"seed": 1, "dtype": "float64", **options}
    return fnn.Network(list(layers or [fnn.Dense(7, "tanh", l2=0.01), fnn.Dense(1, l1=0.01)]), **options)


@pytest.mark.parametrize("optimizer", [fnn.SGD(0.1, momentum=0.9), fnn.Adam(0.01), fnn.AdamW(0.01, clip_norm=0.1)])
@pytest.mark.parametrize("shuffle", [False, True])
def test_gathered_steps_are_those_of_the_large_batch(optimizer, shuffle):
    small, large = network(optimizer=optimizer), network(optimizer=optimizer)
    a = small.fit(X, Y, epochs=4, batch_size=4, accumulate=4, shuffle=shuffle)
    b = large.fit(X, Y, epochs=4, batch_size=16, shuffle=shuffle)
    np.testing.assert_allclose(small.params, large.params, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-10)
    assert small._state.steps == large._state.steps == 12


def test_batches_count_by_their_weights():
    """Of 23 samples in batches of 5 the last has 3; with sample weights a batch may even weigh nothing."""
    weights = RANDOM.random(23) * (np.arange(23) > 6)
    for options in ({}, {"sample_weight": weights}):
        small, large = network(optimizer="sgd"), network(optimizer="sgd")
        small.fit(X[:23], Y[:23], batch_size=5, accumulate=9, shuffle=False, **options)
        large.fit(X[:23], Y[:23], batch_size=23, shuffle=False, **options)
        np.testing.assert_allclose(small.params, large.params, rtol=1e-11)


def test_several_outputs():
    def make():
        x = fnn.Input(5)
        h = fnn.Dense(6, "tanh")(x)
        outputs = [fnn.Dense(1)(h), fnn.Dense(3, "softmax")(h)]
        return fnn.Network(
            inputs=x, outputs=outputs, loss=["mse", "cross_entropy"], optimizer="sgd", seed=1, dtype="float64"
        )

    small, large = make(), make()
    small.fit(X, [Y, IDS], epochs=2, batch_size=8, accumulate=2, shuffle=False)
    large.fit(X, [Y, IDS], epochs=2, batch_size=16, shuffle=False)
    np.testing.assert_allclose(small.params, large.params, rtol=1e-11)


def test_steps_end_with_the_epoch():
    """Twelve batches by five: steps of five, five and two."""
    small, large = network(optimizer="sgd"), network(optimizer="sgd")
    small.fit(X, Y, epochs=2, batch_size=4, accumulate=5, shuffle=False)
    for _ in range(2):
        for first, end in ((0, 20), (20, 40), (40, 48)):
            large.train_on_batch(X[first:end], Y[first:end])
    np.testing.assert_allclose(small.params, large.params, rtol=1e-11)


@pytest.mark.parametrize("threads", [1, 3])
def test_stops_between_batches_lose_nothing(threads):
    """A batch hook leaves the engine after every batch; what was gathered is still there."""
    plain, hooked = network(), network()
    seen = []
    plain.fit(X, Y, epochs=2, batch_size=4, accumulate=3, threads=threads)
    watch = fnn.LambdaCallback(on_batch_end=lambda batch, logs: seen.append((batch, hooked._state.steps)))
    hooked.fit(X, Y, epochs=2, batch_size=4, accumulate=3, callbacks=watch, threads=1)
    assert np.array_equal(plain.params, hooked.params)
    assert [steps for _, steps in seen[:7]] == [0, 0, 1, 1, 1, 2, 2]


def test_large_weights_are_gathered_too():
    """They are updated while their gradient is summed elsewhere, which must not happen to a part of it."""
    wide = RANDOM.standard_normal((64, 150))

    def trained(batch, accumulate):
        net = network(fnn.Dense(130, "tanh"), fnn.Dense(1), optimizer=fnn.SGD(0.01))
        net.fit(wide, wide[:, 0], epochs=2, batch_size=batch, accumulate=accumulate, shuffle=False)
        return net.params

    np.testing.assert_allclose(trained(16, 2), trained(32, 1), rtol=1e-9, atol=1e-12)


def test_every_batch_of_a_step_has_a_dropout_mask_of_its_own():
    """The layer hands on how many units of a row of ones it kept; equal masks would give equal rows."""
    seen = []

    def loss(y, p):
        seen.append(p.copy())
        return 0.0, np.zeros_like(p)

    layers = [fnn.Dense(64, weight_init="zeros", bias_init="ones"), fnn.Dropout(0.5)]
    net = network(*layers, loss=loss)
    net.fit(np.zeros((4, 1)), np.zeros(4), epochs=1, batch_size=1, accumulate=4, shuffle=False)
    assert len({row.tobytes() for row in seen}) == 4


def test_what_is_refused():
    with pytest.raises(ValueError, match="accumulate must be a positive integer, got 0"):
        network().fit(X, Y, accumulate=0)
    with pytest.raises(ValueError, match="LBFGS sees all samples at each step anyway"):
        network(optimizer="lbfgs").fit(X, Y, accumulate=2)
