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

    Examples
    --------
    >>> w, velocity = np.array([1.0]), np.zeros(1)
    >>> sgd_step(w, np.array([0.5]), velocity, learning_rate=0.1)
    >>> w
    array([0.95])
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

    Examples
    --------
    >>> w, s, velocity = np.array([1.0]), np.zeros(1), np.zeros(1)
    >>> rmsprop_step(w, np.array([0.5]), s, velocity, learning_rate=0.1)
    >>> np.round(w, 3)
    array([0.684])
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

    Examples
    --------
    >>> w, s = np.array([1.0]), np.zeros(1)
    >>> adagrad_step(w, np.array([0.5]), s, learning_rate=0.1)
    >>> np.round(w, 3)
    array([0.9])
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

    Examples
    --------
    >>> w, m, v = np.array([1.0, 1.0]), np.zeros(2), np.zeros(2)
    >>> adam_step(w, np.array([0.5, -50.0]), m, v, step=1, learning_rate=0.1)
    >>> np.round(w, 3)  # the first step is as long as the learning rate, whatever the gradient
    array([0.9, 1.1])
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

    Examples
    --------
    >>> w, m, v = np.array([1.0]), np.zeros(1), np.zeros(1)
    >>> adamw_step(w, np.array([0.5]), m, v, step=1, learning_rate=0.1, weight_decay=0.1)
    >>> np.round(w, 3)
    array([0.89])
    """
    w -= (learning_rate * weight_decay) * w
    adam_step.definition(w, g, m, v, step, learning_rate, beta_1, beta_2, epsilon, scale)


@primitive(overwrites=("w", "m"))
def lion_step(w, g, m, learning_rate, beta_1=0.9, beta_2=0.99, weight_decay=0.0, scale=1.0):
    """w <- w - lr (sign(b1 m + (1 - b1) g) + weight_decay w),  then  m <- b2 m + (1 - b2) g.

    Every weight moves by the same amount; only the direction is learned from g.

    Source: Chen et al. 2023, "Symbolic discovery of optimization algorithms", algorithm 2.

    Examples
    --------
    >>> w, m = np.array([1.0, 1.0]), np.zeros(2)
    >>> lion_step(w, np.array([0.5, -50.0]), m, learning_rate=0.1)
    >>> w
    array([0.9, 1.1])
    """
    g = _scaled(g, scale)
    xp = get_array_module(w)
    direction = xp.sign(beta_1 * m + (1 - beta_1) * g)
    w -= learning_rate * (direction + weight_decay * w)
    m *= beta_2
    m += (1 - beta_2) * g


@primitive(overwrites=("w", "m"))
def muon_step(
    w, g, m, learning_rate, momentum=0.95, nesterov=True, weight_decay=0.0, ns_steps=5, scale=1.0
):
    """m <- momentum m + g,  w <- w - lr (sqrt(max(1, M / D)) orthogonal(m) + weight_decay w).

    Of a matrix w (D, M). ``orthogonal`` keeps the directions of m and makes each of them count the
    same: where one of them is large in all gradients, the others are still learned. Nesterov's
    looks ahead, orthogonal(g + momentum m) with the new m.

    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".

    Examples
    --------
    >>> w, m = np.zeros((3, 2)), np.zeros((3, 2))
    >>> muon_step(w, np.array([[9.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), m, learning_rate=0.1)
    >>> bool((np.linalg.svd(w)[1] > 0.05).all())  # every direction moves, small gradients, too
    True
    """
    g = _scaled(g, scale)
    m *= momentum
    m += g
    update = orthogonalized(g + momentum * m if nesterov else m, ns_steps)
    D, M = w.shape
    w -= learning_rate * (max(1.0, M / D) ** 0.5 * update + weight_decay * w)


def orthogonalized(G, steps=5):
    """Nearly U V', where G = U S V' is the singular value decomposition; by products alone.

    Each step makes every singular value s of X into a s + b s^3 + c s^5, which from anywhere in
    (0, 1] goes quickly to between 0.7 and 1.2, and stays there. With these a, b, c it need not come
    nearer to 1: the optimiser does as well with 0.7 to 1.2.

    Source: Jordan et al. 2024, as above (Newton and Schulz's iteration, a quintic one).
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    xp, (D, M) = get_array_module(G), G.shape
    X = G.T if D > M else G
    X = X / (xp.sqrt((X * X).sum()) + 1e-7)
    for _ in range(steps):
        A = X @ X.T
        X = a * X + (b * A + c * (A @ A)) @ X
    return X.T if D > M else X


@primitive
def sum_of_squares(g):
    """sum g^2, a number: its root is the norm that clipping looks at.

    Examples
    --------
    >>> float(sum_of_squares(np.array([3.0, 4.0])))
    25.0
    """
    return as_number((g * g).sum())
