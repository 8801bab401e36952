"""The compiled normalisations and an embedding's gradient are their definitions."""

from __future__ import annotations

import os

import numpy as np
import pytest

if os.environ.get("MINIENC_KERNEL") == "0":
    pytest.skip("MINIENC_KERNEL=0 leaves the kernel unused", allow_module_level=True)
kernels = pytest.importorskip("minienc._kernels")

from minienc.functions import embedding_forward, identity_forward  # noqa: E402
from minienc.primitive import REGISTRY, _fast  # noqa: E402
from tests.test_kernel_dense import assert_same_bits  # noqa: E402
from tests.test_kernel_sequences import as_it_was, assert_close, drawn, widened  # noqa: E402, F401

identity_forward(np.zeros(1))  # opens the door: from here on, what fast/ has is registered
KINDS = {"layer": 2, "rms": 1}  # how many arrays of columns
N_CASES = 300


def random_case(kind, rng):
    dtype = str(rng.choice(["float32", "float64"]))
    shape = tuple(int(n) for n in rng.integers(1, (9, 20, 50)))[int(rng.integers(3)) :]
    if rng.random() < 0.1:  # enough for threads
        shape = (5, 130, 60)
    x = drawn(rng, dtype, *shape)
    if len(shape) == 3 and rng.random() < 0.3:  # as heads that lie side by side
        x = drawn(rng, dtype, 2, *shape).swapaxes(1, 2)
    columns = [
        None if rng.random() < 0.25 else drawn(rng, dtype, shape[-1]) for _ in range(KINDS[kind])
    ]
    return [x, *columns]


def like(rng, x):
    """Other numbers, which lie as x does."""
    other = np.empty_like(x)
    other[...] = rng.standard_normal(x.shape)
    return other


@pytest.mark.parametrize("isa", kernels.instruction_sets)
@pytest.mark.parametrize("kind", KINDS)
def test_a_normalisation_is_its_definition(kind, isa):
    rng = np.random.default_rng(kernels.instruction_sets.index(isa))
    forward, backward = (f"{kind}_normalization_{way}" for way in ("forward", "backward"))
    kernels._use_isa(isa)
    for i in range(N_CASES // len(kernels.instruction_sets)):
        arrays = random_case(kind, rng)
        x, what = arrays[0], (i, kind, arrays[0].shape)
        dy = like(rng, x)
        results = []
        for threads in (1, int(rng.integers(2, 6))):
            kernels.set_num_threads(threads)
            y, cache = _fast[forward](*arrays)
            results.append([y, *_fast[backward](dy, cache)])
        y, cache = REGISTRY[forward].definition(*widened(arrays))
        expected = [y, *REGISTRY[backward].definition(dy.astype("float64"), cache)]
        assert all(a is None or a.dtype == x.dtype for a in results[0]), what
        # A row of few numbers may have a variance as small as epsilon, and x / sqrt(1e-3) is large.
        assert_close(results[0], expected, 40 * max(x.shape[-1], x.size // x.shape[-1]), what)
        assert results[0][0].strides == x.strides, what
        assert_same_bits(*([a for a in r if a is not None] for r in results))


@pytest.mark.parametrize("kind", KINDS)
def test_the_variance_beside_a_large_mean(kind):
    x = drawn(np.random.default_rng(0), "float32", 20, 100) + np.float32(1e4)
    y, _ = _fast[f"{kind}_normalization_forward"](x)
    expected, _ = REGISTRY[f"{kind}_normalization_forward"].definition(x.astype("float64"))
    np.testing.assert_allclose(y, expected, atol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_normalisation_declines_what_it_does_not_serve(kind):
    forward, backward = (_fast[f"{kind}_normalization_{way}"] for way in ("forward", "backward"))
    x = drawn(np.random.default_rng(0), "float32", 4, 6)
    for bad in ([x.T], [x[:0]], [x.astype("float16")], [x, x[0, :5]], [x.tolist()]):
        assert forward(*bad) is NotImplemented
    for epsilon in (0.0, -1.0, float("nan"), "1"):
        assert forward(x, epsilon=epsilon) is NotImplemented
    y, cache = forward(x, x[0])
    for dy in (y[:2], y.astype("float64"), y.T, y.tolist()):
        assert backward(dy, cache) is NotImplemented


def test_an_embeddings_gradient_is_its_definition():
    backward, rng = REGISTRY["embedding_backward"], np.random.default_rng(0)
    for i in range(100):
        V, D = (int(n) for n in rng.integers(1, (12, 40)))
        shape = tuple(rng.integers(0, 9, int(rng.integers(0, 3))))
        ids = rng.integers(0, V, shape).astype(rng.choice(["int32", "int64", "uint8"]))
        W = drawn(rng, "float32", V, D)
        y, cache = embedding_forward(np.asarray(ids), W)
        np.testing.assert_array_equal(y, embedding_forward.definition(np.asarray(ids), W)[0])
        dy = drawn(rng, "float32", *np.shape(y))
        actual = _fast["embedding_backward"](dy, cache)
        np.testing.assert_array_equal(actual, backward.definition(dy, cache), err_msg=str(i))
    assert _fast["embedding_backward"](dy[..., :0], cache) is NotImplemented
    cache.ids[...] = V  # another thread may write what is no row
    if cache.ids.size:
        assert _fast["embedding_backward"](dy, cache) is NotImplemented


def test_rows_that_are_none_are_not_read():
    W, ids = drawn(np.random.default_rng(0), "float32", 5, 3), np.array([[0, 4], [2, 1]])
    np.testing.assert_array_equal(kernels.take_rows(W, ids), W[ids])
    for wrong in (-1, 5, 2**40):
        ids[1, 0] = wrong
        assert kernels.take_rows(W, ids) is None
        assert kernels.add_rows(np.ones((2, 2, 3), "float32"), ids, 5) is None
        with pytest.raises(ValueError, match=str(wrong)):
            embedding_forward(ids, W)
    for bad in (W.T, W.astype("float16"), W[0], W.tolist()):
        assert kernels.take_rows(bad, ids) is None
    assert kernels.take_rows(W, ids.astype("int32")) is None
