"""A task in a folder: all that writing needs, and nothing that could be executed.

FOLDER/task.json         which task, and its settings: languages, network
FOLDER/tokenizer.json    the vocabulary
FOLDER/weights.npz       the parameters
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from minienc.data.tokenizers import Tokenizer, load_tokenizer
from minienc.files import write_json
from minienc.layers.parameters import at_most_numbers
from minienc.tasks.seq2seq import TASKS, PairsModel
from minienc.training.archives import damage_is_told, parse_json, short, take
from minienc.training.checkpoints import check_weights, read_archive

FORMAT = "minienc task"
_MOST = 1 << 20  # bytes of a task.json, which has some hundred


def save_task(model: PairsModel, folder: str | Path) -> None:
    """Write a fitted task into a folder that is there."""
    folder = Path(folder)
    settings = {k: v for k, v in model.get_params().items() if k not in ("device", "verbose")}
    settings["vocab_size"] = len(model.tokenizer_)
    model.model_.save_weights(folder / "weights.npz")
    model.tokenizer_.save(folder / "tokenizer.json")
    write_json(folder / "task.json", {"format": FORMAT, "task": model.task, "settings": settings})


def load_task(folder: str | Path) -> PairsModel:
    """Read what ``save_task`` wrote, to write with.

    Raises
    ------
    OSError
        If a file is not there.
    ValueError
        If a file is damaged or the three do not belong together.
    """
    folder = Path(folder)
    if not (folder / "task.json").is_file():
        raise FileNotFoundError(f"{folder} has no task.json: it is no run of {' or '.join(TASKS)}")
    model = read_description(folder / "task.json")
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    _, weights = read_archive(folder / "weights.npz")
    check_weights(str(folder / "weights.npz"), weights, model.dtype)
    with damage_is_told(folder, "the task"):
        _fill(model, tokenizer, weights)
    return model


def read_description(path: str | Path) -> PairsModel:
    """The task of a task.json, not yet with its vocabulary and its network."""
    path = Path(path)
    with damage_is_told(path, "it"):
        if path.stat().st_size > _MOST:
            raise ValueError(f"it has more than {_MOST:,} bytes")
        return _described(parse_json(path.read_bytes()))


def _described(plain: Any) -> PairsModel:
    """The task of these JSON values."""
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise ValueError("it holds something else than a task")
    task = take(plain, "task", str, "it")
    if task not in TASKS:
        raise ValueError(f"a task {short(task)}, expected {' or '.join(TASKS)}")
    settings, cls = take(plain, "settings", dict, "it"), TASKS[task]
    known = cls._parameters()
    given: dict[str, Any] = {}
    for name in settings:
        if name not in known:
            raise ValueError(f"settings: {task} has no {short(name)}")
        default = known[name]
        kinds = type(default) if default is not None else (int, str, type(None))
        given[name] = take(settings, name, kinds, "settings")
    model = cls(**given)
    model.check_params(())
    return model


def _fill(model: PairsModel, tokenizer: Tokenizer, weights: dict[str, np.ndarray]) -> None:
    """Give the task its vocabulary and its numbers."""
    missing = [name for name in model._special() if name not in tokenizer.special]
    if missing:
        raise ValueError(f"tokenizer.json has no {missing[0]!r}, which task.json speaks of")
    model.tokenizer_ = tokenizer
    with at_most_numbers(sum(w.size for w in weights.values())):
        model.build((len(tokenizer),), np.random.default_rng(0))
    model.model_._set_named(weights, "weights.npz")
