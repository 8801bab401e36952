"""Every method of text keeps the protocol, learns, and goes on to the same bits."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from minienc.data.text import parallel_streams
from minienc.functions.losses import sparse_categorical_crossentropy_forward
from minienc.language import METHODS, LanguageModel, RNNLanguageModel, TransformerLanguageModel
from minienc.language.masked_lm import hide
from minienc.language.objective import NOT_ASKED
from minienc.language.seq_autoencoder import disturb
from minienc.training.callbacks import Callback

TEXT = "the cat sat on the mat. the rat sat on the cat. " * 30
SMALL = {"epochs": 2, "steps_per_epoch": 12, "batch_size": 4, "context": 8, "random_state": 0}
OWN = {
    "rnn_lm": {"embedding": 6, "hidden": (7, 5), "dropout": 0.1},
    "conv_lm": {"embedding": 6, "filters": 5, "n_layers": 2},
    "conv_rnn_lm": {"embedding": 6, "filters": 5, "hidden": (6,)},
    "transformer_lm": {"embedding": 8, "n_layers": 2, "num_heads": 2, "dropout": 0.1},
    "masked_lm": {"embedding": 8, "n_layers": 1, "num_heads": 2},
    "word_vectors": {"embedding": 6, "batch_size": 64, "vocab_size": 20, "context": 4},
    "seq_autoencoder": {"embedding": 6, "units": 7, "code": 5},
    "denoising_seq2seq": {
        "width": 6,
        "vocab_size": 264,
        "copying": True,
        "learning_rate": 1e-2,
    },
}
RNG = np.random.default_rng(4)


def make(name, **changed):
    return METHODS[name](**{**SMALL, **OWN[name], **changed})


@pytest.fixture(params=sorted(METHODS))
def name(request):
    return request.param


def test_every_method_has_a_small_one_here():
    assert set(OWN) == set(METHODS)


def test_it_learns_and_repeats_itself(name):
    one = make(name, epochs=4).fit(TEXT, validation_data=TEXT[:200])
    two = make(name, epochs=4).fit(TEXT, validation_data=TEXT[:200])
    losses = one.history_["loss"]
    assert losses[-1] < losses[0] and len(one.history_["val_loss"]) == 4
    np.testing.assert_array_equal(one.model_.parameters.vector, two.model_.parameters.vector)
    Z = one.transform(TEXT)
    n_tokens = len(one.tokenizer_.encode(TEXT))
    assert len(Z) == n_tokens // one.context and np.isfinite(Z).all()
    assert Z.shape[1:] == one.encoder_.outputs[0].sample_shape
    assert np.isfinite(one.score(TEXT[:200]))


class StopAfter(Callback):
    belongs_to_run = False

    def __init__(self, batches):
        self.batches = batches

    def on_train_batch_end(self, batch, logs):
        if self.trainer.batches_done == self.batches:
            raise KeyboardInterrupt


def test_a_stopped_fit_goes_on_to_the_same_bits(name, tmp_path):
    whole = make(name).fit(TEXT, checkpoint_dir=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        make(name).fit(TEXT, checkpoint_dir=tmp_path / "cut", callbacks=[StopAfter(17)])
    resumed = make(name).fit(TEXT, checkpoint_dir=tmp_path / "cut", resume=True)
    np.testing.assert_array_equal(resumed.model_.parameters.vector, whole.model_.parameters.vector)
    assert resumed.history_ == whole.history_


def test_its_gradient_is_that_of_its_loss(name):
    """Along one direction, in float64, whatever is drawn being drawn alike."""
    method = make(name, dtype="float64", epochs=1, steps_per_epoch=3).fit(TEXT)
    learner = method.learners_["model"]
    objective, network = learner.objective, learner.network
    w, grads = network.parameters.vector, network.new_gradients()
    w += 0.3 * RNG.standard_normal(w.size)  # away from where all logits are alike
    network.parameters.touch()

    def loss():
        (value, *_), cache = objective.forward(
            (np.arange(3),) if not getattr(objective, "states", ()) else (np.arange(4),),
            np.random.default_rng(5),
        )
        return float(value), cache

    _, cache = loss()
    objective.backward(1.0, cache, grads)
    start, direction = w.copy(), RNG.standard_normal(w.size)
    ends = []
    for h in (1e-6, -1e-6):
        w[:] = start + h * direction
        network.parameters.touch()
        ends.append(loss()[0])
    assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(grads.vector @ direction, rel=1e-5)


def test_what_is_no_text_is_refused(name):
    method = make(name)
    with pytest.raises(TypeError, match="expected a str"):
        method.fit(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="expected more than a window"):
        method.fit("ab")
    with pytest.raises((ValueError, RuntimeError)):
        method.transform(TEXT)
    with pytest.raises(ValueError, match="expected"):
        make(name, context=0).fit(TEXT)


def test_copies_go_on_alone(name):
    one = make(name).fit(TEXT)
    two = copy.deepcopy(one)
    np.testing.assert_array_equal(one.transform(TEXT), two.transform(TEXT))


# ------------------------------------------------------------------------------------- by itself


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_carried_states_are_one_long_reading(cell):
    """What is said of the parts, one after another, is what is said of each stream as a whole."""
    method = make("rnn_lm", cell=cell, dtype="float64").fit(TEXT)
    ids = method.tokenizer_.encode(TEXT)
    x, y = parallel_streams(ids, 16)
    logits, _ = method.model_.forward_from(x)
    whole, _ = sparse_categorical_crossentropy_forward(logits, y, from_logits=True)
    assert method.nats(ids) == pytest.approx(float(whole), rel=1e-12)


def test_the_streams_go_on_and_begin_again():
    method = make("rnn_lm", epochs=1, steps_per_epoch=1, dropout=0.0).fit(TEXT)
    learner = method.learners_["model"]
    objective, arrays = learner.objective, learner.arrays
    L, places = (len(objective.ids) - 1) // 4, []
    for _ in range(L // 8 + 3):
        places.append(int(arrays["place"][0]))
        fresh = all((arrays[s] == 0).all() for s in objective.states)
        assert fresh == (places[-1] == 0)
        learner.step((np.arange(4),), np.random.default_rng(0))
    assert places[:3] == [8, 16, 24] and 0 in places and max(places) + 8 <= L


@pytest.mark.parametrize("kind", [RNNLanguageModel, TransformerLanguageModel])
def test_it_writes_what_it_learned(kind):
    small = {**SMALL, **OWN[kind.method], "epochs": 1, "steps_per_epoch": 300}
    model = kind(
        **{**small, "embedding": 16, "hidden": (32,)}
        if kind is RNNLanguageModel
        else {**small, "embedding": 16}
    ).fit(TEXT)
    written = model.generate("the ", 40, temperature=0, random_state=0)
    assert written.startswith("the ") and len(written) == 44
    assert any(part in written for part in ("the cat", "the rat", "sat on", "the mat"))
    assert model.generate("the ", 9, random_state=1) == model.generate("the ", 9, random_state=1)
    assert isinstance(model, LanguageModel) and model.nats_per_character(TEXT) < 1.5


@pytest.mark.parametrize("tokens", ["characters", "words", "byte pairs"])
def test_it_begins_by_itself_whatever_the_tokens_are(tokens):
    text = TEXT.replace("\n", " ")
    model = make("conv_lm", tokens=tokens, vocab_size=270).fit(text)
    assert len(model.generate(length=5, random_state=0)) >= 5


def test_bytes_and_words_are_counted_by_the_character():
    text = TEXT.replace("cat", "çåt")
    model = make("conv_lm", tokens="byte pairs", vocab_size=270).fit(text)
    ids = model.tokenizer_.encode(text)
    expected = model.nats(ids) * len(ids) / len(text)
    assert model.nats_per_character(text) == pytest.approx(expected)
    assert model.generate("the", 5, random_state=0).startswith("the")


def test_hiding_chooses_as_many_in_each_window():
    ids = RNG.integers(0, 9, (50, 40))
    left, labels = hide(ids, np.random.default_rng(0), 0.15, mask=9, n_tokens=10)
    chosen = labels != NOT_ASKED
    assert (chosen.sum(axis=1) == 6).all()
    np.testing.assert_array_equal(labels[chosen], ids[chosen])
    np.testing.assert_array_equal(left[~chosen], ids[~chosen])
    masked = (left[chosen] == 9).mean()
    assert 0.7 < masked < 0.9


def test_disturbing_hides_leaves_out_and_moves():
    ids = np.tile(np.arange(20), (200, 1))
    noisy, lengths = disturb(ids, np.random.default_rng(0), 0.0, 0.2, 3, mask=99)
    assert 0.15 < 1 - lengths.mean() / 20 < 0.25
    for row, n in zip(noisy, lengths, strict=True):
        assert len(set(row[:n])) == n
        assert (np.abs(np.diff(row[:n])) <= 20).all()
    noisy, lengths = disturb(ids, np.random.default_rng(0), 0.3, 0.0, 0, mask=99)
    assert (lengths == 20).all() and 0.25 < (noisy == 99).mean() < 0.35
    np.testing.assert_array_equal(noisy[noisy != 99], ids[noisy != 99])
    moved, _ = disturb(ids, np.random.default_rng(0), 0.0, 0.0, 3, mask=99)
    assert (np.abs(moved - ids) <= 3).all() and (moved != ids).any()


def test_a_window_is_written_again_from_its_code():
    own = {**OWN["seq_autoencoder"], "embedding": 16, "units": 48, "code": 32}
    method = METHODS["seq_autoencoder"](
        **{**SMALL, **own, "context": 6, "epochs": 1, "steps_per_epoch": 600, "batch_size": 16},
        learning_rate=1e-2,
        masked=0,
        dropped=0,
        moved=0,
    ).fit(TEXT)
    windows = [TEXT[k : k + 6] for k in range(0, 48, 6)]
    written = method.inverse_transform(method.transform("".join(windows)))
    assert np.mean([a == b for a, b in zip(windows, written, strict=True)]) > 0.7


def test_words_that_keep_the_same_company_are_near():
    rng = np.random.default_rng(0)
    animals, tools = ["cat", "dog", "cow"], ["saw", "axe", "nail"]
    lines = [
        f"{rng.choice(animals)} eats grass sleeps"
        if k % 2
        else f"{rng.choice(tools)} cuts wood well"
        for k in range(600)
    ]
    method = make("word_vectors", steps_per_epoch=300, window=2, sample=1.0).fit("\n".join(lines))
    W = method.vectors()
    W = W / np.linalg.norm(W, axis=1, keepdims=True)
    cat, dog, cow, saw, axe, nail = W[method.tokenizer_.encode(" ".join(animals + tools))]
    assert min(cat @ dog, cat @ cow) > max(cat @ saw, cat @ axe, cat @ nail)
    assert min(axe @ saw, axe @ nail) > max(axe @ cat, axe @ dog)
    assert len(method.nearest("cat", 3)) == 3 and "cat" not in method.nearest("cat", 9)
