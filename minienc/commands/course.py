"""``minienc grade`` and ``minienc course``: exercises, graded; a course made of them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def add_commands(commands: argparse._SubParsersAction) -> None:
    _add_grade(commands)
    _add_course(commands)


def _add_grade(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser(
        "grade",
        help="grade an exercise of the course, or a folder of submissions",
        description="Grade submissions: scripts, or notebooks of the course. Each runs in a "
        "process of its own, with limits of time and memory; that is no security sandbox.",
        epilog="Exit status: 0 all points; 1 fewer, in one submission at least; 2 refused.",
    )
    p.set_defaults(run=_grade)
    p.add_argument("files", nargs="+", metavar="FILE|DIR")
    p.add_argument("--exercise", metavar="e04", help="which it is (what the file's name says)")
    p.add_argument("--term", metavar="SECRET", help="draw hidden arguments by this secret")
    p.add_argument("--json", action="store_true", help="print the grades as JSON")
    p.add_argument("--out", metavar="DIR", help="write each grade into DIR, as JSON")
    p.add_argument("--jobs", type=int, metavar="N", help="submissions at once (the processors)")
    p.add_argument("--time-limit", type=float, metavar="SECONDS", help="of the processor (20)")


def _add_course(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser(
        "course",
        help="build a course of the exercises; look at a class's mistakes",
        description="Build the exercises in a platform's form, or show what a class got wrong.",
    )
    does = p.add_subparsers(required=True, metavar="build|overview|list")
    b = does.add_parser(
        "build",
        help="write exercises for students, solved, and with hidden tests",
        description="Write the exercises into DIR, in the form that a platform takes.",
    )
    b.set_defaults(run=_build)
    b.add_argument("exercises", nargs="*", metavar="e04", help="which (all)")
    b.add_argument("--out", metavar="DIR", required=True)
    b.add_argument(
        "--format", required=True, choices=("nbgrader", "gradescope", "pytest", "scripts")
    )
    b.add_argument("--term", metavar="SECRET", help="what hidden arguments are drawn by")
    b.add_argument("--force", action="store_true", help="replace what is in DIR")
    o = does.add_parser(
        "overview",
        help="which mistake how many made",
        description="Read grades, the JSON of `minienc grade --out`, and show which mistake how "
        "many made: as a table, and as a picture.",
    )
    o.set_defaults(run=_overview)
    o.add_argument("results", nargs="+", metavar="JSON|DIR")
    o.add_argument("--picture", metavar="FILE", help="such as overview.png")
    o.add_argument("--json", action="store_true", help="print the table as JSON")
    does.add_parser("list", help="the exercises that there are").set_defaults(run=_list)


def _grade(
    files: list[str],
    exercise: str | None,
    term: str | None,
    json: bool,
    out: str | None,
    jobs: int | None,
    time_limit: float | None,
) -> int:
    from minienc.course.batch import grade_all, submissions_in
    from minienc.course.exercise import find_exercise
    from minienc.course.process import Limits

    if jobs is not None and jobs < 1:
        raise ValueError(f"grade: --jobs is {jobs}, expected at least 1")
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"grade: --time-limit is {time_limit:g}, expected more than 0 seconds")
    found = submissions_in(files)
    if exercise is not None or len(found) == 1:
        find_exercise(exercise or str(found[0]))  # refused at once
    limits = Limits() if time_limit is None else Limits(seconds=time_limit)
    folder = None if out is None else Path(out)
    grades = []
    for one in grade_all(found, exercise, term=term, limits=limits, jobs=jobs):
        grades.append(one)
        if folder is not None:
            _write(folder, one)
        if not json:
            print(one, flush=True)
    if json:
        _print_json([g.to_dict() for g in grades])
    return 0 if all(g.points == 100 for g in grades) else 1


def _write(folder: Path, grade: Any) -> None:
    """One file for each submission, named after its path: no two share one."""
    from minienc.files import write_text

    folder.mkdir(parents=True, exist_ok=True)
    parts = [p for p in Path(grade.file).parts if p not in ("/", "..", ".")]
    write_text(folder / f"{'-'.join(parts)}.json", grade.to_json() + "\n")


def _print_json(values: list[dict[str, Any]]) -> None:
    print(json.dumps(values[0] if len(values) == 1 else values, indent=2))


def _build(exercises: list[str], out: str, format: str, term: str | None, force: bool) -> int:
    from minienc.course.forms import build

    for path in build(out, format, exercises or None, term=term, force=force):
        print(path)
    if term is None and format != "scripts":
        print(
            "minienc: without --term the hidden arguments are those that every student can draw",
            file=sys.stderr,
        )
    return 0


def _overview(results: list[str], picture: str | None, json: bool) -> int:
    from minienc.course.overview import overview_of

    found = overview_of(results)
    if picture is not None:
        found.save_picture(picture)
    if json:
        _print_json([found.to_dict()])
    else:
        print(found)
    return 0


def _list() -> int:
    from minienc.course.exercise import Exercise, all_exercises

    for path in all_exercises():
        exercise = Exercise(path)
        print(f"{exercise.name:24} {exercise.title}")
    return 0
