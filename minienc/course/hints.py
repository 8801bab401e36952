"""The hint that fits: the first of these that there is.

1. the planted mistake whose results are the submission's, on every hidden call, to 1e-9;
2. what the checker takes the mistake for;
3. the first wrong line of the submission's own backward;
4. the element that is furthest from right.

A hint says what is wrong with what the student wrote, and never what the solution is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minienc.course.compare import same
from minienc.course.gradients import Raised, report_of, student_gradients
from minienc.course.key import Asked, Key, Reply, results_of
from minienc.course.laws import broken_here
from minienc.course.parts import Function, Pair
from minienc.course.process import Ended, Limits, Process
from minienc.course.results import RIGHT, WRONG, Grade, Item
from minienc.course.session import Session
from minienc.course.wire import Value, plain
from minienc.verify import SubjectError

FINGERPRINT = 1e-9
EXAMINING = Limits(seconds=20.0, memory=4 << 30)
LIBRARY = Path(__file__).parents[2]
LONGEST = 300  # characters of what an examination says


def add_hints(result: Grade, session: Session, key: Key) -> None:
    """Give each item that is not right its hint."""
    wrong = [item for item in result.items if item.verdict == WRONG]
    _planted(wrong, result, session, key)
    bare = [i for i in wrong if not i.hint and i.bucket == "gradients"]
    for number in dict.fromkeys(item.case for item in bare):
        here = [item for item in bare if item.case == number]
        _of_numbers(here, session, key)
        _examined([i for i in here if not i.hint], result, session, key)
    for item in bare:
        if not item.hint and " most at " in item.said:
            item.hint, item.kind = f"{item.said}. Work this number out on paper.", "element"


# -- what the checker and the stepper say


def _calls(number: int, session: Session, key: Key) -> list[tuple[Asked, Reply]]:
    rows = zip(key.asked, session.replies, strict=True)
    found = [(a, r) for a, r in rows if a.number == number and not a.single and "error" not in r]
    return sorted(found, key=lambda row: 1 in row[0].point.sizes.values())  # N = 1 says least


def _of_numbers(items: list[Item], session: Session, key: Key) -> None:
    """The checker's diagnosis, from the numbers alone."""
    for asked, _ in _calls(items[0].case, session, key)[:1]:
        try:
            report = report_of(asked, session.call, key)
        except (Raised, SubjectError):
            return
        told = {f"d{t.name}": t.diagnosis for t in report.tensors}
        for item in items:
            if told.get(item.part):
                _say(item, told[item.part][0], "diagnosis")


def _examined(items: list[Item], result: Grade, session: Session, key: Key) -> None:
    """The diagnosis of the submission's own pair and its first wrong line, where its forward is
    right."""
    if not items or not isinstance(key.exercise.cases[items[0].case], Pair):
        return
    forward = [i for i in result.items if i.bucket == "forward" and i.case == items[0].case]
    calls = _calls(items[0].case, session, key)
    if not calls or any(i.verdict != RIGHT for i in forward):
        return
    asked = calls[0][0]
    request = {**asked.request, "do": "examine", "constants": list(asked.case.constants)}
    seconds = min((session.limits or EXAMINING).seconds, EXAMINING.seconds)
    limits = EXAMINING._replace(seconds=seconds)
    try:
        with Process(session.source, [], limits, library=LIBRARY) as process:
            process.load()
            said = process.ask(request)
        _take(items, said)
    except (Ended, TypeError, ValueError, KeyError, IndexError, AttributeError):
        return  # it looked right to the grader, and is not to be examined: no hint of this kind


def _take(items: list[Item], said: dict[str, Any]) -> None:
    """Text from a process with a stranger's code, for the student alone."""
    for item in items:
        sentences = said["diagnosis"].get(item.part[1:])
        if sentences:
            _say(item, plain(sentences[0], LONGEST), "diagnosis")
        elif said["lines"]:
            own = [row for row in said["lines"] if row[2] == item.part]
            line, text, name = (own or said["lines"])[0]
            told = (
                f"the first wrong line of your backward is line {int(line)}, "
                f"`{plain(text, LONGEST)}`: this {plain(name, LONGEST)} is not the derivative that "
                f"its name promises"
            )
            _say(item, told, "line")


def _say(item: Item, sentence: str, kind: str) -> None:
    end = "" if sentence[-1:] in "?.!" else "."
    item.hint, item.kind = sentence[:1].upper() + sentence[1:] + end, kind


# -- planted mistakes


def _planted(wrong: list[Item], result: Grade, session: Session, key: Key) -> None:
    """The mistake that explains an item. One whose results are the submission's in everything is
    before one that is met in parts; of these, the one of which most is met and least is missed."""
    mine = _Prints(key, session.replies, session.answers)
    right = _Prints(key, key.right, key.answers)
    explained = []
    for mistake, replies, answers in key.wrong:
        theirs = _Prints(key, replies, answers)
        shows = [item for item in result.items if not _alike(theirs.of(item), right.of(item))]
        met = [item for item in shows if _alike(theirs.of(item), mine.of(item))]
        found = [item for item in wrong if item in met]
        if found:
            numbers = [item for item in wrong if item.bucket in ("forward", "gradients")]
            exact = len(met) == len(shows) and all(item in found for item in numbers)
            explained.append((not exact, len(shows) - 2 * len(met), mistake, found))
    for _, _, mistake, items in sorted(explained, key=lambda row: row[:2]):
        for item in items:
            if not item.mistake:
                item.hint, item.kind, item.mistake = mistake.hint, "planted", mistake.name


class _Prints:
    """The fingerprints of one file's replies, item by item."""

    def __init__(self, key: Key, replies: list[Reply], answers: dict[str, Any]) -> None:
        self.given = key.asked, replies, answers
        self.known: dict[tuple[str, str], list[Any]] = {}

    def of(self, item: Item) -> list[Any]:
        stamp = (item.bucket, item.name)
        if stamp not in self.known:
            self.known[stamp] = _print_of(item, *self.given)
        return self.known[stamp]


def _print_of(
    item: Item, asked: list[Asked], replies: list[Reply], answers: dict[str, Any]
) -> list[Any]:
    """What replies say of an item: its fingerprint."""
    if item.bucket == "predictions":
        return [answers.get(item.name)]
    found: list[Any] = []
    for a, reply in zip(asked, replies, strict=True):
        if item.bucket == "laws":
            found.append(broken_here(item.name, a, reply))
        elif a.number == item.case and not a.single:
            found.append(_number_print(item.part, a, reply))
    return found


def _number_print(name: str, asked: Asked, reply: Reply) -> Value:
    case = asked.case
    if isinstance(case, Pair) and name == case.functions[0]:
        return reply["y"] if "y" in reply else _error_print(reply)
    if "error" in reply:
        return _error_print(reply)
    if isinstance(case, Function):
        names = (*case.outputs, *case.changes)
        found = results_of(asked, reply)
        if name not in names or isinstance(found, str):
            return "of another form"
        return found[names.index(name)]
    gradients = student_gradients(asked, reply)
    return gradients.get(name[1:]) if isinstance(gradients, dict) else "of another form"


def _error_print(reply: Reply) -> Value:
    return {"error": f"{reply['error']['type']} in {reply['error']['where']}"}


def _alike(a: list[Any], b: list[Any]) -> bool:
    """Whether two fingerprints are one, and more than errors."""
    numbers = [x for x in b if not (isinstance(x, dict) and "error" in x)]
    return bool(numbers) and all(same(x, y, FINGERPRINT) for x, y in zip(a, b, strict=True))
