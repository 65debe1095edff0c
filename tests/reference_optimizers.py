"""The specification of what happens to gradients and weights: penalties, clipping, optimizer steps, max-norm.

Optimizers follow PyTorch's definitions. Each is a function of (p, g, state, **options) that returns the new p;
`state` is a dict that the step keeps, empty at first.
"""

import math

import numpy as np

# ---- penalties, clipping, max-norm -----------------------------------------------------------------------------------


def penalty(weight, l1=0.0, l2=0.0):
    """Return l2 sum(w^2) + l1 sum|w| and its gradient."""
    loss = l2 * (weight**2).sum() + l1 * np.abs(weight).sum()
    return loss, 2.0 * l2 * weight + l1 * np.sign(weight)


def clip_by_norm(gradients, limit):
    """Scale all gradients by limit / (norm + 1e-6), if that is below 1; the norm is that of all of them together."""
    norm = math.sqrt(sum((g**2).sum() for g in gradients.values()))
    factor = min(1.0, limit / (norm + 1e-6))
    return {name: g * factor for name, g in gradients.items()}


def clip_by_value(gradients, limit):
    return {name: np.clip(g, -limit, limit) for name, g in gradients.items()}


def max_norm(weight, limit):
    """Scale the columns whose Euclidean norm is above limit down to it."""
    norm = np.sqrt((weight**2).reshape(-1, weight.shape[-1]).sum(axis=0))
    return weight * np.where(norm > limit, limit / np.where(norm > 0, norm, 1.0), 1.0)


# ---- optimizer steps -------------------------------------------------------------------------------------------------


def sgd(p, g, state, learning_rate=0.01, momentum=0.0, nesterov=False, weight_decay=0.0):
    g = g + weight_decay * p
    if momentum:
        state["velocity"] = velocity = momentum * state.get("velocity", 0.0) + g
        g = g + momentum * velocity if nesterov else velocity
    return p - learning_rate * g


def rmsprop(p, g, state, learning_rate=0.01, alpha=0.99, epsilon=1e-8, momentum=0.0, centered=False, weight_decay=0.0):
    g = g + weight_decay * p
    state["square"] = variance = alpha * state.get("square", 0.0) + (1.0 - alpha) * g * g
    if centered:
        state["mean"] = mean = alpha * state.get("mean", 0.0) + (1.0 - alpha) * g
        variance = variance - mean * mean
    step = g / (np.sqrt(variance) + epsilon)
    if momentum:
        state["velocity"] = step = momentum * state.get("velocity", 0.0) + step
    return p - learning_rate * step


def adagrad(p, g, state, learning_rate=0.01, initial_accumulator=0.0, epsilon=1e-10, weight_decay=0.0):
    g = g + weight_decay * p
    state["square"] = square = state.get("square", initial_accumulator) + g * g
    return p - learning_rate * g / (np.sqrt(square) + epsilon)


def adam(p, g, state, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0):
    g = g + weight_decay * p
    state["step"] = step = state.get("step", 0) + 1
    state["m"] = m = beta1 * state.get("m", 0.0) + (1.0 - beta1) * g
    state["v"] = v = beta2 * state.get("v", 0.0) + (1.0 - beta2) * g * g
    m_hat, v_hat = m / (1.0 - beta1**step), v / (1.0 - beta2**step)
    return p - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon)


def adamw(p, g, state, learning_rate=0.001, weight_decay=0.01, **options):
    return adam(p * (1.0 - learning_rate * weight_decay), g, state, learning_rate, **options)


def rprop(p, g, state, learning_rate=0.01, eta_minus=0.5, eta_plus=1.2, step_min=1e-6, step_max=50.0, weight_decay=0.0):
    g = g + weight_decay * p
    turn = g * state.get("previous", 0.0)
    factor = np.where(turn > 0, eta_plus, np.where(turn < 0, eta_minus, 1.0))
    state["size"] = size = np.clip(state.get("size", learning_rate) * factor, step_min, step_max)
    state["previous"] = g = np.where(turn < 0, 0.0, g)
    return p - np.sign(g) * size


OPTIMIZERS = {f.__name__: f for f in (sgd, rmsprop, adagrad, adam, adamw, rprop)}


def update(optimizer, weights, gradients, states):
    """One step of a fastnn optimizer object over {name: array}; `states` is {} at first. Returns the new weights."""
    options = optimizer.config()
    clip_norm, clip_value = options.pop("clip_norm"), options.pop("clip_value")
    if clip_norm is not None:
        gradients = clip_by_norm(gradients, clip_norm)
    if clip_value is not None:
        gradients = clip_by_value(gradients, clip_value)
    rule = OPTIMIZERS[optimizer.name]
    return {name: rule(w, gradients[name], states.setdefault(name, {}), **options) for name, w in weights.items()}
