"""
Exercise 9: two layers, backwards
=================================

A network with one hidden layer of H units:

    z = x W1 + b1        (1)     x (N, D), W1 (D, H), b1 (H,)
    h = tanh(z)          (2)
    y = h W2 + b2        (3)     W2 (H, M), b2 (M,), y (N, M)

From `dy` you go back through (3), (2) and (1), and collect the gradient of everything that came in.
Backwards means: the last line first.

**On paper first.** Let all sizes be 1, so that every name is a number. What does y depend on
directly? h, W2 and b2: write down dh, dW2 and db2. Then h on z: dz (the slope of tanh is 1 - h^2).
Then z on x, W1 and b1. Put in x = 4, h = 0.5, W2 = 3, dy = 2, and W1 = -1.

With larger sizes each of (1) and (3) is an affine layer: if y = x W + b, then dx = dy W', dW = x'
dy, and db is the sum of dy over the samples (W' is W with rows and columns exchanged). Write your
lines again with these, and check every shape: each gradient has the shape of what it belongs to.
"""

import numpy as np

# %%
# The forward.


def network_forward(x, W1, b1, W2, b2):
    """x (N, D), W1 (D, H), b1 (H,), W2 (H, M), b2 (M,) -> y (N, M), cache."""
    ### BEGIN SOLUTION
    h = np.tanh(x @ W1 + b1)
    y = h @ W2 + b2
    cache = x, W1, h, W2
    ### END SOLUTION
    return y, cache


# %%
# The backward, in the other order.


def network_backward(dy, cache):
    """dy (N, M), cache -> dx, dW1, db1, dW2, db2, each shaped as what it belongs to."""
    ### BEGIN SOLUTION
    x, W1, h, W2 = cache
    dW2 = h.T @ dy
    db2 = np.sum(dy, axis=0)
    dh = dy @ W2.T
    dz = dh * (1 - h**2)
    dW1 = x.T @ dz
    db1 = np.sum(dz, axis=0)
    dx = dz @ W1.T
    ### END SOLUTION
    return dx, dW1, db1, dW2, db2


# %%
# **Predict 1.** All sizes are 1; x = 4, h = 0.5, W2 = 3, dy = 2. What is dW1? Answer with a number.

### BEGIN SOLUTION
predict_1 = 18.0
### END SOLUTION

# %%
# **Predict 2.** Somebody starts with W2 = 0 everywhere; the other numbers are random. Which of the
# two matrices has a gradient that is 0 everywhere? Answer "W1", "W2", "both" or "none".

### BEGIN SOLUTION
predict_2 = "W1"
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Pair

CASES = [Pair("network", "x=N,D W1=D,H b1=H W2=H,M b2=M")]

ANSWERS = {
    "predict_1": "Go back from dy to dh, from dh to dz, and from dz to dW1: three factors beside "
    "dy.",
    "predict_2": "What comes back to h passes W2. And what does dW2 consist of?",
}


def gradients(rng, W2):
    x, W1, b1, b2 = (rng.standard_normal(size) for size in ((5, 4), (4, 3), 3, 2))
    dy = rng.standard_normal((5, 2))
    return network_backward(dy, network_forward(x, W1, b1, W2, b2)[1])


def zero_ones():
    _, dW1, _, dW2, _ = gradients(np.random.default_rng(0), np.zeros((3, 2)))
    return {(True, False): "W1", (False, True): "W2", (True, True): "both"}.get(
        (not dW1.any(), not dW2.any()), "none"
    )


def of_numbers():
    W1 = np.full((1, 1), np.arctanh(0.5) / 4)  # so that h is 0.5
    _, cache = network_forward(np.full((1, 1), 4.0), W1, np.zeros(1), np.full((1, 1), 3.0), 0.0)
    return network_backward(np.full((1, 1), 2.0), cache)[1].item()


PROOFS = {"predict_1": of_numbers, "predict_2": zero_ones}

MISTAKES = {
    "h for x": (
        ("dW1 = x.T @ dz", "dW1 = h.T @ dz"),
        "Your dW1 is made with h. Which of x and h is multiplied by W1 in the forward?",
    ),
    "x for h": (
        ("dW2 = h.T @ dy", "dW2 = x.T @ dy"),
        "Your dW2 is made with x. Which of x and h is multiplied by W2 in the forward?",
    ),
    "W1 for W2": (
        ("dh = dy @ W2.T", "dh = dy @ W1.T"),
        "From dy back to h you pass the wrong matrix. Which one led from h to y?",
    ),
    "slope before the product": (
        ("dh = dy @ W2.T\n    dz = dh * (1 - h**2)", "dz = (dy * (1 - h**2)) @ W2.T"),
        "You multiply by the slope of tanh before you pass W2. Backwards is the other order: "
        "which line of the forward comes last?",
    ),
    "slope forgotten": (
        ("dz = dh * (1 - h**2)", "dz = dh"),
        "Line (2) is missing on your way back. What is made from dh belongs to what stands behind "
        "tanh; x, W1 and b1 stand before it.",
    ),
    "slope 1 - h": (
        ("dz = dh * (1 - h**2)", "dz = dh * (1 - h)"),
        "Your slope of tanh is 1 - h. Where h is -1, tanh is as flat as where it is 1.",
    ),
    "slope at h": (
        ("dz = dh * (1 - h**2)", "dz = dh * (1 - np.tanh(h) ** 2)"),
        "You take tanh of h, which is a tanh already. The slope of line (2) is wanted at z.",
    ),
    "W1 not transposed": (
        ("dx = dz @ W1.T", "dx = dz @ W1"),
        "Your dx multiplies by W1 as the forward did. On the way back rows and columns change "
        "places.",
    ),
}
### END LECTURER
