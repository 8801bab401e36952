"""
Exercise 16: dropout
====================

While a network trains, dropout sets some of its numbers to zero, each one by chance, so that no
unit can rely on a single other one. A number is dropped with the probability `rate`. Those that
are kept are made larger, so that the *expected* value of each number stays what it was. At test
time nothing is dropped and nothing is scaled.

**On paper first.** A number x is dropped with the probability rate = 0.2 and otherwise multiplied
by s. Write down the expected value of the result. Which s makes it x again? Then take two numbers
of which the first was dropped: y = [0, s x[1]]. The loss changes by dy[0] y[0] + dy[1] y[1];
take its derivative by x[0] and by x[1]. What must the forward remember?
"""

import numpy as np

# %%
# The forward. Make a generator of the seed, `rng = np.random.default_rng(seed)`, draw
# `rng.random(x.shape)` once, and keep a number of x where the number drawn is at least `rate`. If
# `training` is False, y is a copy of x. `cache` is whatever your backward needs; it is up to you.


def dropout_forward(x, rate, seed, training=True):
    """x (N, D), rate in [0, 1), seed an integer -> y (N, D), cache."""
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    keep = rng.random(x.shape) >= rate if training else np.ones(x.shape, bool)
    scale = 1 / (1 - rate) if training else 1.0
    y = x * keep * scale
    cache = keep, scale
    ### END SOLUTION
    return y, cache


# %%
# The backward: from `dy`, how the loss changes with y, to `dx`, how it changes with x.


def dropout_backward(dy, cache):
    """dy (N, D), cache -> dx (N, D)."""
    ### BEGIN SOLUTION
    keep, scale = cache
    dx = dy * keep * scale
    ### END SOLUTION
    return dx


# %%
# **Predict 1.** rate is 0.75, and x = [[3, 3]]. The first number is kept, the second dropped.
# What is y[0, 0]? Answer with a number.

### BEGIN SOLUTION
predict_1 = 12.0
### END SOLUTION

# %%
# **Predict 2.** A number of x was dropped in the forward. The number of dy in its place is 5. What
# is the number of dx in its place?

### BEGIN SOLUTION
predict_2 = 0.0
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Pair


def inputs(rng, N, D):
    return rng.standard_normal((N, D)) + 3, 0.4, int(rng.integers(1000))


CASES = [
    Pair(
        "dropout",
        inputs,
        N=(4, 8),
        D=(4, 7),
        constants="rate",
        options=({}, {"training": False}),
    )
]

POINTS = {"forward": 20, "gradients": 60, "laws": 10, "predictions": 10}

ANSWERS = {
    "predict_1": "Only a quarter of the numbers is kept. How large must these be, so that the "
    "expected value stays?",
    "predict_2": "y has a zero there, whatever x is. How does the loss change with x, then?",
}


def kept_and_dropped():
    """The first seed that keeps the first number of two and drops the second."""
    draws = lambda seed: np.random.default_rng(seed).random((1, 2))[0]  # noqa: E731
    return next(s for s in range(1000) if draws(s)[0] >= 0.75 and draws(s)[1] < 0.75)


def pair_of_predictions():
    y, cache = dropout_forward(np.array([[3.0, 3]]), 0.75, kept_and_dropped())
    return y[0, 0], dropout_backward(np.full((1, 2), 5.0), cache)[0, 1]


PROOFS = {
    "predict_1": lambda: pair_of_predictions()[0],
    "predict_2": lambda: pair_of_predictions()[1],
}

MISTAKES = {
    "scale forgotten": (
        ("scale = 1 / (1 - rate) if training else 1.0", "scale = 1.0"),
        "The factor of the kept numbers is missing. Without it y is smaller than x on average, and "
        "the layer behind would see other numbers at test time. The way back has it, too.",
    ),
    "scaled by the rate": (
        ("scale = 1 / (1 - rate) if training else 1.0", "scale = 1 / rate if training else 1.0"),
        "You scale by the share of the numbers that are dropped. Which share is left to carry the "
        "sum?",
    ),
    "rate is the share kept": (
        ("rng.random(x.shape) >= rate", "rng.random(x.shape) < rate"),
        "You keep what should be dropped: rate is the probability that a number goes.",
    ),
    "mask drawn again": (
        [
            ("cache = keep, scale", "cache = keep, scale, rate, rng"),
            (
                "keep, scale = cache",
                "keep, scale, rate, rng = cache\n"
                "    keep = rng.random(dy.shape) >= rate if scale > 1 else keep",
            ),
        ],
        "Your backward draws a mask of its own. The gradient passes where the forward let x pass, "
        "and the forward has drawn already.",
    ),
    "mask forgotten on the way back": (
        ("dx = dy * keep * scale", "dx = dy * scale"),
        "Your dx reaches the numbers that were dropped, too. Does y change when one of them does?",
    ),
    "dropped at test time": (
        [
            (
                "keep = rng.random(x.shape) >= rate if training else np.ones(x.shape, bool)",
                "keep = rng.random(x.shape) >= rate",
            ),
            ("scale = 1 / (1 - rate) if training else 1.0", "scale = 1 / (1 - rate)"),
        ],
        "Your layer drops numbers at test time as well. What does `training=False` ask for?",
    ),
}
### END LECTURER
