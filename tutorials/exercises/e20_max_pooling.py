"""
Exercise 20: max pooling
========================

Max pooling cuts an image into windows and keeps the largest number of each. Here the windows are 2
by 2 and lie side by side (the stride is 2), so that y is half as high and half as wide as x.

**On paper first.** One window with the numbers 1, 4, 2, 3. Change each of them a little: which of
the changes does y follow? So where does dy go? Then a window with the numbers 4, 4, 1, 0. The
largest is there twice. A common rule is that the first of them (row by row) gets all of dy, so
that the gradients of a window always add up to its dy. Use that rule.
"""

import numpy as np

# %%
# The forward. Bring each window into a row of four numbers (`reshape` and `transpose` do it), and
# the rest is one line. `cache` is whatever your backward needs.


def max_pool_forward(x):
    """x (N, H, W), H and W even -> y (N, H/2, W/2), cache."""
    ### BEGIN SOLUTION
    n, h, w = x.shape
    windows = x.reshape(n, h // 2, 2, w // 2, 2).transpose(0, 1, 3, 2, 4)
    windows = windows.reshape(n, h // 2, w // 2, 4)
    y = windows.max(axis=-1)
    cache = windows
    ### END SOLUTION
    return y, cache


# %%
# The backward: from `dy`, how the loss changes with y, to `dx`. `argmax` returns the first of
# several that are largest.


def max_pool_backward(dy, cache):
    """dy (N, H/2, W/2), cache -> dx (N, H, W)."""
    ### BEGIN SOLUTION
    windows = cache
    n, h, w = dy.shape
    first = windows.argmax(axis=-1)[..., None] == np.arange(4)
    dwindows = first * dy[..., None]
    dx = dwindows.reshape(n, h, w, 2, 2).transpose(0, 1, 3, 2, 4).reshape(n, 2 * h, 2 * w)
    ### END SOLUTION
    return dx


# %%
# Both in a row, which is what is graded (dx is called "back" there). Nothing is to be written here.


def max_pool(x, dy):
    """x (N, H, W), dy (N, H/2, W/2) -> y (N, H/2, W/2), dx (N, H, W)."""
    y, cache = max_pool_forward(x)
    return y, max_pool_backward(dy, cache)


# %%
# **Predict 1.** x = [[[1, 4], [2, 3]]] and dy = [[[5]]]. What is dx, row by row? Answer with a list
# of four numbers.

### BEGIN SOLUTION
predict_1 = [0.0, 5.0, 0.0, 0.0]
### END SOLUTION

# %%
# **Predict 2.** Each number of dy is 1, and x is one image of 8 by 8. What is the sum of dx?

### BEGIN SOLUTION
predict_2 = 16.0
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Function


def inputs(rng, N, H, W):
    x = rng.standard_normal((N, 2 * H, 2 * W))
    x[:, 0, 0] = x[:, 1, 1] = 5.0  # the largest, twice
    return x, rng.standard_normal((N, H, W))


CASES = [Function("max_pool", inputs, "y back", N=(1, 6), H=(2, 4), W=(2, 4))]

ANSWERS = {
    "predict_1": "Which of the four numbers does y follow, when it changes a little?",
    "predict_2": "How many windows are there, and what does each of them hand on?",
}


PROOFS = {
    "predict_1": lambda: list(
        max_pool(np.array([[[1.0, 4], [2, 3]]]), np.full((1, 1, 1), 5.0))[1].flat
    ),
    "predict_2": lambda: max_pool(np.arange(64.0).reshape(1, 8, 8), np.ones((1, 4, 4)))[1].sum(),
}

MISTAKES = {
    "gradient to all": (
        (
            "first = windows.argmax(axis=-1)[..., None] == np.arange(4)",
            "first = np.ones_like(windows)",
        ),
        "Your dx gives dy to all numbers of a window. Does y change when a smaller one does?",
    ),
    "gradient shared by all": (
        (
            "first = windows.argmax(axis=-1)[..., None] == np.arange(4)",
            "first = np.ones_like(windows) / 4",
        ),
        "Your dx shares dy among the four numbers, as a mean would. What does a maximum do?",
    ),
    "ties twice": (
        (
            "first = windows.argmax(axis=-1)[..., None] == np.arange(4)",
            "first = windows == windows.max(axis=-1, keepdims=True)",
        ),
        "Where the largest number is in a window twice, both get all of your dy. What do the "
        "gradients of this window add up to?",
    ),
    "the last of several": (
        (
            "windows.argmax(axis=-1)[..., None]",
            "(3 - windows[..., ::-1].argmax(axis=-1))[..., None]",
        ),
        "Where the largest number is in a window twice, your dy goes to the last one. Read the "
        "rule of the text again.",
    ),
    "windows in rows": (
        [
            (
                "windows = x.reshape(n, h // 2, 2, w // 2, 2).transpose(0, 1, 3, 2, 4)",
                "windows = x",
            ),
            ("dwindows.reshape(n, h, w, 2, 2).transpose(0, 1, 3, 2, 4)", "dwindows"),
        ],
        "Your windows are four numbers that follow each other in memory. A window of 2 by 2 has "
        "two numbers of one row and two of the next.",
    ),
}
### END LECTURER
