"""
Exercise 29: attention
======================

N queries look for what they need among K keys. Each key has a value. A query is compared with all
keys, the comparisons become weights that sum to 1, and what the query gets is the weighted mean of
the values:

    s = q k' / sqrt(D)                       the scores: one for each query and key
    p[n, j] = exp(s[n, j]) / sum of exp(s[n, i]) over all keys i that query n may look at
    y = p v

and p[n, j] is 0 where n may not look at j. (To divide exp by its sum is called softmax.)

q is (N, D), k is (K, D) and k' its transpose, v is (K, M); so s and p are (N, K), and y is (N, M).
`mask` (N, K) is True where a query may look at a key, and every query may look at one at least. A
key that is hidden is as good as not there: the weights are the same as if its column had been
struck out.

**On paper first.** Take one query and two keys, and let v1, v2 be numbers: y = p1 v1 + p2 v2. Write
p1 by s1 and s2. The loss changes by dy y. How does it change with p1? With v1? Now the softmax:
moving s1 moves p1 up and p2 down. Derive dp1/ds1 and dp2/ds1, say them by p1 and p2 alone, and add
up both ways from s1 to the loss. What is left if v1 = v2? Then go on from s1 to the query and to
the first key; the root goes along. At last: a key is used by every query. Over what is its gradient
a sum?

Why the root: if the numbers of q and k are random, with mean 0 and variance 1, what is the variance
of the sum of D products?
"""

import numpy as np

# %%
# The weights. Scores may be in the thousands; take care that exp does not overflow.


def attention_weights(s, mask):
    """s (N, K), mask (N, K) of bool -> p (N, K)."""
    ### BEGIN SOLUTION
    s = np.where(mask, s, -np.inf)
    e = np.exp(s - s.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    ### END SOLUTION
    return p


# %%
# The forward. (`np.sqrt` of an integer is a float64, and turns float32 arrays into such; `D ** 0.5`
# is a number of Python, and does not.) `cache` is whatever your backward needs.


def attention_forward(q, k, v, mask):
    """q (N, D), k (K, D), v (K, M), mask (N, K) of bool -> y (N, M), cache."""
    ### BEGIN SOLUTION
    root = q.shape[1] ** 0.5
    p = attention_weights(q @ k.T / root, mask)
    y = p @ v
    cache = q, k, v, p, root
    ### END SOLUTION
    return y, cache


# %%
# The backward: from `dy`, how the loss changes with y, to how it changes with q, k and v. Does it
# need the mask?


def attention_backward(dy, cache):
    """dy (N, M), cache -> dq (N, D), dk (K, D), dv (K, M)."""
    ### BEGIN SOLUTION
    q, k, v, p, root = cache
    dv = p.T @ dy
    dp = dy @ v.T
    ds = p * (dp - np.sum(dp * p, axis=1, keepdims=True))
    dq = ds @ k / root
    dk = ds.T @ q / root
    ### END SOLUTION
    return dq, dk, dv


# %%
# **Predict 1.** One query, D = 4, three keys, M = 1. The products q k' are 2 log 3, 0 and 50; the
# third key is hidden. The values are 8, 0 and 100. What is y? Answer with a number.

### BEGIN SOLUTION
predict_1 = 6.0
### END SOLUTION

# %%
# **Predict 2.** The same case, and dy is 1. How does the loss change with the first score, s[0, 0]?

### BEGIN SOLUTION
predict_2 = 1.5
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Function, Pair


def masked(rng, N, K):
    """A mask with a key that is hidden and one that is not in every row."""
    mask = rng.random((N, K)) < 0.6
    rows, order = np.arange(N), rng.permuted(np.tile(np.arange(K), (N, 1)), axis=1)
    mask[rows, order[:, 0]], mask[rows, order[:, 1]] = True, False
    return mask


def scores(rng, N, K):
    s = rng.standard_normal((N, K))
    s[0] += 1000  # exp overflows
    s[1:2] -= 1000  # and is 0 in a whole row, if it is measured by the other
    mask = masked(rng, N, K)
    s[-1, ~mask[-1]] += 3000  # as it does, if it is measured by what is hidden
    return s, mask


def inputs(rng, N, D, K, M):
    shapes = (N, D), (K, D), (K, M)
    return *(rng.standard_normal(shape) for shape in shapes), masked(rng, N, K)


CASES = [
    Pair("attention", inputs, K=(3, 5), share=3),
    Function("attention_weights", scores, "p", K=(3, 5)),
]

POINTS = {"forward": 30, "gradients": 50, "laws": 10, "predictions": 10}

ANSWERS = {
    "predict_1": "Divide by the root, and leave out what is hidden: what are exp(log 3) and exp(0) "
    "of their sum?",
    "predict_2": "y lies between the two values that are seen. How much does the weight of the "
    "first grow, and where does that pull y from?",
}


def asked():
    """The ds and the y of the two questions."""
    q, k = np.array([[2.0, 0, 0, 0]]), np.zeros((3, 4))
    k[:, 0] = np.log(3), 0, 25
    v = np.array([[8.0], [0], [100]])
    y, cache = attention_forward(q, k, v, np.array([[True, True, False]]))
    dk = attention_backward(np.ones((1, 1)), cache)[1]
    return y[0, 0], dk[0, 0] / (q[0, 0] / 2)  # s = q k / 2


PROOFS = {"predict_1": lambda: asked()[0], "predict_2": lambda: asked()[1]}

SOFTMAX = """    s = np.where(mask, s, -np.inf)
    e = np.exp(s - s.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
"""

MISTAKES = {
    "the root forgotten": (
        ("root = q.shape[1] ** 0.5", "root = 1"),
        "Your scores are the bare products. With many numbers in a query these grow, and one key "
        "takes all the weight: by what does the text divide?",
    ),
    "D for its root": (
        ("root = q.shape[1] ** 0.5", "root = q.shape[1]"),
        "You divide the scores by D itself. How does the spread of a sum of D products grow?",
    ),
    "the root of another size": (
        ("root = q.shape[1] ** 0.5", "root = v.shape[1] ** 0.5"),
        "You divide by the root of the number of values in a v. How many products are in a score?",
    ),
    "the root forgotten on the way back": (
        [("dq = ds @ k / root", "dq = ds @ k"), ("dk = ds.T @ q / root", "dk = ds.T @ q")],
        "Your forward divides by the root of D, and your backward knows nothing of it.",
    ),
    "softmax over the queries": (
        [
            ("s.max(axis=1, keepdims=True)", "s.max()"),
            ("e.sum(axis=1, keepdims=True)", "e.sum(axis=0, keepdims=True)"),
        ],
        "The weights of a key sum to 1 over the queries. Who shares out a whole here: a key, or a "
        "query?",
    ),
    "mask after the softmax": (
        (
            SOFTMAX,
            """    e = np.exp(s - s.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True) * mask
""",
        ),
        "You hide keys when the weights are shared out already: what a hidden key had is lost, and "
        "the row does not sum to 1 any more.",
    ),
    "hidden scores are 0": (
        ("np.where(mask, s, -np.inf)", "np.where(mask, s, 0)"),
        "You set the scores of hidden keys to 0. What is exp(0)?",
    ),
    "hidden scores are not low enough": (
        ("np.where(mask, s, -np.inf)", "np.where(mask, s, -100)"),
        "A hidden key gets weight where all scores of its query are very low. Which number lies "
        "below any score?",
    ),
    "no mask": (
        ("np.where(mask, s, -np.inf)", "s"),
        "Your weights are the same whatever the mask says.",
    ),
    "the mask the other way round": (
        ("np.where(mask, s, -np.inf)", "np.where(mask, -np.inf, s)"),
        "You hide the keys that may be looked at, and show the others. What does True mean?",
    ),
    "exp of large numbers": (
        ("np.exp(s - s.max(axis=1, keepdims=True))", "np.exp(s)"),
        "Your weights are no numbers (nan) where the scores are large. You may take a number from "
        "all scores of a row without changing the weights.",
    ),
    "one maximum for all queries": (
        ("s.max(axis=1, keepdims=True)", "s.max()"),
        "You take the same number from all scores. A query whose scores are far below it has no "
        "weight left to share out, and is divided by 0.",
    ),
    "the diagonal alone": (
        ("ds = p * (dp - np.sum(dp * p, axis=1, keepdims=True))", "ds = dp * p * (1 - p)"),
        "You have how a weight changes with its own score. A score also moves the other weights of "
        "its query, down. What does dp say about those?",
    ),
    "the weights as they were": (
        ("ds = p * (dp - np.sum(dp * p, axis=1, keepdims=True))", "ds = p * dp"),
        "Your backward lets a weight grow and no other shrink for it. Weights of a query sum to 1 "
        "before and after.",
    ),
    "the softmax passed by": (
        ("ds = p * (dp - np.sum(dp * p, axis=1, keepdims=True))", "ds = dp"),
        "Your dq and dk take the weights for the scores: there is a softmax between them.",
    ),
    "the sum without p": (
        ("np.sum(dp * p, axis=1, keepdims=True)", "np.sum(dp, axis=1, keepdims=True)"),
        "In the sum of your backward each dp counts the same. It counts by how much its weight "
        "moves when another score does.",
    ),
    "keepdims forgotten": (
        ("np.sum(dp * p, axis=1, keepdims=True)", "np.sum(dp * p, axis=1)"),
        "The sum of your backward has the shape (N,). NumPy lays it along a row, and there is one "
        "number for each query: it belongs to a column.",
    ),
    "summed over the queries": (
        ("np.sum(dp * p, axis=1, keepdims=True)", "np.sum(dp * p, axis=0, keepdims=True)"),
        "Your backward of the softmax sums over the queries. Which weights does a score move?",
    ),
}
### END LECTURER
