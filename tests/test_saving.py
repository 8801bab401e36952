"""Models in files: what comes back is what was saved, and what is damaged is refused."""

from __future__ import annotations

import json
import tracemalloc
import zipfile

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


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
@pytest.mark.parametrize(
    "optimizer", ["sgd", "rmsprop", "adagrad", "adam", "adamw", "lion", "muon"]
)
def test_training_goes_on_where_it_stood(tmp_path, optimizer, ending):
    """The steps of the schedule and the optimiser's moments are kept: the bits are the same."""
    if ending == ".safetensors":
        pytest.importorskip("safetensors")
    rows = X.reshape(12, 6)
    x = Input((6,))
    model = Model(x, Dense(6, seed=1)(Dense(3, "tanh", seed=0)(x)))
    model.compile(optimizer, "mse")
    model.optimizer.learning_rate = CosineDecay(0.01, 20)
    model.fit(rows, rows, epochs=3, batch_size=4, verbose=0, seed=0)
    model.save(tmp_path / f"m{ending}")
    model.save(tmp_path / "less.npz", include_optimizer=False)
    again = minienc.load_model(tmp_path / f"m{ending}")
    anew = minienc.load_model(tmp_path / "less.npz")
    assert (again.optimizer.iterations, anew.optimizer.iterations) == (9, 0)
    assert again.optimizer.current_learning_rate == model.optimizer.current_learning_rate
    for one in (model, again):
        one.fit(rows, rows, epochs=2, batch_size=4, verbose=0, seed=1)
    np.testing.assert_array_equal(again.parameters.vector, model.parameters.vector)
    assert clone_model(model).optimizer.iterations == 0
    other = Model(x, Dense(6)(Dense(3, "tanh")(x)))
    other.set_weights(anew.get_weights())
    again.save(tmp_path / "m.npz")
    other.load_weights(tmp_path / "m.npz")  # of a whole model, too
    np.testing.assert_array_equal(other(rows), again(rows))


def test_numpy_s_numbers_are_saved_as_python_s(tmp_path):
    x = Input((np.int64(6),))
    model = Model(x, Dense(np.int64(3), seed=np.int32(4))(Dropout(np.float32(0.25))(x)))
    model.compile(AdamW(weight_decay=np.float32(0.5)), "mse", loss_weights=np.array([2.0]))
    model.save(tmp_path / "m.npz")
    loaded = minienc.load_model(tmp_path / "m.npz")
    assert loaded.layers[0].rate == 0.25 and loaded.optimizer.weight_decay == 0.5


def test_a_file_of_weights_that_are_not_finite_is_refused_by_the_weight_s_name(tmp_path):
    model = Sequential([Input((4,)), Dense(3, seed=0, name="first"), Dense(2, seed=1)])
    first = model.get_weights()
    for bad in (np.nan, np.inf, -np.inf):
        model.set_weights([np.where(np.eye(4, 3) > 0, bad, first[0]), *first[1:]])
        model.save(tmp_path / "m.npz")
        for load in (minienc.load_model, model.load_weights):
            with pytest.raises(ValueError, match=r"m.npz: first/W has NaN .* in 3 of its 12"):
                load(tmp_path / "m.npz")


def archive(header, **arrays):
    return lambda path: np.savez(path, header=np.array(json.dumps(header)), **arrays)


def tampered(change):
    """A saved model of one layer, its header changed."""

    def write(path):
        Sequential([Input((4,)), Dense(3)], name="m").save(path)
        with np.load(path) as content:
            arrays = {k: content[k] for k in content.files}
        header = json.loads(str(arrays.pop("header")))
        change(header)
        archive(header, **arrays)(path)

    return write


def dense(**changes):
    return tampered(lambda h: h["layers"][0]["config"].update(changes))


def without(key):
    return tampered(lambda h: h.pop(key))


def but(**changes):
    return tampered(lambda h: h.update(changes))


def optimizer_of(name, **config):
    described = {"class": name, "config": config}
    return but(compiled={"optimizer": described, "loss": "mse", "metrics": None})


HEADERS = {
    "its header is [], expected values by their names": archive([]),
    "its header is 5, expected": archive(5),
    "the model has no 'several'": without("several"),
    "the model has no 'name'": without("name"),
    "the model has no 'compiled'": without("compiled"),
    "'config' is [], expected values": tampered(lambda h: h["layers"][0].update(config=[])),
    "'inputs': 0 is None, expected values": but(inputs=[None]),
    "'inputs' is [], expected at least 1": but(inputs=[]),
    "'output_slots' is [], expected at least 1": but(output_slots=[]),
    "slot 7 is read and never filled": but(output_slots=[7]),
    "'path' is 3, expected text": but(steps=[[3, [0], [1]]]),
    "has no 'other'": but(steps=[["other", [0], [1]]]),
    "W (4, 1000000000000) is more than the weights that are there": dense(units=10**12),
    "is more than the weights": but(inputs=[{"shape": [10**12], "dtype": "float32", "name": None}]),
    "units is 'x'": dense(units="x"),
    "the model's description is damaged: TypeError": dense(nonsense=1),
    "activation is 'x'": dense(activation="x"),
    "there is no layer 'Layer'": tampered(lambda h: h["layers"][0].update({"class": "Layer"})),
    "has no 'os'": optimizer_of("os"),
    "Optimizer is what others have in common": optimizer_of("Optimizer", learning_rate=0.1),
    "beta_1 is 'x'": optimizer_of("Adam", beta_1="x"),
}


@pytest.mark.parametrize("sentence", HEADERS)
def test_a_header_that_was_altered_is_refused_in_a_sentence(tmp_path, sentence):
    HEADERS[sentence](tmp_path / "bad.npz")
    with pytest.raises(ValueError) as refusal:
        minienc.load_model(tmp_path / "bad.npz")
    assert sentence in str(refusal.value) and "bad.npz: " in str(refusal.value)


def npy(descr, shape, data=b""):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + data


MEMBERS = {
    "declares 4,398,046,511,104 bytes of numbers and holds 4": npy("'<f4'", f"({2**40},)", b"1234"),
    "declares 4,722,366,482,869,645,213,696 bytes": npy("'<f4'", f"({2**70},)", b"1234"),
    "has the shape (True,)": npy("'<f4'", "(True,)", b"1234"),
    "has the shape (-1,)": npy("'<f4'", "(-1,)", b""),
    "has a header that cannot be read": npy("'<f4'", "((((", b""),
    "holds Python objects": npy("'|O'", "(1,)", b"12345678"),
    "holds complex64": npy("'<c8'", "(1,)", b"12345678"),
    "holds text": npy("'<U1'", "(1,)", b"1\0\0\0"),
    "is no .npy array": None,
}


@pytest.mark.parametrize("sentence", MEMBERS)
def test_an_array_that_declares_what_is_not_there_is_refused_before_memory(tmp_path, sentence):
    path = tmp_path / "bad.npz"
    Sequential([Input((4,)), Dense(3)]).save(path)
    content = MEMBERS[sentence]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("w.npy" if content else "w", content or b"hello")
    tracemalloc.start()
    with pytest.raises(ValueError) as refusal:
        minienc.load_model(path)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
    assert sentence in str(refusal.value) and "bad.npz: " in str(refusal.value)


def test_a_bomb_is_refused_before_memory(tmp_path):
    path = tmp_path / "bad.npz"
    np.savez_compressed(path, header=np.array("{}"), w=np.zeros(2**25))
    tracemalloc.start()
    with pytest.raises(ValueError, match="declares more than 16 times"):
        minienc.load_model(path)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


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
