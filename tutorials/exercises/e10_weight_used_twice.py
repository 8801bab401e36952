"""
Exercise 10: a weight that is used twice
========================================

An autoencoder squeezes x into a code h, and makes y of the code. This one uses the same matrix both
times; on the way out of the code it is turned over (W' is W with rows and columns exchanged):

    h = x W        (1)     x (N, D), W (D, M), h (N, M)
    y = h W'       (2)     y (N, D)

When W moves, y moves for two reasons: h has become another, and so has the matrix that h meets. The
loss hears of both.

**On paper first.** Let all sizes be 1: y = x w w. Differentiate y by w. Now do it in two parts:
first as if only the w of line (1) could move, then as if only that of line (2) could. How do the
two make the whole?

Then take D = 2, M = 1, N = 1: y[0] = h w[0] and y[1] = h w[1], with h = x[0] w[0] + x[1] w[1]. The
loss changes by dy[0] y[0] + dy[1] y[1]. Differentiate it by w[0], and look for the part that came
through h, which is x[0] dh, and the part that did not. Only then write both as matrix products: the
second is a gradient of W', so it has to be turned over to be one of W.
"""

import numpy as np

# %%
# The forward: two lines.


def tied_forward(x, W):
    """x (N, D), W (D, M) -> y (N, D), cache."""
    ### BEGIN SOLUTION
    h = x @ W
    y = h @ W.T
    cache = x, W, h
    ### END SOLUTION
    return y, cache


# %%
# The backward.


def tied_backward(dy, cache):
    """dy (N, D), cache -> dx (N, D), dW (D, M)."""
    ### BEGIN SOLUTION
    x, W, h = cache
    dh = dy @ W
    dW = x.T @ dh + dy.T @ h
    dx = dh @ W.T
    ### END SOLUTION
    return dx, dW


# %%
# **Predict 1.** All sizes are 1; x = 2, W = 3, dy = 1. What is dW? Answer with a number.

### BEGIN SOLUTION
predict_1 = 12.0
### END SOLUTION

# %%
# **Predict 2.** Somebody gives the second line a matrix V (M, D) of its own, which begins as a copy
# of W'. After one step of gradient descent for both, is V still W'? The data are arbitrary, and D
# is more than 1. Answer "yes" or "no".

### BEGIN SOLUTION
predict_2 = "no"
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Pair

CASES = [Pair("tied", "x=N,D W=D,M")]

ANSWERS = {
    "predict_1": "y is 2 w w. Its derivative by w at w = 3 has two equal parts.",
    "predict_2": "Without the tie, W has the one part as its gradient, and V the other. Are they "
    "the same matrix, turned over? Take D = 2, M = 1.",
}


def still_tied():
    rng = np.random.default_rng(0)
    x, W, dy = rng.standard_normal((5, 3)), rng.standard_normal((3, 2)), rng.standard_normal((5, 3))
    dW, dV = x.T @ (dy @ W), (x @ W).T @ dy
    _, both = tied_backward(dy, tied_forward(x, W)[1])
    assert np.allclose(both, dW + dV.T)
    return "yes" if np.allclose(W.T - 0.1 * dV, (W - 0.1 * dW).T) else "no"


PROOFS = {
    "predict_1": lambda: tied_backward(
        np.ones((1, 1)), tied_forward(np.full((1, 1), 2.0), np.full((1, 1), 3.0))[1]
    )[1].item(),
    "predict_2": still_tied,
}

MISTAKES = {
    "the way through h alone": (
        ("dW = x.T @ dh + dy.T @ h", "dW = x.T @ dh"),
        "Your dW has the part that comes through h. With h held fast, y would move with W still: "
        "line (2) uses it, too.",
    ),
    "the second line alone": (
        ("dW = x.T @ dh + dy.T @ h", "dW = dy.T @ h"),
        "Your dW has the part of line (2) alone. If there was another before it, it has been "
        "overwritten: what happens to a gradient that comes from two places?",
    ),
    "the mean of both": (
        ("dW = x.T @ dh + dy.T @ h", "dW = (x.T @ dh + dy.T @ h) / 2"),
        "Your dW is the mean of two parts. Look at y = x w w: what does its derivative do with "
        "them?",
    ),
    "the difference of both": (
        ("dW = x.T @ dh + dy.T @ h", "dW = x.T @ dh - dy.T @ h"),
        "You take one part from the other. Both say how the loss grows with W.",
    ),
    "the second part not turned over": (
        ("dW = x.T @ dh + dy.T @ h", "dW = x.T @ dh + h.T @ dy"),
        "The second part of your dW is a gradient of W', (M, D). It must be laid out as W is, "
        "before it is added.",
    ),
    "dh with W'": (
        ("dh = dy @ W\n", "dh = dy @ W.T\n"),
        "From dy to dh you pass W'. The forward passed it there; on the way back a matrix is "
        "turned over, and this one was turned over already.",
    ),
    "dx with W": (
        ("dx = dh @ W.T", "dx = dh @ W"),
        "From dh to dx you pass W as the forward did. On the way back it is turned over.",
    ),
}
### END LECTURER
