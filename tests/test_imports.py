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
    {"gpu", "files", "notebook", "terminal"},
    {"arrays"},
    {"shapes", "primitive", "data"},
    {"functions", "devices", "kernel"},
    {"system"},
    {"layers"},
    {"training"},
    {"saving", "summary", "verdicts"},
    {"models", "verify", "distributed"},
    {"pretraining", "plots"},
    {"language", "audio", "page"},
    {"finetuning", "stepper"},
    {"tasks", "course"},
    {"report", "report_text", "report_texts", "report_pairs", "report_multitask"},
    {"gallery"},
    {"runs"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_files(path: Path) -> set[Path]:
    """The files of minienc that a file imports, wherever in it, but for types alone.

    A name that a package's ``__init__`` hands on counts as that file. What is found by its name at
    run time (``importlib``: the door to ``fast/``, the pictures of a method) does not count.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: minienc is imported by full names"
            names.update(f"{node.module}.{a.name}" for a in node.names)
        elif isinstance(node, ast.Import):
            names.update(a.name for a in node.names)
    return {file for name in names if (file := file_of(name)) is not None} - {path}


def file_of(name: str) -> Path | None:
    """Where ``minienc.room.module``, or a name in it, is found; None outside minienc."""
    top, *parts = name.split(".")
    if top != "minienc":
        return None
    module = ROOT.joinpath(*parts)
    for candidate in (module / "__init__.py", module.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return file_of(name.rpartition(".")[0])


def imported_rooms(path: Path) -> set[str]:
    """Their rooms; the package's own ``__init__`` (the version, the public names) is none."""
    return {room_of(file) for file in imported_files(path)} - {"__init__"}


def test_no_import_points_up():
    for path in ROOT.rglob("*.py"):
        room = room_of(path)
        if room in ("__init__", "fast"):  # the door's two sides: names by name, asked at a call
            continue
        for other in imported_rooms(path):
            assert FLOOR[other] <= FLOOR[room], f"{path.relative_to(ROOT)} imports {other}"


def test_rooms_that_look_from_outside_are_imported_by_nothing_below():
    outside = {"verify", "plots", "page", "gallery", "report", "report_text", "stepper", "fast"}
    outside |= {"report_pairs", "report_multitask", "report_texts", "course"}
    for path in ROOT.rglob("*.py"):
        if room_of(path) in outside | {"runs", "cli", "commands", "__init__"}:
            continue
        assert not imported_rooms(path) & outside, path


def test_no_file_imports_itself_by_way_of_others():
    """No circle of imports between files: each can be read after those that it names."""
    imports = {path: imported_files(path) for path in ROOT.rglob("*.py")}
    reached = {path: set(files) for path, files in imports.items()}
    while any([_extend(files, reached) for files in reached.values()]):
        pass
    circles = {
        tuple(sorted(str(p.relative_to(ROOT)) for p in files if path in reached[p]))
        for path, files in reached.items()
        if path in files
    }
    assert not circles


def _extend(files: set[Path], reached: dict[Path, set[Path]]) -> bool:
    """Add what these files reach; whether anything was new."""
    before = len(files)
    files.update(*[reached[file] for file in files])
    return len(files) > before


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


def test_a_file_is_no_longer_than_one_reads_at_a_time():
    long = {}
    for most, kind in ((400, "*.py"), (500, "*.js")):
        for path in ROOT.rglob(kind):
            if (n := len(path.read_text(encoding="utf-8").splitlines())) > most:
                long[path.relative_to(ROOT).as_posix()] = n
    assert not long, "split them by subject"
