"""What a class got wrong: which planted mistake how many made, from the grades."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MOST = 16 << 20  # bytes of a file of grades
OTHER = "another mistake"


@dataclass
class Row:
    """One exercise."""

    exercise: str
    title: str
    submissions: int = 0
    points: list[float] = field(default_factory=list)
    mistakes: Counter[str] = field(default_factory=Counter)  # by name, how many students
    lost: Counter[str] = field(default_factory=Counter)  # items without all points, how many
    flags: int = 0

    @property
    def median(self) -> float:
        ordered = sorted(self.points)
        n = len(ordered)
        return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2 if n else 0.0


@dataclass
class Overview:
    """A class's exercises; ``print`` shows the table."""

    rows: list[Row]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "exercises": [
                {
                    "exercise": row.exercise,
                    "title": row.title,
                    "submissions": row.submissions,
                    "median": row.median,
                    "all points": sum(p == 100 for p in row.points),
                    "flagged": row.flags,
                    "mistakes": dict(row.mistakes.most_common()),
                    "lost": dict(row.lost.most_common()),
                }
                for row in self.rows
            ]
        }

    def __str__(self) -> str:
        lines = []
        for row in self.rows:
            full = sum(p == 100 for p in row.points)
            lines.append(
                f"{row.title}: {row.submissions} submissions, {full} with all points, median "
                f"{row.median:g}" + (f", {row.flags} flagged" if row.flags else "")
            )
            width = max(map(len, row.mistakes), default=0)
            for name, count in row.mistakes.most_common():
                share = count / row.submissions
                lines.append(
                    f"  {count:4}  {share:4.0%}  {name:<{width}}  {'#' * round(30 * share)}"
                )
            if row.lost:
                told = ", ".join(f"{name} {count}" for name, count in row.lost.most_common(8))
                lines.append(f"  points were lost at: {told}")
        return "\n".join(lines)

    def save_picture(self, path: str | Path) -> Path:
        """Bars, a panel for each exercise; in the format that the file's name says."""
        from matplotlib.figure import Figure

        path, rows = Path(path), [row for row in self.rows if row.mistakes] or self.rows
        heights = [max(len(row.mistakes), 1) for row in rows]
        figure = Figure(figsize=(9, 1.2 * len(rows) + 0.35 * sum(heights)), layout="constrained")
        panels = figure.subplots(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0]
        for panel, row in zip(panels, rows, strict=True):
            named = row.mistakes.most_common()[::-1]
            bars = panel.barh([name for name, _ in named], [count for _, count in named])
            panel.bar_label(bars, padding=3)
            panel.set_xlim(0, max(row.submissions, 1))
            panel.set_title(f"{row.title} ({row.submissions} submissions)", loc="left", fontsize=10)
            panel.spines[["top", "right"]].set_visible(False)
        panels[-1].set_xlabel("students who made it")
        figure.savefig(path)
        return path


def overview_of(results: Sequence[str | Path]) -> Overview:
    """Read grades, as ``minienc grade --out`` writes them; of a folder all of its JSON files.

    Of several grades of one file the last one that is read counts.

    Raises
    ------
    OSError, ValueError
        For what is missing, or holds no grades.
    """
    grades: dict[tuple[str, str], dict[str, Any]] = {}
    for path in _files(results):
        for grade in _read(path):
            grades[grade["exercise"], grade["file"]] = grade
    if not grades:
        raise ValueError("course: there are no grades to look at")
    rows: dict[str, Row] = {}
    for (exercise, _), grade in sorted(grades.items()):
        _count(rows.setdefault(exercise, Row(exercise, grade["title"])), grade)
    return Overview(list(rows.values()))


def _count(row: Row, grade: dict[str, Any]) -> None:
    row.submissions += 1
    row.points.append(float(grade["points"]))
    row.flags += bool(grade["flags"])
    lost = [i for i in grade["items"] if i["earned"] < i["points"]]
    row.lost.update({i["name"] for i in lost})
    wrong = [i for i in lost if i["bucket"] in ("forward", "gradients")]
    found = set(grade["mistakes"])
    if wrong and not found and any(i["earned"] > 0 for i in grade["items"]):
        found = {OTHER}
    row.mistakes.update(found)


def _files(results: Sequence[str | Path]) -> Iterator[Path]:
    for path in map(Path, results):
        if path.is_dir():
            yield from sorted(path.rglob("*.json"))
        else:
            yield path


def _read(path: Path) -> list[dict[str, Any]]:
    """The grades in a file: one, a list of them, or a ``results.json`` of Gradescope."""
    if path.stat().st_size > MOST:
        raise ValueError(f"{path}: {path.stat().st_size / 2**20:,.0f} MB, expected at most 16")
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        said = said if isinstance(said, list) else [said]
        found = [_of_gradescope(one, path) if "extra_data" in one else one for one in said]
        for one in found:
            for key in ("exercise", "title", "file", "points", "flags", "items", "mistakes"):
                one[key]
        return found
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no grades of minienc: {error!r}") from error


def _of_gradescope(results: dict[str, Any], path: Path) -> dict[str, Any]:
    """The grade in a ``results.json``; there every submission lies in the same folder."""
    return {**results["extra_data"]["minienc"], "file": str(path)}
