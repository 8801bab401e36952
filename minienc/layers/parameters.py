"""Weights and their gradients: ``Parameter``, and the flat vectors that gather them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from minienc.arrays import Array, device_of, get_array_module, on_device, to_device, zeros_where
from minienc.layers.initializers import Initializer
from minienc.layers.regularizers import Regularizer

__all__ = ["Gradients", "Parameter", "Parameters"]

_left: ContextVar[list[int] | None] = ContextVar("_left", default=None)


@contextmanager
def at_most_numbers(n: int) -> Iterator[None]:
    """Within the block parameters of ``n`` numbers in all can be made, and no more: a file that
    describes a model cannot ask for more memory than it has weights."""
    token = _left.set([n])
    try:
        yield
    finally:
        _left.reset(token)


def ask_for_numbers(label: str, name: str, shape: Sequence[int]) -> None:
    """Refuse a parameter for which ``at_most_numbers`` leaves no room."""
    left = _left.get()
    if left is None:
        return
    left[0] -= math.prod(shape)
    if left[0] < 0:
        raise ValueError(f"{label}: {name} {tuple(shape)} is more than the weights that are there")


class Parameter:
    """One array of weights.

    The ``Parameter`` is the truth; layers, models and optimisers hold it by identity. Where its
    numbers lie may change: a model that is trained gathers them into one flat vector.

    Attributes
    ----------
    name : str
        The blackboard's name, "W" or "b".
    value : array
        The numbers. Assigning copies into them (shape and dtype stay).
    trainable : bool
        Whether an optimiser may change it. Gradients are computed either way: freezing is the
        optimiser's matter.
    learning_rate_multiplier : float
        Scales the optimiser's learning rate for this parameter.
    is_state : bool
        Not learned by a gradient: a moving average, say, that training brings up to date after each
        step (``Layer.updates``). No optimiser changes it, and its gradient stays 0.
    version : int
        Counts the changes of ``value``, so that a cache from before a change can be refused.

    Examples
    --------
    >>> w = Parameter("w", np.zeros(2))
    >>> w.shape
    (2,)
    """

    def __init__(
        self,
        name: str,
        value: Array,
        initializer: Initializer | None = None,
        regularizer: Regularizer | None = None,
    ) -> None:
        self.name = name
        self.initializer: Any = initializer  # draws them again
        self.regularizer: Any = regularizer  # a penalty on the numbers, added to the loss
        self.home: Parameters | None = None  # the flat vector that holds the numbers, if any
        self.trainable = True
        self.learning_rate_multiplier = 1.0
        self.is_state = False
        self.version = 0
        self._value = value

    def _assign(self, new: Array) -> None:
        if tuple(new.shape) != self.shape:
            raise ValueError(
                f"parameter {self.name} is {self.shape}, and was given {tuple(new.shape)}"
            )
        with on_device(device_of(self._value)):
            self._value[...] = new
        self.version += 1

    def _set_trainable(self, trainable: bool) -> None:
        self._trainable = trainable
        self._settings_changed()

    def _set_multiplier(self, multiplier: float) -> None:
        self._multiplier = multiplier
        self._settings_changed()

    def _settings_changed(self) -> None:
        if self.home is not None:
            self.home.forget_segments()

    # Every layer and every step reads these: attrgetter takes a third of a method's time.
    if TYPE_CHECKING:
        value: Array
        trainable: bool
        learning_rate_multiplier: float
    else:
        value = property(attrgetter("_value"), _assign)
        trainable = property(attrgetter("_trainable"), _set_trainable)
        learning_rate_multiplier = property(attrgetter("_multiplier"), _set_multiplier)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._value.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def move_to(self, view: Array, home: Parameters) -> None:
        """Copy the numbers into ``view``, a part of the flat vector of ``home``, and stay there."""
        if self.home is not None:
            self.home.is_home = False
        with on_device(device_of(view)):
            view[...] = self._value
        self._value, self.home = view, home

    def to(self, device: str) -> None:
        """Move the numbers to a device, out of the flat vector that held them."""
        if device_of(self._value) == device_of(moved := to_device(self._value, device)):
            return
        if self.home is not None:
            self.home.is_home = False
        self._value, self.home = moved, None
        self.version += 1

    # A copy (copy.deepcopy, pickle) leaves the flat vector: that of the copied model gathers it.
    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "home": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._value = writable(self._value)

    def __repr__(self) -> str:
        frozen = ", state" if self.is_state else "" if self.trainable else ", frozen"
        return f"<Parameter {self.name} {self.shape} {self._value.dtype}{frozen}>"


def writable(x: Array) -> Array:
    """``x``, or a copy where it cannot be written to: joblib hands large arrays to its workers as
    memory maps that are read-only."""
    return x if not isinstance(x, np.ndarray) or x.flags.writeable else np.array(x)


# ------------------------------------------------------------------------------- the flat vectors


class _FlatVector:
    """A flat vector with a named view for each parameter, in one order."""

    def __init__(self, named: Iterable[tuple[str, Parameter]]) -> None:
        self._named = tuple(named)
        values = [p.value for _, p in self._named]
        if len({v.dtype for v in values}) > 1:
            kinds = ", ".join(f"{name} is {p.value.dtype}" for name, p in self._named)
            raise TypeError(f"the parameters of one model need one dtype: {kinds}")
        get_array_module(*values)  # which refuses those of two devices
        like = values[0] if values else np.empty(0, "float32")
        self.vector = zeros_where(like, sum(p.size for _, p in self._named))
        self._views: dict[Parameter, Array] = {}
        self._slices: dict[Parameter, slice] = {}
        self._by_name: dict[str, Parameter] = {}
        start = 0
        for name, p in self._named:
            part = slice(start, start + p.size)
            self._slices[p] = part
            self._views[p] = self.vector[part].reshape(p.shape)
            self._by_name[name] = p
            start += p.size

    @property
    def names(self) -> tuple[str, ...]:
        """Path of each parameter, such as "encoder/dense_1/W", in the vector's order."""
        return tuple(name for name, _ in self._named)

    def items(self) -> Iterator[tuple[str, Array]]:
        """(name, view) in the vector's order."""
        return ((name, self._views[p]) for name, p in self._named)

    def __getitem__(self, key: str | Parameter) -> Array:
        parameter = self._by_name.get(key) if isinstance(key, str) else key
        view = self._views.get(parameter) if isinstance(parameter, Parameter) else None
        if view is None:
            wanted = key if isinstance(key, str) else repr(key)
            raise KeyError(
                f"{type(self).__name__} holds no {wanted}, only {', '.join(self.names)}; "
                f"gradients are made for one model with model.new_gradients()"
            )
        return view

    def __len__(self) -> int:
        return len(self._named)


class Parameters(_FlatVector):
    """All parameters of a model in one contiguous ``vector``, each weight a named view into it.

    Making one moves the numbers of every ``Parameter`` into the new vector; whoever holds a
    ``Parameter`` sees them there. An optimiser step is one pass over ``vector``.

    Attributes
    ----------
    is_home : bool
        False once another model has gathered one of these parameters elsewhere.

    Examples
    --------
    >>> from minienc.models import Sequential
    >>> model = Sequential([Input((3,)), Dense(2, seed=0)])
    >>> model.parameters.vector.shape
    (8,)
    """

    _segments: list[tuple[slice, float]] | None = None

    def __init__(self, named: Iterable[tuple[str, Parameter]]) -> None:
        super().__init__(named)
        for _, p in self._named:
            p.move_to(self._views[p], home=self)
        self.is_home = True

    # A copy gathers the copied parameters, which had no home on the way.
    def __getstate__(self) -> dict[str, Any]:
        return {"named": self._named, "is_home": self.is_home}

    def __setstate__(self, state: dict[str, Any]) -> None:
        gather = Parameters if state["is_home"] else _FlatVector
        gather.__init__(self, state["named"])
        self.is_home = state["is_home"]

    def __iter__(self) -> Iterator[Parameter]:
        return (p for _, p in self._named)

    def segments(self) -> list[tuple[slice, float]]:
        """(slice of the vector, learning-rate multiplier) of each run of trainable parameters."""
        if self._segments is None:
            self._segments = self._find_segments()
        return self._segments

    def forget_segments(self) -> None:
        """One of the parameters was frozen, thawed, or given another multiplier."""
        self._segments = None

    def _find_segments(self) -> list[tuple[slice, float]]:
        runs: list[tuple[slice, float]] = []
        for _, p in self._named:
            if not p.trainable:
                continue
            part, multiplier = self._slices[p], p.learning_rate_multiplier
            if runs and runs[-1][0].stop == part.start and runs[-1][1] == multiplier:
                runs[-1] = (slice(runs[-1][0].start, part.stop), multiplier)
            else:
                runs.append((part, multiplier))
        return runs

    def within(self, part: slice) -> list[tuple[str, slice, tuple[int, ...]]]:
        """(name, slice of the vector, shape) of each parameter in a part of the vector."""
        return [
            (name, self._slices[p], p.shape)
            for name, p in self._named
            if part.start <= self._slices[p].start < part.stop
        ]

    def touch(self) -> None:
        """Say that the vector was changed in place: caches from before are refused from now on."""
        for _, p in self._named:
            if p.trainable or p.is_state:
                p.version += 1


class Gradients(_FlatVector):
    """A vector of the same layout that belongs to whoever makes it; backwards add into it.

    Examples
    --------
    >>> from minienc.models import Sequential
    >>> model = Sequential([Input((3,)), Dense(2, seed=0)])
    >>> model.new_gradients().vector.shape  # of W (3, 2), and of b (2,)
    (8,)
    """

    def __init__(self, named: Iterable[tuple[str, Parameter]]) -> None:
        self._unwritten: set[Parameter] = set()  # those whose zeros are not there yet
        self.zeroed: list[Parameter] = []  # those that needed them, for something was added
        super().__init__(named)

    def __getstate__(self) -> dict[str, Any]:
        return {"named": self._named, "vector": self.vector}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Gradients.__init__(self, state["named"])
        self.vector[...] = state["vector"]

    def zero(self) -> Gradients:
        """Start again from zero.

        The zeros are written when somebody looks: a backward that comes first writes its gradient
        in their place, which saves two passes over the vector in each training step.
        """
        self._unwritten = set(self._views)
        self.zeroed.clear()
        return self

    def written(self) -> list[Parameter]:
        """The parameters to whose gradients something was written since ``zero``."""
        return [p for p in self._views if p not in self._unwritten]

    def note_written(self, parameters: Iterable[Parameter]) -> None:
        """Say that every number of these gradients has been written, by other ways than these."""
        self._unwritten.difference_update(parameters)

    @property
    def vector(self) -> Array:  # type: ignore[override]
        """All gradients, one behind the other."""
        if self._unwritten:
            for p in self._unwritten:
                self._views[p][...] = 0
            self._unwritten.clear()
        return self._vector

    @vector.setter
    def vector(self, vector: Array) -> None:
        self._vector = vector

    def items(self) -> Iterator[tuple[str, Array]]:
        self.vector  # noqa: B018  (writes the zeros)
        return super().items()

    def __getitem__(self, key: str | Parameter) -> Array:
        if self._unwritten:
            parameter = self._by_name.get(key) if isinstance(key, str) else key
            if isinstance(parameter, Parameter) and parameter in self._unwritten:
                self._unwritten.remove(parameter)
                self._views[parameter][...] = 0
                self.zeroed.append(parameter)
        return super().__getitem__(key)

    def add(self, parameter: Parameter, gradient: Array) -> None:
        """Add to the gradient of one parameter."""
        (total,), write = self.places((parameter,))
        self.put(total, gradient, write)

    def put(self, total: Array, gradient: Array, write: bool) -> None:
        """Write a gradient to its view of the vector, or add it to what is there."""
        if write:
            total[...] = gradient
        else:
            total += gradient  # in place

    def places(self, parameters: Sequence[Parameter | None]) -> tuple[list[Any], bool]:
        """The views of these parameters, and whether nothing has been added to them yet: then they
        hold anything, and every number of them must be written."""
        unwritten, views = self._unwritten, self._views
        found: list[Any] = []
        for p in parameters:
            if p is not None and p not in unwritten:
                break
            found.append(None if p is None else views[p])
        else:
            unwritten.difference_update(parameters)
            return found, True
        return [None if p is None else self[p] for p in parameters], False


Grads = Gradients | None  # what a backward adds to; None: gradients pass through, nothing is kept
