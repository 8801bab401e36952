"""Sequences of different lengths, padded with zeros: ``Lengths``, ``MaskSteps``, ``CenterSteps``.

    n = Lengths()(x)                       how many steps of x (T, F) count
    h = MaskSteps()([Conv1D(8, 3, padding="same")(x), n])
    y = GRU(16)(h, lengths=n)

So a padded sample is one array, and its length goes with it: through files, batches and devices.
"""

from __future__ import annotations

from typing import Any

from minienc.arrays import Array, Arrays, Cache, get_array_module
from minienc.functions.masking import center_steps_forward, mask_steps_forward
from minienc.layers.base import Layer
from minienc.layers.parameters import Grads
from minienc.shapes import Shape, is_whole

__all__ = ["CenterSteps", "Lengths", "MaskSteps"]


class Lengths(Layer):
    """How many steps there are up to the last that is not 0 throughout: (T, ...) becomes ().

    A step that is 0 throughout is taken for padding where only such steps follow it (Keras's
    ``Masking`` leaves out every such step).

    Parameters
    ----------
    strides : int
        After layers that make of so many steps one: the number is divided by it and rounded up.
    name : str or None

    Examples
    --------
    >>> Lengths()(np.array([[[1.0], [2.0], [0.0]]]))
    array([2], dtype=int32)
    """

    output_dtype = "int32"

    def __init__(self, strides: int = 1, name: str | None = None) -> None:
        super().__init__(name)
        if not is_whole(strides, 1):
            raise ValueError(f"Lengths: strides is {strides!r}, expected a whole number from 1")
        self.strides = int(strides)

    def output_shape(self, sample_shape: Shape) -> Shape:
        if not sample_shape:
            raise ValueError(f"{self.label}: samples are single numbers, expected sequences")
        return ()

    def forward(self, x: Array, **given: Any) -> tuple[Array, None]:
        xp, (N, T) = get_array_module(x), x.shape[:2]
        is_there = (x.reshape((N, T, -1)) != 0).any(axis=2)
        ends = (is_there * (1 + xp.arange(T))).max(axis=1)
        return ((ends + self.strides - 1) // self.strides).astype("int32"), None

    def backward(self, dy: Arrays, cache: Cache, grads: Grads, need_dx: bool = True) -> Any:
        """None: integers have no gradient."""
        return None


class MaskSteps(Layer):
    """y = x, and 0 behind the end: ``layer([x, lengths])`` of samples (T, ...);
    ``functions.masking.mask_steps_forward``.

    Examples
    --------
    >>> MaskSteps()((np.ones((1, 3, 1)), np.array([2]))).ravel()
    array([1., 1., 0.])
    """

    pair = mask_steps_forward
    takes_several = True

    def forward(self, x: Any, **given: Any) -> tuple[Any, Any]:
        return super().forward(x if isinstance(x, (tuple, list)) else (x,), **given)

    def backward(self, dy: Arrays, cache: Cache, grads: Grads, need_dx: bool = True) -> Any:
        dx = super().backward(dy, cache, grads, need_dx)
        return None if dx is None else (dx,)

    def output_shape(self, sample_shape: Shape) -> Shape:
        return tuple(sample_shape[0]) if isinstance(sample_shape, list) else sample_shape


class CenterSteps(MaskSteps):
    """y = x minus its mean over the steps that count, and 0 behind the end: ``layer([x, lengths])``
    of samples (T, C); ``functions.masking.center_steps_forward``.

    Examples
    --------
    >>> CenterSteps()((np.array([[[1.0], [3.0], [9.0]]]), np.array([2]))).ravel()
    array([-1.,  1.,  0.])
    """

    pair = center_steps_forward
