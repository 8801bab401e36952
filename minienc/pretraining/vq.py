"""The vector-quantised autoencoder: a sample becomes a few words out of a vocabulary.

    z = encoder(x), cut into groups       q_g = the code of the codebook C nearest to z_g
    x_hat = decoder(q)
    L = l(x_hat, x) + |stop(z) - q|^2 + beta |z - stop(q)|^2

The choice of a code has no slope, so the gradient that arrives at q is handed on to z as it is, as
if q were z ("straight through"). The second term moves the codes to the z that chose them, the
third holds the z near their codes, so that neither runs away from the other; each is half of one
squared distance, whose gradient goes to one side only.

    dz = dq + beta 2 (z - q)       dC = the sum over those that chose it of 2 (q - z)

A code that no z has chosen for a while takes the place of one z of the batch: else it would never
be chosen again. Of a batch that several processes share, dC is a sum as other gradients are; whom
nobody has chosen, and which z takes its place, is asked of all of them.

Source: van den Oord, Vinyals and Kavukcuoglu 2017, "Neural discrete representation learning", eq. 1
to 3; Dhariwal et al. 2020, "Jukebox", section 3.1 (codes that nobody uses).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from minienc.arrays import Array, Rng, get_array_module, on_device, rows_at, to_device_of, to_numpy
from minienc.data.plain import DataLike, Samples, plain_array
from minienc.functions.merging import weighted_sum_forward
from minienc.functions.quantization import (
    QuantizationErrorCache,
    quantization_error_backward,
    quantization_error_forward,
)
from minienc.layers import Dense, Input, VectorQuantizer
from minienc.layers.graph import Graph
from minienc.layers.parameters import Gradients
from minienc.models import Model
from minienc.pretraining.base import as_samples, check_counts, iterate_samples
from minienc.pretraining.networks import as_widths, dense_stack, mirrored_stack
from minienc.pretraining.stepped import SteppedPretrainer
from minienc.training.computed import ComputedObjective, Remembered
from minienc.training.joint_draws import drawn_once
from minienc.training.losses import get_loss
from minienc.training.ranks import joint_batch
from minienc.training.step import Cache, Learner, Scalar


class Quantization(ComputedObjective):
    """L of a batch (x,), and its gradient; and codes that no z has chosen for long begin anew.

    ``arrays["idle"]`` (n_codes,) counts the steps for which each code has not been chosen.
    """

    names = ("loss", "quantization", "perplexity", "used")
    greater_is_better = MappingProxyType({"quantization": False, "perplexity": True, "used": True})
    settings = ("loss", "beta")

    def __init__(
        self,
        encoder: Model,
        decoder: Model,
        codebook: VectorQuantizer,
        loss: str,
        beta: float,
        patience: int,
        arrays: dict[str, Array],
    ) -> None:
        self.encoder, self.decoder, self.codebook = encoder, decoder, codebook
        self.loss, self.beta, self.patience, self.arrays = get_loss(loss), beta, patience, arrays

    @property
    def graphs(self) -> list[Graph]:
        return [self.encoder.graph, self.decoder.graph]

    def prepare(self, batch: tuple, rng: Rng) -> tuple[Array, ...]:
        """x, what each distance counts in their mean, and which z may take a code's place."""
        (x,), (K, D) = batch, self.codebook.C.shape
        n = len(x) * (self.encoder.outputs[0].shape[-1] // D)
        share = get_array_module(x).full(n, 1 / n, dtype=x.dtype)
        return x, share, np.zeros(K) if rng is None else drawn_once(rng).random(K)

    def compute(self, arrays: tuple, rng: Rng = None) -> tuple[tuple[Scalar, ...], Cache]:
        (x, share, heirs), C = arrays, self.codebook.C.value
        z, encoder_cache = self.encoder.forward(x)  # (1)
        each, choice = quantization_error_forward(z.reshape(-1, C.shape[1]), C)  # (2)
        x_hat, decoder_cache = self.decoder.forward(choice.q.reshape(z.shape))  # (3)
        restoring, loss_cache = self.loss.forward(x_hat, x)  # (4)
        return (restoring,), (encoder_cache, each, choice, decoder_cache, loss_cache, share, heirs)

    def numbers(self, losses: tuple[Scalar, ...], cache: Cache) -> tuple[Scalar, ...]:
        _, each, choice, *_ = cache
        use, error = self.use(choice), float(each.mean())
        loss = float(losses[0]) + (1 + self.beta) * error  # (5)
        return loss, error, perplexity(use), int((use > 0).sum())

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        encoder_cache, _, choice, decoder_cache, loss_cache, share, _ = cache
        deach = share if dloss == 1 else dloss * share  # (5)
        dx_hat = self.loss.backward(dloss, loss_cache)  # (4)
        dq = self.decoder.backward(dx_hat, decoder_cache, grads)  # (3)
        pull, dC = quantization_error_backward(deach, choice)  # (2)
        pulls = pull.reshape(dq.shape)
        dz, _ = weighted_sum_forward(dq, pulls, weights=(1.0, float(self.beta)))  # straight through
        grads.add(self.codebook.C, dC)
        self.encoder.backward(dz, encoder_cache, grads, need_dx=False)  # (1)

    def updates(self, cache: Cache) -> list[tuple[Any, Array]]:
        """Codes that no z has chosen for long begin anew, at random z of this batch."""
        _, _, choice, *_, heirs = cache
        idle, ranks = np.where(self.use(choice) > 0, 0, self.arrays["idle"] + 1), joint_batch()
        dead = np.flatnonzero(idle >= self.patience)
        idle[dead] = 0
        found: list[tuple[Any, Array]] = [(Remembered(self.arrays, "idle"), idle)]
        if len(dead):
            C = self.codebook.C.value.copy()
            n = len(choice.z) if ranks is None else ranks.length(choice.z)
            heirs = (heirs[dead] * n).astype(int)
            z = choice.z[to_device_of(heirs, C)] if ranks is None else ranks.picked(choice.z, heirs)
            C[to_device_of(dead, C)] = z
            found.append((self.codebook.C, C))
        return found

    def use(self, choice: QuantizationErrorCache) -> np.ndarray:
        """(n_codes,): how many z of the batch, of the joint one, have chosen each code."""
        use = np.bincount(to_numpy(choice.index), minlength=choice.n_codes)
        if (ranks := joint_batch()) is not None:
            ranks.sum(use)
        return use


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
        Steps after which a code that no z has chosen begins anew.
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

    Examples
    --------
    >>> X = np.random.default_rng(0).random((64, 16))
    >>> method = VQAutoencoder(
    ...     hidden=(8,), groups=2, n_codes=4, dim=2, epochs=1, random_state=0
    ... )
    >>> method = method.fit(X)
    >>> method.transform(X).shape
    (64, 4)
    """

    method = "vq"
    choices: ClassVar = {"loss": ("binary_crossentropy", "mean_squared_error")}
    hidden: Sequence[int] = (256,)
    groups: int = 8
    n_codes: int = 64
    dim: int = 4
    beta: float = 0.25
    patience: int = 100
    activation: str = "relu"
    loss: str = "binary_crossentropy"

    # -- what learns

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        name = "VQAutoencoder"
        check_counts(
            name, groups=self.groups, n_codes=self.n_codes, dim=self.dim, patience=self.patience
        )
        as_widths(name, self.hidden)
        if not (math.isfinite(self.beta) and self.beta >= 0):
            raise ValueError(f"{name}: beta is {self.beta!r}, expected a number >= 0")

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        widths, width = as_widths("VQAutoencoder", self.hidden), self.groups * self.dim
        x, q = Input(sample_shape, dtype=self.dtype), Input((width,), dtype=self.dtype)
        f, g = self.activation, "sigmoid" if self.loss == "binary_crossentropy" else "linear"
        z = Dense(width, name="code")(dense_stack(x, widths, f, "encoder"))
        restored = Dense(sample_shape[-1], activation=g, name="restored")
        x_hat = restored(mirrored_stack(q, widths, f, "decoder"))
        self._layer = VectorQuantizer(self.n_codes, self.dim, name="codebook")
        self.decoder_ = Model(q, x_hat, name="decoder")
        encoder = Model(x, z, name="continuous")
        for network in (encoder, self.decoder_, Model(q, self._layer(q))):
            network.initialize(rng)
        self.encoder_ = Model(x, self._layer(z), name="encoder")
        self.model_ = Model(x, self.decoder_(self._layer(z)), name="vq_autoencoder")
        arrays: dict[str, Array] = {}
        self.objective_ = Quantization(
            encoder, self.decoder_, self._layer, self.loss, self.beta, self.patience, arrays
        )
        learner = Learner(self.model_, self.objective_, self._new_optimizer(), arrays)
        self.learners_ = {"autoencoder": learner}

    def _start(self, X: Samples) -> None:
        """The codebook begins with z of samples; codes would else lie where no z is."""
        rng = np.random.default_rng([self.random_state_, 1])
        chosen = np.sort(rng.permutation(len(X))[:1000])
        encoder = self.objective_.encoder
        z = to_numpy(encoder.predict(as_samples(rows_at(X, chosen)), batch_size=1000))
        z = z.reshape(-1, self.dim)
        first = z[rng.permutation(len(z))[np.arange(self.n_codes) % len(z)]]
        self._layer.C.value = to_device_of(first.astype(self.dtype), self._layer.C.value)
        self.objective_.arrays["idle"] = np.zeros(self.n_codes, int)

    # -- what it is for

    def tokens(self, X: DataLike) -> np.ndarray:
        """(N, groups): which codes describe each sample, as numbers from 0 to n_codes - 1."""
        self.check_fitted()
        C, found = self._layer.C.value, []
        with on_device(self.model_.device):
            for x in iterate_samples(as_samples(X), dtype=self.dtype):
                z = self.objective_.encoder(to_device_of(x, C)).reshape(-1, self.dim)
                found.append(to_numpy(quantization_error_forward(z, C)[1].index))
        return np.concatenate(found).reshape(-1, self.groups)

    def from_tokens(self, tokens: DataLike) -> np.ndarray:
        """(N, D): what the decoder makes of codes given by their numbers (N, groups)."""
        self.check_fitted()
        C, tokens = to_numpy(self._layer.C.value), to_numpy(plain_array(tokens, "tokens"))
        if tokens.dtype.kind not in "iu" or tokens.shape[1:] != (self.groups,):
            raise ValueError(
                f"tokens are {tokens.dtype} {tokens.shape}, expected integers (N, {self.groups})"
            )
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < self.n_codes:
            raise ValueError(
                f"tokens run from {tokens.min()} to {tokens.max()}, expected 0 to "
                f"{self.n_codes - 1}"
            )
        return to_numpy(self.inverse_transform(C[tokens].reshape(len(tokens), -1)))


def perplexity(use: np.ndarray) -> float:
    """exp of the entropy of how often each code is used: so many in equal use are worth it."""
    p = use[use > 0] / use.sum()
    return math.exp(-(p * np.log(p)).sum())
