"""The page that a run leaves: one file, no network, no script.

It opens with what the numbers say in words, and shows what they are made of: the learning curves,
originals beside what was restored, the first layer's filters, a map of the codes, the accuracy
against the number of labels with its control arms, and the command that repeats the run. What a
data set does not have (labels, images) is left out, with a sentence that says so; so is a picture
that cannot be drawn, for a page is not worth losing a run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from minienc import plots
from minienc.files import write_text
from minienc.finetuning.curve import FewLabelCurve
from minienc.page import (
    audio,
    bars,
    curves,
    few_labels,
    missing_parts,
    page,
    pictures,
    png,
    repeat,
    verdict,
)
from minienc.verdicts import few_label_verdicts, reconstruction_verdict


@dataclass
class RunReport:
    """What the page shows.

    Attributes
    ----------
    errors : list of (name, squared error per test sample); the last is the method's, and it is
        empty for a method that restores nothing
    pictures : list of Picture, measures : dict of numbers
        What the method alone has to show.
    sounds : list of gallery.sounds.Sound
        Of recordings: to be heard.
    originals, restored, noisy : arrays (n, ...) or None
    filters : array (D, M) or None
        Weights of the first layer.
    codes_2d : array (n, 2) or None; labels : integer array (n,) or None
    few_label : FewLabelCurve or None
    course : str
        What the loss is, and whether lower is better.
    notes, missing : list of str
        What is to be said beside the numbers; which parts of the page could not be made.
    """

    title: str
    command: str
    step: str  # the command that shows a step of it, or nothing
    config: dict[str, Any]
    dataset: str
    source: str
    n_train: int
    n_test: int
    sample_shape: tuple[int, ...]
    method: str
    history: dict[str, list[float]]
    errors: list[tuple[str, float]]
    originals: np.ndarray | None = None
    restored: np.ndarray | None = None
    noisy: np.ndarray | None = None
    filters: np.ndarray | None = None
    pictures: Sequence[Any] = ()
    sounds: Sequence[Any] = ()
    measures: dict[str, float] = field(default_factory=dict)
    codes_2d: np.ndarray | None = None
    labels: np.ndarray | None = None
    class_names: tuple[str, ...] | None = None
    few_label: FewLabelCurve | None = None
    course: str = ""
    notes: Sequence[str] = ()
    missing: Sequence[str] = ()
    seconds: float = 0.0
    summary_text: str = ""

    @property
    def n_features(self) -> int:
        return math.prod(self.sample_shape)

    @property
    def image_shape(self) -> tuple[int, ...] | None:
        return plots.image_shape(self.sample_shape)


def write_report(path: str | Path, run: RunReport) -> None:
    """Write the page to ``path``, all or nothing."""
    write_text(path, render(run))


def render(run: RunReport) -> str:
    """The page as text."""
    sections = [
        ("What the numbers say", _verdicts(run)),
        ("Reconstruction", _errors(run) + _images(run) + _sounds(run)),
        ("With a few labels", _few_labels(run)),
        ("What was learned", _learned(run)),
        ("How it was learned", curves(run.history, run.course, run.summary_text)),
        ("Repeat it", repeat(run.command, run.config, run.step)),
    ]
    return page(run.title, _facts(run), sections)


# ------------------------------------------------------------------------------------- in words


def _verdicts(run: RunReport) -> str:
    lines = [reconstruction_verdict(run.errors)] if run.errors else []
    if run.few_label is not None:
        lines += few_label_verdicts(run.few_label)
    lines += run.notes
    return verdict(lines)


# ----------------------------------------------------------------------------------- the sections


def _facts(run: RunReport) -> dict[str, str]:
    return {
        "data": f"{run.dataset}: {run.n_train:,} samples to learn from, {run.n_test:,} to test",
        "method": f"{run.method}, {run.n_features} features a sample",
        "training": f"{run.seconds:.0f} s; labels were not used",
        "source": run.source,
    }


def _errors(run: RunReport) -> str:
    if not run.errors:
        why = "This method has no way back from codes to samples."
        return f"<p>{why if run.restored is None else 'Nothing was compared.'}</p>"
    return (
        f"<p>Squared error per test sample, summed over its {run.n_features} features; smaller is "
        f"better.</p>{bars(run.errors)}"
    )


def _learned(run: RunReport) -> str:
    shown = _measures(run) + _filters(run) + pictures(run.pictures)
    return shown + _map(run) + missing_parts(run.missing)


def _measures(run: RunReport) -> str:
    if not run.measures:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{value:.4g}</td></tr>'
        for name, value in run.measures.items()
    )
    return f"<p>Of the test samples:</p><table><tbody>{rows}</tbody></table>"


def _images(run: RunReport) -> str:
    if not run.errors and run.restored is None:
        return ""
    if run.sounds:
        return ""
    if run.image_shape is None or run.originals is None or run.restored is None:
        return "<p>The samples are not images, so none are shown.</p>"
    rows = [("original", run.originals), ("restored", run.restored)]
    between = ""
    if run.noisy is not None:
        rows.insert(1, ("disturbed", run.noisy))
        between = " disturbed, in the middle;"
    shape = run.image_shape
    caption = f"Test images, above;{between} what the model made of them, below."
    return f"<p>{caption}</p>" + png(lambda: plots.image_grid(rows, shape), caption)


def _sounds(run: RunReport) -> str:
    if not run.sounds:
        return ""
    parts = [
        "<p>Test sounds. Frames hold how loud each band is, not the phases of its waves: those are "
        "made up when frames become a sound again, which is why even a sound's own frames sound "
        "hollow.</p>"
    ]
    for sound in run.sounds:
        players = "".join(audio(samples, sound.rate, what) for what, samples in sound.parts)
        parts.append(f'<p>{escape(sound.name)}:</p><div class="heard">{players}</div>')
    return "".join(parts)


def _few_labels(run: RunReport) -> str:
    if run.few_label is None:
        return "<p>The data has no labels, so nothing can be said about a task.</p>"
    return few_labels(run.few_label)


def _filters(run: RunReport) -> str:
    if run.filters is None or run.image_shape is None:
        return ""
    W, shape = run.filters, run.image_shape
    return (
        "<p>The first layer's weights, a picture a unit: red where a bright pixel excites it, blue "
        "where it inhibits; the strongest first. Spots and strokes are what a unit looks for. One "
        "that looks like noise has kept the random weights that it began with, because it learned "
        "little yet or is not needed, or it looks at many places at once: more epochs, fewer units "
        "or a penalty on the weights make such pictures clearer.</p>"
        + png(lambda: plots.filters(W, shape), "first-layer weights as images")
    )


def _map(run: RunReport) -> str:
    if run.codes_2d is None:
        return ""
    codes, labels = run.codes_2d, run.labels
    if codes.shape[1] == 1:
        words = "which is one number, or varies in one direction alone"
    else:
        words = "seen along the two directions in which the codes vary most"
    colour = "" if labels is None else " The colours are classes, which training never saw."
    return (
        f"<p>Each point is the code of a test sample, {words}.{colour}</p>"
        + _classes(run)
        + png(lambda: plots.code_map(codes, labels, legend=False), "map of the codes")
    )


def _classes(run: RunReport) -> str:
    """What the colours of the map stand for, in words: any name in any script."""
    if run.labels is None:
        return ""
    colours = plots.class_colours(run.labels)
    if len(colours) > 40:
        return f"<p>{len(colours)} classes, from the first, dark blue, to the last, dark red.</p>"
    names = run.class_names or range(max(colours) + 1)
    items = ""
    for k, colour in colours.items():
        rgb = ",".join(f"{round(255 * part)}" for part in colour[:3])
        name = escape(plots.printable(names[k]))
        items += f'<li><span style="background:rgb({rgb})"></span>{name}</li>'
    return f'<ul class="classes">{items}</ul>'
