"""Decoding beside a slow search that keeps nothing, and what its rules promise."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.functions import copying_forward, softmax_forward
from minienc.functions.activations import sigmoid
from minienc.language.seq2seq import NETWORKS, Shape, build
from minienc.tasks.decoding import Rule, beam_search, check_rule, greedy, repeats

V, FIRST, END, NEVER = 7, 6, 5, (4, 6)
X = np.array([[1, 2, 3, 0], [2, 0, 0, 0], [3, 3, 1, 2]])
LENGTHS = np.array([4, 2, 3])
RULE = Rule(FIRST, END, NEVER, beam=1, per_token=0, more=5)
ALL = [(network, copying) for network in NETWORKS for copying in (False, True)]


def made(network="gru", copying=False, seed=0, size=1.0):
    parts = build(Shape(V, network, 8, 1, 2, 0.3, copying, "float64"), np.random.default_rng(0))
    w = parts.whole.parameters.vector
    w += size * np.random.default_rng(seed).standard_normal(w.size)
    parts.whole.parameters.touch()
    return parts


def log_p_of(parts, n, before):
    """log p of the tokens that follow, all computed at once."""
    given = X[n : n + 1, : LENGTHS[n]].astype(np.int32), LENGTHS[n : n + 1].astype(np.int32)
    outputs, _ = parts.whole.graph.forward((*given, np.array([before], np.int32)))
    p, _ = softmax_forward(outputs[0])
    if len(outputs) > 1:
        p, _ = copying_forward(p, sigmoid(outputs[1][..., 0]), outputs[2], given[0])
    return np.log(p[0])


def total(parts, n, text):
    log_p = log_p_of(parts, n, [FIRST, *text])
    return sum(log_p[t, i] for t, i in enumerate([*text, END]))


def likeliest(parts, n, rule):
    """The best of all texts that there are."""
    words = [i for i in range(V) if i not in (END, *rule.never)]
    texts = [t for k in range(1, rule.more) for t in itertools.product(words, repeat=k)]
    return max(texts, key=lambda t: total(parts, n, t) / (len(t) + 1) ** rule.alpha)


@pytest.mark.parametrize(("network", "copying"), ALL)
def test_greedy_is_what_teacher_forcing_holds_likeliest(network, copying):
    parts = made(network, copying)
    for n, (ids, score) in enumerate(greedy(parts, X, LENGTHS, RULE)):
        log_p = log_p_of(parts, n, [FIRST, *ids])
        log_p[:, list(NEVER)] = -np.inf
        log_p[0, END] = -np.inf
        for t, i in enumerate(ids):
            assert log_p[t].argmax() == i
        assert log_p[-1].argmax() == END or len(ids) == RULE.more - 1
        assert score == pytest.approx(total(parts, n, ids) / (len(ids) + 1), rel=1e-9)


@pytest.mark.parametrize(("network", "copying"), ALL)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_beam_of_one_is_greedy(network, copying, seed):
    parts = made(network, copying, seed)
    rule = RULE._replace(no_repeat=seed - 1)
    one, other = (search(parts, X, LENGTHS, rule) for search in (greedy, beam_search))
    assert [w.ids for w in one] == [w.ids for w in other]
    np.testing.assert_allclose([w.score for w in one], [w.score for w in other], rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("copying", [False, True])
def test_a_wide_beam_finds_the_likeliest_of_all(copying, alpha):
    rule = RULE._replace(beam=400, more=4, alpha=alpha)
    parts = made("gru", copying, 4, size=0.6)
    for n, written in enumerate(beam_search(parts, X, LENGTHS, rule)):
        assert tuple(written.ids) == likeliest(parts, n, rule)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("beam", [1, 3])
def test_a_sentence_does_not_depend_on_those_beside_it(network, beam):
    parts, rule = made(network, True, 5), RULE._replace(beam=beam, per_token=1.5)
    together = beam_search(parts, X, LENGTHS, rule)
    for n, written in enumerate(together):
        (alone,) = beam_search(parts, X[n : n + 1, : LENGTHS[n]], LENGTHS[n : n + 1], rule)
        assert alone.ids == written.ids
        assert alone.score == pytest.approx(written.score, rel=1e-9)


def test_a_text_ends_and_holds_no_special_token():
    for seed in range(6):
        for beam in (1, 4):
            rule = RULE._replace(beam=beam, per_token=1.0, more=3)
            for n, w in enumerate(beam_search(made(seed=seed, size=3), X, LENGTHS, rule)):
                assert 1 <= len(w.ids) < LENGTHS[n] + 3
                assert not {END, *NEVER} & set(w.ids) and np.isfinite(w.score)


@given(ids=st.lists(st.integers(0, 3), max_size=12), n=st.integers(1, 4))
def test_repeats_are_those_that_a_loop_finds(ids, n):
    grams = {tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)}
    expected = {i for i in range(4) if tuple([*ids, i][-n:]) in grams and len(ids) + 1 >= n}
    assert set(repeats(ids, n)) == expected


def test_no_ngram_comes_twice():
    rule = RULE._replace(no_repeat=2, more=12, beam=3)
    for w in beam_search(made(size=3), X, LENGTHS, rule):
        grams = [tuple(w.ids[i : i + 2]) for i in range(len(w.ids) - 1)]
        assert len(grams) == len(set(grams))


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"beam": 0}, "beam is 0"),
        ({"no_repeat": -1}, "no_repeat is -1"),
        ({"alpha": -1}, "alpha is -1"),
        ({"more": 0}, "more is 0"),
    ],
)
def test_rules_that_make_no_sense_are_refused(changed, what):
    with pytest.raises(ValueError, match=what):
        check_rule(RULE._replace(**changed))
