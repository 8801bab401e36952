"""The variational autoencoder: codes are drawn, and kept near the standard normal.

    encoder   q(z | x) = N(mean(x), sigma(x)^2)          z = mean + sigma noise
    decoder   p(x | z) = Bernoulli(sigmoid(logits(z)))   or N(x_hat(z), s^2)
    L = -log p(x | z) + beta KL(q(z | x) || N(0, 1))     for each sample, in nats; beta = 1

With beta = 1, -L is a lower bound of log p(x), on average over the noise (the "ELBO"): the model
says how probable it finds a sample, and draws new ones from z ~ N(0, 1). The divergence is what
each number of the code costs; one that tells too little about x is given up, its KL falls to 0:
such posterior collapse is seen in ``history_``, where the KL of each number is logged, and how many
are active.

    dL/dlogits = sigmoid(logits) - x               dz = decoder's backward
    dmean = dz + beta mean,   dlog sigma^2 = 1/2 (dz sigma noise + beta (sigma^2 - 1))

Sources: Kingma and Welling 2014, "Auto-encoding variational Bayes", eq. 10 and appendix C; Higgins
et al. 2017, "beta-VAE", eq. 4; Burda, Grosse and Salakhutdinov 2016, "Importance weighted
autoencoders", section 5.2 (active units).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from minienc.arrays import Array, Arrays, device_of, on_device, to_device_of, to_numpy
from minienc.data.plain import DataLike, Samples
from minienc.functions.losses import (
    binary_crossentropy_backward,
    binary_crossentropy_forward,
    mean_squared_error_backward,
    mean_squared_error_forward,
)
from minienc.functions.variational import (
    normal_kl_backward,
    normal_kl_forward,
    reparameterize_backward,
    reparameterize_forward,
)
from minienc.layers import Activation, Dense, Input
from minienc.layers.graph import Graph
from minienc.layers.parameters import Gradients
from minienc.models import Model
from minienc.pretraining.base import as_samples, check_counts
from minienc.pretraining.importance import log_likelihood
from minienc.pretraining.networks import as_widths, dense_stack, mirrored_stack
from minienc.pretraining.stepped import SteppedPretrainer
from minienc.training.computed import ComputedObjective
from minienc.training.step import Cache, Learner, Scalar

ACTIVE = 0.01  # the variance of a code's mean over samples, above which it is active


class VariationalObjective(ComputedObjective):
    """L of a batch (x,), and its gradient.

    Parameters
    ----------
    encoder : Model
        x to (mean, log sigma^2).
    decoder : Model
        z to logits, or means.
    likelihood, stddev, binarize, beta
        As of ``VariationalAutoencoder``.
    """

    settings = ("likelihood", "stddev", "beta")

    def __init__(
        self,
        encoder: Model,
        decoder: Model,
        likelihood: str = "bernoulli",
        stddev: float = 0.5,
        binarize: bool = False,
        beta: float = 1.0,
    ) -> None:
        self.encoder, self.decoder = encoder, decoder
        self.likelihood, self.stddev, self.binarize = likelihood, stddev, binarize
        self.beta = beta
        K = encoder.outputs[0].sample_shape[-1]
        self.names = ("loss", "kl", "active", *[f"kl_{k}" for k in range(1, K + 1)])
        self.greater_is_better = {"active": True} | dict.fromkeys(self.names[1:2], False)

    @property
    def graphs(self) -> list[Graph]:
        return [self.encoder.graph, self.decoder.graph]

    def prepare(self, batch: tuple, rng: np.random.Generator) -> tuple[Array, ...]:
        x = self.binarized(batch[0], rng)
        shape = (len(x), *self.encoder.outputs[0].sample_shape)
        noise = rng.standard_normal(shape, dtype="float32")
        return x, to_device_of(noise.astype(x.dtype), x)

    def compute(self, arrays: tuple, rng: np.random.Generator) -> tuple[tuple[Scalar, ...], Cache]:
        x, noise = arrays
        (mean, log_variance), encoder_cache = self.encoder.forward(x)  # (1)
        z, z_cache = reparameterize_forward(mean, log_variance, noise)  # (2)
        y, decoder_cache = self.decoder.forward(z)  # (3)
        error, error_cache = self._error(y, x, "sum")  # (4)
        kl, kl_cache = normal_kl_forward(mean, log_variance)  # (5)
        return (error,), (encoder_cache, z_cache, decoder_cache, error_cache, kl, kl_cache, x.shape)

    def numbers(self, losses: tuple[Scalar, ...], cache: Cache) -> tuple[Scalar, ...]:
        *_, kl, kl_cache, (n, D) = cache
        each = to_numpy(kl).mean(axis=0, dtype=float)
        active = int((to_numpy(kl_cache.mean).var(axis=0, dtype=float) > ACTIVE).sum())
        loss = self._nats(float(losses[0]) / n, D) + self.beta * each.sum()  # (6)
        return loss, each.sum(), active, *each

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        encoder_cache, z_cache, decoder_cache, error_cache, _, kl_cache, (n, D) = cache
        derror, dkl = dloss * self._nats_slope(D) / n, dloss * self.beta / n  # (6)
        dmean_of_kl, dlog_variance_of_kl = normal_kl_backward(dkl, kl_cache)  # (5)
        dy = self._error_backward(derror, error_cache)  # (4)
        dz = self.decoder.backward(dy, decoder_cache, grads)  # (3)
        dmean, dlog_variance = reparameterize_backward(dz, z_cache)  # (2)
        both = self.encoder.graph.meet
        d = both(dmean, dmean_of_kl), both(dlog_variance, dlog_variance_of_kl)
        self.encoder.backward(d, encoder_cache, grads, need_dx=False)  # (1)

    def surprise(self, y: Array, x: Array) -> tuple[Array, Any]:
        """-log p(x | z) (N,), in nats, from the decoder's outputs y; and the cache."""
        error, cache = self._error(y, x, "none")
        return self._nats(error, x.shape[1]), cache

    def _error(self, y: Array, x: Array, reduction: str) -> tuple[Any, Any]:
        """What of -log p(x | z) depends on y: of each sample, or their sum; a mean over the D."""
        if self.likelihood == "bernoulli":
            return binary_crossentropy_forward(y, x, from_logits=True, reduction=reduction)
        return mean_squared_error_forward(y, x, reduction=reduction)

    def _error_backward(self, derror: Scalar, cache: Cache) -> Array:
        if self.likelihood == "bernoulli":
            return binary_crossentropy_backward(derror, cache)
        return mean_squared_error_backward(derror, cache)

    def _nats(self, error: Scalar, D: int) -> Arrays:
        """-log p(x | z) of a mean error of the D numbers of x."""
        constant = 0.0
        if self.likelihood == "gaussian":
            constant = D * math.log(2 * math.pi * self.stddev**2) / 2
        return self._nats_slope(D) * error + constant

    def _nats_slope(self, D: int) -> float:
        return float(D) if self.likelihood == "bernoulli" else D / (2 * self.stddev**2)

    def binarized(self, x: Array, rng: np.random.Generator) -> Array:
        """Zeros and ones, drawn with the probabilities x; or x itself, where it is not asked."""
        if not self.binarize:
            return x
        level = to_device_of(rng.random(x.shape, dtype="float32").astype(x.dtype), x)
        return (level < x).astype(x.dtype)


class VariationalAutoencoder(SteppedPretrainer):
    """An autoencoder whose code is a distribution.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the layers before the code, mirrored behind it; may be empty.
    code : int
        K, the numbers of a code.
    activation : str
        Of the layers of ``hidden``.
    likelihood : {"bernoulli", "gaussian"}
        The former for samples in [0, 1].
    stddev : float
        s of "gaussian".
    binarize : bool
        Take samples for probabilities, and draw zeros and ones from them anew at each step (as
        likelihoods of binarised MNIST are measured).
    beta : float
    warm_up : int
        beta grows from 0 over so many epochs, which keeps codes from being given up early.
    **params
        As of ``Pretrainer``.

    Attributes
    ----------
    encoder_ : Model
        x to the mean of q(z | x).
    history_ : dict of lists
        "loss" (of which -1 times is the ELBO, where beta is 1), "kl" (its part), "active" (numbers
        of the code whose mean varies over a batch by more than 0.01), "kl_1", "kl_2", ...

    Examples
    --------
    >>> X = np.random.default_rng(0).random((64, 16))
    >>> method = VariationalAutoencoder(hidden=(8,), code=2, epochs=2, random_state=0).fit(X)
    >>> method.transform(X).shape
    (64, 2)
    """

    method = "variational"
    choices: ClassVar = {"likelihood": ("bernoulli", "gaussian")}
    hidden: Sequence[int] = (400,)
    code: int = 40
    activation: str = "relu"
    likelihood: str = "bernoulli"
    stddev: float = 0.5
    binarize: bool = False
    beta: float = 1.0
    warm_up: int = 0

    # -- what it makes small: its objective's beta grows while it warms up

    def _step(self, batch: tuple, rng: np.random.Generator) -> dict[str, Scalar]:
        done = self.learners_["autoencoder"].optimizer.iterations
        warmth = min(1.0, done / (self.warm_up * self._steps_per_epoch)) if self.warm_up else 1.0
        if self.objective_.beta != self.beta * warmth:
            self.objective_.beta = self.beta * warmth
        return super()._step(batch, rng)

    def _numbers(self, batch: tuple, rng: np.random.Generator) -> dict[str, Scalar]:
        before, self.objective_.beta = self.objective_.beta, self.beta
        numbers = super()._numbers(batch, rng)
        self.objective_.beta = before
        return numbers

    # -- the model of the samples

    def log_likelihood(
        self, X: DataLike, n_samples: int = 200, random_state: int = 0
    ) -> np.ndarray:
        """log p(x) of each sample (N,), in nats, estimated by importance sampling.

        On average a lower bound, that rises with S (``importance.py``). With ``binarize``, samples
        are binarised first.
        """
        self.check_fitted()
        check_counts("log_likelihood", n_samples=n_samples)
        X, rng = as_samples(X), np.random.default_rng(random_state)
        L = self.objective_
        found, batch = [], max(1, 4000 // n_samples)
        with on_device(self.model_.device):
            for i in range(0, len(X), batch):
                x = L.binarized(to_numpy(X[i : i + batch]).astype(self.dtype), rng)
                found.append(log_likelihood(x, L.encoder, L.decoder, L.surprise, n_samples, rng))
        return np.concatenate(found)

    def kl_per_dimension(self, X: DataLike) -> np.ndarray:
        """(K,) the mean KL of each number of the code, in nats."""
        self.check_fitted()
        mean, log_variance = self.objective_.encoder.predict(as_samples(X), batch_size=1000)
        with on_device(device_of(mean)):  # where X lives
            return to_numpy(normal_kl_forward(mean, log_variance)[0]).mean(axis=0, dtype=float)

    def active_units(self, X: DataLike) -> int:
        """How many numbers of the code have a mean that varies over X by more than 0.01."""
        return int((to_numpy(self.transform(X)).var(axis=0, dtype=float) > ACTIVE).sum())

    def sample(self, n: int, random_state: int = 0) -> np.ndarray:
        """(n, D) new samples: the decoder's means for codes drawn from N(0, 1)."""
        self.check_fitted()
        z = np.random.default_rng(random_state).standard_normal((n, self.code)).astype(self.dtype)
        return to_numpy(self.inverse_transform(z))

    # -- what learns

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        name = type(self).__name__
        check_counts(name, code=self.code)
        self._widths()
        for key in ("beta", "stddev", "warm_up"):
            value = getattr(self, key)
            if not (math.isfinite(value) and value >= 0 and (key != "stddev" or value > 0)):
                raise ValueError(f"{name}: {key} is {value!r}, expected a number from 0 up")

    def _widths(self) -> list[int]:
        return as_widths(type(self).__name__, self.hidden) if np.size(self.hidden) else []

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        x, z = Input(sample_shape, dtype=self.dtype), Input((self.code,), dtype=self.dtype)
        features = dense_stack(x, self._widths(), self.activation, "encoder")
        mean = Dense(self.code, name="mean")(features)
        log_variance = Dense(self.code, name="log_variance")(features)
        features = mirrored_stack(z, self._widths(), self.activation, "decoder")
        y = Dense(sample_shape[-1], name="restored")(features)
        encoder = Model(x, [mean, log_variance], name="encoder")
        decoder = Model(z, y, name="decoder")
        for network in (encoder, decoder):
            network.initialize(rng)
        self.objective_ = VariationalObjective(
            encoder, decoder, self.likelihood, self.stddev, self.binarize, self.beta
        )
        whole = Model(x, [decoder(mean), log_variance], name="encoder and decoder")
        learner = Learner(whole, self.objective_, self._new_optimizer())
        self.learners_ = {"autoencoder": learner}
        f = "sigmoid" if self.likelihood == "bernoulli" else "linear"
        self.encoder_ = Model(x, mean, name="encoder")
        self.decoder_ = Model(z, Activation(f)(y), name="decoder")
        self.model_ = Model(x, self.decoder_(mean), name="variational_autoencoder")

    def takes_probabilities(self) -> bool:
        return self.likelihood == "bernoulli"

    def _start(self, X: Samples) -> None:
        self._steps_per_epoch = -(-len(X) // min(self.batch_size, len(X)))
