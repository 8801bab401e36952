"""``minienc pretrain``: learn, compare, write the results and the page."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minienc import __version__, gallery
from minienc.arrays import check_device
from minienc.data import Dataset
from minienc.files import atomic_write, write_json
from minienc.finetuning import FewLabelCurve, few_label_curve
from minienc.pretraining import PCA, MeanSample, Pretrainer
from minienc.pretraining.base import as_rows
from minienc.report import RunReport, few_label_verdicts, write_report
from minienc.runs.folder import new_folder, read_config
from minienc.runs.inputs import advice, load_data, prepare
from minienc.runs.settings import check_settings, command_line, default_settings, make_method

N_SHOWN = 5000  # samples on the map of the codes


def pretrain(said: dict[str, Any], *, out: str | None, force: bool, quiet: bool) -> Path:
    """Do a new run; return its folder."""
    check_device(said.get("device", "cpu"))  # before the data, which may take a while to read
    dataset, found = prepare(said)
    settings = default_settings(said, dataset)
    check_settings(settings, dataset)  # before anything is written
    method = make_method(settings, quiet)
    method.check(dataset.sample_shape if method.takes_shape else (dataset.n_features,))
    folder = new_folder(out, f"{settings['method']}-{dataset.name}", force)
    config = {"minienc": __version__, "settings": settings, "preprocessing": found}
    write_json(folder / "config.json", config)
    return _run(folder, settings, dataset, quiet)


def resume(run: str, *, quiet: bool) -> Path:
    """Go on with a run that was interrupted."""
    folder = Path(run)
    settings = read_config(folder)
    if (folder / "results.json").exists():
        print(f"{folder} is complete: see {folder / 'report.html'}")
        return folder
    return _run(folder, settings, load_data(settings), quiet)


def _run(folder: Path, settings: dict[str, Any], dataset: Dataset, quiet: bool) -> Path:
    """Train (or go on), measure, write the results and the page."""
    say = (lambda line: None) if quiet else print
    say("\n".join([_describe(dataset, folder), *advice(dataset, settings)]))
    started = time.monotonic()
    method = make_method(settings, quiet)
    try:
        method.fit(
            dataset.x,
            validation_data=dataset.test_x,
            checkpoint_dir=folder / "checkpoints",
            resume=True,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"minienc pretrain --resume {shlex.quote(str(folder))}") from None
    method.model_.save(folder / "model.npz")
    method.encoder_.save(folder / "encoder.npz")
    _write_history(folder / "history.csv", method.history_)
    seconds = time.monotonic() - started
    results = _evaluate(method, settings, dataset, seconds, say)
    _write_report(folder, settings, dataset, method, results)
    write_json(folder / "results.json", results.as_json())
    _print_results(folder, dataset, results)
    return folder


class Results(NamedTuple):
    """What a run came to."""

    errors: list[tuple[str, float]]  # squared error per test sample; the last is the method's
    measures: dict[str, float]
    curve: FewLabelCurve | None
    seconds: float

    def as_json(self) -> dict[str, Any]:
        curve = self.curve
        return {
            "test_squared_error_per_sample": dict(self.errors),
            "test_measures": self.measures,
            "training_seconds": round(self.seconds, 1),
            "few_labels": None
            if curve is None
            else {
                "labels": curve.labels,
                "seeds": curve.seeds,
                "test_accuracy": {name: a.tolist() for name, a in curve.arms.items()},
            },
        }


def _evaluate(
    method: Pretrainer,
    settings: dict[str, Any],
    dataset: Dataset,
    seconds: float,
    say: Callable[[str], None],
) -> Results:
    """Compare with the baselines, and with the same network without pretraining."""
    errors, curve = [], None
    if method.restores:
        say("comparing with the mean sample and with principal components ...")
        width = math.prod(method.encoder_.outputs[0].sample_shape)
        pca = PCA(width).fit(dataset.x)
        mean = MeanSample().fit(dataset.x)
        errors = [
            (name, float(model.reconstruction_error(dataset.test_x)))
            for name, model in (
                ("mean sample", mean),
                (f"PCA, {pca.components_.shape[0]} components", pca),
                (f"{settings['method']}, code of {width}", method),
            )
        ]
    measures = gallery.measures(method, dataset.test_x, dataset.test_y)
    if settings["labels"]:
        say("fine-tuning with a few labels, and the control arms ...")
        curve = few_label_curve(
            method.encoder_,
            dataset.x,
            dataset.y,
            dataset.test_x,
            dataset.test_y,
            labels=settings["labels"],
            seeds=range(settings["seeds"]),
            progress=say,
        )
    return Results(errors, measures, curve, seconds)


def _write_history(path: Path, history: dict[str, list[float]]) -> None:
    lines = [",".join(["epoch", *history])]
    for epoch, values in enumerate(zip(*history.values(), strict=True)):
        lines.append(",".join([str(epoch), *map(repr, values)]))
    with atomic_write(path) as file:
        file.write(("\n".join(lines) + "\n").encode())


def _describe(dataset: Dataset, folder: Path) -> str:
    shape = " x ".join(map(str, dataset.sample_shape))
    labels = "" if dataset.y is None else "; the labels are kept for later"
    return (
        f"{dataset.name}: {len(dataset.x):,} samples to train on, {len(dataset.test_x):,} to test, "
        f"each {shape}{labels}\nrun folder: {folder}"
    )


def _print_results(folder: Path, dataset: Dataset, results: Results) -> None:
    errors, measures, curve, seconds = results
    if errors:
        print(f"\nsquared error per test sample, summed over {dataset.n_features} features:")
    for name, value in errors:
        print(f"  {name:<32} {value:9.4g}")
    if measures:
        print("\nof the test samples:")
    for name, value in measures.items():
        print(f"  {name:<46} {value:9.4g}")
    if curve is not None:
        print(f"\nmean and standard deviation over {len(curve.seeds)} seeds:\n{curve.table()}\n")
        print("\n".join(few_label_verdicts(curve)))
    print(f"\ntrained in {seconds:.0f} s; look at {folder / 'report.html'}")


def _write_report(
    folder: Path, settings: dict[str, Any], dataset: Dataset, method: Pretrainer, results: Results
) -> None:
    test = dataset.test_x[:N_SHOWN]
    shown = method.samples(test[:10])
    codes = as_rows(method.transform(test))
    lines: list[str] = []
    method.model_.summary(print_fn=lines.append)
    report = RunReport(
        title=f"{settings['method']} on {dataset.name}",
        command=command_line(settings, str(folder)),
        config={"minienc": __version__, "settings": settings},
        dataset=dataset.name,
        source=dataset.source,
        n_train=len(dataset.x),
        n_test=len(dataset.test_x),
        sample_shape=dataset.sample_shape,
        method=settings["method"],
        history=method.history_,
        errors=results.errors,
        measures=results.measures,
        originals=np.asarray(shown),
        restored=method.reconstruct(shown) if method.restores else None,
        noisy=gallery.disturbed(method, shown),
        filters=gallery.filters(method),
        pictures=gallery.pictures(method, test),
        codes_2d=codes if codes.shape[1] == 2 else PCA(2).fit(codes).transform(codes),
        labels=None if dataset.test_y is None else dataset.test_y[:N_SHOWN],
        class_names=dataset.class_names,
        few_label=results.curve,
        seconds=results.seconds,
        summary_text="\n".join(lines),
    )
    write_report(folder / "report.html", report)
