"""Tokenizers: text becomes integers, and integers become text.

    tokenizer = CharacterTokenizer.train(text)     # or WordTokenizer, BytePairTokenizer
    ids = tokenizer.encode("First Citizen")        # (T,) int32
    tokenizer.decode(ids)                          # "First Citizen"

Each has ``vocabulary``, the tokens in the order of their ids. ``save`` writes JSON, which
``load_tokenizer`` reads: a vocabulary, and nothing that could be executed. Special tokens, such as
"<|end|>", are ids of their own; they are never made of text that happens to look like one, unless
``encode(text, special=True)`` asks for it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minienc.data.bpe import PIECES, encode_word, parts_of, to_bytes, train_merges
from minienc.data.raw import check_file
from minienc.files import write_text
from minienc.shapes import is_whole, kind_of

FORMAT = "minienc tokenizer"
MOST_BYTES = 1 << 26  # of all tokens: each merge may double, and thirty of them are a gigabyte
WORDS = re.compile(r"\w+|[^\w\s]")


class UnknownTokenError(ValueError):
    """The vocabulary lacks a character or a word; the message names it and its place."""


class Tokenizer:
    """What all have in common.

    Attributes
    ----------
    vocabulary : list of str, or of bytes
    special : dict of str to int
        The special tokens' ids, behind those of the vocabulary.
    """

    kind: ClassVar[str]
    between: ClassVar[str] = ""  # what stands between tokens in a text

    def __init__(self, vocabulary: Sequence[Any], special: Iterable[str] = ()) -> None:
        self.vocabulary = list(vocabulary)
        if len(set(self.vocabulary)) < len(self.vocabulary):
            twice = next(t for t, n in Counter(self.vocabulary).items() if n > 1)
            raise ValueError(f"{type(self).__name__}: {twice!r} stands twice in the vocabulary")
        self._ids = {token: i for i, token in enumerate(self.vocabulary)}
        names = list(special)
        if "" in names or len(set(names)) < len(names):
            wrong = "is empty" if "" in names else "stands there twice"
            raise ValueError(f"{type(self).__name__}: a special token {wrong}")
        self.special = {t: len(self.vocabulary) + i for i, t in enumerate(names)}

    def __len__(self) -> int:
        """V, special tokens among them."""
        return len(self.vocabulary) + len(self.special)

    def encode(self, text: str, special: bool = False) -> np.ndarray:
        """The ids of a text.

        Parameters
        ----------
        text : str
        special : bool
            Whether what looks like a special token is one.

        Returns
        -------
        ids : array (T,) of int32

        Raises
        ------
        UnknownTokenError
            For what the vocabulary lacks.
        """
        if not isinstance(text, str):
            raise TypeError(f"encode: text is {kind_of(text)}, expected a str")
        found: list[int] = []
        for part, at in self._cut(text) if special and self.special else [(text, 0)]:
            if special and part in self.special:
                found.append(self.special[part])
            else:
                found += self._encode(part, at)
        return np.array(found, dtype=np.int32)

    def _cut(self, text: str) -> list[tuple[str, int]]:
        """The text between special tokens, and they, each with the place where it begins."""
        longest_first = sorted(self.special, key=len, reverse=True)
        parts = re.split(f"({'|'.join(map(re.escape, longest_first))})", text)
        places = np.cumsum([0, *map(len, parts)])
        return [(p, int(at)) for p, at in zip(parts, places, strict=False) if p]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids.

        Raises
        ------
        ValueError
            For an id that is none of the vocabulary's.
        """
        names = {i: token for token, i in self.special.items()}
        parts: list[str] = []
        run: list[Any] = []
        for i in map(int, ids):
            if not 0 <= i < len(self):
                raise ValueError(f"decode: id {i} is not among 0 to {len(self) - 1}")
            if i in names:
                parts += [self._joined(run), names[i]]
                run = []
            else:
                run.append(self.vocabulary[i])
        return self.between.join(filter(None, [*parts, self._joined(run)]))

    def _encode(self, text: str, at: int) -> list[int]:
        """The ids of a part of a text, which begins at character ``at``."""
        raise NotImplementedError

    def _joined(self, tokens: list[Any]) -> str:
        return self.between.join(tokens)

    # -- files

    def to_dict(self) -> dict[str, Any]:
        """JSON values, from which ``tokenizer_from_dict`` makes it again."""
        return {
            "format": FORMAT,
            "kind": self.kind,
            "vocabulary": self.vocabulary,
            "special": list(self.special),
        }

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        write_text(path, json.dumps(self.to_dict()))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} tokens>"


class CharacterTokenizer(Tokenizer):
    """Each character is a token.

    Parameters
    ----------
    vocabulary : sequence of str, each of one character
    special : names of special tokens
    """

    kind = "characters"

    @classmethod
    def train(cls, text: str | Iterable[str], special: Iterable[str] = ()) -> CharacterTokenizer:
        """All characters of the text, or of its parts, in the order of their code points."""
        return cls(sorted(set().union(*map(set, parts_of(text)))), special)

    def _encode(self, text: str, at: int) -> list[int]:
        try:
            return [self._ids[c] for c in text]
        except KeyError:
            i = next(i for i, c in enumerate(text) if c not in self._ids)
            raise UnknownTokenError(
                f"character {text[i]!r} at place {at + i} is not among the {len(self.vocabulary)} "
                f"of the vocabulary: {''.join(self.vocabulary)!r}"
            ) from None


class WordTokenizer(Tokenizer):
    """Each word, and each sign, is a token; space between them is not kept.

    Parameters
    ----------
    vocabulary : sequence of str
    special : names of special tokens
    lowercase : bool
    unknown : str or None
        The token for a word that the vocabulary lacks; None refuses it.
    """

    kind = "words"
    between = " "

    def __init__(
        self,
        vocabulary: Sequence[str],
        special: Iterable[str] = (),
        lowercase: bool = False,
        unknown: str | None = "<unk>",
    ) -> None:
        names = [s for s in special if s != unknown]
        super().__init__(vocabulary, names if unknown is None else [*names, unknown])
        self.lowercase, self.unknown = lowercase, unknown

    @classmethod
    def train(
        cls,
        text: str | Iterable[str],
        vocab_size: int = 10_000,
        special: Iterable[str] = (),
        lowercase: bool = False,
        unknown: str | None = "<unk>",
    ) -> WordTokenizer:
        """The most frequent words, those of equal frequency in the order of the alphabet."""
        words: Counter[str] = Counter()
        for part in parts_of(text):
            words.update(WORDS.findall(part.lower() if lowercase else part))
        n = vocab_size - len(list(special)) - (unknown is not None)
        chosen = sorted(words, key=lambda w: (-words[w], w))[:n]
        return cls(chosen, special, lowercase, unknown)

    def _encode(self, text: str, at: int) -> list[int]:
        found = []
        for match in WORDS.finditer(text.lower() if self.lowercase else text):
            i = self._ids.get(match[0], self.special.get(self.unknown or ""))
            if i is None:
                raise UnknownTokenError(
                    f"word {match[0]!r} at place {at + match.start()} is not among the "
                    f"{len(self.vocabulary)} of the vocabulary"
                )
            found.append(i)
        return found

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "lowercase": self.lowercase, "unknown": self.unknown}


class BytePairTokenizer(Tokenizer):
    """Bytes, and pairs of them that stand together often: ``bpe.py``.

    Parameters
    ----------
    merges : sequence of pairs of ids
        Merge k makes token 256 + k of two earlier ones.
    special : names of special tokens
    """

    kind = "byte pairs"

    def __init__(self, merges: Sequence[tuple[int, int]], special: Iterable[str] = ()) -> None:
        tokens, n_bytes = [bytes([b]) for b in range(256)], 256
        for k, (a, b) in enumerate(merges):
            if not (0 <= a < len(tokens) and 0 <= b < len(tokens)):
                raise ValueError(f"BytePairTokenizer: merge {k} is {(a, b)}, of a later token")
            n_bytes += len(tokens[a]) + len(tokens[b])
            if n_bytes > MOST_BYTES:
                raise ValueError(f"BytePairTokenizer: up to merge {k} its tokens take too much")
            tokens.append(tokens[a] + tokens[b])
        self.merges = [(int(a), int(b)) for a, b in merges]
        self._ranks = {pair: k for k, pair in enumerate(self.merges)}
        self._of_word: dict[str, list[int]] = {}  # words that were met: most are met again
        super().__init__(range(len(tokens)), special)  # two ways to the same bytes are two tokens
        self.vocabulary = tokens

    @classmethod
    def train(
        cls, text: str | Iterable[str], vocab_size: int = 1000, special: Iterable[str] = ()
    ) -> BytePairTokenizer:
        """Merge what stands together most often until there are ``vocab_size`` tokens."""
        n = vocab_size - 256 - len(list(special))
        if not is_whole(vocab_size) or n < 0:
            raise ValueError(
                f"BytePairTokenizer: vocab_size is {vocab_size!r}, expected a whole number from "
                f"{256 + len(list(special))}: every byte is a token"
            )
        return cls(train_merges(text, n), special)

    def _encode(self, text: str, at: int) -> list[int]:
        found: list[int] = []
        of_word = self._of_word
        for word in PIECES.findall(text):
            ids = of_word.get(word)
            if ids is None:
                ids = encode_word(to_bytes(word), self._ranks)
                if len(of_word) < 200_000:
                    of_word[word] = ids
            found += ids
        return found

    def _joined(self, tokens: list[bytes]) -> str:
        whole = b"".join(tokens)
        try:
            return whole.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:  # a part of a character: its other bytes are not here
            return whole.decode("utf-8", "replace")

    def to_dict(self) -> dict[str, Any]:
        plain = super().to_dict()
        del plain["vocabulary"]
        return {**plain, "merges": [list(pair) for pair in self.merges]}


KINDS: dict[str, type[Tokenizer]] = {
    cls.kind: cls for cls in (CharacterTokenizer, WordTokenizer, BytePairTokenizer)
}


def load_tokenizer(path: str | Path) -> Tokenizer:
    """Read what ``Tokenizer.save`` wrote.

    Raises
    ------
    OSError
        If there is no such file, or a pipe or device in its place.
    ValueError
        If the file is damaged or is no tokenizer.
    """
    path = check_file(path, "load_tokenizer")
    try:
        plain = json.loads(path.read_bytes().decode("utf-8"))
    except RecursionError:
        raise ValueError(f"{path}: it is no tokenizer: its JSON is nested too deep") from None
    except ValueError as error:
        raise ValueError(f"{path}: it is no tokenizer: {error}") from error
    return tokenizer_from_dict(plain, str(path))


def tokenizer_from_dict(plain: object, source: str) -> Tokenizer:
    """The tokenizer of these JSON values; ``source`` is where they were read, for messages."""
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise ValueError(f"{source}: it holds something else than a tokenizer")
    kind = plain.get("kind")
    cls = KINDS.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ValueError(f"{source}: a tokenizer of {kind!r}, expected {list(KINDS)}")
    options = {k: v for k, v in plain.items() if k not in ("format", "kind")}
    try:
        _check(options)
        return cls(**options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source}: the tokenizer is damaged: {error}") from error


def _check(options: dict[str, Any]) -> None:
    for name in ("vocabulary", "special"):
        values = options.get(name, [])
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise ValueError(f"{name} is no list of strings")
    if not isinstance(options.get("unknown"), str | None):
        raise ValueError(f"unknown is {options['unknown']!r}, expected a string or null")
    if not isinstance(options.get("lowercase", False), bool):
        raise ValueError(f"lowercase is {options['lowercase']!r}, expected true or false")
    merges = options.get("merges", [])
    if not isinstance(merges, list):
        raise ValueError("merges is no list of pairs")
    for pair in merges:
        if not (isinstance(pair, list) and len(pair) == 2 and all(map(is_whole, pair))):
            raise ValueError(f"merge {pair!r} is no pair of ids")
