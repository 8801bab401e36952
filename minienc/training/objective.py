"""The number that training makes small, and its gradient.

    objective = sum_i weight_i loss_i(output_i, target_i)      each output's loss
              + sum   penalty(W)                               weight regularisers
              + sum   penalty(y) / N                           activity regularisers

An activity penalty is one more loss on one more output of the graph, so its gradient joins the
others where they meet in backward, by the sum that every fan-out is. A loss that can take over its
output layer's activation (sigmoid with binary cross-entropy, softmax with cross-entropy) gets a
graph that stops before that activation: the two are one function with one stable gradient.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import Array, as_number
from minienc.functions.activations import get_activation
from minienc.layers.graph import Graph
from minienc.layers.parameters import Gradients
from minienc.training.losses import Loss


class NonFiniteError(FloatingPointError):
    """Training met NaN or infinity; the message says in which batch and layer."""


class ObjectiveCache(NamedTuple):
    layers: list[Any]  # a cache for each layer of the training graph
    losses: list[Any]  # a cache for each output's loss
    activities: list[Any]  # a cache for each activity penalty
    weights: list[Any]  # a cache for each weight penalty
    n_samples: int


class Objective:
    """See the module's docstring.

    Parameters
    ----------
    graph : Graph
        What ``predict`` runs.
    losses : one ``Loss`` for each output
    loss_weights : one number for each output
    metrics : for each output a list of ``(name, function(target, y) -> (N,))``
    """

    def __init__(
        self,
        graph: Graph,
        losses: Sequence[Loss],
        loss_weights: Sequence[float],
        metrics: Sequence[Sequence[tuple[str, Callable]]],
    ) -> None:
        self.loss_weights = [float(w) for w in loss_weights]
        self.metrics = metrics
        self.n_outputs = len(losses)
        self.graph, self.losses, self.activations = _stop_at_logits(graph, losses)
        self.activity_regularizers = []
        for step in tuple(self.graph.steps):
            if step.layer.activity_regularizer is not None:
                self.graph.output_slots.append(step.outputs[0])
                self.activity_regularizers.append(step.layer.activity_regularizer)
        parameters = [p for _, p in self.graph.named_parameters()]
        self.regularized = [p for p in parameters if p.regularizer is not None]

    def forward(
        self,
        xs: Sequence[Array],
        targets: Sequence[Array],
        sample_weights: Sequence[Array | None] | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[dict[str, Any], ObjectiveCache]:
        """Return {"loss": ..., each metric: ...} for one batch, and the cache for ``backward``.

        The numbers are floats, or on a device arrays of no axes.
        """
        n = xs[0].shape[0]
        outputs, layer_caches = self.graph.forward(xs, rng)
        sample_weights = sample_weights or [None] * self.n_outputs
        values: dict[str, Any] = {"loss": 0.0}
        loss_caches, activity_caches, weight_caches = [], [], []
        for i, loss in enumerate(self.losses):
            value, cache = loss.forward(outputs[i], targets[i], sample_weights[i])
            loss_caches.append(cache)
            values["loss"] += self.loss_weights[i] * as_number(value)
            if self.metrics[i]:
                y = get_activation(self.activations[i])(outputs[i])[0]
                for name, metric in self.metrics[i]:
                    values[name] = as_number(metric(targets[i], y).mean())
        for regularizer, y in zip(
            self.activity_regularizers, outputs[self.n_outputs :], strict=True
        ):
            value, cache = regularizer.forward(y)
            activity_caches.append(cache)
            values["loss"] += as_number(value) / n
        for p in self.regularized:
            value, cache = p.regularizer.forward(p.value)
            weight_caches.append(cache)
            values["loss"] += as_number(value)
        cache = ObjectiveCache(layer_caches, loss_caches, activity_caches, weight_caches, n)
        return values, cache

    def backward(
        self, cache: ObjectiveCache, grads: Gradients, need_dx: bool = False
    ) -> tuple[Array | None, ...]:
        """Add the objective's gradient to ``grads``; return dx for each input if needed."""
        dys = [
            loss.backward(weight, c)
            for loss, weight, c in zip(self.losses, self.loss_weights, cache.losses, strict=True)
        ]
        for regularizer, c in zip(self.activity_regularizers, cache.activities, strict=True):
            dys.append(regularizer.backward(1.0 / cache.n_samples, c))
        for p, c in zip(self.regularized, cache.weights, strict=True):
            grads.add(p, p.regularizer.backward(1.0, c))
        return self.graph.backward(dys, cache.layers, grads, need_dx)

    def find_nonfinite(self, xs: Sequence[Array], rng: np.random.Generator | None) -> str:
        """Say where NaN or infinity first appears when this batch runs forward."""
        for name, p in self.graph.named_parameters():
            if not math.isfinite(float(p.value.sum())):
                return f"the weights {name} are not finite any more"
        probe = copy.copy(self.graph)
        probe.output_slots = [s for step in probe.steps for s in step.outputs]
        paths = [step.path for step in probe.steps for _ in step.outputs]
        outputs, _ = probe.forward(xs, rng)
        for path, y in zip(paths, outputs, strict=True):
            if not math.isfinite(float(abs(y).sum())):
                return f"it first appears in the output of layer {path}"
        return "every layer's output is finite, so it appears in the loss itself"


def _stop_at_logits(
    graph: Graph, losses: Sequence[Loss]
) -> tuple[Graph, list[Loss], list[str | None]]:
    """A copy of the graph whose outputs are logits where their loss takes them.

    Returns the graph, the losses on its outputs, and for each output the activation that was
    left to the loss (None: none was).
    """
    graph = copy.copy(graph)
    graph.steps, graph.output_slots = list(graph.steps), list(graph.output_slots)
    losses = list(losses)
    activations: list[str | None] = []
    for i, loss in enumerate(losses):
        slot = graph.output_slots[i]
        k = next((k for k, step in enumerate(graph.steps) if slot in step.outputs), None)
        activation = None if k is None else getattr(graph.steps[k].layer, "activation", None)
        if k is None or activation is None or activation != loss.logits_activation:
            activations.append(None)
            continue
        step = graph.steps[k]
        twin = step._replace(layer=step.layer.without_activation())  # type: ignore[attr-defined]
        y_is_used = (
            graph.output_slots.count(slot) > 1
            or any(slot in other.inputs for other in graph.steps)
            or step.layer.activity_regularizer is not None
        )
        if y_is_used:  # y and the logits are both computed
            twin.layer.activity_regularizer = None
            twin = twin._replace(outputs=(graph.n_slots,))
            graph.steps.append(twin)
            graph.output_slots[i] = graph.n_slots
            graph.n_slots += 1
        else:
            graph.steps[k] = twin
        losses[i] = loss.on_logits()
        activations.append(activation)
    graph._note_needs()
    return graph, losses, activations
