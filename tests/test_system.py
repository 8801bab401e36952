"""What `minienc info` and its functions say of a machine."""

from __future__ import annotations

import importlib
import os
import platform
import sys
import warnings

import numpy as np
import pytest

import minienc
import minienc.fast  # before a test changes a switch: what this registers outlives it
from minienc import cli, primitive, system
from minienc import kernel as kernel_room

SWITCHES = ("MINIENC_KERNEL", "MINIENC_REQUIRE_KERNEL")


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No switch is set, and no number of threads was said."""
    for name in (*SWITCHES, *system.THREAD_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(kernel_room, "_num_threads", None)


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    """Put a module in the kernel's place: its source, or None for no such module."""
    name = "kernel_of_this_test"
    monkeypatch.setattr(kernel_room, "KERNEL", name)
    monkeypatch.syspath_prepend(tmp_path)

    def install(source: str | None) -> None:
        if source is not None:
            (tmp_path / f"{name}.py").write_text(source)
        importlib.invalidate_caches()

    yield install
    sys.modules.pop(name, None)


LOADABLE = """
instruction_set = "avx2"
threads = None
def set_num_threads(n):
    global threads
    threads = n
"""


# ------------------------------------------------------------------------------------- the kernel


def test_no_kernel(kernel):
    kernel(None)
    info = kernel_room.kernel_info()
    assert (info["built"], info["loaded"], info["enabled"], info["required"]) == (0, 0, 1, 0)
    assert info["instruction_set"] is None
    assert "no compiled kernel is built" in info["reason"]


def test_a_kernel_that_serves(kernel, monkeypatch):
    kernel(LOADABLE)
    monkeypatch.setattr(primitive, "_fast", {"dense_forward": None, "dense_backward": None})
    info = kernel_room.kernel_info()
    assert info["built"] and info["loaded"]
    assert info["instruction_set"] == "avx2"
    assert info["serves"] == ("dense_backward", "dense_forward")
    assert info["reason"] == "in use for 2 of the functions"


def test_a_kernel_that_serves_nothing_is_not_said_to_be_in_use(kernel, monkeypatch):
    kernel(LOADABLE)
    monkeypatch.setattr(primitive, "_fast", {})
    info = kernel_room.kernel_info()
    assert info["loaded"] and not info["serves"]
    assert "uses none of it" in info["reason"]


def test_a_kernel_that_is_switched_off_is_not_even_loaded(kernel, monkeypatch):
    kernel("raise RuntimeError('nobody should have run this')")
    monkeypatch.setenv("MINIENC_KERNEL", "0")
    info = kernel_room.kernel_info()
    assert info["built"] and not info["enabled"] and not info["loaded"]
    assert "MINIENC_KERNEL=0" in info["reason"]


def test_a_kernel_that_cannot_be_loaded_says_why(kernel):
    kernel("raise ImportError('undefined symbol: sgemm')")
    info = kernel_room.kernel_info()
    assert info["built"] and not info["loaded"]
    assert "undefined symbol: sgemm" in info["reason"]


@pytest.mark.parametrize("source", [None, "raise ImportError('undefined symbol: sgemm')"])
def test_a_required_kernel_that_is_missing_or_broken_is_an_import_error(
    kernel, monkeypatch, source
):
    kernel(source)
    kernel_room.require_kernel()  # it is not required yet
    monkeypatch.setenv("MINIENC_REQUIRE_KERNEL", "1")
    assert kernel_room.kernel_info()["required"]
    reason = "undefined symbol" if source else "no compiled kernel is built"
    with pytest.raises(ImportError, match=f"MINIENC_REQUIRE_KERNEL=1, but .*{reason}"):
        kernel_room.require_kernel()
    with pytest.raises(ImportError, match="MINIENC_REQUIRE_KERNEL"):
        importlib.reload(minienc)


@pytest.mark.parametrize("switch", ["0", "1"])
def test_a_required_kernel_that_is_there_will_do(kernel, monkeypatch, switch):
    kernel(LOADABLE)
    monkeypatch.setenv("MINIENC_REQUIRE_KERNEL", "1")
    monkeypatch.setenv("MINIENC_KERNEL", switch)
    kernel_room.require_kernel()


# ------------------------------------------------------------------------------------ the threads


def test_threads_are_what_was_set_else_the_variable_else_the_processors(kernel, monkeypatch):
    kernel(LOADABLE)
    assert kernel_room.get_num_threads() == kernel_room.usable_cpus() >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert kernel_room.get_num_threads() == 3
    for nonsense in ("", "0", "many", "-2"):
        monkeypatch.setenv("OMP_NUM_THREADS", nonsense)
        assert kernel_room.get_num_threads() == kernel_room.usable_cpus()
    kernel_room.set_num_threads(np.int64(5))
    assert kernel_room.get_num_threads() == 5
    assert sys.modules[kernel_room.KERNEL].threads == 5


def test_without_a_kernel_a_number_of_threads_is_kept_with_a_warning(kernel):
    kernel(None)
    with pytest.warns(UserWarning, match=r"nothing follows the 2 .*OMP_NUM_THREADS") as caught:
        kernel_room.set_num_threads(2)
    assert caught[0].filename == __file__  # it points at the caller's line
    assert kernel_room.get_num_threads() == 2


@pytest.mark.parametrize(
    ("n", "error"), [(0, ValueError), (-1, ValueError), (1.0, TypeError), (True, TypeError)]
)
def test_a_number_of_threads_that_is_none_is_refused(n, error):
    with pytest.raises(error, match=r"set_num_threads: n is .*expected a whole number from 1"):
        kernel_room.set_num_threads(n)
    assert kernel_room.get_num_threads() == kernel_room.usable_cpus()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone")
def test_processors_are_those_that_may_be_used():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert kernel_room.usable_cpus() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert kernel_room.usable_cpus() == len(allowed)


# ------------------------------------------------------------------------------------- everything


def test_the_page_says_what_the_dictionary_holds(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    info = system.system_info()
    assert info["minienc"] == minienc.__version__
    assert info["python"]["version"] == platform.python_version()
    assert info["numpy"]["version"] == np.__version__
    assert info["threads"]["OPENBLAS_NUM_THREADS"] == "7"
    assert info["packages"]["matplotlib"]

    text = system.format_info(info)
    for expected in (
        minienc.__version__,
        sys.executable,
        np.__version__,
        info["machine"]["system"],
        f"{kernel_room.usable_cpus()} usable",
        info["kernel"]["reason"],
        info["gpu"]["reason"],
        "OPENBLAS_NUM_THREADS=7",
        f"matplotlib {info['packages']['matplotlib']}",
    ):
        assert expected in text
    starts = {len(line) - len(line.split("  ", 1)[1].lstrip()) for line in text.splitlines()}
    assert len(starts) == 1  # one column


def test_a_numpy_that_does_not_say_how_it_was_built(monkeypatch):
    monkeypatch.setattr(np, "show_config", lambda mode: {})
    assert "an unknown library" in system.format_info(system.system_info())


def test_the_command_prints_it(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cli.main(["info"]) == 0
    assert capsys.readouterr().out.startswith("minienc")
