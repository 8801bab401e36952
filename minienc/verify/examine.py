"""The examination of one gradient: which numbers are asked for, and what comes of them.

Element by element where a tensor is small; where it is large, along random directions. Each number
is measured, judged and counted; the counts make the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc.arrays import Array
from minienc.verify.differences import Derivative
from minienc.verify.findings import FAIL, PASS, Element, TensorResult, Word
from minienc.verify.judge import conclude, is_below_noise, is_subgradient, is_wrong, judge
from minienc.verify.measure import Direction, Meter, element
from minienc.verify.oracles import Oracle, consult

ELEMENTWISE = 600  # tensors of at most so many elements are checked one by one,
ELEMENTWISE_OF_LARGE = 30  # or so many, where all tensors together have more than
LARGE = 20_000  # so many, for each evaluation takes long then
DIRECTIONS = 6
DIRECTIONS_OF_SLOW = 2  # where the time is short
EVALUATIONS = 8  # of the forward that an element or a direction takes, or so


def examine(
    meter: Meter,
    name: str,
    exhaustive: bool = False,
    oracles: Sequence[Oracle] = (),
    part: float = 1.0,
) -> TensorResult:
    """One argument's gradient; element by element only where that takes no more than this part of
    the time that is left."""
    arguments, differentiable = meter.trial.arguments, meter.trial.subject.differentiable
    x, gradient = arguments[name], meter.trial.gradients[name]
    is_large = sum(arguments[k].size for k in differentiable) > LARGE
    small = exhaustive or x.size <= (ELEMENTWISE_OF_LARGE if is_large else ELEMENTWISE)
    hurried = small and not exhaustive and not meter.affords(EVALUATIONS * x.size, part)
    method = "elements" if small and not hurried else "directions"
    result = TensorResult(name, tuple(x.shape), method, hurried=hurried)
    if _is_settled(result, meter, x, gradient):
        return result
    gradient = np.asarray(gradient)
    if method == "elements":
        _by_elements(result, meter, gradient)
    else:
        _by_directions(result, meter, gradient)
    for oracle in oracles:
        consult(oracle, result, meter, gradient)
    return conclude(result)


def _is_settled(result: TensorResult, meter: Meter, x: np.ndarray, gradient: Array) -> bool:
    """Decide what needs no measuring; return whether that was so."""
    if x.size == 0:
        result.decide(PASS if np.shape(gradient) == x.shape else FAIL, "it is empty")
    elif result.name in meter.trial.subject.stopped:
        _examine_stopped(result, gradient)
    elif gradient is None:
        _examine_missing(result, meter)
    elif np.shape(gradient) != x.shape:
        result.n_wrong = x.size
        result.decide(
            FAIL,
            f"the gradient has shape {np.shape(gradient)}, expected {x.shape}, {result.name}'s",
        )
    elif not np.isfinite(gradient).all():
        bad = [tuple(map(int, i)) for i in np.argwhere(~np.isfinite(gradient))[:3]]
        result.decide(FAIL, f"the gradient is not finite at {bad}")
    else:
        return False
    return True


def _examine_stopped(result: TensorResult, gradient: Array) -> None:
    """A declared stop-gradient: None or zeros, whatever the outputs do."""
    result.checked = int(np.prod(result.shape))
    if gradient is None or (np.shape(gradient) == result.shape and not np.any(gradient)):
        result.decide(PASS, "no gradient, as declared")
    else:
        result.n_wrong = int(np.count_nonzero(gradient))
        result.decide(FAIL, "stop_gradient is declared for it, but it has a gradient")


def _examine_missing(result: TensorResult, meter: Meter) -> None:
    """The backward gave None: right only where nothing depends on x."""
    result.checked = 1
    if meter.measure(meter.draw(result.name)).unchanged:
        result.decide(PASS, "no gradient, and the outputs do not depend on it")
    else:
        result.decide(FAIL, "the backward gave no gradient, but the outputs depend on it")


def _compare(meter: Meter, direction: Direction, gradient: np.ndarray) -> tuple[float, Derivative]:
    """What the gradient says and what is measured, with more care where the two disagree."""
    yours, d = direction.slope(gradient), meter.measure(direction)
    return yours, meter.measure_again(direction, d) if is_wrong(yours, d) else d


def _judge(
    result: TensorResult, meter: Meter, direction: Direction, yours: float, d: Derivative
) -> Word:
    """Judge a number, and count it."""
    word = judge(yours, d, lambda: meter.sides(direction, d))
    result.count(word, Element(direction.at or (), yours, *d[:5]))
    return word


# ---------------------------------------------------------------------------- element by element


def _by_elements(result: TensorResult, meter: Meter, gradient: np.ndarray) -> None:
    for index in np.ndindex(gradient.shape):
        direction = element(result.name, gradient.shape, index)
        yours, d = _compare(meter, direction, gradient)
        result.n_unchanged += d.unchanged
        _judge(result, meter, direction, yours, d)
    result.checked = gradient.size
    if result.n_kinks and not result.n_wrong:
        _examine_ties(result, meter, gradient)


def _examine_ties(result: TensorResult, meter: Meter, gradient: np.ndarray) -> None:
    """Where a maximum is tied, each element may have any share of its slope, but all together
    exactly the whole: along (1, ..., 1) a maximum has no kink."""
    direction = Direction(result.name, np.ones(gradient.shape))
    d, yours = meter.measure(direction), direction.slope(gradient)
    if is_wrong(yours, d) and not meter.sides(direction, d):
        result.count(Word.WRONG, Element((), yours, *d[:5]))


# ------------------------------------------------------------------------------ along directions


def _by_directions(result: TensorResult, meter: Meter, gradient: np.ndarray) -> None:
    slow = not meter.affords(EVALUATIONS * DIRECTIONS)
    result.checked = DIRECTIONS_OF_SLOW if slow else DIRECTIONS
    for _ in range(result.checked):
        direction = meter.draw(result.name)
        yours, d = _compare(meter, direction, gradient)
        result.n_unchanged += d.unchanged
        sides = meter.sides(direction, d) if is_wrong(yours, d) else None
        if sides is not None:
            _redraw(result, meter, direction, yours, d)
            continue
        _judge(result, meter, direction, yours, d)


def _redraw(
    result: TensorResult, meter: Meter, direction: Direction, yours: float, d: Derivative
) -> None:
    """The line crosses a kink, so its slope tells nothing: judge the gradient at a point nearby."""
    result.n_kinks += 1
    moved = meter.move(result.name)
    if moved is None:
        return
    holds = holds_along_a_direction(Meter(moved, meter.rng, meter.eps, meter.rtol), result.name)
    if holds:
        result.n_redrawn += 1
    elif holds is False:
        result.count(Word.WRONG, Element((), yours, *d[:5]))


def holds_along_a_direction(meter: Meter, name: str, tries: int = 3) -> bool | None:
    """Whether the gradient is right in one direction; where that crosses a kink or tells nothing,
    beside it; None where it tells nothing there either."""
    gradient = meter.trial.gradients[name]
    if gradient is None:
        return False
    direction = meter.draw(name)
    yours, d = _compare(meter, direction, gradient)
    wrong = is_wrong(yours, d)
    if not wrong and not is_below_noise(yours, d):
        return True
    sides = meter.sides(direction, d)
    if wrong and is_subgradient(yours, sides):
        return True
    moved = meter.move(name) if (sides or not wrong) and tries else None
    if moved is None:
        return False if wrong else None
    return holds_along_a_direction(Meter(moved, meter.rng, meter.eps, meter.rtol), name, tries - 1)
