"""The page of a run of several tasks.

It opens with each task's score beside that of a model of its own; then how the tasks' gradients
stood to one another, what is taken for what, and how it was learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from minienc.files import write_text
from minienc.page import curves, missing_parts, page, pictures, repeat, verdict


@dataclass
class MultiTaskReport:
    """What the page shows.

    Attributes
    ----------
    results : dict
        As ``results.json``: "scores" and "alone" {task: number}, "cosine" and "conflict" {pair:
        number}.
    gradients, confusions : list of Picture
    missing : list of str
        Which parts of the page could not be made.
    """

    title: str
    command: str
    config: dict[str, Any]
    results: dict[str, Any]
    history: dict[str, list[float]]
    encoder: str = ""
    gradients: Sequence[Any] = ()
    confusions: Sequence[Any] = ()
    missing: Sequence[str] = field(default_factory=list)
    summary_text: str = ""


def write_multitask_report(path: str | Path, run: MultiTaskReport) -> None:
    """Write the page to ``path``, all or nothing."""
    write_text(path, render(run))


def render(run: MultiTaskReport) -> str:
    """The page as text."""
    r = run.results
    said = {
        "data": f"{r['samples_train']:,} samples to learn from, {r['samples_test']:,} to test",
        "tasks": ", ".join(r["tasks"]),
        "gradients": {
            "sum": "added",
            "uncertainty": "weighted by uncertainty, and added",
            "pcgrad": "projected where they are in conflict, and added (PCGrad)",
        }[r["combine"]],
        "encoder": f"{run.encoder}; {r['parameters']:,} parameters with the heads",
        "training": f"{r['training_seconds']:.0f} s, {r['steps']:,} steps",
    }
    course = (
        "The loss: the sum of the tasks' losses, each by its weight. Lower is better; where the "
        "weights are learned, it may fall below 0."
    )
    sections = [
        ("What the numbers say", verdict(sentences(r)) + _scores(r)),
        ("How the tasks pull", pictures(run.gradients)),
        ("What is taken for what", pictures(run.confusions)),
        ("How it was learned", curves(run.history, course, run.summary_text)),
        ("Repeat it", missing_parts(run.missing) + repeat(run.command, run.config)),
    ]
    return page(run.title, said, [(name, content) for name, content in sections if content])


def sentences(results: dict[str, Any]) -> list[str]:
    """What the figures say."""
    lines = []
    for name, alone in results["alone"].items():
        score = results["scores"][name]
        if results["tasks"][name] == "quantity":
            told = f"R^2 {score:.3f} together with the others, {alone:.3f} alone"
        else:
            told = f"{100 * score:.1f} % together with the others, {100 * alone:.1f} % alone"
        lines.append(f"{name}: {told} (one seed, so no spread is known).")
    for pair, cosine in results["cosine"].items():
        share = 100 * results["conflict"][pair]
        how = "pull the same way" if cosine > 0 else "pull against one another"
        how = "hardly meet" if abs(cosine) < 0.05 else f"{how} on the whole"
        lines.append(
            f"{_named(pair, results)} {how}: the mean cosine of their gradients is {cosine:.2f}, "
            f"and it was below 0 in {share:.0f} % of the steps."
        )
    if results.get("note"):
        lines.append(f"Mind that {results['note']}.")
    return lines


def _named(pair: str, results: dict[str, Any]) -> str:
    names = list(results["tasks"])
    return next((f"{a} and {b}" for a in names for b in names if f"{a}_{b}" == pair), pair)


def _scores(results: dict[str, Any]) -> str:
    rows = ""
    for name, score in results["scores"].items():
        what = "R^2" if results["tasks"][name] == "quantity" else "accuracy"
        alone = results["alone"].get(name)
        cells = f"<td>{score:.4f}</td><td>{'' if alone is None else f'{alone:.4f}'}</td>"
        rows += f'<tr><th scope="row">{escape(name)}, {what}</th>{cells}</tr>'
    head = "<th scope='col'>together</th><th scope='col'>alone</th>"
    return (
        "<p>Of the test samples, by one model for all tasks, and by a model for each with as many "
        f"steps:</p><table><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )
