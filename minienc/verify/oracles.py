"""Second opinions on a derivative, from sources that are not differences.

*Complex step.* For an analytic f, f(x + i h d) = f(x) + i h f'(x) d - O(h^2): the imaginary part
over h is the derivative, and nothing was subtracted, so with h = 1e-100 it is exact to rounding
(Squire and Trapp 1998, "Using complex variables to estimate derivatives of real functions"). It
needs a forward that takes complex numbers and treats them as mathematics does: |x| does not.
Another is ``jax.vjp`` of the same lines (``adapters/jax.py``).

An oracle may be wrong where a function does not qualify, so it is believed only where it agrees
with every difference; then it decides what lies below their noise.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minienc.verify.differences import Derivative
from minienc.verify.findings import Element, TensorResult, Word
from minienc.verify.judge import is_below_noise, is_wrong
from minienc.verify.measure import Direction, Meter
from minienc.verify.noise import EPS
from minienc.verify.subject import Trial

TINY = 1e-100  # any step will do whose square is lost beside 1


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


def complex_step(trial: Trial) -> Oracle:
    """The oracle by complex steps, where the forward takes complex numbers."""
    as_complex = {
        k: a.astype(complex) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a
        for k, a in trial.arguments.items()
    }

    def ask(direction: Direction) -> Answer:
        name, step = direction.name, 1j * TINY * direction.vector
        moved = {**as_complex, name: as_complex[name] + step}
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of an imaginary part that is thrown away
            y = trial.subject.outputs(moved)
        if not any(np.iscomplexobj(part) for part in y):
            raise TypeError("the outputs are real for a complex argument")
        return add_up([c * np.imag(part) / TINY for c, part in zip(trial.v, y, strict=True)])

    for name in trial.subject.differentiable:
        x = trial.arguments[name]
        try:
            if x.size:
                ask(Direction(name, np.ones(x.shape)))
        except Exception as error:  # whatever it raises, it does not qualify
            reason = f"the forward does not take complex numbers: {first_line(error)}"
            return Oracle("complex step", None, reason)
    return Oracle("complex step", ask)


def first_line(error: Exception) -> str:
    """The first line of an exception's message."""
    lines = str(error).strip().splitlines()
    line = lines[0] if lines else type(error).__name__
    return line if len(line) <= 120 else line[:117] + "..."


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
    every = meter.trial.gradients.values()
    largest = float(max(np.abs(g).max(initial=0) for g in every if g is not None))
    for direction, d, answer in answers:
        _decide_below_noise(result, direction, direction.slope(gradient), d, answer, largest)


def _decide_below_noise(
    result: TensorResult,
    direction: Direction,
    yours: float,
    d: Derivative,
    answer: Answer,
    largest: float,
) -> None:
    """A number that differences cannot tell from another, and an oracle may."""
    if is_wrong(yours, d) or not is_below_noise(yours, d):
        return
    if not math.isfinite(d.uncertainty):
        return  # nothing has confirmed the oracle here
    exact = d._replace(value=answer.value, uncertainty=1e-40 * largest)
    if not is_wrong(yours, exact):  # the same
        result.n_below_floor -= 1
        return
    exact = exact._replace(uncertainty=answer.rounding + 64 * EPS * largest)  # the backward rounds
    if is_below_noise(yours, exact):
        return
    result.n_below_floor -= 1
    if is_wrong(yours, exact):
        moving = np.argwhere(direction.vector)
        index = tuple(map(int, moving[0])) if len(moving) == 1 else ()
        result.count(Word.WRONG, Element(index, yours, *exact[:5]))
