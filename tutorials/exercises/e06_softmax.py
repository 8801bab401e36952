"""
Exercise 6: softmax
===================

Softmax makes probabilities of a row of numbers: none is negative, and they sum to 1.

    y_k = exp(x_k) / (exp(x_0) + exp(x_1) + ... + exp(x_{K-1}))

Each row of `x` (N, K) is a sample and is treated by itself. In its row, each y depends on every x:
if one grows, the others must shrink.

**On paper first.** Take one row, x = (0, log 3), and compute y. Differentiate y_0 by x_0, and y_1
by x_0 (the quotient rule); call the results a and b, and write them with y_0 and y_1 alone. The
loss changes by dy_0 y_0 + dy_1 y_1, so dx_0 = dy_0 a + dy_1 b. Put a and b in, and take y_0 out of
the brackets: what is left in them? Then for K numbers.

And as a computer: exp(1000) is infinity. What happens to y when the same number is taken from all x
of a row? Which number is a good one to take?
"""

import numpy as np

# %%
# The forward, row by row. x may be as large as you like. `keepdims=True` lets a sum or a maximum
# over axis 1 keep that axis, (N, 1), so that it meets (N, K) row by row.


def softmax_forward(x):
    """x (N, K) -> y (N, K), cache."""
    ### BEGIN SOLUTION
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    y = e / np.sum(e, axis=1, keepdims=True)
    cache = y
    ### END SOLUTION
    return y, cache


# %%
# The backward. No matrix of derivatives is needed: one sum for each row is enough.


def softmax_backward(dy, cache):
    """dy (N, K), cache -> dx (N, K)."""
    ### BEGIN SOLUTION
    y = cache
    dx = y * (dy - np.sum(dy * y, axis=1, keepdims=True))
    ### END SOLUTION
    return dx


# %%
# **Predict 1.** x = (0, log 3), one row, and dy = (1, 0). What is dx? Answer with a list of two
# numbers.

### BEGIN SOLUTION
predict_1 = [0.1875, -0.1875]
### END SOLUTION

# %%
# **Predict 2.** dy = (5, 5, 5), and x is any row of three numbers. Is dx[0] "positive", "negative",
# "zero", or does it "depend" on x?

### BEGIN SOLUTION
predict_2 = "zero"
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Pair


def inputs(rng, N, K):
    x = rng.standard_normal((N, K))
    x[0] += 1000  # exp overflows
    x[1:2] -= 1000  # and is 0 in a whole row, if it is measured by the other
    return x


CASES = [Pair("softmax", inputs)]

ANSWERS = {
    "predict_1": "y is (1/4, 3/4), and only y_0 matters here. It grows with x_0; what does it do "
    "when x_1 grows?",
    "predict_2": "The loss changes by 5 times the sum of y. What is that sum, when x changes?",
}


def dx_of_fives():
    x = np.random.default_rng(0).standard_normal((50, 3))
    dx = softmax_backward(np.full((50, 3), 5.0), softmax_forward(x)[1])
    return "zero" if np.allclose(dx, 0) else "depend"


PROOFS = {
    "predict_1": lambda: softmax_backward(
        np.array([[1.0, 0]]), softmax_forward(np.log([[1.0, 3]]))[1]
    )[0],
    "predict_2": dx_of_fives,
}

MISTAKES = {
    "exp of large numbers": (
        ("x - np.max(x, axis=1, keepdims=True)", "x"),
        "Your y is no number (nan) where x is large: infinity is divided by infinity. You may "
        "take a number from all x of a row without changing y.",
    ),
    "one maximum for all rows": (
        ("np.max(x, axis=1, keepdims=True)", "np.max(x)"),
        "You take the same number from all rows. A row whose numbers are far below it becomes 0 "
        "everywhere, and is divided by 0. Each row needs a number of its own.",
    ),
    "over the samples": (
        [
            ("np.max(x, axis=1, keepdims=True)", "np.max(x, axis=0, keepdims=True)"),
            ("np.sum(e, axis=1, keepdims=True)", "np.sum(e, axis=0, keepdims=True)"),
        ],
        "Your columns sum to 1. Probabilities belong to a sample: which axis are the classes?",
    ),
    "one sum for all rows": (
        ("np.sum(e, axis=1, keepdims=True)", "np.sum(e)"),
        "All your numbers together sum to 1. Each row should.",
    ),
    "the diagonal alone": (
        ("dx = y * (dy - np.sum(dy * y, axis=1, keepdims=True))", "dx = dy * y * (1 - y)"),
        "You have how y_k changes with x_k, its own. But x_k also moves all other y of its row, "
        "down. What does dy say about those?",
    ),
    "summed over the samples": (
        ("np.sum(dy * y, axis=1, keepdims=True)", "np.sum(dy * y, axis=0, keepdims=True)"),
        "Your backward sums over the samples. A sample's y hears nothing of the other rows; the "
        "sum runs over the y that one x moves.",
    ),
    "the sum without y": (
        ("np.sum(dy * y, axis=1, keepdims=True)", "np.sum(dy, axis=1, keepdims=True)"),
        "In your sum each dy counts the same. dy_j counts by how much y_j moves; derive dy_j/dx_k "
        "for j other than k once more.",
    ),
    "y in front forgotten": (
        ("dx = y * (dy -", "dx = (dy -"),
        "A factor is missing in your dx. When y_k is nearly 0, moving x_k changes nothing.",
    ),
    "keepdims forgotten": (
        ("np.sum(dy * y, axis=1, keepdims=True)", "np.sum(dy * y, axis=1)"),
        "Your sum has the shape (N,). NumPy lays it along the rows, not along the columns: with N "
        "= K it goes wrong silently, otherwise loudly.",
    ),
}
### END LECTURER
