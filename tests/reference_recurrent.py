"""The specification of recurrent layers, as in reference.py: one step of each cell, and sequences of steps.

A state is a list [h], for LSTM [h, c]. Gates lie side by side: GRU r, z, n; LSTM i, f, g, o.
"""

import numpy as np
from reference import ACTIVATIONS, sigmoid


def rnn_step(x, state, weight, recurrent, bias=0.0, *, activation="tanh"):
    [h] = state
    return [ACTIVATIONS[activation][0](x @ weight + bias + h @ recurrent)]


def rnn_step_backward(dstate, x, state, weight, recurrent, bias=0.0, *, activation="tanh"):
    """dx, the gradients of the states before the step, and those of weight, recurrent and bias."""
    [h], [dh] = state, dstate
    ds = dh * ACTIVATIONS[activation][1](x @ weight + bias + h @ recurrent)
    return ds @ weight.T, [ds @ recurrent.T], [x.T @ ds, h.T @ ds, ds.sum(axis=0)]


def gru_gates(x, h, weight, recurrent, bias, recurrent_bias):
    """r, z, n, and what r multiplies."""
    xr, xz, xn = np.split(x @ weight + bias, 3, axis=-1)
    hr, hz, hn = np.split(h @ recurrent + recurrent_bias, 3, axis=-1)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    return r, z, np.tanh(xn + r * hn), hn


def gru_step(x, state, weight, recurrent, bias=0.0, recurrent_bias=0.0):
    [h] = state
    _, z, n, _ = gru_gates(x, h, weight, recurrent, bias, recurrent_bias)
    return [(1 - z) * n + z * h]


def gru_step_backward(dstate, x, state, weight, recurrent, bias=0.0, recurrent_bias=0.0):
    [h], [dh] = state, dstate
    r, z, n, hn = gru_gates(x, h, weight, recurrent, bias, recurrent_bias)
    dn = dh * (1 - z) * (1 - n * n)
    dr, dz = dn * hn * r * (1 - r), dh * (h - n) * z * (1 - z)
    dx_sums, dh_sums = np.concatenate([dr, dz, dn], axis=-1), np.concatenate([dr, dz, dn * r], axis=-1)
    parameters = [x.T @ dx_sums, h.T @ dh_sums, dx_sums.sum(axis=0), dh_sums.sum(axis=0)]
    return dx_sums @ weight.T, [dh * z + dh_sums @ recurrent.T], parameters


def lstm_gates(x, h, weight, recurrent, bias):
    i, f, g, o = np.split(x @ weight + bias + h @ recurrent, 4, axis=-1)
    return sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)


def lstm_step(x, state, weight, recurrent, bias=0.0):
    h, c = state
    i, f, g, o = lstm_gates(x, h, weight, recurrent, bias)
    c = f * c + i * g
    return [o * np.tanh(c), c]


def lstm_step_backward(dstate, x, state, weight, recurrent, bias=0.0):
    (h, c), (dh, dc) = state, dstate
    i, f, g, o = lstm_gates(x, h, weight, recurrent, bias)
    t = np.tanh(f * c + i * g)
    dc = dc + dh * o * (1 - t * t)
    sums = [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * t * o * (1 - o)]
    ds = np.concatenate(sums, axis=-1)
    return ds @ weight.T, [ds @ recurrent.T, dc * f], [x.T @ ds, h.T @ ds, ds.sum(axis=0)]


CELLS = {
    "RNN": (rnn_step, rnn_step_backward),
    "GRU": (gru_step, gru_step_backward),
    "LSTM": (lstm_step, lstm_step_backward),
}


def passed(mask, now, before):
    """The states of the rows where the step counts; those before it of the others."""
    return [np.where(mask[:, None] != 0, a, b) for a, b in zip(now, before, strict=True)]


def recurrent_forward(cell, x, states, parameters, *, mask=None, reverse=False, **options):
    """h after every step, each at the place of its x, and the states before each step and after the last, in order."""
    rows, steps, _ = x.shape
    mask = np.ones((rows, steps)) if mask is None else mask
    y, history = np.empty((rows, steps, states[0].shape[1])), [states]
    for t in range(steps)[:: -1 if reverse else 1]:
        now = CELLS[cell][0](x[:, t], history[-1], *parameters, **options)
        history.append(passed(mask[:, t], now, history[-1]))
        y[:, t] = history[-1][0]
    return y, history


def recurrent_backward(cell, dy, dstates, x, history, parameters, *, mask=None, reverse=False, **options):
    """dx, the gradients of the first states, those of the parameters; dstates: of the last states, besides y's."""
    rows, steps, _ = x.shape
    mask = np.ones((rows, steps)) if mask is None else mask
    dx, totals = np.zeros_like(x), [np.zeros_like(p) for p in parameters]
    times = range(steps)[:: -1 if reverse else 1]
    for s, t in reversed(list(enumerate(times))):
        counts = mask[:, t][:, None] != 0
        dstates = [dstates[0] + dy[:, t], *dstates[1:]]
        through = [np.where(counts, d, 0.0) for d in dstates]
        dx[:, t], before, gradients = CELLS[cell][1](through, x[:, t], history[s], *parameters, **options)
        dstates = [np.where(counts, 0.0, d) + b for d, b in zip(dstates, before, strict=True)]
        totals = [total + g for total, g in zip(totals, gradients, strict=False)]  # biases that are there
    return dx, dstates, totals
