"""Symbolic tensors: where a layer stands in a graph is noted before anything is computed.

``layer(tensor)`` makes a ``Node``, which says which tensors went in and which come out;
``graph.py`` reads these notes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from minienc.arrays import DTypeLike
from minienc.shapes import Shape, is_whole, kind_of

if TYPE_CHECKING:
    from minienc.layers.base import Layer

__all__ = ["Input", "SymbolicTensor"]


class SymbolicTensor:
    """A place in a graph: what ``Input(shape=(64,))`` and ``layer(tensor)`` return.

    Attributes
    ----------
    shape : tuple
        (None, ...): None stands for the batch.
    dtype : numpy.dtype

    Examples
    --------
    >>> x = Input((64,))
    >>> x.shape, Dense(32)(x).shape
    ((None, 64), (None, 32))
    """

    def __init__(self, sample_shape: Shape, dtype: DTypeLike, node: Node, name: str = "") -> None:
        self.sample_shape = tuple(int(s) for s in sample_shape)
        self.dtype = np.dtype(dtype)
        self.node = node
        self.name = name

    @property
    def shape(self) -> tuple:
        return (None, *self.sample_shape)

    def __repr__(self) -> str:
        return f"<SymbolicTensor {self.shape} {self.dtype}, output of {self.node.label}>"

    def __array__(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(f"{self!r} has no numbers yet: make a Model of it and call that on arrays")


Tensors = Sequence[SymbolicTensor]
TensorOrList = SymbolicTensor | Tensors


class Node:
    """One use of a layer: which tensors go in, which come out. Without a layer: an Input."""

    def __init__(self, layer: Layer | None, inputs: tuple[SymbolicTensor, ...]) -> None:
        self.layer = layer
        self.inputs = inputs
        self.outputs: tuple[SymbolicTensor, ...] = ()

    @property
    def label(self) -> str:
        return "Input" if self.layer is None else self.layer.label


def Input(shape: Shape, dtype: DTypeLike = "float32", name: str | None = None) -> SymbolicTensor:
    """Return the symbolic tensor at which a model begins.

    Parameters
    ----------
    shape : tuple of int
        The shape of one sample, without the batch: ``Input(shape=(784,))``.
    dtype : {"float32", "float64"}
        What layers built on it compute in.

    Examples
    --------
    >>> x = Input((64,))
    >>> Dense(32)(x).shape
    (None, 32)
    """
    if is_whole(shape):
        raise TypeError(f"Input: shape is {shape}, expected a tuple: Input(shape=({shape},))")
    if not all(is_whole(s, 1) for s in shape):
        raise ValueError(f"Input: shape is {tuple(shape)}, expected positive integers")
    if np.dtype(dtype).kind not in "fiu":
        raise TypeError(f"Input: dtype is {np.dtype(dtype)}, expected a floating or integer type")
    node = Node(None, ())
    node.outputs = (SymbolicTensor(shape, dtype, node, name or ""),)
    return node.outputs[0]


def connect(layer: Layer, x: Any) -> SymbolicTensor | list[SymbolicTensor]:
    """Note that ``layer`` stands behind the tensors ``x``; return the tensors behind it."""
    several = isinstance(x, (list, tuple))
    inputs = tuple(x) if several else (x,)
    for tensor in inputs:
        if not isinstance(tensor, SymbolicTensor):
            raise TypeError(
                f"{layer.label}: arrays and symbolic tensors are mixed in one call: "
                f"{kind_of(tensor)} beside a SymbolicTensor"
            )
    shapes = [t.sample_shape for t in inputs] if several else inputs[0].sample_shape
    if layer.built_for is None:
        layer.build(shapes, inputs[0].dtype)
    out = layer.output_shape(shapes)
    out_shapes = out if isinstance(out, list) else [out]
    node = Node(layer, inputs)
    dtype = inputs[0].dtype if layer.output_dtype is None else layer.output_dtype
    node.outputs = tuple(SymbolicTensor(s, dtype, node) for s in out_shapes)
    return list(node.outputs) if isinstance(out, list) else node.outputs[0]
