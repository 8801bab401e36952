"""The masked autoencoder: hide most of x, and restore what was hidden from what was not.

    m = 1 on the patches of x that are hidden, 0 elsewhere
    x_hat = decoder(encoder((1 - m) x))
    L = sum(m l(x_hat, x)) / sum(m),        dL/dx_hat = m l'(x_hat, x) / sum(m)

Single pixels that are missing can be guessed from their neighbours. A whole patch cannot: what is
there follows from what the image as a whole shows, and that is what the code must say. Nothing is
asked about the patches that were seen; the encoder of a sample that is whole gives its code.

Sources: He, Chen, Xie, Li, Dollar and Girshick 2022, "Masked autoencoders are scalable vision
learners", section 3; Pathak, Krahenbuhl, Donahue, Darrell and Efros 2016, "Context encoders",
eq. 1. Their networks are transformers and convolutions; these layers are dense.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minienc.arrays import Array, beside
from minienc.data.checks import check_data
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.pretraining.base import as_image_shape, as_widths, check_counts
from minienc.pretraining.stepped import SteppedPretrainer
from minienc.training.losses import get_loss


class MaskedAutoencoder(SteppedPretrainer):
    """Restore hidden patches from those that are left.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the encoder's layers; the last is the code's. The decoder mirrors them.
    activation : str
        Of every layer but the code and the output.
    loss : {"binary_crossentropy", "mean_squared_error"}
        Of the hidden numbers; the former for samples in [0, 1].
    mask_ratio : float
        The part of a sample's patches that is hidden, the same number in each sample.
    patch_size : int
        Height and width of a patch; the last of a row or column may be smaller.
    image_shape : (H, W) or (H, W, C), or None
        Of a sample. None: a square grey image where the number of features is a square; else a
        patch is as many features as ``patch_size`` says that follow each other.
    **params
        As of ``Pretrainer``: optimizer, learning_rate, epochs, batch_size, dtype, device,
        random_state, verbose.
    """

    method = "masked"

    def __init__(
        self,
        hidden: Sequence[int] = (512, 128, 30),
        activation: str = "relu",
        loss: str = "binary_crossentropy",
        mask_ratio: float = 0.5,
        patch_size: int = 2,
        image_shape: Sequence[int] | None = None,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.hidden = hidden
        self.activation = activation
        self.loss = loss
        self.mask_ratio = mask_ratio
        self.patch_size = patch_size
        self.image_shape = image_shape

    # -- the mathematics

    def _step(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        network, optimizer = self.networks_["autoencoder"], self.optimizers_["autoencoder"]
        m = self.draw_mask(x, rng)
        x_hat, cache = network.forward((1 - m) * x, rng=rng, training=True)
        loss, dx_hat = self._hidden_loss(x_hat, x, m)
        gradients = network.new_gradients()
        network.backward(dx_hat, cache, gradients)
        optimizer.step(network.parameters, gradients)
        return {"loss": loss}

    def _losses(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        m = self.draw_mask(x, rng)
        return {"loss": self._hidden_loss(self.model_((1 - m) * x), x, m)[0]}

    def _hidden_loss(self, x_hat: Array, x: Array, m: Array) -> tuple[Any, Array]:
        """L and dL/dx_hat. Every number is a sample of one feature, whose weight is m."""
        loss = get_loss(self.loss)
        each, cache = loss.pair(x_hat[..., None], x[..., None], m, reduction="sum")
        n_hidden = m.sum()
        dx_hat = loss.pair_backward(x_hat.dtype.type(1), cache)[..., 0] / n_hidden
        return each / n_hidden, dx_hat

    def draw_mask(self, x: Array, rng: np.random.Generator) -> Array:
        """m (N, D) for samples x (N, D): 1 where a number is hidden."""
        patch = self._patch_of(x.shape[1])
        n_patches = int(patch[-1]) + 1
        order = rng.random((len(x), n_patches)).argsort(axis=1)
        hidden = order < self._n_hidden(n_patches)  # of each sample the same number, any of them
        return beside(hidden[:, patch].astype(self.dtype), x)

    def _patch_of(self, n_features: int) -> np.ndarray:
        """(D,) the number of the patch that each feature lies in."""
        p = self.patch_size
        if self.image_shape is None and math.isqrt(n_features) ** 2 != n_features:
            return np.arange(n_features) // p
        height, width, channels = as_image_shape(self.image_shape, n_features)
        row, column, _ = np.indices((height, width, channels))
        return (row // p * -(-width // p) + column // p).ravel()

    def _n_hidden(self, n_patches: int) -> int:
        return min(max(round(self.mask_ratio * n_patches), 1), n_patches - 1)

    # -- what learns

    def check_params(self, n_features: int) -> None:
        check_counts(type(self).__name__, patch_size=self.patch_size)
        if not 0 < self.mask_ratio < 1:
            raise ValueError(
                f"{type(self).__name__}: mask_ratio is {self.mask_ratio!r}, expected a part of the "
                f"patches, between 0 and 1"
            )
        if self.loss not in ("binary_crossentropy", "mean_squared_error"):
            raise ValueError(
                f"{type(self).__name__}: loss is {self.loss!r}, expected binary_crossentropy or "
                f"mean_squared_error"
            )
        super().check_params(n_features)

    def _build(self, n_features: int, rng: np.random.Generator) -> None:
        if self._patch_of(n_features)[-1] == 0:
            raise ValueError(
                f"{type(self).__name__}: samples of {n_features} numbers are one patch of "
                f"{self.patch_size}; give a smaller patch_size"
            )
        widths = as_widths(type(self).__name__, self.hidden)
        tensor = x = Input((n_features,), dtype=self.dtype)
        for i, units in enumerate(widths, 1):
            f = self.activation if i < len(widths) else "linear"
            tensor = Dense(units, activation=f, name=f"encoder_{i}")(tensor)
        code = tensor
        for i, units in reversed(list(enumerate(widths[:-1], 2))):
            tensor = Dense(units, activation=self.activation, name=f"decoder_{i}")(tensor)
        f = "sigmoid" if self.loss == "binary_crossentropy" else "linear"
        x_hat = Dense(n_features, activation=f, name="decoder_1")(tensor)
        self.model_ = Model(x, x_hat, name="autoencoder")
        self.encoder_, self.decoder_ = Model(x, code, name="encoder"), Model(code, x_hat)
        self.model_.initialize(rng)
        self.networks_ = {"autoencoder": self.model_}
        self.optimizers_ = {"autoencoder": self._new_optimizer()}

    def _start(self, X: Any) -> None:
        if self.loss == "binary_crossentropy":
            check_data(X, domain=(0, 1))
