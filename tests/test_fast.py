"""Every function of ``fast/`` is its definition, only faster.

What is registered there is found by itself: each pair is run over the cases of its definition, in
both dtypes, and compared. The comparison is shown to fail for twins that are nearly right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minienc import primitive as module
from minienc.functions import sigmoid_forward
from minienc.primitive import REGISTRY, register_fast
from tests.cases import FORWARDS, all_cases, call, parts
from tests.functions.test_gradients import cotangent

sigmoid_forward(np.zeros(1))  # opens the door: from here on, what fast/ has is registered
TOLERANCE = {"float32": 2e-6, "float64": 1e-13}


@pytest.fixture
def door(monkeypatch):
    """The faster functions of one test alone."""
    monkeypatch.setattr(module, "_fast", {})


def outputs(result: Any) -> list:
    return [r for r in (result if isinstance(result, tuple) else (result,)) if r is not None]


def forward_and_backward(name: str, arguments: tuple, options: dict) -> list:
    forward = REGISTRY[name]
    y, cache = call(forward, arguments, options)
    dtype, dy = parts(y)[0].dtype, cotangent(y, np.random.default_rng(1))
    if isinstance(dy, tuple):
        dy = tuple(part.astype(dtype) for part in dy)
    else:
        dy = np.asarray(dy, dtype=dtype)
    return [*parts(y), *outputs(forward.backward(dy, cache))]


def compare(name: str, monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    """The pair through the door, against the pair of the definitions."""
    for arguments, options in all_cases(name):
        cast = tuple(
            a.astype(dtype) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a
            for a in arguments
        )
        fast = forward_and_backward(name, cast, options)
        with monkeypatch.context() as closed:
            closed.setattr(module, "_fast", {})
            slow = forward_and_backward(name, cast, options)
        for one, two in zip(fast, slow, strict=True):
            assert one.dtype == two.dtype and one.shape == two.shape
            scale = max(1.0, float(np.abs(two).max(initial=0)))
            np.testing.assert_allclose(one, two, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("dtype", sorted(TOLERANCE))
@pytest.mark.parametrize("name", FORWARDS)
def test_through_the_door_or_not_is_the_same(name, dtype, monkeypatch):
    compare(name, monkeypatch, dtype)


@pytest.mark.parametrize("error", [0, 1e-5, "transposed sum", "float64"])
def test_a_twin_that_is_nearly_right_is_found(door, error, monkeypatch):
    def dense_backward(dy, cache):
        dx, dW, db = REGISTRY["dense_backward"].definition(dy, cache)
        if error == "transposed sum":
            return dx, dW, db[::-1].copy()
        if error == "float64":
            return dx.astype("float64"), dW, db
        return dx, dW * (1 + error), db

    register_fast(dense_backward)
    if error == 0:
        compare("dense_forward", monkeypatch, "float32")
        return
    with pytest.raises(AssertionError):
        compare("dense_forward", monkeypatch, "float32")
