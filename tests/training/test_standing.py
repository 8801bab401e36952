"""Checkpoints: what another run, or somebody's editor, has made of them is refused by name."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from minienc.layers import Dense, Dropout, Input
from minienc.models import Model
from minienc.training.callbacks import (
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    ModelCheckpoint,
    ReduceLROnPlateau,
)

X = np.random.default_rng(0).random((50, 6)).astype("float32")


def autoencoder():
    x = Input((6,))
    model = Model(x, Dense(6, seed=2)(Dense(4, "tanh", seed=1)(Dropout(0.2)(x))))
    model.compile("adam", "mse")
    return model


def fit(path, model=None, **given):
    model = autoencoder() if model is None else model
    callbacks = [
        EarlyStopping("loss", patience=5, restore_best_weights=True),
        ReduceLROnPlateau("loss"),
        ModelCheckpoint(path, save_freq=3),
    ]
    settings = dict(epochs=2, batch_size=20, verbose=0, seed=3, callbacks=callbacks)
    return model.fit(X, X, **{**settings, **given})


def changed(header, where, value):
    """A copy of the header with the value at this path replaced, or without it for ``...``."""
    header = copy.deepcopy(header)
    part = header
    for key in where[:-1]:
        part = part[key]
    if value is ...:
        del part[where[-1]]
    else:
        part[where[-1]] = value
    return header


STATE = ("position", "noise", "state")
TAMPERED = {
    "has no 'run'": (("run",), ...),
    "has no 'position'": (("position",), ...),
    "has no 'callbacks'": (("callbacks",), ...),
    "'run' is 5, expected values": (("run",), 5),
    "'seed' is 'x', expected a whole number": (("run", "seed"), "x"),
    "learned from other samples": (("run", "data"), []),
    "'data': 0 is 5": (("run", "data", 0), 5),
    "has no 'batch'": (("position", "batch"), ...),
    "batch 0 of epoch -5": (("position", "epoch"), -5),
    "batch 1000000 of epoch 2": (("position", "batch"), 10**6),
    "n_seen is 7 after 0 batches": (("position", "n_seen"), 7),
    "'sums' is [], expected values": (("position", "sums"), []),
    "sums: 'loss' is None": (("position", "sums", "loss"), None),
    "expected a state of PCG64": ((*STATE,), ...),
    "'noise' is {'bit_generator': 'PCG64'": ((*STATE, "state"), 2**200),
    "'noise' is {'bit_generator': 'MT19937'": (("position", "noise", "bit_generator"), "MT19937"),
    "'stop_training' is 1, expected true": (("position", "stop_training"), 1),
    "has no 'iterations'": (("optimizer of model", "iterations"), ...),
    "iterations is -7": (("optimizer of model", "iterations"), -7),
    "learning_rate is -1": (("optimizer of model", "learning_rate"), -1),
    "'learning_rate' is [], expected a number": (("optimizer of model", "learning_rate"), []),
    "has extra, m, v, expected vectors": (("optimizer of model", "extra"), 1),
    "'kept' is 'text', expected an array": (("arrays of model",), {"kept": "text"}),
    "'optimizer of model' is 3": (("optimizer of model",), 3),
    "a callback has no 'class'": (("callbacks", 1, "class"), ...),
    "EarlyStopping: 'best' is []": (("callbacks", 0, "best"), []),
    "EarlyStopping: 'wait' is 0.5, expected a whole": (("callbacks", 0, "wait"), 0.5),
    "ReduceLROnPlateau has no 'cooling'": (("callbacks", 1, "cooling"), ...),
    "the history: 'loss' is 5, expected a list": (("callbacks", 2, "history", "loss"), 5),
    "'loss' has 3 values in 2 epochs": (("callbacks", 2, "history", "loss"), [1, 2, 3]),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "state.npz"
    fit(path)
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return json.loads(str(arrays.pop("header"))), arrays


@pytest.mark.parametrize("sentence", TAMPERED)
def test_a_header_that_was_altered_is_refused_and_nothing_has_changed(saved, tmp_path, sentence):
    header, arrays = saved
    path = tmp_path / "state.npz"
    np.savez(path, header=np.array(json.dumps(changed(header, *TAMPERED[sentence]))), **arrays)
    model = autoencoder()
    before = model.parameters.vector.copy()
    with pytest.raises(ValueError) as refusal:
        fit(path, model, epochs=4, resume_from=path)
    assert sentence in str(refusal.value) and "state.npz" in str(refusal.value)
    np.testing.assert_array_equal(model.parameters.vector, before)


ARRAYS = {
    "dense_1/b (4,) is missing": ("weights of model/dense_1/b", ...),
    "dense_1/b has NaN or infinity in 4 of its 4": (
        "weights of model/dense_1/b",
        np.full(4, np.nan),
    ),
    "'dense_1/b' holds int64": ("weights of model/dense_1/b", np.ones(4, int)),
    "b has numbers beyond float32's": ("weights of model/dense_1/b", np.full(4, 1e300)),
    "the state of Adam has v, expected m, v": ("optimizer of model/m", ...),
    "m has NaN or infinity in 58": ("optimizer of model/m", np.full(58, np.inf, "f4")),
    "v has numbers below 0, and is of": ("optimizer of model/v", np.full(58, -1, "f4")),
    "m is (3,), expected (58,)": ("optimizer of model/m", np.zeros(3, "f4")),
    "the best weights of 'model' are not": ("callback/0/best_weights/model/", np.zeros(3, "f4")),
    "best_weights/other/ of another model": ("callback/0/best_weights/other/", np.zeros(3, "f4")),
}


@pytest.mark.parametrize("sentence", ARRAYS)
def test_arrays_that_were_altered_are_refused_and_nothing_has_changed(saved, tmp_path, sentence):
    header, arrays = saved
    name, value = ARRAYS[sentence]
    arrays = {**arrays, name: value}
    if value is ...:
        del arrays[name]
    path = tmp_path / "state.npz"
    np.savez(path, header=np.array(json.dumps(header)), **arrays)
    model = autoencoder()
    before = model.parameters.vector.copy()
    with pytest.raises(ValueError) as refusal:
        fit(path, model, epochs=4, resume_from=path)
    assert sentence in str(refusal.value) and "state.npz" in str(refusal.value)
    np.testing.assert_array_equal(model.parameters.vector, before)


def test_other_data_of_the_same_size_are_refused_and_rounding_is_not(tmp_path):
    path = tmp_path / "state.npz"
    fit(path)
    for other in (X[::-1], X + 0.01, np.where(np.arange(50)[:, None] < 49, X, 0)):
        with pytest.raises(ValueError, match="learned from other samples than these"):
            autoencoder().fit(
                other, X, epochs=3, batch_size=20, seed=3, verbose=0, resume_from=path
            )
    assert len(fit(path, epochs=3, resume_from=path).history["loss"]) == 3
    near = X * (1 + 1e-6)
    callbacks = [
        EarlyStopping("loss", patience=5, restore_best_weights=True),
        ReduceLROnPlateau("loss"),
        ModelCheckpoint(path),
    ]
    settings = dict(epochs=4, batch_size=20, seed=3, verbose=0)
    autoencoder().fit(near, near, **settings, callbacks=callbacks, resume_from=path)


@pytest.mark.parametrize(("first", "then"), [(0, 2), (2, 0), (1, 2)])
def test_a_progress_bar_is_no_part_of_a_run(tmp_path, first, then, capsys):
    path = tmp_path / "state.npz"
    whole, stopped = autoencoder(), autoencoder()
    fit(tmp_path / "whole.npz", whole, epochs=3)
    fit(path, verbose=first)
    fit(path, stopped, epochs=3, verbose=then, resume_from=path)
    np.testing.assert_array_equal(whole.parameters.vector, stopped.parameters.vector)


# -------------------------------------------------------------------------- names, and sparse logs


@pytest.mark.parametrize("folder", ["a{x}b", "a{b", "a{}", "a{0}", "run{epoch}", "v{epoch.real}"])
def test_braces_in_a_folder_are_its_name(tmp_path, folder):
    (tmp_path / folder).mkdir()
    fit(tmp_path / folder / "state-{epoch}.npz")
    names = ["state-0.npz", "state-1.npz", "state-2.npz"]
    assert sorted(p.name for p in (tmp_path / folder).iterdir()) == names


def checkpointed(path, **given):
    settings = dict(epochs=2, batch_size=20, seed=3, verbose=0, validation_data=(X, X))
    return autoencoder().fit(X, X, callbacks=[ModelCheckpoint(path)], **{**settings, **given})


def test_fields_of_a_file_s_name(tmp_path):
    history = checkpointed(tmp_path / "{epoch:03d}-{val_loss:.2f}-{loss:8.1e}.npz").history
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == [
        f"{i + 1:03d}-{history['val_loss'][i]:.2f}-{history['loss'][i]:8.1e}.npz" for i in range(2)
    ]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("{val_loss}.npz", "{val_loss} in '{val_loss}.npz' is none of epoch, loss"),
        ("{nothing:.2f}.npz", "is none of epoch, loss"),
        ("{epoch.__class__}.npz", "{epoch.__class__} in .* is no field, such as {epoch}"),
        ("{0}.npz", "is none of"),
        ("{}.npz", "is no field"),
        ("{epoch!r}.npz", "is no field"),
        ("{loss:z9Q}.npz", "{loss:z9Q} cannot be formatted"),
    ],
)
def test_another_field_is_refused_before_training(tmp_path, name, sentence):
    stepped = []
    count = LambdaCallback(on_train_batch_end=lambda batch, logs: stepped.append(batch))
    with pytest.raises(ValueError, match=sentence):
        callbacks = [ModelCheckpoint(tmp_path / name), count]
        autoencoder().fit(X, X, verbose=0, callbacks=callbacks)
    assert stepped == [] and list(tmp_path.iterdir()) == []


def test_a_log_that_not_every_epoch_has_leaves_a_cell_empty_and_numpy_s_numbers_are_kept(tmp_path):
    def log(epoch, logs):
        if epoch % 2:
            logs["mine"] = np.float32(1.5)

    def run(folder, **given):
        folder.mkdir(exist_ok=True)
        callbacks = [
            LambdaCallback(on_epoch_end=log),
            CSVLogger(folder / "history.csv"),
            ModelCheckpoint(folder / "state.npz"),
        ]
        return autoencoder().fit(X, X, verbose=0, seed=0, callbacks=callbacks, **given)

    assert run(tmp_path / "whole", epochs=4).history["mine"] == [1.5, 1.5]
    half = tmp_path / "numbers"
    settings = dict(batch_size=np.int64(10), shuffle=np.True_)
    run(half, epochs=2, **settings)
    run(half, epochs=np.int64(4), **settings, resume_from=half / "state.npz")
    rows = (tmp_path / "whole/history.csv").read_text().splitlines()
    assert rows[0] == "epoch,loss,mine" and len(rows) == 5
    assert [row.rpartition(",")[2] for row in rows[1:]] == ["", "1.5", "", "1.5"]
    run(tmp_path / "half", epochs=2)
    history = run(tmp_path / "half", epochs=4, resume_from=tmp_path / "half/state.npz")
    assert history.history["mine"] == [1.5, 1.5]
    assert (tmp_path / "half/history.csv").read_text().splitlines() == rows
