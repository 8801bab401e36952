"""Layers without weights that make images smaller or larger. Images are (N, H, W, C)."""

from __future__ import annotations

from minienc.functions.pooling import (
    average_pooling2d_forward,
    global_average_pooling2d_forward,
    max_pool2d_forward,
    up_sampling2d_forward,
)
from minienc.functions.windows import check_padding, pair_of, place_windows
from minienc.layers.base import Layer
from minienc.layers.convolution import check_image
from minienc.shapes import Shape

__all__ = ["AveragePooling2D", "GlobalAveragePooling2D", "MaxPool2D", "UpSampling2D"]


class _Pooling(Layer):
    """What the pools share: their windows."""

    options = ("pool_size", "strides", "padding")

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

    def output_shape(self, sample_shape: Shape) -> Shape:
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

    Examples
    --------
    >>> MaxPool2D()(np.zeros((1, 8, 8, 3))).shape
    (1, 4, 4, 3)
    """

    pair = max_pool2d_forward


class AveragePooling2D(_Pooling):
    """The mean of each window, channel by channel.

    Parameters
    ----------
    pool_size, strides, padding, name
        As in ``MaxPool2D``.

    Examples
    --------
    >>> AveragePooling2D()(np.ones((1, 2, 2, 1))).ravel()
    array([1.])
    """

    pair = average_pooling2d_forward


class GlobalAveragePooling2D(Layer):
    """The mean of each channel over all pixels: (N, H, W, C) -> (N, C).

    Examples
    --------
    >>> GlobalAveragePooling2D()(np.ones((1, 8, 8, 3)))
    array([[1., 1., 1.]])
    """

    pair = global_average_pooling2d_forward

    def output_shape(self, sample_shape: Shape) -> Shape:
        return check_image(self, sample_shape)[-1:]


class UpSampling2D(Layer):
    """Every pixel as a block of equal ones: (N, H, W, C) -> (N, H SH, W SW, C).

    Parameters
    ----------
    size : int or (int, int)
        SH, SW.
    name : str or None

    Examples
    --------
    >>> UpSampling2D()(np.zeros((1, 4, 4, 3))).shape
    (1, 8, 8, 3)
    """

    pair = up_sampling2d_forward
    options = ("size",)

    def __init__(self, size: int | tuple[int, int] = (2, 2), name: str | None = None) -> None:
        super().__init__(name)
        self.size = pair_of(type(self).__name__, "size", size)

    def output_shape(self, sample_shape: Shape) -> Shape:
        height, width, channels = check_image(self, sample_shape)
        return (height * self.size[0], width * self.size[1], channels)
