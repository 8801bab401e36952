"""How a classifier's answer is said: the likeliest classes, by their names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def named(p: np.ndarray, names: Sequence[object] | None, top: int) -> str:
    """The likeliest classes of probabilities p (K,), each with its name."""
    best = np.argsort(-p, kind="stable")[:top]
    told = [f"{k if names is None else names[k]} {100 * p[k]:.1f} %" for k in best]
    return ", ".join(told)
