"""Forward and backward of a training step as one call into C: what keeps small models from waiting.

A step of a small model is a dozen calls of the kernel, a few microseconds each, and Python takes
longer to make them than they take. But a step on a batch of the same shapes makes the same calls
with the same addresses. So ``PlannedStep`` makes a few steps as they are written, notes the calls
of one (``kernels/plan.h``), and from then on has them made again from C. What stands around them
stays ``Learner.step``: to it a plan is an objective like any other, whose forward computes the
gradients as well. Where the optimiser's step is the kernel's, too, ``planned_update.py`` has both
as one call; and where nobody looks between two steps, several steps.

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

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import is_not
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from minienc.arrays import Array, Cache, Scalar
from minienc.data.epochs import in_rooms
from minienc.devices import Pipeline, has_plans, register_pipeline, steps_at_once
from minienc.layers.parameters import Gradients
from minienc.primitive import plain_door
from minienc.training.noting import Declined, NotedObjective, settings_of
from minienc.training.planned_objective import PlannedObjective
from minienc.training.planned_update import PlannedUpdate, WholeStep, number_of_steps
from minienc.training.step import Learner

if TYPE_CHECKING:
    from minienc.models.network import Network

# Steps of a shape that are made before one is noted: one, which makes what is made once, and one
# more for so many multiplications. To note and to try out costs some steps, and a plan saves some
# 30 us of each that follows: a large model, or a short run, would pay more than it gets back.
PLAIN_STEPS, WORK = 1, 2**20
KEPT = 2**23  # bytes: the most that a model's plans hold between two runs
MOST_PLANS = 4  # each has memory of its own; a training set's batches have two shapes


class PlannedStep:
    """``learner.step``, with plans in its objective's place where there can be any.

    Attributes
    ----------
    declined : str or None
        Why steps are made as they are written.
    apart : str or None
        Why the optimiser's step is not behind the plan's calls, in the same call.
    n_steps, n_planned, n_whole : int
        Steps that were made, those of them whose forward and backward were made from C, and those
        of these whose update was, too.
    """

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        self.plans: dict[tuple, PlannedObjective] = {}
        self.plain_steps: dict[tuple, int] = {}  # that were made, by the shapes of their batches
        self.own: dict[int, PlannedObjective] = {}  # by the rows of the batches that are their own
        self.settings: list[tuple[object, str]] = []  # what of the layers a step is made of
        self.bound_to: list[object] = []  # what the plans were made for
        self.declined: str | None = None
        self.update: PlannedUpdate | None = None
        self.apart: str | None = None
        self.gradients: Gradients = learner.gradients  # those of the plans, between two runs
        self.n_steps = self.n_planned = self.n_whole = 0

    def __call__(self, batch: tuple, rng: np.random.Generator) -> dict[str, Scalar]:
        learner = self.learner
        self.n_steps += 1
        if plain_door() is None:
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
        whole = self._whole(planned)
        if whole is None:
            return learner.step(batch, rng, planned)
        self.n_whole += 1
        return whole(learner, batch, rng)

    def ahead(self, arrays: tuple, parts: Sequence[Array]) -> dict[str, list[float]]:
        """Make steps on the next parts of these arrays in one call, where the plans have all of
        them: what ``WholeStep.ahead`` returns; {} where none was made."""
        if not parts or len(parts[0]) not in self.own or plain_door() is None:
            return {}
        self._forget_unless_bound()
        planned = self.own.get(len(parts[0]))
        whole = self._whole(planned) if planned is not None and planned.is_tried else None
        found = {} if whole is None else whole.ahead(self.learner, arrays, parts)
        made = number_of_steps(found)
        self.n_steps += made
        self.n_planned += made
        self.n_whole += made
        return found

    def _whole(self, planned: PlannedObjective) -> WholeStep | None:
        """The plan with the optimiser's step behind it, where both can be one."""
        if self.update is None or not self.update.holds(self.learner):
            self.update = PlannedUpdate(self.learner)
        if planned.whole is None or planned.whole.update is not self.update:
            planned.whole = WholeStep(planned, self.update)
        self.apart = planned.whole.declined
        return planned.whole if self.apart is None else None

    def put_away(self) -> bool:
        """A run is over; whether the next one of this model may go on with these plans. They would
        hold no more memory meanwhile than a small model has."""
        held = [self.learner.gradients.vector.nbytes]
        for planned in self.plans.values():
            held += planned.plan.workspace.nbytes, *(a.nbytes for _, a in planned.inputs)
        self.gradients = self.learner.gradients
        del self.learner  # which holds the model, and so would never be gone
        return bool(self.plans) and sum(held) <= KEPT

    def take_out(self, learner: Learner) -> bool:
        """Whether this goes on, for another learner of the model that it was made for."""
        made_for = learner.objective, self.gradients, learner.parameters.vector
        if any(map(is_not, made_for, self.bound_to[-4:-1])):
            return False
        self.learner, learner.gradients = learner, self.gradients
        self.gradients.zero()
        self.n_steps = self.n_planned = self.n_whole = 0
        return True

    def says(self) -> str:
        """How the steps were made, and why not all at once."""
        parts, why = "forward and backward", self.declined
        if self.n_whole and self.n_whole == self.n_planned:
            parts = "forward, backward and update"
        found = f"of {self.n_steps} steps, {self.n_planned} had {parts} as one call"
        if self.n_whole < self.n_planned:
            found += f", {self.n_whole} with the update"
            why = why or self.apart
        return found if why is None else f"{found}: {why}"

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
        bound += learner.objective, learner.gradients, learner.parameters.vector, plain_door()
        if len(bound) == len(self.bound_to) and not any(map(is_not, bound, self.bound_to)):
            return
        self.plans.clear()
        self.own.clear()
        self.plain_steps.clear()
        self.declined = self.update = None
        self.settings = settings_of(learner.objective)
        bound = [getattr(whose, name) for whose, name in self.settings]
        bound += learner.objective, learner.gradients, learner.parameters.vector, plain_door()
        self.bound_to = bound


def _shapes(batch: tuple) -> tuple:
    """What two batches must have in common: shapes, dtypes, and which arrays are the same one."""
    seen: dict[int, int] = {}
    return tuple([(seen.setdefault(id(a), len(seen)), a.shape, a.dtype) for a in batch])


_put_away: WeakKeyDictionary[Network, PlannedStep] = WeakKeyDictionary()


class Coming:
    """What is still to come of an iterable; the next of it may be looked at before."""

    def __init__(self, parts: Iterable[Array]) -> None:
        self.parts, self.seen = iter(parts), deque[Array]()

    def look(self, n: int) -> list[Array]:
        self.seen.extend(islice(self.parts, n - len(self.seen)) if n > len(self.seen) else ())
        return list(islice(self.seen, n))

    def skip(self, n: int) -> None:
        for _ in range(n):
            self.seen.popleft()


class PlannedPipeline(Pipeline):
    """What the CPU with a compiled kernel offers to training."""

    step: PlannedStep | None = None

    def step_of(self, learner: Learner) -> Callable[..., dict[str, Scalar]]:
        if not has_plans() or learner.exchange is not None:
            return learner.step
        step = _put_away.pop(learner.network, None)
        if step is None or not step.take_out(learner):
            step = PlannedStep(learner)
        self.step = step
        return step

    def close(self) -> None:
        if self.step is None:
            return
        network = self.step.learner.network
        if self.step.put_away():
            _put_away[network] = self.step
        self.step = None

    def batches(self, take: Callable[..., tuple], parts: Iterable[Array]) -> Iterator[tuple]:
        if self.step is None:
            return super().batches(take, parts)
        self.coming = Coming(parts)
        return self._batches(take, self.step.own)

    def _batches(self, take: Callable[..., tuple], own: dict) -> Iterator[tuple]:
        """Those whose steps are not made ahead; where there is a plan, in the arrays it reads."""
        while found := self.coming.look(1):
            self.coming.skip(1)
            (part,) = found
            planned = own.get(len(part))
            yield take(part) if planned is None else take(part, planned.batch)

    def ahead(self, arrays: tuple[Array, ...]) -> dict[str, list[float]]:
        if self.step is None:
            return {}
        found = self.step.ahead(*in_rooms(arrays, self.coming.look(steps_at_once())))
        self.coming.skip(number_of_steps(found))
        return found


register_pipeline("cpu", PlannedPipeline)
