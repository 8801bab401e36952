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

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minienc import plots
from minienc.arrays import Array, beside, get_array_module, to_numpy
from minienc.data.checks import check_data
from minienc.functions.losses import (
    binary_crossentropy_backward,
    binary_crossentropy_forward,
)
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.pretraining.base import Picture, as_widths, check_counts
from minienc.pretraining.stepped import SteppedPretrainer
from minienc.training.losses import get_loss


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

    @classmethod
    def suggest(
        cls, n_samples: int, sample_shape: Sequence[int], in_unit_interval: bool
    ) -> dict[str, Any]:
        wide = math.prod(sample_shape) >= 256
        return super().suggest(n_samples, sample_shape, in_unit_interval) | {
            "hidden": (512, 256) if wide else (128,),
            "code": 16 if wide else 10,
        }

    # -- the mathematics

    def _step(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        logs = {"loss": self._restore(x)}
        return logs | self._regularise(x, rng)

    def _restore(self, x: Array) -> Any:
        encoder, decoder, loss = self.encoder_, self.decoder_, get_loss(self.loss)
        assert decoder is not None
        z, encoder_cache = encoder.forward(x)
        x_hat, decoder_cache = decoder.forward(z)
        restoring, loss_cache = loss.forward(x_hat, x)
        up, down = decoder.new_gradients(), encoder.new_gradients()
        dx_hat = loss.backward(x_hat.dtype.type(1), loss_cache)
        dz = decoder.backward(dx_hat, decoder_cache, up)
        encoder.backward(dz, encoder_cache, down, need_dx=False)
        self.optimizers_["decoder"].step(decoder.parameters, up)
        self.optimizers_["encoder"].step(encoder.parameters, down)
        return restoring

    def _regularise(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        encoder, D = self.encoder_, self.networks_["discriminator"]
        z, encoder_cache = encoder.forward(x)
        gradients = D.new_gradients()
        total = 0.0
        for codes, is_drawn in ((self._draw(len(x), rng), 1), (z, 0)):
            logits, cache = D.forward(codes)
            loss, dlogits = says(logits, is_drawn)
            D.backward(dlogits, cache, gradients, need_dx=False)
            total = total + loss
        self.optimizers_["discriminator"].step(D.parameters, gradients)

        logits, cache = D.forward(z)
        loss, dlogits = says(logits, 1)  # the encoder would have its codes taken for draws
        dz = D.backward(dlogits, cache, None)
        gradients = encoder.new_gradients()
        encoder.backward(dz, encoder_cache, gradients, need_dx=False)
        self.optimizers_["adversary"].step(encoder.parameters, gradients)
        return {"discriminator": total, "encoder": loss}

    def _losses(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        z, D = self.encoder_(x), self.networks_["discriminator"]
        drawn, own = D(self._draw(len(x), rng)), D(z)
        return {
            "loss": get_loss(self.loss).forward(self.model_(x), x)[0],
            "discriminator": says(drawn, 1)[0] + says(own, 0)[0],
            "encoder": says(own, 1)[0],
        }

    def _draw(self, n: int, rng: np.random.Generator) -> Array:
        z = rng.standard_normal((n, self.code), dtype="float32").astype(self.dtype)
        return beside(z, self.encoder_.parameters.vector)

    # -- what learns

    def check_params(self, n_features: int) -> None:
        name = "AdversarialAutoencoder"
        check_counts(name, code=self.code)
        if self.loss not in ("binary_crossentropy", "mean_squared_error"):
            raise ValueError(
                f"{name}: loss is {self.loss!r}, expected binary_crossentropy or mean_squared_error"
            )
        super().check_params(n_features)

    def _build(self, n_features: int, rng: np.random.Generator) -> None:
        widths = as_widths("AdversarialAutoencoder", self.hidden)
        tensor = x = Input((n_features,), dtype=self.dtype)
        for i, units in enumerate(widths, 1):
            tensor = Dense(units, activation=self.activation, name=f"encoder_{i}")(tensor)
        code = Dense(self.code, name="code")(tensor)
        tensor = z = Input((self.code,), dtype=self.dtype)
        for i, units in reversed(list(enumerate(widths, 1))):
            tensor = Dense(units, activation=self.activation, name=f"decoder_{i}")(tensor)
        f = "sigmoid" if self.loss == "binary_crossentropy" else "linear"
        x_hat = Dense(n_features, activation=f, name="restored")(tensor)
        tensor = codes = Input((self.code,), dtype=self.dtype)
        for i, units in enumerate(as_widths("AdversarialAutoencoder", self.discriminator), 1):
            tensor = Dense(units, activation="leaky_relu", name=f"discriminator_{i}")(tensor)
        D = Model(codes, Dense(1, name="logit")(tensor), name="discriminator")
        self.encoder_ = Model(x, code, name="encoder")
        self.decoder_ = Model(z, x_hat, name="decoder")
        self.model_ = Model(x, self.decoder_(code), name="adversarial_autoencoder")
        networks = {"encoder": self.encoder_, "decoder": self.decoder_, "discriminator": D}
        for network in networks.values():
            network.initialize(rng)
        # the encoder learns in two turns, each with an optimiser of its own
        self.networks_ = {**networks, "adversary": self.encoder_}
        self.optimizers_ = {name: self._new_optimizer() for name in self.networks_}
        for name in ("discriminator", "adversary"):
            self.optimizers_[name].learning_rate = self.adversarial_rate

    def _start(self, X: Any) -> None:
        if self.loss == "binary_crossentropy":
            check_data(X, domain=(0, 1))

    # -- samples

    def sample(self, n: int, random_state: int = 0) -> np.ndarray:
        """(n, D) new samples: what the decoder makes of draws from N(0, 1)."""
        self.check_fitted()
        z = np.random.default_rng(random_state).standard_normal((n, self.code)).astype(self.dtype)
        return to_numpy(self.inverse_transform(z))

    def pictures(self, X: np.ndarray, image_shape: Sequence[int] | None) -> list[Picture]:
        """How the codes are distributed, and how that came; new samples."""
        codes = to_numpy(self.transform(X))
        caption = (
            f"The numbers of the codes of test samples: mean {codes.mean():.2f}, standard "
            f"deviation {codes.std():.2f}; the discriminator asks for 0 and 1."
        )
        figure = plots.histograms([("a number of a code", codes.ravel(), None)])
        found = [Picture(caption, figure, is_drawing=True)]
        turns = {
            "discriminator, 1.39 by chance": self.history_["discriminator"],
            "encoder, 0.69 by chance": self.history_["encoder"],
        }
        caption = "The losses of the two turns: by chance, where codes cannot be told from draws."
        found.append(Picture(caption, plots.lines(turns, "epoch", "loss"), is_drawing=True))
        if image_shape is not None:
            rows = [("", row) for row in np.split(self.sample(30), 3)]
            caption = "New samples: the decoder's answer to draws from the normal distribution."
            found.append(Picture(caption, plots.image_grid(rows, image_shape)))
        return found


def says(logits: Array, answer: int) -> tuple[Any, Array]:
    """(cross-entropy of the discriminator's logits with this answer, its gradient)."""
    target = get_array_module(logits).full_like(logits, answer)
    loss, cache = binary_crossentropy_forward(logits, target, from_logits=True)
    return loss, binary_crossentropy_backward(logits.dtype.type(1), cache)
