"""
A GAN, and how it fails
=======================

One network makes samples out of noise, another tells them from real ones; each is trained against
the other. When it works, the samples are sharp. When it fails, the losses may look as if all were
well, so one has to know how it fails, and to count.

You will be able to

- compute both players' losses and slopes on paper, and choose the one that has a slope;
- follow a gradient through one network into another that it does not change;
- recognise a collapse, by counting and not by looking;
- say why two players go round in circles, and which settings make it worse.

It needs tutorials 08 (cross-entropy), 09 (momentum) and 15 (new digits from draws), and runs for
half a minute.
"""

# %%
# On paper: two answers each
# --------------------------
#
# The discriminator D gives each sample a number, its logit: positive says real, negative says
# made. Its loss is cross-entropy: -log sigmoid(logit) for a real sample, -log(1 - sigmoid(logit))
# for a made one.
#
# .. code-block:: text
#
#     logits      real   2   0       loss of D    0.127  0.693
#                 made  -4   0                    0.018  0.693
#
# It is nearly right about the first real and the first made one, and knows nothing of the others.
#
# The generator G wants the opposite. Its loss could be minus that of D. The slope by the logit of
# the first made sample would be -sigmoid(-4) = -0.018: D is sure, and G learns nothing. So G gets
# another loss with the same wish, -log sigmoid(logit). Its slope is sigmoid(-4) - 1 = -0.982, 55
# times as much.

# sphinx_gallery_thumbnail_number = 2
import matplotlib.pyplot as plt
import numpy as np

from minienc.pretraining.gan import answer_backward, answer_forward

plt.rcParams["figure.facecolor"] = "white"


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


logits = np.array([[2.0, 0], [-4, 0]])
losses = np.array([-np.log(sigmoid(logits[0])), -np.log(1 - sigmoid(logits[1]))])
print(losses.round(3))
assert np.allclose(losses, [[0.127, 0.693], [0.018, 0.693]], atol=5e-4)

made = logits[1][:, None]  # (2, 1)
real = np.ones((2, 1))  # what they shall say
_, cache = answer_forward(made, True, real)  # the generator's loss, as minienc has it
slope = answer_backward(1.0, cache)[:, 0] * 2  # for the mean over 2 samples divides by 2
print("slopes of the generator's loss:", slope.round(3))
assert np.allclose(slope, sigmoid(logits[1]) - 1)
assert round(slope[0] / -sigmoid(-4.0)) == 55

# %%
# The two losses of the generator. Both fall to the right, where D is deceived. To the left, where
# every generator begins, only one of them has a slope.

z = np.linspace(-7, 7, 200)
plt.figure(figsize=(4.8, 2.8), layout="constrained")
plt.plot(z, -np.log(sigmoid(z)), label="-log sigmoid(logit): used")
plt.plot(z, np.log(1 - sigmoid(z)), "--", label="log(1 - sigmoid(logit)): minus D's")
plt.xlabel("logit of a made sample")
plt.ylabel("loss of the generator")
plt.legend(fontsize=8)
assert sigmoid(-7.0) < 0.001  # minus the slope of the second, at the left

# %%
# Through D, leaving no trace
# ---------------------------
#
# The generator never sees a sample. What it learns comes out of D's input: D's backward says how
# its logit changes with each number of the made sample, and that is the gradient that G's backward
# takes. D's own weights must not move in this turn: its backward is given no place for their
# gradients.
#
# .. code-block:: text
#
#     dlogits = answer_backward(dloss, answer)
#     dmade = D.backward(dlogits, logits_cache, None)     None: gradients by D's weights are dropped
#     G.backward(dmade, made_cache, grads)
#
# The page shows one step of a small GAN, the turn of D and then that of G.

import minienc
from minienc.pretraining import GAN

rng = np.random.default_rng(0)
angle = 2 * np.pi * np.arange(8) / 8
centres = 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
ring = centres[rng.integers(0, 8, 2000)] + 0.05 * rng.standard_normal((2000, 2))
ring = ring.astype(np.float32)
plane = dict(noise=2, output_activation="linear", random_state=0)
small = GAN(hidden=(3,), epochs=1, **plane).fit(ring[:100])
minienc.step(small, ring[:2])

# %%
# Eight spots
# -----------
#
# The data: 2,000 points in eight small spots on a ring. The generator gets two random numbers and
# shall make such points. It is trained for 1, 5, 20 and 100 epochs, from the same weights.


def found(made):
    """How many of 1,000 points lie in each spot (up to 0.3 from its centre)."""
    distance = np.sqrt(((made[:, None] - centres) ** 2).sum(axis=2))
    inside = distance.min(axis=1) < 0.3
    return np.bincount(distance.argmin(axis=1)[inside], minlength=8)


def draw(gans):
    figure, axes = plt.subplots(1, len(gans), figsize=(7.5, 2.1), layout="constrained")
    for ax, (name, gan) in zip(axes, gans.items(), strict=True):
        made = gan.sample(1000)
        ax.scatter(*ring[::4].T, s=4, color="0.75")
        ax.scatter(*made.T, s=2, color="#D55E00", alpha=0.5)
        spots = (found(made) > 20).sum()
        ax.set(
            title=f"{name}:\n{spots} of 8 spots", xlim=(-3, 3), ylim=(-3, 3), xticks=[], yticks=[]
        )
    return figure


good = dict(hidden=(64, 64), batch_size=100, learning_rate=3e-3, beta_1=0.5, **plane)
course = {f"epoch {n}": GAN(epochs=n, **good).fit(ring) for n in (1, 5, 20, 100)}
draw(course)
last = course["epoch 100"]
print("points in each spot:", found(last.sample(1000)))
assert (found(last.sample(1000)) > 20).sum() == 8

# %%
# **Predict:** the generator is nearly perfect now. What does D answer, and what is its loss?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# It cannot tell any more: its logits are near 0, for real and for made ones. Its loss is then 2
# log 2 = 1.386, log 2 for each kind. Note that this is not a low loss: D's loss *rises* as G
# becomes better.
#
# .. raw:: html
#
#     </details>

history = last.history_
print({name: round(history[name][-1], 3) for name in ("loss", "real", "made", "generator_loss")})
assert abs(history["loss"][-1] - 2 * np.log(2)) < 0.15
assert abs(history["real"][-1]) < 0.3 and abs(history["made"][-1]) < 0.3

# %%
# How it fails
# ------------
#
# **Predict:** one number is changed: ``beta_1``, Adam's momentum, from 0.5 to 0.9, which is the
# usual one and the better one for an autoencoder. What happens?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# It collapses, with each of three seeds: some spots are hardly ever made, and most points lie in
# none. This is called mode collapse. The generator puts its points where D believes them at the
# moment; D learns that this is the place of made ones; the generator moves all of them elsewhere.
#
# .. raw:: html
#
#     </details>

bad = {}
for seed in range(3):
    settings = {**good, "beta_1": 0.9, "random_state": seed}
    bad[f"0.9, seed {seed}"] = GAN(epochs=100, **settings).fit(ring)
draw({"0.5": last, **bad})
for name, gan in bad.items():
    made, loss = gan.sample(1000), gan.history_["loss"][-1]
    print(f"{name}: in each spot {found(made)}, loss of D {loss:.2f}")
inside = [found(gan.sample(1000)).sum() for gan in bad.values()]
assert max(inside) < 700 < 750 < found(last.sample(1000)).sum()

# %%
# Why two players go round
# ------------------------
#
# The smallest game: G has one number g and wants d g to be small; D has one number d and wants d g
# to be large. Rest is at (0, 0). Both step along their own slopes, d by +lr g and g by -lr d. On
# paper, both at once, with lr = 0.5 from (d, g) = (1, 0):
#
# .. code-block:: text
#
#     d     1    0.5    d     1           1              0.75
#     g = -0.5   1      g     0  ->  -0.5   ->   -1
#
# The matrix turns, and stretches by sqrt(1 + lr^2) at each step: the players run away from rest.
# If they take turns (as in a GAN), they go round and round. And with momentum?

turn = np.array([[1.0, 0.5], [-0.5, 1.0]])
place = np.array([1.0, 0.0])
print(turn @ place, turn @ turn @ place)
assert np.allclose(turn @ place, [1, -0.5]) and np.allclose(turn @ turn @ place, [0.75, -1])


def game(momentum, lr=0.2, steps=100):
    """(d, g) at each step; the players take turns, each with a velocity."""
    d, g, vd, vg, path = 1.0, 0.0, 0.0, 0.0, [(1.0, 0.0)]
    for _ in range(steps):
        vd = momentum * vd + lr * g
        d += vd
        vg = momentum * vg - lr * d
        g += vg
        path.append((d, g))
    return np.array(path)


# %%
# Without momentum they stay on a closed curve. With it, each goes on towards where the other has
# been, and they run away, the faster the more there is of it. Negative momentum would bring them
# to rest.

figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.5), layout="constrained")
size = {}
for ax, momentum in zip(axes, (0.0, 0.2, -0.3), strict=True):
    path = game(momentum)
    size[momentum] = np.abs(path[-30:]).max()
    ax.plot(*path.T, ".-", markersize=3, linewidth=0.7)
    ax.plot(0, 0, "k+")
    ax.set(title=f"momentum {momentum}", xlabel="d")
axes[0].set_ylabel("g")
print("how far out, at the end:", {k: round(float(v), 2) for k, v in size.items()})
assert size[-0.3] < 0.85 < 0.95 < size[0.0] < 1.05 < 1.5 < size[0.2]
assert np.abs(game(0.5)[-30:]).max() > 10 * size[0.2]

# %%
# On digits
# ---------
#
# Three GANs on the 1,437 digits: the two momenta again, with the same learning rate; and the
# Wasserstein kind, whose D is a critic that gives marks without limits, kept from being steep by a
# penalty, and takes three turns for each of the generator's.

from minienc.data import load_digits

digits = load_digits()
X = np.asarray(digits.x).reshape(-1, 64)
X_test = np.asarray(digits.test_x).reshape(-1, 64)
common = dict(hidden=(128, 128), noise=16, batch_size=64, random_state=0)
gans = {
    "beta_1 0.5": GAN(epochs=100, learning_rate=3e-3, beta_1=0.5, **common),
    "beta_1 0.9": GAN(epochs=100, learning_rate=3e-3, beta_1=0.9, **common),
    "Wasserstein": GAN(
        loss="wasserstein", n_critic=3, penalty=1.0, epochs=60, learning_rate=1e-3, **common
    ),
}
for gan in gans.values():
    gan.fit(X)
figure, axes = plt.subplots(3, 12, figsize=(7.5, 2.3), layout="constrained")
for row, (name, gan) in zip(axes, gans.items(), strict=True):
    for ax, image in zip(row, gan.sample(12), strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")

# %%
# Count, do not look
# ------------------
#
# Twelve pictures say little. So 1,000 are made, and each gets the class of the most similar real
# digit. And the other way round: how far is a real test digit from the nearest made one? That is
# large where something is missing, even if all that is made is perfect.
#
# **Predict:** in the middle row all twelve are the same picture. What are the losses of D and G by
# now?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# D's is 0: it has won. G's is above 10, and has been for most of the training; its slopes through
# such a D do not lead it to digits. On the ring, D's loss was about 1.25 where spots were missing,
# not far from the 1.37 of the good one. So a collapse may be seen in the losses, or not.
#
# .. raw:: html
#
#     </details>

from minienc.pretraining.gan import nearest

shares, missing = {}, {}
for name, gan in gans.items():
    made = gan.sample(1000)
    shares[name] = np.bincount(digits.y[nearest(made, X)[0]], minlength=10) / 1000
    missing[name] = nearest(X_test, made)[1].mean()
    print(f"{name}: share of each class {shares[name].round(2)}, missing {missing[name]:.2f}")
collapsed = gans["beta_1 0.9"].history_
print("losses of D and G:", collapsed["loss"][-1], collapsed["generator_loss"][-1])
assert collapsed["loss"][-1] < 0.2 and collapsed["generator_loss"][-1] > 4
for name in ("beta_1 0.5", "Wasserstein"):
    assert (shares[name] > 0.02).sum() == 10 and missing[name] < 1.7
assert shares["beta_1 0.9"].max() > 0.4 and missing["beta_1 0.9"] > 2

# %%
# Has it learned the digits by heart? Above, what was made; below, the training digit that is most
# similar. The mean distance is larger than that of a test digit from the training digits, so these
# are no copies.

made = gans["Wasserstein"].sample(12, random_state=5)
index, distance = nearest(made, X)
figure, axes = plt.subplots(2, 12, figsize=(7.5, 1.5), layout="constrained")
for row, images, name in zip(axes, (made, X[index]), ("made", "nearest real"), strict=True):
    for ax, image in zip(row, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
of_made = nearest(gans["Wasserstein"].sample(1000), X)[1].mean()
of_test = nearest(X_test, X)[1].mean()
print(f"distance from the nearest training digit: made {of_made:.2f}, test digits {of_test:.2f}")
assert of_made > of_test

# %%
# What is left of it
# ------------------
#
# To tell real digits from made ones, D must know something about digits: its last hidden layer is
# a code. A linear classifier on it, and on the raw pixels. The codes of the two that work are ahead
# by more than three points; that of the D that won too early is behind.

from minienc.finetuning import linear_probe

probed = {
    name: linear_probe(gan, X, digits.y, X_test, digits.test_y)
    for name, gan in {**gans, "raw pixels": None}.items()
}
print({name: f"{value:.1%}" for name, value in probed.items()})
assert probed["beta_1 0.9"] < probed["raw pixels"] + 0.01
assert probed["Wasserstein"] > probed["raw pixels"] + 0.015

# %%
# Exercises
# ---------
#
# **Exercise 17.1.** Train the ring with ``n_critic=5``: five turns of D for each of G's. And with
# a D and a G of 16 units. Count spots with three seeds each. Which of the two players needs to be
# the stronger one?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# Spots with seeds 0, 1, 2 after 100 epochs: with ``n_critic=5`` 6, 4 and 8; with 16 units 8, 8 and
# 8. So on this ring more turns for D do not help.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 17.2.** Write the loss log(1 - sigmoid(logit)) for the generator: a forward and a
# backward like ``answer_forward``, checked by ``minienc.gradcheck``. Put it into
# ``GeneratorObjective`` of ``minienc/pretraining/gan.py`` and train the ring. How many epochs does
# it take to the first spot?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# The first spot is there after 1 epoch with each of the seeds 0, 1 and 2; with the loss of this
# page after 3, 1 and 1. At the beginning D is not sure yet, and the weak slope costs nothing.
#
# .. raw:: html
#
#     </details>
#
# Where this is in the source
# ---------------------------
#
# - :class:`minienc.pretraining.GAN`: the two objectives, forward and backward, on one page:
#   ``minienc/pretraining/gan.py``; ``dcgan.py`` beside it has the networks for larger images.
# - The penalty of the Wasserstein kind is a loss on a slope:
#   ``minienc/pretraining/second_order.py``.
# - :func:`minienc.functions.binary_crossentropy_forward`, of which both losses are made.
