"""``UncertaintyWeighting``: the losses of several tasks become one, by weights that are learned."""

from __future__ import annotations

import numpy as np

from minienc.arrays import DTypeLike
from minienc.functions.uncertainty import uncertainty_weighting_forward
from minienc.layers.base import Layer
from minienc.layers.initializers import InitializerLike
from minienc.layers.parameters import Parameter
from minienc.shapes import Shape

__all__ = ["UncertaintyWeighting"]


class UncertaintyWeighting(Layer):
    """y = sum_k (exp(-s_k) l_k + s_k / 2) of K losses l (..., K); what is learned are the s_k, the
    logarithms of variances: ``functions.uncertainty.uncertainty_weighting_forward``.

    Parameters
    ----------
    initializer : str
        How s begins: with zeros, all losses count alike.
    seed : int or None
    name : str or None

    Examples
    --------
    >>> UncertaintyWeighting()(np.ones((1, 2), "float32")).shape
    (1, 1)
    """

    pair = uncertainty_weighting_forward
    learned = ("s",)
    s: Parameter

    def __init__(
        self,
        initializer: InitializerLike = "zeros",
        seed: int | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, trainable)
        self.initializer, self.seed = initializer, seed

    def build(
        self,
        sample_shape: Shape,
        dtype: DTypeLike = "float32",
        rng: np.random.Generator | None = None,
    ) -> None:
        rng = np.random.default_rng(self.seed) if rng is None else rng
        self.s = self.add_parameter("s", tuple(sample_shape[-1:]), self.initializer, dtype, rng)
        super().build(sample_shape)

    def output_shape(self, sample_shape: Shape) -> Shape:
        return (*sample_shape[:-1], 1)
