"""What predictive coding shows: sounds, and each frame as it was expected some steps before."""

from __future__ import annotations

from collections.abc import Sequence

from minienc.audio.predictive_coding import PredictiveCoding
from minienc.data.pixels import Samples
from minienc.gallery.common import Picture
from minienc.gallery.sounds import pictures as of_sounds


def pictures(
    method: PredictiveCoding, X: Samples, image_shape: Sequence[int] | None
) -> list[Picture]:
    (picture,) = of_sounds(method, X, image_shape)
    said = (
        f" Each frame of the second row is what was expected of it "
        f"{method.stride_ * method.ahead} frames before; the first ones nobody could expect."
    )
    return [picture._replace(caption=picture.caption + said)]


def course(method: PredictiveCoding) -> str:
    return (
        "The loss: the squared error of frames that come later, or came before, a mean over their "
        "numbers, whose mean is 0 and variance 1 in each sound. Lower is better; 1 is answering "
        "with the mean."
    )
