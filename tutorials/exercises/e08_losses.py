"""
Exercise 8: squared error and binary cross-entropy
==================================================

Two losses for a network that answers with N rows of D numbers, where N rows of D targets `t` are
wanted. Both are the mean over all N D numbers:

    squared error          loss = mean of (y - t)^2
    binary cross-entropy   loss = mean of -(t log p + (1 - t) log(1 - p)),  p = sigmoid(z)

The second is written as a function of `z`, what stands before the sigmoid. Its targets lie between
0 and 1. A target has no gradient.

**On paper first.** Squared error: N = 1, D = 2, y = (3, 1), t = (1, 1). Compute the loss, and its
derivative by y[0]. By what is each difference multiplied, in general?

Cross-entropy: one number. Differentiate -(t log p + (1 - t) log(1 - p)) by p, multiply by dp/dz =
p (1 - p), and simplify until no fraction is left. Then write the loss itself with z: put
p = exp(z) / (1 + exp(z)) and 1 - p = 1 / (1 + exp(z)) into it; the logarithm of a fraction is a
difference. What is left is log(1 + exp(z)) and one more term. (`np.logaddexp(0, z)` computes
log(exp(0) + exp(z)), for any z.)
"""

import numpy as np

# %%
# The sigmoid is given; this form of it never overflows.


def sigmoid(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


# %%
# Squared error. `dloss` is a number: how what comes after the loss changes with it.


def squared_error_forward(y, t):
    """y (N, D), t (N, D) -> loss, a number, and cache."""
    ### BEGIN SOLUTION
    loss = np.mean((y - t) ** 2)
    cache = y, t
    ### END SOLUTION
    return loss, cache


def squared_error_backward(dloss, cache):
    """dloss, cache -> dy (N, D)."""
    ### BEGIN SOLUTION
    y, t = cache
    dy = dloss * 2 * (y - t) / y.size
    ### END SOLUTION
    return dy


# %%
# Binary cross-entropy. Where z = 1000 and t = 0, a number loses 1000, not infinity.


def crossentropy_forward(z, t):
    """z (N, D), t (N, D) -> loss, a number, and cache."""
    ### BEGIN SOLUTION
    loss = np.mean(np.logaddexp(0, z) - t * z)
    cache = z, t
    ### END SOLUTION
    return loss, cache


def crossentropy_backward(dloss, cache):
    """dloss, cache -> dz (N, D)."""
    ### BEGIN SOLUTION
    z, t = cache
    dz = dloss * (sigmoid(z) - t) / z.size
    ### END SOLUTION
    return dz


# %%
# **Predict 1.** Squared error: y = [[3, 1], [0, 2]], t = [[1, 1], [0, 0]], and dloss = 1. What is
# dy[0, 0]? Answer with a number.

### BEGIN SOLUTION
predict_1 = 1.0
### END SOLUTION

# %%
# **Predict 2.** A single number, N = D = 1: z = 0, so p = y = sigmoid(z) = 0.5, and t = 1. By which
# factor is dz larger with the cross-entropy than with the squared error of y? Answer with a number.

### BEGIN SOLUTION
predict_2 = 2.0
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Pair


def of_logits(rng, N, D):
    z, t = 2 * rng.standard_normal((N, D)), rng.uniform(0.05, 0.95, (N, D))
    z[0, 0], z[-1, -1] = 1000, -1000  # p is rounded to 1, and to 0
    return z, t


CASES = [
    Pair("squared_error", "y=N,D t=N,D", constants="t"),
    Pair("crossentropy", of_logits, constants="t"),
]

ANSWERS = {
    "predict_1": "The difference is 2 there; the square has a derivative, and four numbers share "
    "the mean.",
    "predict_2": "Both are slopes by z. That of the squared error has to pass the sigmoid, which "
    "is never steeper than here; how much of the sigmoid's slope is left in the other?",
}


def ratio_at_0():
    z, t = np.zeros((1, 1)), np.ones((1, 1))
    y = sigmoid(z)
    dz = crossentropy_backward(1.0, crossentropy_forward(z, t)[1])
    dy = squared_error_backward(1.0, squared_error_forward(y, t)[1])
    return (dz / (dy * y * (1 - y))).item()


PROOFS = {
    "predict_1": lambda: squared_error_backward(
        1.0,
        squared_error_forward(np.array([[3.0, 1], [0, 2]]), np.array([[1.0, 1], [0, 0]]))[1],
    )[0, 0],
    "predict_2": ratio_at_0,
}

MISTAKES = {
    "squared error: the 2 forgotten": (
        ("dy = dloss * 2 * (y - t) / y.size", "dy = dloss * (y - t) / y.size"),
        "Your dy is half of what it should be: differentiate a square once more.",
    ),
    "squared error: N for N D": (
        ("dy = dloss * 2 * (y - t) / y.size", "dy = dloss * 2 * (y - t) / len(y)"),
        "Your dy is divided by the number of rows. The mean of the loss runs over more than those.",
    ),
    "squared error: the other sign": (
        ("dy = dloss * 2 * (y - t) / y.size", "dy = dloss * 2 * (t - y) / y.size"),
        "Your dy has the other sign: it points to where the loss falls. If y is above t and "
        "grows, does the loss grow?",
    ),
    "squared error: no mean": (
        ("dy = dloss * 2 * (y - t) / y.size", "dy = dloss * 2 * (y - t)"),
        "Your dy is the gradient of a sum. The loss is a mean, also in the backward.",
    ),
    "squared error: a sum over each row": (
        ("loss = np.mean((y - t) ** 2)", "loss = np.sum((y - t) ** 2) / len(y)"),
        "Your loss of each row is a sum over its D numbers. Here all N D numbers share one mean.",
    ),
    "cross-entropy: log of 0": (
        (
            "loss = np.mean(np.logaddexp(0, z) - t * z)",
            "p = sigmoid(z)\n    loss = -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))",
        ),
        "Your loss is infinite, or no number, where the network is certain: there p is rounded to "
        "0 or 1, and you take the logarithm of 0. Put z into the loss, and take the logarithms on "
        "paper.",
    ),
    "cross-entropy: one half of it": (
        ("np.logaddexp(0, z) - t * z", "t * np.logaddexp(0, -z)"),
        "Your loss is -t log p alone. Then an answer of 1 everywhere would cost nothing, also "
        "where the target is 0.",
    ),
    "cross-entropy: slope twice": (
        (
            "dz = dloss * (sigmoid(z) - t) / z.size",
            "p = sigmoid(z)\n    dz = dloss * (p - t) * p * (1 - p) / z.size",
        ),
        "Your dz has a factor p (1 - p). The derivative by p is a fraction; what becomes of the "
        "two, when they are multiplied?",
    ),
    "cross-entropy: by p instead of z": (
        (
            "dz = dloss * (sigmoid(z) - t) / z.size",
            "p = sigmoid(z)\n    dz = dloss * (p - t) / (p * (1 - p)) / z.size",
        ),
        "This is the derivative by p, and it divides by 0 where p is rounded. From p to z there "
        "is one more factor.",
    ),
    "cross-entropy: N for N D": (
        ("dz = dloss * (sigmoid(z) - t) / z.size", "dz = dloss * (sigmoid(z) - t) / len(z)"),
        "Your dz is divided by the number of rows. The mean of the loss runs over all numbers.",
    ),
}
### END LECTURER
