"""Calling what somebody wrote, and seeing what it did beside returning: what it changed, what it
shares memory with, how it computed.

The same calls are made of the solution and of planted mistakes, in the grader, and of a submission,
in its own process. This file stands alone, as ``wire`` does.
"""

from __future__ import annotations

import copy
import linecache
import sys
import traceback
from collections.abc import Iterator
from types import CodeType, FrameType, ModuleType
from typing import Any

import numpy as np

# What travels: arrays, numbers, words, lists of these; from a stranger, anything.
Value = Any

MESSAGE = 300  # characters of an exception's message


def call(names: dict[str, Any], request: dict[str, Any], wire: ModuleType) -> dict[str, Any]:
    """Make the calls that a request asks for.

    Parameters
    ----------
    names : dict
        What the file defines.
    request : dict
        "functions", one or a pair; "args", "options"; for a pair "dys", cotangents for which the
        backward is wanted; for one "changes", arguments that it writes to; "look", whether to watch
        how a backward computes.
    wire : module
        ``wire``, of this process.

    Returns
    -------
    dict
        "y" or "results"; "gradients", for each dy; "changed", "shared", lists of sentences'
        subjects; "ways", what was seen of how a backward computes; "error", where it ended early.
    """
    where, said = request["functions"][0], {}
    try:
        if len(request["functions"]) == 1:
            return _call_one(names, request, wire)
        pair = _Pair(names, request, wire)
        said = pair.said
        pair.forward()
        for dy in request["dys"]:
            where = pair.backward_name
            pair.backward(dy)
        return said
    except BaseException as error:
        return {**said, "error": told(error, where, names.get("__file__", ""))}


def told(error: BaseException, where: str, file: str = "") -> dict[str, Any]:
    """An exception, as what can be sent: its last line in somebody's file, too."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if file and f.filename == file]
    line = (own[-1].lineno or 0) if own else getattr(error, "lineno", None) or 0
    try:
        message = str(error)[:MESSAGE]
    except BaseException:  # a class of their own
        message = ""
    return {
        "where": where,
        "type": type(error).__name__,
        "message": message,
        "line": int(line),
        "text": linecache.getline(file, line).strip()[:MESSAGE] if line else "",
    }


def made(value: Value, wire: ModuleType) -> Value:
    """An argument as the function gets it: arrays of its own, generators, functions."""
    if isinstance(value, wire.Seed):
        return np.random.default_rng(value.seed)
    if isinstance(value, wire.Code):
        return eval(value.text, {"np": np})
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (list, tuple):
        return type(value)(made(part, wire) for part in value)
    if isinstance(value, dict):
        return {k: made(part, wire) for k, part in value.items()}
    return value


def awake(value: Value, wire: ModuleType) -> Value:
    """As ``made``, but for arrays, which stay what they are, watched or not."""
    if isinstance(value, (wire.Seed, wire.Code)):
        return made(value, wire)
    if type(value) in (list, tuple):
        return type(value)(awake(part, wire) for part in value)
    if type(value) is dict:
        return {k: awake(part, wire) for k, part in value.items()}
    return value


def arrays_in(value: Value) -> Iterator[np.ndarray]:
    """The arrays in lists, tuples and dictionaries."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from arrays_in(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from arrays_in(part)


def _equal(a: Value, b: Value) -> bool:
    pairs = zip(arrays_in(a), arrays_in(b), strict=True)
    return all(x.shape == y.shape and np.array_equal(x, y, equal_nan=True) for x, y in pairs)


def _share(a: Value, b: Value) -> bool:
    return any(np.may_share_memory(x, y) for x in arrays_in(a) for y in arrays_in(b))


def _function(names: dict[str, Any], name: str) -> Value:
    f = names.get(name)
    if not callable(f):
        raise NameError(f"there is no function {name} in the file")
    return f


def _call_one(names: dict[str, Any], request: dict[str, Any], wire: ModuleType) -> dict[str, Any]:
    (name,) = request["functions"]
    f = _function(names, name)
    args = made(request["args"], wire)
    before = copy.deepcopy([a for a in args if isinstance(a, (np.ndarray, list, tuple, dict))])
    arrays = [a for a in args if isinstance(a, (np.ndarray, list, tuple, dict))]
    results = f(*args, **made(request["options"], wire))
    places = [i for i, a in enumerate(args) if isinstance(a, (np.ndarray, list, tuple, dict))]
    asked = request.get("changes", [])
    changed = [
        places[k]
        for k, (a, b) in enumerate(zip(arrays, before, strict=True))
        if places[k] not in asked and not _equal(a, b)
    ]
    kept = [a for i, a in enumerate(args) if i not in asked]
    new = tuple(args[i] for i in asked)
    shared = ["what it returns, with an argument"] if _share(results, kept) else []
    return {"results": results, "new": new, "changed": changed, "shared": shared}


class _Pair:
    """One forward and calls of its backward."""

    def __init__(self, names: dict[str, Any], request: dict[str, Any], wire: ModuleType) -> None:
        self.forward_name, self.backward_name = request["functions"]
        self.f, self.names = _function(names, self.forward_name), names
        self.args = made(request["args"], wire)
        self.options = made(request["options"], wire)
        self.before = copy.deepcopy(self._arrays())
        self.look = request.get("look", False)
        self.said: dict[str, Any] = {"gradients": [], "changed": [], "shared": [], "ways": {}}

    def _arrays(self) -> list[Any]:
        kinds = (np.ndarray, list, tuple, dict)
        return [a if isinstance(a, kinds) else None for a in self.args]

    def _see_changes(self) -> None:
        for i, (a, b) in enumerate(zip(self._arrays(), self.before, strict=True)):
            if i not in self.said["changed"] and not _equal(a, b):
                self.said["changed"].append(i)

    def forward(self) -> None:
        result = self.f(*self.args, **self.options)
        if not isinstance(result, tuple) or len(result) != 2:
            kind = f"{len(result)} values" if isinstance(result, tuple) else type(result).__name__
            raise TypeError(f"{self.forward_name} returned {kind}, expected y, cache")
        self.y, self.cache = result
        self.said["y"] = copy.deepcopy(self.y)
        self._see_changes()
        if _share(self.y, self.args):
            self.said["shared"].append("y, with an argument")

    def backward(self, dy: Value) -> None:
        backward = _function(self.names, self.backward_name)
        given = made_dy = copy.deepcopy(dy)
        if isinstance(dy, np.ndarray) and dy.shape == ():
            given = made_dy[()]
        watch = _Watch(self.f, backward)
        if self.look:
            with watch:
                gradients = backward(given, self.cache)
            self.said["ways"] = watch.seen
        else:
            gradients = backward(given, self.cache)
        self.said["gradients"].append(copy.deepcopy(gradients))
        self._see_changes()
        if "dy" not in self.said["changed"] and not _equal(made_dy, dy):
            self.said["changed"].append("dy")
        if not self.said["shared"]:
            self._see_sharing(gradients, made_dy)

    def _see_sharing(self, gradients: Value, dy: Value) -> None:
        parts = gradients if isinstance(gradients, (tuple, list)) else (gradients,)
        for i, part in enumerate(parts):
            if _share(part, self.args) or _share(part, dy):
                self.said["shared"].append(f"gradient {i + 1}, with an argument or dy")
            elif any(_share(part, other) for other in parts[:i]):
                self.said["shared"].append(f"gradient {i + 1}, with another gradient")


class _Watch:
    """How a backward computes: does it call the forward, or count in numbers that no gradient
    needs?"""

    def __init__(self, forward: Value, backward: Value) -> None:
        self.forward = self._like(getattr(forward, "__code__", None))
        self.seen: dict[str, Any] = {"forwards": 0, "strange": ""}
        self.before = sys.getprofile()

    @staticmethod
    def _like(code: CodeType | None) -> Value:
        """What a copy under another name has in common with it."""
        return None if code is None else (code.co_code, code.co_names, code.co_argcount)

    def __enter__(self) -> None:
        sys.setprofile(self._hear)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(self.before if callable(self.before) else None)  # not so under cProfile

    def _hear(self, frame: FrameType, event: str, arg: Value) -> None:
        if event == "call" and self._like(frame.f_code) == self.forward:
            self.seen["forwards"] += 1
        elif event == "return" and "site-packages" not in frame.f_code.co_filename:
            for value in frame.f_locals.values():
                kind = getattr(getattr(value, "dtype", None), "char", "")
                if kind and kind in "FDGg":
                    self.seen["strange"] = "complex" if kind in "FDG" else "longdouble"
