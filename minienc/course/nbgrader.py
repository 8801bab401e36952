"""The course in nbgrader: its source notebooks, and what their test cells call.

Three traps of nbgrader are avoided here. A line on stderr is 0 points: ``score`` prints to stdout
alone. A value that is no number is full marks: it returns Python's float. Tests that are shown in
the feedback show what they hide: the cells hold a name and a number of points, nothing else; the
term's secret comes from the environment, where ``nbgrader_config.py`` puts it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

from minienc.course.cells import Cell, notebook
from minienc.course.exercise import BEGIN, END, Exercise, find_exercise, stub
from minienc.course.grading import grade_source, items_of
from minienc.course.results import RIGHT, Grade
from minienc.course.submissions import OWN, own_cells
from minienc.course.wire import Value

TERM = "MINIENC_TERM"
ANSWER = re.compile(rf"^{BEGIN}\n(.*?)^{END}$", re.MULTILINE | re.DOTALL)  # of a top level
TOLD = """
# A course for nbgrader

Copy this folder's files into your nbgrader course, then for each assignment:

    nbgrader generate_assignment e04_affine      students' versions, in release/
    nbgrader autograde e04_affine                after collecting
    nbgrader generate_feedback e04_affine

`nbgrader_config.py` holds the term's secret: it stays with you. minienc must be installed where
notebooks run, students' too: their test cells check with arguments that everybody can draw.
"""
CONFIG = '''"""nbgrader, for this course."""

import os

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "minienc"
# what hidden arguments are drawn by: kernels inherit it, no notebook holds it
os.environ["MINIENC_TERM"] = {term!r}
# a submission's own processes end by themselves: after 20 s of the processor or 80 s of the clock,
# twice at most
c.ExecutePreprocessor.timeout = 240
'''


def files(exercises: list[Exercise], term: str | None) -> Iterator[tuple[str, str | bytes]]:
    """A source notebook for each exercise, and the configuration."""
    yield "nbgrader_config.py", CONFIG.format(term=term or "")
    for exercise in exercises:
        yield f"source/{exercise.name}/{exercise.name}.ipynb", source_notebook(exercise)


def source_notebook(exercise: Exercise) -> str:
    """The notebook that ``nbgrader generate_assignment`` makes students' versions of."""
    from minienc.course.cells import cells_of

    cells: list[tuple[Cell, dict[str, Any]]] = []
    for number, cell in enumerate(cells_of(exercise.marked)):
        if BEGIN in cell.text and END in cell.text:
            named = Cell(cell.kind, ANSWER.sub(_with_names, cell.text))
            cells.append((named, _metadata(f"solution-{number}", solution=True)))
        else:
            cells.append((cell, _metadata(f"text-{number}", locked=True)))
    cells.append(
        (Cell("code", f"from {OWN}.nbgrader import score"), _metadata("ready", locked=True))
    )
    for number, item in enumerate(items_of(exercise)):
        quoted = json.dumps(item.name)
        text = f'score(In, "{exercise.key}", {quoted}, {item.points:.10g})  # {OWN}'
        made = _metadata(f"test-{number}", grade=True, locked=True, points=round(item.points, 10))
        cells.append((Cell("code", text), made))
    return notebook(cells)


def _with_names(block: re.Match) -> str:
    """Answers and, above them, what they are to be called: nbgrader removes the names, too."""
    return "".join(stub(block[1])) + block[0]


def _metadata(name: str, **given: Value) -> dict[str, Any]:
    base = {"grade": False, "locked": False, "solution": False, "task": False}
    return {"nbgrader": {**base, "schema_version": 3, "grade_id": name, **given}}


def check_cell(exercise: Exercise) -> Cell:
    """The last cell of a notebook that no platform grades: the public checks."""
    return Cell("code", f'from {OWN}.nbgrader import check\n\ncheck(In, "{exercise.key}")')


# ------------------------------------------------------------------------- within a notebook

_GRADES: dict[tuple[Any, ...], Grade] = {}


def _graded(cells: Sequence[str], key: str, term: str | None) -> Grade:
    """The grade of a notebook's cells as they are now, made once."""
    own = tuple(own_cells(cells))
    stamp = (own, key, term)
    if stamp not in _GRADES:
        _GRADES[stamp] = grade_source(list(own), find_exercise(key), "this notebook", term=term)
    return _GRADES[stamp]


def score(cells: Sequence[str], key: str, name: str, points: float) -> float:
    """The points of one item, for the last line of a test cell; prints why, and its hint.

    Parameters
    ----------
    cells : sequence of str
        ``In``, what was run in this notebook.
    key : str
        ``"e04"``.
    name : str
        The item's.
    points : float
        The most that it can have.
    """
    grade = _graded(cells, key, os.environ.get(TERM) or None)
    item = next(item for item in grade.items if item.name == name)
    print(f"{name}: {item.verdict}{': ' + item.said if item.said else ''}")
    if item.hint:
        print(f"hint: {item.hint}")
    for note in dict.fromkeys(grade.notes if item is grade.items[0] else []):
        print(f"note: {note}")
    if item.verdict == RIGHT and not grade.hidden:
        print("This is the public check; the hidden one has other arguments.")
    return float(min(item.earned, points))


def check(cells: Sequence[str], key: str) -> None:
    """Print what the public checks say of this notebook."""
    print(_graded(cells, key, None))
