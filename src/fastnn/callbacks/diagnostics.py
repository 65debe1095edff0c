"""Figures that tell how training goes inside: gradient norms, how far steps move the weights, units that are dead."""

from __future__ import annotations

import numpy as np

from .._data import positive_int
from .base import Callback

# Rules of thumb for `hints`: beyond these a look at the initialization, the learning rate or the clipping pays.
DEAD, SLOW, FAST, VANISHING, EXPLODING = 0.5, 1e-6, 1e-1, 1e-7, 1e3


class Diagnostics(Callback):
    """After each epoch: gradient norms, update-to-weight ratios, and the share of relu units that are dead.

    `records` is a list with a dict for each epoch, of dicts {name: number}:
        "gradient_norm": Euclidean norm of the gradient of each parameter on a fixed batch, before clipping.
        "update_ratio": |step| / |weight| of each parameter at the last step of the epoch; 1e-3 is usual.
        "dead": the share of the units of each relu layer whose output is 0 for all samples of the fixed batch.
    The fixed batch is the first samples of the training data; of a batch so large that it is trained in parts, "dead"
    looks at the first part. Listens to batches, since it looks at the last step of
    each epoch; nothing that it does changes the training.

    Args:
        samples: in the fixed batch, at most.

    >>> import fastnn as fnn
    >>> X, y = fnn.datasets.load_digits()
    >>> look = fnn.Diagnostics()
    >>> net = fnn.Network([fnn.Dense(16, "relu"), fnn.Dense(10, "softmax")], seed=0)
    >>> history = net.fit(X / 16, y, epochs=2, callbacks=look)
    >>> sorted(look.records[-1]), list(look.records[-1]["dead"])
    (['dead', 'gradient_norm', 'update_ratio'], ['layers.0'])
    >>> look.hints()
    []
    """

    def __init__(self, samples: int = 256) -> None:
        self.samples = positive_int(samples, "samples")
        self.records: list[dict[str, dict[str, float]]] = []

    def on_fit_begin(self):
        if not hasattr(self._trainer.loop, "accumulate"):
            raise ValueError("Diagnostics looks at the last step over arrays; solvers and batches one by one have none")
        self.records = []
        self._before = None
        loop = self._trainer.loop
        self._last = loop.batches - 1
        self._step_begin = self._last - self._last % loop.accumulate  # its step may gather several batches

    def on_batch_begin(self, batch):
        if batch == self._step_begin:
            self._before = self.network.params.copy()

    def on_batch_end(self, batch, logs):
        if batch == self._last:
            moved = self.network.params - self._before
            self._ratios = {
                name: _norm(param.flat(moved)) / max(_norm(param.flat(self._before)), np.finfo(np.float64).tiny)
                for name, param in self._trainer.state.graph.params.items()
            }

    def on_epoch_end(self, epoch, logs):
        norms, dead = self._look()
        self.records.append({"gradient_norm": norms, "update_ratio": self._ratios, "dead": dead})

    def _look(self):
        """Gradient norms and shares of dead units on the fixed batch; the network's own gradients stay."""
        trainer, state = self._trainer, self._trainer.state
        samples = trainer.samples.first(self.samples)
        taken = state.take(
            "gradient", samples.n, graph=samples.graph, losses=self.network.losses, targets=samples.kinds,
            weighted=bool(samples.weights), threads=trainer.threads,
        )  # fmt: skip
        compiled, kept = taken[1], state.memory.grads.copy()
        try:
            compiled.feed(samples.inputs, samples.targets, samples.weights)
            compiled.program.set_rows(samples.n, False)
            compiled.program.evaluate(0, 0.0)  # forward alone, after which all outputs are still there
            dead = {
                node.where.partition(" ")[0]: float((array == 0).reshape(-1, array.shape[-1]).all(axis=0).mean())
                for node, array in compiled.outputs()
                if node.activation == "relu"
            }
            compiled.program.gradients(state.steps)
            norms = {name: _norm(param.flat(state.memory.grads)) for name, param in state.graph.params.items()}
        finally:
            state.memory.grads[:] = kept
            state.give(taken)
        return norms, dead

    def hints(self) -> list[str]:
        """What stands out in the last epoch, with what may help; empty where nothing does."""
        if not self.records:
            return []
        last, found = self.records[-1], []
        for name, share in last["dead"].items():
            if share > DEAD:
                found.append(
                    f"{name}: {share:.0%} of the relu units are dead; lower the learning rate or take leaky_relu"
                )
        for name, norm in last["gradient_norm"].items():
            if norm < VANISHING:
                found.append(f"{name}: the gradient has a norm of {norm:.1g}; it may have vanished on its way back")
            elif norm > EXPLODING:
                found.append(f"{name}: the gradient has a norm of {norm:.1g}; scale the data or set clip_norm")
        for name, ratio in last["update_ratio"].items():
            if ratio > FAST:
                found.append(f"{name}: a step moves it by {ratio:.1g} of its size; lower the learning rate")
            elif ratio < SLOW:
                found.append(f"{name}: a step moves it by {ratio:.1g} of its size; raise the learning rate")
        return found


def _norm(vector):
    return float(np.linalg.norm(vector.astype(np.float64)))
