"""The command line, run as users run it: in a process of its own."""

import os
import subprocess
import sys

import pytest
from cli_tools import flowers, write_table

import fastnn as fnn


def run(*arguments, encoding="utf-8", cwd=None, **environment):
    variables = {**os.environ, "PYTHONIOENCODING": encoding, **environment}
    return subprocess.run(
        [sys.executable, "-m", "fastnn", *arguments],
        capture_output=True, encoding="utf-8", env=variables, cwd=cwd, timeout=120, check=False,
    )  # fmt: skip


def test_demo_trains_the_digits_by_default(tmp_path):
    done = run("demo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Handwritten digits" in done.stdout and "█" in done.stdout
    assert done.stderr == ""  # no progress line where nobody watches, no warning
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_demo_falls_back_to_ascii(encoding):
    done = run("demo", "vending", encoding=encoding)
    assert done.returncode == 0, done.stderr
    done.stdout.encode("ascii")
    assert "671.58" in done.stdout


def test_demo_saves_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "vending.png"
    done = run("demo", "vending", "--save", str(path))
    assert done.returncode == 0, done.stderr
    assert f"Picture: {path}" in done.stdout
    assert path.read_bytes().startswith(b"\x89PNG")


def test_demo_says_what_is_missing_for_pictures(tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')")
    before = filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])
    done = run("demo", "vending", "--save", str(tmp_path / "a.png"), PYTHONPATH=os.pathsep.join(before))
    assert done.returncode == 1
    assert "pip install matplotlib" in done.stderr and "Traceback" not in done.stderr
    assert "671.58" in done.stdout  # the demo itself has run


@pytest.mark.parametrize("arguments, words", [
    (["demo", "digit"], "did you mean 'digits'"),
    (["demo", "neuron", "--save", "picture.txt"], "a picture is a .png, .svg or .pdf file"),
    (["demo", "neuron", "--save", "/no/such/folder/a.png"], "there is no folder /no/such/folder"),
    (["demo", "neuron", "extra"], "unrecognized arguments: extra"),
    (["dmeo"], "invalid choice"),
    (["bench", "--seconds", "0"], "above 0"),
])  # fmt: skip
def test_wrong_command_lines_exit_with_2(arguments, words):
    done = run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr


def test_without_a_command_it_prints_help():
    done = run()
    assert done.returncode == 2
    for command in ("demo", "train", "predict", "info", "bench"):
        assert command in done.stdout


def test_help_lists_the_demos():
    done = run("demo", "--help")
    assert done.returncode == 0
    for name in ("digits", "neuron", "vending", "xor"):
        assert f"  {name}" in done.stdout


def test_version():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"fastnn {fnn.__version__}\n")


def test_info_tells_the_target_that_was_forced():
    done = run("info", FASTNN_TARGET="baseline")
    assert done.returncode == 0
    report = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert report["target"] == "baseline" and report["fastnn"] == fnn.__version__


def test_a_reader_that_closes_early_is_no_error(tmp_path):
    command = f"{sys.executable} -m fastnn demo neuron | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("One neuron") and done.stderr == ""


def test_predictions_to_a_reader_that_closes_early(tmp_path):
    path = write_table(tmp_path / "a.csv", *flowers(20_000))
    assert run("train", path, "--target", "kind", "--epochs", "1", "--quiet").returncode == 0
    command = f"{sys.executable} -m fastnn predict {tmp_path}/a.model.safetensors {path} --quiet | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "kind\n" and done.stderr == ""


def test_a_terminal_of_another_encoding_gets_escapes(tmp_path):
    header, rows = flowers()
    path = write_table(tmp_path / "a.csv", [*header[:2], "größe"], rows)
    done = run("train", path, "--target", "größe", "--epochs", "1", encoding="ascii")
    assert done.returncode == 0, done.stderr
    assert "target       gr\\xf6\\xdfe: one of 3 classes" in done.stdout
