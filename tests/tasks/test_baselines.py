"""Sentences of the text itself."""

from __future__ import annotations

from minienc.tasks.baselines import baseline_scores, lead, oracle, sentences_of, trimmed_lead

TEXT = "gsort: Gsort is a library for sorting streams of lines. It is fast. Sorts numbers, too."


def test_which_sentences_there_are():
    assert sentences_of(TEXT)[1:] == ["It is fast.", "Sorts numbers, too."]
    assert lead(TEXT) == "Gsort is a library for sorting streams of lines."
    assert trimmed_lead(TEXT) == "library for sorting streams of lines"
    assert len(trimmed_lead("It provides " + "word " * 30).split()) == 10
    assert oracle(TEXT, "sorts all numbers") == "Sorts numbers, too."
    for odd in ("", "x", "is a", "provides"):
        assert isinstance(lead(odd) + trimmed_lead(odd) + oracle(odd, "x"), str)


def test_the_oracle_is_never_behind_the_lead():
    scores = baseline_scores([TEXT, "One thing. Another thing."], ["numbers sorted", "another"])
    first, _, best = (s["rougeL"] for s in scores.values())
    assert best >= first
