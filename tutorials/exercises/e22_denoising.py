"""
Exercise 22: denoising
======================

A denoising autoencoder gets a spoilt sample and is asked for the clean one. So it cannot just copy;
it has to learn which numbers go together. In training, noise is added to x, new noise in every
epoch; at test time x comes as it is. The autoencoder here is linear: its code is h = x W, and its
output is h W', where W' is W transposed. With noisy = x + noise, the loss is the mean over the N D
numbers of (noisy W W' - x)^2.

**On paper first.** Take N = 1, D = 1 and W = [[w]]: the loss is (w^2 (x + n) - x)^2. For which w^2
is it 0, if there is no noise? Take its derivative by w. Where does the noisy number stand in it,
and where the clean one? W is used twice; write the derivative as a sum of two parts.
"""

import numpy as np

# %%
# The noise. `rng` is one generator, `np.random.default_rng(seed)`, for all epochs of the training;
# what is asked for is the list of the noisy copies, one for each epoch. Draw each with
# `rng.standard_normal(x.shape)`.


def noisy_epochs(x, sigma, epochs, rng):
    """x (N, D), sigma the noise's standard deviation -> a list of `epochs` arrays (N, D)."""
    ### BEGIN SOLUTION
    copies = [(x + sigma * rng.standard_normal(x.shape)).astype(x.dtype) for _ in range(epochs)]
    ### END SOLUTION
    return copies


# %%
# The loss and its gradient. If `training` is False, the noise plays no part.


def denoising_loss(x, noise, W, training=True):
    """x (N, D), noise (N, D), W (D, M) -> the loss, dW (D, M)."""
    ### BEGIN SOLUTION
    given = x + noise if training else x
    h = given @ W
    d = 2 * (h @ W.T - x) / x.size
    loss = ((h @ W.T - x) ** 2).mean()
    dW = given.T @ (d @ W) + d.T @ h
    ### END SOLUTION
    return loss, dW


# %%
# **Predict 1.** W W' is the identity, so that whatever comes in goes out, and each number of the
# noise is 0.5. What is the loss in training?

### BEGIN SOLUTION
predict_1 = 0.25
### END SOLUTION

# %%
# **Predict 2.** The same W. What is the loss at test time?

### BEGIN SOLUTION
predict_2 = 0.0
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Function, Seed


def inputs(rng, N, D, M):
    shape = N, D
    return rng.standard_normal(shape), rng.standard_normal(shape), rng.standard_normal((D, M))


def epochs(rng, N, D):
    return rng.standard_normal((N, D)), 0.5, 3, Seed(int(rng.integers(1000)))


CASES = [
    Function("denoising_loss", inputs, "loss dW", options=({}, {"training": False})),
    Function("noisy_epochs", epochs, "copies"),
]

POINTS = {"forward": 40, "gradients": 40, "laws": 10, "predictions": 10}

ANSWERS = {
    "predict_1": "What comes out, and how far is it from the clean sample?",
    "predict_2": "What comes in at test time?",
}


def copied(training):
    return denoising_loss(np.ones((2, 3)), np.full((2, 3), 0.5), np.eye(3), training)[0]


PROOFS = {"predict_1": lambda: copied(True), "predict_2": lambda: copied(False)}

MISTAKES = {
    "target is the noisy one": (
        [
            ("d = 2 * (h @ W.T - x)", "d = 2 * (h @ W.T - given)"),
            ("loss = ((h @ W.T - x)", "loss = ((h @ W.T - given)"),
        ],
        "Your loss asks for the noisy sample back. Then copying the noise would be best.",
    ),
    "noise at test time": (
        ("given = x + noise if training else x", "given = x + noise"),
        "Your loss adds the noise at test time, too. What does `training=False` ask for?",
    ),
    "clean input": (
        ("given = x + noise if training else x", "given = x"),
        "No noise reaches your autoencoder: it is asked for what it was given.",
    ),
    "noise kept for all epochs": (
        (
            "copies = [(x + sigma * rng.standard_normal(x.shape)).astype(x.dtype) "
            "for _ in range(epochs)]",
            "copies = [(x + sigma * e).astype(x.dtype) "
            "for e in [rng.standard_normal(x.shape)] * epochs]",
        ),
        "All your epochs have the same noise. The network can learn this one by heart.",
    ),
    "the clean sample in dW": (
        ("dW = given.T @ (d @ W)", "dW = x.T @ (d @ W)"),
        "A part of your dW has the clean sample where the encoder was given the noisy one.",
    ),
    "one path": (
        ("dW = given.T @ (d @ W) + d.T @ h", "dW = given.T @ (d @ W)"),
        "Your dW hears the encoder alone. The decoder uses W, too.",
    ),
}
### END LECTURER
