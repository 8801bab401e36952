"""Naive Bayes of n-grams, against the formula number by number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minienc.language import NaiveBayes

TEXTS = ["ab ab", "abc", "bcc", "Cc b"]
Y = [0, 0, 1, 1]


def slow(train, y, K, text, longest, a):
    """log p(k) + sum over all n-grams of the text of log p(g | k), n-gram by n-gram."""
    grams = lambda t: [t[i : i + n] for n in range(1, longest + 1) for i in range(len(t) - n + 1)]  # noqa: E731
    seen = {g for t in train for g in grams(t.lower())}
    scores = []
    for k in range(K):
        own = [g for t, label in zip(train, y, strict=True) if label == k for g in grams(t.lower())]
        score = math.log(sum(label == k for label in y) + a)
        for g in grams(text.lower()):
            if g in seen:
                score += math.log((own.count(g) + a) / (len(own) + a * len(seen)))
        scores.append(score)
    return scores


@settings(max_examples=60, deadline=None)
@given(text=st.text("abcd ", max_size=12), longest=st.integers(1, 3))
def test_it_is_the_formula(text, longest):
    found = NaiveBayes(longest=longest, smoothing=0.3).fit(TEXTS, Y).decision([text])
    np.testing.assert_allclose(found[0], slow(TEXTS, Y, 2, text, longest, 0.3), rtol=1e-10)


def test_the_probabilities_of_a_class_sum_to_one():
    found = NaiveBayes("words", 2).fit(TEXTS, Y, n_classes=3)
    np.testing.assert_allclose(np.exp(found.log_p_).sum(axis=0), 1)
    assert found.index_.keys() == {"ab", "abc", "bcc", "cc", "b", "ab ab", "cc b"}


def test_it_tells_languages_apart():
    one = ["the cat sat on the mat", "the dog and the other", "with the thing there"]
    other = ["le chat sur la table", "les chiens et les autres", "avec la chose que voici"]
    model = NaiveBayes().fit(one + other, [0] * 3 + [1] * 3)
    assert model.predict(["then the others", "quelle est la chose"]).tolist() == [0, 1]
    assert model.score(one + other, [0] * 3 + [1] * 3) == 1
    again = NaiveBayes().fit(one + other, [0] * 3 + [1] * 3)
    np.testing.assert_array_equal(model.log_p_, again.log_p_)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"of": "letters"}, "of is 'letters', expected characters or words"),
        ({"longest": 0}, "longest is 0, expected a whole number from 1"),
        ({"smoothing": 0}, "smoothing is 0, expected above 0"),
    ],
)
def test_refusals(params, sentence):
    with pytest.raises(ValueError, match=sentence):
        NaiveBayes(**params)
    with pytest.raises(ValueError, match=r"y is \(3,\), expected \(4,\)"):
        NaiveBayes().fit(TEXTS, [0, 1, 1])
