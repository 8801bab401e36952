"""``minienc`` on recordings, as somebody at a terminal meets it: pretrain, finetune, classify."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import shutil

import numpy as np
import pytest

from minienc.audio import METHODS
from minienc.cli import main
from minienc.data.sounds import make_vowels
from minienc.data.wav import write_wav
from minienc.models import load_model
from tests.test_cli import Balance

QUICK = ["--epochs=1", "--filters=3,4", "--units=5", "--batch-size=8", "--quiet"]
WORDS = ("heed", "hod", "had")
PATTERN = ["--pattern", "{label}_{speaker}_{index}"]
NO_LABELS = ["--pattern", "{word}_{speaker}_{index}"]  # so that nothing is fine-tuned


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds") / "said"
    folder.mkdir()
    clips = make_vowels(3, 3, seed=1)
    for name, sound in zip(clips.names, clips.sounds, strict=True):
        if name.split("_")[0] in WORDS:
            write_wav(folder / f"{name}.wav", sound, 8000)
    return folder


@pytest.fixture
def here(sounds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(sounds, "said")
    return tmp_path


def pretrain(*more):
    return main(["pretrain", "said", *NO_LABELS, *QUICK, *more])


@pytest.fixture(scope="module")
def whole(sounds, tmp_path_factory):
    """One run with labels; few_label_curve alone takes 1,000 steps."""
    folder = tmp_path_factory.mktemp("whole")
    words = ["pretrain", str(sounds), *PATTERN, *QUICK, "--labels=3", "--seeds=1"]
    assert main([*words, "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture
def run(here, whole):
    shutil.copytree(whole, "run")
    return "run"


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_leaves_a_run_and_a_page_with_sounds(here, method, capsys):
    assert pretrain("--method", method, "--out", "run") == 0
    page = open("run/report.html").read()
    assert "could not be" not in page and page.count("<audio controls") == 9
    assert "time runs to the right" in page and "phases made up" in page
    assert not re.search(r'src="(?!data:)', page) and "<script" not in page
    parser = Balance()
    parser.feed(page)
    assert parser.open == [] and parser.fetched == []
    assert "run/report.html" in capsys.readouterr().out
    assert main(["pretrain", "--resume", "run"]) == 0  # which is complete


def test_how_sounds_were_read_is_in_the_run(run):
    config = json.load(open("run/config.json"))
    sound = config["preprocessing"]["sound"]
    assert (sound["rate"], sound["scale"], sound["n_fft"]) == (8000, "htk", 256)
    assert config["settings"]["method"] == "predictive_coding"  # by itself, for a folder of sounds
    assert config["settings"]["pattern"] == PATTERN[1]


def test_the_command_on_the_page_repeats_the_run(here):
    assert pretrain("--out", "run") == 0
    command = open("run/report.html").read().split('<pre class="command">')[1].split("</pre>")[0]
    words = shlex.split(html.unescape(command))[1:]
    assert "--pattern" in words
    words[words.index("--out") + 1] = "again"
    assert main([*words, "--quiet"]) == 0
    one, two = load_model("run/model.npz"), load_model("again/model.npz")
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_sounds_that_come_later_are_encoded_alike(run, capsys):
    assert main(["encode", run, "said", "--out", "all.npy"]) == 0
    assert main(["encode", run, "said/had_s01_2.wav", "--out", "one.npy"]) == 0
    place = sorted(os.listdir("said")).index("had_s01_2.wav")
    np.testing.assert_allclose(np.load("one.npy")[0], np.load("all.npy")[place], atol=1e-6)
    write_wav("fast.wav", np.sin(np.arange(9000) / 9), 16000)
    capsys.readouterr()
    assert main(["encode", run, "fast.wav", "--out", "no.npy"]) == 2
    assert "16,000 Hz, expected 8,000, the run's; --resample brings" in capsys.readouterr().err
    assert main(["encode", run, "fast.wav", "--resample", "--out", "yes.npy"]) == 0
    assert np.load("yes.npy").shape == (1, 10)


def test_a_classifier_names_what_it_hears(run, capsys):
    assert main(["classify", run, "said/had_s01_2.wav"]) == 2
    assert (
        "classifier.npz is not there: make it with minienc finetune run" in capsys.readouterr().err
    )
    options = ["--dropout=0.2", "--label-smoothing=0.1", "--weight-decay=0.01", "--schedule=cosine"]
    options += ["--augment", "speed:0.1,pitch,spec_augment:4,stretch"]
    assert main(["finetune", run, "--epochs=30", "--lr=0.01", *options, "--quiet"]) == 0
    capsys.readouterr()
    files = [f"said/{word}_s00_0.wav" for word in WORDS]
    assert main(["classify", run, *files]) == 0
    lines = capsys.readouterr().out.splitlines()
    for line, file, word in zip(lines, files, WORDS, strict=True):
        assert re.fullmatch(rf"{file}: (\S+ [\d.]+ %(, )?){{3}}", line), line
        assert line.split()[1] == word
    assert main(["classify", run, "said", "--top", "1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 27
    os.rename("run", "elsewhere")
    shutil.copy("said/hod_s00_1.wav", "clip.wav")
    shutil.rmtree("said")
    assert main(["classify", "elsewhere", "clip.wav", "--top", "2"]) == 0  # needs nothing else
    assert capsys.readouterr().out.startswith("clip.wav: hod ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--augment", "echo"], "--augment has 'echo', expected some of "),
        (["--augment", "speed:2"], "--augment has 'speed:2': RandomStretch: time is 2.0"),
        (["--augment", "speed:x"], "--augment has 'speed:x': could not convert"),
        (["--dropout", "1"], "Dropout: rate is 1.0"),
        (["--schedule", "steps"], "schedule is 'steps', expected one of constant, cosine"),
        (["--weight-decay", "-1"], "weight_decay is -1.0"),
        (["--label-smoothing", "2"], "label_smoothing is 2.0"),
    ],
)
def test_what_finetune_refuses(run, capsys, words, said):
    assert main(["finetune", run, "--labels", "3", "--epochs", "1", *words]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--frames", "30"], "have 30 frames, expected a multiple of 4 (each of 2 convolutions"),
        (["--held-out-speakers", "eve"], "nobody is 'eve'; speakers are s00, s01, s02"),
        (["--pattern", "{word}"], "pattern is '{word}', expected such as"),
        (["--resample", "-8"], "resample is -8, expected a rate in Hz"),
        (["--resize", "8"], "which is for folders of images"),
        (["--ahead", "1"], "ahead is 1, expected a whole number from 2"),
    ],
)
def test_what_pretrain_refuses_of_sounds(here, capsys, more, said):
    assert pretrain(*more, "--out", "run") == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not os.path.exists("run")


@pytest.mark.parametrize(
    "sound", [None, [], {"rate": 8000}, "log-mel", {"rate": 8000, "n_fft": 10**12}]
)
def test_a_hostile_config_is_refused(run, capsys, sound):
    config = json.load(open("run/config.json"))
    config["preprocessing"]["sound"] = sound
    json.dump(config, open("run/config.json", "w"))
    assert main(["encode", run, "said/had_s01_2.wav", "--out", "c.npy"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and ("preprocessing: sound" in error or sound is None)


def test_other_methods_learn_from_sounds_as_from_any_samples(here):
    words = ["pretrain", "said", *NO_LABELS, "--method", "autoencoder", "--hidden", "8,4"]
    assert main([*words, "--epochs", "1", "--out", "r"]) == 0
    assert open("r/report.html").read().count("<audio controls") == 9


def test_images_are_classified_one_by_one(tmp_path, monkeypatch, capsys):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    for k, name in enumerate(("dark", "light")):
        os.makedirs(f"pictures/{name}")
        for i in range(6):
            pixels = np.full((6, 6), 20 + 200 * k + i, np.uint8)
            Image.fromarray(pixels).save(f"pictures/{name}/{i}.png")
    words = ["pretrain", "pictures", "--hidden", "4,2", "--epochs", "2", "--labels", "2"]
    assert main([*words, "--seeds", "1", "--quiet", "--out", "run"]) == 0
    assert main(["finetune", "run", "--epochs", "60", "--lr", "0.05", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["classify", "run", "pictures/light/3.png", "--top", "1"]) == 0
    assert capsys.readouterr().out.startswith("pictures/light/3.png: light ")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save("large.png")
    assert main(["classify", "run", "large.png"]) == 2
    assert "samples of 81 numbers, the encoder of run takes 36" in capsys.readouterr().err


def test_data_says_where_it_lies(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINIENC_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["data", "fsdd"]) == 2
    assert "fsdd is not here" in capsys.readouterr().err
    assert main(["data", "mnist", "--data-dir", "."]) == 2
    assert "mnist is not here: not in ." in capsys.readouterr().err
