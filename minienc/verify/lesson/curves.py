"""What happens as the step shrinks: two curves that need no tolerance to show a mistake.

*The Taylor remainder.* Along a direction d, with the claimed slope s = <g, d>,

    |F(h) - F(0) - h s| = |(F' - s) h + F''/2 h^2 + ...|

falls like h^2 (slope 2 in logarithms) where s is right, like h (slope 1) where it is wrong, and is
flat where only rounding is left (Farrell et al. 2013, "Automated derivation of the adjoint of
high-level transient finite element programs", section 5).

*The V-curve.* |D(h) - yours| against h, D the central difference: to the right it falls like h^2,
to the left rounding rises like 1/h; a gradient that is right has its valley, a wrong one a plateau.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from minienc.verify.noise import rounding_of
from minienc.verify.outputs import Line, Outputs, weigh_change


class Taylor(NamedTuple):
    """The remainders, and what their slope says."""

    steps: tuple[float, ...]
    remainders: tuple[float, ...]
    slope: float  # of log remainder against log step; nan where only rounding is left
    verdict: str  # "right", "wrong", "flat"

    def __str__(self) -> str:
        return "flat" if self.verdict == "flat" else f"slope {self.slope:.1f}"


def taylor_remainder(
    line: Line, v: Outputs, y: Outputs, slope: float, h: float, noise: float
) -> Taylor:
    """Halve the step ten times from h on, and fit the slope to the smallest steps whose remainder
    stands out from rounding."""
    steps, remainders, clear = [], [], []
    for k in range(11):
        step = h / 2**k
        above = line(step)
        remainder = abs(weigh_change(v, above, y) - step * slope)
        floor = 4 * rounding_of(v, above, y, noise) + 8 * noise * abs(step * slope)
        steps.append(step)
        remainders.append(remainder)
        if math.isfinite(remainder) and remainder > 10 * floor:
            clear.append(k)
    if len(clear) < 3:
        return Taylor(tuple(steps), tuple(remainders), math.nan, "flat")
    last = clear[-4:]
    order, _ = np.polyfit(
        np.log2([steps[k] for k in last]), np.log2([remainders[k] for k in last]), 1
    )
    return Taylor(
        tuple(steps), tuple(remainders), float(order), "wrong" if order < 1.5 else "right"
    )


def v_curve(line: Line, v: Outputs, yours: float, scale: float) -> list[tuple[float, float]]:
    """(h, |D(h) - yours|) for fourteen steps from a tenth of the argument's size down."""
    points = []
    for k in range(14):
        h = 0.1 * scale * 10.0 ** (-k)
        if h == 0:
            break
        error = abs(weigh_change(v, line(h), line(-h)) / (2 * h) - yours)
        if math.isfinite(error):
            points.append((h, error))
    return points
