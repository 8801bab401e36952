"""
The chain rule on a graph
=========================

A network is a graph: numbers flow along its arrows to the loss, gradients flow back. As long as it
is a chain, slopes are multiplied. Where a value is used twice, its gradients are added. That is all
there is to backpropagation, and the second half is easily forgotten.

You will be able to

- draw a computation as a graph and write its backward from the drawing;
- say what happens to a weight that is used twice (shared, tied), and to an input that is;
- say in which order a graph must be walked backwards;
- write a tiny engine that differentiates any formula.

It needs tutorial 03 (gradients of a product), and runs for about two seconds.
"""

# %%
# On paper: one matrix, used twice
# --------------------------------
#
# An autoencoder makes a code h of x, and restores x from it. A *tied* one uses the same W both
# times, the second time transposed (W'). One sample, W is 2 x 2:
#
# .. code-block:: text
#
#     x = (1, 2)    W = 1   0
#                       1  -1
#
#     h = x W         = (3, -2)                     (1)
#     r = h W'        = (3, 3 + 2) = (3, 5)         (2)
#     e = r - x       = (2, 3)                      (3)
#     L = e e' / 2    = (4 + 9) / 2 = 6.5           (4)
#
# W is used in (1) and (2); x is used in (1) and (3).

import matplotlib.pyplot as plt
import numpy as np

plt.rcParams["figure.facecolor"] = "white"
x = np.array([[1.0, 2.0]])
W = np.array([[1.0, 0.0], [1.0, -1.0]])


def restore(x, W):
    h = x @ W  # (1)
    r = h @ W.T  # (2)
    e = r - x  # (3)
    L = 0.5 * (e * e).sum()  # (4)
    return L, (x, W, h, e)


L, cache = restore(x, W)
print("h =", cache[2], " e =", cache[3], " L =", L)
assert L == 6.5

# %%
# The graph. What stands in a box was computed from the boxes whose arrows come in. Backward, every
# arrow carries a gradient the other way. From W and from x two arrows go out: so two gradients come
# back to each of them.


def draw(places, arrows, labels):
    """Boxes at ``places``; arrows (from, to, text), with the text, what flows back, in red."""
    ax = plt.subplots(figsize=(8, 3.4), layout="constrained")[1]
    for name, (across, up) in places.items():
        box = {"boxstyle": "round,pad=0.4", "fc": "#eaf2fb", "ec": "C0"}
        ax.text(across, up, labels[name], ha="center", va="center", bbox=box, fontsize=9)
    for source, target, text in arrows:
        (x0, y0), (x1, y1) = places[source], places[target]
        style = {"arrowstyle": "-|>", "color": "0.3", "shrinkA": 26, "shrinkB": 26, "lw": 1.2}
        ax.annotate("", (x1, y1), (x0, y0), arrowprops=style | {"mutation_scale": 14})
        middle = (x0 + x1) / 2, (y0 + y1) / 2
        paper = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none"}
        ax.text(*middle, text, color="C3", ha="center", va="center", fontsize=9, bbox=paper)
    ax.set(xlim=(-0.7, 4.7), ylim=(-0.5, 1.5))
    ax.axis("off")


places = {"x": (0, 0), "W": (0, 1.1), "h": (1.3, 0.55), "r": (2.6, 1.1)}
places |= {"e": (3.4, 0), "L": (4.4, 0)}
labels = {"x": "x\n1  2", "W": "W\n1   0\n1  -1", "h": "h = x W\n3  -2"}
labels |= {"r": "r = h W'\n3  5", "e": "e = r - x\n2  3", "L": "L\n6.5"}
arrows = [("x", "h", "dh W'"), ("W", "h", "x' dh"), ("h", "r", "dr W"), ("W", "r", "dr' h")]
arrows += [("r", "e", "de"), ("x", "e", "-de"), ("e", "L", "e")]
draw(places, arrows, labels)

# %%
# On paper: backward
# ------------------
#
# From the end, line by line; each line gives something to whatever stands on its right-hand side.
#
# .. code-block:: text
#
#     (4) L = e e' / 2     de = e = (2, 3)
#     (3) e = r - x        dr = de = (2, 3)          to x: -de = (-2, -3)
#     (2) r = h W'         dh = dr W = (5, -3)       to W: dr' h = 6  -4
#                                                                  9  -6
#     (1) h = x W          to x: dh W' = (5, 8)      to W: x' dh = 5  -3
#                                                                 10  -6
#
#     dx = (5, 8) + (-2, -3) = (3, 5)                dW = 6 + 5  -4 - 3  =  11   -7
#                                                         9 + 10 -6 - 6     19  -12
#
# Why a sum? Let W change a little. Through (1) the loss changes by so much, through (2) by so much.
# For small changes both happen side by side, and the changes add.


def restore_backward(cache):
    x, W, h, e = cache
    de = e  # (4) was L = e e' / 2
    dr = de  # (3) was e = r - x
    dx = -de  # (3), first part
    dh = dr @ W  # (2) was r = h W'
    dW = dr.T @ h  # (2), first part
    dx = dx + dh @ W.T  # (1) was h = x W: second part
    dW = dW + x.T @ dh  # (1), second part
    return dx, dW


dx, dW = restore_backward(cache)
print("dx =", dx, "\ndW =\n", dW)
assert np.array_equal(dx, [[3, 5]])
assert np.array_equal(dW, [[11, -7], [19, -12]])

# %%
# **Predict:** somebody writes ``dW = x.T @ dh`` in the last line, without ``dW +``. What does the
# check by differences say? And what would a training run look like?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# The check fails: [[5, -3], [10, -6]] in the place of [[11, -7], [19, -12]]. A training run would
# look healthy: here half of the gradient still points downhill, and the loss falls, only more
# slowly. That is why gradients are checked, and not only watched.
#
# .. raw:: html
#
#     </details>

from minienc.verify import numerical_gradient

numeric = numerical_gradient(lambda V: restore(x, V)[0], W)
half = x.T @ (cache[3] @ W)
print("by differences:\n", np.round(numeric, 6), "\nwithout the sum:\n", half)
assert np.allclose(dW, numeric) and not np.allclose(half, numeric)
assert restore(x, W - 0.01 * dW)[0] < restore(x, W - 0.01 * half)[0] < L

# %%
# An engine in twenty lines
# -------------------------
#
# The rules do not depend on the formula. Let every number know what it was made of, and with which
# slope; then a loop can walk back. What has been computed is written on a tape; backward reads the
# tape from the end.

tape = []


class Number:
    def __init__(self, value, *made_of):
        self.value, self.made_of, self.grad = value, made_of, 0.0
        tape.append(self)

    def __add__(self, other):
        return Number(self.value + other.value, (self, 1), (other, 1))

    def __mul__(self, other):
        return Number(self.value * other.value, (self, other.value), (other, self.value))


def backward(last):
    last.grad = 1.0
    for number in reversed(tape):
        for source, slope in number.made_of:
            source.grad += slope * number.grad  # += : it may be used elsewhere, too


a, b = Number(2.0), Number(3.0)
c = a * b + a  # a is used twice: dc/da = b + 1 = 4
backward(c)
print(f"c = {c.value}, dc/da = {a.grad}, dc/db = {b.grad}")
assert (c.value, a.grad, b.grad) == (8, 4, 2)

# %%
# Why from the end of the tape? A number may pass on its gradient when it has all of it: when
# everything that uses it has given its part. What uses a number was made after it, and stands
# behind it on the tape. So reading from the end is right, whatever the graph looks like.
#
# **Predict:** d = c + c, with c = a * a and a = 3. A careless walk does not wait: whenever a number
# is given something, it passes on at once what it has by now. What does a get?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# The right gradient is 2 * 2a = 12. The careless walk comes to c by the first arrow and finds 1
# there: a gets 3 + 3. It comes by the second arrow and finds 2: a gets 6 + 6 more, 18 in all. What
# had come by the first arrow was passed on twice.
#
# .. raw:: html
#
#     </details>


def careless(number, given):
    number.grad += given
    for source, slope in number.made_of:
        careless(source, slope * number.grad)


results = []
for walk in (backward, lambda last: careless(last, 1.0)):
    tape.clear()
    a = Number(3.0)
    c = a * a
    walk(c + c)
    results.append(a.grad)
print("from the end of the tape:", results[0], " careless:", results[1])
assert results == [12, 18]

# %%
# The graph of a formula needs no drawing by hand either: the tape has it. Here is our first matrix
# example once more, as single numbers. It finds the same gradients, and knows nothing of matrices.

tape.clear()
X = [Number(1.0), Number(2.0)]
V = [[Number(1.0), Number(0.0)], [Number(1.0), Number(-1.0)]]
minus, half_ = Number(-1.0), Number(0.5)
H = [X[0] * V[0][m] + X[1] * V[1][m] for m in range(2)]
R = [H[0] * V[d][0] + H[1] * V[d][1] for d in range(2)]
E = [R[d] + minus * X[d] for d in range(2)]
loss = half_ * (E[0] * E[0] + E[1] * E[1])
backward(loss)
print(f"loss {loss.value} from {len(tape)} numbers")
print("dW =", [[v.grad for v in row] for row in V], " dx =", [v.grad for v in X])
assert loss.value == 6.5 and [v.grad for v in X] == [3, 5]
assert [[v.grad for v in row] for row in V] == [[11, -7], [19, -12]]

# %%
# In the library
# --------------
#
# The library works with whole arrays and hand-written backwards, because those can be read and are
# fast; but its graph of layers is walked by this rule. A weight belongs to a
# :class:`minienc.layers.Dense`; :class:`minienc.layers.DenseTranspose` uses the same one. It is one
# parameter, and both add to its one gradient.

from minienc.functions import mean_squared_error_backward, mean_squared_error_forward
from minienc.layers import Add, Dense, DenseTranspose, Input
from minienc.models import Model

inputs = Input((2,), dtype="float64")
encoder = Dense(2, use_bias=False)
code = encoder(inputs)
tied = Model(inputs, DenseTranspose(encoder, use_bias=False)(code))
tied.set_weights([W])
r, cache = tied.forward(x)
loss, loss_cache = mean_squared_error_forward(r, x)  # the mean of two squares: it is L, too
grads = tied.new_gradients()
tied.backward(mean_squared_error_backward(1.0, loss_cache), cache, grads)
print(f"{len(tied.get_weights())} weight, loss {loss}, its gradient:\n{grads[encoder.W]}")
assert loss == 6.5 and len(tied.get_weights()) == 1
assert np.array_equal(grads[encoder.W], dW)

# %%
# The same step to walk through. The backward of each layer has a dW, which is this use's part (of
# W' in ``dense_transpose_1``, so that one lies on its side). The sum of both is the g of the last
# call, ``sgd_step``.

import minienc
from minienc.training.optimizers import SGD

tied.compile(SGD(0.01), "mean_squared_error")
minienc.step(tied, x, x, title="a tied autoencoder")

# %%
# A layer, used twice; a value, used twice
# ----------------------------------------
#
# **Predict:** y = f(x) + f(f(x)), with the same layer f = tanh(x W) in all three places (W is 2 x
# 2, without bias). How many weights has the model? How many gradients are added for W, and how many
# for the value f(x)?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# Four weights: W is there once, and is shared. The model applies f twice, since f(x) is one value
# that is used twice: W gets two gradients, and f(x) gets two, one from the sum directly and one
# through the second f.
#
# .. raw:: html
#
#     </details>

inputs = Input((2,), dtype="float64")
f = Dense(2, activation="tanh", use_bias=False, seed=0)
once = f(inputs)
model = Model(inputs, Add()([once, f(once)]))
weights = f.W.value.copy()
samples = np.random.default_rng(1).standard_normal((3, 2))
y, cache = model.forward(samples)
dy = np.random.default_rng(2).standard_normal(y.shape)
grads = model.new_gradients()
model.backward(dy, cache, grads)


def formula(W):
    return np.tanh(samples @ W) + np.tanh(np.tanh(samples @ W) @ W)


print(f"{model.parameters.vector.size} weights")
assert model.parameters.vector.size == 4
assert np.allclose(grads[f.W], numerical_gradient(formula, weights, dy), atol=1e-8)

# %%
# Exercises
# ---------
#
# **Exercise 04.1.** A recurrent step uses one weight at every time: h1 = tanh(w h0 + x1), h2 =
# tanh(w h1 + x2), h3 = tanh(w h2 + x3). Draw the graph, write dw by hand for L = h3, and check it.
# What becomes of the part that comes through h1 if w is 0.1?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# With h0 = 1 and x1, x2, x3 = 1, -1, 0.5: dw is -0.117 for w = 0.5, and -0.575 for w = 0.1. The
# three parts, from h3 back to h1, are -0.469, 0.320 and 0.032 for 0.5, and -0.608, 0.032 and 0.001
# for 0.1: at each step back, a part is multiplied by w.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 04.2.** Give the engine tanh and exp (each is a method of three lines), and let it
# compute the gradient of the neuron of tutorial 01 with its cross-entropy. What else does it need?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# It needs the logarithm, a difference and a division. With the numbers of tutorial 01: a loss of
# 0.490, dw = (-0.375, -0.25) and db = -0.375.
#
# .. raw:: html
#
#     </details>
#
# Where this is in the source
# ---------------------------
#
# - :class:`minienc.layers.graph.Graph`: ``forward`` and ``backward`` are two loops over the layers;
#   where gradients meet in a value, they are added.
# - :class:`minienc.layers.parameters.Gradients`: the sums for the weights, which belong to whoever
#   asked for them.
# - :class:`minienc.layers.Layer`: the laws that every layer keeps, at the top of
#   ``minienc/layers/base.py``.
