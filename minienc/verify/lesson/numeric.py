"""The gradient by differences: slow, simple, and independent of every backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minienc.arrays import Scalar, to_device_of, to_numpy


def numerical_gradient(
    f: Callable[[np.ndarray], Any], x: np.ndarray, dy: Scalar = 1.0
) -> np.ndarray:
    """The gradient of sum(dy * f(x)) by central differences, element by element.

        dx_i = [ F(x + h e_i) - F(x - h e_i) ] / 2h     with F(x) = sum(dy * f(x))

    The Taylor series of F leaves an error of h^2/6 F''' from cutting it off, and rounding one of
    about eps |F| / h; together they are smallest for h near the cube root of eps, which leaves some
    ten correct digits in float64.

    Parameters
    ----------
    f : function of one array that returns an array, a number, or a tuple of them
    x : array of float64
        It is not written to: f is given copies, where x lives.
    dy : array, number, or tuple of them
        The cotangent: shaped like f's result. Draw it at random; with all ones, a wrong gradient
        of anything that sums to a constant (softmax, normalisation) cannot be seen.

    Returns
    -------
    array, of x's shape, where x lives

    Raises
    ------
    TypeError
        If x is not float64: in float32 differences have three correct digits at best.

    Examples
    --------
    >>> np.round(numerical_gradient(lambda x: (x**2).sum(), np.array([1.0, 3.0])), 6)
    array([2., 6.])
    """
    if x.dtype != np.float64:
        raise TypeError(f"numerical_gradient: x is {x.dtype}, expected float64")
    point = to_numpy(x)
    dx = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        h = np.cbrt(np.finfo(float).eps) * max(1.0, abs(point[i]))
        above, below = point.copy(), point.copy()
        above[i] += h
        below[i] -= h
        width = above[i] - below[i]  # what x + h and x - h really differ by, after rounding
        dx[i] = (
            _inner(dy, f(to_device_of(above, x))) - _inner(dy, f(to_device_of(below, x)))
        ) / width
    return to_device_of(dx, x)


def _inner(dy: Scalar, y: Scalar) -> float:
    """sum(dy * y), over all parts of a tuple."""
    if isinstance(y, tuple):
        return sum(_inner(d, part) for d, part in zip(dy, y, strict=True))
    return float(np.sum(to_numpy(dy) * to_numpy(y)))
