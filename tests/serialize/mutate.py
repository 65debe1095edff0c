"""A structure-aware fuzzer of the loader: files changed in their bytes, their header or their description.

    python tests/serialize/mutate.py [INPUTS [SEED]]

Every input must load or give ModelFileError, within a second, and within the promised memory. Most have a checksum that
fits, so that what stands behind it is tried too. An input that breaks a promise is written to the current folder.
"""

import copy
import random
import sys
import time
import tracemalloc

import forge
import models

import fastnn as fnn

SECONDS, SPARE = 1.0, 2**24
NUMBERS = [0, 1, -1, 2, 3, 7, 64, 2**31 - 1, 2**31, 2**32, 2**40, 2**53, 2**62, 2**63 - 1, 2**63, 2**64, 10**400]
VALUES = [
    *NUMBERS, True, False, None, 0.5, -0.0, 1e308, 5e-324, 1.5, "", "x", "Dense", "layer.Dense", "relu", "\ud800", "\0",
    [], {}, [[]], [1, 2, 3], {"array": "arrays.0"}, {"custom": "f"}, {"class": "layer.Dense", "config": {}},
    {"class": "layer.Dense", "config": {"units": 2**40}}, {"class": "layer.Flatten", "config": {}},
    {"class": "initializer.Orthogonal", "config": {"gain": 1.0}}, {"class": "loss.Custom", "config": {"function": 1}},
]  # fmt: skip


def sources(tmp_path):
    """The bytes of one small file for each kind of network."""
    found = []
    for kind in models.KINDS.values():
        net = kind()
        X, y = models.data(net, 10)
        net.fit(X, y, verbose=0)
        for one in (net, kind()):
            one.save(tmp_path / "seed")
            found.append((tmp_path / "seed").read_bytes())
    return found


def places(value, found):
    """Every (container, key) of JSON values."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        found.append((value, key))
        places(value[key], found)
    return found


def change(value, rng):
    """Changes JSON values in one place."""
    container, key = rng.choice(places(value, []))
    donor, from_key = rng.choice(places(value, []))
    action = rng.randrange(8)
    if action == 0:
        del container[key]
    elif action == 1 and isinstance(container, dict):
        container[rng.choice([str(rng.choice(VALUES))[:50], "units", "layers", "axis", str(key) + "x"])] = (
            container.pop(key)
        )
    elif action == 2:
        container[key] = copy.deepcopy(donor[from_key])
    elif action == 3 and isinstance(container, list):
        container.extend([container[key]] * rng.choice([1, 2, 100, 5000]))
    elif action == 4 and type(container[key]) is int:
        container[key] += rng.choice([-4, -1, 1, 4, 8])
    elif action == 5:
        container[key] = [container[key]]
    else:
        container[key] = copy.deepcopy(rng.choice(VALUES))


def change_bytes(data, rng):
    """Changes a few bytes, cuts, extends or splices."""
    data, action = bytearray(data), rng.randrange(6)
    at = rng.randrange(len(data))
    if action == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif action == 1:
        data[at:] = b""
    elif action == 2:
        data[at:at] = rng.randbytes(rng.choice([1, 8, 100]))
    elif action == 3:
        del data[at : at + rng.choice([1, 4, 8, 64])]
    elif action == 4:
        data[:8] = rng.choice(NUMBERS[:-1] if rng.random() < 0.5 else [len(data)]).__abs__().to_bytes(9, "little")[:8]
    else:
        other = rng.randrange(len(data))
        data[at : at + 16] = data[other : other + 16]
    return bytes(data)


TEXTS = [
    b"NaN",
    b"Infinity",
    b"1e999",
    b"[" * 3000,
    b'{"a":' * 3000,
    b"[]," * 20000,
    b"\xff",
    b'"\\ud800"',
    b"9" * 5000,
]


def mutant(data, rng):
    """A file near `data`."""
    if rng.random() < 0.15:
        return change_bytes(data, rng)
    header, network, tensors = forge.parts(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        if not network or not header:
            break
        change(rng.choice([network, network, header]), rng)
    if not isinstance(header.get("__metadata__"), dict):
        return forge.signed(header, tensors)
    done = forge.joined(header, network, tensors)
    if rng.random() < 0.1:  # texts that no JSON library would write
        length = int.from_bytes(done[:8], "little")
        text, at = done[8 : 8 + length], rng.randrange(120, max(121, length))
        done = forge.signed(text[:at] + rng.choice(TEXTS) + text[at:], tensors)
    if rng.random() < 0.1:
        header, network, _ = forge.parts(data)
        done = forge.joined(header, network, rng.choice([tensors[:-1], tensors + b"\0", b"", tensors * 2]))
    return done


def check(data, memory=False):
    """Reads a file; returns "loaded" or the error's text, and raises for anything but ModelFileError."""
    begin = time.process_time()
    if memory:
        tracemalloc.start()
    try:
        net = forge.read(data)
        outcome = "loaded"
        assert isinstance(net, fnn.Network)
    except fnn.ModelFileError as error:
        outcome = str(error)
        assert len(outcome) < 1000
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak <= len(data) + SPARE, f"{peak} bytes of memory"
    assert memory or time.process_time() - begin < SECONDS, "more than a second"
    return outcome


def main():
    import pathlib
    import tempfile

    inputs = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    with tempfile.TemporaryDirectory() as folder:
        seeds = sources(pathlib.Path(folder))
    loaded = bad = 0
    for i in range(inputs):
        data = mutant(rng.choice(seeds), rng)
        try:
            loaded += check(data, memory=i % 100 == 0) == "loaded"
        except Exception as error:
            bad += 1
            name = f"breaks-a-promise-{i}.safetensors"
            pathlib.Path(name).write_bytes(data)
            print(f"{name}: {type(error).__name__}: {error!s:.300}")
        if i % 50_000 == 49_999:
            print(f"{i + 1} inputs, {loaded} loaded, {bad} broke a promise", flush=True)
    print(f"{inputs} inputs, {loaded} loaded, {bad} broke a promise")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
