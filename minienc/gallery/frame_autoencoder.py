"""What an autoencoder of frames shows: spectrograms beside what was restored."""

from __future__ import annotations

from minienc.audio.base import SoundPretrainer
from minienc.gallery.sounds import pictures

__all__ = ["course", "pictures"]


def course(method: SoundPretrainer) -> str:
    return (
        "The loss: the squared error of restored frames, a mean over their numbers, whose mean is "
        "0 and variance 1 in each sound. Lower is better; 1 is answering with the mean."
    )
