"""The command line's part for pairs of texts: ``finetune --task``, ``translate``, ``summarize``."""

from __future__ import annotations

import argparse
from typing import Any

TASKS = ("translate", "summarize")
# of ``finetune``, what only a task has; what only a classifier has, with its defaults
OF_TASK = (
    *("task", "pairs", "source", "target", "network", "parts", "limit"),
    *("set", "resume", "beam", "no_repeat"),
)
OF_CLASSIFIER = {"labels": None, "mode": "full", "layer_decay": 1.0, "seeds": None}


def add_task_options(p: argparse.ArgumentParser) -> None:
    """The options of ``finetune`` for pairs."""
    add = p.add_argument_group("pairs of texts").add_argument
    add("--task", metavar="TASK", help="translate, summarize; classify, multitask (below)")
    add(
        "--pairs",
        nargs="+",
        metavar="PATH",
        help="a folder with such as train.en and train.fr, or train.jsonl; a .jsonl or .tsv; two "
        "files; docstrings:",
    )
    add("--source", metavar="SIDE", help="what is read: a language, or fields: name,text")
    add("--target", metavar="SIDE", help="what is written")
    add("--network", help="gru (default), gru_no_attention, transformer")
    add(
        "--parts",
        choices=("all", "encoder", "vocabulary"),
        help="what of RUN is gone on with (all); with vocabulary the weights are random",
    )
    add("--limit", type=int, metavar="N", help="learn from N pairs, drawn by the seed (all)")
    add(
        "--set",
        action="append",
        metavar="NAME=VALUE",
        help="a parameter of the task's class: --set dropout=0.3 --set width=128",
    )
    add("--resume", metavar="TASK_RUN", help="go on with an interrupted run of a task")
    _add_search(p)


def _add_search(p: argparse.ArgumentParser) -> None:
    p.add_argument("--beam", type=int, help="texts side by side; 1 takes the likeliest token (5)")
    p.add_argument(
        "--no-repeat", type=int, metavar="N", help="no N tokens twice in a text (0: off)"
    )


def take_task_options(given: dict[str, Any]) -> dict[str, Any]:
    """Take the options of a task out of those of ``finetune``."""
    return {name: given.pop(name) for name in OF_TASK}


def refuse_task_options(of_task: dict[str, Any]) -> None:
    """Refuse them where no task was said."""
    for name, value in of_task.items():
        if value is not None:
            flag = "--" + name.replace("_", "-")
            raise ValueError(f"{flag} is for pairs of texts: say --task {' or '.join(TASKS)}, too")


def finetune(
    run_folder: str | None, lr: float | None, of_task: dict[str, Any], given: dict[str, Any]
) -> None:
    """``minienc finetune [RUN] --task TASK --pairs PATH``."""
    from minienc.runs.pairs import finetune_pairs, resume_pairs

    for name, default in OF_CLASSIFIER.items():
        if given[name] != default:
            raise ValueError(f"--{name.replace('_', '-')} is for classifiers, not for --task")
    resume, more = of_task.pop("resume"), of_task.pop("set") or []
    if resume is not None:
        if run_folder or any(value is not None for value in of_task.values()):
            raise ValueError(f"--resume goes on with the settings of {resume}; leave out the rest")
        resume_pairs(resume, given["quiet"])
        return
    said = {**of_task, "learning_rate": lr, "epochs": given["epochs"], "seed": given["seed"]}
    said["device"] = given["device"]
    finetune_pairs(run_folder, said, more, given["out"], force=given["force"], quiet=given["quiet"])


def options_first(words: list[str]) -> list[str]:
    """``translate RUN --beam 3 TEXT`` as ``translate --beam 3 RUN TEXT``: argparse takes what may
    be left out, TEXT, for left out where an option stands in between."""
    if words[:1] not in (["translate"], ["summarize"]):
        return words
    options: list[str] = []
    others: list[str] = []
    left = words[1:]
    while left:
        word = left.pop(0)
        if word == "--":
            return [words[0], *options, "--", *others, *left]
        if not word.startswith("--"):
            others.append(word)
            continue
        options.append(word)
        if word in ("--file", "--beam", "--no-repeat") and left:
            options.append(left.pop(0))
    return [words[0], *options, *others]


def add_commands(commands: argparse._SubParsersAction) -> None:
    """``translate`` and ``summarize``."""
    p = commands.add_parser(
        "translate",
        help="write texts in another language",
        description="Translate each TEXT by the run of minienc finetune --task translate; without "
        "TEXT, each line of FILE or of what comes in.",
    )
    p.set_defaults(run=_translate)
    p.add_argument("run_folder", metavar="RUN")
    p.add_argument("texts", nargs="*", metavar="TEXT")
    p.add_argument("--file", metavar="FILE", help="a text a line; - is what comes in")
    _add_search(p)
    p = commands.add_parser(
        "summarize",
        help="write a text in few words",
        description="Summarize FILE, or each of its lines, by the run of minienc finetune --task "
        "summarize.",
    )
    p.set_defaults(run=_summarize)
    p.add_argument("run_folder", metavar="RUN")
    p.add_argument("file", nargs="?", default="-", metavar="FILE", help="- is what comes in (-)")
    p.add_argument("--lines", action="store_true", help="each line is a text")
    _add_search(p)


def _translate(**given: Any) -> None:
    from minienc.runs.writing import translate_run

    translate_run(**given)


def _summarize(**given: Any) -> None:
    from minienc.runs.writing import summarize_run

    summarize_run(**given)
