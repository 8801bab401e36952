"""Moving numbers without changing them: addition of paths, concatenation, reshaping.

Their gradients only say where each number went. With several inputs, backward returns a tuple. A
ValueError tells of shapes that do not fit, a TypeError of dtypes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from minienc.arrays import get_array_module
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes

# -------------------------------------------------------------------------------------------- add


class AddCache(NamedTuple):
    n: int
    y: Form  # (...)


@primitive
def add_forward(*xs):
    """y = x_1 + x_2 + ...: all of one shape (...).

    Examples
    --------
    >>> y, cache = add_forward(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    >>> y, add_backward(np.ones(2), cache)
    (array([4., 6.]), (array([1., 1.]), array([1., 1.])))
    """
    _check_some("add_forward", xs)
    check_shapes("add_forward", ", ".join(f"xs[{i}]: ..." for i in range(len(xs))), *xs)
    y = xs[0].copy()
    for x in xs[1:]:
        y = y + x  # (1)
    return y, AddCache(len(xs), Form(y.shape, y.dtype))


@primitive
def add_backward(dy, cache: AddCache):
    """dx_i = dy for every i, each an array of its own."""
    check_shapes("add_backward", "y: ..., dy: ...", cache.y, dy)
    dxs = tuple(dy.copy() for _ in range(cache.n))  # (1) was y = y + x
    return dxs


# ----------------------------------------------------------------------------------- weighted sum


class WeightedSumCache(NamedTuple):
    weights: tuple[float, ...]


@primitive
def weighted_sum_forward(*xs, weights):
    """y = w_1 x_1 + w_2 x_2 + ...: several losses become one. All are of one shape (...).

    ``weights`` are plain numbers, one for each x; an x may be one, too.

    Examples
    --------
    >>> y, cache = weighted_sum_forward(1.0, 2.0, weights=(1.0, 0.5))
    >>> float(y)
    2.0
    """
    _check_some("weighted_sum_forward", xs)
    spec = ", ".join(f"xs[{i}]: ... number" for i in range(len(xs)))
    check_shapes("weighted_sum_forward", spec, *xs)
    y = weights[0] * xs[0]
    for w, x in zip(weights[1:], xs[1:], strict=True):
        y = y + w * x  # (1)
    return y, WeightedSumCache(tuple(weights))


@primitive
def weighted_sum_backward(dy, cache: WeightedSumCache):
    """dx_i = w_i dy."""
    dxs = tuple(w * dy for w in cache.weights)  # (1) was y = y + w x
    return dxs


# ------------------------------------------------------------------------------------ concatenate


class ConcatenateCache(NamedTuple):
    sizes: tuple[int, ...]  # of each x along the axis
    axis: int
    y: Form


@primitive
def concatenate_forward(*xs, axis=-1):
    """y = the arrays one behind the other along ``axis``; their other axes are the same.

    Examples
    --------
    >>> y, cache = concatenate_forward(np.ones((1, 2)), np.zeros((1, 1)))
    >>> y
    array([[1., 1., 0.]])
    >>> dx, dz = concatenate_backward(np.array([[1.0, 2.0, 3.0]]), cache)
    >>> dz
    array([[3.]])
    """
    _check_some("concatenate_forward", xs)
    _check_other_axes(xs, axis)
    xp = get_array_module(*xs)
    y = xp.concatenate(xs, axis=axis)  # (1)
    return y, ConcatenateCache(tuple(x.shape[axis] for x in xs), axis, Form(y.shape, y.dtype))


@primitive
def concatenate_backward(dy, cache: ConcatenateCache):
    """dx_i = the part of dy that x_i became."""
    check_shapes("concatenate_backward", "y: ..., dy: ...", cache.y, dy)
    dxs, start = [], 0
    for size in cache.sizes:
        part = [slice(None)] * dy.ndim
        part[cache.axis] = slice(start, start + size)
        dxs.append(dy[tuple(part)].copy())  # (1) was y = concatenate(xs)
        start += size
    return tuple(dxs)


def _check_some(function, xs):
    if not xs:
        raise ValueError(f"{function}: no arrays came, expected one or more")


def _check_other_axes(xs, axis):
    """All shapes are the first's but along ``axis``, which every shape has."""
    first = xs[0]
    for i, x in enumerate(xs):
        check_shapes("concatenate_forward", f"xs[{i}]: ...", x)
        if not -x.ndim <= axis < x.ndim:
            raise ValueError(
                f"concatenate_forward: axis is {axis}, but xs[{i}] is {tuple(x.shape)}, which has "
                f"{x.ndim} axes"
            )
        if _without(axis, x.shape) != _without(axis, first.shape):
            raise ValueError(
                f"concatenate_forward: xs[{i}] is {tuple(x.shape)}, expected the shape of xs[0], "
                f"{tuple(first.shape)}, but along axis {axis}"
            )
        if x.dtype != first.dtype:
            raise TypeError(
                f"concatenate_forward: xs[{i}] is {x.dtype} but xs[0] is {first.dtype}; nothing "
                f"is silently upcast, so convert one of them with .astype"
            )


def _without(axis, shape):
    axis = axis % len(shape)
    return tuple(shape[:axis]), tuple(shape[axis + 1 :])


# ---------------------------------------------------------------------------------------- reshape


class ReshapeCache(NamedTuple):
    shape: tuple[int, ...]  # of x
    y: Form


@primitive
def reshape_forward(x, shape):
    """y (N, *shape) = the numbers of each sample of x (N, ...) in another shape, rows first.

    Examples
    --------
    >>> y, cache = reshape_forward(np.zeros((5, 8, 8)), (64,))
    >>> y.shape
    (5, 64)
    """
    check_shapes("reshape_forward", "x: ...", x)
    if x.ndim == 0 or math.prod(x.shape[1:]) != math.prod(shape):
        raise ValueError(
            f"reshape_forward: x is {tuple(x.shape)}, expected (N, ...) with {math.prod(shape)} "
            f"numbers in each sample because shape is {tuple(shape)}"
        )
    y = x.reshape((x.shape[0], *shape)).copy()  # (1)
    return y, ReshapeCache(tuple(x.shape), Form(y.shape, y.dtype))


@primitive
def reshape_backward(dy, cache: ReshapeCache):
    """dx = dy in x's shape."""
    check_shapes("reshape_backward", "y: ..., dy: ...", cache.y, dy)
    dx = dy.reshape(cache.shape).copy()  # (1) was y = x.reshape
    return dx
