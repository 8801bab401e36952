"""float32 against float64: what rounding does to a gradient, apart from mistakes of calculus."""

from __future__ import annotations

import numpy as np

from minienc.verify.findings import FAIL, TensorResult
from minienc.verify.noise import gradient_rounding
from minienc.verify.subject import Trial


def compare_precision(results: list[TensorResult], trial: Trial) -> None:
    """Run the backward in the dtype that was given, if that is not float64, and fail gradients that
    are right in float64 alone."""
    subject, given = trial.subject, trial.given
    if {given[k].dtype for k in subject.differentiable} == {np.dtype(np.float64)}:
        return
    y, cache = subject.forward(given)
    dys = tuple(c.astype(part.dtype) for c, part in zip(trial.v, y, strict=True))
    native = subject.backward(dys, cache)
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
