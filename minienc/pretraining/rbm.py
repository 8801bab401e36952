"""The restricted Boltzmann machine: visible and hidden units, and an energy for each state of them.

    E(v, h) = -v b' - h c' - v W h'          p(v, h) = exp(-E(v, h)) / Z
    p(h_j = 1 | v) = sigmoid(v W + c)_j      p(v_i = 1 | h) = sigmoid(h W' + b)_i

Learning makes samples probable, that is, their free energy F(v) = -log sum_h exp(-E(v, h)) low
beside that of what the machine itself comes up with:

    d -log p(v) = dF(v) - E[dF(v~)],    v~ drawn from the machine

v~ is had by going to and fro between the two layers k times. Contrastive divergence begins at the
sample (CD-k). Persistent chains (PCD-k) go on where they stopped at the batch before, and get
further away from the samples.

The chance that a machine gives a sample is known up to Z. What is logged is the pseudo-likelihood,
the chance of a pixel given all the others; Z is estimated by annealed importance sampling.

Sources: Hinton 2002, "Training products of experts by minimizing contrastive divergence", eq. 5;
Tieleman 2008, "Training restricted Boltzmann machines using approximations to the likelihood
gradient", section 2.2 (PCD); Besag 1975 (pseudo-likelihood).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minienc.arrays import Array, beside, get_array_module, on_device, rows_at, to_numpy
from minienc.data.checks import check_data
from minienc.functions.dense import dense_forward
from minienc.functions.energy import UNITS, free_energy_backward, free_energy_forward
from minienc.layers import Dense, DenseTranspose, Input
from minienc.models import Model
from minienc.pretraining.annealing import log_partition
from minienc.pretraining.base import as_samples, check_counts, iterate_samples
from minienc.pretraining.stepped import SteppedPretrainer
from minienc.training.optimizers import SGD, Optimizer

MEANS = {"binary": "sigmoid", "gaussian": None}  # E[unit | the other layer], as an activation


class RBM(SteppedPretrainer):
    """A restricted Boltzmann machine.

    Parameters
    ----------
    n_components : int
        M, the hidden units.
    k : int
        Steps of the chain for each batch.
    persistent : bool
        PCD in place of CD.
    visible : {"binary", "gaussian"}
        Binary takes samples in [0, 1], as probabilities; Gaussian any, best with variances of 1.
    hidden_units : {"binary", "gaussian"}
    momentum, weight_decay : float
        Of SGD; the decay is on W alone.
    learning_rate : float
    epochs, batch_size, dtype, device, random_state, verbose
        As of ``Pretrainer``. A batch is also the number of persistent chains.

    Attributes
    ----------
    encoder_, decoder_ : Model
        E[h | v] and E[v | h]; they share W.
    history_ : dict of lists
        "loss" is the difference of free energies, which learning holds near 0 and which says
        little; "pseudo_likelihood" (binary) or "reconstruction" (Gaussian) says more.
    """

    method = "rbm"

    def __init__(
        self,
        n_components: int = 256,
        k: int = 1,
        persistent: bool = False,
        visible: str = "binary",
        hidden_units: str = "binary",
        momentum: float = 0.5,
        weight_decay: float = 0.0,
        learning_rate: float = 0.05,
        epochs: int = 20,
        batch_size: int = 20,
        dtype: str = "float32",
        device: str | None = None,
        random_state: int | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            epochs=epochs,
            batch_size=batch_size,
            dtype=dtype,
            device=device,
            random_state=random_state,
            verbose=verbose,
        )
        self.n_components = n_components
        self.k = k
        self.persistent = persistent
        self.visible = visible
        self.hidden_units = hidden_units
        self.momentum = momentum
        self.weight_decay = weight_decay

    # -- the mathematics

    def _step(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        n = len(x)
        start = self.arrays_["particles"] if self.persistent else x
        v = start
        for _ in range(self.k):
            v = self._to_visible(self._draw_hidden(v, rng), rng)
        if self.persistent:
            self.arrays_["particles"] = v

        F, cache = self._free_energy(x)
        F_model, cache_model = self._free_energy(v)
        up = free_energy_backward(get_array_module(x).full_like(F, 1 / n), cache)
        down = free_energy_backward(
            get_array_module(x).full_like(F_model, -1 / len(v)), cache_model
        )
        gradients = self.model_.new_gradients()
        W, b, c = self._parameters_of_energy()
        for parameter, one, two in zip((W, b, c), up[1:], down[1:], strict=True):
            gradients[parameter][...] = one + two
        gradients[W][...] += self.weight_decay * W.value
        self.optimizers_["machine"].step(self.model_.parameters, gradients)
        return {"loss": F.mean() - F_model.mean(), **self._quality(x, rng)}

    def _losses(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        v = self._to_visible(self._draw_hidden(x, rng), rng)
        loss = self._free_energy(x)[0].mean() - self._free_energy(v)[0].mean()
        return {"loss": loss, **self._quality(x, rng)}

    def _free_energy(self, v: Array) -> tuple[Array, Any]:
        W, b, c = (p.value for p in self._parameters_of_energy())
        return free_energy_forward(v, W, b, c, self.visible, self.hidden_units)

    def _draw_hidden(self, v: Array, rng: np.random.Generator) -> Array:
        W, _, c = self._parameters_of_energy()
        mean, _ = dense_forward(v, W.value, c.value, MEANS[self.hidden_units])
        return self._drawn(mean, self.hidden_units, rng)

    def _to_visible(self, h: Array, rng: np.random.Generator) -> Array:
        W, b, _ = self._parameters_of_energy()
        mean, _ = dense_forward(h, W.value.T, b.value, MEANS[self.visible])
        return self._drawn(mean, self.visible, rng)

    def _drawn(self, mean: Array, units: str, rng: np.random.Generator) -> Array:
        """Units of these means: zeros and ones, or normal numbers of variance 1."""
        if units == "binary":
            level = beside(rng.random(mean.shape, dtype="float32"), mean)
            return (level < mean).astype(mean.dtype)
        noise = rng.standard_normal(mean.shape, dtype="float32").astype(self.dtype)
        return mean + beside(noise, mean)

    def _quality(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        if self.visible == "gaussian":
            difference = x - self.model_(x)
            return {"reconstruction": (difference * difference).sum(axis=1).mean()}
        return {"pseudo_likelihood": self._pseudo_likelihood(x, int(rng.integers(x.shape[1])))}

    def _pseudo_likelihood(self, x: Array, i: int) -> Any:
        """D log p(v_i | all others), for one i of each sample; of samples rounded to 0 and 1.

        p(v_i | others) = exp(-F(v)) / (exp(-F(v)) + exp(-F(v~))) = sigmoid(F(v~) - F(v)), v~ being
        v with v_i turned over. The first sample's i is given, those of the others are spread evenly
        over the features: so the mean over a batch stands for all of them.
        """
        xp = get_array_module(x)
        n, n_features = x.shape
        v = (x > 0.5).astype(x.dtype)
        bits = (i + max(1, n_features // n) * xp.arange(n)) % n_features
        turned = xp.where(xp.arange(n_features) == bits[:, None], 1 - v, v)
        gain = self._free_energy(turned)[0] - self._free_energy(v)[0]
        log_sigmoid = xp.minimum(gain, 0) - xp.log1p(xp.exp(-xp.abs(gain)))
        return x.shape[1] * log_sigmoid.mean()

    # -- what learns

    def check_params(self, n_features: int) -> None:
        check_counts("RBM", n_components=self.n_components, k=self.k)
        for name in ("visible", "hidden_units"):
            if getattr(self, name) not in UNITS:
                raise ValueError(
                    f"RBM: {name} is {getattr(self, name)!r}, expected one of {', '.join(UNITS)}"
                )
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"RBM: weight_decay is {self.weight_decay!r}, expected a number >= 0")
        super().check_params(n_features)

    def _new_optimizer(self) -> Optimizer:
        return SGD(self.learning_rate, momentum=self.momentum)

    def _build(self, n_features: int, rng: np.random.Generator) -> None:
        v, h = Input((n_features,), dtype=self.dtype), Input((self.n_components,), dtype=self.dtype)
        self._up = Dense(self.n_components, activation=MEANS[self.hidden_units], name="hidden")
        code = self._up(v)
        self._down = DenseTranspose(self._up, activation=MEANS[self.visible], name="visible")
        self.model_ = Model(v, self._down(code), name="rbm")
        self.encoder_ = Model(v, code, name="encoder")
        self.decoder_ = Model(h, self._down(h), name="decoder")
        self.model_.initialize(rng)
        W = 0.01 * rng.standard_normal((n_features, self.n_components))  # Hinton 2012, section 8
        self._up.W.value = W.astype(self.dtype)
        self.networks_ = {"machine": self.model_}
        self.optimizers_ = {"machine": self._new_optimizer()}

    def _start(self, X: Any) -> None:
        """The visible biases make the mean of the samples probable (Hinton 2012, section 8)."""
        if self.visible == "binary":
            check_data(X, domain=(0, 1))
        mean = sum(batch.sum(axis=0) for batch in iterate_samples(X)) / len(X)
        if self.visible == "binary":
            p = np.clip(mean, 0.01, 0.99)
            mean = np.log(p / (1 - p))
        W, b, _ = self._parameters_of_energy()
        b.value = beside(mean.astype(self.dtype), W.value)
        if self.persistent:
            rng = np.random.default_rng([self.random_state_, 1])
            first = rows_at(X, np.sort(rng.permutation(len(X))[: min(self.batch_size, len(X))]))
            first = to_numpy(first).astype(self.dtype)
            self.arrays_["particles"] = beside(first, W.value)

    def _parameters_of_energy(self) -> tuple[Any, Any, Any]:
        """W, b, c."""
        return self._up.W, self._down.b, self._up.b

    # -- the machine as a model of the samples

    def free_energy(self, X: Any) -> np.ndarray:
        """F of each sample (N,)."""
        self.check_fitted()
        like = self._up.W.value
        with on_device(self.model_.device):
            found = [
                to_numpy(self._free_energy(beside(x, like))[0])
                for x in iterate_samples(as_samples(X), dtype=self.dtype)
            ]
        return np.concatenate(found)

    def log_partition(
        self, n_chains: int = 100, n_steps: int = 1000, random_state: int = 0
    ) -> float:
        """log Z of a binary machine, by annealed importance sampling (``annealing.py``)."""
        self.check_fitted()
        if (self.visible, self.hidden_units) != ("binary", "binary"):
            raise TypeError("log_partition is for binary visible and hidden units")
        check_counts("log_partition", n_chains=n_chains, n_steps=n_steps)
        W, b, c = (to_numpy(p.value).astype(float) for p in self._parameters_of_energy())
        return log_partition(W, b, c, n_chains, n_steps, np.random.default_rng(random_state))

    def sample(self, n: int, n_steps: int = 1000, random_state: int = 0) -> np.ndarray:
        """(n, D) means of the visible units after so many steps of n chains."""
        return self.chains(n, (n_steps,), random_state)[0]

    def chains(
        self, n: int, at: Sequence[int], random_state: int = 0, start: Any = None
    ) -> list[np.ndarray]:
        """Means of the visible units (n, D) of n chains, after each number of steps in ``at``."""
        self.check_fitted()
        rng, like = np.random.default_rng(random_state), self._up.W.value
        v = rng.random((n, like.shape[0])) if start is None else np.asarray(start)
        v, found = beside(v.astype(self.dtype), like), []
        with on_device(self.model_.device):
            for step in range(1, max(at) + 1):
                h = self._draw_hidden(v, rng)
                if step in at:
                    found.append(to_numpy(self.decoder_(h)))  # type: ignore[misc]
                v = self._to_visible(h, rng)
        return found
