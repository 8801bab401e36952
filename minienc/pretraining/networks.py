"""What methods build their networks of: stacks of dense layers, and images of a known shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minienc.layers import Dense, SymbolicTensor
from minienc.shapes import is_whole


def as_widths(owner: str, hidden: Any) -> list[int]:
    """The widths of an encoder's layers; one number is one layer."""
    widths = [hidden] if is_whole(hidden) else list(hidden)
    if not widths or not all(is_whole(w, 1) for w in widths):
        raise ValueError(
            f"{owner}: hidden is {hidden!r}, expected widths of at least one layer, such as "
            f"(512, 128, 30)"
        )
    return [int(w) for w in widths]


def dense_stack(
    tensor: SymbolicTensor, widths: Sequence[int], activation: str, name: str
) -> SymbolicTensor:
    """The tensor behind dense layers of these widths: "name_1", "name_2", ..."""
    for i, units in enumerate(widths, 1):
        tensor = Dense(units, activation=activation, name=f"{name}_{i}")(tensor)
    return tensor


def mirrored_stack(
    tensor: SymbolicTensor, widths: Sequence[int], activation: str, name: str
) -> SymbolicTensor:
    """The tensor behind the same layers, the last first: ..., "name_2", "name_1"."""
    for i, units in reversed(list(enumerate(widths, 1))):
        tensor = Dense(units, activation=activation, name=f"{name}_{i}")(tensor)
    return tensor


def as_image_shape(image_shape: Sequence[int] | None, n_features: int) -> tuple[int, int, int]:
    """(H, W, C) of samples with so many numbers; None stands for a square grey image."""
    if image_shape is None:
        side = math.isqrt(n_features)
        shape: tuple[int, ...] = (side, side, 1)
    else:
        shape = tuple(int(n) for n in image_shape) + ((1,) if len(image_shape) == 2 else ())
    if len(shape) != 3 or math.prod(shape) != n_features:
        given = "no image_shape" if image_shape is None else f"image_shape {tuple(image_shape)}"
        raise ValueError(
            f"samples of {n_features} numbers with {given}: expected (H, W) or (H, W, C) of as "
            f"many numbers"
        )
    return shape  # type: ignore[return-value]


def as_halving_shape(
    owner: str, image_shape: Sequence[int] | None, n_features: int, times: int
) -> tuple[int, int, int]:
    """(H, W, C) of samples with so many numbers, where H and W can be halved so many times."""
    height, width, channels = as_image_shape(image_shape, n_features)
    if height % 2**times or width % 2**times:
        raise ValueError(
            f"{owner}: {times} convolutions halve an image {times} times, and {height} x {width} "
            f"cannot be; give fewer filters"
        )
    return height, width, channels
