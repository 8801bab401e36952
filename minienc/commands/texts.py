"""The command line's part for texts: ``finetune RUN --task classify --texts PATH``."""

from __future__ import annotations

import argparse
from typing import Any

OWN = ("texts", "length")


def add_options(p: argparse.ArgumentParser) -> None:
    """The options of ``finetune`` for a classifier of texts."""
    add = p.add_argument_group("a classifier of texts, --task classify").add_argument
    add(
        "--texts",
        metavar="PATH",
        help="texts with their classes: a folder with a sub-folder for each class, or with a file "
        "for each, a text a line; a .csv or .tsv with the columns text and label",
    )
    add("--length", type=int, metavar="T", help="tokens of a text that are read (up to 128)")


def take_options(given: dict[str, Any]) -> dict[str, Any]:
    """Take these options out of those of ``finetune``."""
    return {name: given.pop(name) for name in OWN}


def refuse(of_texts: dict[str, Any]) -> None:
    """Refuse the options where they have no use."""
    for name, value in of_texts.items():
        if value is not None:
            raise ValueError(f"--{name} is for --task classify")


def finetune(
    run_folder: str | None,
    lr: float | None,
    of_task: dict[str, Any],
    of_texts: dict[str, Any],
    given: dict[str, Any],
) -> None:
    """``minienc finetune RUN --task classify --texts PATH``."""
    from minienc.runs.texts import finetune_texts

    for name, value in of_task.items():
        if name != "task" and value is not None:
            raise ValueError(f"--{name.replace('_', '-')} is not for --task classify")
    if given["augment"]:
        raise ValueError("--augment is for sounds, not for --task classify")
    said = {**of_texts, "learning_rate": lr}
    said |= {k: v for k, v in given.items() if k not in ("augment", "out", "force", "quiet")}
    finetune_texts(run_folder, said, given["out"], force=given["force"], quiet=given["quiet"])
