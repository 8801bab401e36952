"""
Exercise 19: a convolution
==========================

A convolution lays a small kernel on every place of an image, multiplies what lies on each other,
and adds it up. With one image x (H, W) and a kernel k (K, K), after a border of `pad` zeros was
laid around the image:

    y[i, j] = sum over a, b of  k[a, b] * padded[i + a, j + b]

The kernel is not turned. It moves by one place at a time, and y has a number for each place where
it lies wholly in the padded image.

**On paper first.** In one dimension: x = [x0, x1, x2], k = [k0, k1], no border. Write down y0 and
y1. Which of them does x1 take part in, and with which numbers of k? So what is dx1, given dy0 and
dy1? And which pairs of x and dy add to the gradient of k0? With a border of one zero on each side:
which gradients belong to no pixel of x?
"""

import numpy as np

# %%
# The forward. A loop over the K x K numbers of the kernel is enough: each meets a piece of the
# padded image that is as large as y. `cache` is whatever your backward needs.


def conv_forward(x, k, pad):
    """x (H, W), k (K, K), pad an integer -> y (H + 2 pad - K + 1, W + 2 pad - K + 1), cache."""
    ### BEGIN SOLUTION
    padded = np.pad(x, pad)
    size = len(k)
    height, width = padded.shape[0] - size + 1, padded.shape[1] - size + 1
    y = np.zeros((height, width), x.dtype)
    for a in range(size):
        for b in range(size):
            y += k[a, b] * padded[a : a + height, b : b + width]
    cache = padded, k, pad
    ### END SOLUTION
    return y, cache


# %%
# The backward: from `dy`, how the loss changes with y, to how it changes with x and with k. The
# same loop does.


def conv_backward(dy, cache):
    """dy like y, cache -> dx (H, W), dk (K, K)."""
    ### BEGIN SOLUTION
    padded, k, pad = cache
    height, width = dy.shape
    dpadded, dk = np.zeros_like(padded), np.zeros_like(k)
    for a in range(len(k)):
        for b in range(len(k)):
            dpadded[a : a + height, b : b + width] += k[a, b] * dy
            dk[a, b] = (padded[a : a + height, b : b + width] * dy).sum()
    dx = dpadded[pad : padded.shape[0] - pad, pad : padded.shape[1] - pad].copy()
    ### END SOLUTION
    return dx, dk


# %%
# **Predict 1.** x is 5 by 5, each number of k (3 by 3) and of dy is 1, pad is 0. What is dx[2, 2],
# in the middle of the image?

### BEGIN SOLUTION
predict_1 = 9.0
### END SOLUTION

# %%
# **Predict 2.** The same, but what is dx[0, 0], in the corner?

### BEGIN SOLUTION
predict_2 = 1.0
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Pair


def inputs(rng, H, W):
    return rng.standard_normal((H, W)), rng.standard_normal((3, 3)), 1


CASES = [Pair("conv", inputs, H=(4, 7), W=(4, 7))]

POINTS = {"forward": 20, "gradients": 60, "laws": 10, "predictions": 10}

ANSWERS = {
    "predict_1": "In how many places of the kernel does the pixel in the middle lie under it?",
    "predict_2": "How many places of the kernel reach the corner?",
}


def ones_everywhere():
    cache = conv_forward(np.ones((5, 5)), np.ones((3, 3)), 0)[1]
    return conv_backward(np.ones((3, 3)), cache)[0]


PROOFS = {
    "predict_1": lambda: ones_everywhere()[2, 2],
    "predict_2": lambda: ones_everywhere()[0, 0],
}

MISTAKES = {
    "overlaps overwritten": (
        ("dpadded[a : a + height, b : b + width] +=", "dpadded[a : a + height, b : b + width] ="),
        "A pixel lies under the kernel several times. In your dx the last time overwrites the "
        "others.",
    ),
    "kernel turned": (
        ("y += k[a, b] * padded", "y += k[-1 - a, -1 - b] * padded"),
        "Your forward turns the kernel by half a turn. Compare the formula of the text: which "
        "number of k meets the pixel that lies first?",
    ),
    "kernel not turned on the way back": (
        ("+= k[a, b] * dy", "+= k[-1 - a, -1 - b] * dy"),
        "Your dx meets the numbers of the kernel in the opposite order. Look at x1 of the small "
        "case: which of dy0 and dy1 comes with k0?",
    ),
    "padding not cut": (
        (
            "dx = dpadded[pad : padded.shape[0] - pad, pad : padded.shape[1] - pad].copy()",
            "dx = dpadded",
        ),
        "Your dx is as large as the padded image. Which of its numbers belong to a pixel of x?",
    ),
    "padding cut on one side": (
        (
            "dx = dpadded[pad : padded.shape[0] - pad, pad : padded.shape[1] - pad].copy()",
            "dx = dpadded[: padded.shape[0] - 2 * pad, : padded.shape[1] - 2 * pad].copy()",
        ),
        "Your dx has the right size, and is moved: the border was laid on all sides.",
    ),
    "dk is a mean": (
        ("* dy).sum()", "* dy).mean()"),
        "Your dk is a mean over the places. The kernel was used in each of them.",
    ),
}
### END LECTURER
