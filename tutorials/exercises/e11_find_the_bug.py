"""
Exercise 11: find the bug
=========================

Below are five backwards that somebody else wrote, with numbered lines. Four of them have one wrong
line each. One has none. You write no backward here: for each of the five you answer with the number
of the wrong line, or with 0 where all lines are right. The forwards are right.

**On paper first.** A wrong line spoils everything that is computed from it. So the gradients that
come out wrong are not yet the answer: the wrong line is the first whose result is wrong although
all that went into it was right. Take four lines: (1) dz = ..., (2) dW from x and dz, (3) db from
dz, (4) dx from dz and W. Which of dW, db and dx are wrong if line (1) is? Which, if line (3) is?

Then measure. `numerical_gradient` is below; with it you find out which of the returned gradients
are wrong. After that, read: each line undoes one operation of the forward.
"""

import numpy as np

# %%
# The witness. f is a function of one array that returns a number. Draw arrays of fitting shapes,
# and take for a loss the sum of dy y; for the second backward:
#
#     rng = np.random.default_rng(0)
#     x, W, V = (rng.standard_normal(shape) for shape in ((5, 3), (3, 4), (4, 3)))
#     y, cache = residual_forward(x, W, V)
#     dy = rng.standard_normal(y.shape)
#     numerical_gradient(lambda W: np.sum(dy * residual_forward(x, W, V)[0]), W)
#
# should be dW of `residual_backward(dy, cache)`, to six digits or so. Where the forward returns a
# loss, that is the number already, and `dloss` is 1.


def numerical_gradient(f, x, h=1e-5):
    x, gradient = np.array(x, dtype=float), np.zeros(np.shape(x))
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + h
        up = f(x)
        x[i] = kept - h
        gradient[i] = (up - f(x)) / (2 * h)
        x[i] = kept
    return gradient


# %%
# Backward 1: a layer of sigmoids, and the squared error. Here the result is a number, and `dloss`,
# too.


def layer_forward(x, W, b, t):
    """x (N, D), W (D, M), b (M,), t (N, M) -> loss, cache."""
    z = x @ W + b
    y = 1 / (1 + np.exp(-z))
    loss = np.mean((y - t) ** 2)
    return loss, (x, W, y, t)


def layer_backward(dloss, cache):
    x, W, y, t = cache
    dy = dloss * 2 * (y - t) / y.size  # (1)
    dz = dy * y * (1 - y)  # (2)
    dW = x.T @ dz  # (3)
    db = np.mean(dz, axis=0)  # (4)
    dx = dz @ W.T  # (5)
    return dx, dW, db


# %%
# Backward 2: a layer of relus whose result is added to x.


def residual_forward(x, W, V):
    """x (N, D), W (D, H), V (H, D) -> y (N, D), cache."""
    a = x @ W
    h = np.maximum(a, 0)
    y = x + h @ V
    return y, (x, W, V, h)


def residual_backward(dy, cache):
    x, W, V, h = cache
    dV = h.T @ dy  # (1)
    dh = dy @ V.T  # (2)
    da = dh * (h > 0)  # (3)
    dW = x.T @ da  # (4)
    dx = da @ W.T  # (5)
    return dx, dW, dV


# %%
# Backward 3: softmax chooses among K rows of V, for each sample its own mixture.


def mixture_forward(x, W, V):
    """x (N, D), W (D, K), V (K, M) -> y (N, M), cache."""
    s = x @ W
    e = np.exp(s - np.max(s, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    y = p @ V
    return y, (x, W, V, p)


def mixture_backward(dy, cache):
    x, W, V, p = cache
    dp = dy @ V.T  # (1)
    ds = p * (dp - np.mean(dp * p, axis=1, keepdims=True))  # (2)
    dV = p.T @ dy  # (3)
    dW = x.T @ ds  # (4)
    dx = ds @ W.T  # (5)
    return dx, dW, dV


# %%
# Backward 4: each row of x is divided by its length, so that only its direction counts.


def direction_forward(x, W):
    """x (N, D), W (D, M) -> y (N, M), cache."""
    r = np.sqrt(np.sum(x**2, axis=1, keepdims=True))
    u = x / r
    y = u @ W
    return y, (x, W, r, u)


def direction_backward(dy, cache):
    x, W, r, u = cache
    dW = u.T @ dy  # (1)
    du = dy @ W.T  # (2)
    dr = -np.sum(du * x, axis=1, keepdims=True) / r**2  # (3)
    dx = du / r + dr * x / r  # (4)
    return dx, dW


# %%
# Backward 5: an autoencoder that uses W twice, and is compared with x itself.


def autoencoder_forward(x, W, b):
    """x (N, D), W (D, M), b (M,) -> loss, cache."""
    z = x @ W + b
    h = np.tanh(z)
    y = h @ W.T
    loss = np.mean((y - x) ** 2)
    return loss, (x, W, h, y)


def autoencoder_backward(dloss, cache):
    x, W, h, y = cache
    dy = dloss * 2 * (y - x) / x.size  # (1)
    dh = dy @ W  # (2)
    dz = dh * (1 - np.tanh(h) ** 2)  # (3)
    dW = x.T @ dz + dy.T @ h  # (4)
    db = np.sum(dz, axis=0)  # (5)
    dx = dz @ W.T - dy  # (6)
    return dx, dW, db


# %%
# Your answers: the number of the wrong line, or 0.

### BEGIN SOLUTION
bug_1 = 4
bug_2 = 5
bug_3 = 2
bug_4 = 0
bug_5 = 3
### END SOLUTION

# %%
# **Predict 1.** The backward of a network of two layers has these lines: (1) dW2 from h and dy, (2)
# dh from dy and W2, (3) dz from dh, (4) dW1 from x and dz, (5) dx from dz and W1. One line is
# wrong. You measure: dx is wrong, dW1 and dW2 are right. Which line is it? Answer with its number.

### BEGIN SOLUTION
predict_1 = 5
### END SOLUTION

# %%
# **Predict 2.** In another network of the same lines, again with one that is wrong, dW1 and dx are
# wrong and dW2 is right. How many of the five lines may be the wrong one? Answer with a number.

### BEGIN SOLUTION
predict_2 = 2
### END SOLUTION

### BEGIN LECTURER
import sys

CASES = []

POINTS = {"predictions": 100}

ANSWERS = {
    "bug_1": "Measure all three gradients. One of them is wrong, so what it was made from is not.",
    "bug_2": "Measure all three gradients. Only one is wrong. How many ways lead from that "
    "argument to y?",
    "bug_3": "Measure: dV is right, dW and dx are wrong. What do these two have in common that dV "
    "has not?",
    "bug_4": "Measure dx and dW before you suspect a line because of how it looks.",
    "bug_5": "Measure: all three gradients are wrong. Look for a line that all three are made "
    "from.",
    "predict_1": "Had dz been wrong, dW1 would be wrong, too.",
    "predict_2": "Try each of the five: if this line is wrong, which gradients are? Measuring "
    "leaves several, and reading decides.",
}


# The backwards as they should be, with the same names in the same lines.


def layer_right(dloss, cache):
    x, W, y, t = cache
    dy = dloss * 2 * (y - t) / y.size
    dz = dy * y * (1 - y)
    dW = x.T @ dz
    db = np.sum(dz, axis=0)
    dx = dz @ W.T
    return dx, dW, db


def residual_right(dy, cache):
    x, W, V, h = cache
    dV = h.T @ dy
    dh = dy @ V.T
    da = dh * (h > 0)
    dW = x.T @ da
    dx = da @ W.T + dy
    return dx, dW, dV


def mixture_right(dy, cache):
    x, W, V, p = cache
    dp = dy @ V.T
    ds = p * (dp - np.sum(dp * p, axis=1, keepdims=True))
    dV = p.T @ dy
    dW = x.T @ ds
    dx = ds @ W.T
    return dx, dW, dV


def autoencoder_right(dloss, cache):
    x, W, h, y = cache
    dy = dloss * 2 * (y - x) / x.size
    dh = dy @ W
    dz = dh * (1 - h**2)
    dW = x.T @ dz + dy.T @ h
    db = np.sum(dz, axis=0)
    dx = dz @ W.T - dy
    return dx, dW, db


def results_by_line(backward, dy, cache):
    """What each line of a backward computes, in the order of the lines."""
    seen = {}

    def at_the_end(frame, event, _):
        if event == "return" and frame.f_code is backward.__code__:
            seen.update(frame.f_locals)

    before = sys.getprofile()
    sys.setprofile(at_the_end)
    try:
        backward(dy, cache)
    finally:
        sys.setprofile(before)
    names = backward.__code__.co_varnames[backward.__code__.co_argcount :]
    return [seen[name] for name in names if name.startswith("d")]


def first_wrong(forward, backward, right, *shapes):
    """The number of the first line that is not as in ``right``, which is measured here."""
    rng = np.random.default_rng(0)
    args = [rng.standard_normal(shape) for shape in shapes]
    y, cache = forward(*args)
    dy = rng.standard_normal(np.shape(y))
    for i, gradient in enumerate(right(dy, cache)):
        numeric = numerical_gradient(
            lambda a, i=i: np.sum(dy * forward(*args[:i], a, *args[i + 1 :])[0]), args[i]
        )
        assert np.allclose(gradient, numeric, rtol=1e-6, atol=1e-8)
    pairs = zip(
        results_by_line(backward, dy, cache), results_by_line(right, dy, cache), strict=True
    )
    wrong = [number for number, (a, b) in enumerate(pairs, 1) if not np.allclose(a, b)]
    return wrong[0] if wrong else 0


# What each line of the two questions is made from.
USES = {"dW2": "", "dh": "", "dz": "dh", "dW1": "dz", "dx": "dz"}


def lines_that_explain(measured):
    """The numbers of the lines that, if they are wrong, make just these gradients wrong."""
    found = []
    for number, line in enumerate(USES, 1):
        wrong = set()
        for name, source in USES.items():
            if name == line or source in wrong:
                wrong.add(name)
        found += [number] if wrong & {"dW1", "dW2", "dx"} == measured else []
    return found


PROOFS = {
    "predict_1": lambda: lines_that_explain({"dx"})[0],
    "predict_2": lambda: len(lines_that_explain({"dW1", "dx"})),
    "bug_1": lambda: first_wrong(
        layer_forward, layer_backward, layer_right, (5, 3), (3, 2), 2, (5, 2)
    ),
    "bug_2": lambda: first_wrong(
        residual_forward, residual_backward, residual_right, (5, 3), (3, 4), (4, 3)
    ),
    "bug_3": lambda: first_wrong(
        mixture_forward, mixture_backward, mixture_right, (5, 3), (3, 4), (4, 2)
    ),
    "bug_4": lambda: first_wrong(
        direction_forward, direction_backward, direction_backward, (5, 3), (3, 2)
    ),
    "bug_5": lambda: first_wrong(
        autoencoder_forward, autoencoder_backward, autoencoder_right, (5, 3), (3, 2), 2
    ),
}

MISTAKES = {
    "1: the 2 is suspected": (
        {"bug_1": 1},
        "Backward 1, line (1): the loss is the mean of all squares, and the derivative of a "
        "square has a 2. The line is right.",
    ),
    "2: the mask is suspected": (
        {"bug_2": 3},
        "Backward 2, line (3): it asks h, not a. But h is positive exactly where a is. The line is "
        "right.",
    ),
    "3: a consequence, dW": (
        {"bug_3": 4},
        "Backward 3: what line (4) returns is wrong. But it is computed as it should be; look at "
        "what went into it.",
    ),
    "3: a consequence, dx": (
        {"bug_3": 5},
        "Backward 3: what line (5) returns is wrong. But it is computed as it should be; look at "
        "what went into it.",
    ),
    "4: the length is suspected": (
        {"bug_4": 3},
        "Backward 4, line (3): u = x / r, and 1 / r has the derivative -1 / r^2; r is one number "
        "for each row, so a row is summed. The line is right.",
    ),
    "4: the two ways are suspected": (
        {"bug_4": 4},
        "Backward 4, line (4): x is used twice, in u and in r, so two parts are added. The "
        "derivative of the square root of a sum of squares is x / r. The line is right.",
    ),
    "5: a consequence, dW": (
        {"bug_5": 4},
        "Backward 5: what line (4) returns is wrong. But it has both ways to W, as it should; "
        "look at what went into it.",
    ),
    "5: x as a target is suspected": (
        {"bug_5": 6},
        "Backward 5, line (6): x is the input and the target, and as a target it is taken from y. "
        "The line adds both parts as it should; look at what went into it.",
    ),
}
### END LECTURER
