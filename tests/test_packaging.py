"""What an installation holds, how the kernel gets into it, and what `make` says when it cannot."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
import zipfile
from pathlib import Path

import pytest

import minienc

ROOT = Path(__file__).parents[1]
BUILD_FILES = ("setup.py", "pyproject.toml", "README.md", "LICENSE")


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run a command; the environment is ours, without the switches that change a build."""
    switches = ("MINIENC_REQUIRE_KERNEL", "MINIENC_KERNEL", "MINIENC_PURE")
    switches += ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    kept = {name: value for name, value in os.environ.items() if name not in switches}
    return subprocess.run(
        command, cwd=cwd, env=kept | environment, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def builder() -> None:
    """What an isolated build has: the tests that build need it here."""
    pytest.importorskip("setuptools", minversion="77", reason="pip install 'minienc[test]'")
    pytest.importorskip("Cython", reason="pip install 'minienc[test]'")


# ------------------------------------------------------------------------------- what is installed


def make_wheel(folder: Path, leave_out: tuple[str, ...], **environment: str) -> Path:
    """The wheel of a copy of the package."""
    for name in BUILD_FILES:
        shutil.copy(ROOT / name, folder)
    ignore = shutil.ignore_patterns("__pycache__", *leave_out)
    shutil.copytree(ROOT / "minienc", folder / "minienc", ignore=ignore)
    (folder / "tests").mkdir()
    (folder / "tests" / "__init__.py").touch()  # a folder that must stay outside
    program = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    result = run(sys.executable, "-c", program, cwd=folder, **environment)
    assert result.returncode == 0, result.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def test_a_wheel_holds_the_whole_package_and_nothing_else(builder, tmp_path):
    wheel = make_wheel(tmp_path, ("*.so", "*.pyd"))
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        expected = {
            path.relative_to(tmp_path).as_posix()
            for path in (tmp_path / "minienc").rglob("*")
            if path.is_file()
        }
        assert inside == expected
        for name in ("minienc/data/digits.npz", "minienc/data/digits.txt", "minienc/py.typed"):
            assert archive.read(name) == (ROOT / name).read_bytes()
        (entry_points,) = (n for n in archive.namelist() if n.endswith("entry_points.txt"))
        assert "minienc = minienc.cli:main" in archive.read(entry_points).decode()


def test_a_wheel_holds_the_exercises(builder, tmp_path):
    source = ROOT / "tutorials" / "exercises"
    shutil.copytree(source, tmp_path / "tutorials" / "exercises")
    wheel = make_wheel(tmp_path, (), MINIENC_PURE="1")
    with zipfile.ZipFile(wheel) as archive:
        for path in source.glob("e[0-9][0-9]_*.py"):
            assert archive.read(f"minienc/course/exercises/{path.name}") == path.read_bytes()


def test_a_pure_wheel_fits_every_system_though_a_kernel_could_be_built(builder, tmp_path):
    shutil.copytree(ROOT / "kernels", tmp_path / "kernels")
    wheel = make_wheel(tmp_path, (), MINIENC_PURE="1")  # a kernel that was built lies there, too
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if name.endswith((".so", ".pyd", ".c"))]


def test_the_version_is_the_same_wherever_it_is_written():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == minienc.__version__


def test_importing_minienc_loads_nothing_optional():
    program = "import sys, minienc; print(*sys.modules)"
    result = run(sys.executable, "-c", program, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    loaded = {name.partition(".")[0] for name in result.stdout.split()}
    assert "minienc" in loaded
    assert not loaded & {"matplotlib", "tqdm", "PIL", "pooch", "safetensors", "cupy", "scipy"}


# ----------------------------------------------------------------------------- how a kernel gets in

SOURCE = """
    # distutils: sources = kernels/thrice.c
    cdef extern from "twice.h":
        double twice(double x)
        double thrice(double x)


    def five_times(double x):
        return twice(x) + thrice(x)
"""


def build_kernel(folder: Path, *, source: bool, **environment: str) -> subprocess.CompletedProcess:
    """Build a small package that has our setup.py, and a kernel or none."""
    shutil.copy(ROOT / "setup.py", folder)
    (folder / "pyproject.toml").write_text('[project]\nname = "minienc"\nversion = "0"\n')
    (folder / "kernels").mkdir()
    if source:
        (folder / "kernels" / "_kernels.pyx").write_text(textwrap.dedent(SOURCE))
        (folder / "kernels" / "twice.h").write_text(
            "static double twice(double x) { return 2 * x; }\ndouble thrice(double x);\n"
        )
        (folder / "kernels" / "thrice.c").write_text("double thrice(double x) { return 3 * x; }\n")
    return run(
        sys.executable, "setup.py", "build_ext", "--build-lib", "out", cwd=folder, **environment
    )


def built(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("out/minienc/_kernels.*")]


def test_without_a_source_there_is_nothing_to_build(builder, tmp_path):
    result = build_kernel(tmp_path, source=False)
    assert result.returncode == 0, result.stderr
    assert not built(tmp_path)


def test_without_a_source_a_required_kernel_is_an_error(builder, tmp_path):
    result = build_kernel(tmp_path, source=False, MINIENC_REQUIRE_KERNEL="1")
    assert result.returncode != 0
    assert "kernels/ holds no .pyx" in result.stderr


def test_a_pure_build_builds_none_and_cannot_require_one(builder, tmp_path):
    result = build_kernel(tmp_path, source=True, MINIENC_PURE="1")
    assert result.returncode == 0, result.stderr
    assert not built(tmp_path)
    both = {"MINIENC_PURE": "1", "MINIENC_REQUIRE_KERNEL": "1"}
    result = run(sys.executable, "setup.py", "build_ext", cwd=tmp_path, **both)
    assert result.returncode != 0
    assert "MINIENC_PURE=1 leaves out what MINIENC_REQUIRE_KERNEL=1 asks for" in result.stderr


def test_where_the_compiler_fails_the_kernel_is_left_out(builder, tmp_path):
    result = build_kernel(tmp_path, source=True, CC="false", CFLAGS="")
    assert result.returncode == 0, result.stderr
    assert not built(tmp_path)


def test_where_the_compiler_fails_a_required_kernel_is_an_error(builder, tmp_path):
    result = build_kernel(tmp_path, source=True, CC="false", MINIENC_REQUIRE_KERNEL="1")
    assert result.returncode != 0
    assert not built(tmp_path)


@pytest.mark.skipif(
    shutil.which(os.environ.get("CC", "cc").split()[0]) is None, reason="needs a C compiler"
)
def test_a_kernel_is_built_from_cython_a_header_and_c(builder, tmp_path):
    result = build_kernel(tmp_path, source=True, MINIENC_REQUIRE_KERNEL="1", CFLAGS="-O0")
    assert result.returncode == 0, result.stderr
    assert len(built(tmp_path)) == 1
    program = "import minienc._kernels as k; print(k.five_times(0.5))"
    assert run(sys.executable, "-c", program, cwd=tmp_path / "out").stdout == "2.5\n"

    commands = [line for line in result.stdout.splitlines() if "_kernels" in line and "-o" in line]
    assert len(commands) >= 2  # compiling and linking
    assert not any("-ffast-math" in line for line in commands)
    assert [path.name for path in tmp_path.glob("kernels/*.c")] == ["thrice.c"]  # none generated


# -------------------------------------------------------------------------- wheels with the kernel

# cibuildwheel's options of these kinds, https://cibuildwheel.pypa.io/en/stable/options/
OPTIONS = {
    "build", "skip", "build-frontend", "environment", "test-extras", "test-sources", "test-command",
    "archs", "linux", "macos", "windows",
}  # fmt: skip


def test_cibuildwheel_is_told_what_it_knows():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    told = project["tool"]["cibuildwheel"]
    for table in (told, told["linux"], told["macos"]):
        assert table.keys() <= OPTIONS
    assert told["environment"] == {"MINIENC_REQUIRE_KERNEL": "1"}  # never a wheel without it
    assert set(told["test-extras"]) <= project["project"]["optional-dependencies"].keys()
    for name in (*told["test-sources"], *re.findall(r"tests/\S+", told["test-command"])):
        assert (ROOT / name).exists(), name
    oldest = project["project"]["requires-python"].removeprefix(">=").replace(".", "")
    assert told["build"][0] == f"cp{oldest}-*"


def test_pyproject_is_valid_by_the_schemas_of_the_tools_that_it_configures():
    pytest.importorskip("validate_pyproject", reason="pip install 'minienc[test]'")
    from validate_pyproject import api, errors

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    validate = api.Validator()
    validate(project)
    project["tool"]["cibuildwheel"]["archs"] = 64
    with pytest.raises(errors.ValidationError):
        validate(project)


# ----------------------------------------------------------------------------------- what make says


@pytest.fixture
def make(tmp_path):
    """Call make with our Makefile, in a folder that holds nothing else."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    shutil.copy(ROOT / "Makefile", tmp_path)
    return lambda *arguments: run("make", *arguments, cwd=tmp_path)


def test_make_alone_says_what_there_is_and_makes_nothing(make, tmp_path):
    result = make()
    assert result.returncode == 0
    said = set(re.findall(r"^make ([\w-]+)", result.stdout, flags=re.MULTILINE))
    phony = (tmp_path / "Makefile").read_text().split(".PHONY:")[1].splitlines()[0].split()
    assert said == set(phony) - {"help"}
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]


def test_a_python_that_is_missing_is_named(make, tmp_path):
    result = make("demo", "PYTHON=python-of-tomorrow")
    assert result.returncode != 0
    assert "there is no python-of-tomorrow here" in result.stdout
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("fails_when_asked_for", "says"),
    [
        ("version_info", "is Python 3.8.1; choose another one: make PYTHON="),
        ("ensurepip", "apt-get install python3-venv"),
    ],
)
def test_a_python_that_cannot_serve_is_refused(make, tmp_path, fails_when_asked_for, says):
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in\n  --version) echo Python 3.8.1;;\n'
        f"  *{fails_when_asked_for}*) exit 1;;\nesac\n"
    )
    python.chmod(0o755)
    result = make("demo", f"PYTHON={python}")
    assert result.returncode != 0
    assert says in result.stdout
    assert not (tmp_path / ".venv").exists()
