"""Modules whose order a file has lost: found by their names, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.layers import Dense, Input
from minienc.models import Sequential, load_torch, to_torch
from minienc.models.module_names import is_sorted

N = 12  # "10" stands before "2"


def square(n, name=None):
    """Layers of one shape, so that any order fits."""
    return Sequential([Input((2,)), *[Dense(2, name=name and f"{name}_{k}") for k in range(n)]])


def numbered(prefix, n):
    """{"prefix0.weight": zeros, ...}, each with its number, as ``state_dict`` has them."""
    found = {}
    for k in range(n):
        found[f"{prefix}{k}.weight"] = np.full((2, 2), float(k))
        found[f"{prefix}{k}.bias"] = np.full(2, float(k))
    return found


def first_numbers(model):
    return [w.flat[0] for w in model.get_weights()[::2]]


@pytest.mark.parametrize("prefix", ["", "net."])
def test_numbered_modules_of_a_file(prefix, tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    weights = numbered(prefix, N)
    safetensors.save_file(weights, tmp_path / "w.safetensors")
    read = safetensors.load_file(tmp_path / "w.safetensors")
    for given in (weights, read, tmp_path / "w.safetensors", str(tmp_path / "w.safetensors")):
        model = square(N)
        load_torch(model, given)
        assert first_numbers(model) == list(range(N))


def test_our_own_names_come_back_from_a_file(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    model = square(N, "unit")
    safetensors.save_file(to_torch(model), tmp_path / "w.safetensors")
    twin = square(N, "unit")
    load_torch(twin, tmp_path / "w.safetensors")
    for one, two in zip(twin.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_other_names_need_a_mapping():
    weights = {
        "decoder.bias": np.ones(2),
        "decoder.weight": np.ones((2, 2)),
        "encoder.bias": np.zeros(2),
        "encoder.weight": np.zeros((2, 2)),
    }
    model = square(2, "unit")
    with pytest.raises(ValueError, match=r"names are sorted \(decoder, encoder\).*unit_0, unit_1"):
        load_torch(model, weights)
    load_torch(model, weights, {"unit_0": "encoder", "unit_1": "decoder"})
    assert first_numbers(model) == [0, 1]
    as_made = {k: weights[k] for k in ("encoder.weight", "encoder.bias", *list(weights)[1::-1])}
    load_torch(square(2), as_made)  # PyTorch's own order is believed


def test_what_a_file_looks_like():
    assert is_sorted(["0.bias", "0.weight", "10.bias", "10.weight", "2.bias", "2.weight"])
    assert not is_sorted(["0.weight", "0.bias", "1.weight", "1.bias"])
    assert not is_sorted(["a.weight", "b.weight"])  # nothing speaks against it
