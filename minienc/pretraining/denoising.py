"""The denoising autoencoder: restore x from a disturbed x~.

    x~ = noise(x),  x_hat = decoder(encoder(x~)),  loss(x_hat, x)

To undo the noise, the code must know which numbers go together; and a code that is wider than x
cannot merely copy it. The gradient needs nothing new: the noise's backward passes dy on where x
was left alone.

Source: Vincent, Larochelle, Lajoie, Bengio and Manzagol 2010, "Stacked denoising autoencoders",
sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minienc.layers import GaussianNoise, MaskingNoise, SaltAndPepperNoise
from minienc.pretraining.autoencoder import Autoencoder

NOISES = {
    "masking": MaskingNoise,
    "salt_and_pepper": SaltAndPepperNoise,
    "gaussian": GaussianNoise,
}


def noise_layer(noise: str, noise_level: float) -> Any:
    """Return the layer of this name and strength."""
    if noise not in NOISES:
        raise ValueError(f"noise is {noise!r}, expected one of {', '.join(NOISES)}")
    return NOISES[noise](noise_level, name="noise")


class DenoisingAutoencoder(Autoencoder):
    """An ``Autoencoder`` whose input is disturbed in training; its codes are of clean samples.

    Parameters
    ----------
    noise : {"masking", "salt_and_pepper", "gaussian"}
    noise_level : float
        The probability with which a number is disturbed, or the standard deviation.
    hidden, ... :
        As in ``Autoencoder``.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (512, 128, 30),
        noise: str = "masking",
        noise_level: float = 0.3,
        activation: str = "relu",
        code_activation: str = "linear",
        output_activation: str | None = None,
        tied: bool = False,
        loss: str = "binary_crossentropy",
        optimizer: str = "adam",
        learning_rate: float = 1e-3,
        epochs: int = 20,
        batch_size: int = 128,
        dtype: str = "float32",
        random_state: int | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            hidden=hidden,
            activation=activation,
            code_activation=code_activation,
            output_activation=output_activation,
            tied=tied,
            loss=loss,
            optimizer=optimizer,
            learning_rate=learning_rate,
            epochs=epochs,
            batch_size=batch_size,
            dtype=dtype,
            random_state=random_state,
            verbose=verbose,
        )
        self.noise = noise
        self.noise_level = noise_level

    def _disturb(self, x: Any) -> Any:
        return noise_layer(self.noise, self.noise_level)(x)
