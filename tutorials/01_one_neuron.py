"""
One neuron and its gradient
===========================

A neuron weighs its inputs, adds a bias, and bends the sum: y = sigmoid(w x + b). To make it
learn, we ask how its error changes when w or b change a little: that is the gradient. We work it
out by hand, check it, and let the neuron learn.
"""

# %%
# The neuron. Two inputs, two weights, one bias; the sigmoid squeezes any number into (0, 1).

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


x = np.array([1.0, 0.5])  # one sample
w = np.array([0.2, -0.4])
b = 0.1
target = 1.0

z = w @ x + b  # 0.2 * 1 - 0.4 * 0.5 + 0.1 = 0.1
y = sigmoid(z)
print(f"z = {z:.3f}, y = {y:.3f}, wanted {target}")

# %%
# The loss says in one number how wrong that is. Cross-entropy is the surprise at the truth: 0 if
# the neuron was certain and right, large if it was certain and wrong.

loss = -(target * np.log(y) + (1 - target) * np.log(1 - y))
print(f"loss = {loss:.4f}")

# %%
# The chain rule, from the loss back to the weights. Read the steps above from the end:
#
#   loss depends on y:   dloss/dy = -(t / y) + (1 - t) / (1 - y)
#   y depends on z:      dy/dz = y (1 - y)
#   z depends on w, b:   dz/dw = x,  dz/db = 1
#
# Multiplied, the first two become y - t: the neuron's answer minus the truth.

dz = y - target
dw = dz * x
db = dz
print(f"dw = {dw}, db = {db:.4f}")

# %%
# Is that right? Move one weight by a tiny h to both sides and look how the loss changes. This
# needs no derivation, so it is an independent witness.


def loss_of(w, b):
    y = sigmoid(w @ x + b)
    return -(target * np.log(y) + (1 - target) * np.log(1 - y))


h = 1e-5
for i in range(2):
    step = np.zeros(2)
    step[i] = h
    numeric = (loss_of(w + step, b) - loss_of(w - step, b)) / (2 * h)
    print(f"dw[{i}]: by hand {dw[i]:+.8f}, by differences {numeric:+.8f}")
    assert abs(numeric - dw[i]) < 1e-9
numeric = (loss_of(w, b + h) - loss_of(w, b - h)) / (2 * h)
assert abs(numeric - db) < 1e-9

# %%
# Learning is walking against the gradient. Four samples, the truth table of OR; each row of X is
# a sample, and the gradients of all four are averaged.

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
t = np.array([0, 1, 1, 1], dtype=float)
w, b, learning_rate = np.zeros(2), 0.0, 1.0
losses = []
for _ in range(300):
    y = sigmoid(X @ w + b)
    losses.append(-np.mean(t * np.log(y) + (1 - t) * np.log(1 - y)))
    dz = (y - t) / len(t)
    w -= learning_rate * (X.T @ dz)
    b -= learning_rate * dz.sum()
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}; answers {np.round(y, 2)}")
assert losses[-1] < 0.1 * losses[0]
assert np.array_equal(y > 0.5, t == 1)

# %%
# One neuron can learn OR, and AND; it cannot learn XOR, because no straight line separates its
# ones from its zeros. The same loop on XOR stays at answers of one half: that is why networks
# have layers, and where the next tutorial begins.

t = np.array([0, 1, 1, 0], dtype=float)
w, b = np.zeros(2), 0.0
for _ in range(300):
    dz = (sigmoid(X @ w + b) - t) / len(t)
    w -= learning_rate * (X.T @ dz)
    b -= learning_rate * dz.sum()
answers = sigmoid(X @ w + b)
print(f"XOR: answers {np.round(answers, 2)}")
assert np.allclose(answers, 0.5)

# %%
# What we wrote is in minienc: the sigmoid with its slope, and sigmoid and cross-entropy as one
# function, whose gradient is the (y - t) / N from above.

from minienc.functions import binary_crossentropy_backward, binary_crossentropy_forward

z = X @ np.array([0.3, -0.2]) + 0.1
loss, cache = binary_crossentropy_forward(z, t, from_logits=True)
dz = binary_crossentropy_backward(1.0, cache)
by_hand = -np.mean(t * np.log(sigmoid(z)) + (1 - t) * np.log(1 - sigmoid(z)))
assert np.isclose(loss, by_hand)
assert np.allclose(dz, (sigmoid(z) - t) / 4)
print("minienc agrees")
