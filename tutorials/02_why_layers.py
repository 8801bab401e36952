"""
Why layers
==========

One neuron draws one straight line. XOR, "one or the other, but not both", cannot be had that way.
Two neurons that bend, and a third that reads their answers, can do it. We first find the weights by
thinking, then let the network look for them, and count how often it finds them.

You will be able to

- prove in two lines that no single neuron computes XOR;
- follow two layers forward and backward with a pencil;
- say what the bend between two layers is for, and what happens without it;
- say why a network is given more neurons than the task needs.

It needs tutorial 01 (a neuron, its gradient), and runs for about five seconds.
"""

# %%
# Why one neuron cannot
# ---------------------
#
# Say the neuron answers 1 where w1 x1 + w2 x2 + b > 0. The four samples of XOR ask for
#
# .. code-block:: text
#
#     (0, 1) -> 1:    w2 + b > 0          (0, 0) -> 0:         b <= 0
#     (1, 0) -> 1:    w1 + b > 0          (1, 1) -> 0:    w1 + w2 + b <= 0
#
# Add the two on the left: w1 + w2 + 2 b > 0. Add the two on the right: w1 + w2 + 2 b <= 0. Both
# cannot be. No weights do it, and so no training does.
#
# Two layers, on paper
# --------------------
#
# Two neurons look at the sum of the inputs; both bend by relu(z) = max(z, 0), which cuts off what
# is negative. The first counts the ones, the second sees only whether both are there. A third
# neuron subtracts the second from the first, twice. Neurons between the inputs and the answer are
# called *hidden*, and what bends is called an *activation*: sigmoid is one, relu another. The first
# layer's weights are a 2 x 2 matrix, a column for each neuron:
#
# .. code-block:: text
#
#     h = relu(x W1 + b1)     W1 = 1  1    b1 = (0, -1)
#                                  1  1
#     y = h w2                w2 = (1, -2)
#
#     x = (0, 0):   x W1 + b1 = (0, -1)   h = (0, 0)   y = 0
#         (0, 1):               (1,  0)       (1, 0)       1
#         (1, 0):               (1,  0)       (1, 0)       1
#         (1, 1):               (2,  1)       (2, 1)       2 - 2 = 0

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np

plt.rcParams["figure.facecolor"] = "white"
X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
t = np.array([0, 1, 1, 0], dtype=float)


def relu(z):
    return np.maximum(z, 0)


W1, b1 = np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([0.0, -1.0])
w2, b2 = np.array([1.0, -2.0]), 0.0
h = relu(X @ W1 + b1)
y = h @ w2 + b2
print("h =\n", h, "\ny =", y)
assert np.array_equal(y, t)

# %%
# What the first layer has done: it moved the points. Left, the inputs: no line parts the circles
# from the crosses. Right, the same four samples as the third neuron sees them, by h: (0, 1) and
# (1, 0) fall on one point, and a line parts them.


def mark(ax, points):
    """Circles where 0 is wanted, crosses where 1 is."""
    ax.plot(*points[t == 0].T, "o", color="C0", markersize=10, label="wanted 0")
    ax.plot(*points[t == 1].T, "X", color="C1", markersize=10, label="wanted 1")


figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
mark(left, X)
left.set(xlabel="x1", ylabel="x2", title="inputs", xlim=(-0.5, 2.5), ylim=(-0.5, 1.5))
mark(right, h)
line = np.array([0.2, 2.8])
right.plot(line, (line - 0.5) / 2, "k--", label="h1 - 2 h2 = 0.5")
right.set(xlabel="h1", ylabel="h2", title="after the first layer", xlim=(-0.5, 2.5))
right.set_ylim(-0.5, 1.5)
_ = right.legend(fontsize=8, loc="upper left")

# %%
# What the bend is for
# --------------------
#
# **Predict:** leave out relu, so that h = x W1 + b1. What does the network compute?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# y = (x W1 + b1) w2 = x (W1 w2) + b1 w2. And W1 w2 is a vector of two numbers, (-1, -1), and
# b1 w2 = 2: a single neuron, with answers 2, 1, 1, 0. However many layers there are, without a bend
# between them they are one layer.
#
# .. raw:: html
#
#     </details>

straight = (X @ W1 + b1) @ w2
print("without the bend:", straight, " W1 w2 =", W1 @ w2, " b1 w2 =", b1 @ w2)
assert np.allclose(straight, X @ (W1 @ w2) + b1 @ w2)
assert np.array_equal(straight, [2, 1, 1, 0])

# %%
# Backward through two layers, on paper
# -------------------------------------
#
# Spoil one weight: w2 = (1, -1). Then (1, 1) is answered by 2 - 1 = 1, and wanted is 0; the other
# three are still right. As a loss we take the mean squared error, (0 + 0 + 0 + 1) / 4. Its slope by
# an answer is 2 (y - t) / 4. From there it is the chain rule of one neuron, twice:
#
# .. code-block:: text
#
#     dy  = 2 (y - t) / 4 = (0, 0, 0, 0.5)       only the last sample is wrong
#     dw2 = h' dy = 0.5 (2, 1) = (1, 0.5)        each weight by its input, as before
#     dh  = dy w2 = 0.5 (1, -1) = (0.5, -0.5)    of the last sample: each h by its weight
#     dz1 = dh where h > 0 = (0.5, -0.5)         relu has slope 1 there, elsewhere 0
#     dW1 = x' dz1 = 0.5  -0.5                   x = (1, 1): both rows alike
#                    0.5  -0.5
#
# The one thing that is new is dh: the second layer tells the first how it should have answered. The
# mark ' is the transpose, which turns rows into columns.


def gradients(X, t, W1, b1, w2, b2):
    """Those of the mean squared error, by W1, b1, w2 and b2."""
    h = relu(X @ W1 + b1)
    y = h @ w2 + b2
    dy = 2 * (y - t) / len(t)
    dw2, db2 = h.T @ dy, dy.sum()
    dh = np.outer(dy, w2)
    dz1 = dh * (h > 0)
    return X.T @ dz1, dz1.sum(axis=0), dw2, db2


spoilt = np.array([1.0, -1.0])
dW1, db1, dw2, db2 = gradients(X, t, W1, b1, spoilt, b2)
print("dW1 =\n", dW1, "\ndb1 =", db1, " dw2 =", dw2, " db2 =", db2)
assert np.array_equal(dW1, [[0.5, -0.5], [0.5, -0.5]])
assert np.array_equal(dw2, [1, 0.5])

# %%
# **Predict:** w2 should be (1, -2). A step against the gradient moves it by -lr (1, 0.5). Which of
# the two goes the right way?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# The second: it falls from -1 towards -2. The first falls, too, though it was right. The gradient
# knows nothing of the solution that we have in mind; it says which way the loss falls, if all
# weights move at once. There are many other solutions.
#
# .. raw:: html
#
#     </details>


def loss_of(W1, b1, w2, b2):
    return np.mean((relu(X @ W1 + b1) @ w2 + b2 - t) ** 2)


after = W1 - 0.1 * dW1, b1 - 0.1 * db1, spoilt - 0.1 * dw2, b2 - 0.1 * db2
print("w2 after a step of 0.1:", after[2])
print(f"loss {loss_of(W1, b1, spoilt, b2):.3f} -> {loss_of(*after):.3f}")
assert after[2][1] < spoilt[1] and after[2][0] < spoilt[0]
assert loss_of(*after) < loss_of(W1, b1, spoilt, b2)

# %%
# The same step, line by line
# ---------------------------
#
# The page holds this network with the spoilt weight. Walk to the backward of ``dense_1``: its dy is
# our dh. Click on dW[0, 1]: it was made of one column of x and one column of dz. A verdict may be
# *inconclusive*: a relu stands exactly at its bend here, where there is no slope to compare with.

import minienc
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.training.optimizers import SGD

inputs = Input((2,), dtype="float64")
hidden = Dense(2, activation="relu")(inputs)
network = Model(inputs, Dense(1)(hidden))
network.set_weights([W1, b1, spoilt[:, None], np.array([b2])])
network.compile(SGD(0.1), "mean_squared_error")
minienc.step(network, X, t[:, None], title="XOR, one weight spoilt")

# %%
# Letting it look by itself
# -------------------------
#
# Now we begin with random weights and walk downhill for 1,000 steps. With two hidden neurons the
# solution exists, as we know. Does the walk find it? We try 20 beginnings, and count those that end
# with all four answers on the right side of one half; then the same with more neurons.


def train(n_hidden, seed, steps=1000, learning_rate=0.05):
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((2, n_hidden)), np.zeros(n_hidden)]
    weights += [rng.standard_normal(n_hidden), 0.0]
    for _ in range(steps):
        slopes = gradients(X, t, *weights)
        weights = [w - learning_rate * dw for w, dw in zip(weights, slopes, strict=True)]
    return weights


def answer(X, W1, b1, w2, b2):
    return relu(X @ W1 + b1) @ w2 + b2


# %%
# **Predict:** how many of the 20 succeed with 1, 2, 4 and 8 hidden neurons?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# With one: none, for one bend is not enough. With two: a few. With four: about two in three. With
# eight: nearly all. A neuron that starts in a bad place (below 0 for all samples, say) has a slope
# of 0 and never moves again. Two have no reserve; of eight, some will start well.
#
# .. raw:: html
#
#     </details>

found = {}
for n_hidden in (1, 2, 4, 8):
    ends = [train(n_hidden, seed) for seed in range(20)]
    found[n_hidden] = sum(np.array_equal(answer(X, *w) > 0.5, t == 1) for w in ends)
    print(f"{n_hidden} hidden: {found[n_hidden]} of 20 beginnings solve XOR")
assert found[1] == 0
assert 0 < found[2] < 12 and found[2] < found[4] < found[8]

# %%
# Decision regions: the answer at every point between and around the four samples. The black line is
# where it is one half. One bend makes a strip's edge; two make a strip, and that is XOR; more make
# other borders that do as well, for the data says nothing about the places between.

axis = np.linspace(-0.5, 1.5, 120)
grid = np.stack(np.meshgrid(axis, axis), axis=-1)
good = {n: next(s for s in range(20) if loss_of(*train(n, s)) < 0.01) for n in (2, 4, 8)}
figure, axes = plt.subplots(1, 4, figsize=(9, 2.6), layout="constrained", sharey=True)
for ax, (n_hidden, seed) in zip(axes, [(1, 0), *good.items()], strict=True):
    regions = answer(grid, *train(n_hidden, seed))
    shown = ax.imshow(
        regions, origin="lower", extent=(-0.5, 1.5) * 2, vmin=-0.5, vmax=1.5, cmap="PuOr_r"
    )
    ax.contour(axis, axis, regions, levels=[0.5], colors="k")
    mark(ax, X)
    ax.set(title=f"{n_hidden} hidden", xlabel="x1")
axes[0].set_ylabel("x2")
bar = figure.colorbar(shown, ax=axes, label="the answer", shrink=0.75)
key = figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

# %%
# What to remember
# ----------------
#
# - A layer moves the samples to where the next one can part them. What is in the middle, h, is a
#   *code* of the input. All that follows in these tutorials is about learning good codes.
# - Without a bend, layers collapse into one.
# - That weights exist is not that they are found. More neurons than needed make them easier to
#   find.
#
# **Exercise 02.1.** Find weights by thinking for two relu neurons and an output that answer 1
# where x1 and x2 are equal. Then for three inputs, with three relu neurons: 1 where an odd number
# of them is 1.
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# Put all four samples through it, and all eight: the answers are 1, 0, 0, 1 and, in the order 000,
# 001, 010, 011, 100, 101, 110, 111: 0, 1, 1, 0, 1, 0, 0, 1. A hint for three inputs: all weights
# of the first layer can be 1; only the thresholds differ.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 02.2.** Put tanh in the place of relu (its slope is 1 - h^2). How many of 20 beginnings
# succeed with two neurons now, and why more?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# 14 of 20, with the same seeds, steps and rate (relu: 4). The slope of tanh is 0 nowhere, so no
# neuron stands still for all four samples.
#
# .. raw:: html
#
#     </details>
#
# Where this is in the source
# ---------------------------
#
# - :class:`minienc.layers.Dense`: a layer of neurons; :class:`minienc.models.Model`: layers, one
#   behind the other.
# - :func:`minienc.functions.relu_forward` and :func:`minienc.functions.relu_backward`.
# - :func:`minienc.functions.mean_squared_error_forward` and its backward.
