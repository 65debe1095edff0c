"""Plots made of characters, for terminals: curves, points with a line, a plane in shades, small images.

Every function returns a string and writes nothing. A `Style` says which characters there are: Braille dots and shades
where the stream can encode them, plain ASCII otherwise; it is chosen once, by `style_for`, and passed to every plot.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Unicode Braille: bit of the dot at (row, column) of a cell of 4 x 2 dots (The Unicode Standard, block 2800).
_BRAILLE_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


@dataclass(frozen=True)
class Style:
    """The characters of a plot."""

    braille: bool  # cells of 4 x 2 dots; otherwise cells of 2 x 1 dots, drawn with . ' :
    shades: str  # from empty to full
    points: str  # marks of points, one a class
    axis: str  # vertical, horizontal, corner


UNICODE = Style(braille=True, shades=" ░▒▓█", points="●○", axis="│─└")
ASCII = Style(braille=False, shades=" .:+#", points="ox", axis="|-+")


def style_for(stream) -> Style:
    """Return UNICODE where the stream can encode its characters, else ASCII."""
    needed = UNICODE.shades + UNICODE.points + UNICODE.axis + "⣿"
    try:
        needed.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def curve(values: Sequence[float], style: Style, *, title="", log=False, width=36, height=8, x_label="epoch") -> str:
    """Plot values[i] over i + 1 as a line; a value that is not finite (or not positive, with log) leaves a gap.

    The vertical axis runs from the smallest to the largest value, on a logarithmic scale if `log`.
    """
    y = np.asarray(values, dtype=float)
    x = np.arange(1, len(y) + 1, dtype=float)
    if log:
        y = np.where(y > 0, y, np.nan)
    frame = _Frame(style, width, height, _limits(x), _limits(y, log), log)
    frame.line(x, y)
    return frame.text(title, x_label)


def scatter(x, y, line, style: Style, *, title="", width=60, height=14, x_label="x") -> str:
    """Plot points (x, y) and the line `line(x)`, a function of an array, drawn across all of x."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    across = np.linspace(x.min(), x.max(), 4 * width)
    heights = np.asarray(line(across), dtype=float)
    frame = _Frame(style, width, height, _limits(x), _limits(np.concatenate([y, heights])))
    frame.line(across, heights)
    frame.marks(x, y, style.points[0])
    return frame.text(title, x_label)


def plane(values, extent, points, classes, style: Style, *, title="", width=32, height=12) -> str:
    """Shade a grid of values in [0, 1] and mark points on it.

    values: (rows, columns), the first row at the top; extent: (left, right, bottom, top); points: (n, 2);
    classes: n whole numbers, which choose the mark.
    """
    values = np.asarray(values, dtype=float)
    rows = np.linspace(0, values.shape[0] - 1, height).round().astype(int)
    columns = np.linspace(0, values.shape[1] - 1, width).round().astype(int)
    left, right, bottom, top = extent
    frame = _Frame(style, width, height, (left, right), (bottom, top))
    for row, source in enumerate(rows):
        frame.cells[row] = [_shade(values[source, column], style) for column in columns]
    for mark in np.unique(classes):
        of_class = np.asarray(points, dtype=float)[np.asarray(classes) == mark]
        frame.marks(of_class[:, 0], of_class[:, 1], style.points[int(mark)])
    return frame.text(title)


def images(pictures, captions, style: Style) -> str:
    """Draw small grey pictures, values in [0, 1], side by side; a pixel is two characters wide, so about square."""
    blocks = []
    for picture, caption in zip(pictures, captions, strict=True):
        rows = ["".join(_shade(pixel, style) * 2 for pixel in row) for row in np.asarray(picture, dtype=float)]
        blocks.append("\n".join([*rows, caption.center(len(rows[0])).rstrip()]))
    return side_by_side(*blocks)


def paragraph(text: str, *, indent: str = "", hanging: str = "", width: int = 80) -> str:
    """Wrap a text into lines of at most `width` characters; `hanging` goes before all but the first line."""
    return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent + hanging, break_on_hyphens=False)


def side_by_side(*blocks: str, gap=3) -> str:
    """Set texts of several lines next to each other, tops aligned."""
    split = [block.split("\n") for block in blocks]
    widths = [max(map(len, lines)) for lines in split]
    joined = []
    for row in range(max(map(len, split))):
        cells = (
            (lines[row] if row < len(lines) else "").ljust(width) for lines, width in zip(split, widths, strict=True)
        )
        joined.append((" " * gap).join(cells).rstrip())
    return "\n".join(joined)


def _shade(value: float, style: Style) -> str:
    """The shade of a value in [0, 1]; only a value below an eighth is left empty."""
    if not math.isfinite(value):
        return "?"
    last = len(style.shades) - 1
    return style.shades[round(min(max(value, 0.0), 1.0) * last)]


def _limits(values, log=False) -> tuple[float, float]:
    """Smallest and largest finite value, apart from each other even where all are equal."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return (1.0, 10.0) if log else (0.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
    return low, high


class _Frame:
    """A rectangle of characters with axes around it, addressed in the units of the data."""

    def __init__(self, style, width, height, x_limits, y_limits, log=False):
        self.style, self.log = style, log
        self.x_limits, self.y_limits = x_limits, y_limits
        self.cells = [[" "] * width for _ in range(height)]
        self.per_cell = (4, 2) if style.braille else (2, 1)  # dots: rows, columns
        self.dots = np.zeros((height * self.per_cell[0], width * self.per_cell[1]), dtype=bool)

    def line(self, x, y):
        """Join consecutive points; a point that is not finite breaks the line."""
        rows, columns = (places.round() for places in self._position(x, y, self.dots.shape))
        good = np.isfinite(rows) & np.isfinite(columns)
        for i in range(len(x)):
            if not good[i]:
                continue
            before = i - 1 if i and good[i - 1] else i
            steps = int(max(abs(rows[i] - rows[before]), abs(columns[i] - columns[before]))) + 1
            path_rows = np.linspace(rows[before], rows[i], steps).round().astype(int)
            path_columns = np.linspace(columns[before], columns[i], steps).round().astype(int)
            self.dots[path_rows, path_columns] = True

    def marks(self, x, y, mark):
        """Put a character at each point, over whatever is there."""
        rows, columns = self._position(x, y, (len(self.cells), len(self.cells[0])))
        for row, column in zip(rows, columns, strict=True):
            if math.isfinite(row) and math.isfinite(column):
                self.cells[round(row)][round(column)] = mark

    def text(self, title="", x_label="") -> str:
        """Return the lines of the plot: title, rows with their axis, ticks."""
        vertical, horizontal, corner = self.style.axis
        low, high = (_number(limit) for limit in self.y_limits)
        margin = max(len(low), len(high))
        lines = [" " * (margin + 2) + title] if title else []
        for row in range(len(self.cells)):
            tick = high if row == 0 else low if row == len(self.cells) - 1 else ""
            lines.append(f"{tick.rjust(margin)} {vertical}{self._row(row)}".rstrip())
        width = len(self.cells[0])
        lines.append(" " * (margin + 1) + corner + horizontal * width)
        left, right = (_number(limit) for limit in self.x_limits)
        between = width - len(left) - len(right)
        lines.append(" " * (margin + 2) + left + x_label.center(between) + right)
        return "\n".join(lines)

    def _row(self, row) -> str:
        dots_high, dots_wide = self.per_cell
        block = self.dots[row * dots_high : (row + 1) * dots_high]
        drawn = []
        for column, cell in enumerate(self.cells[row]):
            dots = block[:, column * dots_wide : (column + 1) * dots_wide]
            drawn.append(self._glyph(dots) if cell == " " and dots.any() else cell)
        return "".join(drawn)

    def _glyph(self, dots) -> str:
        if self.style.braille:
            return chr(0x2800 + int((_BRAILLE_BITS * dots).sum()))
        upper, lower = dots[:, 0]
        return ":" if upper and lower else "'" if upper else "."

    def _position(self, x, y, size):
        """Rows (from the top) and columns in a grid of this size, as floats; NaN stays NaN."""
        y_scaled, y_limits = np.asarray(y, dtype=float), self.y_limits
        if self.log:
            y_scaled, y_limits = np.log(y_scaled), tuple(map(math.log, y_limits))
        rows = (1 - _share(y_scaled, y_limits)) * (size[0] - 1)
        return rows, _share(np.asarray(x, dtype=float), self.x_limits) * (size[1] - 1)


def _share(values, limits):
    """Where values lie between two limits, 0 to 1; outside of them, NaN."""
    low, high = limits
    share = (values - low) / (high - low)
    return np.where((share >= -1e-9) & (share <= 1 + 1e-9), np.clip(share, 0, 1), np.nan)


def _number(value: float) -> str:
    """A tick: three significant digits, without an exponent where it reads well."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}" if abs(value) < 1e6 else f"{value:.1e}"
