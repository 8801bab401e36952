"""Second entries of ``fast/``: they put where it belongs what the backward returns, and no more.

``X_backward_into(dy, cache, into, write, need_dx)`` is compared with the definition of the
backward, for everything that may be wanted: the compiled kernel's, those in plain array code, and
those for a GPU, on the stand-in.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys

import numpy as np
import pytest

from minienc import primitive as module
from minienc.functions import dense_forward
from minienc.layers import Conv2D, Conv2DTranspose, Dense, DenseTranspose, Input, MultiHeadAttention
from minienc.models import Model
from minienc.primitive import REGISTRY, recording
from tests import cuda_double as double
from tests.cases import all_cases, call
from tests.functions.test_gradients import cotangent

if os.environ.get("MINIENC_KERNEL") == "0":
    pytest.skip("MINIENC_KERNEL=0: there are none", allow_module_level=True)

dense_forward(np.zeros((1, 1)), np.zeros((1, 1)))  # opens the door: what fast/ has is registered

from minienc.fast import into as plain  # noqa: E402

NAMES = [
    *("dense_backward_into", "conv2d_backward_into", "conv2d_transpose_backward_into"),
    "multi_head_attention_backward_into",
]
TOLERANCE = {"float32": 5e-6, "float64": 1e-13}


def test_these_are_all():
    assert {name for name in module._fast if name.endswith("_into")} == set(NAMES)
    assert {n for n, p in REGISTRY.items() if p.has_second_entry} == {n[:-5] for n in NAMES}


def same(one, two):
    dtype = str(two.dtype)
    assert one.dtype == two.dtype and one.shape == two.shape
    scale = max(1.0, float(np.abs(two).max(initial=0)))
    np.testing.assert_allclose(one, two, rtol=0, atol=TOLERANCE[dtype] * scale)


def check(name, second, dtype, over=lambda a: a, back=lambda a: a):
    """Every case, with every part of what may be wanted."""
    backward = REGISTRY[name.removesuffix("_into")]
    forward = REGISTRY[backward.__name__.replace("backward", "forward")]
    for arguments, options in all_cases(forward.__name__):
        cast = [
            a.astype(dtype) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a
            for a in arguments
        ]
        moved = [over(a) if isinstance(a, np.ndarray) else a for a in cast]
        y, cache = call(forward, tuple(moved), options)
        dy = np.asarray(cotangent(back(y), np.random.default_rng(1)), dtype)
        expected = backward.definition(dy, forward.definition(*cast, **options)[1])
        n = 2 if name.startswith("multi_head") else 1  # so many belong to x
        weights = expected[n:]
        for write, need_dx in itertools.product((True, False), repeat=2):
            dx = second(over(dy), cache, None, write, need_dx)
            assert_dx(dx, expected[:n], need_dx, back)
            for which in what_may_be_wanted(weights):
                start = np.dtype(dtype).type(np.nan if write else 0.5)
                into = [
                    over(np.full(g.shape, start, dtype)) if is_wanted else None
                    for g, is_wanted in zip(weights, which, strict=True)
                ]
                dx = second(over(dy), cache, into, write, need_dx)
                assert_dx(dx, expected[:n], need_dx, back)
                for total, g in zip(into, weights, strict=True):
                    if total is not None:
                        same(back(total), g if write else start + g)


def what_may_be_wanted(weights):
    """Every choice of some gradients; of many, all but one, or one, or none."""
    there = [g is not None for g in weights]
    if len(there) <= 3:
        return set(itertools.product(*[(is_there, False) for is_there in there]))
    one = [tuple(t and i == k for i, t in enumerate(there)) for k in range(len(there))]
    but_one = [tuple(t and i != k for i, t in enumerate(there)) for k in range(len(there))]
    return {*one, *but_one, tuple(there), (False,) * len(there)}


def assert_dx(dx, expected, need_dx, back):
    if not need_dx:
        assert dx is None
        return
    for one, two in zip(dx if len(expected) > 1 else (dx,), expected, strict=True):
        assert (one is None) == (two is None)
        if one is not None:
            same(back(one), two)


@pytest.mark.parametrize("dtype", sorted(TOLERANCE))
@pytest.mark.parametrize("name", NAMES)
def test_what_serves_here_is_the_backward(name, dtype):
    check(name, module._fast[name], dtype)


@pytest.mark.parametrize("dtype", sorted(TOLERANCE))
@pytest.mark.parametrize("name", NAMES)
def test_plain_array_code_is_the_backward(name, dtype, monkeypatch):
    monkeypatch.setattr(module, "_fast", {n: getattr(plain, n) for n in NAMES})
    check(name, module._fast[name], dtype)


@pytest.mark.skipif(
    shutil.which("g++") is None or sys.platform != "linux",
    reason="the stand-in compiles its kernels with g++, on Linux",
)
@pytest.mark.parametrize("dtype", sorted(TOLERANCE))
@pytest.mark.parametrize("name", NAMES)
def test_on_a_gpu_it_is_the_backward(name, dtype):
    with double.installed():
        dense_forward(double.asarray(np.zeros((1, 1))), double.asarray(np.zeros((1, 1))))
        second = module._fast_of_type[double.ndarray][name]
        check(name, second, dtype, double.asarray, lambda a: a.get())


def test_the_comparison_sees_what_is_wrong():
    right = plain.dense_backward_into

    def adds_always(dy, cache, into, write, need_dx):
        return right(dy, cache, into, False, need_dx)

    def never_leaves_out(dy, cache, into, write, need_dx):
        return right(dy, cache, into, write, True)

    def forgets_the_bias(dy, cache, into, write, need_dx):
        return right(dy, cache, into and (into[0], None), write, need_dx)

    for wrong in (adds_always, never_leaves_out, forgets_the_bias):
        with pytest.raises(AssertionError):
            check("dense_backward_into", wrong, "float64")


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_cotangent_is_the_definitions_to_refuse(name):
    backward = REGISTRY[name.removesuffix("_into")]
    forward = REGISTRY[backward.__name__.replace("backward", "forward")]
    arguments, options = all_cases(forward.__name__)[0]
    y, cache = call(forward, arguments, options)
    for wrong in (y[:1], y[..., :1], y.astype("float32")):
        with pytest.raises((ValueError, TypeError), match="dy is"):
            if module._fast[name](wrong, cache, None, False, True) is NotImplemented:
                backward(wrong, cache)


def some_model():
    """Tied, shared and convolutional layers; the first needs no dx."""
    x = Input((4, 4, 1), dtype="float64")
    h = Conv2DTranspose(2, 2, 2, activation="tanh", seed=2)(Conv2D(3, 3, 2, "same", seed=1)(x))
    row = Input((6,), dtype="float64")
    dense = Dense(6, "elu", seed=3)
    tied = DenseTranspose(dense, "sigmoid", seed=4)(dense(dense(row)))
    steps = Input((3, 4), dtype="float64")
    heads = MultiHeadAttention(2, 2, causal=True, rotary=True, qk_norm=True, seed=5)(steps)
    return Model([x, row, steps], [h, tied, heads])


def test_the_binder_uses_it_and_while_somebody_listens_it_does_not(monkeypatch):
    model, rng = some_model(), np.random.default_rng(0)
    xs = [rng.standard_normal((5, *shape)) for shape in ((4, 4, 1), (6,), (3, 4))]
    ys, cache = model.forward(xs)
    used, heard, found = [], [], []
    for name in NAMES:
        second = module._fast[name]

        def watched(*args, _name=name, _second=second):
            used.append(_name)
            return _second(*args)

        monkeypatch.setitem(module._fast, name, watched)

    def backward():
        grads = model.new_gradients().zero()
        model.backward(ys, cache, grads)
        model.backward(ys, cache, grads, need_dx=False)
        dx = model.backward(ys, cache, None)
        found.append([grads.vector.copy(), *dx])

    backward()
    assert set(used) == set(NAMES)
    used.clear()
    with recording(lambda call: heard.append(call.primitive.__name__)):
        backward()
    assert not used
    assert {name.removesuffix("_into") for name in NAMES} <= set(heard)
    monkeypatch.setattr(module, "_fast", {})
    backward()  # by the definitions
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-12)
