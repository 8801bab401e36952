"""Losses and output layers that do not go together: training would run, and learn little."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

from minienc.layers.graph import Graph
from minienc.layers.shaping import Flatten, Reshape
from minienc.layers.symbolic import SymbolicTensor
from minienc.training.losses import Loss

WANTED = {
    "sparse_categorical_crossentropy": ("softmax",),
    "categorical_crossentropy": ("softmax",),
    "kl_divergence": ("softmax",),
    "binary_crossentropy": ("sigmoid", "softmax"),
}  # what the probabilities that a loss takes may come from


def activation_before(graph: Graph, slot: int) -> str | None:
    """The activation that makes the tensor in this slot: "linear" for none, None if that cannot be
    told."""
    for step in reversed(graph.steps):
        if slot in step.outputs:
            if isinstance(step.layer, (Flatten, Reshape)):
                return activation_before(graph, step.inputs[0])
            return getattr(step.layer, "activation", "unknown") or "linear"
    return None


def hopeless(loss: Loss, activation: str | None, width: int) -> str | None:
    """Why training with this loss on an output of so many numbers, made by this activation, cannot
    do what it is for, and the mend; None where nothing speaks against it."""
    wanted = WANTED.get(loss.name)
    if wanted is None or activation in (None, "unknown"):
        return None
    if loss.options.get("from_logits"):
        if activation not in ("softmax", "sigmoid"):
            return None
        return (
            f"{loss.name} with from_logits=True applies {wanted[0]} itself, and the output layer "
            f"has {activation} already; leave one of them out"
        )
    if activation == "softmax" and width == 1:
        return (
            "softmax of a single number is always 1, so that the output cannot learn; for two "
            'classes use Dense(1, activation="sigmoid") and loss="binary_crossentropy"'
        )
    if activation in wanted:
        return None
    options = "" if loss.name == "kl_divergence" else ", or the loss from_logits=True"
    return (
        f"{loss.name} takes probabilities, and the output layer has the activation {activation}: "
        f'the loss may fall while nothing is learned; give that layer activation="{wanted[0]}"'
        f"{options}"
    )


def advice_for(
    graph: Graph, outputs: Sequence[SymbolicTensor], losses: Sequence[Loss]
) -> list[str]:
    """What ``hopeless`` says of each output of a model and its loss."""
    found = []
    for slot, tensor, loss in zip(graph.output_slots, outputs, losses, strict=True):
        width = (tensor.sample_shape or (1,))[-1]
        found.append(hopeless(loss, activation_before(graph, slot), width))
    return [sentence for sentence in found if sentence]


def warn_the_caller(sentence: str) -> None:
    """A warning that names the line outside of minienc which led here."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("minienc."):
        level, frame = level + 1, frame.f_back
    warnings.warn(sentence, stacklevel=level)
