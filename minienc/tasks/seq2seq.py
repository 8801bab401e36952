"""From pairs of texts to one that writes the second where it reads the first.

    model = Translator(source="en", target="fr", random_state=0).fit(english, french)
    model.predict(["a man rides a horse"])
    model.score(english_2, french_2)

Both sides are cut by one vocabulary of byte pairs, so nothing is unknown, and a name that both have
is the same tokens. A tag stands first on each side, "<en>" in front of what is read and "<fr>" in
front of what is written: as in ``denoising_seq2seq``, whose networks these are, so that what was
learned there without pairs is gone on with (``start``).

Sources: ``language/seq2seq.py`` for the networks; Sennrich, Haddow and Birch 2016, "Neural machine
translation of rare words with subword units" (one vocabulary); Szegedy et al. 2016 (smoothed
labels); See, Liu and Manning 2017 (copying, for summaries).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minienc.arrays import on_device, to_numpy
from minienc.data.batching import token_batches
from minienc.data.text import pad_sequences
from minienc.data.tokenizers import BytePairTokenizer, Tokenizer
from minienc.language.denoising_seq2seq import END, MASK, tag
from minienc.language.seq2seq import NETWORKS, WIDTH, Shape, Writing, build, check_shape, shifted
from minienc.models import Model
from minienc.pretraining.base import _Run, check_counts
from minienc.pretraining.stepped import Samples, SteppedPretrainer
from minienc.tasks.decoding import Rule, beam_search, check_rule, greedy
from minienc.tasks.scores import check_aligned, chrf, rouge
from minienc.tasks.start import Start, take_over
from minienc.training.callbacks import Callback, EarlyStopping, as_callbacks
from minienc.training.loop import Trainer
from minienc.training.optimizers import Optimizer
from minienc.training.ranks import cut_here, share_rows
from minienc.training.schedules import CosineDecay
from minienc.training.step import Learner

LOOKS = 5000  # at held-out pairs, over all epochs: from 50 to 200 of them after each


class PairLoss(Writing):
    """The loss of pairs, by their numbers."""

    def __init__(self, network: Model, copying: bool, smoothing: float, first: int) -> None:
        super().__init__(network, copying, smoothing)
        self.first = first
        self.sources: list[np.ndarray] = []
        self.targets: list[np.ndarray] = []

    def draw(self, batch: tuple, rng: np.random.Generator | None) -> Any:
        (rows,) = batch
        x, lengths = pad_sequences([self.sources[i] for i in rows])
        y, n_written = pad_sequences([self.targets[i] for i in rows])
        return cut_here((x, lengths, *shifted(y, n_written, self.first)))


class _Where(Callback):
    """Knows the run's epoch."""

    belongs_to_run = False


class PairsModel(SteppedPretrainer):
    """What both tasks share.

    Parameters
    ----------
    source, target : str
        What the sides are called; they become tags.
    network : {"gru", "gru_no_attention", "transformer"}
    width : int or None
        Features of a vector; None is 256 for GRUs, 128 for the transformer.
    n_layers, num_heads : int
        Of the transformer.
    dropout : float
    copying : bool
        Whether words may be copied from what is read.
    vocab_size : int
        Byte pairs, for both sides.
    label_smoothing : float
    batch_tokens : int
        Most target tokens of a batch, padding counted.
    most_source, most_target : int
        Tokens of a text that are read, and written; the rest is cut off.
    warmup : int
        Steps in which the learning rate rises from 0; after them it falls to 0, as half a cosine.
    weight_decay, global_clipnorm : float
    keep_best : bool
        Whether the weights of the epoch of the least "val_loss" are the result, not the last ones.
    optimizer, learning_rate, epochs, dtype, device, random_state, verbose
        As of ``Pretrainer``.

    Attributes
    ----------
    tokenizer_ : Tokenizer
    parts_ : Seq2Seq
        The network, and its parts.
    taken_over_ : list of str
        The parameters that began as those of a pretrained run.
    """

    task: ClassVar[str]
    score_name: ClassVar[str]  # of ``score``
    rule: ClassVar[Rule]  # how long texts become; the tokens are the vocabulary's
    choices: ClassVar = {"network": NETWORKS}
    without: ClassVar = ("batch_size",)
    source: str = "source"
    target: str = "target"
    network: str = "gru"
    width: int | None = None
    n_layers: int = 3
    num_heads: int = 4
    dropout: float = 0.2
    copying: bool = False
    vocab_size: int = 2000
    label_smoothing: float = 0.1
    batch_tokens: int = 2500
    most_source: int = 200
    most_target: int = 200
    warmup: int = 100
    weight_decay: float = 0.01
    global_clipnorm: float = 1.0
    keep_best: bool = False
    optimizer = "adamw"
    learning_rate = 2e-3
    epochs = 12
    batch_size = 1  # of batches
    tokenizer_: Tokenizer
    n_steps_: int = 1
    taken_over_: Sequence[str] = ()

    # -- learning

    def fit(  # type: ignore[override]
        self,
        X: Sequence[str],
        y: Sequence[str],
        *,
        validation_data: tuple[Sequence[str], Sequence[str]] | None = None,
        tokenizer: Tokenizer | None = None,
        start: Start | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint_dir: str | Path | None = None,
        resume: bool = False,
    ) -> Any:
        """Learn from pairs.

        Parameters
        ----------
        X, y : lists of str
            Sources and targets.
        validation_data : (list of str, list of str), optional
            Pairs whose loss, and whose score written greedily, are logged after each epoch: of the
            first 200 (of many epochs fewer, down to 50), which must do along the way.
        tokenizer : Tokenizer, optional
            Made from the texts, or taken from ``start``, unless it is given.
        start : Start, optional
            A pretrained run to begin with: ``tasks.start.read_start``.
        callbacks, checkpoint_dir, resume
            As of ``Pretrainer.fit``.

        Raises
        ------
        ValueError, TypeError
            For lists that are not pairs, and settings out of range.
        """
        check_aligned(type(self).__name__, X, y)
        self.check_params(())
        seed = self.random_state
        self.random_state_ = secrets.randbits(63) if seed is None else int(seed)
        given = tokenizer or (None if start is None else start.tokenizer_with(self._special()))
        self.tokenizer_ = self.new_tokenizer([*X, *y]) if given is None else given
        held_out = None if validation_data is None else tuple(map(list, validation_data))
        self._run = _Run(held_out, as_callbacks(callbacks), checkpoint_dir, resume)
        self._where = _Where()
        self._run.callbacks = [*self._run.callbacks, self._where]
        if self.keep_best and held_out is not None:
            best = EarlyStopping(patience=self.epochs, restore_best_weights=True)
            self._run.callbacks = [*self._run.callbacks, best]
        try:
            self._fit_pairs(list(X), list(y), start)
        finally:
            del self._run
        return self

    def _special(self) -> list[str]:
        return [MASK, END, tag(self.source), tag(self.target)]

    def new_tokenizer(self, texts: Sequence[str]) -> Tokenizer:
        """Byte pairs of both sides, and the tags."""
        return BytePairTokenizer.train("\n".join(texts), self.vocab_size, self._special())

    def _fit_pairs(self, X: list[str], y: list[str], start: Start | None) -> None:
        sources, targets = self._encoded(X), self._targets(y)
        self._lengths = np.array([len(s) for s in sources]), np.array([len(t) for t in targets])
        n_batches = len(token_batches(*self._lengths, self.batch_tokens))
        self.n_steps_ = n_batches * self.epochs
        self.build((len(self.tokenizer_),), np.random.default_rng(self.random_state_))
        if start is not None:
            self.taken_over_ = take_over(self.parts_, start, type(self).__name__)
        self.model_.to(self.device or "cpu")
        loss: Any = self.learners_["model"].objective
        loss.sources, loss.targets = sources, targets
        self._partition: tuple[int, list[np.ndarray]] = (-1, [])
        with on_device(self.model_.device):
            self.history_ = self._run_steps(np.arange(n_batches), "checkpoint", self.epochs)

    def _encoded(self, texts: Sequence[str]) -> list[np.ndarray]:
        """What is read: the tag, and the tokens."""
        first = np.array([self.tokenizer_.special[tag(self.source)]], np.int32)
        cut = self.most_source
        return [np.concatenate([first, self.tokenizer_.encode(t)[:cut]]) for t in texts]

    def _targets(self, texts: Sequence[str]) -> list[np.ndarray]:
        """What is written: the tokens, and the end."""
        end, cut = np.array([self.tokenizer_.special[END]], np.int32), self.most_target
        return [np.concatenate([self.tokenizer_.encode(t)[:cut], end]) for t in texts]

    def shape(self, V: int) -> Shape:
        """What the network is made of."""
        width = self.width or WIDTH.get(self.network, 1)
        sizes = (width, self.n_layers, self.num_heads)
        return Shape(V, self.network, *sizes, self.dropout, self.copying, self.dtype)

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        name = type(self).__name__
        check_shape(name, self.shape(1))
        check_counts(name, vocab_size=self.vocab_size, batch_tokens=self.batch_tokens)
        check_counts(name, most_source=self.most_source, most_target=self.most_target)
        if not 0 <= self.label_smoothing < 1:
            came = f"label_smoothing is {self.label_smoothing!r}"
            raise ValueError(f"{name}: {came}, expected in [0, 1)")
        if self.source == self.target:
            raise ValueError(f"{name}: source and target are both {self.source!r}")

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        (V,) = sample_shape
        self.parts_ = build(self.shape(V), rng)
        self.model_, self.encoder_ = self.parts_.whole, self.parts_.code
        first = self.tokenizer_.special[tag(self.target)]
        loss = PairLoss(self.model_, self.copying, self.label_smoothing, first)
        self.learners_ = {"model": Learner(self.model_, loss, self._new_optimizer())}

    def _new_optimizer(self) -> Optimizer:
        optimizer = super()._new_optimizer()
        if not callable(self.learning_rate):
            warmup = min(self.warmup, self.n_steps_ // 4)
            decay = max(self.n_steps_ - warmup, 1)
            optimizer.learning_rate = CosineDecay(0.0, decay, 0.0, self.learning_rate, warmup)
        optimizer.global_clipnorm = self.global_clipnorm
        if hasattr(optimizer, "weight_decay"):
            optimizer.weight_decay = self.weight_decay
        return optimizer

    def _data(self, X: Any) -> Samples:
        return Samples(X, int)

    def _step(self, batch: tuple, rng: np.random.Generator) -> dict[str, Any]:
        """Learn from the batches of these numbers, in this epoch's cut of the pairs: drawn from the
        seed and the epoch, so a run that goes on has the same."""
        epoch = self._where.trainer.epoch
        if self._partition[0] != epoch:
            own = np.random.default_rng([self.random_state_, epoch, 3])
            self._partition = (epoch, token_batches(*self._lengths, self.batch_tokens, own))
        rows = np.concatenate([self._partition[1][i] for i in to_numpy(batch[0])])
        share_rows(len(rows))  # not the numbers of batches
        return self.learners_["model"].step((rows,), rng)

    def _validate(self, trainer: Trainer) -> dict[str, float]:
        n = min(200, max(50, LOOKS // self.epochs))
        sources, targets = (texts[:n] for texts in self._run.validation)
        value = self._score(self.predict(sources, beam=1), targets)
        return {"loss": self.nats(sources, targets), self.score_name: value}

    # -- what it is for

    def nats(self, X: Sequence[str], y: Sequence[str]) -> float:
        """Mean nats of a token of the targets, nothing smoothed or dropped."""
        self.check_fitted()
        mine: Any = self.learners_["model"].objective
        loss = PairLoss(mine.network, mine.copying, 0.0, mine.first)
        loss.sources, loss.targets = self._encoded(X), self._targets(y)
        lengths = np.array([len(t) for t in loss.targets])
        total = 0.0
        for rows in token_batches(lengths, lengths, 2 * self.batch_tokens):
            (value,), _ = loss.loss_of(*loss.draw((rows,), None))
            total += float(value) * int(lengths[rows].sum())
        return total / int(lengths.sum())

    def predict(
        self,
        X: Sequence[str],
        beam: int = 5,
        alpha: float = 1.0,
        no_repeat: int = 0,
        batch_size: int = 64,
    ) -> list[str]:
        """Write the target of each source.

        Parameters
        ----------
        X : list of str
        beam : int
            Beginnings that are kept side by side; 1 is greedy.
        alpha : float
            How much of a text's length its score is divided by.
        no_repeat : int
            No n-gram of so many tokens comes twice; 0 lets it.
        batch_size : int

        Returns
        -------
        written : list of str
        """
        self.check_fitted()
        if isinstance(X, str):
            raise TypeError("predict: X is one str, expected a list of texts")
        special = self.tokenizer_.special
        never = [i for name, i in special.items() if name != END]
        rule = check_rule(
            self.rule._replace(
                first=special[tag(self.target)],
                end=special[END],
                never=never,
                beam=beam,
                alpha=alpha,
                no_repeat=no_repeat,
            )
        )
        sources, search = self._encoded(X), greedy if beam == 1 else beam_search
        order = np.argsort([len(s) for s in sources], kind="stable")
        written: list[str] = [""] * len(sources)
        with on_device(self.model_.device):
            for k in range(0, len(order), batch_size):
                rows = order[k : k + batch_size]
                x, lengths = pad_sequences([sources[i] for i in rows])
                for i, found in zip(rows, search(self.parts_, x, lengths, rule), strict=True):
                    written[i] = self.tokenizer_.decode(found.ids).strip()
        return written

    def score(self, X: Sequence[str], y: Sequence[str], **how: Any) -> float:  # type: ignore[override]
        """How near to y is what is written of X: ``score_name``, in [0, 100]. ``how`` goes to
        ``predict``."""
        check_aligned("score", X, y)
        return self._score(self.predict(X, **how), y)

    def _score(self, predictions: Sequence[str], references: Sequence[str]) -> float:
        raise NotImplementedError


class Translator(PairsModel):
    """Write in another language.

    Parameters
    ----------
    **params
        As of ``PairsModel``.
    """

    task = "translate"
    score_name = "chrf"
    rule = Rule(0, 0, per_token=1.5, more=10)

    def _score(self, predictions: Sequence[str], references: Sequence[str]) -> float:
        return chrf(predictions, references)


class Summarizer(PairsModel):
    """Write in few words; words of the text may be copied.

    Parameters
    ----------
    **params
        As of ``PairsModel``.
    """

    task = "summarize"
    score_name = "rougeL"
    rule = Rule(0, 0, per_token=0, more=40)
    source = "text"
    target = "summary"
    copying = True
    vocab_size = 3000
    batch_tokens = 1000
    most_source = 100
    most_target = 40

    def _score(self, predictions: Sequence[str], references: Sequence[str]) -> float:
        return rouge(predictions, references)["rougeL"]


TASKS: dict[str, type[PairsModel]] = {cls.task: cls for cls in (Translator, Summarizer)}
