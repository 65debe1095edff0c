"""`fastnn predict`: the predictions of the network itself, in words; columns by name; every mistake of a table."""

import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from cli_tools import flowers, houses, read_rows, run, write_table

import fastnn as fnn
from fastnn._table.encoding import Encoding

HEADER, ROWS = houses()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a model of each kind, and the tables they were trained on."""
    folder = tmp_path_factory.mktemp("models")
    for name, table, target in (
        ("houses", houses(), "price"),
        ("flowers", flowers(), "kind"),
        ("yes", flowers(classes=("no", "yes", "yes")), "kind"),
    ):
        path = write_table(folder / f"{name}.csv", *table)
        arguments = [sys.executable, "-m", "fastnn", "train", path, "--target", target, "--epochs", "30", "--quiet"]
        assert subprocess.run(arguments, capture_output=True, check=True).stderr == b""
    return folder


@pytest.fixture
def model(folder):
    """A function from a table's name to the path of its model."""
    return lambda name: str(folder / f"{name}.model.safetensors")


def matrix(net, rows):
    """What the network of `houses` is given, worked out by hand."""
    area, rooms, district = Encoding.of(net).features
    X = np.zeros((len(rows), 7), dtype=np.float32)
    for x, row in zip(X, rows, strict=True):
        x[0] = 0 if row[1] is None else (row[1] - area.mean) / area.scale
        x[1] = row[1] is None
        x[2] = (row[2] - rooms.mean) / rooms.scale
        x[3 + ["north", "old town", "south", None].index(row[3])] = 1
    return X


# ---- the same as the network --------------------------------------------------------------------------------------


def test_amounts_are_the_networks(capsys, folder, model):
    code, out, err = run(capsys, "predict", model("houses"), folder / "houses.csv", "--quiet")
    assert (code, err) == (0, "")
    header, *rows = read_rows(out)
    assert header == ["price"]
    net = fnn.load(model("houses"))
    target = Encoding.of(net).target
    expected = target.mean + target.scale * net.predict(matrix(net, ROWS))[:, 0].astype(float)
    np.testing.assert_allclose([float(row[0]) for row in rows], expected, rtol=0, atol=target.scale * 1e-6)


def test_classes_and_probabilities_are_the_networks(capsys, folder, model):
    net = fnn.load(model("flowers"))
    length, width = Encoding.of(net).features
    X = np.array([row[:2] for row in flowers()[1]])
    outputs = net.predict((X - [length.mean, width.mean]) / [length.scale, width.scale])
    _, out, _ = run(capsys, "predict", model("flowers"), folder / "flowers.csv")
    names = ["alba", "rosea", "viola"]
    assert read_rows(out) == [["kind"], *([names[i]] for i in outputs.argmax(axis=1))]
    _, out, _ = run(capsys, "predict", model("flowers"), folder / "flowers.csv", "--proba")
    header, *rows = read_rows(out)
    assert header == names
    np.testing.assert_allclose(np.array(rows, dtype=float), outputs, rtol=1e-6, atol=0)


def test_probabilities_of_two_classes(capsys, folder, model):
    _, out, _ = run(capsys, "predict", model("yes"), folder / "yes.csv", "--proba")
    header, *rows = read_rows(out)
    _, classes, _ = run(capsys, "predict", model("yes"), folder / "yes.csv")
    values = np.array(rows, dtype=float)
    assert header == ["no", "yes"]
    np.testing.assert_allclose(values.sum(axis=1), 1.0, atol=1e-6)
    assert read_rows(classes)[1:] == [[header[i]] for i in values.argmax(axis=1)]


def test_figures_where_the_target_is_known(capsys, folder, model):
    _, out, err = run(capsys, "predict", model("flowers"), folder / "flowers.csv")
    right = np.mean([row[0] == given[2] for row, given in zip(read_rows(out)[1:], flowers()[1], strict=True)])
    assert "fastnn: 150 rows with a target" in err
    assert float(re.search(r"fastnn: accuracy +(\S+)", err)[1]) == pytest.approx(right, abs=1e-4)


def test_each_row_is_predicted_by_itself(capsys, folder, model, tmp_path):
    _, whole, _ = run(capsys, "predict", model("houses"), folder / "houses.csv")
    part = write_table(tmp_path / "part.csv", HEADER, ROWS[50:53])
    _, out, _ = run(capsys, "predict", model("houses"), part)
    assert read_rows(out)[1:] == read_rows(whole)[51:54]


def test_more_rows_than_a_block(capsys, model, tmp_path):
    path = write_table(tmp_path / "many.csv", HEADER, ROWS * 101)
    code, _, err = run(capsys, "predict", model("houses"), path, "--output", tmp_path / "out.csv", "--threads", "2")
    rows = read_rows((tmp_path / "out.csv").read_text())
    assert code == 0 and len(rows) == 20_201 and rows[1:201] == rows[20_001:]


# ---- tables of another form -------------------------------------------------------------------------------------


def reordered(rows, *columns):
    return [HEADER[i] for i in columns], [[row[i] for i in columns] for row in rows]


def test_columns_are_found_by_name(capsys, folder, model, tmp_path):
    _, expected, _ = run(capsys, "predict", model("houses"), folder / "houses.csv", "--quiet")
    header, rows = reordered(ROWS, 3, 2, 1)
    path = write_table(tmp_path / "a.csv", header, rows, delimiter=";")
    assert run(capsys, "predict", model("houses"), path) == (0, expected, "")
    path = write_table(tmp_path / "a.csv", [*header, "colour"], [[*row, "red"] for row in rows])
    code, out, err = run(capsys, "predict", model("houses"), path)
    assert (code, out) == (0, expected)
    assert err == "fastnn: columns that the model does not know are passed over: colour\n"


def test_a_model_of_a_table_without_a_header(capsys, tmp_path):
    rows = [[i % 5, (i * 3) % 7, (i % 5) * 2.5 + i % 3] for i in range(60)]
    path = write_table(tmp_path / "a.csv", None, rows)
    assert run(capsys, "train", path, "--target", "3", "--epochs", "2", "--quiet") == (0, "", "")
    _, expected, _ = run(capsys, "predict", tmp_path / "a.model.safetensors", path, "--quiet")
    assert len(read_rows(expected)) == 61
    path = write_table(tmp_path / "a.csv", None, [row[:2] for row in rows[1:]])  # it begins with 1, 3
    _, out, _ = run(capsys, "predict", tmp_path / "a.model.safetensors", path)
    assert read_rows(out)[1:] == read_rows(expected)[2:]


def test_standard_input_and_an_output_file(capsys, folder, model, tmp_path, monkeypatch):
    _, expected, _ = run(capsys, "predict", model("houses"), folder / "houses.csv", "--quiet")
    data = (folder / "houses.csv").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    output = tmp_path / "out.csv"
    output.write_text("what was there before, which is longer than nothing")
    code, out, err = run(capsys, "predict", model("houses"), "-", "--output", output, "--quiet")
    assert (code, out, err) == (0, "", "") and output.read_text() == expected
    assert os.listdir(tmp_path) == ["out.csv"]


def test_missing_cells_and_unseen_categories(capsys, model, tmp_path):
    odd = [[0, None, 2, "north", "EUR", 1], [1, 50.0, None, "moon", "EUR", 1], [2, 50.0, 2, "mars", "EUR", 1]]
    path = write_table(tmp_path / "a.csv", HEADER, odd)
    code, out, err = run(capsys, "predict", model("houses"), path)
    assert code == 0
    assert "fastnn: rooms: 1 missing, unlike in training, taken as the mean" in err
    assert "fastnn: district: 2 of categories unseen in training, such as 'moon', 'mars'" in err
    net = fnn.load(model("houses"))
    target = Encoding.of(net).target
    rooms = Encoding.of(net).features[1].mean
    rows = [[0, None, 2, "north"], [1, 50.0, rooms, None], [2, 50.0, 2, None]]
    expected = target.predicted(net.predict(matrix(net, rows)))
    np.testing.assert_allclose([float(row[0]) for row in read_rows(out)[1:]], expected, rtol=1e-5)


def test_cells_that_were_missing_in_training_are_missing_in_prediction(capsys, tmp_path):
    header, rows = flowers()
    for row in rows[::9]:
        row[0] = "?"
    path = write_table(tmp_path / "a.csv", header, rows)
    assert run(capsys, "train", path, "--target", "kind", "--missing", "?", "--epochs", "2", "--quiet")[0] == 0
    code, out, err = run(capsys, "predict", tmp_path / "a.model.safetensors", path)
    assert code == 0 and len(read_rows(out)) == 151 and "missing" not in err


def test_a_target_that_cannot_be_measured_is_no_reason_to_fail(capsys, model, tmp_path):
    header, rows = flowers()
    rows[4][2] = "tulip"
    path = write_table(tmp_path / "a.csv", header, rows)
    code, out, err = run(capsys, "predict", model("flowers"), path)
    assert code == 0 and len(read_rows(out)) == 151
    assert "no figures: " in err and "line 6, column 'kind': 'tulip' is none of the classes of training" in err
    path = write_table(tmp_path / "a.csv", header, [[*row[:2], None] for row in rows])
    code, out, err = run(capsys, "predict", model("flowers"), path)
    assert (code, err) == (0, "") and len(read_rows(out)) == 151


def test_amounts_too_large_to_be_squared(capsys, tmp_path):
    """Figures as of the same table in other units, and none where the rows are of another world; never a warning."""
    header, rows = houses()
    figures = []
    for factor in (1.0, 1e200):
        path = write_table(tmp_path / "a.csv", header, [[*row[:-1], row[-1] * factor] for row in rows])
        run(capsys, "train", path, "--target", "price", "--epochs", "5", "--quiet")
        code, _, err = run(capsys, "predict", tmp_path / "a.model.safetensors", path)
        r2, mae, rmse = (float(re.search(rf"fastnn: {name} +(\S+)", err)[1]) for name in ("r2", "mae", "rmse"))
        assert code == 0 and "Warning" not in err
        figures.append((r2, mae / factor, rmse / factor))
    assert figures[0] == pytest.approx(figures[1], rel=1e-3)
    run(capsys, "train", write_table(tmp_path / "a.csv", header, rows), "--target", "price", "--epochs", "1", "--quiet")
    path = write_table(tmp_path / "a.csv", header, [[*row[:-1], 1e308] for row in rows])
    code, out, err = run(capsys, "predict", tmp_path / "a.model.safetensors", path)
    assert code == 0 and len(read_rows(out)) == len(rows) + 1
    assert "no figures: column 'price': amounts too far from those of training" in err and err.count("\n") == 2


def test_classes_that_standard_output_cannot_show(folder, tmp_path):
    """An error before the first line, not amid the lines; a file holds them."""
    path = write_table(tmp_path / "a.csv", *flowers(classes=("älba", "rosea")))
    variables = {**os.environ, "PYTHONIOENCODING": "ascii"}

    def fastnn(*arguments):
        return subprocess.run([sys.executable, "-m", "fastnn", *arguments], env=variables, capture_output=True)

    assert fastnn("train", path, "--target", "kind", "--epochs", "1").returncode == 0
    model = str(tmp_path / "a.model.safetensors")
    done = fastnn("predict", model, path)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"fastnn: the predictions have '\\xe4', which ascii has no bytes for; say --output")
    assert fastnn("predict", model, path, "--output", str(tmp_path / "out")).returncode == 0
    assert set(read_rows((tmp_path / "out").read_text(encoding="utf-8"))[1][0]) <= set("älbarosea")


def test_names_of_any_length_make_lines_of_a_page(capsys, model, tmp_path):
    path = write_table(tmp_path / "a.csv", [*HEADER, "x" * 5000], [[*row, 1] for row in ROWS])
    code, _, err = run(capsys, "predict", model("houses"), path)
    assert code == 0 and "passed over: id, currency, xxx" in err
    assert err.splitlines()[0].endswith("xxx ...") and len(err.splitlines()[0]) == 1004
    path = write_table(tmp_path / "a.csv", ["x" * 5000, "b", "y"], [[i % 7, i % 3 / 7, i % 2] for i in range(40)])
    assert run(capsys, "train", path, "--target", "y", "--epochs", "1", "--quiet")[0] == 0
    _, out, _ = run(capsys, "info", tmp_path / "a.model.safetensors")
    assert max(map(len, out.splitlines())) == 1004 and re.search(r"^  b {39}  number, mean", out, re.MULTILINE)


def test_names_that_steer_a_terminal_are_shown_as_escapes(capsys, model, tmp_path):
    path = write_table(tmp_path / "a.csv", [*HEADER, "\x1b[2J"], [[*row, 1] for row in ROWS])
    _, _, err = run(capsys, "predict", model("houses"), path)
    assert "passed over: id, currency, \\x1b[2J" in err and "\x1b" not in err


def test_names_that_steer_a_terminal_in_a_usage_error(capsys, tmp_path):
    header, rows = houses()
    path = write_table(tmp_path / "a.csv", [*header[:-1], "\x1b[2J"], rows)
    assert run(capsys, "train", path, "--target", "\x1b[2J", "--epochs", "1", "--quiet")[0] == 0
    code, _, err = run(capsys, "predict", tmp_path / "a.model.safetensors", path, "--proba")
    assert code == 2 and "predicts an amount, \\x1b[2J; there are no classes" in err and "\x1b" not in err


# ---- mistakes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text, words", [
    ("area,rooms\n1,2\n", "a.csv lacks 'district', which the model was trained on; it has 'area', 'rooms'"),
    ("1,2\n3,4\n", "lacks 'area', 'rooms', 'district', which the model was trained on; it has '1', '2'"),
    ("area,rooms,district\n1,2,north\n1,two,north\n", "a.csv, line 3, column 'rooms': expected a number, got 'two'"),
    ("area,rooms,district\n1,2,north\n1,2\n", "a.csv, line 3: expected 3 cells as in the header, got 2"),
    ("area,rooms,district\n", "a.csv has a header and no rows"),
])  # fmt: skip
def test_mistakes_in_a_table_exit_with_1(capsys, model, tmp_path, text, words):
    (tmp_path / "a.csv").write_text(text)
    code, out, err = run(capsys, "predict", model("houses"), tmp_path / "a.csv", "--output", tmp_path / "out.csv")
    assert code == 1 and out == "" and words in err and err.count("\n") == 1
    assert os.listdir(tmp_path) == ["a.csv"]


def test_files_that_are_no_models_exit_with_1(capsys, folder, tmp_path):
    data = folder / "houses.csv"
    fnn.Network([fnn.Dense(1)], input_shape=2).save(tmp_path / "plain")
    for path, words in (
        (tmp_path / "none", "none: No such file or directory"),
        (data, "houses.csv: its header of"),
        (tmp_path, "Is a directory"),
        (tmp_path / "plain", "plain was not made by fastnn train: it does not know the columns of a table"),
    ):
        code, out, err = run(capsys, "predict", path, data)
        assert code == 1 and out == "" and words in err
    net = fnn.load(folder / "houses.model.safetensors")
    net.metadata["table"]["version"] = 9
    net.save(tmp_path / "later")
    code, _, err = run(capsys, "predict", tmp_path / "later", data)
    assert code == 1 and "later: its table has version 9; a later fastnn may read it" in err


def test_wrong_command_lines_exit_with_2(capsys, folder, model):
    data = folder / "houses.csv"
    for options, words in (
        ((data, "--output", data), "it cannot be written to as well"),
        ((data, "--output", model("houses")), "it cannot be written to as well"),
        ((data, "--output", folder), "is a folder"),
        ((data, "--output", "no/such/file"), "there is no folder"),
        ((data, "--proba"), "predicts an amount, price; there are no classes"),
        ((), "the following arguments are required: DATA"),
    ):
        code, out, err = run(capsys, "predict", model("houses"), *options)
        assert code == 2 and out == "" and words in err


# ---- info -------------------------------------------------------------------------------------------------------


def test_info_of_a_model(capsys, model):
    code, out, err = run(capsys, "info", model("houses"))
    assert (code, err) == (0, "")
    for words in (
        "predicts     price: a number, mean ", "trained on   160 rows; on 40 rows set aside:", "  r2         0.",
        "  area      number, mean ", ", or missing", "  rooms     number, mean ",
        "  district  category of 3: north, old town, south; or another", "optimizer    Adam(",
        "layers.1 (Dense)  (n, 32)", "2,625 parameters",
    ):  # fmt: skip
        assert words in out
    _, out, _ = run(capsys, "info", model("flowers"))
    assert "predicts     kind: one of 3 classes: alba, rosea, viola" in out and "  accuracy   " in out


def test_info_of_a_network_without_a_table(capsys, tmp_path):
    net = fnn.Network([fnn.Dense(3)], input_shape=2)
    net.metadata = {"made by": "hand", "\x1b]0;": 1}
    net.save(tmp_path / "a")
    code, out, _ = run(capsys, "info", tmp_path / "a")
    assert code == 0 and "metadata     \\x1b]0;, made by" in out and "layers.0 (Dense)  (n, 3)" in out
    fnn.Network([fnn.Dense(3), fnn.Dropout(0.5)]).save(tmp_path / "a")
    code, out, _ = run(capsys, "info", tmp_path / "a")
    assert code == 0 and "not built yet: Dense, Dropout" in out


def test_info_of_what_is_no_model(capsys, folder, tmp_path):
    code, out, err = run(capsys, "info", folder / "houses.csv")
    assert code == 1 and out == "" and "houses.csv: its header of" in err
    code, _, err = run(capsys, "info", tmp_path / "none")
    assert code == 1 and err == f"fastnn: {tmp_path / 'none'}: No such file or directory\n"
