"""Measuring at one point: along a direction, a derivative and how wrong it may be.

F(t) = <v, y(x + t d)> is one number that moves along a line; ``differences`` gives its slope. What
is chosen here is the line, the first step, and what is done before a surprising slope is believed:
a closer look, with steps of the element's own size, and the noise of this very place.
"""

from __future__ import annotations

import math
from time import perf_counter
from typing import NamedTuple

import numpy as np

from minienc.verify.differences import Derivative, Sides, derivative, find_kink, first_step
from minienc.verify.line import Line, Outputs, float_outputs
from minienc.verify.noise import (
    EPS,
    measure_noise,
    noise_along,
    precision_of,
    rounds_inside,
    tensor_scale,
)
from minienc.verify.subject import OUTSIDE, Trial

FLOAT32 = float(np.finfo(np.float32).eps)
RTOL = 1e-6  # of float64 gradients: far above what differences leave, far below any mistake
SURE = 10.0  # an uncertainty is an estimate: it counts this many times


class Direction(NamedTuple):
    """How one argument moves: a single element by 1, or all of them at once."""

    name: str
    vector: np.ndarray
    at: tuple[int, ...] | None = None  # where the single element is

    def slope(self, gradient: np.ndarray) -> float:
        """The slope in this direction that a gradient stands for."""
        if self.at is not None:
            return float(gradient[self.at])
        return float(np.sum(gradient * self.vector))


def element(name: str, shape: tuple[int, ...], index: tuple[int, ...]) -> Direction:
    """The direction in which one element moves."""
    vector = np.zeros(shape)
    vector[index] = 1.0
    return Direction(name, vector, index)


class Meter:
    """Measures derivatives at the point of a trial, and keeps them."""

    def __init__(
        self,
        trial: Trial,
        rng: np.random.Generator,
        eps: float = 0.0,
        rtol: float = RTOL,
        until: float = math.inf,
    ) -> None:
        self.trial, self.rng, self.rtol = trial, rng, rtol  # the generator is for directions
        self.until = until  # when the time for it is over
        self.evaluations, self.seconds = 0, math.inf  # of the forward; of the fastest
        self.measured: dict[str, list[tuple[Direction, Derivative]]] = {}  # by argument
        self.coarse: dict[str, float] = {}  # what the backward rounds to, by argument
        self.eps = eps or _precision_near(trial)  # the relative error of an output by its type,
        self.noise = 0.0  # and as it is measured, when it is needed first

    def left(self) -> float:
        """The seconds that are left."""
        return self.until - perf_counter()

    def affords(self, evaluations: int, part: float = 1.0) -> bool:
        """Whether so many more take no more than this part of the seconds that are left."""
        name = self.trial.subject.differentiable[0]
        while self.evaluations < 3:
            self.line(Direction(name, np.zeros(self.trial.arguments[name].shape))).at(0.0)
        return evaluations * self.seconds <= part * self.left()

    def draw(self, name: str) -> Direction:
        """A random direction, in which all elements move."""
        return Direction(name, self.rng.standard_normal(self.trial.arguments[name].shape))

    def line(self, direction: Direction) -> Line:
        """The outputs with t times the direction added to its argument."""
        arguments, v, y = self.trial.arguments, self.trial.v, self.trial.y
        x = arguments[direction.name]

        def at(t: float) -> Outputs:
            started = perf_counter()
            try:
                moved = {**arguments, direction.name: x + t * direction.vector}
                return float_outputs(self.trial.subject.outputs(moved))
            except OUTSIDE:
                return tuple(np.full(part.shape, np.nan) for part in y)
            finally:
                self.evaluations += 1
                self.seconds = min(self.seconds, perf_counter() - started)

        return Line(at, v, y, self.noise)

    def measure(self, direction: Direction) -> Derivative:
        """The derivative in a direction."""
        x = self.trial.arguments[direction.name]
        own = self._own_size(direction)
        h = first_step(own, tensor_scale(x), self.eps)
        if not self.noise:
            self.noise = measure_noise(self.line(direction), self.eps, h)
        # along many elements only as exact as the judgement needs: these may be large models
        goal = min(self.rtol, RTOL) / SURE if direction.at is None else 1e-9
        small = first_step(own, 0.0, EPS) if own else None
        d = derivative(self.line(direction), h, goal, small)._replace(rtol=self.rtol)
        self.measured.setdefault(direction.name, []).append((direction, d))
        return d

    def measure_again(self, direction: Direction, d: Derivative) -> Derivative:
        """Before a number is called wrong: the same derivative, with more care."""
        d = self._closer(direction, d)
        d = self._with_local_noise(direction, d)
        self.measured[direction.name][-1] = (direction, d)
        return d

    def _closer(self, direction: Direction, d: Derivative) -> Derivative:
        """An element far smaller than its tensor may lie beside a pole that the first step leapt
        over: with a step of its own size another number comes out, and that one counts."""
        own = self._own_size(direction)
        h = first_step(own, 0.0, self.eps)
        if own == 0 or h >= d.step:
            return d
        closer = derivative(self.line(direction), h)._replace(rtol=self.rtol)
        surprise = abs(closer.value - d.value)
        return closer if surprise > SURE * (closer.uncertainty + d.uncertainty) else d

    def _with_local_noise(self, direction: Direction, d: Derivative) -> Derivative:
        """An output may be much less exact than its last digit, where it is what two nearly equal
        numbers left (1 + tanh of -5)."""
        x = self.trial.arguments[direction.name]
        own = float(x.item()) if x.size == 1 else self._own_size(direction)
        h = first_step(own, 0.0 if own else tensor_scale(x), self.eps)
        rounding = 3 * noise_along(self.line(direction), h) / d.step
        if d.unchanged:  # as -log(1 - 1e-16), whose slope p - t is a rounding
            rounding = max(rounding, 64 * EPS * self.trial.natural_size(direction.name))
        length = float(np.linalg.norm(direction.vector))
        rounding = max(rounding, self.backward_rounding(direction.name) * length)
        return d._replace(uncertainty=d.uncertainty + rounding) if rounding > d.uncertainty else d

    def backward_rounding(self, name: str) -> float:
        """What float32 inside the backward may have done to an element, where it gives itself away:
        gradients of two cotangents, and of their sum, do not add up to the last digits."""
        subject, arguments, v = self.trial.subject, self.trial.arguments, self.trial.v
        if name in self.coarse or subject.fixed:
            return self.coarse.get(name, 0.0)
        w = tuple(self.rng.standard_normal(part.shape) for part in v)
        sums = tuple(a + b for a, b in zip(v, w, strict=True))
        apart = self.trial.gradients[name] + subject.gradients(arguments, w)[name].astype(float)
        both = subject.gradients(arguments, sums)[name]
        size, gap = (float(np.abs(a).max(initial=0)) for a in (both, both - apart))
        inside = 1e-10 * size < gap < 1e-5 * size
        self.coarse[name] = max(gap, 2 * FLOAT32 * size) if inside else 0.0
        return self.coarse[name]

    def _own_size(self, direction: Direction) -> float:
        """The size of the single element that moves; 0 where all elements move."""
        x, at = self.trial.arguments[direction.name], direction.at
        return 0.0 if at is None else float(x[at])

    def sides(self, direction: Direction, d: Derivative) -> Sides | None:
        """The slopes to both sides if the point is a kink in this direction; else None."""
        return find_kink(self.line(direction), d.step / 2)

    def move(self, name: str) -> Trial | None:
        """The trial at a point nearby; None where no other point can be had."""
        subject, x = self.trial.subject, self.trial.arguments[name]
        if subject.fixed or subject.surrogate is not None:
            return None
        step = 0.1 * tensor_scale(x) * self.rng.standard_normal(x.shape)
        moved, v = {**self.trial.arguments, name: x + step}, self.trial.v
        try:
            y = float_outputs(subject.outputs(moved))
            return Trial(subject, moved, moved, y, v, subject.gradients(moved, v))
        except OUTSIDE:
            return None


def _precision_near(trial: Trial) -> float:
    """The forward's precision, asked near the point: at the point the numbers may be round ones."""
    subject, arguments = trial.subject, trial.arguments
    rng = np.random.default_rng(0)
    sizes = {k: np.abs(arguments[k]) for k in subject.differentiable}
    ways = {k: size * rng.random(size.shape) for k, size in sizes.items()}

    def at(t: float) -> Outputs:
        moved = {k: arguments[k] + t * way for k, way in ways.items()}
        return float_outputs(subject.outputs({**arguments, **moved}))

    try:
        near = at(1e-3)
        inside = rounds_inside(Line(at, trial.v, near))
        return FLOAT32 if (eps := precision_of(near)) < FLOAT32 and inside else eps
    except OUTSIDE:
        return EPS
