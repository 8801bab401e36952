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

import operator
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar, Token
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import register_array_module

MANY = 100_000  # operations; what takes more is a loop that nobody would walk through


class Ref(NamedTuple):
    """A value of the tape, among an operation's arguments."""

    value: int


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
                picked = _Part(compute, i)
                parts.append(self.wrap(f"{kind}[{i}]", picked, arguments, options, part))
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


class _Part(NamedTuple):
    """One of several results."""

    compute: Callable[..., Any]
    i: int

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.compute(*args, **kwargs)[self.i]


_current: ContextVar[Tape] = ContextVar("tape")


def mapped(f: Callable[[Any], Any], x: Any) -> Any:
    """``f`` of each part of a tuple, list, dictionary or slice; other things stay as they are."""
    if isinstance(x, tuple):
        parts = [f(part) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    if isinstance(x, list):
        return [f(part) for part in x]
    if isinstance(x, dict):
        return {k: f(part) for k, part in x.items()}
    return slice(f(x.start), f(x.stop), f(x.step)) if isinstance(x, slice) else x


def bare(x: Any) -> Any:
    """The numbers of watched arrays."""
    return x.numbers if isinstance(x, Watched) else mapped(bare, x)


def referred(x: Any) -> Any:
    """Watched arrays as references; arrays that no tape knows as they are."""
    return Ref(x.index) if isinstance(x, Watched) else mapped(referred, x)


def refs_in(x: Any) -> Iterator[int]:
    """The values that are referred to."""
    if isinstance(x, Ref):
        yield x.value
    elif isinstance(x, Operation):
        yield from refs_in(x.arguments)
        yield from refs_in(x.options)
    elif isinstance(x, slice):
        yield from refs_in((x.start, x.stop, x.step))
    elif isinstance(x, (tuple, list)):
        for part in x:
            yield from refs_in(part)
    elif isinstance(x, dict):
        yield from refs_in(list(x.values()))


# ------------------------------------------------------------------------------------- the array


class Watched:
    """An array of a tape.

    ``parent`` is the array that it is a view of, ``view`` what makes it from there and ``back``
    what makes the parent's new value where this one was written to: a kind, what computes it, and
    of both arrays the arguments.
    """

    def __init__(self, tape: Tape, numbers: Any, index: int) -> None:
        self.tape, self._numbers, self._index = tape, numbers, index
        self.parent: Watched | None = None
        self.seen = -1  # the parent's value when this one was made
        self.view: Any = None
        self.back: Any = None

    @property
    def numbers(self) -> Any:
        return self._numbers

    @property
    def index(self) -> int:
        """Its value now: a parent that was written to has changed it."""
        if self.parent is not None and self.parent.index != self.seen:
            kind, compute, arguments = self.view
            self._move(kind, compute, (self.parent, *arguments))
            self.seen = self.parent.index
        return self._index

    def _move(self, kind: str, compute: Callable, arguments: tuple) -> None:
        """From now on it is another value."""
        kept = np.array(self._numbers)
        kept.flags.writeable = False
        refs = referred(arguments)
        self.tape.values.append(kept)
        self._index = len(self.tape.values) - 1
        self.tape._note(kind, refs, {}, self._index, compute)

    def written(self, kind: str, compute: Callable, arguments: tuple) -> None:
        """It was written to: so are those that it is a view of."""
        self._move(kind, compute, arguments)
        if self.parent is not None and np.shares_memory(self._numbers, self.parent._numbers):
            back, put, arguments_of = self.back
            self.parent.written(back, put, arguments_of(self.parent, self))
            self.seen = self.parent.index

    def _part(self, kind: str, compute: Callable, arguments: tuple, back: tuple) -> Any:
        """A view, or what NumPy makes where there is none."""
        result = compute(self._numbers, *bare(arguments))
        one = self.tape.wrap(kind, compute, (self, *arguments), {}, result)
        if isinstance(result, np.ndarray) and np.may_share_memory(result, self._numbers):
            one.parent, one.seen = self, self.index
            one.view, one.back = (kind, compute, arguments), back
        return one

    # -- what NumPy asks for

    def __array_ufunc__(self, ufunc: Any, method: str, *given: Any, **options: Any) -> Any:
        out = options.pop("out", None)
        if method == "at":
            total, *rest = given
            return _write(total, f"{ufunc.__name__}.at", partial_at(ufunc), *rest)
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        result = self.tape.apply(name, getattr(ufunc, method), *given, **options)
        if out is None:
            return result
        return _write(out[0], "assign", lambda old, new: np.copyto(old, new), result)

    def __array_function__(self, function: Any, types: Any, given: Any, options: Any) -> Any:
        if function.__name__ in _VIEWS and isinstance(given[0], Watched) and not options:
            return getattr(given[0], function.__name__)(*given[1:])
        return self.tape.apply(function.__name__, function, *given, **options)

    # -- parts and views

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, Watched):
            index = (index,)
        back = "setitem", _put, lambda whole, part: (whole, index, part)
        return self._part("getitem", _getitem, (index,), back)

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, Watched) and value.parent is self and value.view[2] == (index,):
            return  # the end of ``a[i] += b``, whose part was written to already
        _write(self, "setitem", operator.setitem, index, value)

    @property
    def T(self) -> Any:
        return self.transpose()

    def transpose(self, *axes: Any) -> Any:
        axes = axes[0] if len(axes) == 1 and not isinstance(axes[0], (int, np.integer)) else axes
        axes = tuple(axes or range(self.ndim)[::-1])
        inverse = tuple(map(int, np.argsort(axes)))
        back = "transpose", np.transpose, lambda whole, part: (part, inverse)
        return self._part("transpose", np.transpose, (axes,), back)

    def swapaxes(self, a: int, b: int) -> Any:
        axes = list(range(self.ndim))
        axes[a], axes[b] = axes[b], axes[a]
        return self.transpose(tuple(axes))

    def reshape(self, *shape: Any) -> Any:
        shape = shape[0] if len(shape) == 1 else shape
        back = "reshape", np.reshape, lambda whole, part: (part, self.shape)
        return self._part("reshape", np.reshape, (shape,), back)

    def ravel(self) -> Any:
        return self.reshape(-1)

    def squeeze(self, axis: Any = None) -> Any:
        return self.reshape(np.squeeze(self._numbers, axis).shape)

    def __iter__(self) -> Iterator[Any]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        """The other methods of an array, by their names, and its plain facts."""
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"a NumPy array has no {name}")
        method = getattr(self._numbers, name)
        if not callable(method):
            return method

        def compute(a: Any, *args: Any, **kwargs: Any) -> Any:
            return getattr(a, name)(*args, **kwargs)

        return lambda *args, **kwargs: self.tape.apply(name, compute, self, *args, **kwargs)

    # -- as a number, which leaves the tape

    def __len__(self) -> int:
        return len(self._numbers)

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def __float__(self) -> float:
        return float(self._numbers)

    def __int__(self) -> int:
        return int(self._numbers)

    def __index__(self) -> int:
        return operator.index(self._numbers)

    def __complex__(self) -> complex:
        return complex(self._numbers)

    def item(self, *args: Any) -> Any:
        return self._numbers.item(*args)

    def tolist(self) -> Any:
        return self._numbers.tolist()

    def tobytes(self) -> bytes:
        return self._numbers.tobytes()

    def __repr__(self) -> str:
        return repr(self._numbers)

    def __format__(self, spec: str) -> str:
        return format(self._numbers, spec)

    __hash__ = None  # type: ignore[assignment]


_VIEWS = ("transpose", "swapaxes", "reshape", "ravel", "squeeze")


def _getitem(a: Any, index: Any) -> Any:
    return a[index]


def _put(a: Any, index: Any, part: Any) -> Any:
    a = a.copy()
    a[index] = part
    return a


def partial_at(ufunc: Any) -> Callable[..., None]:
    return lambda total, *rest: ufunc.at(total, *rest)


def _write(target: Any, kind: str, change: Callable[..., Any], *arguments: Any) -> Any:
    """``change(target, ...)`` in place; in the program it gives another value."""
    target.index  # noqa: B018  (what it is before)
    refs = (Ref(target.index), *referred(arguments))

    def compute(a: Any, *rest: Any) -> Any:
        a = np.array(a)
        change(a, *rest)
        return a

    change(target._numbers, *map(bare, arguments))
    target.written(kind, compute, refs)
    return target


# ---------------------------------------------------------------------------------- its operators

_BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "matmul": "matmul",
    "and_": "bitwise_and",
    "or_": "bitwise_or",
    "xor": "bitwise_xor",
}
_COMPARED = {
    **{"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal"},
    **{"gt": "greater", "ge": "greater_equal"},
}
_UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}


def _binary(kind: str, function: Any) -> tuple[Callable, Callable, Callable]:
    in_place = getattr(operator, f"i{function.__name__.rstrip('_')}", None)

    def forward(self: Watched, other: Any) -> Any:
        return self.tape.apply(kind, function, self, other)

    def backward(self: Watched, other: Any) -> Any:
        return self.tape.apply(kind, function, other, self)

    def inside(self: Watched, other: Any) -> Any:
        if not isinstance(self._numbers, np.ndarray):  # a number is not written to
            return forward(self, other)
        return _write(self, kind, in_place, other)  # type: ignore[arg-type]

    return forward, backward, inside


for _name, _kind in {**_BINARY, **_COMPARED}.items():
    _slot = _name.rstrip("_")
    _forward, _backward, _inside = _binary(_kind, getattr(operator, _name))
    setattr(Watched, f"__{_slot}__", _forward)
    if _name in _BINARY:
        setattr(Watched, f"__r{_slot}__", _backward)
        setattr(Watched, f"__i{_slot}__", _inside)


def _unary(kind: str, function: Any) -> Callable:
    return lambda self: self.tape.apply(kind, function, self)


for _name, _kind in _UNARY.items():
    setattr(Watched, f"__{_name}__", _unary(_kind, getattr(operator, _name)))


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
