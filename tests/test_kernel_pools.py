"""Pools of images, and pixels as blocks, by the compiled kernel: those of the definitions."""

from __future__ import annotations

import os

import numpy as np
import pytest

if os.environ.get("MINIENC_KERNEL") == "0":
    pytest.skip("MINIENC_KERNEL=0 leaves the kernel unused", allow_module_level=True)
kernels = pytest.importorskip("minienc._kernels")

from minienc.functions import identity_forward  # noqa: E402
from minienc.primitive import REGISTRY, _fast  # noqa: E402
from tests.test_kernel_sequences import as_it_was, drawn  # noqa: E402, F401

identity_forward(np.zeros(1))  # opens the door: from here on, what fast/ has is registered
N_CASES = 240
EXACT = {"max_pool2d"}  # no number is rounded
NAMES = ["max_pool2d", "average_pooling2d", "global_average_pooling2d", "up_sampling2d"]


def random_case(name, rng):
    dtype = str(rng.choice(["float32", "float64"]))
    N, H, W, C = (int(n) for n in rng.integers(1, (5, 12, 12, 40)))
    if rng.random() < 0.1:  # enough for threads
        N, H, W, C = 9, 24, 23, int(rng.integers(16, 40))
    x = drawn(rng, dtype, N, H, W, C)
    if rng.random() < 0.5:
        x = np.round(x)  # pixels that are equal
    if name == "global_average_pooling2d":
        return x, {}
    size = tuple(int(n) for n in rng.integers(1, 5, 2))
    if name == "up_sampling2d":
        return x, {"size": size}
    padding = str(rng.choice(["valid", "same"]))
    if padding == "valid":
        size = min(size[0], H), min(size[1], W)
    strides = None if rng.random() < 0.5 else tuple(int(n) for n in rng.integers(1, 5, 2))
    return x, {"pool_size": size, "strides": strides, "padding": padding}


def assert_like(name, actual, right, what):
    assert actual.dtype == right.dtype and actual.shape == right.shape
    rtol = 0 if name in EXACT else 64 * np.finfo(right.dtype).eps
    np.testing.assert_allclose(actual, right, rtol=rtol, atol=rtol * 8, err_msg=str(what))


@pytest.mark.parametrize("isa", kernels.instruction_sets)
@pytest.mark.parametrize("name", NAMES)
def test_a_pool_is_its_definition(name, isa):
    rng = np.random.default_rng(kernels.instruction_sets.index(isa))
    forward, backward = REGISTRY[f"{name}_forward"], REGISTRY[f"{name}_backward"]
    kernels._use_isa(isa)
    for i in range(N_CASES // len(kernels.instruction_sets)):
        x, options = random_case(name, rng)
        y, cache = forward.definition(x, **options)
        dy = drawn(rng, x.dtype, *y.shape)
        dx, found = backward.definition(dy, cache), []
        for threads in (1, int(rng.integers(2, 6))):
            kernels.set_num_threads(threads)
            actual, own = _fast[forward.__name__](x, **options)
            assert_like(name, actual, y, (i, x.shape, options))
            for a, b in zip(own, cache, strict=True):
                assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
            found.append((actual, _fast[backward.__name__](dy, own)))
            assert_like(name, found[-1][1], dx, (i, x.shape, options))
        for one, two in zip(*found, strict=True):
            assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("channels", [1, 16, 19])
def test_the_largest_of_what_is_not_finite(channels):
    """NaN wherever a window sees one, and where nothing is larger than what lies outside."""
    rng = np.random.default_rng(0)
    values = np.array([-np.inf, np.inf, np.nan, -1.0, 0.0, 2.0], "float32")
    forward = REGISTRY["max_pool2d_forward"]
    for padding in ("valid", "same"):
        x = values[rng.integers(0, 6, (6, 5, 5, channels))]
        options = {"pool_size": 3, "strides": 2, "padding": padding}
        y, cache = forward.definition(x, **options)
        actual, own = _fast["max_pool2d_forward"](x, **options)
        np.testing.assert_array_equal(actual, y)
        np.testing.assert_array_equal(own.which, cache.which)
        dy = drawn(rng, "float32", *y.shape)
        dx = forward.backward.definition(dy, cache)
        np.testing.assert_array_equal(_fast["max_pool2d_backward"](dy, own), dx)


def test_a_mean_of_many_pixels_keeps_its_digits():
    x = np.full((1, 300, 300, 1), 1000.1, "float32")
    y, _ = _fast["global_average_pooling2d_forward"](x)
    np.testing.assert_allclose(y, np.float32(1000.1), rtol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_served_is_declined(name):
    forward, backward = _fast[f"{name}_forward"], _fast[f"{name}_backward"]
    x = drawn(np.random.default_rng(0), "float32", 2, 6, 8, 3)
    for bad in (x.astype("float16"), x[:, ::2], x.swapaxes(1, 2), x.tolist()):
        assert forward(bad) is NotImplemented
    y, cache = forward(x)
    for dy in (y[:1], y[..., :2], y.astype("float64"), y[::-1], y.tolist()):
        assert backward(dy, cache) is NotImplemented
    if name == "max_pool2d":
        assert forward(np.zeros((1, 17, 17, 1)), 17) is NotImplemented  # 289 pixels: not a byte
