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
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from minienc.arrays import Array, Rng, to_device_of
from minienc.layers.parameters import Gradients
from minienc.models import Model
from minienc.pretraining.autoencoder import Autoencoder
from minienc.pretraining.base import check_counts
from minienc.pretraining.networks import as_image_shape, as_widths
from minienc.pretraining.stepped import SteppedPretrainer
from minienc.training.losses import get_loss
from minienc.training.step import Cache, Learner, Objective, Scalar


class Restoration(Objective):
    """L of a batch (x,): how well what is hidden from the network is restored."""

    def __init__(self, network: Model, loss: str, draw_mask: Callable[..., Array]) -> None:
        self.network, self.loss, self.draw_mask = network, get_loss(loss), draw_mask

    def forward(self, batch: tuple, rng: Rng = None) -> tuple[tuple[Scalar, ...], Cache]:
        (x,) = batch
        m = self.draw_mask(x, rng)
        x_hat, cache = self.network.forward((1 - m) * x)  # (1)
        # every number is a sample of one feature, whose weight is m
        each = x_hat[..., None], x[..., None], m
        total, loss_cache = self.loss.pair(*each, reduction="sum")  # (2)
        n_hidden = m.sum()
        return (total / n_hidden,), (cache, loss_cache, n_hidden)  # (3)

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        cache, loss_cache, n_hidden = cache
        dx_hat = self.loss.backward(dloss, loss_cache)[..., 0] / n_hidden  # (3), (2)
        self.network.backward(dx_hat, cache, grads, need_dx=False)  # (1)


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

    Examples
    --------
    >>> X = np.random.default_rng(0).random((64, 16))
    >>> method = MaskedAutoencoder(
    ...     hidden=(8, 2), image_shape=(4, 4), epochs=1, random_state=0
    ... )
    >>> method = method.fit(X)
    >>> method.transform(X).shape
    (64, 2)
    """

    method = "masked"
    choices: ClassVar = {"loss": ("binary_crossentropy", "mean_squared_error")}
    hidden: Sequence[int] = (512, 128, 30)
    activation: str = "relu"
    loss: str = "binary_crossentropy"
    mask_ratio: float = 0.5
    patch_size: int = 2
    image_shape: Sequence[int] | None = None

    # -- the mathematics

    def draw_mask(self, x: Array, rng: np.random.Generator) -> Array:
        """m (N, D) for samples x (N, D): 1 where a number is hidden."""
        patch = self._patch_of(x.shape[1])
        n_patches = int(patch[-1]) + 1
        order = rng.random((len(x), n_patches)).argsort(axis=1)
        hidden = order < self._n_hidden(n_patches)  # of each sample the same number, any of them
        return to_device_of(hidden[:, patch].astype(self.dtype), x)

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

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        name, n_features = type(self).__name__, math.prod(sample_shape)
        check_counts(name, patch_size=self.patch_size)
        as_widths(name, self.hidden)
        if not 0 < self.mask_ratio < 1:
            raise ValueError(
                f"{name}: mask_ratio is {self.mask_ratio!r}, expected a part of the patches, "
                f"between 0 and 1"
            )
        if self._patch_of(n_features)[-1] == 0:
            raise ValueError(
                f"{name}: samples of {n_features} feature(s) are one patch of {self.patch_size}; "
                f"give a smaller patch_size"
            )

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        networks = Autoencoder(
            self.hidden, activation=self.activation, loss=self.loss, dtype=self.dtype
        )
        networks.build(sample_shape, rng)
        self.model_, self.encoder_ = networks.model_, networks.encoder_
        self.decoder_ = networks.decoder_
        loss = Restoration(self.model_, self.loss, self.draw_mask)
        learner = Learner(self.model_, loss, self._new_optimizer())
        self.learners_ = {"autoencoder": learner}
