"""The libraries that are compared, each at its best honest setting, behind one interface.

    train(rung)   -> a function that trains one epoch (a new order of the rows each time) and returns its mean loss
    predict(rung) -> a function that predicts the rung's rows, from a NumPy array to a NumPy array

A peer that cannot be imported is missing from the table and named. How many threads a peer may take is in its process's
environment before it is imported; see worker.py.
"""

import os

import numpy as np

THREADS = int(os.environ.get("BENCH_THREADS", "1"))
BETAS = (0.9, 0.999)
RATE, EPSILON = 1e-3, 1e-8


class Peer:
    name = ""
    epochs = 1  # of one call of the function that train returns

    def version(self):
        raise LookupError

    def train(self, rung):
        raise LookupError(f"{self.name} does not train")

    def predict(self, rung):
        raise LookupError(f"{self.name} does not predict")


class Fastnn(Peer):
    name = "fastnn"
    precision = "highest"

    def version(self):
        import fastnn

        return f"{fastnn.__version__} ({fastnn._core.binding.target_name()})"

    def network(self, rung, last=None):
        import fastnn as fnn

        *hidden, end = rung.sizes[1:]
        layers = [fnn.Dense(units, "relu") for units in hidden] + [fnn.Dense(end, last)]
        net = fnn.Network(layers, input_shape=rung.sizes[0], seed=0, precision=self.precision)
        weights = {}
        for i, (weight, bias) in enumerate(rung.weights):
            weights[f"layers.{i}.weight"], weights[f"layers.{i}.bias"] = weight, bias
        net.set_weights(weights)
        return net

    def train(self, rung):
        X, y = rung.data
        net = self.network(rung, "softmax" if rung.classes else None)
        # One call trains many epochs of the shortest rungs, as a user does; the others' loops are their users' too.
        self.epochs = max(1, 2000 // rung.steps) if sum(rung.sizes) < 200 else 1

        def run():
            history = net.fit(X, y, epochs=self.epochs, batch_size=rung.batch, threads=THREADS, verbose=0)
            return history["loss"][0]

        return run

    def predict(self, rung):
        net, x = self.network(rung, "softmax" if rung.classes else None), rung.data
        if rung.rows == 1:
            return lambda: net.predict(x)
        return lambda: net.predict(x, threads=THREADS)


class FastnnPredictor(Fastnn):
    name = "fastnn predictor()"

    def train(self, rung):
        raise LookupError

    def predict(self, rung):
        if rung.rows != 1:
            raise LookupError
        predictor, x = self.network(rung, "softmax" if rung.classes else None).predictor(), rung.data
        return lambda: predictor(x)


class TorchEager(Peer):
    name = "PyTorch eager"

    def version(self):
        import torch

        return torch.__version__

    def model(self, rung):
        import torch
        from torch import nn

        torch.set_num_threads(THREADS)
        steps = []
        for inputs, units in zip(rung.sizes, rung.sizes[1:], strict=False):
            steps += [nn.Linear(inputs, units), nn.ReLU()]
        model = nn.Sequential(*steps[:-1])
        with torch.no_grad():
            for layer, (weight, bias) in zip(model[::2], rung.weights, strict=True):
                layer.weight.copy_(torch.from_numpy(weight.T.copy()))
                layer.bias.copy_(torch.from_numpy(bias))
        return model

    def train(self, rung):
        import torch
        from torch.nn import functional

        model = self.compiled(self.model(rung))
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE, betas=BETAS, eps=EPSILON, fused=True)
        X, y = (torch.from_numpy(array) for array in rung.data)
        loss_of = functional.cross_entropy if rung.classes else functional.mse_loss
        total = torch.zeros(())

        def run():
            total.zero_()
            order = torch.randperm(rung.rows)
            for start in range(0, rung.rows, rung.batch):
                index = order[start : start + rung.batch]
                optimizer.zero_grad(set_to_none=True)
                loss = loss_of(model(X[index]), y[index])
                loss.backward()
                optimizer.step()
                total.add_(loss.detach())
            return total.item() / rung.steps

        return run

    def compiled(self, model):
        return model

    def predict(self, rung):
        import torch

        model = self.compiled(self.model(rung).eval())
        x = rung.data

        def run():
            with torch.inference_mode():
                y = model(torch.from_numpy(x))
                return (torch.softmax(y, 1) if rung.classes else y).numpy()

        return run


class TorchCompile(TorchEager):
    name = "PyTorch compile"

    def compiled(self, model):
        import torch

        return torch.compile(model)


class Jax(Peer):
    name = "JAX"

    def version(self):
        import jax

        return jax.__version__

    def train(self, rung):
        import jax
        import jax.numpy as jnp

        X, y = (jnp.asarray(array) for array in rung.data)
        params = jax.tree.map(jnp.asarray, rung.weights)

        def forward(params, x):
            for weight, bias in params[:-1]:
                x = jax.nn.relu(x @ weight + bias)
            weight, bias = params[-1]
            return x @ weight + bias

        def loss_of(params, x, y):
            out = forward(params, x)
            if rung.classes:
                return -jnp.take_along_axis(jax.nn.log_softmax(out), y[:, None], 1).mean()
            return ((out - y) ** 2).mean()

        def step(carry, index):
            params, m, v, t = carry
            loss, grads = jax.value_and_grad(loss_of)(params, X[index], y[index])
            t = t + 1
            m = jax.tree.map(lambda m, g: BETAS[0] * m + (1 - BETAS[0]) * g, m, grads)
            v = jax.tree.map(lambda v, g: BETAS[1] * v + (1 - BETAS[1]) * g * g, v, grads)
            rate, root = RATE / (1 - BETAS[0] ** t), 1 / jnp.sqrt(1 - BETAS[1] ** t)
            params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) * root + EPSILON), params, m, v)
            return (params, m, v, t), loss

        @jax.jit
        def epoch(carry, key):
            key, use = jax.random.split(key)
            order = jax.random.permutation(use, rung.rows).reshape(rung.steps, rung.batch)
            carry, losses = jax.lax.scan(step, carry, order)
            return carry, key, losses.mean()

        zeros = jax.tree.map(jnp.zeros_like, params)
        state = [(params, zeros, zeros, jnp.float32(0)), jax.random.key(0)]

        def run():
            state[0], state[1], loss = epoch(*state)
            return float(loss)

        return run

    def predict(self, rung):
        import jax
        import jax.numpy as jnp

        params, x = jax.tree.map(jnp.asarray, rung.weights), rung.data

        @jax.jit
        def forward(params, x):
            for weight, bias in params[:-1]:
                x = jax.nn.relu(x @ weight + bias)
            weight, bias = params[-1]
            x = x @ weight + bias
            return jax.nn.softmax(x) if rung.classes else x

        return lambda: np.asarray(forward(params, x))


class Sklearn(Peer):
    name = "scikit-learn"

    def version(self):
        import sklearn

        return sklearn.__version__

    def estimator(self, rung):
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        if len(rung.sizes) < 3:
            raise LookupError("needs a hidden layer")
        kind = MLPClassifier if rung.classes else MLPRegressor
        return kind(hidden_layer_sizes=rung.sizes[1:-1], alpha=0.0, batch_size=min(rung.batch, rung.rows), max_iter=1, learning_rate_init=RATE)

    def train(self, rung):
        model = self.estimator(rung)
        X, y = rung.data
        y = y if rung.classes else y.ravel()
        options = {"classes": np.arange(10)} if rung.classes else {}

        def run():
            model.partial_fit(X, y, **options)
            # Its regression loss is half of the mean squared error.
            return model.loss_ if rung.classes else 2 * model.loss_

        return run

    def predict(self, rung):
        model = self.estimator(Like(rung, 200))
        rng = np.random.default_rng(0)
        X = rng.standard_normal((200, rung.sizes[0]), dtype=np.float32)
        if rung.classes:
            model.partial_fit(X, rng.integers(0, 10, 200), classes=np.arange(10))
            return lambda: model.predict_proba(rung.data)
        model.partial_fit(X, X[:, 0])
        return lambda: model.predict(rung.data)


class Like:
    """A rung with a batch, for estimators that learn their shapes by fitting."""

    def __init__(self, rung, batch):
        self.sizes, self.classes, self.batch, self.rows = rung.sizes, rung.classes, batch, batch


class OnnxRuntime(Peer):
    name = "ONNX Runtime"

    def version(self):
        import onnx  # noqa: F401  (builds the model)
        import onnxruntime

        return onnxruntime.__version__

    def predict(self, rung):
        import onnx
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper

        nodes, constants, value = [], [], "x"
        last = len(rung.weights) - 1
        for i, (weight, bias) in enumerate(rung.weights):
            constants += [numpy_helper.from_array(weight, f"w{i}"), numpy_helper.from_array(bias, f"b{i}")]
            nodes.append(helper.make_node("Gemm", [value, f"w{i}", f"b{i}"], [f"z{i}"]))
            value = f"z{i}"
            kind = "Relu" if i < last else "Softmax" if rung.classes else None
            if kind:
                nodes.append(helper.make_node(kind, [value], [f"a{i}"]))
                value = f"a{i}"
        graph = helper.make_graph(
            nodes, "network",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", rung.sizes[0]])],
            [helper.make_tensor_value_info(value, TensorProto.FLOAT, ["n", rung.sizes[-1]])],
            constants,
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names, x = [value], rung.data
        return lambda: session.run(names, {"x": x})[0]


class NumPy(Peer):
    name = "NumPy"

    def version(self):
        return np.__version__

    def train(self, rung):
        if not rung.classes:
            raise LookupError("written for cross entropy")
        from fastnn.benchmark.numpy_network import Network

        X, y = rung.data
        last = len(rung.weights) - 1
        layers = [(w.copy(), b.copy(), "softmax" if i == last else "relu") for i, (w, b) in enumerate(rung.weights)]
        net = Network(layers, rung.batch, dtype=np.float32)
        rng = np.random.default_rng(0)

        def run():
            return net.train_epoch(X, y, rng.permutation(rung.rows))

        return run


PEERS = [Fastnn, FastnnPredictor, NumPy, TorchEager, TorchCompile, Jax, Sklearn, OnnxRuntime]
