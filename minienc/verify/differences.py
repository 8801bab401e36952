"""Derivatives by differences that know how wrong they may be.

Along a line t -> y(t), with F(t) = <v, y(t)>, the central difference

    D(h) = [F(h) - F(-h)] / 2h = F' + h^2/6 F''' + h^4/120 F''''' + ...

has an even series, so two of them with h and h/2 cancel its first term (Richardson 1911):

    R = [4 D(h/2) - D(h)] / 3 = F' + O(h^4)

which is also the five-point stencil of fourth order with the step k = h/2 (Abramowitz and Stegun
1964, eq. 25.3.6):  R = [F(-2k) - 8 F(-k) + 8 F(k) - F(2k)] / 12k.

Two things make R wrong. Cutting off the series: how far R lies from D(h/2) bounds it. Rounding:
each output y_j is known to about eps |y_j|, so a difference of two over a width of h to eps |v_j
y_j| / h, and an output that x does not reach adds nothing. The sum of both is the *uncertainty*.
The step begins at the size that balances them and is changed until the uncertainty no longer falls;
of a number that is smaller than its uncertainty nothing is said: it is below the noise.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from minienc.verify.line import Line, Outputs, flat, weigh

FAR = 256.0


class Derivative(NamedTuple):
    """A derivative along a line."""

    value: float
    uncertainty: float
    step: float
    above: float  # F(h/2)
    below: float  # F(-h/2)
    unchanged: bool  # every output was the same to the last bit on both sides
    rtol: float = 1e-6  # how far from it a number may lie that is called right


def first_step(x: float, scale: float, eps: float) -> float:
    """A power of two near eps^(1/5) times the size of x: added to x, hardly a bit is lost."""
    size = max(abs(x), scale)
    return 2.0 ** round(math.log2(eps**0.2 * (size if size > 0 else 1.0)))


def derivative(line: Line, h: float, goal: float = 1e-9, small: float | None = None) -> Derivative:
    """Differentiate <v, y(t)> at t = 0.

    Parameters
    ----------
    line : Line
    h : the first step
    goal : stop when the uncertainty is below this fraction of the value
    small : a step for the size of the element itself, tried where h does not serve
    """
    best: Derivative | None = None
    tried: set[float] = set()
    first = h
    hidden = _Hidden(line, FAR * h)
    while h not in tried and len(tried) < 8:
        tried.add(h)
        d, truncation, rounding = _richardson(line, h, hidden)
        if best is None or not best.uncertainty <= d.uncertainty:  # or nan
            best = d
        if best.uncertainty <= goal * abs(best.value) or (d.unchanged and len(tried) > 1):
            break
        if not math.isfinite(d.uncertainty):  # the step left where the function is defined
            h /= 64
        else:
            h = h / 8 if truncation > rounding else h * 4
    assert best is not None
    for other in (first / 64, small):  # for an element that is small beside its tensor's others
        if other is None or 100 * best.uncertainty <= abs(best.value):
            break
        d, _, _ = _richardson(line, other, hidden)
        if d.uncertainty < best.uncertainty:
            best = d
    return best


class _Hidden:
    """What outputs that did not change to the last bit may still hide.

    An output y_j may not depend on x at all; or it does, by less than its rounding: then it hides
    up to eps |v_j y_j| / h. To tell, a step is taken that is ``FAR`` times as long: what does not
    move there either hides at most eps |v_j y_j| / (FAR h). That step is taken when it matters.
    """

    def __init__(self, line: Line, far: float) -> None:
        self.line, self.far = line, far
        self.moves: list[np.ndarray] | None = None

    def at(self, above: Outputs, below: Outputs, h: float, value: float) -> float:
        """The most that outputs equal above and below may add to the derivative."""
        still = [a == b for a, b in zip(above, below, strict=True)]
        most = self._size(still) / h
        if most <= 1e-8 * abs(value):
            return most
        if self.moves is None:
            ends = self.line.at(self.far), self.line.at(-self.far)
            self.moves = [
                ~((a == b) & (a == c)) for a, b, c in zip(*ends, self.line.y, strict=True)
            ]
        slow = [s & m for s, m in zip(still, self.moves, strict=True)]
        dead = [s & ~m for s, m in zip(still, self.moves, strict=True)]
        return self._size(slow) / h + self._size(dead) / self.far

    def _size(self, which: list[np.ndarray]) -> float:
        square = sum(
            float(np.sum(np.square(c * part, where=w, out=np.zeros(np.shape(part)))))
            for c, part, w in zip(self.line.v, self.line.y, which, strict=True)
        )
        return self.line.noise * math.sqrt(square)


def _richardson(line: Line, h: float, hidden: _Hidden) -> tuple[Derivative, float, float]:
    """R with the steps h and h/2, and the two parts of its uncertainty."""
    far_above, far_below = line.at(h), line.at(-h)
    above, below = line.at(h / 2), line.at(-h / 2)
    wide = line.change(far_above, far_below) / (2 * h)
    narrow = line.change(above, below) / h
    value = (4 * narrow - wide) / 3
    rounding = 3 * line.rounding(above, below) / h + hidden.at(above, below, h, value)
    truncation = abs(value - narrow)
    unchanged = all(
        np.array_equal(a, b, equal_nan=True) and np.array_equal(a, c, equal_nan=True)
        for a, b, c in zip(far_above, far_below, line.y, strict=True)
    )
    ends = weigh(line.v, above), weigh(line.v, below)
    return Derivative(value, truncation + rounding, h, *ends, unchanged), truncation, rounding


class Sides(NamedTuple):
    """At a kink: the least and the largest slope that may be called right."""

    least: float
    most: float


def find_kink(line: Line, h: float) -> Sides | None:
    """Bounds of the slope if x is a kink; None where the function is smooth.

    Curvature makes one-sided slopes differ too, but by an amount that shrinks with the step; at a
    kink the jump stays. It has to stand out from the rounding. Every output has its own kink, at
    which any slope between those to both sides is right: where windows of a maximum overlap, each
    may choose another of the tied.
    """
    v, y, jumps = flat(line.v), flat(line.y), []
    for step in (h, h / 8):
        above, below = line.at(step), line.at(-step)
        left, right = v * (y - flat(below)) / step, v * (flat(above) - y) / step
        jump = np.abs(right - left)
        rounding = line.noise * np.abs(v) * np.maximum(np.abs(flat(above)), np.abs(flat(below)))
        jumps.append(np.where(jump > 40 * rounding / step, jump, 0))
        if not np.sum(jumps[-1]) > 40 * line.rounding(above, below) / step:
            return None
    kinked = (jumps[0] > 0) & (jumps[1] > 0.5 * jumps[0])
    if not kinked.any():
        return None
    middle = (left + right) / 2
    least = np.where(kinked, np.minimum(left, right), middle).sum()
    most = np.where(kinked, np.maximum(left, right), middle).sum()
    return Sides(float(least), float(most))
