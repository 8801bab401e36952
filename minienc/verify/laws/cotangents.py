"""A backward that does not look at a cotangent, where its gradients are wrong."""

from __future__ import annotations

import numpy as np

from minienc.verify.subject import OUTSIDE, Trial


def ignored_cotangents(trial: Trial) -> list[str]:
    """A sentence for each output whose cotangent changes no gradient."""
    subject, v = trial.subject, trial.v
    if not any(g is not None and np.any(g) for g in trial.gradients.values()):
        return []
    rng = np.random.default_rng((3, 1847))
    found = []
    for i, part in enumerate(v):
        other = (*v[:i], rng.standard_normal(part.shape), *v[i + 1 :])
        try:
            gradients = subject.gradients(trial.arguments, other)
        except OUTSIDE:
            continue
        if all(_same(g, trial.gradients[name]) for name, g in gradients.items()):
            whose = "dy, its cotangent" if len(v) == 1 else f"the cotangent of output {i}"
            found.append(f"the backward ignores {whose}: no gradient changes with it")
    return found


def _same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other, equal_nan=True)
