"""The judgement of one number: what the backward says, against the derivative that was measured.

A difference knows how wrong it may be. So a number is *wrong* if it lies further from the
difference than that and a small tolerance; it is *below the noise* if the difference could not have
told it from another; at a *kink*, such as |x| at 0, any slope between those to both sides is right.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from minienc.verify.differences import Derivative, Sides
from minienc.verify.findings import FAIL, INCONCLUSIVE, PASS, TensorResult, Word
from minienc.verify.measure import SURE


def is_wrong(yours: float, d: Derivative) -> bool:
    """Further from the difference than its uncertainty and the tolerance allow."""
    if not math.isfinite(d.uncertainty):
        return False  # there is no difference to hold it against
    tolerance = SURE * d.uncertainty + d.rtol * max(abs(yours), abs(d.value))
    return not abs(yours - d.value) <= tolerance


def is_below_noise(yours: float, d: Derivative) -> bool:
    """So small that the difference cannot tell it from another number."""
    if d.unchanged and yours == 0.0:
        return False  # proven to be zero
    return not SURE * d.uncertainty <= 0.1 * max(abs(yours), abs(d.value))


def is_subgradient(yours: float, sides: Sides | None) -> bool:
    """At a kink: between the slopes to both sides."""
    if sides is None:
        return False
    slack = 1e-4 * max(abs(sides.least), abs(sides.most))
    return sides.least - slack <= yours <= sides.most + slack


def judge(yours: float, d: Derivative, sides: Callable[[], Sides | None]) -> Word:
    """Decide what a number is; ``sides`` is dear, so it is called only where a kink matters."""
    if not math.isfinite(d.value):
        return Word.UNDEFINED
    wrong, below = is_wrong(yours, d), is_below_noise(yours, d)
    is_flat = d.value == 0.0 == yours and not d.unchanged  # |x| at 0; x^2 at 0, too
    if (wrong or below or is_flat) and is_subgradient(yours, sides()):
        return Word.KINK
    return Word.WRONG if wrong else Word.BELOW_NOISE if below else Word.RIGHT


def conclude(result: TensorResult) -> TensorResult:
    """The verdict on a tensor, from the counts of what its numbers were judged to be."""
    n = result.checked
    result.wrong.sort(key=lambda e: (not e.index, -abs(e.yours - e.numeric)))
    undecided = result.n_kinks - result.n_redrawn + result.n_below_floor + result.n_undefined
    result.touched = 1.0 - undecided / n
    if result.n_wrong:
        return result.decide(FAIL, f"{result.n_wrong} of {n} {result.method} are wrong")
    doubt = ""
    if result.n_unchanged == n:
        doubt = (
            "the outputs do not change with it at this point, so its zero gradient proves nothing"
        )
    elif result.n_kinks == n and not result.n_redrawn:
        doubt = "every number lies at a kink, where many slopes are right"
    elif result.n_undefined:
        doubt = (
            f"{result.n_undefined} of {n} numbers have no difference: beside this point the "
            f"forward gives NaN or infinity"
        )
    elif result.n_below_floor:
        doubt = (
            f"{result.n_below_floor} of {n} numbers are smaller than the noise of the forward: "
            f"nothing can be said of them"
        )
    return result.decide(INCONCLUSIVE if doubt else PASS, doubt)
