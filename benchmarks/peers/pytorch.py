"""PyTorch. Eager: plain layers, the fused Adam, denormals flushed. Compiled: the whole step, gather and optimizer
included, as one graph, which on a small network takes a fifth of the time of compiling the model alone; prediction
ahead of time, without the guards."""

import tempfile
from functools import partial
from pathlib import Path

from machine import has_feature

from .base import BETAS, EPSILON, LEARNING_RATE, THREADS, Peer, Reduced, Unfit


def ready():
    """torch, on its threads."""
    import torch

    torch.set_num_threads(THREADS)
    torch.set_flush_denormal(True)
    return torch


class TorchEager(Peer):
    name = "PyTorch eager"
    architectures = True

    def version(self):
        import torch

        return torch.__version__

    def model(self, rung):
        torch = ready()
        if hasattr(rung, "layers"):
            from .torch_models import module

            return module(rung)
        steps = []
        for weight, bias in rung.weights:
            layer = torch.nn.Linear(*weight.shape)
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(weight.T))
                layer.bias.copy_(torch.from_numpy(bias))
            steps += [layer, torch.nn.ReLU()]
        return torch.nn.Sequential(*steps[:-1])

    def samples(self, rung, X, channels_last=False):
        """What the model takes."""
        torch = ready()
        if hasattr(rung, "layers"):
            from .torch_models import arranged

            return arranged(X, rung, channels_last)
        return torch.from_numpy(X)

    def train(self, rung, shuffle=True):
        ways = {way: partial(self.epochs, rung, shuffle, way) for way in ("gather a batch", "gather an epoch")}
        if hasattr(rung, "layers"):  # where the gather is next to nothing
            ways.pop("gather an epoch")
            if rung.images:
                ways["channels last"] = partial(self.epochs, rung, shuffle, "channels last")
        return ways

    def epochs(self, rung, shuffle, way, compiled=False):
        torch = ready()
        model = self.model(rung)
        if way == "channels last":
            model = model.to(memory_format=torch.channels_last)
        if compiled:
            model = torch.compile(model)
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, betas=BETAS, eps=EPSILON, fused=True)
        X, y = rung.data
        X, y = self.samples(rung, X, way == "channels last"), torch.from_numpy(y)
        loss_of = torch.nn.functional.cross_entropy if rung.classes else torch.nn.functional.mse_loss

        def batches():
            order = torch.randperm(rung.rows) if shuffle else torch.arange(rung.rows)
            if way == "gather an epoch":
                return zip(*(array.index_select(0, order).split(rung.batch) for array in (X, y)), strict=True)
            return ((X.index_select(0, rows), y.index_select(0, rows)) for rows in order.split(rung.batch))

        def run():
            losses = []
            for x, target in batches():
                optimizer.zero_grad(set_to_none=True)
                loss = loss_of(model(x), target)
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
            return torch.stack(losses).mean().item()

        return run

    def predict(self, rung):
        if hasattr(rung, "layers"):
            last = {"channels last": partial(self.modules, rung, True)} if rung.images else {}
            return {"modules": partial(self.modules, rung), **last}
        return {"modules": partial(self.modules, rung), "functions": partial(self.functions, rung)}

    def modules(self, rung, channels_last=False):
        torch = ready()
        model = self.model(rung).eval()
        if channels_last:
            model = model.to(memory_format=torch.channels_last)
        if rung.classes:
            model.append(torch.nn.Softmax(1))
        data = self.samples(rung, rung.data, channels_last).numpy()  # arranged ahead, as its users have it

        @torch.inference_mode()
        def run():
            return model(torch.from_numpy(data)).numpy()

        return run

    def functions(self, rung):
        torch = ready()
        from torch.nn.functional import linear

        *hidden, last = [(torch.from_numpy(w.T.copy()), torch.from_numpy(b)) for w, b in rung.weights]

        def run():
            x = torch.from_numpy(rung.data)
            for weight, bias in hidden:
                x = linear(x, weight, bias).relu_()
            x = linear(x, *last)
            return (x.softmax(1) if rung.classes else x).numpy()

        return run

    def product(self, product):
        def make():
            torch = ready()
            a, b, out = (torch.from_numpy(array) for array in product.operands)
            a = a.T if product.orientation == "tn" else a
            b = b.T if product.orientation == "nt" else b
            return partial(torch.mm, a, b, out=out)

        return {"": make}


class TorchCompile(TorchEager):
    name = "PyTorch compile"

    def train(self, rung, shuffle=True):
        if hasattr(rung, "layers"):
            return {"model": partial(self.epochs, rung, shuffle, "gather a batch", compiled=True)}
        return {"whole step": partial(self.whole_step, rung, shuffle)}

    def whole_step(self, rung, shuffle):
        torch = ready()
        from torch.nn import functional

        torch._dynamo.reset()  # it allows a function eight compilations, and this one has one or two on every rung

        X, y = (torch.from_numpy(array) for array in rung.data)
        loss_of = functional.cross_entropy if rung.classes else functional.mse_loss
        params = [torch.from_numpy(array.T.copy()) for layer in rung.weights for array in layer]
        means, squares = ([torch.zeros_like(p) for p in params] for _ in range(2))
        count, total = torch.zeros(()), torch.zeros(())

        def forward(params, x, target):
            for weight, bias in zip(params[:-2:2], params[1:-2:2], strict=True):
                x = functional.linear(x, weight, bias).relu()
            return loss_of(functional.linear(x, *params[-2:]), target)

        gradients_and_loss = torch.func.grad_and_value(forward)

        @partial(torch.compile, fullgraph=True, dynamic=False, options={"cpp_wrapper": True})
        def step(params, means, squares, count, total, rows):
            gradients, loss = gradients_and_loss(params, X[rows], y[rows])
            count.add_(1)
            rate, root = LEARNING_RATE / (1 - BETAS[0] ** count), torch.rsqrt(1 - BETAS[1] ** count)
            for p, m, v, g in zip(params, means, squares, gradients, strict=True):
                m.mul_(BETAS[0]).add_(g, alpha=1 - BETAS[0])
                v.mul_(BETAS[1]).addcmul_(g, g, value=1 - BETAS[1])
                p.sub_(rate * m / (v.sqrt() * root + EPSILON))
            total.add_(loss)

        @torch.no_grad()
        def run():
            total.zero_()
            order = torch.randperm(rung.rows) if shuffle else torch.arange(rung.rows)
            for rows in order.split(rung.batch):
                step(params, means, squares, count, total, rows)
            return total.item() / rung.steps

        return run

    def predict(self, rung):
        return {"ahead of time": partial(self.ahead_of_time, rung)}

    def ahead_of_time(self, rung):
        torch = ready()
        from torch._inductor import aoti_compile_and_package, aoti_load_package

        model = self.model(rung).eval().requires_grad_(False)
        if rung.classes:
            model.append(torch.nn.Softmax(1))
        with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
            data = self.samples(rung, rung.data).numpy()
            exported = torch.export.export(model, (torch.from_numpy(data),))
            call = aoti_load_package(aoti_compile_and_package(exported, package_path=str(Path(folder, "network.pt2"))))
        return lambda: call(torch.from_numpy(data)).numpy()

    def product(self, product):
        raise Unfit


class TorchMedium(Reduced, TorchEager):
    """Eager with products of bfloat16, to be compared with fastnn's "medium"."""

    name = "PyTorch medium"

    def version(self):
        import torch

        if not has_feature("avx512_bf16"):
            raise Unfit("its products are float32 on this CPU")
        torch.set_float32_matmul_precision("medium")
        return torch.__version__
