"""The command line as a student uses it: run folders, refusals, going on after a stop."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from minienc.cli import main
from minienc.data import load_digits
from minienc.gpu import gpu_info
from minienc.models import load_model
from minienc.pretraining import METHODS
from tests import guard_array  # noqa: F401  (the device "guard")

QUICK = ["--epochs", "2", "--hidden", "16,4", "--labels", "10", "--seeds", "1", "--quiet"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run():
    assert main(["pretrain", *QUICK, "--out", "run"]) == 0
    return "run"


class Balance(HTMLParser):
    """Every tag that opens closes; nothing is fetched from elsewhere."""

    VOID = ("meta", "img", "br", "link", "use", "path")

    def __init__(self):
        super().__init__()
        self.open, self.fetched = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.fetched += [v for k, v in attrs if k in ("src", "href") and v and "//" in v[:8]]

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_a_run_leaves_everything_needed(run, capsys):
    files = {"checkpoints", "config.json", "encoder.npz", "history.csv", "model.npz"}
    assert set(os.listdir(run)) == files | {"report.html", "results.json"}
    with open(f"{run}/config.json") as file:
        settings = json.load(file)["settings"]
    assert settings["seed"] == 0 and settings["loss"] == "binary_crossentropy"
    with open(f"{run}/results.json") as file:
        errors = json.load(file)["test_squared_error_per_sample"]
    assert errors["mean sample"] > errors["PCA, 4 components"] > 0
    with open(f"{run}/history.csv") as file:
        assert file.readline() == "epoch,loss,val_loss\n"
    with open(f"{run}/report.html", encoding="utf-8") as file:
        page = file.read()
    parser = Balance()
    parser.feed(page)
    assert parser.open == [] and parser.fetched == []
    assert "minienc pretrain digits" in page


def test_the_command_on_the_page_repeats_the_run(run):
    with open(f"{run}/report.html", encoding="utf-8") as file:
        command = file.read().split('<pre class="command">')[1].split("</pre>")[0]
    words = command.split()[1:]
    words[words.index("--out") + 1] = "again"
    assert main([*words, "--quiet"]) == 0
    one, two = load_model(f"{run}/model.npz"), load_model("again/model.npz")
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_is_never_overwritten_without_force(run, capsys):
    before = os.stat(f"{run}/model.npz").st_mtime_ns
    assert main(["pretrain", *QUICK, "--out", run]) == 2
    assert "--force replaces the run in it" in capsys.readouterr().err
    assert os.stat(f"{run}/model.npz").st_mtime_ns == before
    os.mkdir("mine")
    with open("mine/thesis.txt", "w") as file:
        file.write("dear")
    assert main(["pretrain", *QUICK, "--out", "mine", "--force"]) == 2
    assert os.listdir("mine") == ["thesis.txt"]
    assert main(["pretrain", *QUICK, "--out", run, "--force"]) == 0
    assert os.stat(f"{run}/model.npz").st_mtime_ns != before


def test_runs_are_numbered(capsys):
    for _ in range(2):
        assert main(["pretrain", *QUICK]) == 0
    assert sorted(os.listdir("runs")) == ["autoencoder-digits-1", "autoencoder-digits-2"]


def test_encode_and_finetune(run, capsys):
    assert main(["encode", run, "digits", "--out", "codes.npy"]) == 0
    codes = np.load("codes.npy")
    rows = load_digits().x.flatten_samples()
    np.testing.assert_array_equal(codes, load_model(f"{run}/encoder.npz").predict(rows, 1000))
    assert main(["encode", run, "digits", "--out", "codes.npy"]) == 2
    assert main(["finetune", run, "--labels", "50", "--epochs", "2", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "random weights" in out and "With 50 labels pretraining" in out
    classifier = load_model(f"{run}/classifier.npz")
    assert classifier.predict(rows[:3]).shape == (3, 10)


def test_data_without_labels_is_enough(capsys):
    rng = np.random.default_rng(0)
    np.save("x.npy", rng.standard_normal((80, 6)))
    assert main(["pretrain", "x.npy", "--epochs", "1", "--hidden", "4,2", "--out", "r"]) == 0
    assert "labels" not in capsys.readouterr().out.split("squared error")[1]
    with open("r/config.json") as file:
        assert json.load(file)["settings"]["loss"] == "mean_squared_error"
    assert main(["finetune", "r"]) == 2


@pytest.mark.parametrize("method", METHODS)
def test_every_method_leaves_a_run_with_its_pictures_and_is_compared(method):
    """On few of the digits, a round or two of each of its stages; what it finds is no matter."""
    assert method in SHOWN, f"SHOWN, in this file, has no words of the report of {method!r}"
    rng, digits = np.random.default_rng(0), load_digits()
    chosen = rng.permutation(len(digits.x))[:150]
    np.savez("few.npz", x=np.asarray(digits.x)[chosen], y=digits.y[chosen])
    own = METHODS[method]._parameters()
    words = ["few.npz", "--labels", "10", "--seeds", "1", "--quiet", "--out", method]
    for name in ("epochs", "epochs_per_layer", "pretraining_epochs"):
        words += [f"--{name.replace('_', '-')}", "2"] if name in own else []
    assert main(["pretrain", "--method", method, *words]) == 0
    results = json.loads(Path(method, "results.json").read_text())
    assert len(results["few_labels"]["test_accuracy"]) == 5
    page = Path(method, "report.html").read_text()
    for caption in SHOWN[method]:
        assert caption in page, caption
    parser = Balance()
    parser.feed(page)
    assert parser.open == [] and not re.search(r"[>\s][-+]?(nan|inf)\b", page)
    assert "could not be" not in page and results["notes"] == notes(results)
    assert re.search(
        r"Neither|[Ll]ower is|neither lower|lower is not", page.split("learned</h2>")[2]
    )


def notes(results):
    """What is said of a code that is no narrower than its input; nothing else goes wrong."""
    wide = [note for note in results["notes"] if "so they are no comparison" in note]
    compared = results["test_squared_error_per_sample"]
    return wide if len(compared) == 2 else []


SHOWN = {  # words of the pictures that suit each method
    "autoencoder": ["The first layer's weights"],  # and no picture that others have not
    "stacked": ["The first layer's weights"],  # the same
    "denoising": ["The first layer's weights", "disturbed, in the middle"],
    "sparse": ["are at work for a sample"],
    "contractive": ["Singular values of the encoder&#x27;s Jacobian"],
    "variational": ["What each number of the code costs", "the code has collapsed", "New samples"],
    "convolutional": ["The kernels of the first convolution", "the five kernels that answer most"],
    "masked": ["are hidden (grey)"],
    "vq": ["codes in use", "How often each code is used", "replaced by each of the ten most used"],
    "rbm": [
        "Chains that begin at test samples",
        "the mean over its batches",
        "Z by annealing in 200 steps",
    ],
    "dbn": ["of each machine", "and after fine-tuning"],
    "kmeans": ["Test samples of each", "The centroids of the largest clusters", "purity"],
    "patches": ["Centroids of whitened patches"],
    "dec": ["Test samples in each cluster", "mutual information"],
    "gan": ["of the same noise", "nearest to them", "that copies", "are covered", "mean logits"],
    "aae": ["The numbers of the codes", "The losses of the two turns", "New samples"],
}


REFUSED = [
    (["--method", "foo"], "--method is 'foo', expected one of aae, autoencoder"),
    (["--noise", "masking:0.3"], "--noise is not for --method autoencoder, which takes --hidden"),
    (["--method", "denoising", "--noise", "masking:x"], "expected such as masking:0.3"),
    (["--method", "denoising", "--noise", "masking:3"], "expected a probability in [0, 1]"),
    (["--labels", "5"], "expected at least 10, one for each class"),
    (["--labels", "99999"], "at most 1437"),
    (["--batch-size", "99999"], "expected 1 to 1437"),
    (["--epochs", "0"], "epochs is 0"),
    (["--lr", "nan"], "learning_rate is nan"),
    (["--optimizer", "foo"], "optimizer is 'foo'"),
    (["--hidden", "3,0"], "hidden is (3, 0)"),
    (["--seed", "-1"], "--seed at least 0"),
    (["nosuch"], "there is no nosuch"),
    (["--resume", "nosuch"], "is not a run folder"),
    (["--resume", "nosuch", "--epochs", "3"], "leave out DATA and --epochs"),
]


@pytest.mark.parametrize(("words", "sentence"), REFUSED)
def test_refusals_are_one_line_and_leave_nothing(words, sentence, capsys):
    assert main(["pretrain", *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.startswith("minienc: error: ")
    assert error.count("\n") == 1
    assert os.listdir(".") == []


def test_bad_data_is_refused_before_anything_is_written(capsys):
    x = np.random.default_rng(0).random((30, 4))
    x[[3, 9]] = np.nan
    np.save("nan.npy", x)
    with open("cut.npy", "wb") as file, open("nan.npy", "rb") as whole:
        file.write(whole.read()[:300])
    np.savez("objects.npz", x=np.array([{}], dtype=object))
    for name, word in (("nan.npy", "rows 3, 9"), ("cut.npy", "cut.npy"), ("objects.npz", "object")):
        assert main(["pretrain", name, "--out", "r"]) == 2
        assert word in capsys.readouterr().err
        assert not os.path.exists("r")


def test_a_loss_that_explodes_ends_with_status_1(capsys):
    words = ["pretrain", "--lr", "1e30", "--optimizer", "sgd", *QUICK, "--out", "r"]
    assert main(words) == 1
    assert "batch" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_says_how_to_resume_and_the_end_is_the_same(run, capsys):
    words = ["pretrain", "--method", "denoising", "--epochs", "40", *QUICK[2:]]
    assert main([*words, "--out", "whole"]) == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "minienc", *words, "--out", "stopped"],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    while not os.path.exists("stopped/checkpoints/checkpoint.npz"):
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert process.returncode == 130
    assert b"go on with: minienc pretrain --resume stopped" in error
    assert not os.path.exists("stopped/results.json")
    assert main(["pretrain", "--resume", "stopped", "--quiet"]) == 0
    one, two = load_model("whole/model.npz"), load_model("stopped/model.npz")
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert main(["pretrain", "--resume", "stopped"]) == 0
    assert "is complete" in capsys.readouterr().out


def test_info(capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for word in ("NumPy", "kernel", "threads", "GPU"):
        assert word in out


@pytest.mark.skipif(gpu_info()["why_not"] is None, reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_at_once_and_nothing_is_written(capsys, run, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    capsys.readouterr()
    for command in (
        ["pretrain", "--device", "cuda"],
        ["pretrain", "no-such-data", "--device", "cuda:1", "--out", "elsewhere"],
        ["finetune", run, "--device", "cuda", "--force"],
        ["encode", run, "digits", "--device", "cuda", "--out", "codes.npy"],
    ):
        assert main(command) == 2
        out, error = capsys.readouterr()
        assert out == "" and error.count("\n") == 1
        assert "device 'cuda" in error and "cannot be used: CuPy" in error
    assert main(["pretrain", "--device", "tpu"]) == 2
    assert "device is 'tpu', expected \"cpu\"" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_may_be_on_a_device(capsys):
    """Here on one that computes with NumPy and refuses to mix."""
    assert main(["pretrain", *QUICK, "--device", "guard", "--out", "there"]) == 0
    assert main(["pretrain", *QUICK, "--device", "cpu", "--out", "here"]) == 0
    there, here = (
        json.loads(Path(run, "results.json").read_text())["test_squared_error_per_sample"]
        for run in ("there", "here")
    )
    assert there == pytest.approx(here, rel=1e-4)
    assert main(["finetune", "there", "--labels", "20", "--device", "guard", "--quiet"]) == 0
    assert main(["encode", "there", "digits", "--device", "guard", "--out", "codes.npy"]) == 0
    assert np.load("codes.npy").shape[1] == 4


def test_the_help_names_every_method(capsys):
    with pytest.raises(SystemExit):
        main(["pretrain", "--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in METHODS)
