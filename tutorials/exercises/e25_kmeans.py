"""
Exercise 25: k-means, and features made of it
=============================================

K centroids, the rows of C, stand for the samples. A round has two halves: each sample is given to
the centroid that is nearest to it, and each centroid goes to the mean of the samples that it was
given. A centroid that was given none stays where it is.

What was learned so can describe a sample. With z_k, the distance of the sample to centroid k (the
root of the sum of squares, not the sum itself), and m, the mean of its K distances,

    f_k = max(0, m - z_k)

is how much nearer than usual centroid k is; about half of the features are 0.

**On paper first.** The samples are the numbers 0, 1 and 10, the centroids 0 and 4. Make one
round. Can a round make the sum of squared distances larger: in its first half, in its second
half? And what would become of the mean of no samples?
"""

import numpy as np

# %%
# The first half: the number of the nearest centroid of each sample. If two are equally near, it is
# the one with the smaller number.


def assign(x, C):
    """x (N, D), C (K, D) -> labels (N,) of int."""
    ### BEGIN SOLUTION
    labels = ((x[:, None] - C) ** 2).sum(axis=2).argmin(axis=1)
    ### END SOLUTION
    return labels


# %%
# The second half: the new centroids.


def update(x, labels, C):
    """x (N, D), labels (N,) of int, C (K, D) -> new C (K, D)."""
    ### BEGIN SOLUTION
    new = C.copy()
    for k in range(len(C)):
        if (labels == k).any():
            new[k] = x[labels == k].mean(axis=0)
    ### END SOLUTION
    return new


# %%
# The features of samples.


def features(x, C):
    """x (N, D), C (K, D) -> f (N, K)."""
    ### BEGIN SOLUTION
    z = np.sqrt(((x[:, None] - C) ** 2).sum(axis=2))
    f = np.maximum(0, z.mean(axis=1, keepdims=True) - z)
    ### END SOLUTION
    return f


# %%
# For a classifier, the features of samples to train on and to test on are brought to the mean 0 of
# each feature, as far as a test is allowed to know it. `f` are features to train on, `g` those to
# test on.


def centred(f, g):
    """f (N, K), g (M, K) -> f with mean 0 (N, K), g (M, K)."""
    ### BEGIN SOLUTION
    mean = f.mean(axis=0)
    f_centred, g_centred = f - mean, g - mean
    ### END SOLUTION
    return f_centred, g_centred


# %%
# **Predict 1.** The samples are the numbers 0, 1 and 10, the centroids 0 and 4. Where are both
# centroids after one round? Answer with a list of two numbers.

### BEGIN SOLUTION
predict_1 = [0.5, 10.0]
### END SOLUTION

# %%
# **Predict 2.** A sample has the distances 1, 2 and 6 from three centroids. What are its three
# features?

### BEGIN SOLUTION
predict_2 = [2.0, 1.0, 0.0]
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Function


def points(rng, N, D, K):
    return rng.standard_normal((N, D)), rng.standard_normal((K, D)) * 2


def with_an_empty_one(rng, N, D, K):
    labels = rng.integers(0, K - 1, N)  # the last centroid is given none
    return rng.standard_normal((N, D)) + 2, labels, rng.standard_normal((K, D)) * 2 + 5


CASES = [
    Function("assign", points, "labels", K=(3, 5)),
    Function("update", with_an_empty_one, "C", K=(3, 5)),
    Function("features", points, "f", K=(3, 5)),
    Function("centred", "f=N,K g=M,K", "f g", N=(2, 6), M=(2, 5)),
]

ANSWERS = {
    "predict_1": "To which centroid is each of the three nearest? And where is the mean of each "
    "group?",
    "predict_2": "What is the mean of the three distances, and how much less than it is each?",
}

PROOFS = {
    "predict_1": lambda: list(
        update(
            np.array([[0.0], [1], [10]]),
            assign(np.array([[0.0], [1], [10]]), np.array([[0.0], [4]])),
            np.array([[0.0], [4]]),
        ).flat
    ),
    "predict_2": lambda: list(features(np.zeros((1, 1)), np.array([[1.0], [2], [6]])).flat),
}

MISTAKES = {
    "farthest": (
        ("argmin(axis=1)", "argmax(axis=1)"),
        "You give each sample to the centroid that is farthest from it.",
    ),
    "absolute distances": (
        (
            "labels = ((x[:, None] - C) ** 2).sum(axis=2)",
            "labels = np.abs(x[:, None] - C).sum(axis=2)",
        ),
        "Your nearest centroid is nearest by the sum of absolute differences. Which distance "
        "does the mean of a group make small?",
    ),
    "an empty cluster becomes 0": (
        ("new = C.copy()", "new = np.zeros_like(C)"),
        "A centroid that was given no samples went to 0 in your update. What does the text say "
        "of it?",
    ),
    "sum for the mean": (
        ("x[labels == k].mean(axis=0)", "x[labels == k].sum(axis=0)"),
        "Your centroids go to the sum of their samples.",
    ),
    "half way": (
        ("x[labels == k].mean(axis=0)", "(x[labels == k].mean(axis=0) + C[k]) / 2"),
        "Your centroids go half of the way to the mean. That is another method, for batches.",
    ),
    "squared distances": (
        (
            "z = np.sqrt(((x[:, None] - C) ** 2).sum(axis=2))",
            "z = ((x[:, None] - C) ** 2).sum(axis=2)",
        ),
        "Your features are made of squared distances. A far centroid then moves the mean of all.",
    ),
    "mean over the samples": (
        ("z.mean(axis=1, keepdims=True)", "z.mean(axis=0)"),
        "Your m is a mean over the samples. It is that of one sample's own distances.",
    ),
    "not cut off": (
        ("np.maximum(0, z.mean(axis=1, keepdims=True) - z)", "z.mean(axis=1, keepdims=True) - z"),
        "Some of your features are negative. What does the formula do with a centroid that is "
        "farther than usual?",
    ),
    "the other way round": (
        ("z.mean(axis=1, keepdims=True) - z)", "z - z.mean(axis=1, keepdims=True))"),
        "Your features are large for centroids that are far away.",
    ),
    "the test's own mean": (
        ("g - mean", "g - g.mean(axis=0)"),
        "Your test features have a mean of their own taken off. A sample that comes alone would "
        "be 0.",
    ),
    "mean of both": (
        ("mean = f.mean(axis=0)", "mean = np.concatenate([f, g]).mean(axis=0)"),
        "Your mean has seen the samples to test on.",
    ),
}
### END LECTURER
