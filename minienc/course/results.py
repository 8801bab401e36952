"""A grade: its items, its flags, as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

RIGHT, WRONG, INCONCLUSIVE, FLAGGED = "right", "wrong", "inconclusive", "flagged"


@dataclass
class Item:
    """One thing that has points.

    ``bucket`` is "forward", "gradients", "laws" or "predictions"; ``kind`` says where the hint
    comes from: "planted", "diagnosis", "line", "element", "error" or "question"; ``mistake`` is the
    planted one.
    """

    bucket: str
    name: str
    points: float
    earned: float = 0.0
    verdict: str = WRONG
    said: str = ""
    hint: str = ""
    kind: str = ""
    mistake: str = ""
    part: str = ""  # the name within its case
    case: int = -1

    def give(self, verdict: str, part: float = 0.0, said: str = "") -> None:
        """Decide on it: a part of its points."""
        self.verdict, self.said = verdict, said
        self.earned = self.points * part


@dataclass
class Grade:
    """What a submission gets, and why.

    Attributes
    ----------
    exercise, title, file : str
    hidden : bool
        Whether the arguments were a term's, or those that everybody can draw.
    items : list of Item
    flags : list of str
        For the lecturer to look at.
    notes : list of str
        For the student: what it printed, warned of, wrote.
    seconds : float
    """

    exercise: str
    title: str
    file: str
    hidden: bool = False
    items: list[Item] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def points(self) -> float:
        """The points, to a tenth; 100.0 is everything."""
        return round(float(sum(item.earned for item in self.items)), 1)

    @property
    def mistakes(self) -> list[str]:
        """The planted mistakes that were recognised."""
        return list(dict.fromkeys(item.mistake for item in self.items if item.mistake))

    def bucket(self, name: str) -> tuple[float, float]:
        """(earned, of) of one kind of points."""
        items = [item for item in self.items if item.bucket == name]
        return (
            round(float(sum(i.earned for i in items)), 1),
            round(float(sum(i.points for i in items)), 1),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values: what ``--json`` prints."""
        own = asdict(self)
        own.pop("items")
        return {
            "points": self.points,
            "of": 100.0,
            **own,
            "mistakes": self.mistakes,
            "items": [asdict(item) for item in self.items],
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2)

    def __str__(self) -> str:
        checks = "hidden checks" if self.hidden else "public checks"
        lines = [f"{self.points:g} of 100  {self.file}: {self.title} ({checks})"]
        before = ""
        for item in self.items:
            said = "" if item.verdict == RIGHT else f": {item.said or item.verdict}"
            again = bool(said) and said.split(", with ")[0] == before.split(", with ")[0]
            shown = ": the same" if again else said
            lines.append(f"  {item.earned:5.1f} of {item.points:4.1f}  {item.name}{shown}")
            before = said
        hints: dict[str, list[str]] = {}
        for item in self.items:
            if item.hint:
                hints.setdefault(item.hint, []).append(item.name)
        lines += [f"  hint ({', '.join(names)}): {hint}" for hint, names in hints.items()]
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  for the lecturer: {flag}" for flag in self.flags]
        if self.items and not self.hidden and all(item.verdict == RIGHT for item in self.items):
            lines.append("  The public checks passed; the hidden ones have other arguments.")
        return "\n".join(lines)
