"""
Exercise 17: batch normalization
================================

Batch normalization gives each feature the mean 0 and the variance 1 over the batch, and then a
scale and a shift of its own, which are learned:

    x_hat = (x - mean) / sqrt(var + eps)        y = gamma x_hat + beta

The mean and the variance are taken over the N samples, one of each for each of the D features; the
variance is the mean of the squared deviations. `eps` keeps the root away from 0.

**On paper first.** Take one feature and three samples, x = [a, b, c]. Change a alone. Which of the
three x_hat change? Draw what lies between a and x_hat[0], and between a and x_hat[1]: how many ways
lead from a to each of them?

Let s = sqrt(var + eps). How does the mean change with a? How does var, and then s? (The mean stands
in var, too: what do the deviations from it add up to?) Now the derivative of x_hat[n] by x[m], once
for n = m and once for another n; say it by N, s and the x_hat alone. Test what you found: if a, b
and c all grow by the same, what should happen to x_hat[n], and does your sum over m say so?

At last the loss, which hears every x_hat: write dx[m] as a sum over n, and take out of the sum what
does not depend on n. What is left inside are sums over the batch that are the same for all m.
"""

import numpy as np

# %%
# The forward, as in training: with the statistics of this batch. `cache` is whatever your backward
# needs.


def batch_norm_forward(x, gamma, beta, eps=1e-5):
    """x (N, D), gamma (D,), beta (D,) -> y (N, D), cache."""
    ### BEGIN SOLUTION
    mean = x.mean(axis=0)
    std = np.sqrt(x.var(axis=0) + eps)
    x_hat = (x - mean) / std
    y = gamma * x_hat + beta
    cache = x_hat, gamma, std
    ### END SOLUTION
    return y, cache


# %%
# The backward: from `dy`, how the loss changes with y, to how it changes with each of the three
# that came in. Check it on paper for the sum of dx over the batch: what must it be, if adding the
# same number to all samples changes nothing?


def batch_norm_backward(dy, cache):
    """dy (N, D), cache -> dx (N, D), dgamma (D,), dbeta (D,)."""
    ### BEGIN SOLUTION
    x_hat, gamma, std = cache
    dgamma = (dy * x_hat).sum(axis=0)
    dbeta = dy.sum(axis=0)
    dx_hat = dy * gamma
    through_mean = dx_hat.mean(axis=0)
    through_var = x_hat * (dx_hat * x_hat).mean(axis=0)
    dx = (dx_hat - through_mean - through_var) / std
    ### END SOLUTION
    return dx, dgamma, dbeta


# %%
# **Predict 1.** Every number of x is multiplied by 10 (and eps is so small that it plays no part).
# What becomes of y? Answer "same", "larger" or "smaller".

### BEGIN SOLUTION
predict_1 = "same"
### END SOLUTION

# %%
# **Predict 2.** Each number of dy is 1, each number of gamma is 2, N is 4. What is dx[0, 0]?

### BEGIN SOLUTION
predict_2 = 0.0
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Pair

CASES = [Pair("batch_norm", "x=N,D gamma=D beta=D", N=(3, 6), D=(2, 5))]

POINTS = {"forward": 20, "gradients": 60, "laws": 10, "predictions": 10}

ANSWERS = {
    "predict_1": "What do the mean and the root of the variance become? Divide one by the other.",
    "predict_2": "The loss is the sum of y here. What do the x_hat of a feature add up to?",
}


def same_gradient():
    x = np.array([[1.0], [2], [4], [9]])
    cache = batch_norm_forward(x, np.array([2.0]), np.zeros(1))[1]
    return round(float(batch_norm_backward(np.ones((4, 1)), cache)[0][0, 0]), 9)


def ten_times():
    x = np.array([[1.0], [2], [4], [9]])
    one, ten = (batch_norm_forward(k * x, np.ones(1), np.zeros(1), 1e-12)[0] for k in (1, 10))
    return "same" if np.allclose(one, ten) else "other"


PROOFS = {"predict_1": ten_times, "predict_2": same_gradient}

MISTAKES = {
    "statistics as constants": (
        ("dx = (dx_hat - through_mean - through_var) / std", "dx = dx_hat / std"),
        "Your dx takes the mean and the variance for constants. Both are made of x: a sample moves "
        "them, and they move all samples.",
    ),
    "the mean only": (
        (
            "dx = (dx_hat - through_mean - through_var) / std",
            "dx = (dx_hat - through_mean) / std",
        ),
        "Your dx has the way through the mean, and not the one through the variance.",
    ),
    "the variance only": (
        ("dx = (dx_hat - through_mean - through_var) / std", "dx = (dx_hat - through_var) / std"),
        "Your dx has the way through the variance, and not the one through the mean.",
    ),
    "variance by N - 1": (
        ("x.var(axis=0)", "x.var(axis=0, ddof=1)"),
        "Your variance divides by N - 1. The text says what it is here: a mean.",
    ),
    "statistics over the features": (
        [
            ("mean = x.mean(axis=0)", "mean = x.mean(axis=1, keepdims=True)"),
            ("x.var(axis=0)", "x.var(axis=1, keepdims=True)"),
        ],
        "Your mean and variance belong to a sample and run over its features. Over which axis does "
        "the batch run?",
    ),
    "gamma forgotten in dx": (
        ("dx_hat = dy * gamma", "dx_hat = dy"),
        "Your dx knows nothing of gamma, though x_hat met it on its way to y.",
    ),
    "dgamma without x_hat": (
        ("dgamma = (dy * x_hat).sum(axis=0)", "dgamma = dy.sum(axis=0)"),
        "Your dgamma is the sum of dy, as if gamma were added. What is gamma multiplied by?",
    ),
}
### END LECTURER
