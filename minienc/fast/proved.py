"""Which definitions are those that the faster functions were proved equal to.

A function of ``fast/`` is compared with its definition by the tests, over thousands of cases, and
from then on stands in its place. An edit of ``functions/`` must count all the same. So
``proved.txt`` keeps a digest of every definition that was compared, and where a definition has
another one now, it runs as it is written.

The digest is of the source as Python parses it: neither comments, docstrings nor layout are in it,
nor the sentences of refusals. With a function go the helpers that it calls, the values of constants
and the fields of caches; what a name stands for is looked up where the function itself would. Not
with it go the activations of a dense layer: its faster function asks for each by itself
(``fused.py``).

Where an installation holds no sources, nothing can have been edited, and the faster functions
serve. To read and compare takes some 20 ms, once in a process, at the first call of a primitive.

When a definition was changed on purpose, and its faster function with it: ``record()``, and then
the tests, which compare the two.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import warnings
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from minienc import primitive
from minienc.primitive import REGISTRY, Primitive

RECORD = Path(__file__).with_name("proved.txt")
RENEW = 'python -c "from minienc.fast import proved; proved.record()"'

_ROOM = "minienc.functions."
_known: dict[CodeType, tuple[str, list[str]]] = {}  # what was read of the source: text and names
_told: set[str] = set()


class _NoSource(Exception):
    pass


# ------------------------------------------------------------------------------------- the digest


def digest(function: Any, trees: dict[str, Any]) -> str | None:
    """16 hexadecimal digits that tell one definition from another; None without its source.

    ``trees`` keeps the modules that were parsed on the way, for the next call.
    """
    parts: dict[str, str] = {}
    if not isinstance(function, FunctionType):
        return ""
    try:
        _collect(function, parts, trees)
    except _NoSource:
        return None
    text = "\n".join(f"{name} {parts[name]}" for name in sorted(parts))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _collect(function: FunctionType, parts: dict[str, str], trees: dict[str, Any]) -> None:
    """Add a function, and all that it uses, by their names."""
    name = f"{function.__module__}.{function.__name__}"
    if name in parts:
        return
    text, used = _read(function, trees)
    parts[name] = text
    for n in used:
        if n in function.__globals__:
            parts[name] += f" {n}: {_meaning(function.__globals__[n], parts, trees)}"


def _meaning(value: Any, parts: dict[str, str], trees: dict[str, Any]) -> str:
    """What a name of the module stands for."""
    value = value.definition if isinstance(value, Primitive) else value
    value = getattr(value, "__wrapped__", value)  # of functools.cache
    if isinstance(value, FunctionType):
        if value.__module__.startswith(_ROOM):
            _collect(value, parts, trees)
        return f"{value.__module__}.{value.__name__}"
    if isinstance(value, type):
        return f"{value.__name__}{getattr(value, '_fields', '')}"
    if isinstance(value, (bool, int, float, str, tuple)):
        return repr(value)
    return value.__name__ if isinstance(value, ModuleType) else type(value).__name__


def _read(function: FunctionType, trees: dict[str, Any]) -> tuple[str, list[str]]:
    """A function's source, and the names that it uses; as it was when it was first asked for."""
    code = function.__code__
    if code not in _known:
        module = sys.modules[function.__module__]
        if module.__name__ not in trees:
            trees[module.__name__] = _functions_of(module)
        node = trees[module.__name__].get(function.__name__)
        if node is None or code.co_filename != module.__file__:
            return "defined elsewhere", []
        names: set[str] = set()
        _known[code] = _spelled(node, names), sorted(names)
    return _known[code]


def _functions_of(module: ModuleType) -> dict[str, ast.FunctionDef]:
    if module.__name__.startswith(_ROOM):
        module.__class__ = _Watched
    try:
        source = module.__spec__.loader.get_source(module.__name__)  # type: ignore[union-attr]
    except (AttributeError, ImportError, OSError):
        source = None
    if source is None:
        raise _NoSource
    return {n.name: n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)}


def _spelled(node: Any, names: set[str]) -> str:
    """A part of the source as text that is the same on every version of Python, and its names."""
    kind = type(node)
    if kind is ast.Name:
        names.add(node.id)
        return node.id
    if kind is ast.Constant:
        return repr(node.value)
    if kind is list:
        return f"[{','.join([_spelled(part, names) for part in node])}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    if kind is ast.Raise:
        return "raise"
    text = kind.__name__
    if isinstance(node, ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
        del node.body[0]
    for field in kind._fields:
        value = getattr(node, field, None)
        if value and field != "ctx":  # what is empty stands there in some versions, not in others
            text += f" {field}={_spelled(value, names)}"
    return f"({text})"


# -------------------------------------------------------------------------------------- the record


def look_at_definitions() -> None:
    """Mark each primitive of the record that must run as it is written, and say which, once."""
    recorded, trees = _recorded(), dict[str, Any]()
    for name, proved in recorded.items():
        found = digest(REGISTRY[name].definition, trees)
        if found is not None:
            REGISTRY[name].runs_as_written = found != proved
    for name in recorded:  # a pair is proved as a pair
        if name.endswith("_backward"):
            pair = REGISTRY[name], REGISTRY[name.removesuffix("backward") + "forward"]
            pair[0].runs_as_written |= pair[1].runs_as_written
            pair[1].runs_as_written |= pair[0].runs_as_written
    new = [name for name in edited() if name not in _told]
    if new:
        _told.update(new)
        code = getattr(REGISTRY[new[0]].definition, "__code__", record.__code__)
        warnings.warn_explicit(
            f"{', '.join(new)}: edited since faster functions were proved equal to them; they run "
            f"as they are written, by themselves and within dense layers",
            UserWarning,
            code.co_filename,
            code.co_firstlineno,
        )


def edited() -> tuple[str, ...]:
    """The primitives for which there is a faster function that may not serve."""
    tables = [primitive._fast, *primitive._fast_of_type.values()]
    served = {name.removesuffix("_into") for table in tables for name in table}
    if "dense_forward" in served:
        served |= {"identity_forward", "identity_backward"}  # of a dense layer, if of nothing else
    return tuple(sorted(name for name in served if REGISTRY[name].runs_as_written))


def record() -> None:
    """Write down that the definitions are, as they stand, what the faster functions compute."""
    primitive.open_the_door()
    names = {name.removesuffix("_into") for name in primitive._fast}
    names |= {"identity_forward", "identity_backward"}
    names |= {n.removesuffix("backward") + "forward" for n in names if n.endswith("_backward")}
    trees: dict[str, Any] = {}
    lines = [f"{name} {digest(REGISTRY[name].definition, trees)}\n" for name in sorted(names)]
    RECORD.write_text("".join(lines), encoding="utf-8")


def _recorded() -> dict[str, str]:
    return dict(line.split() for line in RECORD.read_text(encoding="utf-8").splitlines())


class _Watched(ModuleType):
    """A module that says when one of its names is given another meaning."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        primitive.close_the_door()
