"""The table of mistakes that show when nothing comes back through one operand of the forward.

What comes back to an argument comes through operations. Let nothing come back through one operand
of one of them: the slope falls by that operand's *share*. A backward that lacks a term is wrong by
just that share, one with a wrong sign in it by twice as much, one with a factor c too many by c - 1
times. An operation in a loop has a share in each turn: a sum that is overwritten has one turn's
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from minienc.verify.lesson.evidence import Changes, Evidence, Way
from minienc.verify.lesson.factors import name_of_factor, name_of_length, name_of_size
from minienc.verify.lesson.tape import Change, Operation

REDUCTIONS = ("mean", "sum", "var", "std", "add.reduce", "norm")


Fits = Callable[[str, list[Way]], bool]


class Told(NamedTuple):
    """A sentence, and whether it holds of another argument's gradient, too."""

    sentence: str
    fits: Fits


class Place(NamedTuple):
    """An operand of an operation, wherever it is called from one place: once, or in a loop."""

    numbers: tuple[int, ...]  # of the operations
    operands: tuple[int, ...]  # several where it is given the same array twice, as in x * x
    operations: list[Operation]  # all

    @property
    def first(self) -> Operation:
        return self.operations[self.numbers[0]]

    @property
    def told(self) -> str:
        """Which operand of which operation, as it is written."""
        name, text = self.first.names[self.operands[0]], self.first.text
        if name and text != name:
            return f"{name} in `{text}`"
        which = ("the first", "the second", "the third")[min(self.operands[0], 2)]
        several = len(list(self.first.moving())) > len(self.operands)
        return f"{which} operand of `{text}`" if several else f"`{text}`"


def places(operations: list[Operation]) -> Iterator[Place]:
    """Every operand that may carry a gradient, in the order of the forward."""
    for numbers in sites(operations).values():
        first = operations[numbers[0]]
        same: dict[bytes, list[int]] = {}
        for i in first.moving():
            a = first.operands[i]
            same.setdefault(a.tobytes() + repr(a.shape).encode(), []).append(i)
        for operands in same.values():
            yield Place(tuple(numbers), tuple(operands), operations)


def sites(operations: list[Operation]) -> dict[tuple, list[int]]:
    """The numbers of the operations that are called from one place, place by place."""
    found: dict[tuple, list[int]] = {}
    for number, operation in enumerate(operations):
        found.setdefault(operation.site, []).append(number)
    return found


def hold(operands: tuple[int, ...]) -> Change:
    """Nothing comes back through operands: they stay what they were."""

    def change(was: Operation, now: list):
        return was.call([was.operands[i] if i in operands else a for i, a in enumerate(now)])

    return change


def shares(name: str, ways: list[Way], evidence: Evidence) -> Iterator[Told]:
    """Sentences that follow from the share of an operand."""
    found = sorted(places(evidence.operations), key=lambda p: p.first.name not in REDUCTIONS)
    for place in found:  # "through the mean" says more than "through x in x - m", if both are true
        for which, numbers in _turns(place):
            if evidence.is_late():
                return
            changes = dict.fromkeys(numbers, hold(place.operands))
            ratio = evidence.ratio(name, ways, changes)
            if ratio is None:
                continue
            sentence = _of_all(ratio, place, evidence) if which == "all" else ""
            if which != "all" and abs(ratio + 1) <= 1e-4:
                sentence = _of_turns(which, place)
            if sentence:
                yield Told(sentence, _has_ratio(ratio, changes, evidence))
    yield from _of_reductions(name, ways, evidence)


def _has_ratio(ratio: float, changes: Changes, evidence: Evidence) -> Fits:
    def fits(name: str, ways: list[Way]) -> bool:
        found = evidence.ratio(name, ways, changes)
        return found is not None and abs(found - ratio) <= 1e-4 * abs(ratio)

    return fits


def _turns(place: Place) -> Iterator[tuple[str, tuple[int, ...]]]:
    """In which turns of a loop nothing comes back."""
    numbers = place.numbers
    yield "all", numbers
    if len(numbers) > 1:
        yield "first", numbers[:1]
        yield "last", numbers[-1:]
    if len(numbers) > 2:
        yield "but the first", numbers[1:]
        yield "but the last", numbers[:-1]


def _of_turns(which: str, place: Place) -> str:
    turns, text = len(place.numbers), place.first.text
    if which in ("first", "last") and turns > 2:
        return (
            f"the {which} of the {turns} turns of the loop over `{text}` is left out: a loop that "
            f"is off by one?"
        )
    kept = {"first": "last", "last": "first"}.get(which, which.removeprefix("but the "))
    return (
        f"of the {turns} turns of the loop over `{text}` only the {kept} counts: is `=` written "
        f"for `+=`, or is the loop left too early?"
    )


def _of_all(ratio: float, place: Place, evidence: Evidence) -> str:
    """What a ratio between the error and a share means; "" for nothing."""
    back = f"what comes back through {place.told}"
    if abs(ratio + 1) <= 1e-4:
        if _comes_from_before(place):
            return (
                f"nothing is passed back from step to step through {place.told}: is its gradient "
                f"carried to the step before?"
            )
        return f"{back} is missing: a term of the sum"
    if abs(ratio + 2) <= 1e-4:
        return f"{back} has the wrong sign"
    factor = name_of_factor(1 + ratio, place.first)
    if not factor and abs(ratio - 1) <= 1e-4:
        return f"{back} is counted twice"
    factor = factor or name_of_size(1 + ratio, evidence.trial)
    factor = factor or name_of_length(1 + ratio, place.first)
    return f"{back} is {factor}" if factor else ""


def _of_reductions(name: str, ways: list[Way], evidence: Evidence) -> Iterator[Told]:
    """All means, sums and variances taken for constants."""
    held = [p for p in places(evidence.operations) if p.first.name in REDUCTIONS]
    changes = {k: hold(p.operands) for p in held for k in p.numbers}
    ratio = evidence.ratio(name, ways, changes) if len(held) > 1 else None
    if ratio is not None and abs(ratio + 1) <= 1e-4:
        texts = " and ".join(dict.fromkeys(f"`{p.first.text}`" for p in held))
        yield Told(
            f"what comes back through {texts} is missing: they are no constants",
            _has_ratio(ratio, changes, evidence),
        )


def _comes_from_before(place: Place) -> bool:
    """Whether an operand is what an earlier turn of the loop left."""
    turn_of = {
        k: turn for found in sites(place.operations).values() for turn, k in enumerate(found)
    }
    sources = [(k, place.operations[k].sources[place.operands[0]]) for k in place.numbers[1:]]
    return any(s is not None and turn_of[s] < turn_of[k] for k, s in sources)
