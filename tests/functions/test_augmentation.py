"""What makes other recordings of spectrograms does what is written above it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.functions import (
    center_steps_backward,
    center_steps_forward,
    mask_steps_backward,
    mask_steps_forward,
    random_equalizer_forward,
    random_stretch_forward,
    spec_augment_forward,
)
from minienc.layers import Lengths, RandomEqualizer, RandomStretch, SpecAugment

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 24, 10))
FORWARDS = (random_equalizer_forward, random_stretch_forward, spec_augment_forward)


@pytest.mark.parametrize("forward", FORWARDS)
def test_without_a_generator_nothing_changes_and_with_one_the_seed_decides(forward):
    y, _ = forward(X)
    np.testing.assert_array_equal(y, X)
    assert not np.shares_memory(y, X)
    one, two, other = (forward(X, rng=np.random.default_rng(s))[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any() and (one != X).any()
    single = forward(X.astype("float32"), rng=np.random.default_rng(1))[0]
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, one, atol=1e-4)
    with pytest.raises(TypeError, match=r"expected a numpy\.random\.Generator"):
        forward(X, rng=3)


def test_stripes_are_hidden_and_no_more():
    y, _ = spec_augment_forward(X, 1, 6.0, 1, 3.0, rng=np.random.default_rng(0))
    hidden = y == 0
    frames, bands = hidden.all(axis=2), hidden.all(axis=1)
    np.testing.assert_array_equal(hidden, frames[:, :, None] | bands[:, None, :])
    for stripes, most in ((frames, 6), (bands, 3)):
        widths = stripes.sum(axis=1)
        assert 0 < widths.mean() < most and widths.max() <= most
        for row in stripes:  # in one piece
            assert (np.diff(np.flatnonzero(row)) == 1).all()
    np.testing.assert_array_equal(y[~hidden], X[~hidden])


def test_stretching_moves_what_is_there():
    """A bump at one place is found at place / factor, factor within its bounds."""
    t = np.arange(40)
    x = np.exp(-0.5 * ((t - 20) / 2.0) ** 2)[None, :, None] * np.ones((200, 1, 6))
    y, cache = random_stretch_forward(x, time=0.2, frequency=0.0, rng=np.random.default_rng(0))
    found = 20 / y[:, :, 0].argmax(axis=1)
    assert 0.75 < found.min() < 0.88 and 1.12 < found.max() < 1.3
    np.testing.assert_allclose(cache.A.sum(axis=2)[:, :15], 1, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=2), 0, atol=1e-12)  # bands are as they were
    same, _ = random_stretch_forward(x, 0.0, 0.0, rng=np.random.default_rng(0))
    np.testing.assert_allclose(same, x, atol=1e-12)


def test_padding_stays_padding():
    x = X.copy()
    x[:, 15:] = 0
    for forward in FORWARDS[:1] + FORWARDS[2:]:
        y, _ = forward(x, rng=np.random.default_rng(0))
        assert not y[:, 15:].any()
    y, _ = random_stretch_forward(x, time=0.3, frequency=0.0, rng=np.random.default_rng(0))
    lengths = Lengths()(y)
    assert lengths.min() >= 11 and lengths.max() <= 22 and len(set(lengths.tolist())) > 5


def test_an_equalizer_adds_the_same_smooth_curve_to_every_frame():
    y, _ = random_equalizer_forward(X, 0.5, rng=np.random.default_rng(0))
    e = y - X
    np.testing.assert_allclose(e.std(axis=1), 0, atol=1e-12)
    curves = e[:, 0]
    np.testing.assert_allclose(curves.mean(axis=1), 0, atol=1e-12)  # no louder as a whole
    spectrum = np.abs(curves @ np.cos(np.pi * np.outer(np.arange(10) + 0.5, np.arange(10)) / 10))
    assert spectrum[:, 5:].max() < 1e-9 < spectrum[:, 1].mean()


@pytest.mark.parametrize(
    "make",
    [
        lambda: SpecAugment(-1),
        lambda: SpecAugment(1, -2.0),
        lambda: RandomStretch(1.0),
        lambda: RandomStretch(0.1, -0.1),
        lambda: RandomEqualizer(-1),
        lambda: Lengths(0),
    ],
)
def test_layers_refuse_what_cannot_be(make):
    with pytest.raises(ValueError, match="expected"):
        make()


# ------------------------------------------------------------------------- lengths and their masks


def test_lengths_are_up_to_the_last_frame_that_is_not_zero():
    x = np.zeros((5, 9, 3))
    x[1, 4, 2] = 1
    x[2, [0, 8], 0] = -1
    x[3, 0] = 2
    x[4] = 1
    np.testing.assert_array_equal(Lengths()(x), [0, 5, 9, 1, 9])
    np.testing.assert_array_equal(Lengths(2)(x), [0, 3, 5, 1, 5])
    np.testing.assert_array_equal(Lengths(4)(x), [0, 2, 3, 1, 3])
    assert Lengths()(x).dtype == np.int32


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 2), (3, 4, 2, 5)])
def test_steps_behind_the_end_are_made_zero_both_ways(shape):
    x, n = RNG.standard_normal(shape), np.array([4, 0, 2])
    y, cache = mask_steps_forward(x, n)
    dx = mask_steps_backward(np.ones(shape), cache)
    for row, back, own, length in zip(y, dx, x, n, strict=True):
        np.testing.assert_array_equal(row[:length], own[:length])
        assert not row[length:].any() and not back[length:].any() and (back[:length] == 1).all()
    with pytest.raises(ValueError, match=r"lengths"):
        mask_steps_forward(x, np.array([5, 0, 2]))


@given(st.integers(1, 5), st.integers(1, 9), st.integers(0, 2**31))
def test_centred_steps_are_the_mean_away_from_what_counts(N, T, seed):
    rng = np.random.default_rng(seed)
    x, n = rng.standard_normal((N, T, 3)), rng.integers(0, T + 1, N)
    y, cache = center_steps_forward(x, n)
    for row, own, k in zip(y, x, n, strict=True):
        expected = own[:k] - own[:k].mean(axis=0) if k else own[:0]
        np.testing.assert_allclose(row[:k], expected, atol=1e-12)
        assert not row[k:].any()
    shifted, _ = center_steps_forward(x + np.array([3.0, -2.0, 0.5]), n)
    np.testing.assert_allclose(shifted, y, atol=1e-12)
    dx = center_steps_backward(rng.standard_normal(x.shape), cache)
    np.testing.assert_allclose(dx.sum(axis=1), 0, atol=1e-12)  # along a shift there is no slope


def test_lengths_that_cannot_be_are_refused_by_the_mean_too():
    with pytest.raises(ValueError, match="center_steps_forward: lengths"):
        center_steps_forward(np.ones((2, 4, 3)), np.array([5, 0]))
