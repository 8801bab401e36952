"""Draws of several ranks: each sample has its own wherever its axis stands, and what belongs to no
sample is the same everywhere, even where it has as many rows as a rank's part of a batch."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.layers import Dense, Flatten, Input, RandomEqualizer, RandomStretch, SpecAugment
from minienc.models import Sequential
from minienc.pretraining import ContractiveAutoencoder
from tests.thread_ranks import run_ranks

RNG = np.random.default_rng(0)
X = RNG.random((22, 8))
SPECTROGRAMS = RNG.random((22, 6, 5))


def alike(work, size=3):
    one, found = work(), run_ranks(size, work)
    for vector in found:
        np.testing.assert_array_equal(vector, found[0])
        np.testing.assert_allclose(vector, one, rtol=0, atol=1e-12)


@pytest.mark.parametrize("projections", [2, 3, 4, 5])
def test_directions_that_all_samples_share(projections):
    """A batch of 10 is 3, 3 and 4 rows."""

    def work(ranks=None):
        method = ContractiveAutoencoder(
            hidden=(6, 4), projections=projections, epochs=2, batch_size=10, dtype="float64",
            random_state=0,
        )  # fmt: skip
        return method.fit(X).model_.parameters.vector

    alike(work)


@pytest.mark.parametrize("layer", [SpecAugment, RandomEqualizer, RandomStretch])
@pytest.mark.parametrize("batch_size", [2, 6, 10])
def test_what_disturbs_sounds(layer, batch_size):
    def work(ranks=None):
        layers = [layer(), Flatten(), Dense(3, seed=0)]
        model = Sequential([Input((6, 5), dtype="float64"), *layers])
        model.compile("sgd", "mean_squared_error")
        model.fit(SPECTROGRAMS, X[:, :3], batch_size=batch_size, epochs=1, seed=0, verbose=0)
        return model.parameters.vector

    alike(work)
