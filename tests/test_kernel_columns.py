"""Sums of columns, a bias, batch normalisation, and what the transposed convolution makes of them,
by the compiled kernel."""

from __future__ import annotations

import os

import numpy as np
import pytest

if os.environ.get("MINIENC_KERNEL") == "0":
    pytest.skip("MINIENC_KERNEL=0 leaves the kernel unused", allow_module_level=True)
kernels = pytest.importorskip("minienc._kernels")

from minienc.functions import identity_forward  # noqa: E402
from minienc.primitive import REGISTRY, _fast  # noqa: E402
from tests.test_kernel_dense import assert_same_bits  # noqa: E402
from tests.test_kernel_sequences import as_it_was, assert_close, drawn, widened  # noqa: E402, F401

identity_forward(np.zeros(1))  # opens the door: from here on, what fast/ has is registered
forward, backward = (
    REGISTRY["batch_normalization_forward"],
    REGISTRY["batch_normalization_backward"],
)
N_CASES = 240
each_isa = pytest.mark.parametrize("isa", kernels.instruction_sets)


def random_shape(rng):
    """Few channels and many, those that fill a vector and those that do not."""
    D = int(rng.choice([1, 2, 3, 4, 7, 8, 16, 17, 24, 33, 64]))
    if rng.random() < 0.15:  # enough for threads
        return (int(rng.integers(65536 // D, 2 * 65536 // D)), D)
    return (*[int(n) for n in rng.integers(1, 9, int(rng.integers(1, 4)))], D)


@each_isa
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_and_a_bias(isa, dtype):
    rng = np.random.default_rng(kernels.instruction_sets.index(isa))
    kernels._use_isa(isa)
    for _ in range(N_CASES // 6):
        x, start = drawn(rng, dtype, *random_shape(rng)), rng.standard_normal(1)[0]
        right, found = x.reshape(-1, x.shape[-1]).sum(axis=0, dtype="float64"), []
        for threads in (1, 2, 3, 4, 5):
            kernels.set_num_threads(threads)
            out = np.full(x.shape[-1:], start, dtype)
            assert kernels.column_sums(x, out, True) is out
            found.append((kernels.column_sums(x), out))
        assert_close([found[0][0], found[0][1]], [right, right + start], 10 * x.size, x.shape)
        for other in found[1:]:
            assert_same_bits(found[0], other)
        b, before = drawn(rng, dtype, x.shape[-1]), x.copy()
        assert kernels.add_bias(x, b)
        np.testing.assert_array_equal(x, before + b)


def test_sums_and_a_bias_decline():
    x = np.zeros((4, 6), "float32")
    for bad in (x.T, x[:0], x.astype("float16"), x.tolist()):
        assert kernels.column_sums(bad) is None
    for out in (x[0], x[1, :3].copy(), np.zeros(6), np.zeros(12, "float32")[::2]):
        assert kernels.column_sums(x, out) is None
    for b in (None, x[0, :5].copy(), np.zeros(6), x[0]):
        assert not kernels.add_bias(x, b)
    x.flags.writeable = False
    assert not kernels.add_bias(x, np.zeros(6, "float32"))


@each_isa
@pytest.mark.parametrize("of_batch", [True, False])
def test_batch_normalisation_is_its_definition(of_batch, isa):
    rng = np.random.default_rng(kernels.instruction_sets.index(isa))
    kernels._use_isa(isa)
    for i in range(N_CASES // len(kernels.instruction_sets)):
        dtype = str(rng.choice(["float32", "float64"]))
        x = drawn(rng, dtype, *random_shape(rng)) + dtype_of(dtype)(rng.integers(-3, 4))
        D = x.shape[-1]
        arrays = [x, *[None if rng.random() < 0.25 else drawn(rng, dtype, D) for _ in range(2)]]
        if not of_batch:
            arrays += [drawn(rng, dtype, D), np.abs(drawn(rng, dtype, D))]
        dy, found = drawn(rng, dtype, *x.shape), []
        for threads in (1, int(rng.integers(2, 6))):
            kernels.set_num_threads(threads)
            y, cache = _fast[forward.__name__](*arrays)
            found.append([y, cache.mean, cache.variance, *_fast[backward.__name__](dy, cache)])
            assert cache.of_batch is of_batch
        y, cache = forward.definition(*widened(arrays))
        right = backward.definition(dy.astype("float64"), cache)
        right = [y, cache.mean, cache.variance, *right]
        what = (i, x.shape, dtype)
        assert [a is None for a in found[0]] == [a is None for a in right], what
        # Of two samples the variance may be as small as epsilon, and x / sqrt(1e-3) is large.
        assert_close(found[0], right, 400 * max(x.size // D, 30), what)
        assert all(a is None or a.dtype == x.dtype for a in found[0])
        assert_same_bits(*([a for a in r if a is not None] for r in found))


def dtype_of(name):
    return np.dtype(name).type


@pytest.mark.parametrize("D", [1, 3, 16, 40])
def test_the_variance_of_a_batch_beside_a_large_mean(D):
    x = drawn(np.random.default_rng(0), "float32", 5000, D) + np.float32(1e4)
    y, cache = _fast[forward.__name__](x)
    right, kept = forward.definition(x.astype("float64"))
    np.testing.assert_allclose(y, right, atol=2e-3)
    np.testing.assert_allclose(cache.mean, kept.mean, rtol=2e-7)
    np.testing.assert_allclose(cache.variance, kept.variance, rtol=1e-3)


def test_batch_normalisation_declines_what_it_does_not_serve():
    x = drawn(np.random.default_rng(0), "float32", 5, 6)
    fast = _fast[forward.__name__]
    row = np.ones(6, "float32")
    for bad in (
        [x.T], [x[:0]], [x[0]], [x.astype("float16")], [x, x[0, :5]], [x.tolist()],
        [x, row, row.astype("float64")], [x, None, None, row], [x, None, None, None, row],
        [x, None, None, row[:5], row[:5]],
    ):  # fmt: skip
        assert fast(*bad) is NotImplemented
    for epsilon in (0.0, -1.0, float("nan"), "1"):
        assert fast(x, epsilon=epsilon) is NotImplemented
    y, cache = fast(x, row)
    for dy in (y[:2], y.astype("float64"), y.T, y.tolist()):
        assert _fast[backward.__name__](dy, cache) is NotImplemented


@each_isa
@pytest.mark.parametrize("activation", ["identity", "relu", "gelu", "softmax"])
def test_a_transposed_convolution_is_its_definition(activation, isa):
    rng = np.random.default_rng(kernels.instruction_sets.index(isa))
    kernels._use_isa(isa)
    name = "conv2d_transpose"
    definition, second = REGISTRY[f"{name}_forward"].definition, _fast[f"{name}_backward_into"]
    for i in range(24):
        dtype = str(rng.choice(["float32", "float64"]))
        N, H, W, C, M, K = (int(n) for n in rng.integers(1, (4, 7, 7, 9, 9, 4)))
        x, kernel = drawn(rng, dtype, N, H, W, C), drawn(rng, dtype, K, K, M, C)
        b = None if rng.random() < 0.25 else drawn(rng, dtype, M)
        given = {
            "strides": int(rng.integers(1, 3)),
            "padding": str(rng.choice(["valid", "same"])),
            "activation": activation,
        }
        y, cache = _fast[f"{name}_forward"](x, kernel, b, **given)
        dy = drawn(rng, dtype, *y.shape)
        into = [np.full_like(kernel, 0.5), None if b is None else np.full_like(b, 0.5)]
        dx = second(dy, cache, into, False, True)
        right, of_right = definition(*widened([x, kernel, b]), **given)
        gradients = REGISTRY[f"{name}_backward"].definition(dy.astype("float64"), of_right)
        right = [right, gradients[0], *[None if g is None else g + 0.5 for g in gradients[1:]]]
        assert_close([y, dx, *into], right, 400 * K * K * C * M, (i, x.shape, given))
