"""The naming law of ``functions/``: in a backward, ``dz`` is the gradient by the forward's ``z``.

And every line that a forward numbers, ``# (1)``, is quoted by a line of its backward, ``# (1) was
y = max(x, 0)``; so a reader, and whatever shows the two side by side, can go from one to the other.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import sys
import textwrap
import tokenize
from collections.abc import Callable, Iterator

import pytest

import minienc.functions
from minienc.primitive import REGISTRY
from minienc.stepper.lines import numbers_of

PAIRS = sorted(
    name.removesuffix("_forward")
    for name, function in REGISTRY.items()
    if name.endswith("_forward") and function.__module__.startswith("minienc.functions.")
)


def names_in(source: str) -> set[str]:
    """Arguments and variables of a function."""
    tree = ast.parse(source)
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return arguments | {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def comments_in(source: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def breaches(forward: str, backward: str, helpers: str = "") -> Iterator[str]:
    """What breaks the law, of the sources of a pair; ``helpers`` are those that the forward
    calls."""
    known = names_in(forward) | names_in(helpers)
    for name in sorted(names_in(backward) - known):
        slope = re.fullmatch(r"d(\w+)_d(\w+)", name)  # du_dx, a derivative of two names
        unknown = [b for b in (slope.groups() if slope else [name[1:]]) if b not in known]
        if name.startswith("d") and unknown:
            yield f"{name}: the forward has no {' and no '.join(unknown)}"
    numbered = set().union(*map(numbers_of, comments_in(forward)))
    quoted = [c for c in comments_in(backward) if re.search(r"\bwas\b", c)]
    if not numbered:
        yield "no line of the forward has a number"
    for number in sorted(numbered - set().union(*map(numbers_of, quoted))):
        yield f"({number}) of the forward is not quoted"
    for number in sorted(set().union(*map(numbers_of, comments_in(backward))) - numbered):
        yield f"the forward has no ({number})"


def source_of(function: Callable) -> str:
    return textwrap.dedent(inspect.getsource(function))


def helpers_of(function: Callable) -> str:
    """The sources of the functions of ``functions/`` that a function calls by name."""
    called = {
        node.func.id
        for node in ast.walk(ast.parse(source_of(function)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    module = vars(sys.modules[function.__module__])
    found = [getattr(module[c], "definition", module[c]) for c in sorted(called & module.keys())]
    return "\n".join(
        source_of(f)
        for f in found
        if inspect.isfunction(f) and f.__module__.startswith("minienc.functions.")
    )


@pytest.mark.parametrize("pair", PAIRS)
def test_the_law_holds(pair):
    forward = REGISTRY[f"{pair}_forward"].definition
    backward = REGISTRY[f"{pair}_backward"].definition
    assert list(breaches(source_of(forward), source_of(backward), helpers_of(forward))) == []


FORWARD = """
def f_forward(x, W):
    z = x @ W  # (1)
    y = tanh(z)  # (2)  in (-1, 1)
    return y, FCache(x, W, y)
"""
BACKWARD = """
def f_backward(dy, cache):
    x, W, y = cache
    dy_dz = 1 - y * y
    dz = dy * dy_dz  # (2) was y = tanh(z)
    dx = dz @ W.T  # (1) was z = x W
    dW = x.T @ dz  # (1)
    return dx, dW
"""


@pytest.mark.parametrize(
    ("planted", "says"),
    [
        (("", ""), []),
        (("dz", "da"), ["da: the forward has no a", "dy_da: the forward has no a"]),
        (("dy_dz", "dy_da"), ["dy_da: the forward has no a"]),
        (("(2) was y", "(2) y"), ["(2) of the forward is not quoted"]),
        (("# (1) was z = x W", ""), ["(1) of the forward is not quoted"]),
        (("# (1)\n", "# (3)\n"), ["the forward has no (3)"]),
        (("(2) was", "(1, 2) was"), []),
        (("(2) was", "(1) to (4) was"), ["the forward has no (3)", "the forward has no (4)"]),
    ],
)
def test_a_breach_is_noticed(planted, says):
    assert list(breaches(FORWARD, BACKWARD.replace(*planted) if planted[0] else BACKWARD)) == says


def test_a_forward_without_numbers_is_noticed():
    plain = re.sub(r"  # \(\d\)", "", FORWARD)
    assert "no line of the forward has a number" in breaches(plain, BACKWARD)


def test_a_name_of_a_helper_is_a_name_of_the_forward():
    backward = BACKWARD.replace("dz", "da")
    assert list(breaches(FORWARD, backward, "def g(x):\n    a = 2 * x\n    return a")) == []


# ------------------------------------------------------------------------------------ what is there


def test_every_primitive_is_exported():
    here = {n for n, f in REGISTRY.items() if f.__module__.startswith("minienc.functions.")}
    assert here <= set(minienc.functions.__all__) and len(here) > 80
    assert len(set(minienc.functions.__all__)) == len(minienc.functions.__all__)
