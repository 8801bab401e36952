"""The autoencoder: H = f(X W + b), X_hat = g(H W' + b'), the difference made small.

    x -> 512 -> 128 -> code 30 -> 128 -> 512 -> x_hat

A network that must restore its input through a narrow code can only do so by finding what the
samples have in common. With linear layers and squared error it finds the space of the first
principal components (Baldi and Hornik 1989); with non-linear ones more than that.

Sources: Rumelhart, Hinton and Williams 1986, "Learning internal representations by error
propagation"; Hinton and Salakhutdinov 2006, "Reducing the dimensionality of data with neural
networks".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minienc.data.pixels import Samples
from minienc.layers import Dense, DenseTranspose, Input, SymbolicTensor
from minienc.layers.base import Layer
from minienc.models import Model
from minienc.pretraining.base import Pretrainer
from minienc.pretraining.networks import as_widths
from minienc.training.losses import get_loss


class Reconstruction(Pretrainer):
    """What is common to methods that ``compile`` can train to restore their input.

    A subclass gives ``build``, which makes ``model_``, ``encoder_`` and ``decoder_``.

    Parameters
    ----------
    loss : str
        "binary_crossentropy" (data in [0, 1]) or "mean_squared_error", or another of
        ``minienc.training.losses``.
    **params
        As of ``Pretrainer``: optimizer, learning_rate, epochs, batch_size, dtype, device,
        random_state, verbose.
    """

    loss: str = "binary_crossentropy"

    def _fit(self, X: Samples) -> None:
        self.build(X.shape[1:], np.random.default_rng(self.random_state_))
        self.model_.to(self._device(X))
        self.model_.compile(self._new_optimizer(), self.loss)
        self.history_ = self._train(
            self.model_,
            X,
            self._run.validation,
            epochs=self.epochs,
            batch_size=min(self.batch_size, len(X)),
            stage="checkpoint",
        )

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        if get_loss(self.loss).takes_labels:
            raise ValueError(
                f"{type(self).__name__}: loss {self.loss!r} is for labels, not samples"
            )

    def takes_probabilities(self) -> bool:
        """Cross-entropy restores probabilities: samples must be some."""
        return get_loss(self.loss).name == "binary_crossentropy"

    def _output_activation(self) -> str:
        return "sigmoid" if get_loss(self.loss).name == "binary_crossentropy" else "linear"


class Autoencoder(Reconstruction):
    """Dense layers down to a code and, mirrored, back.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the encoder's layers; the last is the code's.
    activation : str
        Of every layer but the code and the output.
    code_activation : str
        Of the code; "linear" lets it be any number.
    output_activation : str or None
        None: "sigmoid" for binary cross-entropy, else "linear".
    tied : bool
        The decoder uses the encoder's weights transposed.
    **params
        As of ``Reconstruction`` and ``Pretrainer``: loss, optimizer, learning_rate, epochs,
        batch_size, dtype, device, random_state, verbose.

    Attributes
    ----------
    model_ : Model
        The whole autoencoder.
    encoder_, decoder_ : Model
        Its two halves, holding the same weights.
    history_ : dict of lists

    Examples
    --------
    >>> X = np.random.default_rng(0).random((64, 16))
    >>> method = Autoencoder(hidden=(8, 2), epochs=2, random_state=0).fit(X)
    >>> method.transform(X).shape
    (64, 2)
    >>> method.inverse_transform(method.transform(X)).shape
    (64, 16)
    """

    method = "autoencoder"
    hidden: Sequence[int] = (512, 128, 30)
    activation: str = "relu"
    code_activation: str = "linear"
    output_activation: str | None = None
    tied: bool = False

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        as_widths(type(self).__name__, self.hidden)

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        """The graph: x, (noise,) the encoder's layers, the decoder's."""
        n_features = math.prod(sample_shape)
        widths = as_widths(type(self).__name__, self.hidden)
        x = Input(sample_shape, dtype=self.dtype)
        start = self._disturb(x)
        tensor = start
        encoders = []
        for i, units in enumerate(widths, 1):
            f = self.activation if i < len(widths) else self.code_activation
            is_code = i == len(widths)
            encoders.append(self._encoder_layer(units, f, f"encoder_{i}", is_code))
            tensor = encoders[-1](tensor)
        code = tensor = self._restrain(tensor)
        for i, encoder in reversed(list(enumerate(encoders, 1))):
            f = self.activation if i > 1 else self._output_activation()
            tensor = self._mirror(encoder, i, f, n_features, widths)(tensor)
        self.model_ = Model(x, tensor, name="autoencoder")
        self.encoder_ = Model(start, code, name="encoder")
        self.decoder_ = Model(code, tensor, name="decoder")
        self.model_.initialize(rng)

    def _output_activation(self) -> str:
        return self.output_activation or super()._output_activation()

    def _encoder_layer(self, units: int, f: str, name: str, is_code: bool) -> Dense:
        return Dense(units, activation=f, name=name)

    def _mirror(self, encoder: Dense, i: int, f: str, n_features: int, widths: list[int]) -> Layer:
        """The decoder's layer opposite to ``encoder``, the i-th of the encoder."""
        name = f"decoder_{i}"
        if self.tied:
            return DenseTranspose(encoder, activation=f, name=name)
        return Dense(widths[i - 2] if i > 1 else n_features, activation=f, name=name)

    def _disturb(self, x: SymbolicTensor) -> SymbolicTensor:
        """Where a subclass adds noise to the input; the target stays clean."""
        return x

    def _restrain(self, code: SymbolicTensor) -> SymbolicTensor:
        """Where a subclass takes from the code before it is decoded."""
        return code
