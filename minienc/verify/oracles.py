"""Second opinions on a derivative, from sources that are not differences.

``adapters`` have them: complex steps of the same forward, and ``jax.vjp`` of the same lines. An
oracle may be wrong where a function does not qualify, so it is believed only where it agrees with
every difference; then it decides what lies below their noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minienc.verify.differences import Derivative
from minienc.verify.findings import Element, TensorResult, Word
from minienc.verify.judge import is_below_noise, is_wrong
from minienc.verify.measure import Direction, Meter
from minienc.verify.noise import EPS


class Answer(NamedTuple):
    """A derivative, and what rounding may have done to it."""

    value: float
    rounding: float


def add_up(terms: list[np.ndarray]) -> Answer:
    """The derivative that is the sum of these products."""
    size = sum(float(np.sum(np.abs(term))) for term in terms)
    return Answer(sum(float(np.sum(term)) for term in terms), 64 * EPS * size)


class Oracle(NamedTuple):
    """Derivatives of <v, y> from another source; or the reason why it has none."""

    name: str
    ask: Callable[[Direction], Answer] | None
    reason: str = ""


def consult(oracle: Oracle, result: TensorResult, meter: Meter, gradient: np.ndarray) -> None:
    """Ask an oracle about everything that was measured of a tensor, and note how far off the
    gradient is; unless a difference contradicts the oracle."""
    if oracle.ask is None or result.n_kinks:
        return
    answers = []
    for direction, d in meter.measured[result.name]:
        answer = oracle.ask(direction)
        if is_wrong(answer.value, d):
            result.oracles[oracle.name] = (
                f"not used: along one direction of {result.name} it gives {answer.value:.6g}, "
                f"differences {d.value:.6g}"
            )
            return
        answers.append((direction, d, answer))
    size = max((max(abs(a.value), a.rounding) for _, _, a in answers), default=0.0)
    gap = max(abs(direction.slope(gradient) - a.value) for direction, _, a in answers)
    result.oracles[oracle.name] = gap / size if size > 0 else gap
    for direction, d, answer in answers:
        _decide_below_noise(result, direction, direction.slope(gradient), d, answer, meter)


def _decide_below_noise(
    result: TensorResult,
    direction: Direction,
    yours: float,
    d: Derivative,
    answer: Answer,
    meter: Meter,
) -> None:
    """A number that differences cannot tell from another, and an oracle may."""
    if is_wrong(yours, d) or not is_below_noise(yours, d):
        return
    if not math.isfinite(d.uncertainty):
        return  # nothing has confirmed the oracle here
    every = [g for g in meter.trial.gradients.values() if g is not None]
    largest = float(max(np.abs(g).max(initial=0) for g in every))
    exact = d._replace(value=answer.value, uncertainty=1e-40 * largest)
    if not is_wrong(yours, exact):  # the same
        result.n_below_floor -= 1
        return
    largest = max(largest, meter.trial.natural_size(result.name))
    exact = exact._replace(uncertainty=answer.rounding + 64 * EPS * largest)  # the backward rounds
    if is_below_noise(yours, exact):
        return
    result.n_below_floor -= 1
    if is_wrong(yours, exact):
        moving = np.argwhere(direction.vector)
        index = tuple(map(int, moving[0])) if len(moving) == 1 else ()
        result.count(Word.WRONG, Element(index, yours, *exact[:5]))
