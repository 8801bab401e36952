"""Short-time spectra: a sound as frames, each with how much of every frequency is in it.

    frames      x_t = x[t hop : t hop + n_fft]
    STFT        X_tk = sum_n w_n x_(t hop + n) exp(-2 pi i k n / n_fft),    k = 0 ... n_fft / 2
    inverse     x = sum_t w x_t / sum_t w^2, each frame where it was cut out

The conventions, for other programs have others: windows are periodic (Hann: w_0 = 0, and w_n_fft
would be the next 0), the sum over n has no factor, phases are those of the frame's first sample,
and with ``center`` the sound has n_fft / 2 zeros before and behind it, so that frame t lies around
sample t hop. Spectra are (T, F), time first, as everywhere in this package. librosa's
``stft(pad_mode="constant")`` and ``torch.stft(pad_mode="constant")`` are these, transposed.

Sources: Allen and Rabiner 1977, "A unified approach to short-time Fourier analysis and synthesis";
Griffin and Lim 1984, "Signal estimation from modified short-time Fourier transform", eq. 6 (the
inverse) and section III.
"""

from __future__ import annotations

import numpy as np

from minienc.shapes import is_whole


def hann_window(n: int) -> np.ndarray:
    """w_i = (1 - cos(2 pi i / n)) / 2: periodic, (n,) of float64."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)


def cut_frames(x: np.ndarray, size: int, hop: int) -> np.ndarray:
    """Frames of x (..., L) as a view (..., T, size), not to be written to.

    T = 1 + (L - size) // hop: what is left behind the last whole frame is left out.

    Raises
    ------
    ValueError
        If x is shorter than a frame, or a size is no whole number from 1.
    """
    for name, value in (("size", size), ("hop", hop)):
        if not is_whole(value, 1):
            raise ValueError(f"cut_frames: {name} is {value!r}, expected a whole number from 1")
    if x.shape[-1] < size:
        raise ValueError(
            f"cut_frames: x has {x.shape[-1]} samples, expected at least a frame's {size}"
        )
    return np.lib.stride_tricks.sliding_window_view(x, size, axis=-1)[..., ::hop, :]


def stft(
    x: np.ndarray, n_fft: int, hop: int, window: np.ndarray | None = None, center: bool = True
) -> np.ndarray:
    """The spectrum of each frame.

    Parameters
    ----------
    x : array (..., L) of floats
    n_fft : int
        Samples of a frame; even.
    hop : int
        Samples from the beginning of a frame to that of the next.
    window : array (n_fft,), optional
        A periodic Hann window unless it is given; a shorter one is for a caller to pad.
    center : bool
        Whether frame t lies around sample t hop, with zeros beyond the ends, or begins there.

    Returns
    -------
    array (..., T, n_fft / 2 + 1), complex
        complex64 of float32, complex128 of float64. T is 1 + L // hop with ``center``, else
        1 + (L - n_fft) // hop.
    """
    window = _window(n_fft, window).astype(x.dtype)
    if center:
        x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(n_fft // 2, n_fft // 2)])
    return np.fft.rfft(cut_frames(x, n_fft, hop) * window, axis=-1)


def istft(
    X: np.ndarray,
    hop: int,
    window: np.ndarray | None = None,
    center: bool = True,
    length: int | None = None,
) -> np.ndarray:
    """The sound whose STFT is nearest to X (..., T, F) in the sense of least squares.

    Of what ``stft`` returned, with the same arguments, it is the sound itself.

    Parameters
    ----------
    X : complex array (..., T, n_fft / 2 + 1)
    hop, window, center
        As of ``stft``.
    length : int, optional
        L: the sound is cut, or has zeros behind it; what no frame saw is not known.

    Raises
    ------
    ValueError
        If somewhere between the frames no window is above zero, so that nothing is known there.
    """
    n_fft = 2 * (X.shape[-1] - 1)
    real = X.real.dtype
    window = _window(n_fft, window).astype(real)
    frames = np.fft.irfft(X, n_fft, axis=-1).astype(real, copy=False) * window
    T = X.shape[-2]
    x = np.zeros((*X.shape[:-2], n_fft + hop * (T - 1)), real)
    weight = np.zeros(x.shape[-1], real)
    for t in range(T):
        x[..., t * hop : t * hop + n_fft] += frames[..., t, :]
        weight[t * hop : t * hop + n_fft] += window**2
    seen = slice(n_fft // 2, len(weight) - n_fft // 2) if center else slice(0, len(weight))
    floor = 1e-10 if real == np.float64 else 1e-8
    if (weight[n_fft : len(weight) - n_fft] < floor).any() or hop > n_fft:
        raise ValueError(
            f"istft: hop is {hop}, and the windows of {n_fft} leave samples out that no frame "
            f"knows; take a smaller hop"
        )
    x = (x / np.maximum(weight, floor))[..., seen]
    if length is None:
        return x
    if x.shape[-1] < length:
        x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, length - x.shape[-1])])
    return x[..., :length]


def _window(n_fft: int, window: np.ndarray | None) -> np.ndarray:
    if not is_whole(n_fft, 2) or n_fft % 2:
        raise ValueError(f"n_fft is {n_fft!r}, expected an even number from 2")
    if window is None:
        return hann_window(n_fft)
    if np.shape(window) != (n_fft,):
        raise ValueError(f"window is {np.shape(window)}, expected ({n_fft},), a number a sample")
    return np.asarray(window)


def griffin_lim(
    magnitude: np.ndarray,
    hop: int,
    rng: np.random.Generator,
    window: np.ndarray | None = None,
    n_iter: int = 60,
    momentum: float = 0.99,
    length: int | None = None,
) -> np.ndarray:
    """A sound whose STFT has about these magnitudes: the phases are made up.

        X <- magnitude exp(i phase(Y)),   Y = S + momentum (S - S before),   S = stft(istft(X))

    Each turn goes to the nearest sound and back to the magnitudes; with momentum 0 the distance
    between the two never grows.

    Parameters
    ----------
    magnitude : array (T, n_fft / 2 + 1) of floats from 0
        Of an STFT with ``center``.
    hop, window
        As of ``stft``.
    rng : numpy.random.Generator
        Draws the phases to begin with.
    n_iter : int
    momentum : float
        In [0, 1); 0 is as published in 1984.
    length : int, optional

    Returns
    -------
    array (L,) of magnitude's dtype

    Notes
    -----
    Sources: Griffin and Lim 1984, section III; Perraudin, Balazs and Sondergaard 2013, "A fast
    Griffin-Lim algorithm", for the momentum.
    """
    n_fft = 2 * (magnitude.shape[-1] - 1)
    phases = np.exp(2j * np.pi * rng.random(magnitude.shape))
    before: np.ndarray | float = 0.0
    for _ in range(n_iter):
        sound = istft(magnitude * phases, hop, window, length=length)
        S = stft(sound, n_fft, hop, window)[: len(magnitude)]
        if len(S) < len(magnitude):  # of a length that has fewer frames
            S = np.pad(S, ((0, len(magnitude) - len(S)), (0, 0)))
        Y = S + momentum * (S - before)
        phases = Y / np.maximum(abs(Y), 1e-16)
        before = S
    return istft(magnitude * phases, hop, window, length=length).astype(magnitude.dtype)
