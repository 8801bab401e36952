"""``minienc step``: the page of a step of a run's model, of the embedded digits, or of homework."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import numpy as np

from minienc.data import load_dataset
from minienc.layers import Dense, Input
from minienc.models import Model, load_model
from minienc.runs.config import read_whole_config
from minienc.runs.inputs import load_data
from minienc.stepper.page import page_of
from minienc.stepper.saved import load_record
from minienc.stepper.step_through import Stepped, step
from minienc.verify.adapters.files import Crash, crashes_of, read_pair


def step_run(
    what: str | None,
    shapes: str | None,
    out: str | None,
    batch: int,
    seed: int,
    quiet: bool,
    kernel: bool = False,
) -> int:
    """Write the page, and say what was found of each line of the backwards."""
    if batch < 1 or seed < 0:
        raise ValueError("step: --batch must be at least 1, and --seed at least 0")
    path = Path(out or "step.html")
    if kernel and what is not None and what.endswith(".npz"):
        raise ValueError("step: --kernel is for a step that is made now; this one is recorded")
    if what is not None and what.endswith(".npz"):
        page_of(load_record(what)).save(path)
        return 0
    if what is not None and ".py:" in what:
        if kernel:
            raise ValueError("step: --kernel is for a model; FILE.py:NAME runs as it is written")
        try:
            made = _of_file(what, shapes, seed)
        except Crash as stop:
            print(f"minienc: crash: {stop}", file=sys.stderr)
            return 3
    elif shapes is not None:
        raise ValueError("step: --shapes is for FILE.py:NAME")
    else:
        how = batch, seed, kernel
        made = _of_digits(*how) if what is None else _of_run(Path(what), *how)
        path = path if out or what is None else Path(what) / "step.html"
    made.record.about["command"] = _command(what, shapes, out, batch, seed, kernel)
    made.save(path)
    if not quiet:
        for verdict in made.record.verdicts:
            claim = verdict.claim
            if claim.verdict == "fail" and verdict.because is None:
                visit = made.record.visits[verdict.visit]
                file = Path(made.record.frames[visit.frame].file).name
                print(f"{claim.name} is wrong: {claim.told}; line {visit.line} of {file}")
        if "shown" in made.record.about:
            print(f"shown: {made.record.about['shown']}")
        print(f"{path}: {made.record.title}, {len(made.record.steps)} calls")
    failed = any(verdict.claim.verdict == "fail" for verdict in made.record.verdicts)
    return 1 if failed else 0


def _command(
    what: str | None, shapes: str | None, out: str | None, batch: int, seed: int, kernel: bool
) -> str:
    """What makes the page again."""
    words = ["minienc", "step"] + ([what] if what else [])
    words += ["--shapes", shapes] if shapes else ["--batch", str(batch)]
    words += ["--seed", str(seed)] + ["--kernel"] * kernel + (["--out", out] if out else [])
    return shlex.join(words)


def _of_file(where: str, shapes: str | None, seed: int) -> Stepped:
    try:
        pair, arguments = read_pair(where, shapes, seed=seed)
    except (ValueError, OSError) as refusal:  # the reader is gradcheck's: told in our name
        told = str(refusal).replace("gradcheck: ", "step: ", 1)
        raise type(refusal)(told) from refusal
    if len(pair) != 2:
        raise ValueError(
            f"step: {where} is no pair NAME_forward, NAME_backward; name two with a comma, "
            f"FILE.py:forward,backward"
        )
    with crashes_of(where.partition(":")[0]):
        return step(*pair, *arguments, seed=seed, title=where)


def _of_digits(batch: int, seed: int, kernel: bool) -> Stepped:
    """An autoencoder 64-16-64 of the embedded digits, at its first step."""
    x = np.asarray(load_dataset("digits").x)[:batch]
    pixels = Input((64,))
    model = Model(pixels, Dense(64, "sigmoid")(Dense(16, "relu", name="encoder")(pixels)))
    model.initialize(np.random.default_rng(seed))
    model.compile("adam", "binary_crossentropy")
    title = f"an autoencoder 64-16-64, {len(x)} digits, its first step"
    return step(model, x.reshape(len(x), -1), seed=seed, title=title, kernel=kernel)


def _of_run(folder: Path, batch: int, seed: int, kernel: bool) -> Stepped:
    """The model that a run left, on the first samples that it is tested on."""
    settings = read_whole_config(folder)["settings"]
    model = load_model(folder / "model.npz")
    if getattr(model, "optimizer", None) is None:
        raise ValueError(
            f"step: {settings['method']} makes steps of its own, without compile and fit; in "
            f"Python, minienc.step(method, X) of a fitted one shows them"
        )
    x = np.asarray(load_data(settings).test_x[:batch], model.dtype)
    shape = model.inputs[0].sample_shape
    title = f"{settings['method']} of {folder.name}, {len(x)} samples, the step after its last"
    return step(model, x.reshape(len(x), *shape), seed=seed, title=title, kernel=kernel)
