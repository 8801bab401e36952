"""From files to the numbers that a run's method sees: once for the run, the same for later data.

What the run has found out from its own data (the scale of pixels, the columns of a table, their
means and deviations, how sounds became frames) stands in ``config.json`` under "preprocessing": a
sample that comes later is the same numbers whatever else is in its file.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from minienc.arrays import DTypeLike
from minienc.data import Dataset, Pixels, Shards, load_dataset
from minienc.data.pixels import Samples
from minienc.data.sequences import log_mel_from
from minienc.pretraining.base import iterate_samples
from minienc.runs.streams import in_memory, is_stream, open_more, open_stream

# settings of every method, with their defaults: how the data are read
READING: dict[str, Any] = {
    "scale": None,
    "grey": False,
    "resize": None,
    "crop": False,
    "label_column": None,
    "drop": (),
    "standardise": False,
    "pattern": None,
    "held_out_speakers": (),
    "resample": None,
    "frames": None,
    "mels": None,
}
_LARGE = 128 * 128 * 3  # numbers of an image, beyond which its network takes gigabytes


def prepare(settings: dict[str, Any]) -> tuple[Dataset, dict[str, Any]]:
    """Return the data, with a part kept for testing (always the same one), and what to save."""
    dtype = settings.get("dtype", "float32")
    where = (settings.get("data"), settings.get("data_dir"))
    if is_stream(settings.get("data")):
        dataset = open_stream(settings, _of_images(settings))
    else:
        scale = settings.get("scale")
        dataset = load_dataset(*where, dtype=dtype, scale=scale, **_reading(settings))
    dataset = dataset if dataset.test_x is not None else dataset.split(test_fraction=0.2, seed=0)
    _check_images(dataset, settings)
    x = dataset.x
    found: dict[str, Any] = {
        "pixel_scale": None if settings.get("scale") else getattr(x, "scale", None),
        "columns": dataset.columns,
        "range": _range(in_memory(dataset).x),
        "sound": None if dataset.sound is None else dataset.sound.how.as_dict(),
    }
    if settings.get("standardise"):
        rows = np.asarray(x).reshape(len(x), -1).astype(np.float64)
        deviation = rows.std(axis=0)
        found["mean"] = rows.mean(axis=0).tolist()
        found["deviation"] = np.where(deviation > 0, deviation, 1.0).tolist()
        x, test_x = (_standardised(part, found) for part in (dataset.x, dataset.test_x))
        dataset = dataclasses.replace(dataset, x=x, test_x=test_x)
    return dataset, found


def load_data(settings: dict[str, Any]) -> Dataset:
    """The data of a run, as its method sees them."""
    return prepare(settings)[0]


def load_more(
    data: str,
    data_dir: str | None,
    dtype: DTypeLike,
    scale: float | None,
    config: dict[str, Any],
    run: str,
    resample: bool = False,
) -> tuple[Dataset, list[str]]:
    """Return other data than the run's, treated as those were, and what is odd about them.

    ``resample`` brings sounds of another rate to the run's.
    """
    settings, found = config["settings"], config.get("preprocessing", {})
    _check_found(found, f"{run}/config.json: preprocessing")
    scale = settings.get("scale") if scale is None else scale
    pixel_scale = found.get("pixel_scale")
    if scale is None and pixel_scale is None and found:
        scale = 1.0  # the run's data were floats: nothing is guessed of these
    how = _reading(settings) | {"pixel_scale": pixel_scale, "may_lack": True}
    if found.get("sound") is not None:
        how["sound"] = log_mel_from(found["sound"], f"{run}/config.json: preprocessing: sound")
        how["resample"] = how["sound"].rate if resample or settings.get("resample") else None
        how |= {"frames": None, "mels": None}
        if data != settings.get("data"):  # other files may be named otherwise
            how["pattern"] = None
    if is_stream(data):
        dataset = open_more(
            data, dtype, pixel_scale if scale is None else scale, _of_images(settings)
        )
    else:
        dataset = load_dataset(data, data_dir, dtype=dtype, scale=scale, **how)
    x = _columns(dataset, found.get("columns"))
    odd = []
    if found.get("range"):
        (low, high), (least, most) = found["range"], _range(in_memory(dataset).x)
        if least < low - (high - low) or most > high + (high - low):
            odd.append(
                f"{dataset.name} runs from {least:.6g} to {most:.6g}, the run's own data from "
                f"{low:.6g} to {high:.6g}: are they in other units? --scale multiplies them"
            )
    if "mean" in found and isinstance(x, Shards):
        raise ValueError(f"{data} is read shard by shard, and {run} has standardised its data")
    x = _standardised(x, found) if "mean" in found else x
    return dataclasses.replace(dataset, x=x, columns=None), odd


def _check_found(found: object, where: str) -> None:
    """Refuse what no run has written: a file can be changed."""
    if not isinstance(found, dict):
        raise ValueError(f"{where} is {str(found)[:40]}, expected what a run has noted")
    numbers = {"pixel_scale": [found.get("pixel_scale") or 1.0], "range": found.get("range", [])}
    numbers |= {name: found.get(name, []) for name in ("mean", "deviation")}
    for name, values in numbers.items():
        if not (
            isinstance(values, list)
            and all(type(v) in (int, float) and math.isfinite(v) for v in values)
            and (name != "range" or len(values) in (0, 2))
            and (name != "deviation" or len(values) == len(numbers["mean"]))
            and (name not in ("pixel_scale", "deviation") or all(v > 0 for v in values))
        ):
            raise ValueError(f"{where}: {name} is {str(values)[:40]}, expected numbers of a run")
    columns = found.get("columns") or []
    if not (isinstance(columns, list) and all(isinstance(name, str) for name in columns)):
        raise ValueError(f"{where}: columns is {str(columns)[:40]}, expected names")


def _reading(settings: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``load_dataset`` that are settings of a run."""
    how = {name: settings.get(name, READING[name]) for name in READING}
    how["held_out_speakers"] = tuple(how["held_out_speakers"])
    del how["scale"], how["standardise"]
    return how | {"resize": _size(how["resize"])}


def _of_images(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: _reading(settings)[name] for name in ("grey", "resize", "crop")}


def _size(said: str | None) -> int | tuple[int, int] | None:
    """32 is 32 x 32, 640x480 is as photos are spoken of: width, then height."""
    if said is None:
        return None
    sides = said.lower().split("x")
    if not (len(sides) in (1, 2) and all(side.isdecimal() for side in sides)):
        raise ValueError(f"--resize is {said!r}, expected such as 32, or 640x480")
    return int(sides[0]) if len(sides) == 1 else (int(sides[1]), int(sides[0]))


def _check_images(dataset: Dataset, settings: dict[str, Any]) -> None:
    """Photos as they come out of a camera are refused, unless it was said that they be so large."""
    images = isinstance(dataset.x, Pixels) and Path(settings.get("data") or "").is_dir()
    images = images or (isinstance(dataset.x, Shards) and dataset.x.scale is not None)
    if images and len(dataset.sample_shape) > 1 and dataset.n_features > _LARGE:
        if settings.get("resize") is not None:
            return
        height, width = dataset.sample_shape[:2]
        raise ValueError(
            f"{dataset.name}: the images are {width} x {height}, {dataset.n_features:,} numbers "
            f"each, whose network takes gigabytes; --resize 32 makes them 32 x 32 (--grey grey), "
            f"--resize {width}x{height} keeps them"
        )


def _range(x: Samples) -> tuple[float, float]:
    ends = [(float(b.min()), float(b.max())) for b in iterate_samples(x, dtype=x.dtype)]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _standardised(x: Samples, found: dict[str, Any]) -> np.ndarray:
    mean, deviation = np.array(found["mean"]), np.array(found["deviation"])
    if math.prod(x.shape[1:]) != len(mean):
        return np.asarray(x)  # refused by its shape
    return ((np.asarray(x).reshape(len(x), -1) - mean) / deviation).reshape(x.shape).astype(x.dtype)


def _columns(dataset: Dataset, names: list[str] | None) -> Any:
    """The samples, with the columns of the run's table in its order."""
    x, here = dataset.x, dataset.columns
    if names is None or here is None or list(here) == list(names):
        return x
    missing = [name for name in names if name not in here]
    if not missing:
        order = [here.index(name) for name in names]
        if isinstance(x, Pixels):
            return Pixels(x.images[:, order], x.dtype, x.scale)
        return x[:, order]
    numbered = (str(1) in names, str(1) in here)
    if any(numbered):  # a table without a header goes by the places of its columns
        return x
    raise ValueError(
        f"{dataset.name} lacks {', '.join(missing[:5])}, expected the columns of the run's table, "
        f"{', '.join(names[:20])}"
    )


def advice(dataset: Dataset, settings: dict[str, Any]) -> list[str]:
    """What is worth saying of a table before a method learns from it."""
    x = dataset.x
    if isinstance(x, (Pixels, Shards)) or x.ndim != 2 or settings.get("standardise"):
        return []
    names = dataset.columns or tuple(str(i + 1) for i in range(x.shape[1]))
    lines = []
    for name, column in zip(names, x.T, strict=True):
        if len(column) > 2 and (np.diff(column) > 0).all() and (np.rint(column) == column).all():
            lines.append(
                f"column {name} rises with every row: if it only numbers them, --drop {name}"
            )
    deviation = x.std(axis=0, dtype=np.float64)
    deviation = deviation[deviation > 0]
    if len(deviation) and deviation.max() > 10 * min(1, deviation.min()):
        lines.append(
            f"the columns' standard deviations run from {deviation.min():.3g} to "
            f"{deviation.max():.3g}: --standardise makes each 1, and each mean 0"
        )
    return lines
