"""The table of mistakes that can be told from the numbers alone.

A row is a sentence, and how a wrong gradient of this kind is had from the right one g by a linear
A. The right one is not at hand, but its slope in any direction is, and <A g, d> = <g, A' d>. So a
row holds A', what it does to the direction; or what it does to the cotangent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations
from typing import NamedTuple

import numpy as np

from minienc.verify.lesson.evidence import Evidence, Way
from minienc.verify.line import Outputs, weigh

Turn = Callable[..., np.ndarray]
MANY_STEPS = 24  # steps of a loop, each of which needs evaluations of its own


class Guess(NamedTuple):
    """A sentence, and the slope that the backward would give if it were true."""

    sentence: str
    says: Callable[[Way], float]


def guesses(name: str, evidence: Evidence) -> Iterator[Guess]:
    """All rows, for one argument's gradient."""
    shape, y = evidence.trial.arguments[name].shape, evidence.trial.y
    for sentence, turn in _of_directions(shape):
        yield _turned(name, evidence, sentence, turn)
    for sentence, other in _of_cotangents(y):
        yield _with_cotangent(name, evidence, sentence, other)
    for sentence, says in _of_others(name, shape, evidence):
        yield Guess(sentence.format(f"your d{name}"), says)


def steps(name: str, evidence: Evidence) -> Iterator[Guess]:
    """Rows of gradients whose steps, or samples, have nothing to do with each other."""
    for sentence, axis in _of_steps(evidence.trial.arguments[name].shape, evidence.trial.y):
        by_steps = partial(_by_steps, name, evidence, axis)
        yield Guess(sentence.format(f"your d{name}"), by_steps)


def factors(name: str, evidence: Evidence) -> Iterator[Guess]:
    """More rows, for when nothing else fits: a factor that is another in each row or column, as the
    forward computes it; dy itself."""
    shape, y = evidence.trial.arguments[name].shape, evidence.trial.y
    for sentence, turn in _of_factors(shape, evidence):
        yield _turned(name, evidence, sentence, turn)
    if len(y) == 1 and y[0].shape == shape:
        says = lambda way: weigh((way.direction,), way.v)  # noqa: E731
        yield Guess(f"your d{name} is dy as it came: nothing is done with it", says)


def _with_cotangent(name: str, evidence: Evidence, sentence: str, other: Callable) -> Guess:
    says = lambda way: evidence.slope(name, way.direction, other(way.v))  # noqa: E731
    return Guess(sentence.format(f"your d{name}"), says)


def _turned(name: str, evidence: Evidence, sentence: str, turn: Turn) -> Guess:
    says = lambda way: evidence.slope(name, turn(way.direction), way.v)  # noqa: E731
    return Guess(sentence.format(f"your d{name}"), says)


# ------------------------------------------------------------- the right numbers in other places


def _of_directions(shape: tuple[int, ...]) -> Iterator[tuple[str, Turn]]:
    axes = [k for k, n in enumerate(shape) if n > 1]
    for order in permutations(range(len(shape))) if len(shape) <= 4 else ():
        moved = [k for k, m in enumerate(order) if k != m and shape[k] > 1]
        if moved and tuple(shape[k] for k in order) == shape:
            where = "" if len(shape) == 2 else f": its axes stand in the order {order}"
            yield (
                f"{{}} equals the transpose of the right one{where}",
                lambda d, order=order: d.transpose(np.argsort(order)),
            )
    if len(shape) == 2 == len(axes) and shape[0] != shape[1]:
        yield (
            "{} has the numbers of the transpose, reshaped: transpose instead",
            lambda d: d.reshape(d.shape[::-1]).T,
        )
    for axis in axes:
        along = f" along axis {axis}" if len(shape) > 1 else ""
        for sentence, turn in _along(axis, shape[axis]):
            yield sentence.format("{}", along), turn
        n = shape[axis]
        if n % 2 == 0 and n > 2:
            yield (
                f"the two halves of {{}}{along} stand each in the other's place",
                lambda d, axis=axis, n=n: np.roll(d, n // 2, axis),
            )
        spread = _spread_over(axis)
        many = "sum", "summed", 1
        for word, verb, n in (many, ("mean", "averaged", shape[axis])):
            yield (
                f"{{}} has the same number{along or ' everywhere'}, the {word} of the right ones: "
                f"it is {verb} over an axis too many",
                lambda d, spread=spread, n=n: spread(d) / n,
            )


def _along(axis: int, n: int) -> Iterator[tuple[str, Turn]]:
    """What happens along an axis, as of time; the second place in a sentence is for which."""
    first, last = _part(axis, 0), _part(axis, n - 1)
    yield "{}{} runs backwards: flip it", lambda d: np.flip(d, axis)
    for step, word in ((1, "later"), (-1, "earlier")):
        sentence = f"each number of {{}} stands a place{{}} {word} than it should: off by one"
        yield sentence, lambda d, step=step: _shifted(d, axis, -step)
        yield sentence, lambda d, step=step: np.roll(d, -step, axis)
    for start in (0, 1) if n % 2 == 0 and n > 2 else ():
        which = ("first", "second")[start]
        yield (
            f"of every two places{{1}} of {{0}} only the {which} counts: a term is missing",
            lambda d, start=start: sum((_part(axis, k)(d) for k in range(start, n, 2)), 0 * d),
        )
    left = "where is the loop left, or is `=` written for `+=`?"
    if n > 2:
        yield f"only the first place{{1}} of {{0}} is written, and right: {left}", first
        yield f"only the last place{{1}} of {{0}} is written, and right: {left}", last
    for word, part in (("first", first), ("last", last)):
        yield (
            f"the {word} place{{1}} of {{0}} is left out: a loop that is off by one?",
            lambda d, part=part: d - part(d),
        )


def _part(axis: int, at: int) -> Turn:
    """Zero but for one place along an axis."""

    def part(d: np.ndarray) -> np.ndarray:
        places = np.arange(d.shape[axis]).reshape(-1, *[1] * (d.ndim - 1 - axis))
        return np.where(places == at, d, 0)

    return part


def _shifted(d: np.ndarray, axis: int, step: int) -> np.ndarray:
    """Moved along an axis, with zeros where nothing comes from."""
    lost = _part(axis, 0 if step > 0 else d.shape[axis] - 1)
    moved = np.roll(d, step, axis)
    return moved - lost(moved)


def _spread_over(axis: int) -> Turn:
    return lambda d: np.broadcast_to(d.sum(axis, keepdims=True), d.shape)


def _of_factors(shape: tuple[int, ...], evidence: Evidence) -> Iterator[tuple[str, Turn]]:
    seen: list[np.ndarray] = []
    for operation in evidence.operations:
        q = operation.output
        last = zip(q.shape[::-1], shape[::-1], strict=False)
        if q.ndim > len(shape) or not all(n in (1, m) for n, m in last):
            continue
        if q.size < 2 or np.ptp(q) == 0 or not np.all(q):
            continue
        if len(seen) >= MANY_STEPS or any(np.array_equal(q, other) for other in seen):
            continue
        seen.append(q)
        told = f"`{operation.text}`"
        yield f"{{}} is multiplied by {told} once too often", lambda d, q=q: d * q
        yield f"in {{}}, {told} is missing as the factor", lambda d, q=q: d / q


# ------------------------------------------------------------------ the right way, from another dy


def _of_cotangents(y: Outputs) -> Iterator[tuple[str, Callable[..., Outputs]]]:
    if max((part.size for part in y), default=0) > 1:
        yield (
            "{} is right for a dy of ones: the dy that it is given is not used",
            lambda v: tuple(map(np.ones_like, v)),
        )
        yield "{} has dy in it twice", lambda v: tuple(part * part for part in v)
    for k in range(len(y)) if len(y) > 1 else ():
        yield (
            f"{{}} has nothing of what comes back through output {k}: a term is missing",
            lambda v, k=k: tuple(0 * part if i == k else part for i, part in enumerate(v)),
        )
    if len(y) > 1:
        return
    for axis in (k for k, n in enumerate(y[0].shape) if n > 1):
        along = f" along axis {axis}" if y[0].ndim > 1 else ""
        for sentence, turn in _along(axis, y[0].shape[axis]):
            told = sentence.format("dy", along)
            yield (
                f"{{}} is what it would be if dy were changed so: {told}",
                lambda v, turn=turn: (turn(v[0]),),
            )


def _of_others(
    name: str, shape: tuple[int, ...], evidence: Evidence
) -> Iterator[tuple[str, Callable[..., float]]]:
    """Another argument's gradient, dy itself, the Jacobian's product from the other side."""
    trial = evidence.trial
    for other in trial.subject.differentiable:
        if other != name and trial.arguments[other].shape == shape:
            yield (
                f"{{}} is the gradient of {other}: the one stands in the other's place",
                lambda way, other=other: evidence.slope(other, way.direction, way.v),
            )
    for other, a in trial.arguments.items():
        square = getattr(a, "ndim", 0) == 2 and shape[-1:] * 2 == a.shape and other != name
        if square and a.dtype.kind == "f" and np.linalg.cond(a) < 1e4:
            turn = a.T @ np.linalg.inv(a)
            yield (
                f"in {{}}, {other} is transposed where it should not be, or not where it should",
                lambda way, turn=turn: evidence.slope(name, way.direction @ turn, way.v),
            )
    if len(trial.y) == 1 and trial.y[0].shape == shape:
        yield (
            "{} is J dy instead of J' dy: it has to run the other way, as a transposed matrix, a "
            "shift or a sum does",
            lambda way: weigh((way.direction,), evidence.change(name, way.v[0])),
        )


# ----------------------------------------------------------------------------------- step by step


def _of_steps(shape: tuple[int, ...], y: Outputs) -> Iterator[tuple[str, int]]:
    """Axes, as of time, that argument and output have in common."""
    for axis, n in enumerate(shape):
        if 1 < n <= MANY_STEPS and all(part.ndim > axis and part.shape[axis] == n for part in y):
            yield (
                f"in {{}} nothing comes back from one place along axis {axis} to another: what "
                f"the steps or samples have to do with each other is a term that is missing",
                axis,
            )


def _by_steps(name: str, evidence: Evidence, axis: int, way: Way) -> float:
    """The slope of each step's outputs in that step's direction alone."""
    total = 0.0
    for k in range(way.direction.shape[axis]):
        moved = evidence.change(name, _part(axis, k)(way.direction))
        total += weigh(tuple(_part(axis, k)(part) for part in way.v), moved)
    return total
