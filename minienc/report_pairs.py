"""The page of a run of translation or summaries.

It opens with the scores, and what they say beside the baselines; then texts beside their
references, the best and the worst of them, where the attention was, and how it was learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from minienc.files import write_text
from minienc.page import bars, curves, missing_parts, page, pictures, repeat, verdict


class Example(NamedTuple):
    """A held-out pair, what was written of it, and the score of that."""

    source: str
    reference: str
    written: str
    score: float


@dataclass
class PairsReport:
    """What the page shows.

    Attributes
    ----------
    results : dict
        As ``results.json``: "scores" {name: number}, "baselines" {name: {score: number}}.
    examples, best, worst : list of Example
    pictures, curve : list of Picture
        Alignments; the score against the epoch.
    missing : list of str
        Which parts of the page could not be made.
    """

    title: str
    command: str
    config: dict[str, Any]
    said: dict[str, str]
    results: dict[str, Any]
    history: dict[str, list[float]]
    examples: Sequence[Example] = ()
    best: Sequence[Example] = ()
    worst: Sequence[Example] = ()
    pictures: Sequence[Any] = ()
    curve: Sequence[Any] = ()
    missing: Sequence[str] = field(default_factory=list)
    summary_text: str = ""


def write_pairs_report(path: str | Path, run: PairsReport) -> None:
    """Write the page to ``path``, all or nothing."""
    write_text(path, render(run))


def render(run: PairsReport) -> str:
    """The page as text."""
    course = (
        "The loss: nats of the next token, a mean over those that count; in training labels are "
        "smoothed and numbers dropped, with held-out pairs not. Lower is better."
    )
    sections = [
        ("What the numbers say", verdict(sentences(run.results)) + _numbers(run.results)),
        ("Beside the references", _examples(run.examples)),
        ("The best and the worst", _extremes(run)),
        ("What it looked at", pictures(run.pictures) + missing_parts(run.missing)),
        ("How it was learned", curves(run.history, course, "") + pictures(run.curve)),
        ("The network", _network(run.summary_text)),
        ("Repeat it", repeat(run.command, run.config)),
    ]
    return page(run.title, run.said, [(name, content) for name, content in sections if content])


def _network(summary: str) -> str:
    told = "<p>Layer by layer, for texts of 8 tokens on either side; it takes any number.</p>"
    return f"{told}<pre>{escape(summary)}</pre>" if summary else ""


def sentences(results: dict[str, Any]) -> list[str]:
    """What the figures say."""
    scores, lines = results["scores"], []
    if results.get("bleu_signature"):
        lines.append(
            f"BLEU {scores['BLEU']:.1f} on {results['pairs_valid']:,} held-out pairs, beam "
            f"{results['beam']} ({results['bleu_signature']})."
        )
    elif "chrF" in scores:
        lines.append(f"chrF {scores['chrF']:.1f} on {results['pairs_valid']:,} held-out pairs.")
    baselines = {name: found["rougeL"] for name, found in results.get("baselines", {}).items()}
    if baselines:
        *simple, oracle = baselines
        best = max(simple, key=lambda name: baselines[name])
        own = scores["ROUGE-L"]
        how = "nearer to the references than" if own > baselines[best] else "behind"
        lines.append(
            f"ROUGE-L {own:.1f}: {how} the best simple baseline, {best} ({baselines[best]:.1f}); "
            f"no choice of one sentence of the text can pass {baselines[oracle]:.1f}."
        )
    if taken := results.get("taken_over"):
        lines.append(f"{taken} of its parameters began as those of {results['start']}.")
    return lines


def _numbers(results: dict[str, Any]) -> str:
    scores = bars([*results["scores"].items()], ".1f")
    baselines = results.get("baselines", {})
    if not baselines:
        return scores
    rows = [(name, found["rougeL"]) for name, found in baselines.items()]
    rows.append(("this model", results["scores"]["ROUGE-L"]))
    return scores + "<p>ROUGE-L beside what needs no learning:</p>" + bars(rows, ".1f")


def _examples(examples: Sequence[Example]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td style="text-align:left">{escape(text)}</td></tr>'
        for example in examples
        for name, text in (
            ("read", _cut(example.source)),
            ("reference", example.reference),
            (f"written ({example.score:.0f})", example.written),
        )
    )
    return f'<div class="wide"><table><tbody>{rows}</tbody></table></div>' if rows else ""


def _cut(text: str, most: int = 300) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _extremes(run: PairsReport) -> str:
    if not run.best:
        return ""
    best, worst = _examples(run.best), _examples(run.worst)
    return f"<p>Nearest to their references:</p>{best}<p>Farthest from them:</p>{worst}"
