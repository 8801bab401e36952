"""Text files, windows, padding."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.data.text import (
    batches_of_like_lengths,
    next_token_windows,
    pad_sequences,
    parallel_streams,
    read_shakespeare,
    read_text,
    split_text,
    stream_text,
)


def test_the_embedded_text_is_what_others_train_on():
    text = read_shakespeare()
    assert len(text) == 1_115_394 and len(set(text)) == 65
    train, valid = split_text(text)
    assert (len(train), len(valid)) == (1_003_854, 111_540)  # nanoGPT's split
    assert text.startswith("First Citizen:\nBefore we proceed any further, hear me speak.")


@given(text=st.text(min_size=1), chunk=st.integers(1, 9))
def test_a_file_is_read_in_parts_without_a_seam(text, chunk, tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert "".join(stream_text(path, chunk=chunk)) == text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_says_what_the_text_is_written_in(encoding, tmp_path):
    (tmp_path / "a.txt").write_bytes("Höhe".encode(encoding))
    assert read_text(tmp_path / "a.txt") == "Höhe"


def test_bytes_that_are_none_are_named_with_their_place(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("Größe: ".encode() + b"H\xf6he")
    with pytest.raises(ValueError, match=r"a.txt: byte 10 is 0xf6, which is no utf-8 .*latin-1"):
        list(stream_text(path, chunk=4))
    assert read_text(path, "latin-1").endswith("Höhe")
    path.write_bytes("ö".encode()[:1])
    with pytest.raises(ValueError, match="byte 0 is 0xc3"):
        read_text(path)


def test_what_is_no_text_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        read_text(tmp_path / "none.txt")
    (tmp_path / "a.txt").write_bytes(b"")
    with pytest.raises(ValueError, match="there is no text in it"):
        read_text(tmp_path / "a.txt")
    with pytest.raises(ValueError, match="'klingon', which Python does not know"):
        read_text(tmp_path / "a.txt", "klingon")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="there is no text file in it"):
        read_text(tmp_path / "empty")
    with pytest.raises(ValueError, match="the text is empty"):
        split_text("")


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    for name, text in [("b.txt", "two"), ("a.md", "one "), ("c.bin", "none")]:
        (tmp_path / name).write_text(text)
    assert read_text(tmp_path) == "one two"


def test_windows_and_streams_say_what_follows():
    ids = np.arange(11)
    x, y = next_token_windows(ids, 3)
    assert x.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    np.testing.assert_array_equal(y, x + 1)
    x, y = parallel_streams(ids, 2)
    assert x.tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    np.testing.assert_array_equal(y, x + 1)
    with pytest.raises(ValueError, match="3 tokens are too few for a window of 3"):
        next_token_windows(ids[:3], 3)


def test_padding_keeps_what_stands_in_front_of_it():
    ids, lengths = pad_sequences([np.array([1, 2, 3]), np.array([], int), np.array([4])], value=9)
    assert ids.tolist() == [[1, 2, 3], [9, 9, 9], [4, 9, 9]] and lengths.tolist() == [3, 0, 1]
    with pytest.raises(ValueError, match="sequence 0 has 3 steps, and T is 2"):
        pad_sequences([np.array([1, 2, 3])], T=2)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=50), st.integers(1, 8))
def test_batches_of_like_lengths_hold_everything_once(lengths, size):
    batches = batches_of_like_lengths(np.array(lengths), size, np.random.default_rng(0))
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    spans = sorted((min(lengths[i] for i in b), max(lengths[i] for i in b)) for b in batches)
    for (_, most), (least, _) in pairwise(spans):
        assert most <= least
