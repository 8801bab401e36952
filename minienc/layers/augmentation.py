"""Layers that make other recordings of spectrograms (T, F), in training alone: ``SpecAugment``,
``RandomEqualizer``, ``RandomStretch``. As the noises, they pass x on unchanged
without a generator."""

from __future__ import annotations

from minienc.functions.augmentation import (
    random_equalizer_forward,
    random_stretch_forward,
    spec_augment_forward,
)
from minienc.layers.base import Layer
from minienc.shapes import is_whole

__all__ = ["RandomEqualizer", "RandomStretch", "SpecAugment"]


class SpecAugment(Layer):
    """In training, stripes of frames and of bands are 0.

    Parameters
    ----------
    time_masks, frequency_masks : int
        How many stripes.
    time_width, frequency_width : float
        The most frames, and bands, of one.
    name : str or None

    Examples
    --------
    >>> SpecAugment()(np.ones((1, 20, 8)), rng=np.random.default_rng(0)).shape
    (1, 20, 8)
    """

    pair = spec_augment_forward
    options = ("time_masks", "time_width", "frequency_masks", "frequency_width")
    uses_rng = True

    def __init__(
        self,
        time_masks: int = 2,
        time_width: float = 8.0,
        frequency_masks: int = 2,
        frequency_width: float = 8.0,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        for key, n in (("time_masks", time_masks), ("frequency_masks", frequency_masks)):
            if not is_whole(n, 0):
                raise ValueError(f"SpecAugment: {key} is {n!r}, expected a whole number from 0")
        for key, width in (("time_width", time_width), ("frequency_width", frequency_width)):
            if not width >= 0:
                raise ValueError(f"SpecAugment: {key} is {width}, expected a number >= 0")
        self.time_masks, self.time_width = int(time_masks), float(time_width)
        self.frequency_masks = int(frequency_masks)
        self.frequency_width = float(frequency_width)


class RandomEqualizer(Layer):
    """In training, some bands are louder and others softer, along a smooth curve.

    Parameters
    ----------
    amount : float
        The standard deviation of the slowest wave of the curve.
    name : str or None

    Examples
    --------
    >>> RandomEqualizer()(np.ones((1, 20, 8)), rng=np.random.default_rng(0)).shape
    (1, 20, 8)
    """

    pair = random_equalizer_forward
    options = ("amount",)
    uses_rng = True

    def __init__(self, amount: float = 0.3, name: str | None = None) -> None:
        super().__init__(name)
        if not amount >= 0:
            raise ValueError(f"RandomEqualizer: amount is {amount}, expected a number >= 0")
        self.amount = float(amount)


class RandomStretch(Layer):
    """In training, a sample is spoken faster or slower, and its bands lie higher or lower.

    Parameters
    ----------
    time, frequency : float
        In [0, 1): by what part at most.
    name : str or None

    Examples
    --------
    >>> RandomStretch()(np.ones((1, 20, 8)), rng=np.random.default_rng(0)).shape
    (1, 20, 8)
    """

    pair = random_stretch_forward
    options = ("time", "frequency")
    uses_rng = True

    def __init__(self, time: float = 0.1, frequency: float = 0.1, name: str | None = None) -> None:
        super().__init__(name)
        for key, amount in (("time", time), ("frequency", frequency)):
            if not 0 <= amount < 1:
                raise ValueError(f"RandomStretch: {key} is {amount}, expected in [0, 1)")
        self.time, self.frequency = float(time), float(frequency)
