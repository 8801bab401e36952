"""
Exercise 3: one neuron, one step
================================

A neuron weighs D numbers, adds a bias and answers with a number between 0 and 1:

    z = w[0] x[0] + ... + w[D-1] x[D-1] + b
    y = sigmoid(z)

It should have said t, which is 0 or 1. What it loses is the cross-entropy,

    loss = -(t log y + (1 - t) log(1 - y))

You write the loss with its gradient, and the step by which the neuron learns. There is one sample
here, no batch: `x` and `w` are (D,), `b` and `t` are numbers.

**On paper first.** Take D = 2, w = (1, -2), b = 0, x = (2, 1), t = 1. Compute z, y and the loss.
Then go back: dloss/dy, times dy/dz, is dz. Do it once more with letters, and simplify until neither
a fraction nor a product with (1 - y) is left; check it with your numbers. When w[0] grows by 1, z
grows by x[0]: what is dw? What is db?

Then put y = 1 / (1 + exp(-z)) into the loss and simplify it, too. With t = 0 it is log(1 + exp(z));
what does t = 1 take away from that? `np.logaddexp(0, z)` computes log(exp(0) + exp(z)) for any z.
"""

import numpy as np

# %%
# The sigmoid is given. It is exercise 1 in other words: (1 + tanh(z / 2)) / 2, which never
# overflows.


def sigmoid(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


# %%
# The loss and its gradient. A neuron that is certain and wrong (z = 1000 and t = 0) loses 1000, not
# infinity.


def neuron(w, b, x, t):
    """w (D,), b, x (D,), t -> loss, dw (D,), db."""
    ### BEGIN SOLUTION
    z = w @ x + b
    loss = np.logaddexp(0, z) - t * z
    dz = sigmoid(z) - t
    dw = dz * x
    db = dz
    ### END SOLUTION
    return loss, dw, db


# %%
# One step of gradient descent. It returns new weights; those that came in stay as they were.


def step(w, b, dw, db, learning_rate):
    """w (D,), b, their gradients, the learning rate -> new w (D,), new b."""
    ### BEGIN SOLUTION
    new_w = w - learning_rate * dw
    new_b = b - learning_rate * db
    ### END SOLUTION
    return new_w, new_b


# %%
# **Predict 1.** w = (1, -2), b = 0, x = (2, 1), t = 1, and the learning rate is 0.4. What is w[0]
# after one step? Answer with a number.

### BEGIN SOLUTION
predict_1 = 1.4
### END SOLUTION

# %%
# **Predict 2.** The same neuron sees the same sample again, after this step. What is z now? Answer
# with a number.

### BEGIN SOLUTION
predict_2 = 1.2
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Function


def usual(rng, D):
    w, x = rng.standard_normal(D), rng.standard_normal(D)
    return w, float(rng.standard_normal()), x, float(rng.integers(2))


def certain(rng, D):
    """Far beyond what exp can do, on the wrong side or on the right one."""
    x = rng.standard_normal(D)
    w = rng.choice([-1, 1]) * 1000 * x / (x @ x)
    return w, float(rng.standard_normal()), x, float(w @ x < 0)


def gradients(rng, D):
    w, dw = rng.standard_normal(D), rng.standard_normal(D)
    return w, float(rng.standard_normal()), dw, float(rng.standard_normal()), 0.3


CASES = [
    Function("neuron", usual, "loss dw db", share=2),
    Function("neuron", certain, "loss_when_certain dw db"),
    Function("step", gradients, "new_w new_b"),
]

POINTS = {"forward": 40, "gradients": 40, "laws": 10, "predictions": 10}

ANSWERS = {
    "predict_1": "z is 0, so y is known without a calculator. The neuron should say more; which "
    "way must w[0] go, when x[0] is positive?",
    "predict_2": "Both weights and the bias have moved, each by 0.4 times what it adds to z.",
}


def after_a_step():
    w, b, x = np.array([1.0, -2]), 0.0, np.array([2.0, 1])
    w, b = step(w, b, *neuron(w, b, x, 1.0)[1:], 0.4)
    return w[0], w @ x + b


PROOFS = {
    "predict_1": lambda: after_a_step()[0],
    "predict_2": lambda: after_a_step()[1],
}

MISTAKES = {
    "log of 0": (
        (
            "loss = np.logaddexp(0, z) - t * z",
            "y = sigmoid(z)\n    loss = -(t * np.log(y) + (1 - t) * np.log(1 - y))",
        ),
        "Your loss is infinite, or no number, where the neuron is certain: there y is rounded to "
        "0 or to 1, and you take the logarithm of 0. Write the loss with z in the place of y.",
    ),
    "dw is t - y": (
        ("dz = sigmoid(z) - t", "dz = t - sigmoid(z)"),
        "Your gradient has the other sign: it says how the loss falls. With t = 1 the loss falls "
        "when z grows; is dz positive or negative then?",
    ),
    "slope twice": (
        ("dz = sigmoid(z) - t", "y = sigmoid(z)\n    dz = (y - t) * y * (1 - y)"),
        "Your dz has y (1 - y) in it. dy/dz is that; but dloss/dy is a fraction. Multiply the two "
        "on paper, and see what becomes of the fraction.",
    ),
    "db with x": (
        ("db = dz", "db = dz * x"),
        "Your db has x in it. How does z change when b grows by 1? And how many biases are there?",
    ),
    "dw with w": (
        ("dw = dz * x", "dw = dz * w"),
        "Your dw has w in it. How much z changes when w[0] grows by 1 depends on what w[0] is "
        "multiplied by.",
    ),
    "uphill": (
        [
            ("new_w = w - learning_rate * dw", "new_w = w + learning_rate * dw"),
            ("new_b = b - learning_rate * db", "new_b = b + learning_rate * db"),
        ],
        "Your step goes along the gradient. That is where the loss grows.",
    ),
    "w itself is changed": (
        ("new_w = w - learning_rate * dw", "w -= learning_rate * dw\n    new_w = w"),
        "Your step writes into the w that came in, so whoever called it has lost the old weights. "
        "`w -= ...` and `w = w - ...` are different things for an array.",
    ),
}
### END LECTURER
