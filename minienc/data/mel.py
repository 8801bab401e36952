"""Mel bands: spectra as ears have them, and what is made of them: log-mel, MFCC, deltas.

    log-mel     m_tb = log(max(sum_k |X_tk|^2 H_kb, floor))         H: triangles that overlap
    MFCC        c_tj = sum_b m_tb D_bj                              D: the discrete cosine transform
    deltas      d_t = sum_w w (c_(t+w) - c_(t-w)) / (2 sum_w w^2)   the slope of a line through 2w+1

The conventions, for other programs have others, and their defaults are not alike:

scale    "htk": mel = 2595 log10(1 + f / 700). "slaney": a line up to 1,000 Hz, a logarithm above.
         torchaudio's default is the former, librosa's the latter; here it is "htk".
norm     None: each triangle is 1 at its peak (torchaudio). "slaney": each has the area 1 in Hz
         (librosa). Here None.
power    |X|^2 (both), the natural logarithm (librosa's ``power_to_db`` is 10 log10), ``floor``
1e-10. DCT      type II, orthonormal, as both; c_0 is kept, nothing is liftered.

Sources: Stevens, Volkmann and Newman 1937 (the scale); Davis and Mermelstein 1980, "Comparison of
parametric representations for monosyllabic word recognition" (MFCC); Young et al., "The HTK book",
eq. 5.13 and 5.16 (the scale's formula, the deltas); Slaney 1998, "Auditory toolbox".
"""

from __future__ import annotations

import numpy as np

from minienc.data.spectra import stft

SCALES = ("htk", "slaney")
FLOOR = 1e-10


def hz_to_mel(f: np.ndarray | float, scale: str = "htk") -> np.ndarray:
    """Hz to mel, of any shape."""
    f = np.asarray(f, np.float64)
    if _scale(scale) == "htk":
        return 2595.0 * np.log10(1.0 + f / 700.0)
    step = np.log(6.4) / 27
    return np.where(f < 1000, f * 3 / 200, 15 + np.log(np.maximum(f, 1000) / 1000) / step)


def mel_to_hz(m: np.ndarray | float, scale: str = "htk") -> np.ndarray:
    """Mel to Hz, of any shape."""
    m = np.asarray(m, np.float64)
    if _scale(scale) == "htk":
        return 700.0 * (10.0 ** (m / 2595.0) - 1.0)
    step = np.log(6.4) / 27
    return np.where(m < 15, m * 200 / 3, 1000 * np.exp(step * (np.maximum(m, 15) - 15)))


def mel_filters(
    rate: int,
    n_fft: int,
    n_mels: int,
    f_min: float = 0.0,
    f_max: float | None = None,
    scale: str = "htk",
    norm: str | None = None,
) -> np.ndarray:
    """H (n_fft / 2 + 1, n_mels) of float64: a column for each band.

    n_mels + 2 points lie evenly on the mel scale from f_min to f_max; band b rises from point b to
    point b + 1 and falls to b + 2, in Hz.

    Parameters
    ----------
    rate : int
        Hz.
    n_fft, n_mels : int
    f_min, f_max : float
        Hz; f_max None is half the rate.
    scale : {"htk", "slaney"}
    norm : {None, "slaney"}

    Raises
    ------
    ValueError
        For frequencies out of order, or bands so narrow that one holds no frequency of the STFT.
    """
    f_max = rate / 2 if f_max is None else f_max
    if not 0 <= f_min < f_max <= rate / 2:
        raise ValueError(
            f"mel_filters: f_min is {f_min:g} and f_max {f_max:g} Hz, expected 0 <= f_min < f_max "
            f"<= {rate / 2:g}, half the rate"
        )
    if norm not in (None, "slaney"):
        raise ValueError(f"mel_filters: norm is {norm!r}, expected None or 'slaney'")
    ends = hz_to_mel(f_min, scale), hz_to_mel(f_max, scale)
    points = mel_to_hz(np.linspace(*ends, n_mels + 2), scale)
    f = np.arange(n_fft // 2 + 1)[:, None] * (rate / n_fft)
    low, peak, high = points[:-2], points[1:-1], points[2:]
    H = np.maximum(0, np.minimum((f - low) / (peak - low), (high - f) / (high - peak)))
    if not (empty := ~H.any(axis=0)).any():
        return H if norm is None else H * (2 / (high - low))
    b = int(np.argmax(empty))
    raise ValueError(
        f"mel_filters: band {b} of {n_mels}, from {low[b]:.0f} to {high[b]:.0f} Hz, lies between "
        f"two of the frequencies, which are {rate / n_fft:.1f} Hz apart; take fewer bands, or a "
        f"larger n_fft"
    )


def log_mel(
    x: np.ndarray,
    rate: int,
    n_fft: int,
    hop: int,
    n_mels: int,
    f_min: float = 0.0,
    f_max: float | None = None,
    scale: str = "htk",
    norm: str | None = None,
    floor: float = FLOOR,
) -> np.ndarray:
    """The logarithm of the power in each mel band: (..., T, n_mels) of a sound x (..., L).

    The STFT is ``spectra.stft``'s, with a Hann window and ``center``; the other arguments are those
    of ``mel_filters``. The dtype is x's.
    """
    H = mel_filters(rate, n_fft, n_mels, f_min, f_max, scale, norm)
    X = stft(x, n_fft, hop)
    power = X.real**2 + X.imag**2
    return np.log(np.maximum(power @ H.astype(x.dtype), x.dtype.type(floor)))


def dct_matrix(n: int, n_out: int) -> np.ndarray:
    """D (n, n_out): y = x D is the discrete cosine transform of type II, orthonormal.

    D_bj = s_j cos(pi j (2 b + 1) / (2 n)),   s_0 = sqrt(1 / n), else sqrt(2 / n).
    """
    if not 1 <= n_out <= n:
        raise ValueError(f"dct_matrix: n_out is {n_out}, expected 1 to {n}")
    b, j = np.arange(n)[:, None], np.arange(n_out)
    D = np.cos(np.pi * j * (2 * b + 1) / (2 * n)) * np.sqrt(2 / n)
    D[:, 0] = np.sqrt(1 / n)
    return D


def mfcc(log_mels: np.ndarray, n_mfcc: int = 13) -> np.ndarray:
    """The first coefficients (..., n_mfcc) of what ``log_mel`` returned."""
    return log_mels @ dct_matrix(log_mels.shape[-1], n_mfcc).astype(log_mels.dtype)


def deltas(c: np.ndarray, width: int = 2) -> np.ndarray:
    """The slope of each number of c (..., T, K) over 2 ``width`` + 1 frames; the first and the last
    frame are repeated beyond the ends."""
    T = c.shape[-2]
    places = np.clip(np.arange(-width, T + width), 0, T - 1)
    wide = np.take(c, places, axis=-2)
    shifted = lambda w: wide[..., width + w : width + w + T, :]  # noqa: E731
    total = sum(w * (shifted(w) - shifted(-w)) for w in range(1, width + 1))
    slope = total / (2 * sum(w * w for w in range(1, width + 1)))
    return slope.astype(c.dtype)


def magnitude_from_log_mel(log_mels: np.ndarray, H: np.ndarray, n_iter: int = 100) -> np.ndarray:
    """Magnitudes |X| (T, F) whose power, in the bands H (F, n_mels), is nearest to exp(log_mels).

    Bands are fewer than frequencies, so many spectra have them. From equal power on, each frequency
    is multiplied until the bands fit, which keeps it from becoming negative:

        P <- P (M H') / (P H H')

    Source: Lee and Seung 2001, "Algorithms for non-negative matrix factorization", theorem 1.
    """
    M = np.exp(log_mels.astype(np.float64))
    P = M @ (H / np.maximum(H.sum(axis=0), 1e-12)).T
    aim, product = M @ H.T, H @ H.T
    for _ in range(n_iter):
        P = P * aim / np.maximum(P @ product, 1e-30)
    return np.sqrt(P)


def _scale(scale: str) -> str:
    if scale not in SCALES:
        raise ValueError(f"scale is {scale!r}, expected one of {', '.join(SCALES)}")
    return scale
