"""The mean over many rows."""

from __future__ import annotations

import numpy as np

from minienc.arrays import get_array_module

BLOCK = 256  # rows that are added up together


def mean_of_rows(x):
    """The mean of x (..., D) over all axes but the last: (D,), of x's dtype.

    NumPy adds row after row to one sum: of a million float32 near 2000, it keeps three digits. So
    blocks of rows are summed, by a matrix product, which is faster, too; and the blocks' sums in
    float64. Other modules add in the form of a tree, as one should.
    """
    xp = get_array_module(x)
    if getattr(xp, "__name__", "") != "numpy":
        return x.mean(axis=tuple(range(x.ndim - 1)))
    rows = x.reshape((-1, x.shape[-1]))
    whole = len(rows) // BLOCK * BLOCK
    blocks = rows[:whole].reshape((-1, BLOCK, x.shape[-1]))
    sums = np.ones((1, BLOCK), x.dtype) @ blocks  # (blocks, 1, D)
    wide = np.result_type(x.dtype, np.float64)
    total = sums.sum(axis=(0, 1), dtype=wide) + rows[whole:].sum(axis=0, dtype=wide)
    return (total / max(len(rows), 1)).astype(x.dtype)
