"""
From gradient descent to Adam
=============================

A gradient says which way is down, here. It does not say how far to go. Gradient descent, momentum,
RMSprop and Adam are four answers, each of which mends something that is wrong with the one before.

You will be able to

- make a step of gradient descent and of Adam on paper;
- say from the curvature of a valley which learning rate is too large;
- say what momentum and what the division by sqrt(v) are for, and what they are not for;
- compare optimisers fairly, each at its best learning rate.

It needs tutorials 03 (gradients) and 07 (the autoencoder), and runs for a few seconds.
"""

# %%
# On paper
# --------
#
# A loss with two weights, a and b, and a valley along a:
#
# .. code-block:: text
#
#     L = 1/2 (a^2 + 25 b^2) = 1/2 w' H w,    H = 1   0        gradient g = H w = (a, 25 b)
#                                                 0  25
#
# We begin at w = (10, 1), where g = (10, 25). The way to the lowest point, (0, 0), is a long one
# in a and a short one in b; the gradient says the reverse. One step of gradient descent with a
# learning rate of 0.04:
#
# .. code-block:: text
#
#     w - 0.04 g = (10 - 0.4, 1 - 1) = (9.6, 0)

import matplotlib.pyplot as plt
import numpy as np

plt.rcParams["figure.facecolor"] = "white"
H = np.array([[1.0, 0.0], [0.0, 25.0]])
START = np.array([10.0, 1.0])
g = H @ START
w = START - 0.04 * g
print(f"g = {g}, after one step w = {w}")
assert np.allclose(w, [9.6, 0])

# %%
# Many steps
# ----------
#
# In one direction a step multiplies the weight by a number: a becomes (1 - lr) a, and b becomes
# (1 - 25 lr) b. We count the steps until the loss is below 0.001.


def walk(step, H=H, start=START, most=1000):
    """The path of ``step(w, g, t)``, which changes w, until the loss is small or huge."""
    w, path = start.copy(), [start.copy()]
    for t in range(1, most + 1):
        step(w, H @ w, t)
        path.append(w.copy())
        if not 1e-3 < 0.5 * w @ H @ w < 1e12:
            break
    return np.array(path)


def descent(learning_rate):
    def step(w, g, t):
        w -= learning_rate * g

    return step


for rate in (0.01, 0.04, 0.0769, 0.079):
    print(f"learning rate {rate:6}: {len(walk(descent(rate))) - 1} steps")
assert len(walk(descent(0.04))) - 1 == 133

# %%
# The paths, their first 40 steps. A larger rate is faster along the valley, until it jumps from
# wall to wall.


def draw(paths, H=H, reach=11, most=40):
    """Contours of the loss, and a line for each path: its first steps, ``most`` of them."""
    a, b = np.meshgrid(np.linspace(-reach, reach, 200), np.linspace(-3.2, 3.2, 100))
    L = 0.5 * (H[0, 0] * a * a + 2 * H[0, 1] * a * b + H[1, 1] * b * b)
    plt.figure(figsize=(6.5, 3), layout="constrained")
    plt.contour(a, b, np.sqrt(L), levels=8, colors="0.8", linewidths=0.8)
    for (name, path), mark in zip(paths.items(), "o^sd", strict=False):
        label = f"{name}: {len(path) - 1} steps"
        plt.plot(*path[: most + 1].T, mark + "-", markersize=3, linewidth=1, label=label)
    plt.plot(0, 0, "k+", markersize=12)
    plt.xlabel("a")
    plt.ylabel("b")
    plt.legend(fontsize=8, loc="upper left")


draw({f"learning rate {rate}": walk(descent(rate)) for rate in (0.02, 0.0769)})

# %%
# **Predict:** what happens with a learning rate of 0.09?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# b is multiplied by 1 - 25 * 0.09 = -1.25 at each step: it changes sides and grows, by a quarter
# each time. Whatever a does, the loss goes to infinity. The limit is lr = 2 / 25 = 0.08: two
# divided by the largest curvature. The smallest curvature, 1, then has to live with it: that is
# why valleys are slow.
#
# .. raw:: html
#
#     </details>

path = walk(descent(0.09))
print("b:", np.round(path[:5, 1], 3), "... and at the end", f"{path[-1, 1]:.0f}")
assert np.allclose(path[1:5, 1] / path[:4, 1], -1.25)
assert abs(path[-1, 1]) > 1000

# %%
# Momentum
# --------
#
# Steps across the valley contradict each other, steps along it agree. So keep a running sum of
# them, the velocity: what contradicts cancels, what agrees adds up.
#
# .. code-block:: text
#
#     v <- momentum v - lr g,     w <- w + v
#
# With a momentum of 0.5 the steps that agree come to lr (1 + 1/2 + 1/4 + ...) = 2 lr. And it bears
# a larger rate, because the velocity brakes what it overshoots.


def momentum(learning_rate, mu):
    v = np.zeros(2)

    def step(w, g, t):
        v[:] = mu * v - learning_rate * g
        w += v

    return step


draw({"descent, 0.0769": walk(descent(0.0769)), "momentum 0.5, 0.1": walk(momentum(0.1, 0.5))})
assert len(walk(descent(0.0769))) - 1 > 3 * (len(walk(momentum(0.1, 0.5))) - 1)

# %%
# Adam, by hand
# -------------
#
# Momentum still has one learning rate for all weights. Adam gives each weight one of its own: it
# divides by the usual size of that weight's gradients.
#
# .. code-block:: text
#
#     m <- 0.9 m + 0.1 g              the gradient, smoothed (momentum)
#     v <- 0.999 v + 0.001 g^2        its square, smoothed
#     w <- w - lr m_right / sqrt(v_right)
#
# Both begin at 0, and are too small at first: after one step m is 0.1 g and v is 0.001 g^2. So they
# are divided by 1 - 0.9^t and 1 - 0.999^t. On paper, the first step from (10, 1) with lr = 0.3:
#
# .. code-block:: text
#
#     m / 0.1 = g,  v / 0.001 = g^2,  and g / sqrt(g^2) is the sign of g: (1, 1)
#     w = (10 - 0.3, 1 - 0.3) = (9.7, 0.7)


def adam(learning_rate, beta_1=0.9, beta_2=0.999):
    m, v = np.zeros(2), np.zeros(2)

    def step(w, g, t):
        m[:] = beta_1 * m + (1 - beta_1) * g
        v[:] = beta_2 * v + (1 - beta_2) * g * g
        m_right, v_right = m / (1 - beta_1**t), v / (1 - beta_2**t)
        w -= learning_rate * m_right / np.sqrt(v_right)

    return step


path = walk(adam(0.3))
print("first step to", path[1])
assert np.allclose(path[1], [9.7, 0.7])

# %%
# The same from the library, to the last digits but the epsilon that it adds so that nothing is
# divided by 0. RMSprop is Adam without m and without the correction.

from minienc.functions import adam_step, rmsprop_step

m, v, s = np.zeros((3, 2))
theirs = walk(lambda w, g, t: adam_step(w, g, m, v, t, 0.3))
rms = walk(lambda w, g, t: rmsprop_step(w, g, s, None, 0.1), most=300)
assert np.allclose(path, theirs, atol=1e-5)
draw({"Adam, 0.3": path, "RMSprop, 0.1": rms}, most=300)  # all of them
print(f"RMSprop ends at {np.round(rms[-1], 3)}")

# %%
# RMSprop goes straight to the bottom and then stays at a distance from it: each step is about as
# long as the learning rate, whatever the gradient is, so it jumps over the lowest point and back.
# With a fixed rate it never comes to rest.

assert 0.01 < np.abs(rms[-1]).max() < 0.1

# %%
# **Predict:** the loss is multiplied by 1000 (a sum over pixels in the place of a mean, say). What
# do gradient descent with 0.04 and Adam with 0.3 do now?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# Gradient descent goes to infinity: the curvature is 25,000, and the limit 0.00008. Adam walks the
# same path as before: m and sqrt(v) are both 1000 times as large. Its learning rate is a length in
# the space of the weights. That of gradient descent depends on the units of the loss.
#
# .. raw:: html
#
#     </details>

large = walk(descent(0.04), H=1000 * H)
same = walk(adam(0.3), H=1000 * H, most=len(path) - 1)
print(f"gradient descent: {large[-1]}, Adam: {same[-1]} (before: {path[-1]})")
assert np.abs(large[-1]).max() > 1000
assert np.allclose(same, path[: len(same)], atol=1e-8)

# %%
# **Predict:** we begin at (10, 10), high up on the wall. Then the valley is turned by 45 degrees,
# and the start with it. Who needs more steps than before: gradient descent with 0.0769, or Adam
# with 0.3?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# Gradient descent needs 88 both times: it knows no axes, and its path is turned with the valley.
# Adam looks at each weight by itself. Along the axes, the steep weight is the one with large
# gradients, and is slowed down: 46 steps. In the turned valley both weights have large gradients,
# and there is nothing to tell the walls from the floor: 521 steps.
#
# .. raw:: html
#
#     </details>

c = np.sqrt(0.5)
turn = np.array([[c, -c], [c, c]])
high, counts = np.array([10.0, 10.0]), {}
for name, new in (("gradient descent", lambda: descent(0.0769)), ("Adam", lambda: adam(0.3))):
    straight = walk(new(), start=high)
    turned = walk(new(), H=turn @ H @ turn.T, start=turn @ high)
    counts[name] = len(straight) - 1, len(turned) - 1
    print(f"{name}: {counts[name][0]} steps; in the turned valley {counts[name][1]}")
assert counts["gradient descent"][0] == counts["gradient descent"][1] == 88
assert counts["Adam"][1] > 8 * counts["Adam"][0]

# %%
# A step of Adam, line by line
# ----------------------------
#
# The page holds one training step of a small autoencoder; its last call is ``adam_step``, with m, v
# and the weights before and after. Beside it stands the same step with a learning rate of 1.

import minienc
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.training.optimizers import SGD, Adam, RMSprop

pixels = Input((4,))
model = Model(pixels, Dense(4, "sigmoid", seed=2)(Dense(2, "relu", seed=1)(pixels)))
model.compile(Adam(0.01), "binary_crossentropy")
batch = np.array([[1, 0, 1, 0], [0, 1, 1, 0]], dtype=np.float32)
minienc.step(model, batch, batch, against={"learning_rate": 1.0})

# %%
# On digits
# ---------
#
# Now the real loss of a real network, with 4,192 weights: the autoencoder 64-32-64, trained for
# ten epochs by each of the four. Each gets several learning rates, because a comparison at one
# rate is a comparison of rates.

from minienc.data import load_digits

X = np.asarray(load_digits().x).reshape(-1, 64)


def final_loss(optimizer, epochs=10):
    pixels = Input((64,))
    hidden = Dense(32, "relu", seed=0)(pixels)
    network = Model(pixels, Dense(64, "sigmoid", seed=1)(hidden))
    network.compile(optimizer, "binary_crossentropy")
    return network.fit(X, X, epochs=epochs, batch_size=32, seed=0, verbose=0).history["loss"][-1]


OPTIMIZERS = {
    "gradient descent": (SGD, (0.03, 0.1, 0.3, 1, 3, 10, 30)),
    "momentum 0.9": (lambda rate: SGD(rate, momentum=0.9), (0.01, 0.03, 0.1, 0.3, 1, 3, 10)),
    "RMSprop": (RMSprop, (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1)),
    "Adam": (Adam, (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1)),
}
results = {
    name: [final_loss(make(rate)) for rate in rates] for name, (make, rates) in OPTIMIZERS.items()
}

# %%
# Each curve has its lowest point; to its left steps are too short, to its right too long.

plt.figure(figsize=(6, 3.4), layout="constrained")
best = {}
for (name, losses), mark in zip(results.items(), "o^sd", strict=True):
    rates = OPTIMIZERS[name][1]
    best[name] = min(zip(losses, rates, strict=True))
    plt.semilogx(rates, losses, mark + "-", markersize=4, label=name)
    print(f"{name:17} {best[name][0]:.4f} at a learning rate of {best[name][1]}")
plt.xlabel("learning rate")
plt.ylabel("cross-entropy after 10 epochs")
plt.legend(fontsize=8)
assert best["momentum 0.9"][0] < best["gradient descent"][0]
assert best["Adam"][0] < best["RMSprop"][0] < best["gradient descent"][0]
assert abs(best["Adam"][0] - best["momentum 0.9"][0]) < 0.006

# %%
# What is to be seen:
#
# - Momentum is worth more than anything else: 0.241 in the place of 0.260. Adam has it, too: 0.244.
# - At their best, momentum and Adam are level here. Adam is not better; it is easier to set.
# - The best rate of gradient descent is 10. It would have been 10 / 64 if the loss were a sum over
#   the pixels. Adam's would still be 0.01.
# - The rates that come with a library are no law: Adam's 0.001 is still at 0.297 after ten epochs.

assert best["gradient descent"][1] == 10 and best["Adam"][1] == 0.01
assert results["Adam"][2] > 1.15 * best["Adam"][0]

# %%
# At a high rate the loss stays high, as RMSprop did in the valley. So begin with long steps and let
# them become shorter: a schedule. It helps a rate that is too large, and cannot save it.

from minienc.training.schedules import CosineDecay

steps = 40 * -(-len(X) // 32)  # 40 epochs of 45 batches
fixed, falling = final_loss(Adam(0.03), 40), final_loss(Adam(CosineDecay(0.03, steps)), 40)
good = final_loss(Adam(0.01), 40)
print(f"0.03: {fixed:.4f}; 0.03 falling to 0: {falling:.4f}; 0.01: {good:.4f}")
assert good < falling < fixed

# %%
# Exercises
# ---------
#
# **Exercise 09.1.** For a valley with curvatures 1 and 25, gradient descent is fastest at a rate
# of 2 / 26, momentum at a rate of (2 / (1 + 5))^2 = 0.111 with a momentum of ((5 - 1) / (5 + 1))^2
# = 0.444. Find both by trying. Then make the curvature 2500: how do the numbers of steps grow?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# From (10, 1) until both numbers are below 0.001: 116 steps and, with momentum, 29; with the
# curvature 2500, 11,513 and 335. The first grows as the curvature, the second as its root.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 09.2.** Take the division by 1 - 0.9^t and 1 - 0.999^t out of ``adam``. How long is the
# first step from (10, 1) now, in units of the learning rate? Compute it on paper first.
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# 0.1 / sqrt(0.001) = 3.16 in each direction: too long, not too short.
#
# .. raw:: html
#
#     </details>
#
# Where this is in the source
# ---------------------------
#
# - The rules, each as in its paper: :func:`minienc.functions.sgd_step`,
#   :func:`minienc.functions.rmsprop_step`, :func:`minienc.functions.adam_step`, in the file
#   ``minienc/functions/optimizers.py``.
# - What remembers v, m and the settings: :class:`minienc.training.optimizers.SGD`,
#   :class:`minienc.training.optimizers.Adam`.
# - :class:`minienc.training.schedules.CosineDecay`.
