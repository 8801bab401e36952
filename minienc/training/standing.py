"""Where training stands, in a file: what ``ModelCheckpoint`` writes and ``resume_from`` reads.

Everything in the file is compared with the run that shall go on from it before anything is changed,
so that a file of another run, or one that somebody has altered, is refused by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minienc.arrays import is_array, on_device, rows_of, to_numpy
from minienc.files import plain
from minienc.training.archives import damage_is_told, short, take, take_all
from minienc.training.callbacks import Callback
from minienc.training.checkpoints import (
    check_fit,
    check_optimizer_state,
    check_weights,
    read_archive,
    write_archive,
)

if TYPE_CHECKING:
    from minienc.training.loop import Trainer
    from minienc.training.step import Learner

FORMAT = "minienc training state"
N_LOOKED_AT = 16  # samples by which the data of a run are known again


def save_standing(trainer: Trainer, path: str | Path) -> None:
    """Write the weights, the optimisers, the position, the generators and the callbacks' states."""
    run = {**_settings(trainer), "data": looks(trainer)}
    header: dict[str, Any] = {"format": FORMAT, "run": run}
    arrays: dict[str, Any] = {}
    for name, state in _states(trainer).items():
        header[name], parts = _split(name, state)
        arrays.update(parts)
    header["callbacks"] = []
    for i, callback in enumerate(_kept(trainer)):
        values, parts = _split(f"callback/{i}", callback.state_dict())
        header["callbacks"].append({"class": type(callback).__name__, **values})
        arrays.update(parts)
    header["position"] = {
        "epoch": trainer.epoch,
        "batch": trainer.batch,
        "sums": trainer.sums,
        "n_seen": trainer.n_seen,
        "noise": trainer.noise.bit_generator.state,
        "stop_training": trainer.stop_training,
    }
    write_archive(path, header, arrays)


def resume_standing(trainer: Trainer, path: str | Path, seed: int | None) -> None:
    """Go on from what ``save_standing`` wrote.

    Raises
    ------
    ValueError
        If the file is damaged or is of another run: nothing that learns has been changed then.
    """
    header, arrays = read_archive(path)
    if header.get("format") != FORMAT:
        raise ValueError(f"{path}: not a checkpoint of training (ModelCheckpoint writes those)")
    with damage_is_told(path, "the checkpoint"):
        _check_run(trainer, take(header, "run", dict, "the checkpoint"), seed)
        position = take(header, "position", dict, "the checkpoint")
        _check_position(trainer, position)
        noise = _generator(trainer, take(position, "noise", dict, "the position"))
        states = {
            name: {
                part: {
                    **take({key: header.get(key, {})}, key, dict, "the checkpoint"),
                    **_part(arrays, key + "/"),
                }
                for part in learner.state()
                for key in [f"{part} of {name}"]
            }
            for name, learner in trainer.learners.items()
        }
        for name, learner in trainer.learners.items():
            _check_learner(learner, states[name], str(path))
        _load_callbacks(trainer, take_all(header, "callbacks", dict, "the checkpoint"), arrays)
        with on_device(trainer.model.device):
            for name, learner in trainer.learners.items():
                learner.load_state(str(path), states[name])
    trainer.is_resumed = True
    trainer.epoch, trainer.batch = position["epoch"], position["batch"]
    trainer.sums, trainer.n_seen = position["sums"], position["n_seen"]
    trainer.stop_training = position["stop_training"]
    trainer.noise = noise


# --------------------------------------------------------------------------------- is it this run?


def _settings(trainer: Trainer) -> dict[str, Any]:
    """What must be the same for a resumed run to be the same run."""
    names = ("seed", "n_samples", "batch_size", "shuffle")
    return plain({name: getattr(trainer, name) for name in names})


def _check_run(trainer: Trainer, run: dict[str, Any], seed: int | None) -> None:
    if seed is None:
        seed = take(run, "seed", int, "the run")
        if seed < 0:
            raise ValueError(f"the run: 'seed' is {seed}, expected at least 0")
        trainer.seed = trainer.history.seed = seed
    for name, value in _settings(trainer).items():
        if take(run, name, type(value), "the run") != value:
            raise ValueError(
                f"its run had {name}={run[name]}, this one has {value}; resuming needs the same"
            )
    before, now = take_all(run, "data", list, "the run"), looks(trainer)
    if not _are_alike(before, now):
        raise ValueError(
            "its run learned from other samples than these, or in another order; resuming needs "
            "the same data"
        )


def looks(trainer: Trainer) -> list[list[float]]:
    """What some samples look like, evenly chosen: of each array two numbers a sample, its length
    and how far it goes in a direction of no meaning."""
    if trainer.looks is not None:
        return trainer.looks
    rows = np.linspace(0, trainer.n_samples - 1, N_LOOKED_AT).round().astype(int)
    found: list[list[float]] = []
    with on_device(trainer.model.device):
        for array in rows_of(trainer.data.arrays, trainer.data.dtypes, rows):
            flat = to_numpy(array).reshape(len(rows), -1).astype(float)
            direction = np.random.default_rng(0).standard_normal(flat.shape[1])
            length = np.sqrt((flat * flat).sum(axis=1))
            found.append([*length.tolist(), *(flat @ direction).tolist()])
    trainer.looks = found
    return found


def _are_alike(before: list, now: list[list[float]]) -> bool:
    """The same but for rounding: another machine may have scaled the data."""
    if [len(part) for part in before] != [len(part) for part in now]:
        return False
    for i, one in enumerate(before):
        take_all({"data": one}, "data", float, f"array {i}")
        a, b = np.array(one, float), np.array(now[i])
        length = np.tile(b[: len(b) // 2], 2)
        if not (np.abs(a - b) <= 1e-3 * length + 1e-30).all():
            return False
    return True


def _check_position(trainer: Trainer, position: dict[str, Any]) -> None:
    where = "the position"
    epoch, batch, n_seen = (take(position, k, int, where) for k in ("epoch", "batch", "n_seen"))
    if epoch < 0 or not 0 <= batch <= trainer.n_batches:
        raise ValueError(
            f"{where} is batch {batch} of epoch {epoch}, expected up to {trainer.n_batches} "
            f"batches, from 0"
        )
    expected = min(batch * trainer.batch_size, trainer.n_samples)
    if n_seen != expected and not (batch == 0 and n_seen == trainer.n_samples):
        raise ValueError(f"{where}: n_seen is {n_seen} after {batch} batches, expected {expected}")
    sums = take(position, "sums", dict, where)
    for name in sums:
        take(sums, name, float, f"{where}'s sums")
    take(position, "stop_training", bool, where)


def _generator(trainer: Trainer, state: dict[str, Any]) -> np.random.Generator:
    noise = trainer.generator("noise")
    try:
        noise.bit_generator.state = state
    except (KeyError, TypeError, ValueError, OverflowError):
        kind = type(noise.bit_generator).__name__
        raise ValueError(
            f"the position: 'noise' is {short(state)}, expected a state of {kind}"
        ) from None
    return noise


# -------------------------------------------------------------------------------------- learners


def _states(trainer: Trainer) -> dict[str, dict[str, Any]]:
    """{"weights of generator": {name: array}, "optimizer of generator": ..., ...}."""
    return {
        f"{part} of {name}": state
        for name, learner in trainer.learners.items()
        for part, state in learner.state().items()
    }


def _check_learner(learner: Learner, state: dict[str, dict[str, Any]], where: str) -> None:
    parameters = learner.network.parameters
    _check_arrays(state["weights"], dict(parameters.items()), where)
    check_weights(where, state["weights"], parameters.vector.dtype)
    if learner.optimizer is not None:
        n, dtype = parameters.vector.size, parameters.vector.dtype
        check_optimizer_state(learner.optimizer, state["optimizer"], n, dtype)
    _check_arrays(state["arrays"], learner.arrays, where)


def _check_arrays(found: dict[str, Any], expected: dict[str, Any], where: str) -> None:
    strange = [name for name, value in found.items() if not is_array(value)]
    if strange:
        raise ValueError(f"{strange[0]!r} is {short(found[strange[0]])}, expected an array")
    shapes = [{name: tuple(a.shape) for name, a in arrays.items()} for arrays in (found, expected)]
    check_fit(where, *shapes)
    for name, array in expected.items():
        if found[name].dtype.kind != array.dtype.kind:
            raise ValueError(f"{name!r} holds {found[name].dtype}, expected {array.dtype}")


# -------------------------------------------------------------------------------------- callbacks


def _kept(trainer: Trainer) -> list[Callback]:
    """The callbacks that belong to the run; what only shows it may be there or not."""
    return [callback for callback in trainer.callbacks if callback.belongs_to_run]


def _load_callbacks(trainer: Trainer, saved: list[dict], arrays: dict[str, Any]) -> None:
    callbacks = _kept(trainer)
    names = [take(state, "class", str, "a callback") for state in saved]
    if names != [type(c).__name__ for c in callbacks]:
        raise ValueError(
            f"its run had the callbacks {', '.join(names)}, this "
            f"one has {', '.join(type(c).__name__ for c in callbacks)}"
        )
    for i, (callback, state) in enumerate(zip(callbacks, saved, strict=True)):
        state = {k: v for k, v in state.items() if k != "class"}
        state |= _part(arrays, f"callback/{i}/")
        for name, now in callback.state_dict().items():
            if not is_array(now):  # an array comes and goes, as the best weights do
                take(state, name, _kinds(now), f"the state of {names[i]}")
        with damage_is_told(f"the state of {names[i]}", "it"):
            callback.load_state_dict(state)


def _kinds(value: object) -> type:
    """The JSON types that may stand for what a callback keeps now."""
    if value is None or isinstance(value, (bool, str, list, dict)):
        return type(value)
    return list if isinstance(value, tuple) else int if isinstance(value, int) else float


def _split(prefix: str, state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A state's plain values, and its arrays under prefixed names."""
    values = {k: v for k, v in state.items() if not _is_apart(v)}
    return values, {f"{prefix}/{k}": v for k, v in state.items() if _is_apart(v)}


def _is_apart(value: object) -> bool:
    """Arrays are; NumPy's numbers are written as Python's."""
    return is_array(value) and not isinstance(value, np.generic)


def _part(arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
