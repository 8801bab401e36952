"""``finetune --task multitask``: as somebody at a terminal meets it."""

from __future__ import annotations

import csv
import json
import shlex
import shutil

import numpy as np
import pytest

from minienc.cli import main
from minienc.data.sounds import make_vowels
from minienc.data.wav import write_wav
from minienc.finetuning import MultiTask
from minienc.finetuning.multitask_folder import load_multitask, save_multitask
from minienc.models import load_model
from minienc.runs import multitask
from minienc.runs.heads import read_words
from tests.finetuning.test_multitask import make, three_tasks
from tests.test_cli import Balance

N = 60
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A run on rows without labels, and labels of theirs in files."""
    folder = tmp_path_factory.mktemp("rows")
    X = RNG.standard_normal((N, 6)).astype("float32")
    np.save(folder / "X.npy", X)
    (folder / "signs.txt").write_text("".join(f"{'up' if v > 0 else 'down'}\n" for v in X[:, 0]))
    with open(folder / "more.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["where", "size"])
        table.writerows([[int(v > 0), f"{w:.6f}"] for v, w in zip(X[:, 1], X[:, 2], strict=True)])
    words = ["pretrain", str(folder / "X.npy"), "--hidden=5,4", "--epochs=1", "--quiet"]
    assert main([*words, "--out", str(folder / "run")]) == 0
    return folder


@pytest.fixture
def here(rows, tmp_path, monkeypatch):
    for name in ("signs.txt", "more.csv"):
        shutil.copy(rows / name, tmp_path)
    shutil.copytree(rows / "run", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    return tmp_path


HEADS = ["--heads", "sign=signs.txt", "where=more.csv:where", "size=more.csv:size"]
TASK = ["finetune", "run", "--task", "multitask", *HEADS, "--quantities", "size"]
QUICK = ["--epochs", "2", "--batch-size", "8", "--quiet"]


def error_of(capsys, *words):
    assert main(list(words)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize("combine", ["sum", "uncertainty", "pcgrad"])
def test_a_run_from_beginning_to_end(here, combine, capsys):
    assert main([*TASK, *QUICK, "--combine", combine, "--out", "tasks"]) == 0
    out = capsys.readouterr().out
    assert "sign, accuracy" in out and "size, R^2" in out and "alone" in out
    assert "the mean cosine of their gradients is" in out
    results = json.load(open("tasks/results.json"))
    assert results["samples_train"] + results["samples_test"] == N
    assert results["scores"].keys() == results["alone"].keys() == {"sign", "where", "size"}
    assert results["cosine"].keys() == {"sign_where", "sign_size", "where_size"}
    header = open("tasks/history.csv").readline().strip().split(",")
    log = open("tasks/checkpoints/checkpoint.csv").readline().strip().split(",")
    assert {"sign_where_cosine", "sign_where_conflict", "size_norm"} <= set(header) & set(log)
    assert ("sign_weight" in header) == (combine == "uncertainty")
    page = open("tasks/report.html").read()
    assert "could not be" not in page
    assert ("What each task" in page) == (combine == "uncertainty")
    assert page.count("<figure") >= 4 and "The cosine between the gradients" in page
    parser = Balance()
    parser.feed(page)
    assert parser.open == [] and parser.fetched == []


def test_the_labels_are_those_of_the_samples(here, rows):
    """A file is in the order of what was read; the run has parted that by chance."""
    assert main([*TASK, *QUICK, "--no-alone", "--out", "tasks"]) == 0
    config = multitask.read_config(here / "tasks")
    data = multitask.load(config["settings"], config["pretrained"])
    for x, y in ((data.x, data.y), (data.test_x, data.test_y)):
        assert y["sign"].tolist() == ["up" if v > 0 else "down" for v in x[:, 0]]
        assert y["where"].tolist() == [int(v > 0) for v in x[:, 1]]
        np.testing.assert_allclose(y["size"], x[:, 2], atol=1e-5)


def test_what_it_says_of_files(here, rows, capsys):
    assert main([*TASK, *QUICK, "--no-alone", "--out", "tasks"]) == 0
    assert json.load(open("tasks/results.json"))["alone"] == {}
    shutil.rmtree("run")  # the folder is all that is needed
    capsys.readouterr()
    assert main(["classify", "tasks", str(rows / "X.npy"), "--top", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    model = load_multitask("tasks")
    said = model.predict(np.load(rows / "X.npy"))
    assert len(lines) == N
    for line, sign, where, size in zip(lines, *said.values(), strict=True):
        assert f": sign {sign} " in line and f"; where {where} " in line
        assert line.endswith(f"; size {size:.4g}")
    assert "has several" in error_of(capsys, "classify", "tasks", "x", "--classifier", "y")


def test_the_command_of_the_page_repeats_the_run(here):
    more = ["--weights", "sign=2,size=0.5", "--labels", "40", "--dropout", "0.1"]
    assert main([*TASK, *QUICK, *more, "--combine=pcgrad", "--out", "tasks"]) == 0
    command = multitask.command_line(json.load(open("tasks/config.json"))["settings"], "again")
    assert main([*shlex.split(command)[1:], "--quiet"]) == 0
    one, other = (load_model(f"{name}/model.npz").get_weights() for name in ("tasks", "again"))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    assert open("tasks/history.csv").read() == open("again/history.csv").read()


def test_a_stopped_run_is_gone_on_with(here, capsys, monkeypatch):
    assert main([*TASK, *QUICK, "--out", "whole"]) == 0
    original = MultiTask._step
    left = [9]  # steps: in the second epoch

    def stopping(self, batch, rng):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return original(self, batch, rng)

    monkeypatch.setattr(MultiTask, "_step", stopping)
    assert main([*TASK, *QUICK, "--out", "parted"]) == 130
    assert "minienc finetune --resume parted" in capsys.readouterr().err
    monkeypatch.setattr(MultiTask, "_step", original)
    assert main(["finetune", "--resume", "parted", "--quiet"]) == 0
    whole, parted = (json.load(open(f"{name}/results.json")) for name in ("whole", "parted"))
    for results in (whole, parted):
        results.pop("training_seconds")
    assert whole == parted
    assert main(["finetune", "--resume", "parted"]) == 0
    assert "is complete" in capsys.readouterr().out
    (here / "parted" / "results.json").write_text("")
    np.savetxt("signs.txt", RNG.integers(0, 2, N), "%d")
    assert "are others than when" in error_of(capsys, "finetune", "--resume", "parted")
    error = error_of(capsys, "finetune", "--resume", "parted", "--heads", "a=label")
    assert "leave out the rest" in error


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run"], "needs --heads"),
        (["--heads", "a=label"], "needs RUN"),
        (["run", "--heads", "sign"], "expected NAME=label, NAME=speaker, NAME=FILE"),
        (["run", "--heads", "a=label", "a=label"], "has 'a' twice"),
        (["run", "--heads", "a=label"], "X has no labels"),
        (["run", "--heads", "a=speaker"], "of X no speakers are known"),
        (["run", "--heads", "a=nothing.txt"], "nothing.txt"),
        (["run", "--heads", "a=more.csv:colour"], "has no column colour; it has where, size"),
        (["run", "--heads", "a=short.txt"], "short.txt has 3 labels, X has 60 samples (48 to"),
        (["run", "--heads", "a=same.txt"], "task 'a' has one class, 'x', expected two or more"),
        (["run", "--heads", "a=more.csv:size"], "if it is a quantity, name it in quantities"),
        ([*TASK[1:2], *HEADS, "--weights", "sign=-1"], "'sign' has -1.0, expected a number of at"),
        ([*TASK[1:2], *HEADS, "--combine", "best"], "combine is 'best', expected sum"),
        ([*TASK[1:2], *HEADS, "--labels", "900"], "--labels is 900, expected 1 to 48"),
        ([*TASK[1:2], *HEADS, "--mode", "frozen"], "--mode is for one task"),
        ([*TASK[1:2], *HEADS, "--beam", "3"], "--beam is for pairs of texts"),
    ],
)
def test_refusals(here, capsys, words, sentence):
    (here / "short.txt").write_text("x\ny\nx\n")
    (here / "same.txt").write_text("x\n" * N)
    assert sentence in error_of(capsys, "finetune", "--task", "multitask", *words, *QUICK)


def test_the_options_are_for_several_tasks_alone(here, capsys):
    assert "--heads is for --task multitask" in error_of(capsys, "finetune", "run", *HEADS)
    with pytest.raises(SystemExit):
        main(["finetune", "run", "--weights", "digit"])
    assert "expected such as digit=1,speaker=0.5" in capsys.readouterr().err


def test_speakers_are_told_apart_by_clips_of_each(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "said").mkdir()
    clips = make_vowels(3, 3, seed=1)
    for name, sound in zip(clips.names, clips.sounds, strict=True):
        if name.split("_")[0] in ("heed", "hod"):
            write_wav(tmp_path / "said" / f"{name}.wav", sound, 8000)
    pattern = ["--pattern", "{word}_{speaker}_{index}"]
    small = ["--epochs=1", "--filters=3,4", "--units=5", "--batch-size=8", "--quiet"]
    assert main(["pretrain", "said", *pattern, *small, "--out", "run"]) == 0
    words = ["finetune", "run", "--task", "multitask", "--heads", "speaker", "voice=speaker"]
    assert main([*words, *QUICK, "--no-alone", "--out", "tasks"]) == 0
    assert "Mind that a speaker can only be told" in capsys.readouterr().out
    config = multitask.read_config(tmp_path / "tasks")
    data = multitask.load(config["settings"], config["pretrained"])
    assert set(data.test_y["speaker"]) == set(data.y["speaker"])
    clip = next((tmp_path / "said").glob("*.wav"))
    assert main(["classify", "tasks", str(clip)]) == 0
    assert ": speaker " in capsys.readouterr().out
    error = error_of(capsys, "finetune", "run", "--task", "multitask", "--heads", "a=x.txt", *QUICK)
    assert "expected a=label or a=speaker" in error


def test_a_model_in_a_folder(tmp_path):
    X, y = three_tasks()
    model = make(combine="uncertainty", dropout=0.1).fit(X, y)
    save_multitask(model, tmp_path)
    again = load_multitask(tmp_path)
    assert again.tasks_ == model.tasks_
    for name, said in model.predict(X).items():
        np.testing.assert_array_equal(again.predict(X)[name], said)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    assert again.score(X, y) == model.score(X, y)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: p.update(format="x"), "it holds something else than the tasks of a model"),
        (lambda p: p.update(tasks=[]), "'tasks' is [], expected at least 1"),
        (lambda p: p["tasks"][0].update(classes=[1]), "expected at least 2"),
        (lambda p: p["tasks"][0].update(classes=[1, 2]), "multitask.json speaks of [2, 2, 1]"),
        (lambda p: p["tasks"][0].update(name="x"), "model.npz has no head 'x'"),
        (lambda p: p["tasks"][2].update(deviation=0), "'deviation' is 0, expected above 0"),
        (lambda p: p["tasks"][2].pop("mean"), "a task has no 'mean'"),
    ],
)
def test_a_damaged_folder_is_refused(tmp_path, change, sentence):
    X, y = three_tasks()
    save_multitask(make(epochs=1).fit(X, y), tmp_path)
    path = tmp_path / "multitask.json"
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))
    with pytest.raises(ValueError) as refusal:
        load_multitask(tmp_path)
    assert sentence in str(refusal.value) and str(tmp_path) in str(refusal.value)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="is no run of several tasks"):
        load_multitask(tmp_path)


def test_words_of_heads():
    assert read_words(["label", "who=speaker"]) == {"label": "label", "who": "speaker"}
    assert read_words(["a=b=c.txt"])["a"].endswith("/b=c.txt")
