"""Texts with a class each: folders, files with a text a line, tables."""

from __future__ import annotations

import csv
import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minienc.data.labelled_texts import read_labelled_texts

PAIRS = [("a red fox", "fox"), ("red, and quick", "fox"), ("one; two", "bee"), ('a "bee"', "bee")]


def test_a_folder_for_each_class(tmp_path):
    for i, (text, label) in enumerate(PAIRS):
        (tmp_path / label / "more").mkdir(parents=True, exist_ok=True)
        folder = tmp_path / label / ("more" if i % 2 else ".")
        (folder / f"{i}.txt").write_text(text + "\nand more\n")
    found = read_labelled_texts(tmp_path)
    pairs = list(zip(found.texts, found.labels, strict=True))
    assert sorted(pairs) == sorted((f"{text}\nand more\n", label) for text, label in PAIRS)
    assert found.name == tmp_path.name.partition(".")[0]


def test_a_file_for_each_class(tmp_path):
    (tmp_path / "fox.txt").write_text("a red fox\n\nred, and quick\n")
    with gzip.open(tmp_path / "bee.txt.gz", "wt") as file:
        file.write('one; two\na "bee"\n')
    found = read_labelled_texts(tmp_path)
    assert sorted(zip(found.texts, found.labels, strict=True)) == sorted(PAIRS)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table(tmp_path, delimiter):
    path = tmp_path / ("t.tsv" if delimiter == "\t" else "t.csv")
    with open(path, "w", newline="") as file:
        if delimiter == "\t":
            file.write("Label\tid\tText\n")
            file.writelines(f"{label}\t7\t{text}\n" for text, label in PAIRS)
        else:
            writer = csv.writer(file, delimiter=delimiter)
            writer.writerow(["Label", "id", "Text"])
            writer.writerows([label, 7, text] for text, label in PAIRS)
    found = read_labelled_texts(path)
    assert list(zip(found.texts, found.labels, strict=True)) == PAIRS


CELLS = st.text(
    st.characters(blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=9
)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(CELLS, min_size=4, max_size=8))
def test_there_and_back(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    labels = [f"c{i % 2}" for i in range(len(texts))]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(zip(texts, labels, strict=True))
    found = read_labelled_texts(path)
    assert (found.texts, found.labels) == (texts, labels)


def test_a_text_may_have_lines_in_quotes(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('text,label\n"one\ntwo",a\nx,b\ny,a\nz,b\n')
    assert read_labelled_texts(path).texts[0] == "one\ntwo"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("text,label\na,x\nb,x\n", "one class, 'x', expected texts of two classes or more"),
        ("text,label\n", "holds no text"),
        ("text\na\n", "has one column"),
        ("words,kind\na,x\n", "has the columns words, kind, expected one called text"),
        ("text,kind\na,x\n", "expected one called label"),
        ("text,label\na,x\nb\n", "line 3 of"),
        ("text,label\na,x\n ,y\n", "line 3 of {path} has no text"),
        ("text,label\na,x\nb, \n", "line 3 of {path} has no label"),
        ("text,label\na,1\nb,2\nc,3\n", "has 3 classes for 3 texts"),
        (b"text,label\na,x\n\xff,y\n", "line 3 is no UTF-8"),
    ],
)
def test_tables_that_are_refused(tmp_path, content, sentence):
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError) as refusal:
        read_labelled_texts(path)
    assert sentence.format(path=path) in str(refusal.value)
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)


def test_folders_that_are_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no text, expected"):
        read_labelled_texts(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.txt").write_text("  \n")
    (tmp_path / "b.txt").write_text("x\n")
    with pytest.raises(ValueError, match=r"text files beside sub-folders \(a\)"):
        read_labelled_texts(tmp_path)
    (tmp_path / "b.txt").unlink()
    with pytest.raises(ValueError, match=r"1\.txt is empty but for spaces"):
        read_labelled_texts(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no"):
        read_labelled_texts(tmp_path / "nothing")
