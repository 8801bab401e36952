"""Convolution and recurrence in one language model: a CNN reads the letters, an RNN remembers.

A causal convolution over the last K tokens makes features such as the ends of words; a recurrent
layer keeps what they add up to. One graph, trained end to end: the recurrence tells the convolution
which features are worth remembering.

Source: Kim, Jernite, Sontag and Rush 2016, "Character-aware neural language models" (there the
convolution is over the letters of one word).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from minienc.language.lm import LanguageModel
from minienc.language.rnn_lm import CELLS
from minienc.layers import Concatenate, Conv1D
from minienc.layers.symbolic import SymbolicTensor, Tensors
from minienc.pretraining.base import check_counts
from minienc.pretraining.networks import as_widths


class ConvRNNLanguageModel(LanguageModel):
    """Predict the next token from a state that is fed by a convolution.

    Parameters
    ----------
    filters : int
        Features that the convolution makes of the last ``kernel_size`` tokens.
    kernel_size : int
    cell : {"lstm", "gru", "rnn"}
    hidden : sequence of int
        Units of each recurrent layer.
    **params
        As of ``LanguageModel``. Each window begins with an empty state.

    Examples
    --------
    >>> text = "the cat sat on the mat. the dog sat on the log. " * 40
    >>> method = ConvRNNLanguageModel(
    ...     filters=8, hidden=(16,), embedding=8, context=16, epochs=1, random_state=0
    ... )
    >>> method = method.fit(text)
    >>> method.transform(text).shape[1]
    16
    """

    method = "conv_rnn_lm"
    choices: ClassVar = {**LanguageModel.choices, "cell": tuple(CELLS)}
    filters: int = 128
    kernel_size: int = 4
    cell: str = "gru"
    hidden: Sequence[int] = (256,)
    dropout = 0.1
    weight_decay = 0.0
    epochs = 3

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        name = type(self).__name__
        as_widths(name, self.hidden)
        check_counts(name, filters=self.filters, kernel_size=self.kernel_size)

    def body(self, x: SymbolicTensor, states: Tensors) -> tuple[SymbolicTensor, Tensors]:
        features = Conv1D(
            self.filters, self.kernel_size, padding="causal", activation="relu", name="conv"
        )(x)
        h = Concatenate()([x, features])
        for i, width in enumerate(self.hidden, 1):
            h = CELLS[self.cell](width, return_sequences=True, name=f"layer_{i}")(h)
        return h, []
