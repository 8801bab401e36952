"""Ranks that were not given the same: refused on all of them, before the first batch."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.data import open_shards
from minienc.layers import Dense, Input
from minienc.models import Sequential
from minienc.pretraining import DenoisingAutoencoder
from tests.thread_ranks import run_ranks

X = np.random.default_rng(0).random((24, 4), "float32")


def fit(x=X, units=3, **options):
    model = Sequential([Input(x.shape[1:]), Dense(units, seed=0)])
    model.compile("sgd", "mean_squared_error")
    settings = {"epochs": 1, "batch_size": 6, "seed": 0, "verbose": 0} | options
    model.fit(x, np.zeros((len(x), units)), **settings)
    return model.parameters.vector


@pytest.mark.parametrize(
    ("of_rank", "says"),
    [
        (lambda r: {"x": X[: 24 - 6 * r]}, "numbers of samples"),
        (lambda r: {"x": X[12 * r : 12 * r + 12]}, "different contents of samples"),
        (lambda r: {"x": X[:, : 4 - r]}, "numbers of weights"),
        (lambda r: {"epochs": 1 + r}, "numbers of epochs"),
        (lambda r: {"batch_size": 6 + r}, "batch sizes"),
        (lambda r: {"units": 3 + r}, "numbers of weights"),
    ],
)
def test_what_differs_is_named(of_rank, says):
    refused = []

    def work(ranks):
        with pytest.raises(ValueError, match=says) as error:
            fit(**of_rank(ranks.rank))
        refused.append(str(error.value))

    run_ranks(2, work)
    assert len(refused) == 2 and refused[0] == refused[1]
    assert refused[0].startswith("the 2 processes have different ")


def test_other_shards_are_other_samples(tmp_path):
    for k in range(4):
        np.save(tmp_path / f"{k}.npy", X[6 * k : 6 * k + 6])

    def work(ranks):
        own = [tmp_path / f"{2 * ranks.rank + k}.npy" for k in range(2)]
        method = DenoisingAutoencoder(hidden=(2,), epochs=1, batch_size=6)
        with pytest.raises(ValueError, match="different contents of samples"):
            method.fit(open_shards(own))
        return method.fit(open_shards(tmp_path)).model_.parameters.vector

    np.testing.assert_array_equal(*run_ranks(2, work))


def test_rounding_is_no_difference():
    """Machines of a cluster need not prepare their data to the last bit alike."""
    found = run_ranks(2, lambda ranks: fit(X * np.float32(1 + 1e-6 * ranks.rank)))
    np.testing.assert_array_equal(*found)


def test_a_seed_that_nobody_gave_is_no_difference():
    np.testing.assert_array_equal(*run_ranks(2, lambda ranks: fit(seed=None)))
