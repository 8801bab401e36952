"""A draw that gradients pass, and its divergence, by the compiled kernel."""

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
each_isa = pytest.mark.parametrize("isa", kernels.instruction_sets)


def close(actual, right):
    assert actual.dtype == right.dtype and actual.shape == right.shape
    eps = np.finfo(right.dtype).eps
    np.testing.assert_allclose(actual, right, rtol=16 * eps, atol=16 * eps)


@each_isa
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_they_are_their_definitions(isa, dtype):
    rng = np.random.default_rng(kernels.instruction_sets.index(isa))
    kernels._use_isa(isa)
    for _ in range(60):
        shape = tuple(int(n) for n in rng.integers(1, 24, int(rng.integers(1, 3))))
        mean, log_variance, noise, dz = (drawn(rng, dtype, *shape, scale=2) for _ in range(4))
        for name, arguments, dy in (
            ("reparameterize", (mean, log_variance, noise), dz),
            ("normal_kl", (mean, log_variance), float(rng.standard_normal())),
        ):
            forward = REGISTRY[f"{name}_forward"]
            right, cache = forward.definition(*arguments)
            actual, own = _fast[forward.__name__](*arguments)
            close(actual, right)
            for a, b in zip(own, cache, strict=True):
                close(a, b) if isinstance(a, np.ndarray) else None
            found = _fast[f"{name}_backward"](dy, own)
            for a, b in zip(found, forward.backward.definition(dy, cache), strict=True):
                close(a, b)


def test_one_number_for_all_is_as_many():
    rng = np.random.default_rng(0)
    mean, log_variance = drawn(rng, "float64", 2, 5, 3)
    kl, cache = REGISTRY["normal_kl_forward"].definition(mean, log_variance)
    backward = REGISTRY["normal_kl_backward"]
    for a, b in zip(
        backward(0.3, cache), backward.definition(np.full_like(kl, 0.3), cache), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_what_is_not_served_is_declined():
    x = drawn(np.random.default_rng(0), "float32", 4, 6)
    draw, kl = _fast["reparameterize_forward"], _fast["normal_kl_forward"]
    for bad in (x.T, x[:2], x.astype("float64"), x.tolist()):
        assert draw(x, bad, x) is NotImplemented and draw(x, x, bad) is NotImplemented
        assert kl(x, bad) is NotImplemented
    z, cache = draw(x, x, x)
    for dz in (z.T, z[:2], z.astype("float64"), z.tolist()):
        assert _fast["reparameterize_backward"](dz, cache) is NotImplemented
    assert _fast["normal_kl_backward"](x, kl(x, x)[1]) is NotImplemented  # a number each
