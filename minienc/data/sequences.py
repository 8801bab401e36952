"""Sounds of different lengths become samples (T, F): log-mel frames, and 0 behind their end.

What is done with a sound, and undone to hear what a model has made:

mono         the mean of its channels
frames       of 32 ms (the nearest power of two), every 10 ms: ``mel.log_mel``, HTK's scale,
             triangles of height 1, from 50 Hz to half the rate, at most 8 kHz
bands        4 to each 500 mel: 16 at 8 kHz, 24 at 16 kHz and above. They are wider than the
             harmonics of most voices are apart, and so say what is spoken and less of who speaks
ends         frames at both ends that are quieter than the loudest by more than 30 dB are left out
floor        what lies more than 40 dB below the loudest number is raised to that
level        the mean over frames and bands becomes 0, the standard deviation 1
length       longer ones lose their end, shorter ones get frames of zeros

A silent sound (all samples alike) has no level and is refused, as one that is shorter than a frame.
These settings belong to the run: what comes later is treated alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import DTypeLike
from minienc.data.limits import check_memory
from minienc.data.mel import hz_to_mel, log_mel, magnitude_from_log_mel, mel_filters
from minienc.data.spectra import griffin_lim

_DECIBEL = math.log(10) / 10  # in the natural logarithm of a power
_MOST_FRAMES = 400  # of a sample, where nothing is said: 4 seconds
_SCALE, _NORM = "htk", None


class LogMel(NamedTuple):
    """How sounds become samples."""

    rate: int  # Hz
    n_fft: int
    hop: int
    n_mels: int
    f_min: float  # Hz
    f_max: float
    quiet: float = 30.0  # dB below the loudest frame: where a sound begins and ends
    floor: float = 40.0  # dB below the loudest number
    frames: int = 0  # T of a sample; 0: not known yet

    def as_dict(self) -> dict[str, Any]:
        """For a file, with the conventions that cannot be chosen."""
        return {**self._asdict(), "scale": _SCALE, "norm": _NORM, "power": 2, "center": True}


class Level(NamedTuple):
    """What was taken from a sound's logarithms: to be put back."""

    mean: float
    deviation: float


def log_mel_for(rate: int, frames: int | None = None, mels: int | None = None) -> LogMel:
    """The settings for sounds of this rate, as the top of the file says.

    Raises
    ------
    ValueError
        If so many bands are too narrow for the frequencies of the frames.
    """
    n_fft = max(2 ** round(math.log2(0.032 * rate)), 16)
    f_max = min(rate / 2, 8000.0)
    f_min = min(50.0, f_max / 4)
    width = float(hz_to_mel(f_max, _SCALE) - hz_to_mel(f_min, _SCALE))
    n_mels = max(4 * round(width / 500), 4) if mels is None else mels
    mel_filters(rate, n_fft, n_mels, f_min, f_max, _SCALE, _NORM)
    return LogMel(rate, n_fft, max(round(0.01 * rate), 1), n_mels, f_min, f_max, frames=frames or 0)


def log_mel_from(value: Any, where: str) -> LogMel:
    """The settings that ``as_dict`` gave.

    Raises
    ------
    ValueError
        If they are not such, or no sound could be treated so.
    """
    whole = ("rate", "n_fft", "hop", "n_mels", "frames")
    fits = isinstance(value, dict) and all(
        type(value.get(k)) in ((int,) if k in whole else (int, float))
        and 0 <= value[k] < 1e6
        and math.isfinite(value[k])
        for k in LogMel._fields
    )
    if fits:
        fits = min(value[k] for k in whole) >= 1 and value["frames"] * value["n_mels"] <= 1e7
    if not fits or value["n_fft"] % 2:
        raise ValueError(f"{where} is {str(value)[:60]}, expected how a run's sounds were read")
    how = LogMel(**{k: value[k] for k in LogMel._fields})
    try:
        mel_filters(how.rate, how.n_fft, how.n_mels, how.f_min, how.f_max, _SCALE, _NORM)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{where} cannot be: {error}") from None
    return how


def sequence_of(sound: np.ndarray, how: LogMel, where: str) -> tuple[np.ndarray, Level]:
    """The frames (L, F) of one sound (L,) or (L, C), float32, without padding.

    Raises
    ------
    ValueError
        If it is silent, or shorter than a frame.
    """
    x = sound if sound.ndim == 1 else sound.mean(axis=1)
    if len(x) < how.n_fft:
        raise ValueError(
            f"{where} has {1000 * len(x) / how.rate:.0f} ms of sound, expected at least a frame's "
            f"{1000 * how.n_fft / how.rate:.0f}; leave it out"
        )
    if x.max() == x.min():
        raise ValueError(f"{where} is silent, all its samples are {x[0]:g}; leave it out")
    x = x / np.abs(x).max()  # so that how loud it was recorded is no matter below, either
    m = log_mel(x, how.rate, how.n_fft, how.hop, how.n_mels, how.f_min, how.f_max, _SCALE, _NORM)
    m = m.astype(np.float64)
    loudness = np.log(np.exp(m).sum(axis=1))
    heard = np.flatnonzero(loudness >= loudness.max() - how.quiet * _DECIBEL)
    m = m[max(heard[0] - 2, 0) : heard[-1] + 3]
    m = np.maximum(m, m.max() - how.floor * _DECIBEL)
    level = Level(float(m.mean()), float(m.std()) or 1.0)
    return ((m - level.mean) / level.deviation).astype(np.float32), level


def frames_for(lengths: Sequence[int]) -> int:
    """T for sequences of these lengths: so that 19 of 20 fit, a multiple of 4, 400 at most."""
    longest = int(np.percentile(lengths, 95, method="inverted_cdf"))
    return min(-(-longest // 4) * 4, _MOST_FRAMES)


def padded(
    sequences: Sequence[np.ndarray], frames: int, dtype: DTypeLike, where: str
) -> np.ndarray:
    """(N, frames, F): each sequence from its beginning, and 0 behind its end."""
    n_mels = sequences[0].shape[1]
    check_memory(len(sequences) * frames * n_mels * np.dtype(dtype).itemsize, where)
    x = np.zeros((len(sequences), frames, n_mels), dtype)
    for row, sequence in zip(x, sequences, strict=True):
        n = min(len(sequence), frames)
        row[:n] = sequence[:n]
    return x


def length_of(x: np.ndarray) -> int:
    """How many frames of a sample (T, F) are not padding."""
    return int(np.flatnonzero(x.any(axis=1)).max(initial=-1)) + 1


def sound_of(
    x: np.ndarray, how: LogMel, level: Level, rng: np.random.Generator, n_iter: int = 60
) -> np.ndarray:
    """A sound whose frames are about these: (L,) of float32, at most 1.

    Of a sample (T, F), padding or not, the logarithms are brought back to their level, spectra are
    found that have these bands, and phases made up (Griffin and Lim).
    """
    x = x[: max(length_of(x), 1)].astype(np.float64)
    H = mel_filters(how.rate, how.n_fft, how.n_mels, how.f_min, how.f_max, _SCALE, _NORM)
    m = np.minimum(x * level.deviation + level.mean, 20.0)
    y = griffin_lim(magnitude_from_log_mel(m, H), how.hop, rng, n_iter=n_iter)
    return (0.9 * y / max(float(np.abs(y).max()), 1e-9)).astype(np.float32)
