"""Optimisers: how weights move against their gradient, each algorithm as in its paper.

A step writes into the weights: it is the one moment when they change. w, g and what is remembered
are flat vectors (P,), all parameters of a model one behind the other; where the gradient is
clipped, ``scale`` is what g is multiplied with first.
"""

from __future__ import annotations

from minienc.arrays import as_number, get_array_module
from minienc.primitive import primitive


def _scaled(g, scale):
    """scale g; g itself for the number 1. An array of no axes is not looked at: that would wait."""
    return g if isinstance(scale, float) and scale == 1 else scale * g


@primitive(overwrites=("w", "velocity"))
def sgd_step(w, g, velocity, learning_rate, momentum=0.0, nesterov=False, scale=1.0):
    """w <- w - lr g; with momentum  v <- momentum v - lr g,  w <- w + v.

    Nesterov's looks ahead, w <- w + momentum v - lr g with the new v. ``velocity`` may be None
    without momentum.

    Sources: Polyak 1964; Nesterov 1983 in the form of Sutskever et al. 2013, "On the importance
    of initialization and momentum in deep learning", eq. 3 and 4.
    """
    g = _scaled(g, scale)
    if not momentum:
        w -= learning_rate * g
        return
    velocity *= momentum
    velocity -= learning_rate * g
    if nesterov:
        w += momentum * velocity
        w -= learning_rate * g
    else:
        w += velocity


@primitive(overwrites=("w", "s", "velocity"))
def rmsprop_step(w, g, s, velocity, learning_rate, rho=0.9, momentum=0.0, epsilon=1e-7, scale=1.0):
    """s <- rho s + (1 - rho) g^2,  w <- w - lr g / sqrt(s + epsilon).

    With momentum  v <- momentum v + lr g / sqrt(s + epsilon),  w <- w - v.

    Source: Tieleman and Hinton 2012, lecture 6.5; epsilon under the root as in Keras.
    """
    g = _scaled(g, scale)
    xp = get_array_module(w)
    s *= rho
    s += (1 - rho) * (g * g)
    update = learning_rate * g / xp.sqrt(s + epsilon)
    if not momentum:
        w -= update
        return
    velocity *= momentum
    velocity += update
    w -= velocity


@primitive(overwrites=("w", "s"))
def adagrad_step(w, g, s, learning_rate, epsilon=1e-7, scale=1.0):
    """s <- s + g^2,  w <- w - lr g / sqrt(s + epsilon).

    Source: Duchi, Hazan and Singer 2011, "Adaptive subgradient methods for online learning and
    stochastic optimization", section 1.1 (diagonal form).
    """
    g = _scaled(g, scale)
    xp = get_array_module(w)
    s += g * g
    w -= learning_rate * g / xp.sqrt(s + epsilon)


@primitive(overwrites=("w", "m", "v"))
def adam_step(w, g, m, v, step, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7, scale=1.0):
    """m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2,  w <- w - a m / (sqrt(v) + epsilon).

    m and v begin at 0 and are too small at first, by 1 - b^t in expectation; the factor
    a = lr sqrt(1 - b2^t) / (1 - b1^t) mends both at once. ``step`` is t, from 1.

    Source: Kingma and Ba 2015, "Adam: a method for stochastic optimization", algorithm 1 in the
    order of its section 2 (as Keras has it, so epsilon is the paper's epsilon-hat).
    """
    g = _scaled(g, scale)
    xp = get_array_module(w)
    m *= beta_1
    m += (1 - beta_1) * g
    v *= beta_2
    v += (1 - beta_2) * (g * g)
    a = learning_rate * (1 - beta_2**step) ** 0.5 / (1 - beta_1**step)
    w -= a * m / (xp.sqrt(v) + epsilon)


@primitive(overwrites=("w", "m", "v"))
def adamw_step(
    w,
    g,
    m,
    v,
    step,
    learning_rate,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-7,
    weight_decay=0.004,
    scale=1.0,
):
    """w <- w - lr weight_decay w, then Adam's step: the decay is not divided by sqrt(v).

    Source: Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2.
    """
    w -= (learning_rate * weight_decay) * w
    adam_step.definition(w, g, m, v, step, learning_rate, beta_1, beta_2, epsilon, scale)


@primitive
def sum_of_squares(g):
    """sum g^2, a number: its root is the norm that clipping looks at."""
    return as_number((g * g).sum())
