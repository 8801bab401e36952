"""Sounds made from a seed: tones, chirps, and the ten vowels of heed, hid, head, ... by speakers.

A vowel is a source and a filter: pulses of the vocal folds, f0 a second, or breath (the h of heed),
pass a tract that resonates at three frequencies, its formants.

    y = source * h_1 * h_2 * h_3,    H_i(z) = g / (1 - 2 r cos(w) z^-1 + r^2 z^-2)
    w = 2 pi formant / rate,   r = exp(-pi bandwidth / rate),   g: H_i is 1 at 0 Hz

Who has a shorter tract has all formants higher by the same factor: that, and the pitch, is what
speakers differ in. These are no recordings; they are for tests, and for a first look that needs no
file.

Sources: Peterson and Barney 1952, "Control methods used in a study of the vowels", table II (the
formants of men); Fant 1960, "Acoustic theory of speech production"; Klatt 1980, "Software for a
cascade/parallel formant synthesizer" (the resonator, the bandwidths).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RATE = 8000  # Hz
FORMANTS = {
    "heed": (270, 2290, 3010),
    "hid": (390, 1990, 2550),
    "head": (530, 1840, 2480),
    "had": (660, 1720, 2410),
    "hod": (730, 1090, 2440),
    "hawed": (570, 840, 2410),
    "hood": (440, 1020, 2240),
    "who'd": (300, 870, 2240),
    "hud": (640, 1190, 2390),
    "heard": (490, 1350, 1690),
}
BANDWIDTHS = (60.0, 90.0, 150.0)  # Hz
_TRACTS, _PITCHES = (0.95, 1.25), (90.0, 240.0)  # from long and low to short and high


class Speaker(NamedTuple):
    """What is the speaker's own."""

    name: str
    tract: float  # all formants are so many times those of the table
    pitch: float  # Hz


class Clips(NamedTuple):
    """Sounds with what is known of them."""

    sounds: list[np.ndarray]  # (L,) floats each, of lengths of their own
    rate: int  # Hz
    names: list[str]  # of the files, or what stands for them
    labels: list[str] | None = None  # the name of each one's class
    speakers: list[str] | None = None


def tone(frequency: float, seconds: float, rate: int = RATE, phase: float = 0.0) -> np.ndarray:
    """sin(2 pi f t + phase), (seconds rate,) of float64."""
    t = np.arange(round(seconds * rate)) / rate
    return np.sin(2 * np.pi * frequency * t + phase)


def chirp(start: float, end: float, seconds: float, rate: int = RATE) -> np.ndarray:
    """A tone that rises or falls evenly from ``start`` to ``end`` Hz."""
    t = np.arange(round(seconds * rate)) / rate
    return np.sin(2 * np.pi * (start * t + (end - start) * t * t / (2 * seconds)))


def vowel(
    word: str, speaker: Speaker, rng: np.random.Generator, seconds: float = 0.3, rate: int = RATE
) -> np.ndarray:
    """A word of the table, said once: (seconds rate,) of float32, at most 1.

    The generator draws how the pitch glides and trembles, the breath, how far this mouth is from
    the table (3 %), and the noise of the room.
    """
    n = round(seconds * rate)
    n_breath = round(0.2 * n)
    glide = 1 + rng.uniform(-0.2, 0.1) * np.linspace(0, 1, n)
    tremble = 1 + 0.01 * rng.standard_normal(n)
    phase = np.cumsum(speaker.pitch * glide * tremble) / rate + rng.random()
    pulses = np.diff(np.floor(phase), prepend=np.floor(phase[0]))  # 1 where a period ends
    source = pulses - pulses.mean()
    source[:n_breath] = 0.05 * rng.standard_normal(n_breath)
    formants = np.array(FORMANTS[word]) * speaker.tract * rng.normal(1, 0.03, 3)
    y = resonated(source, formants, rate)
    edge = max(round(0.02 * rate), 1)
    y[:edge] *= np.linspace(0, 1, edge)
    y[n - 2 * edge :] *= np.linspace(1, 0, 2 * edge)
    y = y / np.abs(y).max() * rng.uniform(0.3, 0.9)
    noise = y.std() * 10 ** (-rng.uniform(20, 40) / 20) * rng.standard_normal(n)
    return np.clip(y + noise, -1, 1).astype(np.float32)


def resonated(source: np.ndarray, formants: np.ndarray, rate: int) -> np.ndarray:
    """The source (L,) behind a resonator for each formant, with the slope of a voice: each octave
    6 dB less (12 of the folds' pulses, and 6 back at the lips)."""
    n_fft = 4 * len(source)  # what rings on does not come round to the beginning
    w = np.exp(-2j * np.pi * np.arange(n_fft // 2 + 1) / n_fft)  # z^-1
    H = 1 / (1 - 0.9 * w)
    for formant, bandwidth in zip(formants, BANDWIDTHS, strict=True):
        r, c = np.exp(-np.pi * bandwidth / rate), np.cos(2 * np.pi * formant / rate)
        H = H * (1 - 2 * r * c + r * r) / (1 - 2 * r * c * w + r * r * w * w)
    return np.fft.irfft(np.fft.rfft(source, n_fft) * H, n_fft)[: len(source)]


def make_vowels(n_speakers: int = 10, n_each: int = 6, seed: int = 0, rate: int = RATE) -> Clips:
    """Each speaker says each of the ten words ``n_each`` times: n_speakers 10 n_each clips.

    Parameters
    ----------
    n_speakers, n_each : int
    seed : int
        The same seed makes the same bits.
    rate : int
        Hz.
    """
    rng = np.random.default_rng(seed)
    clips = Clips([], rate, [], [], [])
    assert clips.labels is not None and clips.speakers is not None
    for k in range(n_speakers):
        share = rng.random()  # a short tract and a high voice go together, more or less
        pitch = np.interp(np.clip(share + rng.normal(0, 0.15), 0, 1), (0, 1), _PITCHES)
        speaker = Speaker(f"s{k:02d}", float(np.interp(share, (0, 1), _TRACTS)), float(pitch))
        for word in FORMANTS:
            for i in range(n_each):
                clips.sounds.append(vowel(word, speaker, rng, rng.uniform(0.2, 0.4), rate))
                clips.names.append(f"{word}_{speaker.name}_{i}")
                clips.labels.append(word)
                clips.speakers.append(speaker.name)
    return clips
