"""How much a dense layer stretches what goes in: the squared Frobenius norm of its Jacobian."""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes


class DenseContractionCache(NamedTuple):
    s: Array  # (N, M)
    W: Array  # (D, M)
    square: Array  # (M,)  sum_d W_dm^2
    F: Form  # (N,)


@primitive
def dense_contraction_forward(s, W):
    """F_n = |J_n|^2 = sum_m s_nm^2 sum_d W_dm^2, for J_n = dy / dx with dy_m / dx_d = s_nm W_dm.

    s (N, M) is the slope of the activation, W (D, M) the weights: no Jacobian is ever made.

    Source: Rifai et al. 2011, "Contractive auto-encoders: explicit invariance during feature
    extraction", section 5.3 (there for the sigmoid).

    Examples
    --------
    >>> s, W = np.full((1, 2), 0.5), np.eye(2)
    >>> penalty, cache = dense_contraction_forward(s, W)
    >>> penalty
    array([0.5])
    """
    check_shapes("dense_contraction_forward", "s: N M, W: D M", s, W)
    square = (W * W).sum(axis=0)  # (1)
    F = (s * s) @ square  # (2)
    return F, DenseContractionCache(s, W, square, Form(F.shape, F.dtype))


@primitive
def dense_contraction_backward(dF, cache: DenseContractionCache):
    """ds_nm = dF_n 2 s_nm |w_m|^2,  dW_dm = 2 W_dm sum_n dF_n s_nm^2."""
    s, W, square, F = cache
    check_shapes("dense_contraction_backward", "F: N, dF: N", F, dF)
    ds = 2 * dF[:, None] * s * square  # (2) was F = s^2 square
    dsquare = dF @ (s * s)  # (2)
    dW = 2 * W * dsquare  # (1) was square = sum W^2
    return ds, dW
