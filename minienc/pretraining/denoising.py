"""The denoising autoencoder: restore x from a disturbed x~.

    x~ = noise(x),  x_hat = decoder(encoder(x~)),  loss(x_hat, x)

To undo the noise, the code must know which numbers go together; and a code that is wider than x
cannot merely copy it. The gradient needs nothing new: the noise's backward passes dy on where x
was left alone.

Source: Vincent, Larochelle, Lajoie, Bengio and Manzagol 2010, "Stacked denoising autoencoders",
sections 3 and 4.
"""

from __future__ import annotations

from minienc.layers import GaussianNoise, Layer, MaskingNoise, SaltAndPepperNoise, SymbolicTensor
from minienc.pretraining.autoencoder import Autoencoder

NOISES = {
    "masking": MaskingNoise,
    "salt_and_pepper": SaltAndPepperNoise,
    "gaussian": GaussianNoise,
}


def noise_layer(noise: str, noise_level: float) -> Layer:
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
    **params
        As of ``Autoencoder``.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((64, 16))
    >>> method = DenoisingAutoencoder(
    ...     noise="masking", noise_level=0.3, hidden=(8, 2), epochs=2, random_state=0
    ... )
    >>> method = method.fit(X)
    >>> method.transform(X).shape
    (64, 2)
    """

    method = "denoising"
    noise: str = "masking"
    noise_level: float = 0.3

    def _disturb(self, x: SymbolicTensor) -> SymbolicTensor:
        return noise_layer(self.noise, self.noise_level)(x)
