"""What a guess about a mistake is held against: a wrong gradient, asked in a few random ways.

A way is a direction d and a cotangent v. The backward says <g(v), d>, the forward's difference
gives what is right; a guess says a third number, and is believed if it is the backward's each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import Array
from minienc.verify.lesson.tape import Change, Operation, Tape, plain
from minienc.verify.line import Outputs, float_outputs, weigh
from minienc.verify.measure import Meter
from minienc.verify.noise import tensor_scale

WAYS = 4
Changes = dict[int, Change]


class Way(NamedTuple):
    """A direction, a cotangent, and the slopes there."""

    direction: np.ndarray
    v: Outputs
    yours: float
    right: float


class Evidence:
    """All that is known of one point: cotangents with their gradients, the forward's operations."""

    def __init__(self, meter: Meter) -> None:
        self.meter, self.trial = meter, meter.trial
        self.step = meter.eps ** (1 / 3)
        self.tolerance = max(1e-5, 30 * meter.eps ** (2 / 3))
        self.rng = np.random.default_rng((2, 1847))
        self.cotangents = [self.trial.v, *(self._cotangent() for _ in range(WAYS - 1))]
        subject, arguments = self.trial.subject, self.trial.arguments
        others = (subject.gradients(arguments, v) for v in self.cotangents[1:])
        self.gradients = [self.trial.gradients, *others]
        self.operations = self._write_down()
        self.believed: list[Any] = []  # what was told of other arguments
        self.constant: Changes = {}  # operations that change nothing: they are held in every guess
        self._find_constants()

    def _cotangent(self) -> Outputs:
        return tuple(self.rng.standard_normal(part.shape) for part in self.trial.y)

    def _write_down(self) -> list[Operation]:
        """The forward's operations; none where they cannot be watched."""
        if self.trial.subject.device != "cpu" or self.trial.subject.surrogate or self.is_late():
            return []
        tape = Tape()
        try:
            y = self._watched_outputs(self.trial.arguments, tape)
        except Exception:  # it does not take arrays of this kind
            return []
        return tape.operations if all(map(np.array_equal, y, self.trial.y)) else []

    def _watched_outputs(self, arguments: dict[str, Any], tape: Tape) -> Outputs:
        self.meter.evaluations += 1
        names = self.trial.subject.differentiable
        watched = {k: tape.watch(arguments[k], k) for k in names}
        return float_outputs([*map(plain, self.trial.subject.outputs({**arguments, **watched}))])

    def _find_constants(self) -> None:
        """A softmax without its largest number is the same softmax: nothing comes back through a
        maximum that is taken off, and most backwards leave it out."""

        def constant(was: Operation, now: list) -> Array:
            return was.output

        for number, operation in enumerate(self.operations):
            if operation.name not in ("max", "amax", "maximum.reduce"):
                continue
            for name in self.trial.subject.differentiable:
                d = self.rng.standard_normal(self.trial.arguments[name].shape)
                whole = self.slope(name, d, self.trial.v)
                held = self.slope(name, d, self.trial.v, {number: constant})
                if not abs(whole - held) <= self.tolerance * abs(whole):
                    break
            else:
                self.constant[number] = constant

    def is_late(self) -> bool:
        """Whether the time for guessing is over."""
        return self.meter.left() < 0

    def ways(self, name: str) -> list[Way]:
        """Random ways to ask for one argument's gradient; none where no slope is known."""
        shape, found = self.trial.arguments[name].shape, []
        for v, gradients in zip(self.cotangents, self.gradients, strict=True):
            direction = self.rng.standard_normal(shape)
            yours = float(np.sum(np.asarray(gradients[name], float) * direction))
            found.append(Way(direction, v, yours, self.slope(name, direction, v)))
        return found if all(math.isfinite(way.right) for way in found) else []

    def slope(self, name: str, direction: np.ndarray, v: Outputs, changes: Changes | None = None):
        """The slope of <v, y> in a direction; of a forward with changes, if there are any."""
        return weigh(v, self.change(name, direction, changes))

    def change(self, name: str, direction: np.ndarray, changes: Changes | None = None) -> Outputs:
        """How the outputs change in a direction: a central difference."""
        x = self.trial.arguments[name]
        h = 2.0 ** round(math.log2(self.step * 10 * tensor_scale(x)))
        above, below = (self.outputs(name, x + s * direction, changes) for s in (h, -h))
        return tuple((a - b) / (2 * h) for a, b in zip(above, below, strict=True))

    def outputs(self, name: str, x: np.ndarray, changes: Changes | None) -> Outputs:
        """The outputs with another x, of a forward with changes; NaN where it cannot run."""
        arguments = {**self.trial.arguments, name: x}
        nothing = tuple(np.full(part.shape, np.nan) for part in self.trial.y)
        try:
            if changes is None:
                self.meter.evaluations += 1
                return float_outputs(self.trial.subject.outputs(arguments))
            tape = Tape(self.operations)
            tape.changes = {**self.constant, **changes}
            return self._watched_outputs(arguments, tape)
        except Exception:  # outside its domain, on another path, or altered so that it cannot run
            return nothing

    def explains(self, says: Callable[[Way], float], ways: list[Way]) -> bool:
        """Whether what a guess says is what the backward says, and not what is right."""
        return bool(ways) and all(abs(says(w) - w.yours) <= self.within(w) for w in ways)

    def ratio(
        self, name: str, ways: list[Way], changes: Changes, other: Changes | None = None
    ) -> float | None:
        """How many times the backward has too many of what changes take from the slope, or of what
        they take from it less than others; None where it is no matter of these."""
        ratio: float | None = None
        for way in ways:
            base = self.slope(name, way.direction, way.v, other) if other else way.right
            share = base - self.slope(name, way.direction, way.v, changes)
            if not abs(share) > self.tolerance * abs(base):
                return None
            ratio = (way.yours - base) / share if ratio is None else ratio
            if not abs(ratio * share - (way.yours - base)) <= self.within(way):
                return None
        return ratio

    def within(self, way: Way) -> float:
        """How near to a slope another has to be: a small part of what there is to explain."""
        size = max(abs(way.yours), abs(way.right))
        return self.tolerance * (abs(way.yours - way.right) + 1e-2 * size)
