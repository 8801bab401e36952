"""Noise of a step that is recorded once and run again: what stands where a generator stands.

A record cannot draw: Python does not run. So while a step is recorded, somebody else is given the
place of its generator, who says what each draw is to be, and knows which draws there were.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Drawn = Any  # what stands for an array of the device
Size = Any  # of NumPy's draws: a whole number or several, or None
Kind = Any  # a dtype


class Draws(np.random.Generator):
    """A generator that asks ``draw`` in the place of drawing.

    It has what ``functions.noise`` draws with. Anything else is refused, for a number that Python
    looks at would be the same in every replay.
    """

    def __init__(self, noise: np.random.Generator | None = None) -> None:
        super().__init__(np.random.PCG64(0) if noise is None else noise.bit_generator)

    def draw(self, method: str, shape: tuple[int, ...], dtype: Kind) -> Drawn:
        """What ``generator.method(shape, dtype)`` is to be."""
        raise NotImplementedError

    def random(
        self,
        size: Size = None,
        dtype: Kind = "float64",
        out: Drawn = None,
    ) -> Drawn:
        return self._draw("random", size, dtype, out)

    def standard_normal(
        self,
        size: Size = None,
        dtype: Kind = "float64",
        out: Drawn = None,
    ) -> Drawn:
        return self._draw("standard_normal", size, dtype, out)

    def _draw(self, method: str, size: Size, dtype: Kind, out: Drawn) -> Drawn:
        if size is None or out is not None:
            raise NotImplementedError(f"rng.{method} was not asked for a new array")
        shape = (size,) if isinstance(size, int) else tuple(size)
        return self.draw(method, shape, dtype)


def _refusal(name: str) -> Callable:
    def method(self: Draws, *args: object, **kwargs: object) -> Drawn:
        raise NotImplementedError(f"rng.{name} cannot be drawn again by a recorded step")

    return method


for _name in dir(np.random.Generator):
    if not _name.startswith("_") and _name not in ("random", "standard_normal", "bit_generator"):
        setattr(Draws, _name, _refusal(_name))
