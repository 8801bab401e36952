"""Imports point one way, and importing the package costs little."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import minienc

ROOT = Path(minienc.__file__).parent

# a file may import from its own floor and from those below
FLOORS = [
    {"gpu", "files"},
    {"arrays"},
    {"shapes", "primitive", "data"},
    {"functions", "system"},
    {"layers"},
    {"training"},
    {"models", "saving", "summary", "verify"},
    {"pretraining", "plots"},
    {"finetuning", "gallery", "report"},
    {"runs"},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """The rooms of minienc that a file imports, wherever in it, but for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("minienc"):
            parts = node.module.split(".")
            found.update([parts[1]] if len(parts) > 1 else [a.name for a in node.names])
        elif isinstance(node, ast.Import):
            found.update(a.name.split(".")[1] for a in node.names if a.name.startswith("minienc."))
    return found - {"__version__"}


def test_no_import_points_up():
    for path in ROOT.rglob("*.py"):
        room = room_of(path)
        if room in ("__init__", "fast"):  # the door's two sides: names by name, asked at a call
            continue
        for other in imported_rooms(path):
            assert FLOOR[other] <= FLOOR[room], f"{path.relative_to(ROOT)} imports {other}"


def test_rooms_that_look_from_outside_are_imported_by_nothing_below():
    outside = {"verify", "plots", "gallery", "report", "stepper", "fast"}
    for path in ROOT.rglob("*.py"):
        if room_of(path) in outside | {"runs", "cli", "__init__"}:
            continue
        assert not imported_rooms(path) & outside, path


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, minienc, minienc.models, minienc.layers, minienc.pretraining, minienc.cli;"
        "heavy = {'matplotlib', 'tqdm', 'PIL', 'scipy', 'sklearn', 'cupy', 'jax', 'torch'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_are_there():
    for name in minienc.__all__:
        assert getattr(minienc, name) is not None
