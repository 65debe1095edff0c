"""Terminal plots: what is drawn lies where the data says, in Unicode and in ASCII."""

import io

import numpy as np
import pytest

from fastnn import _terminal
from fastnn._terminal import ASCII, UNICODE


def drawing(text):
    """The rows of a plot right of its vertical axis."""
    rows = [line for line in text.split("\n") if "│" in line or "|" in line]
    return [row.split("│" if "│" in row else "|", 1)[1] for row in rows]


def dots(text):
    """The Braille dots of a plot as a boolean image."""
    rows = drawing(text)
    width = max(map(len, rows))
    image = np.zeros((4 * len(rows), 2 * width), dtype=bool)
    bits = {(0, 0): 0, (1, 0): 1, (2, 0): 2, (0, 1): 3, (1, 1): 4, (2, 1): 5, (3, 0): 6, (3, 1): 7}
    for i, row in enumerate(rows):
        for j, character in enumerate(row):
            if character != " ":
                pattern = ord(character) - 0x2800
                for (dy, dx), bit in bits.items():
                    image[4 * i + dy, 2 * j + dx] = pattern >> bit & 1
    return image


@pytest.mark.parametrize(
    "encoding, style", [("utf-8", UNICODE), ("ascii", ASCII), ("latin-1", ASCII), ("cp437", ASCII)]
)
def test_style_follows_the_encoding_of_the_stream(encoding, style):
    assert _terminal.style_for(io.TextIOWrapper(io.BytesIO(), encoding=encoding)) is style


def test_a_stream_without_encoding_gets_ascii():
    assert _terminal.style_for(object()) is ASCII


def test_a_straight_line_is_the_diagonal():
    image = dots(_terminal.curve(range(64), UNICODE, width=32, height=16))
    assert np.array_equal(image, np.eye(64, dtype=bool)[::-1])


def test_a_logarithmic_axis_makes_exponential_decay_straight():
    decay = 2.0 ** -np.arange(64)
    image = dots(_terminal.curve(decay, UNICODE, width=32, height=16, log=True))
    assert np.array_equal(image, np.eye(64, dtype=bool))


def test_ticks_are_the_limits():
    text = _terminal.curve([4.0, 0.5, 2.25], UNICODE, title="loss", x_label="epoch")
    lines = text.split("\n")
    assert lines[0].strip() == "loss"
    assert lines[1].startswith("  4 │") and lines[8].startswith("0.5 │")
    assert lines[-1].split() == ["1", "epoch", "3"]


def test_values_that_are_not_finite_leave_gaps():
    image = dots(_terminal.curve([1.0, 1.0, np.nan, np.nan, np.inf, 0.0, 0.0], UNICODE, width=14, height=4))
    across = image.any(axis=0)
    assert across[:4].all() and not across[6:20].any() and across[-4:].all()


@pytest.mark.parametrize("values", [[], [np.nan], [3.0], [2.0, 2.0], [0.0, -1.0]])
@pytest.mark.parametrize("log", [False, True])
def test_curves_of_few_equal_or_useless_values_keep_their_shape(values, log):
    lines = _terminal.curve(values, ASCII, width=20, height=5, log=log).split("\n")
    assert len(lines) == 7 and len(lines[-2].lstrip()) == 21


def test_ascii_plots_are_ascii():
    x = np.linspace(-1, 1, 9)
    plots = [
        _terminal.curve(x, ASCII),
        _terminal.scatter(x, x, np.square, ASCII),
        _terminal.plane(np.outer(x, x) ** 2, (-1, 1, -1, 1), [[0, 0]], [0], ASCII),
        _terminal.images([np.eye(4)], ["one"], ASCII),
    ]
    for plot in plots:
        plot.encode("ascii")


def test_scatter_marks_every_corner_over_the_line():
    text = _terminal.scatter([0, 0, 1, 1], [0, 1, 0, 1], lambda x: x, UNICODE, width=10, height=4)
    rows = drawing(text)
    assert [rows[0][0], rows[0][9], rows[3][0], rows[3][9]] == ["●"] * 4
    assert rows[1].strip() and "●" not in rows[1]  # the line between


def test_plane_is_dark_where_values_are_high_and_rows_run_from_the_top():
    values = np.array([[1.0, 1.0], [0.0, 0.5]])
    text = _terminal.plane(values, (0, 1, 0, 1), [[0, 0], [1, 1]], [0, 1], UNICODE, width=4, height=4)
    rows = drawing(text)
    assert rows[0] == "███○" and rows[1] == "████"
    assert rows[2].startswith("  ▒") and rows[3][0] == "●"


def test_images_have_square_pixels_and_captions():
    text = _terminal.images([[[0, 1], [0.5, 0]], [[1, 1], [1, 1]]], ["a", "b"], UNICODE)
    assert text.split("\n") == ["  ██   ████", "▒▒     ████", " a      b"]


def test_side_by_side_aligns_texts_of_different_height():
    assert _terminal.side_by_side("ab\nc", "d", gap=1) == "ab d\nc"
