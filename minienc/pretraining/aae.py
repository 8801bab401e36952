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
from typing import Any, ClassVar

import numpy as np

from minienc.arrays import Array, beside, to_numpy
from minienc.layers import Dense, Input
from minienc.layers.parameters import Gradients
from minienc.models import Model
from minienc.pretraining.base import as_widths, check_counts
from minienc.pretraining.gan import answer_backward, answer_forward
from minienc.pretraining.stepped import Restoring, SteppedPretrainer
from minienc.training.step import Learner, Objective


class Discriminator(Objective):
    """That draws of N(0, 1) are told from codes of a batch (x,)."""

    names = ("discriminator",)

    def __init__(self, encoder: Model, D: Model, draw: Callable[..., Array]) -> None:
        self.encoder, self.D, self.draw = encoder, D, draw

    def forward(self, batch: tuple, rng: Any = None) -> tuple[tuple[Any, ...], Any]:
        (x,) = batch
        drawn, drawn_cache = self.D.forward(self.draw(len(x), rng))  # (1)
        own, own_cache = self.D.forward(self.encoder(x))  # (2)
        drawn_loss, is_drawn = answer_forward(drawn, True)  # (3)
        own_loss, is_own = answer_forward(own, False)  # (4)
        return (drawn_loss + own_loss,), (drawn_cache, own_cache, is_drawn, is_own)

    def backward(self, dloss: Any, cache: Any, grads: Gradients) -> None:
        drawn_cache, own_cache, is_drawn, is_own = cache
        self.D.backward(answer_backward(dloss, is_drawn), drawn_cache, grads, need_dx=False)  # (3)
        self.D.backward(answer_backward(dloss, is_own), own_cache, grads, need_dx=False)  # (4)


class Adversary(Objective):
    """That the discriminator takes codes of a batch (x,) for draws, as far as the encoder can."""

    names = ("encoder",)
    uses_rng = False

    def __init__(self, encoder: Model, D: Model) -> None:
        self.encoder, self.D = encoder, D

    def forward(self, batch: tuple, rng: Any = None) -> tuple[tuple[Any, ...], Any]:
        z, z_cache = self.encoder.forward(batch[0])  # (1)
        logits, logits_cache = self.D.forward(z)  # (2)
        loss, answer = answer_forward(logits, True)  # (3)
        return (loss,), (z_cache, logits_cache, answer)

    def backward(self, dloss: Any, cache: Any, grads: Gradients) -> None:
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
    """

    method = "aae"
    choices: ClassVar = {"loss": ("binary_crossentropy", "mean_squared_error")}

    def __init__(
        self,
        hidden: Sequence[int] = (256,),
        code: int = 16,
        activation: str = "relu",
        discriminator: Sequence[int] = (64, 64),
        adversarial_rate: float = 1e-3,
        loss: str = "binary_crossentropy",
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.hidden = hidden
        self.code = code
        self.activation = activation
        self.discriminator = discriminator
        self.adversarial_rate = adversarial_rate
        self.loss = loss

    def _draw(self, n: int, rng: np.random.Generator) -> Array:
        z = rng.standard_normal((n, self.code), dtype="float32").astype(self.dtype)
        return beside(z, self.encoder_.parameters.vector)

    # -- what learns

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        check_counts("AdversarialAutoencoder", code=self.code)

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        widths = as_widths("AdversarialAutoencoder", self.hidden)
        tensor = x = Input(sample_shape, dtype=self.dtype)
        for i, units in enumerate(widths, 1):
            tensor = Dense(units, activation=self.activation, name=f"encoder_{i}")(tensor)
        code = Dense(self.code, name="code")(tensor)
        tensor = z = Input((self.code,), dtype=self.dtype)
        for i, units in reversed(list(enumerate(widths, 1))):
            tensor = Dense(units, activation=self.activation, name=f"decoder_{i}")(tensor)
        f = "sigmoid" if self.loss == "binary_crossentropy" else "linear"
        x_hat = Dense(sample_shape[-1], activation=f, name="restored")(tensor)
        tensor = codes = Input((self.code,), dtype=self.dtype)
        for i, units in enumerate(as_widths("AdversarialAutoencoder", self.discriminator), 1):
            tensor = Dense(units, activation="leaky_relu", name=f"discriminator_{i}")(tensor)
        D = Model(codes, Dense(1, name="logit")(tensor), name="discriminator")
        self.encoder_ = Model(x, code, name="encoder")
        self.decoder_ = Model(z, x_hat, name="decoder")
        self.model_ = Model(x, self.decoder_(code), name="adversarial_autoencoder")
        for network in (self.encoder_, self.decoder_, D):
            network.initialize(rng)
        whole, knows = self.model_, Discriminator(self.encoder_, D, self._draw)
        self.learners_ = {
            "autoencoder": Learner(whole, Restoring(whole, self.loss), self._new_optimizer()),
            "discriminator": Learner(D, knows, self._new_optimizer()),
            "adversary": Learner(whole, Adversary(self.encoder_, D), self._new_optimizer()),
        }
        for name in ("discriminator", "adversary"):
            self.learners_[name].optimizer.learning_rate = self.adversarial_rate

    # -- samples

    def sample(self, n: int, random_state: int = 0) -> np.ndarray:
        """(n, D) new samples: what the decoder makes of draws from N(0, 1)."""
        self.check_fitted()
        z = np.random.default_rng(random_state).standard_normal((n, self.code)).astype(self.dtype)
        return to_numpy(self.inverse_transform(z))
