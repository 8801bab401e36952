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
``second_order.py``); Radford, Metz and Chintala 2016, "Unsupervised representation learning with
deep convolutional generative adversarial networks" (DCGAN), section 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minienc import plots
from minienc.arrays import Array, beside, get_array_module, rows_at, to_numpy
from minienc.functions.clustering import squared_distances_forward
from minienc.functions.losses import (
    binary_crossentropy_backward,
    binary_crossentropy_forward,
)
from minienc.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    Input,
    Reshape,
)
from minienc.models import Model
from minienc.pretraining.base import (
    Picture,
    as_image_shape,
    as_samples,
    as_widths,
    check_counts,
)
from minienc.pretraining.kmeans import plus_plus
from minienc.pretraining.second_order import gradient_penalty
from minienc.pretraining.stepped import SteppedPretrainer
from minienc.training.optimizers import Adam, Optimizer

N_SHOWN = 10  # samples of each snapshot
N_KEPT = 5000  # training samples that are compared with, at most


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
    """

    method = "gan"

    def __init__(
        self,
        hidden: Sequence[int] = (256, 128),
        noise: int = 32,
        loss: str = "non_saturating",
        architecture: str = "dense",
        filters: Sequence[int] = (32, 64),
        image_shape: Sequence[int] | None = None,
        penalty: float = 10.0,
        n_critic: int = 1,
        learning_rate: float = 2e-4,
        beta_1: float = 0.5,
        output_activation: str = "sigmoid",
        epochs: int = 20,
        batch_size: int = 64,
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
        self.hidden = hidden
        self.noise = noise
        self.loss = loss
        self.architecture = architecture
        self.filters = filters
        self.image_shape = image_shape
        self.penalty = penalty
        self.n_critic = n_critic
        self.beta_1 = beta_1
        self.output_activation = output_activation

    @classmethod
    def suggest(
        cls, n_samples: int, sample_shape: Sequence[int], in_unit_interval: bool
    ) -> dict[str, Any]:
        large = n_samples >= 10_000
        return {
            "image_shape": tuple(sample_shape) if len(sample_shape) > 1 else None,
            "output_activation": "sigmoid" if in_unit_interval else "linear",
            "hidden": (512, 256) if math.prod(sample_shape) >= 256 else (128, 64),
            "epochs": 20 if large else 300,
            "learning_rate": 2e-4 if large else 5e-4,
            "batch_size": 64 if large else 32,
        }

    # -- the mathematics

    def _step(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        for _ in range(self.n_critic):
            logs = self._discriminator_turn(x, rng)
        logs |= self._generator_turn(x, rng)
        self._take_snapshot()
        return logs

    def _discriminator_turn(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        D, made = self.discriminator_, self._make_samples(len(x), rng)
        gradients = D.new_gradients()
        real_logits, real_cache = D.forward(x)
        made_logits, made_cache = D.forward(made)
        real_loss, dreal = self._loss_of(real_logits, 1)
        made_loss, dmade = self._loss_of(made_logits, 0)
        D.backward(dreal, real_cache, gradients, need_dx=False)
        D.backward(dmade, made_cache, gradients, need_dx=False)
        loss = real_loss + made_loss
        if self.loss == "wasserstein":
            t = beside(rng.random((len(x), 1), dtype="float32").astype(self.dtype), x)
            between = t * x + (1 - t) * made
            loss = loss + gradient_penalty(D, between, gradients, self.penalty)
        self.optimizers_["discriminator"].step(D.parameters, gradients)
        return {"loss": loss, "real": real_logits.mean(), "made": made_logits.mean()}

    def _generator_turn(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        """What would make the discriminator take the samples for real, as far as they can."""
        G, D = self.generator_, self.discriminator_
        made, cache = G.forward(self._draw(len(x), rng), training=True)
        logits, logits_cache = D.forward(made)
        loss, dlogits = self._loss_of(logits, 1)
        dmade = D.backward(dlogits, logits_cache, None)
        gradients = G.new_gradients()
        G.backward(dmade, cache, gradients, need_dx=False)
        self.optimizers_["generator"].step(G.parameters, gradients)
        G.update_state(cache)
        return {"generator_loss": loss}

    def _loss_of(self, logits: Array, is_real: int) -> tuple[Any, Array]:
        """(the loss where ``logits`` shall say real, or made; its gradient)."""
        xp = get_array_module(logits)
        if self.loss == "wasserstein":
            sign = -1 if is_real else 1
            return sign * logits.mean(), xp.full_like(logits, sign / len(logits))
        target = xp.full_like(logits, is_real)
        loss, cache = binary_crossentropy_forward(logits, target, from_logits=True)
        return loss, binary_crossentropy_backward(logits.dtype.type(1), cache)

    def _losses(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        real, made = self.discriminator_(x), self.discriminator_(self._make_samples(len(x), rng))
        loss = self._loss_of(real, 1)[0] + self._loss_of(made, 0)[0]
        return {"loss": loss, "real": real.mean(), "made": made.mean()}

    def _draw(self, n: int, rng: np.random.Generator) -> Array:
        z = rng.standard_normal((n, self.noise), dtype="float32").astype(self.dtype)
        return beside(z, self.generator_.parameters.vector)

    def _make_samples(self, n: int, rng: np.random.Generator) -> Array:
        return self.generator_.forward(self._draw(n, rng), training=True)[0]

    # -- what learns

    def check_params(self, n_features: int) -> None:
        check_counts("GAN", noise=self.noise, n_critic=self.n_critic)
        for name, options in (
            ("loss", ("non_saturating", "wasserstein")),
            ("architecture", ("dense", "conv")),
        ):
            if getattr(self, name) not in options:
                raise ValueError(
                    f"GAN: {name} is {getattr(self, name)!r}, expected {' or '.join(options)}"
                )
        super().check_params(n_features)

    def _new_optimizer(self) -> Optimizer:
        return Adam(self.learning_rate, beta_1=self.beta_1)

    def _build(self, n_features: int, rng: np.random.Generator) -> None:
        z, x = Input((self.noise,), dtype=self.dtype), Input((n_features,), dtype=self.dtype)
        widths = as_widths("GAN", self.hidden)
        if self.architecture == "conv":
            made, features = self._convolutional(z, x, n_features, widths[-1])
        else:
            made = features = None
            tensor = z
            for i, units in enumerate(reversed(widths), 1):
                tensor = Dense(units, activation="relu", name=f"generator_{i}")(tensor)
            made = Dense(n_features, activation=self.output_activation, name="made")(tensor)
            features = x
            for i, units in enumerate(widths, 1):
                layer = Dense(units, activation="leaky_relu", name=f"discriminator_{i}")
                features = layer(features)
        self.generator_ = Model(z, made, name="generator")
        self.discriminator_ = Model(x, Dense(1, name="logit")(features), name="discriminator")
        self.encoder_ = Model(x, features, name="encoder")
        self.model_, self.decoder_ = self.discriminator_, None
        self.networks_ = {"generator": self.generator_, "discriminator": self.discriminator_}
        for name, network in self.networks_.items():
            network.initialize(rng)
            self.optimizers_[name] = self._new_optimizer()

    def _convolutional(self, z: Any, x: Any, n_features: int, code: int) -> tuple[Any, Any]:
        """(what the generator makes, the discriminator's features), of images."""
        height, width, channels = as_image_shape(self.image_shape, n_features)
        filters = as_widths("GAN", self.filters)
        times = 2 ** len(filters)
        if height % times or width % times:
            raise ValueError(
                f"GAN: {len(filters)} convolutions halve an image {len(filters)} times, and "
                f"{height} x {width} cannot be; give fewer filters"
            )
        small = (height // times, width // times, filters[-1])
        tensor = Reshape(small)(Dense(math.prod(small), use_bias=False, name="generator_1")(z))
        for i, n in enumerate([*reversed(filters[:-1]), channels], 2):
            tensor = Activation("relu")(BatchNormalization()(tensor))
            up = Conv2DTranspose(n, 4, strides=2, padding="same", name=f"generator_{i}")
            tensor = up(tensor)
        made = Activation(self.output_activation)(Flatten()(tensor))
        features = Reshape((height, width, channels))(x)
        for i, n in enumerate(filters, 1):
            down = Conv2D(n, 4, 2, "same", "leaky_relu", name=f"discriminator_{i}")
            features = down(features)
        return made, Dense(code, activation="leaky_relu", name="features")(Flatten()(features))

    def _start(self, X: Any) -> None:
        rng = np.random.default_rng([self.random_state_, 1])
        chosen = np.sort(rng.permutation(len(X))[:N_KEPT])
        self._some = to_numpy(rows_at(X, chosen)).astype(self.dtype)
        steps = self.epochs * -(-len(X) // min(self.batch_size, len(X)))
        self._at = [max(1, round(steps * part)) for part in (0.01, 0.03, 0.1, 0.3, 1.0)]
        self.arrays_["fixed_noise"] = rng.standard_normal((N_SHOWN, self.noise)).astype(self.dtype)
        self.arrays_["snapshots"] = np.zeros((len(self._at), N_SHOWN, X.shape[1]), self.dtype)

    def _take_snapshot(self) -> None:
        done = self.optimizers_["generator"].iterations
        for i, at in enumerate(self._at):
            if done == at:
                z = beside(self.arrays_["fixed_noise"], self.generator_.parameters.vector)
                self.arrays_["snapshots"][i] = to_numpy(self.generator_(z))

    # -- samples, and what they are worth

    def sample(self, n: int, random_state: int = 0) -> np.ndarray:
        """(n, D) new samples."""
        self.check_fitted()
        z = self._draw(n, np.random.default_rng(random_state))
        return to_numpy(self.generator_.predict(z, batch_size=1000))

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the mean distance of samples X from the nearest of 1,000 made ones."""
        made = self.sample(1000)
        return -float(np.mean(nearest(to_numpy(X).reshape(len(X), -1).astype(self.dtype), made)[1]))

    def mode_coverage(self, n: int = 1000, n_modes: int = 20) -> tuple[np.ndarray, np.ndarray]:
        """The share of training samples, and of made ones, near each of 20 training samples.

        The 20 lie far from each other (k-means++). A generator that has given up a kind of samples
        makes none near some of them.
        """
        modes = plus_plus(self._some, min(n_modes, len(self._some)), np.random.default_rng(0))
        return tuple(  # type: ignore[return-value]
            np.bincount(nearest(x, modes)[0], minlength=len(modes)) / len(x)
            for x in (self._some, self.sample(n))
        )

    def memorisation(self, X: Any, n: int = 500) -> tuple[np.ndarray, np.ndarray]:
        """Distances to the nearest training sample: of made samples, and of test samples X.

        Made ones that are much nearer than test samples are copies.
        """
        X = to_numpy(X).reshape(len(X), -1).astype(self.dtype)
        return nearest(self.sample(n), self._some)[1], nearest(X, self._some)[1]

    def measures(self, X: Any, y: np.ndarray | None) -> dict[str, float]:
        """Whether every kind of sample is made, and whether what is made are copies."""
        real, made = self.mode_coverage()
        of_made, of_test = self.memorisation(as_samples(X)[:N_KEPT])
        return {
            f"kinds of samples that are made, of {len(real)}": covered(real, made),
            "distance of made samples from the nearest training sample": float(np.median(of_made)),
            "of test samples from it": float(np.median(of_test)),
        }

    def pictures(self, X: np.ndarray, image_shape: Sequence[int] | None) -> list[Picture]:
        found = []
        if image_shape is not None:
            parts = ("1 %", "3 %", "10 %", "30 %", "100 %")
            snapshots = to_numpy(self.arrays_["snapshots"])
            rows = list(zip(parts, snapshots, strict=True))
            caption = "What the generator made of the same noise, after parts of the training."
            found.append(Picture(caption, plots.image_grid(rows, image_shape)))
            made = self.sample(N_SHOWN, 1)
            neighbours = self._some[nearest(made, self._some)[0]]
            rows = [("made", made), ("nearest real", neighbours)]
            caption = "Made samples above the training samples that are nearest to them."
            found.append(Picture(caption, plots.image_grid(rows, image_shape)))
        of_made, of_test = self.memorisation(X)
        figure = plots.histograms(
            [
                ("from made to nearest training sample", of_made, np.median(of_made)),
                ("from test to nearest training sample", of_test, np.median(of_test)),
            ],
            same_x=True,
        )
        caption = (
            f"A generator that copies makes samples nearer to training samples than new ones are. "
            f"Here the median distance (line) is {np.median(of_made):.2f}, of test samples "
            f"{np.median(of_test):.2f}."
        )
        found.append(Picture(caption, figure, is_drawing=True))
        real, made_share = self.mode_coverage()
        caption = (
            f"The shares of training samples and of made ones near each of {len(real)} training "
            f"samples that lie far from each other; {covered(real, made_share)} of them are "
            f"covered (by more than a tenth of what is near them in reality)."
        )
        order = np.argsort(-real, kind="stable")
        shares = {"training samples": real[order], "made ones": made_share[order]}
        figure = plots.bars(shares, "kind of sample", "share")
        found.append(Picture(caption, figure, is_drawing=True))
        logits = {f"{name} samples": self.history_[name] for name in ("real", "made")}
        caption = (
            "What the discriminator answered to real and to made samples while it learned, as mean "
            "logits: the further apart, the surer it was."
        )
        found.append(Picture(caption, plots.lines(logits, "epoch", "logit"), is_drawing=True))
        return found


def covered(real: np.ndarray, made: np.ndarray) -> int:
    """Near how many modes lies more than a tenth of the share that lies there in reality."""
    return int((made > 0.1 * real).sum())


def nearest(x: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(index of the nearest of ``others``, distance from it), for each of x."""
    d = np.concatenate(
        [squared_distances_forward(x[i : i + 500], others)[0] for i in range(0, len(x), 500)]
    )
    return d.argmin(axis=1), np.sqrt(d.min(axis=1))
