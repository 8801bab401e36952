"""The autoencoder of frames: each step of the encoder must keep what its frames were.

    h = encoder(x) (G, 2 U),    z_g = h_g W (code),    y_g = f(z_g) (4 F)

With 40 bands a step stands for 160 numbers, and its code is a quarter as wide: it can only keep
what frames have in common, and what their neighbours, which the encoder sees, say of them.

Source: Hinton and Salakhutdinov 2006, of windows of speech: Deng et al. 2010, "Binary coding of
speech spectrograms using a deep auto-encoder".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc.arrays import Array
from minienc.audio.base import Question, SoundPretrainer
from minienc.audio.encoder import FramesEncoder
from minienc.layers import Dense
from minienc.layers.symbolic import SymbolicTensor
from minienc.models import Model
from minienc.pretraining.base import check_counts


class FrameAutoencoder(SoundPretrainer):
    """Restore all frames from narrow codes.

    Parameters
    ----------
    code : int
        Width of the code of each step.
    **params
        As of ``SoundPretrainer``.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((8, 20, 16))  # eight sounds, 20 frames of 16 bands
    >>> method = FrameAutoencoder(filters=(4,), units=8, epochs=1, random_state=0).fit(X)
    >>> method.transform(X).shape
    (8, 16)
    """

    method = "frame_autoencoder"
    code: int = 40

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        check_counts(type(self).__name__, code=self.code)

    def network(self, x: SymbolicTensor, encoder: FramesEncoder) -> Model:
        z = Dense(self.code, name="step_code")(encoder(x).h)
        h = Dense(2 * self.units, "relu", name="decoder_1")(z)
        y = Dense(encoder.stride * x.sample_shape[1], name="decoder_2")(h)
        return Model([x], [y], name=self.method)

    def ask(self, x: Array, rng: np.random.Generator | None) -> Question:
        return Question((x,), (self.groups(x),), (self.counted(x),))
