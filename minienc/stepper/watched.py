"""The arrays of a tape: they compute as NumPy's do, and tell the tape.

Whatever NumPy offers of an operation, its function, its method, its operator, writes down the same.
An array that is a view knows of what: a write to either is a new value of both.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from minienc.stepper.tape import Tape


class Ref(NamedTuple):
    """A value of the tape, among an operation's arguments."""

    value: int


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
