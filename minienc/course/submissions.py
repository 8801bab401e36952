"""Reading what students hand in."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from pathlib import Path

from minienc.course.process import Source

OWN = "minienc.course"  # what a cell of the course's own says
COMMAND = re.compile(r"^([ \t]*)(?:[%!].*|[\w.]+\?\??)[ \t]*$", re.MULTILINE)
MOST = 4 << 20  # bytes of a submission


def read_submission(path: str | Path) -> Source:
    """The Python text of a script, or the code cells of a notebook.

    Raises
    ------
    OSError, ValueError
        If there is no such file, or it is neither.
    """
    path = Path(path)
    if path.stat().st_size > MOST:
        raise ValueError(f"{path}: {path.stat().st_size / 2**20:,.0f} MB, expected at most 4")
    text = path.read_text(encoding="utf-8", errors="replace")
    return notebook_code(text, str(path)) if path.suffix == ".ipynb" else text


def notebook_code(text: str, name: str = "the notebook") -> list[str]:
    """The code cells of a notebook, but for those that grade it and for IPython's own commands."""
    try:
        cells = json.loads(text)["cells"]
        sources = [
            _joined(c["source"]) for c in cells if c["cell_type"] == "code" and not _tests(c)
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{name} is not a notebook of version 4: {error}") from error
    return own_cells(sources)


def _joined(source: object) -> str:
    return source if isinstance(source, str) else "".join(source)  # type: ignore[arg-type]


def _tests(cell: dict) -> bool:
    """Whether a cell is one of the course's own."""
    own = cell.get("metadata", {}).get("nbgrader", {})
    return bool(own.get("grade")) and not own.get("solution")


def own_cells(sources: Iterable[str]) -> list[str]:
    """What a student wrote, of the cells of a notebook: not those of the course."""
    return [plain_python(source) for source in sources if source and OWN not in source]


def plain_python(source: str) -> str:
    """A cell without IPython's commands, where it has any: ``%matplotlib``, ``!pip``, ``x?``."""
    try:
        ast.parse(source)
        return source
    except (SyntaxError, ValueError):
        return COMMAND.sub(r"\1pass", source)
