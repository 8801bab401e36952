"""Writing: what is drawn, and that nothing but time is saved by what is kept."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.data.tokenizers import BytePairTokenizer, CharacterTokenizer, WordTokenizer
from minienc.language.generation import draw, generate_ids, pieces
from tests.layers.test_sequences import DECODERS

RNG = np.random.default_rng(3)


def generator():
    return np.random.default_rng(0)


@pytest.mark.parametrize("name", DECODERS)
def test_the_likeliest_is_what_the_whole_model_holds_likeliest(name):
    model, prompt = DECODERS[name](), np.array([1, 2, 3])
    ids = list(generate_ids(model, prompt, 9, temperature=0, rng=generator()))
    whole = np.array([[*prompt, *ids]])
    np.testing.assert_array_equal(model(whole)[0, 2:11].argmax(axis=-1), ids)


def test_a_full_context_goes_on_from_its_second_half():
    model = DECODERS["learned places"]()  # a context of 12
    ids = list(generate_ids(model, np.array([0]), 20, temperature=0, rng=generator()))
    # 12 tokens are full; what follows is told from the last 6, at the places from 0
    expected = model.forward_from(np.array([[0, *ids][7:13]]))[0][0, -1].argmax()
    assert ids[12] == expected
    assert len(ids) == 20


def test_draws_follow_the_temperature_and_are_cut():
    logits = np.log([0.5, 0.3, 0.15, 0.05])
    rng = generator()
    many = np.bincount([draw(logits, 1.0, None, None, rng) for _ in range(4000)], minlength=4)
    np.testing.assert_allclose(many / 4000, [0.5, 0.3, 0.15, 0.05], atol=0.03)
    assert {draw(logits, 1.0, 2, None, rng) for _ in range(200)} == {0, 1}
    assert {draw(logits, 1.0, None, 0.6, rng) for _ in range(200)} == {0, 1}
    assert {draw(logits, 1.0, None, 0.5, rng) for _ in range(200)} == {0}
    assert {draw(logits, 0, None, None, rng) for _ in range(5)} == {0}
    sharp = np.bincount([draw(logits, 0.25, None, None, rng) for _ in range(1000)], minlength=4)
    assert sharp[0] > 850


def test_a_character_of_several_bytes_waits_until_it_is_whole():
    tokenizer = BytePairTokenizer([])
    found = list(pieces(tokenizer, tokenizer.encode("aé😀b")))
    assert "".join(found) == "aé😀b" and "\ufffd" not in "".join(found)
    cut = list(pieces(tokenizer, tokenizer.encode("é")[:1]))
    assert "".join(cut) == "\ufffd"


def test_words_have_spaces_between_them():
    tokenizer = WordTokenizer.train("to be or not to be")
    assert "".join(pieces(tokenizer, tokenizer.encode("to be"))) == " to be"


@pytest.mark.parametrize("stop", ["END", "E", "D!"])
def test_it_stops_before_the_stop_and_keeps_what_only_looks_like_it(stop):
    tokenizer = CharacterTokenizer.train("abcEND!")
    text = "aENbEcEND!abc"
    found = "".join(pieces(tokenizer, tokenizer.encode(text), stop))
    assert found == text[: text.index(stop)]
    assert "".join(pieces(tokenizer, tokenizer.encode("aEN"), "END")) == "aEN"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"temperature": -1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"length": -1}, "length"),
    ],
)
def test_what_cannot_be_drawn_with_is_refused(wrong, said):
    given = {"length": 3, "temperature": 1.0, **wrong}
    with pytest.raises(ValueError, match=f"{said} is"):
        list(generate_ids(DECODERS["rnn"](), np.array([0]), rng=generator(), **given))
    with pytest.raises(ValueError, match="prompt is empty"):
        list(generate_ids(DECODERS["rnn"](), np.array([], int), 3, rng=generator()))
