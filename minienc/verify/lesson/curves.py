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

from minienc.verify.line import Line


class Taylor(NamedTuple):
    """The remainders, and what their slope says."""

    steps: tuple[float, ...]
    remainders: tuple[float, ...]
    slope: float  # of log remainder against log step; nan where only rounding is left
    verdict: str  # "right", "wrong", "flat"

    def __str__(self) -> str:
        return "flat" if self.verdict == "flat" else f"slope {self.slope:.1f}"


def taylor_remainder(line: Line, slope: float, h: float) -> Taylor:
    """Halve the step ten times from h on, and fit a power to the smallest steps whose remainder
    stands out from rounding."""
    steps = [h / 2**k for k in range(11)]
    remainders, clear = [], []
    for step in steps:
        above = line.at(step)
        remainder = abs(line.change(above, line.y) - step * slope)
        floor = 4 * line.rounding(above, line.y) + 8 * line.noise * abs(step * slope)
        remainders.append(remainder)
        if math.isfinite(remainder) and remainder > 10 * floor:
            clear.append((step, remainder))
    if len(clear) < 3:
        return Taylor(tuple(steps), tuple(remainders), math.nan, "flat")
    sizes, values = np.log2(clear[-4:]).T
    power = float(np.polyfit(sizes, values, 1)[0])
    verdict = "wrong" if power < 1.5 else "right"
    return Taylor(tuple(steps), tuple(remainders), power, verdict)


def v_curve(line: Line, yours: float, scale: float) -> list[tuple[float, float]]:
    """(h, |D(h) - yours|) for fourteen steps from a tenth of the argument's size down."""
    steps = [h for k in range(14) if (h := 0.1 * scale * 10.0 ** (-k)) > 0]
    errors = [abs(line.change(line.at(h), line.at(-h)) / (2 * h) - yours) for h in steps]
    return [(h, e) for h, e in zip(steps, errors, strict=True) if math.isfinite(e)]
