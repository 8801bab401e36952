"""What disturbs samples in fine-tuning, by the words of the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minienc.layers import GaussianNoise, RandomEqualizer, RandomStretch, SpecAugment
from minienc.layers.base import Layer

# what a word stands for, and how strong it is where nothing is said
AUGMENTATIONS: dict[str, tuple[Callable[[float], Layer], float]] = {
    "equalizer": (RandomEqualizer, 0.4),
    "stretch": (lambda a: RandomStretch(a, a), 0.1),
    "speed": (lambda a: RandomStretch(a, 0.0), 0.15),
    "pitch": (lambda a: RandomStretch(0.0, a), 0.1),
    "spec_augment": (lambda a: SpecAugment(2, a, 2, a / 2), 8.0),
    "noise": (GaussianNoise, 0.1),
}


def augmentation(words: Any) -> list[Layer]:
    """The layers of words such as ("speed:0.15", "spec_augment").

    Raises
    ------
    ValueError
        For a word that is none of ``AUGMENTATIONS``, or a strength that it does not take.
    """
    layers = []
    for word in words:
        name, colon, text = word.partition(":")
        if name not in AUGMENTATIONS:
            raise ValueError(
                f"--augment has {name!r}, expected some of {', '.join(AUGMENTATIONS)}, each with a "
                f"strength behind a colon if need be: speed:0.15"
            )
        make, strength = AUGMENTATIONS[name]
        try:
            layers.append(make(float(text) if colon else strength))
        except ValueError as error:
            raise ValueError(f"--augment has {word!r}: {error}") from None
    return layers
