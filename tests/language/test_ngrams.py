"""Counting: beside a slow model that is written straight from the formula."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.language import KneserNey, compressed_nats

TEXTS = st.text(alphabet="abc ", min_size=4, max_size=60)


def slow(train, text, order):
    """Mean -log p of each character, by dictionaries."""
    V = len(set(train)) + 1
    grams = {k: Counter(train[i : i + k] for i in range(len(train) - k + 1)) for k in range(1, 9)}

    def counts(k):
        if k == order:
            return grams[k]
        return Counter(longer[1:] for longer in grams[k + 1])

    tables = {k: counts(k) for k in range(1, order + 1)}

    def p(w, h):
        k = len(h) + 1
        table = tables[k]
        shorter = p(w, h[1:]) if h else 1 / V
        followers = {g[-1]: n for g, n in table.items() if g[:-1] == h and n}
        total = sum(followers.values())
        if not total:
            return shorter
        ones, twos = (sum(n == i for n in table.values()) for i in (1, 2))
        D = ones / (ones + 2 * twos) if ones else 0.5
        return (max(followers.get(w, 0) - D, 0) + D * len(followers) * shorter) / total

    return -np.mean([math.log(p(w, text[max(0, i - order + 1) : i])) for i, w in enumerate(text)])


@given(TEXTS, TEXTS, st.integers(1, 4))
def test_it_is_the_formula(train, text, order):
    found = KneserNey(order).fit(train).nats_per_character(text)
    assert found == pytest.approx(slow(train, text, order), rel=1e-9)


def test_characters_that_it_never_saw_cost_something_finite():
    model = KneserNey(3).fit("abab" * 10)
    assert math.isfinite(model.nats_per_character("xyzé😀"))
    assert model.nats_per_character("abab") < model.nats_per_character("aabb")


def test_more_context_helps_where_there_is_any():
    text = "the cat sat on the mat and the rat sat on the cat " * 20
    costs = [KneserNey(n).fit(text).nats_per_character(text[:100]) for n in (1, 2, 4)]
    assert costs[0] > costs[1] > costs[2]


def test_bzip2_costs_less_of_what_it_has_seen():
    text = "".join(map(str, range(3000)))
    assert compressed_nats(text, text[:2000]) < compressed_nats("x", text[:2000])


@pytest.mark.parametrize("wrong", [lambda: KneserNey(0), lambda: KneserNey(2).fit("")])
def test_what_is_refused(wrong):
    with pytest.raises(ValueError, match="KneserNey"):
        wrong()
