"""An exercise's text as cells, and cells as a notebook."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from typing import Any, NamedTuple

VERSION = {"nbformat": 4, "nbformat_minor": 5}
PYTHON = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
HEADING = re.compile(r"^(.+)\n=+\n")


class Cell(NamedTuple):
    """A piece of a notebook: "markdown" or "code"."""

    kind: str
    text: str


def cells_of(text: str) -> list[Cell]:
    """The cells of an exercise's text: the docstring, then what ``# %%`` begins, the comment under
    it as text and the rest as code."""
    doc = ast.get_docstring(ast.parse(text)) or ""
    body = text.split('"""', 2)[2] if doc else text
    found = [Cell("markdown", HEADING.sub(r"# \1\n", doc))]
    for block in re.split(r"^# %%.*\n", body, flags=re.MULTILINE):
        lines = block.strip("\n").split("\n")
        n = next((i for i, line in enumerate(lines) if line[:1] != "#"), len(lines))
        n = 0 if any(line.startswith("###") for line in lines[:n]) else n
        said = "\n".join(line[2:] if line.startswith("# ") else line[1:] for line in lines[:n])
        code = "\n".join(lines[n:]).strip("\n")
        found += [Cell("markdown", said)] if said.strip() else []
        found += [Cell("code", code)] if code.strip() else []
    return found


def notebook(cells: list[tuple[Cell, dict[str, Any]]]) -> str:
    """A notebook's file, of cells with their metadata."""
    made = []
    for number, (cell, metadata) in enumerate(cells):
        name = hashlib.sha256(f"{number}{cell.text}".encode()).hexdigest()[:8]
        one: dict[str, Any] = {"cell_type": cell.kind, "id": name, "metadata": metadata}
        one["source"] = cell.text.splitlines(keepends=True)
        if cell.kind == "code":
            one |= {"execution_count": None, "outputs": []}
        made.append(one)
    return json.dumps({"cells": made, "metadata": PYTHON, **VERSION}, indent=1) + "\n"
