"""Noise of a step that is recorded once and run again and again: what stands where a generator stands.

A record cannot draw: Python does not run. So while a step is recorded, somebody else is given the
place of its generator, who says what each draw is to be, and knows which draws there were.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Draws(np.random.Generator):
    """A generator that asks ``draw`` in the place of drawing.

    It has what ``functions.noise`` draws with. Anything else is refused, for a number that Python
    looks at would be the same in every replay.
    """

    def __init__(self, noise: np.random.Generator | None = None) -> None:
        super().__init__(np.random.PCG64(0) if noise is None else noise.bit_generator)

    def draw(self, method: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """What ``generator.method(shape, dtype)`` is to be."""
        raise NotImplementedError

    def random(self, size: Any = None, dtype: Any = "float64", out: Any = None) -> Any:
        return self._draw("random", size, dtype, out)

    def standard_normal(self, size: Any = None, dtype: Any = "float64", out: Any = None) -> Any:
        return self._draw("standard_normal", size, dtype, out)

    def _draw(self, method: str, size: Any, dtype: Any, out: Any) -> Any:
        if size is None or out is not None:
            raise NotImplementedError(f"rng.{method} was not asked for a new array")
        shape = (size,) if isinstance(size, int) else tuple(size)
        return self.draw(method, shape, dtype)


def _refusal(name: str) -> Any:
    def method(self: Draws, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"rng.{name} cannot be drawn again by a recorded step")

    return method


for _name in dir(np.random.Generator):
    if not _name.startswith("_") and _name not in ("random", "standard_normal", "bit_generator"):
        setattr(Draws, _name, _refusal(_name))
