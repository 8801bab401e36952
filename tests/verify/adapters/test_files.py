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

def cube(x):
    print("cube of", x.shape)
    return x ** 3

def cube_prime(x):
    return 3 * x ** 2

def cube_wrong(dy, x):
    return dy * x ** 2

def not_cube(x):
    return x ** 3 + 1e-3

class Scale:
    def __init__(self, factor=2.0):
        self.s = np.full(3, factor)

    def forward(self, x):
        self.x = x
        return x * self.s

    def backward(self, dy):
        self.ds = (dy * self.x).sum(axis=0)
        return dy * self.s

class Needs(Scale):
    def __init__(self, factor):
        super().__init__(factor)

def Scale_example():
    return np.random.default_rng(0).standard_normal((4, 3))

def nested(x, p):
    return x * p["s"], (x, p["s"])

def nested_backward(dy, cache):
    return dy * cache[1], {"s": (dy * cache[0]).sum(axis=0)}

def nested_example():
    return np.ones((4, 3)) / 3, {"s": np.arange(3.0)}

def complex_forward(z):
    return abs(z), z

def complex_backward(dy, z):
    return dy * z

def complex_example():
    return np.ones(3) * 1j

def broken_forward(x):
    return x, x

def broken_backward(dy, x):
    return dy * undefined

def endless(x):
    while True:
        try:
            x = x + 1
        except Exception:
            pass
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
    "{}:Needs": "Needs is a class that is made by Needs(factor): write",
    "{}:complex": "z is complex; give its real and imaginary parts",
    "{}:Scale(": "expected a name, two with a comma, or such as Linear(3, 4)",
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


RIGHT = {
    "cube,cube_prime": ["--shapes", "x=4,3"],
    "Scale": [],
    "Scale(3.0)": [],
    "Needs(3.0)": ["--shapes", "x=4,3"],
    "nested,nested_backward": [],
}


@pytest.mark.parametrize("name", RIGHT)
def test_any_pair_and_any_class(name, homework, capsys):
    assert main(["gradcheck", f"{homework}:{name}", *RIGHT[name]]) == 0, capsys.readouterr()
    assert capsys.readouterr().out.startswith("PASS")


def test_a_wrong_pair_of_any_names(homework, capsys):
    assert main(["gradcheck", f"{homework}:cube,cube_wrong", "--shapes", "x=4,3"]) == 1
    assert "3" in capsys.readouterr().out


def test_what_the_file_prints_is_not_in_the_report(homework, capsys):
    words = ["gradcheck", f"{homework}:cube,cube_prime", "--shapes", "x=4,3", "--json"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["verdict"] == "pass" and "cube of (4, 3)" in err


def test_a_crash_is_no_verdict(homework, capsys):
    assert main(["gradcheck", f"{homework}:broken", "--shapes", "x=4,3"]) == 3
    err = capsys.readouterr().err
    assert "crash: NameError: name 'undefined' is not defined, at " in err
    assert "return dy * undefined" in err and len(err.splitlines()) == 1
    assert main(["gradcheck", f"{homework}:broken", "--shapes", "x=4,3", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["verdict"] == "crash"


@pytest.mark.parametrize("line", ["1 / 0", "raise SystemExit(5)"])
def test_a_file_that_crashes_when_it_is_run(line, tmp_path, capsys):
    path = tmp_path / "crash.py"
    path.write_text(line)
    assert main(["gradcheck", f"{path}:f"]) == 3
    assert "crash.py, line 1" in capsys.readouterr().err


def test_a_time_limit(homework, capsys):
    words = ["gradcheck", f"{homework}:endless", "--shapes", "x=4"]
    assert main([*words, "--time-limit", "0.2"]) == 4
    assert "out of time: after 0.2 s" in capsys.readouterr().err
    assert main([*words, "--time-limit", "0.2", "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["verdict"] == "out of time"
    assert main([*words, "--time-limit", "-1"]) == 2
    assert main(["gradcheck", f"{homework}:Scale", "--time-limit", "60"]) == 0


def test_arguments_without_a_gradient_are_said(tmp_path, capsys):
    path = tmp_path / "loss.py"
    path.write_text(
        "def loss(W, X, reg):\n"
        "    d = X @ W\n"
        "    return 0.5 * (d * d).sum() + reg * (W * W).sum(), X.T @ d + 2 * reg * W\n"
    )
    words = ["gradcheck", f"{path}:loss", "--shapes", "W=4,3 X=6,4 reg=0.1"]
    assert main(words) == 2  # and the mend is one of the command line's
    assert "if X has none, write stop_gradient='X' (--stop-gradient X)" in capsys.readouterr().err
    assert main([*words, "--stop-gradient", "X"]) == 0
    assert "pass: no gradient, as declared" in capsys.readouterr().out
    assert main([*words, "--stop-gradient", "X,Q"]) == 2
    assert "stop_gradient names 'Q', expected one of W, X" in capsys.readouterr().err


def test_a_reference_and_a_tolerance(homework, capsys):
    words = ["gradcheck", f"{homework}:cube,cube_prime", "--shapes", "x=4,3"]
    assert main([*words, "--against", f"{homework}:cube"]) == 0
    assert main([*words, "--against", f"{homework}:not_cube"]) == 1
    assert "the output is not that of not_cube" in capsys.readouterr().out
    assert main([*words, "--rtol", "1e-9"]) == 0
    assert main([*words, "--rtol", "2"]) == 2
