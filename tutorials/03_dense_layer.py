"""
A dense layer
=============

Many neurons that look at the same inputs are one matrix product, and so are their gradients. We
follow one layer there and back with numbers in a scheme, build it, check every gradient, and find
that the library's is the same.

You will be able to

- compute a product of matrices, and the gradients of a layer, in Falk's scheme;
- derive dx, dW and db from y = f(x W + b), and say why db is a sum;
- find a mistake that the shapes do not show;
- call a forward and a backward of the library, and say what a cache is.

It needs tutorials 01 and 02, and runs for about two seconds.
"""

# %%
# On paper: forward
# -----------------
#
# Two samples of two numbers, two neurons. A row of x is a sample; a column of W are the weights of
# a neuron. Falk's scheme has x on the left and W above; where a row and a column meet stands the
# sum of their products:
#
# .. code-block:: text
#
#                 W =  1   0
#                      2  -1
#     x = 1   2        5  -2       5 = 1*1 + 2*2
#         3  -1        1   1       1 = 3*1 - 1*2
#
# Add b = (0, 1) to each row, and bend by relu, which cuts off what is negative:
#
# .. code-block:: text
#
#     z = x W + b = 5  -1      y = relu(z) = 5  0
#                   1   2                    1  2

import matplotlib.pyplot as plt
import numpy as np

plt.rcParams["figure.facecolor"] = "white"
x = np.array([[1.0, 2.0], [3.0, -1.0]])
W = np.array([[1.0, 0.0], [2.0, -1.0]])
b = np.array([0.0, 1.0])


def affine_relu(x, W, b):
    z = x @ W + b  # (1)
    y = np.maximum(z, 0)  # (2)
    return y, (x, W, y)


y, cache = affine_relu(x, W, b)
print("x W =\n", x @ W, "\ny =\n", y)
assert np.array_equal(x @ W, [[5, -2], [1, 1]])
assert np.array_equal(y, [[5, 0], [1, 2]])

# %%
# The scheme, drawn. The chosen number, its row and its column are coloured.


def falk(ax, left, above, names, at):
    """Draw the product left @ above, with the number at (row, column) and what it is made of."""
    product = left @ above
    (n, k), m = left.shape, above.shape[1]
    places = [(left, 0, k + 0.5), (above, k + 0.5, 0), (product, k + 0.5, k + 0.5)]
    for (a, across, down), name in zip(places, names, strict=True):
        for i, j in np.ndindex(a.shape):
            chosen = (a is above or i == at[0]) and (a is left or j == at[1])
            color = "#ffd9b3" if chosen else "white"
            ax.add_patch(plt.Rectangle((across + j, down + i), 1, 1, fc=color, ec="0.6"))
            ax.text(across + j + 0.5, down + i + 0.5, f"{a[i, j]:g}", ha="center", va="center")
        ax.text(across, down - 0.1, name, weight="bold")
    ax.set(xlim=(-0.1, k + m + 0.6), ylim=(k + n + 0.6, -0.6), aspect="equal")
    ax.axis("off")


figure, ax = plt.subplots(figsize=(3, 3), layout="constrained")
falk(ax, x, W, ("x", "W", "x W"), at=(0, 1))

# %%
# On paper: backward
# ------------------
#
# Somebody further on, the loss or the next layer, tells us dy: how the loss changes with each y.
# From it we compute how it changes with everything that y was made of, line by line from the end.
# Written out, line (1) is z_nm = sum_d x_nd W_dm + b_m. So z_nm grows with W_dm by x_nd, and with
# x_nd by W_dm; and what is changed by several z gets a share from each:
#
# .. code-block:: text
#
#     (2) y = relu(z):      dz = dy where z > 0, else 0
#     (1) z = x W + b:      dx_nd = sum_m dz_nm W_dm      that is    dx = dz W'
#                           dW_dm = sum_n x_nd dz_nm                 dW = x' dz
#                           db_m  = sum_n dz_nm                      a sum over samples
#
# db is a sum because every sample used the same b. With numbers, for a dy that we make up:
#
# .. code-block:: text
#
#     dy = 1   1    dz = 1   0    dx = 1  2    dW = 4  -3    db = (2, -1)
#          1  -1         1  -1         1  3         1   1


def affine_relu_backward(dy, cache):
    x, W, y = cache
    dz = dy * (y > 0)  # (2) was y = relu(z)
    dx = dz @ W.T  # (1) was z = x W + b
    dW = x.T @ dz  # (1)
    db = dz.sum(axis=0)  # (1)
    return dx, dW, db


dy = np.array([[1.0, 1.0], [1.0, -1.0]])
dx, dW, db = affine_relu_backward(dy, cache)
print("dx =\n", dx, "\ndW =\n", dW, "\ndb =", db)
assert np.array_equal(dx, [[1, 2], [1, 3]])
assert np.array_equal(dW, [[4, -3], [1, 1]]) and np.array_equal(db, [2, -1])

# %%
# Both gradients are products, too, and the schemes show what each number is made of. For dW[0, 1]:
# the first input of all samples, and what the second neuron was told for all samples.

figure, (left, right) = plt.subplots(1, 2, figsize=(6, 3), layout="constrained")
dz = dy * (y > 0)
falk(left, dz, W.T, ("dz", "W'", "dx = dz W'"), at=(0, 1))
falk(right, x.T, dz, ("x'", "dz", "dW = x' dz"), at=(0, 1))

# %%
# **Predict:** the first sample's second number, x[0, 1] = 2, becomes 3. The dz stay as they are
# (no z changes its sign). Which numbers of dW change?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# The second row of dW: it is made of x's second column. Of it only dW[1, 0] does, by 1 * dz[0, 0] =
# 1; dW[1, 1] gains 1 * dz[0, 1] = 0, because the second neuron was cut off for this sample, and
# learns nothing from it.
#
# .. raw:: html
#
#     </details>

other = np.array([[1.0, 3.0], [3.0, -1.0]])
_, dW_other, _ = affine_relu_backward(dy, affine_relu(other, W, b)[1])
print("change of dW:\n", dW_other - dW)
assert np.array_equal(dW_other - dW, [[0, 0], [1, 0]])

# %%
# Every number checked
# --------------------
#
# The witness of tutorial 01, now for every number of every argument:
# :func:`minienc.verify.numerical_gradient` moves each number to both sides, and asks how
# sum(dy * y) changes: that is a loss whose slope by each y is the dy that we made up. We take
# random numbers, of three sizes that all differ (5 samples, 3 inputs, 4 neurons), so that a wrong
# transpose would not fit.

from minienc.verify import numerical_gradient

rng = np.random.default_rng(0)
x5, W5, b5 = rng.standard_normal((5, 3)), rng.standard_normal((3, 4)), rng.standard_normal(4)
y5, cache5 = affine_relu(x5, W5, b5)
dy5 = rng.standard_normal(y5.shape)
dx5, dW5, db5 = affine_relu_backward(dy5, cache5)
for name, claimed, numeric in (
    ("dx", dx5, numerical_gradient(lambda v: affine_relu(v, W5, b5)[0], x5, dy5)),
    ("dW", dW5, numerical_gradient(lambda v: affine_relu(x5, v, b5)[0], W5, dy5)),
    ("db", db5, numerical_gradient(lambda v: affine_relu(x5, W5, v)[0], b5, dy5)),
):
    print(f"{name} {claimed.shape}: largest difference {np.abs(claimed - numeric).max():.0e}")
    assert np.allclose(claimed, numeric, rtol=1e-7, atol=1e-8)

# %%
# A mistake that shapes do not show
# ---------------------------------
#
# "The shapes leave hardly another way to multiply", one says. For x (5, 3) and W (3, 4) that is so:
# dz.T @ x has the shape (4, 3), and dW must be (3, 4). But where there are as many
# inputs as neurons (D = M), as in our example on paper,
# dz.T @ x fits, and is dW with rows and columns exchanged.
#
# **Predict:** how many of the four numbers of dW does it get right?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# Two: those on the diagonal, 4 and 1. The others, -3 and 1, have changed places.
#
# .. raw:: html
#
#     </details>


def wrong_backward(dy, cache):
    x, W, y = cache
    dz = dy * (y > 0)  # (2) was y = relu(z)
    dx = dz @ W.T  # (1) was z = x W + b
    dW = dz.T @ x  # (1), and wrong
    db = dz.sum(axis=0)  # (1)
    return dx, dW, db


_, wrong, _ = wrong_backward(dy, cache)
print("wrong dW =\n", wrong)
assert (wrong == dW).sum() == 2 and np.array_equal(wrong, dW.T)

# %%
# Walk through both
# -----------------
#
# The page holds our pair as run A, and the wrong one beside it as run B ("A beside B", at the
# top). It has computed the derivative by every variable of ours itself, by differences, for a dy
# that it has drawn at random: so the numbers of its backward are others than those above. A line
# that is right has a tick, and the wrong one is red: dW, and no other.

import minienc

walk = minienc.step(
    affine_relu, affine_relu_backward, x, W, b, against=(affine_relu, wrong_backward)
)
for record in (walk.record, walk.against):
    print(*(f"{v.claim.name} {v.claim.verdict}" for v in record.verdicts), sep=", ")
assert {v.claim.verdict for v in walk.record.verdicts} == {"pass"}
assert [v.claim.name for v in walk.against.verdicts if v.claim.verdict == "fail"] == ["dW"]
walk

# %%
# The same in the library
# -----------------------
#
# A forward returns its result and a *cache*: everything that its backward needs. The cache belongs
# to the call, so there is no hidden state, and a layer can be called twice before anybody goes
# back. And shapes that do not fit are told in a sentence.

from minienc.functions import dense_backward, dense_forward

y_there, cache_there = dense_forward(x5, W5, b5, activation="relu")
there = dense_backward(dy5, cache_there)
assert np.allclose(y5, y_there, rtol=1e-12)
for mine, theirs in zip((dx5, dW5, db5), there, strict=True):
    assert np.allclose(mine, theirs, rtol=1e-12)
print("equal, but for the order in which sums are made")
try:
    dense_forward(x5, rng.standard_normal((4, 5)), b5)
except ValueError as refusal:
    print(refusal)
    assert "W is (4, 5), expected (D, M) with D = 3" in str(refusal)

# %%
# Twice the samples
# -----------------
#
# **Predict:** the same two samples are given twice, as four rows, with the same dy for each. What
# becomes of dx, dW and db?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# dx has four rows, each as before: a sample's gradient does not depend on the others. dW and db are
# doubled: they are sums over samples. (A loss that is a mean divides dy by the number of samples;
# with it, dW stays as it was.)
#
# .. raw:: html
#
#     </details>

twice = np.vstack([x, x])
dx2, dW2, db2 = affine_relu_backward(np.vstack([dy, dy]), affine_relu(twice, W, b)[1])
print("dx =\n", dx2, "\ndW =\n", dW2, "\ndb =", db2)
assert np.array_equal(dx2, np.vstack([dx, dx]))
assert np.array_equal(dW2, 2 * dW) and np.array_equal(db2, 2 * db)

# %%
# Exercises
# ---------
#
# **Exercise 03.1.** Put two of our layers behind one another, 3 -> 4 -> 2 numbers, and go back
# through both. Check the gradient by the first W with ``numerical_gradient``.
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# With ``rng = np.random.default_rng(0)``, x (5, 3), W1, b1, W2 and b2 drawn in this order by
# ``rng.normal``, and dy = 1 everywhere, the first row of dW1 is 0.486, -0.616, -0.318, 0.
# Differences agree to ten digits.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 03.2.** A layer that shares its weights between two inputs: y = f(x W + x2 W + b).
# Write its backward. Plant two mistakes, one after the other: dW hears of x alone; dx2 is a copy
# of dx that is multiplied by 2. Look at each in the page of ``minienc.step``: which line is red?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# dx and dx2 are equal, and dW = (x + x2)' dz. With the first mistake dW alone is red, with the
# second dx2 alone: no other line is made of either.
#
# .. raw:: html
#
#     </details>
#
# Where this is in the source
# ---------------------------
#
# - :func:`minienc.functions.dense_forward` and :func:`minienc.functions.dense_backward`, one under
#   the other in ``minienc/functions/dense.py``, with the derivation from above.
# - :class:`minienc.layers.Dense`: owns W and b, and calls that pair.
# - :func:`minienc.verify.numerical_gradient`, and :func:`minienc.step`.
