"""Gradients that are known as a whole: of cross-entropies by their labels, of normalisations, and
those that are made of another argument's.

Where the forward's numbers show what it is, the gradient is a formula that students know by heart,
and so are the ways to get it wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from minienc.verify.lesson.evidence import Changes, Evidence, Way
from minienc.verify.lesson.guesses import Guess
from minienc.verify.lesson.tape import Operation
from minienc.verify.line import Outputs, weigh


def wholes(name: str, ways: list[Way], evidence: Evidence) -> Iterator[Guess]:
    """Rows of this kind, for one argument's gradient."""
    yield from _of_labels(name, ways, evidence)
    yield from _of_normalisations(name, evidence)


# --------------------------------------------------------------- softmax and cross-entropy: p - 1


def _of_labels(name: str, ways: list[Way], evidence: Evidence) -> Iterator[Guess]:
    """A loss of integer labels whose gradient by its logits is c (p - 1 at the label)."""
    trial = evidence.trial
    z = trial.arguments[name]
    if len(trial.y) != 1 or z.ndim < 2:
        return
    with np.errstate(all="ignore"):
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        p = e / e.sum(axis=-1, keepdims=True)
    for labels in trial.arguments.values():
        if getattr(labels, "shape", None) != z.shape[:-1] or labels.dtype.kind not in "iu":
            continue
        if labels.size == 0 or labels.min() < 0 or labels.max() >= z.shape[-1]:
            continue
        own = labels[..., None] == np.arange(z.shape[-1])
        c = _factor(p - own, ways)
        if c is None:
            continue
        for sentence, g in (
            ("{} is p alone: the 1 that is taken off at each sample's own label is missing", p),
            (
                "in {} the 1 is taken off in the columns of all labels, and in each row: it "
                "belongs to each sample's own label alone",
                p - np.isin(np.arange(z.shape[-1]), labels),
            ),
            ("in {} the 1 is added at the label: it is taken off there", p + own),
        ):
            yield Guess(sentence.format(f"your d{name}"), _along(c * g))


def _factor(g: np.ndarray, ways: list[Way]) -> float | None:
    """c, if the right slope is c v <g, d> whichever way it is asked."""
    said = [float(way.v[0].sum()) * float(np.sum(g * way.direction)) for way in ways]
    if ways[0].v[0].size != 1 or not said[0]:
        return None
    c = ways[0].right / said[0]
    near = (abs(c * s - w.right) <= 1e-5 * abs(w.right) for s, w in zip(said, ways, strict=True))
    return c if all(near) else None


def _along(g: np.ndarray) -> Callable[[Way], float]:
    return lambda way: float(way.v[0].sum()) * float(np.sum(g * way.direction))


# ----------------------------------------------------------------------------- normalisations


def _of_normalisations(name: str, evidence: Evidence) -> Iterator[Guess]:
    """x_hat = (x - mean) / s along some axes; its backward with the means along others."""
    x = evidence.trial.arguments[name]
    if x.ndim < 2:
        return
    for number, operation in enumerate(evidence.operations):
        axes = _normalised(x, operation)
        if axes is None:
            continue
        x_hat = operation.output
        with np.errstate(all="ignore"):
            centred = x - x.mean(axes, keepdims=True)
            s = np.sqrt((centred**2).sum(axes, keepdims=True) / (x_hat**2).sum(axes, keepdims=True))
        for other in _others(x.ndim, axes):

            def says(way: Way, other=other, number=number, x_hat=x_hat, s=s) -> float:
                d = way.direction / s
                mean = d.mean(other, keepdims=True)
                moved = d - mean - x_hat * (x_hat * d).mean(other, keepdims=True)
                return weigh(way.v, _after(number, moved, evidence))

            yield Guess(
                f"your d{name} has its means over {_name(other)}: the normalisation is over "
                f"{_name(axes)}",
                says,
            )
        return


def _normalised(x: np.ndarray, operation: Operation) -> tuple[int, ...] | None:
    """The axes along which an operation's result is x without its mean, of length 1."""
    y = operation.output
    if y.shape != x.shape or operation.name not in ("divide", "multiply"):
        return None
    for axes in ((-1,), (0,), tuple(range(x.ndim - 1))):
        n = int(np.prod([x.shape[k] for k in axes]))
        if n < 2:
            continue
        centred = x - x.mean(axes, keepdims=True)
        with np.errstate(all="ignore"):
            ratio = centred / y
        spread = np.ptp(np.nan_to_num(ratio, nan=np.inf), axis=axes)
        length = (y * y).mean(axes)
        if np.all(spread <= 1e-8 * np.abs(ratio).max()) and np.all(np.abs(length - 1) < 0.1):
            return tuple(sorted(k % x.ndim for k in axes))
    return None


def _others(ndim: int, axes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for other in ((0,), (ndim - 1,), tuple(range(ndim - 1)), tuple(range(ndim))):
        if set(other) != set(axes):
            yield other


def _name(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {' and '.join(map(str, axes))}"


def _after(number: int, moved: np.ndarray, evidence: Evidence) -> Outputs:
    """How the outputs change when an operation's result moves, and nothing before it does."""
    name = evidence.trial.subject.differentiable[0]
    x = evidence.trial.arguments[name]
    h = 2.0**-17

    def at(t: float) -> Outputs:
        change: Changes = {number: lambda was, now: was.output + t * moved}
        return evidence.outputs(name, x, change)

    return tuple((a - b) / (2 * h) for a, b in zip(at(h), at(-h), strict=True))


# ------------------------------------------------------------------- made of another's gradient


def sums(name: str, ways: list[Way], evidence: Evidence) -> Iterator[Guess]:
    """A bias's gradient that is summed from the weight's."""
    trial = evidence.trial
    shape = trial.arguments[name].shape
    for other in trial.subject.differentiable:
        of = trial.arguments[other].shape
        if other == name or len(of) != 2:
            continue
        for axis in (0, 1):
            kept = tuple(1 if k == axis else n for k, n in enumerate(of))
            if of[axis] < 2 or shape not in (kept, (of[1 - axis],)) or not max(shape):
                continue
            summed = partial(_summed, other, kept, evidence)
            first = summed(ways[0])
            c = ways[0].yours / first if first else np.nan
            if not np.isfinite(c):
                continue
            times = "" if abs(c - 1) < 1e-4 else f" and times {c:.4g}"
            yield Guess(
                f"your d{name} is made of the gradient of {other}, summed over axis {axis}{times}: "
                f"{name} has a gradient of its own",
                partial(_times, c, summed),
            )


def _summed(other: str, kept: tuple[int, ...], evidence: Evidence, way: Way) -> float:
    """The slope that another argument's gradient has, summed along the axis of length 1."""
    shape = evidence.trial.arguments[other].shape
    return evidence.slope(other, np.broadcast_to(way.direction.reshape(kept), shape), way.v)


def _times(c: float, says: Callable[[Way], float], way: Way) -> float:
    return c * says(way)
