"""Weights from PyTorch and Keras, and back: the same outputs on both sides; what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from minienc import layers as L
from minienc.layers import Dense, Input
from minienc.models import Model, Sequential, load_keras, load_torch, to_keras, to_torch

RNG = np.random.default_rng(0)


def model_of(shape, *layers):
    dtype = "int64" if isinstance(layers[0], L.Embedding) else "float32"
    return Sequential([Input(shape, dtype=dtype), *layers])


def draw_again(model, seed=1):
    """Weights that are all different: zeros and ones would fit anywhere."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0.5, 0.3, w.shape) ** 2 for w in model.get_weights()])
    return model


def samples(name, shape):
    shape = (3, *shape)
    return RNG.integers(0, 9, shape) if name == "embedding" else RNG.random(shape, "float32")


def first(y):
    return y[0] if isinstance(y, tuple) else y


def channels_first(x):
    return np.moveaxis(x, -1, 1)


# {name: (our layers, PyTorch's modules, the shape of a sample, whether channels come first there)}
def torch_cases():
    import torch
    from torch import nn

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

        def forward(self, x):
            return self.attention(x, x, x, need_weights=False)[0]

    linear, norm = nn.Linear(6, 4), nn.BatchNorm1d(4, eps=1e-3)
    images = [nn.Conv2d(3, 4, (2, 3)), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(48, 2)]
    ours = [L.Conv2D(4, (2, 3), activation="relu"), L.Flatten(), L.Dropout(0.5), Dense(2)]
    return {
        "dense": (
            [Dense(4), L.BatchNormalization(), Dense(3)],
            [linear, norm, nn.Linear(4, 3)],
            (6,),
        ),
        "no bias": ([Dense(4, use_bias=False)], [nn.Linear(6, 4, bias=False)], (6,)),
        "images": (ours, images, (4, 6, 3)),
        "transpose": (
            [L.Conv2DTranspose(2, 2, strides=2)],
            [nn.ConvTranspose2d(3, 2, 2, stride=2)],
            (3, 4, 3),
        ),
        "conv1d": ([L.Conv1D(5, 3, padding="valid")], [nn.Conv1d(3, 5, 3)], (7, 3)),
        "layer norm": ([L.LayerNormalization(epsilon=1e-5)], [nn.LayerNorm(6)], (5, 6)),
        "rms norm": ([L.RMSNormalization(epsilon=1e-5)], [nn.RMSNorm(6, eps=1e-5)], (5, 6)),
        "embedding": ([L.Embedding(9, 4)], [nn.Embedding(9, 4)], (5,)),
        "rnn": ([L.SimpleRNN(4, return_sequences=True)], [nn.RNN(6, 4, batch_first=True)], (5, 6)),
        "lstm": ([L.LSTM(4, return_sequences=True)], [nn.LSTM(6, 4, batch_first=True)], (5, 6)),
        "gru": ([L.GRU(4, return_sequences=True)], [nn.GRU(6, 4, batch_first=True)], (5, 6)),
        "attention": ([L.MultiHeadAttention(2, 3)], [Attention()], (5, 6)),
    }, torch


NAMES = (
    *("dense", "no bias", "images", "transpose", "conv1d", "layer norm", "rms norm", "embedding"),
    *("rnn", "lstm", "gru", "attention"),
)


@pytest.mark.parametrize("name", NAMES)
def test_pytorch_and_back(name, tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    cases, torch = torch_cases()
    ours, theirs, shape = cases[name]
    assert set(NAMES) == set(cases)
    model, network = model_of(shape, *ours), torch.nn.Sequential(*theirs).eval()
    x = (
        RNG.integers(0, 9, (3, *shape))
        if name == "embedding"
        else RNG.random((3, *shape), "float32")
    )
    turn = name in ("images", "transpose", "conv1d")
    given = torch.from_numpy(np.ascontiguousarray(channels_first(x)) if turn else x)

    def alike():
        with torch.no_grad():
            y = first(network(given)).numpy()
        y = np.moveaxis(y, 1, -1) if turn and y.ndim > 2 else y
        np.testing.assert_allclose(model.predict(x), y, rtol=1e-4, atol=1e-5)

    with torch.no_grad():
        for p in network.parameters():
            p.uniform_(-1, 1)
    load_torch(model, network.state_dict())
    alike()
    draw_again(model)
    found = {k: torch.from_numpy(v) for k, v in to_torch(model).items()}
    renamed = dict(
        zip([k for k in network.state_dict() if "tracked" not in k], found.values(), strict=True)
    )
    network.load_state_dict(renamed, strict=False)
    alike()
    twin = draw_again(model_of(shape, *cases_again(name)), 2)
    load_torch(twin, to_torch(model))  # from one model of ours to another
    for one, two in zip(twin.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6)


def cases_again(name):
    return torch_cases()[0][name][0]


def test_a_file_of_safetensors_and_a_mapping(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    weights = {
        "late.weight": RNG.random((2, 4), "float32"),
        "late.bias": RNG.random(2, "float32"),
        "early.weight": RNG.random((4, 6), "float32"),
        "early.bias": RNG.random(4, "float32"),
    }
    safetensors.save_file(weights, tmp_path / "w.safetensors")
    x = Input((6,))
    model = Model(x, Dense(2, name="head")(Dense(4, name="code")(x)))
    mapping = {"code": "early", "head": "late"}
    load_torch(model, tmp_path / "w.safetensors", mapping)
    np.testing.assert_array_equal(model.get_weights()[0], weights["early.weight"].T)
    assert {k: v.tolist() for k, v in to_torch(model, mapping).items()} == {
        k: weights[k].tolist() for k in ("early.weight", "early.bias", "late.weight", "late.bias")
    }


def small():
    return Sequential([Input((3,)), Dense(2, name="code"), Dense(3, name="back")])


RIGHT = {
    "a.weight": np.ones((2, 3)),
    "a.bias": np.ones(2),
    "b.weight": np.ones((3, 2)),
    "b.bias": np.ones(3),
}


@pytest.mark.parametrize(
    ("weights", "mapping", "says"),
    [
        ({k: RIGHT[k] for k in ("a.weight", "a.bias")}, None, "2 layers .*code, back.* 1 modules"),
        (RIGHT | {"a.weight": np.ones((3, 2))}, None, r"'a' has weight \(3, 2\).*code.*Linear"),
        ({k: v for k, v in RIGHT.items() if k != "a.bias"}, None, r"'a' has weight \(2, 3\);"),
        (RIGHT | {"a.more": np.ones(1)}, None, r"'a' has .*more \(1,\)"),
        (RIGHT, {"code": "a", "bakc": "b"}, "the layer 'bakc', and there are code, back"),
        (RIGHT, {"code": "a"}, "says nothing of the layer 'back'"),
        (RIGHT, {"code": "a", "back": "a"}, "says nothing of the module 'b'"),
        (RIGHT, {"code": "b", "back": "a"}, r"'b' has weight \(3, 2\)"),
        (RIGHT | {"a.bias": np.array(["x", "y"])}, None, "expected real numbers"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_changes_nothing(weights, mapping, says):
    model = small()
    before = model.get_weights()
    with pytest.raises(ValueError, match=says):
        load_torch(model, weights, mapping)
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_module_that_is_several_layers_here():
    model = model_of((5, 6), L.LSTM(4))
    shapes = {"weight_ih": (16, 6), "weight_hh": (16, 4), "bias_ih": (16,), "bias_hh": (16,)}
    weights = {f"0.{k}_l0{r}": np.ones(s) for r in ("", "_reverse") for k, s in shapes.items()}
    with pytest.raises(ValueError, match="a bidirectional module is two layers here"):
        load_torch(model, weights)


def test_a_linear_that_is_called_as_a_part_of_attention():
    """Whose own out_proj stands beside an in_proj_weight; this one is a module by itself."""
    weights = {
        "a.q.weight": np.ones((2, 3)),
        "a.q.bias": np.ones(2),
        "a.out_proj.weight": np.full((3, 2), 2.0),
        "a.out_proj.bias": np.ones(3),
    }
    model = small()
    load_torch(model, weights, {"code": "a.q", "back": "a.out_proj"})
    np.testing.assert_array_equal(model.get_weights()[2], np.full((2, 3), 2.0))


def test_bfloat16_and_float16_come_as_float32(tmp_path):
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    for kind in (torch.bfloat16, torch.float16):
        weights = {k: torch.from_numpy(v / 8).to(kind) for k, v in RIGHT.items()}
        path = tmp_path / "w.safetensors"
        safetensors.save_file(weights, path)
        for given in (weights, path):
            model = small()
            load_torch(model, given, {"code": "a", "back": "b"})
            assert model.get_weights()[0].dtype == "float32"
            np.testing.assert_array_equal(model.get_weights()[0], np.full((3, 2), 0.125))


def test_what_is_no_state_dict_is_refused():
    for given, says in [(list(RIGHT.values()), "a list"), (small(), "a Sequential")]:
        with pytest.raises(TypeError, match=f"weights is {says}, expected a state_dict"):
            load_torch(small(), given)
    with pytest.raises(ValueError, match="of a checkpoint, give the state_dict that it contains"):
        load_torch(small(), {"epoch": np.array(3), "model": RIGHT})


@pytest.mark.parametrize("content", [b"PK\x03\x04rest", b"\x80\x02}q\x00."])
def test_a_pickle_is_not_opened(content, tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"pickle.*safetensors\.torch\.save_file"):
        load_torch(small(), path)


def test_a_damaged_file_is_said(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00nonsense")
    with pytest.raises(
        ValueError, match=r"weights\.safetensors: no file of safetensors, or damaged"
    ):
        load_torch(small(), path)


def test_a_layer_that_pytorch_has_not():
    model = model_of((4, 3), L.PositionEmbedding())
    with pytest.raises(ValueError, match="is a PositionEmbedding, and PyTorch has none"):
        to_torch(model)


# -- Keras


def keras_cases(layers):
    return {
        "dense": ([Dense(4), L.BatchNormalization(), Dense(3)], (6,)),
        "images": ([L.Conv2D(4, (2, 3)), L.Flatten(), Dense(2)], (4, 6, 3)),
        "transpose": ([L.Conv2DTranspose(2, 2, strides=2)], (3, 4, 3)),
        "conv1d": ([L.Conv1D(5, 3, padding="valid")], (7, 3)),
        "layer norm": ([L.LayerNormalization()], (5, 6)),
        "embedding": ([L.Embedding(9, 4)], (5,)),
        "rnn": ([L.SimpleRNN(4)], (5, 6)),
        "lstm": ([L.LSTM(4)], (5, 6)),
        "gru": ([L.GRU(4)], (5, 6)),
    }


@pytest.mark.parametrize("name", keras_cases(L))
def test_keras_and_back(name, monkeypatch):
    """Its layers take our constructors' arguments, for these are Keras's own."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    ours, shape = keras_cases(L)[name]
    model = draw_again(model_of(shape, *ours))
    theirs = keras.Sequential([keras.Input(shape), *map(in_keras(keras), keras_cases(L)[name][0])])
    x = (
        RNG.integers(0, 9, (3, *shape))
        if name == "embedding"
        else RNG.random((3, *shape), "float32")
    )
    theirs.set_weights(to_keras(model))
    np.testing.assert_allclose(theirs.predict(x, verbose=0), model.predict(x), rtol=1e-4, atol=1e-5)
    theirs.set_weights([w * 0.5 for w in theirs.get_weights()])
    load_keras(model, theirs.get_weights())
    np.testing.assert_allclose(theirs.predict(x, verbose=0), model.predict(x), rtol=1e-4, atol=1e-5)


def in_keras(keras):
    names = (
        *("units", "filters", "kernel_size", "strides", "padding", "input_dim", "output_dim"),
        *("activation", "epsilon", "momentum"),
    )

    def made(layer):
        config = {k: v for k, v in layer.get_config().items() if k in names}
        return getattr(keras.layers, type(layer).__name__)(**config)

    return made


def test_attention_in_keras(monkeypatch):
    """Its layer has the heads on an axis of their own."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    model = draw_again(model_of((5, 6), L.MultiHeadAttention(2, 3)))
    x = keras.Input((5, 6))
    theirs = keras.Model(x, keras.layers.MultiHeadAttention(2, 3)(x, x))
    theirs.set_weights(to_keras(model))
    data = RNG.random((3, 5, 6), "float32")
    y = theirs.predict(data, verbose=0)
    np.testing.assert_allclose(model.predict(data), y, rtol=1e-4, atol=1e-5)
    before = model.get_weights()
    load_keras(draw_again(model, 5), theirs.get_weights())
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6)


def branches(x, Dense, Concatenate, **_):
    """Equal shapes, which would take each other's weights without a word."""
    return Concatenate()([Dense(6)(x), Dense(6)(Dense(6)(x))])


def shared(x, Dense, Concatenate, **_):
    first, twice = Dense(6)(x), Dense(6)
    return Concatenate()([twice(first), Dense(6)(twice(Dense(6)(first))), twice(x)])


def nested(x, Dense, Concatenate, Model, Input, **_):
    inside = Input((6,))
    inner = Model(inside, branches(inside, Dense, Concatenate))
    return Concatenate()([Dense(12)(x), Dense(12)(inner(x))])


def both_ways(x, Bidirectional, GRU, Reshape, Concatenate, Flatten, **_):
    steps = Reshape((3, 2))(x)
    inner = Bidirectional(GRU(2, return_sequences=True))(steps)
    return Flatten()(Bidirectional(GRU(2, return_sequences=True))(inner))


@pytest.mark.parametrize("body", [branches, shared, nested, both_ways])
def test_branches_are_in_keras_order(body, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    x, there = Input((6,)), keras.Input((6,))
    model = draw_again(Model(x, body(x, **(vars(L) | {"Model": Model}))))
    their_names = vars(keras.layers) | {"Model": keras.Model, "Input": keras.Input}
    theirs = keras.Model(there, body(there, **their_names))
    data = RNG.random((3, 6), "float32")
    theirs.set_weights(to_keras(model))
    y = np.asarray(theirs(data))
    np.testing.assert_allclose(model.predict(data), y, rtol=1e-4, atol=1e-5)
    before = model.get_weights()
    load_keras(draw_again(model, 5), theirs.get_weights())
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_what_keras_gives_elsewhere_is_refused():
    gru = model_of((5, 6), L.GRU(4))
    before_reset = [np.ones((6, 12)), np.ones((4, 12)), np.ones(12)]
    with pytest.raises(ValueError, match="with reset_after=True, the only kind"):
        load_keras(gru, before_reset)
    for given, says in [(gru, "is a Sequential, expected the list"), ("w.h5", "is a str")]:
        with pytest.raises(TypeError, match=says):
            load_keras(gru, given)
    with pytest.raises(ValueError, match="array 0 is of complex128, expected real numbers"):
        load_keras(small(), [np.ones((3, 2)) * 1j, *to_keras(small())[1:]])
    with pytest.raises(AttributeError, match="begin it with Input"):
        load_keras(Sequential([Dense(2)]), to_keras(small()))


def test_what_does_not_fit_keras():
    model = small()
    with pytest.raises(ValueError, match="1 arrays came, and the model has 4"):
        load_keras(model, [np.ones((3, 2))])
    wrong = [np.ones((2, 3)), *to_keras(model)[1:]]
    with pytest.raises(ValueError, match=r"array 0 is \(2, 3\), and code/W is \(3, 2\)"):
        load_keras(model, wrong)
    gru = model_of((5, 6), L.GRU(4))
    with pytest.raises(ValueError, match=r"gru\S*/b and gru\S*/v are \(2, 12\) in Keras"):
        load_keras(gru, [np.ones((6, 12)), np.ones((4, 12)), np.ones(12)])
