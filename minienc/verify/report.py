"""What a check found, as values, as text for a student, as JSON (``html`` draws it as a page)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
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
    n_undefined: int = 0  # the forward is not finite beside them
    n_redrawn: int = 0  # of these: checked at another point, a little beside
    worst: Element | None = None  # of the numbers above the noise
    precision_error: float | None = None  # of a float32 gradient against float64's
    verdict: str = PASS
    reason: str = ""
    diagnosis: list[str] = field(default_factory=list)
    oracles: dict[str, float | str] = field(default_factory=dict)  # relative gap, or why not
    taylor: Any = None  # curves.Taylor
    v_curve: list[tuple[float, float]] = field(default_factory=list)  # of the worst element

    @property
    def worst_relative_error(self) -> float:
        """Over the numbers above the noise."""
        return 0.0 if self.worst is None else self.worst.relative_error


@dataclass
class Report:
    """A verdict and what it rests on.

    ``bool(report)`` is True for "pass" alone.
    """

    subject: str
    tensors: list[TensorResult]
    problems: list[str] = field(default_factory=list)  # broken laws: each makes the check fail
    notes: list[str] = field(default_factory=list)
    unchecked: dict[str, str] = field(default_factory=dict)  # what was left out -> why
    oracles: dict[str, str] = field(default_factory=dict)  # name -> why it has nothing to say
    mutants: int = 0  # planted mistakes
    mutants_missed: list[str] = field(default_factory=list)
    miss_probability: float = 0.0
    device: str = "cpu"  # where forward and backward ran
    evaluations: int = 0
    seconds: float = 0.0

    @property
    def title(self) -> str:
        """What was checked and, beside the CPU, where it ran."""
        return self.subject if self.device == "cpu" else f"{self.subject} on {self.device}"

    @property
    def verdict(self) -> str:
        """ "pass", "fail" or "inconclusive": the worst of the parts; never "pass" for nothing."""
        if self.problems:
            return FAIL
        worst = max((t.verdict for t in self.tensors), key=_ORDER.__getitem__, default=PASS)
        if worst == PASS and (self.unchecked or not any(t.checked for t in self.tensors)):
            return INCONCLUSIVE
        return worst

    @property
    def mutants_caught(self) -> int:
        return self.mutants - len(self.mutants_missed)

    def __bool__(self) -> bool:
        return self.verdict == PASS

    def __str__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        from minienc.verify.html import as_html

        return as_html(self)

    def save_html(self, path: str | Path) -> None:
        """Write the report as a page of its own, without scripts or anything from elsewhere."""
        from minienc.files import write_text
        from minienc.verify.html import as_page

        write_text(path, as_page(self))

    def to_json(self) -> str:
        """Everything, as JSON."""
        return json.dumps({"verdict": self.verdict, **asdict(self)}, indent=2, default=_plain)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


def as_text(report: Report) -> str:
    """The report for a terminal: the verdict first, then what is wrong and where, then what was
    covered."""
    lines = [f"{report.verdict.upper()}  {report.title}"]
    for problem in report.problems:
        lines.append(f"  ! {problem}")
    for tensor in report.tensors:
        if tensor.verdict != PASS:
            lines += _tensor_lines(tensor)
    for name, why in report.unchecked.items():
        lines.append(
            f"  {name} was not checked: it {why}; if it has no gradient, say stop_gradient={name!r}"
        )
    if not any(t.checked for t in report.tensors):
        lines.append("  nothing was checked: there is no number to differentiate by")
    lines += ["", _table(report.tensors)] if report.tensors else []
    for note in report.notes:
        lines.append(f"  note: {note}")
    lines += _oracle_lines(report)
    lines.append(f"  {RELATIVE_ERROR}")
    lines += power_lines(report)
    lines.append(f"  {report.evaluations:,} evaluations in {report.seconds:.2f} s")
    return "\n".join(lines)


def _oracle_lines(report: Report) -> list[str]:
    """What each second opinion said, tensor by tensor, or why it had none."""
    lines = []
    for name, reason in report.oracles.items():
        said = {t.name: t.oracles[name] for t in report.tensors if name in t.oracles}
        gaps = [gap for gap in said.values() if not isinstance(gap, str)]
        if reason:
            lines.append(f"  {name}: not used, {reason}")
        elif gaps:
            agreed = ", ".join(t for t, gap in said.items() if not isinstance(gap, str))
            lines.append(f"  {name}: {agreed} off by at most {max(gaps):.0e} of the largest")
        lines += [f"  {name}: {t}, {gap}" for t, gap in said.items() if isinstance(gap, str)]
    return lines


def power_lines(report: Report) -> list[str]:
    if not report.mutants:
        return []
    text = f"  of {report.mutants} planted mistakes this check would notice {report.mutants_caught}"
    if report.mutants_missed:
        shown = report.mutants_missed[:3]
        more = len(report.mutants_missed) - len(shown)
        text += f", not {'; '.join(shown)}" + (f" and {more} more" if more else "")
    if report.miss_probability:
        text += (
            f"\n  an error of one per cent of a large gradient escapes its directions with "
            f"probability {report.miss_probability:.0e}"
        )
    return [text]


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
    rows = [
        f"  {'tensor':<{width}}  {'shape':<14} {'checked':<16} {'touched':>7}  {'Taylor':<9}"
        f"  verdict"
    ]
    for t in tensors:
        checked = f"{t.checked} {t.method}"
        redrawn = " and so redrawn" if t.n_redrawn else ""
        kinks = f", {t.n_kinks} at a kink{redrawn}" if t.n_kinks else ""
        floor = f", {t.n_below_floor} below the noise" if t.n_below_floor else ""
        precision = ""
        if t.precision_error is not None and t.verdict != FAIL:
            precision = f", precision error {t.precision_error:.0e}"
        rows.append(
            f"  {t.name:<{width}}  {t.shape!s:<14} {checked:<16} {t.touched:>7.0%}  "
            f"{'' if t.taylor is None else str(t.taylor):<9}  {t.verdict}{kinks}{floor}{precision}"
        )
    return "\n".join(rows)
