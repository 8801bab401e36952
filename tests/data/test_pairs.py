"""Pairs of texts: what is read, what is held out, and what is refused."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.data.batching import token_batches
from minienc.data.docstrings import split_docstring
from minienc.data.pairs import has_sides, load_pairs, read_lines, read_sides

SOURCES = [f"a man rides horse {i}" for i in range(40)]
TARGETS = [f"un homme monte le cheval {i}" for i in range(40)]


def write(path, lines, pack=False):
    content = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(content) if pack else content)
    return path


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "train.en.gz", SOURCES, pack=True)
    write(tmp_path / "train.fr", TARGETS)
    write(tmp_path / "val.en", SOURCES[:3])
    write(tmp_path / "val.fr", TARGETS[:3])
    return tmp_path


def test_a_folder_of_aligned_files(folder):
    data = load_pairs(folder, "en", "fr")
    assert data.train == list(zip(SOURCES, TARGETS, strict=True))
    assert data.valid == data.train[:3]
    assert (data.source, data.target) == ("en", "fr")
    turned = load_pairs(folder, "fr")  # the other one of two
    assert turned.target == "en" and turned.train[0] == (TARGETS[0], SOURCES[0])
    assert has_sides(folder) and not has_sides(folder / "train.fr")


def test_what_has_no_held_out_part_is_cut(folder):
    (folder / "val.fr").unlink()
    data = load_pairs(folder, "en", "fr")
    assert (len(data.train), len(data.valid)) == (38, 2)
    assert data.valid[-1] == (SOURCES[-1], TARGETS[-1])


def test_two_files_and_a_table(folder, tmp_path):
    data = load_pairs([folder / "train.en.gz", folder / "train.fr"])
    assert (data.source, data.target, len(data.train)) == ("en", "fr", 38)
    rows = [f"{s}\t{t}" for s, t in zip(SOURCES, TARGETS, strict=True)]
    assert load_pairs(write(tmp_path / "a.tsv", rows)).train == data.train
    table = write(tmp_path / "b.tsv", ["x\tfr\ten", *(f"0\t{t}\t{s}" for s, t in data.train)])
    assert load_pairs(table, "en", "fr").train == data.train[:37]


def records(n=60, **more):
    return [
        json.dumps({"name": f"p{i}", "text": f"long {i}", "short": f"s {i}"} | more | {"i": i})
        for i in range(n)
    ]


def test_lines_of_json_with_their_fields(tmp_path):
    file = write(tmp_path / "a.jsonl.gz", records(), pack=True)
    data = load_pairs(file, "name,text", "short")
    assert data.train[4] == ("p4: long 4", "s 4") and data.source == "name,text"
    with pytest.raises(ValueError, match=r"source is 'body', .* has name, text, short"):
        load_pairs(file, "body", "short")
    with pytest.raises(ValueError, match="say source and target"):
        load_pairs(file)


def test_families_are_held_out_whole(tmp_path):
    lines = [
        json.dumps({"family": f"f{i // 4}", "text": f"text {i // 4}", "short": f"{i}"})
        for i in range(400)
    ]
    data = load_pairs(write(tmp_path / "a.jsonl", lines), "text", "short")
    assert len(data.train) + len(data.valid) == 400 and 4 <= len(data.valid) < 30
    assert not {s for s, _ in data.train} & {s for s, _ in data.valid}


def test_each_side_by_itself(folder):
    train, valid = read_sides(folder)
    assert train.sides == {"en": SOURCES, "fr": TARGETS} and valid.sides["fr"] == TARGETS[:3]
    assert train.split("\n") == SOURCES + TARGETS
    other = write(folder / "a.jsonl", records())
    train, valid = read_sides(other)
    assert len(train.sides["text"]) == 60 and not valid


def test_only_a_line_feed_ends_a_line(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\u2028still\r\ntwo\x85\n".encode())
    assert read_lines(path) == ["one\u2028still", "two\x85"]


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda d: write(d / "train.fr", TARGETS[:-1]), "has 40 lines and .* 39; line n"),
        (lambda d: write(d / "train.fr", ["", *TARGETS[1:]]), "line 1 of .*fr is empty, .* no fr"),
        (lambda d: write(d / "train.fr", [*TARGETS[:-1], " "]), "line 40 of .* is empty"),
        (lambda d: (d / "train.fr").write_bytes(b"ok\n\xff\xfe\xff\n"), "line 2 is no UTF-8"),
        (lambda d: (d / "train.fr").write_bytes(b""), "is empty"),
        (lambda d: (d / "train.en.gz").write_bytes(b"no gzip"), "is no gzip file"),
        (lambda d: (d / "train.fr").unlink(), "target is 'fr', .* has en"),
    ],
)
def test_what_is_wrong_is_one_sentence(folder, spoil, what):
    spoil(folder)
    with pytest.raises(ValueError, match=what):
        load_pairs(folder, "en", "fr")


def test_strange_places_and_sides(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no"):
        load_pairs(tmp_path / "none")
    with pytest.raises(ValueError, match=r"target is 'de', .* has en, fr"):
        load_pairs(folder, "en", "de")
    with pytest.raises(ValueError, match="both 'en'"):
        load_pairs(folder, "en", "en")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"holds no train\.\*"):
        load_pairs(tmp_path / "empty")
    with pytest.raises(ValueError, match="3 files came"):
        load_pairs(["a", "b", "c"])
    with pytest.raises(ValueError, match="alone is no file of pairs"):
        load_pairs(folder / "train.fr")
    for line, what in [("[1]", "no object"), ("{", "no JSON"), ('{"text": 1, "short": ""}', "has")]:
        with pytest.raises(ValueError, match=what):
            load_pairs(write(tmp_path / "a.jsonl", [line]), "text", "short")
    with pytest.raises(ValueError, match="no package 'nothing_here' is installed"):
        load_pairs("docstrings:nothing_here")


def test_docstrings_are_there_and_whole_modules_are_held_out():
    one, two = load_pairs("docstrings:json,unittest"), load_pairs("docstrings:json,unittest")
    assert one == two and len(one.train) > 20
    for text, summary in one.train:
        assert len(text.split()) > 8 and len(summary.split()) > 2


def test_prose_ends_where_sections_begin():
    text = "Do a thing.\n\nIt is done thoroughly, and twice where it is needed.\n\n"
    expected = "Do a thing.", "It is done thoroughly, and twice where it is needed."
    for more in ("Parameters\n----------\nx : int", ">>> f(3)\n9", ":param x: what"):
        assert split_docstring(text + more) == expected
    assert split_docstring("Do a thing.") == ("", "")


# ----------------------------------------------------------------------------------------- batches

LENGTHS = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=200)


@given(lengths=LENGTHS, budget=st.integers(1, 300), seed=st.integers(0, 9))
def test_batches_hold_every_pair_once_and_keep_the_budget(lengths, budget, seed):
    source, target = np.array(lengths).T
    batches = token_batches(source, target, budget, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * target[batch].max() <= budget
    others = token_batches(source, target, budget, np.random.default_rng(seed + 1))
    assert len(others) == len(batches)  # the same number of steps in every epoch
    again = token_batches(source, target, budget, np.random.default_rng(seed))
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))


def test_little_is_padded_and_epochs_differ():
    rng = np.random.default_rng(0)
    target = np.clip(rng.poisson(16, 5000), 1, None)
    source = np.clip(target + rng.integers(-3, 4, 5000), 1, None)
    one = token_batches(source, target, 1000, np.random.default_rng(1))
    padded = sum(len(b) * source[b].max() for b in one) / source.sum()
    assert padded < 1.2
    assert sum(len(b) * target[b].max() for b in one) / target.sum() < 1.05
    other = token_batches(source, target, 1000, np.random.default_rng(2))
    assert {tuple(sorted(b)) for b in one} != {tuple(sorted(b)) for b in other}
    with pytest.raises(ValueError, match="budget is 0"):
        token_batches(source, target, 0)
