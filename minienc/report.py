"""The page that a run leaves: one file, no network, no script.

It opens with what the numbers say in words, and shows what they are made of: the learning curves,
originals beside what was restored, the first layer's filters, a map of the codes, the accuracy
against the number of labels with its control arms, and the command that repeats the run. What a
data set does not have (labels, images) is left out, with a sentence that says so; so is a picture
that cannot be drawn, for a page is not worth losing a run.
"""

from __future__ import annotations

import base64
import io
import json
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from minienc import plots
from minienc.files import write_text
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
        _section("What the numbers say", _verdicts(run)),
        _section("Reconstruction", _errors(run) + _images(run)),
        _section("With a few labels", _few_labels(run)),
        _section(
            "What was learned",
            _measures(run) + _filters(run) + _pictures(run) + _map(run) + _missing(run),
        ),
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
    lines += run.notes
    return '<ul class="verdict">' + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


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
        why = "This method has no way back from codes to samples."
        return f"<p>{why if run.restored is None else 'Nothing was compared.'}</p>"
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
    if not run.errors and run.restored is None:
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
    return f"<p>{caption}</p>" + _png(lambda: plots.image_grid(rows, shape), caption)


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
        f'<div class="wide"><table><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
        "<p>The same, as a picture: higher is better, and a band reaches one standard deviation "
        "to each side.</p>"
        + _svg(lambda: plots.few_label_curve(curve), "test accuracy against the number of labels")
    )


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
        + _png(lambda: plots.filters(W, shape), "first-layer weights as images")
    )


def _pictures(run: RunReport) -> str:
    parts = []
    for picture in run.pictures:
        render_figure = _svg if picture.is_drawing else _png
        alt, figure = picture.caption.split(".")[0], picture.figure
        parts.append(
            f"<p>{escape(picture.caption)}</p>" + render_figure(partial(_same, figure), alt)
        )
    return "".join(parts)


def _same(figure: Any) -> Any:
    return figure


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
        + _png(lambda: plots.code_map(codes, labels, legend=False), "map of the codes")
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


def _missing(run: RunReport) -> str:
    return "".join(f"<p>{escape(plots.printable(sentence))}</p>" for sentence in run.missing)


def _curves(run: RunReport) -> str:
    summary = ""
    if run.summary_text:
        summary = (
            "<p>The network, layer by layer. FLOPs are floating-point operations of one forward "
            "pass, for one sample: a multiplication and an addition are two, activations are not "
            "counted. A step of training takes about three times as many.</p>"
            f"<pre>{escape(run.summary_text)}</pre>"
        )
    course = f"<p>{escape(run.course)}</p>" if run.course else ""
    return course + _svg(lambda: plots.learning_curves(run.history), "loss against epoch") + summary


def _repeat(run: RunReport) -> str:
    config = escape(json.dumps(run.config, indent=2))
    return (
        f'<pre class="command">{escape(run.command)}</pre>'
        f"<details><summary>All settings</summary><pre>{config}</pre></details>"
    )


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{heading}</h2>{content}</section>"


# ------------------------------------------------------------------------------- pictures as text


def _svg(draw: Callable[[], Any], alt: str) -> str:
    """A drawing, sharp at any size; the same run gives the same bytes."""
    buffer = io.StringIO()
    how: dict[str, Any] = {"format": "svg", "metadata": {"Date": None}, "transparent": True}
    if failed := _save(draw, alt, buffer, how):
        return failed
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    return f'<figure role="img" aria-label="{escape(alt)}">{svg}</figure>'


def _png(draw: Callable[[], Any], alt: str) -> str:
    buffer = io.BytesIO()
    how = {"format": "png", "dpi": 192, "metadata": {"Software": None}}
    if failed := _save(draw, alt, buffer, how):
        return failed
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<figure><img alt="{escape(alt)}" src="data:image/png;base64,{data}"></figure>'


def _save(draw: Callable[[], Any], alt: str, buffer: Any, how: dict[str, Any]) -> str:
    """Draw into the buffer; return nothing, or the sentence that stands in the picture's place."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a sign that the font has not
            figure = draw()
            from matplotlib import rc_context

            style: Any = {**plots.STYLE, "svg.hashsalt": "minienc", "svg.fonttype": "none"}
            with rc_context(style):
                figure.savefig(buffer, **how)
    except Exception as error:
        why = (str(error).splitlines() or [""])[0][:200]
        sentence = f"This picture could not be drawn ({alt}): {type(error).__name__}: {why}"
        return f"<p>{escape(plots.printable(sentence))}</p>"
    return ""


_STYLE = """
:root { color-scheme: light; }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; color: #1c1c1c; background: #fff; }
main { max-width: 52rem; margin: 0 auto; padding: 2rem 1.2rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; border-bottom: 1px solid #ddd; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 0; }
dt { color: #666; } dd { margin: 0; overflow-wrap: anywhere; }
.verdict { padding: .8rem 1rem .8rem 2rem; background: #f2f6fa; border-left: 4px solid #0072b2; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0 1rem; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid #eee; }
th[scope=row] { text-align: left; font-weight: 500; }
td.bar { width: 45%; text-align: left; }
td.bar span { display: block; height: .8rem; background: #0072b2; min-width: 2px; }
figure { margin: 1rem 0; overflow-x: auto; }
figure img, figure svg { width: 30rem; max-width: 100%; height: auto; }
ul.classes { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .1rem 1rem; }
ul.classes span { display: inline-block; width: .8em; height: .8em; margin-right: .35em; }
pre { background: #f6f6f6; padding: .8rem 1rem; overflow-x: auto; font-size: .82rem; }
pre.command { white-space: pre-wrap; user-select: all; }
@media (max-width: 30rem) {
  body { font-size: 15px; } main { padding: 1rem .8rem; } td.bar { display: none; }
}
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
