"""Docstrings as texts with their summaries: data that every installation of Python has.

The first paragraph of a docstring says in a line what the prose behind it says at length. Sources
are parsed, and nothing of them is run: the standard library, NumPy and matplotlib, or packages that
were named. Order and content depend on the installed versions alone. The family of a docstring is
its module: what is held out was written in other files than what is learned from.
"""

from __future__ import annotations

import ast
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

PREFIX = "docstrings:"
ALWAYS = ("numpy", "matplotlib")  # beside the standard library
LEAST_WORDS, LEAST_SUMMARY = 8, 3
_MOST_BYTES = 1 << 21  # of a source; larger ones are tables
_LEFT_OUT = {"test", "tests", "testing", "site-packages", "dist-packages", "idlelib", "lib2to3"}


def read_docstrings(packages: Sequence[str] = ()) -> list[tuple[str, str, str]]:
    """(text, summary, module) of each docstring that has both, a text once.

    Parameters
    ----------
    packages : names
        "stdlib" is the standard library; none is that, and what minienc needs.

    Raises
    ------
    ValueError
        For a package that is not installed, or where there is no docstring to learn from.
    """
    seen: set[str] = set()
    found = []
    for package in packages or ("stdlib", *ALWAYS):
        folder = _folder(package)
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            if _LEFT_OUT & set(parts):
                continue
            module = ".".join([package, *parts])
            for name, text in _docstrings(file):
                summary, body = split_docstring(text)
                if body and body not in seen:
                    seen.add(body)
                    found.append((f"{name}: {body}", summary, module))
    if len(found) < 2:
        raise ValueError(f"{PREFIX} {', '.join(packages)} has too few docstrings to learn from")
    return found


def _folder(package: str) -> Path:
    if package == "stdlib":
        return Path(sysconfig.get_paths()["stdlib"])
    try:
        spec = find_spec(package) if package.isidentifier() else None
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        known = ", ".join(("stdlib", *ALWAYS))
        raise ValueError(f"{PREFIX} no package {package!r} is installed; {known} always are")
    return Path(next(iter(spec.submodule_search_locations)))


def _docstrings(file: Path) -> Iterator[tuple[str, str]]:
    """(name, docstring) of a source's functions and classes, in its order."""
    if file.stat().st_size > _MOST_BYTES:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in old sources
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return  # an example of bad code, or of another version's
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            text = ast.get_docstring(node)
            if text:
                yield node.name, text


def split_docstring(text: str) -> tuple[str, str]:
    """(the first paragraph, the prose behind it), each in one line; ("", "") where one is too
    short. Prose ends where sections, examples or lists of parameters begin."""
    first, *others = [p for p in text.strip().split("\n\n") if p.strip()] or [""]
    prose: list[str] = []
    for paragraph in others:
        lines = paragraph.strip("\n").splitlines()
        is_heading = len(lines) > 1 and set(lines[1].strip()) in ({"-"}, {"="}, {"~"})
        is_other = lines[0].lstrip().startswith((">>>", ":", "..", "@", "*", "- ", "+"))
        if is_heading or is_other or lines[0].startswith(" "):
            break
        prose += paragraph.split()
    summary = first.split()
    if len(summary) < LEAST_SUMMARY or len(prose) < LEAST_WORDS or ">>>" in first:
        return "", ""
    return " ".join(summary), " ".join(prose)
