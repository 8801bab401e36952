"""An objective in three parts, so that a plan can hold the one in the middle.

    arrays = objective.prepare(batch, rng)          NumPy's: what is drawn, what the batch becomes
    losses, cache = objective.compute(arrays, rng)  primitives and graphs of layers, nothing else
    numbers = objective.numbers(losses, cache)      NumPy's again: what is read from the result

Forward is these three, one after the other; backward, too, calls primitives and graphs alone. So
what ``compute`` and ``backward`` do is calls of the kernel, which ``training/planned.py`` notes and
makes again as one. Arrays that are the same at each step (a target of ones) are ``prepare``'s as
well: what NumPy makes in ``compute`` is not made again, and its memory may have been another's.
Beside that a method's file stays what it is: its formulas, forward and backward side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc.arrays import Array, Cache, Scalar
from minienc.layers.graph import Graph
from minienc.training.step import Objective


class ComputedObjective(Objective):
    """See the module's docstring.

    Attributes
    ----------
    graphs : sequence of Graph
        Those that ``compute`` and ``backward`` run.
    settings : tuple of str
        Attributes by which they go.
    apart : str or None
        Why, as it is set, they do more than that; None: they do not.
    """

    settings: tuple[str, ...] = ()
    apart: str | None = None

    @property
    def graphs(self) -> Sequence[Graph]:
        raise NotImplementedError

    def prepare(self, batch: tuple, rng: np.random.Generator) -> tuple[Array, ...]:
        """The arrays that ``compute`` reads."""
        return batch

    def compute(self, arrays: tuple, rng: np.random.Generator) -> tuple[tuple[Scalar, ...], Cache]:
        """(losses, cache): what primitives returned as numbers, in their order; and the cache,
        which holds every array that ``numbers`` and ``updates`` read."""
        raise NotImplementedError

    def numbers(self, losses: tuple[Scalar, ...], cache: Cache) -> tuple[Scalar, ...]:
        """The objective's numbers."""
        return losses

    def forward(self, batch: tuple, rng: np.random.Generator) -> tuple[tuple[Scalar, ...], Cache]:
        losses, cache = self.compute(self.prepare(batch, rng), rng)
        return self.numbers(losses, cache), cache


class Remembered:
    """An array that is kept beside the parameters, and written as their state is: a copy, for what
    a step has made is the step's."""

    def __init__(self, arrays: dict[str, Array], name: str) -> None:
        self.arrays, self.name = arrays, name

    @property
    def value(self) -> Array:
        return self.arrays[self.name]

    @value.setter
    def value(self, value: Array) -> None:
        self.arrays[self.name] = value.copy()
