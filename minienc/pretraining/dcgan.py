"""The networks of an adversarial pair for images: strides in place of pooling, on both ways.

    generator      z -> dense (H / 4, W / 4, F_2) -> up (H / 2, W / 2, F_1) -> up (H, W, C)
    discriminator  x (H, W, C) -> down (H / 2, W / 2, F_1) -> down (H / 4, W / 4, F_2) -> dense

Kernels are 4 wide and strides 2, so that every pixel is reached by as many of the kernel's numbers
as any other. Batch normalisation is in the generator alone: in the discriminator it would mix the
samples of a batch, and the gradient penalty is on each sample's own slope.

Source: Radford, Metz and Chintala 2016, "Unsupervised representation learning with deep
convolutional generative adversarial networks", section 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from minienc.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    Reshape,
    SymbolicTensor,
)


def image_generator(
    z: SymbolicTensor, image_shape: tuple[int, int, int], filters: Sequence[int], activation: str
) -> SymbolicTensor:
    """What is made of z: images, laid out as rows."""
    height, width, channels = image_shape
    times = 2 ** len(filters)
    small = (height // times, width // times, filters[-1])
    tensor = Reshape(small)(Dense(math.prod(small), use_bias=False, name="generator_1")(z))
    for i, n in enumerate([*reversed(filters[:-1]), channels], 2):
        tensor = Activation("relu")(BatchNormalization()(tensor))
        tensor = Conv2DTranspose(n, 4, strides=2, padding="same", name=f"generator_{i}")(tensor)
    return Activation(activation)(Flatten()(tensor))


def image_features(
    x: SymbolicTensor, image_shape: tuple[int, int, int], filters: Sequence[int], code: int
) -> SymbolicTensor:
    """The discriminator's features of x: images, laid out as rows."""
    tensor = Reshape(image_shape)(x)
    for i, n in enumerate(filters, 1):
        tensor = Conv2D(n, 4, 2, "same", "leaky_relu", name=f"discriminator_{i}")(tensor)
    return Dense(code, activation="leaky_relu", name="features")(Flatten()(tensor))
