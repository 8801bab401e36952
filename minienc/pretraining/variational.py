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
autoencoders", eq. 8 (the likelihood) and section 5.2 (active units).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minienc import plots
from minienc.arrays import Array, beside, device_of, get_array_module, on_device, to_numpy
from minienc.data.checks import check_data
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
from minienc.models import Model
from minienc.pretraining.base import Picture, as_samples, as_widths, check_counts
from minienc.pretraining.stepped import SteppedPretrainer

ACTIVE = 0.01  # the variance of a code's mean over samples, above which it is active


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
    """

    method = "variational"

    def __init__(
        self,
        hidden: Sequence[int] = (400,),
        code: int = 40,
        activation: str = "relu",
        likelihood: str = "bernoulli",
        stddev: float = 0.5,
        binarize: bool = False,
        beta: float = 1.0,
        warm_up: int = 0,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.hidden = hidden
        self.code = code
        self.activation = activation
        self.likelihood = likelihood
        self.stddev = stddev
        self.binarize = binarize
        self.beta = beta
        self.warm_up = warm_up

    @classmethod
    def suggest(
        cls, n_samples: int, sample_shape: Sequence[int], in_unit_interval: bool
    ) -> dict[str, Any]:
        wide = math.prod(sample_shape) >= 256
        return super().suggest(n_samples, sample_shape, in_unit_interval) | {
            "hidden": (400,) if wide else (128,),
            "code": 40 if wide else 10,
            "likelihood": "bernoulli" if in_unit_interval else "gaussian",
        }

    # -- the mathematics

    def _step(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        encoder, decoder = self.networks_["encoder"], self.networks_["decoder"]
        x = self._binarized(x, rng)
        beta = self.beta * self._warmth()
        n = len(x)

        (mean, log_variance), encoder_cache = encoder.forward(x)
        noise = beside(rng.standard_normal(mean.shape, dtype="float32").astype(self.dtype), x)
        z, z_cache = reparameterize_forward(mean, log_variance, noise)
        y, decoder_cache = decoder.forward(z)
        surprise, surprise_cache = self._surprise(y, x)
        kl, kl_cache = normal_kl_forward(mean, log_variance)

        gradients = decoder.new_gradients()
        dy = self._surprise_backward(1 / n, surprise_cache, x.shape[1])
        dz = decoder.backward(dy, decoder_cache, gradients)
        self.optimizers_["decoder"].step(decoder.parameters, gradients)
        dmean, dlog_variance = reparameterize_backward(dz, z_cache)
        more = normal_kl_backward(get_array_module(x).full_like(kl, beta / n), kl_cache)
        gradients = encoder.new_gradients()
        encoder.backward((dmean + more[0], dlog_variance + more[1]), encoder_cache, gradients)
        self.optimizers_["encoder"].step(encoder.parameters, gradients)
        return self._logs(surprise, kl, mean, beta)

    def _losses(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        x = self._binarized(x, rng)
        mean, log_variance = self.networks_["encoder"](x)
        noise = beside(rng.standard_normal(mean.shape, dtype="float32").astype(self.dtype), x)
        z, _ = reparameterize_forward(mean, log_variance, noise)
        surprise, _ = self._surprise(self.networks_["decoder"](z), x)
        return self._logs(surprise, normal_kl_forward(mean, log_variance)[0], mean, self.beta)

    def _logs(self, surprise: Array, kl: Array, mean: Array, beta: float) -> dict[str, Any]:
        each = to_numpy(kl).mean(axis=0)
        active = int((to_numpy(mean).var(axis=0) > ACTIVE).sum())
        logs = {"loss": float(surprise.mean()) + beta * each.sum(), "kl": each.sum()}
        return logs | {
            "active": active,
            **{f"kl_{k}": each[k - 1] for k in range(1, len(each) + 1)},
        }

    def _surprise(self, y: Array, x: Array) -> tuple[Array, Any]:
        """-log p(x | z) (N,), in nats, from the decoder's outputs y; and the cache."""
        n_features = x.shape[1]
        if self.likelihood == "bernoulli":
            mean, cache = binary_crossentropy_forward(y, x, from_logits=True, reduction="none")
            return n_features * mean, cache
        mean, cache = mean_squared_error_forward(y, x, reduction="none")
        constant = math.log(2 * math.pi * self.stddev**2) / 2
        return n_features * (mean / (2 * self.stddev**2) + constant), cache

    def _surprise_backward(self, dsurprise: float, cache: Any, n_features: int) -> Array:
        """dy; ``dsurprise`` is the same number for every sample."""
        each = get_array_module(cache.factor).full_like(cache.factor, dsurprise * n_features)
        if self.likelihood == "bernoulli":
            return binary_crossentropy_backward(each, cache)
        return mean_squared_error_backward(each / (2 * self.stddev**2), cache)

    def _binarized(self, x: Array, rng: np.random.Generator) -> Array:
        if not self.binarize:
            return x
        level = beside(rng.random(x.shape, dtype="float32").astype(self.dtype), x)
        return (level < x).astype(self.dtype)

    def _warmth(self) -> float:
        """What part of beta counts at this step."""
        if not self.warm_up:
            return 1.0
        optimizer = self.optimizers_["encoder"]
        return min(1.0, optimizer.iterations / (self.warm_up * self._steps_per_epoch))

    # -- the model of the samples

    def log_likelihood(self, X: Any, n_samples: int = 200, random_state: int = 0) -> np.ndarray:
        """log p(x) of each sample (N,), in nats, estimated by importance sampling.

            log p(x) ~ log 1/S sum_s p(x | z_s) p(z_s) / q(z_s | x),   z_s ~ q(z | x)

        On average a lower bound, that rises with S. With ``binarize``, samples are binarised first.
        """
        self.check_fitted()
        check_counts("log_likelihood", n_samples=n_samples)
        X, rng = as_samples(X), np.random.default_rng(random_state)
        batch = max(1, 4000 // n_samples)
        with on_device(self.model_.device):
            found = [
                self._importance(to_numpy(X[i : i + batch]), n_samples, rng)
                for i in range(0, len(X), batch)
            ]
        return np.concatenate(found)

    def _importance(self, x: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Of a few samples; all their S draws are one batch."""
        x = self._binarized(x.astype(self.dtype), rng)
        encoder, decoder = self.networks_["encoder"], self.networks_["decoder"]
        mean, log_variance = (to_numpy(a) for a in encoder(beside(x, self._anchor())))
        noise = rng.standard_normal((len(x), n, mean.shape[1]))
        z = mean[:, None] + np.exp(log_variance / 2)[:, None] * noise
        flat = beside(z.reshape(-1, mean.shape[1]).astype(self.dtype), self._anchor())
        surprise, _ = self._surprise(decoder(flat), beside(np.repeat(x, n, axis=0), flat))
        log_prior = -(z**2).sum(axis=2) / 2  # the constants of the two normals cancel
        log_posterior = -(noise**2).sum(axis=2) / 2 - log_variance.sum(axis=1)[:, None] / 2
        log_weight = log_prior - log_posterior - to_numpy(surprise).reshape(len(x), n)
        greatest = log_weight.max(axis=1)
        return greatest + np.log(np.exp(log_weight - greatest[:, None]).mean(axis=1))

    def _anchor(self) -> Array:
        return self.networks_["decoder"].parameters.vector

    def kl_per_dimension(self, X: Any) -> np.ndarray:
        """(K,) the mean KL of each number of the code, in nats."""
        self.check_fitted()
        mean, log_variance = self.networks_["encoder"].predict(as_samples(X), batch_size=1000)
        with on_device(device_of(mean)):  # where X lives
            return to_numpy(normal_kl_forward(mean, log_variance)[0]).mean(axis=0)

    def active_units(self, X: Any) -> int:
        """How many numbers of the code have a mean that varies over X by more than 0.01."""
        return int((to_numpy(self.transform(X)).var(axis=0) > ACTIVE).sum())

    def sample(self, n: int, random_state: int = 0) -> np.ndarray:
        """(n, D) new samples: the decoder's means for codes drawn from N(0, 1)."""
        self.check_fitted()
        z = np.random.default_rng(random_state).standard_normal((n, self.code)).astype(self.dtype)
        return to_numpy(self.inverse_transform(z))

    # -- what learns

    def check_params(self, n_features: int) -> None:
        name = type(self).__name__
        check_counts(name, code=self.code)
        if self.likelihood not in ("bernoulli", "gaussian"):
            raise ValueError(
                f"{name}: likelihood is {self.likelihood!r}, expected bernoulli or gaussian"
            )
        for key in ("beta", "stddev", "warm_up"):
            value = getattr(self, key)
            if not (math.isfinite(value) and value >= 0 and (key != "stddev" or value > 0)):
                raise ValueError(f"{name}: {key} is {value!r}, expected a number from 0 up")
        super().check_params(n_features)

    def _build(self, n_features: int, rng: np.random.Generator) -> None:
        widths = as_widths(type(self).__name__, self.hidden) if np.size(self.hidden) else []
        tensor = x = Input((n_features,), dtype=self.dtype)
        for i, units in enumerate(widths, 1):
            tensor = Dense(units, activation=self.activation, name=f"encoder_{i}")(tensor)
        mean = Dense(self.code, name="mean")(tensor)
        log_variance = Dense(self.code, name="log_variance")(tensor)
        tensor = z = Input((self.code,), dtype=self.dtype)
        for i, units in reversed(list(enumerate(widths, 1))):
            tensor = Dense(units, activation=self.activation, name=f"decoder_{i}")(tensor)
        y = Dense(n_features, name="restored")(tensor)
        self.networks_ = {
            "encoder": Model(x, [mean, log_variance], name="encoder"),
            "decoder": Model(z, y, name="decoder"),
        }
        for name, network in self.networks_.items():
            network.initialize(rng)
            self.optimizers_[name] = self._new_optimizer()
        f = "sigmoid" if self.likelihood == "bernoulli" else "linear"
        self.encoder_ = Model(x, mean, name="encoder")
        self.decoder_ = Model(z, Activation(f)(y), name="decoder")
        self.model_ = Model(x, self.decoder_(mean), name="variational_autoencoder")

    def _start(self, X: Any) -> None:
        if self.likelihood == "bernoulli":
            check_data(X, domain=(0, 1))
        self._steps_per_epoch = -(-len(X) // min(self.batch_size, len(X)))

    # -- what is shown

    def measures(self, X: Any, y: np.ndarray | None) -> dict[str, float]:
        """The likelihood of the first thousand samples, and how much of the code is in use."""
        X = as_samples(X)
        likelihood = self.log_likelihood(X[:1000], n_samples=100).mean()
        return {
            "log-likelihood, nats (100 importance samples)": float(likelihood),
            "active numbers of the code": self.active_units(X),
        }

    def pictures(self, X: np.ndarray, image_shape: Sequence[int] | None) -> list[Picture]:
        kl = self.kl_per_dimension(X)
        active = self.active_units(X)
        caption = (
            f"What each number of the code costs, on average over test samples: {active} of "
            f"{self.code} are active (their mean varies by more than {ACTIVE}), the others have "
            f"been given up. In all {kl.sum():.1f} nats."
        )
        figure = plots.bars(np.sort(kl)[::-1], "number of the code", "KL, nats")
        found = [Picture(caption, figure, is_drawing=True)]
        course = {"active numbers": self.history_["active"], "KL in all, nats": self.history_["kl"]}
        caption = "How both went while it learned: where they fall to 0, the code has collapsed."
        found.append(Picture(caption, plots.lines(course, "epoch", ""), is_drawing=True))
        if image_shape is None:
            return found
        grid = plots.image_grid([("", row) for row in np.split(self.sample(30), 3)], image_shape)
        walk = plots.image_grid(self._walk(kl), image_shape)
        return [
            *found,
            Picture("New samples, drawn from the model.", grid),
            Picture(
                "From -2 to 2 along the two numbers of the code that cost most, the others 0.", walk
            ),
        ]

    def _walk(self, kl: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """Rows of samples between which the two numbers of the code that say most change."""
        first, second = np.argsort(-kl, kind="stable")[[0, min(1, len(kl) - 1)]]
        steps = np.linspace(-2, 2, 9)
        z = np.zeros((9, 9, self.code), self.dtype)
        z[:, :, first], z[:, :, second] = steps[None, :], steps[:, None]
        images = to_numpy(self.inverse_transform(z.reshape(81, -1)))
        return [("", row) for row in np.split(images, 9)]
