"""A report as HTML: for a notebook, or as a page that needs nothing from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from minienc.verify.findings import Element, Findings, TensorResult
from minienc.verify.lesson.text import RELATIVE_ERROR, power_lines

STYLE = """<style>
.gradcheck { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; }
.gradcheck { color: #1b1b1b; background: #fff }
.gradcheck :is(h2, h3, figcaption, th, td, p, li) { color: inherit; background: none }
.gradcheck table { border-collapse: collapse; margin: .6rem 0; display: block; overflow-x: auto }
.gradcheck th, .gradcheck td { padding: .15rem .7rem; border-bottom: 1px solid #ddd }
.gradcheck th { text-align: right }
.gradcheck td.n { text-align: right; font-variant-numeric: tabular-nums }
.gradcheck .pass { color: #0a6b2d } .gradcheck .fail { color: #b00020 }
.gradcheck .inconclusive { color: #7a5200 }
.gradcheck .likely { border-left: 4px solid #b00020; padding-left: .6rem }
</style>"""


def as_html(report: Findings) -> str:
    """The report as a fragment of HTML."""
    parts = [STYLE, '<div class="gradcheck">']
    verdict = f'<span class="{report.verdict}">{report.verdict.upper()}</span>'
    parts.append(f"<h2>{verdict} {escape(report.title)}</h2>")
    parts += [f'<p class="likely">{escape(problem)}</p>' for problem in report.problems]
    parts += [f"<p>{escape('; '.join(report.left_out))}</p>"] if report.left_out else []
    parts += [_tensor(t) for t in report.tensors if t.verdict != "pass"]
    parts.append(_table(COVERED, [_coverage(t) for t in report.tensors]))
    parts += [_v_curve(t) for t in report.tensors if t.v_curve]
    parts += [f"<pre>{escape(note)}</pre>" for note in report.notes]
    parts += [f"<p>{escape(line.strip())}</p>" for line in power_lines(report)]
    parts.append(f"<p>{RELATIVE_ERROR}</p>")
    parts.append(f"<p>{report.evaluations:,} evaluations in {report.seconds:.2f} s</p></div>")
    return "\n".join(parts)


def as_page(report: Findings) -> str:
    """The report as a whole page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{report.verdict}: {escape(report.title)}</title></head>"
        f"<body>{as_html(report)}</body></html>\n"
    )


NUMBER = ("index", "yours", "numeric", "± at most", "rel. error", "step h")
BOTH_SIDES = ("F(x + h/2)", "F(x − h/2)")


def _tensor(t: TensorResult) -> str:
    parts = [f"<h3>{escape(t.name)} {t.shape}: {escape(t.reason)}</h3>"]
    parts += [f'<p class="likely">likely: {escape(sentence)}</p>' for sentence in t.diagnosis]
    if t.wrong:
        parts.append(_table(NUMBER + BOTH_SIDES, [_cells(e) for e in t.wrong[:8]]))
    return "\n".join(parts)


def _cells(e: Element) -> list[str]:
    where = str(list(e.index)) if e.index else "a direction"
    numbers = (e.yours, e.numeric, e.uncertainty, e.relative_error, e.step)
    # both values to every digit: their difference is what the gradient is made of
    return [where, *(f"{x:.6g}" for x in numbers), repr(e.above), repr(e.below)]


COVERED = ("tensor", "shape", "checked", "touched", "worst rel. error", "Taylor", "verdict")


def _coverage(t: TensorResult) -> list[str]:
    covered = [t.name, str(t.shape), f"{t.checked} {t.method}", f"{t.touched:.0%}"]
    taylor = "" if t.taylor is None else str(t.taylor)
    return [*covered, f"{t.worst_relative_error:.1e}", taylor, t.word]


def _table(columns: Sequence[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(c)}</th>" for c in columns)
    body = "".join(
        "<tr>" + "".join(f'<td class="n">{escape(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table tabindex='0'><tr>{head}</tr>{body}</table>"  # it may be wider than the page


# ---------------------------------------------------------------------------------- the V-curve

WIDTH, HEIGHT, LEFT, BOTTOM = 520, 250, 70, 45


def _v_curve(t: TensorResult) -> str:
    """|difference - yours| against the step, both in logarithms, as SVG."""
    points = [(math.log10(h), math.log10(max(e, 1e-18))) for h, e in t.v_curve]
    x0, x1 = min(x for x, _ in points), max(x for x, _ in points)
    y0, y1 = math.floor(min(y for _, y in points)), math.ceil(max(y for _, y in points))
    y1 = max(y1, y0 + 1)

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - 15)
        return across, 12 + (y1 - y) / (y1 - y0) * (HEIGHT - BOTTOM - 12)

    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in (place(*p) for p in points))
    marks = "".join(_tick_y(*place(x0, y), y) for y in range(y0, y1 + 1, max(1, (y1 - y0) // 5)))
    marks += "".join(_tick_x(place(x, y0)[0], x) for x, _ in points[::3])
    worst = t.wrong[0] if t.wrong else t.worst
    index = list(worst.index) if worst and worst.index else "along a direction"
    return (
        f"<figure><svg viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' role='img' "
        f"aria-label='difference between the numeric and your gradient against the step'>"
        f"<g font-size='12' fill='#444'>{marks}"
        f"<text x='{WIDTH / 2}' y='{HEIGHT - 6}' text-anchor='middle'>step h</text>"
        f"<text transform='translate(14 {HEIGHT / 2 - 15}) rotate(-90)' text-anchor='middle'>"
        f"|numeric − yours|</text></g>"
        f"<polyline points='{line}' fill='none' stroke='#1f5fa8' stroke-width='2'/></svg>"
        f"<figcaption>{escape(t.name)}, its worst number ({index}): a right gradient has a valley, "
        f"truncation rising to its right, rounding to its left; a wrong one has a plateau."
        f"</figcaption></figure>"
    )


def _tick_y(a: float, b: float, exponent: float) -> str:
    return (
        f"<line x1='{LEFT}' x2='{WIDTH - 15}' y1='{b:.1f}' y2='{b:.1f}' stroke='#e3e3e3'/>"
        f"<text x='{a - 8:.1f}' y='{b + 4:.1f}' text-anchor='end'>1e{exponent:.0f}</text>"
    )


def _tick_x(a: float, exponent: float) -> str:
    return (
        f"<text x='{a:.1f}' y='{HEIGHT - BOTTOM + 18}' text-anchor='middle'>1e{exponent:.0f}</text>"
    )
