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
from typing import Any

import numpy as np

from minienc import plots
from minienc.arrays import Array, beside, on_device, to_numpy
from minienc.data.checks import check_data
from minienc.functions.contraction import dense_contraction_backward, dense_contraction_forward
from minienc.functions.slopes import (
    SLOPES,
    activation_slope_backward,
    activation_slope_forward,
)
from minienc.pretraining.autoencoder import Autoencoder
from minienc.pretraining.base import Picture, as_samples, as_widths, check_counts
from minienc.pretraining.second_order import InputGradient, affine_layers, contraction
from minienc.pretraining.stepped import SteppedPretrainer
from minienc.training.losses import get_loss


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
        Of a deep encoder: random directions of the code for each sample. None takes all units, one
        after the other: exact, and as many times the work.
    **params
        As of ``Pretrainer``.

    Attributes
    ----------
    history_ : dict of lists
        "loss", and of it "contraction": the mean of |J|^2.
    """

    method = "contractive"

    def __init__(
        self,
        hidden: Sequence[int] = (256,),
        activation: str = "sigmoid",
        loss: str = "binary_crossentropy",
        strength: float = 1e-3,
        projections: int | None = 2,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.hidden = hidden
        self.activation = activation
        self.loss = loss
        self.strength = strength
        self.projections = projections

    @classmethod
    def suggest(
        cls, n_samples: int, sample_shape: Sequence[int], in_unit_interval: bool
    ) -> dict[str, Any]:
        wide = math.prod(sample_shape) >= 256
        return super().suggest(n_samples, sample_shape, in_unit_interval) | {
            "hidden": (256,) if wide else (64,)
        }

    # -- the mathematics

    def _step(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        loss = get_loss(self.loss)
        gradients = self.model_.new_gradients()
        x_hat, cache = self.model_.forward(x)
        restoring, loss_cache = loss.forward(x_hat, x)
        self.model_.backward(
            loss.backward(x_hat.dtype.type(1), loss_cache), cache, gradients, need_dx=False
        )
        norm = self._contract(x, rng, gradients)
        self.optimizers_["autoencoder"].step(self.model_.parameters, gradients)
        return {"loss": restoring + self.strength * norm, "contraction": norm}

    def _losses(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        norm = self._contract(x, rng, None)
        restoring, _ = get_loss(self.loss).forward(self.model_(x), x)
        return {"loss": restoring + self.strength * norm, "contraction": norm}

    def _contract(self, x: Array, rng: np.random.Generator, gradients: Any) -> Any:
        """The mean of |J|^2; the gradient of ``strength`` times it is added to ``gradients``."""
        layers = affine_layers(self.encoder_)
        if len(layers) == 1:
            return self._contract_one(layers[0], x, gradients)
        V = beside(self._directions(rng), x)
        return contraction(self.encoder_, x, V, gradients, self.strength) / (self.strength or 1)

    def _contract_one(self, layer: Any, x: Array, gradients: Any) -> Any:
        """In closed form, of one layer."""
        y, cache = layer.forward(x)
        s, slope_cache = activation_slope_forward(y, layer.activation)
        F, norm_cache = dense_contraction_forward(s, layer.W.value)
        if gradients is not None:
            dF = 0 * F + self.strength / len(x)
            ds, dW = dense_contraction_backward(dF, norm_cache)
            gradients.add(layer.W, dW)
            layer.backward(activation_slope_backward(ds, slope_cache), cache, gradients, False)
        return F.mean()

    def _directions(self, rng: np.random.Generator) -> np.ndarray:
        """V (P, K), signs at random, or the unit vectors."""
        width = as_widths("ContractiveAutoencoder", self.hidden)[-1]
        if self.projections is None:
            return np.eye(width, dtype=self.dtype)
        signs = rng.integers(0, 2, (self.projections, width)) * 2 - 1
        return (signs / math.sqrt(self.projections)).astype(self.dtype)

    # -- what learns

    def check_params(self, n_features: int) -> None:
        name = "ContractiveAutoencoder"
        if self.projections is not None:
            check_counts(name, projections=self.projections)
        if not (math.isfinite(self.strength) and self.strength >= 0):
            raise ValueError(f"{name}: strength is {self.strength!r}, expected a number >= 0")
        if self.activation not in SLOPES:
            raise ValueError(
                f"{name}: activation is {self.activation!r}, expected one of {', '.join(SLOPES)}"
            )
        if self.loss not in ("binary_crossentropy", "mean_squared_error"):
            raise ValueError(
                f"{name}: loss is {self.loss!r}, expected binary_crossentropy or mean_squared_error"
            )
        super().check_params(n_features)

    def _build(self, n_features: int, rng: np.random.Generator) -> None:
        autoencoder = Autoencoder(
            hidden=self.hidden,
            activation=self.activation,
            code_activation=self.activation,
            loss=self.loss,
            dtype=self.dtype,
        )
        autoencoder.random_state_ = int(rng.integers(2**31))
        autoencoder._build(n_features)
        self.model_, self.encoder_ = autoencoder.model_, autoencoder.encoder_
        self.decoder_ = autoencoder.decoder_
        self.networks_ = {"autoencoder": self.model_}
        self.optimizers_ = {"autoencoder": self._new_optimizer()}

    def _start(self, X: Any) -> None:
        if self.loss == "binary_crossentropy":
            check_data(X, domain=(0, 1))

    # -- what is shown

    def jacobian(self, X: Any) -> np.ndarray:
        """dh / dx at each sample: (N, K, D)."""
        self.check_fitted()
        x = beside(to_numpy(as_samples(X)).astype(self.dtype), self.model_.parameters.vector)
        with on_device(self.model_.device):
            gradient = InputGradient(affine_layers(self.encoder_), x)
            units = np.eye(gradient.y.shape[1], dtype=self.dtype)
            rows = [to_numpy(gradient.forward(beside(np.tile(v, (len(x), 1)), x))) for v in units]
        return np.stack(rows, axis=1)

    def pictures(self, X: np.ndarray, image_shape: Sequence[int] | None) -> list[Picture]:
        """The singular values of the Jacobian: in how many directions the code follows."""
        values = np.linalg.svd(self.jacobian(X[:50]), compute_uv=False)
        mean = values.mean(axis=0)
        half = int(np.searchsorted(np.cumsum(mean**2), 0.9 * (mean**2).sum())) + 1
        caption = (
            f"Singular values of the encoder's Jacobian, the mean over test samples: "
            f"{half} of {len(mean)} directions hold nine tenths of its squared norm."
        )
        figure = plots.bars(mean, "direction", "singular value")
        return [Picture(caption, figure, is_drawing=True)]
