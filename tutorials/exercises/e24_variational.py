"""
Exercise 24: the variational autoencoder's two pieces
=====================================================

The encoder says a mean m and the logarithm of a variance, lv, for each sample and hidden unit. The
code is drawn from that normal distribution, in a way that a gradient can pass:

    z = m + exp(lv / 2) e          with e standard normal, which comes in as an argument

And the distribution is held to the standard normal one by the divergence

    KL = the mean over the N samples of   1/2 * sum over the M units of (exp(lv) + m^2 - 1 - lv)

**On paper first.** If lv = log(s^2), what is exp(lv / 2)? Take the derivatives of z by m and by lv.
Then those of exp(lv) + m^2 - 1 - lv. For which m and lv are they 0?
"""

import numpy as np

# %%
# The code, and its way back: from `dz`, how the loss changes with z, to how it changes with m and
# with lv. `cache` is whatever your backward needs.


def reparametrize_forward(m, lv, e):
    """m, lv, e (N, M) -> z (N, M), cache."""
    ### BEGIN SOLUTION
    spread = np.exp(lv / 2) * e
    z = m + spread
    cache = spread
    ### END SOLUTION
    return z, cache


def reparametrize_backward(dz, cache):
    """dz (N, M), cache -> dm, dlv (N, M)."""
    ### BEGIN SOLUTION
    spread = cache
    dm = dz.copy()
    dlv = dz * spread / 2
    ### END SOLUTION
    return dm, dlv


# %%
# The divergence, and its way back. `dkl` is a number: how the loss changes with KL.


def kl_forward(m, lv):
    """m, lv (N, M) -> KL (a number), cache."""
    ### BEGIN SOLUTION
    kl = 0.5 * (np.exp(lv) + m**2 - 1 - lv).sum() / len(m)
    cache = m, lv
    ### END SOLUTION
    return kl, cache


def kl_backward(dkl, cache):
    """dkl (a number), cache -> dm, dlv (N, M)."""
    ### BEGIN SOLUTION
    m, lv = cache
    dm = dkl * m / len(m)
    dlv = dkl * 0.5 * (np.exp(lv) - 1) / len(m)
    ### END SOLUTION
    return dm, dlv


# %%
# **Predict 1.** N = 1, M = 2, m = [[3, 4]], lv = [[0, 0]]. What is KL?

### BEGIN SOLUTION
predict_1 = 12.5
### END SOLUTION

# %%
# **Predict 2.** lv = 0 and e = 2 in some place, and dz is 3 there. What is dlv there?

### BEGIN SOLUTION
predict_2 = 3.0
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Pair

CASES = [
    Pair("reparametrize", "m=N,M lv=N,M e=N,M", constants="e"),
    Pair("kl", "m=N,M lv=N,M"),
]

ANSWERS = {
    "predict_1": "With lv = 0 only the means are left, squared and added up. Mind the half.",
    "predict_2": "What is exp(lv / 2) at 0, and which factor comes from inside the exponent?",
}

PROOFS = {
    "predict_1": lambda: kl_forward(np.array([[3.0, 4]]), np.zeros((1, 2)))[0],
    "predict_2": lambda: reparametrize_backward(
        np.full((1, 1), 3.0),
        reparametrize_forward(np.zeros((1, 1)), np.zeros((1, 1)), np.full((1, 1), 2.0))[1],
    )[1][0, 0],
}

MISTAKES = {
    "the variance for the deviation": (
        [("np.exp(lv / 2) * e", "np.exp(lv) * e"), ("dz * spread / 2", "dz * spread")],
        "You spread by exp(lv), which is the variance. What is e to be multiplied by?",
    ),
    "factor of the exponent": (
        ("dz * spread / 2", "dz * spread"),
        "A factor is missing in your dlv of the code: the derivative of what is in the exponent.",
    ),
    "noise forgotten in dlv": (
        [("cache = spread", "cache = np.exp(lv / 2)")],
        "Your dlv of the code knows nothing of e. What does exp(lv / 2) meet on its way to z?",
    ),
    "sign of the divergence": (
        [
            ("0.5 * (np.exp(lv) + m**2 - 1 - lv)", "-0.5 * (np.exp(lv) + m**2 - 1 - lv)"),
            ("dkl * m", "-dkl * m"),
            ("dkl * 0.5", "-dkl * 0.5"),
        ],
        "Your KL is negative. A divergence never is: it is 0 where both are alike, else more.",
    ),
    "mean over the units": (
        [
            ("- lv).sum() / len(m)", "- lv).mean()"),
            ("dm = dkl * m / len(m)", "dm = dkl * m / m.size"),
            ("(np.exp(lv) - 1) / len(m)", "(np.exp(lv) - 1) / m.size"),
        ],
        "Your KL is a mean over the units, too. The text adds them up, and takes the mean over the "
        "samples alone.",
    ),
    "the one forgotten": (
        ("(np.exp(lv) - 1)", "np.exp(lv)"),
        "In your dlv of KL the last term has no part. Is it 0 where lv is 0?",
    ),
}
### END LECTURER
