"""The page of a classifier of texts.

It opens with what its accuracy is worth beside the control arms; then the comparison with few
labels, what is taken for what, and where it was sure and wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from minienc.files import write_text
from minienc.finetuning.curve import FewLabelCurve
from minienc.finetuning.texts import CHARACTERS, COUNTS, WORDS
from minienc.page import few_labels, missing_parts, page, pictures, repeat, verdict
from minienc.verdicts import few_label_verdicts


class Mistake(NamedTuple):
    """A text, its class, and what it was taken for, how surely."""

    text: str
    label: str
    said: str
    p: float


@dataclass
class TextsReport:
    """What the page shows.

    Attributes
    ----------
    results : dict
        As ``results.json``.
    confusion : list of Picture
    mistakes : list of Mistake
    missing : list of str
        Which parts of the page could not be made.
    """

    title: str
    command: str
    config: dict[str, Any]
    source: str
    encoder: str
    results: dict[str, Any]
    curve: FewLabelCurve
    confusion: Sequence[Any] = ()
    mistakes: Sequence[Mistake] = ()
    missing: Sequence[str] = field(default_factory=list)
    summary_text: str = ""


def write_texts_report(path: str | Path, run: TextsReport) -> None:
    """Write the page to ``path``, all or nothing."""
    write_text(path, render(run))


def render(run: TextsReport) -> str:
    """The page as text."""
    r = run.results
    said = {
        "texts": f"{r['texts_train']:,} to learn from, {r['texts_test']:,} to test",
        "classes": f"{len(r['classes'])}: {', '.join(r['classes'][:20])}",
        "encoder": f"{run.encoder}; {r['parameters']:,} parameters, the first {r['tokens']} tokens",
        "training": f"{r['training_seconds']:.0f} s",
        "source": run.source,
    }
    network = f"<pre>{escape(run.summary_text)}</pre>" if run.summary_text else ""
    sections = [
        ("What the numbers say", verdict(sentences(r, run.curve))),
        ("With a few labels", few_labels(run.curve)),
        ("What is taken for what", pictures(run.confusion) + _mistakes(run.mistakes)),
        ("The network", network),
        ("Repeat it", missing_parts(run.missing) + repeat(run.command, run.config)),
    ]
    return page(run.title, said, [(name, content) for name, content in sections if content])


def sentences(results: dict[str, Any], curve: FewLabelCurve) -> list[str]:
    """What the figures say."""
    lines = [
        f"With {results['texts_train']:,} labelled texts {100 * results['accuracy']:.1f} % of the "
        f"test texts are told rightly; the most frequent class alone makes up "
        f"{100 * results['most_frequent_class']:.1f} %."
    ]
    return lines + few_label_verdicts(curve) + _beside_counting(curve)


def _beside_counting(curve: FewLabelCurve) -> list[str]:
    """For each number of labels, the best of what needs no network."""
    own, *_ = curve.arms.values()
    lines = []
    for i, n in enumerate(curve.labels):
        plain = {name: curve.arms[name][i].mean() for name in (COUNTS, CHARACTERS, WORDS)}
        best = max(plain, key=lambda name: plain[name])
        gain = 100 * (own[i].mean() - plain[best])
        how = "more" if gain > 0 else "less"
        lines.append(
            f"With {n:,} labels the best of what needs no network is {best} "
            f"({100 * plain[best]:.1f} %): the pretrained one has {abs(gain):.1f} points {how}."
        )
    return lines


def _mistakes(mistakes: Sequence[Mistake]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(m.label)}</th><td>{escape(m.said)}, {100 * m.p:.0f} %</td>'
        f'<td style="text-align:left">{escape(_cut(m.text))}</td></tr>'
        for m in mistakes
    )
    if not rows:
        return ""
    head = "<tr><td>is</td><td>was taken for</td><td>text</td></tr>"
    return (
        "<p>Where it was surest, and wrong:</p>"
        f'<div class="wide"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
    )


def _cut(text: str, most: int = 200) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
