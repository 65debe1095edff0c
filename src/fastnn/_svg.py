"""A drawing in SVG, and the picture that it becomes: text, boxes, circles and lines, without any library.

Knows nothing of networks. All text is escaped, and every number rounded to a tenth of a pixel.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

FONT = "Helvetica, Arial, DejaVu Sans, sans-serif"
MARGIN = 12


class Picture:
    """A picture as SVG, which notebooks show: `svg` is its text, `save` writes it to a file."""

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the picture to a file whose name ends in .svg.

        Raises:
            ValueError: the name has another ending.
        """
        path = Path(path)
        if path.suffix.lower() != ".svg":
            raise ValueError(f"path: the picture is SVG, expected a name that ends in .svg, got {path.name!r}")
        path.write_text(self.svg, encoding="utf-8")

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Picture of {len(self.svg):,} characters of SVG; save(path) writes it>"


class Drawing:
    """Shapes in any coordinates; `picture` moves them into view. What is drawn later lies above what is there."""

    def __init__(self) -> None:
        self._shapes: list[str] = []
        self._low, self._high = [float("inf")] * 2, [float("-inf")] * 2

    def _add(self, tag, box, attributes, inside=""):
        for axis, (low, high) in enumerate(box):
            self._low[axis], self._high[axis] = min(self._low[axis], low), max(self._high[axis], high)
        texts = " ".join(f'{key.replace("_", "-")}="{_text(value)}"' for key, value in attributes.items())
        self._shapes.append(f"<{tag} {texts}>{inside}</{tag}>" if inside else f"<{tag} {texts}/>")

    def box(self, x, y, width, height, radius, tip="", **style):
        """A rectangle around (x, y) with round corners."""
        left, top = x - width / 2, y - height / 2
        place = {"x": left, "y": top, "width": width, "height": height, "rx": radius}
        self._add("rect", ((left, left + width), (top, top + height)), place | style, _title(tip))

    def circle(self, x, y, radius, tip="", **style):
        place = {"cx": x, "cy": y, "r": radius}
        self._add("circle", ((x - radius, x + radius), (y - radius, y + radius)), place | style, _title(tip))

    def line(self, x1, y1, x2, y2, tip="", **style):
        place = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
        self._add("line", (sorted((x1, x2)), sorted((y1, y2))), place | style, _title(tip))

    def curve(self, points, **style):
        """A smooth line downward through these points."""
        (x, y), *rest = points
        steps = [f"M{_text(x)} {_text(y)}"]
        for next_x, next_y in rest:
            middle = (y + next_y) / 2
            numbers = (x, middle, next_x, middle, next_x, next_y)
            steps.append("C" + " ".join(map(_text, numbers)))
            x, y = next_x, next_y
        xs, ys = zip(*points, strict=True)
        self._add("path", ((min(xs), max(xs)), (min(ys), max(ys))), {"d": "".join(steps), "fill": "none"} | style)

    def arrow(self, x, y, size, **style):
        """The head of an arrow that comes from above and ends at (x, y)."""
        corners = [(x, y), (x - size / 2, y - size), (x + size / 2, y - size)]
        points = " ".join(f"{_text(a)},{_text(b)}" for a, b in corners)
        self._add("polygon", ((x - size / 2, x + size / 2), (y - size, y)), {"points": points} | style)

    def text(self, x, y, text, size, anchor="middle", **style):
        """Text on the line y."""
        width = text_width(text, size)
        left = x - {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor] * width
        place = {"x": x, "y": y, "font_size": size, "text_anchor": anchor}
        self._add("text", ((left, left + width), (y - size, y + size / 3)), place | style, escape(text))

    def picture(self, title: str) -> Picture:
        """All of it on white, since a notebook may be dark; the title is for those who do not see it."""
        left, top = (low - MARGIN for low in self._low)
        width, height = (high - low + 2 * MARGIN for low, high in zip(self._low, self._high, strict=True))
        view = " ".join(map(_text, (left, top, width, height)))
        ground = f'<rect x="{_text(left)}" y="{_text(top)}" width="100%" height="100%" rx="6" fill="#ffffff"/>'
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_text(width)}" height="{_text(height)}" '
            f'viewBox="{view}" font-family="{FONT}" role="img">'
        )
        return Picture("\n".join([head, f"<title>{escape(title)}</title>", ground, *self._shapes, "</svg>\n"]))


def text_width(text, size, bold=False) -> float:
    """About how wide a text is, rather too wide than too narrow."""
    return (0.63 if bold else 0.57) * size * len(text)


def _text(value) -> str:
    return f"{round(float(value), 1):g}" if isinstance(value, (int, float)) else escape(str(value))


def _title(tip) -> str:
    return f"<title>{escape(tip)}</title>" if tip else ""
