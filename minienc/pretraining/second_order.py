"""Losses on a gradient with respect to the input, and their gradients: of second order, by hand.

Layers are y_l = f(z_l) with z_l = A_l y_{l-1} + b_l, where A is linear in what it is given and in
the weights: dense layers, convolutions, and those that only move numbers. For L of them, and a
cotangent g of the last one's output,

    up       y_1, ..., y_L                        and the slopes s_l = f'(z_l), which y_l tells
    down     u_l = g_l s_l,  g_{l-1} = A_l' u_l   until r = g_0, the gradient of sum(g y_L) at x

A loss P on r is one computation of 2 L steps, and its gradient goes back through all of them.
First against the way down, with t_0 = dP/dr. What A' does is told by <t, A' u> = <A t, u>: linear
in u, with A t for a slope; and in the weights what <A t, u> is. So t goes up, as x did:

    du_l = A_l t_{l-1}        the layer itself, without its bias and activation
    dW_l = that of A_l        its backward, of the gradient u_l, as if t_{l-1} had been its input
    ds_l = du_l g_l,          t_l = dg_l = du_l s_l

Then through s_l into y_l, and against the way up, as in any network. For relu and leaky_relu,
whose slope does not change, that part is 0.

    critic        P = s / N sum_n (|r_n| - 1)^2       g = 1, so r is the slope of the critic
    contraction   P = s / N sum_n sum_v |r_nv|^2      g = v runs over directions of the code

Sources: Pearlmutter 1994, "Fast exact multiplication by the Hessian" (a way up for tangents, then
back); Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville 2017, "Improved training of Wasserstein
GANs", eq. 3; Rifai, Vincent, Muller, Glorot and Bengio 2011, "Contractive auto-encoders", eq. 5.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from minienc.arrays import Array, Scalar, get_array_module
from minienc.functions.slopes import (
    SLOPES,
    activation_slope_backward,
    activation_slope_forward,
)
from minienc.layers import (
    Activation,
    AveragePooling2D,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DenseTranspose,
    Reshape,
    UpSampling2D,
)
from minienc.layers.base import Layer
from minienc.layers.parameters import Gradients
from minienc.models import Model
from minienc.shapes import kind_of

# f(A x + b), or A x alone
AFFINE = (
    Dense,
    DenseTranspose,
    Conv2D,
    Conv2DTranspose,
    AveragePooling2D,
    UpSampling2D,
    Reshape,
    Activation,
)


class InputGradient:
    """r = the gradient of sum(g y) with respect to x, for y = layers(x).

    Parameters
    ----------
    layers : list of Layer, one behind the other
        As ``affine_layers`` finds them.
    x : array (N, ...)

    Attributes
    ----------
    y : array (N, ...), of the last layer
    """

    def __init__(self, layers: list[Any], x: Array) -> None:
        self.layers, self.y = layers, x
        self.up: list[Any] = []
        self.down: list[Any] = []
        for layer in layers:
            self.y, cache = layer.forward(self.y)
            s, slope_cache = activation_slope_forward(self.y, activation_of(layer))
            self.up.append((cache, s, slope_cache))

    def forward(self, g: Array) -> Array:
        """r, of x's shape, for the cotangent g of y."""
        self.down = []
        for layer, (cache, _, _) in zip(reversed(self.layers), reversed(self.up), strict=True):
            self.down.insert(0, g)
            g = layer.backward(g, cache, None)  # A' (g s)
        return g

    def backward(self, dr: Array, gradients: Gradients) -> Array:
        """dg; the gradients of W_l and b_l are added to ``gradients``."""
        dslopes, t = [], dr
        for layer, g, (_, s, _) in zip(self.layers, self.down, self.up, strict=True):
            A = linear_part(layer)  # against the way down
            du, cache = A.forward(t)
            A.backward(g * s, cache, gradients, need_dx=False)
            dslopes.append(du * g)
            t = du * s
        dy: Any = 0
        for k in reversed(range(len(self.layers))):  # against the way up
            cache, _, slope_cache = self.up[k]
            dy = dy + activation_slope_backward(dslopes[k], slope_cache)
            dy = self.layers[k].backward(dy, cache, gradients, need_dx=k > 0)
        return t


def activation_of(layer: Layer) -> str:
    """The activation's name; "linear" where there is none."""
    return getattr(layer, "activation", None) or "linear"


def linear_part(layer: Layer) -> Layer:
    """A: the same layer, holding the same weights, without its bias and activation."""
    twin: Any = copy.copy(layer)
    twin.b = twin.activation = None
    return twin


class GradientPenaltyCache(NamedTuple):
    slope: InputGradient
    r: Array  # (N, ...)  dC/dx
    norm: Array  # (N,)  |r|
    strength: float


def gradient_penalty_forward(
    critic: Model, x: Array, strength: float = 10.0
) -> tuple[Any, GradientPenaltyCache]:
    """strength / N sum_n (|dC(x_n) / dx_n| - 1)^2, a number.

    Parameters
    ----------
    critic : Model
        Layers of ``AFFINE``, one behind the other, the last Dense, of one unit, no activation.
    x : array (N, ...)
    strength : float
    """
    layers: list[Any] = affine_layers(critic)
    last = layers[-1]
    if not isinstance(last, Dense) or last.units != 1 or activation_of(last) != "linear":
        raise ValueError(
            f"gradient_penalty: the last layer, {last.label}, must be Dense, linear, of one unit"
        )
    slope = InputGradient(layers, x)
    xp = get_array_module(x)
    r = slope.forward(xp.ones_like(slope.y))
    flat = r.reshape((len(x), -1))
    norm = xp.sqrt((flat * flat).sum(axis=1) + 1e-12)  # |r|, with a slope at 0
    penalty = strength * ((norm - 1) * (norm - 1)).mean()
    return penalty, GradientPenaltyCache(slope, r, norm, strength)


def gradient_penalty_backward(
    dpenalty: Scalar, cache: GradientPenaltyCache, grads: Gradients
) -> None:
    """Add the gradient by the critic's parameters to ``grads``."""
    slope, r, norm, strength = cache
    each = (2 * strength * dpenalty / len(norm)) * ((norm - 1) / norm)
    slope.backward((each[:, None] * r.reshape((len(norm), -1))).reshape(r.shape), grads)


class ContractionCache(NamedTuple):
    jacobian: InputGradient
    r: Array  # (N P, ...)  v J
    factor: float  # strength / N


def contraction_forward(
    encoder: Model, x: Array, V: Array, strength: float = 1.0
) -> tuple[Any, ContractionCache]:
    """strength / N sum_n sum_v |v J(x_n)|^2, for the rows v of V (P, K), J = dy / dx (K, D).

    With the K unit vectors for V it is strength times the mean of |J|^2, all of its numbers
    squared; with P vectors whose numbers have mean 0, variance 1 / P and nothing to do with each
    other, it is that on average (Hutchinson 1990).
    """
    layers = affine_layers(encoder)
    xp = get_array_module(x)
    n, p = len(x), len(V)
    jacobian = InputGradient(layers, xp.repeat(x, p, axis=0))
    r = jacobian.forward(xp.concatenate([V] * n, axis=0))
    return strength / n * (r * r).sum(), ContractionCache(jacobian, r, strength / n)


def contraction_backward(dcontraction: Scalar, cache: ContractionCache, grads: Gradients) -> None:
    """Add the gradient by the encoder's parameters to ``grads``."""
    jacobian, r, factor = cache
    jacobian.backward((2 * factor * dcontraction) * r, grads)


def affine_layers(model: Model) -> list[Layer]:
    """The layers of a model that this can be computed for."""
    steps = model.graph.steps
    if any(step.inputs != (k,) or step.outputs != (k + 1,) for k, step in enumerate(steps)):
        raise ValueError("gradient of second order: expected layers one behind the other")
    for layer in (step.layer for step in steps):
        if not isinstance(layer, AFFINE) or activation_of(layer) not in SLOPES:
            told = f" with {activation_of(layer)}" if isinstance(layer, AFFINE) else ""
            raise ValueError(
                f"gradient of second order: {layer.label} is {kind_of(layer)}{told}, "
                f"expected {', '.join(kind.__name__ for kind in AFFINE)}, with one of "
                f"{', '.join(SLOPES)}"
            )
    return [step.layer for step in steps]
