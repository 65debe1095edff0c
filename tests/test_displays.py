"""Displays: what is drawn are the predictions, counts and weights, with their labels, for networks and estimators."""

import warnings

import numpy as np
import pytest

import fastnn as fnn

pytest.importorskip("matplotlib")
import matplotlib as mpl  # noqa: E402

mpl.use("agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (60, 2)).astype("float32")
SIDE = (X[:, 0] + X[:, 1] > 0).astype(int)
THIRD = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0).astype(int)


def axes():
    return Figure().subplots()


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    pyplot.close("all")


def trained(last, y, loss=None):
    net = fnn.Network([fnn.Dense(8, "tanh"), last], optimizer=fnn.Adam(0.05), loss=loss, seed=0)
    net.fit(X, y, epochs=30, batch_size=16, verbose=0)
    return net


# ---- decision boundaries ---------------------------------------------------------------------------------------------


def test_two_classes_are_drawn_as_probabilities_with_a_line_at_one_half():
    net = trained(fnn.Dense(1, "sigmoid"), SIDE)
    ax = axes()
    display = fnn.DecisionBoundaryDisplay.from_estimator(net, X, SIDE, grid_resolution=30, eps=0.25, ax=ax)
    assert display.ax_ is ax and display.figure_ is ax.figure
    assert display.response.shape == (30, 30) and display.classes.tolist() == [0, 1]
    at = 7, 21
    point = [[display.xx0[at], display.xx1[at]]]
    assert display.response[at] == pytest.approx(net.predict(point)[0, 0], rel=1e-5)
    assert display.xx0.min() == pytest.approx(X[:, 0].min() - 0.25) and display.xx1[0, 0] < display.xx1[-1, 0]
    assert display.boundary_.levels.tolist() == [0.5]
    first, second = ax.collections[-2:]
    assert np.array_equal(first.get_offsets(), X[SIDE == 0]) and np.array_equal(second.get_offsets(), X[SIDE == 1])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0", "1"]


def test_logits_become_probabilities():
    net = trained(fnn.Dense(1), SIDE, loss="binary_cross_entropy")
    display = fnn.DecisionBoundaryDisplay.from_estimator(net, X, grid_resolution=5, ax=axes())
    logits = net.predict(np.column_stack([display.xx0.ravel(), display.xx1.ravel()])).reshape(5, 5)
    # The sigmoid of metrics is 0.5 + 0.5 tanh: to the rounding of 0.5 in float32.
    np.testing.assert_allclose(display.response, 1 / (1 + np.exp(-logits)), rtol=0, atol=1.2e-7)
    hinge = trained(fnn.Dense(1), SIDE, loss="hinge")
    display = fnn.DecisionBoundaryDisplay.from_estimator(hinge, X, grid_resolution=5, ax=axes())
    assert display.level == 0.0 and display.boundary_.levels.tolist() == [0.0]


def test_several_classes_each_have_a_colour_where_they_are_the_most_probable():
    net = trained(fnn.Dense(3, "softmax"), THIRD)
    ax = axes()
    display = fnn.DecisionBoundaryDisplay.from_estimator(net, X, THIRD, grid_resolution=20, ax=ax)
    assert display.response.shape == (20, 20, 3)
    winners = display.response.argmax(axis=2)
    for i, surface in enumerate(display.surface_):
        drawn = surface.get_array()
        assert np.array_equal(drawn.mask.reshape(20, 20), winners != i)
        np.testing.assert_allclose(drawn.compressed(), display.response[winners == i][:, i], rtol=1e-6)
        assert np.allclose(surface.cmap(1.0)[:3], mpl.colors.to_rgb(f"C{i}"))
    assert sum(len(points.get_offsets()) for points in ax.collections[-3:]) == len(X)
    for method in ("contourf", "contour"):
        display.plot(method, ax=axes())


def test_numbers_are_drawn_as_a_surface():
    net = trained(fnn.Dense(1), X[:, 0])
    display = fnn.DecisionBoundaryDisplay.from_estimator(
        net, X, X[:, 0], grid_resolution=6, ax=axes(), plot_method="pcolormesh", cmap="magma"
    )
    grid = np.column_stack([display.xx0.ravel(), display.xx1.ravel()]).astype("float32")
    np.testing.assert_allclose(display.surface_.get_array().ravel(), net.predict(grid)[:, 0], rtol=1e-5)
    assert display.classes is None and display.boundary_ is None and display.surface_.cmap.name == "magma"
    assert np.array_equal(display.ax_.collections[-1].get_array(), X[:, 0])


def test_a_new_figure_is_made_where_none_is_given():
    display = fnn.DecisionBoundaryDisplay([[0, 1], [0, 1]], [[0, 0], [1, 1]], [[0, 1], [2, 3]], xlabel="a").plot()
    assert display.figure_.number in pyplot.get_fignums() and display.ax_.get_xlabel() == "a"
    again = display.plot(ax=axes(), ylabel="b")
    assert again is display and display.ax_.get_ylabel() == "b" and display.ax_.get_xlabel() == "a"


def test_planes_that_are_refused():
    net = fnn.Network([fnn.Dense(2, "tanh")], input_shape=2, seed=0)
    make = fnn.DecisionBoundaryDisplay.from_estimator
    with pytest.raises(fnn.ShapeError, match=r"a plane has two features, expected \(n, 2\), got \(60, 3\)"):
        make(net, np.ones((60, 3)))
    with pytest.raises(fnn.ShapeError, match="expected one output, or classes with one label a sample"):
        make(net, X)
    with pytest.raises(ValueError, match="unknown plot_method 'surface'"):
        make(trained(fnn.Dense(1), SIDE), X, plot_method="surface", ax=axes())
    with pytest.raises(fnn.ShapeError, match="labels: 3 for 60 points"):
        make(trained(fnn.Dense(1), SIDE), X, SIDE[:3], ax=axes())
    with pytest.raises(fnn.ShapeError, match="expected grids of one shape"):
        fnn.DecisionBoundaryDisplay([[0, 1]], [[0, 1]], [0, 1])
    with pytest.raises(fnn.NotFittedError):
        make(fnn.Network([fnn.Dense(1)]), X)


# ---- confusion matrices ----------------------------------------------------------------------------------------------


def test_counts_figures_and_labels():
    true, predicted = ["cat", "dog", "dog", "emu", "emu", "emu"], ["cat", "cat", "dog", "emu", "emu", "dog"]
    ax = axes()
    display = fnn.ConfusionMatrixDisplay.from_predictions(true, predicted, ax=ax)
    assert display.confusion_matrix.tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 2]]
    figures = [[text.get_text() for text in row] for row in display.text_]
    assert figures == [["1", "0", "0"], ["1", "1", "0"], ["0", "1", "2"]]
    assert display.text_[2, 0].get_position() == (0, 2)
    assert np.array_equal(display.im_.get_array(), display.confusion_matrix)
    names = ["cat", "dog", "emu"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == names == [t.get_text() for t in ax.get_yticklabels()]
    assert ax.get_xlabel() == "Predicted label" and ax.get_ylabel() == "True label"
    assert len(ax.figure.axes) == 2  # with its colour bar
    bare = display.plot(ax=axes(), include_values=False, colorbar=False)
    assert bare.text_ is None and len(bare.figure_.axes) == 1


def test_matrices_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    true, predicted, weights = RNG.integers(0, 4, 200), RNG.integers(0, 4, 200), RNG.uniform(0, 1, 200)
    for normalize in (None, "true", "pred", "all"):
        for weight in (None, weights):
            for labels in (None, [2, 0], [3, 1, 0, 2, 7]):
                ours = fnn.ConfusionMatrixDisplay.from_predictions(
                    true, predicted, labels=labels, sample_weight=weight, normalize=normalize, ax=axes()
                ).confusion_matrix
                theirs = metrics.confusion_matrix(
                    true, predicted, labels=labels, sample_weight=weight, normalize=normalize
                )
                np.testing.assert_allclose(ours, theirs, rtol=1e-12)
                assert ours.dtype == theirs.dtype or weight is not None


@pytest.mark.parametrize(
    "last, y, loss",
    [(fnn.Dense(3, "softmax"), THIRD, None), (fnn.Dense(1, "sigmoid"), SIDE, None), (fnn.Dense(1), SIDE, "hinge")],
)
def test_a_network_predicts_its_classes(last, y, loss):
    net = trained(last, y, loss)
    display = fnn.ConfusionMatrixDisplay.from_estimator(net, X, y, ax=axes(), display_labels=list("abc")[: y.max() + 1])
    outputs = net.predict(X)
    predicted = outputs.argmax(axis=1) if y is THIRD else (outputs[:, 0] > (0 if loss else 0.5)).astype(int)
    expected = [[int(((y == i) & (predicted == j)).sum()) for j in range(y.max() + 1)] for i in range(y.max() + 1)]
    assert display.confusion_matrix.tolist() == expected
    assert display.display_labels == list("abc")[: y.max() + 1]
    if y is THIRD:
        again = fnn.ConfusionMatrixDisplay.from_estimator(net, X, np.eye(3)[y], ax=axes())
        assert again.confusion_matrix.tolist() == expected


def test_matrices_that_are_refused():
    make = fnn.ConfusionMatrixDisplay
    with pytest.raises(fnn.ShapeError, match=r"expected \(k, k\), got \(2, 3\)"):
        make(np.ones((2, 3)))
    with pytest.raises(ValueError, match="2 classes, 3 names"):
        make(np.eye(2), display_labels=["a", "b", "c"])
    with pytest.raises(ValueError, match="unknown normalize 'rows'"):
        make.from_predictions([0, 1], [0, 1], normalize="rows")
    with pytest.raises(ValueError, match="listed twice"):
        make.from_predictions([0, 1], [0, 1], labels=[0, 0])
    with pytest.raises(ValueError, match="no sample is of these classes"):
        make.from_predictions([0, 1], [0, 1], labels=[5, 6])
    with pytest.raises(fnn.ShapeError, match="got 2 and 1"):
        make.from_predictions([0, 1], [0])
    with pytest.raises(ValueError, match="its outputs are numbers"):
        make.from_estimator(trained(fnn.Dense(1), X[:, 0]), X, SIDE)


# ---- weights ---------------------------------------------------------------------------------------------------------


def test_units_of_a_dense_layer_as_images_in_a_mosaic():
    net = fnn.Network([fnn.Flatten(), fnn.Dense(5), fnn.Dense(4)], input_shape=(3, 2), seed=0)
    ax = axes()
    display = fnn.WeightsDisplay.from_estimator(net, ax=ax, columns=2)
    weight = net.get_weights()["layers.1.weight"]
    assert display.images.shape == (5, 3, 2)
    for unit in range(5):
        assert np.array_equal(display.images[unit], weight[:, unit].reshape(3, 2))
    mosaic = display.mosaic
    assert mosaic.shape == (3 * 3 + 2, 2 * 2 + 1)
    assert np.array_equal(mosaic[4:7, 3:5], display.images[3]) and np.isnan(mosaic[3]).all()
    assert np.isnan(mosaic[8:, 3:]).all() and np.array_equal(mosaic[8:, :2], display.images[4])
    drawn = display.im_
    assert np.array_equal(drawn.get_array().filled(np.nan), mosaic, equal_nan=True)
    assert drawn.norm.vmax == -drawn.norm.vmin == pytest.approx(np.abs(weight).max())
    other = fnn.WeightsDisplay.from_estimator(net, "layers.2", image_shape=(1, 5), ax=axes(), colorbar=False)
    assert other.images.shape == (4, 1, 5) and other.columns == 2 and len(other.figure_.axes) == 1


def test_filters_of_convolutions():
    net = fnn.Network([fnn.Conv2D(4, (3, 2)), fnn.Conv2D(5, 2)], input_shape=(8, 8, 1), seed=0)
    weights = net.get_weights()
    first = fnn.WeightsDisplay.from_estimator(net, ax=axes())
    assert first.images.shape == (4, 3, 2) and first.columns == 2
    assert np.array_equal(first.images[3], weights["layers.0.weight"][:, :, 0, 3])
    second = fnn.WeightsDisplay.from_estimator(net, "layers.1", ax=axes())
    assert second.images.shape == (20, 2, 2) and second.columns == 4  # a row for each filter
    assert np.array_equal(second.images[6], weights["layers.1.weight"][:, :, 2, 1])
    net = fnn.Network([fnn.Conv1D(4, 5)], input_shape=(8, 2), seed=0)
    line = fnn.WeightsDisplay.from_estimator(net, ax=axes())
    assert np.array_equal(line.images[2], net.get_weights()["layers.0.weight"][:, :, 2].T)


def test_weights_that_are_refused():
    make = fnn.WeightsDisplay.from_estimator
    net = fnn.Network([fnn.Dense(3), fnn.Dense(2)], input_shape=6, seed=0)
    with pytest.raises(fnn.ShapeError, match=r"6 inputs are no square; give image_shape=\(rows, columns\)"):
        make(net)
    with pytest.raises(fnn.ShapeError, match=r"with 6 elements, got \(2, 2\)"):
        make(net, image_shape=(2, 2))
    with pytest.raises(ValueError, match="unknown layer with a weight 'layers.2'; did you mean"):
        make(net, "layers.2")
    with pytest.raises(ValueError, match="filters of a convolution have their own"):
        make(fnn.Network([fnn.Conv2D(2, 2)], input_shape=(4, 4, 1)), image_shape=(2, 2))
    with pytest.raises(ValueError, match="no layer of this network"):
        make(fnn.Network([fnn.Activation("relu")], input_shape=4))
    with pytest.raises(TypeError, match="expected a Network, or one with network_ or coefs_, got int"):
        make(3)
    with pytest.raises(fnn.ShapeError, match=r"expected \(count, rows, columns\)"):
        fnn.WeightsDisplay(np.ones((3, 4)))


# ---- learning curves -------------------------------------------------------------------------------------------------


def test_learning_curves():
    net = fnn.Network([fnn.Dense(1)], metrics=["mae"], seed=0)
    history = net.fit(X, SIDE, epochs=4, validation_split=0.2, verbose=0)
    ax = axes()
    display = fnn.HistoryDisplay(history).plot(ax)
    assert set(display.lines_) == {"loss", "val_loss", "mae", "val_mae"} and display.ax_ is ax
    for name, line in display.lines_.items():
        assert line.get_ydata().tolist() == history[name] and line.get_xdata().tolist() == [1, 2, 3, 4]
    with pytest.raises(TypeError, match="Network keeps no history"):
        fnn.HistoryDisplay.from_estimator(net)


# ---- estimators ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["MLPClassifier", "NetworkClassifier", "theirs"])
def classifier(request):
    pytest.importorskip("sklearn")
    if request.param == "theirs":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression()
    from fastnn import sklearn

    if request.param == "MLPClassifier":
        return sklearn.MLPClassifier(hidden_layer_sizes=(5,), max_iter=20, random_state=0)
    return sklearn.NetworkClassifier([fnn.Dense(5, "tanh")], epochs=10, random_state=0)


@pytest.mark.filterwarnings("ignore::Warning:sklearn")
@pytest.mark.parametrize("labels", [["no", "yes"], ["low", "mid", "top"]])
def test_classifiers(classifier, labels):
    y = np.array(labels)[SIDE if len(labels) == 2 else THIRD]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that so few epochs do not converge
        classifier.fit(X, y)
    display = fnn.DecisionBoundaryDisplay.from_estimator(classifier, X, y, grid_resolution=10, ax=axes())
    grid = np.column_stack([display.xx0.ravel(), display.xx1.ravel()])
    probabilities = classifier.predict_proba(grid)
    expected = probabilities[:, 1].reshape(10, 10) if len(labels) == 2 else probabilities.reshape(10, 10, 3)
    np.testing.assert_allclose(display.response, expected, rtol=1e-12)
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == labels
    confusion = fnn.ConfusionMatrixDisplay.from_estimator(classifier, X, y, ax=axes())
    predicted = classifier.predict(X)
    assert confusion.display_labels == labels
    assert confusion.confusion_matrix.trace() == (predicted == y).sum() and confusion.confusion_matrix.sum() == len(X)


def test_what_estimators_have_learned():
    pytest.importorskip("sklearn")
    from fastnn import sklearn

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        perceptron = sklearn.MLPRegressor(hidden_layer_sizes=(4,), max_iter=5, early_stopping=True, random_state=0)
        perceptron.fit(X, X[:, 0])
        network = sklearn.NetworkRegressor([fnn.Dense(4, "tanh")], epochs=5, random_state=0).fit(X, X[:, 0])
    curves = fnn.HistoryDisplay.from_estimator(perceptron, ax=axes())
    assert curves.lines_["loss"].get_ydata().tolist() == perceptron.loss_curve_
    assert curves.lines_["val_score"].get_ydata().tolist() == perceptron.validation_scores_
    curves = fnn.HistoryDisplay.from_estimator(network, ax=axes())
    assert curves.lines_["loss"].get_ydata().tolist() == network.history_["loss"]
    images = fnn.WeightsDisplay.from_estimator(perceptron, 1, ax=axes()).images
    assert np.array_equal(images, np.asarray(perceptron.coefs_[1], float).T.reshape(1, 2, 2))
    with pytest.raises(ValueError, match="expected a number from 0 to 1, got 'layers.0'"):
        fnn.WeightsDisplay.from_estimator(perceptron, "layers.0")
    images = fnn.WeightsDisplay.from_estimator(network, image_shape=(1, 2), ax=axes()).images
    assert np.array_equal(images[:, 0], network.network_.get_weights()["layers.0.weight"].T)
    for regressor in (perceptron, network):
        display = fnn.DecisionBoundaryDisplay.from_estimator(regressor, X, grid_resolution=4, ax=axes())
        grid = np.column_stack([display.xx0.ravel(), display.xx1.ravel()])
        np.testing.assert_allclose(display.response.ravel(), regressor.predict(grid), rtol=1e-12)
    assert "svg" in network.network_.plot().svg


def test_data_frames_name_the_axes():
    pytest.importorskip("sklearn")
    pandas = pytest.importorskip("pandas")
    from fastnn import sklearn

    frame = pandas.DataFrame(X, columns=["width", "height"])
    estimator = sklearn.NetworkClassifier([fnn.Dense(3)], epochs=2, random_state=0).fit(frame, SIDE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # that feature names are missing
        display = fnn.DecisionBoundaryDisplay.from_estimator(estimator, frame, grid_resolution=4, ax=axes())
    assert display.ax_.get_xlabel() == "width" and display.ax_.get_ylabel() == "height"
