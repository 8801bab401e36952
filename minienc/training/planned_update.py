"""The optimiser's step behind a plan's calls, in the same call of C; and several steps in one.

The optimiser's calls of the kernel are noted by themselves, once, at a learning rate of 1, without
being made. What changes from step to step C puts into them (``kernels/steps.h``): the learning
rate, what Adam makes of it and of the step's number, and what clipping scales the gradient with,
which depends on a norm. Everything else of an optimiser is compared at each call, and where
anything is another than before, its calls are noted anew: so what a callback sets is obeyed.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from itertools import takewhile
from operator import is_not
from typing import TYPE_CHECKING

import numpy as np

from minienc.arrays import Array, Scalar
from minienc.devices import new_plan, new_steps
from minienc.training.noting import Declined
from minienc.training.optimizer import Optimizer
from minienc.training.schedules import LearningRateSchedule
from minienc.training.step import Learner

if TYPE_CHECKING:
    from minienc.training.planned_objective import PlannedObjective

SECONDS = 0.01  # that steps are made without coming back: so long Ctrl-C waits, or another thread

# What this file and steps.h do in another way: it must be as Optimizer has it.
_WRITTEN = {
    name: inspect.getattr_static(Optimizer, name)
    for name in (
        *("step", "move", "_move_part", "views", "_clipping_scale"),
        *("learning_rate", "current_learning_rate"),
    )
}


class PlannedUpdate:
    """The calls of the kernel by which a learner's optimiser moves the weights.

    Attributes
    ----------
    declined : str or None
        Why there are none.
    """

    def __init__(self, learner: Learner) -> None:
        self.names = [name for name in learner.optimizer.options if name != "step"]
        self.made_for = self._settings(learner)
        self.multipliers: list[float] = []
        self.plan = new_plan(only_notes=True)
        self.declined: str | None = None
        try:
            self._note(learner)
        except Declined as why:
            self.declined = str(why)

    def holds(self, learner: Learner) -> bool:
        """Whether all is as it was when the calls were noted. Numbers that are read at each step
        (learning rate, clipping) are not looked at."""
        if learner.optimizer is not self.made_for[0]:
            return False
        return not any(map(is_not, self._settings(learner), self.made_for))

    def _settings(self, learner: Learner) -> list[object]:
        optimizer, parameters = learner.optimizer, learner.parameters
        return [
            optimizer,
            len(vars(optimizer)),  # somebody may have given it a method of its own
            optimizer.remembered,
            optimizer.slots,
            optimizer.remembers(parameters),
            parameters,
            parameters.segments(),
            learner.gradients,
            *[getattr(optimizer, name) for name in self.names],
        ]

    def _note(self, learner: Learner) -> None:
        optimizer, parameters = learner.optimizer, learner.parameters
        kind, rule = type(optimizer).__name__, getattr(optimizer, "rule", None)
        for name, written in _WRITTEN.items():
            if inspect.getattr_static(optimizer, name) is not written:
                raise Declined(f"{kind} has a {name.removeprefix('_')} of its own")
        fast = None if rule is None else rule.fast
        if fast is None:
            raise Declined(f"{kind}'s step is not the kernel's")
        if not optimizer.remembers(parameters):
            raise Declined(f"{kind} has not begun")  # after this step it has
        options = {name: getattr(optimizer, name) for name in self.names}
        for name, value in options.items():
            if type(value) not in (float, int, bool):  # with NumPy's, NumPy would compute
                raise Declined(f"{kind}'s {name} is a {type(value).__name__}")
        if "step" in optimizer.options:
            options["step"] = 1
        w, g = parameters.vector, learner.gradients.vector
        for part, multiplier in parameters.segments():
            of_w, of_g, remembered = optimizer.views(w, g, part)
            self.plan.start()
            try:
                done = fast(of_w, of_g, learning_rate=1.0, scale=1.0, **remembered, **options)
            finally:
                self.plan.stop()
            if done is NotImplemented:
                raise Declined(f"{kind}'s step is not the kernel's for these settings")
            self.multipliers.append(float(multiplier))


class WholeStep:
    """Steps by the plan of an objective and by that of an update, as one call each, or together."""

    def __init__(self, planned: PlannedObjective, update: PlannedUpdate) -> None:
        self.planned, self.update = planned, update
        self.declined, loss = update.declined, planned.output_slots[0]
        if self.declined is None and loss not in planned.losses:
            self.declined = "the loss is added up behind the plan"
        if self.declined is not None:
            return
        self.steps = new_steps(
            planned.plan,
            update.plan,
            update.multipliers,
            planned.losses.index(loss),
            planned.kind is np.float32,
            planned.zeroed,
        )
        objective = planned.objective
        self.own = [array for _, array in planned.inputs]
        self.places = [  # of each array of a batch, among them
            next(k for k, own in enumerate(self.own) if own is array) for array in planned.batch
        ]
        # where nothing of a step is left to Python, several can be made in one call
        self.in_turn = not (planned.plan.draws or planned.hosted or objective.stateful)
        slots = planned.output_slots if self.in_turn else ()
        self.columns = [planned.losses.index(slot) for slot in slots]

    def __call__(
        self, learner: Learner, batch: tuple, rng: np.random.Generator
    ) -> dict[str, Scalar]:
        """As ``learner.step``."""
        planned, optimizer = self.planned, learner.optimizer
        noise = rng.bit_generator.state if planned.uses_rng else None
        values = planned.before(batch, rng)
        rate, clipnorm = optimizer.current_learning_rate, optimizer.global_clipnorm or 0.0
        found, error = self.steps.once(optimizer.iterations + 1, rate, clipnorm)
        if error:  # no weight has moved; the step as it is written says what is wrong
            if noise is not None:
                rng.bit_generator.state = noise
            return learner.step(batch, rng)
        self._count(learner, 1)
        for parameter, value in planned.updates(planned.cache):
            parameter.value = value
        return dict(zip(planned.objective.names, planned.behind(values, found), strict=True))

    def ahead(
        self, learner: Learner, arrays: tuple, parts: Sequence[Array]
    ) -> dict[str, list[float]]:
        """Make steps on the first of these parts, which are indices of rows of the arrays: {name of
        a number: what it was at each of them}, and {} where none can be made."""
        optimizer, n = learner.optimizer, len(parts[0])
        sources = self._sources(arrays)
        if sources is None:
            return {}
        rows = list(takewhile(lambda part: len(part) == n, parts))
        rates = self._rates(optimizer, len(rows))
        if rates is None:
            return {}
        clipnorm = optimizer.global_clipnorm or 0.0
        step = optimizer.iterations + 1
        found = self.steps.run(sources, self.own, rows, step, rates, clipnorm, SECONDS)
        if not found or not found[0]:
            return {}
        self._count(learner, len(found[0]))
        names = self.planned.objective.names
        return {name: found[k] for name, k in zip(names, self.columns, strict=True)}

    def _sources(self, arrays: tuple) -> list[Array] | None:
        """The array that each of the plan's own is taken from; None where other ones are the same
        than when it was noted."""
        if not self.in_turn or len(arrays) != len(self.places):
            return None
        sources: dict[int, Array] = {}
        for array, k in zip(arrays, self.places, strict=True):
            if sources.setdefault(k, array) is not array:
                return None
        return [sources[k] for k in range(len(self.own))]

    @staticmethod
    def _rates(optimizer: Optimizer, n: int) -> list[float] | None:
        """The learning rates of the next n steps. A function of the user's own is not asked ahead
        of time."""
        rate = optimizer.learning_rate
        if not callable(rate):
            return [rate] * n
        if type(rate).__module__ != LearningRateSchedule.__module__:
            return None
        return [float(rate(optimizer.iterations + i)) for i in range(n)]

    def _count(self, learner: Learner, n: int) -> None:
        """So many steps have been made."""
        learner.optimizer.iterations += n
        learner.parameters.touch()
        learner.gradients.zero().note_written(self.planned.written)


def number_of_steps(found: dict[str, list[float]]) -> int:
    """Of what ``ahead`` returned."""
    return len(next(iter(found.values()), ()))
