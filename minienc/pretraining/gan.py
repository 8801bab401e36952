"""Generative adversarial networks: one network makes samples, the other tells them from real ones.

    generator      x~ = G(z), z ~ N(0, 1)
    discriminator  D(x), the logit of x being real

    non-saturating   D: -log sigmoid(D(x)) - log(1 - sigmoid(D(x~)))    G: -log sigmoid(D(x~))
    Wasserstein      D: mean D(x~) - mean D(x) + penalty on |dD/dx|     G: -mean D(x~)

Each has its turn. The generator never sees a sample: it learns from the gradient that comes out of
the discriminator's input. To tell real from made, the discriminator must know what real samples
have in common: its last hidden layer is the encoder.

The generator's loss of the first kind is not minus the discriminator's: that would have no slope
where the discriminator is sure, at the beginning.

Sources: Goodfellow et al. 2014, "Generative adversarial nets", algorithm 1 and section 3; Arjovsky,
Chintala and Bottou 2017, "Wasserstein GAN", algorithm 1; Gulrajani et al. 2017 (the penalty, see
``second_order.py``). The networks for images have a file of their own, ``dcgan.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from minienc.arrays import Array, get_array_module, rows_at, to_device_of, to_numpy
from minienc.data.plain import DataLike, Samples
from minienc.functions.clustering import squared_distances_forward
from minienc.functions.losses import (
    BinaryCrossentropyCache,
    binary_crossentropy_backward,
    binary_crossentropy_forward,
)
from minienc.layers import Dense, Input
from minienc.layers.graph import Graph
from minienc.layers.parameters import Gradients, Parameter
from minienc.models import Model
from minienc.pretraining.base import as_rows, check_counts, iterate_samples
from minienc.pretraining.dcgan import image_features, image_generator
from minienc.pretraining.networks import as_halving_shape, as_widths, dense_stack
from minienc.pretraining.second_order import gradient_penalty_backward, gradient_penalty_forward
from minienc.pretraining.stepped import SteppedPretrainer
from minienc.training.computed import ComputedObjective
from minienc.training.optimizers import Adam, Optimizer
from minienc.training.step import Cache, Learner, Scalar

N_SHOWN = 10  # samples of each snapshot
N_KEPT = 5000  # training samples that are compared with, at most
PARTS = (0.01, 0.03, 0.1, 0.3, 1.0)  # of the training, after which a snapshot is taken


def answer_forward(logits: Array, is_real: bool, target: Array | None) -> tuple[Any, Any]:
    """The loss of logits (N, 1) that shall say real, or made; and the cache.

    ``target`` is what they shall say as numbers (``answers``), or None for Wasserstein's loss.
    """
    if target is None:
        sign = -1 if is_real else 1
        return sign * logits.mean(), (sign, logits)
    return binary_crossentropy_forward(logits, target, from_logits=True)


def answers(like: Array) -> tuple[Array, Array]:
    """(N, 1) ones, which say real, and zeros, which say made: for as many samples as there are."""
    xp = get_array_module(like)
    shape = (len(like), 1)
    return xp.ones(shape, dtype=like.dtype), xp.zeros(shape, dtype=like.dtype)


def answer_backward(dloss: Scalar, cache: Cache) -> Array:
    """dlogits."""
    if isinstance(cache, BinaryCrossentropyCache):
        return binary_crossentropy_backward(dloss, cache)
    sign, logits = cache
    return get_array_module(logits).full_like(logits, dloss * sign / len(logits))


class _Turn(ComputedObjective):
    """What the two turns share: samples are made of noise that ``draw(n, rng)`` returns."""

    settings = ("loss",)

    def __init__(self, G: Model, D: Model, draw: Callable[..., Array], loss: str) -> None:
        self.G, self.D, self.draw, self.loss = G, D, draw, loss

    @property
    def graphs(self) -> list[Graph]:
        return [self.G.graph, self.D.graph]

    @property
    def apart(self) -> str | None:  # type: ignore[override]
        wasserstein = self.loss == "wasserstein"
        return "Wasserstein's loss has arithmetic of its own" if wasserstein else None


class DiscriminatorObjective(_Turn):
    """The discriminator's turn: it shall tell real samples (x,) from made ones. Wasserstein's loss
    has a penalty on the slope at points between the two."""

    names = ("loss", "real", "made")

    def __init__(
        self, G: Model, D: Model, draw: Callable[..., Array], loss: str, penalty: float
    ) -> None:
        super().__init__(G, D, draw, loss)
        self.penalty = penalty

    def prepare(self, batch: tuple, rng: np.random.Generator) -> tuple[Array, ...]:
        (x,) = batch
        z = self.draw(len(x), rng)
        if self.loss != "wasserstein":
            return x, z, *answers(z)
        return x, z, to_device_of(rng.random((len(x), 1), dtype="float32").astype(x.dtype), x)

    def compute(self, arrays: tuple, rng: np.random.Generator) -> tuple[tuple[Scalar, ...], Cache]:
        x, z, *others = arrays
        yes, no = others if self.loss != "wasserstein" else (None, None)
        made, _ = self.G.forward(z, training=True)
        real_logits, real_cache = self.D.forward(x)  # (1)
        made_logits, made_cache = self.D.forward(made)  # (2)
        real_loss, real = answer_forward(real_logits, True, yes)  # (3)
        made_loss, fake = answer_forward(made_logits, False, no)  # (4)
        losses: tuple[Scalar, ...] = real_loss, made_loss
        penalty = None
        if self.loss == "wasserstein":
            (t,) = others
            between = t * x + (1 - t) * made
            value, penalty = gradient_penalty_forward(self.D, between, self.penalty)  # (5)
            losses = *losses, value
        return losses, (real_cache, made_cache, real, fake, penalty, real_logits, made_logits)

    def numbers(self, losses: tuple[Scalar, ...], cache: Cache) -> tuple[Scalar, ...]:
        *_, real_logits, made_logits = cache
        loss = losses[0] + losses[1]
        for penalty in losses[2:]:
            loss = loss + penalty
        return loss, real_logits.mean(), made_logits.mean()

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        real_cache, made_cache, real, fake, penalty, *_ = cache
        self.D.backward(answer_backward(dloss, real), real_cache, grads, need_dx=False)  # (3), (1)
        self.D.backward(answer_backward(dloss, fake), made_cache, grads, need_dx=False)  # (4), (2)
        if penalty is not None:
            gradient_penalty_backward(dloss, penalty, grads)  # (5)


class GeneratorObjective(_Turn):
    """The generator's turn: the discriminator shall take what is made for real."""

    names = ("generator_loss",)

    def prepare(self, batch: tuple, rng: np.random.Generator) -> tuple[Array, ...]:
        z = self.draw(len(batch[0]), rng)
        return z, answers(z)[0]

    def compute(self, arrays: tuple, rng: np.random.Generator) -> tuple[tuple[Scalar, ...], Cache]:
        z, yes = arrays[0], None if self.loss == "wasserstein" else arrays[1]
        made, made_cache = self.G.forward(z, training=True)  # (1)
        logits, logits_cache = self.D.forward(made)  # (2)
        loss, answer = answer_forward(logits, True, yes)  # (3)
        return (loss,), (made_cache, logits_cache, answer)

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        made_cache, logits_cache, answer = cache
        dlogits = answer_backward(dloss, answer)  # (3)
        dmade = self.D.backward(dlogits, logits_cache, None)  # (2), and leaves no trace on D
        self.G.backward(dmade, made_cache, grads, need_dx=False)  # (1)

    def updates(self, cache: Cache) -> Iterator[tuple[Parameter, Array]]:
        return self.G.graph.updates(cache[0].layers)


class GAN(SteppedPretrainer):
    """A generator and a discriminator; the latter's features are the code.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the dense discriminator; the generator's are the same, in reverse. For "conv",
        the last is the code's.
    noise : int
        K, the numbers that a sample is made of.
    loss : {"non_saturating", "wasserstein"}
    architecture : {"dense", "conv"}
        "conv" is a DCGAN: strides of 2 instead of pooling, batch normalisation in the generator.
    filters : sequence of int
        Of "conv": channels of the discriminator's convolutions, each of which halves the image.
    image_shape : (H, W) or (H, W, C), or None
        Of "conv"; None is a square grey image.
    penalty : float
        Strength of the gradient penalty of "wasserstein".
    n_critic : int
        Turns of the discriminator for each of the generator's.
    learning_rate, beta_1 : float
        Of Adam, for both.
    output_activation : str
        Of the generator: "sigmoid" for samples in [0, 1], else "linear".
    epochs, batch_size, dtype, device, random_state, verbose
        As of ``Pretrainer``.

    Attributes
    ----------
    encoder_ : Model
        The discriminator up to its last hidden layer.
    generator_, discriminator_ : Model
    history_ : dict of lists
        "loss" is the discriminator's, "generator_loss"; "real" and "made" are the mean logits.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((64, 16))
    >>> method = GAN(hidden=(8,), noise=2, epochs=1, random_state=0).fit(X)
    >>> method.sample(5).shape
    (5, 16)
    """

    method = "gan"
    choices: ClassVar = {
        "loss": ("non_saturating", "wasserstein"),
        "architecture": ("dense", "conv"),
    }

    hidden: Sequence[int] = (256, 128)
    noise: int = 32
    loss: str = "non_saturating"
    architecture: str = "dense"
    filters: Sequence[int] = (32, 64)
    image_shape: Sequence[int] | None = None
    penalty: float = 10.0
    n_critic: int = 1
    learning_rate = 2e-4
    beta_1: float = 0.5
    output_activation: str = "sigmoid"
    batch_size = 64
    without: ClassVar = ("optimizer",)

    # -- the turns

    def _step(self, batch: tuple, rng: np.random.Generator) -> dict[str, Scalar]:
        for _ in range(self.n_critic):
            numbers = self._learn("discriminator", batch, rng)
        numbers |= self._learn("generator", batch, rng)
        self._take_snapshot()
        return numbers

    def _draw(self, n: int, rng: np.random.Generator) -> Array:
        z = rng.standard_normal((n, self.noise), dtype="float32").astype(self.dtype)
        return to_device_of(z, self.generator_.parameters.vector)

    def _make_samples(self, n: int, rng: np.random.Generator) -> tuple[Array, Any]:
        """n samples as they are made in training, and the generator's cache."""
        return self.generator_.forward(self._draw(n, rng), training=True)

    # -- what learns

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        check_counts("GAN", noise=self.noise, n_critic=self.n_critic)
        as_widths("GAN", self.hidden)
        if self.architecture == "conv":
            self._image_shape(sample_shape)

    def _image_shape(self, sample_shape: Sequence[int]) -> tuple[int, int, int]:
        times = len(as_widths("GAN", self.filters))
        return as_halving_shape("GAN", self.image_shape, math.prod(sample_shape), times)

    def _new_optimizer(self) -> Optimizer:
        return Adam(self.learning_rate, beta_1=self.beta_1)

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        z, x = Input((self.noise,), dtype=self.dtype), Input(sample_shape, dtype=self.dtype)
        widths, f = as_widths("GAN", self.hidden), self.output_activation
        if self.architecture == "conv":
            shape, filters = self._image_shape(sample_shape), as_widths("GAN", self.filters)
            made = image_generator(z, shape, filters, f)
            features = image_features(x, shape, filters, widths[-1])
        else:
            hidden = dense_stack(z, widths[::-1], "relu", "generator")
            made = Dense(math.prod(sample_shape), activation=f, name="made")(hidden)
            features = dense_stack(x, widths, "leaky_relu", "discriminator")
        self.generator_ = Model(z, made, name="generator")
        self.discriminator_ = Model(x, Dense(1, name="logit")(features), name="discriminator")
        self.encoder_ = Model(x, features, name="encoder")
        self.model_, self.decoder_ = self.discriminator_, None
        for network in (self.generator_, self.discriminator_):
            network.initialize(rng)
        self.arrays_: dict[str, Array] = {}
        G, D, draw = self.generator_, self.discriminator_, self._draw
        of_D = DiscriminatorObjective(G, D, draw, self.loss, self.penalty)
        of_G = GeneratorObjective(G, D, draw, self.loss)
        self.learners_ = {
            "discriminator": Learner(D, of_D, self._new_optimizer()),
            "generator": Learner(G, of_G, self._new_optimizer(), self.arrays_),
        }

    def _start(self, X: Samples) -> None:
        rng = np.random.default_rng([self.random_state_, 1])
        chosen = np.sort(rng.permutation(len(X))[:N_KEPT])
        self.some_samples_ = to_numpy(rows_at(X, chosen)).astype(self.dtype)
        steps = self.epochs * -(-len(X) // min(self.batch_size, len(X)))
        self._at = [max(1, round(steps * part)) for part in PARTS]
        self.arrays_["fixed_noise"] = rng.standard_normal((N_SHOWN, self.noise)).astype(self.dtype)
        self.arrays_["snapshots"] = np.zeros((len(self._at), N_SHOWN, X.shape[1]), self.dtype)

    def _take_snapshot(self) -> None:
        done = self.learners_["generator"].optimizer.iterations
        for i, at in enumerate(self._at):
            if done == at:
                z = to_device_of(self.arrays_["fixed_noise"], self.generator_.parameters.vector)
                self.arrays_["snapshots"][i] = to_numpy(self.generator_(z))

    # -- samples

    def sample(self, n: int, random_state: int = 0) -> np.ndarray:
        """(n, D) new samples."""
        self.check_fitted()
        z = self._draw(n, np.random.default_rng(random_state))
        return to_numpy(self.generator_.predict(z, batch_size=1000))

    def score(self, X: DataLike, y: object = None) -> float:
        """Minus the mean distance of samples X from the nearest of 1,000 made ones."""
        X, made = self.samples(X), self.sample(1000)
        found = [nearest(as_rows(batch), made)[1] for batch in iterate_samples(X)]
        return -float(np.mean(np.concatenate(found)))


def nearest(x: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(index of the nearest of ``others``, distance from it), for each of x."""
    x, others = x.astype(float), others.astype(float)
    d = np.concatenate(
        [squared_distances_forward(x[i : i + 500], others)[0] for i in range(0, len(x), 500)]
    )
    return d.argmin(axis=1), np.sqrt(d.min(axis=1))
