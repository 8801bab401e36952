"""``minienc finetune RUN --task multitask``: several tasks at once, each beside its own model.

RUN_OF_TASKS/multitask.json, model.npz     all that ``classify`` needs, with config.json
RUN_OF_TASKS/config.json, checkpoints/     what --resume goes on from
RUN_OF_TASKS/results.json, history.csv, report.html
"""

from __future__ import annotations

import hashlib
import os
import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minienc import __version__
from minienc.arrays import check_device
from minienc.files import write_json
from minienc.finetuning.augment import augmentation
from minienc.finetuning.curve import draw_labelled
from minienc.finetuning.multitask import COMBINE, MultiTask
from minienc.finetuning.multitask_folder import save_multitask
from minienc.finetuning.targets import check_weights
from minienc.gallery import multitask as gallery
from minienc.models import Model
from minienc.report_multitask import MultiTaskReport, sentences, write_multitask_report
from minienc.runs.config import check_settings_kinds, parsed_config, read_whole_config
from minienc.runs.folder import (
    held,
    is_complete,
    new_folder,
    read_encoder,
    resumable,
    write_history,
)
from minienc.runs.heads import Labelled, labelled, read_words, strata_of
from minienc.runs.inputs import prepare
from minienc.runs.results import attempt
from minienc.training.archives import damage_is_told, take, take_all

TASK = "multitask"
AGAIN = "minienc finetune --resume"
# settings of a run, with their defaults; None is what the data say
SETTINGS: dict[str, Any] = {
    "combine": "sum",
    "weights": {},
    "quantities": [],
    "labels": None,
    "epochs": 20,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "schedule": "constant",
    "weight_decay": 0.0,
    "dropout": 0.0,
    "label_smoothing": 0.0,
    "augment": [],
    "alone": True,
    "seed": 0,
    "device": "cpu",
}


def finetune_multitask(
    run_folder: str | None, said: dict[str, Any], out: str | None, *, force: bool, quiet: bool
) -> Path:
    """Do a new run of several tasks; return its folder. ``said`` is what the options say."""
    if run_folder is None:
        raise ValueError("--task multitask needs RUN, the folder of a pretrained run")
    heads = read_words(said.pop("heads", None) or [])
    if not heads:
        raise ValueError("--task multitask needs --heads, such as --heads digit=label speaker")
    given = {name: value for name, value in said.items() if value is not None}
    settings = {"task": TASK, "run": os.path.abspath(run_folder), "heads": heads, **SETTINGS}
    settings |= given
    check_device(settings["device"])
    pretrained = read_whole_config(Path(run_folder))
    encoder = read_encoder(Path(run_folder))
    data = load(settings, pretrained)
    trial = make_model(settings, encoder, quiet=True)
    check_weights(trial.weights, [*heads])
    trial.check_params(())
    config = {
        "minienc": __version__,
        "settings": settings,
        "pretrained": pretrained,
        "fingerprint": fingerprint(data, encoder),
    }
    name = f"{TASK}-{Path(run_folder).resolve().name}"
    with new_folder(out, name, force) as folder, resumable(folder, AGAIN):
        write_json(folder / "config.json", config)
        if not quiet:
            print(
                f"{', '.join(heads)}: {len(data.x):,} samples to learn from, {len(data.test_x):,} "
                f"to test\nrun folder: {folder}"
            )
        return _run(folder, settings, encoder, data, quiet, resume=False)


def resume_multitask(run: str, quiet: bool) -> Path:
    """Go on with a run of several tasks."""
    folder = Path(run)
    config = read_config(folder)
    settings = config["settings"]
    if is_complete(folder):
        print(f"{folder} is complete: see {folder / 'report.html'}")
        return folder
    with held(folder), resumable(folder, AGAIN):
        encoder = read_encoder(Path(settings["run"]))
        data = load(settings, config["pretrained"])
        if config["fingerprint"] != fingerprint(data, encoder):
            raise ValueError(
                f"the data, their labels or the encoder of {settings['run']} are others than when "
                f"{folder} began; bring them back, or begin a new run"
            )
        return _run(folder, settings, encoder, data, quiet, resume=True)


# --------------------------------------------------------------------------------------- settings


def make_model(
    settings: Mapping[str, Any], encoder: Model, quiet: bool, task: str | None = None
) -> MultiTask:
    """The model of all tasks, or of one alone."""
    names = ("epochs", "batch_size", "learning_rate", "schedule", "weight_decay", "dropout")
    how = {name: settings[name] for name in (*names, "label_smoothing", "device")}
    quantities, combine, weights = settings["quantities"], settings["combine"], settings["weights"]
    if task is not None:
        quantities, combine, weights = [q for q in quantities if q == task], "sum", None
    return MultiTask(
        encoder,
        combine,
        weights,
        tuple(quantities),
        augment=augmentation(settings["augment"]),
        random_state=settings["seed"],
        verbose=0 if quiet else 1,
        **how,
    )


def load(settings: Mapping[str, Any], pretrained: Mapping[str, Any]) -> Labelled:
    """The samples as the run's method saw them, with the labels of the tasks; to learn from as many
    as ``labels`` says, drawn by the seed, evenly over the classes."""
    dataset, _ = prepare(pretrained["settings"])
    data, n = labelled(dataset, settings["heads"]), settings["labels"]
    if n is None:
        return data
    if not 1 <= n <= len(data.x):
        raise ValueError(f"--labels is {n}, expected 1 to {len(data.x)}")
    classes = [column for name, column in data.y.items() if name not in settings["quantities"]]
    strata = strata_of(classes) if classes else np.zeros(len(data.x), int)
    chosen = draw_labelled(strata, n, np.random.default_rng([settings["seed"], n]))
    few = {name: column[chosen] for name, column in data.y.items()}
    return data._replace(x=np.asarray(data.x[chosen]), y=few)


def fingerprint(data: Labelled, encoder: Model) -> str:
    """SHA-256 of what is learned from and begun with."""
    digest = hashlib.sha256()
    for x in (data.x, data.test_x):
        digest.update(np.ascontiguousarray(np.asarray(x)).data)
    for y in (data.y, data.test_y):
        for name, column in y.items():
            digest.update(f"{name}\0{chr(0).join(map(str, column.tolist()))}\n".encode())
    for weight in encoder.get_weights():
        digest.update(np.ascontiguousarray(weight).data)
    return digest.hexdigest()


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a run of several tasks.

    Raises
    ------
    ValueError
        If the file holds what no run has written.
    """
    config = parsed_config(folder)
    with damage_is_told(folder / "config.json", "it"):
        settings = take(config, "settings", dict, "its content")
        take(config, "fingerprint", str, "its content")
        take(settings, "run", str, "settings")
        heads = take(settings, "heads", dict, "settings")
        for name in heads:
            take(heads, name, str, "settings: heads")
        for name, default in SETTINGS.items():
            kinds = (int, type(None)) if default is None else type(default)
            take(settings, name, kinds, "settings")
        for name in ("quantities", "augment"):
            take_all(settings, name, str, "settings")
        if settings["combine"] not in COMBINE:
            raise ValueError(f"settings: 'combine' is none of {', '.join(COMBINE)}")
        pretrained = take(config, "pretrained", dict, "its content")
        check_settings_kinds(take(pretrained, "settings", dict, "pretrained"))
    return config


def command_line(settings: Mapping[str, Any], out: str) -> str:
    """The command that repeats the run, every setting written out."""
    words = ["minienc", "finetune", settings["run"], "--task", TASK, "--heads"]
    words += [f"{name}={where}" for name, where in settings["heads"].items()]
    flags = {"learning_rate": "lr"}
    for name in SETTINGS:
        value, flag = settings[name], "--" + flags.get(name, name).replace("_", "-")
        if name == "alone":
            words += [] if value else ["--no-alone"]
        elif name == "weights":
            words += [flag, ",".join(f"{k}={v}" for k, v in value.items())] if value else []
        elif isinstance(value, list):
            words += [flag, ",".join(value)] if value else []
        elif value is not None:
            words += [flag, str(value)]
    return shlex.join([*words, "--out", out])


# --------------------------------------------------------------------------------------- the run


def _run(
    folder: Path,
    settings: dict[str, Any],
    encoder: Model,
    data: Labelled,
    quiet: bool,
    resume: bool,
) -> Path:
    """Train (or go on), each task alone, too; write the results and, when they are safe, the
    page."""
    say = (lambda line: None) if quiet else print
    began = time.monotonic()
    model = make_model(settings, encoder, quiet)
    _fit(model, data, [*settings["heads"]], folder / "checkpoints", resume)
    save_multitask(model, folder)
    write_history(folder / "history.csv", model.history_)
    seconds = time.monotonic() - began
    alone = _alone(folder, settings, encoder, data, resume, say) if settings["alone"] else {}
    results = measure(model, settings, data, alone, seconds)
    write_json(folder / "results.json", results)
    _write_report(folder, settings, model, data, results)
    print_results(folder, results)
    return folder


def _fit(model: MultiTask, data: Labelled, tasks: list[str], folder: Path, resume: bool) -> None:
    y, test_y = ({name: part[name] for name in tasks} for part in (data.y, data.test_y))
    held_out = (data.test_x, test_y)
    model.fit(data.x, y, validation_data=held_out, checkpoint_dir=folder, resume=resume)


def _alone(
    folder: Path,
    settings: dict[str, Any],
    encoder: Model,
    data: Labelled,
    resume: bool,
    say: Callable[[str], None],
) -> dict[str, float]:
    """The score of each task by a model of its own, with as many steps."""
    found: dict[str, float] = {}
    for name in settings["heads"] if len(settings["heads"]) > 1 else ():
        say(f"{name} alone ...")
        model = make_model(settings, encoder, quiet=True, task=name)
        _fit(model, data, [name], folder / "checkpoints" / f"alone-{name}", resume)
        found |= model.score(data.test_x, {name: data.test_y[name]})
    return found


def measure(
    model: MultiTask,
    settings: Mapping[str, Any],
    data: Labelled,
    alone: dict[str, float],
    seconds: float,
) -> dict[str, Any]:
    """The figures of a run, as ``results.json`` keeps them."""
    history = model.history_
    of_pairs = {
        what: {
            name.removesuffix(f"_{what}"): float(np.mean(values))
            for name, values in history.items()
            if name.endswith(f"_{what}") and not name.startswith("val_")
        }
        for what in ("cosine", "conflict", "norm")
    }
    return {
        "task": TASK,
        "combine": settings["combine"],
        "samples_train": len(data.x),
        "samples_test": len(data.test_x),
        "tasks": {t.name: "quantity" if t.classes is None else "classes" for t in model.tasks_},
        "classes": {t.name: t.n_outputs for t in model.tasks_ if t.classes is not None},
        "steps": model.n_steps_,
        "parameters": int(model.model_.parameters.vector.size),
        "training_seconds": round(seconds, 1),
        "scores": model.score(data.test_x, data.test_y),
        "alone": alone,
        **of_pairs,
        "note": data.note,
    }


def print_results(folder: Path, results: dict[str, Any]) -> None:
    print(f"\nof {results['samples_test']:,} test samples:")
    for name, value in results["scores"].items():
        unit = "R^2" if results["tasks"][name] == "quantity" else "accuracy"
        line = f"  {name + ', ' + unit:<32} {value:.4f}"
        if name in results["alone"]:
            line += f"   alone {results['alone'][name]:.4f}"
        print(line)
    print("\n".join(["", *sentences(results)]))
    print(f"\nlook at {folder / 'report.html'}, and try\nminienc classify {folder} FILE")


def _write_report(
    folder: Path,
    settings: dict[str, Any],
    model: MultiTask,
    data: Labelled,
    results: dict[str, Any],
) -> None:
    """The page; of a part that fails, it says so in its place."""
    missing: list[str] = []
    lines: list[str] = []
    model.model_.summary(print_fn=lines.append)
    draw: dict[str, Callable[[], list[gallery.Picture]]] = {
        "The gradients": lambda: gallery.gradients(model),
        "The confusions": lambda: gallery.confusions(model, data.test_x, data.test_y),
    }
    pictures = {what: attempt(missing, what, make, []) for what, make in draw.items()}
    report = MultiTaskReport(
        title=f"{', '.join(settings['heads'])}: several tasks at once",
        command=command_line(settings, str(folder)),
        config={"minienc": __version__, "settings": settings},
        results=results,
        history=model.history_,
        encoder=settings["run"],
        gradients=pictures["The gradients"],
        confusions=pictures["The confusions"],
        missing=missing,
        summary_text="\n".join(lines),
    )
    write_multitask_report(folder / "report.html", report)
