"""Layers that disturb: ``Dropout`` and the noises of denoising autoencoders.

Each draws only when ``forward`` is given a generator, as ``fit`` does; ``predict`` and a plain
``layer(x)`` pass x on unchanged.
"""

from __future__ import annotations

from typing import Any

from minienc.arrays import Array
from minienc.functions.noise import (
    dropout_backward,
    dropout_forward,
    gaussian_noise_backward,
    gaussian_noise_forward,
    masking_noise_backward,
    masking_noise_forward,
    salt_and_pepper_noise_backward,
    salt_and_pepper_noise_forward,
)
from minienc.layers.base import Gradients, Layer, LayerCache


class _Noise(Layer):
    """What the noises share: one strength, one pair."""

    uses_rng = True
    pair: tuple[Any, Any]
    strength: str  # the name of the constructor's argument

    def forward(self, x: Array, rng: Any = None) -> tuple[Array, LayerCache]:
        forward, _ = self.pair
        y, cache = forward(x, getattr(self, self.strength), rng=rng)
        return y, self.stamp(cache)

    def backward(self, dy: Array, cache: Any, grads: Gradients | None, need_dx: bool = True) -> Any:
        _, backward = self.pair
        return backward(dy, self.check_stamp(cache))


class Dropout(_Noise):
    """In training, each number is zero with probability ``rate``, else divided by 1 - rate."""

    pair = (dropout_forward, dropout_backward)
    strength = "rate"

    def __init__(self, rate: float, name: str | None = None) -> None:
        super().__init__(name)
        self.rate = _check_rate("Dropout", rate, below_one=True)


class MaskingNoise(_Noise):
    """In training, each number is zero with probability ``rate``."""

    pair = (masking_noise_forward, masking_noise_backward)
    strength = "rate"

    def __init__(self, rate: float, name: str | None = None) -> None:
        super().__init__(name)
        self.rate = _check_rate("MaskingNoise", rate)


class SaltAndPepperNoise(_Noise):
    """In training, each number becomes 0 or 1, by equal chance, with probability ``rate``."""

    pair = (salt_and_pepper_noise_forward, salt_and_pepper_noise_backward)
    strength = "rate"

    def __init__(self, rate: float, name: str | None = None) -> None:
        super().__init__(name)
        self.rate = _check_rate("SaltAndPepperNoise", rate)


class GaussianNoise(_Noise):
    """In training, normal noise of standard deviation ``stddev`` is added."""

    pair = (gaussian_noise_forward, gaussian_noise_backward)
    strength = "stddev"

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
