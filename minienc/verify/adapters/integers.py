"""Arrays of integers that are numbers: an x that was written by hand, as ``np.arange(12)``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minienc.arrays import Array
from minienc.verify.line import float_outputs
from minienc.verify.subject import Subject, own


def with_integers(build: Callable[[tuple], Subject], subject: Subject, args: tuple) -> Subject:
    """The subject with those of its integers as float64 that the forward takes for numbers and the
    backward gives a gradient for. Indices it does not take so, and labels get no gradient."""
    for i, x in enumerate(args):
        if not isinstance(x, np.ndarray) or x.dtype.kind not in "iu":
            continue
        numbers = (*args[:i], x.astype(np.float64), *args[i + 1 :])
        try:
            other = build(numbers)
            (name,) = set(other.differentiable) - set(subject.differentiable)
            gradient = _gradient(other, subject, name)
        except Exception:  # it does not take them for numbers, or gives no gradient
            continue
        if gradient is not None and np.any(gradient):
            other.notes.append(f"{name} was given as integers, and is checked as float64")
            subject, args = other, numbers
        else:
            subject.notes.append(f"{name} was given as integers, and is taken for a constant")
    return subject


def _gradient(other: Subject, subject: Subject, name: str) -> Array | None:
    y, cache = other.forward(own(other.arguments))
    expected = subject.forward(own(subject.arguments))[0]
    if not all(map(np.array_equal, y, expected)):
        return None
    return other.backward(tuple(map(np.ones_like, float_outputs(y))), cache)[name]
