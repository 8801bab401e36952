"""The page that a run leaves: one file, no network, no script.

It opens with what the numbers say in words, and shows what they are made of: the learning curves,
originals beside what was restored, the first layer's filters, a map of the codes, the accuracy
against the number of labels with its control arms, and the command that repeats the run. What a
data set does not have (labels, images) is left out, with a sentence that says so.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from minienc import plots
from minienc.files import atomic_write


@dataclass
class RunReport:
    """What the page shows.

    Attributes
    ----------
    errors : list of (name, squared error per test sample); the last is the method's, and it is
        empty for a method that restores nothing
    pictures : list of Picture, measures : dict of numbers
        What the method alone has to show.
    originals, restored, noisy : arrays (n, ...) or None
    filters : array (D, M) or None
        Weights of the first layer.
    codes_2d : array (n, 2) or None; labels : integer array (n,) or None
    few_label : FewLabelCurve or None
    """

    title: str
    command: str
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
    measures: dict[str, float] = field(default_factory=dict)
    codes_2d: np.ndarray | None = None
    labels: np.ndarray | None = None
    class_names: tuple[str, ...] | None = None
    few_label: Any = None
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
    with atomic_write(path) as file:
        file.write(render(run).encode())


def render(run: RunReport) -> str:
    """The page as text."""
    sections = [
        _section("What the numbers say", _verdicts(run)),
        _section("Reconstruction", _errors(run) + _images(run)),
        _section("With a few labels", _few_labels(run)),
        _section("What was learned", _measures(run) + _filters(run) + _pictures(run) + _map(run)),
        _section("How it was learned", _curves(run)),
        _section("Repeat it", _repeat(run)),
    ]
    return _PAGE.format(
        title=escape(run.title), style=_STYLE, facts=_facts(run), body="\n".join(sections)
    )


# ------------------------------------------------------------------------------------- in words


def _verdicts(run: RunReport) -> str:
    lines = [reconstruction_verdict(run.errors)] if run.errors else []
    if run.few_label is not None:
        lines += few_label_verdicts(run.few_label)
    return '<ul class="verdict">' + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def reconstruction_verdict(errors: list[tuple[str, float]]) -> str:
    """Better or worse than principal components, by what factor; and than the mean."""
    (_, mean), (pca_name, pca), (name, own) = errors[0], errors[-2], errors[-1]
    if not np.isfinite(own):
        return f"Reconstruction failed: the error of {name} is {own}."
    if own >= mean:
        return (
            f"It learned nothing of the input: its squared error, {own:.3g}, is no better than "
            f"that of answering with the mean sample, {mean:.3g}."
        )
    if own < pca:
        return (
            f"It restores {pca / own:.2g} times better than {pca_name}: squared error {own:.3g} "
            f"against {pca:.3g}."
        )
    return (
        f"It restores worse than {pca_name}: squared error {own:.3g} against {pca:.3g}. A linear "
        f"code of the same width is better."
    )


# Student's t: how many standard errors a 95 % interval reaches with n - 1 = 1, 2, ... differences
_STUDENT_T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14)


def few_label_verdicts(curve: Any) -> list[str]:
    """For each number of labels: helped, hurt, or no visible difference.

    The arms are compared seed by seed, on the same labelled samples; a difference is visible where
    the 95 % interval of its mean (Student 1908) leaves out zero.
    """
    names = list(curve.arms)
    difference = 100 * (curve.arms[names[0]] - curve.arms[names[1]])
    lines = []
    for n, row in zip(curve.labels, difference, strict=True):
        mean, reach = float(row.mean()), _interval(row)
        if not abs(mean) > reach:
            word = "made no visible difference"
        else:
            word = "helped" if mean > 0 else "hurt"
        spread = f" ± {reach:.1f}" if np.isfinite(reach) else " (one seed: no spread known)"
        lines.append(
            f"With {n:,} labels pretraining {word}: {mean:+.1f}{spread} points of accuracy against "
            f"the same network from random weights (mean and 95 % interval, seed by seed)."
        )
    return lines


def _interval(values: np.ndarray) -> float:
    """How far the 95 % interval of the mean reaches to each side; infinite for one value."""
    n = len(values)
    if n < 2:
        return float("inf")
    t = _STUDENT_T[n - 2] if n - 2 < len(_STUDENT_T) else 2.1
    return float(t * values.std(ddof=1) / np.sqrt(n))


# ----------------------------------------------------------------------------------- the sections


def _facts(run: RunReport) -> str:
    facts = {
        "data": f"{run.dataset}: {run.n_train:,} samples to learn from, {run.n_test:,} to test",
        "method": f"{run.method}, {run.n_features} features a sample",
        "training": f"{run.seconds:.0f} s; labels were not used",
        "source": run.source,
    }
    rows = "".join(f"<dt>{k}</dt><dd>{escape(v)}</dd>" for k, v in facts.items() if v)
    return f"<dl>{rows}</dl>"


def _errors(run: RunReport) -> str:
    if not run.errors:
        return "<p>This method has no way back from codes to samples.</p>"
    top = max((v for _, v in run.errors if np.isfinite(v)), default=1.0) or 1.0
    rows = ""
    for name, value in run.errors:
        width = 100 * value / top if np.isfinite(value) else 0
        rows += (
            f'<tr><th scope="row">{escape(name)}</th><td>{value:.4g}</td>'
            f'<td class="bar"><span style="width:{width:.1f}%"></span></td></tr>'
        )
    return (
        f"<p>Squared error per test sample, summed over its {run.n_features} features; smaller is "
        f"better.</p><table><tbody>{rows}</tbody></table>"
    )


def _measures(run: RunReport) -> str:
    if not run.measures:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{value:.4g}</td></tr>'
        for name, value in run.measures.items()
    )
    return f"<p>Of the test samples:</p><table><tbody>{rows}</tbody></table>"


def _images(run: RunReport) -> str:
    if not run.errors:
        return ""
    if run.image_shape is None or run.originals is None or run.restored is None:
        return "<p>The samples are not images, so none are shown.</p>"
    rows = [("original", run.originals), ("restored", run.restored)]
    between = ""
    if run.noisy is not None:
        rows.insert(1, ("disturbed", run.noisy))
        between = " disturbed, in the middle;"
    figure = plots.image_grid(rows, run.image_shape)
    return _png(figure, f"test images, above;{between} what the model made of them, below")


def _few_labels(run: RunReport) -> str:
    if run.few_label is None:
        return "<p>The data has no labels, so nothing can be said about a task.</p>"
    curve = run.few_label
    head = "".join(f"<th scope='col'>{n:,} labels</th>" for n in curve.labels)
    body = ""
    for name, accuracy in curve.arms.items():
        spread = accuracy.std(axis=1, ddof=1) if len(curve.seeds) > 1 else accuracy[:, 0] * 0
        cells = "".join(
            f"<td>{100 * m:.1f} ± {100 * s:.1f}</td>"
            for m, s in zip(accuracy.mean(axis=1), spread, strict=True)
        )
        body += f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'
    return (
        f"<p>Test accuracy in per cent, mean and standard deviation over {len(curve.seeds)} seeds, "
        f"each with other labelled samples. All arms see the same ones.</p>"
        f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
        + _svg(plots.few_label_curve(curve), "test accuracy against the number of labels")
    )


def _filters(run: RunReport) -> str:
    if run.filters is None or run.image_shape is None:
        return ""
    picture = _png(plots.filters(run.filters, run.image_shape), "first-layer weights as images")
    return (
        "<p>The first layer's weights, a picture a unit: red where a bright pixel excites it, blue "
        "where it inhibits.</p>" + picture
    )


def _pictures(run: RunReport) -> str:
    parts = []
    for picture in run.pictures:
        render_figure = _svg if picture.is_drawing else _png
        alt = picture.caption.split(".")[0]
        parts.append(f"<p>{escape(picture.caption)}</p>" + render_figure(picture.figure, alt))
    return "".join(parts)


def _map(run: RunReport) -> str:
    if run.codes_2d is None:
        return ""
    figure = plots.code_map(run.codes_2d, run.labels, run.class_names)
    colour = "" if run.labels is None else " The colours are classes, which training never saw."
    return (
        f"<p>Each point is the code of a test sample, seen along the two directions in which the "
        f"codes vary most.{colour}</p>" + _png(figure, "map of the codes")
    )


def _curves(run: RunReport) -> str:
    summary = f"<pre>{escape(run.summary_text)}</pre>" if run.summary_text else ""
    return _svg(plots.learning_curves(run.history), "loss against epoch") + summary


def _repeat(run: RunReport) -> str:
    config = escape(json.dumps(run.config, indent=2))
    return (
        f'<pre class="command">{escape(run.command)}</pre>'
        f"<details><summary>All settings</summary><pre>{config}</pre></details>"
    )


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{heading}</h2>{content}</section>"


# ------------------------------------------------------------------------------- pictures as text


def _svg(figure: Any, alt: str) -> str:
    """A drawing, sharp at any size; the same run gives the same bytes."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "minienc", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    return f'<figure role="img" aria-label="{escape(alt)}">{svg}</figure>'


def _png(figure: Any, alt: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<figure><img alt="{escape(alt)}" src="data:image/png;base64,{data}"></figure>'


_STYLE = """
:root { color-scheme: light; }
body { margin: 0; font: 17px/1.55 system-ui, sans-serif; color: #1c1c1c; background: #fff; }
main { max-width: 52rem; margin: 0 auto; padding: 2rem 1.2rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; border-bottom: 1px solid #ddd; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 0; }
dt { color: #666; } dd { margin: 0; overflow-wrap: anywhere; }
.verdict { padding: .8rem 1rem .8rem 2rem; background: #f2f6fa; border-left: 4px solid #0072b2; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0 1rem; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid #eee; }
th[scope=row] { text-align: left; font-weight: 500; }
td.bar { width: 45%; text-align: left; }
td.bar span { display: block; height: .8rem; background: #0072b2; min-width: 2px; }
figure { margin: 1rem 0; overflow-x: auto; }
figure img, figure svg { max-width: 100%; height: auto; }
pre { background: #f6f6f6; padding: .8rem 1rem; overflow-x: auto; font-size: .82rem; }
pre.command { white-space: pre-wrap; user-select: all; }
@media (max-width: 30rem) { body { font-size: 15px; } td.bar { display: none; } }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{facts}
{body}
</main>
</body>
</html>
"""
