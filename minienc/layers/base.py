"""Owners of weights: ``Parameter``, the flat vectors that gather them, and ``Layer``.

The laws that every layer keeps (each has its test):

1. ``forward`` changes nothing; ``backward`` may be called any number of times with the same
   cache, in any order, from any thread.
2. ``dy`` has y's shape, ``dx`` has x's. Several inputs or outputs are tuples, in the same order
   both ways.
3. ``grads`` adds. A parameter used twice (shared, tied, unrolled) receives the sum; sharing is
   identity, never equality of values.
4. No array that came in or went out is written to; results never share memory with arguments. An
   optimiser step is the one moment when weights change: a cache from before it is refused by
   ``backward``, not silently wrong.
5. ``layer(x)`` on arrays is ``forward(x)[0]``; on a symbolic tensor it builds the graph.

**The cache belongs to the call, the gradients to the caller, the weights to the layer.**
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import (
    Array,
    beside,
    device_of,
    get_array_module,
    on_device,
    to_device,
    zeros_beside,
)
from minienc.layers.initializers import get_initializer

# -------------------------------------------------------------------------------------- Parameter


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
    """

    def __init__(
        self, name: str, value: Array, initializer: Any = None, regularizer: Any = None
    ) -> None:
        self.name = name
        self.initializer = initializer
        self.regularizer = regularizer  # a penalty on the numbers, which training adds to the loss
        self.trainable = True
        self.learning_rate_multiplier = 1.0
        self.is_state = False
        self.version = 0
        self.home: Parameters | None = None  # the flat vector that holds the numbers, if any
        self._value = value

    @property
    def value(self) -> Array:
        return self._value

    @value.setter
    def value(self, new: Array) -> None:
        if tuple(new.shape) != self.shape:
            raise ValueError(
                f"parameter {self.name} is {self.shape}, and was given {tuple(new.shape)}"
            )
        with on_device(device_of(self._value)):
            self._value[...] = new
        self.version += 1

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

    def __repr__(self) -> str:
        frozen = ", state" if self.is_state else "" if self.trainable else ", frozen"
        return f"<Parameter {self.name} {self.shape} {self._value.dtype}{frozen}>"


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
        self.vector = zeros_beside(like, sum(p.size for _, p in self._named))
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
    """

    def __init__(self, named: Iterable[tuple[str, Parameter]]) -> None:
        super().__init__(named)
        self._settings: list[tuple[bool, float]] | None = None  # that _segments was made for
        self._segments: list[tuple[slice, float]] = []
        for _, p in self._named:
            p.move_to(self._views[p], home=self)
        self.is_home = True

    def __iter__(self) -> Iterator[Parameter]:
        return (p for _, p in self._named)

    def segments(self) -> list[tuple[slice, float]]:
        """(slice of the vector, learning-rate multiplier) of each run of trainable parameters."""
        settings = [(p.trainable, p.learning_rate_multiplier) for _, p in self._named]
        if settings != self._settings:
            self._settings, self._segments = settings, self._find_segments()
        return self._segments

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

    def touch(self) -> None:
        """Say that the vector was changed in place: caches from before are refused from now on."""
        for _, p in self._named:
            if p.trainable or p.is_state:
                p.version += 1


class Gradients(_FlatVector):
    """A vector of the same layout that belongs to whoever makes it; backwards add into it."""

    def __init__(self, named: Iterable[tuple[str, Parameter]]) -> None:
        self._unwritten: set[Parameter] = set()  # those whose zeros are not there yet
        super().__init__(named)

    def zero(self) -> Gradients:
        """Start again from zero.

        The zeros are written when somebody looks: a backward that comes first writes its gradient
        in their place, which saves two passes over the vector in each training step.
        """
        self._unwritten = set(self._views)
        return self

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
        return super().__getitem__(key)

    def claim(self, *parameters: Parameter | None) -> tuple[list[Array | None], bool]:
        """The views of these parameters, for a backward's ``add_to``, and whether nothing has been
        added to them yet: then they hold anything, and every number of them must be written."""
        given = parameters if None not in parameters else [p for p in parameters if p is not None]
        if self._unwritten.issuperset(given):
            self._unwritten.difference_update(given)
            return [None if p is None else self._views[p] for p in parameters], True
        return [None if p is None else self[p] for p in parameters], False


# ------------------------------------------------------------------------------------------ Layer


class LayerCache(NamedTuple):
    layer: Layer
    inner: Any  # the cache of the pair that the layer calls
    versions: list[int]  # of the layer's parameters at the time of the forward


class Layer:
    """An owner of weights that calls one pair of ``minienc.functions``.

    A subclass stores its constructor's arguments under their own names, makes its parameters in
    ``build``, and gives ``forward`` and ``backward``:

        y, cache = layer.forward(x)              # rng=generator where the layer draws noise
        dx = layer.backward(dy, cache, grads)    # adds dW, db to grads; None passes through

    Attributes
    ----------
    uses_rng : bool
        Whether ``forward`` takes ``rng=``; without a generator there is no noise.
    uses_training : bool
        Whether ``forward`` takes ``training=``; without it, it is False. A model that is given a
        generator, as ``fit`` gives it one, is in training unless it is told otherwise.
    has_state : bool
        Whether ``updates`` has anything to say.
    """

    uses_rng = False
    uses_training = False
    has_state = False
    takes_several = False  # x and dx are tuples
    activity_regularizer: Any = None  # a penalty on y, which training adds to the loss

    def __init__(self, name: str | None = None, trainable: bool = True) -> None:
        if name is not None and ("/" in name or not name):
            raise ValueError(f"layer name is {name!r}, expected a non-empty name without '/'")
        self.name = name
        self.has_default_name = False  # True once a model has named it
        self.nodes: list[Any] = []  # every place where the layer stands in a symbolic graph
        self.built_for: Any = None  # the sample shape(s) it was built for; None: not yet
        self._own: tuple[Parameter, ...] = ()
        self._trainable = trainable

    # -- what subclasses give

    def build(self, sample_shape: Any, dtype: Any = "float32", rng: Any = None) -> None:
        """Make the parameters for inputs of this shape (without the batch axis)."""
        self.built_for = sample_shape

    def forward(self, x: Any) -> tuple[Any, Any]:
        raise NotImplementedError

    def backward(self, dy: Any, cache: Any, grads: Gradients | None, need_dx: bool = True) -> Any:
        raise NotImplementedError

    def updates(self, cache: Any) -> list[tuple[Parameter, Array]]:
        """What the layer's state becomes after the step of training that this cache is from.

        Forward only reads state, such as a moving average, for it changes nothing. Training asks
        for its successor after the step of the optimiser, once for each use of the layer, and
        writes it; a loop of one's own calls ``model.update_state(cache)``.
        """
        return []

    def output_shape(self, sample_shape: Any) -> Any:
        """Sample shape of y (a list of them for several outputs); the same as x's unless said."""
        return sample_shape

    def flops(self, sample_shape: Any) -> int:
        """Floating-point operations of one forward for one sample; 0 where they do not count."""
        return 0

    # -- parameters

    @property
    def label(self) -> str:
        """The name for messages."""
        return self.name or default_name(self)

    def add_parameter(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Any,
        dtype: Any,
        rng: Any,
        regularizer: Any = None,
        is_state: bool = False,
    ) -> Parameter:
        """Draw a new parameter; called from ``build``."""
        initializer = get_initializer(initializer)
        parameter = Parameter(name, initializer(shape, rng, dtype), initializer, regularizer)
        parameter.is_state = is_state
        parameter.trainable = self._trainable and not is_state
        self._own = (*self._own, parameter)
        return parameter

    def parameters_used(self) -> tuple[Parameter, ...]:
        """The parameters that forward reads: its own, and another layer's if they are tied."""
        return self._own

    def named_parameters(self) -> list[tuple[str, Parameter]]:
        return [(p.name, p) for p in self.parameters_used()]

    def new_gradients(self) -> Gradients:
        """Zero gradients for this layer's parameters, for a caller that uses it by itself."""
        return Gradients(self.named_parameters())

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw the layer's own weights again from ``rng``."""
        for p in self._own:
            fresh = p.initializer(p.shape, rng, p.value.dtype)
            p.value = beside(fresh, p.value)

    @property
    def trainable(self) -> bool:
        """Whether an optimiser may change the layer's own weights."""
        return self._trainable

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        self._trainable = bool(trainable)
        for p in self._own:
            p.trainable = self._trainable and not p.is_state

    # -- caches: a stamp tells whose they are, and from before or after which step

    def stamp(self, inner: Any) -> LayerCache:
        """Wrap the cache of a pair: called at the end of ``forward``."""
        return LayerCache(self, inner, [p.version for p in self.parameters_used()])

    def check_stamp(self, cache: LayerCache) -> Any:
        """Return the pair's cache, or refuse it: called at the start of ``backward``."""
        if type(cache) is not LayerCache or cache.layer is not self:
            whose = cache.layer.label if type(cache) is LayerCache else type(cache).__name__
            raise ValueError(f"{self.label}: the cache is of {whose}, not of this layer's forward")
        if cache.versions != [p.version for p in self.parameters_used()]:
            self._refuse_stale(cache.versions)
        return cache.inner

    def _refuse_stale(self, versions: list[int]) -> None:
        for p, version in zip(self.parameters_used(), versions, strict=True):
            if p.version != version:
                raise ValueError(
                    f"{self.label}: {p.name} was changed after this cache's forward (by an "
                    f"optimiser step or an assignment); call forward again, then backward"
                )

    # -- calling

    def __call__(self, x: Any, **kwargs: Any) -> Any:
        """On arrays, ``forward(x)[0]``; on symbolic tensors, a new place in the graph."""
        from minienc.layers.graph import SymbolicTensor, connect  # graph.py builds on this file

        first = x[0] if isinstance(x, (list, tuple)) and x else x
        if isinstance(first, SymbolicTensor):
            return connect(self, x)
        if self.built_for is None:
            shapes = (
                [tuple(a.shape[1:]) for a in x] if isinstance(x, (list, tuple)) else x.shape[1:]
            )
            self.build(shapes, first.dtype)
        return self.forward(tuple(x) if isinstance(x, list) else x, **kwargs)[0]

    def check_built(self) -> None:
        if self.built_for is None:
            raise ValueError(
                f"{self.label} has no weights yet: apply it to an Input, or call "
                f"layer.build(shape of one sample)"
            )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = inspect.signature(type(self).__init__).parameters
        return {n: getattr(self, n) for n in names if n not in ("self", "args", "kwargs")}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label}>"


def default_name(layer: Layer) -> str:
    """GaussianNoise -> "gaussian_noise", Conv2DTranspose -> "conv2d_transpose"."""
    boundary = r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])"
    return re.sub(boundary, "_", type(layer).__name__).lower()
