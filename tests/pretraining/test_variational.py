"""The variational autoencoder: its gradient, its bounds, and what it shows of collapse."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.data import load_digits
from minienc.pretraining import METHODS
from minienc.verify import numerical_gradient

Variational = METHODS["variational"]
RNG = np.random.default_rng(0)


def built(n_features, **params):
    method = Variational(
        **{"hidden": (7,), "code": 3, "dtype": "float64", "optimizer": "sgd", **params}
    )
    method.random_state_ = 0
    method.check_params((n_features,))
    method.build((n_features,), np.random.default_rng(0))
    method._start(np.zeros((20, n_features)))
    return method


class Replayed:
    """A generator that draws the same numbers again and again."""

    def __init__(self, seed=3):
        self.seed = seed

    def __getattr__(self, name):
        return getattr(np.random.default_rng(self.seed), name)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("beta", [1.0, 3.0])
def test_a_step_follows_the_gradient_of_the_loss(likelihood, beta):
    rate = 1e-6
    method = built(6, likelihood=likelihood, beta=beta, learning_rate=rate, stddev=0.7)
    x, noise = RNG.random((5, 6)), Replayed()
    learner = method.learners_["autoencoder"]
    vector = learner.parameters.vector
    before = vector.copy()

    def loss_of(values):
        vector[...] = values
        return method._numbers((x,), noise)["loss"]

    numeric = numerical_gradient(loss_of, before.copy())
    vector[...] = before
    method._step((x,), noise)
    np.testing.assert_allclose((before - vector) / rate, numeric, rtol=1e-5, atol=1e-6)


def linear_gaussian():
    """x = W z + b + s e: log p(x) is that of N(b, W W' + s^2 I)."""
    method = built(4, hidden=(), code=2, likelihood="gaussian", stddev=0.6)
    decoder = method.objective_.decoder
    W, b = RNG.standard_normal((2, 4)), RNG.standard_normal(4)
    decoder.set_weights([W, b])
    covariance = W.T @ W + 0.36 * np.eye(4)
    x = RNG.multivariate_normal(b, covariance, 30)
    d = x - b
    exact = -0.5 * (
        (d @ np.linalg.inv(covariance) * d).sum(axis=1)
        + np.linalg.slogdet(2 * np.pi * covariance)[1]
    )
    # a posterior that is near the true one, but not it: the true mean, too wide a variance
    precision = np.eye(2) + W @ W.T / 0.36
    to_mean = W.T @ np.linalg.inv(precision) / 0.36
    variance = 2 * np.diag(np.linalg.inv(precision))
    method.objective_.encoder.set_weights(
        [to_mean, -b @ to_mean, np.zeros((4, 2)), np.log(variance)]
    )
    return method, x, exact


def test_the_bounds_rise_to_the_exact_likelihood():
    method, x, exact = linear_gaussian()
    elbo = -np.mean([method._numbers((x,), np.random.default_rng(s))["loss"] for s in range(300)])
    few, many = (method.log_likelihood(x, n).mean() for n in (3, 2000))
    assert elbo < few < exact.mean() + 1e-9
    np.testing.assert_allclose(method.log_likelihood(x, 20_000), exact, atol=0.05)
    assert abs(many - exact.mean()) < 0.02


def test_the_likelihood_is_that_of_a_bernoulli_by_enumeration():
    """Every x of three bits: the probabilities add up to 1."""
    method = built(3, hidden=(5,), code=1)
    encoder = method.objective_.encoder
    encoder.set_weights([np.zeros_like(w) for w in encoder.get_weights()[:-1]] + [np.ones(1)])
    bits = np.array(np.meshgrid(*[[0, 1]] * 3)).reshape(3, -1).T.astype(float)
    total = np.exp(method.log_likelihood(bits, 4000)).sum()
    assert total == pytest.approx(1, abs=0.01)


def test_a_large_beta_makes_the_code_collapse_and_the_history_shows_it():
    digits = load_digits()
    free, pressed = (
        Variational(
            hidden=(32,),
            code=6,
            beta=beta,
            epochs=15,
            batch_size=64,
            learning_rate=3e-3,
            random_state=0,
        ).fit(digits.x)
        for beta in (0.1, 100.0)
    )
    assert free.active_units(digits.test_x) == 6 and free.history_["active"][-1] > 5
    assert pressed.active_units(digits.test_x) == 0 and pressed.history_["kl"][-1] < 0.5
    kl = free.kl_per_dimension(digits.test_x)
    assert kl.shape == (6,) and (kl > 0.1).all()
    single = sum(free.history_[f"kl_{k}"][-1] for k in range(1, 7))
    assert single == pytest.approx(free.history_["kl"][-1], rel=1e-5)
    assert pressed.sample(5).shape == (5, 64)


def test_warm_up_lets_the_divergence_in_slowly():
    method = built(6, beta=4.0, warm_up=2, batch_size=5)
    betas = []
    for _ in range(10):
        method._step((RNG.random((5, 6)),), RNG)
        betas.append(method.objective_.beta)
    np.testing.assert_allclose(betas, np.minimum(np.arange(10) / 8, 1) * 4)


def test_binarised_samples_are_zeros_and_ones_as_often_as_they_say():
    method = built(4, binarize=True)
    x = np.tile([0.0, 0.25, 0.9, 1.0], (4000, 1))
    drawn = method.objective_.binarized(x, RNG)
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_allclose(drawn.mean(axis=0), x[0], atol=0.03)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"code": 0}, "code is 0, expected a whole number"),
        ({"likelihood": "poisson"}, "likelihood is 'poisson', expected bernoulli or gaussian"),
        ({"beta": -1}, "beta is -1, expected a number from 0"),
        ({"stddev": 0}, "stddev is 0, expected"),
        ({"hidden": (0,)}, "hidden is"),
    ],
)
def test_refusals(params, message):
    with pytest.raises(ValueError, match=message):
        Variational(**params).check_params((16,))


def test_a_bernoulli_wants_probabilities():
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        Variational(hidden=(4,), code=2, epochs=1).fit(3 * RNG.random((20, 16)))
