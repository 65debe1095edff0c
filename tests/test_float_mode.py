"""The floating-point mode is the caller's: the engine treats denormals as zero, and nobody else notices."""

import threading

import numpy as np
import pytest

import fastnn as fnn

DENORMAL = np.full(64, 1e-310)


def denormals_count():
    """Whether this thread's arithmetic, NumPy's vector loops included, keeps denormals."""
    return bool((DENORMAL * 0.5 == 0.5e-310).all()) and float(DENORMAL[0]) * 0.5 > 0


def network(**options):
    return fnn.Network([fnn.Dense(8, "relu"), fnn.Dropout(0.1), fnn.Dense(2)], input_shape=4, seed=0, **options)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.standard_normal((500, 4)), rng.standard_normal((500, 2))


CALLS = {
    "fit": lambda net, X, y: net.fit(X, y, epochs=2, verbose=0),
    "fit, two threads": lambda net, X, y: net.fit(X, y, batch_size=500, threads=2, verbose=0),
    "fit with validation": lambda net, X, y: net.fit(X, y, validation_split=0.2, verbose=0),
    "train_on_batch": lambda net, X, y: net.train_on_batch(X, y),
    "loss_and_gradients": lambda net, X, y: net.loss_and_gradients(X, y),
    "evaluate": lambda net, X, y: net.evaluate(X, y),
    "predict": lambda net, X, y: net.predict(X),
    "predict one": lambda net, X, y: [net.predict(X[:1]) for _ in range(3)],
    "predictor": lambda net, X, y: [net.predictor()(X[0].astype("float32")) for _ in range(3)],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CALLS)
def test_mode_is_restored(name, dtype, data):
    assert denormals_count()
    CALLS[name](network(dtype=dtype), *data)
    assert denormals_count()


def test_mode_is_restored_when_python_code_raises(data):
    """And that code itself runs in the caller's mode."""
    seen = []

    def loss(y, p):
        seen.append(denormals_count())
        raise ArithmeticError("from inside")

    net = network(loss=loss)
    for call in (net.loss_and_gradients, net.train_on_batch, lambda X, y: net.fit(X, y, verbose=0)):
        with pytest.raises(ArithmeticError, match="from inside"):
            call(*data)
        assert denormals_count()
    assert seen == [True] * 3


def test_mode_is_restored_when_the_loss_overflows(data):
    net = network(optimizer=fnn.SGD(1e30))
    with pytest.warns(fnn.NonFiniteWarning):
        net.fit(*data, epochs=3, verbose=0)
    assert denormals_count()


def test_callbacks_run_in_the_mode_of_the_caller(data):
    seen = []
    callback = fnn.LambdaCallback(on_batch_end=lambda *_: seen.append(denormals_count()))
    network().fit(*data, callbacks=[callback], verbose=0)
    assert seen
    assert all(seen)


def test_threads_that_share_a_network(data):
    net, seen = network(), []

    def work():
        for rows in (1, 7, 500):
            net.predict(data[0][:rows])
            seen.append(denormals_count())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 12
