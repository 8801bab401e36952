"""The benchmark of spoken digits: its time warping, its table, and that it may be stopped."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import digits_spoken
from benchmarks.digits_spoken import (
    ALL,
    Records,
    Task,
    cepstra,
    dtw_accuracy,
    dtw_distances,
    encoder_for,
    main,
    of_voices,
    render,
)
from minienc.data import load_dataset

RNG = np.random.default_rng(0)


def slow(a, b):
    """As it is written above ``dtw_distances``, cell by cell."""
    D = np.full((len(a), len(b)), np.inf)
    for i in range(len(a)):
        for j in range(len(b)):
            before = [D[i - 1, j]] if i else []
            before += [D[i, j - 1]] if j else []
            before += [D[i - 1, j - 1]] if i and j else []
            D[i, j] = np.linalg.norm(a[i] - b[j]) + (min(before) if before else 0)
    return D[-1, -1] / (len(a) + len(b))


def test_warping_is_the_recursion():
    a, B = RNG.standard_normal((7, 3)), RNG.standard_normal((5, 9, 3))
    lengths = np.array([9, 4, 1, 6, 8])
    expected = [slow(a, b[:n]) for b, n in zip(B, lengths, strict=True)]
    np.testing.assert_allclose(dtw_distances(a, B, lengths), expected, rtol=1e-12)
    slower = np.repeat(a, 2, axis=0)[None]  # the same, said half as fast
    np.testing.assert_allclose(dtw_distances(a, slower, np.array([14])), 0, atol=1e-6)


@pytest.fixture(scope="module")
def vowels():
    return load_dataset("vowels")


def test_warping_tells_vowels_apart(vowels):
    few = np.arange(0, 480, 3)
    found = dtw_accuracy(vowels.x[few], vowels.y[few], vowels.test_x[::2], vowels.test_y[::2])
    assert found > 0.6
    c, lengths = cepstra(vowels.x[:5])
    assert c.shape == (5, vowels.x.shape[1], 26) and not c[0, lengths[0] :].any()


def test_it_goes_on_where_it_was_stopped(vowels, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(digits_spoken, "load_dataset", lambda *_: vowels)
    monkeypatch.setattr(digits_spoken, "STEPS", {1: 2, ALL: 3})
    words = ["--records", str(tmp_path / "r.json"), "--speakers", "s01", "s02", "--epochs", "1"]
    words += ["--arms", "logistic", "random", "--labels", "1"]
    main([*words, "--seeds", "0"])
    first = json.loads((tmp_path / "r.json").read_text())
    assert [(r["arm"], r["speaker"], r["labels"]) for r in first] == [
        (arm, who, 1) for who in ("s01", "s02") for arm in ("logistic", "random")
    ]
    monkeypatch.setattr(digits_spoken, "finetune", None)  # nothing is trained again
    main([*words, "--seeds", "0"])
    assert json.loads((tmp_path / "r.json").read_text()) == first
    main([*words, "--done"])
    assert "CNN + GRU, random weights" in capsys.readouterr().out


def test_what_networks_of_several_seeds_say_is_put_together(vowels, tmp_path):
    path, right = tmp_path / "r.json", np.eye(10)[vowels.test_y]
    records = Records(path)
    for seed, said in enumerate((right, 0.6 * np.roll(right, 1, axis=1), right * 0)):
        records.keep("random", Task("s01", seed, vowels), said)
    for _ in range(2):  # the second takes the place of the first
        records.add_together("random", "s01", vowels)
    (found,) = json.loads(path.read_text())
    assert found["accuracy"] == 1.0 and found["networks"] == 3 and found["labels"] == ALL
    records.add_together("random", "s02", vowels)  # of whom nothing is kept
    assert len(records.found) == 1
    assert "random weights: the seeds' networks together" in render(records.found)


def test_codes_left_as_they_are_come_from_the_same_pretraining(vowels, tmp_path, monkeypatch):
    monkeypatch.setattr(digits_spoken, "load_dataset", lambda *_: vowels)
    monkeypatch.setattr(digits_spoken, "STEPS", {ALL: 2})
    made = []
    monkeypatch.setattr(
        digits_spoken, "encoder_for", lambda *given: made.append(given) or encoder_for(*given)
    )
    words = ["--records", str(tmp_path / "r.json"), "--speakers", "s01", "--seeds", "0"]
    words += ["--arms", "frame_autoencoder", "frame_autoencoder_frozen", "--labels", "5"]
    main([*words, "--epochs", "1"])
    found = json.loads((tmp_path / "r.json").read_text())
    assert [r["arm"] for r in found] == ["frame_autoencoder", "frame_autoencoder_frozen"]
    assert len(made) == 1 and found[1]["accuracy"] > 0.1


def test_pretraining_that_has_heard_the_speaker_left_out(vowels, monkeypatch):
    heard = []

    class Method:
        def __init__(self, **_):
            self.encoder_ = None

        def fit(self, x):
            heard.append(x)

    monkeypatch.setitem(digits_spoken.METHODS, "masked_frames", Method)
    task = Task("s01", 0, vowels)
    for arm in ("masked_frames", "masked_frames_heard"):
        encoder_for(arm, task, 1)
    without, whole = heard
    assert len(without) == len(vowels.x) and len(whole) == len(vowels.x) + len(vowels.test_x)
    assert (whole[-1] == vowels.test_x[-1]).all()


def test_fewer_voices_are_drawn_by_the_seed(vowels):
    of = [of_voices(n, Task("s01", 3, vowels)) for n in (1, 2, 3)]
    speakers = [set(vowels.sound.speakers[rows]) for rows in of]
    assert [len(s) for s in speakers] == [1, 2, 3] and speakers[0] < speakers[1] < speakers[2]
    assert set(of[0]) == set(np.flatnonzero(np.isin(vowels.sound.speakers, list(speakers[0]))))
    firsts = {tuple(of_voices(1, Task("s01", seed, vowels))) for seed in range(8)}
    assert len(firsts) > 2


def test_the_table():
    records = [
        {"arm": arm, "speaker": s, "seed": seed, "labels": n, "accuracy": 0.5 + 0.1 * seed}
        for arm in ("dtw", "masked_frames") for s in "ab" for seed in (0, 1) for n in (5, ALL)
    ]  # fmt: skip
    text = render(records)
    assert text.splitlines()[0].split() == ["|", "labels", "a", "digit", "|", "5", "|", "all", "|"]
    assert text.count("0.550 ± 0.071") == 8 and "pretrained: masked_frames" in text
