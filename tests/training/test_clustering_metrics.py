"""Clustering measures against scikit-learn and SciPy, and by trying all names."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.training.clustering_metrics import (
    adjusted_rand_index,
    assign,
    clustering_accuracy,
    normalized_mutual_information,
    purity,
)

labels = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


@given(labels)
def test_the_accuracy_is_the_best_over_all_ways_to_name_the_clusters(pairs):
    y, c = np.array(pairs).T
    best = max((np.array(names)[c] == y).mean() for names in permutations(range(4)))
    assert clustering_accuracy(y, c) == pytest.approx(best)


@given(labels)
def test_purity_is_the_best_accuracy_when_names_may_repeat(pairs):
    y, c = np.array(pairs).T
    best = np.mean([max((y[c == k] == name).sum() for name in range(4)) for k in set(c)])
    assert purity(y, c) == pytest.approx(best * len(set(c)) / len(c))
    assert purity(y, c) >= clustering_accuracy(y, c)
    assert purity(y, np.arange(len(y))) == 1


@given(labels)
def test_information_and_pairs_are_scikit_learns(pairs):
    metrics = pytest.importorskip("sklearn.metrics")
    y, c = np.array(pairs).T
    expected = metrics.normalized_mutual_info_score(y, c)
    assert normalized_mutual_information(y, c) == pytest.approx(expected, abs=1e-9)
    assert adjusted_rand_index(y, c) == pytest.approx(metrics.adjusted_rand_score(y, c), abs=1e-9)


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 2**32 - 1), st.booleans())
def test_the_assignment_is_scipys(n, m, seed, level):
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(seed)
    cost = rng.integers(-3, 4, (n, m)).astype(float) if level else rng.standard_normal((n, m))
    rows, columns = assign(cost)
    assert len(set(rows)) == len(rows) == len(set(columns)) == min(n, m)
    assert (np.diff(rows) > 0).all()
    expected = cost[optimize.linear_sum_assignment(cost)].sum()
    assert cost[rows, columns].sum() == pytest.approx(expected, abs=1e-9)


def test_names_do_not_matter_and_chance_is_0():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, 5000)
    c = rng.permutation(10)[y] + 7
    for measure in (clustering_accuracy, normalized_mutual_information, adjusted_rand_index):
        assert measure(y, c) == pytest.approx(1)
    chance = rng.integers(0, 10, 5000)
    assert abs(adjusted_rand_index(y, chance)) < 0.01
    assert normalized_mutual_information(y, chance) < 0.02
    assert 0.1 < clustering_accuracy(y, chance) < 0.14
    with pytest.raises(ValueError, match="3 labels of 2 samples"):
        clustering_accuracy(np.zeros(3, int), np.zeros(2, int))
