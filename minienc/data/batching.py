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

    Examples
    --------
    >>> [batch.tolist() for batch in batch_indices(5, 2)]
    [[0, 1], [2, 3], [4]]
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


def token_batches(
    source_lengths: np.ndarray,
    target_lengths: np.ndarray,
    budget: int,
    rng: np.random.Generator | None = None,
) -> list[np.ndarray]:
    """Indices of pairs in batches of like lengths, with so many target tokens each, padding
    counted.

    Pairs are in the order of their target's length, those of one length in that of their source's,
    but for some noise: so little is padded, and no two epochs have the same batches. There are as
    many whatever was drawn, for where to cut depends on the lengths of the targets alone.

    Parameters
    ----------
    source_lengths, target_lengths : arrays (N,) of integers from 1
    budget : int
        Most of rows x longest target of a batch; a pair that is longer by itself is one.
    rng : numpy.random.Generator, optional
        Draws who stands with whom, and the order of the batches.

    Returns
    -------
    batches : list of arrays of int64
    """
    if not is_whole(budget, 1):
        raise ValueError(f"budget is {budget!r}, expected a whole number of tokens from 1")
    source, target = np.asarray(source_lengths), np.asarray(target_lengths)
    noise = 0 if rng is None else rng.uniform(0, 2, len(source))
    order = np.lexsort((source + noise, target))
    in_order, start, batches = target[order], 0, []
    while start < len(order):
        stop = start + 1
        # the longest of a batch stands at its end: so many rows of that length
        while stop < len(order) and (stop + 1 - start) * in_order[stop] <= budget:
            stop += 1
        batches.append(order[start:stop])
        start = stop
    if rng is not None:
        batches = [batches[i] for i in rng.permutation(len(batches))]
    return batches
