"""Every exercise: solved it has 100 points, blank 0, and each planted mistake has its own hint and
no other's.
"""

from __future__ import annotations

import ast
import re

import numpy as np
import pytest

from minienc.course.compare import same
from minienc.course.exercise import Exercise, Mistake, all_exercises
from minienc.course.grading import ANSWER_RTOL, grade_source
from minienc.course.results import RIGHT

PATHS = all_exercises()
EXERCISES = [Exercise(path) for path in PATHS]
TERM = "a term of the tests"
NAMED = {"argvalues": EXERCISES, "ids": [e.key for e in EXERCISES]}
PLANTED = [
    pytest.param(e, m, id=f"{e.key}-{m.name.replace(' ', '_')}")
    for e in EXERCISES
    for m in e.mistakes
]


def submission(exercise: Exercise, mistake: Mistake) -> str:
    """The solution with a mistake in it, as a student would hand it in."""
    wrong = mistake.wrong
    if not isinstance(wrong, dict):
        source = exercise.solved
        for old, new in [wrong] if isinstance(wrong, tuple) else wrong:
            source = source.replace(old, new)
        return source
    added = []
    for name, what in wrong.items():
        if callable(what):
            added += [source_of(exercise, what), f"{name} = {what.__name__}"]
        else:
            added.append(f"{name} = {what!r}")
    return exercise.solved + "\n\n" + "\n\n".join(added) + "\n"


def source_of(exercise: Exercise, function) -> str:
    """A function of the lecturer's part, as text."""
    text = exercise.path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__:
            return ast.get_source_segment(text, node)
    raise AssertionError(f"{function.__name__} is not defined with def in {exercise.path.name}")


@pytest.mark.parametrize("exercise", **NAMED)
def test_solved_is_everything(exercise):
    grade = grade_source(exercise.solved, exercise, term=TERM)
    assert grade.points == 100, grade
    assert {item.verdict for item in grade.items} == {RIGHT}
    assert not grade.flags and not grade.mistakes
    assert not any(item.hint for item in grade.items)


@pytest.mark.parametrize("exercise", **NAMED)
def test_blank_is_nothing(exercise):
    grade = grade_source(exercise.student, exercise, term=TERM)
    assert grade.points == 0, grade
    assert not grade.mistakes


@pytest.mark.parametrize(("exercise", "mistake"), PLANTED)
def test_each_mistake_has_its_own_hint(exercise, mistake):
    grade = grade_source(submission(exercise, mistake), exercise, term=TERM)
    assert grade.mistakes == [mistake.name], grade
    assert 0 < grade.points < 100 or not exercise.cases, grade
    assert mistake.hint in {item.hint for item in grade.items}


@pytest.mark.parametrize("exercise", **NAMED)
def test_an_exercise_is_whole(exercise):
    assert len(exercise.mistakes) >= 3
    questions = [name for name in exercise.answers if name.startswith("predict_")]
    assert len(questions) == 2 and all(f"\n{q} = " in exercise.student for q in questions)
    assert "On paper" in exercise.student, "says what is to be derived first"
    assert len({m.hint for m in exercise.mistakes}) == len(exercise.mistakes)
    for name, prove in exercise.proofs.items():
        answer = exercise.namespace()[name]
        assert same(np.asarray(prove()).tolist(), answer, ANSWER_RTOL), (name, prove(), answer)


@pytest.mark.parametrize("exercise", **NAMED)
def test_the_students_part_stands_alone(exercise):
    for text in (exercise.student, exercise.solved):
        imported = re.findall(r"^\s*(?:import|from) (\w+)", text, re.MULTILINE)
        assert set(imported) <= {"numpy"}
        assert "minienc" not in text and "###" not in text
        assert all(len(line) <= 100 for line in text.splitlines())
    assert "BEGIN LECTURER" not in exercise.student and "MISTAKES" not in exercise.student


@pytest.mark.parametrize("exercise", **NAMED)
def test_the_student_version_has_no_line_of_the_solution(exercise):
    solution = {
        line.split("  #")[0].strip()
        for line, inside in exercise._lines()
        if inside and line.strip()
    }
    shown = {line.split("  #")[0].strip() for line in exercise.student.splitlines()}
    assert not (solution & shown) - {"return", "else:"}, solution & shown
