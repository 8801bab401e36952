"""Convolutions and a recurrence in one graph: what methods of sound train.

    x (T, F) -> conv 3 x 3, norm, relu, pool 2 x 2 -> once more -> GRU both ways -> h (T/4, 2 U)

The convolutions see a spectrogram as an image: what sounds alike a little later, or a band higher,
looks alike. Each pool makes of two frames one, and of two bands one. The recurrence reads what is
left from both ends, so each of its steps knows what came before and what comes after.

How many frames count is seen from x itself (``layers.Lengths``); behind each convolution what does
not count is made 0 again, the recurrence stops where the sound does, and the mean is over what
counts. So, once training is over, a sound gives the same code whatever is padded behind it. While
training lasts it does not: batch normalisation takes its mean and variance over all frames of a
batch, padding among them.

Source: Cho et al. 2014 and Schuster and Paliwal 1997 for the recurrence; the two together, Amodei
et al. 2016, "Deep Speech 2: end-to-end speech recognition in English and Mandarin", section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from minienc.layers import (
    GRU,
    Activation,
    BatchNormalization,
    CenterSteps,
    Concatenate,
    Conv2D,
    GlobalAveragePooling1D,
    Lengths,
    MaskSteps,
    MaxPool2D,
    Reshape,
    Reverse,
)


class Frames(NamedTuple):
    """Where a ``FramesEncoder`` stands in a graph."""

    there: Any  # (G, U) what the recurrence knows that reads from the beginning
    back: Any  # (G, U) and the one that reads from the end
    h: Any  # (G, 2 U) both, side by side
    code: Any  # (2 U,) the mean of h over the steps that count
    lengths: Any  # () how many do


class FramesEncoder:
    """The layers of the encoder, to be put into graphs; all of them share the weights.

    Parameters
    ----------
    filters : sequence of int
        Channels of each convolution; each halves frames and bands.
    units : int
        U, of the recurrence, in each direction.
    centered : bool
        Whether the first convolution sees x a second time, without the mean of each band. All
        frames have a part in that mean: so there a step knows a little of what comes after it.
    """

    def __init__(
        self, filters: Sequence[int] = (16, 32), units: int = 64, centered: bool = False
    ) -> None:
        self.centered = centered
        self.convolutions = [
            Conv2D(n, 3, padding="same", use_bias=False, name=f"conv_{i}")
            for i, n in enumerate(filters, 1)
        ]
        self.norms = [
            BatchNormalization(momentum=0.9, name=f"norm_{i}") for i in range(1, len(filters) + 1)
        ]
        self.gru_there = GRU(units, return_sequences=True, name="gru")
        self.gru_back = GRU(units, return_sequences=True, name="gru_backward")

    @property
    def stride(self) -> int:
        """How many frames become one step."""
        return 2 ** len(self.convolutions)

    def __call__(self, x: Any, whole: Any = None) -> Frames:
        """Behind the tensor x (T, F); ``whole`` is what lengths are seen from, where parts of x are
        hidden."""
        whole = x if whole is None else whole
        h = Reshape((*x.sample_shape, 1))(x)
        if self.centered:
            centered = CenterSteps()([x, Lengths()(whole)])
            h = Concatenate()([h, Reshape((*x.sample_shape, 1))(centered)])
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            h = Activation("relu")(norm(convolution(h)))
            h = MaskSteps()([h, Lengths(2**i)(whole)])
            h = MaxPool2D(2, padding="same")(h)
        G, bands, channels = h.sample_shape
        h, n = Reshape((G, bands * channels))(h), Lengths(self.stride)(whole)
        there = self.gru_there(h, lengths=n)
        back = Reverse()([self.gru_back(Reverse()([h, n]), lengths=n), n])
        both = Concatenate()([there, back])
        return Frames(there, back, both, GlobalAveragePooling1D()([both, n]), n)
