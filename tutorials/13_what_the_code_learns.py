"""
What the code learns
====================

A code that is narrow has to leave something out. A code that is wide could copy everything, and
learn nothing. We look into codes: principal components first, then three ways to restrain a wide
code. Each gets what it is asked for, which is not always what one hoped for.

You will be able to

- find principal components of four points on paper, and say what a linear autoencoder finds;
- say what sparsity, noise and contraction each ask of a code;
- look at what a unit stands for, and at how a code answers to small changes;
- measure a code by more than its reconstruction error.

It needs tutorial 07 (the autoencoder), and runs for about ten seconds. Losses are the subject of
08, noise that of 11: here it is enough that there are two losses, and that noise may be added.
"""

# %%
# On paper: principal components
# ------------------------------
#
# Four points: (2, 1), (1, 2), (-2, -1), (-1, -2). Their mean is 0, and their covariance matrix is
#
# .. code-block:: text
#
#     C = 1/4 X' X = 1/4  4+1+4+1  2+2+2+2  =  2.5  2
#                         2+2+2+2  1+4+1+4     2    2.5
#
#     C (1,  1)' = 4.5 (1,  1)'        along (1, 1) the variance is 4.5
#     C (1, -1)' = 0.5 (1, -1)'        across it 0.5
#
# A code of one number that keeps the place along (1, 1) loses a squared error of 0.5 per point, and
# keeps 4.5 of 5. No other line is as good: that is the first principal component.

# sphinx_gallery_thumbnail_number = 3
import matplotlib.pyplot as plt
import numpy as np

from minienc.pretraining import PCA

plt.rcParams["figure.facecolor"] = "white"
points = np.array([[2.0, 1], [1, 2], [-2, -1], [-1, -2]])
C = points.T @ points / 4
pca = PCA(1).fit(points)
print("C =", C.tolist(), "direction", pca.components_[0], "variance", pca.explained_variance_)
assert np.array_equal(C, [[2.5, 2], [2, 2.5]])
assert np.allclose(pca.explained_variance_, 4.5)
assert np.allclose(pca.reconstruction_error(points), 0.5)

# %%
# The same points in a picture: each is replaced by the nearest point of the line.

restored = pca.inverse_transform(pca.transform(points))
plt.figure(figsize=(3.4, 3.2), layout="constrained")
plt.plot([-2.2, 2.2], [-2.2, 2.2], color="0.7", label="first component")
for point, nearest in zip(points, restored, strict=True):
    plt.plot(*np.array([point, nearest]).T, "k:", linewidth=1)
plt.plot(*points.T, "o", label="points")
plt.plot(*restored.T, "s", label="restored")
plt.axis("equal")
plt.xlabel("feature 1")
plt.ylabel("feature 2")
plt.legend(fontsize=8)
assert np.allclose(restored[:2], 1.5)

# %%
# On digits
# ---------
#
# The mean digit and the first seven components, of 64: red is "more ink", blue is "less ink". A
# digit is written as the mean plus so much of each.

from minienc.data import load_digits

digits = load_digits()
X = np.asarray(digits.x).reshape(-1, 64)
X_test = np.asarray(digits.test_x).reshape(-1, 64)
pca = PCA(7).fit(X)


def draw_rows(rows, width=6.5):
    """Rows of weights as images, each image by its own scale."""
    n = len(next(iter(rows.values())))
    _, axes = plt.subplots(
        len(rows), n, figsize=(width, 0.75 * len(rows)), layout="constrained", squeeze=False
    )
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        for ax, image in zip(row, images, strict=True):
            top = np.abs(image).max()
            ax.imshow(image.reshape(8, 8), cmap="RdBu_r", vmin=-top, vmax=top)
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")


draw_rows({"mean, components": [pca.mean_, *pca.components_]})
kept = pca.explained_variance_.sum() / ((X - X.mean(axis=0)) ** 2).sum(axis=1).mean()
print(f"7 components keep {kept:.0%} of the variance")
assert 0.6 < kept < 0.67

# %%
# **Predict:** an autoencoder without any activation, 64 - 4 - 64, is trained by squared error. Can
# it restore the training digits better than 4 principal components?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# No. What it computes is a linear map through 4 numbers, and of those the components are the best.
# It comes near to their error and finds the same 4-dimensional space: its weights are mixtures of
# the components (so its single units look like nothing).
#
# .. raw:: html
#
#     </details>

from minienc.pretraining import Autoencoder

pca = PCA(4).fit(X)
linear = Autoencoder(
    hidden=(4,), loss="mean_squared_error", epochs=300, learning_rate=3e-3, random_state=0
).fit(X)
errors = linear.reconstruction_error(X), pca.reconstruction_error(X)
space = np.linalg.qr(linear.decoder_.get_weights()[0].T)[0]  # (64, 4), orthonormal
cosines = np.linalg.svd(pca.components_ @ space)[1]  # of the angles between the two spaces
print(f"error: linear autoencoder {errors[0]:.4f}, PCA {errors[1]:.4f}; cosines {cosines.round(3)}")
assert errors[1] <= errors[0] < 1.01 * errors[1]
assert cosines[-1] > 0.99

# %%
# A code that is too wide
# -----------------------
#
# Now 100 units, for 64 pixels. Nothing forces such a code to understand anything. So three
# relatives of the autoencoder ask for more than to restore:
#
# - **sparse**: each unit shall be active for 5 of 100 samples; what it stands for must recur;
# - **denoising**: the input is disturbed and the clean digit is asked for; what belongs together
#   must be known;
# - **contractive**: the code shall change little where the digit changes a little.

from minienc.pretraining import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
)

common = dict(hidden=(100,), epochs=80, batch_size=32, learning_rate=3e-3, random_state=0)
methods = {
    "plain": Autoencoder(code_activation="sigmoid", **common),
    "sparse": SparseAutoencoder(sparsity=0.05, strength=0.01, weight_decay=1e-5, **common),
    "denoising": DenoisingAutoencoder(
        code_activation="sigmoid", noise="gaussian", noise_level=0.3, **common
    ),
    "contractive": ContractiveAutoencoder(strength=3e-3, **common),
}
for method in methods.values():
    method.fit(X)

# %%
# What a unit draws
# -----------------
#
# Row k of the decoder is what unit k adds to the picture. Eight units of each, those with the
# largest weights. The sparse code's are whole digits (a 0, a 1, a 3) or parts of them: a unit that
# may speak for few samples has to stand for something. The others' are mixtures: many units work
# for each digit, so none has to mean anything by itself.

units = {}
for name, method in methods.items():
    V = method.decoder_.get_weights()[0]  # (100, 64)
    units[name] = V[np.argsort(-(V * V).sum(axis=1))[:8]]
draw_rows(units)

# %%
# Parts of a digit
# ----------------
#
# Two digits, and the six units that are most active for each in the sparse code, with how active
# they are.

V, codes = methods["sparse"].decoder_.get_weights()[0], methods["sparse"].transform(X_test[:2])
figure, axes = plt.subplots(2, 7, figsize=(6.5, 2.3), layout="constrained")
for row, image, code in zip(axes, X_test, codes, strict=False):
    row[0].imshow(image.reshape(8, 8), cmap="gray")
    row[0].set_title("digit", fontsize=8)
    for ax, k in zip(row[1:], np.argsort(-code)[:6], strict=True):
        top = np.abs(V[k]).max()
        ax.imshow(V[k].reshape(8, 8), cmap="RdBu_r", vmin=-top, vmax=top)
        ax.set_title(f"{code[k]:.2f}", fontsize=8)
for ax in axes.ravel():
    ax.set(xticks=[], yticks=[])

# %%
# **Predict:** four columns of numbers follow: the error on clean digits; the error on noisy ones;
# the share of units that are active (above 0.1); the size of the Jacobian, which says how much a
# code changes with its input. Which method is best in which column?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# Each in its own. The plain one, which was asked for nothing else, restores clean digits best. The
# price of the other three is about the same, and each buys something else for it.
#
# .. raw:: html
#
#     </details>

rng = np.random.default_rng(0)
noisy = X_test + rng.normal(0, 0.3, X_test.shape).astype(np.float32)
table = {}
for name, method in methods.items():
    code = method.transform(X_test)
    W = method.encoder_.get_weights()[0]
    slope = code * (1 - code)  # of the sigmoid
    jacobian = (slope**2 @ (W**2).sum(axis=0)).mean()  # mean of |dh / dx|^2
    of_noisy = (
        ((method.inverse_transform(method.transform(noisy)) - X_test) ** 2).sum(axis=1).mean()
    )
    table[name] = method.reconstruction_error(X_test), of_noisy, (code > 0.1).mean(), jacobian
    print(
        "{:12} clean {:.2f}  noisy {:.2f}  active {:.0%}  Jacobian {:.1f}".format(
            name, *table[name]
        )
    )
best = [min(table, key=lambda name: table[name][k]) for k in range(4)]
print("best:", best)
assert best == ["plain", "denoising", "sparse", "contractive"]

# %%
# The second column, in pictures: digits that were disturbed, and what the plain and the denoising
# autoencoder make of them. The plain one restores the noise as well; it has learned to copy.

figure, axes = plt.subplots(4, 8, figsize=(6.5, 3.4), layout="constrained")
rows = {"clean": X_test, "noisy": noisy}
for name in ("plain", "denoising"):
    rows[name] = methods[name].inverse_transform(methods[name].transform(noisy))
for row, (name, images) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(row, images, strict=False):
        ax.imshow(image.reshape(8, 8), cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
assert table["denoising"][1] < 0.6 * table["plain"][1]

# %%
# The fourth column
# -----------------
#
# The Jacobian of a code is a matrix, dh/dx. Its singular values say how much the code changes when
# the digit is changed in each of 64 directions. Contraction makes most of them small. Those that
# stay large are the directions in which digits do differ, and which have to be kept for restoring
# them.

plt.figure(figsize=(5, 3), layout="constrained")
singular = {}
for name, line in (("plain", "-"), ("denoising", "--"), ("contractive", "-.")):
    code, W = methods[name].transform(X_test[:100]), methods[name].encoder_.get_weights()[0]
    jacobians = (code * (1 - code))[:, :, None] * W.T  # (100, 100 units, 64 pixels)
    singular[name] = np.linalg.svd(jacobians, compute_uv=False).mean(axis=0)
    plt.semilogy(range(1, 65), singular[name], line, label=name)
plt.xlabel("direction, the largest first")
plt.ylabel("how much the code changes")
plt.ylim(1e-4, 10)
plt.legend(fontsize=8)
by_method = methods["contractive"].jacobian(X_test[:100])
assert np.allclose(
    np.linalg.svd(by_method, compute_uv=False).mean(axis=0), singular["contractive"], rtol=1e-2
)
assert singular["contractive"][20] < singular["denoising"][20] < singular["plain"][20]

# %%
# A step of the contractive one
# -----------------------------
#
# The penalty is a loss on a derivative, so its gradient passes through the slope of the sigmoid a
# second time. One step of a small one, line by line:

import minienc

four = X[:200, 26:30]
small = ContractiveAutoencoder(hidden=(2,), strength=0.1, epochs=1, random_state=0).fit(four)
minienc.step(small, four[:2])

# %%
# What are they good for?
# -----------------------
#
# **Predict:** a linear classifier is trained on each code, with 100 labels and with all 1,437.
# Beside them: the same on the raw pixels. By how many points do they differ?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# With 100 labels all codes are within a few points of each other and of the raw pixels. With all
# labels the sparse code is ahead by two points or so: units that stand for something are what a
# linear classifier can use. A small error in restoring says nothing about it.
#
# .. raw:: html
#
#     </details>

from minienc.finetuning import linear_probe

accuracy = {}
for name, method in {**methods, "raw pixels": None}.items():
    few = [np.random.default_rng(seed).permutation(len(X))[:100] for seed in range(3)]
    labels, new = digits.y, (X_test, digits.test_y)
    of_few = np.mean([linear_probe(method, X[i], labels[i], *new) for i in few])
    accuracy[name] = of_few, linear_probe(method, X, labels, *new)
    print(f"{name:12} {of_few:.1%} with 100 labels, {accuracy[name][1]:.1%} with all")
of_few, of_all = np.array(list(accuracy.values())).T
assert of_few.max() - of_few.min() < 0.06
assert accuracy["sparse"][1] > accuracy["plain"][1] + 0.01

# %%
# Exercises
# ---------
#
# **Exercise 13.1.** Tie the decoder's weights to the encoder's (``tied=True``) in the plain, the
# sparse and the denoising autoencoder. Which numbers of the table change? Do the units look
# different?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# Plain 0.14, 1.96, 91 %, 56; sparse 0.50, 1.57, 20 %, 14; denoising 0.52, 1.19, 79 %, 21. The
# Jacobian changes most: it halves in two, and doubles in the sparse one.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 13.2.** Disturb the test digits by masking (``rng.random(shape) < 0.3`` are set to 0)
# in the place of Gaussian noise. Which method restores them best? Then train a denoising
# autoencoder with masking, and try both kinds of noise on both. What has each of them learned to
# undo?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# Squared errors with masked digits: plain 3.94, sparse 2.51, denoising 2.17, contractive 3.30;
# with masking as its own noise 1.45, but then 2.47 with Gaussian noise. Each undoes best what it
# has seen.
#
# .. raw:: html
#
#     </details>
#
# Where this is in the source
# ---------------------------
#
# - :class:`minienc.pretraining.PCA`, :class:`minienc.pretraining.Autoencoder`,
#   :class:`minienc.pretraining.SparseAutoencoder`,
#   :class:`minienc.pretraining.DenoisingAutoencoder`,
#   :class:`minienc.pretraining.ContractiveAutoencoder`: a file each in ``minienc/pretraining/``.
# - What they ask for, as pairs: :func:`minienc.functions.kl_sparsity_forward`,
#   :func:`minienc.functions.gaussian_noise_forward`,
#   :func:`minienc.functions.dense_contraction_forward`.
