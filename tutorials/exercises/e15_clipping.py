"""
Exercise 15: clipping by the global norm
========================================

Now and then a gradient is huge, and one step ruins what a thousand have learned. So its length is
limited. A model has several gradients, one array for each of its weights. Laid one behind the
other they are one long vector, and its length is the global norm:

    norm = the root of the sum of all squares, over all numbers of all arrays

If it is greater than `max_norm`, all numbers are multiplied by the same factor, so that the norm
becomes max_norm. If not, nothing changes.

**On paper first.** Two arrays, [3] and [4]. What is the global norm? max_norm is 1: what becomes of
the arrays? With max_norm = 10? Find one formula for the factor that is right in both cases, and
also when all gradients are 0: nothing may be divided by 0.

Then clip each array by itself, to 1. The step goes in the direction (3, 4) before. And afterwards?
"""

import numpy as np

# %%
# `gradients` is a list of arrays of any shapes. The result is a new list of new arrays, also where
# nothing is to be changed, and the norm before clipping.


def clip_by_global_norm(gradients, max_norm):
    """A list of arrays, a number -> the list of clipped arrays, the global norm before."""
    ### BEGIN SOLUTION
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
    factor = max_norm / max(norm, max_norm)
    clipped = [factor * g for g in gradients]
    ### END SOLUTION
    return clipped, norm


# %%
# **Predict 1.** The gradients are [[3]] and [4, 0], and max_norm is 2. What does [[3]] become?
# Answer with a number.

### BEGIN SOLUTION
predict_1 = 1.2
### END SOLUTION

# %%
# **Predict 2.** Gradient descent clips the gradients in one of two ways: all by the "global" norm,
# or each array by its own. Which of them never changes the direction of the whole step? Answer
# "global", "own", "both" or "none".

### BEGIN SOLUTION
predict_2 = "global"
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Function


def inputs(rng, D, M):
    shapes = (D, M), (M,), (M, 2), (2,)
    return ([4 * rng.standard_normal(shape) for shape in shapes],)


def nothing(rng, D):
    return ([np.zeros((D, 2)), np.zeros(2)],)


# by turns far above the limit and below it; 1e-5, for some add 1e-6 to the norm
CASES = [
    Function(
        "clip_by_global_norm",
        inputs,
        "clipped norm",
        options=({"max_norm": 1.5}, {"max_norm": 80.0}),
        rtol=1e-5,
        share=3,
    ),
    Function(
        "clip_by_global_norm",
        nothing,
        "clipped_zeros norm_of_zeros",
        options=({"max_norm": 1.5},),
        rtol=1e-5,
    ),
]

ANSWERS = {
    "predict_1": "The global norm is 5, and it has to become 2.",
    "predict_2": "A direction stays if all numbers are multiplied by the same factor.",
}


def keeps_direction():
    a, b = np.array([3.0]), np.array([0.4])

    def stays(clipped):
        return np.isclose(clipped[0][0] / clipped[1][0], a[0] / b[0])

    own = [clip_by_global_norm([g], 1.0)[0][0] for g in (a, b)]
    ways = {"global": stays(clip_by_global_norm([a, b], 1.0)[0]), "own": stays(own)}
    kept = [name for name, way in ways.items() if way]
    return kept[0] if len(kept) == 1 else ("both" if kept else "none")


def first_of_two():
    gradients = [np.full((1, 1), 3.0), np.array([4.0, 0])]
    return clip_by_global_norm(gradients, 2.0)[0][0].item()


PROOFS = {"predict_1": first_of_two, "predict_2": keeps_direction}

NORM = "norm = np.sqrt(sum(np.sum(g**2) for g in gradients))"
FACTOR = "factor = max_norm / max(norm, max_norm)"
CLIPPED = "clipped = [factor * g for g in gradients]"


def each_by_itself(gradients, max_norm):
    norms = [np.sqrt(np.sum(g**2)) for g in gradients]
    clipped = [g * (max_norm / max(n, max_norm)) for g, n in zip(gradients, norms, strict=True)]
    return clipped, np.sqrt(sum(n**2 for n in norms))


MISTAKES = {
    "each array by itself": (
        {"clip_by_global_norm": each_by_itself},
        "You clip each array by its own norm, so large arrays are shortened and small ones are "
        "not: the step gets another direction. One factor is for all.",
    ),
    "short gradients made longer": (
        (FACTOR, "factor = max_norm / norm if norm > 0 else 1"),
        "Where the norm is below max_norm, you make the gradients longer. Clipping only shortens.",
    ),
    "divided by 0": (
        (CLIPPED, "clipped = [g / norm * min(norm, max_norm) for g in gradients]"),
        "Where all gradients are 0, your result is no number: 0 is divided by 0.",
    ),
    "the square of the norm": (
        (NORM, "norm = sum(np.sum(g**2) for g in gradients)"),
        "Your norm is the square of a length.",
    ),
    "a sum of norms": (
        (NORM, "norm = sum(np.sqrt(np.sum(g**2)) for g in gradients)"),
        "You add the norms of the arrays. The length of (3, 4) is not 7.",
    ),
    "a norm of absolute values": (
        (NORM, "norm = sum(np.sum(np.abs(g)) for g in gradients)"),
        "Your norm adds absolute values. A length is the root of a sum of squares.",
    ),
    "number by number": (
        (CLIPPED, "clipped = [np.clip(g, -max_norm, max_norm) for g in gradients]"),
        "You limit each number by itself, so the large ones are shortened and the small ones are "
        "not: the step gets another direction. And its length may still be more than max_norm.",
    ),
    "divided by the norm alone": (
        (FACTOR, "factor = 1 / max(norm, 1e-300)"),
        "Your clipped gradients have the length 1, whatever max_norm is, and whatever it was "
        "before.",
    ),
    "the norm afterwards": (
        (CLIPPED, CLIPPED + "\n    norm = factor * norm"),
        "You return the norm after clipping. The norm before says whether something goes wrong.",
    ),
    "the arrays that came in": (
        (CLIPPED, "clipped = gradients if norm <= max_norm else [factor * g for g in gradients]"),
        "Where nothing is to be clipped, you return the arrays that came in. Whoever then changes "
        "the result changes the gradients, too: sometimes, and sometimes not.",
    ),
    "clipped where they lie": (
        (CLIPPED, "clipped = gradients\n    for g in gradients:\n        g *= factor"),
        "You multiply the arrays that came in. `g *= ...` changes what others hold, too.",
    ),
}
### END LECTURER
