"""Models in files: what comes back is what was saved, and what is damaged is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

import minienc
from minienc.layers import (
    Activation,
    Add,
    Concatenate,
    Dense,
    DenseTranspose,
    Dropout,
    Flatten,
    GaussianNoise,
    Input,
    MaskingNoise,
    Reshape,
    SaltAndPepperNoise,
)
from minienc.layers.regularizers import L1, L1L2
from minienc.models import Model, Sequential, clone_model
from minienc.training.optimizers import SGD, AdamW
from minienc.training.schedules import CosineDecay

X = np.random.default_rng(0).random((12, 2, 3)).astype("float32")


def everything():
    """Every layer, a model in a model used twice, tied and frozen weights, two outputs."""
    inner_x = Input((6,))
    encoder_layer = Dense(4, "tanh", kernel_regularizer=L1(0.1), name="code")
    inner = Model(inner_x, encoder_layer(MaskingNoise(0.1)(inner_x)), name="encoder")
    x = Input((2, 3), name="image")
    flat = Flatten()(x)
    noisy = SaltAndPepperNoise(0.1)(GaussianNoise(0.1)(Dropout(0.2)(flat)))
    code = Add()([inner(flat), inner(noisy)])
    restored = Reshape((2, 3))(DenseTranspose(encoder_layer, "sigmoid")(code))
    frozen = Dense(2, "softmax", activity_regularizer=L1L2(0.1, 0.2), use_bias=False)
    classes = frozen(Concatenate()([code, Activation("relu")(code)]))
    frozen.trainable = False
    model = Model(x, [restored, classes], name="everything")
    optimizer = AdamW(CosineDecay(0.1, 100, warmup_target=0.2, warmup_steps=5))
    model.compile(
        optimizer,
        ["mse", "sparse_categorical_crossentropy"],
        metrics=[["mae"], ["accuracy"]],
        loss_weights=[1.0, 0.5],
    )
    return model


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_everything_comes_back(tmp_path, ending):
    if ending == ".safetensors":
        pytest.importorskip("safetensors")
    model = everything()
    labels = np.arange(12) % 2
    model.fit(X, [X, labels], epochs=1, verbose=0, seed=0)
    path = tmp_path / f"model{ending}"
    model.save(path)
    loaded = minienc.load_model(path)
    assert loaded.parameters.names == model.parameters.names
    for a, b in zip(model.predict(X), loaded.predict(X), strict=True):
        np.testing.assert_array_equal(a, b)
    assert loaded.evaluate(X, [X, labels]) == model.evaluate(X, [X, labels])
    assert [p.trainable for p in loaded.parameters] == [p.trainable for p in model.parameters]
    lines = [[], []]
    model.summary(lines[0].append)
    loaded.summary(lines[1].append)
    assert lines[0] == lines[1]
    assert loaded.optimizer.get_config()["learning_rate"](7) == pytest.approx(
        model.optimizer.get_config()["learning_rate"](7)
    )
    assert list(tmp_path.iterdir()) == [path]


def test_a_clone_shares_nothing():
    model = everything()
    clone = clone_model(model)
    for a, b in zip(model.get_weights(), clone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.shares_memory(model.parameters.vector, clone.parameters.vector)
    assert not set(map(id, model.layers)) & set(map(id, clone.layers))


def test_halves_can_be_saved(tmp_path):
    x = Input((4,))
    code = Dense(2, seed=0)(x)
    y = Dense(4, seed=1)(code)
    Model(x, y)
    z = np.random.default_rng(1).random((3, 2)).astype("float32")
    decoder = Model(code, y)
    decoder.save(tmp_path / "decoder.npz")
    loaded = minienc.load_model(tmp_path / "decoder.npz")
    np.testing.assert_array_equal(loaded(z), decoder(z))


def test_weights_that_do_not_fit_are_named_and_nothing_changes(tmp_path):
    one = Sequential([Input((4,)), Dense(3), Dense(2)])
    two = Sequential([Input((4,)), Dense(3), Dense(5)])
    one.save_weights(tmp_path / "w.npz")
    before = two.get_weights()
    with pytest.raises(ValueError, match=r"dense_2/W is \(3, 2\), expected \(3, 5\)"):
        two.load_weights(tmp_path / "w.npz")
    for a, b in zip(before, two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    three = Sequential([Input((4,)), Dense(3, name="other")])
    with pytest.raises(ValueError, match=r"other/W .* is missing; .*dense_1/W .* is not in"):
        three.load_weights(tmp_path / "w.npz")


def test_damaged_and_hostile_files_are_refused(tmp_path):
    good = tmp_path / "good.npz"
    everything().save(good)
    content = good.read_bytes()
    rng = np.random.default_rng(0)
    bad = tmp_path / "bad.npz"
    for _ in range(60):
        spoilt = bytearray(content)
        if rng.random() < 0.5:
            spoilt = spoilt[: rng.integers(0, len(spoilt))]
        else:
            spoilt[rng.integers(0, len(spoilt))] ^= 1 << rng.integers(0, 8)
        bad.write_bytes(spoilt)
        try:
            minienc.load_model(bad)  # a flipped bit may lie where nothing is read from
        except ValueError as refusal:
            assert "bad.npz" in str(refusal)
    for contents in (b"", b"hello", b"PK\x03\x04", json.dumps({"format": "x"}).encode()):
        bad.write_bytes(contents)
        with pytest.raises(ValueError, match=r"bad\.npz"):
            minienc.load_model(bad)
    np.savez(bad, header=np.array([{"evil": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        minienc.load_model(bad)
    for header in ({}, {"format": "minienc model"}, {"format": "minienc model", "inputs": 3}):
        np.savez(bad, header=np.array(json.dumps(header)))
        with pytest.raises(ValueError, match=r"bad\.npz"):
            minienc.load_model(bad)
    with pytest.raises(FileNotFoundError):
        minienc.load_model(tmp_path / "none.npz")


def test_only_layers_can_be_named(tmp_path):
    """A header cannot make anything but layers, regularizers, optimizers and schedules."""
    path = tmp_path / "m.npz"
    model = Sequential([Input((2,)), Dense(2)])
    model.save(path)
    with np.load(path) as archive:
        header = json.loads(str(archive["header"]))
        arrays = {k: archive[k] for k in archive.files if k != "header"}
    for name in ("Layer.__init__", "annotations", "Parameter", "os", "base"):
        header["layers"][0]["class"] = name
        np.savez(path, header=np.array(json.dumps(header)), **arrays)
        with pytest.raises(ValueError, match="there is no layer"):
            minienc.load_model(path)


def test_what_json_cannot_keep_is_refused_and_the_weights_can_still_be_saved(tmp_path):
    model = Sequential([Input((2,)), Dense(2, kernel_initializer=lambda s, r, d: np.ones(s, d))])
    model.compile(SGD(), "mse")
    with pytest.raises(ValueError, match="save the weights alone with save_weights"):
        model.save(tmp_path / "m.npz")
    assert list(tmp_path.iterdir()) == []
    model.save_weights(tmp_path / "w.npz")
    model.load_weights(tmp_path / "w.npz")
