"""The course by pytest, as GitHub Classroom runs it: a test for each thing that has points."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minienc import __version__
from minienc.course.exercise import Exercise, find_exercise
from minienc.course.grading import grade, items_of
from minienc.course.labels import unlike
from minienc.course.nbgrader import TERM
from minienc.course.results import RIGHT, Grade

TOLD = f"""
# A course for pytest and GitHub Classroom

`repository/` is an assignment's repository: students' files, a test for each thing that has
points, and `.github/classroom/autograding.json`, which gives each test its points. For hidden
arguments make the repository secret {TERM}, which the workflow hands to the tests; without it they
are the public ones. `solutions/` is yours.
"""
TEST = '''"""{title}: a test for each thing that has points.

    python -m pytest {name}
"""

from minienc.course.classroom import expect

FILE = "{exercise}.py"

'''
WORKFLOW = f"""name: grades
on: [push, workflow_dispatch]
jobs:
  grades:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {{python-version: "3.12"}}
      - run: python -m pip install minienc=={__version__} pytest
      - run: python -m pytest -q
        env: {{{TERM}: "${{{{ secrets.{TERM} }}}}"}}
"""


def files(exercises: list[Exercise], term: str | None) -> Iterator[tuple[str, str | bytes]]:
    """The repository of an assignment."""
    listed: list[dict[str, Any]] = []
    for exercise in exercises:
        name = f"test_{exercise.name}.py"
        text = TEST.format(title=exercise.title, name=name, exercise=exercise.name)
        items = items_of(exercise)
        names = unlike([re.sub(r"\W+", "_", item.name).strip("_") for item in items])
        for item, own in zip(items, names, strict=True):
            test = f"test_{own}"
            named = json.dumps(item.name)
            text += f"\ndef {test}():  # {item.points:.4g} points\n    expect(FILE, {named})\n\n"
            listed.append(
                {
                    "name": f"{exercise.key} {item.name}",
                    "setup": f"python -m pip install -q minienc=={__version__} pytest",
                    "run": f"python -m pytest -q {name}::{test}",
                    "points": round(item.points, 2),
                    "timeout": 2,
                }
            )
        yield f"repository/{name}", text.rstrip() + "\n"
        yield f"repository/{exercise.name}.py", exercise.student
    yield "repository/.github/classroom/autograding.json", json.dumps({"tests": listed}, indent=2)
    yield "repository/.github/workflows/grades.yml", WORKFLOW
    if term is not None:
        yield "term.txt", f"{TERM}={term}\n"


@functools.cache
def _graded(file: str, changed: int, term: str | None) -> Grade:
    return grade(file, find_exercise(file), term=term)


def expect(file: str, name: str) -> None:
    """For a test: raise AssertionError, with the reason and the hint, unless an item is right."""
    path = Path(file)
    found = _graded(str(path), path.stat().st_mtime_ns, os.environ.get(TERM) or None)
    item = next(item for item in found.items if item.name == name)
    if item.verdict != RIGHT:
        hint = f"\nhint: {item.hint}" if item.hint else ""
        raise AssertionError(f"{name}: {item.said or item.verdict}{hint}")
