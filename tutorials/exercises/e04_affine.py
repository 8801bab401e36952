"""
Exercise 4: an affine layer
===========================

An affine layer multiplies a batch of samples by a matrix and adds a bias:

    y = x W + b

`x` is (N, D), a row for each sample; `W` is (D, M); `b` is (M,); so `y` is (N, M). You write the
forward, and the backward that undoes it: from `dy`, how the loss changes with `y`, to `dx`, `dW`
and `db`, how it changes with what came in.

**On paper first.** Take N = 2, D = 2, M = 1. Write down y[0] and y[1] as sums. The loss changes by
dy[0] y[0] + dy[1] y[1]; take its derivative by each of W[0], W[1], b, and by x[0, 0]. Which samples
does W[0] hear from? Which does b? Only then find the matrix product that says it for all sizes:
each gradient has the shape of what it belongs to.
"""

import numpy as np

# %%
# The forward. It returns y, and in `cache` whatever the backward needs.


def affine_forward(x, W, b):
    """x (N, D), W (D, M), b (M,) -> y (N, M), cache."""
    ### BEGIN SOLUTION
    y = x @ W + b  # every sample meets the same W and b
    cache = x, W
    ### END SOLUTION
    return y, cache


# %%
# The backward. No loop is needed, though one is allowed; nothing that came in may be changed.


def affine_backward(dy, cache):
    """dy (N, M), cache -> dx (N, D), dW (D, M), db (M,)."""
    ### BEGIN SOLUTION
    x, W = cache
    dx = dy @ W.T
    dW = x.T @ dy
    db = np.sum(dy, axis=0)
    ### END SOLUTION
    return dx, dW, db


# %%
# **Predict 1.** x = [[1, 2], [3, 4]], W = [[1], [-1]], b = [0.5], and dy = [[1], [1]].
# What is dW[1, 0]? Work it out on paper; answer with a number.

### BEGIN SOLUTION
predict_1 = 6.0
### END SOLUTION

# %%
# **Predict 2.** The batch is doubled: the same samples come twice, and dy with them. What becomes
# of db? Answer "same", "double" or "half".

### BEGIN SOLUTION
predict_2 = "double"
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Pair

CASES = [Pair("affine", "x=N,D W=D,M b=M", N=(1, 6), D=(2, 5), M=(2, 5))]

POINTS = {"forward": 20, "gradients": 60, "laws": 10, "predictions": 10}

ANSWERS = {
    "predict_1": "W[1] meets the second number of each sample; both samples add to it.",
    "predict_2": "b is used once for each sample, and hears from every one of them.",
}

PROOFS = {
    "predict_1": lambda: affine_backward(
        np.ones((2, 1)), affine_forward(np.array([[1.0, 2], [3, 4]]), np.ones((2, 1)), 0.5)[1]
    )[1][1, 0],
}


def transposed(dy, cache):
    x, W = cache
    return dy @ W.T, (dy.T @ x).reshape(W.shape), dy.sum(axis=0)


MISTAKES = {
    "dW as dy' x": (
        {"affine_backward": transposed},
        "The numbers of your dW stand in each other's places: it is dy' x, laid out as W is. Rows "
        "of dW belong to the inputs of the layer.",
    ),
    "db is a mean": (
        ("db = np.sum(dy, axis=0)", "db = np.mean(dy, axis=0)"),
        "Your db is the mean over the batch. Each sample used b; what they say is added up.",
    ),
    "db summed over the outputs": (
        ("db = np.sum(dy, axis=0)", "db = np.sum(dy, axis=1)"),
        "Your db is summed over the outputs. It needs one number for each output: which axis goes?",
    ),
    "dx by W instead of its transpose": (
        ("dx = dy @ W.T", "dx = dy @ W"),  # runs where D = M alone; one hidden shape is so
        "Your dx multiplies dy by W as the forward did. On the way back rows and columns change "
        "places.",
    ),
}
### END LECTURER
