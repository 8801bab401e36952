"""In which order PyTorch has the numbers of an image that has become a row.

Its images have their channels first, (C, H, W), ours last. While an image is one, this is a matter
of axes; as a row its numbers stand in another order there, and so does what is learned for each of
them: a dense layer's rows behind ``Flatten``, its columns in front of a ``Reshape`` to an image,
and the factors of a normalisation in between.

    order[i]     the place in PyTorch's row of what is number i of ours

Sequences (T, C) are the same on both sides, but where a convolution makes or takes them:
``Conv1d`` wants (C, T).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minienc.layers.graph import Graph, Step
from minienc.layers.shaping import Reshape
from minienc.shapes import Shape

NORMS = ("BatchNormalization", "LayerNormalization", "RMSNormalization")
EACH = (  # what does the same to each number of a row, in whichever order they stand
    *("Activation", "Dropout", "GaussianNoise", "MaskingNoise", "SaltAndPepperNoise", "KSparse"),
    *("Add", *NORMS),
)


class Turned(NamedTuple):
    """Of a layer's numbers, the orders of those that come in and of those that go out."""

    rows: np.ndarray | None  # None: the same on both sides
    columns: np.ndarray | None

    def back(self) -> Turned:
        """The orders in which what was turned is as before."""
        return Turned(*[None if order is None else np.argsort(order) for order in self])


def turned_layers(graph: Graph) -> dict[str, Turned]:
    """{path: the orders} of the layers whose weights PyTorch has in another order.

    Raises
    ------
    ValueError
        If a layer sees the numbers of a flattened image, and what becomes of their order on the
        way cannot be said.
    """
    images = _convolved(graph)
    wanted = _wanted(graph, images)
    order: dict[int, np.ndarray | None] = {}
    found: dict[str, Turned] = {}
    for step in graph.steps:
        before = [order.get(slot) for slot in step.inputs]
        kind = type(step.layer).__name__
        after = None
        if isinstance(step.layer, Reshape):
            after = _reshaped(step, before[0], images)
        elif kind == "Dense":
            after = wanted.get(step.outputs[0])
            _note(found, step, Turned(before[0], after))
        elif kind in EACH and all(_same(before[0], one) for one in before):
            after = before[0]
            if kind in NORMS:
                _note(found, step, Turned(before[0], after))
        elif kind == "Concatenate" and _is_row(step.out_shapes[0]):
            after = _side_by_side(before, step.in_shapes)
        elif any(one is not None for one in before):
            raise _unknown(step)
        order[step.outputs[0]] = after
        if not _same(after, wanted.get(step.outputs[0], after)):
            raise ValueError(
                f"what {step.path} returns becomes an image, whose numbers PyTorch has in another "
                f"order; expected a Dense layer there, whose weights can be turned"
            )
    return {path: turned for path, turned in found.items() if any(o is not None for o in turned)}


def _note(found: dict[str, Turned], step: Step, turned: Turned) -> None:
    """A layer that is used again must see its numbers in the same order."""
    earlier = found.setdefault(step.path, turned)
    if not all(map(_same, earlier, turned)):
        raise ValueError(
            f"{step.path} is used more than once, and PyTorch has the numbers that it sees in "
            f"another order only once; expected a layer for each"
        )


def _wanted(graph: Graph, images: set[int]) -> dict[int, np.ndarray]:
    """{slot of a row: its order}, of rows that become images."""
    found: dict[int, np.ndarray] = {}
    for step in reversed(graph.steps):
        if isinstance(step.layer, Reshape) and _is_row(step.in_shapes):
            order = _order(step.out_shapes[0], step.outputs[0] in images)
        elif type(step.layer).__name__ in EACH:
            order = found.get(step.outputs[0])
        else:
            continue
        if order is not None:
            found |= {slot: order for slot in step.inputs}
    return found


def _reshaped(step: Step, before: np.ndarray | None, images: set[int]) -> np.ndarray | None:
    """The order behind a ``Reshape``: of an image that becomes a row; a row's that stays one."""
    (new,) = step.out_shapes
    if _is_row(new):
        flattens = not _is_row(step.in_shapes)
        return _order(step.in_shapes, step.inputs[0] in images) if flattens else before
    if before is not None and not _same(before, _order(new, step.outputs[0] in images)):
        raise _unknown(step)
    return None  # an image again, whose axes say what is what


def _unknown(step: Step) -> ValueError:
    return ValueError(
        f"{step.path}, a {type(step.layer).__name__}, sees an image's numbers as a row, which "
        f"PyTorch has in another order, and what it does to them is not known there; expected a "
        f"Dense layer behind Flatten"
    )


def _order(image: Shape, convolved: bool) -> np.ndarray | None:
    """The order of the numbers of an image (H, W, C), or of a convolution's sequence (T, C)."""
    if len(image) != 3 and not (len(image) == 2 and convolved):
        return None
    *places, C = image
    numbers = np.arange(np.prod(image, dtype=int)).reshape(C, *places)
    order = np.moveaxis(numbers, 0, -1).ravel()
    return None if (order == np.arange(len(order))).all() else order


def _convolved(graph: Graph) -> set[int]:
    """Slots of sequences that are a Conv1D's, before or behind it."""
    found: set[int] = set()
    for step in graph.steps:
        kind = type(step.layer).__name__
        if kind == "Conv1D" or (kind in EACH and step.inputs[0] in found):
            found |= set(step.outputs)
    for step in reversed(graph.steps):
        kind = type(step.layer).__name__
        if kind == "Conv1D" or (kind in EACH and step.outputs[0] in found):
            found |= set(step.inputs)
    return found


def _side_by_side(orders: list, shapes: list[Shape]) -> np.ndarray | None:
    if all(order is None for order in orders):
        return None
    sizes = [shape[0] for shape in shapes]
    parts = [
        start + (np.arange(n) if order is None else order)
        for order, n, start in zip(orders, sizes, np.cumsum([0, *sizes]), strict=False)
    ]
    return np.concatenate(parts)


def _is_row(shape: Shape) -> bool:
    return len(shape) == 1


def _same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))
