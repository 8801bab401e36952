"""The protocol of methods that learn from sounds: that of ``minienc.pretraining``, of frames.

    method = MaskedFrames(epochs=20, random_state=0).fit(X)      # X (N, T, F), 0 behind each end
    Z = method.transform(X)                                      # codes (N, 2 units)
    method.score(X)                                              # greater is better

All of them ask a network for groups of frames. With two convolutions a step of the encoder stands
for 4 frames: a group is those 4, one behind the other, 4 F numbers. Which groups are asked for, and
what is shown of x, is what methods differ in.

    l_ng = mean_d (y_ngd - x_ngd)^2,      L = sum w_ng l_ng / sum w_ng

w is 1 for the groups of sample n that are asked for, else 0: padding never is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minienc.arrays import (
    Array,
    Cache,
    Rng,
    Scalar,
    get_array_module,
    on_device,
    rows_at,
    to_device,
    to_numpy,
)
from minienc.audio.encoder import FramesEncoder
from minienc.data.pixels import Samples
from minienc.data.plain import DataLike
from minienc.functions.augmentation import random_equalizer_forward
from minienc.functions.losses import mean_squared_error_backward, mean_squared_error_forward
from minienc.layers import Input
from minienc.layers.parameters import Gradients
from minienc.layers.symbolic import SymbolicTensor
from minienc.models import Model
from minienc.pretraining.base import check_counts
from minienc.pretraining.networks import as_widths
from minienc.pretraining.stepped import SteppedPretrainer
from minienc.training.loop import Trainer
from minienc.training.step import Learner, Objective


class Question(NamedTuple):
    """What a network is given, and what each of its outputs should be."""

    inputs: tuple[Array, ...]
    targets: tuple[Array, ...]  # (N, G, 4 F) each
    weights: tuple[Array, ...]  # (N, G) each


class RestoredGroups(Objective):
    """L of a batch (x,): how well the groups that are asked for are found; in training, of sounds
    as other microphones would have them."""

    def __init__(self, network: Model, ask: Callable[..., Question], equalizer: float) -> None:
        self.network, self.ask, self.equalizer = network, ask, equalizer

    def forward(self, batch: tuple, rng: Rng = None) -> tuple[tuple[Scalar, ...], Cache]:
        (x,) = batch
        if rng is not None and self.equalizer:
            x, _ = random_equalizer_forward(x, self.equalizer, rng)
        return self.loss_of(self.ask(x, rng), rng)

    def loss_of(self, question: Question, rng: Rng = None) -> tuple[tuple[Scalar, ...], Cache]:
        """The loss and a cache; without a generator, as after training."""
        ys, cache = self.network.forward(question.inputs, rng)  # (1)
        total, n, caches = 0.0, 0.0, []
        for y, x, w in zip(ys, question.targets, question.weights, strict=True):
            part, part_cache = mean_squared_error_forward(y, x, w, reduction="sum")  # (2)
            total, n = total + part, n + w.sum()  # (3)
            caches.append(part_cache)
        n = get_array_module(n).maximum(n, 1)
        return (total / n,), (cache, caches, n)  # (4)

    def counted(self, cache: Cache) -> Scalar:
        """What the loss is the mean of: groups that were asked for."""
        return cache[2]

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        cache, caches, n = cache
        dtotal = dloss / n  # (4), (3)
        dys = tuple([mean_squared_error_backward(dtotal, part) for part in caches])  # (2)
        self.network.backward(dys, cache, grads, need_dx=False)  # (1)

    def updates(self, cache: Cache) -> Iterable[tuple[Any, Any]]:
        return self.network.graph.updates(cache[0].layers)


class SoundPretrainer(SteppedPretrainer):
    """What the methods share; a subclass gives ``method``, ``network`` and ``ask``.

    Parameters
    ----------
    filters : sequence of int
        Channels of each convolution; each halves frames and bands.
    units : int
        Of the recurrence in each direction; a code has twice as many numbers.
    equalizer : float
        In training each sound is heard through another microphone: how strong that is, as the
        ``amount`` of ``layers.RandomEqualizer``; 0 for none.
    centered : bool
        Whether the network sees each sound a second time, without the mean of each band: what a
        microphone does to a sound is gone there, and what a voice always does.
    **params
        As of ``Pretrainer``: optimizer, learning_rate, epochs, batch_size, dtype, device,
        random_state, verbose.
    """

    takes_shape: ClassVar[bool] = True
    takes_rows: ClassVar[bool] = False
    filters: Sequence[int] = (16, 32)
    units: int = 64
    equalizer: float = 0.8
    centered: bool = False
    learning_rate = 2e-3
    epochs = 20
    batch_size = 32

    # -- what a method gives

    def network(self, x: SymbolicTensor, encoder: FramesEncoder) -> Model:
        """The network that is asked: its outputs are groups (G, 4 F)."""
        raise NotImplementedError

    def ask(self, x: Array, rng: np.random.Generator | None) -> Question:
        """What of samples x (N, T, F) is shown, and what is asked for."""
        raise NotImplementedError

    # -- what they share

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        name = type(self).__name__
        if len(sample_shape) != 2:
            raise ValueError(
                f"{name}: samples are {tuple(sample_shape)}, expected sequences of frames (T, F), "
                f"as sounds become"
            )
        check_counts(name, units=self.units)
        if not 0 <= self.equalizer < 10:
            raise ValueError(f"{name}: equalizer is {self.equalizer!r}, expected a number from 0")
        T, n = sample_shape[0], len(as_widths(name, self.filters))
        if T % 2**n or T < 2 * 2**n:
            raise ValueError(
                f"{name}: samples have {T} frames, expected a multiple of {2**n} (each of {n} "
                f"convolutions halves them), twice that at least; for recordings, "
                f"frames={max(2, T // 2**n) * 2**n}"
            )

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        x = Input(sample_shape, dtype=self.dtype)
        widths = as_widths(type(self).__name__, self.filters)
        encoder = FramesEncoder(widths, self.units, self.centered)
        self.stride_ = encoder.stride
        self.model_ = self.network(x, encoder)
        self.encoder_, self.decoder_ = Model(x, encoder(x).code, name="encoder"), None
        self.model_.initialize(rng)
        objective = RestoredGroups(self.model_, self.ask, self.equalizer)
        self.learners_ = {"model": Learner(self.model_, objective, self._new_optimizer())}

    def groups(self, x: Array) -> Array:
        """x (N, T, F) as (N, G, 4 F): the frames of a step side by side."""
        N, T, F = x.shape
        return x.reshape((N, T // self.stride_, self.stride_ * F))

    def counted(self, x: Array) -> Array:
        """(N, G) of x's dtype: 1 for the groups up to the last that is not 0 throughout."""
        xp = get_array_module(x)
        is_there = (self.groups(x) != 0).any(axis=2)
        G = is_there.shape[1]
        ends = (is_there * (1 + xp.arange(G))).max(axis=1, keepdims=True)
        return (xp.arange(G) < ends).astype(x.dtype)

    def loss(self, X: DataLike, name: str = "X") -> float:
        """L of samples, as after training; what is drawn is the same each time."""
        self.check_fitted()
        return self._loss(self.samples(X, name))

    def _loss(self, X: Samples) -> float:
        objective: Any = self.learners_["model"].objective
        rng, total, n = np.random.default_rng(0), 0.0, 0.0
        with on_device(self.model_.device):
            for start in range(0, len(X), 256):
                x = to_device(rows_at(X, slice(start, start + 256), self.dtype), self.model_.device)
                question = self.ask(x, rng)
                (loss,), _ = objective.loss_of(question)
                asked = sum(float(w.sum()) for w in question.weights)
                total, n = total + asked * float(loss), n + asked
        return total / max(n, 1.0)

    def _validate(self, trainer: Trainer) -> dict[str, float]:
        return {"loss": self._loss(self._run.validation)}

    def score(self, X: DataLike, y: object = None) -> float:
        """Minus the loss of samples: greater is better."""
        return -self.loss(X)

    def found(self, X: Samples) -> np.ndarray:
        """What the network says of samples X (N, T, F) that it is shown as in training: (N, T, F),
        by its first output; the same parts are hidden each time."""
        self.check_fitted()
        X = to_numpy(self.samples(X)).astype(self.dtype)
        with on_device(self.model_.device):
            question = self.ask(to_device(X, self.model_.device), np.random.default_rng(0))
            y = self.model_.forward(question.inputs)[0]
        return to_numpy(y[0] if isinstance(y, tuple) else y).reshape(X.shape)
