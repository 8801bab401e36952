"""The vector-quantised autoencoder: a sample becomes a few words out of a vocabulary.

    z = encoder(x), cut into groups       q_g = the code of the codebook C nearest to z_g
    x_hat = decoder(q)
    L = l(x_hat, x) + |stop(z) - q|^2 + beta |z - stop(q)|^2

The choice of a code has no slope, so the gradient that arrives at q is handed on to z as it is, as
if q were z ("straight through"). The second term moves the codes to the z that chose them, the
third holds the z near their codes, so that neither runs away from the other; each is half of one
squared distance, whose gradient goes to one side only.

    dz = dq + beta 2 (z - q)       dC = the sum over those that chose it of 2 (q - z)

A code that nobody has chosen for a while is put on a z of the batch: else it would never be chosen
again.

Source: van den Oord, Vinyals and Kavukcuoglu 2017, "Neural discrete representation learning", eq. 1
to 3; Dhariwal et al. 2020, "Jukebox", section 3.1 (codes that nobody uses).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minienc.arrays import Array, beside, on_device, rows_at, to_numpy
from minienc.data.checks import check_data
from minienc.functions.quantization import (
    quantization_error_backward,
    quantization_error_forward,
)
from minienc.layers import Dense, Input, VectorQuantizer
from minienc.models import Model
from minienc.pretraining.base import as_samples, as_widths, check_counts, iterate_samples
from minienc.pretraining.stepped import SteppedPretrainer
from minienc.training.losses import get_loss


class VQAutoencoder(SteppedPretrainer):
    """An autoencoder whose code is discrete.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the layers before the code, mirrored behind it.
    groups : int
        How many codes a sample is described by.
    n_codes, dim : int
        The codebook: K codes of so many numbers.
    beta : float
        How strongly z is held near its code.
    patience : int
        Steps after which a code that nobody has chosen is put elsewhere.
    activation : str
    loss : {"binary_crossentropy", "mean_squared_error"}
    **params
        As of ``Pretrainer``.

    Attributes
    ----------
    encoder_ : Model
        x to its quantised code, (groups dim,).
    history_ : dict of lists
        "loss", "quantization" (|z - q|^2 of a group), and of each batch "perplexity" (of how many
        codes in equal use the use is worth) and "used".
    """

    method = "vq"

    def __init__(
        self,
        hidden: Sequence[int] = (256,),
        groups: int = 8,
        n_codes: int = 64,
        dim: int = 4,
        beta: float = 0.25,
        patience: int = 100,
        activation: str = "relu",
        loss: str = "binary_crossentropy",
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.hidden = hidden
        self.groups = groups
        self.n_codes = n_codes
        self.dim = dim
        self.beta = beta
        self.patience = patience
        self.activation = activation
        self.loss = loss

    # -- the mathematics

    def _step(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        encoder, decoder = self.networks_["encoder"], self.networks_["decoder"]
        codebook, loss, n = self.networks_["codebook"], get_loss(self.loss), len(x)
        z, encoder_cache = encoder.forward(x)
        each, choice = quantization_error_forward(z.reshape(-1, self.dim), self._layer.C.value)
        x_hat, decoder_cache = decoder.forward(choice.q.reshape(z.shape))
        restoring, loss_cache = loss.forward(x_hat, x)

        gradients = decoder.new_gradients()
        dx_hat = loss.backward(x_hat.dtype.type(1), loss_cache)
        dq = decoder.backward(dx_hat, decoder_cache, gradients)
        self.optimizers_["decoder"].step(decoder.parameters, gradients)

        even = 0 * each + 1 / len(each)
        pull, dC = quantization_error_backward(even, choice)
        gradients = encoder.new_gradients()
        dz = dq + self.beta * pull.reshape(n, -1)  # straight through: dq is where dz would be
        encoder.backward(dz, encoder_cache, gradients, need_dx=False)
        self.optimizers_["encoder"].step(encoder.parameters, gradients)
        gradients = codebook.new_gradients()
        gradients[self._layer.C][...] = dC
        self.optimizers_["codebook"].step(codebook.parameters, gradients)
        use = self._count(choice)
        self._revive(use, choice.z, rng)
        return self._logs(restoring, each, use)

    def _losses(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        z = self.networks_["encoder"](x)
        each, choice = quantization_error_forward(z.reshape(-1, self.dim), self._layer.C.value)
        x_hat = self.networks_["decoder"](choice.q.reshape(z.shape))
        return self._logs(get_loss(self.loss).forward(x_hat, x)[0], each, self._count(choice))

    def _logs(self, restoring: Any, each: Array, use: np.ndarray) -> dict[str, Any]:
        loss = float(restoring) + (1 + self.beta) * float(each.mean())
        return {
            "loss": loss,
            "quantization": each.mean(),
            "perplexity": perplexity(use),
            "used": int((use > 0).sum()),
        }

    def _count(self, choice: Any) -> np.ndarray:
        return np.bincount(to_numpy(choice.index), minlength=self.n_codes)

    def _revive(self, use: np.ndarray, z: Array, rng: np.random.Generator) -> None:
        """Put codes that nobody has chosen for long on random z of this batch."""
        idle = np.where(use > 0, 0, self.arrays_["idle"] + 1)
        dead = np.flatnonzero(idle >= self.patience)
        if len(dead):
            chosen = rng.integers(0, len(z), len(dead))
            C = self._layer.C.value.copy()
            C[beside(dead, C)] = z[beside(chosen, C)]
            self._layer.C.value = C
            idle[dead] = 0
        self.arrays_["idle"] = idle

    # -- what learns

    def check_params(self, n_features: int) -> None:
        name = "VQAutoencoder"
        check_counts(
            name, groups=self.groups, n_codes=self.n_codes, dim=self.dim, patience=self.patience
        )
        if not (math.isfinite(self.beta) and self.beta >= 0):
            raise ValueError(f"{name}: beta is {self.beta!r}, expected a number >= 0")
        if self.loss not in ("binary_crossentropy", "mean_squared_error"):
            raise ValueError(
                f"{name}: loss is {self.loss!r}, expected binary_crossentropy or mean_squared_error"
            )
        super().check_params(n_features)

    def _build(self, n_features: int, rng: np.random.Generator) -> None:
        widths, width = as_widths("VQAutoencoder", self.hidden), self.groups * self.dim
        tensor = x = Input((n_features,), dtype=self.dtype)
        for i, units in enumerate(widths, 1):
            tensor = Dense(units, activation=self.activation, name=f"encoder_{i}")(tensor)
        z = Dense(width, name="code")(tensor)
        tensor = q = Input((width,), dtype=self.dtype)
        for i, units in reversed(list(enumerate(widths, 1))):
            tensor = Dense(units, activation=self.activation, name=f"decoder_{i}")(tensor)
        f = "sigmoid" if self.loss == "binary_crossentropy" else "linear"
        x_hat = Dense(n_features, activation=f, name="restored")(tensor)
        self._layer = VectorQuantizer(self.n_codes, self.dim, name="codebook")
        code = Input((width,), dtype=self.dtype)
        self.decoder_ = Model(q, x_hat, name="decoder")
        self.networks_ = {
            "encoder": Model(x, z, name="continuous"),
            "decoder": self.decoder_,
            "codebook": Model(code, self._layer(code), name="quantizer"),
        }
        for name, network in self.networks_.items():
            network.initialize(rng)
            self.optimizers_[name] = self._new_optimizer()
        self.encoder_ = Model(x, self._layer(z), name="encoder")
        self.model_ = Model(x, self.decoder_(self._layer(z)), name="vq_autoencoder")

    def _start(self, X: Any) -> None:
        """The codebook begins with z of samples; codes would else lie where no z is."""
        if self.loss == "binary_crossentropy":
            check_data(X, domain=(0, 1))
        rng = np.random.default_rng([self.random_state_, 1])
        chosen = np.sort(rng.permutation(len(X))[:1000])
        network = self.networks_["encoder"]
        z = to_numpy(network.predict(as_samples(rows_at(X, chosen)), batch_size=1000))
        z = z.reshape(-1, self.dim)
        first = z[rng.permutation(len(z))[np.arange(self.n_codes) % len(z)]]
        self._layer.C.value = beside(first.astype(self.dtype), self._layer.C.value)
        self.arrays_["idle"] = np.zeros(self.n_codes, int)

    # -- what it is for

    def tokens(self, X: Any) -> np.ndarray:
        """(N, groups): which codes describe each sample, as numbers from 0 to n_codes - 1."""
        self.check_fitted()
        C, found = self._layer.C.value, []
        with on_device(self.model_.device):
            for x in iterate_samples(as_samples(X), dtype=self.dtype):
                z = self.networks_["encoder"](beside(x, C)).reshape(-1, self.dim)
                found.append(to_numpy(quantization_error_forward(z, C)[1].index))
        return np.concatenate(found).reshape(-1, self.groups)

    def from_tokens(self, tokens: Any) -> np.ndarray:
        """(N, D): what the decoder makes of codes given by their numbers (N, groups)."""
        self.check_fitted()
        C = to_numpy(self._layer.C.value)
        return to_numpy(self.inverse_transform(C[np.asarray(tokens)].reshape(len(tokens), -1)))


def perplexity(use: np.ndarray) -> float:
    """exp of the entropy of how often each code is used: so many in equal use are worth it."""
    p = use[use > 0] / use.sum()
    return math.exp(-(p * np.log(p)).sum())
