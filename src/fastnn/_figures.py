"""What the outputs of a network are measured by: the loss of each output, metrics, and the names of these figures."""

from __future__ import annotations

import numpy as np

from .losses import DEFAULTS, Loss


def losses_of(graph, loss) -> list[Loss]:
    """The loss of each output, its default taken from the last activation, checked against it."""
    given = loss if isinstance(loss, list) else [loss] * len(graph.outputs)
    if len(given) != len(graph.outputs):
        raise ValueError(f"loss: the network has {len(graph.outputs)} outputs, got {len(given)} losses")
    losses = []
    for loss, output in zip(given, graph.outputs, strict=True):
        last = graph.last_activation(output)
        activation = "" if last is None else last.activation
        loss = loss or Loss.get(DEFAULTS.get(activation, "mse"))
        loss.check_output(output.shape)
        if activation in loss.rejects:
            fits = next(name for name, default in DEFAULTS.items() if default == loss.name)
            fix = f"take {fits} or a linear last layer"
            raise ValueError(f"loss {loss.name!r} does not fit after {activation}; {fix}")
        losses.append(loss)
    return losses


def predictions(graph, losses, outputs) -> list:
    """The outputs as metrics see them: probabilities where the loss takes logits."""
    last = [graph.last_activation(value) for value in graph.outputs]
    return [
        loss.prediction(output, "" if op is None else op.activation)
        for loss, output, op in zip(losses, outputs, last, strict=True)
    ]


def check(metrics, losses, *parts):
    """A metric that these samples do not fit is an error now, not after the first epoch."""
    if not metrics:
        return
    for samples in filter(None, parts):
        made_up = [np.zeros((1, *value.shape)) for value in samples.graph.outputs]
        for i, output in enumerate(predictions(samples.graph, losses, made_up)):
            target, _, sample_weight = samples.measured(i)
            shape = output.shape[1:] if samples.masks[i] is None else output.shape[2:]
            for metric in metrics:
                metric.check(target, shape, sample_weight)


def names(metrics, outputs: int, validated: bool) -> tuple[str, ...]:
    """What an epoch records, by name; with several outputs each metric for each of them, as name_0, name_1."""
    found = ["loss", *(metric.name + suffix for suffix in _suffixes(outputs) for metric in metrics)]
    return (*found, *(f"val_{name}" for name in found if validated))


def measure(metrics, losses, samples, outputs) -> dict:
    """The metrics of these outputs, by name."""
    if not metrics:
        return {}
    seen = predictions(samples.graph, losses, outputs)
    return {
        metric.name + suffix: metric(*samples.measured(i, prediction))
        for i, (prediction, suffix) in enumerate(zip(seen, _suffixes(len(outputs)), strict=True))
        for metric in metrics
    }


def _suffixes(outputs):
    return [f"_{i}" for i in range(outputs)] if outputs > 1 else [""]
