"""
Exercise 2: a gradient by differences
=====================================

How does f(x) change with each number of x? Without any calculus: move one number a little to both
sides, and look.

    df/dx_i = (f(x + h e_i) - f(x - h e_i)) / (2 h)

Here e_i is 0 everywhere and 1 at place i: one number moves, the others stay. It takes two calls of
f for each number, so it is far too slow for learning. But it needs no derivation: it is the witness
by which derivations are checked, in all exercises that follow.

**On paper first.** Take f(x) = x[0] x[1]^2 at x = (2, 3), with h = 0.1. Compute f at (2.1, 3) and
(1.9, 3), and the difference divided by 2 h; then the same for x[1]. Compare with the derivatives.
Now do it wrongly, and leave x[0] at 1.9 while x[1] is moved. What comes out for x[1]?

Then compare with a difference to one side, (f(x + h e_i) - f(x)) / h, for f(x) = x^2. Expand
(x + h)^2 and (x - h)^2: what is left of h in each of them?

At last, a corner: f(x) = |x| at x = 0. What do the difference to both sides and the difference to
one side say? Is one of them the derivative? The same happens where f is the larger of two numbers
and both are equal: there is nothing to bear witness of, and no h makes it better. And at x = 0.05
with h = 0.1, where there is a derivative?
"""

import numpy as np

# %%
# `f` takes an array of x's shape and returns a number. x may hold integers, and must be the same
# after the call as before; f may look at all of x at once.


def numerical_gradient(f, x, h):
    """f, x of any shape, h a small number -> the gradient of f at x, an array of x's shape."""
    ### BEGIN SOLUTION
    x = np.array(x, dtype=float)  # a copy
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + h
        up = f(x)
        x[i] = kept - h
        gradient[i] = (up - f(x)) / (2 * h)
        x[i] = kept
    ### END SOLUTION
    return gradient


# %%
# **Predict 1.** f(x) = x^2, x = 3, h = 0.1. The difference to both sides is 6, which is exact. What
# is the difference to one side, (f(x + h) - f(x)) / h? Answer with a number.

### BEGIN SOLUTION
predict_1 = 6.1
### END SOLUTION

# %%
# **Predict 2.** The derivative of sin at x = 1 is taken by differences to both sides, with float64
# numbers (16 digits). First h = 0.00001, then h = 0.0000000000001. Does the error become "smaller"
# or "larger"?

### BEGIN SOLUTION
predict_2 = "larger"
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Code, Function

# in each, every derivative depends on the other numbers, too
FUNCTIONS = (
    "lambda x: (x**3).sum() + x.sum() ** 2",
    "lambda x: np.sin(x).sum() * x.sum()",
    "lambda x: np.exp(0.3 * x).prod() + x.sum()",
    "lambda x: np.sqrt(1 + (x**2).sum()) * x.flat[0]",
)


def comes_back(x, h):
    """Whether moving in x itself, to both sides and back, would leave no trace in x."""
    return np.all(((x + h) - 2 * h) + h == x) or np.all((((x + h) - h) - h) + h == x)


def of_numbers(rng, N, D):
    x = rng.standard_normal((N, D))
    while comes_back(x, 1e-4):
        x = rng.standard_normal((N, D))
    return Code(FUNCTIONS[rng.integers(4)]), x, 1e-4


def of_integers(rng, N, D):
    x = rng.integers(1, 4, (N, D)) * rng.choice([-1, 1], (N, D))
    return Code(FUNCTIONS[rng.integers(4)]), x, 1e-4


CASES = [
    Function("numerical_gradient", of_numbers, "gradient", rtol=1e-7, dtype=False),
    Function(
        "numerical_gradient", of_integers, "gradient_at_integers", rtol=1e-7, share=0.5, dtype=False
    ),
]

ANSWERS = {
    "predict_1": "f(3.1) is 9.61. The step is 0.1 long, not 0.2.",
    "predict_2": "sin(1 + h) and sin(1 - h) agree in nearly all of their 16 digits then. How many "
    "are left in their difference, and what does the division by 2 h do to what was rounded?",
}


def error_is():
    errors = [abs(numerical_gradient(np.sin, 1.0, h) - np.cos(1.0)) for h in (1e-5, 1e-13)]
    return "larger" if errors[1] > errors[0] else "smaller"


PROOFS = {
    "predict_1": lambda: (3.1**2 - 3**2) / 0.1,
    "predict_2": error_is,
}


def all_at_once(f, x, h):
    return np.full(np.shape(x), (f(x + h) - f(x - h)) / (2 * h))


MISTAKES = {
    "one side": (
        [
            ("x[i] = kept - h\n        gradient", "x[i] = kept\n        gradient"),
            ("/ (2 * h)", "/ h"),
        ],
        "You move each number to one side only. The error of that is about h, that of both sides "
        "about h squared: here 0.0001 against 0.00000001.",
    ),
    "x not put back": (
        ("\n        x[i] = kept\n", "\n"),
        "When the second number is moved, the first is still where you left it. So all but the "
        "first are derivatives at another point.",
    ),
    "h in the place of 2 h": (
        ("/ (2 * h)", "/ h"),
        "All your numbers are too large, by the same factor. How far apart are the two points?",
    ),
    "integers stay integers": (
        ("x = np.array(x, dtype=float)", "x = np.array(x)"),
        "An array of integers cannot hold x + h: NumPy cuts off what stands behind the point, and "
        "says nothing. What must the copy be an array of?",
    ),
    "all numbers at once": (
        {"numerical_gradient": all_at_once},
        "You move all numbers together, which gives one number: the slope in the direction in "
        "which all of them grow. A gradient has a number for each of them by itself.",
    ),
    "moved in x itself": (
        [
            ("x = np.array(x, dtype=float)", "x = np.asarray(x, dtype=float)"),
            ("x[i] = kept + h", "x[i] += h"),
            ("x[i] = kept - h", "x[i] -= 2 * h"),
            ("\n        x[i] = kept\n", "\n        x[i] += h\n"),
        ],
        "You move numbers in the x that came in. What is added and taken away again does not "
        "always come back to the last digit: look at x before and after the call.",
    ),
}
### END LECTURER
