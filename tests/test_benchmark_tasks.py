"""The benchmarks of several tasks and of labelled texts: what they part, and that they may stop."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from benchmarks import command, multitask, text_labels
from minienc.data import load_dataset
from minienc.finetuning import MultiTask

WORDS = ["mail", "web", "game", "sound", "text", "net", "disk", "plot", "sums", "star"]


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(text_labels, "RESULTS", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results"


def test_digit_and_speaker(results, monkeypatch, capsys):
    vowels = load_dataset("vowels", frames=16)
    monkeypatch.setattr(multitask, "load_dataset", lambda name, where: vowels)
    monkeypatch.setattr(multitask, "SIZES", {"filters": (2, 2), "units": 3})
    for name in ("PRETRAINING_EPOCHS", "STEPS", "STEPS_OF_ALL"):
        monkeypatch.setattr(multitask, name, 1)
    clips = multitask.clips_of(vowels)
    train, test = multitask.parted(clips, 0)
    assert len(train.x) + len(test.x) == len(clips.x) == 600
    counts = [np.unique(part.strata, return_counts=True)[1] for part in (train, test)]
    assert set(counts[0]) <= {4, 5} and set(counts[1]) <= {1, 2}  # of each word of each speaker
    words = ["--seeds", "0", "--labels", "100", "--arms", "alone", "pcgrad"]
    words += ["--records", "kept.json", "--save"]
    multitask.main(words)
    records = json.loads((results / "multitask.json").read_text())
    assert [r["arm"] for r in records] == ["alone", "pcgrad"]
    assert all(0 <= r[task] <= 1 for r in records for task in multitask.TASKS)
    assert len(records[1]["cosines"]) == 1 and "cosines" not in records[0]
    assert "both, PCGrad" in (results / "multitask.md").read_text()
    assert (results / "multitask.png").stat().st_size > 1000

    def refuse(*args, **kwargs):
        raise AssertionError(args)

    monkeypatch.setattr(MultiTask, "fit", refuse)  # what is there is not measured again
    multitask.main(words)


def package(i, section):
    return {
        "package": f"{WORDS[section]}{chr(97 + i)}ing-doc",
        "description": f"This is {WORDS[section]} number {'x' * (i % 7 + 1)}, for {i} people.",
    }


def test_sections_of_packages(results, tmp_path, monkeypatch):
    rows = [(package(i, k), k) for i in range(20) for k in range(10)]
    for part, some in (("train", rows[:150]), ("valid", rows[150:])):
        with gzip.open(tmp_path / f"{part}.jsonl.gz", "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row, _ in some)
    with open("sections.tsv", "w") as file:
        file.writelines(f"{row['package']}\t{text_labels.SECTIONS[k]}\n" for row, k in rows)
        file.write("other\tlibs\n")
    task = text_labels.read_task(tmp_path, tmp_path / "sections.tsv")
    assert len(task.texts) + len(task.test_texts) == 200 and len(task.test_texts) > 20
    assert not any(text in task.unlabelled for text in task.test_texts)
    for text, y in zip(task.texts, task.y, strict=True):
        assert WORDS[y] in text and text in task.unlabelled
    small = {"epochs": 1, "steps_per_epoch": 2, "embedding": 4, "context": 8, "batch_size": 4}
    tiny = {"steps": 2, "batch_size": 8}
    ways = {name: text_labels.Way(name, small, tiny, 9) for name in text_labels.WAYS}
    monkeypatch.setattr(text_labels, "WAYS", ways)
    words = ["--data", ".", "--sections", "sections.tsv", "--seeds", "0", "1", "--labels", "10"]
    words += ["--records", "kept.json", "--save"]
    text_labels.main(words)
    records = json.loads((results / "text_labels.json").read_text())
    assert [(r["method"], r["seed"]) for r in records] == [
        (name, seed) for name in ways for seed in (0, 1)
    ]
    assert all(len(r["arms"]) == 6 for r in records)
    table = (results / "text_labels.md").read_text()
    assert "gain by pretraining" in table and "2 seeds" in table
    monkeypatch.setattr(text_labels, "pretrained", None)  # what is there is not measured again
    text_labels.main(words)


def test_families():
    packages = ["libfoo1", "libfoo-dev", "foo-doc", "foo2-utils"]
    assert {text_labels.family_of(p) for p in packages} == {"foo"}
    assert len({text_labels.is_held_out(p) for p in packages}) == 1
    many = [f"{a}{b}{c}" for a in "abcdefgh" for b in "abcdefgh" for c in "abcdefgh"]
    assert 0.1 < np.mean([text_labels.is_held_out(p) for p in many]) < 0.3


def test_languages_are_no_task(tmp_path):
    for part in ("train", "val"):
        for side, text in (("en", "the man and the other"), ("fr", "un homme et une autre")):
            with gzip.open(tmp_path / f"{part}.{side}.gz", "wt") as file:
                file.write(f"{text}\n" * 8)
    assert "by 10 sentences in 100.0 % of 16 sentences" in text_labels.languages(tmp_path)
