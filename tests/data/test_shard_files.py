"""What shards can be files of: each format gives the samples that its own reader gives."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from minienc.data import load_dataset, open_shards, read_image_folder
from minienc.data import shard_files as module
from tests.data.test_shards import fitted, make


def make_bytes(i, most=256):
    return np.random.default_rng(i).integers(0, most, (20, 4, 3), "uint8")


def write_idx(path, array, opened=open):
    with opened(path, "wb") as file:
        file.write(struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape))
        file.write(array.tobytes())


def write_npy(folder, arrays):
    for i, a in enumerate(arrays):
        np.save(folder / f"{i}.npy", a)


def write_npz(folder, arrays):
    for i, a in enumerate(arrays):
        np.savez(folder / f"{i}.npz", x=a, y=np.arange(len(a)))


def write_npz_compressed(folder, arrays):
    for i, a in enumerate(arrays):
        np.savez_compressed(folder / f"{i}.npz", anything=a)


def write_safetensors(folder, arrays):
    save_file = pytest.importorskip("safetensors.numpy").save_file
    for i, a in enumerate(arrays):
        save_file({"x": a, "labels": np.arange(len(a))}, folder / f"{i}.safetensors")


WRITERS = [write_npy, write_npz, write_npz_compressed, write_safetensors]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_floats(write, dtype, tmp_path):
    arrays = [(100 * make(i, 10 + i)).astype(dtype) for i in range(3)]
    write(tmp_path, arrays)
    (tmp_path / "README").write_text("what these are")
    X = open_shards(tmp_path, window=2)
    assert X.dtype == dtype and X.scale is None
    np.testing.assert_array_equal(X[:], np.concatenate(arrays))
    with X.epoch(8, np.random.default_rng(0)) as epoch:
        for part in epoch:
            np.testing.assert_array_equal(epoch[part], np.concatenate(arrays)[part])
    weights = fitted(X, shuffle=False)[0]
    np.testing.assert_array_equal(weights, fitted(np.concatenate(arrays), shuffle=False)[0])


@pytest.mark.parametrize("kind", ["npy", "idx", "bytes", "Fortran's", "big-endian", "gz", "npz"])
def test_large_files_are_cut(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PART", 1000)
    is_bytes = kind in ("idx", "bytes", "gz")
    a = np.concatenate([make_bytes(i) for i in range(5)]) if is_bytes else make(0, 100)
    path = tmp_path / "a"
    if kind in ("idx", "gz"):
        write_idx(path, a, open if kind == "idx" else gzip.open)
    elif kind == "npz":
        write_npz(tmp_path, [a])
        path = tmp_path / "0.npz"
    else:
        path = tmp_path / "a.npy"
        np.save(path, np.asfortranarray(a) if kind == "Fortran's" else a)
        if kind == "big-endian":
            np.save(path, a.astype(">f4"))
    X = open_shards(path, window=2)
    whole = a * np.float32(1 / 255) if is_bytes else a
    n_parts = 1 if kind in ("gz", "npz") else 2 if is_bytes else 5
    assert [s.n for s in X.shards] == [100 // n_parts] * n_parts and X.shape == a.shape
    np.testing.assert_array_equal(X[:], whole)
    with X.epoch(16, np.random.default_rng(0)) as epoch:
        for part in epoch:
            np.testing.assert_array_equal(epoch[part], whole[part])
    if kind == "npy":
        assert X.shards[1].name.endswith("a.npy, rows 20 to 39")
        changed = open_shards(path)
        np.save(path, a[:90])
        with pytest.raises(ValueError, match=r"a\.npy.* holds \(90, 12\), expected \(100, 12\)"):
            changed[:]


def test_odd_layouts_are_read_by_their_reader(tmp_path):
    arrays = [make(0, 20), make(1, 20)]
    np.save(tmp_path / "0.npy", np.asfortranarray(arrays[0]))
    np.save(tmp_path / "1.npy", arrays[1].astype(">f4"))
    np.testing.assert_array_equal(open_shards(tmp_path)[:], np.concatenate(arrays))


@pytest.mark.parametrize("most", [256, 2])
@pytest.mark.parametrize("kind", [*WRITERS, "idx", "gz"])
def test_bytes_are_scaled_as_without_streaming(kind, most, tmp_path):
    arrays = [make_bytes(i, most) for i in range(3)]
    if kind in ("idx", "gz"):
        for i, a in enumerate(arrays):
            path = tmp_path / f"{i}-idx3-ubyte"
            write_idx(path, a, open if kind == "idx" else gzip.open)
    else:
        kind(tmp_path, arrays)
    X = open_shards(tmp_path)
    np.save(tmp_path.parent / "whole.npy", np.concatenate(arrays))
    whole = load_dataset(tmp_path.parent / "whole.npy").x
    assert (X.dtype, X.shape, X.scale) == (whole.dtype, whole.shape, whole.scale)
    np.testing.assert_array_equal(X[:], whole[:])
    twice = open_shards(tmp_path, scale=2 / 255, dtype="float64")
    np.testing.assert_array_equal(twice[5], np.concatenate(arrays)[5] * (2 / 255))


def test_the_first_shard_of_zeros_and_ones_speaks_for_all(tmp_path):
    write_npy(tmp_path, [make_bytes(0, 2), make_bytes(1)])
    with pytest.raises(ValueError, match=r"1\.npy runs from 0 to 255, expected values in \[0, 1\]"):
        open_shards(tmp_path)[:]


def test_an_array_by_its_name(tmp_path):
    a, b = make(0), make(1)
    np.savez(tmp_path / "0.npz", one=a, other=b)
    np.testing.assert_array_equal(open_shards(tmp_path, array="other")[:], b)
    with pytest.raises(ValueError, match=r"0\.npz.* holds one, other; which are the samples"):
        open_shards(tmp_path)
    with pytest.raises(ValueError, match=r"0\.npz.* holds one, other, and no 'third'"):
        open_shards(tmp_path, array="third")
    save_file = pytest.importorskip("safetensors.numpy").save_file
    save_file({"one": a, "other": b}, tmp_path / "0.safetensors")
    with pytest.raises(ValueError, match=r"holds npz \(0\.npz\) and safetensors .* by a pattern"):
        open_shards(tmp_path)
    np.testing.assert_array_equal(open_shards(tmp_path / "*.safetensors", array="one")[:], a)
    with pytest.raises(
        ValueError, match=r"holds one, other, and none that is called x; say array="
    ):
        open_shards(tmp_path / "*.safetensors")
    content = (tmp_path / "0.safetensors").read_bytes()
    (tmp_path / "0.safetensors").write_bytes(content[:100])
    with pytest.raises(ValueError, match=r"0\.safetensors.*damaged"):
        open_shards(tmp_path / "*.safetensors")


def test_images(tmp_path, monkeypatch):
    image = pytest.importorskip("PIL.Image")
    monkeypatch.setattr(module, "IMAGES", 4)
    for c in "ab":
        (tmp_path / c).mkdir()
        for i in range(5):
            image.fromarray(make_bytes(i)[0]).save(tmp_path / c / f"{i}.png")
    X = open_shards(tmp_path, window=2)
    whole = read_image_folder(tmp_path).x
    assert len(X.shards) == 3 and X.shape == whole.shape
    np.testing.assert_array_equal(X[:], np.float32(1 / 255) * whole)
    assert open_shards(tmp_path, resize=6, grey=True).shape == (10, 6, 6)
    np.testing.assert_array_equal(open_shards(f"{tmp_path}/b/*.png")[:], X[5:])
    image.fromarray(make_bytes(0)[0][:2]).save(tmp_path / "b" / "9.png")
    with pytest.raises(ValueError, match=r"9\.png"):
        open_shards(tmp_path, window=2)[:]
    np.save(tmp_path / "x.npy", make(0))
    with pytest.raises(ValueError, match="grey, resize and crop are for images"):
        open_shards(tmp_path / "x.npy", grey=True)


def test_what_cannot_be_streamed_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    with pytest.raises(ValueError, match=r"a\.csv: holds text, which cannot be streamed; expected"):
        open_shards(tmp_path / "a.csv")
    with pytest.raises(FileNotFoundError, match=r"holds only text, expected \.npy"):
        open_shards(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no .*b\.npy"):
        open_shards([tmp_path / "b.npy"])
    np.save(tmp_path / "b.npy", 3.0)
    with pytest.raises(ValueError, match=r"b\.npy: a single number"):
        open_shards([tmp_path / "b.npy"])
    np.save(tmp_path / "b.npy", make(0))
    with pytest.raises(ValueError, match="scale is for bytes"):
        open_shards(tmp_path, scale=0.5)
    np.save(tmp_path / "b.npy", make_bytes(0))
    with pytest.raises(ValueError, match="scale is -1"):
        open_shards(tmp_path, scale=-1)
