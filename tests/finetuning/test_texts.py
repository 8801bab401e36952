"""A classifier of texts: it learns, is saved with its vocabulary, and stands beside its arms."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.data.tokenizers import CharacterTokenizer
from minienc.finetuning import TextClassifier, text_label_curve
from minienc.finetuning.curve import PRETRAINED, PROBE, RANDOM
from minienc.finetuning.texts import CHARACTERS, COUNTS, WORDS, counts_of_tokens, encoder_for
from tests.language.test_methods import TEXT, make
from tests.language.test_texts import POOLED, fitted

NOUNS = ["cat", "rat", "mat"]


def sentences(n, seed=0):
    """Those in which a cat sits, and those in which a rat does."""
    rng = np.random.default_rng(seed)
    who = rng.integers(0, 2, n)
    texts = [
        " ".join(["the " + NOUNS[w], "sat", "on the mat. " * int(rng.integers(0, 3))]).strip()
        for w in who
    ]
    return texts, np.array(["cats", "rats"])[who]


HOW = dict(epochs=12, learning_rate=0.02, batch_size=8, random_state=0)


@pytest.mark.parametrize("name", POOLED)
def test_it_learns_from_every_method(name):
    texts, y = sentences(60)
    clf = TextClassifier(fitted(name), **HOW).fit(texts, y)
    assert clf.score(*sentences(40, 1)) > 0.9
    p = clf.predict_proba(texts[:3])
    assert p.shape == (3, 2) and np.allclose(p.sum(axis=1), 1, atol=1e-5)
    assert clf.classes_ == ("cats", "rats") and set(clf.predict(texts)) == {"cats", "rats"}


def test_padding_never_counts_whoever_stands_beside():
    """A text has one answer, to the bit, alone and beside longer ones."""
    texts, y = sentences(30)
    clf = TextClassifier(fitted("masked_lm"), **HOW).fit(texts, y)
    together = clf.predict_proba(texts)
    order = np.argsort([len(t) for t in texts])
    by_length = clf.predict_proba([texts[i] for i in order])
    np.testing.assert_array_equal(by_length, together[order])
    short = TextClassifier(fitted("masked_lm"), length=60, **HOW)
    short.fit(texts, y)
    np.testing.assert_allclose(short.predict_proba(texts), together, atol=2e-4)


def test_every_number_that_learns_is_moved_but_the_padding():
    texts, y = sentences(30)
    clf = TextClassifier(fitted("rnn_lm"), **HOW).fit(texts, y)
    before = clf.encoder_.model
    table, first = clf.model_.parameters["encoder/embedding/W"], before.parameters["embedding/W"]
    np.testing.assert_array_equal(table[0], first[0])
    used = np.unique(clf.encoder_.encode(texts))
    assert all((table[i] != first[i]).any() for i in used[used > 0])


def test_a_classifier_in_a_folder(tmp_path):
    texts, y = sentences(30)
    clf = TextClassifier(fitted("transformer_lm"), **HOW).fit(texts, y)
    clf.save(tmp_path)
    again = TextClassifier.load(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(texts), clf.predict_proba(texts))
    assert again.classes_ == clf.classes_ and again.score(texts, y) == clf.score(texts, y)
    CharacterTokenizer.train("abc").save(tmp_path / "tokenizer.json")
    with pytest.raises(ValueError, match=r"has 3 tokens, classifier\.npz knows .*do not belong"):
        TextClassifier.load(tmp_path)
    fitted("transformer_lm").encoder_.save(tmp_path / "classifier.npz")
    with pytest.raises(ValueError, match="is no classifier of texts"):
        TextClassifier.load(tmp_path)


@pytest.mark.parametrize(
    ("texts", "y", "sentence"),
    [
        ("the cat", [1], "texts is one str, expected a list of texts"),
        ([], [], "texts: there is none"),
        (["the cat", 3], [0, 1], "texts: text 1 is an int, expected a str"),
        (["the cat", "a rat"], [0], "has labels (1,), expected (2,)"),
        (["the cat", "the rat"], ["a", "a"], "has one class, 'a', expected two or more"),
        (["the cat", " "], [0, 1], "text 1 has no sign"),
    ],
)
def test_refusals(texts, y, sentence):
    if texts == ["the cat", " "]:
        texts = ["the cat", "€"]
    with pytest.raises((ValueError, TypeError)) as refusal:
        TextClassifier(fitted("rnn_lm")).fit(texts, y)
    assert sentence in str(refusal.value)


def test_what_is_no_method_is_refused():
    texts, y = sentences(8)
    with pytest.raises(TypeError, match="method is an int, expected a fitted method of text"):
        TextClassifier(3).fit(texts, y)
    with pytest.raises(TypeError, match="method is None, expected a fitted method of text"):
        TextClassifier().fit(texts, y)
    with pytest.raises(RuntimeError, match="RNNLanguageModel is not fitted yet"):
        TextClassifier(make("rnn_lm")).fit(texts, y)
    with pytest.raises(RuntimeError, match="TextClassifier is not fitted yet"):
        TextClassifier(fitted("rnn_lm")).predict(texts)
    with pytest.raises(ValueError, match="length is 0, expected a whole number of tokens from 1"):
        TextClassifier(fitted("rnn_lm"), length=0).fit(texts, y)
    clf = TextClassifier(fitted("rnn_lm"), epochs=1).fit(texts, y)
    with pytest.raises(ValueError, match="has the class 'dogs', of which there was no sample"):
        clf.score(texts, ["dogs"] * len(texts))


def test_the_curve_has_its_arms():
    texts, words = sentences(60)
    test_texts, test_words = sentences(50, 1)
    y, test_y = (np.array([w == "rats" for w in part], int) for part in (words, test_words))
    encoder = encoder_for(fitted("rnn_lm"), texts)
    before = encoder.model.parameters.vector.copy()
    how = dict(labels=(6, 30), seeds=(0, 1), steps=15, learning_rate=0.01)
    curve = text_label_curve(encoder, texts, y, test_texts, test_y, **how)
    assert list(curve.arms) == [PRETRAINED, RANDOM, PROBE, COUNTS, CHARACTERS, WORDS]
    assert all(a.shape == (2, 2) and (a >= 0).all() and (a <= 1).all() for a in curve.arms.values())
    assert curve.arms[WORDS][1].min() == 1 and curve.arms[PRETRAINED][1].mean() > 0.8
    again = text_label_curve(encoder, texts, y, test_texts, test_y, **how)
    assert again.rows() == curve.rows()
    np.testing.assert_array_equal(encoder.model.parameters.vector, before)
    with pytest.raises(ValueError, match="labels has 1, expected at least one for each of 2"):
        text_label_curve(encoder, texts, y, test_texts, test_y, labels=(1,))


def test_counts_are_counts():
    encoder = encoder_for(fitted("rnn_lm"), ["the cat"])
    counts = counts_of_tokens(encoder, ["the cat sat", "a"])
    ids = encoder.tokenizer.encode("the cat sat")
    expected = [np.log1p((ids == i).sum()) for i in range(len(encoder.tokenizer))]
    np.testing.assert_allclose(counts[0], expected, rtol=1e-6)


def test_learned_positions_bound_the_length():
    method = make("transformer_lm", positions="learned", epochs=1).fit(TEXT)
    assert encoder_for(method, [TEXT[:200]]).length == method.context
    assert encoder_for(fitted("rnn_lm"), [TEXT]).length == 128
    assert encoder_for(fitted("rnn_lm"), ["the cat"]).length == 7
