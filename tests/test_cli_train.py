"""`fastnn train`: what it learns from tables, what it says, and what it answers to every mistake."""

import gzip
import io
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from cli_tools import flowers, houses, run, write_table

import fastnn as fnn
from fastnn._table.encoding import Encoding
from fastnn._table.split import split

QUICK = ("--epochs", "3", "--layers", "8")


@pytest.fixture
def prices(tmp_path):
    """A regression table."""
    return write_table(tmp_path / "houses.csv", *houses())


@pytest.fixture
def kinds(tmp_path):
    """A classification table."""
    return write_table(tmp_path / "flowers.csv", *flowers())


def figures(out):
    """{name: (network, trivial)} of the table at the end."""
    found = re.findall(r"^(accuracy|f1 \(.*\)|auc|r2|mae|rmse) +(\S+) +(\S+)$", out, re.MULTILINE)
    return {name: (float(ours), float(trivial)) for name, ours, trivial in found}


# ---- what comes of it -------------------------------------------------------------------------------------------


def test_regression(capsys, prices, tmp_path):
    code, out, err = run(capsys, "train", prices, "--target", "price", "--learning-rate", "0.01")
    assert (code, err) == (0, "")
    assert "200 rows, 6 columns" in out and "target       price: a number" in out
    assert "inputs       2 numbers, 1 categories, together 7 features" in out
    assert "left out     id: it counts the rows" in out and "left out     currency: it has one value" in out
    assert "network      64, 32 relu, 2625 parameters" in out
    assert "40 rows set aside" in out and "always the mean" in out
    found = figures(out)
    assert found["r2"][0] > 0.9 > 0.1 > found["r2"][1]
    assert found["mae"][0] < found["mae"][1] / 3 and found["rmse"][0] < found["rmse"][1] / 3
    model = tmp_path / "houses.model.safetensors"
    assert f"saved to     {model}" in out
    net = fnn.load(model)
    training = net.metadata["training"]
    assert (training["rows"], training["validation_rows"]) == (160, 40)
    assert round(training["figures"]["r2"], 3) == round(found["r2"][0], 3)
    assert [feature.name for feature in Encoding.of(net).features] == ["area", "rooms", "district"]


def test_classification(capsys, kinds):
    code, out, err = run(capsys, "train", kinds, "--target", "kind", "--learning-rate", "0.01")
    assert (code, err) == (0, "")
    assert "one of 3 classes: alba, rosea, viola" in out and "always the most frequent class" in out
    found = figures(out)
    assert found["accuracy"][0] > 0.9 > 0.5 > found["accuracy"][1]
    assert found["f1 (mean)"][0] > 0.9 and "auc" not in found


def test_two_classes(capsys, tmp_path):
    header, rows = flowers(classes=("no", "yes", "yes"))
    path = write_table(tmp_path / "a.csv", header, rows)
    code, out, _ = run(capsys, "train", path, "--target", "kind", "--learning-rate", "0.01")
    found = figures(out)
    assert code == 0 and found["accuracy"][0] > 0.85
    assert found["f1 (yes)"][0] > 0.85 and found["auc"][0] > 0.9 and found["auc"][1] == 0.5


def test_the_figures_are_those_of_the_metrics(capsys, kinds):
    """Measured anew from the file that was saved, on the rows that were set aside."""
    code, out, _ = run(capsys, "train", kinds, "--target", "kind", "--seed", "5", *QUICK)
    net = fnn.load(kinds.replace(".csv", ".model.safetensors"))
    _, rows = flowers()
    X, names = np.array([row[:2] for row in rows]), np.array([row[2] for row in rows])
    y = np.searchsorted(["alba", "rosea", "viola"], names)
    train, aside = split(y, np.unique(y, return_index=True)[1], 0.2, 5)
    Z = (X - X[train].mean(axis=0)) / X[train].std(axis=0)
    outputs = net.predict(Z[aside])
    assert figures(out)["accuracy"][0] == pytest.approx((outputs.argmax(axis=1) == y[aside]).mean(), abs=1e-4)
    assert figures(out)["accuracy"][1] == pytest.approx((np.bincount(y[train]).argmax() == y[aside]).mean(), abs=1e-4)


def test_same_seed_same_model_at_any_number_of_threads(capsys, prices, tmp_path):
    models = []
    for i, options in enumerate((["--threads", "1"], ["--threads", "4"], ["--seed", "1"])):
        path = tmp_path / f"{i}"
        run(capsys, "train", prices, "--target", "price", "--model", path, "--dropout", "0.2", *QUICK, *options)
        models.append(path.read_bytes())
    assert models[0] == models[1] != models[2]


def test_options_reach_the_network(capsys, kinds, tmp_path):
    model = tmp_path / "m"
    options = ["--layers", "5,4", "--activation", "tanh", "--dropout", "0.25", "--optimizer", "rmsprop",
               "--learning-rate", "0.02", "--validation", "0", "--epochs", "2", "--batch-size", "50"]  # fmt: skip
    code, out, _ = run(capsys, "train", kinds, "--target", "kind", "--model", model, *options)
    net = fnn.load(model)
    assert code == 0 and "150 rows of training" in out and "trained on   150 rows, 2 epochs" in out
    dropout = fnn.Dropout(0.25)
    assert net.layers == [fnn.Dense(5, "tanh"), dropout, fnn.Dense(4, "tanh"), dropout, fnn.Dense(3, "softmax")]
    assert net.optimizer == fnn.RMSprop(0.02) and net._state.steps == 6


def test_linear_networks_and_validation(capsys, prices):
    options = ["--layers", "none", "--validation", "0.5", "--epochs", "3"]
    code, out, _ = run(capsys, "train", prices, "--target", "price", *options)
    assert code == 0 and "network      no hidden layer, 8 parameters" in out and "100 rows set aside" in out


def test_quiet(capsys, prices):
    assert run(capsys, "train", prices, "--target", "price", "--quiet", *QUICK) == (0, "", "")


def test_training_stops_when_it_no_longer_improves(capsys, kinds):
    code, out, _ = run(capsys, "train", kinds, "--target", "kind", "--epochs", "5000", "--patience", "3",
                       "--learning-rate", "0.05")  # fmt: skip
    epochs, best = map(int, re.search(r"(\d+) epochs in .* best in epoch (\d+)", out).groups())
    assert code == 0 and epochs == best + 3 < 1000


# ---- columns ----------------------------------------------------------------------------------------------------


def test_columns_are_what_the_caller_says(capsys, prices, tmp_path):
    code, out, _ = run(capsys, "train", prices, "--target", "price", "--drop", "area", "--drop", "district",
                       "--categorical", "rooms", "--numeric", "id", *QUICK)  # fmt: skip
    assert code == 0
    features = Encoding.of(fnn.load(tmp_path / "houses.model.safetensors")).features
    assert [(feature.name, feature.kind) for feature in features] == [("id", "number"), ("rooms", "category")]
    assert features[1].values == ["1", "2", "3", "4", "5"]
    assert "left out     area: as asked" in out


def test_what_a_column_looks_like_decides(capsys, tmp_path):
    header = ["constant", "customer_id", "name", "yes", "gaps", "empty", "y"]
    rows = [["a", 9000 - 7 * i, f"n{i}", "yn"[i % 2], None if i % 3 else i, None, i * 0.5] for i in range(60)]
    path = write_table(tmp_path / "a.csv", header, rows)
    _, out, _ = run(capsys, "train", path, "--target", "y", *QUICK)
    assert re.findall(r"left out     (\w+): (.*)", out) == [
        ("constant", "it has one value"), ("customer_id", "it is an id: no value stands twice"),
        ("name", "it has 60 different texts in 60 rows"), ("empty", "it is empty"),
    ]  # fmt: skip
    features = Encoding.of(fnn.load(tmp_path / "a.model.safetensors")).features
    assert [(feature.name, feature.kind, feature.width) for feature in features] == [
        ("yes", "category", 2), ("gaps", "number", 2),
    ]  # fmt: skip


@pytest.mark.parametrize("values, options, expected", [
    ([0, 1] * 30, (), "one of 2 classes: 0, 1"),
    ([0, 1] * 30, ("--task", "regression"), "a number, mean 0.5"),
    ([i % 30 for i in range(60)], (), "a number, mean 1"),
    ([i % 30 for i in range(60)], ("--task", "classification"), "one of 30 classes: 0, 1, 2, 3, 4, 5, 6, 7, ..."),
    (["01", "02"] * 30, ("--task", "classification"), "one of 2 classes: 01, 02"),
    (["x", "y"] * 30, (), "one of 2 classes: x, y"),
])  # fmt: skip
def test_the_target_decides_the_task(capsys, tmp_path, values, options, expected):
    path = write_table(tmp_path / "a.csv", ["x", "y"], [[i % 7 + 0.5, value] for i, value in enumerate(values)])
    code, out, _ = run(capsys, "train", path, "--target", "y", *QUICK, *options)
    assert code == 0 and f"target       y: {expected}" in out


def test_rows_without_a_target_are_left_out(capsys, tmp_path):
    header, rows = houses(gaps=False)
    for row in rows[::10]:
        row[5] = None
    path = write_table(tmp_path / "a.csv", header, rows)
    code, out, _ = run(capsys, "train", path, "--target", "price", *QUICK)
    assert code == 0 and "20 rows without a target are left out" in out and "trained on   144 rows" in out


def test_what_is_learned_of_columns_is_learned_from_training_rows_alone(capsys, tmp_path):
    header, rows = houses(gaps=False)
    path = write_table(tmp_path / "a.csv", header, rows)
    run(capsys, "train", path, "--target", "price", *QUICK)
    encoding = Encoding.of(fnn.load(tmp_path / "a.model.safetensors"))
    values = np.array([[row[1], row[5]] for row in rows], dtype=float)
    train, _ = split(values[:, 1], [], 0.2, 0)
    assert encoding.features[0].mean == pytest.approx(values[train, 0].mean(), rel=1e-12)
    assert encoding.target.mean == pytest.approx(values[train, 1].mean(), rel=1e-12)
    assert encoding.target.scale == pytest.approx(values[train, 1].std(), rel=1e-12)


@pytest.mark.parametrize("name, model", [
    ("a.csv", "a.model.safetensors"), ("a.CSV.gz", "a.model.safetensors"), ("a.data", "a.data.model.safetensors"),
])  # fmt: skip
def test_the_models_name(capsys, tmp_path, name, model):
    plain = write_table(tmp_path / name, *flowers())
    if name.endswith("gz"):
        (tmp_path / name).write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    assert run(capsys, "train", plain, "--target", "kind", *QUICK)[0] == 0
    assert sorted(os.listdir(tmp_path)) == sorted([name, model])


def test_no_header_and_semicolons(capsys, tmp_path):
    rows = [[str(cell).replace(".", ",") for cell in row] for row in flowers()[1]]
    path = write_table(tmp_path / "a.csv", None, rows, delimiter=";")
    code, out, _ = run(capsys, "train", path, "--target", "3", *QUICK)
    assert code == 0 and "target       3: one of 3 classes" in out and "2 numbers, 0 categories" in out


# ---- mistakes ---------------------------------------------------------------------------------------------------

SMALL = "a,b,y\n" + "".join(f"{i % 5 + 0.5},{'xyz'[i % 3]},{i}\n" for i in range(30))


@pytest.mark.parametrize("text, options, words", [
    (SMALL, ["--target", "Y"], "a.csv: --target: unknown column 'Y'; did you mean 'y'? Known: a, b, y"),
    (SMALL, ["--target", "y", "--drop", "c"], "--drop: unknown column 'c'"),
    (SMALL, ["--target", "y", "--numeric", "b"], "a.csv, line 2, column 'b': expected a number, got 'x'"),
    (SMALL, ["--target", "b", "--task", "regression"], "a.csv, line 2, column 'b': expected a number, got 'x'"),
    (SMALL, ["--target", "y", "--task", "classification"], "30 classes in 30 rows are too many; is it the right"),
    (SMALL, ["--target", "y", "--drop", "a", "--drop", "b"], "a.csv: no column is left to learn from"),
    (SMALL + "1.5,x,many\n", ["--target", "y"], "a.csv, line 32, column 'y': expected a number, got 'many', as nearly"),
    (SMALL + "1.5,x\n", ["--target", "y"], "a.csv, line 32: expected 3 cells as in the header, got 2"),
    ("a,y\n1,2\n2,3\n", ["--target", "y"], "2 rows with a target are too few to learn from"),
    ("a,y\n1,\n2,\n3,\n4,\n5,\n", ["--target", "y"], "0 rows with a target are too few to learn from"),
    ("a,y\n1,2\n2,2\n3,2\n4,2\n", ["--target", "y"], "all rows are of class '2', nothing to tell apart"),
    ("a,y\n1,2\n2,2\n3,2\n4,2\n", ["--target", "y", "--task", "regression"], "all rows have 2, nothing to tell apart"),
    ("a,y\n1,2.5\n2,2\n3,1\n4,7\n", ["--target", "y", "--validation", "0.01"], "say --validation 0"),
    ("", ["--target", "y"], "a.csv is empty"),
])  # fmt: skip
def test_mistakes_in_a_table_exit_with_1(capsys, tmp_path, text, options, words):
    (tmp_path / "a.csv").write_text(text)
    code, out, err = run(capsys, "train", tmp_path / "a.csv", *options)
    assert code == 1 and out == "" and words in err and err.startswith("fastnn: ") and err.count("\n") == 1
    assert os.listdir(tmp_path) == ["a.csv"]


def test_files_that_cannot_be_read_or_written_exit_with_1(capsys, prices, tmp_path):
    code, _, err = run(capsys, "train", tmp_path / "none.csv", "--target", "y")
    assert code == 1 and f"{tmp_path / 'none.csv'}: No such file or directory" in err
    code, _, err = run(capsys, "train", tmp_path, "--target", "y", "--model", tmp_path / "m")
    assert code == 1 and "Is a directory" in err
    code, _, err = run(capsys, "train", prices, "--target", "price", "--model", "/proc/model", *QUICK)
    assert code == 1 and "/proc/model: not saved" in err


@pytest.mark.parametrize("options, words", [
    ([], "the following arguments are required: --target"),
    (["--target", "y", "--layers", "64,x"], 'expected units such as 64,32, or "none"'),
    (["--target", "y", "--layers", "0"], 'expected units such as 64,32, or "none"'),
    (["--target", "y", "--activation", "rleu"], "did you mean 'relu'"),
    (["--target", "y", "--optimizer", "adm"], "did you mean 'adam'"),
    (["--target", "y", "--optimizer", "lbfgs"], "unknown optimizer 'lbfgs'"),
    (["--target", "y", "--dropout", "1"], "from 0 to below 1"),
    (["--target", "y", "--validation", "nan"], "from 0 to below 1"),
    (["--target", "y", "--epochs", "0"], "expected a whole number from 1"),
    (["--target", "y", "--epochs", "many"], "argument --epochs"),
    (["--target", "y", "--learning-rate", "-1"], "expected a number above 0"),
    (["--target", "y", "--threads", "0"], "expected a whole number from 1"),
    (["--target", "y", "--task", "guess"], "invalid choice"),
    (["--target", "y", "--encoding", "klingon"], "there is no encoding 'klingon'"),
    (["--target", "y", "--encoding", "hex"], "there is no encoding 'hex' of texts"),
    (["--target", "y", "--delimiter", "::"], "expected one character"),
    (["--target", "y", "--header", "--no-header"], "not allowed with"),
    (["--target", "y", "--drop", "y"], "would leave out the target"),
    (["--target", "y", "--categorical", "y"], "--task says"),
    (["--target", "y", "--drop", "a", "--numeric", "a"], "column a stands in two of"),
    (["--target", "y", "--model", "a.csv"], "it cannot be written to as well"),
    (["--target", "y", "--model", "."], "is a folder"),
    (["--target", "y", "--model", "no/such/m"], "there is no folder"),
])  # fmt: skip
def test_wrong_command_lines_exit_with_2(capsys, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text(SMALL)
    code, out, err = run(capsys, "train", "a.csv", *options)
    assert code == 2 and out == "" and words in err
    assert os.listdir(tmp_path) == ["a.csv"]


def test_standard_input(capsys, kinds, tmp_path, monkeypatch):
    run(capsys, "train", kinds, "--target", "kind", *QUICK)
    with open(kinds, "rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        code, out, _ = run(capsys, "train", "-", "--target", "kind", "--model", tmp_path / "m", *QUICK)
    assert code == 0 and "table        standard input: 150 rows" in out
    assert (tmp_path / "m").read_bytes() == (tmp_path / "flowers.model.safetensors").read_bytes()


def test_memory_that_is_too_small(capsys, kinds, monkeypatch):
    def too_much(*arguments):
        raise MemoryError("Unable to allocate 2.00 PiB")

    monkeypatch.setattr(Encoding, "matrix", too_much)
    code, _, err = run(capsys, "train", kinds, "--target", "kind")
    assert code == 1 and err == "fastnn: the memory is too small: Unable to allocate 2.00 PiB\n"


def test_standard_input_needs_a_name_for_the_model(capsys):
    code, _, err = run(capsys, "train", "-", "--target", "y")
    assert code == 2 and "say --model FILE" in err


def test_a_table_too_wide_for_a_model(capsys, tmp_path):
    names = [f"measure number {i}" for i in range(4000)]
    rows = [[(i * j) % 7 + 0.5 for j in range(1, 4001)] + [i] for i in range(12)]
    path = write_table(tmp_path / "a.csv", [*names, "y"], rows)
    code, out, err = run(capsys, "train", path, "--target", "y", *QUICK)
    assert code == 1 and out == "" and "more than a model can carry; leave some out with --drop" in err


def test_training_that_diverges(capsys, prices, tmp_path):
    options = ["--optimizer", "sgd", "--learning-rate", "1e30"]
    code, _, err = run(capsys, "train", prices, "--target", "price", *options)
    assert code == 1 and "the loss is no longer finite in epoch 0" in err and "a lower --learning-rate" in err
    assert os.listdir(tmp_path) == ["houses.csv"]


# ---- Ctrl-C -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("interrupts")  # the process has SIGINT as this one has it
def test_ctrl_c_saves_the_best_network_so_far(kinds, tmp_path):
    command = [sys.executable, "-m", "fastnn", "train", kinds, "--target", "kind", "--epochs", "100000000",
               "--patience", "100000000"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if line.startswith("network"):
                break
        time.sleep(1.0)  # epochs of this table take a fraction of a millisecond
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    epoch, path = re.fullmatch(r"fastnn: interrupted; the network of epoch (\d+), .*, is saved to (.*)\n", err).groups()
    assert f"best in epoch {epoch}" in out and path == str(tmp_path / "flowers.model.safetensors")
    net = fnn.load(path)
    assert net.metadata["training"]["figures"]["accuracy"] > 0.9
    assert Encoding.of(net).target.values == ["alba", "rosea", "viola"]


def test_ctrl_c_before_the_first_epoch_saves_nothing(capsys, kinds, tmp_path, monkeypatch):
    def interrupted(*arguments, callbacks, **options):
        for callback in callbacks:
            callback.network, callback.history, callback.figures = None, fnn.History(), ("loss", "val_loss")
            callback.on_fit_begin()
        raise KeyboardInterrupt

    monkeypatch.setattr(fnn.Network, "fit", interrupted)
    code, _, err = run(capsys, "train", kinds, "--target", "kind")
    assert code == 130 and "nothing is saved" in err and os.listdir(tmp_path) == ["flowers.csv"]
