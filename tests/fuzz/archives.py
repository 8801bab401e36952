"""Archives, checkpoints and config.json that somebody has altered: ``bytes -> None`` each.

A target takes the bytes of a file and reads it as minienc does. It may refuse by ``ValueError`` or
``OSError``, in a sentence that names the file; anything else is a fault, and so is much memory.
``seeds(target)`` are valid files, from which ``altered`` makes others.
"""

from __future__ import annotations

import copy
import io
import json
import random
import tempfile
import zipfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from minienc.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    DenseTranspose,
    Dropout,
    Flatten,
    Input,
    Reshape,
)
from minienc.layers.regularizers import L2
from minienc.models import Model, load_model
from minienc.runs.config import made_from_config, read_config
from minienc.runs.results import read_results
from minienc.runs.settings import default_settings
from minienc.training.callbacks import CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from minienc.training.optimizers import Adam
from minienc.training.schedules import CosineDecay
from minienc.training.step import NonFiniteError

X = np.random.default_rng(0).random((20, 4, 4)).astype("float32")


def small() -> Model:
    """A model with a convolution, tied weights, state, noise, a regularizer and a schedule."""
    x = Input((4, 4), name="image")
    image = Conv2D(2, 3, padding="same", activation="relu", seed=0)(Reshape((4, 4, 1))(x))
    h = BatchNormalization()(Dropout(0.1)(Flatten()(image)))
    code = Dense(3, "tanh", kernel_regularizer=L2(0.01), seed=1, name="code")
    y = Reshape((4, 8))(DenseTranspose(code)(Activation("relu")(code(h))))
    model = Model(x, Reshape((4, 4))(Dense(16, seed=2)(Flatten()(y))))
    model.compile(Adam(CosineDecay(0.01, 40), global_clipnorm=1.0), "mse", metrics=["mae"])
    return model


def train(folder: Path, resume_from: Path | None = None) -> Model:
    model = small()
    callbacks = [
        EarlyStopping("loss", patience=3, restore_best_weights=True),
        ReduceLROnPlateau("val_loss"),
        CSVLogger(folder / "history.csv"),
        ModelCheckpoint(folder / "state.npz"),
    ]
    model.optimizer.learning_rate = 0.01
    settings = dict(epochs=1 if resume_from is None else 2, batch_size=10, verbose=0, seed=0)
    model.fit(
        X, X, validation_data=(X, X), callbacks=callbacks, resume_from=resume_from, **settings
    )
    return model


# ------------------------------------------------------------------------------------ the targets


def model(content: bytes) -> None:
    """``load_model``, and what may be done with a model that was accepted."""
    with Written("model.npz", content) as path:
        loaded = load_model(path)
        loaded.summary(print_fn=lambda line: None)
        loaded.get_weights()


def weights(content: bytes) -> None:
    with Written("weights.npz", content) as path:
        small().load_weights(path)


def checkpoint(content: bytes) -> None:
    """Going on with a run, by a step or two: weights that are huge, if they are numbers, may make
    the loss NaN, which ``fit`` says as it always does."""
    with Written("state.npz", content) as path, suppress(NonFiniteError):
        train(path.parent, path)


def config(content: bytes) -> None:
    """The settings of a run, up to the method that they describe."""
    with Written("config.json", content) as path:
        settings = read_config(path.parent)
        made_from_config(settings, True, path.parent)


def results(content: bytes) -> None:
    """Results that are damaged are measured again: they are never refused."""
    with Written("results.json", content) as path:
        read_results(path)


TARGETS = {f.__name__: f for f in (model, weights, checkpoint, config, results)}


class Written:
    """A file in a folder of its own, for the block."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name, self.content = name, content

    def __enter__(self) -> Path:
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name, self.name)
        path.write_bytes(self.content)
        return path

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        self.folder.cleanup()
        if not isinstance(error, (ValueError, OSError)):
            return False  # nothing, or a fault
        assert self.name in str(error), f"the refusal does not name the file: {error}"
        assert "\n" not in str(error), f"the refusal is more than a line: {error}"
        return True


# --------------------------------------------------------------------------- files to begin with


@cache
def seeds(target: str) -> tuple[bytes, ...]:
    """Valid files for a target."""
    if target == "config":
        return tuple(_config(method) for method in ("autoencoder", "sparse", "gan", "kmeans"))
    if target == "results":
        return (json.dumps(_RESULTS).encode(),)
    with tempfile.TemporaryDirectory() as folder:
        trained = train(Path(folder))
        trained.save(Path(folder, "model.npz"))
        small().save(Path(folder, "untrained.npz"))
        names = {"model": ["model", "untrained"], "weights": ["model"], "checkpoint": ["state"]}
        return tuple(Path(folder, f"{name}.npz").read_bytes() for name in names[target])


def _config(method: str) -> bytes:
    class Data:
        x, y, sample_shape, name = X, None, (4, 4), "x"

    settings = default_settings({"method": method, "data": "x.npy"}, Data)  # type: ignore[arg-type]
    return json.dumps({"minienc": "0", "settings": settings, "fingerprint": "0"}).encode()


_RESULTS = {
    "test_squared_error_per_sample": {"mean sample": 4.0, "PCA": None, "autoencoder": 1.0},
    "test_measures": {"purity": 0.5},
    "training_seconds": 1.0,
    "few_labels": {
        "labels": [10, 100],
        "seeds": [0, 1],
        "test_accuracy": {"a": [[0.1, 0.2], [0.3, 0.4]], "b": [[0.1, 0.2], [0.3, 0.4]]},
    },
    "notes": ["a note"],
}


# ---------------------------------------------------------------------------------- altered files

ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    7,
    2**31,
    2**63,
    2**200,
    10**12,
    0.5,
    -0.5,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "relu",
    "\x00",
    "\ud800",
    "a/b",
    [],
    [0],
    [[]],
    [None],
    {},
    {"class": "Dense"},
    {"layer": "code"},
    {"": 1},
)


def altered(content: bytes, rng: random.Random) -> bytes:
    """Another file: bytes that are spoilt, or values in its JSON, or its arrays."""
    if content[:2] != b"PK":
        return _altered_text(content, rng) if rng.random() < 0.9 else _spoilt(content, rng)
    kind = rng.random()
    if kind < 0.25:
        return _spoilt(content, rng)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {i.filename: archive.read(i) for i in archive.infolist()}
    if kind < 0.8:
        header = json.loads(str(np.load(io.BytesIO(members["header.npy"]))))
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            header = _altered_value(header, rng)
        array = io.BytesIO()
        np.save(array, np.array(json.dumps(header)))
        members["header.npy"] = array.getvalue()
    else:
        name = rng.choice(sorted(members))
        members |= _altered_member(name, members.pop(name), rng)
    out = io.BytesIO()
    compression = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def _altered_text(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.05:
        return rng.choice((b"", b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe", b"1" * 10_000))
    value = json.loads(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        value = _altered_value(value, rng)
    return json.dumps(value).encode()


def _altered_value(value: Any, rng: random.Random) -> Any:
    """A copy with one value somewhere in it replaced, left out, doubled or exchanged."""
    value = copy.deepcopy(value)
    places: list[tuple[Any, Any]] = []

    def visit(part: Any) -> None:
        keys = part if isinstance(part, dict) else range(len(part))
        for key in keys:
            places.append((part, key))
            if isinstance(part[key], (dict, list)):
                visit(part[key])

    if not isinstance(value, (dict, list)) or not value:
        return rng.choice(ODD)
    visit(value)
    part, key = rng.choice(places)
    how = rng.random()
    if how < 0.2:
        del part[key]
    elif how < 0.3:
        other, elsewhere = rng.choice(places)
        part[key] = copy.deepcopy(other[elsewhere])
    elif how < 0.4 and isinstance(part, list):
        part.insert(key, copy.deepcopy(part[key]))
    elif how < 0.45 and isinstance(part, dict):
        part[rng.choice(("x", "name", "class", "units", ""))] = rng.choice(ODD)
    else:
        part[key] = copy.deepcopy(rng.choice(ODD))
    return value


def _altered_member(name: str, content: bytes, rng: random.Random) -> dict[str, bytes]:
    how = rng.random()
    if how < 0.3:
        return {name: _spoilt(content, rng)}
    if how < 0.5:
        return (
            {} if how < 0.4 else {rng.choice(("x.npy", "x", "a/b.npy", "optimizer.m.npy")): content}
        )
    array = np.load(io.BytesIO(content))
    dtype = rng.choice(("f2", "f8", ">f4", "i8", "?", "u1", "c8", "U3", "M8[s]", "S3"))
    shape = rng.choice(((), (0,), (1,), (3, 0), (2, 2, 2)))
    fill = rng.choice((0, 1, -1, np.nan, np.inf, 1e300))
    if how < 0.7 and array.dtype.kind == "f":
        array = np.full_like(array, fill, dtype="f8")
    elif how < 0.85:
        array = np.zeros(shape, dtype)
    else:
        text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {rng.choice(_SHAPES)}, }}\n"
        head = b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text.encode()
        return {name: head + b"1234"}
    out = io.BytesIO()
    with np.errstate(all="ignore"):
        np.save(out, array)
    return {name: out.getvalue()}


_SHAPES = (
    "(2**40,)",
    f"({2**40},)",
    f"({2**70},)",
    "(True,)",
    "(-1,)",
    "((((",
    "(1.0,)",
    "(1,)",
    "1",
)


def _spoilt(content: bytes, rng: random.Random) -> bytes:
    """Cut, or with some bytes changed, left out or doubled."""
    spoilt = bytearray(content)
    if rng.random() < 0.3:
        return bytes(spoilt[: rng.randrange(len(spoilt) + 1)])
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if not spoilt:
            break
        i = rng.randrange(len(spoilt))
        how = rng.random()
        if how < 0.5:
            spoilt[i] ^= 1 << rng.randrange(8)
        elif how < 0.7:
            spoilt[i] = rng.randrange(256)
        elif how < 0.85:
            del spoilt[i : i + rng.choice((1, 2, 16))]
        else:
            spoilt[i:i] = spoilt[i : i + rng.choice((1, 4, 64))]
    return bytes(spoilt)
