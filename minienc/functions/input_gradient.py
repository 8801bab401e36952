"""A gradient with respect to the input, as something to be differentiated again.

For y = f(x W + b), what comes back from above, g = dL/dy, leaves below as dL/dx = (g s) W', where
s = f'(x W + b). A loss on dL/dx (the gradient penalty of an adversarial critic) has a gradient of
second order with respect to W: through (g s) W' itself, and through s. Both are pairs here.
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.primitive import accumulate, primitive
from minienc.shapes import check_shapes

# ---------------------------------------------------------------------- the slope of an activation


class ActivationSlopeCache(NamedTuple):
    y: Array  # (...)
    activation: str
    negative_slope: float


# s = f'(x) and ds/dy, from y = f(x) alone; relu and leaky_relu have none but at the kink
SLOPES = ("linear", "relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus")


@primitive
def activation_slope_forward(y, activation, negative_slope=0.2):
    """s = f'(x), from y = f(x): the slope that an activation's backward multiplies by.

    linear      1                       sigmoid     y (1 - y)
    relu        1 or 0                  tanh        1 - y^2
    leaky_relu  1 or negative_slope     softplus    1 - exp(-y)
    elu         1 or y + 1
    """
    check_shapes("activation_slope_forward", "y: ...", y)
    if activation not in SLOPES:
        raise ValueError(
            f"activation_slope_forward: activation is {activation!r}, expected one of "
            f"{', '.join(SLOPES)}"
        )
    xp = get_array_module(y)
    one = xp.ones_like(y)
    if activation == "linear":
        s = one
    elif activation in ("relu", "leaky_relu"):
        s = xp.where(y > 0, one, one * (negative_slope if activation == "leaky_relu" else 0))
    elif activation == "elu":
        s = xp.where(y > 0, one, y + 1)
    elif activation == "sigmoid":
        s = y * (1 - y)
    elif activation == "tanh":
        s = 1 - y * y
    else:
        s = -xp.expm1(-y)
    return s, ActivationSlopeCache(y, activation, negative_slope)


@primitive
def activation_slope_backward(ds, cache: ActivationSlopeCache):
    """dy = ds s'(y): 0 for the piecewise linear ones, 1 for elu's curve, 1 - 2 y for the sigmoid,
    -2 y for tanh, exp(-y) for softplus."""
    y, activation, _ = cache
    check_shapes("activation_slope_backward", "y: ..., ds: ...", y, ds)
    xp = get_array_module(ds)
    if activation == "elu":
        return xp.where(y > 0, 0, ds)
    if activation == "sigmoid":
        return ds * (1 - 2 * y)
    if activation == "tanh":
        return -2 * ds * y
    if activation == "softplus":
        return ds * xp.exp(-y)
    return xp.zeros_like(ds)


# ---------------------------------------------------------------------------- back through a layer


class DenseInputGradientCache(NamedTuple):
    g: Array  # (N, M)
    s: Array  # (N, M)
    W: Array  # (D, M)
    u: Array  # (N, M)  g s


@primitive
def dense_input_gradient_forward(g, s, W):
    """r = (g s) W': the gradient g (N, M) of a dense layer's output, taken to its input (N, D).

    s (N, M) is the slope of its activation, W (D, M) its weights.
    """
    check_shapes("dense_input_gradient_forward", "g: N M, s: N M, W: D M", g, s, W)
    u = g * s  # (1)
    r = u @ W.T  # (2)
    return r, DenseInputGradientCache(g, s, W, u)


@primitive
def dense_input_gradient_backward(dr, cache: DenseInputGradientCache, add_to=None):
    """du = dr W,  dg = du s,  ds = du g,  dW = dr' u.

    r_nd = sum_m u_nm W_dm, so dW_dm = sum_n dr_nd u_nm. ``add_to`` is (array,) that dW is added to.
    """
    g, s, W, u = cache
    check_shapes("dense_input_gradient_backward", "u: N M, W: D M, dr: N D", u, W, dr)
    du = dr @ W  # (2)
    dW = dr.T @ u
    return du * s, du * g, *accumulate(add_to, dW)  # (1)
