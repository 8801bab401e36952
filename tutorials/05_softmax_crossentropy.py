"""
Softmax and cross-entropy
=========================

Which of ten digits is it? A network answers with ten numbers; softmax makes probabilities of them,
and cross-entropy says how bad they are. Written as in the textbook, both break down on a computer.
We see where, mend it, find the simplest gradient there is, and let it read digits.

You will be able to

- compute softmax, cross-entropy and their gradient on paper;
- write both so that no number is too large for them;
- say what the loss of a network is before it has learned anything, and use that as a test;
- read the probabilities of a classifier, and say how far they can be believed.

It needs tutorial 03 (a dense layer), and runs for about two seconds.
"""

# %%
# On paper
# --------
#
# Two samples, two classes. z are the numbers of a layer, called *logits*; we take logarithms, so
# that the exponentials are easy: log 3 = 1.099, log 4 = 1.386. Softmax divides each exponential by
# the sum of its row.
#
# .. code-block:: text
#
#     z = 0      log 3     e^z = 1  3     p = 0.25  0.75     right classes: 1
#         log 4  0               4  1         0.8   0.2                     1
#
# Cross-entropy is -log of the probability that the right class was given, as in tutorial 01; that
# is -log 0.75 = 0.288 and -log 0.2 = 1.609, in the mean 0.949.

# sphinx_gallery_thumbnail_number = 3

import matplotlib.pyplot as plt
import numpy as np

plt.rcParams["figure.facecolor"] = "white"


def softmax(z):
    e = np.exp(z)
    return e / e.sum(axis=1, keepdims=True)


z = np.array([[0, np.log(3)], [np.log(4), 0]])
labels = np.array([1, 1])
p = softmax(z)
losses = -np.log(p[np.arange(2), labels])
print("p =\n", p, "\nlosses:", losses.round(3), f"mean {losses.mean():.3f}")
assert np.allclose(p, [[0.25, 0.75], [0.8, 0.2]])
assert abs(losses.mean() - 0.949) < 1e-3

# %%
# What softmax looks at
# ---------------------
#
# Only differences between logits count: with 5 added to all of them, every exponential is e^5 times
# as large, and so is their sum. How large the differences are says how sure the answer is.

rows = np.array([[1.0, 2.0, 4.0], [6.0, 7.0, 9.0], [3.0, 6.0, 12.0], [0.1, 0.2, 0.4]])
titles = "z = (1, 2, 4)", "5 more", "3 times", "a tenth"
figure, axes = plt.subplots(1, 4, figsize=(7.5, 2.2), layout="constrained", sharey=True)
for ax, probabilities, title in zip(axes, softmax(rows), titles, strict=True):
    ax.bar(["0", "1", "2"], probabilities)
    ax.set(title=title, xlabel="class", ylim=(0, 1))
axes[0].set_ylabel("probability")
assert np.allclose(softmax(rows)[0], softmax(rows)[1])

# %%
# Too large for a computer
# ------------------------
#
# **Predict:** what does our ``softmax`` make of the logits (1000, 1000)? On paper it is (0.5, 0.5).
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# (nan, nan). e^1000 is larger than any number that a float64 can hold (about e^709), so it becomes
# inf, and inf / inf is nan, "not a number". A float32 ends at e^88, which a network can reach.
#
# .. raw:: html
#
#     </details>

with np.errstate(all="ignore"):  # NumPy would warn, too
    broken = softmax(np.array([[1000.0, 1000.0]]))
print(broken, " largest exponents:", np.log([np.finfo("f4").max, np.finfo("f8").max]).round(1))
assert np.isnan(broken).all()

# %%
# Since only differences count, subtract the largest logit of each row first. Then the largest
# exponential is e^0 = 1, and none can be too large.


def stable_softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


print(stable_softmax(np.array([[1000.0, 1000.0]])))
assert np.array_equal(stable_softmax(np.array([[1000.0, 1000.0]])), [[0.5, 0.5]])

# %%
# That is half of it. If a network is very sure and wrong, the right class's probability is so small
# that it becomes 0, and -log 0 is infinite; the gradient is lost. On paper, the logarithm undoes
# the exponential:
#
# .. code-block:: text
#
#     log p_k = log( e^(z_k) / sum_j e^(z_j) ) = z_k - log sum_j e^(z_j)
#
# So never compute p only to take its logarithm. The right class has logit -s here, the wrong one 0.


def log_softmax(z):
    shifted = z - z.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


s = np.linspace(0, 200, 400, dtype=np.float32)
z = np.stack([-s, np.zeros_like(s)], axis=1)
with np.errstate(divide="ignore"):
    in_two_steps = -np.log(stable_softmax(z)[:, 0])
plt.figure(figsize=(5, 3), layout="constrained")
plt.plot(s, -log_softmax(z)[:, 0], linewidth=6, alpha=0.35, label="log softmax, in one")
plt.plot(s, in_two_steps, label="log of softmax")
end = s[np.isfinite(in_two_steps)].max()
plt.axvline(end, color="0.6", linestyle="--")
plt.xlabel("s: how sure, and wrong")
plt.ylabel("loss, in float32")
plt.legend()
print(f"the log of softmax is infinite beyond s = {end:.0f}")
assert np.isfinite(log_softmax(z)).all() and 100 < end < 106

# %%
# The gradient
# ------------
#
# With l = log sum_j e^(z_j) - z_label, the slope of the first part by z_k is e^(z_k) / sum = p_k;
# that of the second is 1 at the label. So
#
# .. code-block:: text
#
#     dz_k = p_k - t_k        t_k = 1 at the label, else 0
#
# what was answered minus what was wanted, as for one neuron. For our two samples, with the mean
# over two:
#
# .. code-block:: text
#
#     p - t = 0.25  -0.25      dz = 0.125  -0.125
#             0.8   -0.8            0.4    -0.4
#
# The second sample was worse, and pulls harder. Each row sums to 0.


def crossentropy(z, labels):
    log_p = log_softmax(z)
    return -log_p[np.arange(len(z)), labels].mean(), (log_p, labels)


def crossentropy_backward(dloss, cache):
    log_p, labels = cache
    t = np.eye(log_p.shape[1])[labels]
    return dloss * (np.exp(log_p) - t) / len(labels)


from minienc.verify import numerical_gradient

z = np.array([[0, np.log(3)], [np.log(4), 0]])
loss, cache = crossentropy(z, labels)
dz = crossentropy_backward(1.0, cache)
numeric = numerical_gradient(lambda v: crossentropy(v, labels)[0], z)
print("dz =\n", dz, "\nby differences:\n", numeric.round(9))
assert np.allclose(dz, [[0.125, -0.125], [0.4, -0.4]]) and np.allclose(dz, numeric)

# %%
# A step of a classifier to walk through
# --------------------------------------
#
# The library brings handwritten digits with it: 1,437 to learn from (``x``, and ``y``, which digit
# it is) and 360 to test with. One of 8 x 8 pixels has 64 numbers. For a page that is easily read,
# we take the means of its four quarters as inputs, and three classes: 0, 1 and 2. In the backward
# of the loss, look for p - t.

import minienc
from minienc.data import load_digits
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.training.optimizers import SGD

digits = load_digits()
X_train = np.asarray(digits.x).reshape(-1, 64)
X_test = np.asarray(digits.test_x).reshape(-1, 64)
few = np.flatnonzero(digits.y < 3)[:4]
quarters = X_train[few].reshape(-1, 2, 4, 2, 4).mean(axis=(2, 4)).reshape(-1, 4)
inputs = Input((4,))
small = Model(inputs, Dense(3, activation="softmax", seed=0)(inputs))
small.compile(SGD(1.0), "sparse_categorical_crossentropy")
minienc.step(small, quarters, digits.y[few], title="quarters of four digits, three classes")

# %%
# Reading digits
# --------------
#
# One dense layer from 64 pixels to 10 logits, and gradient descent as before, with one difference:
# each step looks at 32 samples, not at all of them. Such a handful is a *batch*; one round through
# all samples, in a new order, is an *epoch*. Here are 30 of them.
#
# **Predict:** all weights begin at 0. What is the loss before the first step?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# All logits are 0, so all ten probabilities are 0.1, and the loss is -log 0.1 = log 10 = 2.303. A
# network with small random weights starts near it, too. If yours starts at 5 or at 0.3, look for
# the mistake before you train.
#
# .. raw:: html
#
#     </details>

W, b = np.zeros((64, 10), dtype=np.float32), np.zeros(10, dtype=np.float32)
losses = [crossentropy(X_train @ W + b, digits.y)[0]]
rng = np.random.default_rng(0)
for _ in range(30):
    order = rng.permutation(len(X_train))
    for start in range(0, len(order), 32):
        x, y = X_train[order[start : start + 32]], digits.y[order[start : start + 32]]
        _, cache = crossentropy(x @ W + b, y)
        dz = crossentropy_backward(1.0, cache)
        W -= 0.5 * (x.T @ dz).astype(np.float32)
        b -= 0.5 * dz.sum(axis=0).astype(np.float32)
    losses.append(crossentropy(X_train @ W + b, digits.y)[0])
p = stable_softmax(X_test @ W + b)
right = p.argmax(axis=1) == digits.test_y
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}; of new digits, {right.mean():.1%} are right")
assert abs(losses[0] - np.log(10)) < 1e-5
assert losses[-1] < 0.12 and 0.88 < right.mean() < 0.93

# %%
# Its probabilities for some new digits: two that it is sure of, two that it is not, and its surest
# mistake. The right class is blue.

surest = p.max(axis=1)
chosen = [*np.argsort(-surest)[:2], *np.argsort(surest)[:2]]
chosen.append(max(np.flatnonzero(~right), key=lambda i: surest[i]))
figure, axes = plt.subplots(2, 5, figsize=(8.5, 3), layout="constrained", height_ratios=[1, 1.2])
for (above, below), i in zip(axes.T, chosen, strict=True):
    above.imshow(X_test[i].reshape(8, 8), cmap="gray_r")
    above.set(xticks=[], yticks=[])
    below.bar(range(10), p[i], color=["C0" if k == digits.test_y[i] else "0.75" for k in range(10)])
    below.set(ylim=(0, 1), xticks=range(10), xlabel="class")
    below.tick_params(labelsize=7)
_ = axes[1, 0].set_ylabel("probability")

# %%
# How far can they be believed?
# -----------------------------
#
# If it says "80 %", is it right in 80 of 100 cases? Sort the answers by the probability of the
# class that was chosen, and count.

from itertools import pairwise

bounds = [0, 0.5, 0.8, 0.95, 1.001]
shares = []
for low, high in pairwise(bounds):
    those = (surest >= low) & (surest < high)
    shares.append(right[those].mean())
    said = f"said {low:.0%} to {min(high, 1):.0%}: {those.sum():3} digits"
    print(f"{said}, in the mean {surest[those].mean():.0%}, right {right[those].mean():.0%}")
assert shares[0] < shares[2] < shares[3] and shares[3] > 0.97

# %%
# Roughly, yes: they were trained as probabilities, and behave like some. A deeper network, trained
# until its training loss is nearly 0, is often too sure of itself.
#
# The same in the library
# -----------------------
#
# A model that ends in a softmax and is compiled with this loss computes both as one function, from
# logits: what we had to find out is done there. Its gradient is ours.

from minienc.functions import (
    sparse_categorical_crossentropy_backward,
    sparse_categorical_crossentropy_forward,
)

z = X_test.astype(float) @ W + b
loss, cache = sparse_categorical_crossentropy_forward(z, digits.test_y, from_logits=True)
dz = sparse_categorical_crossentropy_backward(1.0, cache)
ours, our_cache = crossentropy(z, digits.test_y)
print(f"loss of new digits: ours {ours:.6f}, minienc's {loss:.6f}")
assert np.isclose(loss, ours) and np.allclose(dz, crossentropy_backward(1.0, our_cache))

# %%
# Exercises
# ---------
#
# **Exercise 05.1.** Show on paper that for two classes softmax is the sigmoid of z_1 - z_0. Then
# let one neuron, as in tutorial 01, learn to tell 3 from 8.
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# With weights of 0, a learning rate of 1 and 300 steps on all 287 threes and eights at once, all
# of them are told apart, and 62 of the 70 new ones.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 05.2.** Divide the logits of the test digits by a temperature T before the softmax.
# For which T between 0.5 and 3 is their cross-entropy lowest? What does it say of our classifier:
# too sure, not sure enough, or neither? Does the accuracy change?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# Lowest at T = 1, 0.332: neither. At T = 2 it is 0.481. The accuracy is the same for every T: the
# largest logit stays the largest.
#
# .. raw:: html
#
#     </details>
#
# Where this is in the source
# ---------------------------
#
# - :func:`minienc.functions.softmax_forward` and :func:`minienc.functions.softmax_backward`, which
#   is needed where softmax is not followed by this loss.
# - :func:`minienc.functions.sparse_categorical_crossentropy_forward`, for labels that are numbers
#   of classes, and :func:`minienc.functions.categorical_crossentropy_forward`, for targets that are
#   probabilities.
# - :class:`minienc.training.losses.SparseCategoricalCrossentropy`: the loss, as a model knows it.
