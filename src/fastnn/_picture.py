"""A network as a picture: its layers as boxes, or the units of a small dense one as circles with their weights.

Boxes stand in ranks, each below all that it reads; a line that skips ranks has a place of its own in each of them, so
that it passes beside the boxes. The order within ranks is that of the mean place of the neighbours, taken in a few
sweeps, as Sugiyama, Tagawa and Toda (1981) draw graphs.
"""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean

from ._svg import Drawing, Picture, text_width
from .errors import unknown_name
from .layers import Activation, Dense, Dropout, Flatten

BLUE, ORANGE, GREY = "#1f4e79", "#c8501e", "#6b6b6b"
MOST_UNITS, MOST_COLUMNS = 16, 8  # of a layer that is drawn unit by unit; columns of them
ROW, GAP, LANE = 74, 26, 14  # pixels from rank to rank, between boxes, and for a line that passes by
BOX_HEIGHT, TITLE, SMALL = 42, 13, 11
RADIUS, DOWN, ACROSS = 12, 34, 128  # of a unit; from unit to unit; from column to column
SWEEPS = 6


def picture(graph, weights, kind) -> Picture:
    """The picture of a graph; weights: {name: array} of all parameters."""
    if kind not in ("auto", "layers", "units"):
        raise unknown_name("kind of picture", kind, ["auto", "layers", "units"])
    columns, reason = _columns(graph, weights)
    if kind == "units" and reason:
        raise ValueError(f"kind: units are drawn for small dense networks, and {reason}; take kind='layers'")
    return _draw_units(columns) if kind == "units" or (kind == "auto" and not reason) else _draw_layers(graph)


# ---- layers ----------------------------------------------------------------------------------------------------------


class _Box:
    """An input, a layer or an output, or (without a title) the place where a line passes a rank."""

    def __init__(self, rank=0, title="", detail="", tip="", kind="passage"):
        self.rank, self.title, self.detail, self.tip, self.kind = rank, title, detail, tip, kind
        self.above: list[_Box] = []
        self.below: list[_Box] = []
        self.x = 0.0
        self.width = LANE if not title else 24 + max(text_width(title, TITLE, bold=True), text_width(detail, SMALL))

    @property
    def y(self):
        return self.rank * ROW

    def middle(self):
        """The mean place of the neighbours; boxes pull more than lines, so that sequences are straight."""
        near = self.above + self.below
        return fmean([other.x for other in near], [1.0 if other.title else 0.1 for other in near]) if near else 0.0


def _draw_layers(graph) -> Picture:
    boxes, lines = _boxes(graph)
    ranks: list[list[_Box]] = [[] for _ in range(1 + max(box.rank for box in boxes))]
    for box in boxes:
        ranks[box.rank].append(box)
    routes = [_route(upper, lower, ranks) for upper, lower in lines]
    _order(ranks)
    _place(ranks)
    drawing = Drawing()
    for route in routes:
        _draw_line(drawing, route)
    for box in boxes:
        _draw_box(drawing, box)
    return drawing.picture(f"A network of {sum(box.kind in ('plain', 'trained') for box in boxes)} layers")


def _boxes(graph):
    """Boxes of inputs, outermost layers and outputs, and the pairs of them between which lines go."""
    boxes, makers, lines = [], {}, {}

    def maker(value):
        while value not in makers:
            value = value.base
        return makers[value]

    def add(box, sources):
        for source in dict.fromkeys(sources):
            box.rank = max(box.rank, source.rank + 1)
            lines[source, box] = None
        boxes.append(box)
        return box

    for i, value in enumerate(graph.inputs):
        name = f"input {i}" if len(graph.inputs) > 1 else "input"
        makers[value] = add(_Box(0, name, _shape(value), kind="end"), ())
    rows = [row for row in graph.layers if row.depth == 0]
    for row in rows:
        title, detail = _title(row, graph), _shape(row.outputs[0]) + _count(row.params)
        own_masks = [v.mask for v in row.inputs if v.mask is not None and v.base is not None and v.mask != v.base.mask]
        kind = "trained" if row.params else "plain"
        box = _Box(0, title, detail, f"{row.path}: {row.layer!r}", kind)
        add(box, [maker(value) for value in (*row.inputs, *own_masks)])
        makers.update(dict.fromkeys(row.outputs, box))
    for i, value in enumerate(graph.outputs):
        name = f"output {i}" if len(graph.outputs) > 1 else "output"
        add(_Box(0, name, _shape(value), kind="end"), [maker(value)])
    return boxes, list(lines)


def _title(row, graph) -> str:
    name = type(row.layer).__name__
    inner = [r for r in graph.layers if r.depth == 1 and r.path.startswith(row.path + ".")]
    if inner:
        inside = ", ".join(type(r.layer).__name__ for r in inner)
        return f"{name} of {inside if len(inside) <= 40 else f'{len(inner)} layers'}"
    return name + _activation(row.layer)


def _activation(layer) -> str:
    activation = getattr(layer, "activation", None)
    if isinstance(activation, tuple):
        activation = "/".join(getattr(f, "__name__", "f") for f in activation)
    return "" if activation in (None, "linear") else f" · {activation}"


def _shape(value) -> str:
    return f"(n, {', '.join(map(str, value.shape))})"


def _count(params) -> str:
    return f" · {params:,} parameters" if params else ""


def _route(upper, lower, ranks):
    """The boxes that a line touches, with new passages in the ranks between."""
    route = [upper]
    for rank in range(upper.rank + 1, lower.rank):
        route.append(_Box(rank))
        ranks[rank].append(route[-1])
    route.append(lower)
    for one, next_one in pairwise(route):
        one.below.append(next_one)
        next_one.above.append(one)
    return route


def _order(ranks):
    """Brings the boxes of each rank into the order of their neighbours."""
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for rank in ranks if down else reversed(ranks):
            places = {box: i for other in ranks for i, box in enumerate(other)}
            near = {box: [places[other] for other in (box.above if down else box.below)] for box in rank}
            rank.sort(key=lambda box: fmean(near[box]) if near[box] else places[box])


def _place(ranks):
    """Gives every box the x at which its neighbours are in the mean, as far as the others of its rank let it."""
    for sweep in range(6 * SWEEPS):
        for rank in ranks if sweep % 2 == 0 else reversed(ranks):
            wanted = [box.middle() for box in rank]
            apart = [(one.width + other.width) / 2 + GAP for one, other in pairwise(rank)]
            right, left = list(wanted), list(wanted)
            for i, distance in enumerate(apart):
                right[i + 1] = max(right[i + 1], right[i] + distance)
            for i, distance in reversed(list(enumerate(apart))):
                left[i] = min(left[i], left[i + 1] - distance)
            for box, a, b in zip(rank, right, left, strict=True):  # both keep the distances, and so does their mean
                box.x = (a + b) / 2


def _draw_line(drawing, route):
    half = BOX_HEIGHT / 2
    points = [(route[0].x, route[0].y + half)]
    for box in route[1:-1]:  # straight past the boxes of its rank
        points += [(box.x, box.y - half), (box.x, box.y + half)]
    end = route[-1].x, route[-1].y - half
    drawing.curve([*points, (end[0], end[1] - 6)], stroke=GREY, stroke_width=1.3)
    drawing.arrow(*end, 7, fill=GREY)


def _draw_box(drawing, box):
    fill, stroke = {"end": ("#fdf1e9", ORANGE), "trained": ("#e9f0f8", BLUE), "plain": ("#f5f5f5", GREY)}[box.kind]
    radius = BOX_HEIGHT / 2 if box.kind == "end" else 5
    drawing.box(box.x, box.y, box.width, BOX_HEIGHT, radius, box.tip, fill=fill, stroke=stroke, stroke_width=1.2)
    drawing.text(box.x, box.y - 3, box.title, TITLE, font_weight="bold", fill="#222222")
    drawing.text(box.x, box.y + 13, box.detail, SMALL, fill="#444444")


# ---- units -----------------------------------------------------------------------------------------------------------


class _Column:
    """The units of one layer, with the weights (in, units) between them and the column before; none for the input."""

    def __init__(self, caption, units, weight=None, bias=None):
        self.caption, self.units, self.weight, self.bias = caption, units, weight, bias


def _columns(graph, weights):
    """(columns, why they are not drawn or "")."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        return [], "this one has several inputs or outputs"
    (given,) = graph.inputs
    columns, source = [_Column("input", given.size)], given.root
    for row in graph.layers:
        if not isinstance(row.layer, (Dense, Activation, Dropout, Flatten)) or row.inputs[0].root is not source:
            return [], f"{row.path} is {type(row.layer).__name__}, or not in sequence"
        if isinstance(row.layer, Dense):
            if len(row.outputs[0].shape) != 1:
                return [], f"{row.path} works on samples of shape {row.inputs[0].shape}"
            names = weights[f"{row.path}.weight"], weights.get(f"{row.path}.bias")
            columns.append(_Column(_title(row, graph), row.layer.units, *names))
        elif isinstance(row.layer, Activation):
            columns[-1].caption += _activation(row.layer)
        source = row.outputs[0].root
    most = max(column.units for column in columns)
    if most > MOST_UNITS or not 2 <= len(columns) <= MOST_COLUMNS:
        return [], f"this one has {len(columns)} columns, one of {most} units; up to {MOST_UNITS} units are drawn"
    return columns, ""


def _draw_units(columns) -> Picture:
    drawing = Drawing()
    apart = max(ACROSS, 16 + max(text_width(column.caption, SMALL) for column in columns))
    places = [
        [(i * apart, (j - (column.units - 1) / 2) * DOWN) for j in range(column.units)]
        for i, column in enumerate(columns)
    ]
    for column, before, here in zip(columns[1:], places, places[1:], strict=False):
        _draw_weights(drawing, column.weight, before, here)
    largest = [1e-30, *(float(abs(column.bias).max()) for column in columns if column.bias is not None)]
    for i, (column, here) in enumerate(zip(columns, places, strict=True)):
        for j, place in enumerate(here):
            _draw_unit(drawing, column, i, j, place, max(largest))
    bottom = max(y for here in places for _, y in here) + RADIUS + 22
    for i, column in enumerate(columns):
        drawing.text(i * apart, bottom, column.caption, SMALL, fill="#222222")
    middle = (len(columns) - 1) * apart / 2
    drawing.text(middle, bottom + 20, "blue above 0, orange below; width: how far. Rings: biases.", 10, fill=GREY)
    return drawing.picture(f"A network of {'-'.join(str(column.units) for column in columns)} units")


def _draw_weights(drawing, weight, before, here):
    """The lines of one layer, the strongest last, so that it lies above the others."""
    largest = max(1e-30, float(abs(weight).max()))
    for i, j in sorted(((i, j) for i in range(len(before)) for j in range(len(here))), key=lambda at: abs(weight[at])):
        value = float(weight[i, j])
        share = abs(value) / largest
        drawing.line(
            *before[i], *here[j], f"{i} to {j}: {value:.4g}",
            stroke=BLUE if value >= 0 else ORANGE, stroke_width=0.4 + 3.6 * share, stroke_opacity=0.2 + 0.7 * share,
        )  # fmt: skip


def _draw_unit(drawing, column, i, j, place, largest):
    bias = 0.0 if column.bias is None else float(column.bias[j])
    ring = 1.0 + 3.0 * abs(bias) / largest
    stroke = GREY if not bias else BLUE if bias > 0 else ORANGE
    tip = f"input {j}" if i == 0 else f"unit {j}" + (f", bias {bias:.4g}" if column.bias is not None else "")
    drawing.circle(*place, RADIUS, tip, fill="#fdf1e9" if i == 0 else "#ffffff", stroke=stroke, stroke_width=ring)
    drawing.text(place[0], place[1] + 3.5, str(j), 10, fill="#444444")
