"""Files that are damaged, forged or of another kind: ModelFileError with what is wrong, at a small cost."""

import random

import forge
import models
import mutate
import numpy as np
import pytest

import fastnn as fnn
from fastnn import ModelFileError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The bytes of a trained network's file, as small as one gets."""
    net = fnn.Network([fnn.Dense(2)], input_shape=3, seed=0, optimizer="sgd", loss="mse")
    return _file(net, tmp_path_factory)


@pytest.fixture(scope="module")
def graph_data(tmp_path_factory):
    return _file(models.graph(), tmp_path_factory)


def _file(net, tmp_path_factory):
    X, y = models.data(net, 4)
    net.fit(X, y, verbose=0)
    path = tmp_path_factory.mktemp("models") / "a"
    net.save(path)
    return path.read_bytes()


def assert_refused(data, message):
    with pytest.raises(ModelFileError) as caught:
        forge.read(data)
    assert message in str(caught.value), str(caught.value)


# ---- accidents ----------------------------------------------------------------------------------------------------


def test_every_byte_changed(data):
    """In every bit, so that no place escapes the checksum."""
    for at in range(len(data)):
        for bit in range(8):
            with pytest.raises(ModelFileError):
                forge.read(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])


def test_cut_at_every_length(data):
    for length in range(len(data)):
        with pytest.raises(ModelFileError):
            forge.read(data[:length])


def test_extended_and_spliced(data, graph_data):
    rng = random.Random(0)
    for extra in (b"\0", b" ", data, graph_data, rng.randbytes(1000)):
        with pytest.raises(ModelFileError):
            forge.read(data + extra)
        with pytest.raises(ModelFileError):
            forge.read(extra + data)
    for _ in range(2000):
        at, other = rng.randrange(len(data)), rng.randrange(len(graph_data))
        with pytest.raises(ModelFileError):
            forge.read(data[:at] + graph_data[other:])


@pytest.mark.parametrize(
    "content,message",
    [
        (b"", "it has 0 bytes"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "does not fit into 108 bytes; is it cut short?"),
        (b"PK\x03\x04" + bytes(4) + bytes(10**7), "its header has 67324752 bytes, too many"),
        ((10).to_bytes(8, "little") + bytes(20), "its description is not JSON"),
        ((3).to_bytes(8, "little") + b"\xff\xfe\xfd", "its header is not text"),
        ((2).to_bytes(8, "little") + b"[]", "its header is not a JSON object"),
        ((2).to_bytes(8, "little") + b"{}", "not one that fastnn wrote"),
    ],
)
def test_files_of_another_kind(content, message, tmp_path):
    if message.startswith("its header has"):
        content = (67324752).to_bytes(8, "little") + bytes(67324752)
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        fnn.load(tmp_path / "a")
    assert str(caught.value).startswith(f"{tmp_path / 'a'}: ") and message in str(caught.value)


# ---- forgeries: the checksum fits ---------------------------------------------------------------------------------


def changed(data, *path, to):
    """The file with another value in its header, or where the path begins with "network" in its description."""
    header, network, tensors = forge.parts(data)
    top = {"header": header, "network": network}
    place = top
    for key in path[:-1]:
        place = place[key]
    if to is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return forge.joined(top["header"], top["network"], tensors)


WEIGHT = ("header", "layers.0.weight")


@pytest.mark.parametrize(
    "path,to,message",
    [
        ((*WEIGHT, "dtype"), "F8", "tensor 'layers.0.weight' has an unknown dtype"),
        ((*WEIGHT, "dtype"), ["F32"], "has an unknown dtype"),
        ((*WEIGHT, "dtype"), "I32", "layers.0.weight has the dtype int32, the network float32"),
        ((*WEIGHT, "dtype"), "F64", "has 24 bytes, not what its dtype and shape ask for"),
        ((*WEIGHT, "shape"), [2, 3], "layers.0.weight has shape (2, 3), layers.0 (Dense) needs (3, 2)"),
        ((*WEIGHT, "shape"), [6], "layers.0.weight has shape (6,), layers.0 (Dense) needs (3, 2)"),
        ((*WEIGHT, "shape"), [3, 2.0], "has no proper shape"),
        ((*WEIGHT, "shape"), [3, -2], "has no proper shape"),
        ((*WEIGHT, "shape"), [3, True], "has no proper shape"),
        ((*WEIGHT, "shape"), "32", "has no proper shape"),
        ((*WEIGHT, "shape"), [1] * 40, "has no proper shape"),
        ((*WEIGHT, "shape"), [2**62, 2**62], "not what its dtype and shape ask for"),
        ((*WEIGHT, "data_offsets"), [24, 0], "has no proper data_offsets"),
        ((*WEIGHT, "data_offsets"), [0, 24, 24], "has no proper data_offsets"),
        ((*WEIGHT, "data_offsets"), [0, 2**64], "has no proper data_offsets"),
        ((*WEIGHT, "data_offsets"), [8, 32], "its tensors leave a gap"),
        ((*WEIGHT, "data_offsets"), KeyError, "needs dtype, shape and data_offsets alone"),
        ((*WEIGHT, "other"), 1, "needs dtype, shape and data_offsets alone"),
        (WEIGHT, 3, "needs dtype, shape and data_offsets alone"),
        (WEIGHT, KeyError, "its tensors leave a gap"),
        (("header", "layers.0.bias", "data_offsets"), [16, 24], "its tensors overlap"),
        (("header", "optimizer.velocity", "data_offsets"), [2**50, 2**50 + 32], "its tensors leave a gap"),
        (("header", "more"), {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}, "more belongs to no layer"),
        (("header", "arrays.0"), {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}, "belongs to nothing"),
        (("header", "__metadata__", "x"), 1, "its metadata is not a mapping of strings"),
        (("header", "__metadata__", "format"), "pt", "not one that fastnn wrote"),
        (("header", "__metadata__", "version"), "2", "it has version '2' of the format"),
        (("header", "__metadata__", "version"), KeyError, "it has version '' of the format"),
        (("network", "built"), None, "layers.0.weight belongs to nothing"),
        (("network", "more"), None, "network: expected built, random_seed, settings, structure"),
        (("network", "random_seed"), -1, "random_seed: expected a whole number"),
        (("network", "random_seed"), 0.5, "random_seed: expected a whole number"),
        (("network", "built", "counters", "steps"), 2**63, "expected numbers of steps and epochs"),
        (("network", "built", "counters", "epochs"), True, "expected numbers of steps and epochs"),
        (("network", "built", "counters"), [], "expected numbers of steps and epochs"),
        (("network", "built", "counters", "more"), 1, "expected counters steps, epochs, first_epoch"),
        (("network", "built", "shapes"), [], "expected shapes of the inputs"),
        (("network", "built", "shapes"), [[0]], "expected shapes of the inputs"),
        (("network", "built", "shapes"), [[4]], "layers.0.weight has shape (3, 2), layers.0 (Dense) needs (4, 2)"),
        (("network", "built", "shapes"), [[2**61, 2**61, 3]], "more than any memory holds"),
        (("network", "settings", "dtype"), "float16", "unknown dtype 'float16'"),
        (("network", "settings", "dtype"), "float64", "layers.0.weight has the dtype float32, the network float64"),
        (("network", "settings", "precision"), "low", "unknown precision 'low'"),
        (("network", "settings", "seed"), "x", "seed must be"),
        (("network", "settings", "seed"), KeyError, "settings: expected dtype, input_shape"),
        (("network", "settings", "input_shape"), [3, None], "must be a positive integer"),
        (("network", "settings", "optimizer"), None, "optimizer: expected a Optimizer, got NoneType"),
        (("network", "settings", "optimizer", "class"), "layer.Dense", "optimizer (Dense): "),
        (("network", "settings", "optimizer", "class"), "optimizer.Adam", "optimizer (Adam): "),
        (("network", "settings", "metrics"), 3, "metrics: expected a list"),
        (("network", "settings", "loss"), "mse", "loss: expected a Loss, got str"),
        (("network", "settings", "loss"), [], "loss: the network has 1 outputs, got 0 losses"),
        (("network", "structure", "calls"), [], "calls without inputs"),
        (("network", "structure", "layers"), [], "expected a list of layers"),
        (("network", "structure", "layers", 0), 3, "layers.0: expected a Layer, got int"),
        (("network", "structure", "layers", 0, "class"), "layer.Dnse", "there is no 'layer.Dnse' in this version"),
        (("network", "structure", "layers", 0, "class"), "layer.Network", "there is no 'layer.Network'"),
        (("network", "structure", "layers", 0, "class"), "os.system", "there is no 'os.system'"),
        (("network", "structure", "layers", 0, "class"), ["x"], "there is no ['x']"),
        (("network", "structure", "layers", 0, "config"), [], "its arguments are not named"),
        (("network", "structure", "layers", 0, "attributes"), {"plan": 1}, "layers.0 (Dense): expected attributes"),
        (("network", "structure", "layers", 0, "attributes"), 1, "its arguments are not named"),
        (("network", "structure", "layers", 0, "config", "units"), 2**40, "layers.0 (Dense) needs (3, 1099511627776)"),
        (("network", "structure", "layers", 0, "config", "units"), 2**70, "layers.0 (Dense): units must be"),
        (("network", "structure", "layers", 0, "config", "units"), 0, "units must be a positive integer, got 0"),
        (("network", "structure", "layers", 0, "config", "units"), None, "units must be a positive integer"),
        (("network", "structure", "layers", 0, "config", "unit"), 3, "layers.0 (Dense): "),
        (("network", "structure", "layers", 0, "config", "use_bias"), False, "layers.0.bias belongs to no layer"),
        (("network", "structure", "layers", 0, "config", "bias_init"), {"array": "arrays.0"}, "no array 'arrays.0'"),
        (("network", "structure", "layers", 0, "config", "activation"), {"custom": "f"}, "'f' is not fastnn's"),
        (("network", "structure", "layers", 0, "config", "activation"), {"x": 1}, "expected a class with its"),
        (("network", "structure", "layers", 0, "config", "activation"), [0] * 5000, "a list of 5000 items is too"),
    ],
)  # fmt: skip
def test_every_value_is_checked(path, to, message, data):
    assert_refused(changed(data, *path, to=to), message)


@pytest.mark.parametrize(
    "path,to,message",
    [
        (("calls", 0), [0, 0], "a call is a layer's number"),
        (("calls", 0, 0), 9, "a call of a layer that is not there"),
        (("calls", 0, 0), True, "a call of a layer that is not there"),
        (("calls", 0, 1), 2, "a call reads what is not there yet"),
        (("calls", 0, 1), [0, -1], "a call reads what is not there yet"),
        (("calls", 0, 2), {"other": 0}, "unknown input of Dense 'other'"),
        (("calls", 0, 2), {"mask": 7}, "a call reads what is not there yet"),
        (("inputs", 0), [0], "must be a positive integer"),
        (("inputs", 0), {}, "must be a positive integer"),
        (("inputs",), 3, "expected lists of inputs, calls and outputs"),
        (("outputs",), [99], "an output is not there"),
        (("outputs",), [], "expected one or more different values"),
        (("outputs",), [0, 0], "expected one or more different values"),
        (("calls",), [[0, [0] * 9000, {}]], "more than 8192 layers and connections"),
    ],
)
def test_every_number_of_a_graph_is_checked(path, to, message, graph_data):
    assert_refused(changed(graph_data, "network", "structure", *path, to=to), message)


@pytest.mark.parametrize(
    "text,message",
    [
        ("NaN", "NaN stands in place of a number"),
        ("-Infinity", "-Infinity stands in place of a number"),
        ("1e999", "'1e999' is beyond the range of numbers"),
        ("9" * 5000, "its description is not JSON"),
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ("[" * 20000, "nested too deeply"),
        ("[" * 200000, "too large"),
        ("[" + "[]," * 200000 + "[]]", "too large"),
        ("", "its description is not JSON"),
    ],
)
def test_json_that_is_not_strict_or_too_much(text, message, data):
    header, _, tensors = forge.parts(data)
    assert_refused(forge.joined(header, text, tensors), message)
    assert_refused(forge.signed(b'{"x":' + text.encode() + b"}", tensors), message)


def test_names_that_stand_twice_in_the_header(data):
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length].rstrip()
    entry = b'"optimizer.velocity":{"dtype":"F32","shape":[8],"data_offsets":[32,64]}'
    assert entry in header
    assert_refused(forge.signed(header.replace(entry, entry + b"," + entry), data[8 + length :]), "stands twice")


def test_slots_that_are_not_the_optimizers(data):
    header, network, tensors = forge.parts(data)
    header["optimizer.m"] = header.pop("optimizer.velocity")
    assert_refused(forge.joined(header, network, tensors), "optimizer.m is no slot of SGD")
    header, network, tensors = forge.parts(data)
    header["optimizer.velocity"]["shape"] = [2, 4]
    assert_refused(forge.joined(header, network, tensors), "optimizer.velocity has shape (2, 4), the weights have 8")


def test_slots_follow_the_order_of_the_weights_in_the_file(data):
    """A later version may plan a layer's parameters in another order."""
    header, network, tensors = forge.parts(data)
    weight, bias, slot = (np.frombuffer(tensors, "f4")[a:b] for a, b in ((0, 6), (6, 8), (8, 16)))
    header["layers.0.bias"]["data_offsets"], header["layers.0.weight"]["data_offsets"] = [0, 8], [8, 32]
    swapped = [bias, weight, slot[6:], slot[:6]]
    again = forge.read(forge.joined(header, network, b"".join(part.tobytes() for part in swapped)))
    assert models.bits(again) == models.bits(forge.read(data))


# ---- what a file may cost -----------------------------------------------------------------------------------------

FLATTEN = {"class": "layer.Flatten", "config": {}}
CONCAT = {"class": "layer.Concat", "config": {"axis": -1}}
TANH = {"class": "layer.Activation", "config": {"activation": "tanh", "alpha": None}}


def nested(levels, width):
    """Residual layers in one another."""
    layer = {"class": "layer.Dense", "config": {"units": 1}}
    for _ in range(levels):
        layer = {"class": "layer.Residual", "config": {"layers": [layer] * width}}
    return layer


BOMBS = {
    "many layers": {"layers": [FLATTEN] * 7000},
    "many activations": {"layers": [TANH] * 6000},
    "deep layers": {"layers": [nested(60, 1)] * 30},
    "wide layers": {"layers": [nested(5, 4)]},
    "huge shape": {"layers": [{"class": "layer.Reshape", "config": {"shape": [2**62] * 4000}}]},
    "one join of many": {"layers": [CONCAT], "inputs": [[4]], "calls": [[0, [0] * 8000, {}]], "outputs": [1]},
    "many joins": {
        "layers": [CONCAT], "inputs": [[1]], "calls": [[0, [i, i], {}] for i in range(2000)], "outputs": [2000],
    },
    "a table that is computed": {
        "layers": [{"class": "layer.PositionalEmbedding", "config": {"kind": "sinusoidal"}}],
        "inputs": [[2**20, 2**10]],
        "calls": [[0, 0, {}]],
        "outputs": [1],
    },
    "many inputs": {
        "layers": [CONCAT], "inputs": [[4]] * 3000, "calls": [[0, list(range(3000)), {}]], "outputs": [3000],
    },
    "many outputs": {
        "layers": [TANH] * 2000, "inputs": [[4]], "calls": [[i, 0, {}] for i in range(2000)],
        "outputs": list(range(1, 2001)),
    },
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_small_files_cost_little(bomb, tmp_path):
    """Within a second and 16 MB beside the file's own size, whether it loads or is refused."""
    models.unbuilt().save(tmp_path / "a")
    header, network, _ = forge.parts((tmp_path / "a").read_bytes())
    structure = {"inputs": None, "calls": None, "outputs": None, **BOMBS[bomb]}
    shapes = structure["inputs"] or [[4]]
    built = {"shapes": shapes, "counters": {"steps": 0, "epochs": 0}}
    data = forge.joined(header, {**network, "structure": structure, "built": built}, b"")
    assert len(data) < 2**20
    mutate.check(data)
    mutate.check(data, memory=True)


def test_thousands_of_mutants(tmp_path):
    """A quick run of mutate.py: every one loads or gives ModelFileError, at a small cost."""
    rng = random.Random(1)
    seeds = mutate.sources(tmp_path)
    outcomes = [mutate.check(mutate.mutant(rng.choice(seeds), rng), memory=i % 50 == 0) for i in range(4000)]
    loaded = outcomes.count("loaded")
    refusals = {outcome[8:24] for outcome in outcomes}
    assert loaded > 40 and len(refusals) > 40  # it gets past the checksum, and in many directions
