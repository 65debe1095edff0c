"""Pictures: the lines that are drawn are the figures that were given, and files need no screen."""

import numpy as np
import pytest

import fastnn as fnn

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure  # noqa: E402

from fastnn import plot  # noqa: E402

FIGURES = {
    "loss": [3.0, 2.0, 1.0],
    "accuracy": [0.5, 0.7, 0.9],
    "val_loss": [3.5, 2.5, 2.0],
    "val_accuracy": [0.4, 0.6, 0.8],
}


def axes():
    return Figure().subplots()


def test_history_curves_draw_losses_and_metrics_on_two_axes():
    drawn = axes()
    plot.history_curves(FIGURES, drawn)
    left, right = drawn.figure.axes
    assert {line.get_label(): line.get_ydata().tolist() for line in left.lines} == {
        name: FIGURES[name] for name in ("loss", "val_loss")
    }
    assert {line.get_label() for line in right.lines} == {"accuracy", "val_accuracy"}
    assert [line.get_xdata().tolist() for line in left.lines] == [[1, 2, 3]] * 2
    assert left.get_ylabel() == "loss" and right.get_ylabel() == "accuracy"


def test_validation_is_dashed_in_the_colour_of_its_partner():
    drawn = axes()
    plot.history_curves(FIGURES, drawn)
    for each in drawn.figure.axes:
        training, validation = each.lines
        assert training.get_color() == validation.get_color()
        assert (training.get_linestyle(), validation.get_linestyle()) == ("-", "--")


def test_records_that_are_not_curves_are_left_out():
    drawn = axes()
    plot.history_curves({"loss": [1.0, 0.5], "confusion_matrix": [np.eye(2), np.eye(2)]}, drawn)
    assert len(drawn.figure.axes) == 1 and len(drawn.lines) == 1


def test_history_plots_itself_into_a_file(tmp_path):
    net = fnn.Network([fnn.Dense(1)], metrics=["mae"], seed=0)
    history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=3, verbose=0)
    figure = history.plot(path=tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")
    assert figure.axes[0].lines[0].get_ydata().tolist() == history["loss"]


def test_fitted_line_draws_points_and_function():
    drawn = plot.fitted_line([0.0, 1.0, 4.0], [1.0, 3.0, 9.0], lambda x: 2 * x + 1, axes(), xlabel="a", label="2 x + 1")
    assert drawn.collections[0].get_offsets().tolist() == [[0, 1], [1, 3], [4, 9]]
    x, y = drawn.lines[0].get_data()
    assert (x[0], x[-1]) == (0, 4) and np.array_equal(y, 2 * x + 1)


@pytest.mark.parametrize("values, contours", [([[0.0, 0.0], [1.0, 1.0]], 1), ([[0.1, 0.2], [0.3, 0.4]], 0)])
def test_decision_boundary_lies_where_the_probability_is_one_half(values, contours):
    drawn = plot.decision_boundary(values, (0, 1, 0, 1), [[0, 0], [1, 1]], [0, 1], axes())
    assert np.array_equal(drawn.images[0].get_array(), values)
    lines = [path for c in drawn.collections if hasattr(c, "levels") for path in c.get_paths() if len(path.vertices)]
    assert len(lines) == contours
    if contours:
        assert lines[0].vertices[:, 1] == pytest.approx(0.5)  # halfway between the rows


def test_render_writes_a_file_of_the_size_asked(tmp_path):
    path = tmp_path / "a.png"
    plot.render(lambda figure: figure.subplots().plot([1, 2]), (4, 3), save=path)
    data = path.read_bytes()
    assert [int.from_bytes(data[i : i + 4], "big") for i in (16, 20)] == [600, 450]
