"""A folder of sounds as shards: the frames that ``load_dataset`` gives, shard by shard."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.audio import METHODS
from minienc.data import open_sounds, shard_sounds
from minienc.data.raw import Choices
from minienc.data.recordings import read_recordings
from minienc.data.sounds import make_vowels
from minienc.data.wav import write_wav
from tests.audio.test_methods import make


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(shard_sounds, "SOUNDS", 5)
    clips = make_vowels(2, 1, seed=1)
    for i, (name, sound) in enumerate(zip(clips.names, clips.sounds, strict=True)):
        if i < 18:
            inside = tmp_path / f"part-{i % 2}"
            inside.mkdir(exist_ok=True)
            write_wav(inside / f"{name}.wav", sound, clips.rate)
    return tmp_path


def test_they_are_the_frames_of_the_folder(folder):
    X = open_sounds(folder, window=2, frames=24)
    assert X.shape == (18, 24, 16) and [s.n for s in X.shards] == [5, 5, 5, 3]
    whole = read_recordings(folder, Choices(sound=X.how)).x
    np.testing.assert_array_equal(X[:], whole)
    again = open_sounds(folder, how=X.how, dtype="float64")
    np.testing.assert_allclose(again[:], whole, rtol=1e-6)
    T = open_sounds(folder).how.frames  # of the first shard's sounds
    assert T % 4 == 0 and X.how._replace(frames=T) == open_sounds(folder).how
    assert open_sounds(folder, mels=8, resample=4000).shape == (18, T, 8)


@pytest.mark.parametrize("name", METHODS)
def test_methods_learn_from_them(name, folder):
    X = open_sounds(folder, window=2, frames=24)
    one, two = (make(name, epochs=8).fit(open_sounds(folder, 2, frames=24)) for _ in range(2))
    codes = one.transform(X[:])
    np.testing.assert_array_equal(two.transform(X[:]), codes)
    np.testing.assert_allclose(one.transform(X), codes, rtol=1e-5, atol=1e-6)
    assert one.history_["loss"][-1] < one.history_["loss"][0]


def test_what_is_wrong_is_told_by_its_file(folder, tmp_path):
    write_wav(folder / "part-1" / "z.wav", np.zeros(8000), 8000)
    X = open_sounds(folder, window=1, frames=24)
    with pytest.raises(ValueError, match=r"z\.wav is silent"):
        X[-1]
    write_wav(folder / "part-1" / "z.wav", np.sin(np.arange(8000)), 16000)
    with pytest.raises(ValueError, match=r"z\.wav is of 16,000 Hz, expected 8,000"):
        X[-1]
    assert open_sounds(folder, frames=24, resample=8000)[-1].shape == (24, 16)
    with pytest.raises(NotADirectoryError, match="expected a folder of sounds"):
        open_sounds(folder / "part-1" / "z.wav")
    (folder / "none").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no sounds, nor do its sub-folders"):
        open_sounds(folder / "none")
