"""
Normalisation, dropout, noise
=============================

Three kinds of layers that have next to no weights. The first keeps the numbers of a deep network at
one size, so that it can be trained at all. The others disturb them on purpose, so that it does not
learn its samples by heart.

You will be able to

- normalise a batch by columns and by rows on paper, and say which is which;
- derive the backward of batch normalisation line by line, and have it checked;
- say what these layers do in training and what they do afterwards;
- find out, by measuring, whether dropout or noise helps; it depends on the labels.

It needs tutorials 03 (backward passes), 05 (softmax) and 09 (optimisers), and runs for ten seconds.
"""

# %%
# On paper: columns or rows
# -------------------------
#
# Two samples (rows) of two features (columns). To normalise is to take away the mean and to divide
# by the standard deviation. The question is: of what?
#
# .. code-block:: text
#
#     x = 1  10      columns: means 2, 20, deviations 1, 10       rows: means 5.5, 16.5,
#         3  30                                                   deviations 4.5, 13.5
#
#     batch normalisation: -1  -1        layer normalisation: -1  1
#                           1   1                             -1  1
#
# Batch normalisation compares a sample with the other samples. Layer normalisation compares a
# feature with the other features of the same sample: here it makes both samples equal.

import matplotlib.pyplot as plt
import numpy as np

from minienc.functions import batch_normalization_forward, layer_normalization_forward

plt.rcParams["figure.facecolor"] = "white"
x = np.array([[1.0, 10.0], [3.0, 30.0]])
by_columns, _ = batch_normalization_forward(x, epsilon=1e-12)
by_rows, _ = layer_normalization_forward(x, epsilon=1e-12)
print("batch\n", by_columns, "\nlayer\n", by_rows)
assert np.allclose(by_columns, [[-1, -1], [1, 1]])
assert np.allclose(by_rows, [[-1, 1], [-1, 1]])

# %%
# Why normalise?
# --------------
#
# Eight layers of sigmoids, with random weights, on the digits. In each layer we ask: how much does
# a unit differ from one digit to another (its standard deviation over the digits)? Without
# normalisation the answer falls to a quarter from layer to layer. At the end all digits look
# alike, and there is nothing to learn from.

from minienc.data import load_digits
from minienc.layers import Activation, BatchNormalization, Dense, Input, LayerNormalization
from minienc.models import Model

digits = load_digits()
X, y = np.asarray(digits.x).reshape(-1, 64), digits.y
X_test, y_test = np.asarray(digits.test_x).reshape(-1, 64), digits.test_y


def deep(normalization, depth=8):
    """A classifier, and a model that ends in each of its hidden layers."""
    pixels = Input((64,))
    h, hidden = pixels, []
    for i in range(depth):
        h = Dense(32, seed=i)(h)
        h = h if normalization is None else normalization()(h)
        h = Activation("sigmoid")(h)
        hidden.append(Model(pixels, h))
    return Model(pixels, Dense(10, "softmax", seed=99)(h)), hidden


KINDS = {"none": None, "batch": BatchNormalization, "layer": LayerNormalization}
spread = {}
for name, kind in KINDS.items():
    _, hidden = deep(kind)
    outputs = [model.forward(X[:500], training=True)[0] for model in hidden]
    spread[name] = [float(h.std(axis=0).mean()) for h in outputs]

plt.figure(figsize=(5, 3), layout="constrained")
for (name, values), mark in zip(spread.items(), "os^", strict=True):
    plt.semilogy(range(1, 9), values, mark + "-", markersize=4, label=f"normalisation: {name}")
plt.xlabel("layer")
plt.ylabel("deviation over the digits")
plt.legend(fontsize=8)
assert spread["none"][-1] < 1e-5
assert spread["batch"][-1] > 0.9 * spread["batch"][0]
assert 1e-5 < spread["layer"][-1] < 1e-3

# %%
# **Predict:** these three are trained for 15 epochs. Which of them learn the digits?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# Only the one with batch normalisation. The others stay at 2.3 = log 10, the loss of who guesses
# among ten classes. Layer normalisation cannot help here: what shrinks are the differences between
# samples, and it never looks at another sample. (With tanh in the place of the sigmoid, whose mean
# is not 0, nothing shrinks in this way, and layer normalisation learns as well: exercise 11.1.)
#
# .. raw:: html
#
#     </details>

from minienc.training.optimizers import SGD

losses = {}
for name, kind in KINDS.items():
    model, _ = deep(kind)
    model.compile(SGD(0.3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    losses[name] = model.fit(X, y, epochs=15, batch_size=32, seed=0, verbose=0).history["loss"]
    accuracy = model.evaluate(X_test, y_test)[1]
    print(f"{name}: loss {losses[name][-1]:.3f}, accuracy on new digits {accuracy:.1%}")
    if name == "batch":
        normalized = model
assert losses["batch"][-1] < 0.3 < 2.2 < min(losses["none"][-1], losses["layer"][-1])

# %%
# Backward, line by line
# ----------------------
#
# Mean and variance are made of x, so every sample's y depends on every sample's x. We undo the
# lines of the forward from the last to the first. ``centred`` is used twice, by (3) and by (5):
# its gradients add up.


def norm_forward(x, gamma, beta):
    mean = x.mean(axis=0)  # (1)
    centred = x - mean  # (2)
    variance = (centred * centred).mean(axis=0)  # (3)
    scale = 1 / np.sqrt(variance + 1e-3)  # (4)
    x_hat = centred * scale  # (5)
    y = gamma * x_hat + beta  # (6)
    return y, (centred, scale, x_hat, gamma)


def norm_backward(dy, cache):
    centred, scale, x_hat, gamma = cache
    dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)  # (6)
    dx_hat = dy * gamma  # (6)
    dscale = (dx_hat * centred).sum(axis=0)  # (5)
    dvariance = -0.5 * scale**3 * dscale  # (4)
    dcentred = dx_hat * scale + 2 / len(dy) * centred * dvariance  # (5) and (3)
    dmean = -dcentred.sum(axis=0)  # (2)
    dx = dcentred + dmean / len(dy)  # (2) and (1)
    return dx, dgamma, dbeta


# %%
# Is it right? The checker says so. And the library's backward, which is shorter because the lines
# have been put into one another, agrees.

from minienc import gradcheck
from minienc.functions import batch_normalization_backward

rng = np.random.default_rng(0)
x, gamma, beta = rng.standard_normal((4, 2)), np.array([1.0, 3.0]), np.array([0.0, 1.0])
report = gradcheck(norm_forward, norm_backward, x, gamma, beta)
print(report)
dy = rng.standard_normal((4, 2))
mine = norm_backward(dy, norm_forward(x, gamma, beta)[1])
theirs = batch_normalization_backward(dy, batch_normalization_forward(x, gamma, beta)[1])
assert report.verdict == "pass"
assert all(np.allclose(a, b) for a, b in zip(mine, theirs, strict=True))

# %%
# Walk through it. On the page each line of the backward is judged by itself.

import minienc

minienc.step(norm_forward, norm_backward, x, gamma, beta, title="batch normalisation")

# %%
# **Predict:** dy is 1 everywhere: the loss grows with every y alike. What is dx?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# 0. The y of a feature sum to a number (beta, times the samples) that does not depend on x. Moving
# all x of a feature by the same amount, or stretching them, changes no y; so dx never has a part
# in those directions.
#
# .. raw:: html
#
#     </details>

dx, _, _ = norm_backward(np.ones((4, 2)), norm_forward(x, gamma, beta)[1])
print("dx for dy = 1:", np.abs(dx).max())
assert np.abs(dx).max() < 1e-12
dx, _, _ = norm_backward(dy, norm_forward(x, gamma, beta)[1])
assert np.allclose(dx.sum(axis=0), 0)

# %%
# Afterwards there is no batch
# ----------------------------
#
# A trained network is asked about one digit. Its mean would be the digit itself, and x - mean
# would be 0, whatever the digit is. So the layer keeps moving averages of the means and variances
# that it saw in training, and uses those. An answer no longer depends on who else is asked about.

alone, together = normalized.predict(X_test[:1]), normalized.predict(X_test)[:1]
in_training, _ = normalized.forward(X_test[:1], training=True)
another, _ = normalized.forward(X_test[1:2], training=True)
print(f"class 1: alone {alone[0, 1]:.4f}, among others {together[0, 1]:.4f}")
print("in training mode, alone, two different digits get the same answer:", in_training[0, 1])
assert np.allclose(alone, together, atol=1e-5)
assert np.allclose(in_training, another, atol=1e-5)

# %%
# Dropout
# -------
#
# In training, each number is set to 0 with probability p, and divided by 1 - p where it is kept. On
# paper, with p = 1/2 and the toss of a coin:
#
# .. code-block:: text
#
#     x = 2  4     kept: yes  no      y = 2 / 0.5    0        = 4   0
#         6  8           no   yes           0      8 / 0.5      0  16
#
# Each y is right on average: half of the time 0, half of the time 2 x. So nothing has to change
# when the noise is turned off. The backward lets the gradient through where x went through.

from minienc.functions import dropout_backward, dropout_forward

x = np.array([[2.0, 4.0], [6.0, 8.0]])
kept = np.array([[1, 0], [0, 1]])
assert np.array_equal(x * kept / 0.5, [[4, 0], [0, 16]])
rng = np.random.default_rng(1)
once, cache = dropout_forward(x, 0.5, rng=rng)
print("one draw\n", once, "\nits backward of ones\n", dropout_backward(np.ones((2, 2)), cache))
mean = np.mean([dropout_forward(x, 0.5, rng=rng)[0] for _ in range(4000)], axis=0)
print("mean of 4,000 draws\n", mean.round(2))
assert np.allclose(dropout_backward(np.ones((2, 2)), cache), once / x)
assert np.allclose(mean, x, rtol=0.06)
assert np.array_equal(dropout_forward(x, 0.5)[0], x)  # without a generator there is no noise

# %%
# Noise on the input
# ------------------
#
# Three kinds: pixels that are missing, pixels that are wrong, and a little of everything. What they
# are good for is the same: the network never sees a sample twice in the same form.

from minienc.functions import (
    gaussian_noise_forward,
    masking_noise_forward,
    salt_and_pepper_noise_forward,
)

rng = np.random.default_rng(2)
rows = {
    "clean": X[:8],
    "masking, 0.3": masking_noise_forward(X[:8], 0.3, rng=rng)[0],
    "salt and pepper, 0.3": salt_and_pepper_noise_forward(X[:8], 0.3, rng=rng)[0],
    "Gaussian, 0.3": gaussian_noise_forward(X[:8], 0.3, rng=rng)[0],
}
figure, axes = plt.subplots(4, 8, figsize=(6.5, 3.3), layout="constrained")
for row, (name, images) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(row, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
assert 0.25 < 1 - (rows["masking, 0.3"] > 0).sum() / (X[:8] > 0).sum() < 0.35

# %%
# Do they help?
# -------------
#
# A classifier with one hidden layer of 256 units, 500 digits, four ways: as it is, with dropout of
# 0.5 or 0.8 behind the hidden layer, with Gaussian noise of 0.5 on the input. And all of that
# twice: with the right labels, and with 40 of 100 labels replaced by a class that was drawn at
# random.
#
# **Predict:** in which of the two cases does dropout help?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# With right labels it makes no difference here (the chart below). With wrong ones it is worth 6 to
# 11 points, and Gaussian noise 14. A wide network can learn 500 wrong labels by heart. What is
# disturbed in every step cannot be learned by heart so easily; what is true of all the nines can.
#
# .. raw:: html
#
#     </details>

from minienc.layers import Dropout, GaussianNoise
from minienc.training.optimizers import Adam


def accuracies(wrong, noise=0.0, dropout=0.0, seed=0):
    """On the 500 training digits with their given labels, and on new digits."""
    rng = np.random.default_rng(seed)
    few = rng.permutation(len(X))[:500]
    labels, is_wrong = y[few].copy(), rng.random(500) < wrong
    labels[is_wrong] = rng.integers(0, 10, is_wrong.sum())
    pixels = Input((64,))
    hidden = Dense(256, "relu", seed=seed)(GaussianNoise(noise)(pixels))
    model = Model(pixels, Dense(10, "softmax", seed=seed + 99)(Dropout(dropout)(hidden)))
    model.compile(Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(X[few], labels, epochs=100, batch_size=32, seed=seed, verbose=0)
    return model.evaluate(X[few], labels)[1], model.evaluate(X_test, y_test)[1]


# %%
# Four seeds each: other digits, other weights, other noise. The little lines are the smallest and
# the largest of the four.

WAYS = {
    "as it is": {},
    "dropout 0.5": {"dropout": 0.5},
    "dropout 0.8": {"dropout": 0.8},
    "noise 0.5": {"noise": 0.5},
}
found = {}
for wrong in (0.0, 0.4):
    for name, way in WAYS.items():
        found[wrong, name] = np.array([accuracies(wrong, **way, seed=seed) for seed in range(4)])
        seen, new = found[wrong, name].mean(axis=0)
        print(f"{wrong:.0%} wrong, {name:12} training digits {seen:.1%}, new digits {new:.1%}")

# %%
# Look at the training digits above, where labels are wrong: as it is, the network has learned 83 %
# of the given labels, right or wrong. With noise on the input it has learned 63 %, the right ones.

plt.figure(figsize=(6, 3), layout="constrained")
places = np.arange(len(WAYS))
for wrong, shift in ((0.0, -0.2), (0.4, 0.2)):
    new = np.array([100 * found[wrong, name][:, 1] for name in WAYS])
    mean = new.mean(axis=1)
    reach = [mean - new.min(axis=1), new.max(axis=1) - mean]
    label = "labels right" if wrong == 0 else "40 % of the labels drawn at random"
    plt.bar(places + shift, mean, 0.38, yerr=reach, capsize=3, label=label)
plt.xticks(places, list(WAYS))
plt.ylim(0, 100)
plt.ylabel("accuracy on new digits, %")
plt.legend(fontsize=8)
new = {key: value[:, 1].mean() for key, value in found.items()}
assert abs(new[0.0, "dropout 0.5"] - new[0.0, "as it is"]) < 0.02
assert new[0.4, "dropout 0.8"] > new[0.4, "as it is"] + 0.05
assert new[0.4, "noise 0.5"] > new[0.4, "as it is"] + 0.08

# %%
# Exercises
# ---------
#
# **Exercise 11.1.** Put ``"tanh"`` in the place of ``"sigmoid"`` in ``deep``. Draw the first
# picture again, and train again. What has changed for layer normalisation, and why?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# All three learn now: after 15 epochs a loss of 0.14 without normalisation, 0.11 with batch and
# 0.11 with layer normalisation. The spread in the eighth layer is 0.14, 0.65 and 0.47: tanh keeps
# the mean near 0, so there is nothing alike in all samples to drown their differences.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 11.2.** Batch normalisation's backward is often written wrongly by treating mean and
# variance as constants: ``dx = dx_hat * scale``. What does ``gradcheck`` say of it? Train ``deep``
# with it (``minienc/functions/normalization.py`` is where to change it). Does it learn?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# It fails, and the report says that what comes back through the mean is missing. Training with it,
# the loss comes down to 0.45 in the place of 0.15 in 15 epochs; but on new digits, where the
# moving averages are used, 10 % are right: no more than a guess.
#
# .. raw:: html
#
#     </details>
#
# Where this is in the source
# ---------------------------
#
# - :func:`minienc.functions.batch_normalization_forward`,
#   :func:`minienc.functions.layer_normalization_forward` and their backwards;
#   :class:`minienc.layers.BatchNormalization` keeps the moving averages.
# - :func:`minienc.functions.dropout_forward`, :func:`minienc.functions.masking_noise_forward`,
#   :func:`minienc.functions.salt_and_pepper_noise_forward`,
#   :func:`minienc.functions.gaussian_noise_forward`: the file ``minienc/functions/noise.py``.
# - The layers of the same names: :class:`minienc.layers.Dropout`,
#   :class:`minienc.layers.MaskingNoise`.
