"""
Exercise 13: Adam
=================

Adam gives each weight a step of its own. It smooths the gradient, and the gradient's square, and
divides the one by the root of the other. For t = 1, 2, 3, ..., with the gradient g of that step:

    m <- b1 m + (1 - b1) g
    v <- b2 v + (1 - b2) g^2
    w <- w - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)

m and v begin at 0, so at first they are too small; the divisions by 1 - b1^t and 1 - b2^t mend
that. They are for the step alone: m and v themselves are remembered as they are. (Kingma and Ba
2015, "Adam: a method for stochastic optimization", algorithm 1.)

**On paper first.** One weight, b1 = 0.9, b2 = 0.99, epsilon = 0, lr = 0.1, and g = 5 in the first
step. Compute m, v, and the step. Again with g = 0.001. What does the first step not depend on? Now
the same two without the divisions by 1 - b1^t and 1 - b2^t: how long is the first step then?

What would the first division do if the steps were counted from t = 0?
"""

import numpy as np

# %%
# All steps at once: row t of `gradients` is the gradient of step t. (In a real training the
# gradient of the second step is only known after the first; here they are given.) What came in
# stays as it was.


def adam(w, gradients, learning_rate, beta_1, beta_2, epsilon):
    """w (P,), gradients (T, P) -> w, m, v (P,) after T steps."""
    ### BEGIN SOLUTION
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        a, b = m / (1 - beta_1**t), v / (1 - beta_2**t)
        w = w - learning_rate * a / (np.sqrt(b) + epsilon)
    ### END SOLUTION
    return w, m, v


# %%
# **Predict 1.** Two weights, w = (1, 1); the first gradient is (0.001, -500); lr = 0.1, epsilon is
# next to nothing. Where is w after one step? Answer with a list of two numbers.

### BEGIN SOLUTION
predict_1 = [0.9, 1.1]
### END SOLUTION

# %%
# **Predict 2.** b1 = 0.9, b2 = 0.999, epsilon is next to nothing. Somebody leaves out both
# divisions by 1 - b^t. How many times as long as it should be is the first step? Answer with a
# number, to four digits.

### BEGIN SOLUTION
predict_2 = 3.162
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Function


def inputs(rng, T, P):
    gradients = 0.2 * rng.standard_normal((T, P))
    return rng.standard_normal(P), gradients, 0.1, 0.9, 0.98, 0.03


CASES = [Function("adam", inputs, "w m v", T=(3, 6))]

ANSWERS = {
    "predict_1": "After one step m / (1 - b1) is g, and v / (1 - b2) is its square. What is g "
    "divided by the root of its square?",
    "predict_2": "m is a tenth of g then, and v a thousandth of g squared. The root of v is what "
    "counts.",
}


def first_step_without_correction():
    m, v = 0.1 * 5.0, 0.001 * 5.0**2
    return m / np.sqrt(v) / (1.0 - adam(np.ones(1), np.full((1, 1), 5.0), 1.0, 0.9, 0.999, 0)[0][0])


PROOFS = {
    "predict_1": lambda: adam(np.ones(2), np.array([[0.001, -500]]), 0.1, 0.9, 0.999, 1e-12)[0],
    "predict_2": first_step_without_correction,
}

MISTAKES = {
    "no correction": (
        ("a, b = m / (1 - beta_1**t), v / (1 - beta_2**t)", "a, b = m, v"),
        "Your steps are right in the long run and wrong at first: m and v begin at 0, and nothing "
        "mends that.",
    ),
    "m corrected, v not": (
        ("a, b = m / (1 - beta_1**t), v / (1 - beta_2**t)", "a, b = m / (1 - beta_1**t), v"),
        "Your m is corrected for its beginning at 0, your v is not.",
    ),
    "counted from 0": (
        ("enumerate(gradients, 1)", "enumerate(gradients)"),
        "Your w is no number after the first step: with t = 0, 1 - b^t is 0. What does Python "
        "begin to count with?",
    ),
    "corrected for good": (
        (
            "a, b = m / (1 - beta_1**t), v / (1 - beta_2**t)",
            "m, v = m / (1 - beta_1**t), v / (1 - beta_2**t)\n        a, b = m, v",
        ),
        "You put the corrected m and v in the place of those that are remembered. In the next "
        "step they are corrected again.",
    ),
    "corrected as in the first step": (
        ("(1 - beta_1**t), v / (1 - beta_2**t)", "(1 - beta_1), v / (1 - beta_2)"),
        "You divide as if every step were the first. How much is still missing from m after many "
        "steps?",
    ),
    "epsilon under the root": (
        ("np.sqrt(b) + epsilon", "np.sqrt(b + epsilon)"),
        "Your epsilon stands under the root, where it weighs much more: the root of a small "
        "number is a larger one.",
    ),
    "epsilon before the correction": (
        (
            "a / (np.sqrt(b) + epsilon)",
            "a * np.sqrt(1 - beta_2**t) / (np.sqrt(v) + epsilon)",
        ),
        "Some libraries have it so: both corrections are moved into the learning rate. Then "
        "epsilon is added to the root of the v that is not corrected yet. Here the correction "
        "comes first.",
    ),
    "epsilon forgotten": (
        ("np.sqrt(b) + epsilon", "np.sqrt(b)"),
        "Your steps know no epsilon. A weight whose gradient is always 0 is then moved by 0 / 0.",
    ),
    "v of the gradient": (
        ("(1 - beta_2) * g**2", "(1 - beta_2) * g"),
        "Your v smooths the gradient, as m does, with the other factor. Its root fails where that "
        "is negative. v is about the size of gradients, whatever their sign.",
    ),
    "no root": (
        ("np.sqrt(b) + epsilon", "b + epsilon"),
        "You divide by v itself. If all gradients were ten times as large, m would be ten times "
        "as large, v a hundred times; what should the step be?",
    ),
    "m not smoothed": (
        ("m = beta_1 * m + (1 - beta_1) * g", "m = beta_1 * m + g"),
        "Your m adds up gradients, as a velocity does. A running mean weights the old by b1; by "
        "what the new?",
    ),
    "the betas exchanged": (
        [
            ("m = beta_1 * m + (1 - beta_1) * g", "m = beta_2 * m + (1 - beta_2) * g"),
            ("v = beta_2 * v + (1 - beta_2) * g**2", "v = beta_1 * v + (1 - beta_1) * g**2"),
        ],
        "Your m is smoothed by b2, your v by b1. It is the other way round.",
    ),
    "w itself is changed": (
        ("w = w - learning_rate", "w -= learning_rate"),
        "You write into the w that came in: `w -= ...` changes the array that others hold, too.",
    ),
}
### END LECTURER
