"""Moving numbers without changing them: addition of paths, concatenation, reshaping.

Their gradients only say where each number went.
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.primitive import primitive
from minienc.shapes import check_shapes

# -------------------------------------------------------------------------------------------- add


class AddCache(NamedTuple):
    n: int
    shape_of: Array  # (...)  y, kept for its shape and dtype


@primitive
def add_forward(*xs):
    """y = x_1 + x_2 + ...: all of one shape."""
    check_shapes("add_forward", ", ".join(f"xs[{i}]: ..." for i in range(len(xs))), *xs)
    y = xs[0].copy()
    for x in xs[1:]:
        y = y + x  # (1)
    return y, AddCache(len(xs), y)


@primitive
def add_backward(dy, cache: AddCache):
    """dx_i = dy for every i; a tuple."""
    check_shapes("add_backward", "y: ..., dy: ...", cache.shape_of, dy)
    dxs = tuple(dy.copy() for _ in range(cache.n))  # (1) was y = y + x
    return dxs


# ------------------------------------------------------------------------------------ concatenate


class ConcatenateCache(NamedTuple):
    sizes: tuple[int, ...]  # of each x along the axis
    axis: int
    shape_of: Array  # y


@primitive
def concatenate_forward(*xs, axis=-1):
    """y = the arrays one behind the other along ``axis``; their other axes are the same."""
    xp = get_array_module(*xs)
    for i, x in enumerate(xs):
        check_shapes(
            "concatenate_forward", f"xs[0]: ..., xs[{i}]: ...", xs[0], _like(xs[0], x, axis)
        )
    y = xp.concatenate(xs, axis=axis)  # (1)
    return y, ConcatenateCache(tuple(x.shape[axis] for x in xs), axis, y)


@primitive
def concatenate_backward(dy, cache: ConcatenateCache):
    """dx_i = the part of dy that x_i became; a tuple."""
    check_shapes("concatenate_backward", "y: ..., dy: ...", cache.shape_of, dy)
    dxs, start = [], 0
    for size in cache.sizes:
        part = [slice(None)] * dy.ndim
        part[cache.axis] = slice(start, start + size)
        dxs.append(dy[tuple(part)].copy())  # (1) was y = concatenate(xs)
        start += size
    return tuple(dxs)


def _like(first, x, axis):
    """x itself if only its axis' size differs from first's, for the check; else x as it is."""
    if x.ndim != first.ndim:
        return x
    others = [i for i in range(x.ndim) if i != axis % x.ndim]
    return (
        first if all(x.shape[i] == first.shape[i] for i in others) and x.dtype == first.dtype else x
    )


# ---------------------------------------------------------------------------------------- reshape


class ReshapeCache(NamedTuple):
    shape: tuple[int, ...]  # of x
    shape_of: Array  # y


@primitive
def reshape_forward(x, shape):
    """y = the numbers of each sample in another shape; ``shape`` is without the batch axis."""
    check_shapes("reshape_forward", "x: ...", x)
    y = x.reshape((x.shape[0], *shape)).copy()  # (1)
    return y, ReshapeCache(tuple(x.shape), y)


@primitive
def reshape_backward(dy, cache: ReshapeCache):
    """dx = dy in x's shape."""
    check_shapes("reshape_backward", "y: ..., dy: ...", cache.shape_of, dy)
    dx = dy.reshape(cache.shape).copy()  # (1) was y = x.reshape
    return dx
