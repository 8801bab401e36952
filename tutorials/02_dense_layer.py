"""
A dense layer, built by hand
============================

Many neurons that look at the same inputs are one matrix product. We build the layer and its
gradients, import minienc's, and find them equal. Then we see how a gradient check can be fooled.
"""

# %%
# N samples of D numbers go in, M neurons look at each: y = f(x W + b). Row n of x is a sample,
# column m of W are the weights of neuron m.

import numpy as np

rng = np.random.default_rng(0)
N, D, M = 5, 3, 4
x = rng.standard_normal((N, D))
W = rng.standard_normal((D, M))
b = rng.standard_normal(M)


def dense(x, W, b):
    z = x @ W + b  # (1)
    y = np.tanh(z)  # (2)
    return y


y = dense(x, W, b)
print(f"x {x.shape} -> y {y.shape}")

# %%
# Backward. Somebody further on tells us dy, how the loss changes with each y. We pass it on to
# everything that y was made of, line by line from the end:
#
#   (2) y = tanh(z):      dz = dy (1 - y^2)
#   (1) z = x W + b:      z_nm = sum_d x_nd W_dm + b_m, so
#         dx_nd = sum_m dz_nm W_dm      dx = dz W'
#         dW_dm = sum_n x_nd dz_nm      dW = x' dz
#         db_m  = sum_n dz_nm           every sample used the same b
#
# The shapes leave hardly another way to multiply them.


def dense_gradients(dy, x, W, y):
    dz = dy * (1 - y * y)  # (2)
    dx = dz @ W.T  # (1)
    dW = x.T @ dz  # (1)
    db = dz.sum(axis=0)  # (1)
    return dx, dW, db


dy = rng.standard_normal(y.shape)
dx, dW, db = dense_gradients(dy, x, W, y)

# %%
# The witness again, now for every number of every argument. ``numerical_gradient`` asks: how does
# sum(dy * f(x)) change with each number of x?

from minienc.verify import numerical_gradient

for name, claimed, numeric in (
    ("dx", dx, numerical_gradient(lambda v: dense(v, W, b), x, dy)),
    ("dW", dW, numerical_gradient(lambda v: dense(x, v, b), W, dy)),
    ("db", db, numerical_gradient(lambda v: dense(x, W, v), b, dy)),
):
    print(f"{name}: largest difference {np.abs(claimed - numeric).max():.1e}")
    assert np.allclose(claimed, numeric, rtol=1e-7, atol=1e-9)

# %%
# The same pair in minienc. A forward returns its result and a cache, everything that its
# backward needs; the cache belongs to the call, so there is no hidden state.

from minienc.functions import dense_backward, dense_forward

y_there, cache = dense_forward(x, W, b, activation="tanh")
dx_there, dW_there, db_there = dense_backward(dy, cache)
for mine, theirs in ((y, y_there), (dx, dx_there), (dW, dW_there), (db, db_there)):
    assert np.allclose(mine, theirs, rtol=1e-12)
print("equal, but for the order in which sums are made")
print("a wrong shape is told in a sentence:")
try:
    dense_forward(x, rng.standard_normal((4, 5)), b)
except ValueError as refusal:
    print("  ", refusal)

# %%
# How a check is fooled. The numbers of a softmax always sum to 1, so sum(y) never changes: with dy
# all ones the true gradient is zero, and a backward that returns nothing but zeros passes.

from minienc.functions import softmax_backward, softmax_forward


def wrong_backward(dy, y):
    return np.zeros_like(y)


x = rng.standard_normal((3, 4))
y, cache = softmax_forward(x)
ones = np.ones_like(y)
numeric = numerical_gradient(lambda v: softmax_forward(v)[0], x, ones)
assert np.allclose(wrong_backward(ones, y), numeric, atol=1e-9)
print("with ones, the wrong backward passes")

# %%
# With a random dy it does not, and the right one does. So: never check with all ones.

random = rng.standard_normal(y.shape)
numeric = numerical_gradient(lambda v: softmax_forward(v)[0], x, random)
assert not np.allclose(wrong_backward(random, y), numeric, atol=1e-3)
assert np.allclose(softmax_backward(random, cache), numeric, rtol=1e-6, atol=1e-9)
print("with a random dy, only the right one does")
