"""The arrays, and the functions that make them."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.cuda_double.devices import (
    Device,
    Stream,
    allocated,
    get_current_stream,
    refuse_while_recording,
)

pinned: set[int] = set()  # addresses of memory that does not move


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):  # noqa: N801  (CuPy's name)
    """A NumPy-backed stand-in for ``cupy.ndarray``."""

    def __init__(self, values: np.ndarray, device: int | None = None) -> None:
        assert isinstance(values, np.ndarray)
        self._values = values
        self._device = Device.current if device is None else device

    def _view(self, values: np.ndarray) -> ndarray:
        return ndarray(values, self._device)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if ufunc is np.matmul and get_current_stream().graph is not None:
            raise NotImplementedError(
                "calling cuBLAS API during stream capture is currently unsupported"
            )
        out = kwargs.pop("out", None)
        bare = [values_of(x) for x in inputs]
        function = functools.partial(getattr(ufunc, method), *bare, **kwargs)
        if out is None:
            return made(function)
        (target,) = out
        get_current_stream().do(lambda: ufunc(*bare, out=target._values, casting="same_kind"))
        return target

    @property
    def shape(self) -> tuple[int, ...]:
        return self._values.shape

    @property
    def strides(self) -> tuple[int, ...]:
        return self._values.strides

    @property
    def dtype(self) -> np.dtype:
        return self._values.dtype

    @property
    def itemsize(self) -> int:
        return self._values.itemsize

    @property
    def nbytes(self) -> int:
        return self._values.nbytes

    @property
    def ndim(self) -> int:
        return self._values.ndim

    @property
    def size(self) -> int:
        return self._values.size

    @property
    def flags(self) -> Any:
        return self._values.flags

    @property
    def device(self) -> Device:
        return Device(self._device)

    @property
    def data(self) -> Any:
        return types.SimpleNamespace(ptr=self._values.ctypes.data, device_id=self._device)

    @property
    def T(self) -> ndarray:
        return self._view(self._values.T)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Any) -> ndarray:
        index = tuple(map(values_of, index)) if isinstance(index, tuple) else values_of(index)
        part = self._values[index] if index is Ellipsis else np.asarray(self._values[index])
        if not np.may_share_memory(part, self._values):  # NumPy's own views of single numbers
            if isinstance(index, int):
                return self._view(self._values[index : index + 1].reshape(()))
            return made(lambda: values_of(self)[index])
        return self._view(part)

    def __setitem__(self, index: Any, value: Any) -> None:
        target, bare = values_of(self)[index], values_of(value)
        get_current_stream().do(lambda: np.copyto(target, bare, casting="same_kind"))

    def _look(self) -> np.ndarray:
        refuse_while_recording("an array is looked at")
        return self._values

    def __bool__(self) -> bool:
        return bool(self._look())

    def __float__(self) -> float:
        return float(self._look())

    def get(self) -> np.ndarray:
        return self._look().copy()

    def set(self, values: np.ndarray, stream: Stream | None = None) -> None:
        assert values.dtype == self.dtype and values.shape == self.shape
        if stream not in (None, Stream.null):  # else the host would wait for the copy
            assert values.ctypes.data in pinned, "copied from memory that may move"
        (stream or get_current_stream()).do(lambda: np.copyto(self._values, values))

    def reshape(self, *shape: Any) -> ndarray:
        view = self._values.view()
        try:
            return self._view(np.reshape(view, shape[0] if len(shape) == 1 else shape, copy=False))
        except ValueError:
            return made(lambda: values_of(self).reshape(*shape))

    def ravel(self) -> ndarray:
        return self.reshape(-1)

    def transpose(self, *axes: Any) -> ndarray:
        return self._view(self._values.transpose(*axes))

    def astype(self, dtype: Any, copy: bool = True) -> ndarray:
        if self.dtype == dtype and not copy:
            return self
        return made(lambda: values_of(self).astype(dtype))

    def fill(self, value: Any) -> None:
        self[...] = value


def _method(name: str) -> Any:
    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        return made(lambda: getattr(values_of(self), name)(*args, **kwargs))

    return method


for _name in (
    "sum",
    "mean",
    "max",
    "min",
    "argmax",
    "argmin",
    "all",
    "any",
    "std",
    "copy",
    "swapaxes",
):
    setattr(ndarray, _name, _method(_name))
ndarray.swapaxes = _method("swapaxes")


def values_of(x: Any) -> Any:
    """The NumPy array beneath; what lives elsewhere is refused as CuPy refuses it."""
    if isinstance(x, ndarray):
        if x._device != Device.current:
            raise ValueError(
                f"Array device must be same as the current device: array device = {x._device} "
                f"while current = {Device.current}"
            )
        return x._values
    if isinstance(x, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    return x


def made(function: Callable[[], Any]) -> ndarray:
    """A new array of what the function returns; while recording, of that at each launch."""
    array = ndarray(allocated(function()))
    stream = get_current_stream()
    if stream.graph is not None:
        array._values[...] = np.nan if array.dtype.kind == "f" else 0
        stream.do(lambda: np.copyto(array._values, function()))
    return array


# ------------------------------------------------------------------------------------ the functions


def asarray(x: Any, dtype: Any = None) -> ndarray:
    if isinstance(x, ndarray):
        if x._device != Device.current:
            x = made(lambda: x._values)
        return x if dtype is None or x.dtype == dtype else x.astype(dtype)
    refuse_while_recording("an array is brought over from the host")
    return ndarray(allocated(np.asarray(x, dtype=dtype)))


def empty(shape: Any, dtype: Any = "float64") -> ndarray:
    values = np.empty(shape, dtype)
    values[...] = np.nan if values.dtype.kind == "f" else 77  # whoever reads it before writing
    return ndarray(allocated(values))


def empty_pinned(shape: Any, dtype: Any = "float64") -> np.ndarray:
    values = np.empty(shape, dtype)
    pinned.add(values.ctypes.data)
    return values


def ascontiguousarray(x: ndarray, dtype: Any = None) -> ndarray:
    x = x if dtype is None or x.dtype == dtype else x.astype(dtype)
    return x if x.flags.c_contiguous else made(lambda: np.ascontiguousarray(x._values))


def wrapped(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        bare = [
            tuple(map(values_of, a)) if isinstance(a, (tuple, list)) else values_of(a) for a in args
        ]
        return made(lambda: function(*bare, **{k: values_of(v) for k, v in kwargs.items()}))

    return wrapped


class add:  # noqa: N801 (CuPy's name)
    """``cupy.add.at``."""

    @staticmethod
    def at(total: ndarray, ids: ndarray, rows: ndarray) -> None:
        where, parts = values_of(ids), values_of(rows)
        get_current_stream().do(lambda: np.add.at(values_of(total), where, parts))


FUNCTIONS = (
    *("abs", "exp", "expm1", "log", "log1p", "sqrt", "tanh", "sign", "maximum", "minimum"),
    *("where", "clip", "concatenate", "take_along_axis", "arange", "isfinite", "pad", "repeat"),
    *("sort", "cumsum", "stack", "cos", "sin"),
    *("zeros", "ones", "full", "zeros_like", "ones_like", "full_like"),
)
