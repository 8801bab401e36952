"""Options of the command line that several commands have, and the commands of later data."""

from __future__ import annotations

import argparse
from typing import Any


def add_reading(p: argparse.ArgumentParser) -> None:
    """How data are read."""
    yes: dict[str, Any] = {"action": "store_true", "default": None}
    p.add_argument(
        "--resize", metavar="N", help="make all images N x N, or such as 640x480 (width x height)"
    )
    p.add_argument("--crop", **yes, help="cut images to that shape rather than squeeze them")
    p.add_argument("--grey", **yes, help="make colour images grey")
    p.add_argument(
        "--label-column", metavar="NAME", help="the column of labels of a CSV (label, class, y)"
    )
    p.add_argument("--drop", type=names, metavar="NAME,...", help="columns that are no features")
    p.add_argument("--scale", type=float, help="what the data are multiplied by (bytes: 1/255)")
    p.add_argument(
        "--standardise",
        "--standardize",
        **yes,
        help="make each feature's mean 0 and deviation 1 (encode does the same to its data)",
    )
    p.add_argument(
        "--pattern", help="what the names of sounds say, such as '{label}_{speaker}_{index}'"
    )
    p.add_argument(
        "--held-out-speakers", type=names, metavar="NAME,...", help="whose sounds are to test on"
    )
    p.add_argument("--resample", type=int, metavar="HZ", help="bring all sounds to this rate")
    p.add_argument("--frames", type=int, help="of a sound; longer ones are cut (what 95 %% have)")
    p.add_argument("--mels", type=int, help="bands of a frame of sound (16 at 8 kHz)")


def add_later_data(p: argparse.ArgumentParser) -> None:
    """How data are read that come later: as the run's own."""
    p.add_argument("--data-dir", metavar="DIR")
    p.add_argument("--scale", type=float, help="what DATA are multiplied by (as the run's)")
    p.add_argument(
        "--resample", action="store_true", help="bring sounds of another rate to the run's"
    )


def add_device(p: argparse.ArgumentParser) -> None:
    p.add_argument("--device", help="where to compute: cpu (default), cuda, cuda:1, jax")


def add_regularisation(p: argparse.ArgumentParser) -> None:
    """What keeps a classifier from learning its samples by heart."""
    p.add_argument("--schedule", default="constant", help="of the rate: constant (default), cosine")
    p.add_argument("--weight-decay", type=float, default=0.0, metavar="X", help="(0)")
    p.add_argument("--dropout", type=float, default=0.0, metavar="P", help="of the code (0)")
    p.add_argument("--label-smoothing", type=float, default=0.0, metavar="P", help="(0)")
    p.add_argument(
        "--augment",
        type=names,
        default=(),
        metavar="WORD[:X],...",
        help="disturb sounds in training: equalizer, speed, pitch, stretch, spec_augment, noise",
    )


def add_classify(commands: argparse._SubParsersAction) -> None:
    """``minienc classify``."""
    p = commands.add_parser(
        "classify",
        help="say what files are, by a run's classifier",
        description="Say what the classifier of RUN, which minienc finetune made, takes DATA for.",
    )
    p.set_defaults(run=_classify)
    p.add_argument("run_folder", metavar="RUN")
    p.add_argument(
        "data", metavar="DATA", nargs="+", help="a sound, an image, a text; or as for encode"
    )
    add_later_data(p)
    p.add_argument("--lines", action="store_true", help="of files of text: each line is a text")
    p.add_argument("--classifier", metavar="FILE", help="(RUN/classifier.npz)")
    p.add_argument("--top", type=int, default=3, metavar="K", help="the K likeliest classes (3)")
    add_device(p)


def add_data(commands: argparse._SubParsersAction) -> None:
    """``minienc data``."""
    p = commands.add_parser(
        "data",
        help="say where a named data set lies; fetch it",
        description="Say where the data set NAME lies, and what it holds.",
    )
    p.set_defaults(run=_data)
    p.add_argument("name", metavar="NAME", choices=("mnist", "fashion-mnist", "fsdd"))
    p.add_argument("--data-dir", metavar="DIR", help="where to look (or MINIENC_DATA)")
    p.add_argument(
        "--download", action="store_true", help="fetch it if it is not there (needs pooch)"
    )


def names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def integers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}, expected numbers such as 512,128,30") from None


def _classify(**given: Any) -> None:
    from minienc.runs.classify import classify_run

    classify_run(**given)


def _data(name: str, data_dir: str | None, download: bool) -> None:
    from minienc.data.loading import find_data

    print(find_data(name, data_dir, download))
