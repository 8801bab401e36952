"""Encoders of whole texts: the method's own weights, and padding that never counts."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.data.tokenizers import CharacterTokenizer
from minienc.kernel import kernel_info
from minienc.language import METHODS
from minienc.language.texts import encode_texts, text_encoder, tokens_of
from tests.language.test_methods import TEXT, make

POOLED = sorted(set(METHODS) - {"denoising_seq2seq"})
TEXTS = ["the cat", "the rat sat on the mat. ", "mat. the", "on the cat. the rat sat"]
_fitted = {}


def fitted(name):
    if name not in _fitted:
        _fitted[name] = make(name, epochs=1).fit(TEXT)
    return _fitted[name]


@pytest.mark.parametrize("name", POOLED)
def test_a_window_has_the_code_that_the_method_gives_it(name):
    method = fitted(name)
    windows = method.windows(TEXT)[:7]
    T = windows.shape[1]
    found = text_encoder(method, T).predict(windows + 1)
    np.testing.assert_allclose(found, method.encoder_.predict(windows), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", POOLED)
def test_padding_never_counts_to_the_last_bit(name):
    """However many zeros stand behind a text, alone and beside others, its code is the same; and
    so is each gradient. (Without the kernel, a product of other shapes sums in another order.)"""
    method = fitted(name)
    T = max(len(tokens_of(method.tokenizer_, text)) for text in TEXTS)
    short, long = text_encoder(method, T), text_encoder(method, T + 13)
    x, y = (encode_texts(method.tokenizer_, TEXTS, n) for n in (T, T + 13))
    (a, cache_a), (b, cache_b) = short.forward(x), long.forward(y)
    if kernel_info()["serves"]:
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)
    dy = np.random.default_rng(0).standard_normal(a.shape).astype(a.dtype)
    one, other = short.new_gradients(), long.new_gradients()
    short.backward(dy, cache_a, one, need_dx=False)
    long.backward(dy, cache_b, other, need_dx=False)
    for (path, g), (_, h) in zip(one.items(), other.items(), strict=True):
        np.testing.assert_allclose(g, h, rtol=1e-4, atol=1e-6, err_msg=path)
    assert not one["embedding/W"][0].any() and not other["embedding/W"][0].any()


@pytest.mark.parametrize("name", POOLED)
def test_what_is_padded_could_be_anything(name):
    """The row of the table that stands for padding takes no part."""
    method = fitted(name)
    encoder = text_encoder(method, 20)
    x = encode_texts(method.tokenizer_, ["the cat", "mat"], 20)
    before = encoder.predict(x)
    table = encoder.get_layer("embedding").W
    spoilt = np.array(table.value)
    spoilt[0] = 1e3
    table.value = spoilt
    np.testing.assert_array_equal(encoder.predict(x), before)


def test_learned_positions_end_somewhere():
    method = make("transformer_lm", positions="learned", epochs=1).fit(TEXT)
    windows = method.windows(TEXT)[:3]
    found = text_encoder(method, 8).predict(windows + 1)
    np.testing.assert_allclose(found, method.encoder_.predict(windows), rtol=1e-5, atol=1e-6)
    half = text_encoder(method, 4).predict(windows[:, :4] + 1)
    padded = np.where(np.arange(8) < 4, windows + 1, 0)
    np.testing.assert_allclose(half, text_encoder(method, 8).predict(padded), rtol=1e-6, atol=1e-7)
    with pytest.raises(ValueError, match="learned vectors for 8 positions"):
        text_encoder(method, 9)


def test_a_method_without_one_vector_is_refused():
    with pytest.raises(TypeError, match="DenoisingSeq2Seq makes no one vector of a text"):
        text_encoder(make("denoising_seq2seq", epochs=1).fit(TEXT), 8)


@pytest.mark.parametrize("name", POOLED)
def test_each_text_of_a_list_has_a_code(name):
    """Of a window its own; of a longer text the mean of its windows', by their tokens."""
    method = fitted(name)
    windows = method.windows(TEXT)[:3]
    T, own = method.context, method.encoder_.predict(windows)
    whole = method.tokenizer_.decode(windows[0])
    if len(method.tokenizer_.encode(whole)) == T:
        np.testing.assert_allclose(method.transform([whole])[0], own[0], rtol=1e-5, atol=1e-6)
    found = method.transform(TEXTS)
    assert found.shape == (len(TEXTS), own.shape[1]) and found.dtype == own.dtype
    for text, code in zip(TEXTS, found, strict=True):
        ids, sums = method.tokenizer_.encode(text), 0
        for start in range(0, len(ids), T):  # each part by an encoder of its own length
            part = ids[start : start + T]
            sums = sums + len(part) * text_encoder(method, len(part)).predict(part[None] + 1)[0]
        np.testing.assert_allclose(code, sums / len(ids), rtol=1e-3, atol=1e-5)
    for several in (tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, object), iter(TEXTS)):
        np.testing.assert_array_equal(method.transform(several), found)
    np.testing.assert_allclose(method.transform(TEXTS[1:2])[0], found[1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_several_texts_are_learned_from_as_one(name):
    texts = [TEXT[:400], TEXT[400:800]]
    several = make(name, epochs=1).fit(texts, validation_data=texts[:1])
    one = make(name, epochs=1).fit("\n".join(texts), validation_data=texts[0])
    np.testing.assert_array_equal(several.model_.parameters.vector, one.model_.parameters.vector)
    assert several.history_ == one.history_
    assert several.score(texts) == one.score("\n".join(texts))


def test_what_is_no_text_is_named():
    method = fitted("word_vectors")
    for given, kind, sentence in (
        (3, TypeError, "text is an int, expected a str, a list of them, or open_texts"),
        (b"the cat", TypeError, "text is .*bytes.*, expected a str, a list"),
        (["the cat", 3], TypeError, "text 1 is .*int.*, expected a str"),
        ([], ValueError, "text: there is none"),
        (["the cat", "  "], ValueError, "text 1 is empty"),
    ):
        with pytest.raises(kind, match=sentence):
            method.transform(given)
    for given, sentence in (
        (3, "text is .*int.*, expected a str, a list of them"),
        (b"abc", "text is .*bytes.*, expected a str, a list"),
        ([TEXT, None], "text: text 1 is .*None.*, expected a str"),
    ):
        for use in (make("conv_lm").fit, method.score, fitted("conv_lm").score):
            with pytest.raises(TypeError, match=sentence):
                use(given)
    with pytest.raises(TypeError, match="makes no one vector of a text"):
        make("denoising_seq2seq", epochs=1).fit(TEXT).transform(TEXTS)


def test_what_is_unknown_is_left_out():
    tokenizer = CharacterTokenizer.train("abc ")
    assert tokenizer.decode(tokens_of(tokenizer, "a€b c?")) == "ab c"
    x = encode_texts(tokenizer, ["abc", "b"], 2)
    ids = tokenizer.encode("ab") + 1
    assert x.tolist() == [ids.tolist(), [ids[1], 0]]
    with pytest.raises(ValueError, match="text 1 has no sign that the vocabulary knows"):
        encode_texts(tokenizer, ["a", "€€"], 4)
    with pytest.raises(ValueError, match="text 0 is empty"):
        encode_texts(tokenizer, ["", "a"], 4)
