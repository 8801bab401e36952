"""
Exercise 1: the sigmoid, its slope and its logarithm
====================================================

The sigmoid makes a number between 0 and 1 of any number:

    y = 1 / (1 + exp(-z)) = exp(z) / (1 + exp(z))

You write it so that it works for every z, its slope, and its logarithm, which losses need.

**On paper first.** Differentiate y = 1 / (1 + exp(-z)) by z, and write the result with y alone: no
z and no exp is left in it. Test it at z = 0: sigmoid(0.1) is 0.525 and sigmoid(-0.1) is 0.475,
which is a slope of 0.05 / 0.2.

Then think as a computer does. Its largest number is near exp(709); exp(1000) is infinity, and
infinity divided by infinity is no number. Write down what each of the two formulas above computes
for z = 1000 and for z = -1000. Which exp never becomes too large, whatever z is? And what is
log(sigmoid(-1000)), on paper and by taking the logarithm of what you got for the sigmoid?
"""

import numpy as np

# %%
# The forward. It returns y, and in `cache` whatever the backward needs. No number may become
# infinite on the way: for every z, exp is taken of something that is not positive.


def sigmoid_forward(z):
    """z (N, D) -> y (N, D), cache."""
    ### BEGIN SOLUTION
    e = np.exp(-np.abs(z))  # in [0, 1]
    y = np.where(z >= 0, 1, e) / (1 + e)
    cache = y
    ### END SOLUTION
    return y, cache


# %%
# The backward: from `dy`, how the loss changes with `y`, to `dz`, how it changes with `z`.


def sigmoid_backward(dy, cache):
    """dy (N, D), cache -> dz (N, D)."""
    ### BEGIN SOLUTION
    y = cache
    dz = dy * y * (1 - y)
    ### END SOLUTION
    return dz


# %%
# The logarithm of the sigmoid, log(1 / (1 + exp(-z))). It must be right where the sigmoid itself is
# rounded to 0. `np.log1p(a)` is log(1 + a), and exact for a small a, too.


def log_sigmoid(z):
    """z (N, D) -> log(sigmoid(z)) (N, D)."""
    ### BEGIN SOLUTION
    log_y = np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))
    ### END SOLUTION
    return log_y


# %%
# **Predict 1.** Somewhere y = 0.9, and dy = 2. What is dz? Answer with a number.

### BEGIN SOLUTION
predict_1 = 0.18
### END SOLUTION

# %%
# **Predict 2.** At z = -1000, one of the two formulas at the top takes exp of a number that is too
# large. Which one? Answer "first", 1 / (1 + exp(-z)), or "second", exp(z) / (1 + exp(z)).

### BEGIN SOLUTION
predict_2 = "first"
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Function, Pair


def inputs(rng, N, D):
    z = 3 * rng.standard_normal((N, D))
    z[0, 0], z[-1, -1] = 1000, -1000  # beyond what exp can do
    return z


CASES = [
    Pair("sigmoid", inputs, D=(3, 5)),
    Function("log_sigmoid", inputs, "log_y", D=(3, 5)),
]

POINTS = {"forward": 40, "gradients": 40, "laws": 10, "predictions": 10}

ANSWERS = {
    "predict_1": "The slope of the sigmoid is known as soon as y is known; then dy multiplies it.",
    "predict_2": "Put z = -1000 into both: which of them takes exp(1000)?",
}


def which_overflows():
    z = np.float64(-1000)
    formulas = {"first": lambda: 1 / (1 + np.exp(-z)), "second": lambda: np.exp(z)}
    for name, formula in formulas.items():
        try:
            with np.errstate(over="raise"):
                formula()
        except FloatingPointError:
            return name


PROOFS = {
    "predict_1": lambda: sigmoid_backward(2.0, sigmoid_forward(np.log(9.0))[1]),  # sigmoid is 0.9
    "predict_2": which_overflows,
}


def slope_at_y(dy, y):
    s = 1 / (1 + np.exp(-y))
    return dy * s * (1 - s)


MISTAKES = {
    "exp of large numbers": (
        [
            ("e = np.exp(-np.abs(z))", "e = np.exp(z)"),
            ("y = np.where(z >= 0, 1, e) / (1 + e)", "y = e / (1 + e)"),
        ],
        "Your y is no number (nan) where z is large: there exp(z) is infinite, and you divide it "
        "by itself. Which of the two formulas is harmless for z > 0, and which for z < 0?",
    ),
    "log of what is rounded to 0": (
        (
            "log_y = np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))",
            "log_y = -np.log(1 + np.exp(-z))",
        ),
        "Your logarithm is -infinity at z = -1000. On paper it is close to -1000. Take the "
        "logarithm of the formula on paper, for z < 0 and for z > 0, before any number is rounded.",
    ),
    "log with a wrong sign": (
        ("log_y = np.minimum(z, 0) -", "log_y = -np.maximum(z, 0) -"),
        "Your logarithm belongs to 1 - sigmoid(z), which is sigmoid(-z). What should come out for "
        "a large positive z, where the sigmoid is nearly 1?",
    ),
    "y (1 + y)": (
        ("dz = dy * y * (1 - y)", "dz = dy * y * (1 + y)"),
        "Your slope grows with y. But a sigmoid is flat where y is near 1, as it is where y is "
        "near 0. Look at the sign of the inner derivative, that of exp(-z).",
    ),
    "slope at y": (
        {"sigmoid_backward": slope_at_y},
        "You take the sigmoid of y, which is a sigmoid already. The slope is wanted at z; what you "
        "have kept of the forward says it without another sigmoid.",
    ),
    "dy forgotten": (
        ("dz = dy * y * (1 - y)", "dz = y * (1 - y)"),
        "Your dz is the slope alone: it is the same whatever dy is. The chain rule has two "
        "factors.",
    ),
    "dy and y alone": (
        ("dz = dy * y * (1 - y)", "dz = dy * (1 - y)"),
        "A factor is missing in your slope. It must be small at both ends, where y is near 1 and "
        "where y is near 0; yours is small at one of them.",
    ),
}
### END LECTURER
