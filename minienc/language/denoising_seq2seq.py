"""The denoising sequence-to-sequence: read a disturbed sentence, write it as it was.

    loss = - mean of log p(y_t | y_1 ... y_(t-1), noise(y))

Encoder and decoder are those that translate and summarise (``seq2seq.py``); here they learn without
a single pair what sentences of each language look like. A tag, "<en>", stands first in what is read
and in front of what is written: it says in which language; so the same network, asked to write
"<fr>" of what it read as "<en>", begins to learn to translate where this ends.

The noise hides tokens, leaves some out and moves them by a few places: enough of it that copying
does not restore the sentence.

Sources: Lewis et al. 2020, "BART: denoising sequence-to-sequence pre-training for natural language
generation, translation, and comprehension"; Liu et al. 2020, "Multilingual denoising pre-training
for neural machine translation" (tags); Lample et al. 2018, "Unsupervised machine translation using
monolingual corpora only", section 2.3 (the noise).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minienc.arrays import to_device_of, to_numpy
from minienc.data.batching import token_batches
from minienc.data.pairs import TextOfSides
from minienc.data.text import pad_sequences, random_windows
from minienc.data.text_files import TextFiles
from minienc.data.tokenizers import Tokenizer
from minienc.language.base import TOKENIZERS, TextPretrainer, Texts
from minienc.language.seq2seq import NETWORKS, WIDTH, Shape, Writing, build, check_shape, shifted
from minienc.language.seq_autoencoder import disturb
from minienc.models import Model
from minienc.shapes import is_whole
from minienc.training.step import Learner

MASK, END = "<mask>", "<end>"


def tag(side: str) -> str:
    """The token that says which side a text is of."""
    return f"<{side}>"


class Denoising(Writing):
    """Nats of a token of the sentence as it was.

    Attributes
    ----------
    ids : array (L,)
        A text without sides, of which windows are drawn.
    lines : list of arrays, batches : list of arrays of indices
        The sentences, each with its tag first; empty for a text without sides.
    """

    def __init__(self, network: Model, copying: bool, smoothing: float, noise: Any) -> None:
        super().__init__(network, copying, smoothing)
        self.noise = noise  # masked, dropped, moved
        self.T, self.first, self.mask, self.end = 1, 0, 0, 0
        self.ids = np.zeros(0, np.int32)
        self.lines: list[np.ndarray] = []
        self.batches: list[np.ndarray] = []

    def read(self, ids: np.ndarray, tags: Sequence[int], budget: int) -> None:
        """Take the ids of a text; where tags stand in them, they begin sentences."""
        starts = np.flatnonzero(np.isin(ids, tags))
        self.ids = ids
        self.lines = [line[: self.T + 1] for line in np.split(ids, starts)[1:] if len(line) > 1]
        lengths = np.array([len(line) for line in self.lines], int)
        self.batches = token_batches(lengths, lengths, budget) if self.lines else []

    def draw(self, batch: tuple, rng: np.random.Generator) -> Any:  # type: ignore[override]
        """As many windows as the batch has numbers; of sentences, one of the batches of them."""
        (numbers,) = batch
        if not self.lines:
            whole = random_windows(self.ids, len(numbers), self.T, rng)
            return self.disturbed(whole, np.full(len(whole), self.T), self.first, rng)
        rows = self.batches[int(rng.integers(len(self.batches)))]
        padded, lengths = pad_sequences([self.lines[i] for i in rows])
        return self.disturbed(padded[:, 1:], lengths - 1, padded[:, 0], rng)

    def disturbed(
        self, whole: np.ndarray, lengths: np.ndarray, first: Any, rng: np.random.Generator
    ) -> Any:
        """(x, lengths, before, labels): the tag, and behind it what the noise left; the tag, and
        the sentence with its end."""
        N, (masked, dropped, moved) = len(whole), self.noise
        noisy, left = disturb(whole, rng, masked, dropped, moved, self.mask, lengths)
        x = np.concatenate([np.zeros((N, 1), np.int32), noisy], axis=1)
        x[:, 0] = first
        target = np.concatenate([whole, np.zeros((N, 1), whole.dtype)], axis=1)
        target[np.arange(N), lengths] = self.end
        return x, left + 1, *shifted(target, lengths + 1, first)


class DenoisingSeq2Seq(TextPretrainer):
    """Write a sentence again of which something is hidden, left out and moved.

    Parameters
    ----------
    network : {"gru", "gru_no_attention", "transformer"}
    width : int or None
        Features of a vector; None is 256 for GRUs, 128 for the transformer.
    n_layers, num_heads : int
        Of the transformer: blocks of each side, and heads of an attention.
    dropout : float
    copying : bool
        Whether words may be copied from what is read.
    masked, dropped : float
        The part of a sentence's tokens that is hidden, and that is left out.
    moved : int
        How many places a token may move.
    label_smoothing : float
    **params
        As of ``TextPretrainer``; ``context`` is the most tokens of a sentence, and a batch has
        ``batch_size`` x ``context`` tokens.

    Examples
    --------
    >>> text = "the cat sat on the mat. the dog sat on the log. " * 40
    >>> method = DenoisingSeq2Seq(
    ...     width=8, vocab_size=270, context=16, epochs=1, random_state=0
    ... )
    >>> method = method.fit(text)
    >>> method.transform(text).shape[1]
    8
    """

    method = "denoising_seq2seq"
    reads_sides: ClassVar = True
    choices: ClassVar = {**TextPretrainer.choices, "network": NETWORKS}
    network: str = "gru"
    width: int | None = None
    n_layers: int = 3
    num_heads: int = 4
    dropout: float = 0.1
    copying: bool = False
    masked: float = 0.3
    dropped: float = 0.1
    moved: int = 3
    label_smoothing: float = 0.1
    tokens = "byte pairs"
    vocab_size = 2000
    batch_size = 40
    learning_rate = 2e-3
    weight_decay = 0.01
    epochs = 5

    def new_tokenizer(self, text: str | Iterable[str]) -> Tokenizer:
        """With a tag for each side that the text has; "<text>" where it has none."""
        sides = text.sides if isinstance(text, TextOfSides) else ["text"]
        special = (MASK, END, *map(tag, sides))
        return TOKENIZERS[self.tokens](text, self.vocab_size, special)

    def _ids(self, text: str | TextFiles, name: str, folder: Path | None = None) -> np.ndarray:
        """Of a text with sides, each line's behind its tag."""
        if not isinstance(text, TextOfSides):
            return super()._ids(text, name, folder)
        special, parts = self.tokenizer_.special, []
        for side, lines in text.sides.items():
            if tag(side) not in special:
                raise ValueError(f"the {name} has a side {side!r}, which the vocabulary lacks")
            first = np.array([special[tag(side)]], np.int32)
            for line in lines:
                parts += [first, self.tokenizer_.encode(line)]
        return np.concatenate(parts)

    def shape(self, V: int) -> Shape:
        """What the network is made of."""
        width = self.width or WIDTH.get(self.network, 1)
        sizes = (width, self.n_layers, self.num_heads)
        return Shape(V, self.network, *sizes, self.dropout, self.copying, self.dtype)

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        name = type(self).__name__
        check_shape(name, self.shape(1))
        if not is_whole(self.moved, 0):
            raise ValueError(f"{name}: moved is {self.moved!r}, expected a whole number from 0")
        for what in ("masked", "dropped", "label_smoothing"):
            if not 0 <= getattr(self, what) < 1:
                came = f"{what} is {getattr(self, what)!r}"
                raise ValueError(f"{name}: {came}, expected a part, in [0, 1)")

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        _, V = sample_shape
        self.parts_ = build(self.shape(V), rng)
        self.model_, self.encoder_ = self.parts_.whole, self.parts_.code
        loss = self._new_loss()
        self.learners_ = {"model": Learner(self.model_, loss, self._new_optimizer())}

    def _new_loss(self) -> Denoising:
        noise = (self.masked, self.dropped, self.moved)
        loss = Denoising(self.model_, self.copying, self.label_smoothing, noise)
        loss.T = self.context
        special = self.tokenizer_.special if hasattr(self, "tokenizer_") else {}
        loss.mask, loss.end = special.get(MASK, 0), special.get(END, 0)
        loss.first = special.get(tag("text"), 0)
        return loss

    def _tags(self) -> list[int]:
        return [i for name, i in self.tokenizer_.special.items() if name not in (MASK, END)]

    def read(self, ids: np.ndarray) -> None:
        loss: Any = self.learners_["model"].objective
        loss.read(ids, self._tags(), self.batch_size * self.context)

    def transform(self, text: Texts) -> np.ndarray:  # type: ignore[override]
        """The mean of what the encoder makes of each window of one text."""
        self.check_fitted()
        if not isinstance(text, (str, TextFiles)):
            return super().transform(text)
        windows, like, found = self.windows(text), self.model_.parameters.vector, []
        for k in range(0, len(windows), 256):
            x = windows[k : k + 256].astype(np.int32)
            full = np.full(len(x), self.context, np.int32)
            (z,), _ = self.encoder_.graph.forward([to_device_of(a, like) for a in (x, full)])
            found.append(to_numpy(z))
        return np.concatenate(found)

    def nats(self, ids: np.ndarray, n_batches: int = 12) -> float:
        """Mean nats of a token, of batches of this text, disturbed the same way each time."""
        loss = self._new_loss()
        loss.label_smoothing = 0.0
        loss.read(ids, self._tags(), self.batch_size * self.context)
        rng, numbers = np.random.default_rng(0), np.arange(self.batch_size)
        found = []
        for _ in range(n_batches):
            (value,), _ = loss.loss_of(*loss.draw((numbers,), rng))
            found.append(float(value))
        return float(np.mean(found))
