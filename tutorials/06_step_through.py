"""
Stepping through
================

One training step is forward, loss, backward and update: for the autoencoder of the next tutorial,
a few dozen lines of NumPy. This tutorial shows a page that holds them all, with every number, to be
walked through in both directions. First comes a step on paper, so that you can check the page.

You will be able to

- do a whole training step of a small layer with a pencil, and say how far to trust the gradient;
- find on the page where any number came from and where it goes;
- use it to predict, to ask "what if", and to compare two runs;
- find the first wrong line of a backward, in your own code too.

It needs tutorial 03 (a dense layer), and runs for about three seconds.
"""

# %%
# A whole step, on paper
# ----------------------
#
# The layer of tutorial 03, two samples and two neurons with relu, now with a loss, the mean squared
# error, and an update with a learning rate of 0.1.
#
# .. code-block:: text
#
#     forward     x = 1   2    W = 1   0    b = 0  1    z = 5  -1    y = 5  0
#                     3  -1        2  -1                    1   2        1  2
#
#     loss        t = 4  1     e = y - t = 1  -1        L = (1 + 1 + 0 + 1) / 4 = 0.75
#                     1  1                 0   1
#
#     backward    dy = 2 e / 4 = 0.5  -0.5     dz = 0.5  0       0 where z < 0
#                                0     0.5          0    0.5
#
#                 dW = x' dz = 0.5   1.5       db = (0.5, 0.5)
#                              1    -0.5
#
#     update      W - 0.1 dW = 0.95  -0.15     b - 0.1 db = (-0.05, 0.95)
#                              1.9   -0.95

import matplotlib.pyplot as plt
import numpy as np

import minienc
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.training.optimizers import SGD

plt.rcParams["figure.facecolor"] = "white"
x = np.array([[1.0, 2.0], [3.0, -1.0]])
t = np.array([[4.0, 1.0], [1.0, 1.0]])
W, b = np.array([[1.0, 0.0], [2.0, -1.0]]), np.array([0.0, 1.0])

inputs = Input((2,), dtype="float64")
layer = Model(inputs, Dense(2, activation="relu")(inputs))
layer.set_weights([W, b])
layer.compile(SGD(0.1), "mean_squared_error")
layer.fit(x, t, epochs=1, batch_size=2, verbose=0)  # one batch: one step
print("W =\n", layer.get_weights()[0], "\nb =", layer.get_weights()[1])
assert np.allclose(layer.get_weights()[0], [[0.95, -0.15], [1.9, -0.95]])
assert np.allclose(layer.get_weights()[1], [-0.05, 0.95])

# %%
# **Predict:** the gradient is a slope. How much smaller should the loss be after this step, if the
# slope stayed as it is? (Each weight moves by -0.1 times its slope. And the slope says how the loss
# changes with it.)
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# By 0.1 times the sum of all squared slopes: 0.1 (0.25 + 2.25 + 1 + 0.25 + 0.25 + 0.25) = 0.425. So
# the loss should fall from 0.75 to 0.325. It falls to 0.426: the slope becomes flatter on the way.
#
# .. raw:: html
#
#     </details>

dW, db = np.array([[0.5, 1.5], [1.0, -0.5]]), np.array([0.5, 0.5])
promised = 0.75 - 0.1 * ((dW**2).sum() + (db**2).sum())


def loss_after(rate):
    y = np.maximum(x @ (W - rate * dW) + b - rate * db, 0)
    return ((y - t) ** 2).mean()


print(f"loss {loss_after(0)}; promised {promised:.3f}, found {loss_after(0.1):.3f}")
assert np.isclose(promised, 0.325) and abs(loss_after(0.1) - 0.426) < 1e-3

# %%
# The loss along the step, for learning rates from 0 to 0.7. The dashed line is what the gradient
# promises. It is right at the beginning, and only there: past the lowest point the step is too
# long. (The corner is where relu cuts a neuron off for one of the samples.)

rates = np.linspace(0, 0.7, 100)
plt.figure(figsize=(5, 3), layout="constrained")
plt.plot(rates, [loss_after(r) for r in rates], label="loss after the step")
plt.plot(rates, 0.75 - rates * 4.25, "--", label="promised by the slope")
plt.plot(0.1, loss_after(0.1), "ko", label="our step")
plt.ylim(0, 1)
plt.xlabel("learning rate")
plt.ylabel("loss")
plt.legend()
best = min(rates, key=loss_after)
print(f"lowest at a learning rate of {best:.2f}, higher than before from 0.6 on")
assert 0.15 < best < 0.25 and loss_after(0.59) < 0.75 < loss_after(0.61)

# %%
# The same step, on a page
# ------------------------
#
# :func:`minienc.step` records what a step does, line by line, and leaves the model as it was. In a
# notebook its result shows itself; ``.save("step.html")`` writes a file that opens in any browser
# and asks for nothing.
#
# Click into it, go through it with the right arrow key, and compare every line with the paper
# above. The page has more lines, for it holds what the library does, too:
#
# - l and factor: the loss is the mean over a sample's numbers first, then over the samples;
# - dl and de: so its backward has three lines, where the paper has dy alone;
# - at the head of each backward, what its forward kept is taken out of the cache: x, W, f;
# - dx: the gradient for a layer before this one. Here there is none, and nobody uses it.
#
# Seven lines are gradients: dl, de, dy, dz, dx, dW and db. Each of them is compared with
# differences, and so the line that is printed below counts seven. On the page:
#
# - above, the timeline: forward, loss, backward, update; below it the graph with its shapes;
# - below, the *formula* of the line, the same *with the numbers* of one element, and the *arrays*,
#   a product in Falk's scheme. Click on a number to choose it;
# - beside or under them, as wide as the window is, the *verdict* on a line of a backward: the page
#   has compared it with differences; *where from, where to* of the chosen number; and the *source*,
#   forward and backward side by side;
# - at the foot, the loss before and after.

layer.set_weights([W, b])
stepped = minienc.step(layer, x, t, title="one layer, two samples, one step")
print(stepped)
assert np.isclose(stepped.record.loss["before"], 0.75)
assert {v.claim.verdict for v in stepped.record.verdicts} == {"pass"}
stepped

# %%
# Three things to do with it
# --------------------------
#
# **Where from.** Go to the line of dW in the backward of ``dense_1``, the last but one, and choose
# dW[0, 1] = 1.5. *Where from* says: of x[1, 0] = 3 and dz[1, 1] = 0.5 (the other product is 0).
# Click on dz, or press w for the first of them, and so on to dy and to e: the error of one answer.
# (What the layer calls dz, the backward of its relu returned as dx.) Every gradient of every
# network can be followed like this to the loss.
#
# **Predict.** In this mode the page hides a number until you have typed it. It says what is wrong
# with a guess: a sign, a factor, another element.
#
# **What if.** Here any number that came into the step can be changed, and all that follows is
# computed again.
#
# **Predict:** W[0, 1] is changed from 0 to -0.1. What does dW[0, 1] = 1.5 promise for the loss, and
# what will the page say?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# It promises 0.75 - 0.1 * 1.5 = 0.6. The page says 0.6225. The second sample's z[1, 1] is 2 - 0.3 =
# 1.7 now, its error 0.7, and the loss (1 + 1 + 0 + 0.49) / 4.
#
# .. raw:: html
#
#     </details>

other = W + np.array([[0, -0.1], [0, 0]])
loss = ((np.maximum(x @ other + b, 0) - t) ** 2).mean()
print(f"loss {loss:.4f}")
assert np.isclose(loss, 0.6225)

# %%
# The first wrong line
# --------------------
#
# The names say what a line claims: dz is the gradient by z. So each line can be asked by itself
# whether that is so. Here is a pair with one mistake, as one writes it at home. It is recorded with
# random numbers for dy.


def affine_tanh(x, W, b):
    z = x @ W + b  # (1)
    y = np.tanh(z)  # (2)
    return y, (x, W, y)


def affine_tanh_backward(dy, cache):
    x, W, y = cache
    dz = dy * (1 - y)  # (2) was y = tanh(z); the square is missing
    dx = dz @ W.T  # (1) was z = x W + b
    dW = x.T @ dz  # (1)
    db = dz.sum(axis=0)  # (1)
    return dx, dW, db


# %%
# **Predict:** all four lines of this backward compute wrong numbers. How many will be red?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# One: dz. The others are grey, "wrong because of dz": given that dz, they do what they should. A
# check of the whole backward could only have said that dx, dW and db are wrong.
#
# .. raw:: html
#
#     </details>

homework = minienc.step(affine_tanh, affine_tanh_backward, 0.3 * x, W, b)
verdicts = homework.record.verdicts
for v in verdicts:
    because = "" if v.because is None else ", because of an earlier line"
    print(f"{v.claim.name}: {v.claim.verdict}{because}")
red = [v.claim.name for v in verdicts if v.claim.verdict == "fail" and v.because is None]
assert red == ["dz"] and all(v.claim.verdict == "fail" for v in verdicts)
homework

# %%
# Digits
# ------
#
# The same of the autoencoder that the next tutorial trains, with 16 units in the place of 32, and
# four digits. Arrays of more than 12 x 12 are pictures, with a lens of numbers that the arrow keys
# move. Choose a number of the last dW, and follow it to the pixel that it came from.
#
# **Predict:** the upper left pixel is 0 in all four digits. What do you know of the first layer's
# dW?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# Its first row, the slopes of all weights that look at this pixel, is 0: x' dz multiplies dz by
# zeros. These weights learn nothing from this batch. (A pixel that is 0 in all digits keeps its
# random weights for ever: one sees them as specks in pictures of filters.)
#
# .. raw:: html
#
#     </details>

from minienc.data import load_digits

digits = np.asarray(load_digits().x)[:4].reshape(-1, 64)
pixels = Input((64,))
hidden = Dense(16, activation="relu", seed=0)(pixels)
network = Model(pixels, Dense(64, activation="sigmoid", seed=1)(hidden))
network.compile(SGD(0.5), "binary_crossentropy")
before = network.get_weights()[0]
network.fit(digits, digits, epochs=1, batch_size=4, verbose=0)
moved = network.get_weights()[0] - before
print("first row of W: moved by", np.abs(moved[0]).max(), " others: up to", np.abs(moved).max())
assert (digits[:, 0] == 0).all() and (moved[0] == 0).all() and np.abs(moved).max() > 0
minienc.step(network, digits, digits, title="an autoencoder, four digits")

# %%
# Handing it on
# -------------
#
# - ``minienc.step(...).save("step.html")`` writes the page: mail it, print it, put it on a stick.
# - *Link* (of a saved page) gives an address to the line and number in view, such as
#   ``step.html#step=15&at=0,1``; ``&mode=predict`` asks for it, and ``&hide=verdict,source`` leaves
#   parts out, for a lecture.
# - ``against={"learning_rate": 0.5}`` records the step a second time with another setting;
#   *A beside B* shows both, and goes to the first difference.
# - On the command line, ``minienc step`` records the digits' autoencoder, and ``minienc step
#   homework.py:affine --shapes 'x=N,D W=D,M b=M'`` your own pair, if it is called
#   ``affine_forward`` and ``affine_backward``; others are named with a comma, ``file.py:f,g``.

pair = minienc.step(layer, x, t, against={"learning_rate": 0.5})
losses = [pair.record.loss["after"], pair.against.loss["after"]]
print("loss after a step of 0.1 and of 0.5:", np.round(losses, 3))
assert losses[0] < losses[1] < 0.75

# %%
# Exercises
# ---------
#
# **Exercise 06.1.** In the page of four digits, choose *What if* and set one pixel of the first
# digit from 0 to 1. Which numbers of the code (y of ``dense_1``) change? Which restored pixels? Why
# not all of them?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# Twelve of the 16 numbers of the code change, and all 64 restored pixels. The other four are cut
# off by relu before and after.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 06.2.** Write your own forward and backward of softmax (tutorial 05), record it with
# ``minienc.step``, and plant a mistake: leave out the sum. Which line is red, and which number does
# the page expect in the place of yours?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# dz, the only line of the backward. With the logits of tutorial 05 the worst number is dz[1, 0]:
# 0.512 is yours, 0.0857 is expected.
#
# .. raw:: html
#
#     </details>
#
# Where this is in the source
# ---------------------------
#
# - :func:`minienc.step`, and the room ``minienc/stepper/``: ``record.py`` has a step's calls,
#   ``lines.py`` replays each of them line by line, ``check.py`` has the verdicts, ``page/`` the
#   page.
# - :class:`minienc.training.step.Learner`: forward, loss, backward, update, on one page.
# - :func:`minienc.functions.sgd_step`: the update.
