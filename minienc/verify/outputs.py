"""The outputs of a forward: arrays, weighed by a cotangent v into the one number <v, y>."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Outputs = tuple[np.ndarray, ...]
Line = Callable[[float], Outputs]  # t -> the outputs at x + t d


def float_outputs(y: Sequence[Any]) -> Outputs:
    """Outputs as float64 arrays of their own."""
    return tuple(np.array(part, dtype=np.float64) for part in y)


def weigh(v: Outputs, y: Outputs) -> float:
    """<v, y>, over all outputs."""
    return sum(float(np.sum(c * part)) for c, part in zip(v, y, strict=True))


def weigh_change(v: Outputs, above: Outputs, below: Outputs) -> float:
    """<v, above - below>, subtracting first: what did not change adds no rounding."""
    return sum(
        float(np.sum(c * (np.asarray(a, float) - np.asarray(b, float))))
        for c, a, b in zip(v, above, below, strict=True)
    )


def flat(y: Outputs) -> np.ndarray:
    """All numbers of all outputs, one after the other."""
    return np.concatenate([np.ravel(part).astype(float) for part in y])
