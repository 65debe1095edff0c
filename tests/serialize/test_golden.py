"""Files of earlier versions load, show the same weights to the bit, predict the same and train on alike."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import fastnn as fnn

GOLDEN = Path(__file__).parent.parent / "golden"
FILES = sorted(GOLDEN.glob("*.safetensors"))

_spec = importlib.util.spec_from_file_location("golden_make", GOLDEN / "make.py")
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden_file(path):
    """Targets of other vector widths round otherwise: 1e-5 of the largest number, for nets of a few layers."""
    net = fnn.load(path)
    found, expected = make.record(net), json.loads(path.with_suffix(".json").read_text())
    assert found.keys() == expected.keys() and found["weights"] == expected["weights"]
    for name in found.keys() - {"weights"}:
        for one, recorded in zip(found[name], expected[name], strict=True):
            np.testing.assert_allclose(one, recorded, rtol=1e-5, atol=1e-5 * np.abs(recorded).max())


def test_there_is_one_for_everything():
    """Whoever adds a layer runs tests/golden/make.py and commits what it writes."""
    assert make.networks().keys() <= {path.stem for path in FILES}
