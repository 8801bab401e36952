"""
A convolution is a product
==========================

A dense layer has a weight for each pixel and each unit. A convolution has one small kernel that
looks at every place of the image. It looks like a new operation; cut the image into patches, and
it is the dense layer that you know, forward and backward.

You will be able to

- compute a small convolution and its gradients on paper;
- write it as a matrix product, and say what the backward of cutting patches is;
- work out sizes with strides and padding, and count weights;
- say what is gained: the same weights everywhere, so a thing is found wherever it is.

It needs tutorials 03 (the dense layer) and 05 (classifying digits), and runs for about ten seconds.
"""

# %%
# On paper
# --------
#
# An image of 3 x 3 pixels and a kernel of 2 x 2 weights. The kernel stands in four places; in
# each, it is multiplied with the pixels under it, and the products are summed.
#
# .. code-block:: text
#
#     x = 1  2  0       W = 1  -1       y = 1*1 - 1*2 + 0*0 + 2*1 = 1     2 - 0 + 0 + 6 =  8
#         0  1  3           0   2           0 - 1 + 0 + 2*0      = -1     1 - 3 + 0 + 2 =  0
#         2  0  1
#
# Images are (N, H, W, C): samples, rows, columns, channels. Kernels are (rows, columns, channels
# in, channels out). Here all but rows and columns are 1.

import matplotlib.pyplot as plt
import numpy as np

from minienc.functions import conv2d_backward, conv2d_forward

plt.rcParams["figure.facecolor"] = "white"
x = np.array([[1.0, 2, 0], [0, 1, 3], [2, 0, 1]])
W = np.array([[1.0, -1], [0, 2]])
y, cache = conv2d_forward(x.reshape(1, 3, 3, 1), W.reshape(2, 2, 1, 1))
print(y[0, :, :, 0])
assert np.array_equal(y[0, :, :, 0], [[1, 8], [-1, 0]])

# %%
# The same as a product
# ---------------------
#
# Write what the kernel sees in each place as a row. The rows are a matrix P, the kernel is a
# column w, and y = P w. Everything that makes matrix products fast makes convolutions fast.
#
# .. code-block:: text
#
#     P = 1  2  0  1       w =  1       P w = 1 - 2 + 0 + 2 =  1
#         2  0  1  3           -1             2 - 0 + 0 + 6 =  8
#         0  1  2  0            0             0 - 1 + 0 + 0 = -1
#         1  3  0  1            2             1 - 3 + 0 + 2 =  0

from minienc.functions import patches_forward

seen, _ = patches_forward(x.reshape(1, 3, 3, 1), (2, 2))
P = seen.reshape(4, 4)
print(P, P @ W.ravel())
assert np.array_equal(P @ W.ravel(), y.ravel())

# %%
# The window moves over the image; each stop is a row of P. The pixel in the middle is seen four
# times, and so it is copied four times.

colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]
figure, (left, right) = plt.subplots(1, 2, figsize=(6.5, 3), layout="constrained")
for ax, numbers, title in ((left, x, "the image x, and four windows"), (right, P, "P, a row each")):
    ax.imshow(numbers, cmap="Greys", vmin=0, vmax=9)
    for (i, j), value in np.ndenumerate(numbers):
        ax.text(j, i, f"{value:.0f}", ha="center", va="center")
    ax.set(title=title, xticks=[], yticks=[])
for k, colour in enumerate(colours):
    place, inset = (k % 2 - 0.5, k // 2 - 0.5), 0.06 * (k + 1)
    corner = (place[0] + inset, place[1] + inset)
    size = 2 - 2 * inset
    left.add_patch(plt.Rectangle(corner, size, size, fill=False, edgecolor=colour, linewidth=2))
    row = (-0.46, k - 0.44)
    right.add_patch(plt.Rectangle(row, 3.92, 0.88, fill=False, edgecolor=colour, linewidth=2))

# %%
# Backward
# --------
#
# y = P w is a dense layer, so dw = P' dy and dP = dy w'. What is left is P, whose numbers are
# copies of pixels. A pixel that was copied four times receives the sum of four gradients: each row
# of dP is laid back where it was cut out, and where rows overlap, they add.
#
# With dy = 1 everywhere, dw is the sum of the rows of P, (4, 6, 3, 5), and the middle pixel
# receives the sum of all four weights, 1 - 1 + 0 + 2 = 2.

dy = np.ones((1, 2, 2, 1))
dx, dW, _ = conv2d_backward(dy, cache)
print("dW\n", dW[:, :, 0, 0], "\ndx\n", dx[0, :, :, 0])
assert np.array_equal(dW.ravel(), [4, 6, 3, 5])
assert dx[0, 1, 1, 0] == 2

laid = np.zeros((3, 3))
for row, (i, j) in zip(np.ones((4, 1)) @ W.reshape(1, 4), np.ndindex(2, 2), strict=True):
    laid[i : i + 2, j : j + 2] += row.reshape(2, 2)
assert np.array_equal(laid, dx[0, :, :, 0])

# %%
# **Predict:** images of 8 x 8 pixels, a kernel of 3 x 3, all weights 1, dy = 1. What is dx at a
# corner, in the middle of an edge, and in the middle of the image?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# It counts the windows that see the pixel: 1, 3 and 9. Pixels at the edge have less of a say in
# what is learned.
#
# .. raw:: html
#
#     </details>

image, ones = np.zeros((1, 8, 8, 1)), np.ones((3, 3, 1, 1))
_, cache = conv2d_forward(image, ones)
count, _, _ = conv2d_backward(np.ones((1, 6, 6, 1)), cache)
plt.figure(figsize=(3.4, 3), layout="constrained")
plt.imshow(count[0, :, :, 0], cmap="viridis")
plt.colorbar(label="windows that see the pixel")
plt.xticks([])
plt.yticks([])
assert [count[0, 0, 0, 0], count[0, 0, 4, 0], count[0, 4, 4, 0]] == [1, 3, 9]

# %%
# Walk through it
# ---------------
#
# One training step of a model that is the convolution from above and nothing else. The page shows
# ``conv2d_forward`` call ``patches_forward`` and ``dense_forward``, and the way back.

import minienc
from minienc.layers import Conv2D, Flatten, Input
from minienc.models import Model
from minienc.training.optimizers import SGD

pixels = Input((3, 3, 1), dtype="float64")
model = Model(pixels, Flatten()(Conv2D(1, 2, use_bias=False)(pixels)))
model.set_weights([W.reshape(2, 2, 1, 1)])
model.compile(SGD(0.1), "mean_squared_error")
minienc.step(model, x.reshape(1, 3, 3, 1), np.zeros((1, 4)))

# %%
# Sizes
# -----
#
# A kernel of K pixels that stays inside H pixels, moving S pixels at a time, stands in floor((H -
# K) / S) + 1 places ("valid"). With zeros added around the image it stands in ceil(H / S) places
# ("same").
#
# **Predict:** 8 rows, a kernel of 3, strides of 2: how many rows come out, "valid" and "same"?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# floor(5 / 2) + 1 = 3, and ceil(8 / 2) = 4.
#
# .. raw:: html
#
#     </details>

rows = {
    padding: conv2d_forward(image, ones, strides=2, padding=padding)[0].shape[1]
    for padding in ("valid", "same")
}
print(rows)
assert rows == {"valid": 3, "same": 4}

# %%
# What a kernel sees
# ------------------
#
# Kernels written by hand, on digits. Each finds one thing, wherever it is: an edge with its bright
# side to the right, one with its bright side below, a bright spot. Red is "yes", blue is "the
# opposite".

from minienc.data import load_digits

digits = load_digits()
X = np.pad(np.asarray(digits.x)[..., None], ((0, 0), (1, 1), (1, 1), (0, 0)))  # a black frame
X_test = np.pad(np.asarray(digits.test_x)[..., None], ((0, 0), (1, 1), (1, 1), (0, 0)))
kernels = {
    "brighter to the right": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "brighter below": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "a spot": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
}
bank = np.array(list(kernels.values()), dtype=np.float32).transpose(1, 2, 0)[:, :, None, :]
found, _ = conv2d_forward(X[:6], bank, padding="same")
print("images", X[:6].shape, "kernels", bank.shape, "->", found.shape)
figure, axes = plt.subplots(4, 6, figsize=(6, 4), layout="constrained")
for j in range(6):
    axes[0, j].imshow(X[j, :, :, 0], cmap="gray")
    for k in range(3):
        top = np.abs(found[..., k]).max()
        axes[k + 1, j].imshow(found[j, :, :, k], cmap="RdBu_r", vmin=-top, vmax=top)
for ax, name in zip(axes[:, 0], ["digit", *kernels], strict=True):
    ax.set_ylabel(name.replace(" to", "\nto"), rotation=0, ha="right", va="center")
for ax in axes.ravel():
    ax.set(xticks=[], yticks=[])

# %%
# Move the image and what is found moves with it; nothing else changes (but at the edge, where
# pixels leave). A dense layer has no such law.

moved = np.roll(X[:6], 1, axis=2)
found_there, _ = conv2d_forward(moved, bank, padding="same")
inner = slice(2, 8)
assert np.allclose(found_there[:, inner, inner], found[:, inner, slice(1, 7)], atol=1e-5)
print("moved by one pixel, found one pixel further")

# %%
# **Predict:** a dense layer from 10 x 10 pixels to as many numbers as eight kernels of 3 x 3 make
# ("valid": 8 x 8 places). How many weights has it, and how many has the convolution?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# The dense one has 100 * 512 + 512 = 51,712. The convolution has 3 * 3 * 8 + 8 = 80. It is the
# dense layer, with nearly all weights 0 and the others equal.
#
# .. raw:: html
#
#     </details>

from minienc.layers import Dense

pixels = Input((10, 10, 1))
convolution = Model(pixels, Conv2D(8, 3)(pixels))
dense = Model(pixels, Dense(8 * 8 * 8)(Flatten()(pixels)))
sizes = dense.parameters.vector.size, convolution.parameters.vector.size
print(f"dense {sizes[0]:,}, convolution {sizes[1]}")
assert sizes == (51_712, 80)

# %%
# What it is worth
# ----------------
#
# Two classifiers with about 5,500 weights: a dense one, and two convolutions with a maximum behind
# each. The first maximum, over 2 x 2 places, says whether something is there or near; the last,
# over all places, says whether it is anywhere.

from minienc.layers import MaxPool2D
from minienc.training.optimizers import Adam


def classifiers(seed):
    pixels = Input((10, 10, 1))
    hidden = Dense(50, "relu", seed=seed)(Flatten()(pixels))
    yield "dense", Model(pixels, Dense(10, "softmax", seed=seed + 1)(hidden))
    h = Conv2D(16, 3, activation="relu", padding="same", seed=seed)(pixels)
    h = Conv2D(32, 3, activation="relu", padding="same", seed=seed + 1)(MaxPool2D(2)(h))
    h = Flatten()(MaxPool2D(5)(h))
    yield "convolution", Model(pixels, Dense(10, "softmax", seed=seed + 2)(h))


trained, accuracies = {}, {}
for name, model in classifiers(seed=0):
    model.compile(Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(X, digits.y, epochs=25, batch_size=32, seed=0, verbose=0)
    trained[name] = model
    print(f"{name}: {model.parameters.vector.size:,} weights")

# %%
# **Predict:** then the test digits are moved by one pixel to the left, right, up or down, which
# neither has seen in training. What happens to each of the two?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# On digits in their places the convolution is a few points better. On moved ones the dense network
# is right for less than half: a moved pixel is another input to it, with other weights. The
# convolution is right for about 7 in 10. Not for all: the maximum over 2 x 2 places stands on a
# grid, and the image's edge is where it is.
#
# .. raw:: html
#
#     </details>

for name, model in trained.items():
    in_place = model.evaluate(X_test, digits.test_y)[1]
    moved = [
        model.evaluate(np.roll(X_test, by, axis=axis), digits.test_y)[1]
        for axis in (1, 2)
        for by in (-1, 1)
    ]
    accuracies[name] = in_place, np.mean(moved)
    print(f"{name}: in their places {in_place:.1%}, moved by a pixel {np.mean(moved):.1%}")
assert accuracies["convolution"][0] > accuracies["dense"][0]
assert accuracies["dense"][1] < 0.55 < 0.6 < accuracies["convolution"][1]

# %%
# The 16 kernels of the first layer. Nobody wrote them; some are like those that we wrote above.

learned = trained["convolution"].get_weights()[0]  # (3, 3, 1, 16)
figure, axes = plt.subplots(2, 8, figsize=(6, 1.7), layout="constrained")
for k, ax in enumerate(axes.ravel()):
    top = np.abs(learned[..., k]).max()
    ax.imshow(learned[:, :, 0, k], cmap="RdBu_r", vmin=-top, vmax=top)
    ax.set(xticks=[], yticks=[])
assert learned.shape == (3, 3, 1, 16)

# %%
# Exercises
# ---------
#
# **Exercise 12.1.** In matrices, a convolution is y = A x, with x and y laid out as columns. Find
# A of the example on paper (4 x 9), by putting images with a single 1 through ``conv2d_forward``.
# Check that dx is A' dy. That product is a layer, too: :class:`minienc.layers.Conv2DTranspose`.
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# Each row of A has the kernel's 1, -1, 0, 2 at another place: the first is 1, -1, 0, 0, 2, 0, 0,
# 0, 0. For dy = 1 everywhere, dx is 1, 0, -1 / 1, 2, 1 / 0, 2, 2.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 12.2.** Train both classifiers on digits that are moved at random (``np.roll`` each by
# -1, 0 or 1 along both axes, anew for each epoch). How much of the gap is left? Which is cheaper,
# to build a law into the network or to show it in the data?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# With ``np.random.default_rng(0)`` for the moves, in their places and moved by a pixel: dense 87 %
# and 84 %, convolution 93 % and 95 %.
#
# .. raw:: html
#
#     </details>
#
# Where this is in the source
# ---------------------------
#
# - :func:`minienc.functions.conv2d_forward` and :func:`minienc.functions.conv2d_backward`, a few
#   lines each, between :func:`minienc.functions.patches_forward` and
#   :func:`minienc.functions.dense_forward`: the file ``minienc/functions/convolution.py``.
# - :func:`minienc.functions.max_pool2d_forward`.
# - The layers :class:`minienc.layers.Conv2D` and :class:`minienc.layers.MaxPool2D`.
