"""
Exercise 27: word vectors by skip-gram
======================================

Each of V words has two vectors: row i of E where the word is asked about, row i of O where it is
an answer. A pair of a text, a centre and a context beside it, shall have a large product of both;
the same centre and a word drawn at random, a negative, a small one. With s(t) = 1 / (1 +
exp(-t)):

    loss of a pair = -log s(O[context] . E[centre])
                   - the sum over its K negatives n of log s(-O[n] . E[centre])

    loss           = the mean over the N pairs

**On paper first.** What is the derivative of -log s(t) by t, and of -log s(-t)? A centre that
stands in two pairs has one vector: what does the rule for what is used twice say of its gradient?
And a word that was drawn twice among the negatives of one pair: how often does it count?
"""

import numpy as np

# %%
# The loss, and how it changes with both tables. `np.logaddexp(0, t)` is log(1 + exp(t)), without
# overflow. Words come as whole numbers, their rows in E and O; a word may stand anywhere, and more
# than once.


def skip_gram(E, O, centre, context, negatives):  # noqa: E741
    """E, O (V, D), centre, context (N,), negatives (N, K) -> loss (a number), dE, dO (V, D)."""
    ### BEGIN SOLUTION
    e, o, n = E[centre], O[context], O[negatives]
    good = (o * e).sum(axis=1)
    bad = (n * e[:, None]).sum(axis=2)
    loss = (np.logaddexp(0, -good).sum() + np.logaddexp(0, bad).sum()) / len(e)
    dgood = -1 / (1 + np.exp(good)) / len(e)
    dbad = 1 / (1 + np.exp(-bad)) / len(e)
    dE, dO = np.zeros_like(E), np.zeros_like(O)
    np.add.at(dE, centre, dgood[:, None] * o + (dbad[..., None] * n).sum(axis=1))
    np.add.at(dO, context, dgood[:, None] * e)
    np.add.at(dO, negatives, dbad[..., None] * e[:, None])
    ### END SOLUTION
    return loss, dE, dO


# %%
# **Predict 1.** All vectors are 0, and each pair has three negatives. What is the loss, rounded to
# three decimals?

### BEGIN SOLUTION
predict_1 = 2.773
### END SOLUTION

# %%
# **Predict 2.** One pair. Its centre has the vector [4, 0]. Word 5 is none of the two, but was
# drawn twice as a negative; its vector in O is [0, 7]. What is the first number of row 5 of dO?

### BEGIN SOLUTION
predict_2 = 4.0
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Function


def inputs(rng, N, V, D, K):
    E, O = rng.standard_normal((V, D)), rng.standard_normal((V, D))  # noqa: E741
    centre, context = rng.integers(0, V, N), rng.integers(0, V, N)
    negatives = rng.integers(0, V, (N, K))
    centre[-1], context[-1] = centre[0], context[0]  # used twice, where N is not 1
    negatives[:, -1] = negatives[:, 0]
    return E, O, centre, context, negatives


CASES = [Function("skip_gram", inputs, "loss dE dO", N=(1, 6), V=(3, 6), K=(2, 4))]

POINTS = {"forward": 20, "gradients": 60, "laws": 10, "predictions": 10}

ANSWERS = {
    "predict_1": "Each product is 0. What is -log s(0), and how many such terms has a pair?",
    "predict_2": "What is the slope of a negative's loss where the product is 0, what does it "
    "meet on its way to O, and how often?",
}


def drawn_twice():
    E, O = np.zeros((6, 2)), np.zeros((6, 2))  # noqa: E741
    E[0], O[5] = [4, 0], [0, 7]
    return skip_gram(E, O, np.array([0]), np.array([1]), np.array([[5, 5]]))[2][5, 0]


PROOFS = {
    "predict_1": lambda: round(
        float(
            skip_gram(
                np.zeros((2, 2)), np.zeros((2, 2)), *np.zeros((2, 1), int), np.zeros((1, 3), int)
            )[0]
        ),
        3,
    ),
    "predict_2": drawn_twice,
}

MISTAKES = {
    "repeats of centres lost": (
        (
            "np.add.at(dE, centre, dgood[:, None] * o + (dbad[..., None] * n).sum(axis=1))",
            "dE[centre] += dgood[:, None] * o + (dbad[..., None] * n).sum(axis=1)",
        ),
        "A centre of two pairs has the gradient of one of them in your dE. `dE[centre] += ...` "
        "writes each row once; look for what adds in NumPy for every repeat.",
    ),
    "repeats of contexts lost": (
        ("np.add.at(dO, context, dgood[:, None] * e)", "dO[context] += dgood[:, None] * e"),
        "A context of two pairs has the gradient of one of them in your dO. `dO[context] += ...` "
        "writes each row once.",
    ),
    "repeats of negatives lost": (
        (
            "np.add.at(dO, negatives, dbad[..., None] * e[:, None])",
            "dO[negatives] += dbad[..., None] * e[:, None]",
        ),
        "A negative that was drawn twice counts once in your dO. What is its part in the loss?",
    ),
    "repeats lost everywhere": (
        [
            (
                "np.add.at(dE, centre, dgood[:, None] * o + (dbad[..., None] * n).sum(axis=1))",
                "dE[centre] += dgood[:, None] * o + (dbad[..., None] * n).sum(axis=1)",
            ),
            ("np.add.at(dO, context, dgood[:, None] * e)", "dO[context] += dgood[:, None] * e"),
            (
                "np.add.at(dO, negatives, dbad[..., None] * e[:, None])",
                "dO[negatives] += dbad[..., None] * e[:, None]",
            ),
        ],
        "Words that stand twice have the gradient of one of their places: `d[words] += ...` "
        "writes each row once. Look for what adds in NumPy for every repeat.",
    ),
    "sign of the negatives": (
        [
            ("np.logaddexp(0, bad)", "np.logaddexp(0, -bad)"),
            ("dbad = 1 / (1 + np.exp(-bad))", "dbad = -1 / (1 + np.exp(bad))"),
        ],
        "Your loss wants large products of the negatives, too. Then all vectors become one.",
    ),
    "sign of the context": (
        [
            ("np.logaddexp(0, -good)", "np.logaddexp(0, good)"),
            ("dgood = -1 / (1 + np.exp(good))", "dgood = 1 / (1 + np.exp(-good))"),
        ],
        "Your loss wants a small product of a word and what stands beside it.",
    ),
    "mean of the negatives": (
        [
            ("np.logaddexp(0, bad).sum())", "np.logaddexp(0, bad).mean(axis=1).sum())"),
            (
                "dbad = 1 / (1 + np.exp(-bad)) / len(e)",
                "dbad = 1 / (1 + np.exp(-bad)) / len(e) / bad.shape[1]",
            ),
        ],
        "Your loss takes the mean of a pair's negatives. The text adds them up.",
    ),
    "sum over the pairs": (
        [
            ("np.logaddexp(0, bad).sum()) / len(e)", "np.logaddexp(0, bad).sum())"),
            ("dgood = -1 / (1 + np.exp(good)) / len(e)", "dgood = -1 / (1 + np.exp(good))"),
            ("dbad = 1 / (1 + np.exp(-bad)) / len(e)", "dbad = 1 / (1 + np.exp(-bad))"),
        ],
        "Your loss is a sum over the pairs. The text has their mean.",
    ),
    "the context forgotten in dE": (
        (
            "dgood[:, None] * o + (dbad[..., None] * n).sum(axis=1)",
            "(dbad[..., None] * n).sum(axis=1)",
        ),
        "Your dE hears of the negatives alone.",
    ),
    "the negatives forgotten in dE": (
        ("dgood[:, None] * o + (dbad[..., None] * n).sum(axis=1)", "dgood[:, None] * o"),
        "Your dE hears of the context alone. The centre meets its negatives, too.",
    ),
    "one table": (
        (
            "e, o, n = E[centre], O[context], O[negatives]",
            "e, o, n = E[centre], E[context], E[negatives]",
        ),
        "You look up the answers in E. They have a table of their own.",
    ),
}
### END LECTURER
