"""Sequence to sequence: steps, padding, gradients, and what denoising learns of several sides."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.data.pairs import TextOfSides
from minienc.language import METHODS
from minienc.language.denoising_seq2seq import Denoising
from minienc.language.objective import NOT_ASKED
from minienc.language.seq2seq import NETWORKS, Shape, Writing, build, check_shape, shifted

DenoisingSeq2Seq = METHODS["denoising_seq2seq"]
ALL = [(network, copying) for network in NETWORKS for copying in (False, True)]
X = np.array([[3, 7, 2, 9, 4], [5, 1, 8, 0, 0]], np.int32)
N_READ, TARGETS = np.array([5, 3], np.int32), np.array([[6, 2, 9, 1], [4, 1, 0, 0]], np.int32)
N_WRITTEN = np.array([4, 2], np.int32)


def made(network, copying, dtype="float64", dropout=0.0):
    shape = Shape(10, network, 8, 2, 2, dropout, copying, dtype)
    parts = build(shape, np.random.default_rng(0))
    w = parts.whole.parameters.vector
    w += (0.3 * np.random.default_rng(1).standard_normal(w.size)).astype(dtype)
    parts.whole.parameters.touch()
    return parts, Writing(parts.whole, copying, 0.1)


@pytest.mark.parametrize(("network", "copying"), ALL)
def test_written_step_by_step_is_written_at_once(network, copying):
    parts, _ = made(network, copying)
    before, _ = shifted(TARGETS, N_WRITTEN, 5)
    whole, _ = parts.whole.graph.forward((X, N_READ, before))
    (memory, *first), _ = parts.encoder.graph.forward((X, N_READ))
    past, found = None, []
    for t in range(4):
        step = (before[:, t : t + 1], memory, N_READ, *first)
        outputs, past = parts.decoder.graph.forward_from(step, past)
        found.append(outputs)
    for k, y in enumerate(whole):
        steps = np.concatenate([outputs[k] for outputs in found], axis=1)
        np.testing.assert_allclose(steps, y, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("network", "copying"), ALL)
def test_padding_changes_neither_loss_nor_gradient(network, copying):
    parts, loss = made(network, copying)
    before, labels = shifted(TARGETS, N_WRITTEN, 5)
    wide = [
        np.pad(a, ((0, 0), (0, 3)), constant_values=v)
        for a, v in ((X, 6), (before, 2), (labels, NOT_ASKED))
    ]
    results = []
    for x, b, l in ((X, before, labels), tuple(wide)):  # noqa: E741
        (value,), cache = loss.loss_of(x, N_READ, b, l, smoothing=0.1)
        grads = parts.whole.new_gradients()
        loss.backward(1.0, cache, grads)
        results.append((value, grads.vector))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-12)
    np.testing.assert_allclose(results[1][1], results[0][1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("network", "copying"), ALL)
def test_its_gradient_is_that_of_its_loss(network, copying):
    parts, loss = made(network, copying, dropout=0.2)
    before, labels = shifted(TARGETS, N_WRITTEN, 5)
    w, grads = parts.whole.parameters.vector, parts.whole.new_gradients()

    def value():
        rng = np.random.default_rng(3)
        (number,), cache = loss.loss_of(X, N_READ, before, labels, rng, 0.1)
        return float(number), cache

    loss.backward(1.0, value()[1], grads)
    start, direction, ends = w.copy(), np.random.default_rng(2).standard_normal(w.size), []
    for h in (1e-6, -1e-6):
        w[:] = start + h * direction
        parts.whole.parameters.touch()
        ends.append(value()[0])
    assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(grads.vector @ direction, rel=1e-5)


def test_without_attention_nothing_but_the_first_state_is_known():
    parts, _ = made("gru_no_attention", False)
    before, _ = shifted(TARGETS, N_WRITTEN, 5)
    (memory, first), _ = parts.encoder.graph.forward((X, N_READ))
    one, _ = parts.decoder.graph.forward((before, memory, N_READ, first))
    two, _ = parts.decoder.graph.forward((before, 0 * memory, N_READ, first))
    np.testing.assert_array_equal(one[0], two[0])


def test_what_stands_before_each_token():
    before, labels = shifted(TARGETS, N_WRITTEN, np.array([7, 8]))
    assert before.tolist() == [[7, 6, 2, 9], [8, 4, 1, 0]]
    assert labels.tolist() == [[6, 2, 9, 1], [4, 1, NOT_ASKED, NOT_ASKED]]


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"network": "lstm"}, "network is 'lstm', expected one of gru"),
        ({"width": 7}, "width is 7, expected an even"),
        ({"width": 12, "network": "transformer"}, "expected a multiple of twice num_heads"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"n_layers": 0}, "n_layers is 0"),
    ],
)
def test_what_cannot_be_built_is_told(changed, what):
    with pytest.raises(ValueError, match=what):
        check_shape("Here", Shape(10)._replace(**changed))


# -------------------------------------------------------------------------------------- denoising

ENGLISH = ["the cat sat on the mat", "a dog runs", "the dog sat on a mat"] * 8
FRENCH = ["le chat est sur le tapis", "un chien court", "le chien est la"] * 8
SIDES = TextOfSides({"en": ENGLISH, "fr": FRENCH})


def small(**changed):
    given = {"width": 16, "vocab_size": 290, "epochs": 2, "steps_per_epoch": 20, "batch_size": 6}
    return DenoisingSeq2Seq(**{**given, "context": 24, "random_state": 0, **changed})


def test_sentences_of_all_sides_are_learned_with_their_tags():
    method = small(learning_rate=1e-2).fit(SIDES, validation_data=SIDES)
    assert list(method.tokenizer_.special) == ["<mask>", "<end>", "<en>", "<fr>"]
    assert method.history_["val_loss"][-1] < method.history_["val_loss"][0]
    loss = method.learners_["model"].objective
    assert len(loss.lines) == 48
    x, lengths, before, labels = loss.draw((np.arange(6),), np.random.default_rng(0))
    tags = {method.tokenizer_.special["<en>"], method.tokenizer_.special["<fr>"]}
    assert set(x[:, 0]) <= tags and (before[:, 0] == x[:, 0]).all()
    end, asked = method.tokenizer_.special["<end>"], labels != NOT_ASKED
    assert (labels[np.arange(len(x)), asked.sum(axis=1) - 1] == end).all()
    assert (lengths <= asked.sum(axis=1)).all()  # something is left out, nothing is added
    written = [method.tokenizer_.decode(row[row >= 0][:-1]) for row in labels]
    assert set(written) <= {*ENGLISH, *FRENCH}


def test_noise_stays_within_each_sentence():
    loss = Denoising(made("gru", False)[0].whole, False, 0.0, (0.0, 0.3, 2))
    loss.T, loss.end = 6, 9
    whole, lengths = np.arange(12).reshape(2, 6) % 9, np.array([6, 2])
    for seed in range(20):
        x, left, _, labels = loss.disturbed(whole, lengths, 7, np.random.default_rng(seed))
        for row, n, all_, m in zip(x, left, whole, lengths, strict=True):
            assert set(row[1:n]) <= set(all_[:m]) and 2 <= n <= m + 1
        assert (labels[1, 3:] == NOT_ASKED).all() and labels[1, 2] == 9


def test_a_side_that_was_not_learned_is_refused():
    method = small(steps_per_epoch=1).fit(SIDES)
    with pytest.raises(ValueError, match="has a side 'de', which the vocabulary lacks"):
        method.score(TextOfSides({"de": ["ein Hund"]}))
    for name in ("masked", "dropped", "label_smoothing"):
        with pytest.raises(ValueError, match=f"{name} is 1"):
            small(**{name: 1}).fit(SIDES)
    with pytest.raises(ValueError, match="moved is -1"):
        small(moved=-1).fit(SIDES)
