"""Normalization of rows: what it does to rows, and what its layers refuse; the battery of cases.py has the rest."""

import numpy as np
import pytest

import fastnn as fnn

LAYERS = [fnn.LayerNorm, fnn.RMSNorm]


def normalized(layer, X, dtype="float64", **options):
    X = np.asarray(X, dtype=dtype)
    return fnn.Network([layer], input_shape=X.shape[1:], dtype=dtype).predict(X, **options)


def test_rows_have_mean_0_and_variance_1():
    X = np.random.default_rng(0).normal(5, 3, (4, 3, 50))
    y = normalized(fnn.LayerNorm(epsilon=1e-12), X)
    np.testing.assert_allclose(y.mean(axis=-1), 0, atol=1e-14)
    np.testing.assert_allclose(y.var(axis=-1), 1, rtol=1e-11)
    np.testing.assert_allclose((normalized(fnn.RMSNorm(1e-12), X) ** 2).mean(axis=-1), 1, rtol=1e-11)


def test_a_row_does_not_depend_on_the_others():
    X = np.random.default_rng(0).standard_normal((5, 7))
    for layer in LAYERS:
        np.testing.assert_array_equal(normalized(layer(), X)[2], normalized(layer(), X[2:3])[0])


def test_equal_values_become_the_bias():
    """Their variance is 0; epsilon keeps the quotient finite."""
    assert normalized(fnn.LayerNorm(), np.full((2, 9), 1e6), "float32").tolist() == [[0.0] * 9] * 2
    assert normalized(fnn.RMSNorm(), np.zeros((2, 9)), "float32").tolist() == [[0.0] * 9] * 2


def test_a_small_variance_beside_a_large_mean():
    """Taken around the mean, so that float32 loses only what its input has lost."""
    X = (1000 + np.random.default_rng(0).standard_normal((20, 64))).astype(np.float32)
    exact = (X - X.mean(axis=1, dtype=np.float64, keepdims=True)) / X.std(axis=1, dtype=np.float64, keepdims=True)
    np.testing.assert_allclose(normalized(fnn.LayerNorm(1e-12), X, "float32"), exact, atol=1e-4)


@pytest.mark.parametrize("layer", LAYERS)
def test_threads(layer):
    X = np.random.default_rng(0).standard_normal((700, 9, 33))
    y = normalized(layer(), X, threads=1, batch_size=700)
    np.testing.assert_array_equal(normalized(layer(), X, threads=2, batch_size=700), y)


def test_epsilon():
    np.testing.assert_allclose(normalized(fnn.RMSNorm(epsilon=7.0), [[3.0, 3.0]]), [[0.75, 0.75]], rtol=1e-15)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("epsilon", [0, -1e-5, float("nan"), float("inf")])
def test_epsilon_is_positive(layer, epsilon):
    with pytest.raises(ValueError, match="epsilon must be"):
        layer(epsilon)


def test_ids_are_refused():
    x = fnn.Input(4)
    embedded = fnn.Embedding(5, 2)(x)
    with pytest.raises(fnn.ShapeError, match=r"LayerNorm.*reads numbers, and this input holds ids"):
        fnn.Network(inputs=x, outputs=[embedded, fnn.LayerNorm()(x)])
