"""Rows that were or become images: PyTorch computes the same after its weights were turned."""

from __future__ import annotations

import numpy as np
import pytest

from minienc import layers as L
from minienc.layers import Input
from minienc.models import Model, Sequential, load_torch, to_torch

RNG = np.random.default_rng(0)


def cases():
    """{name: (ours, PyTorch's modules, shape of a sample)}; there, channels come first."""
    from torch import nn

    return {
        "a row becomes an image": (
            [L.Dense(24), L.Reshape((2, 3, 4)), L.Conv2D(5, 2)],
            [nn.Linear(6, 24), nn.Unflatten(1, (4, 2, 3)), nn.Conv2d(4, 5, 2)],
            (6,),
        ),
        "normalised on its way": (
            [
                *(L.Dense(24), L.BatchNormalization(epsilon=1e-5), L.Activation("relu")),
                *(L.Reshape((2, 3, 4)), L.Conv2D(5, 2)),
            ],
            [
                *(nn.Linear(6, 24), nn.BatchNorm1d(24), nn.ReLU()),
                *(nn.Unflatten(1, (4, 2, 3)), nn.Conv2d(4, 5, 2)),
            ],
            (6,),
        ),
        "an image becomes a row, normalised": (
            [L.Flatten(), L.BatchNormalization(epsilon=1e-5), L.Dense(5)],
            [nn.Flatten(), nn.BatchNorm1d(24), nn.Linear(24, 5)],
            (2, 4, 3),
        ),
        "by samples": (
            [L.Flatten(), L.LayerNormalization(epsilon=1e-5), L.Dropout(0.5), L.Dense(5)],
            [nn.Flatten(), nn.LayerNorm(24), nn.Linear(24, 5)],
            (2, 4, 3),
        ),
        "there and back": (
            [L.Flatten(), L.Dense(24), L.Reshape((2, 3, 4))],
            [nn.Flatten(), nn.Linear(24, 24), nn.Unflatten(1, (4, 2, 3))],
            (2, 4, 3),
        ),
        "the same image again": (
            [L.Flatten(), L.Reshape((2, 4, 3)), L.Conv2D(5, 2)],
            [nn.Flatten(), nn.Unflatten(1, (3, 2, 4)), nn.Conv2d(3, 5, 2)],
            (2, 4, 3),
        ),
        "a convolution's sequence becomes a row": (
            [L.Conv1D(4, 3, padding="valid"), L.Activation("tanh"), L.Flatten(), L.Dense(5)],
            [nn.Conv1d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(24, 5)],
            (8, 3),
        ),
        "a row becomes a convolution's sequence": (
            [L.Dense(24), L.Reshape((6, 4)), L.Conv1D(2, 3, padding="valid")],
            [nn.Linear(5, 24), nn.Unflatten(1, (4, 6)), nn.Conv1d(4, 2, 3)],
            (5,),
        ),
    }


NAMES = (
    *("a row becomes an image", "normalised on its way", "an image becomes a row, normalised"),
    *("by samples", "there and back", "the same image again"),
    *("a convolution's sequence becomes a row", "a row becomes a convolution's sequence"),
)


@pytest.mark.parametrize("name", NAMES)
def test_pytorch_computes_the_same(name):
    torch = pytest.importorskip("torch")
    assert set(NAMES) == set(cases())
    ours, theirs, shape = cases()[name]
    model = Sequential([Input(shape), *ours])
    network = torch.nn.Sequential(*theirs).eval()
    for a in network.state_dict().values():  # all different, the moving averages as well
        if a.is_floating_point():
            a.uniform_(0.2, 1, generator=torch.Generator().manual_seed(a.numel()))
    load_torch(model, network.state_dict())
    x = RNG.normal(size=(3, *shape)).astype("float32")
    given = torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))
    with torch.no_grad():
        y = network(given).numpy()
    np.testing.assert_allclose(model.predict(x), np.moveaxis(y, 1, -1), rtol=1e-4, atol=1e-5)
    back = to_torch(model)
    there = [a for k, a in network.state_dict().items() if "tracked" not in k]
    for one, two in zip(back.values(), there, strict=True):
        np.testing.assert_array_equal(one, two.numpy())


def test_recurrent_sequences_are_flattened_as_there():
    """(T, D) stands as it is in PyTorch with batch_first: nothing is turned."""
    model = Sequential([Input((4, 3)), L.GRU(2, return_sequences=True), L.Flatten(), L.Dense(5)])
    W = model.get_weights()[-2]
    np.testing.assert_array_equal(to_torch(model)["dense_1.weight"], W.T)


def test_beside_each_other():
    """A flattened image (2, 1, 2) beside two numbers: c0: 0 2, c1: 1 3, and 4 5 behind them."""
    image, more = Input((2, 1, 2)), Input((2,))
    dense = L.Dense(1, use_bias=False, name="dense")
    model = Model([image, more], dense(L.Concatenate()([L.Flatten()(image), more])))
    model.set_weights([np.arange(6.0)[:, None]])
    assert to_torch(model)["dense.weight"].tolist() == [[0, 2, 1, 3, 4, 5]]
    load_torch(model, to_torch(model))
    assert model.get_weights()[0].ravel().tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("shape", "layers", "says"),
    [
        ((2, 2, 3), [L.Flatten(), L.Reshape((4, 3)), L.GRU(2)], "reshape_1, a Reshape, sees"),
        ((5, 3), [L.GRU(12), L.Reshape((2, 2, 3)), L.Conv2D(2, 2)], "what gru_1 returns becomes"),
    ],
)
def test_what_cannot_be_turned_is_refused(shape, layers, says):
    model = Sequential([Input(shape), *layers])
    with pytest.raises(ValueError, match=says):
        to_torch(model)


def test_a_layer_that_would_need_two_orders():
    x = Input((2, 2, 3))
    dense = L.Dense(12, name="dense")
    with pytest.raises(ValueError, match="dense is used more than once"):
        to_torch(Model(x, dense(dense(L.Flatten()(x)))))
