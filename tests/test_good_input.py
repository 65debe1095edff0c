"""Every form in which samples and targets are taken trains and predicts to the same bytes.

The values are small whole numbers, so that each form holds exactly the same ones.
"""

import numpy as np
import pytest

import fastnn as fnn

pytestmark = pytest.mark.filterwarnings("error")

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 2, (21, 4)).astype(np.float32)
IDS = np.arange(21) % 3


def train(X, y, *, classes=True, epochs=3, batch_size=8, dtype="float32", **options):
    layers = [fnn.Dense(6, "tanh"), fnn.Dense(3, "softmax") if classes else fnn.Dense(1)]
    net = fnn.Network(layers, seed=5, dtype=dtype)
    history = net.fit(X, y, epochs=epochs, batch_size=batch_size, **options)
    return net.params.tobytes(), history["loss"], net.predict(X).tobytes()


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def reversed_twice(array):
    return array[::-1, ::-1].copy()[::-1, ::-1]


def unaligned(array):
    return np.frombuffer(b"\0" + array.tobytes(), array.dtype, offset=1).reshape(array.shape)


def interleaved(array):
    return np.repeat(array, 2, axis=0)[::2]


FORMS_OF_X = {
    "lists": np.ndarray.tolist,
    "tuples": lambda X: tuple(map(tuple, X.tolist())),
    **{t: lambda X, t=t: X.astype(t) for t in ("f8", "f4", "f2", "g", "i1", "i4", "i8", "u1", "u8", "?", ">f4", ">i8")},
    "Fortran order": np.asfortranarray,
    "negative strides": reversed_twice,
    "every other row": interleaved,
    "read-only": read_only,
    "unaligned": unaligned,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", FORMS_OF_X)
def test_forms_of_samples(form, dtype):
    assert train(FORMS_OF_X[form](X), IDS, dtype=dtype) == train(X, IDS, dtype=dtype)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_memory_maps(mode, tmp_path):
    X.tofile(tmp_path / "X")
    IDS.tofile(tmp_path / "y")
    mapped = np.memmap(tmp_path / "X", np.float32, mode, shape=X.shape)
    assert train(mapped, np.memmap(tmp_path / "y", IDS.dtype, mode)) == train(X, IDS)
    assert np.array_equal(np.fromfile(tmp_path / "X", np.float32), X.ravel())


@pytest.mark.parametrize("form", [
    np.ndarray.tolist, *(lambda y, t=t: y.astype(t) for t in ("i1", "u2", "i4", "i8", "u8", "f2", "f4", "f8", ">i4")),
    read_only, interleaved, lambda y: y.reshape(-1, 1), lambda y: y[::-1].copy()[::-1],
])  # fmt: skip
def test_forms_of_class_ids(form):
    assert train(X, form(IDS)) == train(X, IDS)


def test_one_hot_rows_are_class_ids():
    expected = np.frombuffer(train(X, IDS)[0], np.float32)
    for rows in (np.eye(3)[IDS], np.eye(3, dtype=int)[IDS], np.eye(3, dtype=bool)[IDS].tolist()):
        np.testing.assert_allclose(np.frombuffer(train(X, rows)[0], np.float32), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", [
    np.ndarray.tolist, *(lambda y, t=t: y.astype(t) for t in ("i1", "i8", "f2", "f4", "f8", ">f8")),
    read_only, interleaved, lambda y: y.reshape(-1, 1), lambda y: np.asfortranarray(y.reshape(-1, 1)),
])  # fmt: skip
def test_forms_of_real_targets(form):
    assert train(X, form(IDS), classes=False) == train(X, IDS.astype(np.float32), classes=False)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_and_series(library):
    module = pytest.importorskip(library)
    columns = {f"c{i}": X[:, i] for i in range(4)}
    mixed = {**columns, "c1": X[:, 1].astype(bool), "c2": X[:, 2].astype(np.int64), "c3": X[:, 3].astype(np.float64)}
    for frame in (module.DataFrame(columns), module.DataFrame(mixed)):
        assert train(frame, module.Series(IDS)) == train(X, IDS)
        assert train(frame, module.DataFrame({"y": IDS}), classes=False) == train(X, IDS, classes=False)
    weights = np.arange(1.0, 22.0)
    weighted = train(X, IDS, sample_weight=weights)
    assert train(module.DataFrame(columns), IDS, sample_weight=module.Series(weights)) == weighted
    assert weighted != train(X, IDS)


def test_one_axis_is_one_feature():
    net = fnn.Network([fnn.Dense(1)], seed=0)
    net.fit([0.0, 1.0, 2.0], [1.0, 3.0, 5.0])
    assert net.get_weights()["layers.0.weight"].shape == (1, 1)
    assert np.array_equal(net.predict([0.0, 1.0]), net.predict([[0.0], [1.0]]))


@pytest.mark.parametrize("rows, batch_size", [(21, 8), (21, 20), (21, 21), (21, 32), (21, 10**12), (1, 8), (1, 1)])
def test_a_last_batch_may_be_smaller_and_a_single_row_is_enough(rows, batch_size):
    """The loss of an epoch without learning is the mean over all rows, however they are cut into batches."""
    net = fnn.Network([fnn.Dense(6, "tanh"), fnn.Dense(1)], optimizer=fnn.SGD(1e-30), seed=5)
    loss = net.fit(X[:rows], IDS[:rows], batch_size=batch_size)["loss"][0]
    expected = ((net.predict(X[:rows])[:, 0].astype(float) - IDS[:rows]) ** 2).mean()
    assert loss == pytest.approx(expected, rel=1e-6)
    assert net.predict(X[:1]).shape == (1, 1)


@pytest.mark.parametrize("batch_size", [None, 1, 2, 20, 21, 1000])
def test_prediction_does_not_depend_on_the_batches(batch_size):
    net = fnn.Network([fnn.Dense(6, "tanh"), fnn.Dense(3, "softmax")], input_shape=4, seed=5)
    one_by_one = np.concatenate([net.predict(row[None]) for row in X])
    np.testing.assert_allclose(net.predict(X, batch_size=batch_size), one_by_one, rtol=1e-6)


def test_the_arguments_are_not_changed():
    copies = X.copy(), IDS.copy(), np.ones(21)
    given = X.copy(), IDS.copy(), np.ones(21)
    train(given[0], given[1], sample_weight=given[2], class_weight="balanced", validation_split=0.2)
    for copy, array in zip(copies, given, strict=True):
        assert array.tobytes() == copy.tobytes()


def test_integers_of_any_kind_are_arguments():
    expected = train(X, IDS, epochs=2, batch_size=4)
    assert train(X, IDS, epochs=np.int8(2), batch_size=np.uint64(4)) == expected
    net = fnn.Network([fnn.Dense(np.int32(3), "softmax")], input_shape=np.int64(4), seed=np.uint8(1))
    assert net.predict(X).shape == (21, 3)
