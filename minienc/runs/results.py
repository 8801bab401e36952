"""What a run came to: measured, kept in results.json, and told on the terminal."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minienc import gallery
from minienc.data import Dataset
from minienc.finetuning import FewLabelCurve, few_label_curve
from minienc.pretraining import PCA, MeanSample, Pretrainer
from minienc.training.archives import damage_is_told, first_line, parse_json, take, take_all
from minienc.verdicts import few_label_verdicts


class Results(NamedTuple):
    """What a run came to."""

    errors: list[tuple[str, float]]  # squared error per test sample; the last is the method's
    measures: dict[str, float]
    curve: FewLabelCurve | None
    seconds: float
    notes: list[str]  # what could not be measured, and what a comparison says nothing about

    def as_json(self) -> dict[str, Any]:
        """NaN and infinity, which JSON does not know, are null."""
        curve = self.curve
        return {
            "test_squared_error_per_sample": {k: _finite(v) for k, v in self.errors},
            "test_measures": {k: _finite(v) for k, v in self.measures.items()},
            "training_seconds": round(self.seconds, 1),
            "few_labels": None
            if curve is None
            else {
                "labels": curve.labels,
                "seeds": curve.seeds,
                "test_accuracy": {name: a.tolist() for name, a in curve.arms.items()},
            },
            "notes": self.notes,
        }


def read_results(path: Path) -> Results | None:
    """What ``as_json`` gave, or None where it is not there, or not what was written."""
    with suppress(OSError, ValueError), damage_is_told(path, "it"):
        record = parse_json(path.read_bytes())
        parts = ("test_squared_error_per_sample", "test_measures", "few_labels")
        errors, measures = (take(record, part, dict, "it") for part in parts[:2])
        few = take(record, parts[2], (dict, type(None)), "it")
        for numbers in (errors, measures):
            for name in numbers:
                take(numbers, name, (float, type(None)), "it")
        return Results(
            [(name, _number(v)) for name, v in errors.items()],
            {name: _number(v) for name, v in measures.items()},
            None if few is None else _curve(few),
            take(record, "training_seconds", float, "it"),
            take_all(record, "notes", str, "it"),
        )
    return None


def _curve(few: dict[str, Any]) -> FewLabelCurve:
    labels, seeds = (tuple(take_all(few, name, int, "it", 1)) for name in ("labels", "seeds"))
    accuracies = take(few, "test_accuracy", dict, "it")
    arms = {name: np.array(a, float).reshape(len(labels), -1) for name, a in accuracies.items()}
    if len(arms) < 2 or any(a.shape[1] != len(seeds) for a in arms.values()):
        raise ValueError("test_accuracy has other shapes than labels and seeds")
    return FewLabelCurve(labels, arms, seeds)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


# ---------------------------------------------------------------------------------------- measured


def attempt(notes: list[str], what: str, make: Callable[[], Any], otherwise: object = None) -> Any:
    """What ``make`` returns; where it fails, ``otherwise``, and a sentence in ``notes``.

    Training is over by now: nothing that is made of it may cost it.
    """
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make()
    except Exception as error:
        notes.append(f"{what} could not be made: {type(error).__name__}: {first_line(error)}")
        return otherwise


def measure(
    method: Pretrainer,
    settings: dict[str, Any],
    dataset: Dataset,
    seconds: float,
    say: Callable[[str], None],
) -> Results:
    """Compare with the baselines, and with the same network without pretraining."""
    notes: list[str] = []
    errors: list[tuple[str, float]] = []
    curve = None
    if method.restores:
        say("comparing with the mean sample and with principal components ...")
        compare = lambda: _reconstruction(method, settings, dataset, notes)  # noqa: E731
        errors = attempt(notes, "The comparison of restored samples", compare, [])
    measures = attempt(
        notes,
        "The measures of this method",
        lambda: gallery.measures(method, dataset.test_x, dataset.test_y),
        {},
    )
    if settings["labels"]:
        say("fine-tuning with a few labels, and the control arms ...")
        make = lambda: few_label_curve(  # noqa: E731
            method.encoder_,
            dataset.x,
            dataset.y,  # type: ignore[arg-type]  # with labels there are some
            dataset.test_x,
            dataset.test_y,  # type: ignore[arg-type]
            labels=settings["labels"],
            seeds=range(settings["seeds"]),
            progress=say,
        )
        curve = attempt(notes, "The comparison with a few labels", make)
    return Results(errors, measures, curve, seconds, notes)


def _reconstruction(
    method: Pretrainer, settings: dict[str, Any], dataset: Dataset, notes: list[str]
) -> list[tuple[str, float]]:
    """(name, squared error per test sample) of the mean, principal components, and the method."""
    width, d = math.prod(method.encoder_.outputs[0].sample_shape), dataset.n_features
    models: list[tuple[str, Any]] = [("mean sample", MeanSample().fit(dataset.x))]
    if width < d:
        pca = PCA(width).fit(dataset.x)
        models.append((f"PCA, {(k := len(pca.components_))} component{'' if k == 1 else 's'}", pca))
    else:
        notes.append(
            f"The code has {width} numbers and a sample {d}: a code that is "
            f"{'wider than' if width > d else 'as wide as'} its input can hold a copy of it, and "
            f"so many principal components restore everything, so they are no comparison."
        )
    models.append((f"{settings['method']}, code of {width}", method))
    return [(name, float(model.reconstruction_error(dataset.test_x))) for name, model in models]


def memory(trial: Pretrainer, dataset: Dataset) -> str:
    """What is going to be needed beside the data, said before it is: ``trial`` is the method as it
    will be built."""
    if not (hasattr(trial, "encoder_") and hasattr(trial, "model_")):
        return "memory beside the data: little"  # it makes no network before it has seen them
    weights = sum(p.value.nbytes for p in trial.model_.parameters_used())
    text = f"memory beside the data: {_bytes(4 * weights)} of weights with what moves them"
    width = math.prod(trial.encoder_.outputs[0].sample_shape)
    if width < dataset.n_features:
        components = PCA.memory(len(dataset.x), dataset.n_features, width)
        text += f"; later {_bytes(components)} for as many principal components"
    return text


def _bytes(n: float) -> str:
    for unit in ("KB", "MB"):
        n /= 1000
        if n < 1000:
            return f"{n:.3g} {unit}"
    return f"{n / 1000:,.1f} GB"


# ------------------------------------------------------------------------------------------- told


def print_results(folder: Path, dataset: Dataset, results: Results) -> None:
    errors, measures, curve, seconds, notes = results
    if errors:
        print(f"\nsquared error per test sample, summed over {dataset.n_features} features:")
    for name, value in errors:
        print(f"  {name:<32} {value:9.4g}")
    if measures:
        print("\nof the test samples:")
    for name, value in measures.items():
        print(f"  {name:<46} {value:9.4g}")
    if curve is not None:
        print(f"\n{curve.measure}:\n{curve.table()}\n")
        print("\n".join(few_label_verdicts(curve)))
    for note in notes:
        print(f"\n{note}")
    print(f"\ntrained in {seconds:.0f} s; look at {folder / 'report.html'}")
