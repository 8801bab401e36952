"""The convolutional autoencoder: an autoencoder whose layers know that pixels have neighbours.

    x (28, 28, 1) -> conv (14, 14, 16) -> conv (7, 7, 32) -> code 32 -> (7, 7, 32) -> ... -> x_hat

A kernel looks at a few pixels that lie side by side, and at every place of the image with the
same weights: what has been learned in one corner is known in all. Strides of 2 halve the image on
the way down; transposed convolutions with the same strides double it on the way back. Between them
stands a dense code, so that it can be compared with every other method's.

Source: Masci, Meier, Ciresan and Schmidhuber 2011, "Stacked convolutional auto-encoders for
hierarchical feature extraction" (there with max-pooling in place of strides).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minienc.layers import Activation, Conv2D, Conv2DTranspose, Dense, Flatten, Input, Reshape
from minienc.layers.base import Layer
from minienc.models import Model
from minienc.pretraining.autoencoder import Reconstruction
from minienc.pretraining.base import check_counts
from minienc.pretraining.networks import as_halving_shape


class ConvolutionalAutoencoder(Reconstruction):
    """Convolutions with strides of 2 down to a dense code and, mirrored, back.

    Parameters
    ----------
    filters : sequence of int
        Channels of each convolution; each halves the image, whose height and width must allow it.
    kernel_size : int
    code : int
        Width of the code.
    activation : str
        Of every layer but the code and the output.
    image_shape : (H, W) or (H, W, C), or None
        Of a sample. None: as the samples come, and a square grey image for rows.
    **params
        As of ``Reconstruction``.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((64, 16))
    >>> method = ConvolutionalAutoencoder(
    ...     filters=(4,), code=3, image_shape=(4, 4), epochs=1, random_state=0
    ... )
    >>> method = method.fit(X)
    >>> method.transform(X).shape
    (64, 3)
    """

    method = "convolutional"
    takes_rows = False
    filters: Sequence[int] = (16, 32)
    kernel_size: int = 3
    code: int = 32
    activation: str = "relu"
    image_shape: Sequence[int] | None = None

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        check_counts(type(self).__name__, kernel_size=self.kernel_size, code=self.code)
        check_counts(
            type(self).__name__, **{f"filters[{i}]": n for i, n in enumerate(self.filters)}
        )
        self._image_shape(sample_shape)

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        x = Input(sample_shape, dtype=self.dtype)
        tensor = Reshape(self._image_shape(sample_shape))(x)
        shapes = [tensor.sample_shape]
        for i, n in enumerate(self.filters, 1):
            tensor = self._layer(Conv2D, n, self.activation, f"encoder_{i}")(tensor)
            shapes.append(tensor.sample_shape)
        code = Dense(self.code, name="code")(Flatten()(tensor))
        tensor = Dense(math.prod(shapes[-1]), activation=self.activation, name="from_code")(code)
        tensor = Reshape(shapes[-1])(tensor)
        for i, shape in reversed(list(enumerate(shapes[:-1], 1))):
            f = self.activation if i > 1 else None
            tensor = self._layer(Conv2DTranspose, shape[-1], f, f"decoder_{i}")(tensor)
        x_hat = Activation(self._output_activation())(Flatten()(tensor))
        self.model_ = Model(x, x_hat, name="autoencoder")
        self.encoder_ = Model(x, code, name="encoder")
        self.decoder_ = Model(code, x_hat, name="decoder")
        self.model_.initialize(rng)

    def _layer(self, kind: Any, filters: int, activation: str | None, name: str) -> Layer:
        size = self.kernel_size
        return kind(filters, size, strides=2, padding="same", activation=activation, name=name)

    def _image_shape(self, sample_shape: Sequence[int]) -> tuple[int, int, int]:
        """(H, W, C), which halve as often as there are convolutions."""
        n_features, times = math.prod(sample_shape), len(self.filters)
        return as_halving_shape(type(self).__name__, self.image_shape, n_features, times)
