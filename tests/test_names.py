"""Every name of ``xp.<name>`` in the source, and every array's method, is one that CuPy has.

CuPy imports without a GPU. Where it is installed (the tests' extra has it where it comes as a
wheel), the source is held against the package itself; and everywhere against
``tests/data/cupy_names.txt``, a list of what a CuPy has, which ``guard_array.py`` goes by, too. For
a new version of CuPy it is written anew by ``python -m tests.test_names``.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import warnings
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests import cuda_double

ROOT = Path(__file__).parent.parent
FOR_CUPY = tuple(f"fast/{name}.py" for name in cuda_double.FOR_CUPY)
LIST = ROOT / "tests" / "data" / "cupy_names.txt"
SOURCES = sorted((ROOT / "minienc").rglob("*.py"))
COMPUTING = ("functions", "layers", "training")  # the rooms where arrays of a device are at work
MODULES = ("linalg", "fft", "lib.stride_tricks")  # within CuPy's own
UFUNC_KEYWORDS = {"out", "dtype", "casting"}

# of which ufuncs CuPy carries a method out; that of another one raises NotImplementedError
UFUNC_METHODS = {
    "at": ("add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor"),
    "reduce": ("add", "multiply"),
    "accumulate": ("add", "multiply"),
}

needs_cupy = pytest.mark.skipif(
    importlib.util.find_spec("cupy") is None, reason="needs CuPy: pip install cupy-cuda13x"
)


# ------------------------------------------------------------------------------------ the list


def names_of_cupy() -> list[str]:
    """The lines of the list: each name of the module and of its arrays, with its arguments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a driver that is not there
        import cupy

    lines = [f"# CuPy {cupy.__version__}: what the module and its arrays have"]
    for path in ("", *(f"{module}." for module in MODULES)):
        module = attrgetter(path[:-1])(cupy) if path else cupy
        for name in sorted(n for n in dir(module) if not n.startswith("_") and n != "annotations"):
            value = getattr(module, name)
            if isinstance(value, cupy.ufunc):
                lines.append(f"ufunc {path}{name}")
                lines += [f"name {name}.{m}" for m, of in UFUNC_METHODS.items() if name in of]
            elif inspect.isfunction(value):
                lines.append(f"function {path}{name}({', '.join(_arguments(value))})")
            elif not inspect.ismodule(value):
                lines.append(f"name {path}{name}")
    for name in sorted(dir(cupy.ndarray)):
        described = re.match(r"_ndarray_base\.\w+\((.*?)\)( ->.*)?$", _first_line(cupy, name))
        special = name.startswith("__")
        if described and not special:
            lines.append(f"method {name}({', '.join(_words(described[1]))})")
        elif special or not name.startswith("_"):
            lines.append(f"attribute {name}")
    return lines


def _arguments(function: object) -> list[str]:
    parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [f"{stars.get(p.kind, '')}{p.name}" for p in parameters]


def _words(described: str) -> list[str]:
    """The arguments of a method that is compiled, as the first line of its docstring has them."""
    words = [part.split("=")[0].split()[-1] for part in described.split(",") if part.strip()]
    return [word for word in words if word != "self"]


def _first_line(cupy: object, name: str) -> str:
    text = getattr(cupy.ndarray, name).__doc__  # type: ignore[attr-defined]
    return text.split("\n")[0] if isinstance(text, str) else ""


class Names(NamedTuple):
    """What CuPy has; the arguments of a function or method, None where they are not known."""

    module: dict[str, tuple[str, ...] | None]
    array: dict[str, tuple[str, ...] | None]
    ufuncs: frozenset[str]


def read_list(lines: list[str] | None = None) -> Names:
    """The committed list, or another."""
    names = Names({}, {}, frozenset())
    ufuncs = set()
    for line in (LIST.read_text().splitlines() if lines is None else lines)[1:]:
        kind, name, arguments = re.fullmatch(r"(\w+) ([\w.]+)(?:\((.*)\))?", line).groups()
        given = None if arguments is None else tuple(a for a in arguments.split(", ") if a)
        (names.array if kind in ("method", "attribute") else names.module)[name] = given
        if kind == "ufunc":
            ufuncs.add(name)
    return names._replace(ufuncs=frozenset(ufuncs))


# -------------------------------------------------------------------------------- what is called


class Use(NamedTuple):
    """A name where the source uses it."""

    where: str
    name: str
    keywords: tuple[str, ...] = ()


def used_names(tree: ast.AST, where: str, of: str = "xp") -> Iterator[Use]:
    """Every ``xp.<name>``, ``xp.<name>.<name>`` and ``get_array_module(...).<name>``; of another
    name than xp, every name beneath that."""
    calls = {id(n.func): n for n in ast.walk(tree) if isinstance(n, ast.Call)}
    inner = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            path = _path(node, of)
            if path:
                yield Use(f"{where}:{node.lineno}", path, _keywords(calls.get(id(node))))


def _path(node: ast.expr, of: str = "xp") -> str:
    """ "add.at" of ``xp.add.at``; "" where the base is no array module."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    is_it = isinstance(node, ast.Name) and node.id == of
    is_found = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "get_array_module"
    return ".".join(names) if is_it or (is_found and of == "xp") else ""


def _keywords(call: ast.Call | None) -> tuple[str, ...]:
    return () if call is None else tuple(k.arg for k in call.keywords if k.arg)


def used_methods(tree: ast.AST, where: str) -> Iterator[Use]:
    """What is asked of any value by a name that NumPy's arrays have: it may be an array."""
    calls = {id(n.func): n for n in ast.walk(tree) if isinstance(n, ast.Call)}
    of_arrays = {name for name in dir(np.ndarray) if not name.startswith("_")}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or node.attr not in of_arrays:
            continue
        if isinstance(node.value, ast.Name) and node.value.id in ("xp", "np", "math", "cupy"):
            continue
        if isinstance(node.value, ast.Attribute) and _path(node.value):
            continue
        yield Use(f"{where}:{node.lineno}", node.attr, _keywords(calls.get(id(node))))


def _trees(rooms: tuple[str, ...] = ()) -> Iterator[tuple[str, ast.Module]]:
    """The files of these rooms, or these files; without any, all of them."""
    for path in SOURCES:
        where = path.relative_to(ROOT / "minienc")
        if not rooms or where.parts[0] in rooms or where.as_posix() in rooms:
            yield where.as_posix(), ast.parse(path.read_text())


def unknown(uses: Iterator[Use], known: dict, ufuncs: frozenset[str] = frozenset()) -> list[str]:
    """Of these, what CuPy has not: the name, or an argument of it."""
    found = []
    for use in uses:
        if use.name not in known:
            found.append(f"{use.where}: CuPy has no {use.name}")
            continue
        takes = known[use.name]
        if use.name in ufuncs:
            takes = tuple(UFUNC_KEYWORDS)
        if takes is not None and not any(a.startswith("**") for a in takes):
            found += [
                f"{use.where}: CuPy's {use.name} takes no {k}="
                for k in use.keywords
                if k not in takes
            ]
    return found


# ------------------------------------------------------------------------------------- the tests


def test_the_list_was_made_by_a_cupy_of_this_project():
    assert re.match(r"# CuPy 1[4-9]\.\d+", LIST.read_text())


@needs_cupy
def test_the_list_is_what_its_cupy_has():
    """Of another version than the list's, the tests below look at what is used of it."""
    lines, found = LIST.read_text().splitlines(), names_of_cupy()
    assert lines[0] != found[0] or lines == found, "run python -m tests.test_names"


@pytest.fixture(params=["listed", pytest.param("installed", marks=needs_cupy)])
def names(request):
    """What CuPy has: by the list, and by the package."""
    return read_list(names_of_cupy() if request.param == "installed" else None)


def test_every_name_of_the_array_module_is_in_cupy(names):
    uses = [use for where, tree in _trees() for use in used_names(tree, where)]
    assert {"exp", "where", "take_along_axis", "full_like", "isfinite"} <= {u.name for u in uses}
    assert unknown(iter(uses), names.module, names.ufuncs) == []


def test_every_method_of_an_array_is_in_cupy(names):
    uses = [use for where, tree in _trees(COMPUTING) for use in used_methods(tree, where)]
    assert {"sum", "max", "reshape", "astype", "copy", "argmax"} <= {u.name for u in uses}
    assert unknown(iter(uses), names.array) == []


@needs_cupy
@pytest.mark.parametrize("package", ["cupy", "cupyx"])
def test_what_is_written_for_cupy_alone_asks_for_what_it_has(package):
    """Streams, graphs, pinned memory: every name beneath the package, and its arguments."""
    module, found = importlib.import_module(package), []
    files = dict(_trees((*FOR_CUPY, "arrays.py", "gpu.py")))
    files["benchmarks/gpu.py"] = ast.parse((ROOT / "benchmarks" / "gpu.py").read_text())
    uses = [use for where, tree in files.items() for use in used_names(tree, where, of=package)]
    assert {"cupy": "cuda.using_allocator", "cupyx": "empty_pinned"}[package] in {
        use.name for use in uses
    }
    for use in uses:
        try:
            takes = _takes(attrgetter(use.name)(module))
        except AttributeError as error:
            found.append(f"{use.where}: {error}")
        else:
            found += unknown(iter([use]), {use.name: takes})
    assert found == []


def _takes(value: object) -> tuple[str, ...] | None:
    """A callable's arguments, by its signature or the first line of its docstring."""
    try:
        return tuple(_arguments(value))
    except (TypeError, ValueError):
        described = re.match(
            r"[\w.]+\((.*)\)", (getattr(value, "__doc__", None) or "").split("\n")[0]
        )
        return tuple(w for w in _words(described[1]) if w != "*") if described else None


@needs_cupy
@pytest.mark.parametrize("name", ["Stream", "Event", "Graph", "Device", "MemoryPool"])
def test_what_the_stand_in_is_asked_for_the_real_one_has(name):
    """What of a class of ``cuda_double`` the source uses, CuPy's class of that name has, too."""
    cupy, stand_in = importlib.import_module("cupy"), getattr(cuda_double, name)
    used = {
        node.attr
        for _, tree in _trees((*FOR_CUPY, "arrays.py"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
    }
    asked = {n for n in vars(stand_in) if n in used and not n.startswith("_")}
    real = getattr(cupy.cuda, name)
    documented = set(re.findall(rf"~{name}\.(\w+)", real.__doc__))  # what each one has of its own
    assert asked and asked <= {*dir(real), *documented}


@needs_cupy
@pytest.mark.parametrize("real", ["float", "double"])
@pytest.mark.parametrize("card", ["sm_80", "sm_90"])
def test_nvidias_compiler_takes_the_kernels_without_a_word(card, real):
    """NVRTC, which compiles them at their first use, with the options that CuPy adds."""
    from cupy.cuda import nvrtc

    try:
        nvrtc.getVersion()
    except Exception as error:
        pytest.skip(f"needs NVRTC: pip install nvidia-cuda-nvrtc ({type(error).__name__})")
    source = (ROOT / "minienc" / "fast" / "cuda.cu").read_text()
    program = nvrtc.createProgram(source, "cuda.cu", (), ())
    options = f"-DREAL={real}", "-std=c++17", f"-arch={card}", "-ftz=true"
    try:
        nvrtc.compileProgram(program, (*options, "--device-as-default-execution-space"))
        compiled = nvrtc.getCUBIN(program)
    finally:
        said = nvrtc.getProgramLog(program)
        nvrtc.destroyProgram(program)
    assert said.strip("\n\0") == ""
    for kernel in re.findall(r"^KERNEL (\w+)\(", source, re.MULTILINE):
        assert f".text.{kernel}\0".encode() in compiled


def test_nothing_is_multiplied_in_place_as_a_matrix():
    """CuPy's arrays lack it: ``W @= Q`` would bind the name to another array, and leave W."""
    assert "__imatmul__" not in read_list().array and "__iadd__" in read_list().array
    for where, tree in _trees():
        for node in ast.walk(tree):
            is_matmul = isinstance(node, ast.AugAssign) and isinstance(node.op, ast.MatMult)
            assert not is_matmul, f"{where}:{node.lineno}"


def test_an_array_module_is_always_called_xp():
    """Else the walk above would not see what is taken from it."""
    for where, tree in _trees(COMPUTING):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
                continue
            if getattr(node.value.func, "id", "") == "get_array_module":
                names = [getattr(target, "id", "") for target in node.targets]
                assert names == ["xp"], f"{where}:{node.lineno}"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("y = xp.vecdot(x, x)", "CuPy has no vecdot"),
        ("y = get_array_module(x).block([x])", "CuPy has no block"),
        ("xp.divide.at(x, i, 1)", "CuPy has no divide.at"),
        ("y = xp.exp(x, where=x > 0)", "CuPy's exp takes no where="),
        ("y = xp.sum(x, initial=0)", "CuPy's sum takes no initial="),
        ("y = x.sum(where=x > 0)", "CuPy's sum takes no where="),
        ("x.setflags(write=False)", "CuPy has no setflags"),
        ("xp.add.at(x, i, 1); y = xp.linalg.norm(x); y = x.max(axis=0)", ""),
    ],
)
def test_what_cupy_lacks_is_found(line, says):
    names, tree = read_list(), ast.parse(line)
    found = unknown(used_names(tree, "here"), names.module, names.ufuncs)
    found += unknown(used_methods(tree, "here"), names.array)
    assert found == ([f"here:1: {says}"] if says else [])


if __name__ == "__main__":
    LIST.write_text("\n".join(names_of_cupy()) + "\n")
