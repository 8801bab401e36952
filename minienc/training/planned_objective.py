"""An objective whose forward and backward are a plan's calls, for batches of the same shapes.

``planned.py`` says what plans are and when they are made; here is one of them in use: what the step
has outside of the plan (noise that is drawn, metrics, penalties on weights, the parts of a
``ComputedObjective`` that are NumPy's) stands around the one call.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from minienc.arrays import Array, Cache, Rng, Scalar
from minienc.devices import release_workspace
from minienc.layers.base import Layer
from minienc.layers.parameters import Gradients, Parameter
from minienc.training.noting import Hosted, NotedObjective
from minienc.training.objective import ActivityPenalty, LossLayer, WeightPenalty
from minienc.training.step import Objective

if TYPE_CHECKING:
    from minienc.training.planned_update import WholeStep


def _same_bits(a: Scalar, b: Scalar) -> bool:
    """Compared as integers: NaN has bits like any other number, and nothing is made for it."""
    a, b = np.asarray(a), np.asarray(b)
    integers = f"u{a.itemsize}"
    return a.dtype == b.dtype and np.array_equal(a.view(integers), b.view(integers))


class PlannedObjective(Objective):
    """The objective of batches of the same shapes, by a plan: as ``Objective`` is."""

    def __init__(self, noted: NotedObjective, cache: Cache, grads: Gradients) -> None:
        self.objective, self.plan, self.batch = noted.objective, noted.plan, noted.batch
        self.uses_rng = noted.uses_rng
        self.cache, self.grads = cache, grads  # whose arrays the plan fills again
        self.written = grads.written()
        self.zeroed = [grads[p] for p in grads.zeroed]  # which the plan adds to
        self.inputs: list[tuple[int, Array]] = []  # the first place of each array in a batch
        for i, array in enumerate(self.batch):
            if all(array is not other for _, other in self.inputs):
                self.inputs.append((i, array))
        self._plan_numbers(noted, grads.vector.dtype.type)
        self.is_tried = False
        self.whole: WholeStep | None = None  # once a step has been made with it

    def _plan_numbers(self, noted: NotedObjective, kind: type) -> None:
        """How each number of the objective is had: of the plan, or of a layer behind it."""
        self.kind, self.losses = kind, list[int]()  # slots of the plan's numbers, in their order
        self.hosted: list[tuple[int, Layer, tuple, tuple]] = []  # (slot, layer, slots, arrays)
        self.shared = set[int]()  # slots of those that are divided by the number of samples
        self.penalties: list[tuple[int, Layer, Scalar]] = []  # (slot, layer, what its loss counts)
        self.computed = noted.objective if noted.is_computed else None
        if self.computed is not None:  # it says itself what its numbers are
            self.output_slots = (-1,)
            return
        of_numbers: set[int] = set()
        for step in noted.hosted.steps:
            (slot, *_), layer = step.outputs, step.layer
            if isinstance(layer, LossLayer | ActivityPenalty):
                self.losses.append(slot)
                if isinstance(layer, ActivityPenalty):
                    self.shared.add(slot)
            elif isinstance(layer, Hosted) and isinstance(layer.layer, WeightPenalty):
                self.penalties.append((slot, layer.layer, layer.dy))
            elif isinstance(layer, Hosted):
                parts: Iterable = zip(step.inputs, layer.given, strict=True)
                given = tuple([None if s in of_numbers else part for s, part in parts])
                self.hosted.append((slot, layer.layer, step.inputs, given))
            else:
                continue
            of_numbers.add(slot)
        self.output_slots = tuple(noted.objective.output_slots)

    def forward(self, batch: tuple, rng: Rng = None) -> tuple[tuple[Scalar, ...], Cache]:
        if self.computed is not None:
            batch = self.computed.prepare(batch, rng)
            if [a.shape for a in batch] != [a.shape for a in self.batch]:
                return self.as_written(batch, rng)
        for gradient in self.zeroed:
            gradient[...] = 0
        values = self.before(batch, rng)
        if self.plan.run():
            return self.as_written(batch, rng)  # which says what is wrong
        if self.computed is not None:
            found = [self.kind(self.plan.number(i)) for i in range(self.plan.n_numbers)]
            return self.computed.numbers(tuple(found), self.cache), self.cache
        return self.behind(values, map(self.plan.number, range(len(self.losses)))), self.cache

    def before(self, batch: tuple, rng: Rng) -> dict[int, Scalar]:
        """Bring what the plan reads to where it reads it; the numbers that are known by then."""
        for i, own in self.inputs:
            if batch[i] is not own:
                own[...] = batch[i]
        values: dict[int, Scalar] = {}
        if self.penalties:
            self.grads.zero()
            for slot, layer, dy in self.penalties:
                values[slot], cache = layer.forward(())
                layer.backward(dy, cache, self.grads)
        for method, drawn in self.plan.draws:
            getattr(rng, method)(out=drawn, dtype=drawn.dtype)
        return values

    def behind(self, values: dict[int, Scalar], found: Iterable[float]) -> tuple[Scalar, ...]:
        """The objective's numbers, from what the plan found."""
        for slot, number in zip(self.losses, found, strict=True):
            values[slot] = self.kind(number)
            if slot in self.shared:
                values[slot] /= len(self.batch[0])
        for slot, layer, slots, given in self.hosted:
            x = tuple([values[s] if a is None else a for s, a in zip(slots, given, strict=True)])
            values[slot] = layer.forward(x)[0]
        return tuple([values[slot] for slot in self.output_slots])

    def as_written(self, batch: tuple, rng: Rng) -> tuple[tuple[Scalar, ...], Cache]:
        """The numbers of a batch, which is prepared where that is called for, without the plan."""
        if self.computed is None:
            return self.objective.forward(batch, rng)
        losses, cache = self.computed.compute(batch, rng)
        return self.computed.numbers(losses, cache), cache

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        if cache is not self.cache:
            self.objective.backward(dloss, cache, grads)
        else:
            grads.note_written(self.written)  # by forward

    def updates(self, cache: Cache) -> Iterable[tuple[Parameter, Array]]:
        return self.objective.updates(cache)

    def agrees(self, batch: tuple, rng: np.random.Generator, grads: Gradients) -> bool:
        """Whether loss, gradients and state are those of the step as it is written, to the bit."""
        self.is_tried = True
        noise = rng.bit_generator.state
        expected, caches = self.objective.forward(batch, rng)
        self.objective.backward(1.0, caches, grads.zero())
        right = grads.vector.copy()
        states = [value for _, value in self.objective.updates(caches)]
        rng.bit_generator.state = noise
        grads.vector[...] = np.nan  # what the plan leaves out is seen
        numbers, cache = self.forward(batch, rng)
        self.backward(1.0, cache, grads.zero())
        own = [value for _, value in self.updates(cache)]
        pairs = [
            (right, grads.vector),
            *zip(expected, numbers, strict=True),
            *zip(states, own, strict=True),
        ]
        try:
            return all(_same_bits(a, b) for a, b in pairs)
        finally:
            rng.bit_generator.state = noise
            del caches, expected, right, states, pairs
            release_workspace()  # of the steps as they are written: a plan has a room of its own
