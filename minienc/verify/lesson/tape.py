"""The operations of a forward, written down; and the same forward with some of them altered.

A wrong backward is often the right one of another forward: of one in which nothing comes back
through the mean, or in which tanh has the slope 1. To build such a forward, its arguments are
handed over as ``Watched`` arrays, whose operations pass through a ``Tape``: the first run writes
them down, later ones may compute single operations otherwise. What the forward does with Python's
numbers or with arrays of its own making alone is not seen.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

MANY = 4000  # operations: what takes more is too slow to be run so often
HERE = str(Path(__file__).parents[1])
NUMPY = str(Path(np.__file__).parent)
# rearrangements, which keep what is watched as it is
MOVES = {
    *("reshape", "transpose", "swapaxes", "moveaxis", "rollaxis", "ravel", "squeeze", "split"),
    *("expand_dims", "broadcast_to", "array_split", "hsplit", "vsplit", "atleast_2d", "flip"),
}


class AnotherPathError(Exception):
    """The forward took other operations than before."""


class Operation(NamedTuple):
    """One call of a NumPy function on watched arrays."""

    site: tuple  # where it is called from: the code of every caller, and the place in it
    name: str
    call: Callable[[list], Any]  # operands -> output
    operands: list[Any]  # their values: arrays, and Python's numbers
    names: list[str]  # of the operands that are arguments, or parts of them
    sources: list[int | None]  # which operation made each operand, or what it is a part of
    objects: list[Any]  # the operands themselves, to tell one from another
    output: np.ndarray

    @property
    def text(self) -> str:
        """How it is written."""
        return _source(*self.site[0]) or self.name

    def moving(self) -> Iterator[int]:
        """The operands that may depend on something: floating arrays."""
        kinds = (getattr(getattr(a, "dtype", None), "kind", "") for a in self.operands)
        return (i for i, kind in enumerate(kinds) if kind == "f")


Change = Callable[[Operation, list], Any]  # (as it was, operands as they are now) -> output


class Tape:
    """One run of a forward."""

    def __init__(self, before: list[Operation] | None = None) -> None:
        self.operations: list[Operation] = []
        self.before = before
        self.changes: dict[int, Change] = {}  # by the number of the operation
        self.now: list[list] = []  # operands, of a run with changes

    def watch(self, a: object, name: str = "", source: int | None = None) -> Any:
        """An array whose operations are told to this tape."""
        if np.asarray(a).dtype.kind != "f":
            return a
        one = np.asarray(a).view(Watched)
        one.tape, one.name, one.source = self, name, source
        return one

    def call(self, name: str, call: Callable[[list], Any], given: list) -> Any:
        """An operation: written down, or altered."""
        operands = [plain(a) for a in given]
        if self.before is not None:
            return self._again(name, call, operands)
        kept = [a.copy() if isinstance(a, np.ndarray) else a for a in operands]
        output = call(operands)
        if isinstance(output, (list, tuple)):
            return type(output)(map(self.watch, output))
        if np.asarray(output).dtype.kind != "f":
            return output
        if len(self.operations) == MANY:
            raise AnotherPathError("it takes too many operations")
        names = [getattr(a, "name", "") or "" for a in given]
        sources = [getattr(a, "source", None) for a in given]
        one = Operation(_site(name), name, call, kept, names, sources, given, np.array(output))
        self.operations.append(one)
        return self.watch(output, source=len(self.operations) - 1)

    def _again(self, name: str, call: Callable[[list], Any], operands: list) -> Any:
        k = len(self.now)
        output = call(operands)
        if isinstance(output, (list, tuple)):
            return type(output)(map(self.watch, output))
        if np.asarray(output).dtype.kind != "f":
            return output
        if k >= len(self.before or ()) or self.before[k].name != name:  # type: ignore[index]
            raise AnotherPathError(name)
        self.now.append(operands)
        if k in self.changes:
            output = self.changes[k](self.before[k], operands)  # type: ignore[index]
        return self.watch(output, source=k)


class Watched(np.ndarray):
    """An array whose operations are told to a tape; parts and copies of it are watched, too."""

    tape: Tape
    name: str
    source: int | None

    def __array_finalize__(self, obj: object) -> None:
        self.tape = getattr(obj, "tape", None)  # type: ignore[assignment]
        self.name, self.source = getattr(obj, "name", ""), getattr(obj, "source", None)

    def __getitem__(self, key: object) -> Any:
        part = super().__getitem__(plain(key))
        if isinstance(part, np.ndarray):
            return part
        return self.tape.watch(part, self.name, self.source)

    def __setitem__(self, key: object, value: object) -> None:
        """A mask that is written through is an operation, as in ``out[x < 0] = 0``."""
        if getattr(getattr(key, "dtype", None), "kind", "") != "b" or self.tape is None:
            super().__setitem__(plain(key), plain(value))
            return

        def call(operands: list) -> Any:
            made = np.array(operands[0])
            made[plain(key)] = operands[1]
            return made

        result = self.tape.call("setitem", call, [self, value])
        super().__setitem__(np.s_[...], plain(result))
        self.name, self.source = "", result.source

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **kw: Any):
        def call(operands: list) -> Any:
            return getattr(ufunc, method)(*operands, **kw)

        if method == "at":
            return call([plain(a) for a in inputs])
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        if out is not None and kw.get("where", True) is not True:
            getattr(ufunc, method)(*map(plain, inputs), out=tuple(map(plain, out)), **kw)
            return out[0]
        result = _tape_of((*inputs, *(out or ()))).call(name, call, list(inputs))
        if out is None:
            return result
        plain(out[0])[...] = plain(result)
        if isinstance(out[0], Watched):
            out[0].name, out[0].source = "", getattr(result, "source", None)
        return out[0]

    def __array_function__(self, function: Callable, types: Any, args: Any, kw: Any) -> Any:
        if function.__name__ in MOVES:
            return super().__array_function__(function, types, args, kw)
        leaves: list[Any] = []
        form = _take_out((args, kw), leaves)

        def call(operands: list) -> Any:
            args, kw = _put_back(form, iter(operands))
            return function(*args, **kw)

        return _tape_of(leaves).call(function.__name__, call, leaves)


def _method(name: str) -> Callable:
    return lambda self, *args, **kw: getattr(np, name)(self, *args, **kw)


for _name in ("dot", "sum", "mean", "var", "std", "max", "min", "prod", "clip"):
    setattr(Watched, _name, _method(_name))


def plain(a: object) -> Any:
    """An array as it was before it was watched."""
    if isinstance(a, tuple):
        return tuple(map(plain, a))
    return a.view(np.ndarray) if isinstance(a, Watched) else a


def _tape_of(arrays: Any) -> Tape:
    return next(a.tape for a in arrays if isinstance(a, Watched))


class _Leaf:
    """Where an operand stood among the arguments."""


def _take_out(x: object, leaves: list) -> Any:
    """The arguments of a call without their arrays, which go to ``leaves``."""
    if isinstance(x, np.ndarray):
        leaves.append(x)
        return _Leaf
    if isinstance(x, (tuple, list)):
        return type(x)(_take_out(part, leaves) for part in x)
    return {k: _take_out(v, leaves) for k, v in x.items()} if isinstance(x, dict) else x


def _put_back(form: object, operands: Iterator) -> Any:
    if form is _Leaf:
        return next(operands)
    if isinstance(form, (tuple, list)):
        return type(form)(_put_back(part, operands) for part in form)
    return {k: _put_back(v, operands) for k, v in form.items()} if isinstance(form, dict) else form


def _site(name: str) -> tuple:
    """The callers, from the operation outwards to where the checker calls the forward."""
    site: list[tuple[Any, int]] = []
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(HERE):
            if site:
                break
        elif not file.startswith(NUMPY):
            site.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back  # type: ignore[assignment]
    return (*(site or [(None, 0)]), name)


def _source(code: CodeType, at: int) -> str:
    """The expression at a place of a function's code; "" where its source is not to be had."""
    if code is None:
        return ""
    line, end, start, stop = list(code.co_positions())[at // 2]
    text = linecache.getline(code.co_filename, line or 0)
    if not text.strip():
        return ""
    stop = stop if line == end else None
    text = text.encode()[start:stop].decode(errors="ignore") if start is not None else text
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."
