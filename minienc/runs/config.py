"""``config.json``: read by one schema, so that whatever is wrong with it is one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minienc import language
from minienc.pretraining import Pretrainer
from minienc.runs.inputs import READING
from minienc.runs.settings import make_method, method_parameters, methods_of_samples
from minienc.training.archives import damage_is_told, parse_json, short, take, take_all

_MOST = 1 << 20  # bytes: a config.json has a few thousand
_WORD = (str, type(None))
ALWAYS: dict[str, Any] = {  # of the settings that every run has
    "data": str,
    "method": str,
    "seed": int,
    "dtype": str,
    "device": str,
}
OF_TEXT: dict[str, Any] = {"encoding": str, "held_out": float}
OF_SAMPLES: dict[str, Any] = {
    "data_dir": _WORD,
    "seeds": int,
    "scale": (float, type(None)),  # from here on, how the data are read
    "grey": bool,
    "resize": _WORD,
    "crop": bool,
    "label_column": _WORD,
    "drop": list,
    "standardise": bool,
    "pattern": _WORD,
    "held_out_speakers": list,
    "resample": (int, type(None)),
    "frames": (int, type(None)),
    "mels": (int, type(None)),
}


def read_config(folder: Path) -> dict[str, Any]:
    """The settings of a run.

    Raises
    ------
    ValueError
        If the folder is no run's, or what stands in its config.json is not what a run has written.
    """
    return read_whole_config(folder)["settings"]


def read_whole_config(folder: Path) -> dict[str, Any]:
    """The settings of a run, "settings", and what else it has noted of its data."""
    config = parsed_config(folder)
    with damage_is_told(folder / "config.json", "it"):
        check_settings_kinds(take(config, "settings", dict, "its content"))
        return {"preprocessing": {}, "fingerprint": None, **config}


def parsed_config(folder: Path) -> dict[str, Any]:
    """What stands in a run's config.json, whatever that is; no more than such a file may hold."""
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"{folder} is not a run folder: it has no config.json")
    with damage_is_told(path, "it"):
        if path.stat().st_size > _MOST:
            raise ValueError(f"it has more than {_MOST:,} bytes")
        return parse_json(path.read_bytes())


def task_of(folder: str | Path) -> str | None:
    """The task of a run of ``finetune --task``, as far as can be seen without a complaint."""
    try:
        return parsed_config(Path(folder))["settings"]["task"]
    except (OSError, ValueError, TypeError, KeyError):
        return None


def check_settings_kinds(settings: dict[str, Any]) -> None:
    """Refuse settings that lack something, or that hold what no option can be."""
    if "task" in settings:
        raise ValueError("it is of a run of minienc finetune --task, which has no encoder alone")
    for name, kinds in ALWAYS.items():
        take(settings, name, kinds, "settings")
    method = settings["method"]
    known = [*methods_of_samples(), *language.METHODS]
    if method not in known:
        raise ValueError(f"settings: 'method' is {short(method)}, expected {', '.join(known)}")
    if settings["dtype"] not in ("float32", "float64"):
        raise ValueError(f"settings: 'dtype' is {short(settings['dtype'])}, expected float32")
    if settings["seed"] < 0:
        raise ValueError("settings: 'seed' must be at least 0")
    if method not in language.METHODS:  # a run of before there were sounds has none of these
        for name in ("pattern", "held_out_speakers", "resample", "frames", "mels"):
            default = READING[name]
            settings.setdefault(name, list(default) if isinstance(default, tuple) else default)
    for name, kinds in (OF_TEXT if method in language.METHODS else OF_SAMPLES).items():
        take(settings, name, kinds, "settings")
    if method not in language.METHODS:
        if any(k < 1 for k in take_all(settings, "labels", int, "settings")):
            raise ValueError(f"settings: 'labels' is {settings['labels']}, expected numbers from 1")
        if settings["seeds"] < 1:
            raise ValueError("settings: 'seeds' must be at least 1")
        for name in ("drop", "held_out_speakers"):
            take_all(settings, name, str, "settings")
    for name, default in method_parameters(method).items():
        take(settings, name, _kinds(default), "settings")
        if isinstance(settings[name], list):
            take_all(settings, name, (int, float), "settings")


def _kinds(default: object) -> type | tuple[type, ...]:
    """What may stand in the place of a parameter's default."""
    if isinstance(default, bool):
        return bool
    if isinstance(default, int):
        return int
    if isinstance(default, float):
        return float
    if isinstance(default, (tuple, list)):
        return list
    return (str, int, float, list, type(None))  # a word, or what None stands for


def made_from_config(settings: dict[str, Any], quiet: bool, folder: Path) -> Pretrainer:
    """The method that checked settings describe; what it refuses is said of config.json."""
    with damage_is_told(folder / "config.json", "a setting"):
        return make_method(settings, quiet)
