"""The commands of docs/command_line.md print what it shows, up to what another CPU may compute differently."""

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

import fastnn as fnn
from fastnn import cli

PAGE = (Path(__file__).parent.parent / "docs" / "command_line.md").read_text(encoding="utf-8")
NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"


def shown():
    """(command, what is shown under it) of the page, in order."""
    return [block.split("\n", 1) for block in re.findall(r"```console\n\$ fastnn (.*?)```", PAGE, re.DOTALL)]


def words_and_numbers(text):
    """The text without its numbers, and the numbers; without times and epochs, which depend on the machine."""
    text = re.sub(r"\d+ epochs in .* s; best in epoch \d+", "some epochs", text)
    return re.sub(rf" *{NUMBER}", " #", text), [float(number) for number in re.findall(NUMBER, text)]


def test_the_page_shows_what_happens(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(Path(fnn.datasets.__file__).parent / "vending.csv", "bottles.csv")
    Path("week.csv").write_text(re.search(r"```text\n(day,.*?)```", PAGE, re.DOTALL)[1], encoding="utf-8")
    assert len(shown()) == 3
    for command, expected in shown():
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            assert cli.main(shlex.split(command)) == 0
        words, numbers = words_and_numbers(err.getvalue() + out.getvalue())
        expected_words, expected_numbers = words_and_numbers(expected)
        assert words == expected_words
        assert numbers == pytest.approx(expected_numbers, rel=0.05, abs=0.01)


def test_every_option_is_on_the_page(capsys):
    for command in ("train", "predict"):
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        for option in set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}:
            assert f"`{option}" in PAGE, option
