"""What is told of adversarial networks: whether all kinds of samples are made, and no copies."""

from __future__ import annotations

import numpy as np
import pytest

from minienc import gallery
from minienc.gallery.gan import covered, memorisation, mode_coverage
from minienc.pretraining import METHODS
from tests.pretraining.test_gan import rings


@pytest.fixture
def method():
    gan = METHODS["gan"](hidden=(8,), epochs=1, output_activation="linear", random_state=0)
    return gan.fit(rings().astype("float32"))


def test_copies_are_noticed(method):
    method.sample = lambda n, random_state=0: method.some_samples_[:n]
    of_made, of_test = memorisation(method, rings() + 0.05)
    assert of_made.max() < 1e-3 < np.median(of_test)


def test_kinds_of_samples_that_are_given_up_are_noticed(method):
    """Of eight, in a generator that copies those of the right half alone, and in one of all."""
    kept = method.some_samples_
    right = kept[kept[:, 0] > 0.3]
    for made, n_kinds in ((right, 3), (kept, 8)):
        method.sample = lambda n, random_state=0, made=made: made
        real, share = mode_coverage(method, n_modes=8)
        assert covered(real, share) == n_kinds
        assert real.sum() == pytest.approx(1) and share.sum() == pytest.approx(1)
    assert gallery.measures(method, rings(), None)["kinds of samples that are made, of 20"] == 20
