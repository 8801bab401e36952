"""Convolutional layers: ``Conv2D``, ``Conv2DTranspose``, ``Patches``. Images are (N, H, W, C)."""

from __future__ import annotations

import numpy as np

from minienc.arrays import DTypeLike, Rng
from minienc.functions.activations import activation_name
from minienc.functions.convolution import (
    conv2d_forward,
    conv2d_transpose_forward,
    patches_forward,
    transposed_size,
)
from minienc.functions.windows import check_padding, pair_of, place_windows
from minienc.layers.base import Layer
from minienc.layers.dense import _without_activation
from minienc.layers.initializers import InitializerLike
from minienc.layers.parameters import Parameter
from minienc.layers.regularizers import RegularizerLike, get_regularizer
from minienc.shapes import Shape, is_whole

__all__ = ["Conv2D", "Conv2DTranspose", "Patches"]


class _Convolution(Layer):
    """What the two share: their arguments, a kernel, a bias."""

    learned = ("W", "b")
    options = ("strides", "padding", "activation")
    W: Parameter
    b: Parameter | None = None

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = (1, 1),
        padding: str = "valid",
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
        kind = type(self).__name__
        if not is_whole(filters, 1):
            raise ValueError(f"{kind}: filters is {filters!r}, expected a positive integer")
        self.filters = int(filters)
        self.kernel_size = pair_of(kind, "kernel_size", kernel_size)
        self.strides = pair_of(kind, "strides", strides)
        self.padding = check_padding(kind, padding)
        self.activation = activation_name(activation)
        self.use_bias = use_bias
        self.kernel_initializer = kernel_initializer
        self.bias_initializer = bias_initializer
        self.kernel_regularizer = get_regularizer(kernel_regularizer)
        self.bias_regularizer = get_regularizer(bias_regularizer)
        self.activity_regularizer = get_regularizer(activity_regularizer)
        self.seed = seed

    def kernel_channels(self, channels: int) -> tuple[int, int]:
        """The last two axes of the kernel for images of so many channels."""
        return channels, self.filters

    def build(self, sample_shape: Shape, dtype: DTypeLike = "float32", rng: Rng = None) -> None:
        rng = np.random.default_rng(self.seed) if rng is None else rng
        channels = check_image(self, sample_shape)[-1]
        self.W = self.add_parameter(
            "W",
            (*self.kernel_size, *self.kernel_channels(channels)),
            self.kernel_initializer,
            dtype,
            rng,
            self.kernel_regularizer,
        )
        if self.use_bias:
            self.b = self.add_parameter(
                "b", (self.filters,), self.bias_initializer, dtype, rng, self.bias_regularizer
            )
        super().build(sample_shape)

    def _check_channels(self, sample_shape: Shape) -> tuple[int, int, int]:
        """(H, W, C), of as many channels as the kernel is for."""
        image = check_image(self, sample_shape)
        if self.kernel_channels(image[-1]) != self.W.shape[2:]:
            n_in = self.built_for[-1]
            raise ValueError(
                f"{self.label}: its kernel is for images of {n_in} channels, and it was given "
                f"samples of shape {image} with {image[-1]}; channels come last, (H, W, C)"
            )
        return image

    def without_activation(self) -> Layer:
        """The same layer, holding the same parameters, that stops before the activation."""
        return _without_activation(self)


class Conv2D(_Convolution):
    """y = f(b + kernel on every place of the image): ``functions.convolution.conv2d_forward``.

    Its W is (KH, KW, C, filters), its b (filters,).

    Parameters
    ----------
    filters : int
        M, the number of kernels, and of channels that come out.
    kernel_size : int or (int, int)
        Rows and columns.
    strides : int or (int, int)
    padding : {"valid", "same"}
        Whether the kernel stays inside the image, or zeros are added so that strides of 1 keep the
        image's size.
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
    >>> layer = Conv2D(4, kernel_size=3, padding="same", activation="relu", seed=0)
    >>> layer(np.ones((1, 8, 8, 1), "float32")).shape
    (1, 8, 8, 4)
    >>> layer.W.shape
    (3, 3, 1, 4)
    """

    pair = conv2d_forward

    def output_shape(self, sample_shape: Shape) -> Shape:
        height, width, _ = self._check_channels(sample_shape)
        windows = place_windows(
            self.label, (height, width), self.kernel_size, self.strides, self.padding, "kernel_size"
        )
        return (*windows.n, self.filters)

    def flops(self, sample_shape: Shape) -> int:
        """For each of the OH OW places, 2 KH KW C M for the product and M for the bias."""
        rows, columns, _ = self.output_shape(sample_shape)
        return rows * columns * (2 * self.W.size + (0 if self.b is None else self.filters))


class Conv2DTranspose(_Convolution):
    """The transpose of a convolution: ``functions.convolution.conv2d_transpose_forward``.

    With strides of 2, images come out twice as large. Its W is (KH, KW, filters, C), as in Keras,
    its b (filters,).

    Parameters
    ----------
    filters, kernel_size, strides, activation, use_bias, ..., seed, name
        As in ``Conv2D``.
    padding : {"valid", "same"}
        "same": strides times the image's size comes out. "valid": all that the kernels cover.

    Examples
    --------
    >>> layer = Conv2DTranspose(1, kernel_size=2, strides=2, seed=0)
    >>> layer(np.ones((1, 4, 4, 3), "float32")).shape
    (1, 8, 8, 1)
    """

    pair = conv2d_transpose_forward

    def kernel_channels(self, channels: int) -> tuple[int, int]:
        return self.filters, channels

    def output_shape(self, sample_shape: Shape) -> Shape:
        height, width, _ = self._check_channels(sample_shape)
        size = transposed_size(
            self.label, (height, width), self.kernel_size, self.strides, self.padding
        )
        return (*size, self.filters)

    def flops(self, sample_shape: Shape) -> int:
        """For each pixel, 2 KH KW C M to lay the kernel down; M for each bias that is added."""
        height, width, _ = sample_shape
        rows, columns, _ = self.output_shape(sample_shape)
        bias = 0 if self.b is None else rows * columns * self.filters
        return height * width * 2 * self.W.size + bias


def check_image(layer: Layer, sample_shape: Shape) -> tuple[int, int, int]:
    """``sample_shape`` as (H, W, C), or the mend where it is something else."""
    shape = tuple(sample_shape)
    if len(shape) == 3:
        return shape
    mend = "put a Reshape((H, W, C)) before it"
    if len(shape) == 2:
        mend = f"grey images have one channel: put a Reshape({(*shape, 1)}) before it"
    elif len(shape) == 1:
        side = int(shape[0] ** 0.5)
        if side * side == shape[0]:
            mend = f"put a Reshape({(side, side, 1)}) before it, if they are square grey images"
    raise ValueError(
        f"{layer.label}: samples are of shape {shape}, expected images (H, W, C); {mend}"
    )


class Patches(Layer):
    """Every window of an image as a row of numbers: (H, W, C) becomes (OH, OW, KH KW C).

    Parameters
    ----------
    kernel_size, strides : int or (int, int)
    padding : {"valid", "same"}
    name : str or None

    Examples
    --------
    >>> Patches(2, strides=2)(np.zeros((1, 8, 8, 3))).shape
    (1, 4, 4, 12)
    """

    pair = patches_forward
    options = ("kernel_size", "strides", "padding")

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = 1,
        padding: str = "valid",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.kernel_size = pair_of("Patches", "kernel_size", kernel_size)
        self.strides = pair_of("Patches", "strides", strides)
        self.padding = check_padding("Patches", padding)

    def output_shape(self, sample_shape: Shape) -> Shape:
        height, width, channels = check_image(self, sample_shape)
        windows = place_windows(
            self.label, (height, width), self.kernel_size, self.strides, self.padding, "kernel_size"
        )
        return (*windows.n, self.kernel_size[0] * self.kernel_size[1] * channels)
