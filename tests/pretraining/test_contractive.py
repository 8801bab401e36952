"""The contractive autoencoder against Jacobians by differences."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.data import load_digits
from minienc.pretraining import METHODS
from minienc.pretraining.contractive import dense_norm_backward, dense_norm_forward
from minienc.pretraining.second_order import contraction_backward, contraction_forward
from minienc.verify import numerical_gradient

Contractive = METHODS["contractive"]
RNG = np.random.default_rng(0)


def built(n_features=4, **params):
    method = Contractive(
        **{"hidden": (6, 3), "dtype": "float64", "strength": 0.3, "projections": None, **params}
    )
    method.random_state_ = 0
    method.check_params((n_features,))
    method.build((n_features,), np.random.default_rng(0))
    return method


@pytest.mark.parametrize("hidden", [(5,), (6, 3), (5, 4, 3)])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softplus", "elu", "leaky_relu"])
def test_the_norm_is_that_of_the_jacobian_by_differences(hidden, activation):
    method, x = built(hidden=hidden, activation=activation), RNG.random((3, 4))
    jacobians = []
    for one in x:
        rows = [
            numerical_gradient(lambda v, k=k: method.encoder_(v[None])[0, k], one)
            for k in range(hidden[-1])
        ]
        jacobians.append(rows)
    np.testing.assert_allclose(method.jacobian(x), jacobians, rtol=1e-6, atol=1e-9)
    expected = (np.array(jacobians) ** 2).sum(axis=(1, 2)).mean()
    assert method._numbers((x,), RNG)["contraction"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("hidden", [(5,), (6, 3), (5, 4, 3)])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softplus"])
def test_a_step_follows_the_gradient_of_the_whole_loss(hidden, activation):
    rate = 1e-6
    method = built(hidden=hidden, activation=activation, optimizer="sgd", learning_rate=rate)
    x, vector = RNG.random((3, 4)), method.model_.parameters.vector
    before = vector.copy()

    def loss_of(values):
        vector[...] = values
        method.model_.parameters.touch()
        return method._numbers((x,), RNG)["loss"]

    numeric = numerical_gradient(loss_of, before.copy())
    loss_of(before)
    logs = method._step((x,), RNG)
    np.testing.assert_allclose((before - vector) / rate, numeric, rtol=1e-4, atol=1e-7)
    assert logs["loss"] > logs["contraction"] * 0.3


def test_one_layer_is_the_same_by_either_way():
    method, x = built(hidden=(5,)), RNG.random((3, 4))
    one, two = method.model_.new_gradients(), method.model_.new_gradients()
    layer = method.encoder_.layers[0]
    by_formula, cache = dense_norm_forward(layer, x)
    dense_norm_backward(method.strength, cache, layer, one)
    by_units, cache = contraction_forward(method.encoder_, x, np.eye(5), method.strength)
    contraction_backward(1.0, cache, two)
    assert by_units == pytest.approx(method.strength * by_formula)
    np.testing.assert_allclose(one.vector, two.vector, rtol=1e-9, atol=1e-12)


def test_random_directions_are_right_on_average():
    method, x = built(projections=3), RNG.random((3, 4))
    exact = built()._numbers((x,), RNG)["contraction"]
    draws = [method._numbers((x,), RNG)["contraction"] for _ in range(3000)]
    assert np.mean(draws) == pytest.approx(exact, abs=4 * np.std(draws) / np.sqrt(3000))


def test_codes_of_digits_follow_fewer_directions():
    digits = load_digits()
    free, pressed = (
        Contractive(
            hidden=(32,), strength=s, epochs=30, batch_size=64, learning_rate=3e-3, random_state=0
        ).fit(digits.x)
        for s in (0.0, 0.01)
    )
    x = np.asarray(digits.test_x).reshape(-1, 64)[:40]
    spectra = [np.linalg.svd(m.jacobian(x), compute_uv=False).mean(axis=0) for m in (free, pressed)]
    assert (spectra[1] ** 2).sum() < 0.3 * (spectra[0] ** 2).sum()
    assert spectra[1][10] / spectra[1][0] < spectra[0][10] / spectra[0][0]
    assert pressed.history_["contraction"][-1] < free.history_["contraction"][-1]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"strength": -1.0}, r"strength is -1\.0, expected a number >= 0"),
        ({"projections": 0}, "projections is 0, expected a whole number"),
        ({"activation": "gelu"}, "activation is 'gelu', expected one of linear"),
        ({"loss": "kl_divergence"}, "expected binary_crossentropy or"),
    ],
)
def test_refusals(params, message):
    with pytest.raises(ValueError, match=message):
        Contractive(**params).check_params((16,))
