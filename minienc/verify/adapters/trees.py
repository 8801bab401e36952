"""Arguments that hold arrays inside: a dictionary of parameters, a list of them, and numbers.

Differences move arrays that have names. So what is given is taken apart into such arrays, its
*leaves*, and put together again, as the function wants it, before every call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from minienc.verify.subject import Arguments

NESTED = (dict, list, tuple)


class Leaf(NamedTuple):
    """Stands in an argument where an array was."""

    name: str
    is_number: bool = False  # it was a plain number, and is handed over as one


class Inputs(NamedTuple):
    """What a function is given: the leaves by name, and the arguments with leaves in them."""

    leaves: Arguments
    trees: Arguments  # by the function's own names
    notes: list[str]

    def values(self, given: Arguments) -> Arguments:
        """The arguments, with these arrays in place of the leaves."""
        return {k: _put_together(tree, given) for k, tree in self.trees.items()}

    def under(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Leaves by their own names, or by that of the argument that holds them."""
        held = {k: [leaf.name for leaf in leaves_of(tree)] for k, tree in self.trees.items()}
        found = [n for k in names for n in ([k] if k in self.leaves else held.get(k, [k]))]
        return tuple(dict.fromkeys(found))


def take_apart(arguments: Arguments) -> Inputs:
    """The arguments by their leaves. Arrays within dictionaries and lists have their key's name,
    if nothing else is called so, or are spelled as Python would: ``layers[0]['W']``.

    Plain numbers are constants beside arrays; where there is no array at all, they are what the
    function is differentiated by.
    """
    notes: list[str] = []
    if not any(map(holds_floats, arguments.values())):
        arguments = {k: _as_arrays(k, a, notes) for k, a in arguments.items()}
    paths = [path for k, a in arguments.items() if _is_tree(a) for path in _paths(a, (k,))]
    keys = Counter([path[-1] for path in paths] + list(arguments))
    names = {
        path: path[-1] if isinstance(path[-1], str) and keys[path[-1]] == 1 else _spelled(path)
        for path in paths
    }
    trees: Arguments = {}
    leaves: Arguments = {}
    for k, a in arguments.items():
        if _is_tree(a):
            trees[k] = _with_leaves(a, (k,), names)
            leaves |= {names[path]: _at(a, path[1:]) for path in paths if path[0] == k}
        else:
            trees[k] = Leaf(k, isinstance(a, _Number))
            leaves[k] = np.asarray(a) if isinstance(a, _Number) else a
    leaves = {k: np.asarray(a) if isinstance(a, _Number) else a for k, a in leaves.items()}
    return Inputs(leaves, trees, notes)


def holds_floats(value: object, kinds: str = "fc") -> bool:
    """Whether there are floating (or complex) arrays in it, but for running averages."""
    if isinstance(value, dict):
        return any(holds_floats(v, kinds) for k, v in value.items() if not _is_state(k))
    if isinstance(value, (list, tuple)):
        return any(holds_floats(v, kinds) for v in value)
    return kind_of(value) in kinds if kind_of(value) else False


def kind_of(x: object) -> str:
    """The kind of an array's dtype ("f", "i", "c"); "" for what is no array."""
    if isinstance(x, (type, ModuleType)) or not hasattr(x, "dtype") or not hasattr(x, "shape"):
        return ""  # NumPy itself has a dtype and a shape
    kind = getattr(x.dtype, "kind", "")
    return kind if isinstance(kind, str) else ""


def leaves_of(tree: object) -> Iterator[Leaf]:
    """The leaves in an argument, in order."""
    if isinstance(tree, Leaf):
        yield tree
    elif isinstance(tree, NESTED):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from leaves_of(part)


# ------------------------------------------------------------------------------------ within it


class _Number(np.ndarray):
    """A plain number, as an array without axes."""


def _as_arrays(name: str, value: object, notes: list[str]) -> Any:
    """Plain floats as arrays; a list of numbers as one array."""
    if isinstance(value, float) and not hasattr(value, "dtype"):
        return np.asarray(value).view(_Number)
    if isinstance(value, dict):
        return {k: _as_arrays(f"{name}[{k!r}]", v, notes) for k, v in value.items()}
    if isinstance(value, (list, tuple)) and any(isinstance(n, float) for n in _numbers(value)):
        try:
            array = np.array(value, dtype=float)
        except (TypeError, ValueError):  # of several lengths, or not of numbers alone
            return value
        notes.append(f"{name} was given as a {type(value).__name__}, and is handed on as an array")
        return array
    return value


def _numbers(value: object) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _numbers(part)
    else:
        yield value


def _is_state(key: object) -> bool:
    return isinstance(key, str) and ("running" in key or "moving" in key)


def _is_tree(value: object) -> bool:
    return isinstance(value, NESTED) and any(True for _ in _paths(value, ()))


def _children(value: Any) -> Iterator[tuple[Any, Any]]:
    yield from value.items() if isinstance(value, dict) else enumerate(value)


def _is_leaf(key: object, value: object) -> bool:
    return isinstance(value, _Number) or (kind_of(value) in ("f", "c") and not _is_state(key))


def _paths(value: object, path: tuple) -> Iterator[tuple]:
    """Where the arrays are."""
    for key, part in _children(value):
        if isinstance(part, NESTED):
            yield from _paths(part, (*path, key))
        elif _is_leaf(key, part):
            yield (*path, key)


def _at(value: Any, path: tuple) -> Any:
    for key in path:
        value = value[key]
    return value


def _spelled(path: tuple) -> str:
    return path[0] + "".join(f"[{key!r}]" for key in path[1:])


def _remade(value: Any, parts: list) -> Any:
    """A dictionary, list or (named) tuple as it was, of other parts."""
    if isinstance(value, dict):
        return dict(zip(value, parts, strict=True))
    return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)


def _with_leaves(value: object, path: tuple, names: dict[tuple, str]) -> Any:
    if not isinstance(value, NESTED):
        return Leaf(names[path], isinstance(value, _Number)) if path in names else value
    return _remade(value, [_with_leaves(v, (*path, k), names) for k, v in _children(value)])


def _put_together(tree: object, given: Arguments) -> Any:
    if isinstance(tree, Leaf):
        value = given[tree.name]
        return value.item() if tree.is_number and hasattr(value, "item") else value
    if isinstance(tree, NESTED):
        return _remade(tree, [_put_together(part, given) for _, part in _children(tree)])
    return tree.copy() if isinstance(tree, np.ndarray) else tree
