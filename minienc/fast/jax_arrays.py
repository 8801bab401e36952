"""Arrays of JAX that can be written to: what lets the same source compute where JAX does.

JAX's own arrays never change, so that its compiler may choose when and where to compute. But
weights are one vector of which each layer has a view, and an optimiser's step writes there.
``JaxArray`` is a name for an array of JAX's: to write to it means that another array takes its
place.

    a[2:] = 0        a.values = a.values.at[2:].set(0)

A view (a slice, another shape, the transpose) knows which array it looks at. Read, it cuts its part
out of what is there now; written to, it asks that array to take another one's place. While
``jax_steps.py`` has a step compiled, all of this is done once, by Python, and what the compiler
sees are functions without memory: old weights in, new weights out.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import cached_property
from types import ModuleType, SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import DTypeLike

from minienc.arrays import register_array_module
from minienc.shapes import Shape

Values = Any  # an array of JAX's; while a step is traced, what stands for one
Either = Any  # of JAX's or of this file's, a number, or what holds such
Index = Any


class JaxArray:
    """An array that ``jax.numpy`` computes with and that can be written to, as NumPy's can.

    Parameters
    ----------
    values : jax.Array
        Its numbers; while a step is traced, what stands for them.

    Attributes
    ----------
    values : jax.Array
        Of any shape and dtype. Assigning replaces them all.

    Examples
    --------
    >>> from minienc.arrays import to_device
    >>> w = to_device(np.zeros(4, "float32"), "jax")  # doctest: +SKIP
    >>> part = w[2:]  # doctest: +SKIP
    >>> part += 1  # doctest: +SKIP
    >>> w.values  # doctest: +SKIP
    Array([0., 0., 1., 1.], dtype=float32)
    """

    __array_ufunc__ = None  # np.float64(2) * a is a.__rmul__(np.float64(2))
    __hash__ = None  # type: ignore[assignment]  # == compares the numbers

    def __init__(self, values: Values) -> None:
        self._values = values
        self._parts: dict[tuple[int, int], Values] = {}  # of a vector: what was written since

    @property
    def values(self) -> Either:
        if self._parts:
            pieces: list[Values] = []
            at = 0
            for start, stop in sorted(self._parts):
                pieces += self._values[at:start], self._parts[start, stop]
                at = stop
            self._values = jnp.concatenate([*pieces, self._values[at:]])
            self._parts.clear()
        return self._values

    @values.setter
    def values(self, values: Values) -> None:
        self._values = values
        self._parts.clear()

    # The parts of a vector, such as each weight's gradient, are written one by one, and read
    # together: joined once, where every write by itself would be another vector.

    def read_part(self, start: int, stop: int) -> Either:
        if (start, stop) in self._parts:
            return self._parts[start, stop]
        values = self.values if self._meets(start, stop) else self._values
        return values[start:stop]

    def write_part(self, start: int, stop: int, part: Values) -> None:
        if (start, stop) not in self._parts and self._meets(start, stop):
            self.values  # noqa: B018  (joins them)
        self._parts[start, stop] = part

    def _meets(self, start: int, stop: int) -> bool:
        return any(start < b and a < stop for a, b in self._parts)

    # -- what NumPy's arrays say of themselves

    @property
    def shape(self) -> tuple[int, ...]:
        return self._values.shape

    @property
    def dtype(self) -> np.dtype:
        return self._values.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def flags(self) -> SimpleNamespace:
        """Of NumPy's the one that says whether another shape is a view: here it always is."""
        return SimpleNamespace(c_contiguous=True)

    def __len__(self) -> int:
        return len(self.values) if self.ndim == 0 else self.shape[0]  # JAX says what is wrong

    def __repr__(self) -> str:
        return f"JaxArray({self.values!r})"

    # -- their numbers, for Python; a step that is traced has none yet, and JAX says so

    def __float__(self) -> float:
        return float(self.values)

    def __int__(self) -> int:
        return int(self.values)

    def __bool__(self) -> bool:
        return bool(self.values)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype)

    # A copy (copy.deepcopy, pickle) is an array of its own, as that of a view of NumPy's is.
    def __reduce__(self) -> tuple[Callable, tuple[np.ndarray]]:
        return jax_module.asarray, (np.array(self.values),)

    # -- parts and views

    def __iter__(self) -> Either:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Index) -> JaxArray:
        index = bare(index)
        if not _is_basic(index):
            return JaxArray(self.values[index])
        if type(self) is JaxArray and isinstance(index, slice) and self.ndim == 1:
            start, stop, step = index.indices(len(self))
            if step == 1 and start < stop:
                return Part(self, start, stop)
        return View(self, lambda a: a[index], lambda a, part: a.at[index].set(part))

    def __setitem__(self, index: Index, new: Either) -> None:
        if index is Ellipsis:
            self.values = jnp.broadcast_to(bare(new), self.shape).astype(self.dtype)
        else:
            self.values = self.values.at[bare(index)].set(jnp.asarray(bare(new), self.dtype))

    def reshape(self, *shape: Shape, order: str = "C") -> JaxArray:
        shape = shape[0] if len(shape) == 1 else shape  # type: ignore[assignment]
        return View(
            self,
            lambda a: a.reshape(shape, order=order),
            lambda a, part: part.reshape(a.shape, order=order),
        )

    def astype(self, dtype: DTypeLike) -> JaxArray:
        """In float64 where JAX has it; else, without a word, in float32, its widest."""
        return JaxArray(self.values.astype(jax.dtypes.canonicalize_dtype(dtype)))

    @property
    def T(self) -> JaxArray:
        return View(self, lambda a: a.T, lambda a, part: part.T)

    def copy(self) -> JaxArray:
        return JaxArray(jnp.array(self.values, copy=True))

    # -- everything else is asked of JAX's array

    def __getattr__(self, name: str) -> Either:
        if name.startswith("_") or name == "at":  # a.at[...] is what a[...] = does here
            raise AttributeError(f"a JaxArray has no {name}")
        method = getattr(self.values, name)
        return computed(method) if callable(method) else wrapped(method)


class View(JaxArray):
    """A part of another array, or the same in another shape.

    Parameters
    ----------
    base : JaxArray
    read : function (values of the base) -> values
    write : function (values of the base, new values) -> new values of the base
    """

    def __init__(self, base: JaxArray, read: Callable, write: Callable) -> None:
        self.base, self.read, self.write = base, read, write

    @property
    def values(self) -> Either:
        return self.read(self.base.values)

    @values.setter
    def values(self, values: Values) -> None:
        self.base.values = self.write(self.base.values, values)

    @property
    def dtype(self) -> np.dtype:
        return self.base.dtype

    @cached_property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]  # which never changes
        form = jax.ShapeDtypeStruct(self.base.shape, self.base.dtype)
        return jax.eval_shape(self.read, form).shape


class Part(View):
    """Some of the numbers of a vector that lie side by side."""

    def __init__(self, base: JaxArray, start: int, stop: int) -> None:
        self.base, self.start, self.stop = base, start, stop

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        return (self.stop - self.start,)

    @property
    def values(self) -> Either:
        return self.base.read_part(self.start, self.stop)

    @values.setter
    def values(self, values: Values) -> None:
        self.base.write_part(self.start, self.stop, values)


def _is_basic(index: Index) -> bool:
    """Whether NumPy would return a view: of slices and whole numbers alone."""
    parts = index if isinstance(index, tuple) else (index,)
    basic = (slice, int, np.integer, type(None), type(Ellipsis))
    return all(isinstance(part, basic) and not isinstance(part, bool) for part in parts)


# ------------------------------------------------------------------------------ to JAX, and back


def bare(x: Either) -> Either:
    """The arrays of JAX in the place of those of this file, in tuples, lists and dicts as well."""
    if isinstance(x, JaxArray):
        return x.values
    if isinstance(x, (tuple, list)):
        return type(x)(map(bare, x))
    return x


def wrapped(x: Either) -> Either:
    """And the other way."""
    if isinstance(x, jax.Array):
        return JaxArray(x)
    if isinstance(x, (tuple, list)):
        return tuple(map(wrapped, x))
    return x


def computed(function: Callable) -> Callable:
    """A function of JAX's as one of these arrays."""

    def call(*args: Either, **kwargs: Either) -> Either:
        return wrapped(function(*map(bare, args), **{k: bare(v) for k, v in kwargs.items()}))

    return call


def _operator(name: str) -> tuple[Callable, Callable]:
    function = getattr(operator, name)

    def forward(a: JaxArray, b: Either) -> JaxArray:
        return JaxArray(function(a.values, bare(b)))

    def reflected(a: JaxArray, b: Either) -> JaxArray:
        return JaxArray(function(bare(b), a.values))

    return forward, reflected


def _in_place(name: str) -> Callable:
    function = getattr(operator, name)

    def method(a: JaxArray, b: Either) -> JaxArray:
        a[...] = function(a.values, bare(b))
        return a

    return method


def _unary(name: str) -> Callable:
    function = getattr(operator, name)
    return lambda a: JaxArray(function(a.values))


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_"):
    _slot = _name.rstrip("_")
    _forward, _reflected = _operator(_name)
    setattr(JaxArray, f"__{_slot}__", _forward)
    setattr(JaxArray, f"__r{_slot}__", _reflected)
    setattr(JaxArray, f"__i{_slot}__", _in_place(_name))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(JaxArray, f"__{_name}__", _operator(_name)[0])
for _name in ("neg", "abs", "invert"):
    setattr(JaxArray, f"__{_name}__", _unary(_name))


# ------------------------------------------------------------------------------------- the module


class JaxModule:
    """What stands where ``numpy`` stands: ``jax.numpy`` with these arrays."""

    __name__ = "minienc.fast.jax_arrays"

    def __init__(self, beneath: ModuleType) -> None:
        self._beneath = beneath

    def __getattr__(self, name: str) -> Either:
        found = getattr(self._beneath, name)
        if isinstance(found, ModuleType):
            found = JaxModule(found)
        elif callable(found) and not isinstance(found, type):
            found = _Function(found)
        setattr(self, name, found)
        return found

    @staticmethod
    def asarray(x: Either, dtype: DTypeLike | None = None) -> JaxArray:
        """What is there already is returned as it is; what the host has is copied over."""
        if isinstance(x, JaxArray):
            return x if dtype in (None, x.dtype) else JaxArray(x.values.astype(dtype))
        there = jnp.array(bare(x), dtype=dtype)
        wanted = getattr(x, "dtype", None) if dtype is None else np.dtype(dtype)
        if wanted == np.float64 and there.dtype != wanted:
            raise ValueError(
                "an array of float64 was to go to JAX, which has only float32 unless it is told "
                'otherwise: jax.config.update("jax_enable_x64", True)'
            )
        return JaxArray(there)

    @staticmethod
    def asnumpy(x: Either) -> np.ndarray:
        return np.array(bare(x))


class _Function:
    """A function of ``jax.numpy``, and its ``at`` where it has one."""

    def __init__(self, function: Callable) -> None:
        self._function = function
        self.__name__ = getattr(function, "__name__", "")

    def __call__(self, *args: Either, **kwargs: Either) -> Either:
        return computed(self._function)(*args, **kwargs)

    def at(self, a: JaxArray, index: Index, b: Either) -> None:
        """``add.at(a, index, b)``: written to a, for each of the indices in its turn."""
        method = getattr(a.values.at[bare(index)], self.__name__)
        a[...] = method(jnp.asarray(bare(b), a.dtype))


jax_module = JaxModule(jnp)
register_array_module(JaxArray, jax_module, device="jax")
register_array_module(View, jax_module)
register_array_module(Part, jax_module)
