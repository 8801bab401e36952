"""Patches of images, cut out and laid back by the compiled kernel, are the definition's."""

from __future__ import annotations

import os

import numpy as np
import pytest

if os.environ.get("MINIENC_KERNEL") == "0":
    pytest.skip("MINIENC_KERNEL=0 leaves the kernel unused", allow_module_level=True)
kernels = pytest.importorskip("minienc._kernels")

from minienc.functions import identity_forward  # noqa: E402
from minienc.functions.convolution import patches_backward, patches_forward  # noqa: E402
from minienc.primitive import _fast  # noqa: E402
from tests.test_kernel_sequences import as_it_was, drawn  # noqa: E402, F401

identity_forward(np.zeros(1))  # opens the door: from here on, what fast/ has is registered
fast_forward, fast_backward = _fast["patches_forward"], _fast["patches_backward"]
N_CASES = 300


def random_case(rng):
    dtype = str(rng.choice(["float32", "float64"]))
    N, H, W, C = (int(n) for n in rng.integers(1, (5, 12, 12, 30)))
    if rng.random() < 0.1:  # enough for threads
        N, H, W, C = 9, 14, 13, int(rng.integers(8, 40))
    size, strides = (tuple(int(n) for n in rng.integers(1, 5, 2)) for _ in range(2))
    padding = str(rng.choice(["valid", "same"]))
    if padding == "valid":
        size = min(size[0], H), min(size[1], W)
    return drawn(rng, dtype, N, H, W, C), {
        "kernel_size": size,
        "strides": strides,
        "padding": padding,
    }


@pytest.mark.parametrize("isa", kernels.instruction_sets)
def test_patches_are_those_of_the_definition(isa):
    rng = np.random.default_rng(kernels.instruction_sets.index(isa))
    kernels._use_isa(isa)
    for i in range(N_CASES // len(kernels.instruction_sets)):
        x, options = random_case(rng)
        y, cache = patches_forward.definition(x, **options)
        dy = drawn(rng, x.dtype, *y.shape)
        dx = patches_backward.definition(dy, cache)
        for threads in (1, int(rng.integers(2, 6))):
            kernels.set_num_threads(threads)
            actual, fast_cache = fast_forward(x, **options)
            np.testing.assert_array_equal(actual, y, err_msg=str((i, x.shape, options)))
            assert fast_cache == cache
            found = fast_backward(dy, cache)
            assert found.dtype == x.dtype
            np.testing.assert_array_equal(found, dx, err_msg=str((i, x.shape, options)))


def test_what_is_not_served_is_declined():
    x = drawn(np.random.default_rng(0), "float32", 2, 6, 5, 3)
    for bad in (x[0], x[:0], x.astype("float16"), x[:, ::2], x.tolist()):
        assert fast_forward(bad, 2) is NotImplemented
    with pytest.raises(ValueError, match="kernel_size is \\(7, 7\\)"):
        fast_forward(x, 7)
    y, cache = fast_forward(x, 2)
    for dy in (y[:1], y[..., :2], y.astype("float64"), y[:, ::2], y.tolist()):
        assert fast_backward(dy, cache) is NotImplemented
