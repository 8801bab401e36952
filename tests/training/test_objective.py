"""The number that training makes small, and its gradient, whole."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.layers import Activation, Dense, DenseTranspose, Input
from minienc.layers.regularizers import L1L2, L2
from minienc.models import Model
from minienc.training.step import find_nonfinite
from tests.test_laws import numerical_gradient

RNG = np.random.default_rng(3)


def check(model, xs, targets, weights=None):
    """The gradient of the objective against differences of it."""
    objective, batch = model.objective, (*xs, *targets, *(weights or ()))
    numbers, cache = objective.forward(batch)
    grads = model.new_gradients()
    objective.backward(1.0, cache, grads)
    for name, p in model.named_parameters():
        original = p.value.copy()

        def f(value, p=p):
            p.value = value
            return objective.forward(batch)[0][0]

        numeric = numerical_gradient(f, original)
        p.value = original
        np.testing.assert_allclose(grads[name], numeric, rtol=2e-6, atol=1e-9, err_msg=name)
    return numbers[0]


LOSSES = {
    ("sigmoid", "binary_crossentropy"): lambda: RNG.random((6, 3)),
    ("softmax", "categorical_crossentropy"): lambda: np.eye(3)[RNG.integers(0, 3, 6)],
    ("softmax", "sparse_categorical_crossentropy"): lambda: RNG.integers(0, 3, 6),
    ("softmax", "kl_divergence"): lambda: RNG.dirichlet(np.ones(3), 6),
    ("tanh", "mse"): lambda: RNG.standard_normal((6, 3)),
    ("gelu", "mae"): lambda: RNG.standard_normal((6, 3)),
    ("sigmoid", "mse"): lambda: RNG.random((6, 3)),
}


@pytest.mark.parametrize("pair", LOSSES, ids=" ".join)
@pytest.mark.parametrize("as_layer", [False, True])
def test_the_gradient_of_each_output_and_loss(pair, as_layer):
    activation, loss = pair
    x = Input((4,), dtype="float64")
    h = Dense(5, "tanh", seed=0)(x)
    if as_layer:
        y = Activation(activation)(Dense(3, seed=1)(h))
    else:
        y = Dense(3, activation, seed=1)(h)
    model = Model(x, y)
    model.compile("sgd", loss)
    check(model, [RNG.standard_normal((6, 4))], [LOSSES[pair]()])


def test_penalties_weights_and_several_outputs():
    x = Input((4,), dtype="float64")
    encoder = Dense(
        3, "tanh", seed=0, kernel_regularizer=L2(0.1), activity_regularizer=L1L2(0.05, 0.2)
    )
    code = encoder(x)
    restored = DenseTranspose(encoder, "sigmoid", bias_regularizer="l2", bias_initializer="ones")
    classes = Dense(2, "softmax", seed=1, activity_regularizer="l1", name="classes")
    model = Model(x, [restored(code), classes(code)])
    model.compile(
        "sgd",
        ["binary_crossentropy", "sparse_categorical_crossentropy"],
        loss_weights=[0.3, 2.0],
        metrics=[["mse"], ["accuracy"]],
    )
    X, labels = RNG.random((6, 4)), RNG.integers(0, 2, 6)
    loss = check(model, [X], [X, labels], [RNG.random(6), RNG.random(6)])
    alone = check(model, [X], [X, labels])
    assert loss != alone


def test_the_loss_is_what_its_formula_says():
    """By hand: 0.5 * mean BCE + 0.1 * sum W^2 + 0.2 * sum |y| / N."""
    x = Input((2,), dtype="float64")
    layer = Dense(
        1, "sigmoid", seed=0, kernel_regularizer=L2(0.1), activity_regularizer=L1L2(l1=0.2)
    )
    model = Model(x, layer(x))
    model.compile("sgd", "binary_crossentropy", loss_weights=[0.5])
    X, t = RNG.standard_normal((5, 2)), RNG.random((5, 1))
    p = 1 / (1 + np.exp(-(X @ layer.W.value + layer.b.value)))
    bce = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    expected = 0.5 * bce + 0.1 * (layer.W.value**2).sum() + 0.2 * np.abs(p).sum() / 5
    numbers, _ = model.objective.forward((X, t))
    np.testing.assert_allclose(numbers[0], expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_saturated_output_still_learns(dtype):
    """Where a sigmoid has rounded to 1, p(1 - p) is 0; the gradient of the logit is p - t."""
    x = Input((1,), dtype=dtype)
    layer = Dense(1, "sigmoid", kernel_initializer="ones")
    model = Model(x, layer(x))
    model.compile("sgd", "binary_crossentropy")
    batch = np.full((1, 1), 200, dtype), np.zeros((1, 1), dtype)
    numbers, cache = model.objective.forward(batch)
    grads = model.new_gradients()
    model.objective.backward(1.0, cache, grads)
    assert numbers[0] == pytest.approx(200)
    assert grads["dense_1/b"][0] == 1
    assert grads["dense_1/W"][0, 0] == 200


def test_an_output_that_is_also_used_inside_is_computed_with_its_activation():
    x = Input((3,), dtype="float64")
    p = Dense(2, "sigmoid", seed=0, name="p")(x)
    model = Model(x, [p, Dense(3, seed=1, name="x_hat")(p)])
    model.compile("sgd", ["binary_crossentropy", "mse"])
    X = RNG.standard_normal((4, 3))
    check(model, [X], [RNG.random((4, 2)), X])


def test_first_nonfinite_layer_is_named():
    x = Input((2,), dtype="float64")
    bad = Dense(2, kernel_initializer=lambda s, r, d: np.full(s, 1e200, d), name="bad")
    model = Model(x, Dense(1, seed=0)(bad(Dense(2, seed=1, name="good")(x))))
    model.compile("sgd", "mse")
    with np.errstate(over="ignore", invalid="ignore"):
        batch = np.full((1, 2), 1e200), np.zeros((1, 1))
        where = find_nonfinite(model, model.objective, batch, None)
    assert where == "it first appears in the output of layer bad"
