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
from typing import Any

import numpy as np

import minienc
from benchmarks.gradcheck_cases import Case, right_cases, spoilt_cases
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.verify import gradcheck

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
