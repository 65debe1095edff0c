"""The metadata of a network: JSON values alone, small, the same in files, pickles and copies."""

import copy
import json
import pickle

import forge
import mutate
import numpy as np
import pytest

import fastnn as fnn
from fastnn import ModelFileError

VALUES = {"unit": "°C", "columns": ["a", "b"], "n": 3, "mean": -0.1, "empty": {}, "on": True, "none": None, "": [[]]}


def network():
    return fnn.Network([fnn.Dense(2)], input_shape=3, seed=0)


@pytest.fixture
def data(tmp_path):
    """The bytes of a file with metadata."""
    net = network()
    net.metadata = VALUES
    net.save(tmp_path / "a")
    return (tmp_path / "a").read_bytes()


def forged(data, values):
    header, described, tensors = forge.parts(data)
    return forge.joined(header, {**described, "metadata": values}, tensors)


def test_files_pickles_and_copies_carry_it(tmp_path, data):
    net = network()
    assert net.metadata == {}
    net.metadata = VALUES
    for other in (forge.read(data), pickle.loads(pickle.dumps(net)), copy.copy(net), copy.deepcopy(net)):
        assert other.metadata == VALUES
        other.metadata["columns"].append("c")
        assert net.metadata == VALUES


def test_it_is_copied_and_may_be_written_to(tmp_path):
    net, values = network(), {"columns": ("a",)}
    net.metadata = values
    values["more"] = 1
    net.metadata["unit"] = "m"
    net.save(tmp_path / "a")
    assert fnn.load(tmp_path / "a").metadata == {"columns": ["a"], "unit": "m"}


def test_without_any_a_file_is_as_before(tmp_path):
    network().save(tmp_path / "a")
    assert "metadata" not in forge.parts((tmp_path / "a").read_bytes())[1]


def test_a_pickle_from_before_there_was_any():
    net = network()
    state = net.__getstate__()
    del state["metadata"]
    other = fnn.Network.__new__(fnn.Network)
    other.__setstate__(state)
    assert other.metadata == {}


@pytest.mark.parametrize("values, error, words", [
    ([], TypeError, "metadata must be a dict of JSON values, got list"),
    ({1: 2}, TypeError, "texts as keys, got int 1"),
    ({"a": {"b": np.float32(1)}}, TypeError, "got float32"),
    ({"a": b"x"}, TypeError, "got bytes"),
    ({"a": {1, 2}}, TypeError, "got set"),
    ({"a": float("nan")}, ValueError, "finite numbers, got nan"),
    ({"a": 2**63}, ValueError, "one of 64 bits"),
    ({"a": "x" * 2**18}, ValueError, "at most 262,144 characters"),
    ({"é" * 2**16: 1}, ValueError, "at most 262,144 characters"),
    ({"a": [0] * 2**18}, ValueError, "at most 262,144 characters"),
])  # fmt: skip
def test_other_values_are_refused_and_change_nothing(values, error, words, tmp_path):
    net = network()
    net.metadata = VALUES
    with pytest.raises(error, match=words):
        net.metadata = values
    assert net.metadata == VALUES
    if isinstance(values, dict):
        net.metadata.update(values)
        with pytest.raises(error, match=words):
            net.save(tmp_path / "a")
        assert not (tmp_path / "a").exists()


def test_depth_is_bounded():
    net, deep = network(), {}
    net.metadata = {"a": [[[deep]]]}
    for _ in range(40):
        deep = {"a": deep}
    with pytest.raises(ValueError, match="at most 32 dicts and lists deep"):
        net.metadata = deep
    deep["self"] = deep
    with pytest.raises(ValueError, match="at most 32 dicts and lists deep"):
        net.metadata = deep


@pytest.mark.parametrize("values, words", [
    ([1], "metadata must be a dict"),
    ("x", "metadata must be a dict"),
    (None, "metadata must be a dict"),
    ({"a": 2**70}, "one of 71 bits"),
    ({"a": "x" * 2**18}, "at most 262,144 characters"),
    (json.loads('{"a":' * 40 + "1" + "}" * 40), "32 dicts and lists deep"),
])  # fmt: skip
def test_forged_values_are_refused(values, words, data):
    with pytest.raises(ModelFileError, match=words):
        forge.read(forged(data, values))


@pytest.mark.parametrize("values", [
    {"a": [[]] * 37_000}, {"a": [{}] * 37_000}, {"a": [0] * 110_000}, {"a": "\U0001f600" * 20_000}, {"a": [[]] * 10**6},
], ids=["lists", "dicts", "numbers", "wide texts", "too many"])  # fmt: skip
def test_large_values_cost_little(values, data):
    bomb = forged(data, values)
    mutate.check(bomb)
    mutate.check(bomb, memory=True)
