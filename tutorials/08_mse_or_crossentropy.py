"""
Squared error or cross-entropy
==============================

An autoencoder restores its input. Two losses are used to say how well: the mean squared error, and
the cross-entropy of each pixel. They agree on what is perfect, and disagree on how bad a mistake
is.

You will be able to

- compute both losses and both gradients of a small image by hand;
- say where each of them has no slope, and why a sigmoid belongs to cross-entropy;
- read a cross-entropy that does not go to 0, and say what part of it is the network's fault;
- choose between the two, and compare networks that were trained with different losses.

It needs tutorials 05 (cross-entropy) and 07 (the autoencoder), and runs for a few seconds.
"""

# %%
# On paper
# --------
#
# An image of 2 x 2 pixels, and what a network made of it:
#
# .. code-block:: text
#
#     x = 1  0        y = 0.5  0.5
#         1  0            0.8  0.2
#
# Squared error: the differences are 0.5, 0.5, 0.2, 0.2, their squares 0.25, 0.25, 0.04, 0.04. The
# mean is 0.58 / 4 = 0.145.
#
# Cross-entropy: each pixel counts the surprise -log(the probability that was given to the truth).
# These are -log 0.5 = 0.693 twice and -log 0.8 = 0.223 twice. The mean is 1.832 / 4 = 0.458.

import matplotlib.pyplot as plt
import numpy as np

from minienc.functions import binary_crossentropy_forward, mean_squared_error_forward

plt.rcParams["figure.facecolor"] = "white"
x = np.array([[1.0, 0.0], [1.0, 0.0]])
y = np.array([[0.5, 0.5], [0.8, 0.2]])
squared, _ = mean_squared_error_forward(y, x)
crossed, _ = binary_crossentropy_forward(y, x)
print(f"squared error {squared:.3f}, cross-entropy {crossed:.3f}")
assert abs(squared - 0.145) < 1e-12
assert abs(crossed - 0.458) < 1e-3

# %%
# The slopes, on paper
# --------------------
#
# The last layer is y = sigmoid(z). A network learns from dL/dz. With 4 pixels:
#
# .. code-block:: text
#
#     squared error    dL/dz = 2 (y - x) / 4 * y (1 - y)     by the chain rule
#     cross-entropy    dL/dz = (y - x) / 4                   y (1 - y) has cancelled
#
# The upper left pixel has y = 0.5 and x = 1. Squared error: 2 (-0.5) / 4 * 0.25 = -0.0625.
# Cross-entropy: -0.5 / 4 = -0.125.

from minienc.functions import (
    binary_crossentropy_backward,
    mean_squared_error_backward,
    sigmoid_backward,
    sigmoid_forward,
)

z = np.log(y / (1 - y))  # the z of which y is the sigmoid
y_of_z, bend = sigmoid_forward(z)
dz_squared = sigmoid_backward(
    mean_squared_error_backward(1.0, mean_squared_error_forward(y_of_z, x)[1]), bend
)
_, cache = binary_crossentropy_forward(z, x, from_logits=True)
dz_crossed = binary_crossentropy_backward(1.0, cache)
print("squared error\n", dz_squared)
print("cross-entropy\n", dz_crossed)
assert abs(dz_squared[0, 0] + 0.0625) < 1e-12
assert abs(dz_crossed[0, 0] + 0.125) < 1e-12

# %%
# One pixel, every z
# ------------------
#
# A pixel that should be 1. To the right the network is right; to the left it is wrong, and the
# further the surer. Cross-entropy goes on rising there, as a straight line. Squared error becomes
# flat: it can be no worse than 1.

z = np.linspace(-8, 8, 400)
y = 1 / (1 + np.exp(-z))
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
left.plot(z, -np.log(y), label="cross-entropy")
left.plot(z, (y - 1) ** 2, "--", label="squared error")
left.set(xlabel="z", ylabel="loss", title="the loss of a pixel that should be 1")
right.plot(z, y - 1, label="cross-entropy")
right.plot(z, 2 * (y - 1) * y * (1 - y), "--", label="squared error")
right.set(xlabel="z", ylabel="dL/dz", title="and its slope")
left.legend()
assert ((y - 1) ** 2).max() <= 1 < 7 < (-np.log(y)).max()

# %%
# **Predict:** the pixel should be 1, and z is -6. By what factor is the slope of the cross-entropy
# larger than that of the squared error?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# y = sigmoid(-6) = 0.00247. The slopes are y - 1 and 2 (y - 1) y (1 - y), so the factor is
# 1 / (2 y (1 - y)) = 203. With squared error, the network is very wrong and hardly hears of it.
#
# .. raw:: html
#
#     </details>

y = 1 / (1 + np.exp(6.0))
factor = (y - 1) / (2 * (y - 1) * y * (1 - y))
print(f"y = {y:.5f}, the factor is {factor:.0f}")
assert round(factor) == 203

# %%
# Both losses in one step, line by line
# -------------------------------------
#
# The page below holds one training step of a network of 4 pixels and 2 hidden units, recorded
# twice: with cross-entropy and, beside it, with squared error. Walk to the backward of the last
# layer and compare dz. (In a script, ``minienc.step(...).save("step.html")`` writes the page to a
# file.)

import minienc
from minienc.data import load_digits
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.training.optimizers import SGD


def small(loss):
    pixels = Input((4,))
    hidden = Dense(2, activation="relu", seed=1)(pixels)
    model = Model(pixels, Dense(4, activation="sigmoid", seed=2)(hidden))
    model.compile(SGD(0.5), loss)
    return model


batch = np.array([[1, 0, 1, 0], [0, 1, 1, 0]], dtype=np.float32)
minienc.step(small("binary_crossentropy"), batch, batch, against=small("mean_squared_error"))

# %%
# A cross-entropy that is not 0
# -----------------------------
#
# Pixels are grey: 0.3, say. Cross-entropy reads it as "white, in 30 of 100 cases". Of all answers
# y, the loss is least at y = 0.3; but there it is 0.611, not 0. What is left is the entropy of the
# pixel: a number of the data, which no network can change.

y = np.linspace(0.01, 0.99, 99)
loss = -(0.3 * np.log(y) + 0.7 * np.log(1 - y))
plt.figure(figsize=(4.5, 3), layout="constrained")
plt.plot(y, loss, label="cross-entropy")
plt.plot(y, (y - 0.3) ** 2, "--", label="squared error")
plt.axvline(0.3, color="0.6", linewidth=1)
plt.xlabel("answer y")
plt.ylabel("loss, where x = 0.3")
plt.legend()
print(f"least at y = {y[loss.argmin()]:.2f}, where it is {loss.min():.3f}")
assert abs(y[loss.argmin()] - 0.3) < 1e-9
assert abs(loss.min() - 0.611) < 1e-3

# %%
# **Predict:** the digits have 64 pixels of 17 shades, of which many are black and some are grey. A
# perfect network restores each of them exactly. Is its cross-entropy nearer to 0, to 0.2 or to 0.7?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# It is 0.208: the mean entropy of the pixels, of which four in ten are neither black nor white.
# (0.7 = log 2 is what an answer of 0.5 everywhere costs.) So a loss of 0.25 is not far from
# perfect: the network's part of it is 0.25 - 0.208.
#
# .. raw:: html
#
#     </details>

digits = load_digits()
X_train = np.asarray(digits.x).reshape(-1, 64)
X_test = np.asarray(digits.test_x).reshape(-1, 64)
perfect, _ = binary_crossentropy_forward(X_test.astype(float), X_test.astype(float))
print(f"cross-entropy of perfect answers: {perfect:.3f}")
assert abs(perfect - 0.208) < 1e-3
assert 0.4 < np.mean((X_test > 0) & (X_test < 1)) < 0.42

# %%
# The same network, three ways
# ----------------------------
#
# 64 pixels, 32 hidden units, 64 pixels, all from the same random weights. What differs is how it
# ends: a sigmoid with cross-entropy, a sigmoid with squared error, or no sigmoid at all ("linear")
# with squared error.

WAYS = {
    "sigmoid, cross-entropy": ("sigmoid", "binary_crossentropy"),
    "sigmoid, squared error": ("sigmoid", "mean_squared_error"),
    "linear, squared error": ("linear", "mean_squared_error"),
}


def build(end, loss, optimizer):
    pixels = Input((64,))
    hidden = Dense(32, activation="relu", seed=0)(pixels)
    model = Model(pixels, Dense(64, activation=end, seed=1)(hidden))
    model.compile(optimizer, loss)
    return model


models = {}
for name, (end, loss) in WAYS.items():
    models[name] = build(end, loss, "adam")
    models[name].fit(X_train, X_train, epochs=60, batch_size=32, seed=3, verbose=0)

# %%
# Their losses cannot be compared with each other: they are different things. So each is judged by
# both, on digits that it has not seen. The linear one gives some answers outside of (0, 1), which
# are no probabilities; it has no cross-entropy.

judged = {}
for name, model in models.items():
    restored = model.predict(X_test).astype(float)
    squared = 64 * mean_squared_error_forward(restored, X_test.astype(float))[0]
    outside = np.mean((restored < 0) | (restored > 1))
    text = f"{name:24} squared error per digit {squared:.2f}"
    if name.startswith("sigmoid"):
        crossed = binary_crossentropy_forward(restored, X_test.astype(float))[0]
        text += f", cross-entropy {crossed:.3f}, of it above perfect {crossed - perfect:.3f}"
        judged[name] = squared, crossed
    else:
        text += f", {outside:.0%} of the answers outside of (0, 1)"
        judged[name] = squared, outside
    print(text)
crossed, squared = judged["sigmoid, cross-entropy"], judged["sigmoid, squared error"]
assert crossed[1] < squared[1]
assert abs(crossed[0] - squared[0]) < 0.03
assert judged["linear, squared error"][0] < min(crossed[0], squared[0])

# %%
# Each is best at what it was trained for, and by little: trained by cross-entropy, the network is
# as good in squared error, 0.38. The linear end has the smallest squared error, 0.32, for it may
# answer what it likes; 3 in 10 of its answers are no shades of grey. The eye sees no difference.

figure, axes = plt.subplots(4, 10, figsize=(7.5, 3.3), layout="constrained")
shown = {"original": X_test, **{name: model.predict(X_test) for name, model in models.items()}}
for row, (name, images) in zip(axes, shown.items(), strict=True):
    for ax, image in zip(row, images[:10], strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name.replace(", ", ",\n"), rotation=0, ha="right", va="center")

# %%
# Where it matters
# ----------------
#
# So does the choice matter? Where the network is sure and wrong. We begin with a last layer whose
# biases are 8 or -8 by the toss of a coin: half of the pixels are answered wrongly, with certainty.
#
# **Predict:** both are trained by plain gradient descent with a learning rate of 0.5. What does
# each of them look like after 30 epochs?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# Cross-entropy has a slope of nearly 1 at each wrong pixel, and comes down from 28 to 1.6. Squared
# error has one of 2 y (1 - y) = 0.0007, and stays where it was, to the second digit.
#
# .. raw:: html
#
#     </details>

coin = np.random.default_rng(5).choice([-8.0, 8.0], 64)
courses = {}
for name in ("sigmoid, cross-entropy", "sigmoid, squared error"):
    model = build(*WAYS[name], SGD(0.5))
    weights = model.get_weights()
    weights[3][:] = coin  # W1, b1, W2, b2: the biases of the last layer
    model.set_weights(weights)
    courses[name] = [64 * np.mean((model.predict(X_test) - X_test) ** 2)]
    for epoch in range(30):
        model.fit(X_train, X_train, epochs=1, batch_size=32, seed=epoch, verbose=0)
        courses[name].append(64 * np.mean((model.predict(X_test) - X_test) ** 2))
    print(f"{name}: {courses[name][0]:.2f} -> {courses[name][-1]:.2f}")

# %%
# The same, drawn. Both are judged by squared error, so this is the judge that the loser has been
# trained for.

plt.figure(figsize=(5, 3), layout="constrained")
for (name, course), line in zip(courses.items(), ("-", "--"), strict=True):
    plt.plot(course, line, label=name)
plt.xlabel("epoch")
plt.ylabel("squared error per test digit")
plt.ylim(0)
plt.legend()
assert courses["sigmoid, cross-entropy"][-1] < 2.0
assert courses["sigmoid, squared error"][-1] > 0.99 * courses["sigmoid, squared error"][0]

# %%
# What to choose
# --------------
#
# - Data in [0, 1] that may be read as probabilities (pixels, yes or no): a sigmoid and
#   cross-entropy.
# - Any other numbers: a linear end and squared error. ``fit`` refuses to take 1.2 for a
#   probability.
# - A sigmoid with squared error works as long as nothing saturates. Nothing is gained by it.
# - A loss says something beside a yardstick: the entropy of the data, or the mean sample.
#
# **Exercise 08.1.** Repeat the last experiment with ``"adam"`` in the place of ``SGD(0.5)``.
# Squared error does recover now. Adam divides each gradient by its usual size: why does that help
# here, and what is left of the argument against squared error?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# From 27.9, after 30 epochs: cross-entropy 2.03, squared error 1.41. After one epoch both still
# stand at 27.8. A small gradient that is divided by its size is as long as a large one.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 08.2.** Make black and white images of the digits (``X > 0.5``) and train the three
# ways on them. What is the cross-entropy of perfect answers now? Which of the three restores most
# pixels to the right side of 0.5?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# 0, for every pixel is certain. On the right side of 0.5 are 99.4 % of the pixels of new digits
# with cross-entropy, 99.5 % with either squared error: no difference to speak of.
#
# .. raw:: html
#
#     </details>

try:
    models["sigmoid, cross-entropy"].fit(1.2 * X_train, 1.2 * X_train, verbose=0)
except ValueError as refusal:
    print("refused:", refusal)
else:
    raise AssertionError("1.2 is no probability")

# %%
# Where this is in the source
# ---------------------------
#
# - :func:`minienc.functions.mean_squared_error_forward` and its backward, and
#   :func:`minienc.functions.binary_crossentropy_forward` and its backward, which with
#   ``from_logits=True`` is sigmoid and loss in one: the file ``minienc/functions/losses.py``.
# - A model that ends in a sigmoid and is compiled with cross-entropy takes that one by itself: the
#   losses as a model knows them are :class:`minienc.training.losses.BinaryCrossentropy` and
#   :class:`minienc.training.losses.MeanSquaredError`.
