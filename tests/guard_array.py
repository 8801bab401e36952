"""An array that refuses what CuPy's arrays refuse, though NumPy computes beneath it.

``np.asarray(guard)`` raises, so does mixing with an ndarray, so does a NumPy function on it; only
the functions of ``guard_module`` work, all of which CuPy has. What runs on it runs on a GPU as far
as dispatch goes.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from minienc.arrays import register_array_module


class GuardArray:
    """A NumPy-backed test double of ``cupy.ndarray``."""

    __array_priority__ = 1000

    def __init__(self, values: np.ndarray) -> None:
        assert isinstance(values, (np.ndarray, np.generic)), type(values)
        self._values = np.asarray(values)

    # -- what CuPy refuses

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("implicit conversion to a NumPy array is not allowed")

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"np.{ufunc.__name__} was called on an array of the device")

    def __array_function__(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"np.{function.__name__} was called on an array of the device")

    def __bool__(self) -> bool:
        return bool(self._values)

    def __float__(self) -> float:
        return float(self._values)

    def __int__(self) -> int:
        return int(self._values)

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
    def T(self) -> GuardArray:
        return GuardArray(self._values.T)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Any) -> GuardArray:
        return GuardArray(self._values[_bare_index(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._values[_bare_index(index)] = _bare(value)

    def __repr__(self) -> str:
        return f"GuardArray({self._values!r})"


def _bare(x: Any) -> Any:
    """The numbers of a GuardArray; plain numbers as they are; nothing else."""
    if isinstance(x, GuardArray):
        return x._values
    if isinstance(x, np.ndarray):
        raise TypeError("an ndarray of the host is mixed with an array of the device")
    return x


def _bare_index(index: Any) -> Any:
    return tuple(map(_bare, index)) if isinstance(index, tuple) else _bare(index)


def _wrap(result: Any) -> Any:
    return GuardArray(result) if isinstance(result, (np.ndarray, np.generic)) else result


def _binary(name: str) -> Any:
    function = getattr(operator, name)

    def forward(self: GuardArray, other: Any) -> Any:
        return _wrap(function(self._values, _bare(other)))

    def backward(self: GuardArray, other: Any) -> Any:
        return _wrap(function(_bare(other), self._values))

    return forward, backward


for _name in ("add", "sub", "mul", "truediv", "pow", "matmul", "and_", "or_"):
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
        self._values = function(self._values, _bare(other))  # CuPy has no __imatmul__
        return self

    return method


for _name in ("iadd", "isub", "imul", "itruediv"):
    setattr(GuardArray, f"__{_name}__", _in_place(_name))


def _unary(name: str) -> Any:
    function = getattr(operator, name)
    return lambda self: _wrap(function(self._values))


for _name in ("neg", "abs", "invert"):
    setattr(GuardArray, f"__{_name}__", _unary(_name))


def _method(name: str) -> Any:
    def method(self: GuardArray, *args: Any, **kwargs: Any) -> Any:
        return _wrap(getattr(self._values, name)(*map(_bare, args), **kwargs))

    return method


for _name in (
    *("sum", "mean", "max", "min", "argmax", "all", "any", "std"),
    *("copy", "astype", "reshape", "ravel", "transpose", "fill"),
):
    setattr(GuardArray, _name, _method(_name))


class _GuardModule:
    """Stands where ``cupy`` stands: the functions of NumPy's names that CuPy has."""

    names = (
        *("abs", "exp", "expm1", "log", "log1p", "sqrt", "tanh", "sign", "maximum", "minimum"),
        *("where", "clip", "concatenate", "take_along_axis", "arange", "isfinite"),
        *("pad", "repeat"),
        *("zeros", "ones", "empty", "full", "zeros_like", "ones_like", "full_like", "empty_like"),
    )

    def __getattr__(self, name: str) -> Any:
        if name not in self.names:
            raise AttributeError(f"the guard's module has no {name}; does CuPy?")
        function = getattr(np, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            bare = [
                tuple(map(_bare, a)) if isinstance(a, (tuple, list)) else _bare(a) for a in args
            ]
            return _wrap(function(*bare, **{k: _bare(v) for k, v in kwargs.items()}))

        return wrapped

    class lib:  # noqa: N801  (modules are written small)
        class stride_tricks:  # noqa: N801
            @staticmethod
            def sliding_window_view(x: GuardArray, *args: Any, **kwargs: Any) -> GuardArray:
                return GuardArray(
                    np.lib.stride_tricks.sliding_window_view(x._values, *args, **kwargs)
                )

    @staticmethod
    def asarray(x: Any, dtype: Any = None) -> GuardArray:
        """The door: what lives on the host is copied over."""
        if isinstance(x, GuardArray):
            return x if dtype is None else GuardArray(x._values.astype(dtype))
        return GuardArray(np.array(x, dtype=dtype))

    @staticmethod
    def asnumpy(x: Any) -> np.ndarray:
        return x._values.copy() if isinstance(x, GuardArray) else np.asarray(x)


guard_module = _GuardModule()
register_array_module(GuardArray, guard_module, device="guard")


def to_guard(x: Any) -> Any:
    """Move an ndarray (or everything in a tuple) over; other things stay."""
    if isinstance(x, tuple):
        return tuple(map(to_guard, x))
    return guard_module.asarray(x) if isinstance(x, np.ndarray) else x
