"""A line of Python as MathML."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import minienc.functions
from minienc.stepper.formula import formula_of
from minienc.stepper.lines import comment_of, numbers_of, statements, text_of

FILES = sorted(Path(minienc.functions.__file__).parent.glob("*.py"))


def text(line):
    """What is read, without the elements around it."""
    return re.sub(r"<[^>]*>", "", formula_of(line))


def test_nearly_every_numbered_line_is_a_formula():
    found, code = [], []
    for path in map(str, FILES):
        for line, (first, _) in statements(path).items():
            statement = text_of(path, line)
            if line == first and numbers_of(comment_of(statement)):
                formula = formula_of(statement)
                (found if formula else code).append(statement)
                if formula:
                    ElementTree.fromstring(formula)  # well formed
    assert len(found) > 300 and len(code) <= 14, code


def test_it_reads_as_on_a_blackboard():
    assert text("z = x @ W + b  # (1)") == "z=xW+b"
    assert text("dx = dz @ W.T") == "dx=dzW′"
    assert text("e = xp.exp(x - x.max(axis=-1, keepdims=True))") == "e=exp(x−max(x))"
    assert (
        text("v = xp.lib.stride_tricks.sliding_window_view(x, n)") == "v=sliding window view(x,n)"
    )
    assert text("d = dl[..., None] / n") == "d=dln" and text("v = b[:, None]") == "v=b"
    assert text("db = dz.sum(axis=0)") == "db=∑axis\u00a00dz"
    assert text("y = (a + b) * c") == "y=(a+b)·c"
    assert text("y = a - (b - c)") == "y=a−(b−c)"
    assert text("v += g * g") == "v←v+g·g"
    assert text("x_hat = gamma * y") == "x^=γ·y"
    assert text("dz = get_activation(activation).backward(dy, f)") == "dz=f′dy"
    assert "<mfrac>" in formula_of("y = e / s") and "<msqrt>" in formula_of("y = xp.sqrt(v)")


def test_what_it_cannot_say_is_code():
    for line in ("for t in range(3):", "y = [f(a) for a in b]", "x = yield", "if x:", "y = 'a'"):
        assert formula_of(line) == ""


def test_a_name_is_no_markup():
    assert "<script" not in formula_of("y = cache.x < b")
    ElementTree.fromstring(formula_of("y = a < b"))
