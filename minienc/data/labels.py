"""Integer labels: what is taken for them, and what to do with what is not."""

from __future__ import annotations

import numpy as np

from minienc.arrays import Array, to_numpy
from minienc.data.plain import DataLike, plain_array


def label_advice(y: Array, name: str) -> str:
    """How integer labels can be made of ``y``: a clause that begins with a mend which works."""
    kind = y.dtype.kind
    if kind == "b":
        return f"convert it with np.asarray({name}, int)"
    if kind == "f" and y.ndim == 1 and bool((y == y.round()).all()):
        return f"convert it with np.asarray({name}, int)"
    if kind == "f" and y.ndim == 2 and y.shape[1] > 1:
        return f"of rows with one number for each class, np.argmax({name}, axis=1) are the labels"
    if kind == "f":
        return 'these are quantities; the loss for those is "mean_squared_error"'
    return f"np.unique({name}, return_inverse=True)[1] numbers any labels"


def as_labels(y: DataLike, n: int, name: str = "y") -> np.ndarray:
    """``y`` as integers (N,), on the host.

    Raises
    ------
    ValueError, TypeError
        If it is not N integers from 0.
    """
    y = to_numpy(plain_array(y, name))
    if y.shape == (n, 1):
        y = y[:, 0]  # a column of a table
    if y.dtype.kind not in "iu":
        raise TypeError(f"{name} is {y.dtype}, expected integer labels; {label_advice(y, name)}")
    if y.shape != (n,):
        mend = f"; np.argmax({name}, axis=1)" if y.ndim == 2 and len(y) == n else ""
        raise ValueError(
            f"{name} is {y.shape}, expected ({n},): an integer label for each sample{mend}"
        )
    if n and y.min() < 0:
        raise ValueError(f"{name} has labels from {y.min()}, expected classes from 0")
    return y
