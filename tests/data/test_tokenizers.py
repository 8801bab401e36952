"""Tokenizers: what is decoded is what was encoded; against tiktoken and ``tokenizers``."""

from __future__ import annotations

import json
import os
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.data.bpe import ORDER, PIECES, VISIBLE, train_merges
from minienc.data.text import read_shakespeare
from minienc.data.tokenizers import (
    BytePairTokenizer,
    CharacterTokenizer,
    UnknownTokenError,
    WordTokenizer,
    load_tokenizer,
)

TEXT = (
    "The lowest of the low were lower than the widest; newer and wider, the newest won't lower "
    "the widest. It's 1999 or 2026, isn't it?  Über die Höhe – naïve café, 東京 🙂👍🏽.\n\n"
) * 4
BPE = BytePairTokenizer.train(TEXT, 300, special=["<|end|>", "<|end|>>"])


@given(st.text())
def test_bytes_there_and_back(text):
    assert BPE.decode(BPE.encode(text)) == text
    assert "".join(PIECES.findall(text)) == text


@given(st.text(st.characters(categories=["Cs", "L", "M", "Z", "S"])))
def test_halves_of_surrogate_pairs_come_back_too(text):
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") == text
    if whole or len(text) < 2:  # two halves side by side are one character elsewhere, too
        assert BPE.decode(BPE.encode(text)) == text


def test_what_is_learned_is_what_stands_together_most_often():
    """Against the slow way: count all pairs anew for each merge."""
    words = [list(word.encode()) for word in PIECES.findall(TEXT)]
    tokens = [bytes([b]) for b in range(256)]
    expected = []
    for _ in range(40):
        counts = {}
        for word in words:
            for pair in pairwise(word):
                counts[pair] = counts.get(pair, 0) + 1
        place = {b: i for i, b in enumerate(ORDER)}
        best = min(counts, key=lambda p: (-counts[p], *(place.get(i, i) for i in p)))
        expected.append(best)
        tokens.append(tokens[best[0]] + tokens[best[1]])
        for word in words:
            k = 0
            while k < len(word) - 1:
                if (word[k], word[k + 1]) == best:
                    word[k : k + 2] = [len(tokens) - 1]
                k += 1
    assert train_merges(TEXT, 40) == expected


@given(st.text())
def test_tiktoken_gives_the_same_ids(text):
    tiktoken = pytest.importorskip("tiktoken")
    ranks = {token: i for i, token in enumerate(BPE.vocabulary)}
    theirs = tiktoken.Encoding(
        "ours",
        pat_str=r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{Nd}+| ?[^\s\p{L}\p{Nd}]+|\s+(?!\S)|\s+",
        mergeable_ranks=ranks,
        special_tokens={},
    )
    if re.search(r"[^\W\d_]", text) and not all(
        c.isalpha() or c.isdecimal() or not re.match(r"\w", c) or c == "_" for c in text
    ):
        return  # a sign that Python's \w takes and \p{L} does not, such as a superscript
    assert BPE.encode(text).tolist() == theirs.encode_ordinary(text)


def test_tokenizers_learns_the_same_set_of_merges():
    tokenizers = pytest.importorskip("tokenizers")
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    split = tokenizers.pre_tokenizers.Split(
        tokenizers.Regex(
            r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{Nd}+| ?[^\s\p{L}\p{Nd}]+|\s+(?!\S)|\s+"
        ),
        "isolated",
    )
    bytewise = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([split, bytewise])
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=1000,
        show_progress=False,
        min_frequency=2,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    text = read_shakespeare()
    theirs.train_from_iterator([text], trainer)
    ours = BytePairTokenizer.train(text, 1000)
    letters = {chr(b): b for b in VISIBLE}
    letters |= {chr(256 + i): b for i, b in enumerate(ORDER[len(VISIBLE) :])}
    found = json.loads(theirs.to_str())["model"]["merges"]
    expected = [tuple(bytes(letters[c] for c in part) for part in pair) for pair in found]
    assert {(ours.vocabulary[a], ours.vocabulary[b]) for a, b in ours.merges} == set(expected)


def test_special_tokens_are_never_made_of_text():
    text = "a<|end|>b<|end|>>"
    plain, asked = BPE.encode(text), BPE.encode(text, special=True)
    assert not set(plain) & set(BPE.special.values())
    assert [i for i in asked if i >= len(BPE.vocabulary)] == [
        BPE.special["<|end|>"],
        BPE.special["<|end|>>"],
    ]
    assert BPE.decode(plain) == BPE.decode(asked) == text


def test_a_part_of_a_character_is_shown_as_one_that_is_missing():
    ids = BytePairTokenizer([]).encode("é")
    assert BytePairTokenizer([]).decode(ids[:1]) == "\ufffd"


def test_characters():
    tokenizer = CharacterTokenizer.train("hello", special=["<end>"])
    assert tokenizer.vocabulary == list("ehlo") and len(tokenizer) == 5
    ids = tokenizer.encode("hole")
    assert ids.dtype == np.int32 and tokenizer.decode(ids) == "hole"
    with pytest.raises(UnknownTokenError, match=r"character 'x' at place 2 is not among the 4"):
        tokenizer.encode("hex")
    with pytest.raises(UnknownTokenError, match="character 'x' at place 6"):
        tokenizer.encode("h<end>x", special=True)


def test_words():
    tokenizer = WordTokenizer.train("The cat. the dog. The end.", vocab_size=5, lowercase=True)
    assert tokenizer.vocabulary == [".", "the", "cat", "dog"] and len(tokenizer) == 5
    assert tokenizer.decode(tokenizer.encode("The DOG ate.")) == "the dog <unk> ."
    strict = WordTokenizer(["the"], unknown=None)
    with pytest.raises(UnknownTokenError, match="word 'dog' at place 4 is not among the 1"):
        strict.encode("the dog")


@pytest.mark.parametrize(
    "tokenizer",
    [
        CharacterTokenizer.train("héllo\ud800", special=["<a>"]),
        WordTokenizer.train("a b b", special=["<a>"], lowercase=True),
        WordTokenizer(["x"], unknown=None),
        BPE,
    ],
    ids=lambda t: type(t).__name__,
)
def test_what_is_saved_comes_back(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "t.json")
    loaded = load_tokenizer(tmp_path / "t.json")
    assert type(loaded) is type(tokenizer) and loaded.to_dict() == tokenizer.to_dict()
    assert loaded.vocabulary == tokenizer.vocabulary and loaded.special == tokenizer.special


GOOD = {"format": "minienc tokenizer", "kind": "byte pairs", "merges": [[97, 98]], "special": []}
WORDS = {"format": "minienc tokenizer", "kind": "words", "vocabulary": ["a"], "special": []}


@pytest.mark.parametrize(
    ("plain", "says"),
    [
        ({"kind": "characters"}, "something else than a tokenizer"),
        ([], "something else than a tokenizer"),
        ({**GOOD, "kind": "words of power"}, "a tokenizer of 'words of power', expected"),
        ({**GOOD, "merges": [[97, 300]]}, r"merge 0 is \(97, 300\), of a later token"),
        ({**GOOD, "merges": [[97]]}, r"merge \[97\] is no pair of ids"),
        ({**GOOD, "special": "end"}, "special is no list of strings"),
        ({**GOOD, "magic": 1}, "damaged"),
        ({**GOOD, "kind": "characters", "vocabulary": ["a", "a"]}, "damaged"),
        ({**GOOD, "kind": ["characters"]}, r"a tokenizer of \['characters'\], expected"),
        ({**GOOD, "merges": {"a": 1}}, "merges is no list of pairs"),
        ({**GOOD, "special": ["<a>", "<a>"]}, "a special token stands there twice"),
        ({**WORDS, "unknown": 5}, "unknown is 5, expected a string or null"),
        ({**WORDS, "lowercase": 1}, "lowercase is 1, expected true or false"),
        # each merge doubles the one before: the fortieth would be a terabyte
        ({**GOOD, "merges": [[max(97, 255 + k)] * 2 for k in range(40)]}, "its tokens take too"),
    ],
)
def test_what_is_damaged_is_told(plain, says, tmp_path):
    (tmp_path / "t.json").write_text(json.dumps(plain))
    with pytest.raises(ValueError, match=f"t.json: .*{says}"):
        load_tokenizer(tmp_path / "t.json")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"[" * 100_000, b""])
def test_what_is_no_json_is_told(content, tmp_path):
    (tmp_path / "t.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"t.json: it is no tokenizer"):
        load_tokenizer(tmp_path / "t.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_a_pipe_is_no_tokenizer(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe is a named pipe, expected a file"):
        load_tokenizer(tmp_path / "pipe")


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="vocab_size is 100, expected a whole number from 257"):
        BytePairTokenizer.train("a", 100, special=["x"])
    with pytest.raises(ValueError, match="'a' stands twice"):
        CharacterTokenizer("aba")
    with pytest.raises(TypeError, match="text is a bytes, expected a str"):
        BPE.encode(b"a")
    with pytest.raises(ValueError, match="id 999 is not among 0 to"):
        BPE.decode([999])
