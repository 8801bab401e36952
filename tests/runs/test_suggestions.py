"""What the command line suggests, for every method and kind of data."""

from __future__ import annotations

import itertools

import pytest

from minienc.pretraining import METHODS, Autoencoder
from minienc.runs.suggestions import suggest
from tests.pretraining.test_methods import make

DATA = list(itertools.product((1500, 60_000), ((8, 8), (28, 28, 1), (5,)), (True, False)))


@pytest.mark.parametrize("name", METHODS)
def test_what_is_suggested_suits_the_method(name):
    method = METHODS[name]
    for n_samples, shape, in_unit_interval in DATA:
        suggested = suggest(method, n_samples, shape, in_unit_interval)
        make(name, **{k: v for k, v in suggested.items() if k in method._parameters()})


def test_a_method_without_a_row_has_that_of_those_it_is_a_kind_of():
    class Sparser(METHODS["sparse"]):
        method = "sparser"

    class Other(Autoencoder):
        method = "other"

    assert suggest(Sparser, 1500, (8, 8), True) == suggest(METHODS["sparse"], 1500, (8, 8), True)
    assert suggest(Other, 1500, (8, 8), True)["hidden"] == (128, 64, 10)


@pytest.mark.parametrize("n_features", [2, 3, 4, 10, 20, 64, 784])
def test_the_suggested_code_is_narrower_than_the_samples(n_features):
    for name in ("autoencoder", "denoising", "stacked", "variational", "dbn", "aae"):
        suggested = suggest(METHODS[name], 1500, (n_features,), True)
        code = suggested["code"] if "code" in suggested else suggested["hidden"][-1]
        assert 1 <= code < n_features
