"""The command line's part for several tasks at once: ``finetune RUN --task multitask``."""

from __future__ import annotations

import argparse
from typing import Any

from minienc.commands.options import names

OWN = ("heads", "quantities", "combine", "weights", "no_alone")
# of ``finetune``, what only a classifier of one task has, with its defaults
OF_CLASSIFIER = {"mode": "full", "layer_decay": 1.0, "seeds": None}


def add_options(p: argparse.ArgumentParser) -> None:
    """The options of ``finetune`` for several tasks."""
    add = p.add_argument_group("several tasks at once, --task multitask").add_argument
    add(
        "--heads",
        nargs="+",
        metavar="NAME=WHAT",
        help="a task each: its name, and where its labels are: label (those of the data), speaker "
        "(of recordings), FILE (a label a line, or .npy), FILE.csv:COLUMN",
    )
    add("--quantities", type=names, metavar="NAME,...", help="tasks whose labels are quantities")
    add("--combine", metavar="HOW", help="their gradients: sum (default), uncertainty, pcgrad")
    add("--weights", type=weights, metavar="NAME=X,...", help="of the tasks' losses (1)")
    add("--no-alone", action="store_true", default=None, help="no model for each task beside it")


def weights(text: str) -> dict[str, float]:
    found = {}
    for part in text.split(","):
        name, equals, number = part.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise argparse.ArgumentTypeError(f"{text!r}, expected such as digit=1,speaker=0.5")
    return found


def take_options(given: dict[str, Any]) -> dict[str, Any]:
    """Take these options out of those of ``finetune``."""
    return {name: given.pop(name) for name in OWN}


def is_meant(of_task: dict[str, Any]) -> bool:
    """Whether several tasks are asked for, or a run of them is to be gone on with."""
    if of_task["task"] is None and of_task["resume"]:
        from minienc.runs.config import task_of

        return task_of(of_task["resume"]) == "multitask"
    return of_task["task"] == "multitask"


def refuse(of_heads: dict[str, Any]) -> None:
    """Refuse the options where they have no use."""
    for name, value in of_heads.items():
        if value is not None:
            raise ValueError(f"--{name.replace('_', '-')} is for --task multitask")


def finetune(
    run_folder: str | None,
    lr: float | None,
    of_task: dict[str, Any],
    of_heads: dict[str, Any],
    given: dict[str, Any],
) -> None:
    """``minienc finetune RUN --task multitask --heads NAME=WHAT ...``."""
    from minienc.runs.multitask import finetune_multitask, resume_multitask

    resume = of_task["resume"]
    others = {k: v for k, v in of_task.items() if k not in ("task", "resume") and v is not None}
    if resume is not None:
        if run_folder or of_task["task"] or others or any(v is not None for v in of_heads.values()):
            raise ValueError(f"--resume goes on with the settings of {resume}; leave out the rest")
        resume_multitask(resume, given["quiet"])
        return
    for name in others:
        raise ValueError(f"--{name.replace('_', '-')} is for pairs of texts, not for several tasks")
    for name, default in OF_CLASSIFIER.items():
        if given[name] != default:
            raise ValueError(
                f"--{name.replace('_', '-')} is for one task, not for --task multitask"
            )
    said = {k: of_heads[k] for k in ("heads", "combine", "weights")}
    said["quantities"] = list(of_heads["quantities"] or ())
    said["alone"] = not of_heads["no_alone"]
    said["learning_rate"], said["augment"] = lr, list(given["augment"])
    shared = ("labels", "epochs", "batch_size", "seed", "schedule", "weight_decay", "dropout")
    said |= {name: given[name] for name in (*shared, "label_smoothing", "device")}
    finetune_multitask(run_folder, said, given["out"], force=given["force"], quiet=given["quiet"])
