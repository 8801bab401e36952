"""A classifier of texts: a pretrained method's encoder, a softmax layer, a few labels.

    clf = TextClassifier(method, epochs=10, random_state=0).fit(texts, labels)
    clf.predict(["a library for ..."])
    clf.predict_proba(texts)             # (N, K), in the order of clf.classes_
    clf.score(other_texts, other_labels)

``text_label_curve`` asks whether pretraining was worth anything: beside the classifier stand the
same network from random weights, a linear one on the codes of the encoder as it is, and three that
need no network: a linear one on how often each token stands in a text, and naive Bayes of
characters' and of words' n-grams.

Sources: Dai and Le 2015, "Semi-supervised sequence learning"; Howard and Ruder 2018, "Universal
language model fine-tuning for text classification".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import to_numpy
from minienc.data.plain import DataLike
from minienc.data.tokenizers import Tokenizer, load_tokenizer
from minienc.finetuning.classifier import finetune
from minienc.finetuning.curve import (
    PRETRAINED,
    PROBE,
    RANDOM,
    FewLabelCurve,
    accuracy,
    draw_labelled,
    epochs_of,
    fine_tuned,
    progress_line,
)
from minienc.finetuning.probes import linear_probe
from minienc.finetuning.targets import Task, find_tasks
from minienc.language.base import TextPretrainer, check_texts
from minienc.language.naive_bayes import NaiveBayes
from minienc.language.texts import encode_texts, text_encoder, tokens_of
from minienc.layers.embedding import PositionEmbedding
from minienc.models import Model, load_model
from minienc.shapes import is_whole, kind_of

COUNTS = "counts of tokens, linear"
CHARACTERS = "naive Bayes, characters' n-grams"
WORDS = "naive Bayes, words' n-grams"
MOST = 128  # tokens of a text that are read where nothing is said
MODEL, TOKENIZER = "classifier.npz", "tokenizer.json"


class TextEncoder(NamedTuple):
    """How texts become numbers, and those a code."""

    tokenizer: Tokenizer
    model: Model  # (T,) to (M,)
    standardize: bool = True  # whether a classifier brings codes to one scale first

    @property
    def length(self) -> int:
        """T: the first so many tokens of a text are read."""
        return self.model.inputs[0].sample_shape[0]

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(N, T) integers, as ``language.texts.encode_texts``."""
        return encode_texts(self.tokenizer, texts, self.length)


def encoder_for(
    method: TextPretrainer, texts: Sequence[str], length: int | None = None
) -> TextEncoder:
    """A fitted method's encoder for such texts: of ``length`` tokens, or of as many as the longest
    has, at most 128 and, with learned positions, the method's ``context``."""
    if not isinstance(method, TextPretrainer):
        raise TypeError(f"method is {kind_of(method)}, expected a fitted method of text")
    method.check_fitted()
    if length is None:
        n = max((len(tokens_of(method.tokenizer_, text)) for text in texts), default=1)
        length = max(1, min(n, MOST))
        if any(isinstance(layer, PositionEmbedding) for layer in method.model_.layers):
            length = min(length, method.context)
    if not is_whole(length, 1):
        raise ValueError(f"length is {length!r}, expected a whole number of tokens from 1")
    return TextEncoder(method.tokenizer_, text_encoder(method, length), method.standardized)


class TextClassifier:
    """Say of a text which class it is of.

    Parameters
    ----------
    method : a fitted method of text
        A language model, a masked one, a sequence autoencoder, word vectors. Its encoder is copied;
        its tokenizer goes with the classifier.
    length : int, optional
        Tokens of a text that are read; the rest is cut off.
    **how
        As of ``finetune``: mode, epochs, batch_size, learning_rate, random_state, ...; codes are
        standardised as the method's ``standardized`` says, unless it is said otherwise.

    Attributes
    ----------
    classes_ : tuple of str or int
    model_ : Model
        From ids to probabilities.
    encoder_ : TextEncoder
        The one that was begun with.

    Examples
    --------
    >>> from minienc.language import WordVectors
    >>> text = "the cat sat on the mat. the dog sat on the log. " * 40
    >>> method = WordVectors(embedding=8, vocab_size=20, steps_per_epoch=9, epochs=1)
    >>> classifier = TextClassifier(method.fit(text), epochs=5, random_state=0)
    >>> classifier = classifier.fit(["the cat", "the dog"] * 10, ["cat", "dog"] * 10)
    >>> classifier.predict_proba(["a cat"]).shape
    (1, 2)
    """

    classes_: tuple[str | int, ...]
    model_: Model
    encoder_: TextEncoder

    def __init__(
        self, method: TextPretrainer | None = None, *, length: int | None = None, **how: Any
    ) -> None:
        self.method, self.length = method, length
        self.how: dict[str, Any] = how

    def fit(self, texts: Sequence[str], y: DataLike) -> TextClassifier:
        """Learn from texts and their labels, words or whole numbers.

        Raises
        ------
        ValueError, TypeError
            For lists of different lengths, labels of one class, and what is no text.
        """
        texts = check_texts(texts)
        (task,), (labels,) = find_tasks({"class": y}, len(texts))
        if self.method is None:
            raise TypeError("TextClassifier: method is None, expected a fitted method of text")
        self.encoder_ = encoder_for(self.method, texts, self.length)
        ids = self.encoder_.encode(texts)
        how = {"standardize": self.encoder_.standardize, **self.how}
        self._take(finetune(self.encoder_.model, ids, labels, **how), task)
        return self

    def _take(self, model: Model, task: Task) -> None:
        assert task.classes is not None
        self.model_, self.classes_ = model, task.classes
        self.model_.class_names = tuple(map(str, task.classes))

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """(N, K) the probability of each class."""
        if not hasattr(self, "model_"):
            raise RuntimeError("TextClassifier is not fitted yet: call fit(texts, y) first")
        ids = self.encoder_.encode(check_texts(texts))
        return to_numpy(self.model_.predict(ids))

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """(N,) the likeliest class of each text."""
        p = self.predict_proba(texts)
        return np.array(self.classes_)[p.argmax(axis=1)]

    def score(self, texts: Sequence[str], y: DataLike) -> float:
        """The fraction of texts that are classified correctly."""
        said = self.predict_proba(texts).argmax(axis=1)
        labels = Task("class", self.classes_).encode(y, len(said))
        return float((said == labels).mean())

    # -- files

    def save(self, folder: str | Path) -> None:
        """Write classifier.npz and tokenizer.json into a folder that is there. Classes are words in
        a file: 3 comes back as "3"."""
        self.model_.save(Path(folder) / MODEL)
        self.encoder_.tokenizer.save(Path(folder) / TOKENIZER)

    @classmethod
    def load(cls, folder: str | Path) -> TextClassifier:
        """Read what ``save`` wrote.

        Raises
        ------
        OSError, ValueError
            If a file is not there or damaged, or the two do not belong together.
        """
        folder = Path(folder)
        model, tokenizer = load_model(folder / MODEL), load_tokenizer(folder / TOKENIZER)
        found, names = cls(), model.class_names
        shapes = [t.sample_shape for t in (*model.inputs, *model.outputs)]
        table = next((p for n, p in model.named_parameters() if n.endswith("embedding/W")), None)
        if len(shapes) != 2 or table is None or names is None or shapes[1] != (len(names),):
            raise ValueError(f"{folder / MODEL} is no classifier of texts")
        if table.shape[0] != 1 + len(tokenizer):
            raise ValueError(
                f"{folder}: {TOKENIZER} has {len(tokenizer)} tokens, {MODEL} knows "
                f"{table.shape[0] - 1}: they do not belong together"
            )
        found.model_, found.classes_ = model, names
        found.encoder_ = TextEncoder(tokenizer, model)
        return found


# ------------------------------------------------------------------------------- did it help?


def counts_of_tokens(encoder: TextEncoder, texts: Sequence[str]) -> np.ndarray:
    """(N, V) log(1 + how often each token stands in a text); all of its tokens count."""
    V = len(encoder.tokenizer)
    rows = [np.bincount(tokens_of(encoder.tokenizer, text), minlength=V) for text in texts]
    return np.log1p(np.array(rows)).astype(np.float32)


def text_label_curve(
    encoder: TextEncoder,
    texts: Sequence[str],
    y: DataLike,
    test_texts: Sequence[str],
    test_y: DataLike,
    *,
    labels: Sequence[int] = (50, 200, 1000),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 200,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    mode: str = "full",
    layer_decay: float = 1.0,
    progress: Callable[[str], None] | None = None,
    **how: object,
) -> FewLabelCurve:
    """Fine-tune on a few labelled texts, and do the same without pretraining, and without a
    network.

    Parameters
    ----------
    encoder : TextEncoder
        Of ``encoder_for``; it is copied, not changed.
    texts, y : to draw the few from; labels are 0 to K - 1
    test_texts, test_y
    labels, seeds, steps, batch_size, learning_rate, mode, progress
        As of ``few_label_curve``.
    layer_decay, **how
        As of ``finetune``: the decay for the pretrained network alone, the others for both.

    Returns
    -------
    FewLabelCurve
    """
    truth, test_truth = np.asarray(y), np.asarray(test_y)
    K = int(max(truth.max(), test_truth.max())) + 1
    for n in labels:
        if not K <= n <= len(texts):
            raise ValueError(
                f"labels has {n}, expected at least one for each of {K} classes and at most "
                f"{len(texts)}, the number of texts"
            )
    test_ids, test_counts = encoder.encode(test_texts), counts_of_tokens(encoder, test_texts)
    how = {"standardize": encoder.standardize, **how, "batch_size": batch_size}
    how |= {"learning_rate": learning_rate, "n_classes": K}
    budget: dict[str, Any] = {**how, "mode": mode, "layer_decay": layer_decay}
    names = (PRETRAINED, RANDOM, PROBE, COUNTS, CHARACTERS, WORDS)
    arms = {name: np.zeros((len(labels), len(seeds))) for name in names}
    for i, n in enumerate(labels):
        for j, seed in enumerate(seeds):
            chosen = draw_labelled(truth, n, np.random.default_rng([seed, n]))
            few, few_y = [texts[k] for k in chosen], truth[chosen]
            ids, epochs = encoder.encode(few), epochs_of(steps, batch_size, n)
            for name, model in fine_tuned(encoder.model, ids, few_y, seed, epochs=epochs, **budget):
                arms[name][i, j] = accuracy(model, test_ids, test_truth)
            arms[PROBE][i, j] = linear_probe(encoder.model, ids, few_y, test_ids, test_truth)
            counts = counts_of_tokens(encoder, few)
            arms[COUNTS][i, j] = linear_probe(None, counts, few_y, test_counts, test_truth)
            for name, of, longest in ((CHARACTERS, "characters", 4), (WORDS, "words", 2)):
                counted = NaiveBayes(of, longest).fit(few, few_y, K)
                arms[name][i, j] = counted.score(test_texts, test_truth)
            if progress is not None:
                progress(progress_line(n, seed, {name: a[i, j] for name, a in arms.items()}))
    return FewLabelCurve(tuple(labels), arms, tuple(seeds))
