"""Zeros of both signs, subnormal numbers, infinities, NaN, empty axes: as the definitions have it.

Every function of ``fast/`` is called through the door, and its definition beside it, with numbers
drawn from those at which functions change their mind. Where an infinity or a NaN comes out must be
the same; everything else may differ by rounding, and by the least normal number: what is smaller
may be 0 in a gradient of logits, and in what an optimiser remembers (``kernels/subnormal.h``).
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

if os.environ.get("MINIENC_KERNEL") == "0":
    pytest.skip("MINIENC_KERNEL=0 leaves the kernel unused", allow_module_level=True)
kernels = pytest.importorskip("minienc._kernels")

from minienc import functions as F  # noqa: E402
from minienc.primitive import REGISTRY  # noqa: E402

USUAL = settings(max_examples=60, derandomize=True)
RTOL = {"float32": 2e-5, "float64": 1e-12}
DTYPES = st.sampled_from(sorted(RTOL))
LEAST = {"float32": float(np.finfo("f4").tiny), "float64": float(np.finfo("f8").tiny)}
SMALL = [0.0, -0.0, 1e-45, -1e-45, 1e-40, -1e-40, 2e-38, 5e-324, 1e-310, -1e-310, 1e-20, -1e-20]
USED = [1.0, -1.0, 0.5, 3.0, -20.0, 80.0, -88.0, -95.0, 100.0, 1e18, -1e18]
NOT_FINITE = [np.inf, -np.inf, np.nan]
ANY = [*SMALL, *USED, *NOT_FINITE]
ACTIVATIONS = ["relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "gelu"]


@pytest.fixture(autouse=True, scope="module")
def quietly():
    with np.errstate(all="ignore"):
        yield


def draw(data, dtype, shape, values=ANY):
    return data.draw(
        arrays(dtype, shape, elements=st.sampled_from(values).map(np.dtype(dtype).type))
    )


def shapes(least, most=4, axes=3):
    return st.lists(st.integers(least, most), min_size=1, max_size=axes).map(tuple)


def same(actual, right, atol=0.0, rtol=None):
    """Not finite at the same places, and else as close as that; ``atol`` may be an array."""
    dtype = str(right.dtype)
    assert actual.shape == right.shape and actual.dtype == right.dtype
    finite = np.isfinite(right)
    np.testing.assert_array_equal(actual[~finite], right[~finite])
    allowed = atol + 4 * LEAST[dtype] + (RTOL[dtype] if rtol is None else rtol) * np.abs(right)
    off = np.abs(actual - right)
    assert (off <= allowed)[finite].all(), (actual, right, off, allowed)


# ------------------------------------------------------------------------------------- activations


@pytest.mark.parametrize("name", [*ACTIVATIONS, "softmax"])
@USUAL
@given(data=st.data(), dtype=DTYPES, shape=shapes(0))
def test_an_activation(name, data, dtype, shape):
    if name == "softmax":
        shape = (*shape[:-1], max(shape[-1], 1))  # of no numbers there is no largest
    forward = REGISTRY[f"{name}_forward"]
    x, dy = draw(data, dtype, shape), draw(data, dtype, shape)
    right, cache = forward.definition(x)
    cancelled = 10 * np.finfo(dtype).eps if name == "gelu" else 0.0  # 1 + tanh(u) of the definition
    same(forward(x)[0], right, cancelled)
    dx = forward.backward.definition(dy, cache)
    if name == "softmax":  # a sum that may cancel
        scale = np.abs(dy * cache.y).sum(axis=-1, keepdims=True) + np.abs(dy)
        cancelled = 4 * np.finfo(dtype).eps * cache.y * scale
    same(forward.backward(dy, cache), dx, np.nan_to_num(cancelled))


# --------------------------------------------------------------------------------- the dense layer


def magnitude(a, b):
    return 16 * np.finfo(a.dtype).eps * np.nan_to_num(np.abs(a) @ np.abs(b))


@pytest.mark.parametrize("activation", ["identity", *ACTIVATIONS])
@USUAL
@given(
    data=st.data(), dtype=DTYPES, leading=shapes(0, 3, 2), d=st.integers(0, 4), m=st.integers(0, 4)
)
def test_a_dense_layer(activation, data, dtype, leading, d, m):
    x, W = draw(data, dtype, (*leading, d)), draw(data, dtype, (d, m))
    b = draw(data, dtype, (m,)) if data.draw(st.booleans()) else None
    right, cache = F.dense_forward.definition(x, W, b, activation)
    bias = 0 if b is None else 16 * np.finfo(dtype).eps * np.nan_to_num(np.abs(b))
    same(F.dense_forward(x, W, b, activation)[0], right, 1.2 * (magnitude(x, W) + bias) + 1e-6)

    dy = draw(data, dtype, right.shape)
    f = F.get_activation(activation)
    dz = f.backward.definition(dy, cache.f)
    right = F.dense_backward.definition(dy, cache)
    actual = F.dense_backward(dy, cache)
    n = int(np.prod(leading))
    rows, flat = x.reshape(n, d), dz.reshape(n, m)
    same(actual[0], right[0], magnitude(dz, W.T))
    same(actual[1], right[1], magnitude(rows.T, flat))
    assert (actual[2] is None) == (b is None)
    if b is not None:
        same(actual[2], right[2], magnitude(np.ones((1, n), dtype), flat)[0])


def test_the_sign_of_a_subnormal_number_is_the_branch():
    for dtype in RTOL:
        tiny = np.finfo(dtype).smallest_subnormal
        x, W = np.full((70, 1), 1, dtype), np.full((1, 40), tiny, dtype)
        for name, slope in (("relu", 1), ("leaky_relu", 1), ("elu", 1)):
            y, cache = F.dense_forward(x, W, np.zeros(40, dtype), name)
            assert (y == tiny).all()
            assert (F.dense_backward(np.ones_like(y), cache)[2] == 70 * slope).all()
        y, cache = F.dense_forward(-x, W, np.zeros(40, dtype), "leaky_relu")
        np.testing.assert_allclose(F.dense_backward(np.ones_like(y), cache)[2], 70 * 0.2, rtol=1e-5)


# ------------------------------------------------------------------------------------------ losses

PROBABILITIES = [0.0, -0.0, 1e-40, 1e-10, 1e-7, 0.25, 0.5, 1.0, 1 - 1e-6, 2.0, -1.0, *NOT_FINITE]
TARGETS = [0.0, -0.0, 1.0, 0.5, 1e-40, 1e-310]
DLOSSES = [1.0, 0.0, -0.5, 3.0, 17.0, 1e30, -1e30, 1e-30, 1e-40, *NOT_FINITE]
LOSSES = {
    "mean_squared_error": (ANY, [*SMALL, 1.0, -3.0, 1e18, *NOT_FINITE], {}),
    "binary_crossentropy": (PROBABILITIES, [*TARGETS, *NOT_FINITE], {}),
    "binary_crossentropy of logits": (ANY, [*TARGETS, *NOT_FINITE], {"from_logits": True}),
    "categorical_crossentropy": (PROBABILITIES, [*TARGETS, 1e18, *NOT_FINITE], {}),
    "categorical_crossentropy of logits": (ANY, [*TARGETS, *NOT_FINITE], {"from_logits": True}),
    "categorical_crossentropy of logits, large": (ANY, [0.0, 1e18], {"from_logits": True}),
    "sparse_categorical_crossentropy": (PROBABILITIES, None, {}),
    "sparse_categorical_crossentropy of logits": (ANY, None, {"from_logits": True}),
}


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=100, derandomize=True)
@given(data=st.data(), dtype=DTYPES, shape=shapes(1, 4))
def test_a_loss(name, data, dtype, shape):
    values, targets, options = LOSSES[name]
    if "categorical" in name and len(shape) < 2:
        shape = (2, *shape)
    forward = REGISTRY[name.split()[0] + "_forward"]
    y = draw(data, dtype, shape, values)
    if targets is None:
        t = data.draw(arrays("i8", shape[:-1], elements=st.integers(0, shape[-1] - 1)))
        is_target = (t[..., None] == np.arange(shape[-1])).astype(dtype)
    else:
        t = is_target = draw(data, dtype, shape, targets)
    reduction = data.draw(st.sampled_from(["mean", "sum", "none"]))
    options = {**options, "reduction": reduction}
    right, right_cache = forward.definition(y, t, **options)
    loss, cache = forward(y, t, **options)
    eps = np.finfo(dtype).eps
    of_terms = np.nan_to_num(np.abs(y * t)).max() if "binary" in name else 0.0  # max(z, 0) - t z
    if "of logits" in name:  # the logarithm of a number near 1
        of_terms += 1.0 if targets is None else float(np.nan_to_num(np.abs(t)).max() + 1)
    same(np.asarray(loss), np.asarray(right), 8 * eps * float(of_terms))

    dlosses = DLOSSES[:4] if "large" in name else DLOSSES  # the product with a target is finite
    if reduction == "none":
        dloss = draw(data, dtype, right.shape, dlosses)
        each = dloss
    else:
        dloss = each = data.draw(st.sampled_from(dlosses).map(np.dtype(dtype).type))
        dloss = float(dloss) if data.draw(st.booleans()) else dloss
    right_dy = forward.backward.definition(dloss, right_cache)
    each = np.abs(each)[..., None] if np.ndim(each) and len(shape) > 1 else np.abs(each)
    # A probability may be subnormal, and have few digits, before targets and dloss make it large.
    total = np.maximum(1, np.abs(is_target).sum(axis=-1, keepdims=True))
    digits = 2 * np.finfo(dtype).smallest_subnormal * total + 8 * eps * np.abs(is_target)
    cancelled = np.nan_to_num(each * digits) if "of logits" in name else 0.0
    rtol = 2e-4 if dtype == "float32" else 1e-11  # exp of a logarithm, in the definition
    for one in (cache, right_cache):
        same(forward.backward(dloss, one), right_dy, cancelled, rtol)


def test_a_large_dloss_makes_a_tiny_gradient_a_large_one():
    for dtype, z, dloss in (("float32", -90, 1e30), ("float64", -730, 1e300)):
        y = np.array([[z, 0.0]], dtype)
        for name, t in (
            ("categorical_crossentropy", np.array([[0, 1]], dtype)),
            ("sparse_categorical_crossentropy", np.array([1])),
            ("binary_crossentropy", np.array([[0, 1]], dtype)),
        ):
            forward = REGISTRY[f"{name}_forward"]
            _, cache = forward(y, t, from_logits=True)
            dy = forward.backward(dloss, cache)
            factor = 0.5 if name.startswith("binary") else 1.0
            np.testing.assert_allclose(dy[0, 0], factor * np.exp(float(z)) * dloss, rtol=1e-4)


# ------------------------------------------------------------------------------- optimisers' steps

RATES, EPSILONS, SCALES = [0.1, 1e-3, 1.0, 0.0, 1e10], [1e-7, 1e-3, 0.0, 1e-30], [1.0, 0.25, 1e10]
STEPS = {  # name -> (remembered vectors, of which so many are squares; what else it takes)
    "sgd_step": (1, 0, {}),
    "sgd_step with momentum": (1, 0, {"momentum": 0.9}),
    "sgd_step of Nesterov": (1, 0, {"momentum": 0.9, "nesterov": True}),
    "rmsprop_step": (1, 1, {}),
    "adagrad_step": (1, 1, {}),
    "adam_step": (2, 1, {}),
    "adamw_step": (2, 1, {"weight_decay": 0.1}),
}


@pytest.mark.parametrize("name", STEPS)
@settings(max_examples=100, derandomize=True)
@given(data=st.data(), dtype=DTYPES, n=st.integers(0, 20))
def test_a_step(name, data, dtype, n):
    remembered, squares, options = STEPS[name]
    step = REGISTRY[name.split()[0]]
    w, g, *state = (draw(data, dtype, (n,)) for _ in range(2 + remembered))
    if squares:
        state[-1] = np.abs(state[-1])
    rate, epsilon, scale = (data.draw(st.sampled_from(a)) for a in (RATES, EPSILONS, SCALES))
    options = {**options, "learning_rate": rate, "scale": scale}
    options |= {"epsilon": epsilon} if squares else {}
    between = [None] if name.startswith("rmsprop") else [3] if name.startswith("adam") else []
    ours, right = ([a.copy() for a in (w, *state)] for _ in range(2))
    step(ours[0], g, *ours[1:], *between, **options)
    step.definition(right[0], g, *right[1:], *between, **options)
    flushes = rate <= 1 and scale <= 1 and (not squares or epsilon >= 1e-12)
    divided = max(1.0, rate / epsilon) if squares and epsilon and flushes else 1.0
    eps = np.finfo(dtype).eps
    terms = [np.nan_to_num(np.abs(a)) for a in (w, *state)]
    moved = np.nan_to_num(np.abs(right[0] - w))
    with_g = np.nan_to_num(np.abs(scale * g.astype("f8")) * max(rate, 1))
    same(ours[0], right[0], 8 * eps * (terms[0] + moved + with_g * (not squares)) +
         4 * LEAST[dtype] * divided)  # fmt: skip
    for a, b, before in zip(ours[1:], right[1:], terms[1:], strict=True):
        same(a, b, 8 * eps * (before + with_g))


# ----------------------------------------------------------------------------------- other threads


SPOILED = """
import threading, time
import numpy as np
from minienc import functions as F
y = np.random.default_rng(0).random((200_000, 10), dtype="f4")
labels = np.zeros(len(y), "i8")
def spoil():
    while True:
        labels[...] = 2**40
        labels[...] = 0
threading.Thread(target=spoil, daemon=True).start()
end, refused = time.time() + 3, 0
while time.time() < end:
    for from_logits in True, False:
        try:
            loss = F.sparse_categorical_crossentropy_forward
            cache = loss(y, labels, None, from_logits, "none")[1]
            loss.backward(np.ones(len(y), "f4"), cache)
        except ValueError as error:
            assert "labels" in str(error), error
            refused += 1
print(refused > 0)
"""


def test_labels_that_another_thread_writes_to_are_no_index():
    """They are checked while they are right, and then used as indices, without Python's lock."""
    command = [sys.executable, "-c", SPOILED]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout.strip()) == (0, "True"), result.stderr


def test_a_shape_that_another_thread_changes_is_not_read_past():
    """While one argument is copied, another thread may run, and give the next one another shape."""
    W, done = np.ones((40, 30), "f4"), threading.Event()
    x = np.ones((3000, 80), "f8").astype("f4")[:, ::2][:, None, :]  # is copied: three axes, strided
    W = np.ones((80, 30), "f4")[::2]

    def spoil():
        v = W
        while not done.is_set():
            v.shape = (20, 2, 30)
            v.shape = (40, 30)

    thread = threading.Thread(target=spoil)
    thread.start()
    try:
        for _ in range(300):
            try:
                y, cache = F.dense_forward(x, W)
                assert (y == 40).all()
                F.dense_backward(y, cache)
            except ValueError:
                pass
    finally:
        done.set()
        thread.join()
