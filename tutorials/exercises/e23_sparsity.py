"""
Exercise 23: sparsity
=====================

A sparse autoencoder wants each hidden unit to be active for a few samples only. h holds the
activity of M units for N samples, numbers between 0 and 1. The mean activity of a unit is

    q[j] = mean over the N samples of h[:, j]

and is held to a small target rho by the penalty

    sum over j of   rho log(rho / q[j]) + (1 - rho) log((1 - rho) / (1 - q[j]))

**On paper first.** Take one unit. For which q is the penalty 0? Take its derivative by q, and look
at its sign for q above rho. Then N = 2: q = (h[0] + h[1]) / 2. What is the derivative by h[0]? Is
it another one for h[1]?
"""

import numpy as np

# %%
# The forward. `cache` is whatever your backward needs.


def sparsity_forward(h, rho):
    """h (N, M) in (0, 1), rho in (0, 1) -> the penalty (a number), cache."""
    ### BEGIN SOLUTION
    q = h.mean(axis=0)
    penalty = (rho * np.log(rho / q) + (1 - rho) * np.log((1 - rho) / (1 - q))).sum()
    cache = h, q, rho
    ### END SOLUTION
    return penalty, cache


# %%
# The backward: `dy` says how the loss changes with the penalty, `dh` how it changes with h by way
# of it. It has the same numbers for each sample, and yet the shape of h.


def sparsity_backward(dy, cache):
    """dy (a number), cache -> dh (N, M)."""
    ### BEGIN SOLUTION
    h, q, rho = cache
    dq = dy * ((1 - rho) / (1 - q) - rho / q)
    dh = np.zeros_like(h) + dq / len(h)
    ### END SOLUTION
    return dh


# %%
# **Predict 1.** rho = 0.5, one unit, N = 2, and h = [[0.7], [0.9]]. dy is 1. What is dh[0, 0]?

### BEGIN SOLUTION
predict_1 = 0.9375
### END SOLUTION

# %%
# **Predict 2.** rho = 0.1, and a unit has the activity 0.1 for all samples. What is its penalty?

### BEGIN SOLUTION
predict_2 = 0.0
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Pair


def inputs(rng, N, M):
    return rng.uniform(0.1, 0.9, (N, M)), 0.2


CASES = [Pair("sparsity", inputs, N=(2, 6), M=(2, 5), constants="rho")]

ANSWERS = {
    "predict_1": "What is q, and what is the derivative by q? How much does q change with h[0]?",
    "predict_2": "What is q, and what is the logarithm of 1?",
}

PROOFS = {
    "predict_1": lambda: sparsity_backward(1.0, sparsity_forward(np.array([[0.7], [0.9]]), 0.5)[1])[
        0, 0
    ],
    "predict_2": lambda: round(float(sparsity_forward(np.full((4, 1), 0.1), 0.1)[0]), 9),
}

MISTAKES = {
    "1/N forgotten": (
        ("dq / len(h)", "dq"),
        "Your dh is as large as the derivative by q. How much does q change with one sample?",
    ),
    "sign": (
        ("(1 - rho) / (1 - q) - rho / q", "rho / q - (1 - rho) / (1 - q)"),
        "Your dh has the other sign: a unit that is too active would become more so. Above rho the "
        "penalty grows with q.",
    ),
    "the second term's inner derivative": (
        ("(1 - rho) / (1 - q) - rho / q", "-(1 - rho) / (1 - q) - rho / q"),
        "Both parts of your derivative are negative. Which inner derivative has 1 - q?",
    ),
    "the first term only": (
        ("(1 - rho) / (1 - q) - rho / q", "-rho / q"),
        "Your gradient holds the first term alone. What pulls down a unit that is too active?",
    ),
    "penalty's mean over the units": (
        [
            ("(1 - rho) / (1 - q))).sum()", "(1 - rho) / (1 - q))).mean()"),
            ("dq / len(h)", "dq / h.size"),
        ],
        "Your penalty is a mean over the units. The text adds them up.",
    ),
    "mean over the units": (
        [
            ("q = h.mean(axis=0)", "q = h.mean(axis=1, keepdims=True)"),
            ("dq / len(h)", "dq / h.shape[1]"),
        ],
        "Your q is the mean of a sample over its units. Whose mean is to be held small?",
    ),
    "q and rho exchanged": (
        [
            (
                "rho * np.log(rho / q) + (1 - rho) * np.log((1 - rho) / (1 - q))",
                "q * np.log(q / rho) + (1 - q) * np.log((1 - q) / (1 - rho))",
            ),
        ],
        "Your penalty has q and rho in each other's places; this divergence is not symmetric.",
    ),
}
### END LECTURER
