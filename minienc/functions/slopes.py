"""The slope of an activation, as something to be differentiated again.

For y = f(z), what comes back from above, g = dL/dy, goes on below as g s with s = f'(z). A loss on
a gradient (the penalty of an adversarial critic, a contractive autoencoder's) has a gradient of
second order, through s: this pair. ``pretraining.second_order`` has the whole way.
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.activations import CACHE_OF_OUTPUT, get_activation
from minienc.primitive import primitive
from minienc.shapes import check_shapes

SLOPES = tuple(CACHE_OF_OUTPUT)  # the activations whose slope can be had from y = f(x)


class ActivationSlopeCache(NamedTuple):
    y: Array  # (...)
    activation: str


@primitive
def activation_slope_forward(y, activation):
    """s = f'(x), from y = f(x): what an activation's backward makes of dy = 1.

    With a small step of y it changes by ds/dy:

    linear, relu, leaky_relu    0    (but at the kink)      sigmoid     1 - 2 y
    elu                         1 where y < 0, else 0       tanh        -2 y
                                                            softplus    exp(-y)

    Examples
    --------
    >>> s, cache = activation_slope_forward(np.array([0.5]), "sigmoid")
    >>> s
    array([0.25])
    """
    check_shapes("activation_slope_forward", "y: ...", y)
    if activation not in SLOPES:
        raise ValueError(
            f"activation_slope_forward: activation is {activation!r}, expected one of "
            f"{', '.join(SLOPES)}"
        )
    ones = get_array_module(y).ones_like(y)
    f_backward = get_activation(activation).backward
    s = f_backward.definition(ones, CACHE_OF_OUTPUT[activation](y))  # (1)
    return s, ActivationSlopeCache(y, activation)


@primitive
def activation_slope_backward(ds, cache: ActivationSlopeCache):
    """dy = ds s'(y), with s' from the table above."""
    y, activation = cache
    check_shapes("activation_slope_backward", "y: ..., ds: ...", y, ds)
    xp = get_array_module(ds)
    if activation == "elu":
        dy = xp.where(y > 0, 0, ds)  # (1) was s = 1 or y + 1
    elif activation == "sigmoid":
        dy = ds * (1 - 2 * y)  # (1) was s = y (1 - y)
    elif activation == "tanh":
        dy = -2 * ds * y  # (1) was s = 1 - y^2
    elif activation == "softplus":
        dy = ds * xp.exp(-y)  # (1) was s = 1 - exp(-y)
    else:
        dy = xp.zeros_like(ds)  # (1) was a number on either side of the kink
    return dy
