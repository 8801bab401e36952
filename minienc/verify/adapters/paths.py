"""Where an object keeps its numbers: in attributes, lists, dictionaries, and parts inside."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from minienc.arrays import lives_on_device, to_numpy

Path = tuple[tuple[str, Any], ...]  # ("attribute", "W") or ("item", key or position), outer first

MANY = 20  # a list of more numbers than this is a history, not weights


def floats(x: object) -> Iterator[Path]:
    """Where an object, its lists, its dictionaries and its parts keep floating numbers."""
    for path, value in _ends(x, (), set()):
        if isinstance(value, float) or _is_own(value):
            yield path


def tensors(x: object) -> Iterator[Path]:
    """Where it keeps arrays of other libraries."""
    for path, value in _ends(x, (), set()):
        if (
            not isinstance(value, float)
            and not isinstance(value, np.ndarray)
            and _is_foreign(value)
        ):
            yield path


def _is_own(x: Any) -> bool:
    return (isinstance(x, np.ndarray) or lives_on_device(x)) and x.dtype.kind == "f"


def _is_foreign(x: object) -> bool:
    return type(x).__module__.partition(".")[0] in ("torch", "jax", "jaxlib") and hasattr(
        x, "dtype"
    )


def _ends(x: object, path: Path, seen: set[int]) -> Iterator[tuple[Path, Any]]:
    """The arrays and numbers in it."""
    if isinstance(x, (np.ndarray, float)) or lives_on_device(x) or _is_foreign(x):
        yield path, x
        return
    if id(x) in seen or len(path) > 8:
        return
    seen.add(id(x))
    for step, value in parts(x):
        yield from _ends(value, (*path, step), seen)


def parts(x: object) -> Iterator[tuple[tuple[str, Any], Any]]:
    """What an object is made of, and how to get there from it."""
    if isinstance(x, dict):
        yield from ((("item", k), v) for k, v in x.items())
    elif isinstance(x, (list, tuple, deque)):
        few = len(x) <= MANY
        yield from ((("item", k), v) for k, v in enumerate(x) if few or not isinstance(v, float))
    elif isinstance(x, MethodType):
        yield ("attribute", "__self__"), x.__self__
    elif not isinstance(x, (type, ModuleType, FunctionType, BuiltinFunctionType)):
        own = dict(getattr(x, "__dict__", {}))
        for cls in type(x).__mro__[:-1]:
            slots = vars(cls).get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if hasattr(x, name):
                    own.setdefault(name, getattr(x, name))
            for name, value in vars(cls).items():  # shared by all objects of the class
                if isinstance(value, (np.ndarray, float)) and not name.startswith("__"):
                    own.setdefault(name, value)
        yield from ((("attribute", k), v) for k, v in own.items())


def at(x: Any, path: Path) -> Any:
    """What an object keeps at a path."""
    for kind, key in path:
        x = getattr(x, key) if kind == "attribute" else x[key]
    return x


def find(x: object, path: Path) -> Any:
    """The same; None where there is nothing."""
    try:
        return at(x, path)
    except (AttributeError, LookupError, TypeError):
        return None


def put(x: Any, places: list[Path], value: Any) -> None:
    """Let an object keep another value in these places."""
    for path in places:
        owner, (kind, key) = at(x, path[:-1]), path[-1]
        if kind == "attribute":
            setattr(owner, key, value)
        elif isinstance(owner, tuple):  # made anew
            made = [value if i == key else part for i, part in enumerate(owner)]
            new = type(owner)(*made) if hasattr(owner, "_fields") else tuple(made)
            put(x, [path[:-1]], new)
        else:
            owner[key] = value


def spelled(path: Path) -> str:
    """As Python spells it, but for entries of ``params``, which go by their own name."""
    if len(path) == 2 and path[0] == ("attribute", "params") and isinstance(path[1][1], str):
        return path[1][1]
    text = "".join(f".{key}" if kind == "attribute" else f"[{key!r}]" for kind, key in path)
    return text.removeprefix(".")


def equal(a: object, b: object) -> bool:
    """Whether two arrays or numbers are the same."""
    return np.array_equal(to_numpy(a), to_numpy(b), equal_nan=True)
