"""The page of a run on text.

It opens with what the numbers say in words: how many nats and bits a character costs, beside
counting and a compressor. Then what the model wrote at several losses, whom its attention heeds,
which tokens it holds alike, and the command that repeats the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from minienc.files import write_text
from minienc.page import bars, curves, missing_parts, page, pictures, repeat, verdict


@dataclass
class TextReport:
    """What the page shows.

    Attributes
    ----------
    results : dict
        As ``results.json``: "test_nats_per_character" {name: nats}, the model's last, where it is a
        language model.
    samples : list of {"epoch", "nats_per_token", "text"}
    neighbours : list of (token, the tokens nearest to it)
    pictures : list of Picture
    missing : list of str
        Which parts of the page could not be made.
    """

    title: str
    command: str
    config: dict[str, Any]
    source: str
    n_train: int
    n_valid: int
    tokens: str
    method: str
    history: dict[str, list[float]]
    results: dict[str, Any]
    samples: Sequence[dict[str, Any]] = ()
    neighbours: Sequence[tuple[str, str]] = ()
    pictures: Sequence[Any] = ()
    missing: Sequence[str] = field(default_factory=list)
    summary_text: str = ""


def write_text_report(path: str | Path, run: TextReport) -> None:
    """Write the page to ``path``, all or nothing."""
    write_text(path, render(run))


def render(run: TextReport) -> str:
    """The page as text."""
    said = {
        "data": f"{run.n_train:,} characters to learn from, {run.n_valid:,} to test; {run.tokens}",
        "method": f"{run.method}, {run.results['parameters']:,} parameters",
        "training": f"{run.results['training_seconds']:.0f} s, {run.results['steps']:,} steps",
        "source": run.source,
    }
    learned = _neighbours(run) + pictures(run.pictures) + missing_parts(run.missing)
    sections = [
        ("What the numbers say", verdict(sentences(run.results)) + _numbers(run)),
        ("What it wrote", _samples(run)),
        ("What was learned", learned),
        ("How it was learned", curves(run.history, _course(run), run.summary_text)),
        ("Repeat it", repeat(run.command, run.config)),
    ]
    return page(run.title, said, [(name, content) for name, content in sections if content])


def sentences(results: dict[str, Any]) -> list[str]:
    """What the figures of a run on text say."""
    nats = results.get("test_nats_per_character")
    if nats is None:
        if "test_loss" in results:
            return [f"The loss of the held-out text is {results['test_loss']:.4g}."]
        return ["No text was held out, so nothing can be said of other text."]
    *others, name = nats
    best = min(others, key=lambda other: nats[other])
    how = f"A character costs {nats[name]:.3f} nats ({results['evaluation']})"
    if nats[name] < nats[best]:
        return [f"{how}, less than by the best of the counts, {best} ({nats[best]:.3f})."]
    return [
        f"{how}, more than by {best} ({nats[best]:.3f}), which does but count: it has not learned "
        f"enough yet."
    ]


def _numbers(run: TextReport) -> str:
    nats = run.results.get("test_nats_per_character")
    if nats is None:
        return ""
    told = (
        "<p>Nats a character of the held-out text, all models on the same; smaller is better. "
        "Counting is Kneser-Ney's way of it (order 1 and 2 are the unigram and the bigram); bzip2 "
        "is what it adds to the packed text when the held-out part is put behind it.</p>"
    )
    in_bits = run.results["test_bits_per_character"]
    return told + bars([(f"{k} ({in_bits[k]:.2f} bits)", v) for k, v in nats.items()], ".3f")


def _samples(run: TextReport) -> str:
    parts = [
        f"<p>After {s['epoch']} epoch{'s' if s['epoch'] > 1 else ''}, at "
        f"{s['nats_per_token']:.3f} nats a token:</p><pre>{escape(str(s['text']))}</pre>"
        for s in run.samples
    ]
    return "".join(parts)


def _neighbours(run: TextReport) -> str:
    if not run.neighbours:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(token)}</th><td>{escape(near)}</td></tr>'
        for token, near in run.neighbours
    )
    return (
        "<p>The most frequent tokens, and those whose vectors point most nearly the same way "
        "(a space is shown as ␣):</p>"
        f'<div class="wide"><table><tbody>{rows}</tbody></table></div>'
    )


def _course(run: TextReport) -> str:
    if "test_nats_per_character" in run.results:
        return (
            "The loss: nats of the next token, a mean. Lower is better; a model that holds all "
            "tokens as likely has the logarithm of their number."
        )
    return "The loss that this method makes small. Lower is better."
