"""What a check found, as values, as text for a student, as JSON, as HTML."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
_ORDER = {PASS: 0, INCONCLUSIVE: 1, FAIL: 2}

RELATIVE_ERROR = "relative error = |yours - numeric| / max(|yours|, |numeric|)"


@dataclass
class Element:
    """One number of a gradient (or one direction, whose index is empty)."""

    index: tuple[int, ...]
    yours: float
    numeric: float
    uncertainty: float
    step: float
    above: float
    below: float

    @property
    def relative_error(self) -> float:
        size = max(abs(self.yours), abs(self.numeric))
        return abs(self.yours - self.numeric) / size if size > 0 else 0.0


@dataclass
class TensorResult:
    """What was found of one argument's gradient."""

    name: str
    shape: tuple[int, ...]
    method: str  # "elements" or "directions"
    checked: int = 0  # elements or directions
    touched: float = 1.0  # the fraction of elements that the check depends on
    wrong: list[Element] = field(default_factory=list)  # the worst first
    n_wrong: int = 0
    n_below_floor: int = 0
    n_kinks: int = 0
    worst_relative_error: float = 0.0
    precision_error: float | None = None  # of a float32 gradient against float64's
    verdict: str = PASS
    reason: str = ""
    diagnosis: list[str] = field(default_factory=list)


@dataclass
class Report:
    """A verdict and what it rests on.

    ``bool(report)`` is True for "pass" alone.
    """

    subject: str
    tensors: list[TensorResult]
    problems: list[str] = field(default_factory=list)  # broken laws: each makes the check fail
    notes: list[str] = field(default_factory=list)
    mutants_caught: int = 0
    mutants: int = 0
    miss_probability: float = 0.0
    evaluations: int = 0
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """ "pass", "fail" or "inconclusive": the worst of the parts; never "pass" for nothing."""
        if self.problems:
            return FAIL
        if not self.tensors:
            return INCONCLUSIVE
        return max((t.verdict for t in self.tensors), key=_ORDER.__getitem__)

    def __bool__(self) -> bool:
        return self.verdict == PASS

    def __str__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(as_text(self))}</pre>"

    def to_json(self) -> str:
        """Everything, as JSON."""
        return json.dumps({"verdict": self.verdict, **asdict(self)}, indent=2, default=_plain)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


def as_text(report: Report) -> str:
    """The report for a terminal: the verdict first, then what is wrong and where, then what was
    covered."""
    lines = [f"{report.verdict.upper()}  {report.subject}"]
    for problem in report.problems:
        lines.append(f"  ! {problem}")
    for tensor in report.tensors:
        if tensor.verdict != PASS:
            lines += _tensor_lines(tensor)
    lines += ["", _table(report.tensors)] if report.tensors else ["  nothing was checked"]
    for note in report.notes:
        lines.append(f"  note: {note}")
    lines.append(f"  {RELATIVE_ERROR}")
    power = (
        f"  of {report.mutants} planted mistakes this check would notice {report.mutants_caught}"
    )
    if report.miss_probability:
        power += (
            f"; an error of one per cent of a large gradient escapes its directions with "
            f"probability {report.miss_probability:.0e}"
        )
    lines += [power] if report.mutants else []
    lines.append(f"  {report.evaluations:,} evaluations in {report.seconds:.2f} s")
    return "\n".join(lines)


def _tensor_lines(t: TensorResult) -> list[str]:
    lines = [f"  {t.name} {t.shape}: {t.reason}"]
    for sentence in t.diagnosis:
        lines.append(f"    likely: {sentence}")
    if t.verdict == FAIL and t.wrong:
        lines.append(
            f"    {'index':<14}{'yours':>14}{'numeric':>14}{'± at most':>11}{'rel. error':>12}"
        )
        for e in t.wrong[:5]:
            where = str(list(e.index)) if e.index else "a direction"
            lines.append(
                f"    {where:<14}{e.yours:>14.6g}{e.numeric:>14.6g}{e.uncertainty:>11.1e}"
                f"{e.relative_error:>12.1e}"
            )
    return lines


def _table(tensors: list[TensorResult]) -> str:
    width = max(8, *(len(t.name) for t in tensors))
    rows = [f"  {'tensor':<{width}}  {'shape':<14} {'checked':<20} {'touched':>7}  verdict"]
    for t in tensors:
        checked = f"{t.checked} {t.method}"
        kinks = f", {t.n_kinks} at a kink" if t.n_kinks else ""
        floor = f", {t.n_below_floor} below the noise" if t.n_below_floor else ""
        rows.append(
            f"  {t.name:<{width}}  {t.shape!s:<14} {checked:<20} {t.touched:>7.0%}  "
            f"{t.verdict}{kinks}{floor}"
        )
    return "\n".join(rows)
