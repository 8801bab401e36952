"""Sounds that are made: what was asked for is in them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from minienc.data.sounds import (
    BANDWIDTHS,
    FORMANTS,
    Speaker,
    chirp,
    make_vowels,
    resonated,
    tone,
    vowel,
)
from minienc.data.spectra import stft


def test_a_tone_and_a_chirp_have_their_frequencies():
    spectrum = abs(stft(tone(1000, 0.5), 256, 128, center=False))
    assert (spectrum.argmax(axis=1) == 32).all()  # 1,000 Hz of bins of 31.25
    peaks = abs(stft(chirp(500, 3500, 1.0), 256, 128, center=False)).argmax(axis=1) * 31.25
    middles = (np.arange(len(peaks)) * 128 + 128) / 8000
    np.testing.assert_allclose(peaks, 500 + 3000 * middles, atol=40)


def test_the_resonators_are_the_recursion_that_is_written_above_them():
    source = np.zeros(400)
    source[3] = 1
    expected = scipy.signal.lfilter([1], [1, -0.9], source)
    for formant, bandwidth in zip((500, 1500, 2500), BANDWIDTHS, strict=True):
        r, c = np.exp(-np.pi * bandwidth / 8000), np.cos(2 * np.pi * formant / 8000)
        a = [1, -2 * r * c, r * r]
        expected = scipy.signal.lfilter([sum(a)], a, expected)
    found = resonated(source, np.array([500, 1500, 2500]), 8000)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("word", ["heed", "hod", "who'd"])
def test_a_vowel_has_its_formants(word):
    """Its smoothed spectrum is louder at each formant than half way to the next."""
    y = vowel(word, Speaker("s", 1.0, 100), np.random.default_rng(0), 0.5)
    assert y.dtype == np.float32 and y.shape == (4000,) and abs(y).max() <= 1
    power = np.convolve(abs(np.fft.rfft(y[1000:3400] * np.hanning(2400))) ** 2, np.ones(60), "same")
    at = lambda f: power[round(f * 2400 / 8000)]  # noqa: E731
    first, second, _ = FORMANTS[word]
    assert at(first) > 2 * at((first + second) / 2)
    assert at(second) > at((first + 2 * second) / 3)


def test_the_same_seed_makes_the_same_bits():
    one, two, other = (make_vowels(2, 1, seed) for seed in (3, 3, 4))
    assert one.names == two.names and len(one.sounds) == 20
    for a, b in zip(one.sounds, two.sounds, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one.sounds[0], other.sounds[0])
    assert set(one.labels) == set(FORMANTS) and one.speakers[0] == "s00" != one.speakers[-1]
    assert one.rate == 8000 and all(np.isfinite(y).all() for y in one.sounds)
