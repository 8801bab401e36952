"""
A variational autoencoder
=========================

An autoencoder says where each digit lies in the space of its codes, and nothing of what lies
between. A variational autoencoder gives every digit a small cloud instead of a point, and pulls
the clouds together around 0. Then the space is full, and a point drawn at random becomes a digit.

You will be able to

- compute the cost of a code and its gradients on paper;
- say why a draw at random can be differentiated;
- read the space of the codes from a picture, and draw new samples;
- recognise a code that has been given up, and say which setting did it.

It needs tutorials 08 (losses) and 13 (what the code learns), and runs for about 20 seconds.
"""

# %%
# On paper: what a cloud costs
# ----------------------------
#
# The encoder gives each number of the code a mean m and a standard deviation s: a normal
# distribution N(m, s^2). It costs as much as it differs from N(0, 1), by the Kullback-Leibler
# divergence:
#
# .. code-block:: text
#
#     KL = 1/2 (m^2 + s^2 - 1 - log s^2)
#
# Two samples with codes of two numbers, all s = 1:
#
# .. code-block:: text
#
#     m = 0  1      KL = 0  1/2         a cloud in the middle costs nothing,
#         0  2           0   2          and tells nothing
#
# The code that is handed on is a draw: z = m + s * noise, with noise from N(0, 1). With the noise
# (1, -1), (0.5, 0) the codes are (1, 0) and (0.5, 2).
#
# The gradients: dKL/dm = m, and dKL/d(log s^2) = 1/2 (s^2 - 1), which is 0 here.

# sphinx_gallery_thumbnail_number = 3
import matplotlib.pyplot as plt
import numpy as np

from minienc.functions import normal_kl_backward, normal_kl_forward, reparameterize_forward

plt.rcParams["figure.facecolor"] = "white"
m, log_variance = np.array([[0.0, 1], [0, 2]]), np.zeros((2, 2))
kl, cache = normal_kl_forward(m, log_variance)
dm, dlog_variance = normal_kl_backward(np.ones((2, 2)), cache)
z, _ = reparameterize_forward(m, log_variance, np.array([[1, -1], [0.5, 0]]))
print("KL\n", kl, "\nz\n", z)
assert np.array_equal(kl, [[0, 0.5], [0, 2]])
assert np.array_equal(z, [[1, 0], [0.5, 2]])
assert np.array_equal(dm, m) and not dlog_variance.any()

# %%
# Three clouds beside N(0, 1): one that has moved away, one that is narrow, one that is both. The
# sharper a cloud says where it is, the more it costs. The cost is counted in nats; 1 bit is log 2
# = 0.69 nats.

grid = np.linspace(-3.5, 3.5, 300)
figure, axes = plt.subplots(1, 3, figsize=(7, 2.2), layout="constrained", sharey=True)
for ax, (mean, s) in zip(axes, ((2.0, 1.0), (0.0, 0.2), (2.0, 0.2)), strict=True):
    cost = normal_kl_forward(np.array([mean]), np.array([2 * np.log(s)]))[0][0]
    ax.fill_between(grid, np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), color="0.8")
    ax.plot(grid, np.exp(-(((grid - mean) / s) ** 2) / 2) / (s * np.sqrt(2 * np.pi)))
    ax.set(title=f"m = {mean:.0f}, s = {s}:\n{cost:.2f} nats", xlabel="z")
axes[0].set_ylabel("density")
assert abs(cost - 3.13) < 0.01

# %%
# A draw with a gradient
# ----------------------
#
# How does an average change with m, if what is averaged is drawn at random? Draw the noise first,
# and z = m + s * noise is an ordinary function of m and s: dz/dm = 1, dz/ds = noise.
#
# **Predict:** z is drawn from N(m, s^2) with m = 1 and s = 0.5. How fast does the mean of z^2
# change with m, and how fast with s?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# The mean of z^2 is m^2 + s^2. So it is 2 m = 2 and 2 s = 1. By draws: the means of 2 z and of 2 z
# * noise.
#
# .. raw:: html
#
#     </details>

noise = np.random.default_rng(0).standard_normal(100_000)
z = 1 + 0.5 * noise
by_m, by_s = (2 * z).mean(), (2 * z * noise).mean()
print(f"by draws: {by_m:.3f} and {by_s:.3f}")
assert abs(by_m - 2) < 0.02 and abs(by_s - 1) < 0.02

# %%
# A step, line by line
# --------------------
#
# The whole loss is: how surprising is the digit to the decoder, plus the KL of its code. One
# training step of a small one, 4 - 2 - 4, with both parts and their gradients, which meet again in
# the encoder:

import minienc
from minienc.data import load_digits
from minienc.pretraining import Autoencoder, VariationalAutoencoder

digits = load_digits()
X = np.asarray(digits.x).reshape(-1, 64)
X_test, y_test = np.asarray(digits.test_x).reshape(-1, 64), digits.test_y
four = X[:200, 26:30]
small = VariationalAutoencoder(hidden=(), code=2, epochs=1, random_state=0).fit(four)
minienc.step(small, four[:2])

# %%
# Digits on a plane
# -----------------
#
# A code of two numbers, so that it can be drawn. Beside it a plain autoencoder of the same size.
# Each point is a test digit (for the variational one: the mean of its cloud); nobody has told the
# networks which classes there are. Look at the axes.

common = dict(epochs=150, batch_size=64, learning_rate=3e-3, random_state=0)
variational = VariationalAutoencoder(hidden=(128,), code=2, **common).fit(X)
plain = Autoencoder(hidden=(128, 2), **common).fit(X)
figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
reach = {}
for ax, method in zip(axes, (plain, variational), strict=True):
    codes = method.transform(X_test)
    reach[method] = codes.std(axis=0)
    points = ax.scatter(*codes.T, c=y_test, cmap="tab10", vmin=-0.5, vmax=9.5, s=8)
    ax.set(title=method.method, xlabel="first number", ylabel="second number")
figure.colorbar(points, ticks=range(10), label="digit")
print("deviation of the codes: plain", reach[plain], "variational", reach[variational])
assert reach[plain].min() > 3 * reach[variational].max()
assert np.all(np.abs(reach[variational] - 1) < 0.3)

# %%
# What lies where
# ---------------
#
# Points on a grid from -2 to 2, decoded. Neighbours are alike, and one digit becomes another
# through shapes that are nearly digits.


def picture(images, columns, size=4.2):
    """Images side by side, as one."""
    rows = len(images) // columns
    framed = np.pad(images.reshape(rows, columns, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)))
    together = framed.transpose(0, 2, 1, 3).reshape(10 * rows, 10 * columns)
    plt.figure(figsize=(size, size * rows / columns), layout="constrained")
    plt.imshow(together, cmap="gray", vmin=0, vmax=1)
    plt.axis("off")


steps = np.linspace(-2, 2, 13)
plane = np.array([(a, b) for b in steps[::-1] for a in steps], dtype=np.float32)
picture(variational.inverse_transform(plane), 13)

# %%
# **Predict:** codes are drawn from N(0, 1) and decoded, by the plain autoencoder and by the
# variational one. What does each of them make?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# The variational one makes all kinds of digits. The plain one's codes are spread over tens of
# units, and N(0, 1) is one spot among them, where a few classes happen to lie. Nothing has told it
# to put its digits where we look for them.
#
# .. raw:: html
#
#     </details>

from minienc.pretraining.gan import nearest

drawn = np.random.default_rng(1).standard_normal((1000, 2)).astype(np.float32)
made = {method.method: method.inverse_transform(drawn) for method in (plain, variational)}
picture(np.concatenate([images[:12] for images in made.values()]), 12, size=6)
classes = {}
for name, images in made.items():
    its_class = digits.y[nearest(images, X)[0]]  # that of the most similar training digit
    share = np.bincount(its_class, minlength=10) / 1000
    classes[name] = int((share > 0.01).sum())
    print(f"{name}: {classes[name]} classes; share of each", share)
assert classes["autoencoder"] <= 7 < 9 <= classes["variational"]

# %%
# (The upper row is the plain one's.) The class of a made digit is that of the most similar real
# one.
#
# Too expensive
# -------------
#
# The two parts of the loss pull against each other: to restore a digit the cloud must be sharp and
# in a place of its own, and that costs. ``beta`` is the price.
#
# **Predict:** with a price of 4, what does the network do? What will the picture of restored
# digits be?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# It gives the code up. All clouds become N(0, 1), the KL is 0, and the decoder answers every digit
# with the mean digit. The loss is as good as the network can make it; it has found that at this
# price a code does not pay. This is called posterior collapse.
#
# .. raw:: html
#
#     </details>

expensive = VariationalAutoencoder(hidden=(128,), code=2, beta=4.0, **common).fit(X)
rows = [X_test[:10], variational.reconstruct(X_test[:10]), expensive.reconstruct(X_test[:10])]
picture(np.concatenate(rows), 10, size=5)
for name, method in (("beta 1", variational), ("beta 4", expensive)):
    kl, active = method.kl_per_dimension(X_test), method.active_units(X_test)
    error = method.reconstruction_error(X_test)
    print(f"{name}: KL {kl.round(3)}, {active} of 2 numbers in use, squared error {error:.2f}")
mean_error = ((X_test - X.mean(axis=0)) ** 2).sum(axis=1).mean()
print(f"squared error of the mean digit {mean_error:.2f}")
assert expensive.active_units(X_test) == 0 and variational.active_units(X_test) == 2
assert abs(expensive.reconstruction_error(X_test) - mean_error) < 0.1

# %%
# (Original; price 1; price 4.)
#
# More numbers than are needed
# ----------------------------
#
# **Predict:** a code of ten numbers, at the price of 1. How many of them will be used?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# About half of them. A number that tells too little about 8 x 8 pixels is given up, and its KL
# falls to 0: the network decides by itself how many it needs.
#
# .. raw:: html
#
#     </details>

wide = VariationalAutoencoder(hidden=(128,), code=10, **common).fit(X)
kl = wide.kl_per_dimension(X_test)
plt.figure(figsize=(4.5, 2.6), layout="constrained")
plt.bar(range(1, 11), np.sort(kl)[::-1])
plt.xticks(range(1, 11))
plt.xlabel("number of the code, the dearest first")
plt.ylabel("KL, nats")
print(f"{(kl > 0.2).sum()} of 10 cost more than 0.2 nats")
assert 3 <= (kl > 0.2).sum() <= 7

# %%
# How probable is a digit?
# ------------------------
#
# The loss is a bound: minus the loss is at most log p(x), the probability that the model makes
# this very digit (grey is read as a probability, as in tutorial 08). How far below, can be seen by
# a better estimate that draws several codes for each digit and averages (importance sampling): it
# rises towards log p(x) as there are more of them.

estimates = {n: wide.log_likelihood(X_test, n_samples=n).mean() for n in (1, 10, 100)}
print({n: round(float(value), 2) for n, value in estimates.items()})
assert estimates[1] < estimates[10] < estimates[100]

# %%
# The two models by this measure, and new digits by the wide one. It is the better one, and the
# digits are still soft: each pixel is answered by its mean, over all digits that the code could
# have meant.

picture(wide.sample(24), 12, size=6)
narrow = variational.log_likelihood(X_test, n_samples=100).mean()
print(f"log p(x) per digit: 2 numbers {narrow:.2f}, 10 numbers {estimates[100]:.2f} nats")
assert estimates[100] > narrow

# %%
# Exercises
# ---------
#
# **Exercise 15.1.** Find out at which price, between 1 and 4, the code of two numbers is given up.
# Then use ``warm_up=50``, which raises the price slowly. Does that move the limit?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# At 2.5 both numbers are in use, at 3 one, at 3.5 none. With the warm-up both are in use at 3; at
# 3.5 still none.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 15.2.** Show on paper that N(0, s^2) costs least for s = 1, from the gradient by log
# s^2. What would s do if only the surprise of the digit counted, and not the KL? Try
# ``beta=0.01``, and look at ``log_variance`` by ``wide.objective_.encoder.predict(X_test)[1]``.
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# It would become 0: the draws only blur the digit. With ``beta=0.01`` and 10 numbers the median of
# s is 0.065.
#
# .. raw:: html
#
#     </details>
#
# Where this is in the source
# ---------------------------
#
# - :func:`minienc.functions.reparameterize_forward`, :func:`minienc.functions.normal_kl_forward`
#   and their backwards: ``minienc/functions/variational.py``.
# - :class:`minienc.pretraining.VariationalAutoencoder`, the whole loss forward and backward:
#   ``minienc/pretraining/variational.py``.
