"""The adversarial autoencoder: codes that cannot be told from draws of a normal distribution.

    restoring       encoder and decoder:  l(x_hat, x)
    regularising    discriminator:  -log D(z~) - log(1 - D(encoder(x))),   z~ ~ N(0, 1)
                    encoder:        -log D(encoder(x))

Where a variational autoencoder holds each code near the normal distribution by a formula, here a
discriminator says whether all codes together look like it. So, unlike a plain adversarial network,
there is a way from samples to codes; and the decoder, fed with draws, is a generator.

Source: Makhzani, Shlens, Jaitly, Goodfellow and Frey 2016, "Adversarial autoencoders", section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from minienc.arrays import Array, to_device_of, to_numpy
from minienc.layers import Dense, Input
from minienc.layers.graph import Graph
from minienc.layers.parameters import Gradients
from minienc.models import Model
from minienc.pretraining.base import check_counts
from minienc.pretraining.gan import answer_backward, answer_forward, answers
from minienc.pretraining.networks import as_widths, dense_stack, mirrored_stack
from minienc.pretraining.stepped import Restoring, SteppedPretrainer
from minienc.training.computed import ComputedObjective
from minienc.training.optimizers import Optimizer
from minienc.training.step import Cache, Learner, Scalar


class Discriminator(ComputedObjective):
    """The discriminator's turn: it shall tell draws of N(0, 1) from the codes of a batch (x,)."""

    names = ("discriminator",)
    greater_is_better = MappingProxyType({"discriminator": False})

    def __init__(self, encoder: Model, D: Model, draw: Callable[..., Array]) -> None:
        self.encoder, self.D, self.draw = encoder, D, draw

    @property
    def graphs(self) -> list[Graph]:
        return [self.encoder.graph, self.D.graph]

    def prepare(self, batch: tuple, rng: np.random.Generator) -> tuple[Array, ...]:
        (x,) = batch
        z = self.draw(x, rng)
        return x, z, *answers(z)

    def compute(self, arrays: tuple, rng: np.random.Generator) -> tuple[tuple[Scalar, ...], Cache]:
        x, z, yes, no = arrays
        drawn, drawn_cache = self.D.forward(z)  # (1)
        coded, coded_cache = self.D.forward(self.encoder(x))  # (2)
        drawn_loss, is_drawn = answer_forward(drawn, True, yes)  # (3)
        coded_loss, is_coded = answer_forward(coded, False, no)  # (4)
        return (drawn_loss, coded_loss), (drawn_cache, coded_cache, is_drawn, is_coded)

    def numbers(self, losses: tuple[Scalar, ...], cache: Cache) -> tuple[Scalar, ...]:
        return (losses[0] + losses[1],)

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        drawn_cache, coded_cache, is_drawn, is_coded = cache
        ddrawn = answer_backward(dloss, is_drawn)  # (3)
        dcoded = answer_backward(dloss, is_coded)  # (4)
        self.D.backward(ddrawn, drawn_cache, grads, need_dx=False)  # (1)
        self.D.backward(dcoded, coded_cache, grads, need_dx=False)  # (2)


class Adversary(ComputedObjective):
    """The encoder's turn: the discriminator shall take the codes of a batch (x,) for draws."""

    names = ("encoder",)
    greater_is_better = MappingProxyType({"encoder": False})
    uses_rng = False

    def __init__(self, encoder: Model, D: Model) -> None:
        self.encoder, self.D = encoder, D

    @property
    def graphs(self) -> list[Graph]:
        return [self.encoder.graph, self.D.graph]

    def prepare(self, batch: tuple, rng: np.random.Generator) -> tuple[Array, ...]:
        (x,) = batch
        return x, answers(x)[0]

    def compute(self, arrays: tuple, rng: np.random.Generator) -> tuple[tuple[Scalar, ...], Cache]:
        x, yes = arrays
        z, z_cache = self.encoder.forward(x)  # (1)
        logits, logits_cache = self.D.forward(z)  # (2)
        loss, answer = answer_forward(logits, True, yes)  # (3)
        return (loss,), (z_cache, logits_cache, answer)

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        z_cache, logits_cache, answer = cache
        dlogits = answer_backward(dloss, answer)  # (3)
        dz = self.D.backward(dlogits, logits_cache, None)  # (2), and leaves no trace on D
        self.encoder.backward(dz, z_cache, grads, need_dx=False)  # (1)


class AdversarialAutoencoder(SteppedPretrainer):
    """An autoencoder whose codes are distributed like N(0, 1).

    Parameters
    ----------
    hidden : sequence of int
        Widths of the encoder's layers before the code, mirrored behind it.
    code : int
        K, the numbers of a code.
    activation : str
        Of the layers of ``hidden``.
    discriminator : sequence of int
        Widths of the discriminator of codes.
    adversarial_rate : float
        Learning rate of the two adversarial turns; ``learning_rate`` is of restoring.
    loss : {"binary_crossentropy", "mean_squared_error"}
    **params
        As of ``Pretrainer``.

    Attributes
    ----------
    encoder_, decoder_ : Model
    history_ : dict of lists
        "loss" is of restoring; "discriminator" and "encoder" are those of the two turns: both are
        log 2 times 2 and 1 where codes cannot be told from draws.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((64, 16))
    >>> method = AdversarialAutoencoder(hidden=(8,), code=2, epochs=1, random_state=0).fit(X)
    >>> method.transform(X).shape
    (64, 2)
    """

    method = "aae"
    choices: ClassVar = {"loss": ("binary_crossentropy", "mean_squared_error")}
    hidden: Sequence[int] = (256,)
    code: int = 16
    activation: str = "relu"
    discriminator: Sequence[int] = (64, 64)
    adversarial_rate: float = 1e-3
    loss: str = "binary_crossentropy"

    def _draw(self, x: Array, rng: np.random.Generator) -> Array:
        """As many codes from N(0, 1) as there are samples."""
        z = rng.standard_normal((len(x), self.code), dtype="float32")
        return to_device_of(z.astype(self.dtype), x)

    # -- what learns

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        check_counts("AdversarialAutoencoder", code=self.code)
        as_widths("AdversarialAutoencoder", self.hidden)
        as_widths("AdversarialAutoencoder", self.discriminator)
        self._new_adversarial_optimizer()

    def _new_adversarial_optimizer(self) -> Optimizer:
        optimizer = self._new_optimizer()
        optimizer.learning_rate = self.adversarial_rate
        return optimizer

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        widths = as_widths("AdversarialAutoencoder", self.hidden)
        x, z = Input(sample_shape, dtype=self.dtype), Input((self.code,), dtype=self.dtype)
        f, g = self.activation, "sigmoid" if self.loss == "binary_crossentropy" else "linear"
        code = Dense(self.code, name="code")(dense_stack(x, widths, f, "encoder"))
        restored = Dense(sample_shape[-1], activation=g, name="restored")
        x_hat = restored(mirrored_stack(z, widths, f, "decoder"))
        widths = as_widths("AdversarialAutoencoder", self.discriminator)
        features = dense_stack(z, widths, "leaky_relu", "discriminator")
        D = Model(z, Dense(1, name="logit")(features), name="discriminator")
        self.encoder_ = Model(x, code, name="encoder")
        self.decoder_ = Model(z, x_hat, name="decoder")
        self.model_ = Model(x, self.decoder_(code), name="adversarial_autoencoder")
        for network in (self.encoder_, self.decoder_, D):
            network.initialize(rng)
        whole, knows = self.model_, Discriminator(self.encoder_, D, self._draw)
        self.learners_ = {
            "autoencoder": Learner(whole, Restoring(whole, self.loss), self._new_optimizer()),
            "discriminator": Learner(D, knows, self._new_adversarial_optimizer()),
            "adversary": Learner(
                whole, Adversary(self.encoder_, D), self._new_adversarial_optimizer()
            ),
        }

    # -- samples

    def sample(self, n: int, random_state: int = 0) -> np.ndarray:
        """(n, D) new samples: what the decoder makes of draws from N(0, 1)."""
        self.check_fitted()
        z = np.random.default_rng(random_state).standard_normal((n, self.code)).astype(self.dtype)
        return to_numpy(self.inverse_transform(z))
