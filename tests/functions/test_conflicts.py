"""Gradients of several tasks: their lengths and cosines, and what is left of those in conflict."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minienc.functions.conflicts import norms_and_cosines, project_conflicts

NUMBERS = st.floats(-100, 100).filter(lambda x: x == 0 or abs(x) > 1e-6)


def gradients(K=None):
    n = st.integers(2, 4) if K is None else st.just(K)
    return st.tuples(n, st.integers(1, 6)).flatmap(
        lambda s: arrays(np.float64, s, elements=NUMBERS)
    )


def orders_of(K, seed=0):
    return np.random.default_rng(seed).permuted(np.tile(np.arange(K), (K, 1)), axis=1)


def slow(G, orders):
    """Algorithm 1, number by number, with Python's own."""
    total = [0.0] * len(G[0])
    for i, order in enumerate(orders):
        p = list(G[i])
        for j in order:
            if j == i:
                continue
            along = sum(a * b for a, b in zip(p, G[j], strict=True))
            if along < 0:
                square = sum(b * b for b in G[j])
                p = [a - along / square * b for a, b in zip(p, G[j], strict=True)]
        total = [t + a for t, a in zip(total, p, strict=True)]
    return np.array(total)


@settings(max_examples=60, deadline=None)
@given(gradients(), st.integers(0, 9))
def test_projection_is_the_algorithm(G, seed):
    orders = orders_of(len(G), seed)
    scale = np.abs(G).sum() + 1
    np.testing.assert_allclose(
        project_conflicts(G, orders), slow(G.tolist(), orders), atol=1e-9 * scale, rtol=1e-6
    )


@settings(max_examples=60, deadline=None)
@given(gradients(2))
def test_of_two_tasks_none_is_gone_against(G):
    """The gradient of PCGrad is a sum of two parts, neither of which goes against the other task;
    a part alone is what is projected where the other task's own is taken off again."""
    one, other = G
    orders = np.array([[1, 0], [0, 1]])
    projected = project_conflicts(G, orders)
    size = np.abs(G).max() ** 2 + 1e-9
    if one @ other >= 0:
        np.testing.assert_array_equal(projected, one + other)
    else:
        first = one - (one @ other) / (other @ other) * other
        second = other - (one @ other) / (one @ one) * one
        assert first @ other >= -1e-9 * size and second @ one >= -1e-9 * size
        np.testing.assert_allclose(projected, first + second, atol=1e-9 * size)
        # so a small step down it makes neither loss larger
        assert projected @ one >= -1e-7 * size and projected @ other >= -1e-7 * size


@settings(max_examples=40, deadline=None)
@given(gradients())
def test_where_nobody_is_in_conflict_it_is_the_plain_sum(G):
    G = np.abs(G)
    np.testing.assert_array_equal(project_conflicts(G, orders_of(len(G))), np.sum(G, axis=0) + 0.0)


def test_a_gradient_of_nothing_changes_nothing():
    G = np.array([[1.0, -2.0], [0.0, 0.0]], np.float32)
    found = project_conflicts(G, orders_of(2))
    np.testing.assert_array_equal(found, G[0])
    assert found.dtype == np.float32


@settings(max_examples=60, deadline=None)
@given(gradients())
def test_lengths_and_cosines_are_those_of_numpy(G):
    norms, cosines = norms_and_cosines(G)
    expected = np.linalg.norm(G, axis=1)
    np.testing.assert_allclose(norms, expected, rtol=1e-12)
    for i in range(len(G)):
        for j in range(len(G)):
            if expected[i] and expected[j]:
                value = G[i] / expected[i] @ (G[j] / expected[j])
                assert cosines[i, j] == pytest.approx(value, abs=1e-12)
            else:
                assert cosines[i, j] == 0


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_gradients_may_be_of_any_size(size):
    norms, cosines = norms_and_cosines(np.array([[3, 4], [-4, -3]], np.float32) * np.float32(size))
    np.testing.assert_allclose(norms, 5 * size, rtol=1e-6)
    np.testing.assert_allclose(cosines, [[1, -0.96], [-0.96, 1]], rtol=1e-6)
