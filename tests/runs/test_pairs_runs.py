"""``finetune --task``, ``translate`` and ``summarize``: as somebody at a terminal meets them."""

from __future__ import annotations

import io
import json
import os
import shlex
import sys

import numpy as np
import pytest

from minienc.cli import main
from minienc.runs import pairs as runs
from minienc.training.callbacks import Callback
from tests.tasks.test_pairs_models import digits

X, Y = digits(120)
SIZES = ["--set", "width=8", "--set", "vocab_size=280", "--set", "batch_tokens=120"]
QUICK = [*SIZES, "--epochs", "2", "--beam", "2", "--quiet"]
TRANSLATE = [
    "finetune",
    "--task",
    "translate",
    "--pairs",
    "toy",
    "--source",
    "num",
    "--target",
    "en",
]


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("toy")
    for side, lines in (("num", X), ("en", Y)):
        with open(f"toy/train.{side}", "w") as file:
            file.write("\n".join(lines) + "\n")
    with open("toys.jsonl", "w") as file:
        for k, (text, short) in enumerate(zip(X, Y, strict=True)):
            row = {"name": f"p{k}", "text": f"It is a row. {text}", "short": short}
            file.write(json.dumps(row) + "\n")
    return tmp_path


def error_of(capsys, *words):
    assert main(list(words)) == 2
    return capsys.readouterr().err


def test_a_translation_from_beginning_to_end(toy, capsys):
    assert main([*TRANSLATE, *QUICK, "--out", "run"]) == 0
    out = capsys.readouterr().out
    assert "chrF" in out and "minienc translate run" in out
    page, results = open("run/report.html").read(), json.load(open("run/results.json"))
    assert "could not be" not in page and "What was looked at" in page and "chrF" in page
    assert (results["pairs_train"], results["pairs_valid"]) == (114, 6)
    assert len(json.load(open("run/predictions.json"))) == 6
    os.rename("run", "elsewhere")
    capsys.readouterr()
    assert main(["translate", "elsewhere", "4 7", "", "1"]) == 0
    one, empty, two = capsys.readouterr().out.split("\n")[:3]
    assert one and two and not empty
    with open("lines.txt", "w") as file:
        file.write("4 7\n\n1\n")
    assert main(["translate", "elsewhere", "--file", "lines.txt"]) == 0
    assert capsys.readouterr().out.split("\n")[:3] == [one, empty, two]
    assert (
        main(["translate", "elsewhere", "4 7", "--beam", "5", "", "--no-repeat=0", "--", "1"]) == 0
    )
    assert capsys.readouterr().out.split("\n")[:3] == [one, empty, two]
    assert main(["translate", "elsewhere", "4 7 " * 99]) == 0
    assert "of which the first 200 are read" in capsys.readouterr().err
    assert main(["finetune", "--resume", "elsewhere"]) == 0
    assert "is complete" in capsys.readouterr().out


def test_the_command_of_the_page_repeats_the_run(toy):
    assert main([*TRANSLATE, *QUICK, "--out", "run"]) == 0
    config = json.load(open("run/config.json"))
    command = runs.command_line(config["settings"], "again")
    assert main([*shlex.split(command)[1:], "--quiet"]) == 0
    for name in ("weights.npz", "predictions.json", "tokenizer.json"):
        assert open(f"run/{name}", "rb").read() == open(f"again/{name}", "rb").read() or (
            name.endswith("npz") and _same_arrays(f"run/{name}", f"again/{name}")
        )


def _same_arrays(one, two):
    a, b = np.load(one), np.load(two)
    return all(np.array_equal(a[name], b[name]) for name in a.files)


def test_summaries_with_their_baselines(toy, capsys, monkeypatch):
    pairs = ["--pairs", "toys.jsonl", "--source", "name,text", "--target", "short"]
    assert main(["finetune", "--task", "summarize", *pairs, *QUICK, "--out", "run"]) == 0
    out = capsys.readouterr().out
    assert "ROUGE-L of the first sentence" in out and "minienc summarize run FILE" in out
    page = open("run/report.html").read()
    assert "best simple baseline" in page and "could not be" not in page
    with open("a.txt", "w") as file:
        file.write("p3: It is\na row. 4 5\n")
    assert main(["summarize", "run", "a.txt"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(["summarize", "run", "a.txt", "--lines", "--no-repeat", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    monkeypatch.setattr(sys, "stdin", io.StringIO("p3: It is a row. 4 5\n"))
    assert main(["summarize", "run"]) == 0
    assert "is a run of summarize" in error_of(capsys, "translate", "run", "x")


def test_what_was_pretrained_is_gone_on_with(toy, capsys):
    more = ["--epochs", "1", "--steps-per-epoch", "4", "--context", "12", "--quiet"]
    sizes = ["--width", "8", "--vocab-size", "280", "--network", "transformer"]
    sizes += ["--n-layers", "1", "--num-heads", "2"]
    pretrain = ["pretrain", "toy", "--method", "denoising_seq2seq"]
    assert main([*pretrain, *more, *sizes, "--out", "pre"]) == 0
    quick = ["--epochs", "1", "--beam", "1", "--quiet"]
    words = ["finetune", "pre", *TRANSLATE[1:], *quick]
    assert main([*words, "--out", "run"]) == 0
    results, settings = json.load(open("run/results.json")), json.load(open("run/config.json"))
    settings = settings["settings"]
    assert (settings["network"], settings["width"], settings["n_layers"]) == ("transformer", 8, 1)
    everything = results["taken_over"]
    assert main([*words, "--parts", "encoder", "--limit", "50", "--out", "run2"]) == 0
    results = json.load(open("run2/results.json"))
    assert 0 < results["taken_over"] < everything and results["pairs_train"] == 50
    assert "of its parameters began as those of" in open("run2/report.html").read()
    assert main(["translate", "run2", "4 7"]) == 0
    assert "nothing of" in error_of(capsys, *words, "--set", "width=12", "--out", "run3")


def test_a_network_has_settings_that_suit_it():
    def settings(*more, **said):
        given = {"task": "translate", "pairs": ["docstrings:"], "network": "transformer", **said}
        return runs.default_settings(None, given, list(more))

    assert settings()["optimizer"] == "muon" and settings()["epochs"] == 30
    assert settings(learning_rate=0.01)["learning_rate"] == 0.01
    own = settings("optimizer=adamw", epochs=3)
    assert (own["optimizer"], own["learning_rate"], own["epochs"]) == ("adamw", 2e-3, 3)
    assert settings(network="gru")["optimizer"] == "adamw"


class StopAfter(Callback):
    belongs_to_run = False

    def on_train_batch_end(self, batch, logs):
        if self.trainer.batches_done == 9:
            raise KeyboardInterrupt


def test_ctrl_c_says_how_to_go_on_and_the_end_is_the_same(toy, capsys, monkeypatch):
    assert main([*TRANSLATE, *QUICK, "--out", "whole"]) == 0
    make = runs.make_task

    def stopping(settings, quiet):
        model = make(settings, quiet)
        fit = model.fit
        model.fit = lambda *args, **given: fit(*args, callbacks=[StopAfter()], **given)
        return model

    monkeypatch.setattr(runs, "make_task", stopping)
    assert main([*TRANSLATE, *QUICK, "--out", "cut"]) == 130
    assert "go on with: minienc finetune --resume cut" in capsys.readouterr().err
    assert "no weights.npz yet" in error_of(capsys, "translate", "cut", "4")
    monkeypatch.setattr(runs, "make_task", make)
    assert main(["finetune", "--resume", "cut", "--quiet"]) == 0
    assert _same_arrays("whole/weights.npz", "cut/weights.npz")
    assert open("whole/history.csv").read() == open("cut/history.csv").read()
    with open("toy/train.en", "a") as file:
        file.write("one\n")
    os.remove("cut/report.html")
    assert "has 120 lines and" in error_of(capsys, "finetune", "--resume", "cut")
    with open("toy/train.num", "a") as file:
        file.write("1\n")
    assert "holds other pairs than when" in error_of(capsys, "finetune", "--resume", "cut")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["finetune"], "finetune needs RUN, the folder of a run; or --task"),
        (["finetune", "--task", "sing", "--pairs", "toy"], "--task is 'sing', expected translate"),
        (["finetune", "--task", "translate"], "needs --pairs"),
        (["finetune", "run", "--pairs", "toy"], "--pairs is for pairs of texts: say --task"),
        (["finetune", "--task", "translate", "--pairs", "toy"], "say source and target; "),
        ([*TRANSLATE[:-1], "de"], "target is 'de', "),
        ([*TRANSLATE, "--labels", "3"], "--labels is for classifiers"),
        ([*TRANSLATE, "--set", "widht=3"], "no parameter of translate; did you mean 'width'?"),
        ([*TRANSLATE, "--set", "width"], "no parameter of translate"),
        ([*TRANSLATE, "--set", "dropout=much"], "--set dropout is 'much', expected such as 0.2"),
        ([*TRANSLATE, "--network", "lstm"], "network is 'lstm'"),
        ([*TRANSLATE, "--limit", "1000"], "--limit is 1000, expected 1 to 114"),
        ([*TRANSLATE, "--resume", "run"], "leave out the rest"),
        (["finetune", "--resume", "nowhere"], "not a run folder"),
        (["translate", "nowhere", "x"], "has no task.json"),
        (["summarize", "nowhere", "x"], "has no task.json"),
        (["finetune", "toy", *TRANSLATE[1:]], "is not a run folder"),
    ],
)
def test_what_cannot_be_is_one_sentence(toy, capsys, words, what):
    said = error_of(capsys, *words)
    assert what in said and said.count("\n") == 1
    assert not os.path.exists("runs") or not os.listdir("runs")


def test_a_run_of_a_task_is_no_encoder(toy, capsys):
    assert main([*TRANSLATE, *QUICK, "--out", "run"]) == 0
    assert "a run of minienc finetune --task" in error_of(
        capsys, "encode", "run", "toys.jsonl", "--out", "codes.npy"
    )
    for change in ({"task": "sing"}, {"pairs": []}, {"width": "wide"}, {"epochs": None}):
        config = json.load(open("run/config.json"))
        whole = open("run/config.json").read()
        config["settings"] |= change
        json.dump(config, open("run/config.json", "w"))
        os.path.exists("run/report.html") and os.remove("run/report.html")
        assert "config.json" in error_of(capsys, "finetune", "--resume", "run")
        open("run/config.json", "w").write(whole)
