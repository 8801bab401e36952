"""The contractive autoencoder: codes that change little where samples change a little.

    L = l(x_hat, x) + s / N sum_n |J(x_n)|^2        J = dh / dx, all of its numbers squared

Restoring asks the code to follow every change that samples show; the penalty asks it to follow
none. What remains are the directions in which the samples themselves vary: J has few large singular
values, as many as the samples have ways to go.

For one layer, h = f(x W + b), the norm is known in closed form, sum_m f'(.)_m^2 |w_m|^2. For any
depth it is the squared length of what comes back to x from each unit of the code (or from a few
random mixtures of them), a loss on a gradient: see ``second_order.py`` for its own.

Source: Rifai, Vincent, Muller, Glorot and Bengio 2011, "Contractive auto-encoders: explicit
invariance during feature extraction", eq. 5 and 7.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from minienc.arrays import Array, DTypeLike, get_array_module, on_device, to_device_of, to_numpy
from minienc.data.plain import DataLike
from minienc.functions.contraction import dense_contraction_backward, dense_contraction_forward
from minienc.functions.slopes import (
    SLOPES,
    activation_slope_backward,
    activation_slope_forward,
)
from minienc.layers.parameters import Gradients
from minienc.models import Model
from minienc.pretraining.autoencoder import Autoencoder
from minienc.pretraining.base import as_samples, check_counts
from minienc.pretraining.networks import as_widths
from minienc.pretraining.second_order import (
    InputGradient,
    affine_layers,
    contraction_backward,
    contraction_forward,
)
from minienc.pretraining.stepped import Restoring, SteppedPretrainer
from minienc.training.joint_draws import of_no_sample
from minienc.training.step import Cache, Learner, Objective, Scalar


class Contraction(Objective):
    """L of a batch (x,), and its gradient."""

    names = ("loss", "contraction")
    greater_is_better = MappingProxyType({"contraction": False})

    def __init__(
        self, network: Model, encoder: Model, loss: str, strength: float, projections: int | None
    ) -> None:
        self.restoring, self.encoder = Restoring(network, loss), encoder
        self.strength, self.projections = strength, projections

    def forward(self, batch: tuple, rng: np.random.Generator) -> tuple[tuple[Scalar, ...], Cache]:
        (restored,), cache = self.restoring.forward(batch, rng)  # (1)
        (x,), layers = batch, affine_layers(self.encoder)
        if len(layers) == 1:
            norm, norm_cache = dense_norm_forward(layers[0], x)  # (2)
        else:
            V = to_device_of(self._directions(x.dtype, rng), x)
            norm, norm_cache = contraction_forward(self.encoder, x, V)  # (2)
        return (restored + self.strength * norm, norm), (cache, norm_cache)

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        cache, norm_cache = cache
        self.restoring.backward(dloss, cache, grads)  # (1)
        layers = affine_layers(self.encoder)
        if len(layers) == 1:
            dense_norm_backward(dloss * self.strength, norm_cache, layers[0], grads)  # (2)
        else:
            contraction_backward(dloss * self.strength, norm_cache, grads)  # (2)

    def _directions(self, dtype: DTypeLike, rng: np.random.Generator) -> np.ndarray:
        """V (P, K), signs at random, or the unit vectors."""
        width = self.encoder.outputs[0].sample_shape[-1]
        if self.projections is None:
            return np.eye(width, dtype=dtype)
        signs = of_no_sample(rng).integers(0, 2, (self.projections, width)) * 2 - 1
        return (signs / math.sqrt(self.projections)).astype(dtype)


def dense_norm_forward(layer: Any, x: Array) -> tuple[Scalar, Cache]:
    """The mean of |J|^2 in closed form, of one layer; and the cache."""
    y, cache = layer.forward(x)  # (1)
    s, slope_cache = activation_slope_forward(y, layer.activation)  # (2)
    F, norm_cache = dense_contraction_forward(s, layer.W.value)  # (3)
    return F.mean(), (cache, slope_cache, norm_cache, F)  # (4)


def dense_norm_backward(dnorm: Scalar, cache: Cache, layer: Any, grads: Gradients) -> None:
    """Add the gradient by the layer's parameters to ``grads``."""
    cache, slope_cache, norm_cache, F = cache
    dF = get_array_module(F).full_like(F, dnorm / len(F))  # (4)
    ds, dW = dense_contraction_backward(dF, norm_cache)  # (3)
    grads.add(layer.W, dW)
    dy = activation_slope_backward(ds, slope_cache)  # (2)
    layer.backward(dy, cache, grads, need_dx=False)  # (1)


class ContractiveAutoencoder(SteppedPretrainer):
    """An autoencoder with a penalty on the Jacobian of its encoder.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the encoder's layers; the last is the code's.
    activation : str
        Of every layer but the output.
    loss : {"binary_crossentropy", "mean_squared_error"}
    strength : float
        s. ``loss`` is a mean over the features: papers that sum over D of them have D times as
        much.
    projections : int or None
        Of a deep encoder: random directions of the code in each step. None takes all units, one
        after the other: exact, and as many times the work.
    **params
        As of ``Pretrainer``.

    Attributes
    ----------
    history_ : dict of lists
        "loss", and of it "contraction": the mean of |J|^2.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((64, 16))
    >>> method = ContractiveAutoencoder(
    ...     hidden=(8,), strength=0.1, epochs=2, random_state=0
    ... )
    >>> method = method.fit(X)
    >>> method.transform(X).shape
    (64, 8)
    """

    method = "contractive"
    choices: ClassVar = {"loss": ("binary_crossentropy", "mean_squared_error")}
    hidden: Sequence[int] = (256,)
    activation: str = "sigmoid"
    loss: str = "binary_crossentropy"
    strength: float = 1e-3
    projections: int | None = 2

    # -- what learns

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        name = "ContractiveAutoencoder"
        as_widths(name, self.hidden)
        if self.projections is not None:
            check_counts(name, projections=self.projections)
        if not (math.isfinite(self.strength) and self.strength >= 0):
            raise ValueError(f"{name}: strength is {self.strength!r}, expected a number >= 0")
        if self.activation not in SLOPES:
            raise ValueError(
                f"{name}: activation is {self.activation!r}, expected one of {', '.join(SLOPES)}"
            )

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        f = self.activation
        networks = Autoencoder(
            self.hidden, activation=f, code_activation=f, loss=self.loss, dtype=self.dtype
        )
        networks.build(sample_shape, np.random.default_rng(int(rng.integers(2**31))))
        self.model_, self.encoder_ = networks.model_, networks.encoder_
        self.decoder_ = networks.decoder_
        loss = Contraction(self.model_, self.encoder_, self.loss, self.strength, self.projections)
        learner = Learner(self.model_, loss, self._new_optimizer())
        self.learners_ = {"autoencoder": learner}

    # -- what is shown

    def jacobian(self, X: DataLike) -> np.ndarray:
        """dh / dx at each sample: (N, K, D)."""
        self.check_fitted()
        x = to_device_of(to_numpy(as_samples(X)).astype(self.dtype), self.model_.parameters.vector)
        with on_device(self.model_.device):
            gradient = InputGradient(affine_layers(self.encoder_), x)
            units = np.eye(gradient.y.shape[1], dtype=self.dtype)
            rows = [
                to_numpy(gradient.forward(to_device_of(np.tile(v, (len(x), 1)), x))) for v in units
            ]
        return np.stack(rows, axis=1)
