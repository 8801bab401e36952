"""Measuring at one point: along a direction, a derivative and how wrong it may be.

F(t) = <v, y(x + t d)> is one number that moves along a line; ``differences`` gives its slope. What
is chosen here is the line, the first step, and what is done before a surprising slope is believed:
a closer look, with steps of the element's own size, and the noise of this very place.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minienc.verify.differences import Derivative, Sides, derivative, find_kink, first_step
from minienc.verify.line import Line, Outputs, float_outputs
from minienc.verify.noise import EPS, measure_noise, noise_along, precision_of, tensor_scale
from minienc.verify.subject import Trial

RTOL = 1e-6  # of float64 gradients: far above what differences leave, far below any mistake
SURE = 10.0  # an uncertainty is an estimate: it counts this many times

OUTSIDE = (ValueError, ArithmeticError, AssertionError)  # raised by forwards outside their domain


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

    def __init__(self, trial: Trial, rng: np.random.Generator) -> None:
        self.trial, self.rng = trial, rng  # for directions
        self.evaluations = 0  # of the forward
        self.measured: dict[str, list[tuple[Direction, Derivative]]] = {}  # by argument
        self.eps = _precision_near(trial)  # the relative error of an output by its type,
        self.noise = 0.0  # and as it is measured, when it is needed first

    def draw(self, name: str) -> Direction:
        """A random direction, in which all elements move."""
        return Direction(name, self.rng.standard_normal(self.trial.arguments[name].shape))

    def line(self, direction: Direction) -> Line:
        """The outputs with t times the direction added to its argument."""
        arguments, v, y = self.trial.arguments, self.trial.v, self.trial.y
        x = arguments[direction.name]

        def at(t: float) -> Outputs:
            self.evaluations += 1
            try:
                moved = {**arguments, direction.name: x + t * direction.vector}
                return float_outputs(self.trial.subject.outputs(moved))
            except OUTSIDE:
                return tuple(np.full(part.shape, np.nan) for part in y)

        return Line(at, v, y, self.noise)

    def measure(self, direction: Direction) -> Derivative:
        """The derivative in a direction."""
        x = self.trial.arguments[direction.name]
        own = self._own_size(direction)
        h = first_step(own, tensor_scale(x), self.eps)
        if not self.noise:
            self.noise = measure_noise(self.line(direction), self.eps, h)
        # along many elements only as exact as the judgement needs: these may be large models
        goal = RTOL / SURE if direction.at is None else 1e-9
        small = first_step(own, 0.0, EPS) if own else None
        d = derivative(self.line(direction), h, goal, small)
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
        closer = derivative(self.line(direction), h)
        surprise = abs(closer.value - d.value)
        return closer if surprise > SURE * (closer.uncertainty + d.uncertainty) else d

    def _with_local_noise(self, direction: Direction, d: Derivative) -> Derivative:
        """An output may be much less exact than its last digit, where it is what two nearly equal
        numbers left (1 + tanh of -5)."""
        x = self.trial.arguments[direction.name]
        own = float(x.item()) if x.size == 1 else self._own_size(direction)
        h = first_step(own, 0.0 if own else tensor_scale(x), self.eps)
        rounding = 3 * noise_along(self.line(direction), h) / d.step
        return d._replace(uncertainty=d.uncertainty + rounding) if rounding > d.uncertainty else d

    def _own_size(self, direction: Direction) -> float:
        """The size of the single element that moves; 0 where all elements move."""
        return (
            0.0
            if direction.at is None
            else float(self.trial.arguments[direction.name][direction.at])
        )

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
            y, cache = subject.forward(moved)
            gradients = subject.backward(v, cache)
        except OUTSIDE:
            return None
        return Trial(subject, moved, moved, float_outputs(y), v, gradients)


def _precision_near(trial: Trial) -> float:
    """The forward's precision, asked near the point: at the point the numbers may be round ones."""
    rng = np.random.default_rng(0)
    near = {
        k: a * (1 + 1e-3 * rng.random(a.shape)) if k in trial.subject.differentiable else a
        for k, a in trial.arguments.items()
    }
    try:
        return precision_of(trial.subject.outputs(near))
    except OUTSIDE:
        return EPS
