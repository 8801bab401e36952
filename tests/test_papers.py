"""The reproduction table: rows run once, are kept, go on after a stop, and say what they were."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from benchmarks import paper_runs, papers
from benchmarks.paper_rows import ROWS, Figure, Row
from minienc.data import Dataset, load_digits

SMALL = {  # the rows' functions on the digits, in seconds
    "epochs": 2,
    "epochs_per_layer": 1,
    "batch_size": 300,
    "tuning_epochs": 2,
    "tuning_batch_size": 300,
    "hidden": [20, 20],
    "labels": [10, 100],
    "steps": 10,
    "k": 2,
    "draws": 5,
    "pretraining_epochs": 1,
    "beginnings": 2,
}


@pytest.fixture
def digits() -> Dataset:
    return papers.as_rows(load_digits())


def small(row: Row) -> Row:
    settings = {k: SMALL.get(k, v) for k, v in row.short.items()}
    figures = row.figures
    if "labels" in settings:
        arms = ("pretrained", "random weights")
        figures = tuple(Figure(f"{n} labels, {arm}") for n in SMALL["labels"] for arm in arms)
    return row._replace(short=settings, figures=figures)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_gives_all_of_its_figures(name, digits, tmp_path):
    row = small(ROWS[name])
    record = papers.run(row, 0, "short", digits, tmp_path)
    assert set(record["figures"]) == {figure.name for figure in row.figures}
    assert all(np.isfinite(list(record["figures"].values())))
    assert record["configuration"] == row.short
    assert set(row.full) == set(row.short), "both schedules say the same settings"


def fake(figures: dict[str, float], calls: list[int], **settings) -> Row:
    def run(task):
        calls.append(task.seed)
        return figures

    row = ROWS["deep"]
    return row._replace(run=run, short=settings, figures=(Figure("error", 3.0),))


def test_what_is_there_is_not_run_again_unless_its_configuration_changed(
    monkeypatch, tmp_path, digits
):
    calls: list[int] = []
    monkeypatch.setattr(papers, "RESULTS", tmp_path / "papers.json")
    monkeypatch.setattr(papers, "load_dataset", lambda *a, **k: load_digits())
    command = ["--data-dir", "x", "--rows", "deep", "--work", str(tmp_path / "work")]
    for settings, seeds, expected in (
        ({"epochs": 1}, ["0", "1"], [0, 1]),
        ({"epochs": 1}, ["1", "2"], [0, 1, 2]),
        ({"epochs": 2}, ["2"], [0, 1, 2, 2]),
    ):
        monkeypatch.setitem(papers.ROWS, "deep", fake({"error": 2.5}, calls, **settings))
        papers.main([*command, "--seeds", *seeds])
        assert calls == expected
    kept = json.loads((tmp_path / "papers.json").read_text())
    assert [(r["seed"], r["configuration"]["epochs"]) for r in kept] == [(0, 1), (1, 1), (2, 2)]


def test_the_table_says_whether_the_published_figure_was_reached(monkeypatch):
    row = fake({}, [])
    monkeypatch.setitem(papers.ROWS, "deep", row)
    record = {"row": "deep", "schedule": "short", "configuration": {}, "cpu_seconds": 120}
    text = papers.as_table(
        [record | {"figures": {"error": 2.9}}, record | {"figures": {"error": 3.0}}]
    )
    assert "2.95 ± 0.07" in text and "| yes |" in text.replace("  ", "")
    assert papers.as_table([record | {"figures": {"error": 3.01}}]).count(" no |") == 1
    older = record | {"figures": {"error": 2.5}, "configuration": {"epochs": 9}}
    assert "2.50" not in papers.as_table([older]), "of another configuration than the row says"
    assert Figure("accuracy", 90.0, "higher").reached(89.9) == "no"
    assert Figure("of our own").reached(1.0) == ""


def test_pretraining_goes_on_from_its_checkpoint_and_counts_all_cpu_seconds(tmp_path, digits):
    row = small(ROWS["deep"])
    whole = papers.run(row, 0, "short", digits, tmp_path / "whole")

    class Stopped(Exception):
        pass

    def stopping(task):
        def stop(self, epoch, logs):
            papers.CPUClock.on_epoch_end(self, epoch, logs)
            raise Stopped

        clock = task.callbacks[0]
        clock.on_epoch_end = partial(stop, clock)
        return row.run(task)

    with pytest.raises(Stopped):
        papers.run(row._replace(run=stopping), 0, "short", digits, tmp_path / "parts")
    folder = next((tmp_path / "parts").iterdir())
    before = json.loads((folder / "cpu_seconds.json").read_text())
    assert before > 0 and papers.CPUClock(folder).seconds >= before
    assert papers.run(row, 0, "short", digits, tmp_path / "parts")["figures"] == whole["figures"]


def test_a_falling_rate_ends_at_nothing():
    rate = paper_runs.decaying(0.1, n=1000, epochs=3, batch_size=300)
    assert rate(0) == 0.1 and rate(3 * 4) == pytest.approx(0.0, abs=1e-9)
