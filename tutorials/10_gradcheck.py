"""
Checking a gradient
===================

A backward that is written by hand is wrong until something else has said the same. Differences are
such a witness; but they have errors of their own, and it is easy to ask them so that they cannot
answer. We see how far they can be trusted, plant six mistakes, and see which of them slip through
which check.

You will be able to

- say how large a step a difference needs, in float64 and in float32, and why;
- read a V-curve, and tell a right gradient from a wrong one by it;
- let ``gradcheck`` find a mistake, and read its report;
- name five ways in which a check lets a wrong gradient pass.

It needs tutorials 03 (a dense layer) and 05 (softmax), and runs for about three seconds.
"""

# %%
# On paper
# --------
#
# The sum of the cubes of four numbers. Its gradient is 3 x^2, number by number:
#
# .. code-block:: text
#
#     x = 1   2      dx = 3  12
#         0  -1           0   3
#
# As a difference with a step of h = 0.1, to one side: (1.1^3 - 1) / 0.1 = 3.31 for the first
# number. To both sides: (1.1^3 - 0.9^3) / 0.2 = 3.01. In general
#
# .. code-block:: text
#
#     one side      ((x + h)^3 - x^3) / h             = 3 x^2 + 3 x h + h^2
#     both sides    ((x + h)^3 - (x - h)^3) / (2 h)   = 3 x^2 + h^2
#
# With both sides, what is of first order in h cancels. Halve h, and the error is a quarter.

# sphinx_gallery_thumbnail_number = 3

import matplotlib.pyplot as plt
import numpy as np

plt.rcParams["figure.facecolor"] = "white"
x = np.array([[1.0, 2.0], [0.0, -1.0]])
h = 0.1
both = ((x + h) ** 3 - (x - h) ** 3) / (2 * h)
print(both)
assert np.allclose(both, [[3.01, 12.01], [0.01, 3.01]])

# %%
# So take a tiny h? The four errors are all h^2 = 0.01, whatever the gradient is; a smaller step
# makes them smaller, until something else comes in. The largest error for twenty numbers near 2,
# over many steps:

steps = np.logspace(-14, -0.5, 100)


def error(h, dtype, one_side=False):
    x, h = np.linspace(2, 2.1, 20).astype(dtype), dtype(h)
    above, below = x + h, x if one_side else x - h
    with np.errstate(all="ignore"):  # x + h may be x
        return np.abs((above**3 - below**3) / (above - below) - 3 * x.astype(float) ** 2).max()


plt.figure(figsize=(6, 3.4), layout="constrained")
plt.loglog(steps, [error(h, np.float64, True) for h in steps], "-", label="one side")
plt.loglog(steps, [error(h, np.float64) for h in steps], "--", label="both sides")
plt.loglog(steps[60:], [error(h, np.float32) for h in steps[60:]], ":", label="float32, both sides")
plt.xlabel("step h")
plt.ylabel("error of the difference")
plt.legend()
best = {dtype: min(steps[60:], key=lambda h: error(h, dtype)) for dtype in (np.float32, np.float64)}
for dtype, h in best.items():
    print(f"{dtype.__name__}, both sides: best h {h:.0e}, error {error(h, dtype):.0e}")
assert 2e-6 < best[np.float64] < 5e-5 and 1e-3 < best[np.float32] < 5e-2
assert error(best[np.float64], np.float64) < 1e-9 < 1e-5 < error(best[np.float32], np.float32)

# %%
# Each curve is a V. On the right, large steps meet the bend of the function. On the left, small
# steps meet rounding: x^3 = 8 is known to about 16 digits; the last one is divided by h, and for h
# = 1e-14 nothing is left.
#
# **Predict:** with both sides the one error is h^2, the other about 1e-15 / h. Where are they
# equal?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# At h^3 = 1e-15, h = 1e-5, where both are 1e-10. Of a slope of 12 these are eleven digits, and no
# step gives more. In float32 a number has 7 digits; the best h is near 0.004, and five digits are
# all. So gradients are checked in float64.
#
# .. raw:: html
#
#     </details>

print(f"h = 1e-5: error {error(1e-5, np.float64):.0e}")
assert 1e-11 < error(1e-5, np.float64) < 1e-9

# %%
# A mistake, and the report
# -------------------------
#
# A softmax layer (tutorial 05). This backward has the diagonal of the derivative alone: it forgets
# that each output depends on every input of its row. ``gradcheck`` is given the forward, the
# backward and a point.

from minienc import gradcheck


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))  # (1)
    y = e / e.sum(axis=1, keepdims=True)  # (2)
    return y, y


def careless_backward(dy, y):
    return dy * y * (1 - y)


rng = np.random.default_rng(0)
x = rng.standard_normal((4, 3))
careless = gradcheck(softmax, careless_backward, x)
assert careless.verdict == "fail" and careless.tensors[0].n_wrong == x.size
careless

# %%
# The other entries of the derivative are dy_j/dx_k = -y_j y_k. Summed over j with dy they give
# -y_k <dy, y>, and the whole is dx = y (dy - <dy, y>). Here <dy, y> is the sum of dy times y over a
# row.


def softmax_backward(dy, y):
    return y * (dy - (dy * y).sum(axis=1, keepdims=True))


right = gradcheck(softmax, softmax_backward, x)
assert right.verdict == "pass"
right

# %%
# How does it know? It moves each number of x, as we did. For the number that fits worst, the report
# has the difference between gradient and difference at many steps. A right gradient lies in the
# valley of the V; a wrong one sees a plateau, however small the step: that error is not the
# witness's.

plt.figure(figsize=(5.5, 3.2), layout="constrained")
for report, mark, name in ((right, "o-", "right"), (careless, "s--", "careless")):
    curve = np.array(report.tensors[0].v_curve)
    plt.loglog(*curve.T, mark, label=name, markersize=4)
plt.xlabel("step h")
plt.ylabel("gradient - difference")
plt.legend()
valley, plateau = (min(e for _, e in r.tensors[0].v_curve) for r in (right, careless))
print(f"valley {valley:.0e}, plateau {plateau:.2f}")
assert valley < 1e-9 < 1e-3 < plateau

# %%
# Six mistakes
# ------------
#
# y = tanh(x W + b), and a backward that can make each of six mistakes. All are of the kind that
# people make. What does the checker say to each?

MISTAKES = "square of tanh's slope", "dW transposed", "mean for sum in db"
MISTAKES += "dW divided by N", "sign of dx", "db without the slope"


def layer(x, W, b):
    y = np.tanh(x @ W + b)
    return y, (x, W, y)


def backward_with(mistake):
    def backward(dy, cache):
        x, W, y = cache
        dz = dy * (1 - (y if mistake == MISTAKES[0] else y * y))
        dx, dW, db = dz @ W.T, x.T @ dz, dz.sum(axis=0)
        dW = dW.T if mistake == MISTAKES[1] else dW
        db = dz.mean(axis=0) if mistake == MISTAKES[2] else db
        dW = dW / len(x) if mistake == MISTAKES[3] else dW
        dx = -dx if mistake == MISTAKES[4] else dx
        db = dy.sum(axis=0) if mistake == MISTAKES[5] else db
        return dx, dW, db

    return backward


# %%
# It says which gradient is wrong and, where it can, why: it compares with what typical mistakes
# would have given.

x, W, b = rng.standard_normal((4, 3)), rng.standard_normal((3, 3)), rng.standard_normal(3)
for mistake in MISTAKES:
    report = gradcheck(layer, backward_with(mistake), x, W, b)
    wrong = [t for t in report.tensors if t.verdict == "fail"]
    print(f"{mistake}: {report.verdict}, {', '.join('d' + t.name for t in wrong)}")
    print("    " + (wrong[0].diagnosis[0] if wrong[0].diagnosis else "no cause found"))
    assert report.verdict == "fail"
assert gradcheck(layer, backward_with(None), x, W, b)

# %%
# What fools a check
# ------------------
#
# Now a check as one writes it in five minutes: our differences, and ``np.allclose``. It is a good
# check, if it is asked well. Here it is asked in five ways.

from minienc.verify import numerical_gradient


def simple_check(backward, x, W, b, dy, only=slice(None)):
    claimed = backward(dy, layer(x, W, b)[1])
    numeric = (
        numerical_gradient(lambda v: layer(v, W, b)[0], x, dy),
        numerical_gradient(lambda v: layer(x, v, b)[0], W, dy),
        numerical_gradient(lambda v: layer(x, W, v)[0], b, dy),
    )
    pairs = zip(claimed, numeric, strict=True)
    return all(np.allclose(c.flat[only], n.flat[only], rtol=1e-5) for c, n in pairs)


dy = rng.standard_normal((4, 3))
ASKED = {
    "random\nnumbers": (x, W, b, dy),
    "x and b\nare zero": (0 * x, W, 0 * b, dy),
    "a single\nsample": (x[:1], W, b, dy[:1]),
    "first\nnumber only": (x, W, b, dy, slice(1)),
    "gradients\nof 1e-10": (x, W, b, 1e-10 * dy),
}

# %%
# **Predict:** which mistakes pass where x and b are zero? Which with a single sample?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# With x = 0, dW = x' dz is 0, and so is whatever one makes of it: the transposed one, the divided
# one. With b = 0, too, y is tanh(0) = 0, where 1 - y and 1 - y^2 are both 1: a missing square and a
# missing slope pass. With a single sample, sum and mean are the same.
#
# .. raw:: html
#
#     </details>

found = np.array(
    [[not simple_check(backward_with(m), *how) for how in ASKED.values()] for m in MISTAKES]
)
figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.imshow(found, cmap="RdYlGn", vmin=-0.6, vmax=1.6, aspect="auto")
for i, j in np.ndindex(found.shape):
    ax.text(j, i, "found" if found[i, j] else "passes", ha="center", va="center")
ax.set_xticks(range(len(ASKED)), ASKED, fontsize=9)
ax.set_yticks(range(len(MISTAKES)), MISTAKES)
print("of", len(MISTAKES), "mistakes found:", found.sum(axis=0))
assert found.all(axis=0).tolist() == [True, False, False, False, False]
assert not found[:, 4].any()  # allclose takes anything below 1e-8 for zero
assert not found[[0, 1, 3, 5], 1].any() and not found[[2, 3], 2].any() and not found[1, 3]
assert all(simple_check(backward_with(None), *how) for how in ASKED.values())

# %%
# The last column is easily met in practice. ``np.allclose`` takes whatever is below 1e-8 for
# zero, unless told otherwise; and gradients of a mean over many samples and pixels are small. So a
# tolerance must be relative, and for that one has to know how exact the difference is.
#
# A check that knows what it does not know
# ----------------------------------------
#
# ``gradcheck`` takes two steps, learns from their disagreement how far it can trust the difference,
# and has a third verdict, *inconclusive*: a gradient of zero where the forward is flat, say, proves
# nothing. It is told in words, and is not a pass.
#
# At a kink, as relu has at 0, there is no derivative; that number is left out, and counted.
#
# **Predict:** relu, with all numbers of x negative. The right backward gives zeros. The verdict?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# Inconclusive. A backward that gives zeros always would look the same here. Ask at another point.
#
# .. raw:: html
#
#     </details>


def relu(x):
    return np.maximum(x, 0), x


def relu_backward(dy, x):
    return dy * (x > 0)


flat = gradcheck(relu, relu_backward, np.array([-1.0, -0.5, -2.0]))
kink = gradcheck(relu, relu_backward, np.array([0.0, 1.0, -1.0]))
tiny = gradcheck(lambda x: (1e-10 * x**2, x), lambda dy, x: 1e-10 * dy * x, rng.random(3))
print("flat:", flat.verdict, "   with a kink, beside others:", kink.verdict)
print("a factor of 2 is missing, in a gradient of 1e-10:", tiny.verdict)
assert flat.verdict == "inconclusive" and not flat
assert kink.verdict == "pass" and tiny.verdict == "fail"

# %%
# Why the cotangent is random
# ---------------------------
#
# A backward needs a dy, the *cotangent*. All ones would be the simplest; many do it, by checking
# the gradient of ``y.sum()``.
#
# **Predict:** does our careless backward of softmax pass with a dy of ones? Does one that returns
# nothing but zeros?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# The zeros pass, the careless one does not. A row of a softmax sums to 1 whatever x is, so the sum
# of y never changes: its true gradient is zero. The same holds behind a normalisation. The checker
# draws dy at random.
#
# .. raw:: html
#
#     </details>

y, _ = softmax(x)
ones = np.ones_like(y)
numeric = numerical_gradient(lambda v: softmax(v)[0], x, ones)
print("true gradient of y.sum(): at most", f"{np.abs(numeric).max():.0e}")
assert np.allclose(numeric, 0, atol=1e-9)
assert not np.allclose(careless_backward(ones, y), numeric, atol=1e-3)
assert gradcheck(softmax, lambda dy, y: np.zeros_like(y), x).verdict == "fail"

# %%
# Who checks the check?
# ---------------------
#
# A pass is worth as much as the mistakes that it would have found. So, of a gradient that passed,
# the checker spoils a copy in every way that programs are usually wrong (a sign, a factor, a
# transposition, a missing sum), and counts those that it would have noticed at this very point. And
# where x and b are zero, it does not say that the right backward is right.

report = gradcheck(layer, backward_with(None), x, W, b)
print(f"random numbers: {report.mutants_caught} of {report.mutants} planted mistakes noticed")
zero = gradcheck(layer, backward_with(None), 0 * x, W, 0 * b)
print(f"x and b are zero: {zero.verdict}")
assert report.mutants_caught == report.mutants > 0
assert zero.verdict == "inconclusive"

# %%
# And which line?
# ---------------
#
# The report says which gradient is wrong. The page of ``minienc.step`` says which *line* is, if
# each line of the backward has a name that says what it claims. Here is softmax in two lines; the
# sum in the first goes over the wrong axis. That line is red, and the next is grey: it is right
# about what it was given.

import minienc


def softmax_in_steps(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))  # (1)
    y = e / e.sum(axis=1, keepdims=True)  # (2)
    return y, (e, y)


def backward_in_steps(dy, cache):
    e, y = cache
    de = (dy - (dy * y).sum(axis=0, keepdims=True)) / e.sum(axis=1, keepdims=True)  # (2)
    dx = de * e  # (1) was e = exp(x - max)
    return dx


walk = minienc.step(softmax_in_steps, backward_in_steps, x, title="softmax, a sum by columns")
for v in walk.record.verdicts:
    print(v.claim.name, v.claim.verdict, "" if v.because is None else "because of an earlier line")
red = [
    v.claim.name for v in walk.record.verdicts if v.claim.verdict == "fail" and v.because is None
]
assert red == ["de"]
walk

# %%
# Exercises
# ---------
#
# **Exercise 10.1.** Write the backward of a layer normalisation, y = (x - mean) / std over each row
# of x, and let ``gradcheck`` judge it. Then treat std as a constant in the backward, which is the
# most common mistake. What does the report say?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# The first passes. The second fails for all numbers of x, and the report names the cause: what
# comes back through the line of the variance is missing.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 10.2.** Spoil a right backward so that ``gradcheck`` does not find it: a mistake only
# for x > 10, say. Why is that possible, and what is "checked" worth, then? Which of your own shapes
# and ranges would you check?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# With y = x^2, a gradient of 0 where x > 10, and x drawn from a normal distribution, the verdict
# is pass; with 20 added to x it is fail.
#
# .. raw:: html
#
#     </details>
#
# Where this is in the source
# ---------------------------
#
# - :func:`minienc.gradcheck`, :func:`minienc.verify.assert_gradients` for a test suite, and
#   :func:`minienc.verify.numerical_gradient`; the room ``minienc/verify/`` says in which order it
#   is to be read.
# - :func:`minienc.functions.softmax_backward`.
# - On the command line: ``minienc gradcheck homework.py:affine --shapes 'x=N,D W=D,M b=M'``.
