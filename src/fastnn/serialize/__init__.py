"""Saving and loading networks: one file in safetensors format, which holds data and names alone, never code.

docs/saving.md describes the file and what is promised of it. The parts: `safetensors` is the format, `atomic` the
replacing of a file, `snapshot` what a network is at a moment, `description` its objects as JSON.
"""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

from .. import _metadata
from .._programs import State
from ..errors import ModelFileError
from ..layers.base import Layer
from ..losses import Loss
from ..metrics import Metric
from ..network import Network
from ..optimizers import Optimizer
from . import atomic, safetensors, snapshot
from .description import Decoder, Encoder, checked_custom

if TYPE_CHECKING:
    from os import PathLike

FORMAT, VERSION = "fastnn", 1
_SLOT = "optimizer."
_MOST_COUNTED = 2**62  # steps and epochs: what the engine counts stays below 2**63
_LONGEST_MESSAGE = 500  # characters of what a file may make an error say
_KEYS = {"structure", "settings", "random_seed", "built"}


def save(net, path, custom=None):
    """Writes a network to a file; `Network.save` says what holds."""
    custom = checked_custom(custom)
    with net._paused():
        description, arrays = _describe(snapshot.take(net), Encoder(custom))
        _check_readable(description, arrays, custom)
        metadata = {"format": FORMAT, "version": str(VERSION), "network": description}
        atomic.replace(path, lambda output: safetensors.write(metadata, arrays, output.put, output.put_at))


def load(path: str | PathLike[str], *, custom: dict[str, Any] | None = None) -> Network:
    """The network that `Network.save` wrote, with its optimizer's state: training continues exactly.

    No code runs and no other file is opened, whatever the file holds; memory stays below the file's size plus 16 MB.

    Args:
        path: of the file.
        custom: the classes and functions of your own that it was saved with, {name: class or function}.

    Raises:
        ModelFileError: it is no model file, damaged, from a later version, or needs something that `custom` lacks.
        OSError: it cannot be read.

    >>> import fastnn as fnn, os, tempfile
    >>> net = fnn.Network([fnn.Dense(2)], input_shape=3, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     net.save(os.path.join(folder, "model.safetensors"))
    ...     again = fnn.load(os.path.join(folder, "model.safetensors"))
    >>> bool((again.params == net.params).all())
    True
    """
    custom = checked_custom(custom)
    with open(path, "rb", buffering=0) as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ModelFileError(f"{os.fsdecode(path)} is not a file")
        return read(stream, status.st_size, custom, os.fsdecode(path))


def read(stream, size, custom, name) -> Network:
    """The network in a stream of `size` bytes that can seek; errors begin with `name`."""
    try:
        return _read(stream, size, custom)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error!s:.{_LONGEST_MESSAGE}}") from error.__cause__


def _read(stream, size, custom):
    reader = safetensors.Reader(stream, size)
    _check_format(reader.metadata)
    described = safetensors.parse_json(reader.metadata.get("network", ""))
    decoder = Decoder(custom, reader.entries, reader.array)
    shot = _snapshot(described, decoder, reader.entries)
    if decoder.unread:
        raise ModelFileError(f"{min(decoder.unread)} belongs to nothing")
    net = Network.__new__(Network)
    try:
        snapshot.restore(net, shot, reader.fill)
    except ModelFileError:
        raise
    except (MemoryError, Exception) as error:
        raise ModelFileError(f"its layers make no network: {error}") from error
    return net


def _check_format(metadata):
    if metadata.get("format") != FORMAT:
        raise ModelFileError("it is a safetensors file, but not one that fastnn wrote")
    version = metadata.get("version", "")
    if version != str(VERSION):
        known = f"this is fastnn with versions up to {VERSION}"
        raise ModelFileError(f"it has version {version!r:.20} of the format, {known}; a later fastnn may read it")


def _check_readable(description, arrays, custom):
    """ValueError unless `load` will accept the description: its limits hold for what is written too."""
    try:
        _snapshot(safetensors.parse_json(description), Decoder(custom, arrays, lambda array: array), arrays)
    except ModelFileError as error:
        if isinstance(error.__cause__, MemoryError):  # the memory is too small, not the description wrong
            raise error.__cause__ from None
        raise ValueError(f"the network cannot be saved: {error}") from error.__cause__


# ---- snapshot to JSON and tensors -------------------------------------------------------------------------------


def _describe(shot, encoder):
    """The JSON text of a snapshot, and its tensors by name."""
    structure, settings, built = shot["structure"], shot["settings"], shot["built"]
    described = {
        "structure": {
            **structure,
            "layers": [encoder.encode(layer, f"layers.{i}") for i, layer in enumerate(structure["layers"])],
        },
        "settings": {name: encoder.encode(value, name) for name, value in settings.items()},
        "random_seed": shot["random_seed"],
        "built": built and {name: built[name] for name in ("shapes", "counters")},
    }
    if shot["metadata"]:
        described["metadata"] = shot["metadata"]
    arrays = {**encoder.arrays}
    if built:
        arrays = {**built["weights"], **{_SLOT + name: slot for name, slot in built["slots"].items()}, **arrays}
    return json.dumps(described, separators=(",", ":"), allow_nan=False), arrays


def _snapshot(described, decoder, entries):
    """The snapshot of a description, whose arrays are entries still to be read."""
    metadata = described.pop("metadata", {}) if isinstance(described, dict) else {}
    _expect(described, _KEYS, "network")
    settings = described["settings"]
    _expect(settings, {*snapshot.SETTINGS, "dtype"}, "settings")
    losses = settings["loss"]
    decoded = {
        **settings,
        "optimizer": decoder.object(settings["optimizer"], Optimizer, "optimizer"),
        "metrics": decoder.objects(settings["metrics"], Metric, "metrics"),
        "loss": [_loss(one, decoder) for one in losses] if isinstance(losses, list) else _loss(losses, decoder),
    }
    seed = described["random_seed"]
    if not _is_count(seed, 2**64):
        raise ModelFileError("random_seed: expected a whole number below 2**64")
    structure = _structure(described["structure"], decoder)
    return {
        "structure": structure,
        "settings": decoded,
        "random_seed": seed,
        "built": _built(described["built"], entries, decoder),
        "metadata": _checked_metadata(metadata),
    }


def _checked_metadata(values):
    try:
        return _metadata.checked(values)
    except (TypeError, ValueError) as error:
        raise ModelFileError(str(error)) from None


def _loss(described, decoder):
    return None if described is None else decoder.object(described, Loss, "loss")


def _structure(described, decoder):
    _expect(described, {"layers", "inputs", "calls", "outputs"}, "structure")
    layers = decoder.objects(described["layers"], Layer, "layers")
    inputs, calls, outputs = described["inputs"], described["calls"], described["outputs"]
    if inputs is None:
        if calls is not None or outputs is not None:
            raise ModelFileError("structure: calls without inputs")
        return {**described, "layers": layers}
    if not isinstance(inputs, list) or not isinstance(calls, list) or not isinstance(outputs, list):
        raise ModelFileError("structure: expected lists of inputs, calls and outputs")
    decoder.count(len(inputs) + len(calls) + len(outputs))
    known = len(inputs)
    for call in calls:
        known = _check_call(call, layers, known, decoder)
    if not all(_is_count(number, known) for number in outputs):
        raise ModelFileError("structure: an output is not there")
    return {"layers": layers, "inputs": inputs, "calls": calls, "outputs": outputs}


def _check_call(call, layers, known, decoder):
    """Checks one call, which may read the `known` nodes before it; returns how many are known after it."""
    if not isinstance(call, list) or len(call) != 3 or not isinstance(call[2], dict):
        raise ModelFileError("structure: a call is a layer's number, its inputs and its named inputs")
    layer, given, named = call
    if not _is_count(layer, len(layers)):
        raise ModelFileError("structure: a call of a layer that is not there")
    for one in (given, *named.values()):
        numbers = one if isinstance(one, list) else [one]
        decoder.count(len(numbers))
        if not all(_is_count(number, known) for number in numbers):
            raise ModelFileError("structure: a call reads what is not there yet")
    returned = layers[layer].outputs
    decoder.count(returned)
    return known + returned


def _built(described, entries, decoder):
    tensors = {name: entry for name, entry in entries.items() if not name.startswith("arrays.")}
    if described is None:
        if tensors:
            raise ModelFileError(f"{next(iter(tensors))} belongs to nothing")
        return None
    _expect(described, {"shapes", "counters"}, "built")
    shapes = described["shapes"]
    if not isinstance(shapes, list) or not shapes or not all(_is_shape(shape) for shape in shapes):
        raise ModelFileError("built: expected shapes of the inputs")
    counters = described["counters"]  # one that an earlier version did not count begins at 0
    if not isinstance(counters, dict) or not all(_is_count(count, _MOST_COUNTED) for count in counters.values()):
        raise ModelFileError("built: expected numbers of steps and epochs")
    if not counters.keys() <= set(State.COUNTERS):
        raise ModelFileError(f"built: expected counters {', '.join(State.COUNTERS)}")
    slots = {name[len(_SLOT) :]: entry for name, entry in tensors.items() if name.startswith(_SLOT)}
    weights = {name: entry for name, entry in tensors.items() if not name.startswith(_SLOT)}
    return {**described, "shapes": [tuple(shape) for shape in shapes], "weights": weights, "slots": slots}


def _expect(described, keys, where):
    if not isinstance(described, dict) or described.keys() != keys:
        raise ModelFileError(f"{where}: expected {', '.join(sorted(keys))}")


def _is_count(value, limit):
    return type(value) is int and 0 <= value < limit


def _is_shape(value):
    return isinstance(value, list) and 0 < len(value) <= 32 and all(_is_count(n, 2**62) and n for n in value)
