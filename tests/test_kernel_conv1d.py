"""Convolution along time on the overlapping view is its definition: any shape, layout, padding."""

from __future__ import annotations

import os

import numpy as np
import pytest

if os.environ.get("MINIENC_KERNEL") == "0":
    pytest.skip("MINIENC_KERNEL=0 leaves the kernel unused", allow_module_level=True)
kernels = pytest.importorskip("minienc._kernels")

from minienc.functions import conv1d_backward, conv1d_forward, identity_forward  # noqa: E402
from minienc.primitive import _fast  # noqa: E402
from tests.test_kernel_dense import assert_same_bits, random_layout  # noqa: E402
from tests.test_kernel_sequences import (  # noqa: E402
    ACTIVATIONS,
    as_it_was,  # noqa: F401  (a fixture)
    assert_close,
    drawn,
    laid,
    widened,
)

identity_forward(np.zeros(1))  # opens the door: from here on, what fast/ has is registered
fast_forward, fast_backward = _fast["conv1d_forward"], _fast["conv1d_backward"]
N_CASES = 300


def random_case(rng):
    dtype, padding = (
        str(rng.choice(["float32", "float64"])),
        str(rng.choice(["valid", "same", "causal"])),
    )
    N, T, C, M, K = (int(n) for n in rng.integers(1, (5, 20, 20, 20, 6)))
    if rng.random() < 0.1:  # enough work for threads
        N, T, C, M = 20, 50, 17, 33
    moves = {"strides": 1, "dilation_rate": 1}
    if rng.random() < 0.3:  # what a y sees does not lie side by side
        moves = {name: int(rng.integers(1, 4)) for name in moves}
    T = max(T, (K - 1) * moves["dilation_rate"] + 1) if padding == "valid" else T
    b = None if rng.random() < 0.25 else drawn(rng, dtype, M)
    x, W = drawn(rng, dtype, N, T, C), drawn(rng, dtype, K, C, M, scale=0.3)
    activation = str(rng.choice([*ACTIVATIONS, "gelu", "relu_squared", "softmax"]))
    return (x, W, b), {"padding": padding, "activation": activation, **moves}


@pytest.mark.parametrize("isa", kernels.instruction_sets)
def test_it_is_its_definition(isa):
    rng = np.random.default_rng(kernels.instruction_sets.index(isa))
    kernels._use_isa(isa)
    for i in range(N_CASES // len(kernels.instruction_sets)):
        arrays, options = random_case(rng)
        (N, T, C), (K, _, M) = arrays[0].shape, arrays[1].shape
        what = i, arrays[0].shape, arrays[1].shape, options
        kernels.set_num_threads(1)
        y, cache = fast_forward(*laid(rng, arrays), **options)
        dy = drawn(rng, y.dtype, *y.shape)
        actual = [y, *fast_backward(dy, cache)]
        wide, wide_cache = conv1d_forward.definition(*widened(arrays), **options)
        if options["activation"] in ("relu", "leaky_relu", "elu"):  # the same side of every kink
            wide_cache = wide_cache._replace(f=wide_cache.f._replace(y=y.astype("float64")))
        expected = [wide, *conv1d_backward.definition(dy.astype("float64"), wide_cache)]
        assert all(a is None or (a.dtype == y.dtype and a.flags.c_contiguous) for a in actual), what
        terms = max(K * C, K * M, N * T)
        assert_close(actual, expected, terms, what)
        assert_close(fast_backward(random_layout(rng, dy), cache), expected[1:], terms, what)
        assert_close(conv1d_backward.definition(dy, cache), expected[1:], terms, what)
        kernels.set_num_threads(int(rng.integers(2, 6)))
        y, cache = fast_forward(*laid(rng, arrays), **options)
        again = [y, *fast_backward(dy, cache)]
        assert_same_bits([a for a in again if a is not None], [a for a in actual if a is not None])


def test_nothing_passes_over_the_seam_of_two_samples():
    rng = np.random.default_rng(0)
    x, W = drawn(rng, "float32", 3, 7, 2), drawn(rng, "float32", 4, 2, 5)
    y, cache = fast_forward(x, W, padding="causal")
    dx = fast_backward(y, cache)[0]
    other = x.copy()
    other[1] = 1e30
    y2, cache = fast_forward(other, W, padding="causal")
    y2[1] = 1e30
    dx2 = fast_backward(y2, cache)[0]
    for n in (0, 2):
        np.testing.assert_array_equal(y2[n], y[n])
        np.testing.assert_array_equal(dx2[n], dx[n])


def test_what_it_does_not_serve_it_declines():
    rng = np.random.default_rng(0)
    x, W, b = (drawn(rng, "float32", *shape) for shape in ((2, 7, 3), (2, 3, 4), (4,)))
    for options in ({"strides": np.int64(2)}, {"dilation_rate": True}, {"activation": np.tanh}):
        assert fast_forward(x, W, b, **options) is NotImplemented
    for bad in (
        [x[0], W],
        [x[..., :2], W],
        [x[:0], W],
        [x, W.astype("float64")],
        [x, W, b[:3]],
        [x.astype("float16"), W.astype("float16")],
        [x.tolist(), W],
    ):
        assert fast_forward(*bad) is NotImplemented
    y, cache = fast_forward(x, W, b)
    for dy in (y[:1], y[..., :2], y.astype("float64"), y[0]):
        assert fast_backward(dy, cache) is NotImplemented
    definition = conv1d_forward.definition(x, W, b)[1]
    assert fast_backward(y, definition) is NotImplemented
    with pytest.raises(ValueError, match="reaches over 2 steps, and x has 1"):
        fast_forward(x[:, :1], W)
