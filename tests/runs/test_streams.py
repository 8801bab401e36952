"""``minienc`` on shards, as somebody at a terminal meets it: pretrain, resume, encode."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minienc.cli import main
from minienc.data import Pixels, open_shards, text_files
from minienc.data import shard_parts as parts
from minienc.models import load_model
from minienc.runs import streams, text
from minienc.runs.inputs import prepare
from minienc.runs.streams import is_stream
from tests.runs.test_text_runs import QUICK as SMALL_TEXT
from tests.runs.test_text_runs import SMALL, TEXT

ROOT = Path(__file__).parent.parent.parent
QUICK = ["--epochs", "2", "--hidden", "3", "--batch-size", "16", "--quiet"]


def make(i, n=30):
    return np.random.default_rng(i).integers(0, 256, (n, 3, 3), "uint8")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shards").mkdir()
    for i in range(5):
        np.save(tmp_path / "shards" / f"{i}.npy", make(i))
    return tmp_path


def test_what_is_a_stream(here, monkeypatch):
    assert is_stream("shards") and is_stream("shards/*.npy") and is_stream("nothing/*.npy")
    assert not any(map(is_stream, (None, "digits", "nothing", "shards/0.npy")))
    with monkeypatch.context() as patched:
        patched.setattr(streams, "memory_there", lambda: 500)
        assert is_stream("shards/0.npy") and not is_stream("digits")
    for name in ("2.npy", "3.npy", "4.npy"):
        os.rename(f"shards/{name}", name)
    np.save("shards/labels.npy", np.arange(30))
    assert not is_stream("shards")  # a set to train on, another to test on, and labels
    os.rename("2.npy", "shards/2.npy")
    assert is_stream("shards")
    (here / "archives").mkdir()
    np.savez("archives/a.npz", x=make(0))
    assert not is_stream("archives")
    np.savez("archives/b.npz", x=make(1))
    assert is_stream("archives")


@pytest.mark.parametrize("data", ["shards", "shards/*.npy"])
def test_pretrain_and_encode(here, data, capsys):
    assert main(["pretrain", data, *QUICK, "--out", "run"]) == 0
    config = json.loads(Path("run/config.json").read_text())
    assert config["preprocessing"]["pixel_scale"] == 1 / 255
    assert config["settings"]["data"] == str(here / data)
    assert "comparing" not in capsys.readouterr().err
    results = json.loads(Path("run/results.json").read_text())
    assert next(iter(results["test_squared_error_per_sample"])) == "mean sample"
    assert main(["encode", "run", data, "--out", "codes.npy"]) == 0
    whole = Pixels(np.concatenate([make(i) for i in range(5)])).flatten_samples()
    expected = load_model("run/encoder.npz").predict(whole)
    np.testing.assert_allclose(np.load("codes.npy"), expected, rtol=1e-5, atol=1e-6)
    assert "codes.npy: 150 codes of 3 numbers, float32" in capsys.readouterr().out
    assert main(["encode", "run", "shards/0.npy", "--out", "one.npy"]) == 0
    np.testing.assert_allclose(np.load("one.npy"), expected[:30], rtol=1e-5, atol=1e-6)


def test_what_is_tested_on_is_learned_from_by_nobody(here):
    dataset, found = prepare({"data": "shards", "method": "autoencoder"})
    train, test = dataset.x[:], dataset.test_x
    assert (len(train), len(test)) == (120, 30) and found["range"] == (0.0, 1.0)
    both = np.concatenate([train, test]).reshape(150, -1)
    whole = np.concatenate([make(i) for i in range(5)]).reshape(150, -1) * np.float32(1 / 255)
    np.testing.assert_array_equal(*(a[np.lexsort(a.T)] for a in (both, whole)))
    np.testing.assert_array_equal(test[:6].reshape(6, -1), whole[24:30])  # some of each shard
    np.testing.assert_array_equal(prepare({"data": "shards"})[0].test_x, test)


def test_of_many_shards_some_are_looked_into(here, monkeypatch):
    monkeypatch.setattr(parts, "MOST_SHARDS", 3)
    X = open_shards("shards")
    rest, test = parts.hold_out(X, most=12)
    assert (len(rest), len(test)) == (138, 12)
    assert [shard.n for shard in rest.shards] == [26, 30, 26, 30, 26] and X.n_read == 3
    np.testing.assert_array_equal(rest[26:56], X[30:60])
    some = parts.some_samples(rest, most=6)
    np.testing.assert_array_equal(some, X[[0, 1, 60, 61, 120, 121]])
    np.save("shards/0.npy", make(0)[:28])
    with pytest.raises(ValueError, match=r"0\.npy: holds 28 samples, expected 30"):
        rest.epoch(8, None)[np.arange(8)]
    for i in range(5):
        np.save(f"shards/{i}.npy", make(i)[:1])
    with pytest.raises(ValueError, match="a shard of one sample, expected two or more"):
        parts.hold_out(open_shards("shards"))


def test_what_needs_all_samples_at_once_is_refused(here, capsys):
    for flags in (["--standardise"], ["--label-column", "kind"]):
        assert main(["pretrain", "shards", *flags, *QUICK]) == 2
        assert f"read shard by shard, for which there is no {flags[0]}" in capsys.readouterr().err
    assert main(["pretrain", "nothing/*.npy", *QUICK]) == 2
    assert "nothing/*.npy: no files are there" in capsys.readouterr().err
    assert main(["pretrain", "shards", "--labels", "10", *QUICK]) == 2
    assert "shards has no labels" in capsys.readouterr().err
    assert not Path("runs").exists()


SCRIPT = """
import sys, time
import numpy as np
from minienc.cli import main
from minienc.data.shards import Shards
from minienc.pretraining import base
from minienc.training.callbacks import ModelCheckpoint

base.BATCHES_KEPT = 2
read, saved = Shards.read_into, ModelCheckpoint.save

def slowly(self, k, room):
    time.sleep(float(sys.argv[1]))
    read(self, k, room)

def told(self):
    saved(self)
    print("saved", flush=True)

Shards.read_into, ModelCheckpoint.save = slowly, told
sys.exit(main(sys.argv[2:]))
"""


def test_a_run_that_is_killed_within_a_shard_is_resumed_to_the_same_bits(here):
    (here / "run.py").write_text(SCRIPT)
    words = [sys.executable, "run.py"]
    how = {"env": os.environ | {"PYTHONPATH": str(ROOT)}, "stdout": subprocess.PIPE, "text": True}
    pretrain = ["pretrain", "shards/*.npy", *QUICK, "--out", "run"]
    run = subprocess.Popen([*words, "0.1", *pretrain], **how)
    for _ in range(2):
        assert run.stdout.readline() == "saved\n"
    run.send_signal(signal.SIGKILL)
    run.communicate(timeout=60)
    assert run.returncode == -signal.SIGKILL and not Path("run/results.json").exists()
    subprocess.run([*words, "0", "pretrain", "--resume", "run"], check=True, timeout=120, **how)
    pretrain[-1] = "whole"
    subprocess.run([*words, "0", *pretrain], check=True, timeout=120, **how)
    ran, whole = (load_model(f"{name}/model.npz").parameters.vector for name in ("run", "whole"))
    np.testing.assert_array_equal(ran, whole)


def test_it_goes_on_with_the_same_shards_alone(here, capsys):
    assert main(["pretrain", "shards", *QUICK, "--out", "run"]) == 0
    Path("run/report.html").unlink()
    os.rename("shards/4.npy", "shards/5.npy")
    assert main(["pretrain", "--resume", "run", "--quiet"]) == 2
    assert "holds other data than when run began" in capsys.readouterr().err
    os.rename("shards/5.npy", "shards/4.npy")
    assert main(["pretrain", "--resume", "run", "--quiet"]) == 0


def test_a_shard_that_is_gone_ends_the_run_in_a_sentence_and_it_goes_on(here, capsys, monkeypatch):
    from minienc.training.loop import Trainer

    ended = Trainer._end_epoch

    def lose_one(self, logs):
        ended(self, logs)
        os.rename("shards/3.npy", "elsewhere.npy")

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_end_epoch", lose_one)
        assert main(["pretrain", "shards", *QUICK, "--out", "run"]) == 2
    assert "3.npy: it cannot be read: it is gone since it was opened; bring it back" in (
        capsys.readouterr().err
    )
    os.rename("elsewhere.npy", "shards/3.npy")
    assert main(["pretrain", "--resume", "run", "--quiet"]) == 0
    assert main(["pretrain", "shards", *QUICK, "--out", "whole"]) == 0
    ran, whole = (load_model(f"{name}/model.npz").parameters.vector for name in ("run", "whole"))
    np.testing.assert_array_equal(ran, whole)


def test_images_by_a_pattern(here, capsys):
    image = pytest.importorskip("PIL.Image")
    for i in range(6):
        image.fromarray(np.repeat(make(i)[0], 80, 0).repeat(80, 1)).save(f"{i}.png")
    assert main(["pretrain", "*.png", "--quiet"]) == 2
    assert "the images are 240 x 240" in capsys.readouterr().err
    words = ["pretrain", "*.png", *QUICK, "--batch-size", "2", "--resize", "3", "--grey"]
    assert main([*words, "--out", "run"]) == 0
    assert main(["encode", "run", "*.png", "--out", "codes.npy"]) == 0
    assert np.load("codes.npy").shape == (6, 3)
    assert main(["pretrain", "shards", *QUICK, "--grey"]) == 2
    assert "grey, resize and crop are for images" in capsys.readouterr().err


# -- texts


@pytest.mark.parametrize("method", ["rnn_lm", "masked_lm", "denoising_seq2seq"])
def test_a_large_text_is_read_in_parts_and_learned_from_alike(tmp_path, method, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("books").mkdir()
    for i in range(3):
        Path(f"books/{i}.txt").write_text(TEXT[i * 700 : (i + 1) * 700])
    words = ["pretrain", "books", "--method", method, *SMALL_TEXT, *SMALL[method]]
    assert main([*words, "--out", "whole"]) == 0
    monkeypatch.setattr(text, "memory_there", lambda: 100)
    monkeypatch.setattr(text, "HEAD", 500)
    monkeypatch.setattr(text_files, "_PART", 200)
    assert text.is_large("books") and not text.is_large("shakespeare")
    assert main([*words, "--out", "run"]) == 0
    ran, whole = (load_model(f"{name}/model.npz").parameters.vector for name in ("run", "whole"))
    np.testing.assert_array_equal(ran, whole)
    assert Path("run/checkpoints/ids.bin").exists()
    page = Path("run/report.html").read_text()
    assert "could not be" not in page and "Traceback" not in page
    marks = [json.loads(Path(f"{name}/config.json").read_text()) for name in ("run", "whole")]
    assert marks[0]["fingerprint"] == marks[1]["fingerprint"]
    if method == "rnn_lm":
        nats = json.loads(Path("run/results.json").read_text())["test_nats_per_character"]
        assert set(nats) == {"unigram", "bigram", "Kneser-Ney, order 6", "bzip2", "rnn_lm"}
    Path("run/report.html").unlink()
    assert main(["pretrain", "--resume", "run", "--quiet"]) == 0
    again = load_model("run/model.npz").parameters.vector
    np.testing.assert_array_equal(again, whole)
