"""The objective of a compiled model: its graph, with the losses as the last steps.

    loss = sum_i weight_i loss_i(output_i, target_i)      each output's loss
         + sum   penalty(W)                               weight regularisers
         + sum   penalty(y) / N                           activity regularisers

A loss is a step like any other: two tensors go in, an output and its target, and a number comes
out. So the graph runs backward from the number 1, and gradients add up wherever they meet.

**Activation and loss are one where they can be.** A sigmoid before binary cross-entropy, or a
softmax before categorical cross-entropy, rounds away what the logarithm then asks for; as one
function of z they are exact. So the output layer stands here as two steps, z = x W + b and
y = f(z), such a loss takes z, and a step whose result nobody uses is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minienc.arrays import Arrays, Cache, Scalar
from minienc.functions.merging import weighted_sum_forward
from minienc.layers.base import Layer
from minienc.layers.dense import Activation
from minienc.layers.graph import Graph, Step
from minienc.layers.parameters import Grads, Parameter
from minienc.layers.regularizers import Regularizer
from minienc.training.losses import Loss
from minienc.training.metrics import MetricFunction


class ModelObjective(Graph):
    """See the module's docstring. A batch is ``(*inputs, *targets, *sample_weights)``; the weights
    may be left out.

    Parameters
    ----------
    graph : Graph
        What ``predict`` runs.
    losses : one ``Loss`` for each output
    loss_weights : one number for each output
    metrics : for each output a list of ``(name, function(target, y) -> (N,))``

    Attributes
    ----------
    names : tuple of str
        Of the numbers that ``forward`` returns: "loss", and each metric's.
    greater_is_better : dict of str to bool
        Of the metrics that say so.
    """

    wants_dx = False
    names: tuple[str, ...]

    def __init__(
        self,
        graph: Graph,
        losses: Sequence[Loss],
        loss_weights: Sequence[float],
        metrics: Sequence[Sequence[tuple[str, MetricFunction]]],
    ) -> None:
        self.steps, self.n_slots = list(graph.steps), graph.n_slots
        n, ys = len(losses), graph.output_slots
        targets, weights = self._new_slots(n), self._new_slots(n)
        self.input_slots = [*graph.input_slots, *targets, *weights]
        terms = []  # (slot of a number, its weight in the loss)
        for y, loss, weight, t, w in zip(ys, losses, loss_weights, targets, weights, strict=True):
            z, loss = self._before_activation(y, loss)
            number = self._append(LossLayer(loss), f"loss {loss.name}", z, t, w)
            terms.append((number, float(weight)))
        for step in graph.steps:
            if step.layer.activity_regularizer is not None:
                penalty = ActivityPenalty(step.layer.activity_regularizer)
                path = f"{step.path}/activity_regularizer"
                terms.append((self._append(penalty, path, step.outputs[0]), 1.0))
        for name, p in graph.named_parameters():
            if p.regularizer is not None:
                terms.append((self._append(WeightPenalty(p), f"{name}/regularizer"), 1.0))
        slots = [slot for slot, _ in terms]
        total = slots[0]
        if len(terms) > 1 or terms[0][1] != 1:
            total = self._append(WeightedSum([w for _, w in terms]), "loss", *slots)
        self.names, self.output_slots = ("loss",), [total]
        self.greater_is_better: dict[str, bool] = {}
        ignored = [loss.options.get("ignore_class") for loss in losses]
        self.ignored = (len(graph.input_slots), ignored[0]) if n == 1 else (0, None)
        for y, t, named, ignore in zip(ys, targets, metrics, ignored, strict=True):
            for name, metric in named:
                self.names = (*self.names, name)
                if hasattr(metric, "greater_is_better"):
                    self.greater_is_better[name] = bool(metric.greater_is_better)
                self.output_slots.append(self._append(Metric(metric, ignore), name, t, y))
        self._leave_out_what_nobody_uses()
        self.note_needs()
        self.uses_rng = any(step.layer.uses_rng for step in self.steps)

    @property
    def couples(self) -> str | None:
        """Why its gradient is no sum over parts of a batch (``training/ranks.py``); None: it is."""
        if self.ignored[1] is not None and any(
            isinstance(step.layer, ActivityPenalty) for step in self.steps
        ):
            return "its penalty on activities is a mean over samples, its loss one over labels"
        return None

    def n_counted(self, batch: tuple) -> int:
        """How many entries of a batch its numbers are the mean of, in the unit of the batch: its
        samples, or the steps whose label is not ignored."""
        place, ignore = self.ignored
        return len(batch[0]) if ignore is None else int((batch[place] != ignore).sum())

    def _new_slots(self, n: int) -> list[int]:
        self.n_slots += n
        return list(range(self.n_slots - n, self.n_slots))

    def _append(self, layer: Layer, path: str, *inputs: int) -> int:
        """A last step of this layer on these slots; return the slot of its number."""
        (slot,) = self._new_slots(1)
        self.steps.append(Step(layer, path, inputs, (slot,), True, None, ((),)))
        return slot

    def _before_activation(self, y: int, loss: Loss) -> tuple[int, Loss]:
        """The slot that the loss of ``y`` takes, and the loss as a function of it: of z, where the
        layer that makes y = f(z) has the activation that the loss takes over, else of y."""
        k = next((k for k, step in enumerate(self.steps) if y in step.outputs), None)
        if k is None or loss.logits_activation is None:
            return y, loss
        step = self.steps[k]
        if getattr(step.layer, "activation", None) != loss.logits_activation:
            return y, loss
        if isinstance(step.layer, Activation):
            return step.inputs[0], loss.on_logits()
        (z,) = self._new_slots(1)
        linear: Any = step.layer
        self.steps[k : k + 1] = [
            step._replace(layer=linear.without_activation(), outputs=(z,)),
            step._replace(layer=Activation(linear.activation), inputs=(z,), several=False),
        ]
        return z, loss.on_logits()

    def _leave_out_what_nobody_uses(self) -> None:
        used = set(self.output_slots)
        for step in reversed(self.steps):
            if used & set(step.outputs):
                used.update(step.inputs)
        self.steps = [step for step in self.steps if used & set(step.outputs)]


class LossLayer(Layer):
    """One output's loss: (y, target, sample weight) -> a number. Its gradient is y's alone."""

    takes_several = True

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        self.pair, self.options = loss.pair, tuple(loss.options)
        vars(self).update(loss.options)
        self.built_for = ()


class ActivityPenalty(Layer):
    """A penalty on what a layer returns, for each sample of the batch: y (N, ...) -> a number."""

    takes_several = True

    def __init__(self, regularizer: Regularizer) -> None:
        super().__init__()
        self.regularizer = regularizer

    def forward(self, x: tuple, **_: object) -> tuple[Scalar, Cache]:
        (y,) = x
        penalty, cache = self.regularizer.forward(y)
        return penalty / len(y), (cache, len(y))

    def backward(self, dy: Arrays, cache: Cache, grads: Grads, need_dx: bool = True) -> tuple:
        cache, n = cache
        return (self.regularizer.backward(dy / n, cache),)


class WeightPenalty(Layer):
    """A penalty on a parameter: a number of no inputs."""

    takes_several = True

    def __init__(self, parameter: Parameter) -> None:
        super().__init__()
        self.parameter = parameter

    def parameters_used(self) -> tuple[Parameter, ...]:
        return (self.parameter,)

    def forward(self, x: tuple, **_: object) -> tuple[Scalar, Cache]:
        return self.parameter.regularizer.forward(self.parameter.value)

    def backward(self, dy: Arrays, cache: Cache, grads: Grads, need_dx: bool = True) -> tuple:
        if grads is not None:
            grads.add(self.parameter, self.parameter.regularizer.backward(dy, cache))
        return ()


class WeightedSum(Layer):
    """Several numbers become one."""

    pair = weighted_sum_forward
    options = ("weights",)
    takes_several = True

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        self.weights, self.built_for = tuple(weights), ()


class Metric(Layer):
    """What is reported beside the loss: (target, y) -> the mean over the samples, or over the steps
    whose label is not to be ignored. No gradient."""

    takes_several = True

    def __init__(self, metric: MetricFunction, ignore: int | None = None) -> None:
        super().__init__()
        self.metric, self.ignore = metric, ignore

    def forward(self, x: tuple, **_: object) -> tuple[Scalar, Cache]:
        target, y = x
        if self.ignore is not None:
            counted = target != self.ignore
            if not counted.any():
                return 0 * y.sum(), None
            target, y = target[counted], y[counted]
        return self.metric(target, y).mean(), None
