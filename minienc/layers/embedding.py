"""``Embedding``: words become vectors; and where they stand, ``PositionEmbedding`` and
``SinusoidalPositions``."""

from __future__ import annotations

from typing import Any

import numpy as np

from minienc.arrays import Array, Arrays, Cache, DTypeLike, Rng, to_device_of
from minienc.functions.embedding import embedding_forward
from minienc.functions.positions import add_positions_forward, sinusoidal_positions
from minienc.layers.base import Layer
from minienc.layers.initializers import InitializerLike
from minienc.layers.parameters import Grads, Parameter
from minienc.layers.regularizers import RegularizerLike, get_regularizer
from minienc.shapes import Shape, is_whole

__all__ = ["Embedding", "PositionEmbedding", "SinusoidalPositions"]


class Embedding(Layer):
    """y = W[ids], a row of W (V, D) for each integer: ``functions.embedding.embedding_forward``.

    A decoder with the same table is ``DenseTranspose(embedding)``.

    Parameters
    ----------
    input_dim : int
        V, the size of the vocabulary.
    output_dim : int
        D.
    embeddings_initializer : str or callable ``(shape, rng, dtype) -> array``
    embeddings_regularizer : str or regularizer or None
    dtype : {"float32", "float64"}
        Of W, as the inputs are integers.
    seed : int or None
    name : str or None

    Examples
    --------
    >>> layer = Embedding(10, 4, seed=0)
    >>> layer(np.array([[1, 2, 1]])).shape
    (1, 3, 4)
    """

    learned = ("W",)
    W: Parameter

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: InitializerLike = "lecun_normal",
        embeddings_regularizer: RegularizerLike = None,
        dtype: DTypeLike = "float32",
        seed: int | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, trainable)
        for key, value in (("input_dim", input_dim), ("output_dim", output_dim)):
            if not is_whole(value, 1):
                raise ValueError(f"Embedding: {key} is {value!r}, expected a whole number from 1")
        self.input_dim, self.output_dim = int(input_dim), int(output_dim)
        self.embeddings_initializer = embeddings_initializer
        self.embeddings_regularizer = get_regularizer(embeddings_regularizer)
        self.dtype = str(np.dtype(dtype))
        self.seed = seed

    pair = embedding_forward

    @property
    def output_dtype(self) -> str:  # type: ignore[override]
        return self.dtype

    def build(self, sample_shape: Shape, dtype: DTypeLike = "float32", rng: Rng = None) -> None:
        if np.dtype(dtype).kind not in "iu":
            raise TypeError(
                f"{self.label}: its inputs are {np.dtype(dtype)}, expected integers: "
                f'Input(shape, dtype="int32")'
            )
        rng = np.random.default_rng(self.seed) if rng is None else rng
        self.W = self.add_parameter(
            "W",
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            self.dtype,
            rng,
            self.embeddings_regularizer,
        )
        super().build(sample_shape)

    def output_shape(self, sample_shape: Shape) -> Shape:
        return (*sample_shape, self.output_dim)

    def backward(self, dy: Array, cache: Cache, grads: Grads, need_dx: bool = True) -> Arrays:
        """None: integers have no gradient. dW is added to ``grads``."""
        inner = self.check_stamp(cache)
        if grads is not None:
            grads.add(self.W, self.pair.backward(dy, inner))


class PositionEmbedding(Layer):
    """y_t = x_t + P_t, a learned vector for each place: ``functions.positions``.

    Parameters
    ----------
    initializer : str or callable ``(shape, rng, dtype) -> array``
    seed : int or None
    name : str or None

    Examples
    --------
    >>> PositionEmbedding(seed=0)(np.zeros((2, 5, 4), "float32")).shape
    (2, 5, 4)
    """

    pair = add_positions_forward
    learned = ("P",)
    limits_context = True
    P: Parameter

    def __init__(
        self,
        initializer: InitializerLike = "lecun_normal",
        seed: int | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, trainable)
        self.initializer, self.seed = initializer, seed

    def build(self, sample_shape: Shape, dtype: DTypeLike = "float32", rng: Rng = None) -> None:
        rng = np.random.default_rng(self.seed) if rng is None else rng
        self.P = self.add_parameter("P", tuple(sample_shape[-2:]), self.initializer, dtype, rng)
        super().build(sample_shape)

    def forward_from(self, x: Array, past: int | None = None) -> tuple[Array, int]:
        """What is remembered is the place."""
        start = past or 0
        return self.forward(x, start=start)[0], start + x.shape[-2]


class SinusoidalPositions(Layer):
    """y_t = x_t + waves_t: ``functions.positions.sinusoidal_positions``. Nothing is learned.

    Examples
    --------
    >>> SinusoidalPositions()(np.zeros((1, 1, 4), "float32"))
    array([[[0., 1., 0., 1.]]], dtype=float32)
    """

    pair = add_positions_forward
    limits_context = True

    def forward(self, x: Array, start: int = 0, **given: Any) -> tuple[Array, Cache]:
        T, D = x.shape[-2:]
        waves = to_device_of(sinusoidal_positions(start + T, D, x.dtype), x)
        return super().forward(x, P=waves, start=start, **given)

    def forward_from(self, x: Array, past: int | None = None) -> tuple[Array, int]:
        """What is remembered is the place."""
        start = past or 0
        return self.forward(x, start=start)[0], start + x.shape[-2]

    def backward(self, dy: Array, cache: Cache, grads: Grads, need_dx: bool = True) -> Arrays:
        self.check_stamp(cache)
        return dy.copy() if need_dx else None
