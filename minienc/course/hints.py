"""The hint that fits: the first of these that there is.

1. the planted mistake whose results are the submission's, on every hidden call, to 1e-9;
2. what the checker takes the mistake for;
3. the first wrong line of the submission's own backward;
4. the element that is furthest from right.

A hint says what is wrong with what the student wrote, and never what the solution is.
"""

from __future__ import annotations

from typing import Any

from minienc.course.compare import same
from minienc.course.gradients import student_gradients
from minienc.course.key import Asked, Key, Reply, results_of
from minienc.course.laws import broken_here
from minienc.course.parts import Function, Pair
from minienc.course.results import RIGHT, Grade, Item
from minienc.course.session import Session

FINGERPRINT = 1e-9


def add_hints(result: Grade, session: Session, key: Key) -> None:
    """Give each item that is not right its hint."""
    wrong = [item for item in result.items if item.verdict != RIGHT]
    _planted(wrong, session, key)


# -- planted mistakes


def _planted(wrong: list[Item], session: Session, key: Key) -> None:
    """The mistake that explains an item; where several do, the one that explains most items."""
    explained = {}
    for mistake, replies, answers in key.wrong:
        found = []
        for item in wrong:
            theirs = _print_of(item, key.asked, replies, answers)
            if _alike(theirs, _print_of(item, key.asked, session.replies, session.answers)):
                right = _print_of(item, key.asked, key.right, key.answers)
                found += [] if _alike(theirs, right) else [item]
        if found:
            explained[mistake] = found
    for mistake, items in sorted(explained.items(), key=lambda row: -len(row[1])):
        for item in items:
            if not item.mistake:
                item.hint, item.kind, item.mistake = mistake.hint, "planted", mistake.name


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


def _number_print(name: str, asked: Asked, reply: Reply) -> Any:
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
    found = student_gradients(asked, reply)
    return found.get(name[1:]) if isinstance(found, dict) else "of another form"


def _error_print(reply: Reply) -> Any:
    return {"error": f"{reply['error']['type']} in {reply['error']['where']}"}


def _alike(a: list[Any], b: list[Any]) -> bool:
    """Whether two fingerprints are one, and more than errors."""
    numbers = [x for x in b if not (isinstance(x, dict) and "error" in x)]
    return bool(numbers) and all(
        same(x, y, FINGERPRINT) for x, y in zip(a, b, strict=True)
    )
