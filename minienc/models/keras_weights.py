"""Weights of the same architecture from Keras, and back.

    load_keras(model, keras_model.get_weights())
    keras_model.set_weights(to_keras(model))

Layouts, the order of gates and that of a layer's weights are Keras's own here. What differs: the
two biases of a GRU are one array there, attention's matrices have an axis for the heads, and where
a model has branches, Keras lists layers by how many there are behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

import numpy as np

from minienc.arrays import to_numpy
from minienc.layers.graph import Step
from minienc.layers.recurrent import Reverse
from minienc.models.network import Network
from minienc.models.torch_weights import KINDS, Named, as_numbers, layers_with_weights
from minienc.shapes import kind_of


def load_keras(model: Network, weights: Sequence) -> None:
    """Give a model the weights of a Keras model of the same architecture.

    Parameters
    ----------
    model : Model or Sequential
        Built: its weights have their shapes.
    weights : list of arrays
        What ``keras_model.get_weights()`` returns.

    Raises
    ------
    ValueError
        If there are more arrays or fewer than the model has, or one is of another shape. Nothing
        has been changed then.

    Examples
    --------
    >>> from minienc.layers import GRU, Dense
    >>> model = Sequential([Input((3, 3)), GRU(2)])
    >>> load_keras(model, [np.ones((3, 6)), np.ones((2, 6)), np.zeros((2, 6))])
    >>> len(model.get_weights())  # the two rows of its bias are two parameters here
    4
    """
    places = _in_keras(model)
    if not isinstance(weights, (list, tuple)):
        raise TypeError(
            f"load_keras: weights is {kind_of(weights)}, expected the list of arrays that "
            f"keras_model.get_weights() returns"
        )
    if len(weights) != len(places):
        expected = ", ".join(f"{'+'.join(names)} {shape}" for names, shape in places)
        raise ValueError(
            f"load_keras: {len(weights)} arrays came, and the model has {len(places)}: {expected}"
        )
    own = {name: p.shape for name, p in model.named_parameters()}
    found: Named = {}
    for i, ((names, shape), array) in enumerate(zip(places, weights, strict=True)):
        array = as_numbers(f"load_keras: array {i}", array)
        if array.shape != shape:
            halved = len(names) > 1 and array.shape == shape[1:]
            hint = " with reset_after=True, the only kind that is known here" if halved else ""
            raise ValueError(
                f"load_keras: array {i} is {array.shape}, and {' and '.join(names)} "
                f"{'are' if len(names) > 1 else 'is'} {shape} in Keras{hint}"
            )
        rows = list(array) if len(names) > 1 else [array]
        found |= {name: a.reshape(own[name]) for name, a in zip(names, rows, strict=True)}
    model._set_named(found, "load_keras")


def to_keras(model: Network) -> list[np.ndarray]:
    """A model's weights for ``keras_model.set_weights`` of the same architecture: copies.

    Examples
    --------
    >>> from minienc.layers import GRU, Dense
    >>> model = Sequential([Input((3,)), Dense(2)])
    >>> [a.shape for a in to_keras(model)]
    [(3, 2), (2,)]
    """
    values = {name: np.array(to_numpy(p.value)) for name, p in model.named_parameters()}
    return [
        np.stack([values[n] for n in names]) if len(names) > 1 else values[names[0]].reshape(shape)
        for names, shape in _in_keras(model)
    ]


def _in_keras(model: Network) -> list[tuple[tuple[str, ...], tuple[int, ...]]]:
    """(names of parameters that are one array there, its shape) in Keras's order."""
    found: list[tuple[tuple[str, ...], tuple[int, ...]]] = []
    layers = layers_with_weights(model)
    order = {path: i for i, path in enumerate(_as_keras_lists(model.graph.steps))}
    for path in sorted(layers, key=order.__getitem__):
        layer, names = layers[path]
        if type(layer).__name__ not in KINDS:
            raise ValueError(f"{path} is a {type(layer).__name__}, and Keras has none")
        heads = getattr(layer, "num_heads", None)
        for own, p in names.items():
            shape = tuple(p.shape)
            if heads is not None:
                shape = _with_heads(own, shape, heads)
            if own == "v":
                found[-1] = ((*found[-1][0], f"{path}/v"), (2, *shape))
            else:
                found.append(((f"{path}/{own}",), shape))
    return found


def _as_keras_lists(steps: Sequence[Step], level: int = 0) -> list[str]:
    """The paths of layers in Keras's order: first those with most layers behind them, on the
    longest way to an output. A model within a model counts as one layer, with an order of its own.
    """
    names = [step.path.split("/")[level] for step in steps]
    together = [
        (name, [step for _, step in several])
        for name, several in groupby(zip(names, steps, strict=True), itemgetter(0))
    ]
    behind: dict[int, int] = {}  # slot -> how many layers
    depths = dict.fromkeys(names, 0)
    for name, part in reversed(together):
        depth = max(depths[name], *[behind.get(s, 0) for step in part for s in step.outputs])
        depths[name] = depth
        counts = 0 if isinstance(part[0].layer, Reverse) else 1  # of Bidirectional, no layer there
        for slot in (s for step in part for s in step.inputs):
            behind[slot] = max(behind.get(slot, 0), depth + counts)
    found: list[str] = []
    parts = dict(reversed(together))  # of what is used again, as it was at first
    for name in sorted(depths, key=lambda name: -depths[name]):
        nested = len(parts[name][0].path.split("/")) > level + 1
        found += _as_keras_lists(parts[name], level + 1) if nested else [parts[name][0].path]
    return found


def _with_heads(own: str, shape: tuple[int, ...], heads: int) -> tuple[int, ...]:
    """Keras's shape of attention's weights: (D, H, K), (H, K), and (H, V, M) of what goes out."""
    if own == "Wo":
        return (heads, shape[0] // heads, shape[1])
    if own == "bo":
        return shape
    return (*shape[:-1], heads, shape[-1] // heads)
