"""Networks of other libraries become fastnn's and predict the same; what has no counterpart is named and refused."""

import numpy as np
import pytest

import fastnn as fnn

RNG = np.random.default_rng(0)
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def assert_predicts(net, X, expected):
    assert np.abs(expected).max() > 1e-2  # or it shows nothing
    np.testing.assert_allclose(net.predict(X), expected, **TOLERANCE)


# ---- scikit-learn --------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("outputs", ["classes", "two classes", "labels", "real", "reals"])
def test_scikit_learn(activation, outputs):
    neural_network = pytest.importorskip("sklearn.neural_network")
    X = RNG.normal(size=(60, 4))
    y = {
        "classes": np.arange(60) % 3, "two classes": np.arange(60) % 2, "labels": RNG.integers(0, 2, (60, 3)),
        "real": X[:, 0] * 2, "reals": X[:, :2] * 2,
    }[outputs]  # fmt: skip
    kind = neural_network.MLPRegressor if outputs.startswith("real") else neural_network.MLPClassifier
    estimator = kind(hidden_layer_sizes=(8, 5), activation=activation, max_iter=20, random_state=0).fit(X, y)
    net = fnn.from_sklearn(estimator)
    assert net.dtype == np.float64
    if outputs.startswith("real"):
        expected = estimator.predict(X).reshape(60, -1)
    else:
        expected = estimator.predict_proba(X)
        expected = expected[:, 1:] if outputs == "two classes" else expected
    assert_predicts(net, X, expected)
    assert_predicts(fnn.from_sklearn(estimator, dtype="float32"), X, expected)


@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_refusals():
    neural_network = pytest.importorskip("sklearn.neural_network")
    with pytest.raises(fnn.NotFittedError, match="fit it first"):
        fnn.from_sklearn(neural_network.MLPClassifier())
    with pytest.raises(TypeError, match="takes an MLPClassifier or MLPRegressor, got list"):
        fnn.from_sklearn([])
    estimator = neural_network.MLPRegressor(hidden_layer_sizes=(3,), max_iter=5).fit(np.ones((5, 2)), np.ones(5))
    estimator.out_activation_ = "exp"
    with pytest.raises(ValueError, match="activation 'exp' has no counterpart"):
        fnn.from_sklearn(estimator)


# ---- PyTorch -------------------------------------------------------------------------------------------------------


def torch_cases():
    """(name, function from torch.nn to a module, shape of a sample as fastnn has it)."""
    return {
        "dense": (lambda nn: nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)), (5,)),
        "one module": (lambda nn: nn.Linear(5, 2, bias=False), (5,)),
        "nested": (
            lambda nn: nn.Sequential(nn.Sequential(nn.Linear(5, 4), nn.Tanh()), nn.Identity(), nn.Linear(4, 2)),
            (5,),
        ),
        "softmax": (lambda nn: nn.Sequential(nn.Linear(5, 4), nn.Softmax(dim=1)), (5,)),
        "activations": (
            lambda nn: nn.Sequential(
                *[
                    m
                    for a in (
                        nn.ReLU(),
                        nn.LeakyReLU(0.3),
                        nn.ELU(0.5),
                        nn.SELU(),
                        nn.GELU(),
                        nn.SiLU(),
                        nn.Sigmoid(),
                        nn.Tanh(),
                        nn.Softplus(),
                    )
                    for m in (nn.Linear(5, 5), a)
                ]
            ),
            (5,),
        ),
        "sequences": (lambda nn: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Flatten(), nn.Linear(24, 2)), (6, 3)),
        "conv2d": (
            lambda nn: nn.Sequential(
                nn.Conv2d(3, 4, (3, 2), stride=(1, 2), padding=1),
                nn.ReLU(),
                nn.MaxPool2d(2, padding=1),
                nn.Conv2d(4, 6, 2, groups=2, bias=False),
                nn.Flatten(),
                nn.Dropout(),
                nn.ReLU(),
                nn.LazyLinear(4),
                nn.Linear(4, 2),
            ),
            (7, 8, 3),
        ),
        "same padding": (
            lambda nn: nn.Sequential(
                nn.Conv2d(2, 3, (4, 3), padding="same", dilation=(1, 2)),
                nn.AvgPool2d(2),
                nn.Flatten(),
                nn.LazyLinear(2),
            ),
            (6, 5, 2),
        ),
        "mean pooling with padding": (
            lambda nn: nn.Sequential(
                nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), nn.Flatten(), nn.LazyLinear(3)
            ),
            (5, 4, 2),
        ),
        "global pooling": (
            lambda nn: nn.Sequential(nn.Conv2d(2, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)),
            (5, 6, 2),
        ),
        "global maximum": (
            lambda nn: nn.Sequential(nn.Conv2d(2, 4, 3), nn.AdaptiveMaxPool2d((1, 1)), nn.Flatten()),
            (5, 6, 2),
        ),
        "conv1d": (
            lambda nn: nn.Sequential(
                nn.Conv1d(2, 4, 3, padding=2, dilation=2),
                nn.GELU(),
                nn.MaxPool1d(2),
                nn.AvgPool1d(2),
                nn.Flatten(),
                nn.LazyLinear(3),
            ),
            (12, 2),
        ),
        "flatten first": (lambda nn: nn.Sequential(nn.Flatten(), nn.Linear(60, 3)), (4, 5, 3)),
        "conv1d global": (
            lambda nn: nn.Sequential(nn.Conv1d(2, 4, 3), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(4, 3)),
            (9, 2),
        ),
        "batch norm": (
            lambda nn: nn.Sequential(
                nn.Conv2d(3, 4, 3),
                nn.BatchNorm2d(4),
                nn.ReLU(),
                nn.Flatten(),
                nn.BatchNorm1d(48, affine=False),
                nn.Linear(48, 3),
                nn.BatchNorm1d(3),
            ),
            (5, 6, 3),
        ),
        "layer norm": (lambda nn: nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.Linear(4, 2)), (5,)),
        "embedding": (lambda nn: nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 3)), (6,)),
    }


LATER = {"batch norm": "BatchNorm", "layer norm": "LayerNorm", "embedding": "Embedding"}


def torch_module(make, shape, dtype="float32"):
    """A module whose every number is random, running statistics too, and samples: ours and theirs."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = make(torch.nn).to(getattr(torch, dtype))
    ids = any(type(one).__name__ == "Embedding" for one in module.modules())
    X = RNG.integers(0, 9, (4, *shape)) if ids else RNG.normal(size=(4, *shape)).astype(dtype)
    theirs = np.moveaxis(X, -1, 1) if len(shape) > 1 and not first_is_linear(module) else X
    theirs = torch.from_numpy(np.ascontiguousarray(theirs))
    with torch.no_grad():
        module.train()(theirs)
        for one in (*module.parameters(), *(b for n, b in module.named_buffers() if "running" in n)):
            one.copy_(torch.randn_like(one).abs() * 0.3 + 0.05)  # above zero: some are variances
        module.eval()
        return module, X, module(theirs).numpy()


def first_is_linear(module):
    return type(next(iter(module.modules() if not hasattr(module, "__iter__") else module))).__name__ == "Linear"


@pytest.mark.torch
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", torch_cases())
def test_pytorch(case, dtype):
    make, shape = torch_cases()[case]
    if case in LATER and not hasattr(fnn, LATER[case]):
        pytest.skip(f"no {LATER[case]}")
    module, X, expected = torch_module(make, shape, dtype)
    net = fnn.from_torch(module, input_shape=shape)
    assert net.dtype == np.dtype(dtype)
    assert_predicts(net, X, expected.reshape(expected.shape[0], *net.predict(X).shape[1:]))


@pytest.mark.torch
def test_pytorch_takes_the_input_shape_from_a_linear():
    module, X, expected = torch_module(*torch_cases()["dense"])
    assert_predicts(fnn.from_torch(module, loss="huber", seed=0), X, expected)
    module, _, _ = torch_module(*torch_cases()["conv2d"])
    with pytest.raises(fnn.ShapeError, match="give input_shape="):
        fnn.from_torch(module)


@pytest.mark.torch
def test_pytorch_state_dict_of_any_module():
    torch = pytest.importorskip("torch")

    class Skip(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.first = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 5)
            self.head = torch.nn.Linear(5, 2)

        def forward(self, x):
            x = torch.relu(self.conv(x)).mean((2, 3))
            x = torch.tanh(self.first(x))
            return self.head(x)

    module, X, expected = torch_module(lambda nn: Skip(), (5, 6, 3))
    layers = [fnn.Conv2D(4, 3, activation="relu"), fnn.GlobalAvgPool2D(), fnn.Dense(5, "tanh"), fnn.Dense(2)]
    for source in (module, module.state_dict(), {name: t.numpy() for name, t in module.state_dict().items()}):
        assert_predicts(fnn.from_torch(source, layers, input_shape=(5, 6, 3)), X, expected)
    with pytest.raises(ValueError, match=r"3 layers with weights \(conv, first, head\) for 2 layers that need some"):
        fnn.from_torch(module, layers[:-1], input_shape=(5, 6, 3))
    with pytest.raises(fnn.ShapeError, match=r"layers.2.weight has shape \(4, 6\), got \(4, 5\)"):
        fnn.from_torch(module, [*layers[:2], fnn.Dense(6), fnn.Dense(2)], input_shape=(5, 6, 3))


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("bias", [True, False])
def test_pytorch_recurrent(kind, bias):
    torch = pytest.importorskip("torch")
    if not hasattr(fnn, kind):
        pytest.skip(f"no {kind}")

    class Reader(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = getattr(torch.nn, kind)(3, 5, num_layers=2, batch_first=True, bias=bias)
            self.head = torch.nn.Linear(5, 2)

        def forward(self, x):
            return self.head(self.cell(x)[0][:, -1])

    torch.manual_seed(0)
    module, X = Reader(), RNG.normal(size=(4, 7, 3)).astype("float32")
    ours = getattr(fnn, kind)
    layers = [ours(5, return_sequences=True, use_bias=bias), ours(5, use_bias=bias), fnn.Dense(2)]
    with torch.no_grad():
        assert_predicts(fnn.from_torch(module, layers, input_shape=(7, 3)), X, module(torch.from_numpy(X)).numpy())


REFUSED = {
    "unknown": (
        lambda nn: nn.Sequential(nn.Linear(5, 5), nn.PReLU()),
        (5,),
        r"1 \(PReLU\) has no counterpart. Known: ",
    ),
    "gelu": (lambda nn: nn.Sequential(nn.Linear(5, 5), nn.GELU("tanh")), (5,), "approximate='tanh' has no counterpart"),
    "pool": (
        lambda nn: nn.MaxPool2d(2, ceil_mode=True),
        (4, 4, 1),
        "ceil_mode=True has no counterpart, only False has",
    ),
    "mean": (lambda nn: nn.AvgPool2d(2, padding=1), (4, 4, 1), "count_include_pad=True has no counterpart"),
    "padding": (lambda nn: nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), (4, 4, 1), "padding_mode='reflect'"),
    "flat end": (
        lambda nn: nn.Sequential(nn.Conv2d(2, 2, 1), nn.Flatten()),
        (4, 4, 2),
        "ends with a Flatten of images",
    ),
    "linear on images": (
        lambda nn: nn.Sequential(nn.Conv2d(2, 2, 1), nn.Linear(2, 2)),
        (2, 2, 2),
        "works on the last axis",
    ),
    "images after sequences": (
        lambda nn: nn.Sequential(nn.Linear(2, 4), nn.Conv1d(4, 4, 1)),
        (4, 2),
        "takes channels first in PyTorch",
    ),
}


@pytest.mark.torch
@pytest.mark.parametrize("case", REFUSED)
def test_pytorch_refusals(case):
    torch = pytest.importorskip("torch")
    make, shape, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        fnn.from_torch(make(torch.nn), input_shape=shape)


@pytest.mark.torch
def test_pytorch_modules_that_share_weights():
    torch = pytest.importorskip("torch")
    shared = torch.nn.Linear(4, 4)
    with pytest.raises(ValueError, match=r"2 \(Linear\) stands twice"):
        fnn.from_torch(torch.nn.Sequential(shared, torch.nn.ReLU(), shared))


def test_what_is_no_module():
    with pytest.raises(TypeError, match="a state dict does not say"):
        fnn.from_torch({"weight": np.ones((2, 2))})
    with pytest.raises(ValueError, match=r"the module \(list\) has no counterpart"):
        fnn.from_torch([])
    with pytest.raises(TypeError, match="layers: expected a list of fastnn layers"):
        fnn.from_torch({}, ["dense"])
    with pytest.raises(ValueError, match="0 has no 'weight', which layers.0"):
        fnn.from_torch({"0.bias": np.ones(2)}, [fnn.Dense(2)], input_shape=2)


# ---- Keras ---------------------------------------------------------------------------------------------------------


def keras_cases():
    """(function from keras.layers to a list of layers, shape of a sample)."""
    return {
        "dense": (lambda k: [k.Dense(6, "relu"), k.Dropout(0.3), k.Dense(3, "softmax", use_bias=False)], (5,)),
        "activations": (
            lambda k: [
                *(
                    k.Dense(5, name)
                    for name in ("tanh", "sigmoid", "elu", "selu", "gelu", "silu", "softplus", "leaky_relu")
                ),
                k.Activation("tanh"),
                k.Activation("leaky_relu"),
                k.ReLU(),
                k.Dense(5),
                k.ReLU(negative_slope=0.1),
                k.LeakyReLU(0.3),
                k.Dense(4),
                k.ELU(0.5),
                k.Softmax(),
            ],
            (5,),
        ),
        "conv2d": (
            lambda k: [
                k.Conv2D(4, (3, 2), strides=2, padding="same", activation="relu"),
                k.MaxPooling2D(2, padding="same"),
                k.Conv2D(6, 2, groups=2, use_bias=False),
                k.Flatten(),
                k.Dense(3),
            ],
            (11, 12, 2),
        ),
        "conv2d dilated": (
            lambda k: [k.Conv2D(3, 3, dilation_rate=2, padding="same"), k.GlobalMaxPooling2D()],
            (6, 5, 2),
        ),
        "conv1d": (
            lambda k: [
                k.Conv1D(4, 3, padding="same", activation="leaky_relu"),
                k.AveragePooling1D(2),
                k.MaxPooling1D(2, strides=1),
                k.GlobalAveragePooling1D(),
                k.Dense(2),
            ],
            (12, 2),
        ),
        "mean pooling": (
            lambda k: [k.AveragePooling2D((2, 3)), k.Reshape((-1, 3)), k.Dense(2), k.GlobalMaxPooling1D()],
            (6, 7, 3),
        ),
        "global pooling": (lambda k: [k.Conv2D(3, 2), k.GlobalAveragePooling2D()], (4, 4, 1)),
        "batch norm": (
            lambda k: [k.Conv2D(3, 2), k.BatchNormalization(), k.Flatten(), k.BatchNormalization(scale=False)],
            (4, 4, 1),
        ),
        "layer norm": (lambda k: [k.Dense(3), k.LayerNormalization()], (4,)),
        "embedding": (lambda k: [k.Embedding(9, 4), k.Dense(3)], (6,)),
        "rnn": (lambda k: [k.SimpleRNN(4, return_sequences=True), k.SimpleRNN(3, "relu")], (6, 2)),
        "lstm": (lambda k: [k.LSTM(4, return_sequences=True), k.LSTM(3, go_backwards=True)], (6, 2)),
        "gru": (lambda k: [k.GRU(4, return_sequences=True), k.GRU(3, use_bias=False)], (6, 2)),
    }


KERAS_LATER = {**LATER, "rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}


def keras_model(keras, layers, shape):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape), *layers])
    model.set_weights([np.abs(RNG.normal(size=w.shape)) * 0.3 + 0.05 for w in model.get_weights()])
    return model


@pytest.mark.keras
@pytest.mark.parametrize("case", keras_cases())
def test_keras(case, keras):
    make, shape = keras_cases()[case]
    if case in KERAS_LATER and not hasattr(fnn, KERAS_LATER[case]):
        pytest.skip(f"no {KERAS_LATER[case]}")
    model = keras_model(keras, make(keras.layers), shape)
    X = RNG.integers(0, 9, (4, *shape)) if case == "embedding" else RNG.normal(size=(4, *shape)).astype("float32")
    assert_predicts(fnn.from_keras(model), X, model.predict(X, verbose=0))


@pytest.mark.keras
def test_keras_refusals(keras):
    k = keras.layers
    for layers, shape, message in [
        ([k.Conv1D(2, 3, padding="causal")], (5, 2), "padding='causal' has no counterpart"),
        ([k.Dense(2, "hard_sigmoid")], (5,), "its activation 'hard_sigmoid' has no counterpart"),
        ([k.UpSampling2D()], (4, 4, 1), r"\(UpSampling2D\) has no counterpart. Known: Dense, "),
        ([k.ReLU(max_value=6.0)], (5,), "max_value=6.0 has no counterpart"),
    ]:
        with pytest.raises(ValueError, match=message):
            fnn.from_keras(keras_model(keras, layers, shape))
    with pytest.raises(fnn.NotFittedError, match="no weights yet"):
        fnn.from_keras(keras.Sequential([k.Dense(2)]))
    with pytest.raises(TypeError, match="takes a Sequential model"):
        fnn.from_keras(k.Dense(2))
    with pytest.raises(ValueError, match="samples of any length"):
        fnn.from_keras(keras.Sequential([keras.Input((None, 3)), k.Dense(2)]))
