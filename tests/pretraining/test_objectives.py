"""Every method's objective: its backward is the gradient of its forward, and both are pure."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.pretraining import METHODS
from minienc.pretraining.stepped import SteppedPretrainer
from minienc.training.step import Objective
from minienc.verify import numerical_gradient
from tests.pretraining.test_methods import X, make

STEPPED = [name for name, method in METHODS.items() if issubclass(method, SteppedPretrainer)]
NO_GRADIENT = {
    "kmeans": "moves centroids to means: it has no objective",
    "vq": "the gradient by z is taken where the decoder's input is (straight through)",
    "dec": "the sharper memberships are held, though they are made of the memberships",
    "rbm": "what the chain made is held, though the chain moves with the weights",
}
VARIANTS = [  # what computes something else than the defaults
    ("gan", {"loss": "wasserstein"}),
    ("contractive", {"hidden": (5,), "loss": "mean_squared_error"}),
    ("contractive", {"projections": None}),
    ("variational", {"likelihood": "gaussian", "beta": 3.0}),
    ("masked", {"loss": "mean_squared_error"}),
    ("gan", {"architecture": "conv", "filters": (3,), "image_shape": (4, 2)}),
    ("aae", {"loss": "mean_squared_error"}),
]
FOLLOWED = [*((n, {}) for n in STEPPED if n not in NO_GRADIENT), *VARIANTS]


def built(name, **options):
    """A small method in float64, before its first step."""
    method = make(name, dtype="float64", **options)
    method.random_state_ = 0
    method.build(X.shape[1:], np.random.default_rng(0))
    if name == "dec":  # which begins with a fit of its autoencoder
        method.learners_["clusters"].arrays["sizes"] = np.arange(1.0, method.n_clusters + 1)
    else:
        method._start(X)
    return method


def numbers_of(learner, seed=3):
    return learner.objective.forward((X[:5],), np.random.default_rng(seed))


def gradient_of(learner, dloss=1.0, times=1):
    _, cache = numbers_of(learner)
    grads = learner.network.new_gradients()
    for _ in range(times):
        learner.objective.backward(dloss, cache, grads)
    return grads.vector


@pytest.mark.parametrize(("name", "options"), FOLLOWED, ids=str)
def test_backward_is_the_gradient_of_forward(name, options):
    for which, learner in built(name, **options).learners_.items():
        parameters = learner.network.parameters

        def loss(vector, parameters=parameters, learner=learner):
            parameters.vector[...] = vector
            parameters.touch()
            return numbers_of(learner)[0][0]

        expected = numerical_gradient(loss, before := parameters.vector.copy())
        loss(before)
        found = gradient_of(learner, 2.5)
        atol = 1e-5 * np.abs(found).max()  # of the differences
        np.testing.assert_allclose(found, 2.5 * expected, rtol=1e-4, atol=atol, err_msg=which)


def test_a_machines_is_that_of_the_difference_of_free_energies_with_the_chain_held():
    learner = built("rbm", weight_decay=0.1).learners_["machine"]
    W = learner.objective.machine.up.W
    _, cache = numbers_of(learner)
    made, machine = cache[-1], learner.objective.machine
    parameters = learner.network.parameters

    def loss(vector):
        parameters.vector[...] = vector
        parameters.touch()
        difference = machine.free_energy(X[:5])[0].mean() - machine.free_energy(made)[0].mean()
        return difference + 0.1 / 2 * (W.value**2).sum()

    expected = numerical_gradient(loss, before := parameters.vector.copy())
    loss(before)
    np.testing.assert_allclose(gradient_of(learner, 2.5), 2.5 * expected, rtol=1e-6, atol=1e-9)


def test_a_clusterings_is_that_of_the_divergence_with_the_sharper_memberships_held():
    learner = built("dec").learners_["clusters"]
    parameters, network = learner.network.parameters, learner.network
    q = network(X[:5])
    p = q * q / learner.arrays["sizes"]
    p = p / p.sum(axis=1)[:, None]

    def loss(vector):
        parameters.vector[...] = vector
        parameters.touch()
        return (p * np.log(p / network(X[:5]))).sum(axis=1).mean()

    expected = numerical_gradient(loss, before := parameters.vector.copy())
    loss(before)
    np.testing.assert_allclose(gradient_of(learner, 2.5), 2.5 * expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", [name for name in STEPPED if name != "kmeans"])
def test_both_are_pure(name):
    for learner in built(name).learners_.values():
        assert isinstance(learner.objective, Objective)
        before = learner.network.parameters.vector.copy()
        arrays = {key: np.copy(a) for key, a in learner.arrays.items()}
        numbers, _ = numbers_of(learner)
        again, _ = numbers_of(learner)
        assert len(numbers) == len(learner.objective.names) == len(set(learner.objective.names))
        assert list(map(float, numbers)) == list(map(float, again))
        once, twice = gradient_of(learner), gradient_of(learner, times=2)
        np.testing.assert_allclose(twice, 2 * once, rtol=1e-12)
        assert np.abs(once).max() > 0
        np.testing.assert_array_equal(learner.network.parameters.vector, before)
        assert learner.arrays.keys() == arrays.keys()
        for key, a in arrays.items():
            np.testing.assert_array_equal(learner.arrays[key], a)


def test_the_exceptions_are_exceptions():
    """A name that needs none is no longer in the table."""
    assert set(NO_GRADIENT) <= set(STEPPED)
    for learner in built("vq").learners_.values():
        parameters = learner.network.parameters

        def loss(vector, parameters=parameters, learner=learner):
            parameters.vector[...] = vector
            parameters.touch()
            return numbers_of(learner)[0][0]

        expected = numerical_gradient(loss, before := parameters.vector.copy())
        loss(before)
        assert not np.allclose(gradient_of(learner), expected, rtol=1e-4, atol=1e-7)
