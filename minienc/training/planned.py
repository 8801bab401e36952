"""Forward and backward of a training step as one call into C: what keeps small models from waiting.

A step of a small model is a dozen calls of the kernel, a few microseconds each, and Python takes
longer to make them than they take. But a step on a batch of the same shapes makes the same calls
with the same addresses. So ``PlannedStep`` makes a few steps as they are written, notes the calls
of one (``kernels/plan.h``), and from then on has them made again from C. What stands around them
stays ``Learner.step``: to it a plan is an objective like any other, whose forward computes the
gradients as well.

What makes it safe:

*All of the step is the kernel's.* Only primitives are noted whose faster functions compute every
number in calls of the kernel. If another one is called, or a definition runs, or the boundary says
that NumPy had a hand in it, there is no plan. Gradients meet, and come to where they belong, by
calls of the kernel. An objective that is no compiled model's says which part is the kernel's
(``computed.py``).

*Addresses stay.* Batches are copied to arrays of the plan's own. What the step makes lies in a
workspace that nobody else is given memory from, where memory changes hands within a step as it did
when it was noted.

*It is tried out.* The first step that a plan makes is made as it is written, too: loss, gradients
and state must agree in every bit, or the plan is dropped.

*Whatever it was made for may change.* Other weights (not: other numbers in them), another setting
of a layer, a definition that was edited, somebody who listens: the step is made as it is written,
and noted anew where that may help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import is_not

import numpy as np

from minienc.arrays import Array, Cache, Rng, Scalar
from minienc.devices import Pipeline, has_plans, register_pipeline, release_workspace
from minienc.layers.base import Layer
from minienc.layers.parameters import Gradients, Parameter
from minienc.primitive import is_plain
from minienc.training.noting import Declined, Hosted, NotedObjective, settings_of
from minienc.training.objective import (
    LossLayer,
    WeightPenalty,
)
from minienc.training.step import Learner, Objective

# Steps of a shape that are made before one is noted: one, which makes what is made once, and one
# more for so many multiplications. To note and to try out costs two steps, and a plan saves some
# 25 us of each that follows: a large model, or a short run, would pay more than it gets back.
PLAIN_STEPS, WORK = 1, 2**18
MOST_PLANS = 4  # each has memory of its own; a training set's batches have two shapes


class PlannedStep:
    """``learner.step``, with plans in its objective's place where there can be any.

    Attributes
    ----------
    declined : str or None
        Why steps are made as they are written.
    n_steps, n_planned : int
        Steps that were made, and those of them that were made from C.
    """

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        self.plans: dict[tuple, PlannedObjective] = {}
        self.plain_steps: dict[tuple, int] = {}  # that were made, by the shapes of their batches
        self.own: dict[int, PlannedObjective] = {}  # by the rows of the batches that are their own
        self.settings: list[tuple[object, str]] = []  # what of the layers a step is made of
        self.bound_to: list[object] = []  # what the plans were made for
        self.declined: str | None = None
        self.n_steps = self.n_planned = 0

    def __call__(self, batch: tuple, rng: np.random.Generator) -> dict[str, Scalar]:
        learner = self.learner
        self.n_steps += 1
        if not is_plain():
            return learner.step(batch, rng)
        self._forget_unless_bound()
        planned = self.own.get(len(batch[0]))
        if planned is None or planned.batch[0] is not batch[0]:
            planned = self.plans.get(shapes := _shapes(batch))
            if planned is None:
                return learner.step(batch, rng, self._noting(batch, shapes))
        if not planned.is_tried and not planned.agrees(batch, rng, learner.gradients):
            self._decline("it computed something else than the step as it is written")
            return learner.step(batch, rng)
        self.n_planned += 1
        return learner.step(batch, rng, planned)

    def says(self) -> str:
        """How the steps were made, and why not all at once."""
        found = f"of {self.n_steps} steps, {self.n_planned} had forward and backward as one call"
        return found if self.declined is None else f"{found}: {self.declined}"

    def _noting(self, batch: tuple, shapes: tuple) -> NotedObjective | None:
        """What makes this step, and a plan of it on the way; None: the step as it is written."""
        made = self.plain_steps[shapes] = self.plain_steps.get(shapes, 0) + 1
        work = self.learner.parameters.vector.size * len(batch[0])
        is_early = made <= PLAIN_STEPS + work // WORK
        if self.declined is not None or is_early or len(self.plans) == MOST_PLANS:
            return None

        def done(noted: NotedObjective, cache: Cache, grads: Gradients) -> None:
            if noted.why is not None:
                self._decline(noted.why)
            else:
                plan = PlannedObjective(noted, cache, grads)
                self.plans[shapes] = self.own[len(batch[0])] = plan

        try:
            return NotedObjective(self.learner.objective, done)
        except Declined as why:
            self._decline(str(why))
            return None

    def _decline(self, why: str) -> None:
        self.plans.clear()
        self.own.clear()
        self.declined = why

    def _forget_unless_bound(self) -> None:
        """Begin anew for weights, settings or an objective that are others than before."""
        learner = self.learner
        if not learner.parameters.is_home:
            learner.gather()
        bound = [getattr(whose, name) for whose, name in self.settings]
        bound += learner.objective, learner.gradients, learner.parameters.vector
        if len(bound) == len(self.bound_to) and not any(map(is_not, bound, self.bound_to)):
            return
        self.plans.clear()
        self.own.clear()
        self.plain_steps.clear()
        self.declined = None
        self.settings = settings_of(learner.objective)
        bound = [getattr(whose, name) for whose, name in self.settings]
        self.bound_to = [*bound, learner.objective, learner.gradients, learner.parameters.vector]


def _shapes(batch: tuple) -> tuple:
    """What two batches must have in common: shapes, dtypes, and which arrays are the same one."""
    seen: dict[int, int] = {}
    return tuple([(seen.setdefault(id(a), len(seen)), a.shape, a.dtype) for a in batch])


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

    def _plan_numbers(self, noted: NotedObjective, kind: type) -> None:
        """How each number of the objective is had: of the plan, or of a layer behind it."""
        self.kind, self.losses = kind, list[int]()  # slots of the plan's numbers, in their order
        self.hosted: list[tuple[int, Layer, tuple, tuple]] = []  # (slot, layer, slots, arrays)
        self.penalties: list[tuple[int, Layer, Scalar]] = []  # (slot, layer, what its loss counts)
        self.computed = noted.objective if noted.is_computed else None
        if self.computed is not None:  # it says itself what its numbers are
            self.output_slots = (-1,)
            return
        of_numbers: set[int] = set()
        for step in noted.hosted.steps:
            (slot, *_), layer = step.outputs, step.layer
            if isinstance(layer, LossLayer):
                self.losses.append(slot)
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
        for i, own in self.inputs:
            if batch[i] is not own:
                own[...] = batch[i]
        for gradient in self.zeroed:
            gradient[...] = 0
        values: dict[int, Scalar] = {}
        if self.penalties:
            self.grads.zero()
            for slot, layer, dy in self.penalties:
                values[slot], cache = layer.forward(())
                layer.backward(dy, cache, self.grads)
        for method, drawn in self.plan.draws:
            getattr(rng, method)(out=drawn, dtype=drawn.dtype)
        if self.plan.run():
            return self.as_written(batch, rng)  # which says what is wrong
        if self.computed is not None:
            found = [self.kind(self.plan.number(i)) for i in range(self.plan.n_numbers)]
            return self.computed.numbers(tuple(found), self.cache), self.cache
        for i, slot in enumerate(self.losses):
            values[slot] = self.kind(self.plan.number(i))
        for slot, layer, slots, given in self.hosted:
            x = tuple([values[s] if a is None else a for s, a in zip(slots, given, strict=True)])
            values[slot] = layer.forward(x)[0]
        return tuple([values[slot] for slot in self.output_slots]), self.cache

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
            return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)
        finally:
            rng.bit_generator.state = noise
            del caches, expected, right, states, pairs
            release_workspace()


class PlannedPipeline(Pipeline):
    """What the CPU with a compiled kernel offers to training."""

    step: PlannedStep | None = None

    def step_of(self, learner: Learner) -> Callable[..., dict[str, Scalar]]:
        if not has_plans() or learner.exchange is not None:
            return learner.step
        self.step = PlannedStep(learner)
        return self.step

    def batches(self, take: Callable[..., tuple], parts: Iterable[Array]) -> Iterator[tuple]:
        if self.step is None:
            return super().batches(take, parts)
        own = self.step.own  # arrays in which a batch is best brought: those that its plan reads
        return (
            take(part, planned.batch) if (planned := own.get(len(part))) else take(part)
            for part in parts
        )


register_pipeline("cpu", PlannedPipeline)
