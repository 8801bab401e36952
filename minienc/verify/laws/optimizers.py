"""Checking an optimiser: does a run of its steps go where its formula goes?

The references below are written a second time, on one Python number after another, straight from
the papers; they share nothing with ``training/optimizers.py`` but the symbols.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minienc.layers.parameters import Gradients, Parameter, Parameters
from minienc.training.optimizer import Optimizer

Reference = Callable[..., Iterator[float]]


def sgd(w: float, gs: Sequence[float], c: dict[str, Any]) -> Iterator[float]:
    """Sutskever et al. 2013, eq. 1 to 4."""
    v = 0.0
    for g in gs:
        v = c["momentum"] * v - c["learning_rate"] * g
        w += c["momentum"] * v - c["learning_rate"] * g if c["nesterov"] else v
        yield w


def rmsprop(w: float, gs: Sequence[float], c: dict[str, Any]) -> Iterator[float]:
    """Tieleman and Hinton 2012; epsilon under the root, as in Keras."""
    s = v = 0.0
    for g in gs:
        s = c["rho"] * s + (1 - c["rho"]) * g * g
        v = c["momentum"] * v + c["learning_rate"] * g / math.sqrt(s + c["epsilon"])
        w -= v
        yield w


def adagrad(w: float, gs: Sequence[float], c: dict[str, Any]) -> Iterator[float]:
    """Duchi, Hazan and Singer 2011."""
    s = c["initial_accumulator_value"]
    for g in gs:
        s += g * g
        w -= c["learning_rate"] * g / math.sqrt(s + c["epsilon"])
        yield w


def adam(w: float, gs: Sequence[float], c: dict[str, Any]) -> Iterator[float]:
    """Kingma and Ba 2015, algorithm 1, with the corrections folded into the step; decoupled decay
    before it (Loshchilov and Hutter 2019)."""
    m = v = 0.0
    for t, g in enumerate(gs, 1):
        w -= c["learning_rate"] * c.get("weight_decay", 0.0) * w
        m = c["beta_1"] * m + (1 - c["beta_1"]) * g
        v = c["beta_2"] * v + (1 - c["beta_2"]) * g * g
        size = c["learning_rate"] * math.sqrt(1 - c["beta_2"] ** t) / (1 - c["beta_1"] ** t)
        w -= size * m / (math.sqrt(v) + c["epsilon"])
        yield w


def lion(w: float, gs: Sequence[float], c: dict[str, Any]) -> Iterator[float]:
    """Chen et al. 2023, algorithm 2."""
    m = 0.0
    for g in gs:
        between = c["beta_1"] * m + (1 - c["beta_1"]) * g
        sign = (between > 0) - (between < 0)
        w -= c["learning_rate"] * (sign + c["weight_decay"] * w)
        m = c["beta_2"] * m + (1 - c["beta_2"]) * g
        yield w


REFERENCES: dict[str, Reference] = {
    "SGD": sgd,
    "RMSprop": rmsprop,
    "Adagrad": adagrad,
    "Adam": adam,
    "AdamW": adam,
    "Lion": lion,
}


@dataclass
class OptimizerReport:
    """``bool(report)`` is True if every step agreed."""

    optimizer: str
    steps: int
    wrong_step: int | None = None
    yours: float = 0.0
    expected: float = 0.0

    def __bool__(self) -> bool:
        return self.wrong_step is None

    def __str__(self) -> str:
        if self:
            return f"PASS  {self.optimizer}: {self.steps} steps agree with its formula"
        first = " already" if self.wrong_step == 1 else ", while those before it agree"
        return (
            f"FAIL  {self.optimizer}: step {self.wrong_step}{first}, goes to {self.yours:.9g}; its "
            f"formula goes to {self.expected:.9g}"
        )


def check_optimizer(
    optimizer: Optimizer, reference: Reference | None = None, *, steps: int = 20, seed: int = 0
) -> OptimizerReport:
    """Hold an optimiser's trajectory against an independent one.

    Parameters
    ----------
    optimizer : Optimizer
        A fresh one.
    reference : function ``(w, gradients, config) -> yields w after each step``, optional
        On plain numbers; by default the one of the optimiser's name.
    steps, seed : int

    Raises
    ------
    ValueError
        If there is no reference of this name.

    Examples
    --------
    >>> from minienc.training.optimizers import Adam
    >>> bool(check_optimizer(Adam()))
    True
    """
    name = type(optimizer).__name__
    reference = reference or REFERENCES.get(name)
    if reference is None:
        raise ValueError(
            f"check_optimizer: there is no reference for {name}, give one: a function (w, "
            f"gradients, config) that yields w after each step"
        )
    rng = np.random.default_rng(seed)
    named = [("w", Parameter("w", rng.standard_normal(5)))]
    parameters, grads = Parameters(named), Gradients(named)
    gs = rng.standard_normal((steps, 5)) * 10.0 ** rng.integers(-3, 3, 5)
    config = optimizer.get_config()
    expected = [
        list(reference(float(w), g.tolist(), config))
        for w, g in zip(parameters.vector, gs.T, strict=True)
    ]
    for t in range(steps):
        grads.vector[:] = gs[t]
        optimizer.step(parameters, grads)
        for i, w in enumerate(parameters.vector):
            if not math.isclose(w, expected[i][t], rel_tol=1e-10, abs_tol=1e-12):
                return OptimizerReport(name, steps, t + 1, float(w), expected[i][t])
    return OptimizerReport(name, steps)
