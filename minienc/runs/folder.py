"""The folder of a run: made, held while it is trained in, read, and kept from being overwritten."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from minienc.arrays import to_numpy
from minienc.data import Dataset, Shards
from minienc.data.downloads import NAMED
from minienc.data.loading import NAMED_SOUNDS
from minienc.data.shard_parts import some_samples
from minienc.files import ensure_writable_folder, write_text
from minienc.models import Model, load_model
from minienc.runs.config import read_config

# what a run leaves; results.json and report.html say that it is complete
FILES = (
    "results.json",
    "report.html",
    "model.npz",
    "encoder.npz",
    "history.csv",
    "config.json",
    "tokenizer.json",
    "samples.json",
    "task.json",
    "multitask.json",
    "weights.npz",
    "predictions.json",
)


def where_it_lies(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that say where the data lie, good from any folder."""
    data, data_dir = settings["data"], settings["data_dir"]
    if data in (*NAMED, "fsdd"):
        data_dir = data_dir or os.environ.get("MINIENC_DATA") or None
    elif data not in ("digits", *NAMED_SOUNDS):
        data = os.path.abspath(data)
    return {"data": data, "data_dir": data_dir and os.path.abspath(data_dir)}


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 of all samples and labels: of other data, it is another. Of shards, that of their
    names, their lengths and some of their samples."""
    digest = hashlib.sha256()
    for part in (dataset.x, dataset.y, dataset.test_x, dataset.test_y):
        if part is None:
            digest.update(b"none")
            continue
        digest.update(f"{part.dtype} {part.shape}".encode())
        if isinstance(part, Shards):  # to read all of them would take long
            for shard in part.shards:
                digest.update(f"{Path(shard.name).name} {shard.n}".encode())
            part = some_samples(part)
        rows = max(1, (1 << 22) // max(1, int(np.prod(part.shape[1:]))))
        for start in range(0, len(part), rows):
            digest.update(np.ascontiguousarray(to_numpy(part[start : start + rows])).data)
    return digest.hexdigest()


def check_fingerprint(folder: Path, noted: object, dataset: Dataset) -> None:
    """Refuse to go on with other data than those that the run began with."""
    if noted is not None and noted != fingerprint(dataset):
        raise ValueError(
            f"{dataset.source or dataset.name} holds other data than when {folder} began; bring "
            f"them back, or begin a new run"
        )


# ------------------------------------------------------------------------------------- a new run's


@contextmanager
def new_folder(out: str | None, name: str, force: bool) -> Iterator[Path]:
    """Make the folder, and hold it for the block: a new one, or with ``force`` an old run's,
    emptied. Of several that ask at once, each gets one of its own, or is refused."""
    folder = _numbered(name) if out is None else ensure_writable_folder(Path(out))
    with held(folder):
        if out is not None and any(folder.iterdir()):
            _empty(folder, force)
        yield folder


def _numbered(name: str) -> Path:
    """runs/NAME-1, or the first of -2, -3, ... that nobody has."""
    root = ensure_writable_folder("runs")
    short = os.fsencode(name)[:150].decode(errors="ignore")
    for number in count(1):
        try:
            (folder := root / f"{short}-{number}").mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError


def _empty(folder: Path, force: bool) -> None:
    """Leave nothing of an old run from which the new one could go on. The files stay, without
    content, so that the new ones have their rights."""
    if not force:
        raise ValueError(f"{folder} exists already; --force replaces the run in it")
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} is no run folder, so --force does not touch it")
    for name in FILES:
        if (folder / name).exists():
            write_text(folder / name, "")
    checkpoints = folder / "checkpoints"
    if checkpoints.is_symlink() or checkpoints.is_file():
        checkpoints.unlink()  # what a link points to is not this run's
    elif checkpoints.exists():
        shutil.rmtree(checkpoints)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other processes from training in the folder meanwhile. The system ends it with the
    process, however that ends."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{folder} is in use: another minienc trains in it; wait for it, or choose "
                f"another folder"
            ) from None
        except OSError:
            pass  # a file system that knows no locks
        yield
    finally:
        os.close(handle)


@contextmanager
def resumable(folder: Path, again: str = "minienc pretrain --resume") -> Iterator[None]:
    """Whenever Ctrl-C is pressed from here on, it says how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{again} {shlex.quote(str(folder))}") from None


def write_history(path: Path, history: dict[str, list[float]]) -> None:
    """The losses of each epoch, as CSV."""
    lines = [",".join(["epoch", *history])]
    for epoch, values in enumerate(zip(*history.values(), strict=True)):
        lines.append(",".join([str(epoch), *(repr(float(value)) for value in values)]))
    write_text(path, "\n".join(lines) + "\n")


# ---------------------------------------------------------------------------------------- read


def is_complete(folder: Path) -> bool:
    """Whether nothing is left to do; ``--force`` empties these files."""
    files = [folder / "results.json", folder / "report.html"]
    return all(file.is_file() and file.stat().st_size for file in files)


def read_encoder(folder: Path) -> Model:
    read_config(folder)
    path = folder / "encoder.npz"
    if not (path.is_file() and path.stat().st_size):
        raise ValueError(
            f"{folder} has no encoder.npz yet: finish it with minienc pretrain --resume {folder}"
        )
    return load_model(path)


def refuse_existing(path: Path, force: bool) -> None:
    """Refuse a file that is there, and a place where none can be made, before hours of work."""
    if path.is_file() and not force:
        raise ValueError(f"{path} exists already; --force replaces it")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give the name of a file in it")
    if not path.exists():
        if not path.parent.is_dir():
            raise ValueError(f"{path} cannot be written: there is no folder {path.parent}")
        ensure_writable_folder(path.parent)
