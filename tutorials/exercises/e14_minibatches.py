"""
Exercise 14: mini-batches
=========================

An epoch is one pass through all N samples, in batches of B. In each epoch the samples come in
another order; the last batch is smaller, where B does not divide N. Every sample keeps its label.

You write what cuts the batches, and the mean of the losses over an epoch.

**On paper first.** N = 5 samples, B = 2. The order of this epoch is 3, 0, 4, 1, 2. Write down the
rows of each batch. How many batches are there? In general, for N and B?

The batches lost 1, 1 and 4 (each of them the mean over its own samples). The five samples together
lost 2 + 2 + 4. What is the loss of the epoch, per sample? Why is it not the mean of 1, 1 and 4?
"""

import numpy as np

# %%
# The batches of all epochs, one after the other, as a list of pairs. `rng` is
# `np.random.default_rng(seed)`. At the beginning of each epoch, `rng.permutation(N)` is called
# once: it says which sample comes first, which second, and so on. rng is used for nothing else.


def minibatches(x, labels, batch_size, epochs, rng):
    """x (N, D), labels (N,) -> a list of pairs: x of the batch (B, D), its labels (B,)."""
    ### BEGIN SOLUTION
    batches = []
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x), batch_size):
            rows = order[start : start + batch_size]
            batches.append((x[rows], labels[rows]))
    ### END SOLUTION
    return batches


# %%
# The loss of an epoch: the mean over all its samples. Each loss is the mean over one batch, and the
# sizes say of how many samples.


def epoch_loss(losses, sizes):
    """losses (K,), sizes (K,) of the K batches -> the mean over the samples, a number."""
    ### BEGIN SOLUTION
    loss = np.sum(losses * sizes) / np.sum(sizes)
    ### END SOLUTION
    return loss


# %%
# **Predict 1.** N = 10, batches of 4, three epochs. How many batches are there together? Answer
# with a number.

### BEGIN SOLUTION
predict_1 = 9
### END SOLUTION

# %%
# **Predict 2.** In an epoch the batches have 4, 4 and 2 samples, and their losses are 1, 2 and 5.
# What is the loss of the epoch? Answer with a number.

### BEGIN SOLUTION
predict_2 = 2.2
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Function, Seed


def samples(rng, N, D, batch_size):
    labels = rng.permutation(N) + 100  # all different, so that none can be taken for another
    return rng.standard_normal((N, D)), labels, batch_size, 3, Seed(int(rng.integers(1000)))


def with_a_rest(rng, N, D):
    return samples(rng, N, D, 3 if N % 3 else 4)


def without_a_rest(rng, B, D):
    return samples(rng, 2 * B, D, B)


def losses(rng, K):
    sizes = np.full(K, 8)
    sizes[-1] = rng.integers(1, 8)
    return rng.uniform(0.5, 2, K), sizes


CASES = [
    Function("minibatches", with_a_rest, "batches", share=3, N=(5, 11)),
    Function("minibatches", without_a_rest, "batches_of_one_size"),
    Function("epoch_loss", losses, "loss", dtype=False),
]

ANSWERS = {
    "predict_1": "An epoch has two full batches, and some samples are left.",
    "predict_2": "What did the ten samples lose together? The last two lost 5 each.",
}

PROOFS = {
    "predict_1": lambda: len(
        minibatches(np.zeros((10, 1)), np.zeros(10), 4, 3, np.random.default_rng(0))
    ),
    "predict_2": lambda: epoch_loss(np.array([1.0, 2, 5]), np.array([4, 4, 2])),
}

ORDER = "        order = rng.permutation(len(x))\n"


def shuffled_apart(x, labels, batch_size, epochs, rng):
    batches = []
    for _ in range(epochs):
        x_now, labels_now = x[rng.permutation(len(x))], labels[rng.permutation(len(x))]
        for start in range(0, len(x), batch_size):
            stop = start + batch_size
            batches.append((x_now[start:stop], labels_now[start:stop]))
    return batches


MISTAKES = {
    "the order never changes": (
        [
            (
                "    for _ in range(epochs):\n" + ORDER,
                "    order = rng.permutation(len(x))\n    for _ in range(epochs):\n",
            )
        ],
        "All your epochs have the same order. It should be drawn anew for each of them.",
    ),
    "no order at all": (
        (ORDER, "        order = np.arange(len(x))\n"),
        "Your samples come as they lie in the data. If those are sorted by label, a batch knows "
        "one class only.",
    ),
    "labels left behind": (
        ("labels[rows]", "labels[start : start + batch_size]"),
        "Your samples are in the new order, their labels in the old one. Every sample now has "
        "somebody else's label.",
    ),
    "labels in an order of their own": (
        {"minibatches": shuffled_apart},
        "You draw an order for the samples and another for the labels. They must stay together.",
    ),
    "an empty batch": (
        ("range(0, len(x), batch_size)", "range(0, len(x) + 1, batch_size)"),
        "Where the batch size divides N, your epochs end with a batch without any samples. Its "
        "mean would be 0 / 0.",
    ),
    "the last batch dropped": (
        ("range(0, len(x), batch_size)", "range(0, len(x) - batch_size + 1, batch_size)"),
        "The samples behind the last full batch are missing: the last batch may be smaller.",
    ),
    "the last batch filled up": (
        (
            "rows = order[start : start + batch_size]",
            'rows = np.take(order, range(start, start + batch_size), mode="wrap")',
        ),
        "Your last batch is filled up with samples that have been in this epoch already. They "
        "count twice then; the last batch may be smaller.",
    ),
    "drawn with repetition": (
        (ORDER, "        order = rng.integers(0, len(x), len(x))\n"),
        "Your samples are drawn at random, one by one, so some come twice and others not at all. "
        "An epoch has every sample once.",
    ),
    "one sample too few": (
        ("order[start : start + batch_size]", "order[start : start + batch_size - 1]"),
        "Your batches lack their last sample. In Python, a slice ends before its second number.",
    ),
    "every batch counts the same": (
        ("loss = np.sum(losses * sizes) / np.sum(sizes)", "loss = np.mean(losses)"),
        "Your loss is the mean over the batches. A sample of a small batch counts for more in it "
        "than one of a large batch.",
    ),
    "a sum over the samples": (
        ("loss = np.sum(losses * sizes) / np.sum(sizes)", "loss = np.sum(losses * sizes)"),
        "Your loss is what all samples lose together. What does one lose, on average?",
    ),
    "divided by the batches": (
        ("/ np.sum(sizes)", "/ len(sizes)"),
        "You divide by the number of batches what all samples have lost. Over what is the mean to "
        "be?",
    ),
}
### END LECTURER
