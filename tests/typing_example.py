"""The public interface as a user with a type checker writes it: `mypy --strict` has no complaint, and it runs.

What mypy finds here is an annotation of the package that is missing or wrong.
"""

import copy
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastnn as fnn


def networks() -> list[fnn.Network]:
    """Every way to say what a network is made of."""
    sequence = fnn.Network(
        [
            fnn.Dense(8, activation="relu", weight_init="he_normal", l1=1e-5, l2=1e-4, max_norm=3.0),
            fnn.Dropout(0.1),
            fnn.Residual(fnn.Dense(8, "tanh", use_bias=False), fnn.Activation("leaky_relu", alpha=0.2)),
            fnn.Dense(4, (np.sin, np.cos), bias_init=fnn.initializers.Constant(0.1)),
            fnn.Reshape((2, 2)),
            fnn.Flatten(),
            fnn.Dense(3, activation="softmax", weight_init=np.zeros((4, 3))),
        ],
        loss=None,
        optimizer="adam",
        metrics=["accuracy", fnn.metrics.TopKAccuracy(2)],
        input_shape=None,
        dtype="float64",
        precision="highest",
        seed=0,
    )
    a, b = fnn.Input((4,)), fnn.Input(4)
    h = fnn.Add()([fnn.Concat(axis=-1)([a, b]), fnn.Dense(8)(a)])
    outputs = [fnn.Dense(1)(h), fnn.Dense(2)(h)]
    graph = fnn.Network(inputs=[a, b], outputs=outputs, loss=["mse", fnn.losses.Huber(2.0)], seed=0)
    images = fnn.Network([fnn.Conv2D(4, (3, 3), stride=2, padding="same"), fnn.MaxPool2D(2, stride=1), fnn.Flatten()])
    sequences = fnn.Network([fnn.Conv1D(4, 3, padding=1, groups=2), fnn.AvgPool1D(2), fnn.GlobalMaxPool1D()])
    blocks = fnn.TransformerBlock(2, 8, causal=True, dropout=0.1, pre_norm=False)
    text = [fnn.Embedding(9, 4, weight_init="uniform"), fnn.PositionalEmbedding(kind="sinusoidal"), blocks]
    attention = fnn.MultiHeadAttention(2, causal=True, use_bias=False)
    tokens = fnn.Network([*text, fnn.RMSNorm(), attention, fnn.LayerNorm(1e-6)])
    own = fnn.Network([fnn.BatchNorm(momentum=0.05, epsilon=1e-4), Scale(), Scale(2.0)], input_shape=3)
    assert images.layers and sequences.layers and tokens.layers
    raw = fnn.Network([fnn.OneHot([0], missing=True, unknown="zeros"), fnn.Standardize(missing="mean", indicator=True)])
    assert raw.adapt([[1.0, 2.0], [2.0, 3.0]]).predict([[1.0, np.nan]]).shape == (1, 8)
    assert own.predict(np.ones((2, 3))).shape == (2, 3)
    sgd = fnn.SGD(0.1, momentum=0.9, nesterov=True)
    single = fnn.Network(fnn.Dense(1), loss=squared_error, optimizer=sgd, metrics=offset)
    return [sequence, graph, single]


class Scale(fnn.PythonLayer):
    """A layer of one's own."""

    def __init__(self, start: float = 1.0) -> None:
        self.start = start

    def parameters(self, shape: tuple[int, ...]) -> dict[str, tuple[tuple[int, ...], fnn.initializers.Initializer]]:
        return {"scale": (shape[-1:], fnn.initializers.Constant(self.start))}

    def forward(self, x: NDArray[Any], scale: NDArray[Any]) -> Any:
        return x * scale

    def backward(self, dy: Any, x: Any, y: Any, scale: Any) -> tuple[Any, dict[str, Any]]:
        return dy * scale, {"scale": (dy * x).sum(axis=0)}


def squared_error(y: Any, p: Any) -> tuple[float, NDArray[Any]]:
    return float(((p - y) ** 2).mean()), 2 * (p - y) / p.size


def offset(y: Any, p: Any) -> float:
    return float((p - y).mean())


class EarlyEnd(fnn.Callback):
    """Stops when the loss is low enough."""

    def __init__(self, loss: float) -> None:
        self.loss = loss

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        if logs["loss"] < self.loss:
            self.network.stop_training = True


def train(net: fnn.Network, X: NDArray[Any], y: NDArray[Any]) -> fnn.History:
    """Every way to train."""
    history = net.fit(
        X,
        y,
        epochs=3,
        batch_size=16,
        validation_data=(X[:10], y[:10]),
        validation_split=0.0,
        shuffle=True,
        sample_weight=np.ones(len(X)),
        class_weight={0: 1.0, 1: 2.0},
        accumulate=2,
        callbacks=[EarlyEnd(0.01), fnn.LambdaCallback(on_fit_end=lambda: None), *callbacks()],
        verbose=0,
        threads=2,
    )
    net.fit([(X[:10], y[:10])], epochs=2)
    net.fit(lambda: ((X[i : i + 10], y[i : i + 10]) for i in range(0, 30, 10)), epochs=2)
    loss: float = net.partial_fit(X, y, batch_size=8).train_on_batch(X, y)
    value, gradients = net.loss_and_gradients(X, y, sample_weight=None)
    largest: float = max(float(abs(gradient).max()) for gradient in gradients.values())
    losses: list[float] = history["loss"]
    assert losses and history.epochs and history.stop_reason and np.isfinite([loss, value, largest]).all()
    assert "val_loss" in history and len(list(history.items())) == len(history)
    return history


def callbacks() -> list[fnn.Callback]:
    """Those of the library."""
    return [
        fnn.EarlyStopping("val_loss", patience=3, mode="min", baseline=None), fnn.ReduceLROnPlateau(factor=0.5),
        fnn.EMA(0.99, every=2), fnn.SWA(start_epoch=1), fnn.TerminateOnNaN(), fnn.Diagnostics(samples=16),
    ]  # fmt: skip


def search(net: fnn.Network, X: NDArray[Any], y: NDArray[Any]) -> float:
    """A learning rate, and layers that have their own or are frozen."""
    found = net.lr_find(X, y, batch_size=8, start=1e-5, end=1.0, steps=20)
    net.layers[0].trainable = False
    net.layers[-1].learning_rate_factor = 0.5
    assert len(found.rates) == len(found.losses) == len(found.smoothed)
    return found.suggestion


def use(net: fnn.Network, X: NDArray[Any], y: NDArray[Any]) -> None:
    """Every way to use what was trained."""
    out = np.empty((len(X), 3))
    net.predict(X, batch_size=8, out=out, threads=1)
    outputs: dict[str, Any] = net.activations(X, ["layers.0", "layers.6"])
    slopes = [net.input_gradient(X), net.input_gradient(X, output=1), net.input_gradient(X, y=np.zeros(len(X)))]
    check = net.gradient_check(X[:8], np.zeros(8), samples=2, epsilon=1e-5, tolerance=1e-3)
    worst: str = f"{check.worst.name} {check.worst.index} {check.parameters['X'].error}"
    assert net.jacobian(X[:2]).shape == (2, 3, X.shape[1]) and len(outputs) == 2 and slopes[0].shape == X.shape
    assert check.ok == (check.error <= check.tolerance) and worst and not check.suspect
    assert net.jacobian(X[:2], wrt="params").shape == (2, 3, net.params.size)
    assert net.plot(kind="layers").svg.startswith("<svg")
    probabilities, deviation = net.predict(X, return_std=True, samples=3, seed=1, batch_size=64)
    assert probabilities.shape == deviation.shape == (len(X), 3)
    predict_one = net.predictor()
    assert predict_one(X[0]).shape == (3,) and predict_one(X[:1]).shape == (1, 3)
    figures: dict[str, float] = net.evaluate(X, y)
    weights = net.get_weights()
    net.set_weights({name: 0.5 * weight for name, weight in weights.items()})
    net.params[:] = 0.0
    text: str = net.summary()
    assert figures["loss"] > 0 and net.grads.size == net.params.size and "layers.0" in text
    net.loss, net.optimizer, net.metrics = "mse", fnn.AdamW(0.01, weight_decay=0.1), ["mae"]
    net.optimizer.learning_rate = 0.1


def displays(net: fnn.Network, history: fnn.History) -> list[Any]:
    """What pictures are made of; to draw them takes matplotlib."""
    plane = fnn.DecisionBoundaryDisplay(np.eye(2), np.eye(2), np.eye(2), classes=["a", "b"], level=0.5, xlabel="width")
    matrix = fnn.ConfusionMatrixDisplay([[3, 1], [0, 2]], display_labels=["cat", "dog"])
    weights = fnn.WeightsDisplay(net.get_weights()["layers.0.weight"].T.reshape(8, 8, 8), columns=4)
    assert weights.mosaic.shape == (17, 35) and matrix.display_labels[0] == "cat" and plane.level == 0.5
    return [plane, matrix, weights, fnn.HistoryDisplay(history), fnn.HistoryDisplay({"loss": [1.0, 0.5]})]


def save(net: fnn.Network, folder: Path) -> None:
    """Every way to keep a network, and to get one from elsewhere."""
    net.metadata = {"unit": "bottles", "columns": ["visitors"]}
    unit: str = net.metadata["unit"]
    assert unit == "bottles"
    net.save(folder / "net.safetensors")
    net.save(str(folder / "net.safetensors"), custom={"squared_error": squared_error})
    again: fnn.Network = fnn.load(folder / "net.safetensors", custom={"squared_error": squared_error})
    copied: fnn.Network = pickle.loads(pickle.dumps(copy.deepcopy(again)))
    theirs: fnn.Network = fnn.from_torch({"0.weight": np.ones((1, 2))}, [fnn.Dense(1, use_bias=False)], input_shape=2)
    assert (copied.params == net.params).all() and theirs.params.size == 2
    try:
        fnn.from_keras([])
        fnn.from_sklearn([])
    except TypeError as error:
        assert "Sequential" in str(error)


def optimizers() -> list[fnn.Optimizer]:
    return [
        fnn.SGD(0.1, clip_norm=1.0), fnn.RMSprop(centered=True), fnn.Adagrad(initial_accumulator=0.1),
        fnn.Adam(beta1=0.8), fnn.AdamW(), fnn.Rprop(eta_plus=1.3), fnn.CoordinateSearch(0.1), fnn.Optimizer.get("adam"),
        fnn.LBFGS(history=20), fnn.LevenbergMarquardt(damping=0.01), fnn.SGD(fnn.schedules.Cosine(0.1, 10, by="step")),
        fnn.Adam(fnn.schedules.Linear(0.01, 30)),
        fnn.Adam(fnn.schedules.Warmup(fnn.schedules.Step(0.1, [3, 6], 0.5), 5, start=0.1)),
    ]  # fmt: skip


def losses() -> list[fnn.Loss]:
    kinds = fnn.losses
    return [
        kinds.MSE(), kinds.MAE(), kinds.Huber(delta=2.0), kinds.BinaryCrossEntropy(label_smoothing=0.1),
        kinds.CrossEntropy(0.1), kinds.Poisson(log_input=False), kinds.GaussianNLL(), kinds.Quantile((0.1, 0.9)),
        kinds.Hinge(), fnn.Loss.get("mse"),
    ]  # fmt: skip


def main() -> None:
    X, y = fnn.datasets.load_digits()
    X, y = X[y < 3][:100], y[y < 3][:100]
    net, graph, single = networks()
    history = train(net, X, y)
    assert search(net, X, y) > 0 and history.seconds and history.learning_rates
    use(net, X, y)
    assert len(displays(net, history)) == 5
    with TemporaryDirectory() as folder:
        save(graph, Path(folder))
    graph.build()
    first, second = graph.predict([X[:, :4], X[:, 4:8]])
    assert first.shape == (100, 1) and second.shape == (100, 2)
    single.fit(X[:, 0], X[:, 1], callbacks=EarlyEnd(0.0))
    for thing in (*optimizers(), *losses(), fnn.Dense(3), fnn.metrics.MAE(), fnn.initializers.Orthogonal(gain=2.0)):
        config: dict[str, Any] = thing.config()
        assert type(thing).from_config(config) == thing
    try:
        net.predict(X[:, :1])
    except fnn.ShapeError as error:
        assert isinstance(error, fnn.FastnnError)
    assert fnn.show_config()["fastnn"] == fnn.__version__ and repr(history)


if __name__ == "__main__":
    main()
