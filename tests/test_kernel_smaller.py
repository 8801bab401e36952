"""Places, the nearest code, penalties, means and turns of sequences, by the kernel: each is its
definition on every instruction set, and the same on any number of threads."""

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


def sizes(rng, *most):
    return tuple(int(n) for n in rng.integers(1, [n + 1 for n in most]))


def by_heads(rng, dtype, N, T, H, D):
    """(N, H, T, D) that lie side by side, as a layer's heads do, or one head behind the other."""
    if rng.random() < 0.5:
        return drawn(rng, dtype, N, T, H, D).swapaxes(1, 2)
    return drawn(rng, dtype, N, H, T, D)


def rotary(rng, dtype):
    N, T, H, half = (70, 20, 4, 8) if rng.random() < 0.1 else sizes(rng, 4, 9, 4, 9)
    return (by_heads(rng, dtype, N, T, H, 2 * half),), {"start": int(rng.integers(5))}


def add_positions(rng, dtype):
    N, T, D = sizes(rng, 5, 9, 9)
    return (drawn(rng, dtype, N, T, D), drawn(rng, dtype, T, D)), {}


def quantization_error(rng, dtype):
    N, D, K = (700, 4, 64) if rng.random() < 0.1 else sizes(rng, 50, 9, 40)
    return (drawn(rng, dtype, N, D), drawn(rng, dtype, K, D)), {}


def over_steps(rng, dtype):
    N, T, D = sizes(rng, 5, 9, 20)
    lengths = None if rng.random() < 0.3 else rng.integers(0, T + 1, N)
    return (drawn(rng, dtype, N, T, D), lengths), {}


def concatenate(rng, dtype):
    axis = int(rng.integers(-2, 3))
    shapes = [list(sizes(rng, 4, 5, 6))] * int(rng.integers(1, 4))
    shapes = [[*s[: axis % 3], int(rng.integers(1, 5)), *s[axis % 3 + 1 :]] for s in shapes]
    return tuple(drawn(rng, dtype, *s) for s in shapes), {"axis": axis}


def relu_squared(rng, dtype):
    return (drawn(rng, dtype, *((300, 200) if rng.random() < 0.1 else sizes(rng, 9, 70))),), {}


def weights(rng, dtype):
    w = drawn(rng, dtype, *sizes(rng, 9, 70))
    w[0, 0] = 0
    return (w, float(rng.random())), {}


def activities(rng, dtype):
    h = 1 / (1 + np.exp(-4 * drawn(rng, dtype, *sizes(rng, 40, 20))))
    h[:, 0] = rng.integers(2)  # a unit that never works, or always
    return (h, 0.1, 3.0), {}


CASES = {
    "l1_penalty": weights,
    "l2_penalty": weights,
    "kl_sparsity": activities,
    "rotary": rotary,
    "add_positions": add_positions,
    "quantization_error": quantization_error,
    "reverse": over_steps,
    "global_average_pooling1d": over_steps,
    "concatenate": concatenate,
    "relu_squared": relu_squared,
}


def together(found):
    return [a for a in (found if isinstance(found, tuple) else (found,)) if a is not None]


def close(actual, right):
    assert actual.dtype == right.dtype and actual.shape == right.shape
    eps = np.finfo(right.dtype).eps
    np.testing.assert_allclose(actual, right, rtol=64 * eps, atol=256 * eps)


@each_isa
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_it_is_its_definition_on_any_threads(name, dtype, isa):
    rng = np.random.default_rng(kernels.instruction_sets.index(isa))
    kernels._use_isa(isa)
    forward = REGISTRY[f"{name}_forward"]
    for _ in range(30):
        arrays, options = CASES[name](rng, dtype)
        kernels.set_num_threads(1)
        y, cache = _fast[forward.__name__](*arrays, **options)
        right, its_cache = forward.definition(*arrays, **options)
        close(y, right)
        dy = drawn(rng, dtype, *y.shape) if y.ndim else y.dtype.type(rng.random())
        if name == "rotary" and not y.flags.c_contiguous:
            dy = np.ascontiguousarray(dy.swapaxes(1, 2)).swapaxes(1, 2)
        found = together(_fast[forward.backward.__name__](dy, cache))
        for other in (its_cache, cache):  # the definition's backward may follow either
            for a, b in zip(found, together(forward.backward.definition(dy, other)), strict=True):
                close(a, b)
        kernels.set_num_threads(int(rng.integers(2, 6)))
        again, cache = _fast[forward.__name__](*arrays, **options)
        assert again.tobytes() == y.tobytes()
        for a, b in zip(found, together(_fast[forward.backward.__name__](dy, cache)), strict=True):
            assert a.tobytes() == b.tobytes()


def test_heads_that_lie_side_by_side_still_do():
    x = drawn(np.random.default_rng(0), "float32", 2, 5, 3, 4).swapaxes(1, 2)
    y, cache = _fast["rotary_forward"](x)
    assert y.swapaxes(1, 2).flags.c_contiguous
    assert _fast["rotary_backward"](y, cache).swapaxes(1, 2).flags.c_contiguous


def test_of_equally_near_codes_the_first_is_taken_and_nan_is_seen():
    z, C = np.zeros((1, 2)), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    e, cache = _fast["quantization_error_forward"](z, C)
    assert (e.tolist(), cache.index.tolist()) == ([1.0], [0])
    C[1] = np.nan
    e, cache = _fast["quantization_error_forward"](z, C)
    assert np.isnan(e).all() and cache.index.tolist() == [1]


def test_labels_that_are_ignored_count_nothing():
    for mean in (True, False):
        labels = np.array([[3, -1], [-1, 0]])
        y = np.zeros((2, 2, 4), "float32")
        kept, factors = kernels.counted(labels, -1, mean, y)
        assert kept.tolist() == [[3, 0], [0, 0]]
        each = 0.5 if mean else 1.0
        assert factors.tolist() == [[each, 0.0], [0.0, each]] and factors.dtype == y.dtype
    assert kernels.counted(labels.astype("int32"), -1, True, y) is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_three_axes_of_any_strides_are_put_where_they_belong(dtype):
    rng = np.random.default_rng(0)
    for _ in range(200):
        shape = sizes(rng, 5, 5, 9)
        x = drawn(rng, dtype, *(2 * n for n in shape))[
            tuple(slice(None, None, int(rng.choice([-2, 2]))) for _ in range(3))
        ].transpose(order := rng.permutation(3))
        y = drawn(rng, dtype, *x.shape)
        y = y if rng.random() < 0.5 else np.asfortranarray(y)
        right = y + x
        kernels.place(x, y, True)
        np.testing.assert_array_equal(y, right, err_msg=str((shape, order)))
        kernels.place(x, y)
        np.testing.assert_array_equal(y, x)
        kernels.place(None, y)
        assert not y.any()


def test_what_is_not_served_is_declined():
    x = drawn(np.random.default_rng(0), "float32", 2, 3, 4)
    for bad in (x[..., ::2], x.astype("float16"), x.tolist(), x[0, 0, 0]):
        assert _fast["rotary_forward"](bad) is NotImplemented
        assert _fast["reverse_forward"](bad) is NotImplemented
        assert _fast["global_average_pooling1d_forward"](bad) is NotImplemented
        assert _fast["concatenate_forward"](bad) is NotImplemented
        assert _fast["quantization_error_forward"](bad, x[0]) is NotImplemented
        assert _fast["relu_squared_forward"](bad) is NotImplemented
    assert _fast["rotary_forward"](x[..., :3]) is NotImplemented  # pairs
    assert _fast["reverse_forward"](x, np.array([4, 0])) is NotImplemented  # there are three
    assert _fast["add_positions_forward"](x, x[0, :2]) is NotImplemented
    assert _fast["add_positions_forward"](x, x[0], start=1) is NotImplemented
    y, cache = _fast["reverse_forward"](x)
    for bad in (y[:1], y.astype("float64"), y.tolist(), y.T):
        assert _fast["reverse_backward"](bad, cache) is NotImplemented
