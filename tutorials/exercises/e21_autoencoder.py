"""
Exercise 21: an autoencoder, and the best that it can do
========================================================

A linear autoencoder with one matrix: the encoder multiplies by W, the decoder by the same matrix,
transposed. The samples come with their mean taken off, feature by feature:

    c = x minus the mean of each feature        h = c W        c_hat = h W'

    loss = the sum of all squares of c_hat - c, divided by the number of samples

**On paper first.** W is in both halves. Write d = c_hat - c. What of dW comes by way of the
decoder, and what by way of the encoder? For two samples, [1, 0] and [-1, 0], and W with the two
rows 1 and 0: what is h, and what is c_hat?

The best W is known without any training. The singular values of c, the largest first, say how
much there is of each direction: the squares of all of them add up to the squares of c. A code of
M numbers can keep M directions. What is left out, then, and which M will you keep?
"""

import numpy as np

# %%
# The loss and how it changes with W.


def autoencoder_loss(x, W):
    """x (N, D), W (D, M) -> loss (a number), dW (D, M)."""
    ### BEGIN SOLUTION
    c = x - x.mean(axis=0)
    h = c @ W
    d = h @ W.T - c
    loss = (d**2).sum() / len(x)
    dW = 2 * (d.T @ h + c.T @ (d @ W)) / len(x)
    ### END SOLUTION
    return loss, dW


# %%
# The smallest loss that any W (D, M) can have. `np.linalg.svd(c, compute_uv=False)` returns the
# singular values, the largest first.


def smallest_loss(x, M):
    """x (N, D), M (a whole number) -> loss (a number)."""
    ### BEGIN SOLUTION
    c = x - x.mean(axis=0)
    s = np.linalg.svd(c, compute_uv=False)
    loss = (s[M:] ** 2).sum() / len(x)
    ### END SOLUTION
    return loss


# %%
# **Predict 1.** The samples are [1, 0] and [-1, 0], and W has the two rows 0 and 1: it looks in
# the direction in which nothing varies. What is the loss?

### BEGIN SOLUTION
predict_1 = 1.0
### END SOLUTION

# %%
# **Predict 2.** Four samples, whose singular values are 6, 3 and 2. What is the smallest loss of a
# code of one number?

### BEGIN SOLUTION
predict_2 = 3.25
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Function


def inputs(rng, N, D, M):
    return rng.standard_normal((N, D)) + 3, rng.standard_normal((D, M)) / 2


def best(rng, N, D):
    x = rng.standard_normal((N, D)) * np.arange(1, D + 1) + 3
    return x, int(rng.integers(1, D))


CASES = [
    Function("autoencoder_loss", inputs, "loss dW", N=(2, 6)),
    Function("smallest_loss", best, "loss", N=(3, 6), D=(3, 5)),
]

POINTS = {"forward": 40, "gradients": 40, "laws": 10, "predictions": 10}

ANSWERS = {
    "predict_1": "What is h, what comes out, and how far is that from each sample?",
    "predict_2": "Which singular values has such a code to leave out? Mind the squares, and the "
    "number of samples.",
}

PROOFS = {
    "predict_1": lambda: autoencoder_loss(np.array([[1.0, 0], [-1, 0]]), np.array([[0.0], [1]]))[0],
    "predict_2": lambda: (3**2 + 2**2) / 4,
}

MISTAKES = {
    "the decoder forgotten": (
        ("2 * (d.T @ h + c.T @ (d @ W))", "2 * (c.T @ (d @ W))"),
        "Your dW hears of the encoder alone. The decoder uses W, too.",
    ),
    "the encoder forgotten": (
        ("2 * (d.T @ h + c.T @ (d @ W))", "2 * (d.T @ h)"),
        "Your dW hears of the decoder alone, as if it had a W of its own. The encoder uses it, "
        "too.",
    ),
    "mean not removed": (
        ("    c = x - x.mean(axis=0)\n    h = c @ W", "    c = x\n    h = c @ W"),
        "Your autoencoder is given x as it is. What is taken off it first?",
    ),
    "mean of each sample": (
        (
            "    c = x - x.mean(axis=0)\n    h = c @ W",
            "    c = x - x.mean(axis=1, keepdims=True)\n    h = c @ W",
        ),
        "You take off the mean of each sample. The text says of each feature.",
    ),
    "code not linear": (
        ("h = c @ W", "h = np.maximum(c @ W, 0)"),
        "Your code is cut off at 0. In a linear autoencoder nothing bends.",
    ),
    "mean over all numbers": (
        [
            ("loss = (d**2).sum() / len(x)", "loss = (d**2).mean()"),
            ("(d @ W)) / len(x)", "(d @ W)) / x.size"),
        ],
        "Your loss is divided by the number of all numbers. The text divides by that of samples.",
    ),
    "the 2": (
        ("dW = 2 * (", "dW = ("),
        "A factor is missing in your dW. What is the derivative of a square?",
    ),
    "what is kept": (
        ("(s[M:] ** 2)", "(s[:M] ** 2)"),
        "Your smallest loss adds up what the code keeps. What is lost is the rest.",
    ),
    "not squared": (
        ("(s[M:] ** 2)", "(s[M:])"),
        "Your smallest loss adds up singular values. Squares of numbers add up to their squares.",
    ),
    "mean left in": (
        (
            "    c = x - x.mean(axis=0)\n    s =",
            "    c = x\n    s =",
        ),
        "Your singular values are those of x with its mean. Then the first direction is the "
        "mean's.",
    ),
}
### END LECTURER
