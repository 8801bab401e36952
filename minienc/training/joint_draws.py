"""What is drawn for a joint batch, and a rank's rows of it: so that noise is that of one process.

    x + rng.standard_normal(x.shape)        x are this rank's rows: so are the numbers

All ranks draw for the whole batch, so their generators stay where that of one process would be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Size = Any  # of a draw: a whole number or several, or None
Drawn = Any  # a number or an array
Kind = Any  # a dtype


class Rows(NamedTuple):
    """Of a joint batch of n rows, those of this rank."""

    start: int
    stop: int
    n: int


class JointDraws(np.random.Generator):
    """A generator that draws for the joint batch and returns a rank's rows of it.

    What has as many rows as the rank's batch is taken to be drawn for its samples. Anything else is
    drawn as it is, the same by every rank; what could have as many by accident is drawn from
    ``of_no_sample(rng)``.
    """

    def __init__(self, rng: np.random.Generator, rows: Rows) -> None:
        super().__init__(rng.bit_generator)
        self.rng, self.rows = rng, rows

    def _cut(self, draw: Callable[[Size], Drawn], size: Size) -> Drawn:
        start, stop, n = self.rows
        shape = (size,) if isinstance(size, (int, np.integer)) else size
        if shape is None or not len(shape) or shape[0] != stop - start:
            return draw(size)
        return draw((n, *shape[1:]))[start:stop]

    def random(self, size: Size = None, dtype: Kind = "float64", out: Drawn = None) -> Drawn:
        return self._cut(lambda size: self.rng.random(size, dtype), size)

    def standard_normal(
        self, size: Size = None, dtype: Kind = "float64", out: Drawn = None
    ) -> Drawn:
        return self._cut(lambda size: self.rng.standard_normal(size, dtype), size)

    def integers(
        self, low: Drawn, high: Drawn = None, size: Size = None, *args: Drawn, **more: Drawn
    ) -> Drawn:
        return self._cut(lambda size: self.rng.integers(low, high, size, *args, **more), size)

    def normal(self, loc: Drawn = 0.0, scale: Drawn = 1.0, size: Size = None) -> Drawn:
        return self._cut(lambda size: self.rng.normal(loc, scale, size), size)

    def uniform(self, low: Drawn = 0.0, high: Drawn = 1.0, size: Size = None) -> Drawn:
        return self._cut(lambda size: self.rng.uniform(low, high, size), size)


def drawn_for(draw: Callable[..., tuple], n: int, rng: np.random.Generator) -> tuple:
    """``draw(n, rng)``, arrays of a row for each of n samples; of a joint batch, drawn for it, and
    this rank's rows."""
    if not isinstance(rng, JointDraws):
        return draw(n, rng)
    start, stop, n = rng.rows
    return tuple([a[start:stop] for a in draw(n, rng.rng)])


def of_no_sample(rng: np.random.Generator) -> np.random.Generator:
    """Where to draw what belongs to no sample of a batch, such as directions that all share."""
    return rng.rng if isinstance(rng, JointDraws) else rng
