"""The sequence autoencoder: read a window, keep one vector of it, write the window again.

    z = encoder(noise(w_1 ... w_T)),     p(w_t | z, w_1 ... w_(t-1)) by a decoder that begins at z

Both are recurrent; the encoder reads from both ends. In training the decoder is shown the true
token before each one that it is to write (teacher forcing). Noise that hides, leaves out and moves
tokens keeps the code from being a copy letter by letter.

Sources: Sutskever, Vinyals and Le 2014, "Sequence to sequence learning with neural networks"; Dai
and Le 2015, "Semi-supervised sequence learning" (to itself); Hill, Cho and Korhonen 2016, "Learning
distributed representations of sentences from unlabelled data", section 2.1 (the noise).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from minienc.arrays import Array, to_device_of, to_numpy
from minienc.data.plain import DataLike
from minienc.data.text import random_windows
from minienc.language.base import TextPretrainer
from minienc.language.objective import TokenCrossEntropy
from minienc.layers import GRU, Bidirectional, Dense, Embedding, Input
from minienc.layers.symbolic import SymbolicTensor
from minienc.models import Model
from minienc.pretraining.base import check_counts
from minienc.shapes import is_whole
from minienc.training.step import Learner


def disturb(
    ids: np.ndarray,
    rng: np.random.Generator,
    masked: float,
    dropped: float,
    moved: int,
    mask: int,
    lengths: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(ids (N, T), lengths (N,)): tokens are hidden, left out, and moved by up to so many places.

    What is left of a window stands at its beginning; one token at least is left. Of windows that
    are padded, ``lengths`` (N,) from 1 says how many tokens are theirs.
    """
    N, T = ids.shape
    places = np.arange(T) + rng.uniform(0, moved + 1e-9, (N, T))
    left_out = rng.random((N, T)) < dropped
    if lengths is not None:
        left_out |= np.arange(T) >= lengths[:, None]
    left_out[:, 0] &= ~left_out.all(axis=1)
    order = np.where(left_out, np.inf, places).argsort(axis=1, kind="stable")
    hidden = np.where(rng.random((N, T)) < masked, mask, ids)
    lengths = T - left_out.sum(axis=1)
    return np.take_along_axis(hidden, order, axis=1).astype(np.int32), lengths.astype(np.int32)


class Rewriting(TokenCrossEntropy):
    """Nats of a token of the window: a mean over its tokens."""

    def __init__(self, network: Model, T: int, noise: tuple, start: int) -> None:
        super().__init__(network, T)
        self.noise = noise
        self.start = start

    def draw(self, n: int, rng: np.random.Generator) -> tuple[tuple[Array, ...], np.ndarray]:
        whole = random_windows(self.ids, n, self.T, rng)
        return (*disturb(whole, rng, *self.noise), self.shifted(whole)), whole

    def shifted(self, ids: np.ndarray) -> np.ndarray:
        """(N, T) what stands before each token: "<start>" before the first."""
        first = np.full((len(ids), 1), self.start, dtype=np.int32)
        return np.concatenate([first, ids[:, :-1]], axis=1)


class SequenceAutoencoder(TextPretrainer):
    """Write a window again from one vector.

    Parameters
    ----------
    embedding : int
        Features of a token's vector.
    units : int
        Of the encoder's two directions, each, and of the decoder.
    code : int
        K, numbers of a code.
    masked, dropped : float
        The part of a window's tokens that is hidden, and that is left out.
    moved : int
        How many places a token may move.
    **params
        As of ``TextPretrainer``; ``context`` is a window's length.

    Examples
    --------
    >>> text = "the cat sat on the mat. the dog sat on the log. " * 40
    >>> method = SequenceAutoencoder(
    ...     embedding=8, units=16, code=4, context=16, epochs=1, random_state=0
    ... )
    >>> method = method.fit(text)
    >>> method.transform(text).shape[1]
    4
    """

    method = "seq_autoencoder"
    special: ClassVar = ("<mask>", "<start>")
    embedding: int = 64
    units: int = 256
    code: int = 128
    masked: float = 0.1
    dropped: float = 0.1
    moved: int = 3
    context = 32
    batch_size = 64
    epochs = 4
    weight_decay = 0.0

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        name = type(self).__name__
        check_counts(name, embedding=self.embedding, units=self.units, code=self.code)
        if not is_whole(self.moved, 0):
            raise ValueError(f"{name}: moved is {self.moved!r}, expected a whole number from 0")
        for what, value in (("masked", self.masked), ("dropped", self.dropped)):
            if not 0 <= value < 1:
                raise ValueError(f"{name}: {what} is {value!r}, expected a part, in [0, 1)")

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        T, V = sample_shape
        ids, lengths = Input((T,), dtype="int32"), Input((), dtype="int32")
        before = Input((T,), dtype="int32")
        self.table_ = Embedding(V, self.embedding, dtype=self.dtype, name="embedding")
        encode = Bidirectional(GRU(self.units, name="reader"))
        to_code = Dense(self.code, "tanh", name="code")
        self.to_state_ = Dense(self.units, "tanh", name="to_state")
        self.writer_ = GRU(self.units, return_sequences=True, name="writer")
        self.head_ = Dense(V, name="head")
        z = to_code(encode(self.table_(ids), lengths=lengths))
        written = self.writer_(self.table_(before), initial_state=self.to_state_(z))
        network = Model([ids, lengths, before], self.head_(written), name="seq_autoencoder")
        self.encoder_ = Model(ids, to_code(encode(self.table_(ids))), name="encoder")
        self.model_ = network
        network.initialize(rng)
        special = self.tokenizer_.special if hasattr(self, "tokenizer_") else {}
        noise = (self.masked, self.dropped, self.moved, special.get("<mask>", 0))
        loss = Rewriting(network, T, noise, special.get("<start>", 0))
        self.learners_ = {"model": Learner(network, loss, self._new_optimizer())}

    def pooled(self, x: SymbolicTensor, lengths: SymbolicTensor) -> SymbolicTensor:
        """The code; the recurrence ends where the text does."""
        encode = Bidirectional(GRU(self.units, name="reader"))
        return Dense(self.code, "tanh", name="code")(encode(x, lengths=lengths))

    def read(self, ids: np.ndarray) -> None:
        loss: Any = self.learners_["model"].objective
        loss.ids = ids

    @property
    def restores(self) -> bool:
        return True

    def inverse_transform(self, Z: DataLike) -> list[str]:  # type: ignore[override]
        """The windows that the decoder writes of codes (N, K), the likeliest token each time."""
        self.check_fitted()
        start = self.tokenizer_.special["<start>"]
        like = self.model_.parameters.vector
        z = to_device_of(np.asarray(Z, self.dtype), like)
        ids, past, written = np.full((len(z), 1), start, np.int32), (self.to_state_(z),), []
        for _ in range(self.context):
            y, past = self.writer_.forward_from(self.table_(to_device_of(ids, like)), past)
            ids = to_numpy(self.head_(y)).argmax(axis=-1).astype(np.int32)
            written.append(ids)
        return [self.tokenizer_.decode(row) for row in np.concatenate(written, axis=1)]

    def nats(self, ids: np.ndarray, n_windows: int = 512) -> float:
        """Mean nats of a token, of windows of this text without noise; the same ones each time."""
        loss: Any = self.learners_["model"].objective
        whole = random_windows(ids, n_windows, self.context, np.random.default_rng(0))
        lengths = np.full(len(whole), self.context, dtype=np.int32)
        return float(loss.loss_of((whole, lengths, loss.shifted(whole)), whole)[0][0])
