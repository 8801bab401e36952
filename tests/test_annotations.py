"""Annotations tell the reader something: ``Any`` alone stands where anything is meant, and rarely.

A type checker says nothing of a value that is ``Any``, and neither does the word to a reader. What
it stood for has names: ``Array``, ``Arrays``, ``Cache``, ``Scalar`` and ``Rng`` in ``arrays.py``,
``Shape`` in ``shapes.py``, ``DataLike`` and ``Samples`` in ``data``, and those of initializers,
optimizers, losses and metrics in the files that own them. A value that is only looked at, or handed
on, is an ``object``.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import minienc

ROOT = Path(minienc.__file__).parent
MOST = 0  # it may only fall: what is left is what other people's objects and JSON are


def bare_any(tree: ast.AST) -> Iterator[int]:
    """The line of each argument, result or variable that is annotated with ``Any`` alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            annotation = node.annotation
        elif isinstance(node, ast.FunctionDef):
            annotation = node.returns
        else:
            continue
        if isinstance(annotation, ast.Name) and annotation.id == "Any":
            yield annotation.lineno


def test_there_is_no_more_any_than_there_was():
    found = Counter[str]()
    for path in ROOT.rglob("*.py"):
        n = len(list(bare_any(ast.parse(path.read_text(encoding="utf-8")))))
        found[path.relative_to(ROOT).as_posix()] = n
    listed = ", ".join(f"{name} {n}" for name, n in found.most_common(12) if n)
    assert found.total() <= MOST, f"{found.total()} of at most {MOST}: {listed}, ..."


def test_what_is_counted():
    source = "def f(x: Any, *a: Any, y: dict[str, Any] = 0) -> Any:\n    z: Any = lambda q: q\n"
    assert sorted(bare_any(ast.parse(source))) == [1, 1, 1, 2]
