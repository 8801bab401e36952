"""An array that refuses what CuPy's arrays refuse, though NumPy computes beneath it.

What runs on it runs on a GPU as far as dispatch goes. ``np.asarray(guard)`` raises, so does mixing
with an ndarray of any number of axes, so does a method or an argument that CuPy has not (by the
list of ``tests/test_names.py``). NumPy's own functions raise, too, where CuPy's arrays would answer
for them: in the source each is a place where ``xp`` was forgotten.

CuPy computes while Python goes on. Where a number is looked at, Python waits until everything is
done, so each such look is counted: ``with counting() as counts: ...; counts.waits``.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minienc.arrays import register_array_module
from tests.test_names import MODULES, UFUNC_KEYWORDS, read_list

CUPY = read_list()


@dataclass
class Counts:
    """What passed between host and device."""

    waits: int = 0  # looks at a number, copies to the host
    uploads: int = 0  # copies to the device


_counts = Counts()


@contextmanager
def counting() -> Iterator[Counts]:
    """Count what passes within the block."""
    global _counts
    before, _counts = _counts, Counts()
    try:
        yield _counts
    finally:
        _counts = before


class GuardArray:
    """A NumPy-backed test double of ``cupy.ndarray``."""

    def __init__(self, values: np.ndarray) -> None:
        assert isinstance(values, (np.ndarray, np.generic)), type(values)
        self._values = np.asarray(values)

    # -- what CuPy refuses

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("implicit conversion to a NumPy array is not allowed")

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        """``np.float64(2) * guard`` arrives here, for the scalar is NumPy's; nothing else may."""
        is_operator = method == "__call__" and ufunc.__name__ in _OPERATORS and not kwargs
        if is_operator and isinstance(args[0], np.generic):
            return _wrap(ufunc(args[0], _bare(args[1])))
        raise TypeError(f"np.{ufunc.__name__} was called on an array of the device")

    def __array_function__(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"np.{function.__name__} was called on an array of the device")

    # -- what makes Python wait for the device

    def _look(self) -> np.ndarray:
        _counts.waits += 1
        return self._values

    def get(self) -> np.ndarray:
        return self._look().copy()

    def item(self) -> Any:
        return self._look().item()

    def tolist(self) -> Any:
        return self._look().tolist()

    def tobytes(self) -> bytes:
        return self._look().tobytes()

    def __bool__(self) -> bool:
        return bool(self._look())

    def __float__(self) -> float:
        return float(self._look())

    def __int__(self) -> int:
        return int(self._look())

    def __complex__(self) -> complex:
        return complex(self._look())

    def __repr__(self) -> str:
        return f"GuardArray({self._values!r})"

    # -- what it has

    @property
    def shape(self) -> tuple[int, ...]:
        return self._values.shape

    @property
    def dtype(self) -> np.dtype:
        return self._values.dtype

    @property
    def ndim(self) -> int:
        return self._values.ndim

    @property
    def size(self) -> int:
        return self._values.size

    @property
    def nbytes(self) -> int:
        return self._values.nbytes

    @property
    def flags(self) -> Any:
        return self._values.flags

    @property
    def T(self) -> GuardArray:
        return GuardArray(self._values.T)

    @property
    def real(self) -> GuardArray:
        return GuardArray(self._values.real)

    @property
    def imag(self) -> GuardArray:
        return GuardArray(self._values.imag)

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[GuardArray]:
        return (GuardArray(row) for row in self._values)  # raises for no axes, as CuPy's does

    def __getitem__(self, index: Any) -> GuardArray:
        return GuardArray(self._values[_bare_index(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._values[_bare_index(index)] = _bare(value)

    def __getattr__(self, name: str) -> Any:
        """The methods that CuPy's arrays have, with the arguments that they take there."""
        takes = CUPY.array.get(name)
        if name.startswith("_") or takes is None or not hasattr(np.ndarray, name):
            raise AttributeError(f"the array of the device has no {name}; has CuPy's?")
        method = getattr(self._values, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            _check_keywords(name, kwargs, takes)
            bare = {k: _bare(v) for k, v in kwargs.items()}
            return _wrap(method(*map(_bare, args), **bare))

        return call


def _check_keywords(name: str, kwargs: dict[str, Any], takes: tuple[str, ...] | None) -> None:
    if takes is None or any(a.startswith("**") for a in takes):
        return
    for k in kwargs:
        if k not in takes:
            raise TypeError(f"{name}() got an unexpected keyword argument {k!r}: CuPy's lacks it")


def _bare(x: Any) -> Any:
    """The numbers of a GuardArray; plain numbers as they are; nothing else."""
    if isinstance(x, GuardArray):
        return x._values
    if isinstance(x, np.ndarray):
        raise TypeError("an ndarray of the host is mixed with an array of the device")
    if isinstance(x, (tuple, list)):
        return type(x)(map(_bare, x))
    return x


def _bare_index(index: Any) -> Any:
    """To pick by a mask, the device has to say how many there are."""
    for part in index if isinstance(index, tuple) else (index,):
        if isinstance(part, GuardArray) and part.dtype == bool:
            _counts.waits += 1
    return _bare(index)


def _wrap(result: Any) -> Any:
    """Every array of the device, those without axes as well: CuPy has no scalars."""
    if isinstance(result, tuple):
        return tuple(map(_wrap, result))
    return GuardArray(result) if isinstance(result, (np.ndarray, np.generic)) else result


# ---------------------------------------------------------------------------------- its operators

_OPERATORS = {"add", "subtract", "multiply", "divide", "power", "matmul", "floor_divide"} | {
    *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "remainder")
}


def _binary(name: str) -> Any:
    function = getattr(operator, name)

    def forward(self: GuardArray, other: Any) -> Any:
        return _wrap(function(self._values, _bare(other)))

    def backward(self: GuardArray, other: Any) -> Any:
        return _wrap(function(_bare(other), self._values))

    return forward, backward


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_"):
    _slot = _name.rstrip("_")
    _forward, _backward = _binary(_name)
    setattr(GuardArray, f"__{_slot}__", _forward)
    setattr(GuardArray, f"__r{_slot}__", _backward)
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(GuardArray, f"__{_name}__", _binary(_name)[0])
GuardArray.__hash__ = None  # type: ignore[assignment]


def _in_place(name: str) -> Any:
    function = getattr(operator, name)

    def method(self: GuardArray, other: Any) -> GuardArray:
        self._values = function(self._values, _bare(other))
        return self

    return method


for _name in ("iadd", "isub", "imul", "itruediv"):  # CuPy has no __imatmul__
    setattr(GuardArray, f"__{_name}__", _in_place(_name))


def _unary(name: str) -> Any:
    function = getattr(operator, name)
    return lambda self: _wrap(function(self._values))


for _name in ("neg", "abs", "invert"):
    setattr(GuardArray, f"__{_name}__", _unary(_name))


# -------------------------------------------------------------------------------------- its module


class _GuardModule:
    """Stands where ``cupy`` stands: the functions of NumPy's names that CuPy has."""

    def __init__(self, prefix: str = "", beneath: Any = np) -> None:
        self._prefix, self._beneath = prefix, beneath

    def __getattr__(self, name: str) -> Any:
        path = self._prefix + name
        if path in ("lib", *MODULES):
            return _GuardModule(f"{path}.", getattr(self._beneath, name))
        if path not in CUPY.module:
            raise AttributeError(f"CuPy has no {path}")
        function = getattr(self._beneath, name)
        if not callable(function) or isinstance(function, type):  # pi, newaxis, float32
            return function
        takes = tuple(UFUNC_KEYWORDS) if path in CUPY.ufuncs else CUPY.module[path]

        def call(*args: Any, **kwargs: Any) -> Any:
            _check_keywords(path, kwargs, takes)
            bare = {k: _bare(v) for k, v in kwargs.items()}
            return _wrap(function(*map(_bare, args), **bare))

        for method in ("at", "reduce", "accumulate"):
            if f"{path}.{method}" in CUPY.module:
                setattr(call, method, getattr(_GuardModule(f"{path}.", function), method))
        return call

    @staticmethod
    def asarray(x: Any, dtype: Any = None) -> GuardArray:
        """The door: what lives on the host is copied over."""
        if isinstance(x, GuardArray):
            return x if dtype in (None, x.dtype) else GuardArray(x._values.astype(dtype))
        _counts.uploads += 1
        return GuardArray(np.array(x, dtype=dtype))

    @staticmethod
    def asnumpy(x: Any) -> np.ndarray:
        return x.get() if isinstance(x, GuardArray) else np.asarray(x)


guard_module = _GuardModule()
register_array_module(GuardArray, guard_module, device="guard")


def to_guard(x: Any) -> Any:
    """Move an ndarray (or everything in a tuple) over; other things stay."""
    if isinstance(x, tuple):
        return tuple(map(to_guard, x))
    return guard_module.asarray(x) if isinstance(x, np.ndarray) else x
