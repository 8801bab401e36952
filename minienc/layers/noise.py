"""Layers that disturb: ``Dropout`` and the noises of denoising autoencoders.

Each draws only when ``forward`` is given a generator, as ``fit`` does; ``predict`` and a plain
``layer(x)`` pass x on unchanged.
"""

from __future__ import annotations

from minienc.functions.noise import (
    dropout_forward,
    gaussian_noise_forward,
    masking_noise_forward,
    salt_and_pepper_noise_forward,
)
from minienc.layers.base import Layer

__all__ = ["Dropout", "GaussianNoise", "MaskingNoise", "SaltAndPepperNoise"]


class Dropout(Layer):
    """In training, each number is zero with probability ``rate``, else divided by 1 - rate.

    Examples
    --------
    >>> layer, x = Dropout(0.5), np.ones((1, 4))
    >>> layer(x)  # without rng, as in predict, nothing happens
    array([[1., 1., 1., 1.]])
    >>> layer(x, rng=np.random.default_rng(0))
    array([[2., 2., 2., 0.]])
    """

    pair = dropout_forward
    options = ("rate",)
    uses_rng = True

    def __init__(self, rate: float, name: str | None = None) -> None:
        super().__init__(name)
        self.rate = _check_rate("Dropout", rate, below_one=True)


class MaskingNoise(Layer):
    """In training, each number is zero with probability ``rate``.

    Examples
    --------
    >>> MaskingNoise(0.5)(np.ones((1, 4)), rng=np.random.default_rng(0))
    array([[1., 1., 1., 0.]])
    """

    pair = masking_noise_forward
    options = ("rate",)
    uses_rng = True

    def __init__(self, rate: float, name: str | None = None) -> None:
        super().__init__(name)
        self.rate = _check_rate("MaskingNoise", rate)


class SaltAndPepperNoise(Layer):
    """In training, each number becomes 0 or 1, by equal chance, with probability ``rate``.

    Examples
    --------
    >>> SaltAndPepperNoise(0.5)(np.full((1, 4), 0.5), rng=np.random.default_rng(0)).shape
    (1, 4)
    """

    pair = salt_and_pepper_noise_forward
    options = ("rate",)
    uses_rng = True

    def __init__(self, rate: float, name: str | None = None) -> None:
        super().__init__(name)
        self.rate = _check_rate("SaltAndPepperNoise", rate)


class GaussianNoise(Layer):
    """In training, normal noise of standard deviation ``stddev`` is added.

    Examples
    --------
    >>> GaussianNoise(0.1)(np.zeros((1, 4)), rng=np.random.default_rng(0)).shape
    (1, 4)
    """

    pair = gaussian_noise_forward
    options = ("stddev",)
    uses_rng = True

    def __init__(self, stddev: float, name: str | None = None) -> None:
        super().__init__(name)
        if not stddev >= 0:
            raise ValueError(f"GaussianNoise: stddev is {stddev}, expected a number >= 0")
        self.stddev = float(stddev)


def _check_rate(layer: str, rate: float, below_one: bool = False) -> float:
    if not (0 <= rate < 1 or (rate == 1 and not below_one)):
        bound = "[0, 1)" if below_one else "[0, 1]"
        raise ValueError(f"{layer}: rate is {rate}, expected a probability in {bound}")
    return float(rate)
