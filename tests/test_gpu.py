"""What is said of GPUs, with and without CuPy and a driver."""

from __future__ import annotations

import importlib
import importlib.util
import sys

import pytest

from minienc import arrays, gpu

CUPY = """
__version__ = "14.0"
class cuda:
    class nvrtc:
        def getVersion():
            {nvrtc}
    class runtime:
        def runtimeGetVersion():
            return 13000
        def getDeviceCount():
            {count}
        def getDeviceProperties(i):
            return dict(name=b"H200")
"""
WORKS = {"count": "return 2", "nvrtc": "return 13, 0"}


@pytest.fixture
def cupy(monkeypatch, tmp_path):
    """Put a module in CuPy's place."""
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(gpu, "cuda_driver", lambda: None)

    def install(source: str) -> None:
        (tmp_path / "cupy.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()

    yield install
    sys.modules.pop("cupy", None)


def without_cupy(monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "cupy" else find_spec(name)
    )


def test_the_gpus_that_cupy_finds_are_named(cupy, monkeypatch):
    cupy(CUPY.format(**WORKS))
    monkeypatch.setattr(gpu, "cuda_driver", lambda: "13.1")
    monkeypatch.setattr(gpu, "find_cublas", lambda major: None)
    info = gpu.gpu_info()
    assert info["devices"] == ("H200", "H200")
    assert info["why_not"] is None
    assert info["reason"] == "H200, H200; CuPy 14.0 for CUDA 13.0, driver for 13.1"


@pytest.mark.parametrize("count", ["raise RuntimeError('cudaErrorNoDevice: none\\nand more')"])
def test_cupy_without_a_gpu_says_what_it_met(cupy, count):
    cupy(CUPY.format(**WORKS | {"count": count}))
    info = gpu.gpu_info()
    assert (info["cupy"], info["cuda"], info["devices"]) == ("14.0", "13.0", ())
    assert "finds no GPU (cudaErrorNoDevice: none); " in info["reason"]
    assert "\n" not in info["reason"]


def no_cublas(major):
    raise OSError(f"libcublas.so.{major} is nowhere")


@pytest.mark.parametrize(
    ("nvrtc", "find_cublas", "says"),
    [
        (
            "raise RuntimeError('no libnvrtc.so.13\\nand more')",
            lambda major: None,
            "no libnvrtc.so.13",
        ),
        ("return 13, 0", no_cublas, "libcublas.so.13 is nowhere"),
    ],
)
def test_a_library_that_is_not_there_is_told_of_before_anything_computes(
    cupy, monkeypatch, nvrtc, find_cublas, says
):
    cupy(CUPY.format(**WORKS | {"nvrtc": nvrtc}))
    monkeypatch.setattr(gpu, "cuda_driver", lambda: "13.1")
    monkeypatch.setattr(gpu, "find_cublas", find_cublas)
    monkeypatch.setattr(arrays, "_gpus_seen", set())
    expected = (
        f"CuPy 14.0 lacks a library of CUDA 13 ({says}); pip install 'cupy-cuda13x[ctk]' brings it"
    )
    assert gpu.gpu_info()["why_not"] == expected
    with pytest.raises(RuntimeError) as raised:
        arrays.check_device("cuda")
    assert str(raised.value) == f"device 'cuda' cannot be used: {expected}"


def test_cublas_is_looked_for_where_the_system_has_it(monkeypatch, tmp_path):
    """And where it is nowhere, the message names it."""
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", None)
    monkeypatch.setenv("CUDA_PATH", str(tmp_path))
    tried = []

    def load(name):
        tried.append(name)
        if not found:
            raise OSError(name)
        return "cuBLAS"

    monkeypatch.setattr(gpu.ctypes, "CDLL", load)
    monkeypatch.delattr(gpu.ctypes, "WinDLL", raising=False)
    found = False
    with pytest.raises(OSError, match=r"libcublas\.so\.13 is neither"):
        gpu.find_cublas.__wrapped__(13)
    folder = str(tmp_path / "lib64")
    assert tried == [
        *("libcublas.so.13", "libcublas.so"),
        *(f"{folder}/libcublas.so.13", f"{folder}/libcublas.so"),
    ]
    found = True
    assert gpu.find_cublas.__wrapped__(13) == "cuBLAS"


def test_a_damaged_cupy_is_told_of(cupy):
    cupy("raise ImportError('libcublas.so.13: no such file')")
    assert "CuPy finds no GPU (libcublas.so.13: no such file)" in gpu.gpu_info()["why_not"]


@pytest.mark.parametrize(
    ("driver", "mend"),
    [
        ("13.0", "pip install 'minienc[gpu]'"),
        ("12.4", "pip install 'cupy-cuda12x[ctk]'"),
        ("14.2", "pip install 'minienc[gpu]'"),
        ("11.8", "CuPy needs one for CUDA 12 or newer"),
        (None, "no NVIDIA driver"),
    ],
)
def test_without_cupy_the_mend_fits_the_driver(monkeypatch, driver, mend):
    without_cupy(monkeypatch)
    monkeypatch.setattr(gpu, "cuda_driver", lambda: driver)
    info = gpu.gpu_info()
    assert info["driver"] == driver
    assert "CuPy is not installed" in info["reason"] and mend in info["why_not"]
    assert "cupy" not in sys.modules
