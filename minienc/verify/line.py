"""A line through a point: t -> y(t), weighed by a cotangent v into one number F(t) = <v, y(t)>."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

Outputs = tuple[np.ndarray, ...]


class Line(NamedTuple):
    """The outputs along a line."""

    at: Callable[[float], Outputs]
    v: Outputs
    y: Outputs  # at t = 0
    noise: float = 0.0  # the relative error of an output

    def change(self, above: Outputs, below: Outputs) -> float:
        """<v, above - below>, subtracting first: what did not change adds no rounding."""
        return sum(
            float(np.sum(c * (np.asarray(a, float) - np.asarray(b, float))))
            for c, a, b in zip(self.v, above, below, strict=True)
        )

    def rounding(self, above: Outputs, below: Outputs) -> float:
        """What rounding may have done to that; what did not change was not rounded."""
        square = 0.0
        for c, a, b in zip(self.v, above, below, strict=True):
            size = np.maximum(np.abs(a), np.abs(b)).astype(float) * (a != b)
            square += float(np.sum(np.square(c * size)))
        return self.noise * math.sqrt(square)


def float_outputs(y: Sequence[Any]) -> Outputs:
    """Outputs as float64 arrays of their own."""
    return tuple(np.array(part, dtype=np.float64) for part in y)


def weigh(v: Outputs, y: Outputs) -> float:
    """<v, y>, over all outputs."""
    return sum(float(np.sum(c * part)) for c, part in zip(v, y, strict=True))


def flat(y: Outputs) -> np.ndarray:
    """All numbers of all outputs, one after the other."""
    return np.concatenate([np.ravel(part).astype(float) for part in y])
