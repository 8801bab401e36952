"""Losses on a gradient with respect to the input, and their gradients: of second order, by hand.

For dense layers y_l = f(y_{l-1} W_l + b_l) and a cotangent g of the last one's output,

    up       y_1, ..., y_L                       and the slopes s_l = f'(.), which y_l tells
    down     g_L = g,  g_{l-1} = (g_l s_l) W_l'  until r = g_0, the gradient of sum(g y_L) at x

A loss on r is one computation of 2 L steps, and its gradient goes back through all of them: first
against the way down, which gives dW_l, ds_l and dg; then through s_l into y_l, and against the way
up, as in any network. For relu and leaky_relu, whose slope does not change, that part is 0.

    critic        P = s / N sum_n (|r_n| - 1)^2       g = 1, so r is the slope of the critic
    contraction   P = s / N sum_n sum_v |r_nv|^2      g = v runs over directions of the code

Sources: Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville 2017, "Improved training of Wasserstein
GANs", eq. 3; Rifai, Vincent, Muller, Glorot and Bengio 2011, "Contractive auto-encoders", eq. 5.
"""

from __future__ import annotations

from typing import Any

from minienc.arrays import Array, get_array_module
from minienc.functions.input_gradient import (
    SLOPES,
    activation_slope_backward,
    activation_slope_forward,
    dense_input_gradient_backward,
    dense_input_gradient_forward,
)
from minienc.layers import Dense
from minienc.layers.base import Gradients
from minienc.models import Model


class InputGradient:
    """r = the gradient of sum(g y) with respect to x, for y = layers(x).

    Parameters
    ----------
    layers : list of Dense, one behind the other
    x : array (N, D)

    Attributes
    ----------
    y : array (N, K), of the last layer
    """

    def __init__(self, layers: list[Any], x: Array) -> None:
        self.layers, self.y = layers, x
        self.up: list[Any] = []
        self.down: list[Any] = []
        for layer in layers:
            self.y, cache = layer.forward(self.y)
            s, slope_cache = activation_slope_forward(self.y, layer.activation or "linear")
            self.up.append((cache, s, slope_cache))

    def forward(self, g: Array) -> Array:
        """r (N, D), for the cotangent g (N, K) of y."""
        self.down = []
        for layer, (_, s, _) in zip(reversed(self.layers), reversed(self.up), strict=True):
            g, cache = dense_input_gradient_forward(g, s, layer.W.value)
            self.down.insert(0, cache)
        return g

    def backward(self, dr: Array, gradients: Gradients) -> Array:
        """dg; the gradients of W_l and b_l are added to ``gradients``."""
        dslopes, dg = [], dr
        for layer, cache in zip(self.layers, self.down, strict=True):  # against the way down
            dg, ds, _ = dense_input_gradient_backward(dg, cache, (gradients[layer.W],))
            dslopes.append(ds)
        dy: Any = 0
        for layer, ds, (cache, _, slope_cache) in zip(
            reversed(self.layers), reversed(dslopes), reversed(self.up), strict=True
        ):  # against the way up
            dy = layer.backward(dy + activation_slope_backward(ds, slope_cache), cache, gradients)
        return dg


def gradient_penalty(
    critic: Model, x: Array, gradients: Gradients | None = None, strength: float = 10.0
) -> Any:
    """strength / N sum_n (|dC(x_n) / dx_n| - 1)^2; its gradient is added to ``gradients``.

    Parameters
    ----------
    critic : Model
        Dense layers, one behind the other, the last of one unit and without activation.
    x : array (N, D)
    gradients : Gradients or None
        Of the critic's parameters.
    strength : float

    Returns
    -------
    float, or array of no axes on a device
    """
    layers: list[Any] = dense_layers(critic)
    if layers[-1].units != 1 or layers[-1].activation not in (None, "linear"):
        raise ValueError(
            f"gradient_penalty: the last layer, {layers[-1].label}, must be linear, of one unit"
        )
    slope = InputGradient(layers, x)
    xp = get_array_module(x)
    r = slope.forward(xp.ones_like(slope.y))
    norm = xp.sqrt((r * r).sum(axis=1) + 1e-12)  # |r|, with a slope at 0
    if gradients is not None:
        slope.backward((2 * strength / len(x)) * ((norm - 1) / norm)[:, None] * r, gradients)
    return strength * ((norm - 1) * (norm - 1)).mean()


def contraction(
    encoder: Model, x: Array, V: Array, gradients: Gradients | None = None, strength: float = 1.0
) -> Any:
    """strength / N sum_n sum_v |v J(x_n)|^2, for the rows v of V (P, K), J = dy / dx (K, D).

    With the K unit vectors for V it is strength times the mean of |J|^2, all of its numbers
    squared; with P vectors whose numbers have mean 0, variance 1 / P and nothing to do with each
    other, it is that on average (Hutchinson 1990). The gradient is added to ``gradients``.
    """
    layers = dense_layers(encoder)
    xp = get_array_module(x)
    n, p = len(x), len(V)
    jacobian = InputGradient(layers, xp.repeat(x, p, axis=0))
    r = jacobian.forward(xp.concatenate([V] * n, axis=0))
    if gradients is not None:
        jacobian.backward((2 * strength / n) * r, gradients)
    return strength / n * (r * r).sum()


def dense_layers(model: Model) -> list[Dense]:
    """The layers of a model that this can be computed for."""
    layers: list[Any] = [step.layer for step in model.graph.steps]
    for layer in layers:
        if type(layer) is not Dense or (layer.activation or "linear") not in SLOPES:
            activation = getattr(layer, "activation", None)
            told = f" with {activation}" if isinstance(activation, str) else ""
            raise ValueError(
                f"gradient of second order: {layer.label} is a {type(layer).__name__}{told}, "
                f"expected dense layers with one of {', '.join(SLOPES)}"
            )
    return layers
