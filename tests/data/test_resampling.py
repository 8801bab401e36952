"""Another rate, beside SciPy's, and what a resampled tone is."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from minienc.data.resampling import resample


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 300), st.integers(1, 24), st.integers(1, 24))
def test_scipy_has_the_same(length, rate, new_rate):
    x = np.random.default_rng(length).standard_normal(length)
    ours = resample(x, rate, new_rate)
    theirs = scipy.signal.resample_poly(x, new_rate, rate)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize(("rate", "new_rate"), [(44100, 8000), (8000, 16000), (22050, 16000)])
def test_a_tone_stays_the_tone(rate, new_rate):
    t, u = np.arange(rate) / rate, np.arange(new_rate) / new_rate
    y = resample(np.sin(2 * np.pi * 440 * t), rate, new_rate)
    assert len(y) == new_rate
    np.testing.assert_allclose(y[200:-200], np.sin(2 * np.pi * 440 * u)[200:-200], atol=2e-3)


def test_what_is_too_high_is_left_out_and_not_folded_down():
    t = np.arange(44100) / 44100
    y = resample(np.sin(2 * np.pi * 6000 * t), 44100, 8000)
    assert abs(y[200:-200]).max() < 2e-3


def test_the_same_rate_is_a_copy_and_dtypes_are_kept():
    x = np.arange(5, dtype="float32")
    y = resample(x, 8000, 8000)
    assert y is not x and (y == x).all()
    assert resample(x, 8000, 16000).dtype == np.float32


def test_what_is_refused():
    with pytest.raises(ValueError, match="from 0 to 8000 Hz"):
        resample(np.ones(3), 0, 8000)
    with pytest.raises(ValueError, match=r"44100 / 767999|767999 / 44100"):
        resample(np.ones(3), 767999, 44100)
