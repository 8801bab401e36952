"""Second derivatives, by differences of the gradient that a backward gives.

With g(x) the gradient of F(x) = <v, y(x)>, a Hessian-vector product is the derivative of g along a
direction (Pearlmutter 1994, "Fast exact multiplication by the Hessian", eq. 1):

    H u = [ g(x + h u) - g(x - h u) ] / 2h + O(h^2)

The Hessian of a function is symmetric, <w, H u> = <u, H w>: a field g for which that fails is the
gradient of nothing, whatever its values at one point.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, Subject, Trial

STEP = 2.0**-13  # near the cube root of float64's epsilon, 2^-52, with room for |g|


def hessian_vector_product(
    subject: Subject, arguments: Arguments, v: Outputs, direction: Arguments, h: float = STEP
) -> dict[str, np.ndarray]:
    """H u, by argument, for u = ``direction``; Richardson's combination of the steps h and h/2."""
    wide = _difference(subject, arguments, v, direction, h)
    narrow = _difference(subject, arguments, v, direction, h / 2)
    return {k: (4 * narrow[k] - wide[k]) / 3 for k in wide}


def _difference(
    subject: Subject, arguments: Arguments, v: Outputs, direction: Arguments, h: float
) -> dict[str, np.ndarray]:
    above, below = (
        _gradient(
            subject, {**arguments, **{k: arguments[k] + s * u for k, u in direction.items()}}, v
        )
        for s in (h, -h)
    )
    return {k: (above[k] - below[k]) / (2 * h) for k in above}


def _gradient(subject: Subject, arguments: Arguments, v: Outputs) -> dict[str, np.ndarray]:
    _, cache = subject.forward(arguments)
    found = subject.backward(v, cache)
    return {
        k: np.zeros(arguments[k].shape) if g is None else np.asarray(g, dtype=np.float64)
        for k, g in found.items()
    }


def check_symmetry(trial: Trial, rng: np.random.Generator) -> tuple[list[str], str]:
    """Compare both products for two random directions through all arguments at once: the problem,
    if they differ, and a note, if they agree."""
    subject, x, v = trial.subject, trial.arguments, trial.v
    u, w = ({k: rng.standard_normal(x[k].shape) for k in subject.differentiable} for _ in "uw")
    hu = hessian_vector_product(subject, x, v, u)
    hw = hessian_vector_product(subject, x, v, w)
    one, other = _inner(w, hu), _inner(u, hw)
    size = max(np.sqrt(_inner(hu, hu) * _inner(w, w)), np.sqrt(_inner(hw, hw) * _inner(u, u)))
    gradient = _gradient(subject, x, v)
    floor = 1e-9 * np.sqrt(_inner(gradient, gradient))  # what differences of g leave of H = 0
    gap = float(abs(one - other) / (size + floor + 1e-300))
    if gap <= 1e-5:
        return [], (
            f"second order: the Hessian is symmetric, <w, H u> = {one:.6g} = <u, H w> but for "
            f"{gap:.0e} of its size"
        )
    return [
        f"second order: <w, H u> is {one:.6g}, <u, H w> is {other:.6g}; a Hessian is symmetric, so "
        f"this is the gradient of no function"
    ], ""


def _inner(a: dict[str, Any], b: dict[str, Any]) -> float:
    return sum(float(np.sum(a[k] * b[k])) for k in a)
