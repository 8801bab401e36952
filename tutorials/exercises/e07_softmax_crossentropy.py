"""
Exercise 7: softmax and cross-entropy, with labels
==================================================

A classifier gives K numbers for each sample, the logits `z` (N, K). Softmax makes probabilities of
them; what a sample loses is the surprise at its own class, and the loss is the mean over the
samples:

    p = softmax(z), row by row
    loss = (-log p[0, labels[0]] - ... - log p[N-1, labels[N-1]]) / N

`labels` (N,) are integers, one of 0 ... K-1 for each sample. You write loss and gradient together,
as one function: it is simpler, and more exact, than two.

**On paper first.** One sample of three classes, with label 1. Write log p_1 with z_0, z_1, z_2: the
logarithm of a fraction is a difference. Differentiate -log p_1 by z_0, by z_1, and by z_2. In each
of the three you find a p again; write them as one formula for all k. Check it with z = (0, 0, 0):
the three sum to 0. Why must they, if adding the same number to all z changes no p?

Then two samples: by what is each divided? And what is log p_1, if z = (1000, 0, 0)? (Not log 0: use
the difference, after taking the largest z from all of them.)
"""

import numpy as np

# %%
# The forward. `z[np.arange(N), labels]` is (N,): of row n, the number at labels[n].


def crossentropy_forward(z, labels):
    """z (N, K), labels (N,) integers -> loss, a number, and cache."""
    ### BEGIN SOLUTION
    rows = np.arange(len(z))
    shifted = z - np.max(z, axis=1, keepdims=True)
    log_p = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    loss = -np.mean(log_p[rows, labels])
    cache = np.exp(log_p), rows, labels
    ### END SOLUTION
    return loss, cache


# %%
# The backward. `dloss` is a number: how what comes after the loss changes with it (1, if nothing
# does).


def crossentropy_backward(dloss, cache):
    """dloss, cache -> dz (N, K)."""
    ### BEGIN SOLUTION
    p, rows, labels = cache
    dz = p.copy()
    dz[rows, labels] -= 1
    dz = dz * dloss / len(p)
    ### END SOLUTION
    return dz


# %%
# **Predict 1.** A new classifier of ten classes has logits that are all 0. What is its loss,
# whatever the labels are? Answer with a number, to four digits.

### BEGIN SOLUTION
predict_1 = 2.3026
### END SOLUTION

# %%
# **Predict 2.** Two samples, two classes. The first row of z is (0, log 3), its label is 0; dloss
# is 1. What is dz[0, 0]? Answer with a number.

### BEGIN SOLUTION
predict_2 = -0.375
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Pair


def inputs(rng, N, K):
    z = 2 * rng.standard_normal((N, K))
    labels = rng.integers(0, K, N)
    z[0, labels[0]] -= 1000  # certain and wrong: p is rounded to 0
    z[-1] += 1000  # exp overflows
    return z, labels


CASES = [Pair("crossentropy", inputs)]

ANSWERS = {
    "predict_1": "All ten classes have the same probability. The loss is -log of that of the "
    "label.",
    "predict_2": "p is (1/4, 3/4) in this row. Class 0 is the label; and the loss is a mean over "
    "two.",
}

PROOFS = {
    "predict_1": lambda: crossentropy_forward(np.zeros((4, 10)), np.array([3, 1, 4, 1]))[0],
    "predict_2": lambda: crossentropy_backward(
        1.0, crossentropy_forward(np.array([[0, np.log(3)], [2, 5]]), np.array([0, 1]))[1]
    )[0, 0],
}

MISTAKES = {
    "log of a p that is 0": (
        ("np.mean(log_p[rows, labels])", "np.mean(np.log(np.exp(log_p)[rows, labels]))"),
        "Your loss is infinite where the classifier is certain and wrong: p is rounded to 0 "
        "there, and you take its logarithm. On paper, log and exp cancel before anything is "
        "rounded.",
    ),
    "exp of large numbers": (
        ("z - np.max(z, axis=1, keepdims=True)", "z.copy()"),
        "Your loss is no number (nan, or infinite) where z is large, for exp of it is infinite. "
        "You may take a number from all z of a row without changing p.",
    ),
    "all rows, all labels, in the loss": (
        ("loss = -np.mean(log_p[rows, labels])", "loss = -np.mean(log_p[:, labels])"),
        "`[:, labels]` is a matrix (N, N): of every row the columns of all labels. Of row n you "
        "want one number, at labels[n].",
    ),
    "a sum in the place of the mean": (
        ("loss = -np.mean(log_p[rows, labels])", "loss = -np.sum(log_p[rows, labels])"),
        "Your loss grows with the batch. It is a mean over the samples here.",
    ),
    "1/N forgotten": (
        ("dz = dz * dloss / len(p)", "dz = dz * dloss"),
        "Your dz is the gradient of a sum over the samples. The loss is their mean.",
    ),
    "divided by all numbers": (
        ("dz = dz * dloss / len(p)", "dz = dz * dloss / p.size"),
        "You divide by the number of numbers in z. The mean runs over the samples only.",
    ),
    "minus one forgotten": (
        ("    dz[rows, labels] -= 1\n", ""),
        "Your dz is p alone: it would make every logit smaller, that of the label, too. At the "
        "label something is missing.",
    ),
    "all rows, all labels, in dz": (
        ("dz[rows, labels] -= 1", "dz[:, labels] -= 1"),
        "`[:, labels]` means these columns in every row. In row n, only the column labels[n] is "
        "meant.",
    ),
    "the other sign": (
        ("dz = dz * dloss / len(p)", "dz = -dz * dloss / len(p)"),
        "Your dz has the other sign. When the logit of the right class grows, does the loss grow?",
    ),
    "dloss forgotten": (
        ("dz = dz * dloss / len(p)", "dz = dz / len(p)"),
        "Your dz is the same whatever dloss is. The chain rule multiplies by it.",
    ),
}
### END LECTURER
