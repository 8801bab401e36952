"""What numbers say, in words: whether a code is worth its width, whether pretraining helped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from minienc.finetuning.curve import FewLabelCurve


def reconstruction_verdict(errors: list[tuple[str, float]]) -> str:
    """Better or worse than principal components, where there are any, by what factor; and than the
    mean."""
    (_, mean), (name, own) = errors[0], errors[-1]
    if not np.isfinite(own):
        return f"Reconstruction failed: the error of {name} is {own}."
    if own >= mean:
        return (
            f"It learned nothing of the input: its squared error, {own:.3g}, is no better than "
            f"that of answering with the mean sample, {mean:.3g}."
        )
    other, error = errors[-2] if len(errors) > 2 else ("answering with the mean sample", mean)
    if own < error:
        times = f"{error / own:.2g} times better" if own else "perfectly, and so better"
        return f"It restores {times} than {other}: squared error {own:.3g} against {error:.3g}."
    return (
        f"It restores worse than {other}: squared error {own:.3g} against {error:.3g}. A linear "
        f"code of the same width is better."
    )


# Student's t: how many standard errors a 95 % interval reaches with n - 1 = 1, 2, ... differences
_STUDENT_T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14)


def few_label_verdicts(curve: FewLabelCurve) -> list[str]:
    """For each number of labels: helped, hurt, or no visible difference.

    The arms are compared seed by seed, on the same labelled samples; a difference is visible where
    the 95 % interval of its mean (Student 1908) leaves out zero.
    """
    names = list(curve.arms)
    difference = 100 * (curve.arms[names[0]] - curve.arms[names[1]])
    lines = []
    for n, row in zip(curve.labels, difference, strict=True):
        mean, reach = float(row.mean()), _interval(row)
        if not abs(mean) > reach:
            word = "made no visible difference"
        else:
            word = "helped" if mean > 0 else "hurt"
        spread = f" ± {reach:.1f}" if np.isfinite(reach) else " (one seed: no spread known)"
        lines.append(
            f"With {n:,} labels pretraining {word}: {mean:+.1f}{spread} points of accuracy against "
            f"the same network from random weights (mean and 95 % interval, seed by seed)."
        )
    return lines


def _interval(values: np.ndarray) -> float:
    """How far the 95 % interval of the mean reaches to each side; infinite for one value."""
    n = len(values)
    if n < 2:
        return float("inf")
    t = _STUDENT_T[n - 2] if n - 2 < len(_STUDENT_T) else 2.1
    return float(t * values.std(ddof=1) / np.sqrt(n))
