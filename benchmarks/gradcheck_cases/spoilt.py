"""Right gradients spoilt in each of a few ways; and right ones that checkers have failed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.gradcheck_cases.form import Case
from minienc.verify import gradcheck

RNG = np.random.default_rng(0)
REPEATED = np.array([1, 3, 3, 0])  # indices: 3 occurs twice
EVERY_ROW = np.array([1, 3, 3, 0, 2, 4])


def case(name: str, causes: tuple[str, ...], forward: Callable, backward: Callable, args) -> Case:
    check = lambda *given: gradcheck(forward, backward, *given)  # noqa: E731
    return Case(name, causes, forward, backward, args, args, check)


# --------------------------------------------------------------- right pairs, to be spoilt or not


def dense_forward(x, W, b):
    y = np.tanh(x @ W + b)
    return y, (x, W, y)


def dense_backward(dy, cache):
    x, W, y = cache
    dz = dy * (1 - y * y)
    return dz @ W.T, x.T @ dz, dz.sum(axis=0)


def relu_forward(x):
    return np.maximum(x, 0), x


def relu_backward(dy, x):
    return (dy * (x > 0),)


def softmax_forward(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    y = e / e.sum(axis=-1, keepdims=True)
    return y, y


def softmax_backward(dy, y):
    return (y * (dy - (dy * y).sum(axis=-1, keepdims=True)),)


def norm_forward(x, g):
    c = x - x.mean(axis=0)
    s = np.sqrt((c * c).mean(axis=0) + 1e-5)
    h = c / s
    return g * h, (h, s, g)


def norm_backward(dy, cache):
    h, s, g = cache
    dh = dy * g
    return (dh - dh.mean(axis=0) - h * (dh * h).mean(axis=0)) / s, (dy * h).sum(axis=0)


def mse_forward(y, t):
    return np.mean((y - t) ** 2), (y, t)


def mse_backward(dl, cache):
    y, t = cache
    d = dl * 2 * (y - t) / y.size
    return d, -d


def rnn_forward(x, W, U):
    h, hs = np.zeros((x.shape[0], U.shape[0])), []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ W + h @ U)
        hs.append(h)
    return np.stack(hs, axis=1), (x, W, U, hs)


def rnn_backward(dy, cache, last_only=False):
    x, W, U, hs = cache
    dx, dW, dU = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U)
    dh = np.zeros_like(hs[0])
    for t in reversed(range(len(hs))):
        dz = (dy[:, t] + dh) * (1 - hs[t] ** 2)
        before = hs[t - 1] if t else np.zeros_like(hs[0])
        dx[:, t] = dz @ W.T
        dW += x[:, t].T @ dz
        dU += before.T @ dz
        dh = dz @ U.T
        if last_only:
            break
    return dx, dW, dU


def scale_forward(x, s):
    return x * s, (x, s)


def scale_backward(dy, cache):
    x, s = cache
    return dy * s, (dy * x).sum(axis=0)


def abs_max_forward(x):
    return x.max(axis=1), x


def abs_max_backward(dy, x):
    return (dy[:, None] * (np.arange(x.shape[1]) == x.argmax(axis=1)[:, None]),)


def gate_forward(x, w):
    s = 1 / (1 + np.exp(-w))
    return x * s, (x, s)


def gate_backward(dy, cache):
    x, s = cache
    return dy * s, dy * x * s * (1 - s)


def attention_forward(q, k, v):
    a, _ = softmax_forward(q @ k.T / np.sqrt(q.shape[1]))
    return a @ v, (q, k, v, a)


def attention_backward(dy, cache):
    q, k, v, a = cache
    (dz,) = softmax_backward(dy @ v.T, a)
    dz = dz / np.sqrt(q.shape[1])
    return dz @ k, dz.T @ q, a.T @ dy


def normal(*shape):
    return RNG.standard_normal(shape)


PAIRS: list[tuple[str, Callable, Callable, tuple]] = [
    ("dense", dense_forward, dense_backward, (normal(5, 4), normal(4, 4), normal(4))),
    ("relu", relu_forward, relu_backward, (normal(4, 5),)),
    ("softmax", softmax_forward, softmax_backward, (normal(4, 4),)),
    ("batch norm", norm_forward, norm_backward, (normal(6, 3), normal(3))),
    ("mse", mse_forward, mse_backward, (normal(5, 3), normal(5, 3))),
    ("rnn", rnn_forward, rnn_backward, (normal(3, 4, 2), normal(2, 3), normal(3, 3))),
    ("scale", scale_forward, scale_backward, (normal(5, 3), normal(3))),
    ("max", abs_max_forward, abs_max_backward, (normal(4, 5),)),
    ("gate", gate_forward, gate_backward, (normal(4, 3), normal(4, 3))),
    (
        "attention",
        attention_forward,
        attention_backward,
        (normal(4, 3), normal(4, 3), normal(4, 3)),
    ),
]

CAUSES = {
    "sign": "sign",
    "factor 2": "factor",
    "one per cent": "factor",
    "zero": "zero",
    "transposed": "transpose",
}  # the others have no name
SPOILS: dict[str, Callable[[np.ndarray], np.ndarray | None]] = {
    "sign": lambda g: -g,
    "factor 2": lambda g: 2 * g,
    "one per cent": lambda g: 1.01 * g,
    "zero": lambda g: 0 * g,
    "an element zero": lambda g: np.where(
        np.arange(g.size).reshape(g.shape) == np.abs(g).argmax(), 0, g
    ),
    "a row zero": lambda g: (
        g
        * (np.arange(len(g)) != np.abs(g).reshape(len(g), -1).sum(1).argmax()).reshape(
            -1, *[1] * (g.ndim - 1)
        )
    ),
    "transposed": lambda g: g.T.copy() if g.ndim == 2 and g.shape[0] == g.shape[1] else None,
    "a small bias": lambda g: g + 1e-3,
}


def spoilt_cases() -> list[Case]:
    """Each argument's gradient spoilt in each way, and mistakes particular to a function."""
    cases = []
    for name, forward, backward, args in PAIRS:
        y, cache = forward(*args)
        right = backward(np.ones_like(y), cache)
        for which in range(len(right)):
            for how, spoil in SPOILS.items():
                if len(right) > 1 and how in ("factor 2", "a row zero") and which == 0:
                    continue  # enough of these
                if spoil(np.asarray(right[which])) is None:
                    continue

                def wrong(dy, cache, backward=backward, which=which, spoil=spoil):
                    grads = list(backward(dy, cache))
                    grads[which] = spoil(grads[which])
                    return tuple(grads)

                causes = (CAUSES.get(how, how),)
                cases.append(case(f"{name}, d{which}: {how}", causes, forward, wrong, args))
    x, W, b = PAIRS[0][3]

    def special(name, cause, forward, backward, args):
        cases.append(case(name, (cause,), forward, backward, args))

    special(
        "dense: the derivative is missing",
        "slope",
        dense_forward,
        lambda dy, c: (dy @ c[1].T, c[0].T @ dy, dy.sum(axis=0)),
        (x, W, b),
    )
    special(
        "dense: the derivative at y instead of z",
        "slope",
        dense_forward,
        lambda dy, c: (lambda dz: (dz @ c[1].T, c[0].T @ dz, dz.sum(axis=0)))(
            dy * (1 - np.tanh(c[2]) ** 2)
        ),
        (x, W, b),
    )
    special(
        "dense: mean over the batch",
        "factor",
        dense_forward,
        lambda dy, c: (lambda g: (g[0], g[1] / len(dy), g[2] / len(dy)))(dense_backward(dy, c)),
        (x, W, b),
    )
    special(
        "softmax: the diagonal alone",
        "term",
        softmax_forward,
        lambda dy, y: (dy * y * (1 - y),),
        (normal(4, 4),),
    )
    special(
        "batch norm: mean and variance as constants",
        "term",
        norm_forward,
        lambda dy, c: (dy * c[2] / c[1], (dy * c[0]).sum(axis=0)),
        (normal(6, 3), normal(3)),
    )
    special(
        "mse: the 1/N is missing",
        "factor",
        mse_forward,
        lambda dl, c: (2 * dl * (c[0] - c[1]), -2 * dl * (c[0] - c[1])),
        (normal(5, 3), normal(5, 3)),
    )
    special(
        "rnn: the last step alone",
        "time",
        rnn_forward,
        lambda dy, c: rnn_backward(dy, c, last_only=True),
        PAIRS[5][3],
    )
    special(
        "attention: the scale is forgotten",
        "factor",
        attention_forward,
        lambda dy, c: (lambda g: (g[0] * np.sqrt(3), g[1] * np.sqrt(3), g[2]))(
            attention_backward(dy, c)
        ),
        PAIRS[9][3],
    )
    special("relu: no mask", "mask", relu_forward, lambda dy, x: (dy,), (normal(4, 5),))
    special(
        "max: to every element",
        "mask",
        abs_max_forward,
        lambda dy, x: (np.repeat(dy[:, None], x.shape[1], 1),),
        (normal(4, 5),),
    )

    def pick_forward(table, ids=REPEATED):
        return table[ids], (table.shape, ids)

    def lost(dy, cache):
        shape, ids = cache
        d = np.zeros(shape)
        d[ids] += dy
        return (d,)

    special("embedding: a repeated index is lost", "repeated", pick_forward, lost, (normal(5, 2),))
    return cases


def right_cases() -> list[Case]:
    """Right gradients that checkers have failed: kinks, noise, coupling, float32, saturation."""
    cases = [case(name, (), f, b, args) for name, f, b, args in PAIRS]
    cases.append(
        case("relu at its kink", (), relu_forward, relu_backward, (np.array([[0.0, 1, -1]]),))
    )
    cases.append(
        case(
            "relu beside its kink",
            (),
            relu_forward,
            relu_backward,
            (np.array([[1e-7, -1e-8, 2.0]]),),
        )
    )
    cases.append(
        case(
            "absolute value at 0",
            (),
            lambda x: (np.abs(x), x),
            lambda dy, x: (dy * np.sign(x),),
            (np.array([0.0, -1.0, 2.0]),),
        )
    )

    def dropout(x):
        mask = (np.random.default_rng(3).random(x.shape) > 0.4) / 0.6
        return x * mask, mask

    cases.append(case("dropout, seeded", (), dropout, lambda dy, m: (dy * m,), (normal(4, 5),)))
    f32 = tuple(a.astype("float32") for a in PAIRS[0][3])
    cases.append(case("dense in float32", (), dense_forward, dense_backward, f32))
    saturated = (normal(4, 3), np.array([[40.0, -40, 0]] * 4))
    cases.append(case("saturated gate", (), gate_forward, gate_backward, saturated))
    shifted = (normal(6, 3) + 1e4, normal(3))
    cases.append(case("batch norm far from 0", (), norm_forward, norm_backward, shifted))
    cases.append(
        case(
            "large values",
            (),
            dense_forward,
            dense_backward,
            (normal(5, 4) * 1e-4, normal(4, 4) * 1e4, normal(4)),
        )
    )

    def pick_forward(table, ids=EVERY_ROW):
        return table[ids], (table.shape, ids)

    def pick_backward(dy, cache):
        shape, ids = cache
        d = np.zeros(shape)
        np.add.at(d, ids, dy)
        return (d,)

    cases.append(case("repeated indices", (), pick_forward, pick_backward, (normal(5, 2),)))
    return cases
