"""Mistakes planted in the source: ``np.`` where ``xp.`` stands, one at a time.

A function that forgot where its arrays live works on every machine without a GPU. What the proofs
of ``tests/test_device.py`` are worth is seen by making that mistake everywhere, and counting.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parent.parent


class Place(NamedTuple):
    """One ``xp.<name>`` of a function."""

    module: str  # "minienc.functions.activations"
    function: str  # "relu_forward", "Adam._update"
    number: int  # which of the function's
    name: str  # "maximum"

    def __str__(self) -> str:
        return f"{self.module.removeprefix('minienc.')}.{self.function}: {self.name} {self.number}"


def places(room: str) -> Iterator[Place]:
    """Every ``xp.<name>``, or ``get_array_module(...).<name>``, in ``minienc/<room>/``."""
    for path in sorted((ROOT / "minienc" / room).glob("**/*.py" if room else "*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for name, function in _functions(ast.parse(path.read_text())):
            for number, node in enumerate(_uses(function)):
                yield Place(module, name, number, node.attr)


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.FunctionDef):
                    yield f"{node.name}.{part.name}", part


def _uses(function: ast.FunctionDef) -> list[ast.Attribute]:
    """The ``xp.<name>`` in it, in the order in which they stand."""
    found = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and _is_array_module(node.value)
    ]
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def _is_array_module(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return getattr(node.func, "id", "") == "get_array_module"
    return isinstance(node, ast.Name) and node.id == "xp"


@contextmanager
def planted(place: Place) -> Iterator[None]:
    """Within the block the function calls NumPy there."""
    module = importlib.import_module(place.module)
    function = _find(module, place.function)
    tree = ast.parse(inspect.getsource(module))
    node = dict(_functions(tree))[place.function]
    use = _uses(node)[place.number]
    use.value = ast.copy_location(ast.Name("np", ast.Load()), use.value)
    code = function.__code__
    missing = "np" not in vars(module)
    function.__code__ = _compiled(node, module, code)
    if missing:
        vars(module)["np"] = np
    try:
        yield
    finally:
        function.__code__ = code
        if missing:
            del vars(module)["np"]


def _find(module: ModuleType, path: str) -> FunctionType:
    """The function itself, beneath what decorates it."""
    found = module
    for name in path.split("."):
        found = inspect.getattr_static(found, name)
    found = getattr(found, "definition", found)  # of a primitive
    found = getattr(found, "__func__", found)  # of a static method
    assert isinstance(found, FunctionType), path
    return found


def _compiled(node: ast.FunctionDef, module: ModuleType, code: object) -> object:
    node.decorator_list = []
    tree = ast.Module([node], [])
    whole = compile(ast.fix_missing_locations(tree), str(module.__file__), "exec", 1 << 24)
    return next(c for c in whole.co_consts if hasattr(c, "co_name") and c.co_name == node.name)
