"""Alignments and the score's curve of a task on pairs."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.gallery.pairs import alignment, alignments, score_curve
from minienc.report_pairs import sentences
from minienc.tasks import Summarizer, Translator
from tests.tasks.test_pairs_models import X, Y, small


@pytest.mark.parametrize("kind", [Translator, Summarizer])
@pytest.mark.parametrize("network", ["gru", "transformer"])
def test_where_each_token_looked(kind, network):
    model = small(kind, network=network, epochs=1).fit(X, Y, validation_data=(X, Y))
    seen = alignment(model, "1 2", "two one")
    assert seen.read[0] == "<en>" and seen.written[-1] == "<end>"
    assert "".join(seen.read[1:]).replace("␣", " ") == "1 2"
    assert seen.p.shape == (len(seen.written), len(seen.read))
    np.testing.assert_allclose(seen.p.sum(axis=1), 1, rtol=1e-5)
    found = alignments(model, X[:6], Y[:6], n=2)
    assert len(found) == 2 and found[0].caption
    assert len(score_curve(model.history_, model.score_name)) == 1
    assert score_curve({"loss": [1.0]}, "chrf") == []


def test_without_attention_there_is_nothing_to_show():
    model = small(network="gru_no_attention", epochs=1).fit(X, Y)
    assert alignment(model, "1 2", "two one") is None and alignments(model, X, Y) == []


def test_the_sentences_say_who_is_nearer():
    results = {"scores": {"ROUGE-L": 30.0}, "pairs_valid": 9, "beam": 5}
    results["baselines"] = {k: {"rougeL": v} for k, v in (("lead", 28.0), ("oracle", 33.0))}
    assert (
        "nearer to the references than the best simple baseline, lead (28.0)"
        in (sentences(results)[0])
    )
    results["scores"]["ROUGE-L"] = 20.0
    assert "behind the best simple baseline" in sentences(results)[0]
    assert (
        "BLEU 50.0 on 9"
        in sentences(
            {
                "scores": {"BLEU": 50.0, "chrF": 70.0},
                "bleu_signature": "s",
                "pairs_valid": 9,
                "beam": 5,
            }
        )[0]
    )
