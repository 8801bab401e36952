"""From a submission to its grade.

Each thing with points is judged by itself: a forward and a function by comparison with the
solution, a gradient by the checker, the laws by what was seen of the calls, a prediction by its
answer.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from minienc.course.compare import describe, differences, same
from minienc.course.exercise import Exercise, find_exercise
from minienc.course.gradients import Checks, check_case, computed_by_differences
from minienc.course.hints import add_hints
from minienc.course.key import Asked, Key, Reply, key_of, results_of
from minienc.course.labels import labels_of
from minienc.course.laws import DTYPE, MEMORY, UNCHANGED, broken
from minienc.course.parts import Case, Function, Pair
from minienc.course.process import Limits, Source
from minienc.course.results import FLAGGED, INCONCLUSIVE, RIGHT, WRONG, Grade, Item
from minienc.course.session import Session, sentence
from minienc.course.wire import plain

FORWARD_RTOL = 1e-8
ANSWER_RTOL = 1e-3


def grade(
    file: str | Path,
    exercise: str | Exercise | None = None,
    *,
    term: str | None = None,
    limits: Limits | None = None,
) -> Grade:
    """Grade a submission.

    Parameters
    ----------
    file : path
        The submission, a script; or a notebook that the course was built with.
    exercise : str or Exercise, optional
        ``"e04"``; where the file's name does not say it.
    term : str, optional
        The secret that hidden arguments are drawn by. Without it they are the public ones.
    limits : Limits, optional
        Of the submission's process.

    Returns
    -------
    Grade

    Raises
    ------
    OSError, ValueError
        If there is no such file or exercise. Whatever the submission does is in the grade.
    """
    from minienc.course.submissions import read_submission

    path = Path(file)
    found = exercise if isinstance(exercise, Exercise) else find_exercise(exercise or str(path))
    return grade_source(read_submission(path), found, str(path), term=term, limits=limits)


def grade_source(
    source: Source,
    exercise: Exercise,
    file: str = "submission.py",
    *,
    term: str | None = None,
    limits: Limits | None = None,
) -> Grade:
    """``grade`` of a submission's text."""
    started = time.perf_counter()
    key = key_of(exercise, term)
    exercise = key.exercise  # the same file, as the key has read it
    result = Grade(exercise.name, exercise.title, file, hidden=term is not None)
    with warnings.catch_warnings(), Session(source, key, limits) as session:
        warnings.simplefilter("ignore")  # of a student's numbers: nbgrader takes points for them
        judged = _items(key)
        result.items = [item for item, _ in judged]
        if session.error is not None:
            for item in result.items:
                item.give(WRONG, said=sentence(session.error))
                item.kind = "error"
        else:
            checks: dict[int, Checks] = {}
            for item, judge in judged:
                judge(item, session, key, checks, result)
            _laws(result.items, session, key)
            add_hints(result, session, key)
    _report(result, session)
    result.seconds = time.perf_counter() - started
    return result


Judge = Callable[[Item, Session, Key, dict[int, Checks], Grade], None]


def items_of(exercise: Exercise) -> list[Item]:
    """All that has points in an exercise."""
    return [item for item, _ in _items(key_of(exercise))]


def _items(key: Key) -> list[tuple[Item, Judge]]:
    """What has points, with what decides on it; the laws are decided at the end."""
    rows: list[tuple[Item, float, Judge]] = []
    exercise = key.exercise
    several = len(exercise.cases) > 1
    for number, (case, label) in enumerate(
        zip(exercise.cases, labels_of(exercise.cases), strict=True)
    ):
        asked = next(a for a in key.asked if a.case is case)
        at = f"{label}: " if several else ""
        for bucket, part, judge in _parts(number, case, asked):
            rows.append((Item(bucket, at + part, 0.0, part=part, case=number), case.share, judge))
    for law, share in _law_names(exercise.cases):
        rows.append((Item("laws", law, 0.0, part=law), share, lambda *_: None))
    for question in exercise.answers:
        rows.append((Item("predictions", question, 0.0, part=question), 1.0, _of_answer(question)))
    found = []
    for bucket, points in exercise.points.items():
        shares = sum(share for item, share, _ in rows if item.bucket == bucket)
        if points and not shares:
            raise ValueError(
                f"{exercise.path}: {points:g} points for {bucket}, but nothing has them"
            )
        for item, share, judge in rows:
            if item.bucket == bucket and points:
                item.points = points * share / shares
                found.append((item, judge))
    return found


def _parts(number: int, case: Case, asked: Asked) -> Iterator[tuple[str, str, Judge]]:
    if isinstance(case, Pair):
        yield "forward", f"{case.functions[0]}", _of_forward(case)
        for name in asked.wrt:
            yield "gradients", f"d{name}", _of_gradient(number, case, name)
        return
    assert isinstance(case, Function)
    gradients = case.gradients(asked.names).values()
    for k, name in enumerate((*case.outputs, *case.changes)):
        if k in gradients:
            yield "gradients", name, _of_gradient(number, case, name[1:])
        else:
            yield "forward", name, _of_output(case, k, name)


def _law_names(cases: list[Case]) -> list[tuple[str, float]]:
    """The laws that can be broken here, each with its share: whole points, of ten."""
    if not cases:
        return []
    if any(c.dtype for c in cases):
        return [(UNCHANGED, 4.0), (MEMORY, 3.0), (DTYPE, 3.0)]
    return [(UNCHANGED, 6.0), (MEMORY, 4.0)]


# --------------------------------------------------------------------------- forward, functions


def _calls(session: Session, key: Key, case: Case) -> list[tuple[Asked, Reply, Reply]]:
    """(asked, the submission's reply, the right one), for a case's shapes in float64."""
    rows = zip(key.asked, session.replies, key.right, strict=True)
    return [row for row in rows if row[0].case is case and not row[0].single]


def at_sizes(asked: Asked) -> str:
    """The sizes of a hidden call, in words."""
    return ", ".join(f"{k} = {n}" for k, n in asked.point.sizes.items())


def _share_of_points(item: Item, said: list[str]) -> None:
    """As many points as there are shapes without a sentence."""
    right = said.count("")
    if right == len(said):
        item.give(RIGHT, 1.0)
    else:
        first = next(s for s in said if s)
        item.give(WRONG, right / len(said), first)


def _of_forward(case: Pair) -> Judge:
    def judge(item: Item, session: Session, key: Key, *_: object) -> None:
        said = []
        for asked, reply, right in _calls(session, key, case):
            if "y" not in reply:
                said.append(sentence(reply["error"]))
                continue
            told = next(differences(reply["y"], right["y"], FORWARD_RTOL, "y"), "")
            said.append(f"{told}, with {at_sizes(asked)}" if told else "")
        _share_of_points(item, said)

    return judge


def _of_output(case: Function, k: int, name: str) -> Judge:
    def judge(item: Item, session: Session, key: Key, *_: object) -> None:
        said = []
        for asked, reply, right in _calls(session, key, case):
            if "results" not in reply:
                said.append(sentence(reply["error"]))
                continue
            found, expected = results_of(asked, reply), results_of(asked, right)
            if isinstance(found, str):
                said.append(found)
                continue
            told = next(differences(found[k], expected[k], case.rtol, name), "")
            said.append(f"{told}, with {at_sizes(asked)}" if told else "")
        _share_of_points(item, said)

    return judge


# --------------------------------------------------------------------------------- gradients


def _of_gradient(number: int, case: Case, name: str) -> Judge:
    def judge(
        item: Item, session: Session, key: Key, checks: dict[int, Checks], result: Grade
    ) -> None:
        if number not in checks:
            checks[number] = check_case(case, session, key)
        verdict, said = checks[number].of(name)
        if verdict == RIGHT and (how := computed_by_differences(case, name, session, key)):
            item.give(
                FLAGGED, 0.5, f"computed by differences, it seems ({how}): half of the points"
            )
            result.flags.append(f"{item.name}: computed by differences? {how}; it got half")
            return
        item.give(verdict, float(verdict == RIGHT), said)
        if verdict == INCONCLUSIVE:
            result.flags.append(f"{item.name}: the check is inconclusive, {said}; it got nothing")

    return judge


# -------------------------------------------------------------------------------------- laws


def _laws(items: list[Item], session: Session, key: Key) -> None:
    """What holds beside the numbers counts where some of these are right."""
    numbers = [item for item in items if item.bucket in ("forward", "gradients")]
    earned = any(item.earned > 0 for item in numbers)
    for item in items:
        if item.bucket != "laws":
            continue
        told = broken(item.name, session.replies, key)
        if told:
            item.give(WRONG, said=told)
        elif not earned:
            item.give(WRONG, said="counts once something is right")
        else:
            item.give(RIGHT, 1.0)


# ------------------------------------------------------------------------------- predictions


def _of_answer(question: str) -> Judge:
    def judge(item: Item, session: Session, key: Key, *_: object) -> None:
        given = session.answers.get(question)
        if given is None or given is Ellipsis:
            item.give(WRONG, said="not answered")
        elif same(given, key.answers[question], ANSWER_RTOL):
            item.give(RIGHT, 1.0)
        else:
            item.give(WRONG, said=f"{describe(given)} is not right")
            item.hint, item.kind = key.exercise.answers[question], "question"

    return judge


# ------------------------------------------------------------------------------------ conduct


def _report(result: Grade, session: Session) -> None:
    """What is to be told of how the submission behaved."""
    result.notes += session.ends
    if session.failed and session.failed.get("type") != "NotImplementedError":
        result.notes.append(sentence(session.failed))
    result.flags += [f"a submission that {tried}" for tried in session.tried]
    if session.patched:
        result.flags.append(f"it replaces {', '.join(session.patched)}; the grader has its own")
    if session.written:
        result.notes.append(f"it wrote {session.written} files into its folder; they are gone")
    if session.printed:
        size = session.printed
        told = f"{size} bytes" if size < 2000 else f"{size / 1000:,.0f} kB"
        warned = next((w for w in session.output.splitlines() if "Warning: " in w), "")
        warned = warned.partition(": ")[2] or warned
        result.notes.append(f"it warned: {plain(warned, 200)}" if warned else f"it printed {told}")
