"""Classes with weights, in all the places where people keep them."""

from __future__ import annotations

import numpy as np

from benchmarks.gradcheck_cases.form import layer, loss, numbers, pair, wrong


class CallablePart:
    """A model whose layer is an object that is called."""

    class Dense:
        def __init__(self, n, m):
            self.W, self.b = numbers(n, m), numbers(m)

        def __call__(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, dy):
            self.dW = self.x.T @ dy
            self.db = dy.sum(axis=0)
            return dy @ self.W.T

    def __init__(self):
        self.dense = self.Dense(3, 4)

    def forward(self, x):
        self.h = np.tanh(self.dense(x))
        return self.h

    def backward(self, dh):
        return self.dense.backward(dh * (1 - self.h**2))


class TupleOfLayers:
    """Layers in a tuple, run one after the other."""

    class Affine:
        def __init__(self, n, m):
            self.W, self.dW = numbers(n, m), None

        def forward(self, x):
            self.x = x
            return x.dot(self.W)

        def backward(self, dout):
            self.dW = self.x.T.dot(dout)
            return dout.dot(self.W.T)

    class Relu:
        def forward(self, x):
            self.mask = x <= 0
            out = x.copy()
            out[self.mask] = 0
            return out

        def backward(self, dout):
            dout[self.mask] = 0
            return dout

    def __init__(self):
        self.layers = (self.Affine(3, 5), self.Relu(), self.Affine(5, 5))

    def forward(self, x):
        for one in self.layers:
            x = one.forward(x)
        return x

    def backward(self, dout):
        for one in reversed(self.layers):
            dout = one.backward(dout)
        return dout


class Slots:
    __slots__ = ("b", "db", "dw", "w", "x")

    def __init__(self):
        self.w, self.b = numbers(3, 3), numbers(3)

    def forward(self, x):
        self.x = x
        return np.matmul(x, self.w) + self.b

    def backward(self, g):
        self.dw = np.matmul(self.x.T, g)
        self.db = np.sum(g, axis=0)
        return np.matmul(g, self.w.T)


class PReLU:
    """Its slope is a plain number."""

    def __init__(self):
        self.a, self.da = 0.25, 0.0

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.a * x)

    def backward(self, dy):
        self.da = float(np.sum(dy * self.x * (self.x < 0)))
        return dy * np.where(self.x > 0, 1, self.a)


class LazyDense:
    """The first forward makes the weights."""

    def __init__(self):
        self.params, self.grads = {}, {}

    def forward(self, x):
        if not self.params:
            self.params = {"W": numbers(x.shape[1], 4), "b": np.zeros(4)}
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dy):
        self.grads["W"] = self.x.T @ dy
        self.grads["b"] = dy.sum(axis=0)
        return dy @ self.params["W"].T


class SharedWeight:
    """One matrix in two layers: its gradient is the sum of theirs."""

    def __init__(self):
        self.W = numbers(3, 3)
        self.dW = np.zeros_like(self.W)

    def forward(self, x):
        self.x = x
        self.h = np.tanh(x @ self.W)
        return self.h @ self.W

    def backward(self, dy):
        dh = dy @ self.W.T
        dz = dh * (1 - self.h**2)
        self.dW = self.h.T @ dy + self.x.T @ dz
        return dz @ self.W.T


class Accumulating:
    """Gradients are added up until somebody sets them to zero."""

    def __init__(self):
        self.W, self.b = numbers(3, 2), numbers(2)
        self.dW, self.db = np.zeros((3, 2)), np.zeros(2)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW += self.x.T @ dy
        self.db += dy.sum(axis=0)
        return dy @ self.W.T


class UsedBefore:
    """It keeps z and dz, which look like a weight with its gradient."""

    def __init__(self):
        self.W = numbers(3, 4)

    def forward(self, x):
        self.x = x
        self.z = x @ self.W
        self.a = 1 / (1 + np.exp(-self.z))
        return self.a

    def backward(self, da):
        self.dz = da * self.a * (1 - self.a)
        self.dW = self.x.T @ self.dz
        return self.dz @ self.W.T


class BatchNorm:
    """With running averages, which have no gradient."""

    def __init__(self):
        self.gamma, self.beta = numbers(3, low=0.5), numbers(3)
        self.running_mean = np.zeros(3)

    def forward(self, x):
        mu, var = x.mean(0), x.var(0)
        self.running_mean = 0.9 * self.running_mean + 0.1 * mu
        self.std = np.sqrt(var + 1e-5)
        self.xhat = (x - mu) / self.std
        return self.gamma * self.xhat + self.beta

    def backward(self, dy):
        self.dgamma = (dy * self.xhat).sum(0)
        self.dbeta = dy.sum(0)
        d = dy * self.gamma
        return (d - d.mean(0) - self.xhat * (d * self.xhat).mean(0)) / self.std


class Rnn:
    """Parameters and gradients in lists."""

    def __init__(self):
        self.params = [numbers(2, 3), numbers(3, 3), numbers(3)]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, xs):
        Wx, Wh, b = self.params
        self.xs, self.hs = xs, [np.zeros((len(xs), len(Wh)))]
        for t in range(xs.shape[1]):
            self.hs.append(np.tanh(xs[:, t] @ Wx + self.hs[-1] @ Wh + b))
        return np.stack(self.hs[1:], axis=1)

    def backward(self, dhs):
        Wx, Wh, _ = self.params
        dWx, dWh, db = (np.zeros_like(p) for p in self.params)
        dxs, dh = np.zeros_like(self.xs), 0
        for t in reversed(range(self.xs.shape[1])):
            dt = (dhs[:, t] + dh) * (1 - self.hs[t + 1] ** 2)
            dWx += self.xs[:, t].T @ dt
            dWh += self.hs[t].T @ dt
            db += dt.sum(axis=0)
            dxs[:, t] = dt @ Wx.T
            dh = dt @ Wh.T
        self.grads = [dWx, dWh, db]
        return dxs


class SoftmaxWithLoss:
    """As in a book: the epsilon of its log is not in its backward."""

    t = np.array([0, 3, 1, 1])

    def forward(self, x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y = e / e.sum(axis=1, keepdims=True)
        return -np.sum(np.log(self.y[np.arange(4), self.t] + 0.0)) / 4

    def backward(self, dout=1):
        dx = self.y.copy()
        dx[np.arange(4), self.t] -= 1
        return dout * dx / 4


def integers_forward(x, W):
    return x @ W, (x, W)


def integers_backward(dy, cache):
    x, W = cache
    return dy @ W.T, x.T @ dy


def saturated_gate(w):
    return float(np.sum(1 / (1 + np.exp(-w))))


def saturated_gate_gradient(w):
    return np.exp(-w) / (1 + np.exp(-w)) ** 2


def _use(one, x):
    one.backward(np.ones_like(one.forward(x.copy())))


X = numbers(4, 3)
CASES = [
    *layer(
        CallablePart,
        X,
        weights={"dense.W": "dense.dW", "dense.b": "dense.db"},
        mistakes=[
            wrong("slope", "dh * (1 - self.h**2)", "dh"),
            wrong("factor", "self.dW = self.x.T @ dy", "self.dW = self.x.T @ dy / len(dy)"),
            wrong("slope", "1 - self.h**2", "1 - self.h"),
            wrong("sign", "self.x.T @ dy", "-self.x.T @ dy"),
        ],
    ),
    *layer(
        TupleOfLayers,
        X,
        weights={"layers[0].W": "layers[0].dW", "layers[2].W": "layers[2].dW"},
        mistakes=[
            wrong(
                "mask",
                "            dout[self.mask] = 0\n            return dout",
                "            return dout",
            ),
            wrong("factor", "self.x.T.dot(dout)", "self.x.T.dot(dout) / len(dout)"),
            wrong("sign", "dout.dot(self.W.T)", "-dout.dot(self.W.T)"),
        ],
    ),
    *layer(
        Slots,
        X,
        weights={"w": "dw", "b": "db"},
        mistakes=[
            wrong("transpose", "np.matmul(g, self.w.T)", "np.matmul(g, self.w)"),
            wrong("transpose", "np.matmul(self.x.T, g)", "np.matmul(self.x.T, g).T"),
            wrong("factor", "np.sum(g, axis=0)", "np.mean(g, axis=0)"),
        ],
    ),
    *layer(
        PReLU,
        X,
        weights={"a": "da"},
        mistakes=[
            wrong("sign", "float(np.sum(", "-float(np.sum("),
            wrong("mask", " * (self.x < 0)", ""),
            wrong("factor", "float(np.sum(", "float(np.mean("),
            wrong("mask|slope|term", "np.where(self.x > 0, 1, self.a)", "(self.x > 0)"),
        ],
    ),
    *layer(
        LazyDense,
        X,
        weights={"params['W']": "grads['W']", "params['b']": "grads['b']"},
        mistakes=[
            wrong("sign", "self.x.T @ dy", "-self.x.T @ dy"),
            wrong("factor", "dy.sum(axis=0)", "dy.mean(axis=0)"),
        ],
    ),
    *layer(
        SharedWeight,
        X,
        weights={"W": "dW"},
        mistakes=[
            wrong("overwritten|term", "self.h.T @ dy + self.x.T @ dz", "self.x.T @ dz"),
            wrong("overwritten|term", "self.h.T @ dy + self.x.T @ dz", "self.h.T @ dy"),
            wrong("transpose", "dy @ self.W.T", "dy @ self.W"),
            wrong("slope", "dh * (1 - self.h**2)", "dh"),
        ],
    ),
    *layer(
        Accumulating,
        X,
        weights={"W": "dW", "b": "db"},
        mistakes=[
            wrong("sign", "self.dW += self.x.T @ dy", "self.dW -= self.x.T @ dy"),
            wrong("factor", "dy.sum(axis=0)", "dy.mean(axis=0)"),
        ],
    ),
    *layer(
        UsedBefore,
        X,
        weights={"W": "dW"},
        before=_use,
        mistakes=[
            wrong("slope", "da * self.a * (1 - self.a)", "da * (1 - self.a)"),
            wrong("slope", "da * self.a * (1 - self.a)", "da"),
            wrong("factor", "self.x.T @ self.dz", "self.x.T @ self.dz / len(da)"),
        ],
    ),
    *layer(
        BatchNorm,
        numbers(6, 3),
        weights={"gamma": "dgamma", "beta": "dbeta"},
        mistakes=[
            wrong("term", "d - d.mean(0) - ", "d - "),
            wrong("term", " - self.xhat * (d * self.xhat).mean(0)", ""),
            wrong("term|other factor", "d = dy * self.gamma", "d = dy"),
            wrong("factor", "(d * self.xhat).mean(0)", "(d * self.xhat).sum(0)"),
        ],
    ),
    *layer(
        Rnn,
        numbers(2, 3, 2),
        weights={f"params[{i}]": f"grads[{i}]" for i in range(3)},
        mistakes=[
            wrong("time", "(dhs[:, t] + dh)", "dhs[:, t]"),
            wrong("off by one|other factor", "self.hs[t].T @ dt", "self.hs[t + 1].T @ dt"),
            wrong("overwritten|time", "dWh += self", "dWh = self"),
            wrong("transpose", "dt @ Wh.T", "dt @ Wh"),
            wrong("slope", " * (1 - self.hs[t + 1] ** 2)", ""),
        ],
    ),
    *layer(
        SoftmaxWithLoss,
        3 * numbers(4, 5),
        weights={},
        mistakes=[
            wrong("epsilon", "+ 0.0", "+ 1e-6"),
            wrong("factor", "dout * dx / 4", "dout * dx"),
            wrong("sign", "dout * dx / 4", "-dout * dx / 4"),
            wrong("term", "        dx[np.arange(4), self.t] -= 1\n", ""),
        ],
    ),
    *pair(
        integers_forward,
        integers_backward,
        np.arange(12).reshape(4, 3),
        numbers(3, 2),
        mistakes=[
            wrong("factor", "dy @ W.T", "dy @ W.T / len(dy)"),
            wrong("sign", "x.T @ dy", "-x.T @ dy"),
        ],
    ),
    *loss(saturated_gate, saturated_gate_gradient, np.array([40.0, -45.0, 38.0])),
]
