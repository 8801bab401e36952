"""What methods show of sounds: spectrograms, and the sounds themselves, to be heard.

The files named after methods of sound take their pictures from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minienc import plots
from minienc.arrays import to_numpy
from minienc.audio.base import SoundPretrainer
from minienc.data import Dataset
from minienc.data.pixels import Samples
from minienc.data.sequences import length_of, sound_of
from minienc.gallery.common import Picture, some
from minienc.pretraining.base import Pretrainer

SHOWN = 4


class Sound(NamedTuple):
    """A test sound, and what its frames, and the model's, sound like."""

    name: str
    rate: int
    parts: list[tuple[str, np.ndarray]]  # (what it is, samples (L,))


def pictures(
    method: SoundPretrainer, X: Samples, image_shape: Sequence[int] | None
) -> list[Picture]:
    """Spectrograms of test sounds above what the method made of them."""
    x = some(method, X, SHOWN)
    found = np.where(is_sound(x), method.found(x), 0)
    seen = shown_to(method, x)
    rows = [("sound", x), *([] if seen is None else [("shown", seen)]), (words(method), found)]
    hidden = " What is hidden from the method is grey." if seen is not None else ""
    caption = (
        f"Test sounds, and what the method says of them: time runs to the right, frequency rises, "
        f"bright is loud.{hidden}"
    )
    return [Picture(caption, plots.spectrograms(rows))]


def is_sound(x: np.ndarray) -> np.ndarray:
    """(N, T, 1): whether a frame is none of those behind the end."""
    lengths = np.array([length_of(row) for row in x])
    return (np.arange(x.shape[1]) < lengths[:, None])[:, :, None]


def shown_to(method: SoundPretrainer, x: np.ndarray) -> np.ndarray | None:
    """What was left of samples, NaN where something is hidden; None where nothing is."""
    inputs = method.ask(x, np.random.default_rng(0)).inputs
    if len(inputs) < 2:
        return None
    seen = to_numpy(inputs[0])
    return np.where((seen == 0) & is_sound(x), np.nan, seen)


def words(method: Pretrainer) -> str:
    """What the method does with frames, in a word."""
    return {"masked_frames": "guessed", "predictive_coding": "predicted"}.get(
        method.method, "restored"
    )


def heard(method: Pretrainer, dataset: Dataset, n: int = 3) -> list[Sound]:
    """Test sounds as they are, as their frames can be inverted, and as the model's can."""
    about = dataset.sound
    test = dataset.x if dataset.test_x is None else dataset.test_x
    if about is None or not about.sounds:
        return []
    x = np.asarray(test[: min(n, len(about.sounds))])
    found = None
    if hasattr(method, "found"):
        found = np.where(is_sound(x), method.found(x), 0)
    elif method.restores:
        found = np.where(is_sound(x), method.reconstruct(x).reshape(x.shape), 0)
    sounds = []
    for i, (row, sound, level) in enumerate(zip(x, about.sounds, about.levels, strict=False)):
        rng = np.random.default_rng(0)
        parts = [("as it was recorded", np.asarray(sound, np.float32))]
        parts.append(("from its frames, phases made up", sound_of(row, about.how, level, rng)))
        if found is not None:
            made = found[i] * (row != 0).any(axis=1, keepdims=True)
            what = f"from the frames that were {words(method)}"
            parts.append((what, sound_of(made, about.how, level, rng)))
        label = "" if dataset.test_y is None else _class_of(dataset, i)
        sounds.append(Sound(f"test sound {i + 1}{label}", about.how.rate, parts))
    return sounds


def _class_of(dataset: Dataset, i: int) -> str:
    k = int(dataset.test_y[i])  # type: ignore[index]
    return f", {k if dataset.class_names is None else dataset.class_names[k]}"
