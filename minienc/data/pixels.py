"""Images that stay bytes in memory and become numbers from 0 to 1 batch by batch.

MNIST is 47 MB as bytes and 188 MB as float32. Training looks at one batch at a time, so only a
batch ever needs to be float.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike


class Pixels:
    """uint8 images, seen as floats: ``x[index]`` is ``images[index] * scale``.

    It has what training needs of an array: ``shape``, ``dtype``, ``len`` and indexing.
    ``np.asarray(x)`` makes all of it float.

    Parameters
    ----------
    images : ndarray of uint8, (N, ...)
        Kept as it is, not copied; a ``numpy.memmap`` will do.
    dtype : {"float32", "float64"}
        What indexing returns.
    scale : float
        1/255 for bytes, 1/16 for pixels that run from 0 to 16.

    Raises
    ------
    TypeError, ValueError
        If ``images`` is not uint8 or has no axis of samples, if ``dtype`` is not a float of 32 or
        64 bits, if ``scale`` is not a positive number.

    Examples
    --------
    >>> pixels = Pixels(np.array([[0, 255]], dtype=np.uint8))
    >>> np.asarray(pixels)
    array([[0., 1.]], dtype=float32)
    """

    def __init__(
        self, images: np.ndarray, dtype: DTypeLike = "float32", scale: float = 1 / 255
    ) -> None:
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
            came = getattr(images, "dtype", type(images).__name__)
            raise TypeError(f"Pixels: images is {came}, expected an ndarray of uint8")
        if images.ndim == 0:
            raise ValueError("Pixels: images is a single number, expected (N, ...)")
        if not 0 < scale < np.inf:
            raise ValueError(f"Pixels: scale is {scale}, expected a positive number such as 1/255")
        self.images = images
        self.dtype = check_float_dtype(dtype, "Pixels")
        self.scale = float(scale)

    shape = property(lambda self: self.images.shape, doc="(N, ...), as of the images.")
    ndim = property(lambda self: self.images.ndim, doc="Number of axes.")
    size = property(lambda self: self.images.size, doc="Number of pixels.")
    nbytes = property(lambda self: self.images.nbytes, doc="Bytes held: one for each pixel.")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return the samples ``index`` (int, slice, int or bool array) as new floats."""
        # m * (1 / m), both rounded, is never above 1: the brightest pixel stays in [0, 1]
        return np.multiply(self.images[index], self.dtype.type(self.scale), dtype=self.dtype)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("Pixels cannot become an array without a copy: they are kept as uint8")
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def take(self, indices: np.ndarray) -> Pixels:
        """Return the samples ``indices`` as Pixels, still bytes."""
        return Pixels(self.images[indices], self.dtype, self.scale)

    def flatten_samples(self) -> Pixels:
        """Return the same bytes seen as (N, D), one row a sample."""
        rows = self.images.reshape(len(self), int(np.prod(self.shape[1:])))
        return Pixels(rows, self.dtype, self.scale)

    def __repr__(self) -> str:
        return f"Pixels({self.shape}, uint8 seen as {self.dtype}, scale={self.scale:.6g})"


Samples = np.ndarray | Pixels  # (N, ...)


def check_float_dtype(dtype: DTypeLike, who: str) -> np.dtype:
    """Return ``dtype`` as a NumPy dtype, float32 or float64; raise ValueError for another."""
    try:
        name = "None" if dtype is None else np.dtype(dtype).name  # to NumPy None means float64
    except TypeError:
        name = "unknown"
    if name not in ("float32", "float64"):
        raise ValueError(f"{who}: dtype is {dtype!r}, expected 'float32' or 'float64'")
    return np.dtype(name)
