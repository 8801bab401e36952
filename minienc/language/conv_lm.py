"""A convolutional language model: each step sees a fixed number of steps before it.

A causal convolution sees the last K tokens. Behind it stands one with gaps twice as wide, and so
on: with dilations 1, 2, 4, ... n layers see (K - 1) (2^n - 1) + 1 tokens. Each adds to what it was
given, and all steps are computed at once: nothing waits for the step before.

Sources: van den Oord et al. 2016, "WaveNet: a generative model for raw audio", section 2; Bai,
Kolter and Koltun 2018, "An empirical evaluation of generic convolutional and recurrent networks for
sequence modeling", section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

from minienc.language.lm import LanguageModel
from minienc.layers import Add, Conv1D, Dense, RMSNormalization
from minienc.layers.symbolic import SymbolicTensor, Tensors
from minienc.pretraining.base import check_counts


class ConvLanguageModel(LanguageModel):
    """Predict the next token from the tokens that dilated convolutions see.

    Parameters
    ----------
    filters : int
        Features inside.
    kernel_size : int
    n_layers : int
        Layer k has the dilation 2^k.
    **params
        As of ``LanguageModel``.

    Examples
    --------
    >>> text = "the cat sat on the mat. the dog sat on the log. " * 40
    >>> method = ConvLanguageModel(
    ...     filters=16, n_layers=2, embedding=8, context=16, epochs=1, random_state=0
    ... )
    >>> method = method.fit(text)
    >>> method.transform(text).shape[1]
    8
    """

    method = "conv_lm"
    filters: int = 256
    kernel_size: int = 3
    n_layers: int = 5
    dropout = 0.1
    epochs = 3

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        name = type(self).__name__
        check_counts(
            name, filters=self.filters, kernel_size=self.kernel_size, n_layers=self.n_layers
        )

    def body(self, x: SymbolicTensor, states: Tensors) -> tuple[SymbolicTensor, Tensors]:
        for k in range(self.n_layers):
            seen = Conv1D(
                self.filters,
                self.kernel_size,
                padding="causal",
                dilation_rate=2**k,
                activation="relu",
                name=f"conv_{k + 1}",
            )(RMSNormalization(name=f"norm_{k + 1}")(x))
            x = Add()([x, Dense(self.embedding, name=f"narrow_{k + 1}")(self._dropped(seen))])
        return RMSNormalization(name="norm")(x), []
