"""A folder of sounds as shards of frames: recordings that are more than memory holds."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from minienc.data.pixels import check_float_dtype
from minienc.data.raw import Choices, check_exists
from minienc.data.recordings import Recordings, as_sequences, sounds_below
from minienc.data.sequences import LogMel, padded
from minienc.data.shards import Shard, Shards
from minienc.data.wav import read_sound

SOUNDS = 200  # of a shard


class SoundShards(Shards):
    """Shards of sounds; ``how`` says what they became, for more of the same kind."""

    how: LogMel


def open_sounds(
    where: str | Path,
    window: int = 4,
    *,
    frames: int | None = None,
    mels: int | None = None,
    resample: int | None = None,
    how: LogMel | None = None,
    dtype: DTypeLike = "float32",
) -> SoundShards:
    """Sounds of a folder and of all below, as samples (T, F), which are read when they are needed.

    What is done with a sound stands at the top of ``sequences.py``; ``load_dataset`` does the same
    with all at once. A shard is 200 sounds.

    Parameters
    ----------
    where : path
        WAV files; FLAC, Ogg, MP3 and AIFF with the package soundfile.
    window : int
        As of ``Shards``.
    frames, mels : int, optional
        T and F of a sample. Without ``frames``, 19 of 20 sounds of the first shard fit.
    resample : int, optional
        Hz that all are brought to; without it all must be of one rate.
    how : LogMel, optional
        The settings of other shards, ``shards.how``, in the place of these.
    dtype : {"float32", "float64"}

    Returns
    -------
    SoundShards

    Raises
    ------
    FileNotFoundError, ValueError
        If there are no sounds, and for the first shard, that one cannot be read, is silent or too
        short, or rates differ; of later shards, when they are read.

    Examples
    --------
    >>> from minienc.data import write_wav
    >>> rng = np.random.default_rng(0)
    >>> for i in range(3):
    ...     write_wav(f"noise-{i}.wav", 0.1 * rng.standard_normal(8000), rate=8000)
    >>> open_sounds(".", frames=40).shape
    (3, 40, 16)
    """
    dtype = check_float_dtype(dtype, "open_sounds")
    folder = check_exists(where, "open_sounds")
    if not folder.is_dir():
        raise NotADirectoryError(f"open_sounds: {folder} is a file, expected a folder of sounds")
    names = [str(path) for path in sorted(sounds_below(folder))]
    if not names:
        raise FileNotFoundError(f"open_sounds: {folder} holds no sounds, nor do its sub-folders")
    parts = [names[i : i + SOUNDS] for i in range(0, len(names), SOUNDS)]
    choices = Choices(resample=resample, frames=frames, mels=mels, sound=how)
    settings = as_sequences(_recordings(parts[0]), choices)[0]
    choices = choices._replace(resample=settings.rate if resample else None, sound=settings)
    shards = [
        Shard(f"{part[0]} ...", len(part), partial(_load, part, choices, dtype)) for part in parts
    ]
    found = SoundShards(shards, (settings.frames, settings.n_mels), dtype, window)
    found.how = settings
    return found


def _recordings(names: list[str]) -> Recordings:
    return Recordings(names, lambda i: read_sound(names[i]), None, None)


def _load(names: list[str], choices: Choices, dtype: np.dtype) -> np.ndarray:
    settings, sequences, _ = as_sequences(_recordings(names), choices)
    return padded(sequences, settings.frames, dtype, names[0])
