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
gradient", section 2.2 (PCD).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from minienc.arrays import Array, get_array_module, on_device, rows_at, to_device_of, to_numpy
from minienc.data.plain import DataLike, Samples
from minienc.functions.energy import UNITS, free_energy_backward
from minienc.layers import Dense, DenseTranspose, Input
from minienc.layers.parameters import Gradients, Parameter
from minienc.models import Model
from minienc.pretraining.annealing import log_partition
from minienc.pretraining.base import as_samples, check_counts, iterate_samples
from minienc.pretraining.boltzmann import MEANS, QUALITY, Machine
from minienc.pretraining.stepped import SteppedPretrainer
from minienc.training.optimizers import SGD, Optimizer
from minienc.training.step import Cache, Learner, Objective, Scalar


class ContrastiveDivergence(Objective):
    """mean F(samples) - mean F(what the machine made of them in k steps).

    Its gradient takes what was made for given: how W moves the end of the chain is left out. What
    is left has no function that it is the gradient of (Sutskever and Tieleman 2010), but it is the
    likelihood's gradient, where the chain is long. The decay of W is in the gradient alone: in the
    loss it would hide how small the difference is.

    Parameters
    ----------
    machine : Machine
    network : Model
        v to E[v | E[h | v]].
    k, weight_decay
        As of ``RBM``.
    arrays : dict
        ``arrays["particles"]``, where it is there, are the ends of the chains of the last batch,
        and those of this batch begin there.
    """

    def __init__(
        self,
        machine: Machine,
        network: Model,
        k: int,
        weight_decay: float,
        arrays: dict[str, Array],
    ) -> None:
        self.machine, self.network, self.arrays = machine, network, arrays
        self.k, self.weight_decay = k, weight_decay
        self.names = ("loss", QUALITY[machine.visible])
        self.greater_is_better = {"pseudo_likelihood": True, "reconstruction": False}

    def forward(self, batch: tuple, rng: np.random.Generator) -> tuple[tuple[Scalar, ...], Cache]:
        (x,), machine = batch, self.machine
        v = self.arrays.get("particles", x)
        for _ in range(self.k):
            v = machine.draw_visible(machine.draw_hidden(v, rng), rng)
        F, cache = machine.free_energy(x)  # (1)
        F_made, cache_made = machine.free_energy(v)  # (2)
        loss = F.mean() - F_made.mean()  # (3)
        restored = self.network(x) if machine.visible == "gaussian" else x
        return (loss, machine.quality(x, restored, rng)), (F, cache, F_made, cache_made, v)

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        F, cache, F_made, cache_made, _ = cache
        xp = get_array_module(F)
        dF = xp.full_like(F, dloss / len(F))  # (3)
        dF_made = xp.full_like(F_made, -dloss / len(F_made))  # (3)
        _, *up = free_energy_backward(dF, cache)  # (1)
        _, *down = free_energy_backward(dF_made, cache_made)  # (2)
        for p, one, two in zip(self.machine.parameters(), up, down, strict=True):
            grads.add(p, one + two)
        W = self.machine.up.W
        grads.add(W, (dloss * self.weight_decay) * W.value)

    def updates(self, cache: Cache) -> list[tuple[Parameter, Array]]:
        if "particles" in self.arrays:
            self.arrays["particles"] = cache[-1]
        return []


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

    Examples
    --------
    >>> X = np.random.default_rng(0).random((64, 16))
    >>> method = RBM(n_components=8, epochs=1, random_state=0).fit(X)
    >>> method.transform(X).shape
    (64, 8)
    """

    method = "rbm"
    choices: ClassVar = {"visible": UNITS, "hidden_units": UNITS}
    n_components: int = 256
    k: int = 1
    persistent: bool = False
    visible: str = "binary"
    hidden_units: str = "binary"
    momentum: float = 0.5
    weight_decay: float = 0.0
    learning_rate = 0.05
    batch_size = 20
    without: ClassVar = ("optimizer",)

    # -- what learns

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        check_counts("RBM", n_components=self.n_components, k=self.k)
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"RBM: weight_decay is {self.weight_decay!r}, expected a number >= 0")

    def _new_optimizer(self) -> Optimizer:
        return SGD(self.learning_rate, momentum=self.momentum)

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        v, h = Input(sample_shape, dtype=self.dtype), Input((self.n_components,), dtype=self.dtype)
        up = Dense(self.n_components, activation=MEANS[self.hidden_units], name="hidden")
        code = up(v)
        down = DenseTranspose(up, activation=MEANS[self.visible], name="visible")
        self.model_ = Model(v, down(code), name="rbm")
        self.encoder_ = Model(v, code, name="encoder")
        self.decoder_ = Model(h, down(h), name="decoder")
        self.model_.initialize(rng)
        W = 0.01 * rng.standard_normal(up.W.shape)  # Hinton 2012, section 8
        up.W.value = W.astype(self.dtype)
        self.machine_ = Machine(up, down, self.visible, self.hidden_units)
        arrays: dict[str, Array] = {}
        loss = ContrastiveDivergence(self.machine_, self.model_, self.k, self.weight_decay, arrays)
        learner = Learner(self.model_, loss, self._new_optimizer(), arrays)
        self.learners_ = {"machine": learner}

    def takes_probabilities(self) -> bool:
        return self.visible == "binary"

    def _start(self, X: Samples) -> None:
        """The visible biases make the mean of the samples probable (Hinton 2012, section 8)."""
        mean = sum(batch.sum(axis=0) for batch in iterate_samples(X)) / len(X)
        if self.visible == "binary":
            p = np.clip(mean, 0.01, 0.99)
            mean = np.log(p / (1 - p))
        W, b, _ = self.machine_.parameters()
        b.value = to_device_of(mean.astype(self.dtype), W.value)
        if self.persistent:
            rng = np.random.default_rng([self.random_state_, 1])
            first = rows_at(X, np.sort(rng.permutation(len(X))[: min(self.batch_size, len(X))]))
            first = to_numpy(first).astype(self.dtype)
            self.learners_["machine"].arrays["particles"] = to_device_of(first, W.value)

    # -- the machine as a model of the samples

    def free_energy(self, X: DataLike) -> np.ndarray:
        """F of each sample (N,)."""
        self.check_fitted()
        like = self.machine_.up.W.value
        with on_device(self.model_.device):
            found = [
                to_numpy(self.machine_.free_energy(to_device_of(x, like))[0])
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
        W, b, c = (to_numpy(p.value).astype(float) for p in self.machine_.parameters())
        return log_partition(W, b, c, n_chains, n_steps, np.random.default_rng(random_state))

    def sample(self, n: int, n_steps: int = 1000, random_state: int = 0) -> np.ndarray:
        """(n, D) means of the visible units after so many steps of n chains."""
        return self.chains(n, (n_steps,), random_state)[0]

    def chains(
        self, n: int, at: Sequence[int], random_state: int = 0, start: DataLike | None = None
    ) -> list[np.ndarray]:
        """Means of the visible units (n, D) of n chains, after each number of steps in ``at``."""
        self.check_fitted()
        rng, like = np.random.default_rng(random_state), self.machine_.up.W.value
        begin = rng.random((n, like.shape[0])) if start is None else as_samples(start, "start")
        v = to_numpy(begin)
        v, found = to_device_of(v.astype(self.dtype), like), []
        with on_device(self.model_.device):
            for step in range(1, max(at) + 1):
                h = self.machine_.draw_hidden(v, rng)
                if step in at:
                    found.append(to_numpy(self.decoder_(h)))  # type: ignore[misc]
                v = self.machine_.draw_visible(h, rng)
        return found
