"""Copying: the mixture and its loss beside slow loops, and where logarithms would overflow."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.functions import (
    attention_forward,
    attention_with_weights_backward,
    attention_with_weights_forward,
    copying_crossentropy_backward,
    copying_crossentropy_forward,
    copying_forward,
    softmax_forward,
)

RNG = np.random.default_rng(3)


def drawn(N=2, T=3, S=4, V=6, dtype=float):
    rng = np.random.default_rng(N * 1000 + T * 100 + S * 10 + V)
    z, s = rng.standard_normal((N, T, V)), rng.standard_normal((N, T))
    a = rng.dirichlet(np.ones(S), (N, T))
    source = rng.integers(0, V, (N, S))
    return z.astype(dtype), s.astype(dtype), a.astype(dtype), source


def mixture(z, s, a, source):
    """p, word by word."""
    p = np.zeros_like(z)
    for n, t in np.ndindex(s.shape):
        g, v = 1 / (1 + np.exp(-s[n, t])), np.exp(z[n, t]) / np.exp(z[n, t]).sum()
        for w in range(z.shape[-1]):
            p[n, t, w] = g * v[w]
            for j, word in enumerate(source[n]):
                p[n, t, w] += (1 - g) * a[n, t, j] * (word == w)
    return p


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(2, 7))
def test_the_mixture_is_that_of_a_loop_and_sums_to_one(N, T, S, V):
    z, s, a, source = drawn(N, T, S, V)
    p, _ = copying_forward(softmax_forward(z)[0], 1 / (1 + np.exp(-s)), a, source)
    np.testing.assert_allclose(p, mixture(z, s, a, source), rtol=1e-12)
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-12)


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(2, 7))
def test_the_loss_is_minus_the_logarithm_of_the_mixture(N, T, S, V):
    z, s, a, source = drawn(N, T, S, V)
    labels = np.random.default_rng(S).integers(-1, V, (N, T))
    l, _ = copying_crossentropy_forward(z, s, a, source, labels, "none", ignore_class=-1)  # noqa: E741
    p = np.take_along_axis(mixture(z, s, a, source), np.maximum(labels, 0)[..., None], -1)[..., 0]
    np.testing.assert_allclose(l, np.where(labels < 0, 0, -np.log(p)), rtol=1e-10, atol=1e-12)


def test_smoothing_is_of_what_is_written_by_oneself():
    z, s, a, source = drawn()
    labels = RNG.integers(0, 6, (2, 3))
    sharp, _ = copying_crossentropy_forward(z, s, a, source, labels, "none")
    smooth, _ = copying_crossentropy_forward(z, s, a, source, labels, "none", None, 0.1)
    mean = (z - np.log(np.exp(z).sum(-1, keepdims=True))).mean(-1)
    np.testing.assert_allclose(smooth, 0.9 * sharp - 0.1 * mean, rtol=1e-12)


def test_the_mean_is_over_what_counts_however_batches_are_cut():
    z, s, a, source = drawn()
    labels = np.array([[1, -1, -1], [2, 3, 4]])
    whole, _ = copying_crossentropy_forward(z, s, a, source, labels, ignore_class=-1)
    parts = [
        copying_crossentropy_forward(
            z[n : n + 1],
            s[n : n + 1],
            a[n : n + 1],
            source[n : n + 1],
            labels[n : n + 1],
            "sum",
            -1,
        )[0]
        for n in (0, 1)
    ]
    assert whole == pytest.approx(sum(parts) / 4, rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [30, 300])
def test_what_is_certain_or_impossible_stays_finite(dtype, size):
    z, s, a, source = drawn(dtype=dtype)
    a[:, :, 1:] = 0  # all attention on the first word
    a[:, :, 0] = 1
    labels = np.array([[source[0, 0], 0, 1], [source[1, 0], 2, 3]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for sign in (1, -1):
            loss, cache = copying_crossentropy_forward(
                z * np.array(size, dtype), np.full_like(s, sign * size), a, source, labels
            )
            assert np.isfinite(loss) and loss.dtype == dtype
            assert all(np.isfinite(d).all() for d in copying_crossentropy_backward(1.0, cache))


def test_it_learns_to_copy_what_the_vocabulary_holds_unlikely():
    z, s, a, source = drawn()
    labels = source[:, :3].copy()
    z[...] = 0
    z[0, 0, labels[0, 0]] = -9  # a rare name
    _, cache = copying_crossentropy_forward(z, s, a, source, labels, "sum")
    dz, ds, da = copying_crossentropy_backward(1.0, cache)
    assert ds[0, 0] > 0  # descent lowers g: less by oneself
    assert da[0, 0, 0] < 0 and (da[0, 0][source[0] != labels[0, 0]] == 0).all()
    assert dz.shape == z.shape


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"label_smoothing": 1}, "label_smoothing is 1"),
        ({"source": np.full((2, 4), 6)}, "6"),
        ({"labels": np.full((2, 3), 7)}, "7"),
        ({"a": np.ones((2, 3, 5))}, "a is"),
    ],
)
def test_what_does_not_fit_is_told(change, what):
    z, s, a, source = drawn()
    given = {"a": a, "source": source, "labels": np.zeros((2, 3), int)} | change
    with pytest.raises(ValueError, match=what):
        copying_crossentropy_forward(z, s, **given)


def test_attention_with_its_weights_is_the_attention():
    q, k, v = (RNG.standard_normal((2, n, 4)) for n in (3, 5, 5))
    lengths = np.array([5, 2])
    (y, p), cache = attention_with_weights_forward(q, k, v, lengths)
    expected, own = attention_forward(q, k, v, lengths)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_allclose(p @ v, y, rtol=1e-6)
    assert (p[1, :, 2:] == 0).all() and not np.shares_memory(p, cache.p)
    through_y = attention_forward.backward(np.ones_like(y), own)
    both = attention_with_weights_backward((np.ones_like(y), np.zeros_like(p)), cache)
    for one, other in zip(both, through_y, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)
