"""
Exercise 18: layer normalization
================================

Layer normalization gives each *sample* the mean 0 and the variance 1 over its own features:

    x_hat = (x - mean) / sqrt(var + eps)        y = gamma x_hat + beta

There is one mean and one variance for each of the N samples. gamma and beta have a number for each
of the D features. The variance is the mean of the squared deviations.

**On paper first.** Take one sample with two features, x = [a, b], and eps = 0. Compute x_hat for
[1, 3] and for [1, 5]. What does it still know of x? So what must the derivative of x_hat by a be?

Then take D features, and s = sqrt(var + eps). Change x[0] alone: it moves the mean and s, and by
them every x_hat of its sample. How does the mean change with x[0], and how does s? Write down the
derivative of x_hat[0] by x[0], and of x_hat[1] by x[0]. The loss hears all of them: over which
numbers do the sums in dx[0] run? And over which does the sum for gamma[0]?
"""

import numpy as np

# %%
# The forward. `cache` is whatever your backward needs.


def layer_norm_forward(x, gamma, beta, eps=1e-5):
    """x (N, D), gamma (D,), beta (D,) -> y (N, D), cache."""
    ### BEGIN SOLUTION
    mean = x.mean(axis=1, keepdims=True)
    std = np.sqrt(x.var(axis=1, keepdims=True) + eps)
    x_hat = (x - mean) / std
    y = gamma * x_hat + beta
    cache = x_hat, gamma, std
    ### END SOLUTION
    return y, cache


# %%
# The backward: from `dy`, how the loss changes with y, to how it changes with x, gamma and beta.
# Two kinds of sums are in it: some run over a sample, others over the batch.


def layer_norm_backward(dy, cache):
    """dy (N, D), cache -> dx (N, D), dgamma (D,), dbeta (D,)."""
    ### BEGIN SOLUTION
    x_hat, gamma, std = cache
    dgamma = (dy * x_hat).sum(axis=0)
    dbeta = dy.sum(axis=0)
    dx_hat = dy * gamma
    through_mean = dx_hat.mean(axis=1, keepdims=True)
    through_var = x_hat * (dx_hat * x_hat).mean(axis=1, keepdims=True)
    dx = (dx_hat - through_mean - through_var) / std
    ### END SOLUTION
    return dx, dgamma, dbeta


# %%
# **Predict 1.** One sample, x = [[2, 4, 6]], gamma = [1, 1, 1], beta = [0, 5, 0]. What is y[0, 1]?

### BEGIN SOLUTION
predict_1 = 5.0
### END SOLUTION

# %%
# **Predict 2.** A second sample is added to the batch. Does y of the first one change? Answer "yes"
# or "no".

### BEGIN SOLUTION
predict_2 = "no"
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Pair

CASES = [Pair("layer_norm", "x=N,D gamma=D beta=D", N=(1, 6), D=(3, 6))]

POINTS = {"forward": 20, "gradients": 60, "laws": 10, "predictions": 10}

ANSWERS = {
    "predict_1": "Where does 4 stand among 2, 4 and 6? Then add what beta has for this feature.",
    "predict_2": "Whose numbers are the mean and the variance made of?",
}


def with_another():
    x = np.array([[2.0, 4, 7], [1, 0, 5]])
    alone, both = (layer_norm_forward(x[:n], np.ones(3), np.zeros(3))[0][0] for n in (1, 2))
    return "no" if np.array_equal(alone, both) else "yes"


PROOFS = {
    "predict_1": lambda: layer_norm_forward(
        np.array([[2.0, 4, 6]]), np.ones(3), np.array([0.0, 5, 0])
    )[0][0, 1],
    "predict_2": with_another,
}

MISTAKES = {
    "statistics over the batch": (
        [
            ("mean = x.mean(axis=1, keepdims=True)", "mean = x.mean(axis=0)"),
            ("x.var(axis=1, keepdims=True)", "x.var(axis=0)"),
            ("dx_hat.mean(axis=1, keepdims=True)", "dx_hat.mean(axis=0)"),
            ("(dx_hat * x_hat).mean(axis=1, keepdims=True)", "(dx_hat * x_hat).mean(axis=0)"),
        ],
        "You take the statistics over the batch: that is batch normalization. Here each sample has "
        "its own.",
    ),
    "backward over the batch": (
        [
            ("dx_hat.mean(axis=1, keepdims=True)", "dx_hat.mean(axis=0)"),
            ("(dx_hat * x_hat).mean(axis=1, keepdims=True)", "(dx_hat * x_hat).mean(axis=0)"),
        ],
        "The means in your dx run over the batch, though those of your forward run over a sample.",
    ),
    "gamma forgotten in dx": (
        ("dx_hat = dy * gamma", "dx_hat = dy"),
        "Your dx knows nothing of gamma, though x_hat met it on its way to y.",
    ),
    "gamma after the means": (
        [
            ("dx_hat = dy * gamma", "dx_hat = dy"),
            ("through_var) / std", "through_var) / std * gamma"),
        ],
        "Your dx meets gamma last. Each feature has another gamma: which comes first on the way "
        "back, gamma or the normalization?",
    ),
    "dgamma without x_hat": (
        ("dgamma = (dy * x_hat).sum(axis=0)", "dgamma = dy.sum(axis=0)"),
        "Your dgamma is the sum of dy, as if gamma were added. What is gamma multiplied by?",
    ),
    "statistics as constants": (
        ("dx = (dx_hat - through_mean - through_var) / std", "dx = dx_hat / std"),
        "Your dx takes the mean and the variance for constants. Both are made of x.",
    ),
    "the mean only": (
        (
            "dx = (dx_hat - through_mean - through_var) / std",
            "dx = (dx_hat - through_mean) / std",
        ),
        "Your dx has the way through the mean, and not the one through the variance.",
    ),
    "variance by D - 1": (
        ("x.var(axis=1, keepdims=True)", "x.var(axis=1, keepdims=True, ddof=1)"),
        "Your variance divides by D - 1. The text says what it is here: a mean.",
    ),
}
### END LECTURER
