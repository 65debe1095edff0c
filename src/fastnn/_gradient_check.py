"""The gradients of training beside central differences, in float64 on a copy of the parameters.

For users whose layers, activations or losses are Python: everything else has its own tests. What is compared are
programs of training, so penalties and the statistics of the batch take part.
"""

from __future__ import annotations

import numpy as np

from . import _figures, _programs
from ._inspect import differentiable

CLOSER = 100  # how much nearer the two points are where a first look finds a difference
SHARE = 1e-3  # of the largest gradient: below, the error is relative to this
NOISE = 1e-8  # of the loss: a difference of two losses tells no gradient below from 0


class ElementCheck:
    """The element of one parameter whose error is largest.

    error: |gradient - difference| / max(|gradient|, |difference|, a thousandth of the network's largest gradient).
    """

    __slots__ = ("name", "index", "gradient", "difference", "error", "checked")

    def __init__(
        self, name: str, index: tuple[int, ...], gradient: float, difference: float, error: float, checked: int
    ) -> None:
        self.name, self.index, self.gradient, self.difference = name, index, gradient, difference
        self.error, self.checked = error, checked

    def __repr__(self) -> str:
        place = f"[{', '.join(map(str, self.index))}]"
        return f"{self.name}{place}: gradient {self.gradient:.6g}, difference {self.difference:.6g}"


class GradientCheck:
    """What `Network.gradient_check` found.

    ok: whether no error is above the tolerance; error: the largest; worst: the element that has it; parameters: {name:
    its worst element}, "X" being the inputs; suspect: the part in Python that the differences point to, or "".
    """

    def __init__(self, parameters: dict[str, ElementCheck], epsilon: float, tolerance: float, suspect: str) -> None:
        self.parameters, self.epsilon, self.tolerance, self.suspect = parameters, epsilon, tolerance, suspect

    @property
    def worst(self) -> ElementCheck:
        return max(self.parameters.values(), key=lambda one: one.error)

    @property
    def error(self) -> float:
        return self.worst.error

    @property
    def ok(self) -> bool:
        return self.error <= self.tolerance

    def __repr__(self) -> str:
        width = max(len(name) for name in self.parameters)
        lines = [f"gradients {'agree with' if self.ok else 'DIFFER from'} central differences"]
        for name, one in self.parameters.items():
            mark = "" if one.error <= self.tolerance else f"  <- {one!r}"
            lines.append(f"  {name.ljust(width)}  error {one.error:.1e} of {one.checked} elements{mark}")
        if self.suspect:
            lines.append(f"look at {self.suspect}")
        return "\n".join(lines)


def check(network, state, X, y, sample_weight, count, epsilon, tolerance) -> GradientCheck:
    """Compares `count` elements of every parameter, and of X; the network's state is only read."""
    twin = _twin(network, state)
    losses, samples = _figures.losses_of(twin.graph, network.loss), network._samples(twin, X, y, sample_weight)
    samples.inputs[:] = [array.copy() for array in samples.inputs]
    compared = _Compared(twin, samples, losses, state.steps)
    wrong, parameters = set(), {}
    for name, (values, gradient, source) in compared.parts.items():
        parameters[name] = compared.worst(name, values, gradient, count, epsilon, tolerance)
        if parameters[name].error > tolerance:
            wrong.add(source)
    return GradientCheck(parameters, epsilon, tolerance, _suspect(samples.graph, losses, wrong))


def _twin(network, state):
    """The same parameters in float64."""
    shapes = tuple(value.shape for value in state.graph.inputs)
    graph = network._structure.plan(shapes)
    twin = _programs.State(network._structure, graph, np.dtype("float64"), "highest", network._seed)
    twin.memory.params[:], twin.memory.state[:] = state.memory.params, state.memory.state
    return twin


class _Compared:
    """One training program over all samples: the loss as a function of parameters and inputs, and its gradients.

    parts: {name: (values, which may be changed, their gradient, the Param or Value they belong to)}
    """

    def __init__(self, twin, samples, losses, step):
        graph, count = samples.graph, len(twin.graph.inputs)
        toward = differentiable(graph, graph.inputs[:count])
        _, compiled = twin.take(
            "gradient", samples.n, graph=graph, losses=losses, targets=samples.kinds, weighted=bool(samples.weights),
            toward=toward,
        )  # fmt: skip
        compiled.feed(samples.inputs, samples.targets, samples.weights)
        self.program, self.step = compiled.program, step
        self.program.set_rows(samples.n, False)
        twin.memory.grads[:] = 0.0  # parameters that no loss depends on have no gradient of their own
        self.size = abs(self.loss())
        self.parts = {}
        for i, value in enumerate(graph.inputs[:count]):
            found = compiled.array(value, "gradient") if value in toward else None
            if found is not None:
                name = "X" if count == 1 else f"X[{i}]"
                self.parts[name] = samples.inputs[i], found.copy(), value
        for name, param in graph.params.items():
            self.parts[name] = param.view(twin.memory.params), param.view(twin.memory.grads).copy(), param
        self.largest = max((float(np.abs(gradient).max()) for _, gradient, _ in self.parts.values()), default=0.0)

    def loss(self):
        self.program.reset()
        self.program.gradients(self.step)
        return self.program.last_loss

    def worst(self, name, values, gradient, count, epsilon, tolerance):
        """The element of one part with the largest error, of `count` that are looked at."""
        size = values.size
        places = np.arange(size)
        if count is not None and count < size:
            places = np.sort(np.random.default_rng(size).choice(size, count, replace=False))
        found = []
        for place in places:
            index = tuple(int(i) for i in np.unravel_index(place, values.shape))
            exact = float(gradient[index])
            looks = [self.look(values, index, exact, epsilon)]
            if not looks[0][0] <= tolerance:
                looks.append(self.look(values, index, exact, epsilon / CLOSER))
            error, difference = min(looks)
            found.append((error, index, exact, difference))
        error, index, exact, difference = max(found)
        return ElementCheck(name, index, exact, difference, error, len(found))

    def look(self, values, index, gradient, epsilon):
        """(error, central difference) at one element."""
        value = values[index]
        values[index] = high = value + epsilon
        above = self.loss()
        values[index] = low = value - epsilon
        below = self.loss()
        values[index] = value
        difference = (above - below) / float(high - low)
        if not np.isfinite(difference - gradient):
            return np.inf, difference
        floor = max(SHARE * self.largest, NOISE * max(self.size, 1.0))
        return abs(gradient - difference) / max(abs(gradient), abs(difference), floor), difference


def _suspect(graph, losses, wrong):
    """The parts in Python that the parameters and inputs with wrong gradients point to, "" if there are none.

    A backward that hands on a wrong gradient spoils all before it: so it is the last op with a wrong gradient of its
    own, or one behind that, as far as the first whose own gradients are right.
    """
    if not wrong:
        return ""
    last = max((op.number for op in graph.ops if not wrong.isdisjoint(op.params.values())), default=0)
    suspects = {}
    for op in graph.ops[last:]:
        if op.kind.startswith("python"):
            suspects[op.where] = None
        if op.params and wrong.isdisjoint(op.params.values()):
            break
    else:
        if any(loss.op("real")[0] == "python_loss" for loss in losses):
            suspects["the loss"] = None
    return " or ".join(suspects)
