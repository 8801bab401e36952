"""The restricted Boltzmann machine, against sums over all of a small one's states."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minienc.data import load_digits
from minienc.functions import free_energy_forward
from minienc.pretraining import METHODS
from minienc.training.callbacks import EarlyStopping

RBM = METHODS["rbm"]
RNG = np.random.default_rng(0)


def built(n_features, **params):
    method = RBM(**{"n_components": 3, "dtype": "float64", "random_state": 0, **params})
    method.random_state_ = 0
    method.check_params((n_features,))
    method.build((n_features,), np.random.default_rng(0))
    return method


def with_weights(n_features=4, **params):
    method = built(n_features, **params)
    for p in method.machine_.parameters():
        p.value = RNG.standard_normal(p.value.shape)
    return method


def states(n):
    return np.array(list(itertools.product([0.0, 1.0], repeat=n)))


def energies(method, v, h):
    """E(v, h) of every pair of states: (V, H), as it is defined."""
    W, b, c = (p.value for p in method.machine_.parameters())
    return -(v @ b)[:, None] - (h @ c)[None, :] - v @ W @ h.T


def test_free_energy_is_the_sum_over_the_hidden_states():
    method = with_weights()
    v, h = states(4), states(3)
    expected = -np.log(np.exp(-energies(method, v, h)).sum(axis=1))
    np.testing.assert_allclose(method.free_energy(v), expected, rtol=1e-12)
    p = np.exp(-energies(method, v, h))
    mean = p @ h / p.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(method.transform(v), mean, rtol=1e-10)


def test_gaussian_units_by_numerical_integration():
    """One visible and one hidden unit: the integral over h, on a fine grid."""
    w, b, c = np.array([[0.7]]), np.array([0.3]), np.array([-0.4])
    h = np.linspace(-40, 40, 200_001)
    for v in (-1.0, 0.5):
        a = v * 0.7 - 0.4
        integral = np.log(np.trapezoid(np.exp(a * h - h * h / 2), h)) - np.log(2 * np.pi) / 2
        F, _ = free_energy_forward(np.array([[v]]), w, b, c, "gaussian", "gaussian")
        assert F[0] == pytest.approx((v - 0.3) ** 2 / 2 - integral, rel=1e-8)


def test_log_z_by_annealing_is_the_sum_over_all_states():
    method = with_weights(6, n_components=4)
    exact = np.log(np.exp(-energies(method, states(6), states(4))).sum())
    assert method.log_partition(500, 500) == pytest.approx(exact, abs=0.1)
    total = np.exp(-method.free_energy(states(6)) - exact).sum()
    assert total == pytest.approx(1)


def test_the_pseudo_likelihood_of_one_bit_of_each_sample_stands_for_all():
    method = with_weights(5)
    x = states(5)[[3, 17, 30]]
    p = np.exp(-energies(method, states(5), states(3))).sum(axis=1)
    index = {tuple(v): i for i, v in enumerate(states(5))}
    for i in range(5):
        logs = []
        for n, v in enumerate(x):
            turned, bit = v.copy(), (i + n) % 5
            turned[bit] = 1 - turned[bit]
            one, other = p[index[tuple(v)]], p[index[tuple(turned)]]
            logs.append(np.log(one / (one + other)))
        assert method.machine_.pseudo_likelihood(x, i) == pytest.approx(
            5 * np.mean(logs), rel=1e-10
        )


def test_chains_visit_states_as_often_as_they_are_probable():
    method = with_weights(3, n_components=2)
    p = np.exp(-energies(method, states(3), states(2))).sum(axis=1)
    v = (RNG.random((20_000, 3)) < 0.5).astype(float)
    for _ in range(60):
        v = method.machine_.draw_visible(method.machine_.draw_hidden(v, RNG), RNG)
    seen = np.bincount((v @ [4, 2, 1]).astype(int), minlength=8) / len(v)
    np.testing.assert_allclose(seen, p / p.sum(), atol=0.015)


@pytest.mark.parametrize("persistent", [False, True])
def test_a_step_is_the_difference_of_two_outer_products(persistent):
    """The rule of the papers: dW = <v h> of samples - <v h> of the chain; and the decay of W."""
    method = built(4, persistent=persistent, k=2, momentum=0.0, weight_decay=0.1, learning_rate=0.5)
    X = (RNG.random((6, 4)) < 0.5).astype(float)
    method.batch_size = 6
    method._start(X)
    for p in method.machine_.parameters():
        p.value = RNG.standard_normal(p.value.shape)
    W, b, c = (p.value.copy() for p in method.machine_.parameters())
    rng, v = np.random.default_rng(4), X
    if persistent:
        v = method.learners_["machine"].arrays["particles"]
    for _ in range(2):
        v = method.machine_.draw_visible(method.machine_.draw_hidden(v, rng), rng)
    h_data, h_model = (method.encoder_(a) for a in (X, v))
    method._step((X,), np.random.default_rng(4))
    newW, newb, newc = (p.value for p in method.machine_.parameters())
    np.testing.assert_allclose(
        newW - W, 0.5 * ((X.T @ h_data - v.T @ h_model) / 6 - 0.1 * W), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(newb - b, 0.5 * (X - v).mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(newc - c, 0.5 * (h_data - h_model).mean(axis=0), atol=1e-12)
    if persistent:
        np.testing.assert_array_equal(method.learners_["machine"].arrays["particles"], v)


def test_it_learns_which_bits_go_together():
    """Two patterns of four bits: all others must become improbable."""
    X = np.repeat([[1.0, 1, 0, 0], [0, 0, 1, 1]], 200, axis=0)
    method = RBM(
        4, k=5, persistent=True, epochs=60, learning_rate=0.1, momentum=0.0, random_state=0
    ).fit(X)
    F = method.free_energy(states(4))
    p = np.exp(F.min() - F)
    p /= p.sum()
    assert p[[3, 12]].sum() > 0.9
    assert method.history_["pseudo_likelihood"][-1] > method.history_["pseudo_likelihood"][0]


def test_gaussian_units_restore_digits():
    digits = np.asarray(load_digits().x).reshape(-1, 64)
    X = (digits - digits.mean(axis=0)) / (digits.std(axis=0) + 0.1)
    method = RBM(64, visible="gaussian", learning_rate=0.005, epochs=20, random_state=0).fit(X)
    mean = (X**2).sum(axis=1).mean()
    assert method.reconstruction_error(X) < 0.65 * mean


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_components": 0}, "n_components is 0, expected a whole number"),
        ({"k": 0}, "k is 0"),
        ({"visible": "softmax"}, "visible is 'softmax', expected binary or gaussian"),
        ({"weight_decay": -1}, "weight_decay is -1, expected a number >= 0"),
    ],
)
def test_refusals(params, message):
    with pytest.raises(ValueError, match=message):
        RBM(**params).check_params((4,))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        RBM(3, epochs=1).fit(3 * RNG.random((20, 4)))
    with pytest.raises(TypeError, match="binary visible and hidden units"):
        built(4, visible="gaussian").log_partition()


@pytest.mark.parametrize(("visible", "sign"), [("binary", 1), ("gaussian", -1)])
def test_early_stopping_knows_which_way_the_quality_is_better(visible, sign):
    X = np.random.default_rng(0).random((60, 6))
    log = {"binary": "pseudo_likelihood", "gaussian": "reconstruction"}[visible]
    stopping = EarlyStopping(log, patience=2)
    machine = RBM(4, visible=visible, epochs=12, learning_rate=0.01, random_state=0)
    values = sign * np.array(machine.fit(X, callbacks=[stopping]).history_[log])
    assert stopping.best_epoch == values.argmax()
