"""Texts in files: the tokens of the whole, however they are cut, and kept where they belong."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minienc.data import open_texts, text_files
from minienc.data.text import count_ids, read_text
from minienc.data.tokenizers import (
    BytePairTokenizer,
    CharacterTokenizer,
    UnknownTokenError,
    WordTokenizer,
)
from minienc.language import METHODS
from tests.language.test_methods import TEXT, make
from tests.test_files import largest_file

KINDS = [
    CharacterTokenizer.train,
    lambda text: WordTokenizer.train(text, 30),
    lambda text: BytePairTokenizer.train(text, 270),
]


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(text_files, "_PART", 7)
    monkeypatch.setattr(
        text_files, "stream_text", lambda where, encoding: whole_in_pieces(read_text(where))
    )


def whole_in_pieces(text):
    return (text[i : i + 3] for i in range(0, len(text), 3))


words = st.sampled_from(
    ["to", "be", "don't", " ", "  ", "\n", "\n\n", "\t ", "_", "12", "é", "'s", "..."]
)


@pytest.mark.parametrize("train", KINDS)
@settings(deadline=None, max_examples=40)
@given(pieces=st.lists(words, min_size=1, max_size=40))
def test_parts_have_the_tokens_of_the_whole(train, pieces, tmp_path_factory):
    text = "".join(pieces)
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(text_files, "_PART", 7)
        patched.setattr(text_files, "stream_text", lambda *_: whole_in_pieces(text))
        texts = open_texts(path)
        assert "".join(texts) == text and len(texts) == len(text)
        whole, tokenizer = train(text), train(texts)
        assert tokenizer.to_dict() == whole.to_dict()
        expected = whole.encode(text)
        if not len(expected):
            with pytest.raises(ValueError, match=r"a\.txt: there is no text in it"):
                texts.ids(tokenizer)
            return
        ids = texts.ids(tokenizer)
    assert ids.dtype == np.int32 and type(ids) is np.ndarray
    np.testing.assert_array_equal(ids, expected)
    np.testing.assert_array_equal(
        count_ids(ids, len(whole)), np.bincount(expected, minlength=len(whole))
    )


@pytest.mark.parametrize("n", [0, 1, 5, 12, 100])
def test_parts_of_texts(tmp_path, small_parts, n):
    (tmp_path / "0.txt").write_text("one two ")
    (tmp_path / "1.txt").write_text("three four five six")
    text, texts = "one two three four five six", open_texts(tmp_path)
    assert texts.head(n) == text[:n]
    train, valid = texts.split(0.3, most=n)
    cut = max(int(len(text) * 0.7), len(text) - n)
    assert ("".join(train), len(train), valid) == (text[:cut], cut, text[cut:])
    assert (train.head(100), train.head(3)) == (text[:cut], "one")
    tokenizer = CharacterTokenizer.train(texts)
    np.testing.assert_array_equal(train.ids(tokenizer), tokenizer.encode(text[:cut]))
    with pytest.raises(ValueError, match=r"valid is 1, expected a share in \[0, 1\)"):
        texts.split(1)


def test_a_folder_of_texts(tmp_path, small_parts):
    for i, part in enumerate(["one two ", "three\n", "four five six"]):
        (tmp_path / f"{i}.txt").write_text(part)
    texts = open_texts(tmp_path)
    assert len(texts.files) == 3 and len(list(texts)) > 2
    assert "".join(texts) == "one two three\nfour five six"
    with pytest.raises(FileNotFoundError, match="there is no such file, and no folder"):
        open_texts(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="there is no text file in it"):
        open_texts(tmp_path / "empty")


def test_tokens_that_are_kept_are_used_again_for_the_same_text_alone(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text(TEXT)
    texts, keep = open_texts(tmp_path / "a.txt"), tmp_path / "kept"
    keep.mkdir()
    tokenizer = CharacterTokenizer.train(texts)
    written = []
    write = text_files.TextFiles._write
    counting = lambda self, *args: written.append(1) or write(self, *args)  # noqa: E731
    monkeypatch.setattr(text_files.TextFiles, "_write", counting)
    for _ in range(2):
        np.testing.assert_array_equal(texts.ids(tokenizer, keep), tokenizer.encode(TEXT))
    assert len(written) == 1
    other = WordTokenizer.train(TEXT, 30)
    np.testing.assert_array_equal(texts.ids(other, keep), other.encode(TEXT))
    (tmp_path / "a.txt").write_text(TEXT[::-1])
    np.testing.assert_array_equal(texts.ids(tokenizer, keep), tokenizer.encode(TEXT[::-1]))
    assert len(written) == 3
    (keep / "ids.bin").write_bytes(b"half")
    np.testing.assert_array_equal(texts.ids(tokenizer, keep), tokenizer.encode(TEXT[::-1]))
    (keep / "ids.json").write_text("[")
    np.testing.assert_array_equal(texts.ids(tokenizer, keep), tokenizer.encode(TEXT[::-1]))
    (tmp_path / "a.txt").write_text("Zebra")
    with pytest.raises(UnknownTokenError, match="'Z'"):
        texts.ids(tokenizer, keep)
    assert sorted(os.listdir(keep)) == ["ids.bin", "ids.json"]


def test_a_full_disk_leaves_no_half_of_them(tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    texts, keep = open_texts(tmp_path / "a.txt"), tmp_path / "kept"
    keep.mkdir()
    with largest_file(1000), pytest.raises(OSError, match=r"ids\.bin"):
        texts.ids(CharacterTokenizer.train(texts), keep)
    assert not os.listdir(keep)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_methods_learn_from_files_what_they_learn_from_the_text(name, tmp_path, small_parts):
    for i in range(3):
        (tmp_path / f"{i}.txt").write_text(TEXT[i * 480 : (i + 1) * 480])
    texts = open_texts(tmp_path)
    assert "".join(texts) == TEXT
    one = make(name).fit(TEXT, validation_data=TEXT[:200])
    two = make(name).fit(texts, validation_data=TEXT[:200], checkpoint_dir=tmp_path / "run")
    np.testing.assert_array_equal(two.model_.parameters.vector, one.model_.parameters.vector)
    assert two.history_ == one.history_ and (tmp_path / "run" / "ids.bin").exists()
    np.testing.assert_array_equal(two.transform(texts), one.transform(TEXT))
    assert two.score(texts) == one.score(TEXT)
    again = make(name).fit(
        texts, validation_data=TEXT[:200], checkpoint_dir=tmp_path / "run", resume=True
    )
    np.testing.assert_array_equal(again.model_.parameters.vector, one.model_.parameters.vector)


def test_a_text_that_is_no_text_is_refused():
    with pytest.raises(TypeError, match=r"text is an int, .* or open_texts\(PATH\)"):
        make("rnn_lm").fit(3)
