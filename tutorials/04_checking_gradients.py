"""
Checking a gradient
===================

A backward that is written by hand is wrong until something else has said the same. We write one
with a mistake, let the checker find it, and learn how it knows: how far a difference can be
trusted, why the cotangent is random, and what a check proves of itself.
"""

# %%
# A softmax layer. The backward has one line too few: it forgets that every output depends on
# every input of its row.

import numpy as np

from minienc import gradcheck

rng = np.random.default_rng(0)


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))  # (1)
    y = e / e.sum(axis=1, keepdims=True)  # (2)
    return y, y


def careless_backward(dy, y):
    return dy * y * (1 - y)  # the diagonal of dy/dx alone


x = rng.standard_normal((4, 3))
report = gradcheck(softmax, careless_backward, x)
print(report)

# %%
# The other entries of the derivative are dy_j/dx_k = -y_j y_k. Summed over j with dy they give
# -y_k <dy, y>, and the whole is dx = y (dy - <dy, y>).


def softmax_backward(dy, y):
    return y * (dy - (dy * y).sum(axis=1, keepdims=True))


right = gradcheck(softmax, softmax_backward, x)
print(right)

# %%
# How does it know? It moves each number of x by h to both sides and looks at what <dy, y> does.
# Large steps meet the curvature, small steps the rounding: the error of a difference is a V. A
# right gradient lies in the valley; a wrong one sees a plateau, however small the step.

print("      h   |difference - right|   |difference - careless|")
(curve,) = (t.v_curve for t in right.tensors)
(plateau,) = (t.v_curve for t in report.tensors)
for (h, valley), (_, flat) in zip(curve, plateau, strict=True):
    print(f"{h:8.0e}   {valley:20.1e}   {flat:23.1e}")

# %%
# So no step is right for all, and no tolerance either. The checker takes two steps, learns from
# their disagreement how far it can trust the result, and says "inconclusive" where that is not far
# enough: where the forward is flat, say, a gradient of zero proves nothing.

flat = gradcheck(lambda x: (np.maximum(x, 0), x), lambda dy, x: dy * (x > 0), -1 - rng.random(3))
print(flat)

# %%
# Why a random cotangent? A row of a softmax sums to 1 whatever x is. With dy = 1 everywhere the
# true gradient is zero, and so is that of nearly any wrong backward.

y, cache = softmax(x)
ones = np.ones_like(y)
print("dy = 1:", np.abs(softmax_backward(ones, cache)).max(), "is right, and so is 0 * dy")

# %%
# And the check itself? It spoils the gradient that passed in every way that programs are usually
# wrong, and counts how many of those mistakes it would have noticed at this point.

print(f"{right.mutants_caught} of {right.mutants} planted mistakes would be noticed")

# %%
# What we hold for true, as asserts.

assert report.verdict == "fail" and report.tensors[0].n_wrong == x.size
assert right.verdict == "pass" and right.mutants_caught == right.mutants
assert flat.verdict == "inconclusive" and not flat
assert min(error for _, error in curve) < 1e-9 < 1e-3 < min(error for _, error in plateau)
assert np.abs(softmax_backward(ones, cache)).max() < 1e-15
