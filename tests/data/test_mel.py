"""Mel bands, cepstra and slopes beside librosa, SciPy and plain sums."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import scipy.signal

from minienc.data.mel import (
    dct_matrix,
    deltas,
    hz_to_mel,
    log_mel,
    magnitude_from_log_mel,
    mel_filters,
    mel_to_hz,
    mfcc,
)
from minienc.data.spectra import stft

RNG = np.random.default_rng(0)
X = RNG.standard_normal(4000)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_the_scale_goes_there_and_back(scale):
    f = np.array([0, 1, 60, 440, 999.9, 1000, 1001, 8000, 20000])
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(f, scale), scale), f, atol=1e-9)
    assert (np.diff(hz_to_mel(f, scale)) > 0).all()
    assert hz_to_mel(1000.0, scale) == pytest.approx({"htk": 999.9855, "slaney": 15}[scale])
    with pytest.raises(ValueError, match="scale is 'bark'"):
        hz_to_mel(1.0, "bark")


@pytest.mark.parametrize("htk", [True, False])
@pytest.mark.parametrize("norm", [None, "slaney"])
@pytest.mark.parametrize("sizes", [(8000, 256, 24, 50), (22050, 2048, 128, 0)])
def test_librosa_has_the_same_filters(htk, norm, sizes):
    rate, n_fft, n_mels, f_min = sizes
    librosa = pytest.importorskip("librosa")
    theirs = librosa.filters.mel(
        sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=f_min, htk=htk, norm=norm, dtype=np.float64
    )
    scale = "htk" if htk else "slaney"
    ours = mel_filters(rate, n_fft, n_mels, f_min, scale=scale, norm=norm)
    np.testing.assert_allclose(ours, theirs.T, rtol=0, atol=1e-12)


def test_filters_are_triangles_that_overlap():
    H = mel_filters(8000, 4096, 10, 100, 3000)
    assert H.shape == (2049, 10)
    assert H.max() <= 1 and (H.max(axis=0) > 0.99).all()
    f = np.arange(2049) * 8000 / 4096
    points = mel_to_hz(np.linspace(hz_to_mel(100), hz_to_mel(3000), 12))
    between = (f > points[1]) & (f < points[-2])
    np.testing.assert_allclose(H[between].sum(axis=1), 1)  # each falls as the next one rises
    areas = (mel_filters(8000, 4096, 10, 100, 3000, norm="slaney") * 8000 / 4096).sum(axis=0)
    np.testing.assert_allclose(areas, 1, rtol=2e-3)


def test_what_filters_refuse():
    with pytest.raises(ValueError, match=r"f_max 5000 Hz, expected .* <= 4000, half the rate"):
        mel_filters(8000, 256, 20, 0, 5000)
    with pytest.raises(ValueError, match=r"band 0 of 80, .* take fewer bands, or a larger n_fft"):
        mel_filters(8000, 128, 80)
    with pytest.raises(ValueError, match="norm is 'area'"):
        mel_filters(8000, 256, 20, norm="area")


def test_log_mel_is_what_librosa_and_plain_sums_say():
    ours = log_mel(X, 8000, 256, 80, 24, 50)
    power = abs(stft(X, 256, 80)) ** 2
    np.testing.assert_allclose(ours, np.log(power @ mel_filters(8000, 256, 24, 50)), rtol=1e-12)
    assert ours.shape == (51, 24)
    assert log_mel(X.astype("float32"), 8000, 256, 80, 24, 50).dtype == np.float32
    assert (log_mel(np.zeros(400), 8000, 256, 80, 24, 50) == np.log(1e-10)).all()
    librosa = pytest.importorskip("librosa")
    theirs = librosa.feature.melspectrogram(
        y=X, sr=8000, n_fft=256, hop_length=80, n_mels=24, fmin=50, htk=True, norm=None,
        pad_mode="constant",
    )  # fmt: skip
    np.testing.assert_allclose(ours, np.log(theirs.T), atol=1e-6)


def test_mfcc_is_scipy_s_transform_of_it():
    m = log_mel(X, 8000, 256, 80, 24)
    ours, whole = mfcc(m), scipy.fft.dct(m, type=2, norm="ortho", axis=-1)
    np.testing.assert_allclose(ours, whole[:, :13], rtol=0, atol=1e-12)
    D = dct_matrix(24, 24)
    np.testing.assert_allclose(D @ D.T, np.eye(24), atol=1e-12)
    with pytest.raises(ValueError, match="n_out is 25, expected 1 to 24"):
        dct_matrix(24, 25)
    librosa = pytest.importorskip("librosa")
    np.testing.assert_allclose(ours, librosa.feature.mfcc(S=m.T, n_mfcc=13).T, atol=1e-12)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_deltas_are_the_slopes_of_lines(width):
    c = RNG.standard_normal((3, 20, 5))
    theirs = scipy.signal.savgol_filter(
        c, 2 * width + 1, polyorder=1, deriv=1, axis=1, mode="nearest"
    )
    np.testing.assert_allclose(deltas(c, width), theirs, atol=1e-12)
    line = np.arange(30.0)[:, None] * [2, -1]
    np.testing.assert_allclose(deltas(line, width)[width:-width], [[2, -1]] * (30 - 2 * width))
    assert deltas(c[:, :1], width).shape == (3, 1, 5) and not deltas(c[:, :1], width).any()


def test_magnitudes_are_found_that_have_these_bands():
    H = mel_filters(8000, 256, 24, 50)
    m = log_mel(X, 8000, 256, 80, 24, 50)
    found = magnitude_from_log_mel(m, H, n_iter=500)
    assert found.min() >= 0 and found.shape == (51, 129)
    np.testing.assert_allclose(np.log(found**2 @ H), m, atol=0.05)
