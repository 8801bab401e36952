"""The slope of an activation, as something to be differentiated again.

For y = f(z), what comes back from above, g = dL/dy, goes on below as g s with s = f'(z). A loss on
a gradient (the penalty of an adversarial critic, a contractive autoencoder's) has a gradient of
second order, through s: this pair. ``pretraining.second_order`` has the whole way.
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.primitive import primitive
from minienc.shapes import check_shapes


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
