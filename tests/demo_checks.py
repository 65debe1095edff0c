"""What every demo keeps, whatever it shows."""

import pytest

from fastnn import _terminal


def report_fits_a_terminal(module, figures):
    """80 columns, and ASCII where no more is there."""
    for style in (_terminal.ASCII, _terminal.UNICODE):
        text = "\n".join([module.INTRODUCTION, *module.report(figures, style)])
        assert max(map(len, text.split("\n"))) <= 80
        if style is _terminal.ASCII:
            text.encode("ascii")


def picture_is_drawn_without_a_screen(module, figures, path):
    """A PNG of the size that the demo says."""
    pytest.importorskip("matplotlib")
    from fastnn import plot

    plot.render(lambda figure: module.draw(figures, figure), module.SIZE, save=path)
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG") and len(data) > 10_000
    width, height = (int.from_bytes(data[i : i + 4], "big") for i in (16, 20))
    assert (width, height) == tuple(int(inches * 150) for inches in module.SIZE)
