"""``minienc pretrain``: learn, compare, write the results and the page."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minienc import __version__, gallery
from minienc.arrays import check_device
from minienc.data import Dataset
from minienc.data.pixels import Samples
from minienc.files import write_json
from minienc.gallery import sounds
from minienc.pretraining import PCA, Pretrainer
from minienc.pretraining.base import as_rows
from minienc.report import RunReport, write_report
from minienc.runs.config import made_from_config, read_whole_config
from minienc.runs.folder import (
    check_fingerprint,
    fingerprint,
    held,
    is_complete,
    new_folder,
    resumable,
    where_it_lies,
    write_history,
)
from minienc.runs.inputs import advice, load_data, prepare
from minienc.runs.results import (
    Results,
    attempt,
    measure,
    memory,
    print_results,
    read_results,
)
from minienc.runs.settings import check_settings, command_line, default_settings, make_method
from minienc.runs.streams import in_memory, note_of
from minienc.runs.text import hint, is_text, pretrain_text, resume_text
from minienc.training.archives import damage_is_told
from minienc.training.ranks import alone, is_first

N_SHOWN = 5000  # samples on the map of the codes


def pretrain(said: dict[str, Any], *, out: str | None, force: bool, quiet: bool) -> Path:
    """Do a new run; return its folder."""
    check_device(said.get("device", "cpu"))  # before the data, which may take a while to read
    if is_text(said):
        return pretrain_text(said, out=out, force=force, quiet=quiet)
    try:
        dataset, found = prepare(said)
    except ValueError as error:
        raise ValueError(f"{error}{hint(said)}") from error
    settings = default_settings(said, dataset)
    check_settings(settings, dataset)  # before anything is written
    trial = make_method(settings, quiet).check(_sample_shape(settings, dataset))
    settings |= where_it_lies(settings)
    config = {
        "minienc": __version__,
        "settings": settings,
        "preprocessing": found,
        "fingerprint": fingerprint(dataset),
    }
    name = f"{settings['method']}-{dataset.name}"
    with new_folder(out, name, force) as folder, resumable(folder):
        write_json(folder / "config.json", config)
        if not quiet:
            lines = [_describe(dataset, folder), memory(trial, dataset), *advice(dataset, settings)]
            print("\n".join(lines))
        return _run(folder, settings, dataset, quiet, resume=False)


def resume(run: str, *, quiet: bool) -> Path:
    """Go on with a run that was interrupted, in its training or behind it."""
    folder = Path(run)
    config = read_whole_config(folder)
    settings = config["settings"]
    if is_complete(folder):
        print(f"{folder} is complete: see {folder / 'report.html'}")
        return folder
    check_device(settings["device"])
    with held(folder), resumable(folder):
        if is_text(settings):
            return resume_text(folder, config, quiet)
        dataset = load_data(settings)
        check_fingerprint(folder, config["fingerprint"], dataset)
        with damage_is_told(folder / "config.json", "a setting"):
            check_settings(settings, dataset)
            made_from_config(settings, quiet, folder).check(_sample_shape(settings, dataset))
        if not quiet:
            print(_describe(dataset, folder))
        return _run(folder, settings, dataset, quiet, resume=True)


def _sample_shape(settings: dict[str, Any], dataset: Dataset) -> tuple[int, ...]:
    takes_shape = make_method(settings, quiet=True).takes_shape
    return dataset.sample_shape if takes_shape else (dataset.n_features,)


def _run(
    folder: Path, settings: dict[str, Any], dataset: Dataset, quiet: bool, resume: bool
) -> Path:
    """Train (or go on), and finish."""
    say = (lambda line: None) if quiet else print
    started = time.monotonic()
    method = make_method(settings, quiet)
    method.fit(
        dataset.x,
        validation_data=dataset.test_x,
        checkpoint_dir=folder / "checkpoints",
        resume=resume,
    )
    if is_first():  # of several processes: it measures and writes
        with alone():
            _finish(folder, settings, dataset, method, time.monotonic() - started, resume, say)
    return folder


def _finish(
    folder: Path,
    settings: dict[str, Any],
    dataset: Dataset,
    method: Pretrainer,
    seconds: float,
    resume: bool,
    say: Callable[[str], None],
) -> None:
    """What a run leaves: models, history, results and, when they are safe, the page."""
    method.model_.save(folder / "model.npz")
    method.encoder_.save(folder / "encoder.npz")
    write_history(folder / "history.csv", method.history_)
    results = read_results(folder / "results.json") if resume else None
    if results is None:
        results = measure(method, settings, in_memory(dataset), seconds, say)
        results = results._replace(notes=[*results.notes, *note_of(dataset)])
        write_json(folder / "results.json", results.as_json())
    _write_report(folder, settings, dataset, method, results)
    print_results(folder, dataset, results)


def _describe(dataset: Dataset, folder: Path) -> str:
    shape = " x ".join(map(str, dataset.sample_shape))
    labels = "" if dataset.y is None else "; the labels are kept for later"
    told = getattr(dataset.sound, "test_speakers", None)
    heard = "" if told is None else f"\nto test on: {', '.join(sorted(set(told.tolist())))}"
    return (
        f"{dataset.name}: {len(dataset.x):,} samples to train on, {len(dataset.test_x):,} to test, "
        f"each {shape}{labels}{heard}\nrun folder: {folder}"
    )


def _write_report(
    folder: Path, settings: dict[str, Any], dataset: Dataset, method: Pretrainer, results: Results
) -> None:
    """The page; of a part that fails, it says so in its place."""
    test = dataset.test_x[:N_SHOWN]
    missing: list[str] = []
    shown = attempt(missing, "The samples", lambda: np.asarray(method.samples(test[:10])))
    restored = disturbed = None
    if shown is not None:
        if method.restores:
            restored = attempt(missing, "Restored samples", lambda: method.reconstruct(shown))
        disturbed = attempt(missing, "Disturbed samples", lambda: gallery.disturbed(method, shown))
    lines: list[str] = []
    method.model_.summary(print_fn=lines.append)
    report = RunReport(
        title=f"{settings['method']} on {dataset.name}",
        command=command_line(settings, str(folder)),
        step="" if hasattr(method, "learners_") else f"minienc step {shlex.quote(str(folder))}",
        config={"minienc": __version__, "settings": settings},
        dataset=dataset.name,
        source=dataset.source,
        n_train=len(dataset.x),
        n_test=len(dataset.test_x),
        sample_shape=dataset.sample_shape,
        method=settings["method"],
        history=method.history_,
        course=gallery.course(method),
        errors=results.errors,
        measures=results.measures,
        notes=results.notes,
        originals=shown,
        restored=restored,
        noisy=disturbed,
        filters=attempt(missing, "The first layer's weights", lambda: gallery.filters(method)),
        pictures=attempt(
            missing, "The pictures of this method", lambda: gallery.pictures(method, test), []
        ),
        sounds=attempt(missing, "The sounds", lambda: sounds.heard(method, dataset), []),
        codes_2d=attempt(missing, "The map of the codes", lambda: _codes_2d(method, test)),
        labels=None if dataset.test_y is None else dataset.test_y[:N_SHOWN],
        class_names=dataset.class_names,
        few_label=results.curve,
        seconds=results.seconds,
        summary_text="\n".join(lines),
        missing=missing,
    )
    write_report(folder / "report.html", report)


def _codes_2d(method: Pretrainer, test: Samples) -> np.ndarray | None:
    """Codes (n, 2), or (n, 1) where a code is one number or the codes vary in one direction."""
    codes = as_rows(method.transform(test))
    flat = codes if codes.shape[1] <= 2 else PCA(2).fit(codes).transform(codes)
    if not np.isfinite(flat).all():
        raise ValueError("codes are NaN or infinite")
    return flat if flat.shape[1] else None
