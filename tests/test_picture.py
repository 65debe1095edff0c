"""Pictures of networks: valid SVG whose boxes, circles and lines are those of the network, in view, side by side."""

import re
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest

import fastnn as fnn

SVG = "{http://www.w3.org/2000/svg}"
BLUE, ORANGE = "#1f4e79", "#c8501e"


def drawn(net, kind="auto"):
    return ElementTree.fromstring(net.plot(kind).svg)


def shapes(svg, tag):
    """The shapes of one kind, but for the ground."""
    return [one for one in svg.iter(SVG + tag) if one.get("width") != "100%"]


def texts(svg):
    return [one.text for one in svg.iter(SVG + "text")]


def number(shape, *names):
    return [float(shape.get(name)) for name in names]


def xor():
    net = fnn.Network([fnn.Dense(3, "tanh"), fnn.Dense(1, "sigmoid")], input_shape=2, seed=1)
    net.params[:] = np.linspace(-2, 2, 13)
    return net


def image_network():
    block = fnn.Residual(fnn.Conv2D(4, 3, padding="same"), fnn.BatchNorm(), fnn.Activation("relu"))
    return fnn.Network([fnn.Conv2D(4, 3), block, fnn.Flatten(), fnn.Dense(10, "softmax")], input_shape=(8, 8, 1))


def graph():
    a, b, mask = fnn.Input((12, 5)), fnn.Input(4), fnn.Input(12)
    steps = fnn.LSTM(6)(a, mask=mask)
    h = fnn.Dense(16, "relu")(b)
    deep = fnn.Dense(8)(fnn.Dense(8)(h))
    joined = fnn.Concat()([steps, deep, b])
    return fnn.Network(inputs=[a, b, mask], outputs=[fnn.Dense(3, "softmax")(joined), fnn.Dense(1)(h)], seed=0)


# ---- layers ----------------------------------------------------------------------------------------------------------


def test_layers_stand_below_one_another_with_shapes_and_parameters():
    svg = drawn(image_network())
    assert texts(svg) == [
        "input", "(n, 8, 8, 1)", "Conv2D", "(n, 6, 6, 4) · 40 parameters", "Residual of Conv2D, BatchNorm, Activation",
        "(n, 6, 6, 4) · 156 parameters", "Flatten", "(n, 144)", "Dense · softmax", "(n, 10) · 1,450 parameters",
        "output", "(n, 10)",
    ]  # fmt: skip
    boxes = [number(box, "x", "y", "width") for box in shapes(svg, "rect")]
    assert all(abs(x + width / 2) < 0.1 for x, _, width in boxes)  # rounded to a tenth of a pixel
    assert [y for _, y, _ in boxes] == sorted({y for _, y, _ in boxes})
    assert len(shapes(svg, "path")) == len(shapes(svg, "polygon")) == 5
    tips = [title.text for title in svg.iter(SVG + "title")]
    assert tips[0] == "A network of 4 layers" and tips[1].startswith("layers.0: Conv2D(filters=4")


def test_lines_join_what_reads_one_another():
    """The ends of the lines say between which boxes they go, the mask and the line past other ranks included."""
    svg = drawn(graph())
    names = [text for text in texts(svg) if "(n" not in text]
    places = [tuple(number(box, "x", "y", "width", "height")) for box in shapes(svg, "rect")]
    boxes = dict(zip(places, names, strict=True))

    def at(x, y):
        return next(n for (left, top, w, h), n in boxes.items() if left <= x <= left + w and top - 7 <= y <= top + h)

    lines = []
    for path in shapes(svg, "path"):
        numbers = [float(one) for one in re.findall(r"-?[\d.]+", path.get("d"))]
        lines.append((at(*numbers[:2]), at(*numbers[-2:])))
    assert sorted(lines) == sorted([
        ("input 0", "LSTM"), ("input 2", "LSTM"), ("input 1", "Dense · relu"), ("Dense · relu", "Dense"),
        ("Dense", "Dense"), ("LSTM", "Concat"), ("Dense", "Concat"), ("input 1", "Concat"),
        ("Concat", "Dense · softmax"), ("Dense · relu", "Dense"), ("Dense · softmax", "output 0"),
        ("Dense", "output 1"),
    ])  # fmt: skip


@pytest.mark.parametrize("make", [image_network, graph, xor])
def test_boxes_do_not_touch_and_lie_in_view(make):
    svg = drawn(make(), "layers")
    left, top, width, height = map(float, svg.get("viewBox").split())
    boxes = [number(box, "x", "y", "width", "height") for box in shapes(svg, "rect")]
    for x, y, w, h in boxes:
        assert left < x and top < y and x + w < left + width and y + h < top + height
    for (x, y, w, h), (x2, y2, w2, h2) in combinations(boxes, 2):
        assert x + w < x2 or x2 + w2 < x or y + h < y2 or y2 + h2 < y


def test_a_line_past_a_rank_keeps_clear_of_its_boxes():
    svg = drawn(graph())
    boxes = [number(box, "x", "y", "width", "height") for box in shapes(svg, "rect")]
    passing = 0
    for path in shapes(svg, "path"):
        points = np.array([float(one) for one in re.findall(r"-?[\d.]+", path.get("d"))]).reshape(-1, 2)
        for (x1, y1), (x2, y2) in zip(points[3::3], points[6::3], strict=False):
            if x1 == x2 and y2 - y1 == 42:  # straight down past a rank
                passing += 1
                assert not [b for b in boxes if b[1] < y2 and b[1] + b[3] > y1 and b[0] - 3 < x1 < b[0] + b[2] + 3]
    assert passing == 5  # two ranks between LSTM and Concat, three between input 1 and Concat


# ---- units -----------------------------------------------------------------------------------------------------------


def test_units_and_weights_are_those_of_the_network():
    net = xor()
    svg = drawn(net)
    assert len(shapes(svg, "circle")) == 2 + 3 + 1 and len(shapes(svg, "line")) == 2 * 3 + 3 * 1
    weights = net.get_weights()
    tips = {line.find(SVG + "title").text: line for line in shapes(svg, "line")}
    for i in range(2):
        for j in range(3):
            value = weights["layers.0.weight"][i, j]
            line = tips[f"{i} to {j}: {value:.4g}"]
            assert line.get("stroke") == (BLUE if value > 0 else ORANGE)
    widths = {name: float(line.get("stroke-width")) for name, line in tips.items()}
    first = {name: abs(float(name.split(": ")[1])) for name in tips if name.split(":")[0] in ("0 to 0", "1 to 2")}
    assert max(first, key=first.get) == max(first, key=widths.get)
    captions = [text for text in texts(svg) if not text.isdigit()]
    assert captions[:3] == ["input", "Dense · tanh", "Dense · sigmoid"]
    bias = weights["layers.0.bias"]
    rings = [circle for circle in shapes(svg, "circle") if "bias" in circle.find(SVG + "title").text]
    assert [one.find(SVG + "title").text for one in rings[:3]] == [f"unit {j}, bias {bias[j]:.4g}" for j in range(3)]


def test_lines_end_in_the_middle_of_their_units():
    svg = drawn(xor())
    middles = {tuple(number(circle, "cx", "cy")) for circle in shapes(svg, "circle")}
    for line in shapes(svg, "line"):
        assert tuple(number(line, "x1", "y1")) in middles and tuple(number(line, "x2", "y2")) in middles


def test_activation_layers_belong_to_the_units_before():
    last = [fnn.Dense(2), fnn.Activation((np.sin, np.cos))]
    layers = [fnn.Dense(3, use_bias=False), fnn.Activation("relu"), fnn.Dropout(0.1), *last]
    svg = drawn(fnn.Network(layers, input_shape=2, seed=0))
    assert texts(svg)[-4:-1] == ["input", "Dense · relu", "Dense · sin/cos"]
    assert sum("bias" in title.text for title in svg.iter(SVG + "title")) == 2


def test_which_kind_is_taken():
    wide = fnn.Network([fnn.Dense(17)], input_shape=2, seed=0)
    assert shapes(drawn(wide), "rect") and not shapes(drawn(wide), "circle")
    assert shapes(drawn(xor()), "circle") and not shapes(drawn(xor()), "rect")
    assert shapes(drawn(xor(), "layers"), "rect")
    with pytest.raises(ValueError, match="one of 17 units; up to 16 units are drawn; take kind='layers'"):
        wide.plot("units")
    with pytest.raises(ValueError, match="layers.0 is Conv2D"):
        image_network().plot("units")
    with pytest.raises(ValueError, match="several inputs or outputs"):
        graph().plot("units")
    with pytest.raises(ValueError, match="unknown kind of picture 'unit'; did you mean 'units'"):
        xor().plot("unit")
    with pytest.raises(fnn.NotFittedError):
        fnn.Network([fnn.Dense(1)]).plot()


# ---- the file --------------------------------------------------------------------------------------------------------


def test_text_is_escaped():
    class Odd(fnn.PythonLayer):
        name = "odd_for_the_picture"

        def __init__(self, text):
            self.text = text

        def forward(self, x):
            return x

    def f(x):
        return x

    f.__name__ = '<script>&"'
    net = fnn.Network([Odd('<b> & "quoted"'), fnn.Dense(20, (f, f))], input_shape=2, seed=0)
    svg = net.plot()
    assert "<script>" not in svg.svg and "<b>" not in svg.svg
    parsed = ElementTree.fromstring(svg.svg)
    assert 'Dense · <script>&"/<script>&"' in texts(parsed)
    assert any('<b> & "quoted"' in title.text for title in parsed.iter(SVG + "title"))


def test_saving_and_notebooks(tmp_path):
    net = xor()
    picture = net.plot()
    picture.save(tmp_path / "net.svg")
    assert (tmp_path / "net.svg").read_text(encoding="utf-8") == picture.svg == picture._repr_svg_() == net._repr_svg_()
    assert fnn.Network([fnn.Dense(1)])._repr_svg_() is None
    with pytest.raises(ValueError, match="ends in .svg, got 'net.png'"):
        picture.save(tmp_path / "net.png")
    assert not (tmp_path / "net.png").exists() and "SVG" in repr(picture)


def test_a_deep_network_is_drawn_in_time():
    """Long lines through all ranks of a deep network."""
    x = fnn.Input(4)
    h, kept = x, []
    for _ in range(60):
        h = fnn.Dense(4)(h)
        kept.append(h)
    net = fnn.Network(inputs=x, outputs=fnn.Concat()(kept[::10] + [h]) if h is not kept[-10] else h, seed=0)
    svg = drawn(net, "layers")
    assert len(shapes(svg, "rect")) == 63 and len(shapes(svg, "path")) == 60 + 1 + 7
