"""What layers share that wrap another one: its weights and settings, seen through the wrapper."""

from __future__ import annotations

import numpy as np

from minienc.layers.base import Layer
from minienc.layers.parameters import Parameter
from minienc.layers.regularizers import Regularizer


class _Wrapper(Layer):
    """A layer around ``layer``, which may be used elsewhere, too: then its weights are shared."""

    def __init__(self, layer: Layer, name: str | None = None, trainable: bool = True) -> None:
        self.layer = layer
        super().__init__(name, trainable)
        if not trainable:
            self.trainable = False

    @property
    def trainable(self) -> bool:
        return self.layer.trainable

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        self.layer.trainable = trainable

    @property
    def activity_regularizer(self) -> Regularizer | None:  # type: ignore[override]
        return self.layer.activity_regularizer

    @activity_regularizer.setter
    def activity_regularizer(self, regularizer: Regularizer | None) -> None:
        self.layer.activity_regularizer = regularizer

    def parameters_used(self) -> tuple[Parameter, ...]:
        return (*self.layer.parameters_used(), *self._own)

    def initialize(self, rng: np.random.Generator) -> None:
        self.layer.initialize(rng)
        super().initialize(rng)
