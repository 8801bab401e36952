"""What a pretrained run gives to a task: its vocabulary, and the weights that fit.

Any run of a method of text will do whose tokens are byte pairs or characters. Its parameters are
taken over where the new network has one of the same name and shape: all of them from
``denoising_seq2seq`` of the same settings, the table and the encoder's GRUs from
``seq_autoencoder``, the table and blocks from ``masked_lm``. Tags that the vocabulary lacks are put
behind it; their vectors are new.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import to_numpy
from minienc.data.tokenizers import Tokenizer, WordTokenizer, tokenizer_from_dict
from minienc.language.seq2seq import Seq2Seq

GROWING = ("embedding/W", "head/b")  # a row for each token: those of new tokens are new
PARTS = ("all", "encoder", "vocabulary")


class Start(NamedTuple):
    """A pretrained run.

    Attributes
    ----------
    name : str
        For messages.
    weights : dict of arrays, by the parameters' names
    parts : {"all", "encoder", "vocabulary"}
        What is taken over: with "vocabulary" no weights, for a comparison with random ones.
    """

    name: str
    tokenizer: Tokenizer
    weights: dict[str, np.ndarray]
    parts: str = "all"

    def tokenizer_with(self, special: list[str]) -> Tokenizer:
        """Its tokenizer, with these special tokens behind its own where it lacks them."""
        if isinstance(self.tokenizer, WordTokenizer):
            raise ValueError(
                f"{self.name} has cut its text into words, from which no text can be written "
                f"again; pretrain with --tokens 'byte pairs'"
            )
        names = [*self.tokenizer.special]
        plain = self.tokenizer.to_dict()
        plain["special"] = [*names, *(name for name in special if name not in names)]
        return tokenizer_from_dict(plain, self.name)


def take_over(parts: Seq2Seq, start: Start, name: str) -> list[str]:
    """Give the network the weights of the run that fit; return their names.

    Raises
    ------
    ValueError
        If none fits but the table of vectors, or ``parts`` is unknown.
    """
    if start.parts not in PARTS:
        raise ValueError(f"{name}: parts is {start.parts!r}, expected one of {', '.join(PARTS)}")
    if start.parts == "vocabulary":
        return []
    network = parts.whole if start.parts == "all" else parts.encoder
    known, taken = dict(parts.whole.named_parameters()), []
    wanted = {id(p) for p in network.parameters_used()}
    for path, p in known.items():
        old: Any = start.weights.get(path)
        if id(p) not in wanted or old is None:
            continue
        if old.shape == p.shape:
            p.value = old.astype(p.value.dtype)
        elif path in GROWING and old.shape[1:] == p.shape[1:] and len(old) < p.shape[0]:
            grown = np.array(to_numpy(p.value))
            grown[: len(old)] = old
            p.value = grown
        else:
            continue
        taken.append(path)
    if not set(taken) - set(GROWING):
        theirs = ", ".join(f"{k} {v.shape}" for k, v in list(start.weights.items())[:4])
        mine = ", ".join(f"{k} {p.shape}" for k, p in list(known.items())[:4])
        raise ValueError(
            f"{name}: nothing of {start.name} fits this network: it has {theirs}, ..., expected "
            f"such as {mine}; give the network and the width that it was pretrained with"
        )
    return taken
