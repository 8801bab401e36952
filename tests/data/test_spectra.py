"""Short-time spectra beside a plain sum, SciPy, librosa and PyTorch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from minienc.data.spectra import cut_frames, griffin_lim, hann_window, istft, stft

RNG = np.random.default_rng(0)
X = RNG.standard_normal(1000)


def test_frames_are_where_they_should_be():
    frames = cut_frames(np.arange(11.0), 4, 3)
    np.testing.assert_array_equal(frames, [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]])
    assert cut_frames(np.zeros((2, 3, 11)), 4, 3).shape == (2, 3, 3, 4)
    with pytest.raises(ValueError, match="3 samples, expected at least a frame's 4"):
        cut_frames(np.zeros(3), 4, 3)
    with pytest.raises(ValueError, match="hop is 0"):
        cut_frames(np.zeros(9), 4, 0)


def test_the_window_is_periodic_hann():
    np.testing.assert_allclose(
        hann_window(12), scipy.signal.get_window("hann", 12, fftbins=True), atol=1e-15
    )


def test_a_spectrum_is_the_sum_that_is_written_above_it():
    n, hop, t, k = 16, 5, 3, 4
    w = hann_window(n)
    frame = np.pad(X, n // 2)[t * hop : t * hop + n]
    expected = sum(w[i] * frame[i] * np.exp(-2j * np.pi * k * i / n) for i in range(n))
    assert stft(X, n, hop)[t, k] == pytest.approx(expected)
    assert stft(X, n, hop, center=False)[0, 0] == pytest.approx(w @ X[:n])


@pytest.mark.parametrize(("n", "hop"), [(256, 80), (64, 64 // 4), (32, 7)])
def test_scipy_has_the_same(n, hop):
    w = hann_window(n)
    other = scipy.signal.ShortTimeFFT(w, hop, fs=1, scale_to=None, phase_shift=None)
    T = 1 + len(X) // hop
    np.testing.assert_allclose(
        stft(X, n, hop), other.stft(X, p0=0, p1=T, k_offset=0).T, rtol=0, atol=1e-12
    )
    _, _, Z = scipy.signal.stft(
        X, window=w, nperseg=n, noverlap=n - hop, boundary="zeros", padded=False
    )
    np.testing.assert_allclose(stft(X, n, hop)[: Z.shape[1]], Z.T * w.sum(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("center", [True, False])
def test_librosa_and_torch_have_the_same(center):
    librosa = pytest.importorskip("librosa")
    ours = stft(X, 256, 80, center=center)
    theirs = librosa.stft(X, n_fft=256, hop_length=80, center=center, pad_mode="constant").T
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        istft(ours, 80, center=center)[20:-20],
        librosa.istft(theirs.T, hop_length=80, n_fft=256, center=center)[20:-20],
        atol=1e-12,
    )


def test_torch_has_the_same():
    torch = pytest.importorskip("torch")
    window = torch.hann_window(256, dtype=torch.float64)
    theirs = torch.stft(
        torch.tensor(X), 256, 80, window=window, pad_mode="constant", return_complex=True
    )
    np.testing.assert_allclose(stft(X, 256, 80), theirs.numpy().T, rtol=0, atol=1e-12)


@settings(deadline=None)
@given(st.integers(300, 900), st.sampled_from([(64, 16), (64, 32), (32, 7)]), st.booleans())
def test_the_way_back_is_the_sound_itself(length, sizes, batch):
    n, hop = sizes
    x = np.random.default_rng(length).standard_normal((2, length) if batch else length)
    back = istft(stft(x, n, hop), hop, length=length)
    whole = (length // hop) * hop  # the last frame lies around this sample
    np.testing.assert_allclose(back[..., :whole], x[..., :whole], atol=1e-12)


def test_dtypes_are_kept():
    x = X.astype("float32")
    assert stft(x, 64, 16).dtype == np.complex64
    back = istft(stft(x, 64, 16), 16)
    assert back.dtype == np.float32 and abs(back[:900] - x[:900]).max() < 1e-6


def test_what_no_frame_knows_is_not_made_up():
    with pytest.raises(ValueError, match="leave samples out that no frame knows"):
        istft(stft(X, 64, 64), 64)
    with pytest.raises(ValueError, match="n_fft is 63, expected an even number"):
        stft(X, 63, 8)
    with pytest.raises(ValueError, match=r"window is \(8,\), expected \(64,\)"):
        stft(X, 64, 8, np.ones(8))


def test_griffin_lim_finds_a_sound_with_these_magnitudes():
    t = np.arange(2000) / 8000
    x = np.sin(2 * np.pi * (300 * t + 2000 * t * t)) * np.hanning(2000)
    magnitude = abs(stft(x, 128, 32))
    errors = []
    for n_iter in (0, 10, 60):
        y = griffin_lim(magnitude, 32, np.random.default_rng(0), n_iter=n_iter, length=2000)
        assert y.shape == (2000,)
        difference = abs(stft(y, 128, 32)) - magnitude
        errors.append(np.linalg.norm(difference) / np.linalg.norm(magnitude))
    assert errors[0] > 0.3 and errors[1] < errors[0] / 2 and errors[2] < 0.1
    again = griffin_lim(magnitude, 32, np.random.default_rng(0), n_iter=60, length=2000)
    np.testing.assert_array_equal(again, y)


def test_without_momentum_no_turn_makes_it_worse():
    magnitude = abs(stft(X[:600], 64, 16))
    distances = []
    for n_iter in range(0, 12, 2):
        y = griffin_lim(magnitude, 16, np.random.default_rng(1), n_iter=n_iter, momentum=0)
        distances.append(np.linalg.norm(abs(stft(y, 64, 16)) - magnitude))
    assert all(b <= a + 1e-9 for a, b in itertools.pairwise(distances))
