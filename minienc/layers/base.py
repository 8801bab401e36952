"""Owners of weights: ``Layer``, which binds a pair of ``minienc.functions`` to its parameters.

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
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import Array, Arrays, Cache, DTypeLike, Rng, is_array, to_device_of
from minienc.layers.initializers import InitializerLike, get_initializer
from minienc.layers.parameters import Gradients, Grads, Parameter, ask_for_numbers
from minienc.layers.regularizers import Regularizer
from minienc.layers.symbolic import SymbolicTensor, connect
from minienc.primitive import Primitive
from minienc.shapes import Shape, kind_of

__all__ = ["Layer"]


Past = Any  # what a layer remembers of the steps before: it alone looks inside


class LayerCache(NamedTuple):
    """What a layer's forward knew: whose it is, and from before or after which step."""

    layer: Layer
    inner: Cache  # of the pair that the layer calls
    parameters: Sequence[Parameter | None]  # that forward read, in the pair's order
    versions: list[int]  # of those, at the time


class Layer:
    """An owner of weights that binds one pair of ``minienc.functions`` to them.

    A thin layer stores its constructor's arguments under their own names, makes its parameters in
    ``build``, says its ``output_shape``, and declares what is called with what:

        class Dense(Layer):
            pair = dense_forward  # dense_forward(x, W, b, activation="relu")
            learned = ("W", "b")  # attributes behind x: parameters, or None where there is none
            options = ("activation",)  # attributes that go by their names

    Then ``forward`` and ``backward`` are written, here:

        y, cache = layer.forward(x)              # rng=generator where the layer draws noise
        dx = layer.backward(dy, cache, grads)    # adds dW, db to grads; None passes through

    Attributes
    ----------
    pair : primitive
        The forward; ``pair.backward`` is the other half.
    learned, options : tuple of str
        Names of attributes, as above.
    transposed : tuple of str
        Those of ``learned`` that the pair is given transposed: W' of tied weights. A gradient that
        is added to this view of W's gradient is added to W's gradient.
    takes_several : bool
        Whether x is a tuple, whose arrays the pair takes one by one; then dx is a tuple, too.
    uses_rng : bool
        Whether ``forward`` takes ``rng=``; without a generator there is no noise.
    uses_training : bool
        Whether ``forward`` takes ``training=``; without it, it is False. A model that is given a
        generator, as ``fit`` gives it one, is in training unless it is told otherwise.
    has_state : bool
        Whether ``updates`` has anything to say.
    limits_context : bool
        Whether sequences longer than those that it was built for are strange to it.

    Examples
    --------
    >>> layer, x = Dense(2, seed=0), np.ones((5, 3), "float32")
    >>> y = layer(x)  # built by its first input
    >>> y, cache = layer.forward(x)
    >>> layer.backward(np.ones_like(y), cache, None).shape  # nothing is kept: dx alone
    (5, 3)
    """

    pair: Primitive = None  # type: ignore[assignment]  # said by each layer that has one
    learned: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    transposed: tuple[str, ...] = ()
    takes_several = False
    uses_rng = False
    uses_training = False
    has_state = False
    limits_context = False
    output_dtype: DTypeLike | None = None  # of y in a graph; None: x's
    activity_regularizer: Regularizer | None = None  # a penalty on y, added to the loss

    def __init__(self, name: str | None = None, trainable: bool = True) -> None:
        if name is not None and ("/" in name or not name):
            raise ValueError(f"layer name is {name!r}, expected a non-empty name without '/'")
        self.name = name
        self.has_default_name = False  # True once a model has named it
        self.built_for: Any = None  # the sample shape(s) it was built for; None: not yet
        self._own: tuple[Parameter, ...] = ()
        self._trainable = trainable

    def build(self, sample_shape: Shape, dtype: DTypeLike = "float32", rng: Rng = None) -> None:
        """Make the parameters for inputs of this shape (without the batch axis)."""
        self.built_for = sample_shape

    def output_shape(self, sample_shape: Shape) -> Shape:
        """Sample shape of y (a list of them for several outputs); the same as x's unless said."""
        return sample_shape

    def flops(self, sample_shape: Shape) -> int:
        """Floating-point operations of one forward for one sample; 0 where they do not count."""
        return 0

    def updates(self, cache: Cache) -> list[tuple[Parameter, Array]]:
        """What the layer's state becomes after the step of training that this cache is from.

        Forward only reads state, such as a moving average, for it changes nothing. Training asks
        for its successor after the step of the optimiser, once for each use of the layer, and
        writes it; a loop of one's own calls ``model.update_state(cache)``.
        """
        return []

    # -- the binder: from a pair to a layer

    def forward(self, x: Arrays, **given: Any) -> tuple[Arrays, Cache]:
        """y of the pair, and the cache; what is ``given`` by name goes to the pair as it is."""
        if self.built_for is None:
            self.check_built()
        values: list[Array | None] = []
        parameters, versions = [], []
        for name in self.learned:
            p = getattr(self, name)
            parameters.append(p)
            if p is None:
                values.append(None)
                versions.append(0)
            else:
                values.append(p.value.T if name in self.transposed else p.value)
                versions.append(p.version)
        for name in self.options:
            given[name] = getattr(self, name)
        if self.takes_several:
            y, inner = self.pair(*x, *values, **given)
        else:
            y, inner = self.pair(x, *values, **given)
        return y, LayerCache(self, inner, parameters, versions)

    def backward(self, dy: Arrays, cache: Cache, grads: Grads, need_dx: bool = True) -> Arrays:
        """dx; the gradients of the weights are added to ``grads``, where there is one.

        Where ``fast/`` has a second entry for the pair's backward, that entry puts the gradients
        where they belong, and leaves out what nobody wants.
        """
        if type(cache) is not LayerCache or cache.layer is not self:
            self.check_stamp(cache)  # says what is wrong with it
        for p, version in zip(cache.parameters, cache.versions, strict=True):
            if p is not None and p.version != version:
                self.check_stamp(cache)
        inner, backward = cache.inner, self.pair.backward
        into, write = None, False  # where the weights' gradients go, and whether that is empty yet
        if grads is not None and self.learned:
            into, write = grads.places(cache.parameters)
            for name in self.transposed:
                k = self.learned.index(name)
                into[k] = into[k].T
        if backward.has_second_entry:
            dx = backward.into(dy, inner, into, write, need_dx)
            if dx is not NotImplemented:
                return dx
        gradients = backward(dy, inner)
        n = len(gradients) - len(self.learned) if self.learned else 0  # so many belong to x
        if grads is not None and into is not None:
            for total, gradient in zip(into, gradients[n:], strict=True):
                if gradient is not None:
                    grads.put(total, gradient, write)
        if not need_dx:
            return None
        if not self.learned:
            return gradients
        return gradients[:n] if self.takes_several else gradients[0]

    def check_stamp(self, cache: LayerCache) -> Cache:
        """The pair's cache; or a refusal of one that is another layer's, or from before a step."""
        if type(cache) is not LayerCache or cache.layer is not self:
            whose = cache.layer.label if type(cache) is LayerCache else type(cache).__name__
            raise ValueError(f"{self.label}: the cache is of {whose}, not of this layer's forward")
        for p, version in zip(cache.parameters, cache.versions, strict=True):
            if p is not None and p.version != version:
                raise ValueError(
                    f"{self.label}: {p.name} was changed after this cache's forward (by an "
                    f"optimiser step or an assignment); call forward again, then backward"
                )
        return cache.inner

    # -- along time, without looking back

    def forward_from(self, x: Arrays, past: Past = None) -> tuple[Arrays, Past]:
        """y of the next steps x (N, T, ...) of sequences, and what the steps after them need.

        ``past`` is what this returned for the steps before; None is the beginning. Steps of a layer
        that looks at each by itself need nothing; others say what, or that they cannot.
        """
        return self.forward(x)[0], None

    # -- parameters

    @property
    def label(self) -> str:
        """The name for messages."""
        return self.name or default_name(self)

    def add_parameter(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: InitializerLike,
        dtype: DTypeLike,
        rng: Rng,
        regularizer: Regularizer | None = None,
        is_state: bool = False,
    ) -> Parameter:
        """Draw a new parameter; called from ``build``."""
        ask_for_numbers(self.label, name, shape)
        draw = get_initializer(initializer)
        parameter = Parameter(name, draw(shape, rng, dtype), draw, regularizer)
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
            p.value = to_device_of(fresh, p.value)

    @property
    def trainable(self) -> bool:
        """Whether an optimiser may change the layer's own weights."""
        return self._trainable

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        self._trainable = bool(trainable)
        for p in self._own:
            p.trainable = self._trainable and not p.is_state

    # -- calling

    def __call__(self, x: Any, **kwargs: Any) -> Any:
        """On arrays, ``forward(x)[0]``; on symbolic tensors, a new place in the graph."""
        first = x[0] if isinstance(x, (list, tuple)) and x else x
        if isinstance(first, SymbolicTensor):
            return connect(self, x)
        if self.built_for is None:
            if not is_array(first):
                raise TypeError(
                    f"{self.label}: x is {kind_of(x)}, expected an array, such as "
                    f"np.asarray(x, 'float32'), or what Input(...) or a layer returned"
                )
            shapes = (
                [tuple(a.shape[1:]) for a in x] if isinstance(x, (list, tuple)) else x.shape[1:]
            )
            self.build(shapes, first.dtype)
        return self.forward(tuple(x) if isinstance(x, list) else x, **kwargs)[0]

    def check_built(self) -> None:
        """Refuse to compute without the weights that ``build`` makes."""
        if self.built_for is None and type(self).build is not Layer.build:
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
