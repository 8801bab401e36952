"""The folder of a run: made, read, and kept from being written over."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from minienc.files import ensure_writable_folder
from minienc.models import Model, load_model


def read_config(folder: Path) -> dict[str, Any]:
    """The settings of a run."""
    return read_whole_config(folder)["settings"]


def read_whole_config(folder: Path) -> dict[str, Any]:
    """The settings of a run, and what it has found out from its data, "preprocessing"."""
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"{folder} is not a run folder: it has no config.json")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return {"preprocessing": {}, **config, "settings": config["settings"]}
    except (json.JSONDecodeError, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: damaged: {error}") from error


def new_folder(out: str | None, name: str, force: bool) -> Path:
    """Make the folder: a new one, or with ``force`` an old run's, emptied."""
    if out is None:
        number = 1
        while (folder := Path("runs") / f"{name}-{number}").exists():
            number += 1
    else:
        folder = Path(out)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            if not force:
                raise ValueError(f"{folder} exists already; --force replaces the run in it")
            if not (folder / "config.json").is_file():
                raise ValueError(f"{folder} is no run folder, so --force does not touch it")
            for name in ("results.json", "config.json", "model.npz", "encoder.npz"):
                (folder / name).unlink(missing_ok=True)
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return ensure_writable_folder(folder)


def read_encoder(folder: Path) -> Model:
    read_config(folder)
    path = folder / "encoder.npz"
    if not path.is_file():
        raise ValueError(
            f"{folder} has no encoder.npz yet: finish it with minienc pretrain --resume {folder}"
        )
    return load_model(path)


def refuse_existing(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise ValueError(f"{path} exists already; --force replaces it")
