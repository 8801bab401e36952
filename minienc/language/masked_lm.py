"""The masked language model: hide some tokens, and guess them from both sides.

Of the tokens that are chosen, 8 in 10 become "<mask>", 1 becomes another token, 1 stays: so that
the model must have something to say of every token, for it never knows which one is asked about.
Attention looks both ways; such a model cannot write, but its codes know what comes after, too.

Source: Devlin, Chang, Lee and Toutanova 2019, "BERT: pre-training of deep bidirectional
transformers for language understanding", section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from minienc.arrays import Array
from minienc.data.text import random_windows
from minienc.language.base import TextPretrainer, check_heads, make_small
from minienc.language.objective import NOT_ASKED, TokenCrossEntropy
from minienc.layers import (
    DenseTranspose,
    Embedding,
    GlobalAveragePooling1D,
    Input,
    RMSNormalization,
    TransformerBlock,
)
from minienc.layers.symbolic import SymbolicTensor
from minienc.models import Model
from minienc.pretraining.base import check_counts
from minienc.training.step import Learner


def hide(
    ids: np.ndarray, rng: np.random.Generator, ratio: float, mask: int, n_tokens: int
) -> tuple[np.ndarray, np.ndarray]:
    """(what is left of ids (N, T), labels (N, T)): of each window the same number is chosen, at
    least one."""
    N, T = ids.shape
    n = max(1, round(ratio * T))
    chosen = rng.random((N, T)).argsort(axis=1).argsort(axis=1) < n
    what = rng.random((N, T))
    other = rng.integers(0, n_tokens, (N, T))
    left = np.where(what < 0.8, mask, np.where(what < 0.9, other, ids))
    return np.where(chosen, left, ids).astype(np.int32), np.where(chosen, ids, NOT_ASKED)


class MaskedTokens(TokenCrossEntropy):
    """Nats of a hidden token: a mean over those that were chosen."""

    all_asked = False

    def __init__(self, network: Model, T: int, ratio: float, mask: int, n_tokens: int) -> None:
        super().__init__(network, T)
        self.hiding = ratio, mask, n_tokens

    def draw(self, n: int, rng: np.random.Generator) -> tuple[tuple[Array, ...], np.ndarray]:
        left, labels = hide(random_windows(self.ids, n, self.T, rng), rng, *self.hiding)
        return (left,), labels


class MaskedLanguageModel(TextPretrainer):
    """Guess hidden tokens by attention to both sides.

    Parameters
    ----------
    embedding : int
        Features of a token's vector, and of the whole network.
    n_layers, num_heads : int
    mask_ratio : float
        The part of a window's tokens that is asked about.
    dropout : float
    **params
        As of ``TextPretrainer``.

    Examples
    --------
    >>> text = "the cat sat on the mat. the dog sat on the log. " * 40
    >>> method = MaskedLanguageModel(
    ...     n_layers=1, num_heads=2, embedding=8, context=16, epochs=1, random_state=0
    ... )
    >>> method = method.fit(text)
    >>> method.transform(text).shape[1]
    8
    """

    method = "masked_lm"
    special: ClassVar = ("<mask>",)
    embedding: int = 128
    n_layers: int = 4
    num_heads: int = 4
    mask_ratio: float = 0.15
    dropout: float = 0.0
    optimizer = "muon"
    learning_rate = 0.02
    weight_decay = 0.0
    batch_size = 24

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        name = type(self).__name__
        check_counts(
            name, embedding=self.embedding, n_layers=self.n_layers, num_heads=self.num_heads
        )
        check_heads(name, self.embedding, self.num_heads)
        if not 0 < self.mask_ratio < 1:
            raise ValueError(f"{name}: mask_ratio is {self.mask_ratio!r}, expected in (0, 1)")

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        T, V = sample_shape
        table = Embedding(V, self.embedding, dtype=self.dtype, name="embedding")
        ids = Input((T,), dtype="int32")
        h = self._body(table(ids))
        self.model_ = Model(ids, DenseTranspose(table, name="head")(h), name="masked_lm")
        self.encoder_ = Model(ids, GlobalAveragePooling1D()(h), name="encoder")
        self.model_.initialize(rng)
        make_small(table)
        mask = getattr(self, "tokenizer_", None)
        mask_id = V - 1 if mask is None else mask.special["<mask>"]
        loss = MaskedTokens(self.model_, T, self.mask_ratio, mask_id, V)
        self.learners_ = {"model": Learner(self.model_, loss, self._new_optimizer())}

    def _body(self, h: SymbolicTensor, lengths: SymbolicTensor | None = None) -> SymbolicTensor:
        """From embedded tokens (T, E) to what they are with all others in view, (T, E)."""
        for k in range(1, self.n_layers + 1):
            h = TransformerBlock(
                self.num_heads,
                activation="relu_squared",
                rotary=True,
                qk_norm=True,
                dropout=self.dropout,
                norm="rms",
                use_bias=False,
                name=f"block_{k}",
            )(h, lengths=lengths)
        return RMSNormalization(name="norm")(h)

    def pooled(self, x: SymbolicTensor, lengths: SymbolicTensor) -> SymbolicTensor:
        """The mean over the tokens of a text; attention does not see the padding."""
        return GlobalAveragePooling1D()([self._body(x, lengths), lengths])

    def read(self, ids: np.ndarray) -> None:
        loss: Any = self.learners_["model"].objective
        loss.ids = ids

    def nats(self, ids: np.ndarray, n_windows: int = 512) -> float:
        """Mean nats of a hidden token, in windows of this text: the same ones each time."""
        mine: Any = self.learners_["model"].objective
        held_out = MaskedTokens(mine.network, mine.T, *mine.hiding)
        held_out.ids = ids
        rng, losses = np.random.default_rng(0), []
        for _ in range(0, n_windows, 128):
            (loss,), _ = held_out.loss_of(*held_out.draw(128, rng))
            losses.append(float(loss))
        return float(np.mean(losses))
