"""The parts of which a page is made: sections, pictures as text, and the page around them.

One file, no network, no script. A picture that cannot be drawn is a sentence in its place, for a
page is not worth losing a run.
"""

from __future__ import annotations

import base64
import io
import json
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from minienc import plots
from minienc.data.wav import wav_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minienc.finetuning.curve import FewLabelCurve


def page(title: str, said: dict[str, str], sections: Sequence[tuple[str, str]]) -> str:
    """The whole: a title, facts with their names, sections with their headings."""
    rows = "".join(f"<dt>{k}</dt><dd>{escape(v)}</dd>" for k, v in said.items() if v)
    body = "\n".join(section(heading, content) for heading, content in sections)
    return _PAGE.format(title=escape(title), style=_STYLE, facts=f"<dl>{rows}</dl>", body=body)


def section(heading: str, content: str) -> str:
    return f"<section><h2>{heading}</h2>{content}</section>"


def verdict(lines: Sequence[str]) -> str:
    """What the numbers say, in words."""
    return '<ul class="verdict">' + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def bars(values: Sequence[tuple[str, float]], places: str = ".4g") -> str:
    """A table of numbers, with a bar for each."""
    top = max((v for _, v in values if np.isfinite(v)), default=1.0) or 1.0
    rows = ""
    for name, value in values:
        width = 100 * value / top if np.isfinite(value) else 0
        rows += (
            f'<tr><th scope="row">{escape(name)}</th><td>{value:{places}}</td>'
            f'<td class="bar"><span style="width:{width:.1f}%"></span></td></tr>'
        )
    return f"<table><tbody>{rows}</tbody></table>"


def curves(history: dict[str, list[float]], course: str, summary_text: str) -> str:
    """The losses of each epoch, and the network."""
    summary = ""
    if summary_text:
        summary = (
            "<p>The network, layer by layer. FLOPs are floating-point operations of one forward "
            "pass, for one sample: a multiplication and an addition are two, activations are not "
            "counted. A step of training takes about three times as many.</p>"
            f"<pre>{escape(summary_text)}</pre>"
        )
    said = f"<p>{escape(course)}</p>" if course else ""
    return said + svg(lambda: plots.learning_curves(history), "loss against epoch") + summary


def pictures(shown: Sequence[Any]) -> str:
    """Each ``Picture`` below its caption."""
    parts = []
    for picture in shown:
        render_figure = svg if picture.is_drawing else png
        alt, figure = picture.caption.split(".")[0], picture.figure
        parts.append(
            f"<p>{escape(picture.caption)}</p>" + render_figure(partial(_same, figure), alt)
        )
    return "".join(parts)


def _same(figure: Figure) -> Figure:
    return figure


def audio(samples: np.ndarray, rate: int, what: str) -> str:
    """A sound (L,) to be played; it is in the page itself."""
    data = base64.b64encode(wav_bytes(samples, rate)).decode()
    return (
        f'<figure><figcaption>{escape(what)}</figcaption><audio controls preload="none" '
        f'aria-label="{escape(what)}" src="data:audio/wav;base64,{data}"></audio></figure>'
    )


def few_labels(curve: FewLabelCurve) -> str:
    """A comparison with few labels: the table, and the same as a picture."""
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
        f"<p>Test accuracy in per cent, {curve.measure}, "
        f"each with other labelled samples. All arms see the same ones.</p>"
        f'<div class="wide"><table><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
        "<p>The same, as a picture: higher is better, and a band reaches one standard deviation "
        "to each side.</p>"
        + svg(lambda: plots.few_label_curve(curve), "test accuracy against the number of labels")
    )


def missing_parts(sentences: Sequence[str]) -> str:
    """What could not be made."""
    return "".join(f"<p>{escape(plots.printable(sentence))}</p>" for sentence in sentences)


def repeat(command: str, config: dict[str, Any], step: str = "") -> str:
    """The command, and all settings; and ``step``, the command that writes step.html beside the
    page."""
    settings = escape(json.dumps(config, indent=2))
    walk = ""
    if step:
        walk = (
            f"<p>One training step of it, line by line: <code>{escape(step)}</code> writes "
            f'<a href="step.html">step.html</a>.</p>'
        )
    return (
        f'<pre class="command">{escape(command)}</pre>{walk}'
        f"<details><summary>All settings</summary><pre>{settings}</pre></details>"
    )


# ------------------------------------------------------------------------------- pictures as text


def svg(draw: Callable[[], Figure], alt: str) -> str:
    """A drawing, sharp at any size; the same run gives the same bytes."""
    buffer = io.StringIO()
    how: dict[str, Any] = {"format": "svg", "metadata": {"Date": None}, "transparent": True}
    if failed := _save(draw, alt, buffer, how):
        return failed
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    return f'<figure role="img" aria-label="{escape(alt)}">{svg}</figure>'


def png(draw: Callable[[], Figure], alt: str) -> str:
    buffer = io.BytesIO()
    how = {"format": "png", "dpi": 192, "metadata": {"Software": None}}
    if failed := _save(draw, alt, buffer, how):
        return failed
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<figure><img alt="{escape(alt)}" src="data:image/png;base64,{data}"></figure>'


def _save(draw: Callable[[], Figure], alt: str, buffer: IO, how: dict[str, Any]) -> str:
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
figure audio { width: 20rem; max-width: 100%; height: 2.2rem; }
.heard { display: flex; flex-wrap: wrap; gap: 0 1rem; }
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
