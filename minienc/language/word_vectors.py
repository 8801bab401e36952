"""Word vectors: words that stand among the same words get vectors that point the same way.

A word shall tell which words stand near it. Its vector v is multiplied with the other vector u of a
word that did stand there, and of some that were drawn (``functions/negative_sampling.py``); words
that keep the same company are pushed the same way.

Source: Mikolov et al. 2013, as there: negatives are drawn by their frequency to the power 3/4
(section 2.2), and frequent words are skipped (eq. 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from minienc.arrays import to_device_of
from minienc.functions.negative_sampling import (
    negative_sampling_backward,
    negative_sampling_forward,
)
from minienc.language.base import TextPretrainer
from minienc.layers import Embedding, GlobalAveragePooling1D, Input
from minienc.layers.parameters import Gradients
from minienc.layers.symbolic import SymbolicTensor
from minienc.models import Model
from minienc.pretraining.base import check_counts
from minienc.training.joint_draws import drawn_for
from minienc.training.step import Cache, Learner, Objective, Scalar


class SkipGram(Objective):
    """The loss of negative sampling, of pairs of words that stand near each other in ``ids``."""

    def __init__(self, network: Model, window: int, negatives: int, sample: float) -> None:
        self.network, self.window, self.negatives, self.sample = network, window, negatives, sample
        self.ids = np.zeros(0, dtype=np.int32)

    def read(self, ids: np.ndarray, n_tokens: int) -> None:
        counts = np.bincount(ids, minlength=n_tokens)
        self.ids, p = ids, counts**0.75
        self.bounds = np.cumsum(p / p.sum())
        share = counts / len(ids)
        self.keep = np.minimum(1, np.sqrt(self.sample / np.maximum(share, 1e-12)))

    def pairs(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(words in the middle (n,), a neighbour and the drawn ones (n, 1 + K)). Near ones are
        drawn more often, as if the window had a random width."""
        at = rng.integers(0, len(self.ids), 4 * n)
        kept = at[rng.random(4 * n) < self.keep[self.ids[at]]]
        at = np.concatenate([kept, at])[:n]
        near = np.repeat(np.arange(1, self.window + 1), np.arange(self.window, 0, -1))
        beside = at + rng.choice(near, n) * rng.choice([-1, 1], n)
        beside = np.where((beside < 0) | (beside >= len(self.ids)), 2 * at - beside, beside)
        beside = np.clip(beside, 0, len(self.ids) - 1)  # of a text that is shorter than the window
        drawn = np.searchsorted(self.bounds, rng.random((n, self.negatives)))
        drawn = np.minimum(drawn, len(self.bounds) - 1)
        return self.ids[at], np.column_stack([self.ids[beside], drawn]).astype(np.int32)

    def forward(self, batch: tuple, rng: np.random.Generator) -> tuple[tuple[Scalar, ...], Cache]:
        (numbers,) = batch
        like = self.network.parameters.vector
        drawn = drawn_for(self.pairs, len(numbers), rng)
        words, others = (to_device_of(ids, like) for ids in drawn)
        (v, u), cache = self.network.forward((words, others))  # (1)
        loss, loss_cache = negative_sampling_forward(v, u)  # (2)
        return (loss,), (cache, loss_cache)

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        cache, loss_cache = cache
        dv, du = negative_sampling_backward(dloss, loss_cache)  # (2)
        self.network.backward((dv, du), cache, grads, need_dx=False)  # (1)


class WordVectors(TextPretrainer):
    """Skip-grams with negative sampling.

    Parameters
    ----------
    embedding : int
        Features of a vector.
    window : int
        How far a neighbour may be.
    negatives : int
        K, words that are drawn beside each neighbour.
    sample : float
        Words that make up more than this part of the text are skipped now and then.
    **params
        As of ``TextPretrainer``. A batch is so many pairs; ``context`` is for codes alone, each the
        mean of a window's vectors.

    Examples
    --------
    >>> text = "the cat sat on the mat. the dog sat on the log. " * 40
    >>> method = WordVectors(
    ...     embedding=8, vocab_size=20, steps_per_epoch=20, epochs=1, random_state=0
    ... )
    >>> method = method.fit(text)
    >>> method.vectors().shape[1]
    8
    """

    method = "word_vectors"
    embedding: int = 100
    window: int = 5
    negatives: int = 5
    sample: float = 1e-3
    tokens = "words"
    vocab_size = 5000
    optimizer = "adam"
    learning_rate = 5e-3
    weight_decay = 0.0
    batch_size = 512
    context = 16
    epochs = 10
    steps_per_epoch = 500
    choices: ClassVar = TextPretrainer.choices
    standardized = (
        False  # means of vectors differ enough; made large, those of random ones are noise
    )

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        check_counts(
            type(self).__name__,
            embedding=self.embedding,
            window=self.window,
            negatives=self.negatives,
        )
        if not 0 < self.sample <= 1:
            raise ValueError(f"WordVectors: sample is {self.sample!r}, expected in (0, 1]")

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        T, V = sample_shape
        table = Embedding(V, self.embedding, dtype=self.dtype, name="embedding")
        beside = Embedding(V, self.embedding, dtype=self.dtype, name="embedding_beside")
        word = Input((), dtype="int32")
        others = Input((1 + self.negatives,), dtype="int32")
        network = Model([word, others], [table(word), beside(others)])
        ids = Input((T,), dtype="int32")
        self.model_ = Model(ids, table(ids), name="word_vectors")
        self.encoder_ = Model(ids, GlobalAveragePooling1D()(table(ids)), name="encoder")
        network.initialize(rng)
        beside.W.value = 0 * beside.W.value  # so that all begin as likely
        loss = SkipGram(network, self.window, self.negatives, self.sample)
        self.learners_ = {"model": Learner(network, loss, self._new_optimizer())}

    def pooled(self, x: SymbolicTensor, lengths: SymbolicTensor) -> SymbolicTensor:
        """The mean of the words' vectors."""
        return GlobalAveragePooling1D()([x, lengths])

    def read(self, ids: np.ndarray) -> None:
        loss: Any = self.learners_["model"].objective
        loss.read(ids, len(self.tokenizer_))

    def nats(self, ids: np.ndarray, n: int = 20_000) -> float:
        """The loss of n pairs of another text, the same ones each time."""
        mine: Any = self.learners_["model"].objective
        held_out = SkipGram(mine.network, self.window, self.negatives, self.sample)
        held_out.read(ids, len(self.tokenizer_))
        (loss,), _ = held_out.forward((np.arange(n),), np.random.default_rng(0))
        return float(loss)

    def nearest(self, word: str, n: int = 5) -> list[str]:
        """The words whose vectors have the smallest angle to this one's."""
        self.check_fitted()
        (i,) = self.tokenizer_.encode(word)
        W = self.vectors()
        W = W / np.maximum(np.linalg.norm(W, axis=1, keepdims=True), 1e-12)
        order = np.argsort(-(W @ W[i]), kind="stable")
        return [self.tokenizer_.decode([j]) for j in order if j != i][:n]
