"""A student's file on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from minienc.cli import main
from minienc.verify.adapters.files import draw_arguments

HOMEWORK = """
import numpy as np

def affine_forward(x, W, b):
    z = x @ W + b
    return np.maximum(z, 0), (x, W, z)

def affine_backward(dy, cache):
    x, W, z = cache
    dz = dy * (z > 0)
    return dz @ W.T, x.T @ dz / len(x), dz.sum(axis=0)

def affine_example():
    rng = np.random.default_rng(0)
    return rng.standard_normal((8, 3)), rng.standard_normal((3, 4)), rng.standard_normal(4)

def square(x):
    return x * x, lambda dy: 2 * x * dy

def lonely_forward(x):
    return x, None

def pick_forward(table, ids):
    return table[ids], (table.shape, ids)

def pick_backward(dy, cache):
    shape, ids = cache
    dtable = np.zeros(shape)
    dtable[ids] += dy
    return dtable
"""


@pytest.fixture
def homework(tmp_path):
    path = tmp_path / "homework.py"
    path.write_text(HOMEWORK)
    return str(path)


def test_a_planted_mistake_is_told_in_under_a_screen(homework, capsys):
    assert main(["gradcheck", f"{homework}:affine"]) == 1
    text = capsys.readouterr().out
    assert text.startswith("FAIL  affine_forward\n  W (3, 4): 12 of 12 elements are wrong")
    assert "your dW is 8 times too small: 8 is the batch size" in text
    assert len(text.splitlines()) < 24


def test_a_right_function_passes(homework, capsys):
    assert main(["gradcheck", f"{homework}:square", "--shapes", "x=4,3"]) == 0
    assert capsys.readouterr().out.startswith("PASS")


def test_repeated_indices_are_drawn_and_a_lost_one_is_named(homework, capsys):
    words = ["--shapes", "table=5,2 ids=6:int5", "--json"]
    assert main(["gradcheck", f"{homework}:pick", *words]) == 1
    report = json.loads(capsys.readouterr().out)
    assert "repeated indices" in report["tensors"][0]["diagnosis"][0]


REFUSED = {
    "{}:nothing": "has no nothing and no nothing_forward, only affine_forward",
    "{}:lonely": "has lonely_forward, but no lonely_backward",
    "{}:square": "nothing says what to call square with: give --shapes",
    "{}": "expected path/to/file.py:name",
    "none.py:f": "there is no file none.py",
}


@pytest.mark.parametrize("where", REFUSED)
def test_what_cannot_be_checked_is_told_in_one_line(where, homework, capsys):
    assert main(["gradcheck", where.format(homework)]) == 2
    assert REFUSED[where] in capsys.readouterr().err


def test_a_file_that_does_not_parse(tmp_path, capsys):
    path = tmp_path / "broken.py"
    path.write_text("def f(:\n")
    assert main(["gradcheck", f"{path}:f"]) == 2
    assert "broken.py, line 1" in capsys.readouterr().err


def test_specifications():
    x, ids, t, rate = draw_arguments("x=2,3 ids=4:int3 t=5:unit rate=0.5", np.random.default_rng(0))
    assert x.shape == (2, 3) and ids.shape == (4,) and ids.dtype.kind == "i"
    assert len(set(ids.tolist())) < 4 and ids.max() < 3
    assert t.min() > 0 and t.max() < 1 and rate == 0.5
    with pytest.raises(ValueError, match="--shapes has 'x=a'"):
        draw_arguments("x=a", np.random.default_rng(0))
