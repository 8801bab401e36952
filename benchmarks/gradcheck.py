"""How many planted mistakes does a gradient checker catch, and how many right gradients does it
fail? ``python -m benchmarks.gradcheck [--save]``

The same functions, with the same wrong and right backwards, go through minienc's ``gradcheck`` and,
where they are installed (extra ``bench``), through ``torch.autograd.gradcheck`` in both its modes,
``jax.test_util.check_grads`` and ``scipy.optimize.check_grad``, in one run. A checker's own
defaults are used; SciPy's returns a number, which is held against 1e-4 of the gradient's norm.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import minienc
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.verify import gradcheck

RNG = np.random.default_rng(0)
REPEATED = np.array([1, 3, 3, 0])  # indices: 3 occurs twice
EVERY_ROW = np.array([1, 3, 3, 0, 2, 4])


class Case(NamedTuple):
    name: str
    forward: Callable
    backward: Callable
    args: tuple
    is_right: bool


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

                cases.append(Case(f"{name}, d{which}: {how}", forward, wrong, args, False))
    x, W, b = PAIRS[0][3]

    def special(name, forward, backward, args):
        cases.append(Case(name, forward, backward, args, False))

    special(
        "dense: the derivative is missing",
        dense_forward,
        lambda dy, c: (dy @ c[1].T, c[0].T @ dy, dy.sum(axis=0)),
        (x, W, b),
    )
    special(
        "dense: the derivative at y instead of z",
        dense_forward,
        lambda dy, c: (lambda dz: (dz @ c[1].T, c[0].T @ dz, dz.sum(axis=0)))(
            dy * (1 - np.tanh(c[2]) ** 2)
        ),
        (x, W, b),
    )
    special(
        "dense: mean over the batch",
        dense_forward,
        lambda dy, c: (lambda g: (g[0], g[1] / len(dy), g[2] / len(dy)))(dense_backward(dy, c)),
        (x, W, b),
    )
    special(
        "softmax: the diagonal alone",
        softmax_forward,
        lambda dy, y: (dy * y * (1 - y),),
        (normal(4, 4),),
    )
    special(
        "batch norm: mean and variance as constants",
        norm_forward,
        lambda dy, c: (dy * c[2] / c[1], (dy * c[0]).sum(axis=0)),
        (normal(6, 3), normal(3)),
    )
    special(
        "mse: the 1/N is missing",
        mse_forward,
        lambda dl, c: (2 * dl * (c[0] - c[1]), -2 * dl * (c[0] - c[1])),
        (normal(5, 3), normal(5, 3)),
    )
    special(
        "rnn: the last step alone",
        rnn_forward,
        lambda dy, c: rnn_backward(dy, c, last_only=True),
        PAIRS[5][3],
    )
    special(
        "attention: the scale is forgotten",
        attention_forward,
        lambda dy, c: (lambda g: (g[0] * np.sqrt(3), g[1] * np.sqrt(3), g[2]))(
            attention_backward(dy, c)
        ),
        PAIRS[9][3],
    )
    special("relu: no mask", relu_forward, lambda dy, x: (dy,), (normal(4, 5),))
    special(
        "max: to every element",
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

    special("embedding: a repeated index is lost", pick_forward, lost, (normal(5, 2),))
    return cases


def right_cases() -> list[Case]:
    """Right gradients that checkers have failed: kinks, noise, coupling, float32, saturation."""
    cases = [Case(name, f, b, args, True) for name, f, b, args in PAIRS]
    cases.append(
        Case("relu at its kink", relu_forward, relu_backward, (np.array([[0.0, 1, -1]]),), True)
    )
    cases.append(
        Case(
            "relu beside its kink",
            relu_forward,
            relu_backward,
            (np.array([[1e-7, -1e-8, 2.0]]),),
            True,
        )
    )
    cases.append(
        Case(
            "absolute value at 0",
            lambda x: (np.abs(x), x),
            lambda dy, x: (dy * np.sign(x),),
            (np.array([0.0, -1.0, 2.0]),),
            True,
        )
    )

    def dropout(x):
        mask = (np.random.default_rng(3).random(x.shape) > 0.4) / 0.6
        return x * mask, mask

    cases.append(Case("dropout, seeded", dropout, lambda dy, m: (dy * m,), (normal(4, 5),), True))
    f32 = tuple(a.astype("float32") for a in PAIRS[0][3])
    cases.append(Case("dense in float32", dense_forward, dense_backward, f32, True))
    saturated = (normal(4, 3), np.array([[40.0, -40, 0]] * 4))
    cases.append(Case("saturated gate", gate_forward, gate_backward, saturated, True))
    shifted = (normal(6, 3) + 1e4, normal(3))
    cases.append(Case("batch norm far from 0", norm_forward, norm_backward, shifted, True))
    cases.append(
        Case(
            "large values",
            dense_forward,
            dense_backward,
            (normal(5, 4) * 1e-4, normal(4, 4) * 1e4, normal(4)),
            True,
        )
    )

    def pick_forward(table, ids=EVERY_ROW):
        return table[ids], (table.shape, ids)

    def pick_backward(dy, cache):
        shape, ids = cache
        d = np.zeros(shape)
        np.add.at(d, ids, dy)
        return (d,)

    cases.append(Case("repeated indices", pick_forward, pick_backward, (normal(5, 2),), True))
    return cases


# --------------------------------------------------------------------------------------- checkers
# each answers "pass", "fail" or "inconclusive"


def by_minienc(case: Case) -> str:
    return gradcheck(case.forward, case.backward, *case.args).verdict


def by_scipy(case: Case) -> str:
    from scipy.optimize import check_grad

    shapes = [a.shape for a in case.args]
    splits = np.cumsum([a.size for a in case.args])[:-1]

    def unflat(z):
        return [p.reshape(s) for p, s in zip(np.split(z, splits), shapes, strict=True)]

    z = np.concatenate([np.ravel(a) for a in case.args]).astype(float)
    y, _ = case.forward(*unflat(z))
    v = np.random.default_rng(0).standard_normal(np.shape(y))

    def f(z):
        return float(np.sum(v * case.forward(*unflat(z))[0]))

    def g(z):
        _, cache = case.forward(*unflat(z))
        return np.concatenate([np.ravel(d) for d in case.backward(v, cache)])

    return "pass" if check_grad(f, g, z) <= 1e-4 * np.linalg.norm(g(z)) else "fail"


def by_torch(case: Case, fast: bool = False) -> str:
    import torch

    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *xs):
            y, ctx.cache = case.forward(*[x.detach().numpy() for x in xs])
            return torch.as_tensor(y)

        @staticmethod
        def backward(ctx, dy):
            return tuple(torch.as_tensor(np.array(g)) for g in case.backward(dy.numpy(), ctx.cache))

    xs = tuple(torch.tensor(a, requires_grad=True) for a in case.args)
    try:
        return "pass" if torch.autograd.gradcheck(F.apply, xs, fast_mode=fast) else "fail"
    except RuntimeError:  # its way to say that the gradients differ
        return "fail"


def by_jax(case: Case) -> str:
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)
    y, _ = case.forward(*case.args)
    like = jax.ShapeDtypeStruct(np.shape(y), np.asarray(y).dtype)
    likes = tuple(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in case.args)

    @jax.custom_vjp
    def f(*xs):
        return jax.pure_callback(
            lambda *a: np.asarray(case.forward(*map(np.asarray, a))[0], like.dtype), like, *xs
        )

    def forward(*xs):
        return f(*xs), xs

    def backward(xs, dy):
        def run(dy, *a):
            _, cache = case.forward(*map(np.asarray, a))
            grads = case.backward(np.asarray(dy), cache)
            return tuple(np.asarray(g, s.dtype) for g, s in zip(grads, likes, strict=True))

        return jax.pure_callback(run, likes, dy, *xs)

    f.defvjp(forward, backward)
    try:
        check_grads(f, tuple(map(jax.numpy.asarray, case.args)), order=1, modes=["rev"])
    except AssertionError:
        return "fail"
    return "pass"


CHECKERS: dict[str, tuple[str, Callable[[Case], str]]] = {
    "minienc": ("numpy", by_minienc),
    "torch.autograd.gradcheck": ("torch", by_torch),
    "torch, fast_mode": ("torch", lambda case: by_torch(case, fast=True)),
    "jax.test_util.check_grads": ("jax", by_jax),
    "scipy.optimize.check_grad": ("scipy", by_scipy),
}


def print_speed() -> dict[str, float]:
    """How long ordinary sizes take; every element, and a million parameters by directions."""
    rng = np.random.default_rng(0)
    dense = Dense(32, "tanh", seed=0)
    x = rng.standard_normal((16, 64))
    inputs = Input((784,), dtype="float64")
    h = inputs
    for units in (512, 128, 512):
        h = Dense(units, "tanh", seed=0)(h)
    model = Model(inputs, Dense(784, "sigmoid", seed=0)(h))
    model.compile("adam", "binary_crossentropy")
    images = rng.uniform(size=(16, 784))
    seconds = {
        "dense 64 to 32, batch 16": gradcheck(dense, x).seconds,
        "the same, every element": gradcheck(dense, x, exhaustive=True).seconds,
        f"model of {model.parameters.vector.size:,} parameters with its loss": gradcheck(
            model, images, images
        ).seconds,
    }
    print("| minienc's gradcheck of a | s |\n|---|---:|")
    for what, took in seconds.items():
        print(f"| {what} | {took:.2f} |")
    print()
    return seconds


def main() -> None:
    """Run every checker on every case, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--save", action="store_true", help="write benchmarks/results/gradcheck.json"
    )
    save = parser.parse_args().save
    # first, for the threads that other libraries bring would share the processors with NumPy's
    speed = {k: round(t, 2) for k, t in print_speed().items()}
    wrong, right = spoilt_cases(), right_cases()
    print(f"{len(wrong)} wrong gradients, {len(right)} right ones; {platform.machine()}\n")
    print("| checker | caught | inconclusive | passed though wrong | failed though right | s |")
    print("|---|---:|---:|---:|---:|---:|")
    results: dict[str, Any] = {}
    for name, (package, check) in CHECKERS.items():
        try:
            version = (minienc if name == "minienc" else __import__(package)).__version__
        except ImportError:
            print(f"| {name} | not installed |||||")
            continue
        started = time.perf_counter()
        verdicts = {id(c): _quietly(check, c) for c in wrong + right}
        seconds = time.perf_counter() - started
        missed = [c.name for c in wrong if verdicts[id(c)] == "pass"]
        false = [c.name for c in right if verdicts[id(c)] == "fail"]
        unsure = [c.name for c in wrong + right if verdicts[id(c)] == "inconclusive"]
        caught = sum(verdicts[id(c)] == "fail" for c in wrong)
        unsure_wrong = sum(verdicts[id(c)] == "inconclusive" for c in wrong)
        print(
            f"| {name} {version} | {caught} | {unsure_wrong} | {len(missed)} | {len(false)} | "
            f"{seconds:.1f} |"
        )
        results[name] = {
            "version": version,
            "caught": caught,
            "missed": missed,
            "failed_though_right": false,
            "inconclusive": unsure,
            "seconds": round(seconds, 2),
        }
    for name, found in results.items():
        for kind in ("missed", "failed_though_right", "inconclusive"):
            if found[kind]:
                print(f"\n{name}, {kind.replace('_', ' ')}: {'; '.join(found[kind])}")
    if save:
        path = Path(__file__).parent / "results" / "gradcheck.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            json.dumps(
                {"wrong": len(wrong), "right": len(right), "seconds": speed, **results}, indent=2
            )
            + "\n"
        )


def _quietly(check: Callable[[Case], str], case: Case) -> str:
    with np.errstate(all="ignore"):
        return check(case)


if __name__ == "__main__":
    main()
