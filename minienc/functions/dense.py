"""The dense layer, y = f(x W + b): the equation that the whole library turns on."""

from __future__ import annotations

import math
from typing import NamedTuple

from minienc.arrays import Array
from minienc.functions.activations import get_activation
from minienc.primitive import primitive
from minienc.shapes import check_shapes


class DenseCache(NamedTuple):
    x: Array  # (..., D)
    W: Array  # (D, M)
    has_bias: bool
    activation: str
    f: NamedTuple  # the activation's own cache: y (..., M) for most, x W + b for gelu


@primitive
def dense_forward(x, W, b=None, activation="identity"):
    """y = f(x W + b): every row of x becomes M weighted sums of its D numbers, passed through f.

    Parameters
    ----------
    x : array (..., D)
        Rows of numbers; all leading axes are samples.
    W : array (D, M)
    b : array (M,) or None
    activation : str
        A name of ``activations.ACTIVATIONS``.

    Returns
    -------
    y : array (..., M), of x's dtype
    cache : DenseCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit, or an unknown activation.

    Notes
    -----
    Source: Rumelhart, Hinton and Williams 1986, "Learning representations by back-propagating
    errors", eq. 1 and 2.

    Examples
    --------
    >>> x, W, b = np.array([[1.0, 2.0]]), np.array([[1.0], [3.0]]), np.array([0.5])
    >>> y, cache = dense_forward(x, W, b)
    >>> y
    array([[7.5]])
    >>> dx, dW, db = dense_backward(np.ones((1, 1)), cache)
    >>> dx, dW, db
    (array([[1., 3.]]), array([[1.],
           [2.]]), array([1.]))
    """
    check_shapes("dense_forward", "x: ... D, W: D M, b: M", x, W, b)
    f_forward = get_activation(activation)
    z = x @ W if b is None else x @ W + b  # (1)
    y, f = f_forward(z)  # (2)
    return y, DenseCache(x, W, b is not None, activation, f)


@primitive
def dense_backward(dy, cache: DenseCache):
    """The gradients of the dense layer: dz = f'(z) dy, then dx = dz W', dW = x' dz, db = sum dz.

    Write (1) for one sample n as z_nm = sum_d x_nd W_dm + b_m, and apply the chain rule:

        dx_nd = sum_m dz_nm dz_nm/dx_nd = sum_m dz_nm W_dm      that is   dx = dz W'
        dW_dm = sum_n dz_nm dz_nm/dW_dm = sum_n x_nd dz_nm      that is   dW = x' dz
        db_m  = sum_n dz_nm                                     every sample uses the same b

    Parameters
    ----------
    dy : array (..., M)
    cache : DenseCache

    Returns
    -------
    dx (..., D), dW (D, M), db (M,)
        db is None where there was no b.
    """
    x, W, has_bias, activation, f = cache
    dz = get_activation(activation).backward(dy, f)  # (2) was y = f(z)
    dx = dz @ W.T  # (1) was z = x W + b
    x, dz = as_rows(x), as_rows(dz)
    dW = x.T @ dz  # (1)
    db = dz.sum(axis=0) if has_bias else None  # (1)
    return dx, dW, db


def as_rows(a):
    """(..., M) as (N, M): the sum over samples runs over all leading axes."""
    return a if a.ndim == 2 else a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
