"""An array that writes down what is done with it.

    tape = Tape()
    with tape:
        y = f(tape.watch(x), tape.watch(W))       # f is anybody's, and written for NumPy
    tape.operations                               # matmul of values 0 and 1 gave value 2, ...

Every operation computes with NumPy beneath it, on the same numbers, so results have the bits that
they have without a tape. A ``Watched`` array is registered as an array module of its own, as CuPy's
and JAX's are: what asks ``get_array_module(x)`` is recorded as it stands.

A value never changes. Where an array is written to (``dx[i] = ...``, ``v += g``), what stands there
afterwards is another value, and the arrays that are views of it have new values, too. So the tape
is a program: ``Tape.again`` runs it with some of its values altered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar, Token
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import register_array_module
from minienc.stepper.watched import Ref, Watched, bare, mapped, referred, refs_in

MANY = 100_000  # operations; what takes more is a loop that nobody would walk through


class Operation(NamedTuple):
    """What made a value."""

    kind: str  # NumPy's name of it: "matmul", "sum", "getitem"
    arguments: tuple  # a Ref for each value; numbers, slices, shapes and lists as they are
    options: dict[str, Any]
    result: int
    visit: int  # of a line of the source; -1 outside of all
    compute: Callable[..., Any]


class TooMuchError(ValueError):
    """More operations than a reader would walk through."""


class Tape:
    """Values, and the operations that made them; a context in which new arrays belong to it."""

    def __init__(self) -> None:
        self.values: list[np.ndarray] = []
        self.operations: list[Operation] = []
        self.visit = -1  # the line that is being run; a tracer says
        self._of_values: dict[int, Watched] = {}  # id of an ndarray that was watched -> itself
        self._held: list[Any] = []  # what those are the ids of
        self._tokens: list[Token] = []

    def __enter__(self) -> Tape:
        self._tokens.append(_current.set(self))
        return self

    def __exit__(self, *error: Any) -> None:
        _current.reset(self._tokens.pop())

    def watch(self, x: Any) -> Any:
        """An array, or all arrays of a tuple, dictionary or list, as watched ones; the same array
        is the same value, however often it comes. Other things stay."""
        if isinstance(x, (np.ndarray, np.generic)):
            if id(x) not in self._of_values:
                one = self._new(x.copy() if isinstance(x, np.ndarray) else x)
                self.take_for(x, one)
            return self._of_values[id(x)]
        return mapped(self.watch, x)

    def take_for(self, x: Any, one: Watched) -> None:
        """From now on an array is this value: it holds the same numbers."""
        self._of_values[id(x)] = one
        self._held.append(x)

    def constant(self, value: Any) -> Watched:
        """An array that was made of no other."""
        one = self._new(value)
        self._note("constant", (), {}, one.index, lambda: value)
        return one

    def _new(self, value: Any) -> Watched:
        kept = np.array(value)
        kept.flags.writeable = False
        self.values.append(kept)
        return Watched(self, value, len(self.values) - 1)

    def _note(self, kind: str, arguments: Any, options: Any, result: int, compute: Any) -> None:
        if len(self.operations) == MANY:
            raise TooMuchError(f"more than {MANY:,} operations: smaller arrays would do")
        self.operations.append(Operation(kind, arguments, options, result, self.visit, compute))

    def apply(self, kind: str, compute: Callable, *arguments: Any, **options: Any) -> Any:
        """Compute, and write down each array of the result."""
        result = compute(*map(bare, arguments), **bare(options))
        return self.wrap(kind, compute, arguments, options, result)

    def wrap(self, kind: str, compute: Any, arguments: Any, options: Any, result: Any) -> Any:
        if isinstance(result, (list, tuple)):
            parts = []
            for i, part in enumerate(result):
                which = _Part(compute, i)
                parts.append(self.wrap(f"{kind}[{i}]", which, arguments, options, part))
            return type(result)(parts) if type(result) in (list, tuple) else tuple(parts)
        if not isinstance(result, (np.ndarray, np.generic)):
            return result
        refs, named = referred(arguments), referred(options)
        one = self._new(result)
        self._note(kind, refs, named, one.index, compute)
        return one

    def behind(self, sources: Iterable[int], until: int | None = None) -> list[Operation]:
        """Of the first ``until`` operations, those that depend on some values."""
        reached, found = set(sources), []
        for op in self.operations[:until]:
            if op.result not in reached and any(ref in reached for ref in refs_in(op)):
                reached.add(op.result)
                found.append(op)
        return found

    def again(
        self, altered: dict[int, Any], program: Iterable[Operation] | None = None
    ) -> dict[int, Any]:
        """Run the program with other values in the place of some: all that is different then.
        ``program`` is what ``behind`` found for them."""
        now: dict[int, Any] = dict(altered)

        def fetch(x: Any) -> Any:
            if isinstance(x, Ref):
                return now.get(x.value, self.values[x.value])
            return mapped(fetch, x) if isinstance(x, (tuple, list, dict, slice)) else x

        for op in self.behind(altered) if program is None else program:
            now[op.result] = op.compute(*map(fetch, op.arguments), **fetch(op.options))
        return now


class _Part:
    """One of several results."""

    def __init__(self, compute: Callable[..., Any], i: int) -> None:
        self.compute, self.i = compute, i

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.compute(*args, **kwargs)[self.i]


_current: ContextVar[Tape] = ContextVar("tape")


# -------------------------------------------------------------------------------------- its module


class _Numpy:
    """NumPy, whose new arrays belong to the tape at hand."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        if isinstance(found, ModuleType):
            return _Numpy(found)
        if isinstance(found, (type, np.ufunc)) or not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            if name in ("array", "asarray", "ascontiguousarray"):
                return _as_array(found, *args, **kwargs)
            result = found(*args, **kwargs)
            return _current.get().constant(result) if isinstance(result, np.ndarray) else result

        return call

    @staticmethod
    def asnumpy(x: Any) -> np.ndarray:
        return np.asarray(bare(x))


def _as_array(found: Callable, x: Any, *args: Any, **kwargs: Any) -> Any:
    tape = _current.get()
    if isinstance(x, Watched):
        if found is np.array or args or kwargs:
            return tape.apply("array", found, x, *args, **kwargs)
        return x
    if any(True for _ in refs_in(referred(x))):  # [[a, b], [c, d]] of watched numbers
        return tape.apply("array", found, x, *args, **kwargs)
    return tape.constant(found(x, *args, **kwargs))


recording_numpy = _Numpy(np)
register_array_module(Watched, recording_numpy)
