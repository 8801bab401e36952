"""Convolution and pooling along time: against PyTorch and slow loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.functions import (
    conv1d_backward,
    conv1d_forward,
    global_average_pooling1d_backward,
    global_average_pooling1d_forward,
    global_max_pooling1d_backward,
    global_max_pooling1d_forward,
)

RNG = np.random.default_rng(3)


def normal(*shape):
    return RNG.standard_normal(shape)


@given(
    T=st.integers(1, 9),
    K=st.integers(1, 4),
    strides=st.integers(1, 3),
    dilation=st.integers(1, 3),
    padding=st.sampled_from(["valid", "same", "causal"]),
)
def test_a_slow_loop_agrees(T, K, strides, dilation, padding):
    rng = np.random.default_rng(T)
    x, W, b = rng.standard_normal((2, T, 2)), rng.standard_normal((K, 2, 3)), np.arange(3.0)
    reach = (K - 1) * dilation + 1
    if padding == "valid" and reach > T:
        with pytest.raises(ValueError, match=f"reaches over {reach} steps, and x has {T}"):
            conv1d_forward(x, W, b, strides, padding, dilation)
        return
    y, _ = conv1d_forward(x, W, b, strides, padding, dilation)
    n = {"valid": (T - reach) // strides + 1, "causal": -(-T // strides), "same": -(-T // strides)}
    missing = max((n["same"] - 1) * strides + reach - T, 0)
    before = {"valid": 0, "causal": reach - 1, "same": missing // 2}[padding]
    assert y.shape == (2, n[padding], 3)
    for t in range(n[padding]):
        expected = np.tile(b, (2, 1))
        for k in range(K):
            place = t * strides + k * dilation - before
            if 0 <= place < T:
                expected = expected + x[:, place] @ W[k]
        np.testing.assert_allclose(y[:, t], expected, atol=1e-12)


@pytest.mark.parametrize(("strides", "dilation"), [(1, 1), (2, 1), (1, 3)])
def test_pytorch_agrees(strides, dilation):
    torch = pytest.importorskip("torch")
    x, W, b = normal(3, 11, 4), normal(3, 4, 5), normal(5)
    y, cache = conv1d_forward(x, W, b, strides, "valid", dilation)
    dy = normal(*y.shape)
    tx, tW, tb = (torch.tensor(a, requires_grad=True) for a in (x, W, b))
    theirs = torch.nn.functional.conv1d(
        tx.transpose(1, 2), tW.permute(2, 1, 0), tb, stride=strides, dilation=dilation
    ).transpose(1, 2)
    np.testing.assert_allclose(y, theirs.detach().numpy(), atol=1e-12)
    theirs.backward(torch.tensor(dy))
    for one, two in zip(conv1d_backward(dy, cache), (tx, tW, tb), strict=True):
        np.testing.assert_allclose(one, two.grad.numpy(), atol=1e-11)


def test_a_causal_kernel_hears_nothing_of_what_comes():
    x, W = normal(1, 8, 2), normal(3, 2, 4)
    y, _ = conv1d_forward(x, W, padding="causal", dilation_rate=2)
    later = x.copy()
    later[:, 5:] += 1
    changed, _ = conv1d_forward(later, W, padding="causal", dilation_rate=2)
    np.testing.assert_array_equal(changed[:, :5], y[:, :5])
    assert (changed[:, 5:] != y[:, 5:]).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"padding": "full"}, "padding is 'full', expected 'valid', 'same' or 'causal'"),
        ({"strides": 0}, "strides is 0, expected a positive integer"),
        ({"dilation_rate": 1.5}, "dilation_rate is 1.5, expected a positive integer"),
    ],
)
def test_what_cannot_be_is_refused(options, says):
    with pytest.raises(ValueError, match=says):
        conv1d_forward(normal(1, 4, 2), normal(2, 2, 3), **options)


POOLS = {
    "mean": (global_average_pooling1d_forward, global_average_pooling1d_backward, np.mean),
    "max": (global_max_pooling1d_forward, global_max_pooling1d_backward, np.max),
}


@pytest.mark.parametrize("kind", POOLS)
def test_what_stands_behind_a_sequence_takes_no_part(kind):
    forward, backward, slow = POOLS[kind]
    x, lengths = normal(4, 5, 3), np.array([5, 2, 0, 1])
    y, cache = forward(x, lengths)
    dy = normal(4, 3)
    dx = backward(dy, cache)
    for n, length in enumerate(lengths):
        expected = slow(x[n, :length], axis=0) if length else np.zeros(3)
        np.testing.assert_allclose(y[n], expected)
        assert not dx[n, length:].any()
        np.testing.assert_allclose(dx[n].sum(axis=0), dy[n] if length else np.zeros(3))
    loud = x.copy()
    loud[1, 2:] = 1e6
    np.testing.assert_array_equal(forward(loud, lengths)[0], y)
