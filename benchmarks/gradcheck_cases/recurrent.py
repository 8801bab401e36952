"""Through time: recurrent networks and running sums."""

from __future__ import annotations

import numpy as np

from benchmarks.gradcheck_cases.form import numbers, pair, wrong


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn_forward(x, h0, Wx, Wh, b):
    N, T, _ = x.shape
    h = np.zeros((N, T, h0.shape[1]))
    prev = h0
    for t in range(T):
        prev = np.tanh(x[:, t].dot(Wx) + prev.dot(Wh) + b)
        h[:, t] = prev
    return h, (x, h0, Wx, Wh, h)


def rnn_backward(dh, cache):
    x, h0, Wx, Wh, h = cache
    T = x.shape[1]
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(len(Wh))
    dprev = np.zeros_like(h0)
    for t in reversed(range(T)):
        dnext = dh[:, t] + dprev
        dz = dnext * (1 - h[:, t] ** 2)
        before = h[:, t - 1] if t > 0 else h0
        dx[:, t] = dz.dot(Wx.T)
        dWx += x[:, t].T.dot(dz)
        dWh += before.T.dot(dz)
        db += dz.sum(axis=0)
        dprev = dz.dot(Wh.T)
    return dx, dprev, dWx, dWh, db


def char_rnn_forward(x, Wxh, Whh, Why):
    """One sequence, one output a step."""
    hs, ys = {-1: np.zeros(len(Whh))}, []
    for t in range(len(x)):
        hs[t] = np.tanh(np.dot(x[t], Wxh) + np.dot(hs[t - 1], Whh))
        ys.append(np.dot(hs[t], Why))
    return np.array(ys), (x, Wxh, Whh, Why, hs)


def char_rnn_backward(dy, cache):
    x, Wxh, Whh, Why, hs = cache
    dx, dWxh, dWhh, dWhy = (np.zeros_like(a) for a in (x, Wxh, Whh, Why))
    dhnext = np.zeros(len(Whh))
    for t in reversed(range(len(x))):
        dWhy += np.outer(hs[t], dy[t])
        dh = np.dot(Why, dy[t]) + dhnext
        draw = (1 - hs[t] * hs[t]) * dh
        dWxh += np.outer(x[t], draw)
        dWhh += np.outer(hs[t - 1], draw)
        dx[t] = np.dot(Wxh, draw)
        dhnext = np.dot(Whh, draw)
    return dx, dWxh, dWhh, dWhy


def lstm_step_forward(x, h, c, W, U, b):
    H = h.shape[1]
    a = x @ W + h @ U + b
    i, f, o = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), sigmoid(a[:, 2 * H : 3 * H])
    g = np.tanh(a[:, 3 * H :])
    c_next = f * c + i * g
    t = np.tanh(c_next)
    return (o * t, c_next), (x, h, c, W, U, i, f, o, g, t)


def lstm_step_backward(douts, cache):
    dh, dc = douts
    x, h, c, W, U, i, f, o, g, t = cache
    do = dh * t
    dct = dc + dh * o * (1 - t**2)
    di, df, dg = dct * g, dct * c, dct * i
    da = np.hstack([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)])
    return da @ W.T, da @ U.T, dct * f, x.T @ da, h.T @ da, da.sum(axis=0)


def lstm_forward(x, Wi, Wf, Wo, Wg):
    """Each gate has its own matrix, for [x, h]."""
    N, T, _ = x.shape
    H = Wi.shape[1]
    h, c, steps, hs = np.zeros((N, H)), np.zeros((N, H)), [], []
    for t in range(T):
        z = np.concatenate((x[:, t], h), axis=1)
        i, f, o, g = sigmoid(z @ Wi), sigmoid(z @ Wf), sigmoid(z @ Wo), np.tanh(z @ Wg)
        c_old = c
        c = f * c_old + i * g
        h = o * np.tanh(c)
        steps.append((z, i, f, o, g, c_old, c))
        hs.append(h)
    return np.stack(hs, 1), (x, Wi, Wf, Wo, Wg, steps)


def lstm_backward(dhs, cache):
    x, Wi, Wf, Wo, Wg, steps = cache
    D = x.shape[2]
    dx = np.zeros_like(x)
    dWi, dWf, dWo, dWg = (np.zeros_like(W) for W in (Wi, Wf, Wo, Wg))
    dh_next, dc_next = 0, 0
    for t in range(x.shape[1] - 1, -1, -1):
        z, i, f, o, g, c_old, c = steps[t]
        dh = dhs[:, t] + dh_next
        tc = np.tanh(c)
        do = dh * tc * o * (1 - o)
        dc = dh * o * (1 - tc**2) + dc_next
        di = dc * g * i * (1 - i)
        df = dc * c_old * f * (1 - f)
        dg = dc * i * (1 - g**2)
        dWi += z.T @ di
        dWf += z.T @ df
        dWo += z.T @ do
        dWg += z.T @ dg
        dz = di @ Wi.T + df @ Wf.T + do @ Wo.T + dg @ Wg.T
        dx[:, t] = dz[:, :D]
        dh_next = dz[:, D:]
        dc_next = dc * f
    return dx, dWi, dWf, dWo, dWg


def gru_step_forward(x, h, Wz, Wr, Wh):
    xh = np.concatenate([x, h], axis=1)
    z, r = sigmoid(xh @ Wz), sigmoid(xh @ Wr)
    xrh = np.concatenate([x, r * h], axis=1)
    n = np.tanh(xrh @ Wh)
    return (1 - z) * h + z * n, (xh, xrh, h, Wz, Wr, Wh, z, r, n)


def gru_step_backward(dy, cache):
    xh, xrh, h, Wz, Wr, Wh, z, r, n = cache
    D = xh.shape[1] - h.shape[1]
    dn = dy * z * (1 - n**2)
    dz = dy * (n - h) * z * (1 - z)
    dxrh = dn @ Wh.T
    dr = dxrh[:, D:] * h * r * (1 - r)
    dxh = dz @ Wz.T + dr @ Wr.T
    dx = dxh[:, :D] + dxrh[:, :D]
    dh = dxh[:, D:] + dxrh[:, D:] * r + dy * (1 - z)
    return dx, dh, xh.T @ dz, xh.T @ dr, xrh.T @ dn


def cumsum_forward(x):
    return np.cumsum(x, axis=1), None


def cumsum_backward(dy, cache):
    return np.cumsum(dy[:, ::-1], axis=1)[:, ::-1]


def moving_average_forward(x, a):
    y, s = np.zeros_like(x), np.zeros(x.shape[1])
    s_all = []
    for t in range(len(x)):
        s_all.append(s)
        s = a * s + (1 - a) * x[t]
        y[t] = s
    return y, (x, a, s_all)


def moving_average_backward(dy, cache):
    x, a, s_all = cache
    dx, da, ds = np.zeros_like(x), 0.0, 0.0
    for t in range(len(x) - 1, -1, -1):
        ds = ds + dy[t]
        da += np.sum(ds * (s_all[t] - x[t]))
        dx[t] = (1 - a) * ds
        ds = a * ds
    return dx, np.array(da)


def last_state_forward(x, W, U):
    h = np.zeros((len(x), len(U)))
    hs = [h]
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ W + h @ U)
        hs.append(h)
    return h, (x, W, U, hs)


def last_state_backward(dh, cache):
    x, W, U, hs = cache
    dx, dW, dU = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U)
    for t in range(x.shape[1] - 1, -1, -1):
        dz = dh * (1 - hs[t + 1] ** 2)
        dW += x[:, t].T @ dz
        dU += hs[t].T @ dz
        dx[:, t] = dz @ W.T
        dh = dz @ U.T
    return dx, dW, dU


def shift_forward(x):
    y = np.zeros_like(x)
    y[:, 1:] = x[:, :-1]
    return y, None


def shift_backward(dy, cache):
    dx = np.zeros_like(dy)
    dx[:, :-1] = dy[:, 1:]
    return dx


CASES = [
    *pair(
        rnn_forward,
        rnn_backward,
        numbers(2, 4, 3),
        numbers(2, 3),
        numbers(3, 3),
        numbers(3, 3, seed=1),
        numbers(3),
        mistakes=[
            wrong("time", "dh[:, t] + dprev", "dh[:, t]"),
            wrong("slope", "dnext * (1 - h[:, t] ** 2)", "dnext"),
            wrong("slope", "(1 - h[:, t] ** 2)", "(1 - h[:, t])"),
            wrong("off by one|other factor", "h[:, t - 1] if t > 0 else h0", "h[:, t]"),
            wrong("overwritten|time", "dWx += x", "dWx = x"),
            wrong("overwritten|time", "dWh += before", "dWh = before"),
            wrong("overwritten|time", "db += dz", "db = dz"),
            wrong("transpose", "dz.dot(Wh.T)", "dz.dot(Wh)"),
            wrong("transpose", "dz.dot(Wx.T)", "dz.dot(Wx)"),
            wrong("off by one|time", "reversed(range(T))", "reversed(range(1, T))"),
            wrong("transpose", "before.T.dot(dz)", "dz.T.dot(before)"),
            wrong("off by one|other factor", "dWx += x[:, t]", "dWx += x[:, t - 1]"),
        ],
    ),
    *pair(
        char_rnn_forward,
        char_rnn_backward,
        numbers(4, 2),
        numbers(2, 3),
        numbers(3, 3),
        numbers(3, 2),
        mistakes=[
            wrong("time", " + dhnext", ""),
            wrong("slope", "(1 - hs[t] * hs[t]) * dh", "dh"),
            wrong("off by one|other factor", "np.outer(hs[t - 1], draw)", "np.outer(hs[t], draw)"),
            wrong("transpose", "np.dot(Whh, draw)", "np.dot(draw, Whh)"),
            wrong("overwritten|time", "dWhy += np", "dWhy = np"),
            wrong("time|off by one", "reversed(range(len(x)))", "[len(x) - 1]"),
        ],
    ),
    *pair(
        lstm_step_forward,
        lstm_step_backward,
        numbers(3, 2),
        numbers(3, 2, seed=1),
        numbers(3, 2, seed=2),
        numbers(2, 8),
        numbers(2, 8, seed=1),
        numbers(8),
        mistakes=[
            wrong("term", "dc + dh * o * (1 - t**2)", "dh * o * (1 - t**2)"),
            wrong("term", "dc + dh * o * (1 - t**2)", "dc"),
            wrong("slope", "dh * o * (1 - t**2)", "dh * o"),
            wrong("slope", "di * i * (1 - i)", "di"),
            wrong("other factor", "dct * g, dct * c", "dct * c, dct * g"),
            wrong("slope", "dg * (1 - g**2)", "dg * g * (1 - g)"),
            wrong("term|other factor", "dct * f, x.T", "dct, x.T"),
            wrong("slope", "df * f * (1 - f)", "df * f"),
        ],
    ),
    *pair(
        lstm_forward,
        lstm_backward,
        numbers(2, 3, 2),
        numbers(4, 2),
        numbers(4, 2, seed=1),
        numbers(4, 2, seed=2),
        numbers(4, 2, seed=3),
        mistakes=[
            wrong("time|term", " + dc_next", ""),
            wrong("time|term", "dhs[:, t] + dh_next", "dhs[:, t]"),
            wrong("term", " + df @ Wf.T", ""),
            wrong("term", "di @ Wi.T + ", ""),
            wrong("overwritten", "dWf += z", "dWf = z"),
            wrong("slope", "dc * g * i * (1 - i)", "dc * g"),
            wrong("off by one|other factor", "dc * c_old * f", "dc * c * f"),
            wrong("term|time|other factor", "dc_next = dc * f", "dc_next = dc"),
            wrong("other factor", "dWo += z.T @ do", "dWo += z.T @ dg"),
        ],
    ),
    *pair(
        gru_step_forward,
        gru_step_backward,
        numbers(3, 2),
        numbers(3, 2, seed=1),
        numbers(4, 2),
        numbers(4, 2, seed=1),
        numbers(4, 2, seed=2),
        mistakes=[
            wrong("term", " + dy * (1 - z)", ""),
            wrong("term", "dxh[:, :D] + dxrh[:, :D]", "dxh[:, :D]"),
            wrong("sign", "(n - h)", "(h - n)"),
            wrong("other factor|term", "dxrh[:, D:] * r +", "dxrh[:, D:] +"),
            wrong("slope", "dy * z * (1 - n**2)", "dy * z"),
            wrong("term", " + dr @ Wr.T", ""),
        ],
    ),
    *pair(
        cumsum_forward,
        cumsum_backward,
        numbers(3, 4),
        mistakes=[
            wrong("order|term", "np.cumsum(dy[:, ::-1], axis=1)[:, ::-1]", "np.cumsum(dy, axis=1)"),
            wrong("order", ", axis=1)[:, ::-1]", ", axis=1)"),
            wrong("term|time", "np.cumsum(dy[:, ::-1], axis=1)[:, ::-1]", "dy"),
        ],
    ),
    *pair(
        moving_average_forward,
        moving_average_backward,
        numbers(5, 2),
        np.array(0.8),
        mistakes=[
            wrong("time", "ds = a * ds", "ds = 0 * ds"),
            wrong("factor|term", "dx[t] = (1 - a) * ds", "dx[t] = ds"),
            wrong("sign", "(s_all[t] - x[t])", "(x[t] - s_all[t])"),
            wrong("term", "(s_all[t] - x[t])", "s_all[t]"),
        ],
    ),
    *pair(
        last_state_forward,
        last_state_backward,
        numbers(2, 4, 2),
        numbers(2, 3),
        numbers(3, 3),
        mistakes=[
            wrong("time|overwritten", "range(x.shape[1] - 1, -1, -1)", "[x.shape[1] - 1]"),
            wrong("off by one|time", "x.shape[1] - 1, -1, -1", "x.shape[1] - 1, 0, -1"),
            wrong("off by one|other factor", "hs[t].T @ dz", "hs[t + 1].T @ dz"),
            wrong("slope", "1 - hs[t + 1] ** 2", "1 - hs[t + 1]"),
            wrong("overwritten|time", "dU += hs", "dU = hs"),
        ],
    ),
    *pair(
        shift_forward,
        shift_backward,
        numbers(3, 4),
        mistakes=[
            wrong("off by one|order", "dx[:, :-1] = dy[:, 1:]", "dx[:, 1:] = dy[:, :-1]"),
            wrong("off by one|order", "dx[:, :-1] = dy[:, 1:]", "dx[:] = dy"),
        ],
    ),
]
