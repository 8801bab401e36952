"""Layers without weights that make images smaller or larger. Images are (N, H, W, C)."""

from __future__ import annotations

from typing import Any

from minienc.arrays import Array
from minienc.functions.pooling import (
    average_pooling2d_backward,
    average_pooling2d_forward,
    global_average_pooling2d_backward,
    global_average_pooling2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
    up_sampling2d_backward,
    up_sampling2d_forward,
)
from minienc.functions.windows import check_padding, pair_of, place_windows
from minienc.layers.base import Gradients, Layer, LayerCache
from minienc.layers.convolution import check_image


class _Pooling(Layer):
    """What the pools share: their windows, one pair."""

    pair: tuple[Any, Any]

    def __init__(
        self,
        pool_size: int | tuple[int, int] = (2, 2),
        strides: int | tuple[int, int] | None = None,
        padding: str = "valid",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        kind = type(self).__name__
        self.pool_size = pair_of(kind, "pool_size", pool_size)
        self.strides = self.pool_size if strides is None else pair_of(kind, "strides", strides)
        self.padding = check_padding(kind, padding)

    def forward(self, x: Array) -> tuple[Array, LayerCache]:
        forward, _ = self.pair
        y, cache = forward(x, self.pool_size, self.strides, self.padding)
        return y, self.stamp(cache)

    def backward(self, dy: Array, cache: Any, grads: Gradients | None, need_dx: bool = True) -> Any:
        _, backward = self.pair
        return backward(dy, self.check_stamp(cache))

    def output_shape(self, sample_shape: Any) -> Any:
        height, width, channels = check_image(self, sample_shape)
        windows = place_windows(
            self.label, (height, width), self.pool_size, self.strides, self.padding, "pool_size"
        )
        return (*windows.n, channels)


class MaxPool2D(_Pooling):
    """The largest number of each window, channel by channel.

    Parameters
    ----------
    pool_size : int or (int, int)
        Rows and columns.
    strides : int or (int, int), optional
        ``pool_size`` if None: windows side by side.
    padding : {"valid", "same"}
        Whether windows stay inside the image, or reach over its edge so that ceil(H / stride) rows
        come out; what lies beyond the edge takes no part.
    name : str or None
    """

    pair = (max_pool2d_forward, max_pool2d_backward)


class AveragePooling2D(_Pooling):
    """The mean of each window, channel by channel.

    Parameters
    ----------
    pool_size, strides, padding, name
        As in ``MaxPool2D``.
    """

    pair = (average_pooling2d_forward, average_pooling2d_backward)


class GlobalAveragePooling2D(Layer):
    """The mean of each channel over all pixels: (N, H, W, C) -> (N, C)."""

    def forward(self, x: Array) -> tuple[Array, LayerCache]:
        y, cache = global_average_pooling2d_forward(x)
        return y, self.stamp(cache)

    def backward(self, dy: Array, cache: Any, grads: Gradients | None, need_dx: bool = True) -> Any:
        return global_average_pooling2d_backward(dy, self.check_stamp(cache))

    def output_shape(self, sample_shape: Any) -> Any:
        return check_image(self, sample_shape)[-1:]


class UpSampling2D(Layer):
    """Every pixel as a block of equal ones: (N, H, W, C) -> (N, H SH, W SW, C).

    Parameters
    ----------
    size : int or (int, int)
        SH, SW.
    name : str or None
    """

    def __init__(self, size: int | tuple[int, int] = (2, 2), name: str | None = None) -> None:
        super().__init__(name)
        self.size = pair_of(type(self).__name__, "size", size)

    def forward(self, x: Array) -> tuple[Array, LayerCache]:
        y, cache = up_sampling2d_forward(x, self.size)
        return y, self.stamp(cache)

    def backward(self, dy: Array, cache: Any, grads: Gradients | None, need_dx: bool = True) -> Any:
        return up_sampling2d_backward(dy, self.check_stamp(cache))

    def output_shape(self, sample_shape: Any) -> Any:
        height, width, channels = check_image(self, sample_shape)
        return (height * self.size[0], width * self.size[1], channels)
