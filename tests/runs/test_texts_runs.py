"""``finetune --task classify`` and ``classify`` of texts, as somebody at a terminal meets them."""

from __future__ import annotations

import json
import shlex
import shutil

import numpy as np
import pytest

from minienc.cli import main
from minienc.finetuning import TextClassifier
from minienc.models import load_model
from minienc.runs import texts as runs
from tests.finetuning.test_texts import sentences
from tests.language.test_methods import TEXT
from tests.test_cli import Balance

SMALL = {
    "rnn_lm": ["--hidden=7", "--embedding=6"],
    "masked_lm": ["--embedding=8", "--n-layers=1", "--num-heads=2"],
}
QUICK = ["--seeds", "1", "--epochs", "3", "--quiet"]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    (folder / "letters.txt").write_text(TEXT)
    words = ["pretrain", str(folder / "letters.txt"), "--epochs=1", "--context=8", "--quiet"]
    for method, sizes in SMALL.items():
        assert main([*words, "--method", method, *sizes, "--out", str(folder / method)]) == 0
    return folder


@pytest.fixture
def here(pretrained, tmp_path, monkeypatch):
    for method in SMALL:
        shutil.copytree(pretrained / method, tmp_path / method)
    texts, labels = sentences(40)
    rows = [f"{label}\t{text}" for text, label in zip(texts, labels, strict=True)]
    (tmp_path / "who.tsv").write_text("\n".join(["label\ttext", *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "STEPS", 4)
    return tmp_path


def error_of(capsys, *words):
    assert main(list(words)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def finetune(method, *more):
    return main(["finetune", method, "--task", "classify", "--texts", "who.tsv", *QUICK, *more])


@pytest.mark.parametrize("method", SMALL)
def test_from_beginning_to_end(here, method, capsys):
    assert finetune(method, "--labels", "8", "--out", "run") == 0
    out = capsys.readouterr().out
    assert "naive Bayes, words' n-grams" in out and "the best of what needs no network" in out
    assert 'minienc classify run "..."' in out
    results = json.load(open("run/results.json"))
    assert (results["texts_train"], results["texts_test"]) == (8, 8)
    assert results["classes"] == ["cats", "rats"] and len(results["few_labels"]) == 6
    page = open("run/report.html").read()
    assert "could not be" not in page and "What is taken for what" in page
    assert page.count("<figure") == 2
    parser = Balance()
    parser.feed(page)
    assert parser.open == [] and parser.fetched == []


def test_the_folder_is_all_that_is_needed(here, capsys):
    assert finetune("rnn_lm", "--out", "run") == 0
    shutil.rmtree("rnn_lm")
    (here / "one.txt").write_text("the rat sat\n")
    (here / "many.txt").write_text("the cat sat\n\nthe rat\n")
    capsys.readouterr()
    assert main(["classify", "run", "the cat", "one.txt", "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    p = TextClassifier.load("run").predict_proba(["the cat", "the rat sat\n"])
    for line, name, row in zip(lines, ["the cat", "one.txt"], p, strict=True):
        best = int(row.argmax())
        assert line.startswith(f"{name}: {('cats', 'rats')[best]} {100 * row[best]:.1f} %, ")
    assert main(["classify", "run", "many.txt", "--lines"]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "many.txt [1]",
        "many.txt [3]",
    ]
    assert main(["classify", "run", "the cat sat on the mat. " * 20]) == 0
    told = capsys.readouterr()
    assert "tokens were read" in told.err and len(told.out.split(":")[0]) == 60
    assert "text 0 is empty" in error_of(capsys, "classify", "run", " ")
    assert "has no sign that the vocabulary knows" in error_of(capsys, "classify", "run", "€")


def test_the_command_of_the_page_repeats_the_run(here):
    more = ["--dropout", "0.1", "--length", "9", "--schedule", "cosine", "--mode", "frozen"]
    assert finetune("masked_lm", *more, "--out", "run") == 0
    command = runs.command_line(json.load(open("run/config.json"))["settings"], "again")
    assert main([*shlex.split(command)[1:], "--quiet"]) == 0
    one, other = (load_model(f"{name}/classifier.npz").get_weights() for name in ("run", "again"))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    one, other = (json.load(open(f"{name}/results.json")) for name in ("run", "again"))
    assert one["few_labels"] == other["few_labels"] and one["tokens"] == 9


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--texts", "who.tsv"], "needs RUN"),
        (["rnn_lm"], "needs --texts"),
        (["rnn_lm", "--texts", "nothing"], "nothing; the last part that exists is"),
        (["rnn_lm", "--texts", "who.tsv", "--labels", "1"], "--labels is 1, expected at least 2"),
        (["rnn_lm", "--texts", "who.tsv", "--mode", "half"], "--mode is 'half', expected one of"),
        (["rnn_lm", "--texts", "who.tsv", "--beam", "2"], "--beam is not for --task classify"),
        (["rnn_lm", "--texts", "who.tsv", "--augment", "noise"], "--augment is for sounds"),
        (["rnn_lm", "--texts", "who.tsv", "--seeds", "0"], "--seeds must be at least 1"),
        (["half", "--texts", "who.tsv"], "has no model.npz yet"),
        (["images", "--texts", "who.tsv"], "is a run of autoencoder, which has read no text"),
    ],
)
def test_refusals(here, capsys, words, sentence):
    shutil.copytree("rnn_lm", "half")
    (here / "half" / "model.npz").unlink()
    np.save("X.npy", np.random.default_rng(0).standard_normal((20, 4)).astype("float32"))
    if "images" in words:
        main(["pretrain", "X.npy", "--hidden=2", "--epochs=1", "--quiet", "--out", "images"])
        capsys.readouterr()
    error = error_of(capsys, "finetune", "--task", "classify", *words, "--quiet")
    assert sentence in error


def test_texts_have_a_task_of_their_own(here, capsys):
    assert "--task classify --texts PATH" in error_of(capsys, "finetune", "rnn_lm")
    assert "--texts is for --task classify" in error_of(
        capsys, "finetune", "rnn_lm", "--texts", "who.tsv"
    )
    error = error_of(capsys, "classify", "rnn_lm", "x", "--lines")
    assert "is no run of --task classify" in error
    assert finetune("rnn_lm", "--out", "run") == 0
    assert "has no encoder alone" in error_of(capsys, "encode", "run", "x", "--out", "y")
