"""The protocol of methods that learn from text: that of ``minienc.pretraining``, of a ``str``.

    method = RNNLanguageModel(epochs=2, random_state=0).fit(text)
    method.tokenizer_                     # what the text was cut by
    Z = method.transform(text)            # codes (N, K), one for each window
    Z = method.transform(texts)           # of a list of texts, one for each
    method.score(text)                    # greater is better

A text is a ``str``; to be learned from, several are one, a line end between each two. Tokens become
ids, ids become windows of ``context`` of them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from minienc.arrays import on_device, to_numpy
from minienc.data.text import count_ids
from minienc.data.text_files import TextFiles
from minienc.data.tokenizers import (
    BytePairTokenizer,
    CharacterTokenizer,
    Tokenizer,
    WordTokenizer,
)
from minienc.files import ensure_writable_folder
from minienc.language.texts import codes_of_texts
from minienc.layers import Embedding
from minienc.layers.symbolic import SymbolicTensor
from minienc.pretraining.base import _Run, check_counts
from minienc.pretraining.stepped import Samples, SteppedPretrainer
from minienc.shapes import kind_of
from minienc.training.callbacks import Callback, as_callbacks
from minienc.training.loop import Trainer
from minienc.training.optimizers import Optimizer
from minienc.training.schedules import CosineDecay

Texts = str | TextFiles | Iterable[str]  # one, files, or several: a list, a frame's column

TOKENIZERS: dict[str, Callable[[str | Iterable[str], int, Sequence[str]], Tokenizer]] = {
    "characters": lambda text, size, special: CharacterTokenizer.train(text, special),
    "words": lambda text, size, special: WordTokenizer.train(text, size, special),
    "byte pairs": lambda text, size, special: BytePairTokenizer.train(text, size, special),
}


class TextPretrainer(SteppedPretrainer):
    """What the methods of text share; a subclass gives ``method``, ``build`` and ``read``.

    Parameters
    ----------
    tokens : {"characters", "words", "byte pairs"}
        What the text is cut into.
    vocab_size : int
        Of words and byte pairs; all characters of the text are in the vocabulary.
    context : int
        T, tokens of a window.
    warmup : int
        Steps in which the learning rate rises from 0; after them it falls to a hundredth, as half a
        cosine.
    weight_decay : float
        Of the optimisers that have one.
    global_clipnorm : float
        Of the gradient as a whole.
    steps_per_epoch : int or None
        None is as many as read the text once.
    **params
        As of ``Pretrainer``: optimizer, learning_rate, epochs, batch_size (windows), dtype, device,
        random_state, verbose.

    Attributes
    ----------
    tokenizer_ : Tokenizer
    frequent_ : array (V,)
        The ids, the most frequent first.
    """

    special: ClassVar[tuple[str, ...]] = ()  # tokens that stand for something else than text
    takes_rows: ClassVar[bool] = False
    takes_texts: ClassVar[bool] = True
    reads_sides: ClassVar[bool] = False  # whether a ``TextOfSides`` is more to it than a text
    standardized: ClassVar[bool] = True  # whether a classifier brings its codes to one scale first
    choices: ClassVar = {"tokens": tuple(TOKENIZERS)}
    tokens: str = "characters"
    vocab_size: int = 1000
    context: int = 64
    warmup: int = 100
    weight_decay: float = 0.1
    global_clipnorm: float = 1.0
    steps_per_epoch: int | None = None
    optimizer = "adamw"
    learning_rate = 3e-3
    epochs = 2
    batch_size = 12
    tokenizer_: Tokenizer
    frequent_: np.ndarray
    n_steps_: int = 1  # of the whole training

    # -- the protocol

    def fit(  # type: ignore[override]
        self,
        text: Texts,
        y: object = None,
        *,
        tokenizer: Tokenizer | None = None,
        validation_data: Texts | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint_dir: str | Path | None = None,
        resume: bool = False,
    ) -> Self:
        """Learn from a text.

        Parameters
        ----------
        text : str, a list of them, or TextFiles
            Files that are larger than memory are read in parts (``data.open_texts``); their tokens
            lie in a file of ``checkpoint_dir``, or a temporary one.
        y : ignored
            There for scikit-learn's pipelines.
        tokenizer : Tokenizer, optional
            Made from the text unless it is given.
        validation_data : str, list of str or TextFiles, optional
            A text whose loss is logged after each epoch as "val_loss".
        callbacks, checkpoint_dir, resume
            As of ``Pretrainer.fit``.

        Raises
        ------
        ValueError, TypeError
            For an empty text or one that is shorter than a window, and for tokens of the
            validation text that the vocabulary lacks.
        """
        text = one_text(text)
        self.check_params((self.context, 0))
        seed = self.random_state
        self.random_state_ = secrets.randbits(63) if seed is None else int(seed)
        self.tokenizer_ = self.new_tokenizer(text) if tokenizer is None else tokenizer
        folder = None if checkpoint_dir is None else ensure_writable_folder(Path(checkpoint_dir))
        ids = self._ids(text, "text", folder)
        held_out = None
        if validation_data is not None:
            held_out = self._ids(one_text(validation_data, "validation_data"), "validation")
        self._run = _Run(held_out, as_callbacks(callbacks), checkpoint_dir, resume)
        try:
            self._fit(ids)
        finally:
            del self._run
        return self

    def new_tokenizer(self, text: str | Iterable[str]) -> Tokenizer:
        """What cuts this text as the parameters say."""
        return TOKENIZERS[self.tokens](text, self.vocab_size, self.special)

    def _fit(self, ids: np.ndarray) -> None:  # type: ignore[override]
        n_windows = max(len(ids) // self.context, 1)
        steps = self.steps_per_epoch or -(-n_windows // self.batch_size)
        self.n_steps_ = steps * self.epochs
        counts = count_ids(ids, len(self.tokenizer_))
        self.frequent_ = np.argsort(-counts, kind="stable")
        rng = np.random.default_rng(self.random_state_)
        self.build((self.context, len(self.tokenizer_)), rng)
        for model in (self.model_, *[learner.network for learner in self.learners_.values()]):
            model.to(self.device or "cpu")
        with on_device(self.model_.device):
            self.read(ids)
        numbers = np.arange(steps * self.batch_size)  # steps are counted, the text is drawn from
        self.history_ = self._run_steps(numbers, "checkpoint", self.epochs)

    def _data(self, X: Any) -> Samples:
        return Samples(X, int)

    def _ids(self, text: str | TextFiles, name: str, folder: Path | None = None) -> np.ndarray:
        if isinstance(text, TextFiles):
            ids = text.ids(self.tokenizer_, folder)
        else:
            ids = self.tokenizer_.encode(text)
        if len(ids) <= self.context:
            raise ValueError(
                f"the {name} has {len(ids)} tokens, expected more than a window's {self.context}: "
                f"a longer text, or a smaller context"
            )
        return ids

    # -- what a method gives

    def pooled(self, x: SymbolicTensor, lengths: SymbolicTensor) -> SymbolicTensor:
        """One vector of a text: behind its embedded tokens (T, E), of which so many count, with
        new layers of the names that those of ``build`` have. ``texts.py`` gives them weights."""
        raise TypeError(
            f"{type(self).__name__} makes no one vector of a text, expected a language model, a "
            f"masked one, a sequence autoencoder or word vectors"
        )

    def read(self, ids: np.ndarray) -> None:
        """Take the ids that are learned from; ``learners_`` are there."""
        raise NotImplementedError

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        name = type(self).__name__
        check_counts(name, context=self.context, vocab_size=self.vocab_size)
        if self.steps_per_epoch is not None:
            check_counts(name, steps_per_epoch=self.steps_per_epoch)

    def _new_optimizer(self) -> Optimizer:
        optimizer = super()._new_optimizer()
        if not callable(self.learning_rate):
            warmup = min(self.warmup, self.n_steps_ // 2)
            decay = max(self.n_steps_ - warmup, 1)
            optimizer.learning_rate = CosineDecay(0.0, decay, 0.01, self.learning_rate, warmup)
        optimizer.global_clipnorm = self.global_clipnorm
        if hasattr(optimizer, "weight_decay"):
            optimizer.weight_decay = self.weight_decay
        return optimizer

    # -- codes

    def windows(self, text: str | TextFiles) -> np.ndarray:
        """(N, T) ids: windows that do not overlap; what is left behind the last is left out."""
        if not isinstance(text, (str, TextFiles)):
            raise TypeError(f"text is {kind_of(text)}, expected a str, or open_texts(PATH)")
        ids = self._ids(text, "text")
        N = len(ids) // self.context
        return ids[: N * self.context].reshape(N, self.context)

    def transform(self, text: Texts) -> np.ndarray:  # type: ignore[override]
        """Return codes (N, K).

        Parameters
        ----------
        text : str, a list of them, or TextFiles
            Of one text, or of files, there is a code for each window; of N texts one for each,
            however short or long: the mean of its windows' codes, each counting by its tokens.
            Signs that the vocabulary lacks are left out of those.

        Raises
        ------
        RuntimeError
            Before ``fit``.
        ValueError, TypeError
            For a text that is shorter than a window, for one of a list in which the vocabulary
            knows nothing, for what is no text; and for a list, where the method makes no one
            vector of a text.
        """
        self.check_fitted()
        if isinstance(text, (str, TextFiles)):
            return self.encoder_.predict(self.windows(text), batch_size=256)
        return codes_of_texts(self, several_texts(text))

    def fit_transform(self, text: Texts, y: object = None, **fit_params: Any) -> np.ndarray:  # type: ignore[override]
        return self.fit(text, **fit_params).transform(text)

    def vectors(self) -> np.ndarray:
        """(V, E) the vector of each token."""
        self.check_fitted()
        return to_numpy(self.model_.get_layer("embedding").W.value)  # type: ignore[attr-defined]

    # -- how well?

    def nats(self, ids: np.ndarray) -> float:
        """The mean loss of a text's ids, in nats of what the method asks about."""
        raise NotImplementedError

    def _validate(self, trainer: Trainer) -> dict[str, float]:
        return {"loss": self.nats(self._run.validation)}

    def score(self, text: Texts, y: object = None) -> float:  # type: ignore[override]
        """Minus the loss of a text, or of several as one: greater is better."""
        self.check_fitted()
        return -self.nats(self._ids(one_text(text), "text"))


def check_texts(texts: object, name: str = "texts") -> list[str]:
    """``texts`` as a list of str.

    Raises
    ------
    TypeError, ValueError
        For one str, for what is no text, and for none.
    """
    if isinstance(texts, (str, bytes)) or not hasattr(texts, "__iter__"):
        raise TypeError(f"{name} is one {type(texts).__name__}, expected a list of texts")
    found = list(texts)
    for i, text in enumerate(found):
        if not isinstance(text, str):
            raise TypeError(f"{name}: text {i} is {kind_of(text)}, expected a str")
    if not found:
        raise ValueError(f"{name}: there is none")
    return found


def one_text(text: Texts, name: str = "text") -> str | TextFiles:
    """A text, or files, as it is; several one behind the other, a line end between each two."""
    return text if isinstance(text, (str, TextFiles)) else "\n".join(several_texts(text, name))


def several_texts(texts: object, name: str = "text") -> list[str]:
    """``texts`` as a list, where one str would have served as well."""
    if isinstance(texts, bytes) or not hasattr(texts, "__iter__"):
        raise TypeError(
            f"{name} is {kind_of(texts)}, expected a str, a list of them, or open_texts(PATH)"
        )
    return check_texts(texts, name)


def make_small(table: Embedding, deviation: float = 0.02) -> None:
    """Vectors of small numbers, where they are the logits' weights, too: so all tokens begin as
    likely. As GPT-2 has them, of a standard deviation of 0.02."""
    W = table.W
    W.value = deviation / max(float(abs(W.value).std()), 1e-9) * W.value


def check_heads(name: str, embedding: int, num_heads: int) -> None:
    """Refuse features that heads cannot share, or that make no pairs in each (rotary positions)."""
    check_counts(name, embedding=embedding, num_heads=num_heads)
    if embedding % (2 * num_heads):
        raise ValueError(
            f"{name}: embedding is {embedding}, expected a multiple of twice num_heads, "
            f"{2 * num_heads}"
        )
