"""Learning rates that change with the step: Keras's names and formulas.

A schedule is a pure function of the number of steps done, so a resumed run needs nothing of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any


class LearningRateSchedule:
    """``schedule(step) -> learning rate``, step counting from 0."""

    def __call__(self, step: int) -> float:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON values."""
        return dict(vars(self))

    def __repr__(self) -> str:
        values = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({values})"


LearningRate = float | Callable[[int], float]  # a number, or a schedule


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[0]`` up to step ``boundaries[0]``, ``values[1]`` up to ``boundaries[1]``, ...

    Examples
    --------
    >>> schedule = PiecewiseConstantDecay([100], [0.1, 0.01])
    >>> schedule(100), schedule(101)
    (0.1, 0.01)
    """

    def __init__(self, boundaries: Sequence[int], values: Sequence[float]) -> None:
        if len(values) != len(boundaries) + 1:
            raise ValueError(
                f"PiecewiseConstantDecay: {len(boundaries)} boundaries and {len(values)} values, "
                f"expected one value more than boundaries"
            )
        if list(boundaries) != sorted(set(boundaries)):
            raise ValueError("PiecewiseConstantDecay: boundaries must increase")
        self.boundaries, self.values = list(boundaries), [float(v) for v in values]

    def __call__(self, step: int) -> float:
        return self.values[sum(step > b for b in self.boundaries)]


class ExponentialDecay(LearningRateSchedule):
    """initial * decay_rate^(step / decay_steps); ``staircase`` rounds the exponent down.

    Examples
    --------
    >>> ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20)
    0.025
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
    ) -> None:
        _check_positive(initial_learning_rate=initial_learning_rate, decay_steps=decay_steps)
        _check_positive(decay_rate=decay_rate)
        self.initial_learning_rate = float(initial_learning_rate)
        self.decay_steps = decay_steps
        self.decay_rate = float(decay_rate)
        self.staircase = staircase

    def __call__(self, step: int) -> float:
        exponent = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate * self.decay_rate**exponent


class CosineDecay(LearningRateSchedule):
    """A linear warm-up, then half a cosine down to ``alpha`` times the top.

    For ``warmup_steps`` steps the rate rises from ``initial_learning_rate`` to ``warmup_target``;
    for ``decay_steps`` more it falls. Without a target there is no warm-up, and it falls from
    ``initial_learning_rate``.

    Source: Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts",
    eq. 5; Goyal et al. 2017 (warm-up).

    Examples
    --------
    >>> schedule = CosineDecay(0.1, decay_steps=100)
    >>> schedule(0), round(schedule(50), 3), schedule(100)
    (0.1, 0.05, 0.0)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        _check_positive(decay_steps=decay_steps)
        if not (math.isfinite(initial_learning_rate) and initial_learning_rate >= 0):
            raise ValueError(
                f"CosineDecay: initial_learning_rate is {initial_learning_rate}, expected >= 0"
            )
        if not 0 <= alpha <= 1:
            raise ValueError(f"CosineDecay: alpha is {alpha}, expected a number in [0, 1]")
        self.initial_learning_rate = float(initial_learning_rate)
        self.decay_steps = decay_steps
        self.alpha = float(alpha)
        self.warmup_target = None if warmup_target is None else float(warmup_target)
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        top, start = self.initial_learning_rate, 0
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                rise = self.warmup_target - self.initial_learning_rate
                return self.initial_learning_rate + rise * step / self.warmup_steps
            top, start = self.warmup_target, self.warmup_steps
        done = min(step - start, self.decay_steps) / self.decay_steps
        cosine = 0.5 * (1 + math.cos(math.pi * done))
        return top * ((1 - self.alpha) * cosine + self.alpha)


def _check_positive(**numbers: float) -> None:
    for name, value in numbers.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} is {value}, expected a number above 0")
