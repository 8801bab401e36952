"""The stacked autoencoder: one layer after another, each on the codes of the one before.

    stage 1:  x   -> encoder_1 -> decoder_1 -> x_hat
    stage 2:  h_1 -> encoder_2 -> decoder_2 -> h_1_hat      with h_1 = encoder_1(x), and so on
    at last:  x -> encoder_1 ... encoder_n -> decoder_n ... decoder_1 -> x_hat

Each stage is a shallow network, which is easy to train; the last stage holds all the layers of
the others and trains them together. Every stage may be denoising.

Sources: Bengio, Lamblin, Popovici and Larochelle 2007, "Greedy layer-wise training of deep
networks"; Vincent et al. 2010, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc.data.pixels import Samples
from minienc.functions.activations import activation_name
from minienc.layers import Input
from minienc.models import Model
from minienc.pretraining.autoencoder import Autoencoder
from minienc.pretraining.base import check_counts
from minienc.pretraining.denoising import noise_layer
from minienc.pretraining.networks import as_widths


class StackedAutoencoder(Autoencoder):
    """An ``Autoencoder`` trained greedily, layer by layer, then as a whole.

    Parameters
    ----------
    noise : {"masking", "salt_and_pepper", "gaussian"} or None
        What disturbs the input of each greedy stage.
    noise_level : float
    epochs_per_layer : int
        Of each greedy stage; ``epochs`` is for the whole.
    **params
        As of ``Autoencoder``.

    Attributes
    ----------
    stage_histories_ : list of dict
        The losses of the greedy stages; ``history_`` is the whole's.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((64, 16))
    >>> method = StackedAutoencoder(
    ...     hidden=(8, 2), epochs_per_layer=1, epochs=1, random_state=0
    ... )
    >>> method = method.fit(X)
    >>> method.transform(X).shape
    (64, 2)
    """

    method = "stacked"
    noise: str | None = None
    noise_level: float = 0.3
    epochs_per_layer: int = 5

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        check_counts("StackedAutoencoder", epochs_per_layer=self.epochs_per_layer)
        if self.noise is not None:
            noise_layer(self.noise, self.noise_level)

    def _fit(self, X: Samples) -> None:
        self.build(X.shape[1:], np.random.default_rng(self.random_state_))
        self.model_.to(self._device(X))
        self.stage_histories_ = []
        h, h_validation = X, self._run.validation
        for i in range(1, len(as_widths("StackedAutoencoder", self.hidden)) + 1):
            encode, autoencoder = self._shallow(i)
            history = self._train(
                autoencoder,
                h,
                h_validation,
                epochs=self.epochs_per_layer,
                batch_size=min(self.batch_size, len(X)),
                stage=f"layer_{i}",
            )
            self.stage_histories_.append(history)
            h = encode.predict(h, batch_size=1000)
            if h_validation is not None:
                h_validation = encode.predict(h_validation, batch_size=1000)
        self.model_.compile(self._new_optimizer(), self.loss)
        self.history_ = self._train(
            self.model_,
            X,
            self._run.validation,
            epochs=self.epochs,
            batch_size=min(self.batch_size, len(X)),
            stage="checkpoint",
        )

    def _shallow(self, i: int) -> tuple[Model, Model]:
        """(encoder, autoencoder) of stage i: the layers of the whole, in a graph of their own."""
        encoder = self.model_.get_layer(f"encoder_{i}")
        decoder = self.model_.get_layer(f"decoder_{i}")
        h = Input(encoder.built_for, dtype=self.dtype)
        start = h if self.noise is None else noise_layer(self.noise, self.noise_level)(h)
        code = encoder(start)
        autoencoder = Model(h, decoder(code), name=f"autoencoder_{i}")
        autoencoder.compile(self._new_optimizer(), self._stage_loss(i))
        return Model(start, code), autoencoder

    def _stage_loss(self, i: int) -> str:
        """The first stage restores x; the others codes, which are probabilities for a sigmoid."""
        if i == 1:
            return self.loss
        is_probability = activation_name(self.activation) == "sigmoid"
        return "binary_crossentropy" if is_probability else "mean_squared_error"
