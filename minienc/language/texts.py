"""Whole texts, each a sample: from a pretrained method of text to an encoder of texts.

    encoder = text_encoder(method, T=64)                  # a Model: (T,) to (M,)
    x = encode_texts(method.tokenizer_, texts, T=64)      # (N, T) integers
    codes = encoder.predict(x)                            # (N, M)

A method learns from windows, all of one length; texts are short and long. So the encoder is made
anew with the method's layers and weights, and with lengths: a text's code is the mean of the hidden
states over its tokens, and what is padded behind it never counts.

A padded text is one array: token w is the number w + 1, and 0 stands behind the end. So its length
goes with it through batches, files and devices, and ``Lengths`` sees it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minienc.arrays import to_numpy
from minienc.data.text import pad_sequences
from minienc.data.tokenizers import Tokenizer, UnknownTokenError
from minienc.layers import Embedding, Input, Lengths
from minienc.layers.embedding import PositionEmbedding
from minienc.models import Model

if TYPE_CHECKING:
    from minienc.language.base import TextPretrainer


def text_encoder(method: TextPretrainer, T: int) -> Model:
    """The encoder of texts of at most T tokens, with a copy of the method's weights.

    Parameters
    ----------
    method : a fitted method of text
    T : int
        With learned positions at most the method's ``context``.

    Raises
    ------
    TypeError
        For a method that makes no one vector of a text.
    ValueError
        For more tokens than it has positions.
    """
    method.check_fitted()
    weights = {name: to_numpy(p.value) for name, p in method.model_.named_parameters()}
    V, E = weights["embedding/W"].shape
    anew = type(method)(**method.get_params())  # for layers of its own
    ids = Input((T,), dtype="int32")
    lengths = Lengths()(ids)
    table = Embedding(1 + V, E, dtype=str(weights["embedding/W"].dtype), name="embedding")
    encoder = Model(ids, anew.pooled(table(ids), lengths), name="encoder")
    W = weights["embedding/W"]
    weights["embedding/W"] = np.concatenate([np.zeros_like(W[:1]), W])  # row 0 is never counted
    for layer in encoder.layers:
        if isinstance(layer, PositionEmbedding):
            (own,) = [f"{layer.name}/{p.name}" for p in layer.parameters_used()]
            weights[own] = _first(weights[own], T, method)
    used = [name for name, _ in encoder.named_parameters()]
    encoder._set_named({name: weights[name] for name in used}, "text_encoder")
    return encoder


def _first(W: np.ndarray, T: int, method: TextPretrainer) -> np.ndarray:
    if len(W) < T:
        raise ValueError(
            f"text_encoder: T is {T}, and {type(method).__name__} has learned vectors for "
            f"{len(W)} positions, expected at most those"
        )
    return W[:T]


def tokens_of(tokenizer: Tokenizer, text: str) -> np.ndarray:
    """The ids of a text; signs that the vocabulary lacks are left out."""
    try:
        return tokenizer.encode(text)
    except UnknownTokenError:
        known = "".join(sign for sign in text if _knows(tokenizer, sign))
        return tokenizer.encode(known)


def _knows(tokenizer: Tokenizer, sign: str) -> bool:
    try:
        tokenizer.encode(sign)
    except UnknownTokenError:
        return False
    return True


def encode_texts(tokenizer: Tokenizer, texts: Sequence[str], T: int) -> np.ndarray:
    """(N, T) integers: the first T tokens of each text, each plus 1, and 0 behind the end.

    Raises
    ------
    ValueError
        For a text in which there is nothing that the vocabulary knows; it is named.
    """
    return pad_sequences([row[:T] + 1 for row in _rows_of(tokenizer, texts)], T=T)[0]


def _rows_of(tokenizer: Tokenizer, texts: Sequence[str]) -> list[np.ndarray]:
    """The ids of each text."""
    rows = [tokens_of(tokenizer, text) for text in texts]
    for i, (row, text) in enumerate(zip(rows, texts, strict=True)):
        if not len(row) or not text.strip():
            why = "is empty" if not text.strip() else "has no sign that the vocabulary knows"
            raise ValueError(f"text {i} {why}, so nothing can be said of it: {text[:40]!r}")
    return rows


def codes_of_texts(method: TextPretrainer, texts: Sequence[str]) -> np.ndarray:
    """(N, K) a code of each text, of all of it: the mean of its windows' codes, by their tokens.

    Parameters
    ----------
    method : a fitted method of text
        A window is of its ``context``, as it has learned from; the last of a text may be shorter.
    texts : sequence of N str
    """
    T, encoder = method.context, text_encoder(method, method.context)
    windows, owners = [], []
    for i, row in enumerate(_rows_of(method.tokenizer_, texts)):
        parts = [row[start : start + T] + 1 for start in range(0, len(row), T)]
        windows += parts
        owners += [i] * len(parts)
    x, lengths = pad_sequences(windows, T=T)
    codes = encoder.predict(x, batch_size=256)
    sums, n = np.zeros((len(texts), codes.shape[1])), np.bincount(owners, lengths)
    np.add.at(sums, owners, lengths[:, None] * codes)
    return (sums / n[:, None]).astype(codes.dtype)
