"""Windows that slide over images: where they stand, and what one position of each of them sees.

Images are (N, H, W, C), channels last. A window is KH x KW pixels and takes steps of SH and SW; the
windows of an image stand in OH rows and OW columns. Convolution and pooling differ in what they do
with the pixels of a window, not in where the windows stand, so that is written here, once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.shapes import is_whole

PADDINGS = ("valid", "same")


class Windows(NamedTuple):
    """Where the windows stand."""

    size: tuple[int, int]  # (KH, KW)
    strides: tuple[int, int]  # (SH, SW)
    n: tuple[int, int]  # (OH, OW), how many there are
    margins: tuple[tuple[int, int], tuple[int, int]]  # pixels added above and below, left and right


def pair_of(owner: str, name: str, value: Any) -> tuple[int, int]:
    """(rows, columns) of a positive integer, or of two; ``owner`` is who asks, for the message."""
    numbers = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(numbers) != 2 or not all(is_whole(n, 1) for n in numbers):
        raise ValueError(
            f"{owner}: {name} is {value!r}, expected a positive integer, or two: (rows, columns)"
        )
    return int(numbers[0]), int(numbers[1])


def check_padding(owner: str, padding: Any) -> str:
    """``padding``, if it is one of the two that there are."""
    if padding not in PADDINGS:
        raise ValueError(f"{owner}: padding is {padding!r}, expected 'valid' or 'same'")
    return padding


def place_windows(
    owner: str, image: tuple[int, int], size: Any, strides: Any, padding: Any, what: str
) -> Windows:
    """Say where windows of this size stand on images of (H, W) pixels.

    "valid" takes the windows that lie in the image: (H - KH) // SH + 1 rows of them; pixels at the
    lower and right edge that no window reaches are not seen. "same" takes ceil(H / SH) rows and
    adds the missing pixels around the image, one more below than above where their number is odd,
    as Keras does.

    Parameters
    ----------
    owner : str
        Who asks: the first word of a message.
    image : (H, W)
    size, strides : int or (int, int)
    padding : {"valid", "same"}
    what : str
        What ``size`` is called there: "pool_size", "kernel_size".
    """
    size, strides = pair_of(owner, what, size), pair_of(owner, "strides", strides)
    check_padding(owner, padding)
    n, margins = [], []
    for pixels, k, s in zip(image, size, strides, strict=True):
        n_windows = (pixels - k) // s + 1 if padding == "valid" else -(-pixels // s)
        missing = max((n_windows - 1) * s + k - pixels, 0)
        n.append(n_windows)
        margins.append((missing // 2, missing - missing // 2))
    if n[0] < 1 or n[1] < 1:
        raise ValueError(
            f"{owner}: {what} is {size}, and the images are only {tuple(image)} (rows, columns); "
            f"use a smaller one, or padding='same'"
        )
    return Windows(size, strides, (n[0], n[1]), (margins[0], margins[1]))


def add_margins(x: Array, windows: Windows, value: float = 0.0) -> Array:
    """x (N, H, W, C) with the pixels that the padding adds, all of them ``value``."""
    if windows.margins == ((0, 0), (0, 0)):
        return x
    xp = get_array_module(x)
    return xp.pad(x, ((0, 0), *windows.margins, (0, 0)), constant_values=value)


def cut_margins(x: Array, windows: Windows) -> Array:
    """Without the pixels that ``add_margins`` added: what it undoes, and its gradient."""
    if windows.margins == ((0, 0), (0, 0)):
        return x
    (top, bottom), (left, right) = windows.margins
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right].copy()


def zeros_with_margins(like: Array, shape: tuple[int, ...], windows: Windows) -> Array:
    """Zeros for images of ``shape`` with their margins, of ``like``'s dtype and beside it."""
    (top, bottom), (left, right) = windows.margins
    n, height, width, channels = shape
    xp = get_array_module(like)
    return xp.zeros((n, top + height + bottom, left + width + right, channels), dtype=like.dtype)


def pixel(windows: Windows, i: int, j: int) -> tuple[slice, slice, slice]:
    """The index of pixel (i, j) of every window: ``x[pixel(windows, i, j)]`` is (N, OH, OW, C)."""
    (sh, sw), (oh, ow) = windows.strides, windows.n
    return (
        slice(None),
        slice(i, i + sh * (oh - 1) + 1, sh),
        slice(j, j + sw * (ow - 1) + 1, sw),
    )


def pixels(windows: Windows) -> list[tuple[slice, slice, slice]]:
    """The indices of all KH KW pixels of a window, row by row."""
    kh, kw = windows.size
    return [pixel(windows, i, j) for i in range(kh) for j in range(kw)]


def add_at(total: Array, where: Any, part: Array) -> Array:
    """``total`` with ``part`` added at an index: in place, or a new one where arrays cannot be
    written to (JAX)."""
    if hasattr(total, "at"):
        return total.at[where].add(part)
    total[where] += part
    return total
