"""ROUGE and chrF beside the packages whose figures others report, and beside hand counts."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minienc.tasks.scores import bleu, chrf, rouge, rouge_l, rouge_n

WORDS = st.lists(
    st.sampled_from(["the", "cat", "Cat", "sat.", "a-b", "9", "été", ",", ""]), max_size=8
)
TEXTS = WORDS.map(" ".join)
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5)


def test_counted_by_hand():
    predicted, reference = ["the", "cat", "sat"], ["the", "cat", "is", "on", "the", "mat"]
    assert rouge_n(predicted, reference, 1) == pytest.approx(
        2 * (2 / 3) * (2 / 6) / (2 / 3 + 2 / 6)
    )
    assert rouge_n(predicted, reference, 2) == pytest.approx(
        2 * (1 / 2) * (1 / 5) / (1 / 2 + 1 / 5)
    )
    assert rouge_l(["a", "x", "b", "y", "c"], ["a", "b", "c"]) == pytest.approx(2 * 0.6 / 1.6)
    assert rouge_l([], ["a"]) == rouge_n(["a"], ["b"], 2) == 0
    assert rouge(["A cat!"], ["a cat"])["rougeL"] == 100
    assert chrf(["ab c"], ["abc"]) == 100 and chrf(["x"], ["y"]) == 0 and chrf([""], ["y"]) == 0


@given(pairs=PAIRS)
@settings(max_examples=60, deadline=None)
def test_rouge_is_that_of_rouge_score(pairs):
    scorer = pytest.importorskip("rouge_score.rouge_scorer")
    names = ["rouge1", "rouge2", "rougeL"]
    theirs = scorer.RougeScorer(names)
    predictions, references = map(list, zip(*pairs, strict=True))
    scores = [theirs.score(r, p) for p, r in pairs]
    ours = rouge(predictions, references)
    for name in names:
        expected = 100 * sum(s[name].fmeasure for s in scores) / len(scores)
        assert ours[name] == pytest.approx(expected, abs=1e-9)


@given(pairs=PAIRS)
@settings(max_examples=60, deadline=None)
def test_chrf_is_that_of_sacrebleu(pairs):
    metrics = pytest.importorskip("sacrebleu.metrics")
    predictions, references = map(list, zip(*pairs, strict=True))
    theirs = metrics.CHRF().corpus_score(predictions, [references]).score
    assert chrf(predictions, references) == pytest.approx(theirs, abs=1e-9)


def test_bleu_comes_with_its_signature():
    pytest.importorskip("sacrebleu")
    score, signature = bleu(["the cat sat on the mat"], ["the cat sat on the mat"])
    assert score == pytest.approx(100) and "tok:13a" in signature and "case:mixed" in signature
    assert "case:lc" in bleu(["The cat"], ["the cat"], lowercase=True).signature


def test_without_sacrebleu_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(ImportError, match="pip install sacrebleu; chrF needs nothing"):
        bleu(["a"], ["a"])


@pytest.mark.parametrize("score", [rouge, chrf, bleu])
def test_lists_that_are_not_aligned_are_refused(score):
    with pytest.raises(ValueError, match="1 predictions for 2 references"):
        score(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="one at least"):
        score([], [])
    with pytest.raises(TypeError, match="predictions is one str"):
        score("a", ["a"])
