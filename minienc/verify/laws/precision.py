"""float32 against float64: what rounding does to a gradient, apart from mistakes of calculus."""

from __future__ import annotations

import numpy as np

from minienc.verify.findings import FAIL, TensorResult
from minienc.verify.line import Outputs
from minienc.verify.noise import tensor_scale
from minienc.verify.subject import Trial, own


def compare_precision(results: list[TensorResult], trial: Trial) -> None:
    """Run the backward in the dtype that was given, if that is not float64, and fail gradients that
    are right in float64 alone."""
    subject, given = trial.subject, trial.given
    if {given[k].dtype for k in subject.differentiable} == {np.dtype(np.float64)}:
        return
    y, _ = subject.forward(own(given))
    dys = tuple(c.astype(part.dtype) for c, part in zip(trial.v, y, strict=True))
    native = subject.gradients(given, dys)
    for result in results:
        exact, dtype = trial.gradients[result.name], given[result.name].dtype
        if exact is None or result.verdict == FAIL:
            continue
        rounding = gradient_rounding(
            trial.arguments[result.name], trial.v, trial.y, float(np.finfo(dtype).eps)
        )
        _compare(result, np.asarray(native[result.name], float), np.asarray(exact), dtype, rounding)


def _compare(
    result: TensorResult, native: np.ndarray, exact: np.ndarray, dtype: np.dtype, rounding: float
) -> None:
    if native.shape != exact.shape or native.size == 0:
        return
    size = float(np.abs(exact).max())
    gap = float(np.abs(native - exact).max())
    result.precision_error = gap / size if size > 0 else 0.0
    if not gap <= max(1e-2 * size, rounding):
        result.decide(
            FAIL,
            f"in float64 the gradient is right, but in {dtype} it is off by "
            f"{result.precision_error:.0%} of its largest element",
        )


def gradient_rounding(x: np.ndarray, v: Outputs, y: Outputs, eps: float) -> float:
    """What rounding may leave of a gradient that is zero, as a bias's before a normalisation: the
    size of a gradient that takes the function from its value to 0 over the size of x, times what
    arithmetic of relative error eps leaves of a sum."""
    size = sum(float(np.sum(np.abs(c * part))) for c, part in zip(v, y, strict=True))
    return 8 * eps * size / tensor_scale(x)
