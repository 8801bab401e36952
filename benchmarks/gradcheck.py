"""How many wrong gradients does a gradient checker catch, how many right ones does it fail, and
what does it say of the cause? ``python -m benchmarks.gradcheck [--save]``

The same functions, with the same wrong and right backwards (``gradcheck_cases``), go through
minienc's ``gradcheck`` and, where they are installed (extra ``bench``), through
``torch.autograd.gradcheck`` in both its modes, ``jax.test_util.check_grads`` and
``scipy.optimize.check_grad``, in one run. A checker's own defaults are used; SciPy's returns a
number, which is held against 1e-4 of the gradient's norm. Beside each wrong gradient stands its
cause, so what minienc says of it is counted, too; and its right ones are checked at other points.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import minienc
from benchmarks.gradcheck_cases import SPOILT, WRITTEN, Case
from benchmarks.gradcheck_cases.causes import judge
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.verify import SubjectError, gradcheck

# ------------------------------------------------------------------------ the same for all of them


def as_vector(case: Case) -> tuple[Callable, Callable, tuple]:
    """A case as one function of its floating arguments (integers are numbers where they have a
    gradient) that returns one vector, and its backward."""
    y, cache = case.forward(*case.args)
    several = isinstance(y, tuple)
    shapes = [np.shape(part) for part in (y if several else (y,))]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]

    def parts(v: np.ndarray) -> Any:
        found = [p.reshape(s).copy() for p, s in zip(np.split(v, ends), shapes, strict=True)]
        return tuple(found) if several else found[0]

    def gradients(v: np.ndarray, cache: Any) -> list:
        found = case.backward(parts(v), cache)
        return list(found) if isinstance(found, (tuple, list)) else [found]

    ones = gradients(np.ones(int(ends[-1] if several else 0) + int(np.prod(shapes[-1]))), cache)
    moving = [k for k, g in enumerate(ones) if g is not None]

    def forward(*xs: np.ndarray) -> tuple[np.ndarray, Any]:
        args = list(case.args)
        for k, x in zip(moving, xs, strict=True):
            args[k] = np.array(x)
        y, cache = case.forward(*args)
        return np.concatenate([np.ravel(part) for part in (y if several else (y,))]), cache

    def backward(v: np.ndarray, cache: Any) -> list[np.ndarray]:
        found = gradients(v, cache)
        return [np.asarray(found[k]).reshape(case.args[k].shape) for k in moving]

    xs = (case.args[k] for k in moving)
    return forward, backward, tuple(x.astype(float) if x.dtype.kind == "i" else x for x in xs)


# --------------------------------------------------------------------------------------- checkers
# each answers "pass", "fail" or "inconclusive"


def by_minienc(case: Case) -> str:
    return case.check(*case.given).verdict


def by_scipy(case: Case) -> str:
    from scipy.optimize import check_grad

    forward, backward, xs = as_vector(case)
    splits = np.cumsum([a.size for a in xs])[:-1]

    def unflat(z):
        return [p.reshape(a.shape) for p, a in zip(np.split(z, splits), xs, strict=True)]

    z = np.concatenate([np.ravel(a) for a in xs]).astype(float)
    v = np.random.default_rng(0).standard_normal(len(forward(*xs)[0]))

    def f(z):
        return float(np.sum(v * forward(*unflat(z))[0]))

    def g(z):
        return np.concatenate([np.ravel(d) for d in backward(v, forward(*unflat(z))[1])])

    return "pass" if check_grad(f, g, z) <= 1e-4 * np.linalg.norm(g(z)) else "fail"


def by_torch(case: Case, fast: bool = False) -> str:
    import torch

    forward, backward, xs = as_vector(case)

    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *xs):
            y, ctx.cache = forward(*[x.detach().numpy() for x in xs])
            return torch.as_tensor(y)

        @staticmethod
        def backward(ctx, dy):
            return tuple(torch.as_tensor(np.array(g)) for g in backward(dy.numpy(), ctx.cache))

    tensors = tuple(torch.tensor(a, requires_grad=True) for a in xs)
    try:
        return "pass" if torch.autograd.gradcheck(F.apply, tensors, fast_mode=fast) else "fail"
    except RuntimeError:  # its way to say that the gradients differ
        return "fail"


def by_jax(case: Case) -> str:
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)
    forward, backward, xs = as_vector(case)
    y, _ = forward(*xs)
    like = jax.ShapeDtypeStruct(y.shape, y.dtype)
    likes = tuple(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in xs)

    @jax.custom_vjp
    def f(*xs):
        run = lambda *a: np.asarray(forward(*map(np.array, a))[0], like.dtype)  # noqa: E731
        return jax.pure_callback(run, like, *xs)

    def there(*xs):
        return f(*xs), xs

    def back(xs, dy):
        def run(dy, *a):
            grads = backward(np.array(dy), forward(*map(np.array, a))[1])
            return tuple(np.asarray(g, s.dtype) for g, s in zip(grads, likes, strict=True))

        return jax.pure_callback(run, likes, dy, *xs)

    f.defvjp(there, back)
    try:
        check_grads(f, tuple(map(jax.numpy.asarray, xs)), order=1, modes=["rev"])
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


def compare(wrong: list[Case], right: list[Case]) -> dict[str, Any]:
    """Every checker on every case."""
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
        with np.errstate(all="ignore"):
            verdicts = {id(c): check(c) for c in wrong + right}
        seconds = time.perf_counter() - started
        of = lambda cases, word: [c.name for c in cases if verdicts[id(c)] == word]  # noqa: E731,B023
        caught, missed, false = of(wrong, "fail"), of(wrong, "pass"), of(right, "fail")
        print(
            f"| {name} {version} | {len(caught)} | {len(of(wrong, 'inconclusive'))} | "
            f"{len(missed)} | {len(false)} | {seconds:.1f} |",
            flush=True,
        )
        results[name] = {
            "version": version,
            "caught": len(caught),
            "missed": missed,
            "failed_though_right": false,
            "inconclusive": of(wrong + right, "inconclusive"),
            "seconds": round(seconds, 2),
        }
    for name, found in results.items():
        for kind in ("missed", "failed_though_right", "inconclusive"):
            if found[kind]:
                print(f"\n{name}, {kind.replace('_', ' ')}: {'; '.join(found[kind])}")
    return results


# -------------------------------------------------------------------------------- minienc's alone


def diagnose() -> dict[str, Any]:
    """What minienc says of each wrong gradient's cause, and how long each check takes."""
    answers = ("right", "factor", "wrong", "nothing")
    print("\n| the cause told of | right | a true number alone | wrong | nothing |")
    print("|---|---:|---:|---:|---:|")
    results: dict[str, Any] = {}
    times = []
    for kind, cases in (("gradients written wrongly", WRITTEN), ("gradients spoilt", SPOILT)):
        counts: Counter = Counter()
        names: dict[str, list[str]] = {}
        for case in cases:
            report = case.check(*case.given)
            times.append(report.seconds)
            if not case.is_right:
                answer = judge(report, case.causes)
                counts[answer] += 1
                names.setdefault(answer, []).append(case.name)
        n = sum(counts.values())
        cells = " | ".join(f"{counts[a]} ({counts[a] / n:.0%})" for a in answers)
        print(f"| {n} {kind} | {cells} |", flush=True)
        results[kind] = {a: counts[a] for a in answers} | {
            "wrong of": names.get("wrong", []),
            "nothing of": names.get("nothing", []),
        }
    median, p99 = np.quantile(times, [0.5, 0.99])
    print(f"\nmedian {median:.3f} s a check, p99 {p99:.2f} s, at most {max(times):.2f} s")
    results["seconds"] = {
        "median": round(float(median), 3),
        "p99": round(float(p99), 2),
        "max": round(max(times), 2),
    }
    return results


POINTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "in float32": lambda a: a.astype(np.float32),
    "at 100": lambda a: a + 100,
    "of 1e-3": lambda a: 1e-3 * a,
    "at whole numbers": np.rint,
    "at ones": np.ones_like,
}
# at ones all are tied, and this one gives the gradient to each of the tied
TIES_COUNTED_TWICE = "maxout"


def move() -> dict[str, Any]:
    """The right gradients at other points."""
    print("\n| right gradients | passed | inconclusive | failed |\n|---|---:|---:|---:|")
    results = {}
    for point, to in POINTS.items():
        verdicts: dict[str, list[str]] = {"pass": [], "inconclusive": [], "fail": []}
        for case in WRITTEN:
            if case.is_right and case.name != TIES_COUNTED_TWICE:
                given = [to(a) if a.dtype.kind == "f" else a for a in case.given]
                verdicts[case.check(*given).verdict].append(case.name)
        print(f"| {point} | {' | '.join(str(len(names)) for names in verdicts.values())} |")
        results[point] = {k: len(names) for k, names in verdicts.items()} | {
            "failed": verdicts["fail"]
        }
    kinds: Counter = Counter()
    for case in WRITTEN:  # x alone of integers, as it is written by hand
        if case.is_right and len(case.given) > 1 and case.given[0].dtype.kind == "f":
            x = np.rint(3 * case.given[0]).astype(int)
            if not _is_the_same(case, x):
                continue  # it rounds what it makes to integers
            try:
                kinds[case.check(x, *case.given[1:]).verdict] += 1
            except SubjectError:
                kinds["refused"] += 1
    print(f"| of an x of integers | {kinds['pass']} | {kinds['inconclusive']} | {kinds['fail']} |")
    return results | {"of an x of integers": dict(kinds)}


def _is_the_same(case: Case, x: np.ndarray) -> bool:
    """Whether a forward computes of integers what it does of the same numbers as floats."""
    one, other = (case.forward(a, *case.args[1:])[0] for a in (x, x.astype(float)))
    parts = zip(one, other, strict=True) if isinstance(one, tuple) else [(one, other)]
    return all(np.allclose(a, b) for a, b in parts)


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
    return {k: round(t, 2) for k, t in seconds.items()}


def main() -> None:
    """Run every checker on every case, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--save", action="store_true", help="write benchmarks/results/gradcheck.json"
    )
    save = parser.parse_args().save
    # first, for the threads that other libraries bring would share the processors with NumPy's
    speed, diagnosis, points = print_speed(), diagnose(), move()
    wrong = [c for c in WRITTEN + SPOILT if not c.is_right]
    right = [c for c in WRITTEN + SPOILT if c.is_right]
    print(f"\n{len(wrong)} wrong gradients, {len(right)} right ones; {platform.machine()}\n")
    results = {
        "wrong": len(wrong),
        "right": len(right),
        "seconds": speed,
        "diagnosis": diagnosis,
        "points": points,
        **compare(wrong, right),
    }
    if save:
        path = Path(__file__).parent / "results" / "gradcheck.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
