"""A recurrent language model: what was read is a state, and the state says what comes next.

    h_t = cell(e_(w_t), h_(t-1)),        p(w_(t+1) | w_1 ... w_t) = softmax(h_t W + b)

The state is carried from window to window, so that it may know of what was read long ago. A simple
cell forgets within a few steps; those with gates (LSTM, GRU) decide what to keep.

Sources: Mikolov, Karafiat, Burget, Cernocky and Khudanpur 2010, "Recurrent neural network based
language model"; Graves 2013, "Generating sequences with recurrent neural networks".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from minienc.language.lm import LanguageModel
from minienc.layers import GRU, LSTM, SimpleRNN
from minienc.layers.symbolic import SymbolicTensor, Tensors
from minienc.pretraining.networks import as_widths

CELLS: dict[str, Any] = {"lstm": LSTM, "gru": GRU, "rnn": SimpleRNN}


class RNNLanguageModel(LanguageModel):
    """Predict the next token from a state.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}
    hidden : sequence of int
        Units of each recurrent layer.
    **params
        As of ``LanguageModel``; the streams are ``batch_size``.

    Examples
    --------
    >>> text = "the cat sat on the mat. the dog sat on the log. " * 40
    >>> method = RNNLanguageModel(
    ...     hidden=(16,), embedding=8, context=16, epochs=1, random_state=0
    ... )
    >>> method = method.fit(text)
    >>> len(method.generate("the ", 5)) >= 5
    True
    """

    method = "rnn_lm"
    choices: ClassVar = {**LanguageModel.choices, "cell": tuple(CELLS)}
    cell: str = "lstm"
    hidden: Sequence[int] = (384,)
    dropout = 0.2
    learning_rate = 4e-3
    weight_decay = 0.0
    epochs = 6

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        as_widths(type(self).__name__, self.hidden)

    def state_widths(self) -> list[int]:
        per_layer = len(CELLS[self.cell].states)
        return [width for width in self.hidden for _ in range(per_layer)]

    def make_layers(self) -> None:
        self.cells_ = [
            CELLS[self.cell](width, return_sequences=True, return_state=True, name=f"layer_{i}")
            for i, width in enumerate(self.hidden, 1)
        ]

    def body(self, x: SymbolicTensor, states: Tensors) -> tuple[SymbolicTensor, Tensors]:
        before, after = list(states), []
        for cell in self.cells_:
            n = len(cell.states)
            own, before = before[:n], before[n:]
            x, *state = cell(x, initial_state=own or None)
            after += state
        return x, after
