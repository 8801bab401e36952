"""Whole numbers as the kernel reads them: labels, ids, lengths."""

from __future__ import annotations

import numpy as np

from minienc import _kernels


def as_int64(numbers):
    """Integers of any type as contiguous int64: the same array where it is that already.

    The kernel copies them once more before it looks at them, unless a plan is noted, whose arrays
    are written to by nobody; there, what NumPy copies here would not be copied again.
    """
    if numbers.dtype != np.int64 or not numbers.flags.c_contiguous:
        _kernels.decline(b"whole numbers are copied")
    return np.asarray(numbers, dtype=np.int64, order="C")


def as_lengths(lengths):
    """Lengths as ``as_int64`` gives them; None where they are no array of integers."""
    if type(lengths) is not np.ndarray or lengths.dtype.kind not in "iu":
        return None
    return as_int64(lengths)
