"""
Exercise 5: relu and tanh
=========================

Between two layers stands a function that bends, number by number. Two of them:

    relu:  y = x where x > 0, and 0 elsewhere
    tanh:  y = (exp(x) - exp(-x)) / (exp(x) + exp(-x)), between -1 and 1

You write both, and their backwards: from `dy`, how the loss changes with `y`, to `dx`, how it
changes with `x`. Each y depends on the one x in its own place, so each dx is dy times a slope.

**On paper first.** Draw relu. What is its slope on the left, and on the right? Take x = (-1, 2) and
dy = (3, -4), and write down dx. (At 0 itself it has no slope; say 0.)

For tanh write y = a / b with a = exp(x) - exp(-x), b = exp(x) + exp(-x). Note that da/dx = b and
db/dx = a. The quotient rule gives dy/dx with a and b; express it by y alone. Test it: at x = 0 the
slope is 1, far away it is 0.
"""

import numpy as np

# %%
# relu. The cache may hold what you like. The x that came in must stay as it is.


def relu_forward(x):
    """x (N, D) -> y (N, D), cache."""
    ### BEGIN SOLUTION
    y = np.maximum(x, 0)
    cache = x
    ### END SOLUTION
    return y, cache


def relu_backward(dy, cache):
    """dy (N, D), cache -> dx (N, D)."""
    ### BEGIN SOLUTION
    x = cache
    dx = dy * (x > 0)
    ### END SOLUTION
    return dx


# %%
# tanh. NumPy has it: `np.tanh`.


def tanh_forward(x):
    """x (N, D) -> y (N, D), cache."""
    ### BEGIN SOLUTION
    y = np.tanh(x)
    cache = y
    ### END SOLUTION
    return y, cache


def tanh_backward(dy, cache):
    """dy (N, D), cache -> dx (N, D)."""
    ### BEGIN SOLUTION
    y = cache
    dx = dy * (1 - y**2)
    ### END SOLUTION
    return dx


# %%
# **Predict 1.** x = (-2, 3, -1) goes through relu, and dy = (5, -4, 7) comes back. What is dx?
# Answer with a list of three numbers.

### BEGIN SOLUTION
predict_1 = [0.0, -4.0, 0.0]
### END SOLUTION

# %%
# **Predict 2.** Ten layers of tanh stand in a row. Between two of them a number is added, so that y
# is 0.8 in every layer. dy = 1 comes back to the last. Which of these is nearest to the dx of the
# first: 0.1, 0.01, 0.001 or 0.00001? Answer with one of the four.

### BEGIN SOLUTION
predict_2 = 0.00001
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Pair


def inputs(rng, N, D):
    x = rng.standard_normal((N, D))
    x += 0.1 * np.sign(x)  # not at 0, where relu has no slope
    x[0, 0], x[-1, -1] = -abs(x[0, 0]), abs(x[-1, -1])
    return x


CASES = [Pair("relu", inputs), Pair("tanh", inputs)]

ANSWERS = {
    "predict_1": "Where x is negative, y stays 0 when x moves a little. It is x that decides, not "
    "dy.",
    "predict_2": "One layer multiplies by its slope, 1 - 0.8 squared. Ten of them do it ten times.",
}


def ten_layers():
    dy = 1.0
    for _ in range(10):
        dy = tanh_backward(dy, 0.8)
    return min([0.1, 0.01, 0.001, 0.00001], key=lambda number: abs(dy - number))


PROOFS = {
    "predict_1": lambda: relu_backward(
        np.array([5.0, -4, 7]), relu_forward(np.array([-2.0, 3, -1]))[1]
    ),
    "predict_2": ten_layers,
}


def slope_at_y(dy, y):
    return dy * (1 - np.tanh(y) ** 2)


def relu_in_place(x):
    x[x < 0] = 0
    return x, x.copy()


MISTAKES = {
    "relu without a slope": (
        ("dx = dy * (x > 0)", "dx = dy.copy()"),
        "Your relu lets all of dy through. Where x was negative, y was 0 and would have stayed 0.",
    ),
    "relu asks dy": (
        ("dx = dy * (x > 0)", "dx = np.maximum(dy, 0)"),
        "Your relu lets through what is positive in dy. A gradient may well be negative; what "
        "decides is on which side x was.",
    ),
    "relu multiplies by y": (
        ("dx = dy * (x > 0)", "dx = dy * np.maximum(x, 0)"),
        "Your relu multiplies dy by y. It should by the slope of y: how steep is the line y = x?",
    ),
    "relu in place": (
        {"relu_forward": relu_in_place},
        "Your relu sets numbers of the x that came in to 0, and returns x itself. Somebody else "
        "may need x, another layer, say, that gets the same x.",
    ),
    "tanh without a slope": (
        ("dx = dy * (1 - y**2)", "dx = dy.copy()"),
        "Your tanh lets all of dy through. It is flat far from 0: there hardly anything should "
        "pass.",
    ),
    "tanh's slope at y": (
        {"tanh_backward": slope_at_y},
        "You take tanh of y, which is a tanh already. The slope is wanted at x; y says it as it "
        "is.",
    ),
    "1 - y": (
        ("dx = dy * (1 - y**2)", "dx = dy * (1 - y)"),
        "Your slope of tanh is 1 - y. At y = -1 that is 2, but tanh is flat there, as at y = 1.",
    ),
    "the sigmoid's slope": (
        ("dx = dy * (1 - y**2)", "dx = dy * y * (1 - y)"),
        "This is the slope of the sigmoid. tanh goes from -1 to 1: at x = 0 it has y = 0, and its "
        "slope there is not 0.",
    ),
    "x for y": (
        ("y = np.tanh(x)\n    cache = y", "y = np.tanh(x)\n    cache = x"),
        "Your slope of tanh takes x where it needs y: the cache holds the wrong one of the two.",
    ),
}
### END LECTURER
