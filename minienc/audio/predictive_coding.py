"""Predictive coding: say from what was heard so far what comes some steps later; and backwards.

    there_g has heard steps up to g:   y_g = there_g V,   asked for group g + k
    back_g has heard steps from g on:  u_g = back_g W,    asked for group g - k

The next group would be too easy, for the convolutions of a step look a few frames beyond its own:
with k = 2 nothing of what is asked for has been seen. To say what comes, one must know what is
being said.

Source: Chung, Hsu, Tang and Glass 2019, "An unsupervised autoregressive model for speech
representation learning", eq. 1 (there in one direction, and |y - x|).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc.arrays import Array, get_array_module
from minienc.audio.base import Question, SoundPretrainer
from minienc.audio.encoder import FramesEncoder
from minienc.data.pixels import Samples
from minienc.layers import Dense
from minienc.layers.symbolic import SymbolicTensor
from minienc.models import Model
from minienc.shapes import is_whole


class PredictiveCoding(SoundPretrainer):
    """Predict groups of frames that come later, or came before.

    Parameters
    ----------
    ahead : int
        k, steps of 4 frames; 2 at least.
    **params
        As of ``SoundPretrainer``.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((8, 20, 16))  # eight sounds, 20 frames of 16 bands
    >>> method = PredictiveCoding(filters=(4,), units=8, epochs=1, random_state=0).fit(X)
    >>> method.transform(X).shape
    (8, 16)
    """

    method = "predictive_coding"
    ahead: int = 2

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        most = sample_shape[0] // 2 ** len(tuple(self.filters)) - 1
        if not (is_whole(self.ahead, 2) and self.ahead <= most):
            raise ValueError(
                f"{type(self).__name__}: ahead is {self.ahead!r}, expected a whole number from 2, "
                f"for the convolutions look into the next step, to {most}, the steps of a sample "
                f"but one"
            )

    def network(self, x: SymbolicTensor, encoder: FramesEncoder) -> Model:
        frames, width = encoder(x), encoder.stride * x.sample_shape[1]
        later = Dense(width, name="later")(frames.there)
        before = Dense(width, name="before")(frames.back)
        return Model([x], [later, before], name=self.method)

    def found(self, X: Samples) -> np.ndarray:
        """What was expected of each frame k steps before; 0 of the first ones."""
        y, n = super().found(X), self.ahead * self.stride_
        return np.concatenate([np.zeros_like(y[:, :n]), y[:, :-n]], axis=1)

    def ask(self, x: Array, rng: np.random.Generator | None) -> Question:
        k, xp = self.ahead, get_array_module(x)
        groups, counted = self.groups(x), self.counted(x)
        none, nobody = xp.zeros_like(groups[:, :k]), xp.zeros_like(counted[:, :k])
        later = xp.concatenate([groups[:, k:], none], axis=1)
        before = xp.concatenate([none, groups[:, :-k]], axis=1)
        is_later = xp.concatenate([counted[:, k:], nobody], axis=1)
        is_before = xp.concatenate([nobody, counted[:, k:]], axis=1)
        return Question((x,), (later, before), (is_later, is_before))
