"""
Exercise 26: two networks against each other
============================================

The generator makes samples of noise, fake = z W. The critic gives each sample a score, the
larger, the more real it looks:

    a = tanh(y A)        s = a v        one number for each row of y

It learns to tell both apart, and the generator to be taken for real:

    critic's loss     = mean over real samples of log(1 + exp(-s))
                      + mean over fake samples of log(1 + exp(s))

    generator's loss  = mean over fake samples of log(1 + exp(-s))

**On paper first.** What is the derivative of log(1 + exp(-s)) by s, and of log(1 + exp(s))? Where
is each of them steep? The generator could as well make the critic's second mean *large*, that is,
make -log(1 + exp(s)) small. What is the slope of that where the critic is sure, s = -10?

Then follow the gradient from the generator's loss back to W: by which of the critic's weights
does it go, and which of the critic's weights change in the generator's step?
"""

import numpy as np

# %%
# The critic's loss, and how it changes with the critic's weights. Its samples are given, wherever
# they come from. `np.logaddexp(0, s)` is log(1 + exp(s)), without overflow.


def critic_loss(real, fake, A, v):
    """real (N, D), fake (M, D), A (D, H), v (H,) -> loss (a number), dA, dv."""
    ### BEGIN SOLUTION
    a_real, a_fake = np.tanh(real @ A), np.tanh(fake @ A)
    s_real, s_fake = a_real @ v, a_fake @ v
    loss = np.logaddexp(0, -s_real).mean() + np.logaddexp(0, s_fake).mean()
    ds_real = -1 / (1 + np.exp(s_real)) / len(real)
    ds_fake = 1 / (1 + np.exp(-s_fake)) / len(fake)
    dv = a_real.T @ ds_real + a_fake.T @ ds_fake
    dz_real = ds_real[:, None] * v * (1 - a_real**2)
    dz_fake = ds_fake[:, None] * v * (1 - a_fake**2)
    dA = real.T @ dz_real + fake.T @ dz_fake
    ### END SOLUTION
    return loss, dA, dv


# %%
# The generator's loss, and how it changes with W: through the critic.


def generator_loss(z, W, A, v):
    """z (N, K), W (K, D), A (D, H), v (H,) -> loss (a number), dW (K, D)."""
    ### BEGIN SOLUTION
    fake = z @ W
    a = np.tanh(fake @ A)
    s = a @ v
    loss = np.logaddexp(0, -s).mean()
    ds = -1 / (1 + np.exp(s)) / len(z)
    dfake = (ds[:, None] * v * (1 - a**2)) @ A.T
    dW = z.T @ dfake
    ### END SOLUTION
    return loss, dW


# %%
# A round: first the critic makes a step of gradient descent, on the real samples and on fake ones
# of the generator as it is; then the generator makes one, against the critic as it is by then. Use
# both functions above.


def one_round(z, real, W, A, v, learning_rate):
    """-> the new W, A, v."""
    ### BEGIN SOLUTION
    _, dA, dv = critic_loss(real, z @ W, A, v)
    A_new, v_new = A - learning_rate * dA, v - learning_rate * dv
    _, dW = generator_loss(z, W, A_new, v_new)
    W_new = W - learning_rate * dW
    ### END SOLUTION
    return W_new, A_new, v_new


# %%
# **Predict 1.** The critic cannot tell: all its scores are 0. What is its loss, rounded to three
# decimals?

### BEGIN SOLUTION
predict_1 = 1.386
### END SOLUTION

# %%
# **Predict 2.** The critic is sure that a sample is fake, s = -10. What is the slope of the
# generator's loss by s there, for this sample alone? Two decimals are enough.

### BEGIN SOLUTION
predict_2 = -1.0
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Function


def to_judge(rng, N, M, D, H):
    A, v = rng.standard_normal((D, H)) / 2, rng.standard_normal(H)
    return rng.standard_normal((N, D)) + 1, rng.standard_normal((M, D)), A, v


def to_make(rng, N, K, D, H):
    A, v = rng.standard_normal((D, H)) / 2, rng.standard_normal(H)
    return rng.standard_normal((N, K)), rng.standard_normal((K, D)), A, v


def to_play(rng, N, K, D, H):
    z, W, A, v = to_make(rng, N, K, D, H)
    return z, rng.standard_normal((N, D)) + 1, W, A, v, 0.7


CASES = [
    Function("critic_loss", to_judge, "loss dA dv", constants="real fake"),
    Function("generator_loss", to_make, "loss dW", constants="z A v"),
    Function("one_round", to_play, "W A v"),
]

POINTS = {"forward": 30, "gradients": 50, "laws": 10, "predictions": 10}

ANSWERS = {
    "predict_1": "There are two means. What is each of them, where all scores are 0?",
    "predict_2": "Take the derivative that you wrote down on paper, at s = -10. Mind its sign.",
}

PROOFS = {
    "predict_1": lambda: round(
        float(critic_loss(np.ones((1, 1)), np.ones((1, 1)), np.zeros((1, 1)), np.zeros(1))[0]), 3
    ),
    "predict_2": lambda: round(-1 / (1 + np.exp(-10.0)), 2),
}


def moves_the_critic_twice(z, real, W, A, v, learning_rate):
    _, dA, dv = critic_loss(real, z @ W, A, v)
    A_new, v_new = A - learning_rate * dA, v - learning_rate * dv
    _, dW = generator_loss(z, W, A_new, v_new)
    a = np.tanh(z @ W @ A_new)
    ds = -1 / (1 + np.exp(a @ v_new)) / len(z)
    dA = (z @ W).T @ (ds[:, None] * v_new * (1 - a**2))
    W_new = W - learning_rate * dW
    return W_new, A_new - learning_rate * dA, v_new - learning_rate * (a.T @ ds)


MISTAKES = {
    "real and fake exchanged": (
        [
            (
                "loss = np.logaddexp(0, -s_real).mean() + np.logaddexp(0, s_fake).mean()",
                "loss = np.logaddexp(0, s_real).mean() + np.logaddexp(0, -s_fake).mean()",
            ),
            ("ds_real = -1 / (1 + np.exp(s_real))", "ds_real = 1 / (1 + np.exp(-s_real))"),
            ("ds_fake = 1 / (1 + np.exp(-s_fake))", "ds_fake = -1 / (1 + np.exp(s_fake))"),
        ],
        "Your critic learns to give fake samples the larger scores.",
    ),
    "real samples forgotten": (
        [
            ("dv = a_real.T @ ds_real + a_fake.T @ ds_fake", "dv = a_fake.T @ ds_fake"),
            ("dA = real.T @ dz_real + fake.T @ dz_fake", "dA = fake.T @ dz_fake"),
        ],
        "The critic's gradients hear of the fake samples alone.",
    ),
    "one mean over all": (
        [
            (
                "loss = np.logaddexp(0, -s_real).mean() + np.logaddexp(0, s_fake).mean()",
                "loss = (np.logaddexp(0, -s_real).sum() + np.logaddexp(0, s_fake).sum()) "
                "/ (len(real) + len(fake))",
            ),
            ("np.exp(s_real)) / len(real)", "np.exp(s_real)) / (len(real) + len(fake))"),
            ("np.exp(-s_fake)) / len(fake)", "np.exp(-s_fake)) / (len(real) + len(fake))"),
        ],
        "The critic's loss has two means, one over the real and one over the fake samples.",
    ),
    "slope of the critic's tanh": (
        ("dz_fake = ds_fake[:, None] * v * (1 - a_fake**2)", "dz_fake = ds_fake[:, None] * v"),
        "The fake samples' part of your dA has passed the tanh as if it were not there.",
    ),
    "saturating loss": (
        [
            ("loss = np.logaddexp(0, -s).mean()", "loss = -np.logaddexp(0, s).mean()"),
            ("ds = -1 / (1 + np.exp(s))", "ds = -1 / (1 + np.exp(-s))"),
        ],
        "Your generator makes the critic's mean large. Where the critic is sure, that loss is "
        "flat.",
    ),
    "sign": (
        [
            ("loss = np.logaddexp(0, -s).mean()", "loss = np.logaddexp(0, s).mean()"),
            ("ds = -1 / (1 + np.exp(s))", "ds = 1 / (1 + np.exp(-s))"),
        ],
        "Your generator learns to be found out: a smaller loss of yours means a smaller score.",
    ),
    "slope of the tanh on the way": (
        ("dfake = (ds[:, None] * v * (1 - a**2)) @ A.T", "dfake = (ds[:, None] * v) @ A.T"),
        "On its way from the scores to W your gradient has not met the critic's tanh.",
    ),
    "critic's gradients kept": (
        {"one_round": moves_the_critic_twice},
        "Your critic moves in the generator's step, too, and so it helps to be deceived.",
    ),
    "the critic before its step": (
        ("generator_loss(z, W, A_new, v_new)", "generator_loss(z, W, A, v)"),
        "Your generator plays against the critic as it was before its step.",
    ),
    "uphill": (
        ("W_new = W - learning_rate * dW", "W_new = W + learning_rate * dW"),
        "Your generator's step goes up its loss.",
    ),
}
### END LECTURER
