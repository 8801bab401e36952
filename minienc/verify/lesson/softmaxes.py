"""Softmaxes whose derivative is another one in the backward.

A softmax y = softmax(z) has dz = y (dy - sum(dy y)). In its place is put the linear map whose
backward is a wrong one: the forward's slope is then what that backward says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np

from minienc.arrays import Array
from minienc.verify.lesson.evidence import Changes
from minienc.verify.lesson.slopes import Chain
from minienc.verify.lesson.tape import Operation

Moved = Callable[[np.ndarray], np.ndarray]  # from a change of z to one of y


def wrong_softmaxes(operations: list[Operation]) -> Iterator[tuple[str, Changes]]:
    """Sentences, and the forward changed so that they are true."""
    for chain, axes in softmaxes(operations):
        text = f"`{operations[chain.last].text}`"
        for sentence, moved in _rows(chain.w, axes):
            yield f"{sentence} ({text})", _with_map(chain, moved)


def softmaxes(operations: list[Operation]) -> Iterator[tuple[Chain, tuple[int, ...]]]:
    """From what an exponential is taken of to that divided by its sum; along which axes."""
    for k, operation in enumerate(operations):
        if operation.name != "divide" or not all(map(_is_array, operation.operands)):
            continue
        (a, b), made = operation.operands, operation.sources[0]
        if made is None or a.ndim != b.ndim or operations[made].name != "exp":
            continue
        axes = tuple(i for i in range(a.ndim) if b.shape[i] != a.shape[i])
        if axes and np.allclose(a.sum(axes, keepdims=True), b):
            yield Chain(made, 0, k, (made, k), operations), axes


def _is_array(a: object) -> bool:
    return isinstance(a, np.ndarray) and a.dtype.kind == "f"


def _rows(y: np.ndarray, axes: tuple[int, ...]) -> Iterator[tuple[str, Moved]]:
    yield "the derivative of the softmax is missing", lambda d: d
    yield (
        "only the diagonal of the softmax's derivative is there: each number depends on all that "
        "its sum is over, y_i (1 - y_i) on z_i and -y_i y_j on z_j",
        lambda d: y * (1 - y) * d,
    )
    long = [k for k, n in enumerate(y.shape) if n > 1]
    for count in range(1, len(long) + 1):
        for others in combinations(long, count):
            if set(others) != set(axes) & set(long):
                told = f"the softmax is over {_name(axes)}, and in its derivative the sum is over "
                yield told + _name(others), _with_sum(y, others)


def _with_sum(y: np.ndarray, axes: tuple[int, ...]) -> Moved:
    """dz = y (dy - sum(dy y)), seen from the front."""
    return lambda d: y * (d - (d * y).sum(axes, keepdims=True))


def _name(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {' and '.join(map(str, axes))}"


def _with_map(chain: Chain, moved: Moved) -> Changes:
    """The softmax as a linear map, through the point. Its largest number, which is taken off z
    before, is held by whoever asks: it changes nothing in a softmax."""
    kept: list[np.ndarray] = []

    def begin(was: Operation, now: list) -> Array:
        kept[:] = [now[0]]
        return was.call(now)

    def end(was: Operation, now: list) -> Array:
        return chain.w + moved(kept[0] - chain.u)

    return {chain.first: begin, chain.last: end}
