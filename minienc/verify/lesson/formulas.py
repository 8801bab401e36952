"""What a gradient looks like when a dense layer's backward was written with a common mistake.

y = f(x W + b) has dz = f'(z) dy, dx = dz W', dW = x' dz, db = sum dz. From the arguments, the
cotangent and the output alone, each of these can be written down with a wrong dz; a gradient
that equals one of them shows its mistake, and each is a mutant that a check should notice.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments


def candidates(
    name: str, shape: tuple[int, ...], arguments: Arguments, v: Outputs, y: Outputs | None
) -> Iterator[tuple[str, np.ndarray]]:
    """(mistake, gradient of this shape), for outputs that are matrices.

    With the outputs y, the activation's slope at the wrong place is tried, too.
    """
    dy = v[0]
    if dy.ndim != 2:
        return
    for mistake, dz in _wrong_slopes(dy, None if y is None else y[0]):
        for value in _products(name, dz, arguments):
            if value.shape == shape:
                yield mistake, value
    over_outputs = dy.sum(axis=1)
    if over_outputs.shape == shape:
        yield "it is summed over axis 1, the outputs, instead of axis 0, the batch", over_outputs


def _wrong_slopes(dy: np.ndarray, y: np.ndarray | None) -> Iterator[tuple[str, np.ndarray]]:
    yield "the activation's derivative is missing", dy
    if y is None or y.shape != dy.shape:
        return
    at_y = "the activation's derivative is taken at y = f(z) instead of z"
    if 0 < y.min() and y.max() < 1:  # it may be a sigmoid
        s = 1 / (1 + np.exp(-y))
        yield at_y, dy * s * (1 - s)
        yield "the derivative of sigmoid is y (1 - y), and one factor is missing", dy * y
    elif -1 < y.min() < 0 and y.max() < 1:  # a tanh
        yield at_y, dy * (1 - np.tanh(y) ** 2)
        yield "the derivative of tanh is 1 - y^2, and the square is missing", dy * (1 - y)


def _products(name: str, dz: np.ndarray, arguments: Arguments) -> Iterator[np.ndarray]:
    """dz itself, its sum over the batch, and its products with the other matrices."""
    yield dz
    yield dz.sum(axis=0)
    for k, a in arguments.items():
        if k == name or getattr(a, "ndim", 0) != 2 or a.dtype.kind != "f":
            continue
        if a.shape[0] == dz.shape[0]:
            yield a.T @ dz
        if a.shape[1] == dz.shape[1]:
            yield dz @ a.T
