"""Many submissions: the batch goes on, whatever one of them does."""

from __future__ import annotations

import multiprocessing
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from minienc.course.exercise import Exercise, find_exercise
from minienc.course.grading import grade
from minienc.course.process import Limits
from minienc.course.results import Grade

KINDS = (".py", ".ipynb")


def submissions_in(paths: Sequence[str | Path]) -> list[Path]:
    """Files as they are; of folders the scripts and notebooks in them.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = (p for p in path.rglob("*") if p.suffix in KINDS and p.is_file())
            found += sorted(p for p in inside if ".ipynb_checkpoints" not in p.parts)
        elif path.is_file():
            found.append(path)
        else:
            raise FileNotFoundError(f"grade: there is no file {path}")
    if not found:
        raise FileNotFoundError(f"grade: no {' or '.join(KINDS)} in {', '.join(map(str, paths))}")
    return found


def grade_all(
    files: Sequence[str | Path],
    exercise: str | None = None,
    *,
    term: str | None = None,
    limits: Limits | None = None,
    jobs: int | None = None,
) -> Iterator[Grade]:
    """Grade many submissions, several at once; in their order.

    Parameters
    ----------
    files : sequence of paths
    exercise, term, limits
        As of ``grade``.
    jobs : int, optional
        Submissions at once; as many as there are processors.
    """
    jobs = min(jobs or os.cpu_count() or 1, len(files))
    work = [(str(file), exercise, term, limits) for file in files]
    if jobs == 1:
        yield from map(_one, work)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        yield from pool.map(_one, work)


def _one(work: tuple[str, str | None, str | None, Limits | None]) -> Grade:
    """One grade; what cannot be graded has none, and says why."""
    file, name, term, limits = work
    exercise: Exercise | None = None
    try:
        exercise = find_exercise(name or file)
        return grade(file, exercise, term=term, limits=limits)
    except (OSError, ValueError) as error:
        told = f"it could not be graded: {error}"
    except Exception as error:  # the batch goes on, and this one is looked at
        told = f"the grader itself failed, with {type(error).__name__}: {error}"
    title = exercise.title if exercise else Path(file).name
    known = re.search(r"e\d\d", Path(file).name)
    key = exercise.name if exercise else name or (known[0] if known else "?")
    return Grade(key, title, file, hidden=term is not None, flags=[told])
