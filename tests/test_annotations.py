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

# How many of them there are: these numbers may only fall. The checker and the recorder are handed
# other people's objects, and fast/ speaks with libraries that have no types.
MOST = {"verify": 114, "stepper": 151, "fast": 103, "elsewhere": 211}


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
    found: dict[str, Counter[str]] = {part: Counter() for part in MOST}
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT)
        n = len(list(bare_any(ast.parse(path.read_text(encoding="utf-8")))))
        found[name.parts[0] if name.parts[0] in MOST else "elsewhere"][name.as_posix()] = n
    for part, counts in found.items():
        listed = ", ".join(f"{name} {n}" for name, n in counts.most_common(8) if n)
        assert counts.total() <= MOST[part], (
            f"{counts.total()}, at most {MOST[part]}: {listed}, ..."
        )


def test_what_is_counted():
    source = "def f(x: Any, *a: Any, y: dict[str, Any] = 0) -> Any:\n    z: Any = lambda q: q\n"
    assert sorted(bare_any(ast.parse(source))) == [1, 1, 1, 2]
