"""Cutting n samples into batches of indices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minienc.shapes import is_whole


def batch_indices(
    n: int, batch_size: int, rng: np.random.Generator | None = None
) -> Iterator[np.ndarray]:
    """Yield index arrays that together hold 0 .. n-1 once.

    Parameters
    ----------
    n : int
        Number of samples.
    batch_size : int
        Samples in a batch; the last batch holds what remains.
    rng : numpy.random.Generator, optional
        Draws the order, one permutation for the whole pass. Without it the samples come in order.

    Yields
    ------
    ndarray of int64, (B,)

    Raises
    ------
    TypeError, ValueError
        If ``batch_size`` is not a whole number from 1 to ``n``; at once, not at the first batch.
    """
    if not is_whole(batch_size):
        raise TypeError(f"batch_size is {batch_size!r}, expected a whole number")
    if n < 1:
        raise ValueError(f"n is {n}, expected at least one sample")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1")
    if batch_size > n:
        raise ValueError(
            f"batch_size is {batch_size}, expected at most {n}: there are only {n} samples; "
            f"take a smaller batch_size"
        )
    order = np.arange(n) if rng is None else rng.permutation(n)
    return (order[start : start + batch_size] for start in range(0, n, batch_size))
