"""Makes the golden files that are missing: model files that every later version has to load, with what they predict.

    PYTHONPATH=tests:tests/serialize python tests/golden/make.py

There is one for each layer class (its first row of cases.py that a file can hold), each kind of network of
serialize/models.py and each optimizer, for the present version of the format. A file that is there is never written
again: it stands for the versions that wrote it. Their names begin with the version of the format.
"""

import hashlib
import json
from pathlib import Path

import cases
import models
import numpy as np

import fastnn as fnn
from fastnn.serialize import VERSION
from fastnn.serialize.description import Encoder

HERE = Path(__file__).parent


def networks():
    """{name: function that makes a network} of all that there should be."""
    found = {}
    for case in filter(_savable, cases.CASES):
        found.setdefault(f"layer-{case.layer.__name__}", lambda case=case: case.network("float32"))
    for name, make in models.KINDS.items():
        found[f"network-{name}"] = make
    for name in models.OPTIMIZERS:
        found[f"optimizer-{name}"] = lambda name=name: models.sequence("float64", optimizer=name)
    return {f"{VERSION}-{name}": make for name, make in found.items()}


def _savable(case):
    try:
        Encoder({}).encode(case.make(), case.name)
    except ValueError:  # Python functions
        return False
    return True


def record(net):
    """What a loaded network must show: its weights to the bit, its predictions, its loss after more training."""
    weights = {} if net._state is None else net.get_weights()
    digest = hashlib.sha256(b"".join(weights[name].tobytes() for name in sorted(weights)))
    X, y = models.data(net, 8)
    if net._state is None:
        return {"weights": digest.hexdigest()}
    predictions = net.predict(X)
    predictions = predictions if isinstance(predictions, list) else [predictions]
    return {
        "weights": digest.hexdigest(),
        "predictions": [np.asarray(one, dtype=np.float64).tolist() for one in predictions],
        "loss": net.fit(X, y, epochs=2, batch_size=4, verbose=0)["loss"],
    }


def main():
    for name, make in networks().items():
        path = HERE / f"{name}.safetensors"
        if path.exists():
            continue
        net = make()
        if net._state is not None:
            net.fit(*models.data(net, 8), epochs=1, batch_size=4, verbose=0)
        net.save(path)
        with open(HERE / f"{name}.json", "x") as file:
            json.dump(record(fnn.load(path)), file)
        print(path.name)


if __name__ == "__main__":
    main()
