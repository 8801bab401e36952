"""The benchmarks of translation and summaries, on a toy language: kept as they come."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import pairs_runs, summaries, translation
from tests.tasks.test_pairs_models import digits

X, Y = digits(24)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pairs_runs, "RESULTS", tmp_path / "results")
    (tmp_path / "toy").mkdir()
    for part in ("train", "val"):
        (tmp_path / "toy" / f"{part}.en").write_text("\n".join(X) + "\n")
        (tmp_path / "toy" / f"{part}.fr").write_text("\n".join(Y) + "\n")
    (tmp_path / "synopses").mkdir()
    rows = [
        json.dumps({"package": f"p{k}", "description": f"It is {x}. So.", "synopsis": y})
        for k, (x, y) in enumerate(zip(X, Y, strict=True))
    ]
    for part in ("train", "valid"):
        (tmp_path / "synopses" / f"{part}.jsonl").write_text("\n".join(rows) + "\n")
    return tmp_path


def start(monkeypatch, module, *words):
    monkeypatch.setattr(sys, "argv", ["benchmarks", *words, "--save"])
    module.main()


def test_translation(here, monkeypatch, capsys):
    pytest.importorskip("sacrebleu")
    monkeypatch.setattr(translation, "STEPS", 1)
    more = ["--pairs", "20", "--arms", "all", "vocabulary", "--pretraining-epochs", "1"]
    words = ["--data", "toy", "--rows", "gru", "--seeds", "0", "--epochs", "1", *more]
    start(monkeypatch, translation, *words)
    records = json.loads((here / "results" / "translation.json").read_text())
    assert [r["name"] for r in records] == ["all-20-0", "gru-0", "vocabulary-20-0"]
    assert all(r["cpu_seconds"] > 0 and "minienc finetune" in r["command"] for r in records)
    assert records[0]["taken_over"] and not records[2]["taken_over"]
    assert records[0]["vocabulary"] == records[2]["vocabulary"]
    text = (here / "results" / "translation.md").read_text()
    assert "GRU, attention" in text and "gain of all" in text and "tok:13a" in text

    def refuse(words):
        raise AssertionError(words)

    monkeypatch.setattr(pairs_runs, "minienc", refuse)  # what is there is not trained again
    start(monkeypatch, translation, *words)


def test_summaries(here, monkeypatch, capsys):
    words = ["--data", "synopses", "--rows", "copying", "--seeds", "0", "--epochs", "1"]
    start(monkeypatch, summaries, *words)
    (record,) = json.loads((here / "results" / "summaries.json").read_text())
    assert record["scores"].keys() == {"ROUGE-1", "ROUGE-2", "ROUGE-L"}
    text = (here / "results" / "summaries.md").read_text()
    assert "first sentence" in text and "... and copying" in text


def test_a_run_that_was_stopped_is_gone_on_with(here, monkeypatch):
    seen = []

    def stopped(words):
        seen.append(words)
        (here / "run").mkdir(exist_ok=True)
        (here / "run" / "config.json").write_text("{}")
        if len(seen) == 2:
            (here / "run" / "results.json").write_text('{"scores": {}}')
        return 130 if len(seen) == 1 else 0

    monkeypatch.setattr(pairs_runs, "minienc", stopped)
    with pytest.raises(SystemExit):
        pairs_runs.run("finetune --task translate", here / "run", "finetune --resume")
    found = pairs_runs.run("finetune --task translate", here / "run", "finetune --resume")
    assert seen[0][:3] == ["finetune", "--task", "translate"] and "--out" in seen[0]
    assert seen[1][:2] == ["finetune", "--resume"] and found["cpu_seconds"] > 0
