"""Models and arrays on JAX, copied and pickled, as GridSearchCV, clone and joblib do."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest

from minienc.arrays import to_device, to_numpy
from minienc.layers import Dense, Input
from minienc.models import Sequential
from minienc.pretraining import Autoencoder

jax = pytest.importorskip("jax")
X = np.random.default_rng(0).random((24, 6), "float32")


def numbers(model):
    return [to_numpy(w).copy() for w in model.get_weights()]


def test_a_copy_lives_there_and_has_numbers_of_its_own():
    model = Sequential([Input((6,)), Dense(3, "tanh", seed=0), Dense(6, seed=1)]).to("jax")
    model.compile("adam", "mean_squared_error")
    model.fit(X, X, seed=0, verbose=0)
    before = numbers(model)
    twins = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for twin in twins:
        assert twin.device == "jax"
        twin.fit(X, X, seed=1, verbose=0)
        assert (numbers(twin)[0] != before[0]).any()
        for now, then in zip(numbers(model), before, strict=True):
            np.testing.assert_array_equal(now, then)
    model.fit(X, X, seed=1, verbose=0)  # what Adam remembers was copied, too
    for one, other in zip(numbers(model), numbers(twins[1]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_fitted_method():
    method = Autoencoder(hidden=(3,), epochs=1, device="jax", random_state=0).fit(X)
    twin = pickle.loads(pickle.dumps(method))
    np.testing.assert_array_equal(twin.transform(X), method.transform(X))


def test_a_view_becomes_an_array():
    vector = to_device(np.arange(6, dtype="float32"), "jax")
    part = pickle.loads(pickle.dumps(vector[2:].reshape(2, 2)))
    part += 1
    assert to_numpy(part).tolist() == [[3, 4], [5, 6]]
    assert to_numpy(vector).tolist() == [0, 1, 2, 3, 4, 5]


def test_what_asks_for_float64_has_the_widest_there_is():
    """And not a warning of JAX's for each step: k-means compares distances so."""
    before = jax.config.jax_enable_x64
    x = to_device(np.ones(3, "float32"), "jax")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for allowed, kind in ((False, "float32"), (True, "float64")):
                jax.config.update("jax_enable_x64", allowed)
                assert x.astype("float64").dtype == kind
    finally:
        jax.config.update("jax_enable_x64", before)
