"""Dense layers: ``Dense``, its tied mirror image ``DenseTranspose``, and ``Activation``."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from minienc.arrays import DTypeLike, Rng
from minienc.functions.activations import activation_name, get_activation
from minienc.functions.dense import dense_forward
from minienc.layers.base import Layer
from minienc.layers.embedding import Embedding
from minienc.layers.initializers import InitializerLike
from minienc.layers.parameters import Parameter
from minienc.layers.regularizers import RegularizerLike, get_regularizer
from minienc.primitive import Primitive
from minienc.shapes import Shape, is_whole, kind_of

__all__ = ["Activation", "Dense", "DenseTranspose"]


class _Affine(Layer):
    """What ``Dense`` and ``DenseTranspose`` share: y = f(x K + b), with K either W or W'."""

    pair = dense_forward
    learned = ("W", "b")
    options = ("activation",)
    W: Parameter
    b: Parameter | None = None
    activation: str | None

    def kernel_shape(self) -> tuple[int, int]:
        """(D, M) of K."""
        n_in, n_out = self.W.shape
        return (n_out, n_in) if self.transposed else (n_in, n_out)

    def output_shape(self, sample_shape: Shape) -> Shape:
        n_in, n_out = self.kernel_shape()
        if sample_shape[-1] != n_in:
            raise ValueError(
                f"{self.label}: its weights are for inputs of {n_in} features, and it was given "
                f"{sample_shape[-1]}"
            )
        return (*sample_shape[:-1], n_out)

    def flops(self, sample_shape: Shape) -> int:
        """2 D M for the product (a multiplication and an addition each), M for the bias."""
        rows = int(np.prod(sample_shape[:-1]))
        n_in, n_out = self.kernel_shape()
        return rows * (2 * n_in * n_out + (0 if self.b is None else n_out))

    def without_activation(self) -> Layer:
        """The same layer, holding the same parameters, that stops at z = x K + b."""
        return _without_activation(self)


class Dense(_Affine):
    """y = f(x W + b), with W (D, M) and b (M,) of its own.

    Parameters
    ----------
    units : int
        M, the number of outputs.
    activation : str or None
        A name of ``minienc.functions.activations.ACTIVATIONS``; None is the identity.
    use_bias : bool
    kernel_initializer, bias_initializer : str or callable ``(shape, rng, dtype) -> array``
    kernel_regularizer, bias_regularizer, activity_regularizer : str or regularizer or None
        Penalties on W, on b, on y (divided by the batch size), added to a model's loss.
    seed : int or None
        For drawing the weights; None draws them anew each time.
    name : str or None

    Examples
    --------
    >>> layer = Dense(2, activation="relu", seed=0)
    >>> layer(np.ones((5, 3), "float32")).shape
    (5, 2)
    >>> layer.W.shape, layer.b.shape
    ((3, 2), (2,))
    """

    def __init__(
        self,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        seed: int | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, trainable)
        self.units = _check_units(type(self).__name__, units)
        self.activation = activation_name(activation)
        self.use_bias = use_bias
        self.kernel_initializer = kernel_initializer
        self.bias_initializer = bias_initializer
        self.kernel_regularizer = get_regularizer(kernel_regularizer)
        self.bias_regularizer = get_regularizer(bias_regularizer)
        self.activity_regularizer = get_regularizer(activity_regularizer)
        self.seed = seed

    def build(self, sample_shape: Shape, dtype: DTypeLike = "float32", rng: Rng = None) -> None:
        rng = np.random.default_rng(self.seed) if rng is None else rng
        shape = (sample_shape[-1], self.units)
        self.W = self.add_parameter(
            "W", shape, self.kernel_initializer, dtype, rng, self.kernel_regularizer
        )
        if self.use_bias:
            self.b = self.add_parameter(
                "b", (self.units,), self.bias_initializer, dtype, rng, self.bias_regularizer
            )
        super().build(sample_shape)


class DenseTranspose(_Affine):
    """y = f(x W' + b) with the W (D, M) of another layer: a decoder with tied weights.

    W stays one ``Parameter``: it receives the sum of both layers' gradients, and is tied after
    training as before it. The bias (D,) is its own.

    Parameters
    ----------
    tied_to : Dense or Embedding
        The layer whose W is used; it must have been applied to its input before.
    activation, use_bias, bias_initializer, bias_regularizer, activity_regularizer, seed, name
        As in ``Dense``.

    Notes
    -----
    Source: Vincent et al. 2010, "Stacked denoising autoencoders", section 2.3.

    Examples
    --------
    >>> encode = Dense(2, seed=0)
    >>> code = encode(np.ones((5, 3), "float32"))
    >>> DenseTranspose(encode)(code).shape  # back to three, by the same weights
    (5, 3)
    """

    transposed = ("W",)

    def __init__(
        self,
        tied_to: Dense | Embedding,
        activation: str | None = None,
        use_bias: bool = True,
        bias_initializer: InitializerLike = "zeros",
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        seed: int | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, trainable)
        if not isinstance(tied_to, (Dense, Embedding)):
            raise TypeError(
                f"DenseTranspose: tied_to is {kind_of(tied_to)}, expected a Dense layer "
                f"or an Embedding"
            )
        self.tied_to = tied_to
        self.activation = activation_name(activation)
        self.use_bias = use_bias
        self.bias_initializer = bias_initializer
        self.bias_regularizer = get_regularizer(bias_regularizer)
        self.activity_regularizer = get_regularizer(activity_regularizer)
        self.seed = seed

    def build(self, sample_shape: Shape, dtype: DTypeLike = "float32", rng: Rng = None) -> None:
        self.tied_to.check_built()
        self.W = self.tied_to.W
        rng = np.random.default_rng(self.seed) if rng is None else rng
        if self.use_bias:
            n_out = self.tied_to.W.shape[0]
            self.b = self.add_parameter(
                "b", (n_out,), self.bias_initializer, dtype, rng, self.bias_regularizer
            )
        super().build(sample_shape)

    def parameters_used(self) -> tuple[Parameter, ...]:
        return (self.W, *self._own)


class Activation(Layer):
    """y = f(x), f one of ``minienc.functions.activations.ACTIVATIONS``.

    Examples
    --------
    >>> Activation("relu")(np.array([[-1.0, 2.0]]))
    array([[0., 2.]])
    """

    def __init__(
        self,
        activation: str | None,
        activity_regularizer: RegularizerLike = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, trainable)
        self.activation = activation_name(activation)
        self.activity_regularizer = get_regularizer(activity_regularizer)

    @property
    def pair(self) -> Primitive:  # type: ignore[override]
        return get_activation(self.activation)

    def without_activation(self) -> Layer:
        """The same place in the graph, passing x on."""
        return _without_activation(self)


def _check_units(layer: str, units: int) -> int:
    if not is_whole(units, 1):
        raise ValueError(f"{layer}: units is {units!r}, expected a positive integer")
    return int(units)


def _without_activation(layer: Layer) -> Layer:
    """A shallow copy: another layer, the same ``Parameter`` objects."""
    twin: Any = copy.copy(layer)
    twin.activation = None
    return twin
