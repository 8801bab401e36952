"""
One neuron and its gradient
===========================

A neuron weighs its inputs, adds a bias, and bends the sum: y = sigmoid(w x + b). To make it learn,
we ask how its error changes when a weight changes a little: that is the gradient. We work it out by
hand, check it, and let the neuron learn.

You will be able to

- compute a neuron's answer, its loss and its gradient on paper;
- check a gradient without knowing how it was derived;
- read a learning run as a walk downhill on a surface;
- say what a single neuron cannot learn.

It needs Python with NumPy's arrays (``@``, ``.T``, slices) and calculus (slopes, the chain rule),
and no tutorial before it. It runs for two seconds; take half an hour.
"""

# %%
# On paper: from inputs to answers
# --------------------------------
#
# Two samples of two inputs each, one row a sample. The neuron has a weight for each input. We take
# w = (1.0986, -1.0986), because 1.0986 is log 3 (log is the natural logarithm here), which makes
# the numbers simple, and b = 0.
#
# .. code-block:: text
#
#     X = 1  0      z = X w + b =  1.0986       y = sigmoid(z) = 0.75      wanted: t = 1
#         1  1                     0                             0.50                  1
#
# The sigmoid, :math:`1 / (1 + e^{-z})`, squeezes any number into (0, 1): a probability. For the
# first sample it is 1 / (1 + 1/3) = 3/4.

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np

plt.rcParams["figure.facecolor"] = "white"


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


X = np.array([[1.0, 0.0], [1.0, 1.0]])
t = np.array([1.0, 1.0])
w, b = np.array([np.log(3), -np.log(3)]), 0.0
z = X @ w + b
y = sigmoid(z)
print("z =", z, " y =", y)
assert np.allclose(y, [0.75, 0.5])

# %%
# How wrong is that? The loss says it in one number. Cross-entropy is the surprise at the truth:
# minus the logarithm of the probability that was given to what was wanted. It is 0 for who was
# certain and right, and large for who was certain and wrong. Here
#
# .. code-block:: text
#
#     (-log 0.75 - log 0.5) / 2 = (0.288 + 0.693) / 2 = 0.490
#
# Where 0 is wanted, the probability of the truth is 1 - y. One formula has both cases, since one of
# t and 1 - t is 0.


def loss_of(w, b):
    y = sigmoid(X @ w + b)
    return -np.mean(t * np.log(y) + (1 - t) * np.log(1 - y))


print(f"loss = {loss_of(w, b):.3f}")
assert abs(loss_of(w, b) - 0.490) < 1e-3

# %%
# What a gradient is: a slope
# ---------------------------
#
# Change the first weight alone, and draw the loss. The gradient by this weight, dw[0], is the slope
# of the curve where we stand. It will come out as -0.375: to the right it goes down.

around = np.linspace(-1, 4, 100)
curve = [loss_of(np.array([v, w[1]]), b) for v in around]
plt.figure(figsize=(5, 3), layout="constrained")
plt.plot(around, curve, label="loss")
short = np.array([-0.9, 0.9])
plt.plot(w[0] + short, loss_of(w, b) - 0.375 * short, "--", label="slope -0.375")
plt.plot(w[0], loss_of(w, b), "ko")
plt.xlabel("w[0], with all else as it is")
plt.ylabel("loss")
_ = plt.legend()  # what a cell ends with is shown; _ = keeps that away

# %%
# On paper: from the loss back to the weights
# -------------------------------------------
#
# The chain rule multiplies slopes. For one sample, read the steps from the end:
#
# .. code-block:: text
#
#     the loss depends on y:    dl/dy = -t / y + (1 - t) / (1 - y)
#     y depends on z:           dy/dz = y (1 - y)
#     z depends on w and b:     dz/dw = x,  dz/db = 1
#
# The first two, multiplied, are -t (1 - y) + (1 - t) y, which is y - t: the answer minus the truth.
# The mean over two samples halves it. Each weight then gets a share of each sample, as large as its
# input was there:
#
# .. code-block:: text
#
#     dz = (y - t) / 2 = (-0.125, -0.25)
#     dw[0] = 1 (-0.125) + 1 (-0.25) = -0.375       both samples have 1 there
#     dw[1] = 0 (-0.125) + 1 (-0.25) = -0.25        only the second has
#     db    =   (-0.125) +   (-0.25) = -0.375
#
# We write dz, dw, db for the slopes of the loss by z, w and b, here and ever after.

dz = (y - t) / len(t)
dw = X.T @ dz
db = dz.sum()
print("dz =", dz, " dw =", dw, " db =", db)
assert np.allclose(dz, [-0.125, -0.25])
assert np.allclose(dw, [-0.375, -0.25]) and np.isclose(db, -0.375)

# %%
# **Predict:** w[0] grows by 0.01. By how much does the loss change?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# By about slope times step: -0.375 * 0.01 = -0.00375. (It is -0.00374: the curve bends a little on
# the way.) That is all that a gradient says, and it says it only for small steps.
#
# .. raw:: html
#
#     </details>

change = loss_of(w + np.array([0.01, 0]), b) - loss_of(w, b)
print(f"change of the loss: {change:.5f}")
assert abs(change + 0.00375) < 3e-5

# %%
# Is it right? An independent witness
# -----------------------------------
#
# Move one number by a tiny h to both sides, and look how the loss changes. This needs no
# derivation, so it cannot share a mistake with ours.

h = 1e-5
for i in range(2):
    step = np.zeros(2)
    step[i] = h
    numeric = (loss_of(w + step, b) - loss_of(w - step, b)) / (2 * h)
    print(f"dw[{i}]: by hand {dw[i]:+.8f}, by differences {numeric:+.8f}")
    assert abs(numeric - dw[i]) < 1e-9
numeric = (loss_of(w, b + h) - loss_of(w, b - h)) / (2 * h)
print(f"db:    by hand {db:+.8f}, by differences {numeric:+.8f}")
assert abs(numeric - db) < 1e-9

# %%
# The same step, to be walked through
# -----------------------------------
#
# The page below holds what you have just computed, as the library does it: forward, loss, backward,
# and one step of learning. Its layer ends at our z, which it calls y; sigmoid and loss are one
# function there, for a reason that comes below. Click into the page first; then the right arrow
# goes on by one line. Click on any number to see what it was made of. (In a script,
# ``minienc.step(...).save("step.html")`` writes it to a file.)

import minienc
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.training.optimizers import SGD

inputs = Input((2,), dtype="float64")
neuron = Model(inputs, Dense(1, activation="sigmoid")(inputs))
neuron.set_weights([w[:, None], np.array([b])])
neuron.compile(SGD(1.0), "binary_crossentropy")
minienc.step(neuron, X, t[:, None], title="one neuron, two samples")

# %%
# Learning
# --------
#
# Learning is walking against the gradient: a step is w - learning rate * dw. The task is the truth
# table of OR, four samples. We begin with weights of 0, where every answer is one half.

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
t = np.array([0, 1, 1, 1], dtype=float)


def learn(w, b, steps=300, learning_rate=1.0):
    """Yield the weights before each step, and after the last."""
    for _ in range(steps):
        yield w, b
        dz = (sigmoid(X @ w + b) - t) / len(t)
        w, b = w - learning_rate * (X.T @ dz), b - learning_rate * dz.sum()
    yield w, b


path = list(learn(np.zeros(2), 0.0))
w, b = path[-1]
print(f"loss {loss_of(*path[0]):.3f} -> {loss_of(w, b):.3f}")
print("answers", np.round(sigmoid(X @ w + b), 2), "wanted", t)
assert loss_of(w, b) < 0.1 * loss_of(*path[0])
assert np.array_equal(sigmoid(X @ w + b) > 0.5, t == 1)

# %%
# The walk. OR treats both inputs alike, so both weights stay equal all the way; the loss can be
# drawn over this one number and the bias. The steps follow the steepest way down, and become short
# where it is flat.

assert all(w[0] == w[1] for w, _ in path)
both, bias = np.meshgrid(np.linspace(-1, 8, 90), np.linspace(-4, 2, 80))
surface = np.vectorize(lambda v, b: loss_of(np.array([v, v]), b))(both, bias)
plt.figure(figsize=(6, 3.8), layout="constrained")
plt.contourf(both, bias, surface, levels=np.geomspace(0.04, 4, 16), cmap="Blues", norm="log")
lines = plt.contour(both, bias, surface, levels=[0.1, 0.2, 0.4, 0.8, 1.6], colors="k")
plt.clabel(lines)
lines.set_linewidth(0.5)
walked = np.array([(w[0], b) for w, b in path])
plt.plot(*walked.T, color="C1")
plt.plot(*walked[::20].T, "o", color="C1", label="every 20 steps")
plt.plot(0, 0, "ks", label="start")
plt.xlabel("both weights")
plt.ylabel("bias")
plt.title("loss on OR, and 300 steps")
_ = plt.legend(loc="lower left")

# %%
# **Predict:** where is the lowest point of this surface?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# There is none. Multiply weights and bias by 2: every z is twice as far from 0, every answer nearer
# to what is wanted, the loss smaller. It can be made as small as you like, and never 0. So the
# neuron never arrives; one stops when it is good enough.
#
# .. raw:: html
#
#     </details>

for factor in (1, 1.5, 2):
    print(f"{factor} times the weights: loss {loss_of(factor * w, factor * b):.6f}")
assert loss_of(2 * w, 2 * b) < loss_of(1.5 * w, 1.5 * b) < loss_of(w, b)

# %%
# What one neuron cannot learn
# ----------------------------
#
# XOR is 1 where exactly one input is. **Predict:** what does the neuron answer after 1,000 steps on
# XOR, from weights of 0? And from w = (3, -2)?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# One half, four times: it does not even move. At weights of 0 all y are 0.5, so dz is (0.5, -0.5,
# -0.5, 0.5) / 4; each input is 1 in one sample of either sign, and what the two say cancels. From
# (3, -2) it does move, and ends there, too: at one half.
#
# .. raw:: html
#
#     </details>

t = np.array([0, 1, 1, 0], dtype=float)
for start in (np.zeros(2), np.array([3.0, -2.0])):
    *_, (w, b) = learn(start, 0.0, steps=1000)
    print(f"XOR, from {start}: answers {np.round(sigmoid(X @ w + b), 3)}")
    assert np.allclose(sigmoid(X @ w + b), 0.5, atol=1e-2)

# %%
# Where w x + b is 0, the neuron answers one half. With two inputs that is a straight line: on one
# side of it lies what the neuron calls 1. No straight line has XOR's ones on one side and its zeros
# on the other. The next tutorial proves it, and mends it.
#
# The same in the library
# -----------------------
#
# Sigmoid and cross-entropy are one function there, of z: that was the reason promised above. What
# goes into a sigmoid is called a *logit*, and ``from_logits=True`` says that z is handed over, not
# y. Its backward is the (y - t) / N from above.

from minienc.functions import binary_crossentropy_backward, binary_crossentropy_forward

w, b = np.array([0.3, -0.2]), 0.1
z = X @ w + b
loss, cache = binary_crossentropy_forward(z, t, from_logits=True)
dz = binary_crossentropy_backward(1.0, cache)
print(f"loss: ours {loss_of(w, b):.6f}, minienc's {loss:.6f}")
assert np.isclose(loss, loss_of(w, b))
assert np.allclose(dz, (sigmoid(z) - t) / 4)

# %%
# Exercises
# ---------
#
# **Exercise 01.1.** Take the squared error, (y - t)^2, in the place of the cross-entropy. Derive dz
# on paper, check it by differences, and let the neuron learn OR. Which factor is new, and when does
# it make learning slow?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# The new factor is y (1 - y). From weights of 0, with a learning rate of 1 and 300 steps, the
# answers are 0.16, 0.90, 0.90, 1.00; cross-entropy has 0.07, 0.97, 0.97, 1.00 by then. Near 0 and
# near 1 the factor is small: an answer that is certain, and wrong, hardly moves.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 01.2.** Learn OR with learning rates of 0.1, 1, 10 and 100, and draw the four losses
# over the steps. Then do the same with the inputs multiplied by 20. Which rates still work?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# The loss after 300 steps: 0.217, 0.031, 0.0030 and 0.000003. All four work here, but at 100 it
# rises from 0.69 to 6.25 with the first step. With the inputs multiplied by 20: 0.036, 0.0035,
# 0.00033 and 0.000001.
#
# .. raw:: html
#
#     </details>
#
# Where this is in the source
# ---------------------------
#
# - :func:`minienc.functions.binary_crossentropy_forward` and
#   :func:`minienc.functions.binary_crossentropy_backward`: sigmoid and loss, in
#   ``minienc/functions/losses.py``.
# - :func:`minienc.functions.sigmoid_forward`: the bend by itself, in
#   ``minienc/functions/activations.py``.
# - :class:`minienc.layers.Dense`: many neurons; :class:`minienc.training.optimizers.SGD`: the step.
