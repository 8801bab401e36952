"""Masked frames: hide some groups of frames, and guess them from those before and behind.

    m_ng = 1 for the groups that are hidden, a part of those that count, at least one
    y = network((1 - m) x),      asked for where m is 1

A single frame that is missing is guessed from its neighbours, which are nearly the same; 4 frames
are 40 ms, as long as a consonant. What was there follows from what is being said.

Source: Liu et al. 2020, "Mockingjay: unsupervised speech representation learning with deep
bidirectional transformer encoders", section 2.2; Jiang et al. 2019, "Improving transformer-based
speech recognition using unsupervised pre-training".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc.arrays import Array, to_device_of, to_numpy
from minienc.audio.base import Question, SoundPretrainer
from minienc.audio.encoder import FramesEncoder
from minienc.layers import Dense, Input
from minienc.layers.symbolic import SymbolicTensor
from minienc.models import Model


class MaskedFrames(SoundPretrainer):
    """Guess hidden groups of frames from both sides.

    Parameters
    ----------
    mask_ratio : float
        The part of a sound's groups that is hidden.
    **params
        As of ``SoundPretrainer``.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((8, 20, 16))  # eight sounds, 20 frames of 16 bands
    >>> method = MaskedFrames(filters=(4,), units=8, epochs=1, random_state=0).fit(X)
    >>> method.transform(X).shape
    (8, 16)
    """

    method = "masked_frames"
    mask_ratio: float = 0.5

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        if not 0 < self.mask_ratio < 1:
            raise ValueError(
                f"{type(self).__name__}: mask_ratio is {self.mask_ratio!r}, expected a part of the "
                f"groups, between 0 and 1"
            )

    def network(self, x: SymbolicTensor, encoder: FramesEncoder) -> Model:
        seen = Input(x.sample_shape, dtype=self.dtype)
        h = Dense(2 * self.units, "relu", name="head_1")(encoder(seen, whole=x).h)
        y = Dense(encoder.stride * x.sample_shape[1], name="head_2")(h)
        return Model([seen, x], [y], name=self.method)

    def ask(self, x: Array, rng: np.random.Generator | None) -> Question:
        m = to_device_of(self.draw_mask(to_numpy(self.counted(x)), rng), x)
        groups = self.groups(x)
        seen = ((1 - m)[:, :, None] * groups).reshape(x.shape)
        return Question((seen, x), (groups,), (m,))

    def draw_mask(self, counted: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """m (N, G) of the groups that count (N, G): of each sound the same part, any of them."""
        rng = np.random.default_rng(0) if rng is None else rng
        n = np.maximum(np.rint(self.mask_ratio * counted.sum(axis=1, keepdims=True)), 1)
        order = np.where(counted > 0, rng.random(counted.shape), 2.0).argsort(axis=1)
        rank = order.argsort(axis=1)
        return ((rank < n) & (counted > 0)).astype(counted.dtype)
