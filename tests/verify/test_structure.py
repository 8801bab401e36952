"""The checker's rooms: a core that a student reads in an evening, and what stands around it."""

from __future__ import annotations

import ast
from pathlib import Path

import minienc.verify

ROOT = Path(minienc.verify.__file__).parent
ROOMS = {"adapters", "laws", "lesson"}
ENTRY = {"__init__", "gradcheck"}  # where core and rooms are brought together
CORE = sorted(p for p in ROOT.glob("*.py") if p.stem not in ENTRY)


def imports(path):
    """The files of verify that a file imports, as "room/name" or, in the core, "name"."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minienc.verify"):
            found.add("/".join(node.module.split(".")[2:]) or "__init__")
    return found


def rooms(path):
    return {name.partition("/")[0] for name in imports(path)} & (ROOMS | ENTRY)


def test_the_core_imports_no_room():
    for path in CORE:
        assert not rooms(path), path


def test_a_room_imports_the_core_and_itself():
    """But for ``files``, through which the command line comes in: it calls ``gradcheck``."""
    for path in ROOT.glob("*/*.py"):
        allowed = {path.parent.name}
        if path.name == "files.py":
            allowed = {"adapters", "lesson", "gradcheck"}
        assert rooms(path) <= allowed, path


def test_there_is_no_circle():
    """What imports nothing that is left can be taken away, until nothing is left."""
    left = {
        str(p.relative_to(ROOT).with_suffix("")): imports(p)
        for p in ROOT.rglob("*.py")
        if p.name != "__init__.py"
    }
    while left:
        free = {name for name, others in left.items() if not others & set(left)}
        assert free, f"a circle among {sorted(left)}"
        left = {name: others for name, others in left.items() if name not in free}


def test_the_core_stays_small():
    """In an evening: about a thousand lines, no file longer than a few screens, no class longer
    than three and no function longer than one (but for ``gradcheck``, which explains its
    arguments)."""
    lines = {path: path.read_text(encoding="utf-8").splitlines() for path in CORE}
    assert sum(map(len, lines.values())) <= 1170
    assert max(map(len, lines.values())) <= 210
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            length = getattr(node, "end_lineno", 0) - getattr(node, "lineno", 0) + 1
            if isinstance(node, ast.ClassDef):
                assert length <= 150, (path, node.name)
            if isinstance(node, ast.FunctionDef) and node.name != "gradcheck":
                assert length <= 60, (path, node.name)
