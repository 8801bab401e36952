"""The ways in: the command, the file of a record, two steps beside one another, what goes wrong."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import minienc
from minienc.cli import main
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.stepper.page import page_of
from minienc.stepper.payload import as_json, encode
from minienc.stepper.saved import load_record
from minienc.training.checkpoints import read_archive, write_archive
from tests.stepper import homework

RNG = np.random.default_rng(0)
X = RNG.random((4, 5)).astype("float32")


@pytest.fixture
def model():
    x = Input((5,))
    made = Model(x, Dense(5, "sigmoid")(Dense(3, "relu")(x)))
    made.initialize(np.random.default_rng(1))
    made.compile("sgd", "binary_crossentropy")
    return made


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(homework.__file__, "homework.py")


def test_the_embedded_digits_are_what_it_shows_where_nothing_is_said(capsys):
    assert main(["step", "--batch", "2"]) == 0
    assert "step.html: an autoencoder 64-16-64, 2 digits" in capsys.readouterr().out
    assert main(["step", "--batch", "2", "--seed", "3", "--out", "a b.npz"]) == 0
    about = load_record("a b.npz").header["about"]
    assert about["command"] == "minienc step --batch 2 --seed 3 --out 'a b.npz'"
    assert open("step.html", encoding="utf-8").read().startswith("<!DOCTYPE html>")


def test_the_page_of_a_run_lies_where_its_report_says(capsys):
    words = ["--epochs", "1", "--hidden", "8,2", "--labels", "10", "--seeds", "1", "--quiet"]
    assert main(["pretrain", *words, "--out", "run"]) == 0
    assert '<a href="step.html">' in open("run/report.html", encoding="utf-8").read()
    assert main(["step", "run", "--batch", "2"]) == 0
    assert "autoencoder of run, 2 samples" in open("run/step.html", encoding="utf-8").read()
    assert main(["pretrain", "--method", "kmeans", *words[:2], *words[4:], "--out", "k"]) == 0
    capsys.readouterr()
    assert main(["step", "k"]) == 2
    assert "kmeans makes steps of its own" in capsys.readouterr().err


def test_homework_is_judged_and_its_wrong_line_told(capsys):
    shapes = ["--shapes", "x=N,D W=D,M b=M"]
    assert main(["step", "homework.py:affine", *shapes, "--out", "a.html"]) == 1
    said = capsys.readouterr().out
    (line,) = [i for i, text in enumerate(open("homework.py"), 1) if "db = np.mean" in text]
    assert "db is wrong: db[" in said and f"; line {line} of homework.py" in said
    assert main(["step", "homework.py:loops", "--shapes", "x=N,D W=D,M", "--quiet"]) == 0


def test_homework_that_raises_says_where(capsys):
    assert main(["step", "homework.py:late", "--shapes", "x=5,3"]) == 3
    said = capsys.readouterr().err
    assert "crash: ValueError: cannot reshape" in said and "line" in said
    assert "return dy @ y.reshape(7, 7)" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["homework.py:nothing", "--shapes", "x=3"], "step: homework.py has no nothing"),
        (["homework.py:affine"], "step: nothing says what to call affine with"),
        (["nowhere.py:affine", "--shapes", "x=3"], "step: there is no file nowhere.py"),
        (["homework.py:affine_forward", "--shapes", "x=3"], ""),
        (["nowhere"], "is not a run folder"),
        (["--batch", "0"], "--batch must be at least 1"),
        (["--shapes", "x=3"], "--shapes is for FILE.py:NAME"),
        (["none.npz"], "no such file"),
    ],
)
def test_what_cannot_be_shown_is_refused(words, said, capsys):
    assert main(["step", *words]) in (2, 3)
    assert said in capsys.readouterr().err


def test_a_record_is_kept_and_shown_later(model):
    stepped = minienc.step(model, X, title="kept")
    stepped.save("step.npz")
    saved = load_record("step.npz")
    assert saved.header == json.loads(as_json(encode(stepped.record)[0]))
    assert page_of(saved) == page_of(stepped.record) == stepped.html
    assert main(["step", "step.npz", "--out", "again.html"]) == 0
    assert open("again.html", encoding="utf-8").read() == stepped.html


def test_a_record_of_another_version_or_damaged_is_refused(model):
    minienc.step(model, X).save("step.npz")
    content, arrays = read_archive("step.npz")
    write_archive("step.npz", {**content, "record": {**content["record"], "ops": 3}}, arrays)
    with pytest.raises(ValueError, match=r"step\.npz: .*'ops'"):
        load_record("step.npz")
    content["record"]["version"] = 0
    write_archive("step.npz", content, arrays)
    with pytest.raises(ValueError, match=r"version 0, expected 2: record the step again"):
        load_record("step.npz")
    model.save("model.npz")
    with pytest.raises(ValueError, match="expected 'minienc step'"):
        load_record("model.npz")


def test_the_same_step_with_another_learning_rate_is_shown_beside_it(model):
    stepped = minienc.step(model, X, against={"learning_rate": 5.0})
    assert model.optimizer.learning_rate == 0.01
    assert stepped.against.loss["before"] == stepped.record.loss["before"]
    assert stepped.against.loss["after"] != stepped.record.loss["after"]
    assert 'id="run-b"' in stepped.html
    with pytest.raises(TypeError, match="SGD has no speed"):
        minienc.step(model, X, against={"speed": 3})


def test_a_notebook_shows_it_in_a_frame_without_rights(model):
    shown = minienc.step(model, X)._repr_html_()
    assert shown.startswith("<iframe") and 'sandbox="allow-scripts allow-forms"' in shown


def test_nan_is_recorded_up_to_the_loss(model):
    model.layers[1].W.value[0, 0] = np.nan
    record = minienc.step(model, X).record
    assert [step.phase for step in record.steps] == list("FFL") and record.loss == {}


def test_two_backwards_of_one_forward_have_titles_of_their_own():
    from minienc.functions import relu_backward, relu_forward

    def careless_backward(dy, cache):
        return relu_backward(dy, cache)

    x = np.array([[1.0, -2.0]])
    stepped = minienc.step(
        relu_forward, relu_backward, x, against=(relu_forward, careless_backward)
    )
    titles = stepped.record.title, stepped.against.title
    assert titles[1] == f"{titles[0]}, careless_backward" and titles[0]
    named = minienc.step(
        relu_forward, relu_backward, x, against=(relu_forward, careless_backward), title="two"
    )
    assert (named.record.title, named.against.title) == ("two", "two")
