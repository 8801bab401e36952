"""A step's calls of the kernel noted while it is made, and what of a step cannot be noted.

``planned.py`` says what for. An objective that notes is one that computes as it is written, except
that its batch is an array of the plan's own, and that what NumPy computes is told from what the
kernel does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np

from minienc.arrays import Array, Cache, Rng, Scalar
from minienc.devices import new_plan
from minienc.functions import activations
from minienc.layers.attention import MultiHeadAttention
from minienc.layers.base import Layer
from minienc.layers.embedding import Embedding
from minienc.layers.graph import Graph, Step
from minienc.layers.normalization import BatchNormalization
from minienc.layers.parameters import Gradients, Grads, Parameter
from minienc.layers.recurrent import Reverse, _Recurrent
from minienc.layers.regularizers import L1L2, KLSparsity
from minienc.layers.sequences import GlobalAveragePooling1D, TimeDistributed
from minienc.layers.shaping import Reshape
from minienc.primitive import Call, recording
from minienc.training.computed import ComputedObjective
from minienc.training.objective import (
    ActivityPenalty,
    Metric,
    ModelObjective,
    WeightedSum,
    WeightPenalty,
)
from minienc.training.step import Objective

_PAIRS = (
    *("dense", "softmax", "mean_squared_error", "binary_crossentropy"),
    *("categorical_crossentropy", "sparse_categorical_crossentropy"),
    *(name for name in activations.CACHE_OF_OUTPUT if name not in ("identity", "linear")),
    *("relu_squared", "gelu"),
    *("dropout", "masking_noise", "salt_and_pepper_noise", "gaussian_noise"),
    *("identity", "reshape", "add", "patches", "conv2d_transpose", "up_sampling2d"),
    *("max_pool2d", "average_pooling2d", "global_average_pooling2d"),
    *("batch_normalization", "layer_normalization", "rms_normalization"),
    *("reparameterize", "normal_kl", "embedding", "lstm", "gru", "rnn"),
    *("l1_penalty", "l2_penalty", "kl_sparsity"),
    *("reverse", "global_average_pooling1d", "concatenate"),
    *("attention", "rotary", "add_positions", "conv1d", "quantization_error"),
)
# Their faster functions compute all that they return in calls of the kernel, and look at no number.
NOTED = {f"{name}_{way}" for name in _PAIRS for way in ("forward", "backward")}
NOTED.add("weighted_sum_forward")
# Definitions that do nothing but call others and look at arrays in another shape, or turn constants
# into constants.
AS_WRITTEN = {
    *("conv2d_forward", "conv2d_backward", "weighted_sum_backward"),
    "multi_head_attention_forward",
}
# What layers do themselves with arrays: nothing but call their pair.
BINDERS = {
    *(Layer.forward, Layer.backward, Reshape.forward),
    *(BatchNormalization.forward, BatchNormalization.backward),
    *(Embedding.backward, _Recurrent.forward, _Recurrent.backward),
    *(ActivityPenalty.forward, ActivityPenalty.backward),
    *(MultiHeadAttention.forward, MultiHeadAttention.backward),
    *(Reverse.forward, Reverse.backward, TimeDistributed.forward, TimeDistributed.backward),
    *(GlobalAveragePooling1D.forward, GlobalAveragePooling1D.backward),
}


class Declined(Exception):
    """The step has parts that a plan cannot hold; the message says which."""


class Hosted(Layer):
    """A step of the objective that is not noted, for nothing but a number comes of it: a metric or
    a sum of losses, computed by the layer itself behind the plan; or a penalty on weights, which
    adds to a gradient before the plan does."""

    takes_several = True

    def __init__(self, layer: Layer, noted: NotedObjective) -> None:
        super().__init__()
        self.layer, self.noted, self.given = layer, noted, ()
        self.dy: Scalar = 0.0
        self.built_for = ()

    def forward(self, x: tuple, **_: object) -> tuple[Scalar, Cache]:
        self.given = x
        with self.noted.paused():
            return self.layer.forward(x)

    def backward(self, dy: Scalar, cache: Cache, grads: Grads, need_dx: bool = True) -> object:
        self.dy = dy
        with self.noted.paused():
            return self.layer.backward(dy, cache, grads, need_dx)


def _with_inner(layer: Layer) -> tuple[Layer, ...]:
    """The layer, and the one that it applies to every step."""
    return (layer, *_with_inner(layer.layer)) if isinstance(layer, TimeDistributed) else (layer,)


def _is_one_sum(penalty: object) -> bool:
    """Whether a penalty is one of the kernel's, and not two added up."""
    is_one = isinstance(penalty, L1L2) and (penalty.l1 == 0) != (penalty.l2 == 0)
    return is_one or type(penalty) is KLSparsity


def _only_binds(layer: Layer) -> bool:
    """Whether a layer does nothing itself but call its pair."""
    if isinstance(layer, _Recurrent) and layer.return_state and not layer.return_sequences:
        return False  # its last output is there twice
    if isinstance(layer, ActivityPenalty) and not _is_one_sum(layer.regularizer):
        return False
    kind = type(layer)
    return BINDERS.issuperset((kind.forward, kind.backward))


class NotedObjective(Objective):
    """An objective that notes what it calls, forward and backward, and then calls
    ``done(self, cache, grads)``.

    Attributes
    ----------
    plan : Plan
    hosted : ModelObjective
        With ``Hosted`` in the place of what is not noted. A ``ComputedObjective`` has no such
        steps, and is noted as it is.
    batch : tuple of arrays
        Those that the plan reads.
    why : str or None
        Why the plan is no use, once it is done.
    """

    def __init__(self, objective: Objective | ModelObjective, done: Callable[..., None]) -> None:
        self.is_computed = isinstance(objective, ComputedObjective)
        if not self.is_computed and type(objective) is not ModelObjective:
            raise Declined(f"{type(objective).__name__} has arithmetic of its own")
        if isinstance(objective, ComputedObjective) and objective.apart is not None:
            raise Declined(objective.apart)
        self.objective = cast(Any, objective)
        self.done, self.uses_rng = done, objective.uses_rng
        self.plan = new_plan()
        self.is_paused = False
        hosted = cast(Any, copy.copy(objective))
        self.graphs: list[Any] = list(hosted.graphs) if self.is_computed else [hosted]
        steps = [[self._noted(step) for step in graph.steps] for graph in self.graphs]
        if not self.is_computed:
            (hosted.steps,) = steps
        self.hosted = hosted
        self.why: str | None = None

    def _noted(self, step: Step) -> Step:
        layer = step.layer
        if isinstance(layer, Metric | WeightedSum | WeightPenalty):
            return step._replace(layer=Hosted(layer, self))
        if not all(map(_only_binds, _with_inner(layer))):
            raise Declined(f"{step.path} has arithmetic of its own")
        return step

    def forward(self, batch: tuple, rng: Rng = None) -> tuple[tuple[Scalar, ...], Cache]:
        if self.is_computed:
            batch = self.objective.prepare(batch, rng)
        own: dict[int, np.ndarray] = {}
        for a in batch:  # labels as the kernel reads them, so that it need not copy
            own.setdefault(id(a), a.astype("int64") if a.dtype.kind in "iu" else a.copy())
        self.batch = tuple([own[id(a)] for a in batch])
        if not self.is_computed:
            with self.noting():
                return self.hosted.forward(self.batch, rng)
        with self.noting():
            losses, cache = self.objective.compute(self.batch, rng)
        if len(losses) != self.plan.n_numbers:
            self.why = "the losses are not all the kernel's"
        return self.objective.numbers(losses, cache), cache

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        with self.noting(), self.adding(grads):
            self.hosted.backward(dloss, cache, grads)
        self.why = self.why or self.plan.declined
        self.done(self, cache, grads)

    def updates(self, cache: Cache) -> Iterable[tuple[Parameter, Array]]:
        return self.objective.updates(cache)

    def heard(self, call: Call) -> None:
        """Of each primitive: whether the plan has all of it."""
        name = call.primitive.__name__
        if call.event == "enter" or self.is_paused or self.why is not None or name in AS_WRITTEN:
            return
        if name not in NOTED:
            self.why = f"{name} is not computed by the kernel alone"
        elif call.as_written:
            self.why = f"{name} is not the kernel's for these arrays"

    @contextmanager
    def noting(self) -> Iterator[None]:
        with self.plan.workspace, recording(self.heard, second_entries=True):
            self.plan.start()
            try:
                yield
            finally:
                self.plan.stop()

    @contextmanager
    def adding(self, grads: Gradients) -> Iterator[None]:
        """Within it, gradients meet, and come to where they belong, by noted calls."""
        for graph in self.graphs:
            graph.meet = self.plan.meet
        grads.put = self.plan.put  # type: ignore[method-assign]
        try:
            yield
        finally:
            for graph in self.graphs:
                del graph.meet
            del grads.put

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within ``noting``: what is called here is not noted."""
        self.plan.stop()
        self.is_paused = True
        try:
            yield
        finally:
            self.is_paused = False
            self.plan.start()


def settings_of(objective: object) -> list[tuple[object, str]]:
    """(whose, attribute) of all that a step of this objective is made of, beside the batch."""
    found: list[tuple[object, str]] = []
    graphs: list[Graph] = [objective] if isinstance(objective, ModelObjective) else []
    if isinstance(objective, ComputedObjective):
        found += [(objective, name) for name in objective.settings]
        graphs = list(objective.graphs)
        used = [p for graph in graphs for _, p in graph.named_parameters()]
        found += [(p, "value") for p in used]  # another learner's may move
    steps = [step for graph in graphs for step in graph.steps]
    for layer in [layer for step in steps for layer in _with_inner(step.layer)]:
        found += [(layer, name) for name in ("pair", "trainable", *layer.learned, *layer.options)]
        if isinstance(layer, ActivityPenalty) and _is_one_sum(penalty := layer.regularizer):
            found += [(layer, "regularizer"), *[(penalty, name) for name in vars(penalty)]]
    return found
