"""Recurrent layers: ``SimpleRNN``, ``LSTM``, ``GRU``, and ``Bidirectional`` around one of them.

Samples are sequences (T, D). State is an argument and a result, never hidden in the layer:

    y = LSTM(32)(x)                                              the last output, (32,)
    y = LSTM(32, return_sequences=True)(x)                       every output, (T, 32)
    y, h, c = LSTM(32, return_state=True)(x, initial_state=[h, c])

``lengths``, integers (N,), say how many steps of each sequence count: ``LSTM(32)(x, lengths=n)``,
where n is an ``Input((), dtype="int32")``, or an array.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minienc.arrays import Array, Arrays, Cache, DTypeLike, Rng, get_array_module
from minienc.functions.activations import get_activation
from minienc.functions.gru import gru_forward
from minienc.functions.lstm import lstm_forward
from minienc.functions.recurrent import rnn_forward
from minienc.functions.reversing import reverse_forward
from minienc.layers.base import Layer, LayerCache, Past
from minienc.layers.initializers import InitializerLike, get_initializer
from minienc.layers.parameters import Grads, Parameter
from minienc.layers.regularizers import RegularizerLike, get_regularizer
from minienc.layers.shaping import Add, Concatenate
from minienc.shapes import Form, Shape, is_whole, kind_of

__all__ = ["GRU", "LSTM", "Bidirectional", "Reverse", "SimpleRNN"]


_OPTIONS = """
    Parameters
    ----------
    units : int
        M.
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str or callable
        Of W, of U, of the biases.
    return_sequences : bool
        Whether y is every output, (T, M), or the last one, (M,).
    return_state : bool
        Whether the last states are outputs, too.
    kernel_regularizer, recurrent_regularizer, bias_regularizer : str or regularizer or None
    seed : int or None
    name : str or None
"""


class RecurrentCache(NamedTuple):
    of_pair: LayerCache
    outputs: tuple[Form, ...]  # of the pair: y (N, T, M), h (N, M), ...
    alone: bool  # x came by itself, not in a tuple


class _Recurrent(Layer):
    """What the three share: W (D, G M), U (M, G M) and the biases, and which outputs are shown."""

    n_gates = 1
    biases: ClassVar[tuple[str, ...]] = ("b",)
    states: ClassVar[tuple[str, ...]] = ("h0",)
    takes_several = True
    W: Parameter
    U: Parameter
    b: Parameter | None = None

    def __init__(
        self,
        units: int,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        return_sequences: bool = False,
        return_state: bool = False,
        kernel_regularizer: RegularizerLike = None,
        recurrent_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        seed: int | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, trainable)
        if not is_whole(units, 1):
            raise ValueError(
                f"{type(self).__name__}: units is {units!r}, expected a whole number from 1"
            )
        self.units, self.use_bias = int(units), use_bias
        self.kernel_initializer = kernel_initializer
        self.recurrent_initializer = recurrent_initializer
        self.bias_initializer = bias_initializer
        self.return_sequences, self.return_state = return_sequences, return_state
        self.kernel_regularizer = get_regularizer(kernel_regularizer)
        self.recurrent_regularizer = get_regularizer(recurrent_regularizer)
        self.bias_regularizer = get_regularizer(bias_regularizer)
        self.seed = seed

    def __call__(self, x: Any, initial_state: Any = None, lengths: Any = None, **given: Any) -> Any:
        """On arrays the output, on symbolic tensors a place in the graph; see the module."""
        xs = list(x) if isinstance(x, (list, tuple)) else [x]
        if initial_state is not None:
            xs += initial_state if isinstance(initial_state, (list, tuple)) else [initial_state]
        xs += [] if lengths is None else [lengths]
        return super().__call__(xs if len(xs) > 1 else xs[0], **given)

    # -- weights

    def build(self, sample_shape: Shape, dtype: DTypeLike = "float32", rng: Rng = None) -> None:
        rng = np.random.default_rng(self.seed) if rng is None else rng
        D, M, G = self._sequence(sample_shape)[1], self.units, self.n_gates
        self.W = self.add_parameter(
            "W", (D, G * M), self.kernel_initializer, dtype, rng, self.kernel_regularizer
        )
        self.U = self.add_parameter(
            "U", (M, G * M), self.recurrent_initializer, dtype, rng, self.recurrent_regularizer
        )
        for name in self.biases if self.use_bias else ():
            b = self.add_parameter(
                name, (G * M,), self.first_bias, dtype, rng, self.bias_regularizer
            )
            setattr(self, name, b)
        super().build(sample_shape)

    def first_bias(self, shape: Shape, rng: np.random.Generator, dtype: DTypeLike) -> Array:
        """What a bias begins as."""
        return get_initializer(self.bias_initializer)(shape, rng, dtype)

    def get_config(self) -> dict[str, Any]:
        names = [*inspect.signature(_Recurrent.__init__).parameters][1:]
        own = inspect.signature(type(self).__init__).parameters
        names += [n for n in own if n not in (*names, "self", "options")]
        return {name: getattr(self, name) for name in names}

    def _sequence(self, sample_shape: Shape) -> tuple[int, int]:
        """(T, D) of x, alone or the first of several inputs."""
        first = sample_shape[0] if isinstance(sample_shape, list) else sample_shape
        if len(first) != 2:
            raise ValueError(f"{self.label}: samples are {tuple(first)}, expected sequences (T, D)")
        return tuple(first)

    def output_shape(self, sample_shape: Shape) -> Shape:
        T, D = self._sequence(sample_shape)
        if self.W.shape[0] != D:
            raise ValueError(
                f"{self.label}: its weights are for {self.W.shape[0]} features at each step, and "
                f"it was given {D}"
            )
        y = (T, self.units) if self.return_sequences else (self.units,)
        return [y, *[(self.units,)] * len(self.states)] if self.return_state else y

    def flops(self, sample_shape: Shape) -> int:
        """2 (D + M) G M at each step, for both products."""
        T, D = self._sequence(sample_shape)
        return T * 2 * (D + self.units) * self.n_gates * self.units

    # -- the pair

    def forward(self, x: Arrays, **given: Any) -> tuple[Arrays, RecurrentCache]:
        """``x`` is the sequences (N, T, D); or a tuple of them, first states, and lengths."""
        alone = not isinstance(x, (tuple, list))
        x, *others = (x,) if alone else x
        if others and others[-1].dtype.kind in "iu":
            given["lengths"] = others.pop()
        if len(others) not in (0, len(self.states)):
            raise ValueError(
                f"{self.label}: {len(others)} first states, expected {len(self.states)}, "
                f"{' and '.join(self.states)}; lengths are integers"
            )
        given.update(zip(self.states, others, strict=False))
        outputs, cache = super().forward((x,), **given)
        shown = outputs[0] if self.return_sequences else outputs[1]
        y = (shown, *outputs[1:]) if self.return_state else shown
        if self.return_state and not self.return_sequences:
            y = (shown.copy(), *outputs[1:])
        forms = tuple(Form(a.shape, a.dtype) for a in outputs)
        return y, RecurrentCache(cache, forms, alone)

    def forward_from(self, x: Arrays, past: Past = None) -> tuple[Arrays, Past]:
        """What is remembered are the last states; first ones that the graph gives count at the
        beginning."""
        x, *first = x if isinstance(x, (tuple, list)) else (x,)
        if first and first[-1].dtype.kind in "iu":
            raise ValueError(f"{self.label}: lengths are given, so it does not go on step by step")
        states = first if past is None else past
        outputs, _ = super().forward((x,), **dict(zip(self.states, states, strict=False)))
        y = outputs[0] if self.return_sequences else outputs[1]
        return ((y, *outputs[1:]) if self.return_state else y), outputs[1:]

    def backward(self, dy: Arrays, cache: Cache, grads: Grads, need_dx: bool = True) -> Arrays:
        """dx; with it the gradients of first states that were given."""
        if not isinstance(cache, RecurrentCache):
            self.check_stamp(cache)  # says whose it is
        of_pair, forms, alone = cache
        inner = self.check_stamp(of_pair)
        dx, *others = self.pair.backward(self._cotangents(dy, forms), inner)
        weights, states = others[: len(self.learned)], others[len(self.learned) :]
        if grads is not None:
            for p, gradient in zip(of_pair.parameters, weights, strict=True):
                if p is not None:
                    grads.add(p, gradient)
        if not need_dx:
            return None
        return dx if alone else (dx, *[d for d in states if d is not None])

    def _cotangents(self, dy: Arrays, forms: tuple[Form, ...]) -> tuple[Array, ...]:
        """One for each output of the pair: 0 for those that are not shown, or not asked about."""
        dys = dy if isinstance(dy, tuple) else (dy,)
        found: list[Any] = [None, *dys[1:], *[None] * (len(forms) - max(len(dys), 1))]
        place = 0 if self.return_sequences else 1
        if dys[0] is not None:
            found[place] = dys[0] if found[place] is None else found[place] + dys[0]
        xp = get_array_module(*dys)
        for k, form in enumerate(forms):
            if found[k] is None and xp is np:
                found[k] = _zeros_of(form)
            elif found[k] is None:
                found[k] = xp.zeros(form.shape, dtype=form.dtype)
        return tuple(found)


def _zeros_of(form: Form) -> np.ndarray:
    """Zeros (..., M): one row, which is kept for good, and seen as often as need be."""
    return np.broadcast_to(_row_of_zeros(form.shape[-1], form.dtype), form.shape)


@functools.cache  # a plan may read it as long as it lives
def _row_of_zeros(n: int, dtype: np.dtype) -> np.ndarray:
    return np.zeros(n, dtype)


class SimpleRNN(_Recurrent):
    """h_t = f(x_t W + h_(t-1) U + b): ``functions.recurrent.rnn_forward``.

    Parameters
    ----------
    units : int
        M.
    activation : str
        f, a name of ``minienc.functions.activations.ACTIVATIONS``.
    **options
        As of ``GRU``.

    Examples
    --------
    >>> SimpleRNN(4, seed=0)(np.ones((2, 5, 3), "float32")).shape
    (2, 4)
    """

    pair = rnn_forward
    learned = ("W", "U", "b")
    options = ("activation",)

    def __init__(self, units: int, activation: str = "tanh", **options: Any) -> None:
        super().__init__(units, **options)
        get_activation(activation)
        self.activation = activation


class LSTM(_Recurrent):
    """Long short-term memory: ``functions.lstm.lstm_forward``, gates in Keras's order, i f g o.

    Parameters
    ----------
    units : int
        M.
    unit_forget_bias : bool
        Whether the forget gate's bias begins at 1, so that c is kept until something is learned.
    **options
        As of ``GRU``.

    Notes
    -----
    Source of the bias: Jozefowicz, Zaremba and Sutskever 2015, "An empirical exploration of
    recurrent network architectures", section 3.

    Examples
    --------
    >>> x = np.ones((2, 5, 3), "float32")
    >>> LSTM(4, seed=0)(x).shape, LSTM(4, return_sequences=True, seed=0)(x).shape
    ((2, 4), (2, 5, 4))
    """

    pair = lstm_forward
    learned = ("W", "U", "b")
    n_gates = 4
    states = ("h0", "c0")

    def __init__(self, units: int, unit_forget_bias: bool = True, **options: Any) -> None:
        super().__init__(units, **options)
        self.unit_forget_bias = unit_forget_bias

    def first_bias(self, shape: Shape, rng: np.random.Generator, dtype: DTypeLike) -> Array:
        b = super().first_bias(shape, rng, dtype)
        if self.unit_forget_bias:
            b[self.units : 2 * self.units] = 1
        return b


class GRU(_Recurrent):
    """Gated recurrent unit: ``functions.gru.gru_forward``, gates in Keras's order, z r n.

    The reset comes after the product (Keras's ``reset_after=True``), so h U has a bias of its own:
    b and v are the rows of Keras's.

    Examples
    --------
    >>> GRU(4, seed=0)(np.ones((2, 5, 3), "float32")).shape
    (2, 4)
    """

    __doc__ += _OPTIONS
    pair = gru_forward
    learned = ("W", "U", "b", "v")
    n_gates = 3
    biases = ("b", "v")
    v: Parameter | None = None


# ---------------------------------------------------------------------------------- two directions


class Reverse(Layer):
    """Sequences (T, D) from their ends: ``functions.reversing.reverse_forward``.

    What stands behind the end of a sequence, by the ``lengths`` in ``Reverse()([x, lengths])``,
    stays there.

    Examples
    --------
    >>> Reverse()(np.array([[[1.0], [2.0]]])).ravel()
    array([2., 1.])
    """

    pair = reverse_forward
    takes_several = True

    def forward(self, x: Arrays, **given: Any) -> tuple[Arrays, Cache]:
        return super().forward(x if isinstance(x, (tuple, list)) else (x,), **given)

    def output_shape(self, sample_shape: Shape) -> Shape:
        return tuple(sample_shape[0]) if isinstance(sample_shape, list) else sample_shape

    def forward_from(self, x: Arrays, past: Past = None) -> tuple[Arrays, Past]:
        raise ValueError(f"{self.label}: it begins at the end, so it does not go on step by step")

    def backward(self, dy: Arrays, cache: Cache, grads: Grads, need_dx: bool = True) -> Arrays:
        dx = super().backward(dy, cache, grads, need_dx)
        return None if dx is None else (dx,)


class Bidirectional:
    """A recurrent layer, and a second one of its kind that reads from the end.

    It is no layer but a way to put two of them into a graph: the second stands between two
    ``Reverse`` layers.

    Parameters
    ----------
    layer : SimpleRNN, LSTM or GRU
        Which reads from the beginning; the other one is made with its arguments, and a seed one
        higher where it has one.
    merge_mode : {"concat", "sum"}
        How the outputs of both become one.

    Examples
    --------
    >>> Bidirectional(GRU(4, seed=0))(np.ones((2, 5, 3), "float32")).shape
    (2, 8)
    """

    def __init__(self, layer: _Recurrent, merge_mode: str = "concat") -> None:
        if not isinstance(layer, _Recurrent):
            raise TypeError(
                f"Bidirectional: layer is {kind_of(layer)}, expected SimpleRNN, LSTM or GRU"
            )
        if layer.return_state:
            raise ValueError("Bidirectional: the layer has return_state=True, expected False")
        if merge_mode not in ("concat", "sum"):
            raise ValueError(
                f"Bidirectional: merge_mode is {merge_mode!r}, expected 'concat' or 'sum'"
            )
        config = layer.get_config()
        config["seed"] = None if layer.seed is None else layer.seed + 1
        config["name"] = None if layer.name is None else f"{layer.name}_backward"
        self.forward_layer, self.backward_layer = layer, type(layer)(**config)
        self.merge_mode = merge_mode

    def __call__(self, x: Any, lengths: Any = None) -> Any:
        also = [] if lengths is None else [lengths]
        there = self.forward_layer(x, lengths=lengths)
        back = self.backward_layer(Reverse()([x, *also]), lengths=lengths)
        if self.forward_layer.return_sequences:
            back = Reverse()([back, *also])
        return (Concatenate() if self.merge_mode == "concat" else Add())([there, back])
