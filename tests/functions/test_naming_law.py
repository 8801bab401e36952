"""The law of names: a backward speaks of the forward's variables, and undoes its numbered lines.

In a backward, ``d<name>`` is the gradient by what the forward calls ``<name>``, and every line
that a forward numbers, ``# (1)``, is quoted by the line that undoes it, ``# (1) was ...``.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import textwrap
import tokenize

import pytest

import minienc.functions  # noqa: F401  (registers them)
from minienc.primitive import REGISTRY

PAIRS = sorted(
    name.removesuffix("_forward")
    for name, function in REGISTRY.items()
    if name.endswith("_forward") and function.definition.__module__.startswith("minienc.functions")
)


def sources(name: str) -> tuple[str, str]:
    """Of a pair: the text of the forward and of its module's helpers, and of the backward."""
    forward, backward = (REGISTRY[f"{name}_{way}"].definition for way in ("forward", "backward"))
    module = inspect.getmodule(forward)
    text = textwrap.dedent(inspect.getsource(forward))
    called = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    helpers = [
        inspect.getsource(value)
        for key, value in vars(module).items()
        if key in called and key.startswith("_") and inspect.isfunction(value)
    ]
    return "\n".join([text, *helpers]), textwrap.dedent(inspect.getsource(backward))


def names_in(text: str) -> set[str]:
    """All variables and arguments."""
    tree = ast.parse(text)
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return found | {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}


def gradients_in(text: str) -> set[str]:
    """The variables of a backward that are called d-something, but for what the cache held."""
    tree = ast.parse(text)
    stored = {
        node.id
        for statement in ast.walk(tree)
        if isinstance(statement, ast.Assign)
        and "cache" not in names_in(ast.unparse(statement.value))
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return {name for name in stored | arguments if re.fullmatch(r"d[A-Za-z_]\w*", name)}


def numbers_in(text: str) -> set[int]:
    """The numbers of its lines: (1), (1, 2) or (1) to (3)."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        for first, last in re.findall(r"\((\d+)\) to \((\d+)\)", token.string):
            found.update(range(int(first), int(last)))
        for numbers in re.findall(r"\((\d+(?:, \d+)*)\)", token.string):
            found.update(map(int, numbers.split(", ")))
    return found


def breaches(forward: str, backward: str) -> list[str]:
    known = names_in(forward)
    found = [
        f"{name} is the gradient by no variable of the forward"
        for name in sorted(gradients_in(backward) - {"dtype"})
        if name[1:] not in known and name[1:].rstrip("s") not in known
    ]
    there, back = numbers_in(forward), numbers_in(backward)
    found += [f"line ({n}) of the forward is not quoted" for n in sorted(there - back)]
    if there and not re.search(r"# \(\d.*\) \w", backward):
        found.append("the backward does not say what the lines were")
    found += [f"line ({n}) is no line of the forward" for n in sorted(back - there)]
    return found


@pytest.mark.parametrize("name", PAIRS)
def test_the_law(name):
    assert breaches(*sources(name)) == []


@pytest.mark.parametrize("name", PAIRS)
def test_every_forward_has_a_numbered_line(name):
    forward, _ = sources(name)
    assert numbers_in(forward), "nothing for the backward to quote"


def test_breaches_are_noticed():
    forward = "def f_forward(x, W):\n    z = x @ W  # (1)\n    y = g(z)  # (2)\n    return y\n"
    right = (
        "def f_backward(dy, cache):\n    dz = g(dy)  # (2) was y = g(z)\n"
        "    dx = dz @ W.T  # (1) was z = x W\n    return dx\n"
    )
    assert breaches(forward, right) == []
    assert breaches(forward, right.replace("dz", "dh")) == [
        "dh is the gradient by no variable of the forward"
    ]
    assert breaches(forward, right.replace("# (2)", "# (3)")) == [
        "line (2) of the forward is not quoted",
        "line (3) is no line of the forward",
    ]
