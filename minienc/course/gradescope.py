"""The course in Gradescope: an autograder for each exercise, and what it runs.

``python -m minienc.course.gradescope`` reads ``submission/`` and writes ``results/results.json``
under ``/autograder``, or where ``MINIENC_AUTOGRADER`` says.
"""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minienc import __version__
from minienc.course.batch import KINDS
from minienc.course.exercise import Exercise
from minienc.course.grading import grade
from minienc.course.results import Grade

BASE = "MINIENC_AUTOGRADER"
TERM = "term.txt"
TOLD = """
# A course for Gradescope

For each exercise make a programming assignment of 100 points, choose Ubuntu 24.04 for it (minienc
needs Python 3.11 or newer), and upload its `autograder.zip`.
Students hand in `e04_affine.py` or `e04_affine.ipynb` of `students/`. The zip holds the solution
and the term's secret: Gradescope shows neither. `solutions/` is yours.
"""
SETUP = f"""#!/usr/bin/env bash
# Run once, when the autograder is built. A wheel that lies beside this file is installed; without
# one it comes from the package index.
set -e
here="$(cd "$(dirname "$0")" && pwd)"
own="${{MINIENC_AUTOGRADER:-/autograder}}/minienc"  # the system's Python takes no packages
python3 -c "import ensurepip" || (apt-get update && apt-get install -y python3-venv)
python3 -m venv "$own"
wheel="$(ls "$here"/minienc-*.whl 2>/dev/null | head -n 1)"
"$own/bin/python" -m pip install "${{wheel:-minienc=={__version__}}}"
"""
RUN = """#!/usr/bin/env bash
# Run for each submission.
base="${MINIENC_AUTOGRADER:-/autograder}"
cd "$base/source"
exec "$base/minienc/bin/python" -m minienc.course.gradescope
"""


def files(exercises: list[Exercise], term: str | None) -> Iterator[tuple[str, str | bytes]]:
    """``autograder.zip`` of each exercise."""
    for exercise in exercises:
        inside = {
            "setup.sh": SETUP,
            "run_autograder": RUN,
            exercise.path.name: exercise.path.read_text(encoding="utf-8"),
            TERM: term or "",
        }
        yield f"{exercise.name}/autograder.zip", _zipped(inside)


def _zipped(inside: dict[str, str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in inside.items():
            entry = zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0))  # the same bytes each time
            entry.external_attr = (0o755 if name in ("setup.sh", "run_autograder") else 0o644) << 16
            archive.writestr(entry, text)
    return file.getvalue()


# ------------------------------------------------------------------------------- within Gradescope


def results(found: Grade) -> dict[str, Any]:
    """What ``results.json`` says of a grade: each item with its hint, visible; flags hidden."""
    tests: list[dict[str, Any]] = []
    for item in found.items:
        said = [item.said] if item.said else []
        said += [f"Hint: {item.hint}"] if item.hint else []
        tests.append(
            {
                "name": item.name,
                "score": round(item.earned, 4),
                "max_score": round(item.points, 4),
                "status": "passed" if item.earned == item.points else "failed",
                "output": "\n".join(said) or item.verdict,
                "visibility": "visible",
            }
        )
    for flag in found.flags:
        tests.append(
            {
                "name": "for the lecturer",
                "score": 0.0,
                "max_score": 0.0,
                "output": flag,
                "visibility": "hidden",
            }
        )
    return {
        "score": found.points,
        "output": "\n".join([found.title, *found.notes]),
        "execution_time": round(found.seconds, 2),
        "visibility": "visible",
        "tests": tests,
        "extra_data": {"minienc": found.to_dict()},
    }


def main(base: Path) -> int:
    """Grade what lies in ``base/submission``."""
    source = base / "source"
    exercise = Exercise(next(source.glob("e[0-9][0-9]_*.py")))
    term = (source / TERM).read_text(encoding="utf-8").strip() or None
    try:
        found = results(grade(_submitted(base / "submission"), exercise, term=term))
    except (OSError, ValueError) as error:
        found = {"score": 0.0, "output": str(error), "visibility": "visible", "tests": []}
    target = base / "results" / "results.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(found, indent=2), encoding="utf-8")
    return 0


def _submitted(folder: Path) -> Path:
    """The one script or notebook that was handed in."""
    found = sorted(p for p in folder.rglob("*") if p.suffix in KINDS and p.is_file())
    if len(found) != 1:
        told = ", ".join(p.name for p in found) or "none"
        raise ValueError(f"hand in one file, a script or a notebook; what came: {told}")
    return found[0]


if __name__ == "__main__":
    sys.exit(main(Path(os.environ.get(BASE, "/autograder"))))
