"""What a check found, as values; ``lesson`` tells it as text and as a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
_ORDER = {PASS: 0, INCONCLUSIVE: 1, FAIL: 2}


class Word(Enum):
    """What one number is judged to be."""

    RIGHT, WRONG, KINK, BELOW_NOISE, UNDEFINED = range(5)


@dataclass
class Element:
    """One number of a gradient (or one direction, whose index is empty)."""

    index: tuple[int, ...]
    yours: float
    numeric: float
    uncertainty: float
    step: float
    above: float  # F half a step above, and below
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
    hurried: bool = False  # directions only because elements would have taken too long
    checked: int = 0  # elements or directions
    touched: float = 1.0  # the fraction of elements that the check depends on
    wrong: list[Element] = field(default_factory=list)  # the worst first
    n_wrong: int = 0
    n_below_floor: int = 0
    n_kinks: int = 0
    n_redrawn: int = 0  # of the kinks: checked at another point, a little beside
    n_undefined: int = 0  # the forward is not finite beside them
    n_unchanged: int = 0  # that move no output
    worst: Element | None = None  # of the numbers above the noise
    precision_error: float | None = None  # of a float32 gradient against float64's
    verdict: str = PASS
    reason: str = ""
    oracles: dict[str, float | str] = field(default_factory=dict)  # relative gap, or why not
    diagnosis: list[str] = field(default_factory=list)  # likely causes
    taylor: Any = None  # curves.Taylor
    v_curve: list[tuple[float, float]] = field(default_factory=list)  # of the worst element

    @property
    def worst_relative_error(self) -> float:
        """The largest among the numbers above the noise."""
        return 0.0 if self.worst is None else self.worst.relative_error

    def count(self, word: Word, number: Element) -> None:
        """Add a number to what it was judged to be."""
        self.n_wrong += word is Word.WRONG
        self.n_kinks += word is Word.KINK
        self.n_below_floor += word is Word.BELOW_NOISE
        self.n_undefined += word is Word.UNDEFINED
        if word is Word.WRONG:
            self.wrong.append(number)
        error = -1.0 if self.worst is None else self.worst.relative_error
        if word in (Word.RIGHT, Word.WRONG) and number.relative_error > error:
            self.worst = number

    @property
    def word(self) -> str:
        """The verdict, and what a pass rests on where that is no number."""
        return (
            f"{self.verdict}: {self.reason}"
            if self.verdict == PASS and self.reason
            else self.verdict
        )

    def decide(self, verdict: str, reason: str) -> TensorResult:
        self.verdict, self.reason = verdict, reason
        return self


@dataclass
class Findings:
    """A verdict and what it rests on.

    ``bool(findings)`` is True for "pass" alone.
    """

    subject: str
    tensors: list[TensorResult] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # broken laws: each makes the check fail
    notes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # for want of time
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
        """What the numbers say, and "fail" where a law is broken."""
        return FAIL if self.problems else self.numbers

    @property
    def numbers(self) -> str:
        """ "pass", "fail" or "inconclusive": the worst of the parts; never "pass" for nothing."""
        worst = max((t.verdict for t in self.tensors), key=_ORDER.__getitem__, default=PASS)
        if worst == PASS and (self.unchecked or not any(t.checked for t in self.tensors)):
            return INCONCLUSIVE
        return worst

    @property
    def mutants_caught(self) -> int:
        return self.mutants - len(self.mutants_missed)

    def __bool__(self) -> bool:
        return self.verdict == PASS
