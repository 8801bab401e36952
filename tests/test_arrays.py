"""Where arrays live, and that the mathematics asks instead of assuming."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from minienc import primitive
from minienc.arrays import get_array_module, is_array, rows_at, to_device, to_numpy, zeros_aligned
from minienc.data import Pixels
from tests.guard_array import guard_module, to_guard


@pytest.fixture(autouse=True)
def definitions_alone(monkeypatch):
    """What runs on foreign arrays is compared bit by bit; a kernel may sum in another order."""
    if primitive._door is None:
        primitive.open_the_door()
    monkeypatch.setattr(primitive, "_fast", {})


def test_the_module_is_decided_by_the_arrays_types():
    assert get_array_module() is np
    assert get_array_module(1.5, None, "relu") is np
    assert get_array_module(None, np.zeros(2)) is np
    assert get_array_module(2.0, to_guard(np.zeros(2))) is guard_module
    assert is_array(np.zeros(2)) and is_array(to_guard(np.zeros(2))) and not is_array([0.0])


def test_arrays_of_two_kinds_are_refused_by_position():
    with pytest.raises(
        TypeError,
        match=r"argument 0 is a numpy.ndarray on cpu, argument 2 a .*GuardArray on guard",
    ):
        get_array_module(np.zeros(2), 3.0, to_guard(np.zeros(2)))


def test_memory_maps_are_numpy(tmp_path):
    m = np.memmap(tmp_path / "x", dtype="float32", mode="w+", shape=(2,))
    assert get_array_module(m) is np


def test_going_home_and_devices():
    np.testing.assert_array_equal(to_numpy(to_guard(np.arange(3))), np.arange(3))
    x = np.zeros(2)
    assert to_device(x, "cpu") is x
    with pytest.raises(ValueError, match="device is 'tpu', expected \"cpu\""):
        to_device(x, "tpu")


def test_rows_are_taken_where_they_live():
    x, chosen = np.arange(12).reshape(4, 3), np.array([2, 0])
    for found in (rows_at(x, chosen, "float32"), rows_at(to_guard(x), chosen, "float32")):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(to_numpy(found), x[[2, 0]])
    assert rows_at(to_guard(x), slice(1, 3)).shape == (2, 3)
    assert rows_at(Pixels(x.astype("uint8")), chosen).max() <= 1


def test_asking_does_not_import_cupy_or_jax():
    code = (
        "import sys, numpy as np; from minienc.arrays import get_array_module;"
        "get_array_module(np.zeros(2)); assert not {'cupy', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_guard_refuses_what_cupy_refuses():
    g = to_guard(np.ones(2))
    for wrong in (
        lambda: np.asarray(g),
        lambda: np.exp(g),
        lambda: np.concatenate([g, g]),
        lambda: g + np.ones(2),
        lambda: np.ones(2) * g,
    ):
        with pytest.raises(TypeError):
            wrong()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_vectors_begin_at_a_cache_line(dtype):
    for n in (0, 1, 100, 100_003):
        vector = zeros_aligned(np, n, dtype)
        assert vector.shape == (n,) and vector.dtype == dtype and not vector.any()
        assert vector.flags.c_contiguous and vector.flags.writeable
        assert n == 0 or vector.__array_interface__["data"][0] % 64 == 0
