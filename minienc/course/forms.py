"""A course in the form that a platform takes: students' versions, solved ones, and tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from minienc.course import classroom, gradescope, nbgrader
from minienc.course.cells import cells_of, notebook
from minienc.course.exercise import Exercise, all_exercises, find_exercise
from minienc.course.parts import Pair
from minienc.files import write_text

__all__ = ["FORMATS", "build"]


def build(
    out: str | Path,
    form: str,
    exercises: Sequence[str] | None = None,
    *,
    term: str | None = None,
    force: bool = False,
) -> list[Path]:
    """Write a course.

    Parameters
    ----------
    out : path
        A folder that is not there yet, or empty.
    form : {"nbgrader", "gradescope", "pytest", "scripts"}
    exercises : sequence of str, optional
        ``["e04", "e05"]``; all, where it is left out.
    term : str, optional
        The secret that the hidden arguments are drawn by.
    force : bool
        Whether what lies in ``out`` may be removed.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    FileExistsError
        If there is something in ``out``.
    ValueError
        For a form or an exercise that there is not.
    """
    if form not in FORMATS:
        raise ValueError(f"course: the format is {form!r}, expected one of {', '.join(FORMATS)}")
    out = Path(out)
    chosen = [find_exercise(name) for name in exercises or map(str, all_exercises())]
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if not force:
            raise FileExistsError(f"course: {out} is there already; --force replaces it")
        _remove(out)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for path, text in FORMATS[form](chosen, term):
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            target.write_bytes(text)
        else:
            write_text(target, text)
        if target.suffix == ".sh" or target.name == "run_autograder":
            target.chmod(0o755)
        written.append(target)
    return written


def _remove(out: Path) -> None:
    if not (out / MARK).is_file():
        raise FileExistsError(f"course: {out} is no course that was built here; it is not replaced")
    shutil.rmtree(out)


MARK = "COURSE.md"


def _with_mark(
    files: Callable[[list[Exercise], str | None], Iterator[tuple[str, str | bytes]]], told: str
) -> Callable[[list[Exercise], str | None], Iterator[tuple[str, str | bytes]]]:
    """The files of a format, and one that says what is to be done with them."""

    def written(exercises: list[Exercise], term: str | None) -> Iterator[tuple[str, str | bytes]]:
        listed = "\n".join(f"- {e.name}: {e.title}" for e in exercises)
        yield MARK, f"{told.strip()}\n\n{listed}\n"
        yield from files(exercises, term)

    return written


def both_versions(exercises: list[Exercise]) -> Iterator[tuple[str, str]]:
    """Scripts and notebooks, for students and solved."""
    for exercise in exercises:
        for folder, own in (("students", exercise.student), ("solutions", exercise.solved)):
            text = own + player_cell(exercise)
            yield f"{folder}/{exercise.name}.py", text
            cells: list = [(cell, {}) for cell in cells_of(text)]
            check = nbgrader.check_cell(exercise)
            yield f"{folder}/{exercise.name}.ipynb", notebook([*cells, (check, {})])


def player_cell(exercise: Exercise) -> str:
    """Where the predictions are looked up, afterwards: a page that walks through each pair."""
    pairs = [c for c in exercise.cases if isinstance(c, Pair) and isinstance(c.inputs, str)]
    if not pairs:
        return ""
    commands = [
        f"#     minienc step {exercise.name}.py:{case.name} --shapes '{case.inputs}'"
        for case in pairs
    ]
    told = (
        "\n# %%\n# Once both are answered: walk through your own pair, line by line and number by\n"
    )
    return told + "# number.\n#\n" + "\n".join(commands) + "\n"


def _scripts(exercises: list[Exercise], term: str | None) -> Iterator[tuple[str, str | bytes]]:
    yield from both_versions(exercises)


def _gradescope(exercises: list[Exercise], term: str | None) -> Iterator[tuple[str, str | bytes]]:
    yield from both_versions(exercises)
    yield from gradescope.files(exercises, term)


def _pytest(exercises: list[Exercise], term: str | None) -> Iterator[tuple[str, str | bytes]]:
    yield from both_versions(exercises)
    yield from classroom.files(exercises, term)


SCRIPTS = """
# A course of scripts

`students/` is what students get, `solutions/` what they do not. They check their own files with
`minienc grade e04_affine.py`; you grade theirs with `minienc grade submissions/ --term SECRET`.
"""
FORMATS = {
    "nbgrader": _with_mark(nbgrader.files, nbgrader.TOLD),
    "gradescope": _with_mark(_gradescope, gradescope.TOLD),
    "pytest": _with_mark(_pytest, classroom.TOLD),
    "scripts": _with_mark(_scripts, SCRIPTS),
}
