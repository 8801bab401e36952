"""What reports have of sounds: pictures with what was hidden, and players."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest

from minienc import gallery
from minienc.audio import METHODS
from minienc.data import load_dataset
from minienc.data.wav import read_wav
from minienc.gallery.sounds import heard, shown_to
from minienc.page import audio
from minienc.pretraining import Autoencoder

SMALL = {"filters": (2, 2), "units": 3, "epochs": 1, "random_state": 0}


@pytest.fixture(scope="module")
def vowels():
    return load_dataset("vowels")


@pytest.mark.parametrize("name", sorted(METHODS))
def test_spectrograms_and_sounds_of_every_method(name, vowels):
    method = METHODS[name](**SMALL).fit(vowels.x[:40])
    (picture,) = gallery.pictures(method, vowels.test_x)
    rows = {"masked_frames": 3}.get(name, 2)
    assert len(picture.figure.axes) == 4 * rows and "time runs to the right" in picture.caption
    assert "Lower is better" in gallery.course(method)
    sounds = heard(method, vowels)
    assert [s.name for s in sounds] == [f"test sound {i}, heed" for i in (1, 2, 3)]
    for sound in sounds:
        assert sound.rate == 8000 and len(sound.parts) == 3
        for _, samples in sound.parts:
            assert samples.ndim == 1 and np.isfinite(samples).all() and abs(samples).max() <= 1


def test_other_methods_are_heard_as_well(vowels):
    method = Autoencoder(hidden=(4,), loss="mean_squared_error", epochs=1).fit(vowels.x[:40])
    assert len(heard(method, vowels)[0].parts) == 3
    assert heard(method, load_dataset("digits")) == []


def test_what_is_hidden_is_told_from_what_is_behind_the_end(vowels):
    method = METHODS["masked_frames"](**SMALL).fit(vowels.x[:40])
    x = vowels.test_x[:4]
    seen = shown_to(method, x)
    hidden = np.isnan(seen).all(axis=2)
    there = x.any(axis=2)
    assert hidden.any() and not (hidden & ~there).any()
    np.testing.assert_array_equal(seen[~hidden & there], x[~hidden & there])


def test_a_player_holds_its_sound(tmp_path):
    x = np.sin(np.arange(800) / 5) * 0.5
    text = audio(x, 8000, 'a "quoted" <sound>')
    assert "<sound>" not in text and 'controls preload="none"' in text
    data = re.search(r'src="data:audio/wav;base64,([^"]+)"', text)[1]
    (tmp_path / "a.wav").write_bytes(base64.b64decode(data))
    np.testing.assert_allclose(read_wav(tmp_path / "a.wav").samples[:, 0], x, atol=1e-4)
