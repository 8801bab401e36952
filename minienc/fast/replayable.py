"""A learner's step for a device that records it once and replays it: nobody looks at a number.

A step whose loss is not finite must change nothing, and a recorded step cannot ask: its learning
rate becomes NaN, for which the optimisers leave all as it is, and state keeps its value. The host
asks afterwards, when the next batch has set off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minienc.arrays import get_array_module


class ReplayableStep:
    """``learner.step`` in two halves: what the device computes, and what the host does about it.

    Parameters
    ----------
    learner : Learner
    compute : function (arithmetic, batch, numbers, noise, bound_to) -> tuple of numbers
        Calls ``arithmetic(batch, numbers, noise)``, or replays what it did. ``numbers`` then come
        to it as arrays of no axes, and what it draws is drawn again each time. A record serves as
        long as everything in ``bound_to``, which is what the arithmetic uses beside its arguments,
        is the same object as then.
    meanwhile : function ()
        What the host may do while the device computes.
    """

    def __init__(
        self, learner: Any, compute: Callable[..., Any], meanwhile: Callable[[], Any]
    ) -> None:
        self.learner, self.compute, self.meanwhile = learner, compute, meanwhile

    def __call__(self, batch: tuple, rng: np.random.Generator) -> dict[str, float]:
        learner, optimizer = self.learner, self.learner.optimizer
        noise = rng.bit_generator.state if learner.objective.uses_rng else None
        if not learner.parameters.is_home:
            learner.gather()
        settings = optimizer.iterations + 1, optimizer.current_learning_rate
        pending = self.compute(self.arithmetic, batch, settings, rng, self._bound_to())
        self.meanwhile()
        numbers = [float(number) for number in pending]  # waits for the device
        if not math.isfinite(numbers[0]):
            learner.refuse(batch, rng, noise, numbers[0])
        optimizer.iterations += 1
        learner.parameters.touch()
        return dict(zip(learner.objective.names, numbers, strict=True))

    def arithmetic(self, batch: tuple, settings: tuple, noise: Any) -> tuple:
        """What ``Learner.step`` computes; ``settings`` are the step's number and its rate."""
        learner, (step, rate) = self.learner, settings
        numbers, cache = learner.objective.forward(batch, noise)
        xp = get_array_module(numbers[0])
        is_made = xp.isfinite(numbers[0])
        learner.objective.backward(1.0, cache, learner.gradients.zero())
        rate = xp.where(is_made, rate, math.nan)
        learner.optimizer.move(learner.parameters, learner.gradients, step, rate)
        for parameter, value in learner.objective.updates(cache):
            parameter.value = xp.where(is_made, value, parameter.value)
        return numbers

    def _bound_to(self) -> tuple:
        """Each is another object once it is not what it was (weights that another model gathered,
        layers frozen, an optimiser's state loaded)."""
        learner, parameters = self.learner, self.learner.parameters
        return (
            *(learner.gradients, learner.objective, learner.optimizer),
            *(learner.optimizer.remembered, parameters.vector, parameters.segments()),
        )
