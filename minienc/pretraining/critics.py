"""The gradient penalty of a critic, and its gradient: of second order, by hand.

    P = s / N sum_n (|r_n| - 1)^2,    r_n = dC(x_n) / dx_n

A critic that tells samples from others by how far they are from each other (Wasserstein) must be
one whose slope is nowhere above 1; the penalty asks for just 1 at the points x. For a critic of
dense layers, y_l = f(y_{l-1} W_l + b_l) and C = y_L w + b:

    up       y_1, ..., y_L                        and the slopes  s_l = f'(.), which y_l tells
    down     g_L = w',  g_{l-1} = (g_l s_l) W_l'  until r = g_0

That is one computation of 2 L steps, and its gradient goes back through all of them: first against
the way down, which gives dW_l, ds_l (and dw = sum_n dg_L), then through s_l into y_l, and against
the way up as in any network. For leaky_relu, whose slope does not change, the last part is 0.

Source: Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville 2017, "Improved training of Wasserstein
GANs", eq. 3.
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


def gradient_penalty(
    critic: Model, x: Array, gradients: Gradients | None = None, strength: float = 10.0
) -> Any:
    """P at the points x (N, D); its gradient is added to ``gradients``.

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
    *layers, last = check_critic(critic)
    y, forward = x, []
    for layer in layers:  # up
        y, cache = layer.forward(y)
        s, slope_cache = activation_slope_forward(y, layer.activation or "linear")
        forward.append((cache, s, slope_cache))

    xp = get_array_module(x)
    w = last.W.value  # (M, 1)
    g = xp.ones_like(y[:, :1]) @ w.T
    down = []
    for layer, (_, s, _) in zip(reversed(layers), reversed(forward), strict=True):
        g, cache = dense_input_gradient_forward(g, s, layer.W.value)
        down.append(cache)
    norm = xp.sqrt((g * g).sum(axis=1) + 1e-12)  # |r|, with a slope at 0
    penalty = strength * ((norm - 1) * (norm - 1)).mean()
    if gradients is None:
        return penalty

    dg = (2 * strength / len(x)) * ((norm - 1) / norm)[:, None] * g
    dslopes = []
    for layer, cache in zip(layers, reversed(down), strict=True):  # against the way down
        dg, ds, _ = dense_input_gradient_backward(dg, cache, (gradients[layer.W],))
        dslopes.append(ds)
    gradients[last.W][...] += dg.sum(axis=0)[:, None]
    dy: Any = 0
    for i in reversed(range(len(layers))):  # against the way up
        cache, _, slope_cache = forward[i]
        dy = dy + activation_slope_backward(dslopes[i], slope_cache)
        dy = layers[i].backward(dy, cache, gradients)
    return penalty


def check_critic(critic: Model) -> list[Dense]:
    """The layers of a critic that the penalty can be computed for."""
    layers: list[Any] = [step.layer for step in critic.graph.steps]
    for layer in layers:
        if type(layer) is not Dense or (layer.activation or "linear") not in SLOPES:
            raise ValueError(
                f"gradient_penalty: {layer.label} is a {type(layer).__name__}"
                f"{_activation(layer)}, expected dense layers with one of {', '.join(SLOPES)}"
            )
    if layers[-1].units != 1 or layers[-1].activation not in (None, "linear"):
        raise ValueError(
            f"gradient_penalty: the last layer, {layers[-1].label}, must be linear, of one unit"
        )
    return layers


def _activation(layer: Any) -> str:
    activation = getattr(layer, "activation", None)
    return f" with {activation}" if isinstance(activation, str) else ""
