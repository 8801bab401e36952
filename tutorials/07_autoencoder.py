"""
An autoencoder
==============

Two dense layers: the first makes 32 numbers of 64 pixels, the second restores the pixels from them.
Nobody tells the network what the images show; it learns from the difference alone. We write the
whole training by hand, find that ``fit`` does the same, bit for bit, and ask whether the result is
any good.

You will be able to

- build, train and use an autoencoder with ``Input``, ``Dense``, ``Model``, ``compile`` and ``fit``;
- write the same training loop yourself;
- take the encoder out of the model, and ask what its codes know;
- name what an autoencoder has to beat, and say when it does.

It needs tutorials 01 (cross-entropy) and 03 (a dense layer), and runs for about five seconds.
"""

# %%
# On paper: two pixels, one number
# --------------------------------
#
# Images of two pixels, one of which is white. Two numbers each; but as soon as you know the first,
# you know the second. So one number will do as a code. Two samples, the encoder h = relu(x W1), the
# decoder y = h W2 + b2:
#
# .. code-block:: text
#
#     x = 1  0     W1 =  1     h = 1     W2 = 1  -1     y = 1  0
#         0  1          -1         0     b2 = 0   1         0  1
#
# Both are restored. The image with two white pixels was never among them. Its code is 1 - 1 = 0,
# and what is restored is (0, 1): a squared error of 1. An autoencoder restores what is like the
# data it has seen, and nothing else: to do so, it has to know what the data have in common.

# sphinx_gallery_thumbnail_number = 3

import matplotlib.pyplot as plt
import numpy as np

plt.rcParams["figure.facecolor"] = "white"


def restore(x):
    h = np.maximum(x @ np.array([[1.0], [-1.0]]), 0)
    return h @ np.array([[1.0, -1.0]]) + np.array([0.0, 1.0])


seen, unseen = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 1.0]])
print("seen:\n", restore(seen), "\nunseen:", restore(unseen))
assert np.array_equal(restore(seen), seen)
assert ((restore(unseen) - unseen) ** 2).sum() == 1

# %%
# The data: 1,797 handwritten digits of 8 x 8 pixels, numbers in [0, 1]; 360 of them are kept for
# testing. Here, too, pixels know of one another: the right picture shows how each pixel goes along
# with the one that is marked (correlations, from -1 to 1). That is what a code can use.

from minienc.data import load_digits

digits = load_digits()
X_train = np.asarray(digits.x).reshape(-1, 64)
X_test = np.asarray(digits.test_x).reshape(-1, 64)
print(X_train.shape, X_test.shape, X_train.dtype, f"{X_train.min()} to {X_train.max()}")

figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
framed = np.pad(X_train[:24].reshape(3, 8, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)))
left.imshow(np.vstack([np.hstack(row) for row in framed]), cmap="gray_r")
left.set(xticks=[], yticks=[], title="24 digits")
varies = X_train.std(axis=0) > 0
together = np.full(64, np.nan)
together[varies] = np.corrcoef(X_train[:, varies].T)[np.flatnonzero(varies) == 28].ravel()
shown = right.imshow(together.reshape(8, 8), cmap="RdBu", vmin=-1, vmax=1)
right.plot(4, 3, "k+", markersize=14)
right.set(xticks=[], yticks=[], title="correlation with pixel (3, 4)")
bar = figure.colorbar(shown)
assert X_train.shape == (1437, 64) and X_test.shape == (360, 64)

# %%
# The model
# ---------
#
# It is written as in Keras, a library that many courses use. Applying a layer to what ``Input``
# returned computes nothing; it notes where the layer stands. A Model is everything between its
# inputs and its outputs. The table says of each layer what comes out of it, how many weights it
# has, and how many multiplications and additions one sample takes (FLOPs).

from minienc.layers import Dense, Input
from minienc.models import Model

input_layer = Input(shape=(64,))
hidden_layer = Dense(units=32, activation="relu", seed=0)(input_layer)
output_layer = Dense(units=64, activation="sigmoid", seed=1)(hidden_layer)
autoencoder = Model(input_layer, output_layer)
autoencoder.summary()
W1, b1, W2, b2 = autoencoder.get_weights()  # copies, to begin from the same place
assert autoencoder.parameters.vector.size == 64 * 32 + 32 + 32 * 64 + 64

# %%
# Training by hand
# ----------------
#
# For each batch: forward, loss, backward, and one step against the gradient. The target is x
# itself. The last sigmoid and the loss are one function, which is exact where the sigmoid is nearly
# 0 or 1.

from minienc.functions import (
    binary_crossentropy_backward,
    binary_crossentropy_forward,
    dense_backward,
    dense_forward,
)


def train_one_epoch(order, learning_rate=0.5, batch_size=32):
    total = 0.0
    for start in range(0, len(order), batch_size):
        x = X_train[order[start : start + batch_size]]
        h, hidden = dense_forward(x, W1, b1, activation="relu")
        z, output = dense_forward(h, W2, b2)
        loss, cache = binary_crossentropy_forward(z, x, from_logits=True)
        dz = binary_crossentropy_backward(1.0, cache)
        dh, dW2, db2 = dense_backward(dz, output)
        _, dW1, db1 = dense_backward(dh, hidden)
        for weights, gradient in ((W1, dW1), (b1, db1), (W2, dW2), (b2, db2)):
            weights -= learning_rate * gradient
        total += len(x) * float(loss)
    return total / len(order)


# %%
# The order of the samples is drawn from a generator of (seed, epoch, 0), as ``fit`` does; so a run
# can be repeated, and resumed anywhere.

seed = 7
by_hand = []
for epoch in range(5):
    order = np.random.default_rng([seed, epoch, 0]).permutation(len(X_train))
    by_hand.append(train_one_epoch(order))
print("by hand:", np.round(by_hand, 4))

# %%
# The same by ``fit``
# -------------------
#
# **Predict:** from the same weights, with the same settings: how near are the losses of ``fit`` to
# ours?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# They are equal, and so is every bit of all 4,192 weights. ``fit`` is these lines and nothing else.
#
# .. raw:: html
#
#     </details>

from minienc.training.optimizers import SGD

autoencoder.compile(optimizer=SGD(0.5), loss="binary_crossentropy")
history = autoencoder.fit(X_train, X_train, epochs=5, batch_size=32, seed=seed, verbose=0)
print("by fit: ", np.round(history.history["loss"], 4))
assert history.history["loss"] == by_hand
for mine, theirs in zip((W1, b1, W2, b2), autoencoder.get_weights(), strict=True):
    assert np.array_equal(mine, theirs)

# %%
# One of its steps to walk through, with two digits.

import minienc

minienc.step(autoencoder, X_train[:2], X_train[:2], title="the autoencoder, two digits")

# %%
# Longer, with Adam
# -----------------
#
# Adam gives each weight a step of its own (tutorial 09 explains how). Beside the loss on what it
# learns from stands the loss on digits that it has never seen: it could learn its 1,437 samples by
# heart, but not those.

autoencoder.compile(optimizer="adam", loss="binary_crossentropy")
history = autoencoder.fit(
    X_train,
    X_train,
    epochs=40,
    batch_size=32,
    shuffle=True,
    validation_data=(X_test, X_test),
    seed=seed,
    verbose=0,
)
epochs = np.arange(1, 46)
plt.figure(figsize=(5, 3), layout="constrained")
plt.plot(epochs, by_hand + history.history["loss"], label="training digits")
plt.plot(epochs[5:], history.history["val_loss"], "--", label="new digits")
plt.axvline(5, color="0.7")
plt.xlabel("epoch: by gradient descent, then by Adam")
plt.ylabel("cross-entropy")
plt.legend()
final, unseen = history.history["loss"][-1], history.history["val_loss"][-1]
print(f"loss {by_hand[0]:.3f} -> {final:.3f}; new digits {unseen:.3f}")
assert final < 0.5 * by_hand[0] and abs(final - unseen) < 0.02

# %%
# New digits, and below them what was restored. The eye is content.

restored = autoencoder.predict(X_test)
figure, axes = plt.subplots(2, 10, figsize=(7.5, 1.8), layout="constrained")
for row, images, name in zip(axes, (X_test, restored), ("original", "restored"), strict=True):
    for ax, image in zip(row, images[:10], strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")

# %%
# Is that good?
# -------------
#
# A loss by itself says nothing. Two yardsticks that need no network: the mean digit, given as an
# answer to everything; and *principal components* (PCA for short), the best code of 32 numbers of
# all those that are linear, x W without a bend (it is computed at once, from correlations, without
# any training).
#
# **Predict:** the mean digit has a squared error of 4.7 per digit. Who comes closer to 0, the
# autoencoder or the principal components?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# The principal components: 0.17 against about 0.45. One layer each way has little over a linear
# map, and its training is not finished. Do not take an autoencoder's word for it; compare.
#
# .. raw:: html
#
#     </details>

from minienc.pretraining import PCA, MeanSample

error = ((X_test - restored) ** 2).sum(axis=1).mean()
mean = MeanSample().fit(X_train).reconstruction_error(X_test)
pca = PCA(32).fit(X_train).reconstruction_error(X_test)
print(f"squared error per digit: mean {mean:.2f}, autoencoder {error:.2f}, PCA {pca:.2f}")
assert pca < error < 0.2 * mean

# %%
# When it is worth it
# -------------------
#
# Narrower codes, and a deeper network: a layer of 128 before and behind the code. It can follow
# curves, where principal components can only follow straight lines. The fewer numbers the code has,
# the more that is worth.


def error_of(code, *deeper):
    tensor = inputs = Input((64,))
    for k, units in enumerate((*deeper, code, *deeper[::-1])):
        bend = "linear" if deeper and units == code else "relu"
        tensor = Dense(units, activation=bend, seed=k)(tensor)
    model = Model(inputs, Dense(64, activation="sigmoid", seed=9)(tensor))
    model.compile("adam", "binary_crossentropy")
    model.fit(X_train, X_train, epochs=60, batch_size=32, seed=seed, verbose=0)
    return ((X_test - model.predict(X_test)) ** 2).sum(axis=1).mean()


widths = (2, 4, 8, 16, 32)
errors = {
    "one layer each way": [error_of(k) for k in widths],
    "principal components": [PCA(k).fit(X_train).reconstruction_error(X_test) for k in widths],
    "two layers each way": [error_of(k, 128) for k in widths],
}

# %%
# Below the dotted line, the principal components are beaten. One layer each way never is clearly;
# two layers are where the code is narrow, and at 32 numbers they are behind again.

plt.figure(figsize=(5.5, 3.3), layout="constrained")
for (name, line), mark in zip(errors.items(), ("s-", "o:", "^-"), strict=True):
    plt.plot(widths, line, mark, label=name)
    print(f"{name:21}", np.round(line, 2))
plt.xscale("log", base=2)
plt.xticks(widths, widths)
plt.xlabel("numbers of the code")
plt.ylabel("squared error per new digit")
plt.ylim(0)
plt.legend()
shallow, linear, deep = map(np.array, errors.values())
assert (shallow > 0.9 * linear).all()
assert (deep[:4] < 0.9 * linear[:4]).all() and deep[4] > linear[4]

# %%
# The encoder, by itself
# ----------------------
#
# The encoder is half of the model that was trained; nothing is copied. Do its codes know about the
# classes, which training never saw? A *linear probe*, a classifier of one layer,
# is trained on the codes; and, to have something to compare with, on the pixels.

from minienc.finetuning import linear_probe

encoder = Model(input_layer, hidden_layer)
codes = encoder.predict(X_test)
print("codes:", codes.shape)
assert encoder.layers[0] is autoencoder.layers[0]
of_codes = linear_probe(encoder, X_train, digits.y, X_test, digits.test_y)
of_pixels = linear_probe(None, X_train, digits.y, X_test, digits.test_y)
print(f"right: {of_codes:.1%} on the codes, {of_pixels:.1%} on the pixels")
assert of_codes > 0.85 and abs(of_codes - of_pixels) < 0.06

# %%
# Half as many numbers, and hardly anything is lost; with all labels at hand, little is gained
# either. Where pretraining helps, and where not, is the subject of tutorial 14.
#
# Exercises
# ---------
#
# **Exercise 07.1.** Give the autoencoder things that are no digits: noise, a digit upside down, an
# image of one grey. Is their error larger than that of new digits? Of all new digits, which five
# have the largest error, and do you see why?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# Per image, with the autoencoder as it is at the end of this page: new digits 0.45, digits with
# their rows upside down 0.70, one grey of 0.5 5.7, uniform noise 9.0. The worst five new digits
# have from 1.2 to 2.2; the worst is number 135, a 9.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 07.2.** Make the first autoencoder linear: no activation, squared error, a code of 8.
# Train it until nothing changes. How near does it come to the 8 principal components, and can it be
# better?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# The 8 principal components have a squared error of 1.593 per new digit. With Adam, batches of 32
# and seeds 0 and 1 for the layers, the linear autoencoder has about 1.74 after 50 epochs, 1.62
# after 250 and 1.60 after 850. On the digits that it learns from it cannot be better (1.525 in the
# place of 1.524): of all linear codes, the components are the best there.
#
# .. raw:: html
#
#     </details>
#
# Where this is in the source
# ---------------------------
#
# - :class:`minienc.models.Model`: ``fit`` and ``compile``; the step itself is
#   :class:`minienc.training.step.Learner`.
# - :func:`minienc.functions.dense_forward` and
#   :func:`minienc.functions.binary_crossentropy_forward`.
# - :class:`minienc.pretraining.Autoencoder`: the same as a method, deeper, with a report;
#   :class:`minienc.pretraining.PCA`, :class:`minienc.pretraining.MeanSample`: what it has to beat.
# - :func:`minienc.finetuning.linear_probe`.
