"""Folders of recordings: who is who, what is which, and every refusal in a sentence."""

from __future__ import annotations

import io
import sys
import tarfile
import types

import numpy as np
import pytest

from minienc.data import fsdd, load_dataset
from minienc.data.recordings import leave_one_speaker_out
from minienc.data.sequences import (
    LogMel,
    frames_for,
    length_of,
    log_mel_for,
    log_mel_from,
    sequence_of,
    sound_of,
)
from minienc.data.sounds import FORMANTS, chirp, make_vowels, tone
from minienc.data.wav import wav_bytes, write_wav

HOW = log_mel_for(8000, 24)
NOISE = np.random.default_rng(0).standard_normal(4000) * 0.1


def sound(k=0, seconds=0.2, rate=8000):
    return 0.5 * chirp(300 + 50 * k, 1500 + 90 * k, seconds, rate)


def fill(folder, *names, rate=8000, seconds=0.2):
    for k, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_wav(folder / name, sound(k, seconds, rate), rate)
    return folder


def refused(match, path, **how):
    with pytest.raises(ValueError, match=match) as error:
        load_dataset(path, **how)
    assert "\n" not in str(error.value)


WHO = ("ann", "bob", "cy")
SAID = [f"{label}_{who}_{i}.wav" for who in WHO for label in ("no", "yes") for i in (0, 1)]
PATTERN = "{label}_{speaker}_{index}"


# ------------------------------------------------------------------------------ which is which


def test_sub_folders_are_classes(tmp_path):
    fill(tmp_path, *[f"{label}/{i}.wav" for label in ("dog", "cat") for i in range(5)])
    d = load_dataset(tmp_path)
    assert d.class_names == ("cat", "dog") and d.x.shape == (8, 24, 16) == (8, *d.sample_shape)
    assert d.x.dtype == np.float32 and sorted(d.test_y) == [0, 1]  # of each class its share
    assert load_dataset(tmp_path, dtype="float64").x.dtype == np.float64
    assert d.sound.how == HOW and d.sound.speakers is None


def test_sounds_without_classes_will_do(tmp_path):
    d = load_dataset(fill(tmp_path, *[f"{i}.wav" for i in range(10)]))
    assert d.y is None and (len(d.x), len(d.test_x)) == (8, 2)


def test_one_sub_folder_is_no_class(tmp_path):
    fill(tmp_path, *[f"recordings/{i}.wav" for i in range(6)])
    assert load_dataset(tmp_path).y is None


def test_a_pattern_says_class_and_speaker_and_speakers_are_held_out(tmp_path):
    fill(tmp_path, *SAID)
    d = load_dataset(tmp_path, pattern=PATTERN)
    assert d.class_names == ("no", "yes") and d.y.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert set(d.sound.speakers) == {"ann", "bob"} and set(d.sound.test_speakers) == {"cy"}
    for said in ("bob", ("bob",), ["ann", "bob"]):
        d = load_dataset(tmp_path, pattern=PATTERN, held_out_speakers=said)
        assert set(d.sound.test_speakers) == ({said} if said == "bob" else set(said))
        assert len(d.sound.sounds) == len(d.sound.levels) <= len(d.test_x)
    how = {"pattern": PATTERN, "held_out_speakers": "eve"}
    refused(r"nobody is 'eve'; speakers are ann, bob, cy", tmp_path, **how)
    refused("all speakers are held out", tmp_path, **how | {"held_out_speakers": WHO})
    refused(
        "eve is held out, and no speaker is known; .* --pattern",
        tmp_path,
        **how | {"pattern": None},
    )


def test_a_pattern_reads_folders_below_and_names_what_it_does_not_fit(tmp_path):
    fill(tmp_path, *[f"part{k}/{name}" for k, name in enumerate(SAID)])
    assert len(load_dataset(tmp_path, pattern=PATTERN).x) == 8
    fill(tmp_path, "odd.wav")
    refused(r"odd\.wav has not the pattern '\{label\}_", tmp_path, pattern=PATTERN)
    for wrong in ("{index}", "plain", "{label}_{label}"):
        refused(r"pattern is '.*', expected such as", tmp_path, pattern=wrong)


def test_a_csv_lists_files_labels_and_speakers(tmp_path):
    fill(tmp_path, "a.wav", "b.wav", "sub/c.wav", "d.wav")
    rows = "file,label,speaker,age\na.wav,yes,ann,30\nb.wav,no,bob,40\nsub/c.wav,no,cy,5\n"
    (tmp_path / "list.csv").write_text(rows + "d.wav,yes,cy,9\n")
    d = load_dataset(tmp_path)
    assert d.class_names == ("no", "yes") and (d.y.tolist(), d.test_y.tolist()) == ([1, 0], [1, 0])
    assert set(d.sound.test_speakers) == {"cy"}
    assert load_dataset(tmp_path, label_column="age").class_names == ("30", "40", "5", "9")
    refused(r"list\.csv has no column word", tmp_path, label_column="word")
    (tmp_path / "list.csv").write_text(rows)
    refused(r"has no row for .*d\.wav: no label is known of it", tmp_path)
    (tmp_path / "list.csv").write_text(rows + "d.wav,,cy,9\n")
    refused(r"label of .*d\.wav is empty", tmp_path)
    (tmp_path / "list.csv").write_text(rows + "d.wav,yes\n")
    refused(r"row 5 has 2 cells, expected 4", tmp_path)
    (tmp_path / "other.csv").write_text(rows)
    refused(r"holds list\.csv, other\.csv, expected one", tmp_path)


def test_other_things_beside_sounds(tmp_path):
    fill(tmp_path, *SAID[:4], "sub/x.wav")
    refused("holds 4 sounds beside sub-folders of sounds", tmp_path)
    refused(r"resize is \(8, 8\).* folders of images; .* holds sounds", tmp_path, resize=8)
    np.save(tmp_path / "x.npy", np.ones((3, 2)))
    refused(r"holds arrays \(IDX, \.npy\) and sounds", tmp_path)
    refused(r"pattern is .* for folders of sounds", tmp_path / "x.npy", pattern=PATTERN)
    refused("one sound, expected a folder of sounds", tmp_path / SAID[0])


# ---------------------------------------------------------------------------------- bad sounds


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (wav_bytes(sound(), 8000)[:-9], "cut short: it declares"),
        (b"", "is empty, expected a WAV file"),
        (wav_bytes(np.zeros(4000), 8000), "is silent, all its samples are 0; leave it out"),
        (wav_bytes(np.full(4000, 0.5), 8000), "is silent, all its samples are 0.5"),
        (wav_bytes(sound(seconds=0.02), 8000), "has 20 ms of sound, expected .* a frame's 32"),
        (wav_bytes(sound(rate=16000), 16000), r"of 16,000 Hz, .* first, .*a\.wav; --resample 8000"),
        (wav_bytes(sound(), 8000).replace(b"\1\0\1\0", b"\7\0\1\0"), "is compressed, mu-law"),
    ],
)  # fmt: skip
def test_a_bad_sound_is_named(tmp_path, content, match):
    fill(tmp_path, "a.wav", "c.wav")
    (tmp_path / "b.wav").write_bytes(content)
    refused(rf"b\.wav .*{match}", tmp_path)


def test_nothing_is_resampled_unless_it_is_said(tmp_path):
    fill(tmp_path, *[f"{i}.wav" for i in range(6)])
    fill(tmp_path, "other.wav", rate=16000)
    d = load_dataset(tmp_path, resample=8000)
    assert d.sound.how.rate == 8000
    assert load_dataset(tmp_path, resample=16000).sound.how.rate == 16000
    for wrong in (0, -1, 2.5, 10**7):
        refused("resample is .*, expected a rate in Hz", tmp_path, resample=wrong)
    refused("frames is 0", tmp_path, frames=0)


# ------------------------------------------------------------------------- from sounds to samples


def test_frames_are_standardised_cut_and_padded(tmp_path):
    names = [f"{i}.wav" for i in range(10)]
    fill(tmp_path, *names)
    fill(tmp_path, "long.wav", seconds=1.0)
    for frames in (None, 8, 200):
        d = load_dataset(tmp_path, frames=frames)
        x = np.concatenate([d.x, d.test_x])
        T = 104 if frames is None else frames
        assert x.shape == (11, T, 16)
        for row in x:
            n = length_of(row)
            assert n <= T and not row[n:].any() and row[:n].any(axis=1).all()
        if frames == 200:
            heard = [row[: length_of(row)] for row in x]
            np.testing.assert_allclose([h.mean() for h in heard], 0, atol=1e-5)
            np.testing.assert_allclose([h.std() for h in heard], 1, atol=1e-4)


def test_loudness_and_silence_around_it_do_not_matter():
    x = sound()
    one, _ = sequence_of(x, HOW, "x")
    two, _ = sequence_of(0.01 * x, HOW, "x")
    np.testing.assert_allclose(one, two, atol=1e-5)
    little, much = (np.zeros(n) for n in (800, 4000))  # whole numbers of hops
    three, _ = sequence_of(np.concatenate([little, x, little]), HOW, "x")
    four, _ = sequence_of(np.concatenate([much, x, much]), HOW, "x")
    np.testing.assert_allclose(three, four, atol=1e-5)
    assert len(three) < len(one) + 8
    stereo, _ = sequence_of(np.stack([x, x], axis=1), HOW, "x")
    np.testing.assert_allclose(stereo, one, atol=1e-6)


def test_frames_for_nineteen_of_twenty():
    assert frames_for([10] * 19 + [500]) == 12
    assert frames_for([3]) == 4 and frames_for([8] * 3) == 8 and frames_for([9999] * 3) == 400


def test_a_sample_can_be_heard_again():
    y = 0.6 * tone(1000, 0.4) * np.hanning(3200)
    x, level = sequence_of(y, HOW, "y")
    back = sound_of(x, HOW, level, np.random.default_rng(0))
    assert back.dtype == np.float32 and abs(back).max() <= 1
    spectrum = abs(np.fft.rfft(back))
    assert abs(spectrum.argmax() * 8000 / len(back) - 1000) < 130  # a band
    again, _ = sequence_of(back, HOW, "back")
    n = min(len(again), len(x))
    assert np.corrcoef(again[:n].ravel(), x[:n].ravel())[0, 1] > 0.8


@pytest.mark.parametrize("rate", [1000, 4000, 8000, 11025, 16000, 22050, 44100, 48000, 192000])
def test_every_rate_has_its_settings(rate):
    how = log_mel_for(rate, 10)
    assert log_mel_from(how.as_dict(), "x") == how
    assert 0.02 < how.n_fft / rate < 0.05
    x, _ = sequence_of(np.random.default_rng(0).standard_normal(rate // 2), how, "x")
    assert x.shape[1] == how.n_mels and np.isfinite(x).all()


def test_settings_of_a_stranger_are_refused():
    good = HOW.as_dict()
    bad = [None, [], {}, {**good, "rate": "8000"}, {**good, "hop": 0}, {**good, "n_fft": 10**9}]
    bad += [{**good, "n_mels": 5000}, {**good, "f_max": 5000.0}, {**good, "frames": True}]
    bad += [{**good, "floor": float("nan")}, {**good, "frames": 999_999}, {**good, "n_fft": 255}]
    for value in bad:
        with pytest.raises(ValueError, match="config: sound"):
            log_mel_from(value, "config: sound")


def test_more_of_the_same_kind_is_read_alike(tmp_path):
    fill(tmp_path, *SAID)
    d = load_dataset(tmp_path, pattern=PATTERN, frames=16)
    path = tmp_path / SAID[0]
    one = load_dataset(path, sound=d.sound.how, may_lack=True)
    assert one.test_x is None and one.y is None and one.x.shape == (1, 16, 16)
    np.testing.assert_array_equal(one.x[0], d.x[0])
    whole = load_dataset(tmp_path, sound=d.sound.how, may_lack=True)
    assert len(whole.x) == 12
    write_wav(path, sound(rate=16000), 16000)
    refused(r"16,000 Hz, expected 8,000, the run's; --resample brings", path, sound=d.sound.how)
    assert load_dataset(path, sound=d.sound.how, resample=8000).x.shape == (1, 16, 16)


# -------------------------------------------------------------------------------- known by name


def test_vowels_need_no_file():
    d = load_dataset("vowels")
    assert set(d.class_names) == set(FORMANTS) and d.x.shape[1:] == d.test_x.shape[1:]
    assert not set(d.sound.speakers) & set(d.sound.test_speakers)
    assert load_dataset("vowels", held_out_speakers="s03").sound.test_speakers[0] == "s03"
    with pytest.raises(ValueError, match="are for images and tables, not for vowels"):
        load_dataset("vowels", resize=8)


def test_each_speaker_is_left_out_once():
    d = load_dataset("vowels")
    parts = dict(leave_one_speaker_out(d))
    assert list(parts) == [f"s{k:02d}" for k in range(10)]
    for name, part in parts.items():
        assert set(part.sound.test_speakers) == {name} and name not in part.sound.speakers
        assert (len(part.x), len(part.test_x), len(part.y)) == (540, 60, 540)
    with pytest.raises(ValueError, match="of digits no speakers are known"):
        next(leave_one_speaker_out(load_dataset("digits")))


def digits_of(folder, speakers=("ann", "bob", "cy"), n=1, rate=8000):
    names = [f"{d}_{who}_{i}.wav" for d in range(10) for who in speakers for i in range(n)]
    return fill(folder, *names, rate=rate)


def test_fsdd_is_found_where_it_lies(tmp_path, monkeypatch):
    digits_of(tmp_path / "fsdd" / "recordings")
    d = load_dataset("fsdd", data_dir=tmp_path)
    assert (d.name, len(d.x), len(d.test_x), d.class_names[9]) == ("fsdd", 20, 10, "9")
    assert "CC BY-SA 4.0" in d.source and set(d.sound.test_speakers) == {"cy"}
    monkeypatch.setenv("MINIENC_DATA", str(tmp_path / "fsdd" / "recordings"))
    assert len(load_dataset("fsdd", held_out_speakers="ann").test_x) == 10


def test_what_is_not_fsdd_is_not_taken_for_it(tmp_path):
    digits_of(tmp_path, rate=16000)
    refused(r"holds classes 0, 1.* at 16,000 Hz, expected fsdd's", "fsdd", data_dir=tmp_path)
    digits_of(tmp_path)
    (tmp_path / "3_bob_0.wav").unlink()
    refused("holds not all ten digits of bob", "fsdd", data_dir=tmp_path)


class Mirror(types.ModuleType):
    """What of pooch is used, with a file of this machine."""

    def __init__(self, content, cache, failure=None):
        super().__init__("pooch")
        self.content, self.cache, self.failure = content, cache, failure

    def os_cache(self, project):
        return self.cache / project

    def retrieve(self, url, known_hash, fname, path):
        assert url == fsdd.URL and known_hash == f"sha256:{fsdd.SHA256}"
        if self.failure is not None:
            raise self.failure
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes(self.content)


def archive(**files):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def release():
    sounds = {
        f"{d}_{w}_0.wav": wav_bytes(sound(d), 8000) for d in range(10) for w in ("a", "b", "c")
    }
    inside = {f"fsdd-1.0.9/recordings/{name}": content for name, content in sounds.items()}
    return {**inside, "fsdd-1.0.9/README.md": b"hello", "../recordings/1_x_1.wav": b"evil"}


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    monkeypatch.delenv("MINIENC_DATA", raising=False)

    def mirror(content, failure=None):
        monkeypatch.setitem(sys.modules, "pooch", Mirror(content, tmp_path, failure))
        return tmp_path / "minienc" / "fsdd"

    return mirror


def test_fsdd_is_fetched_and_only_recordings_are_taken_out(fetched):
    folder = fetched(archive(**release()))
    assert len(load_dataset("fsdd").x) == 20
    assert sorted(p.name for p in folder.iterdir()) == [fsdd.FILE, "recordings"]
    assert len(list((folder / "recordings").iterdir())) == 30
    fetched(b"gone since")
    assert len(load_dataset("fsdd").x) == 20  # it is there


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (archive(**release())[:-400], "is cut short or corrupt"),
        (b"<html>not found</html>", "is cut short or corrupt"),
        (archive(readme=b"hello"), "holds no recordings: it is not fsdd"),
        (
            archive(**{"a/recordings/1_a_1.wav": b"x" * (1 << 20) + b"x"}),
            "one of more than 1,048,576",
        ),
    ],
)
def test_an_odd_archive_leaves_nothing(fetched, content, match):
    folder = fetched(content)
    refused(match, "fsdd")
    assert [p.name for p in folder.iterdir()] == [fsdd.FILE]


def test_no_network_and_no_pooch_say_what_to_do(fetched, monkeypatch, tmp_path):
    for failure, said in ((OSError(), "gave OSError"), (ValueError(), "another checksum")):
        fetched(b"", failure)
        with pytest.raises(ConnectionError, match=rf"{said}\); try again .* --data-dir"):
            load_dataset("fsdd")
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"pip install 'minienc\[download\]'; or give a folder"):
        load_dataset("fsdd", data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"data_dir is .*none"):
        load_dataset("fsdd", data_dir=tmp_path / "none")


def test_clips_and_settings_are_values():
    assert make_vowels(1, 1).names[0] == "heed_s00_0" and HOW == LogMel(*HOW)
