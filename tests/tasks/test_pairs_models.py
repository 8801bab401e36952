"""Translator and Summarizer: what they learn, go on with, begin with and refuse."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from minienc.data.pairs import TextOfSides
from minienc.language import METHODS
from minienc.tasks import Start, Summarizer, Translator
from minienc.tasks.scores import rouge
from minienc.training.callbacks import Callback

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def digits(n, seed=0):
    """ "4 7" and "seven four": words of another language, in the order from the end."""
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(0, 10, rng.integers(1, 5)) for _ in range(n)]
    return [" ".join(map(str, d)) for d in drawn], [
        " ".join(NAMES[i] for i in d[::-1]) for d in drawn
    ]


X, Y = digits(60)
SMALL = {
    "source": "en",
    "target": "fr",
    "width": 8,
    "n_layers": 1,
    "num_heads": 2,
    "vocab_size": 280,
    "batch_tokens": 120,
    "epochs": 3,
    "random_state": 0,
}


def small(kind=Translator, **changed):
    return kind(**{**SMALL, **changed})


@pytest.mark.parametrize(
    ("network", "rate", "right"), [("gru", 1e-2, 0.9), ("transformer", 5e-3, 0.6)]
)
def test_a_toy_language_is_learned(network, rate, right):
    given = digits(2500)
    unseen = digits(40, seed=1)
    model = Translator(
        source="digits",
        target="words",
        network=network,
        width=48,
        n_layers=1,
        num_heads=2,
        vocab_size=300,
        batch_tokens=500,
        epochs=8,
        dropout=0.0,
        learning_rate=rate,
        random_state=0,
    ).fit(*given)
    written = model.predict(unseen[0])
    assert np.mean([a == b for a, b in zip(written, unseen[1], strict=True)]) > right
    assert model.score(*unseen) > 85


def test_copying_writes_names_that_it_has_never_met():
    rng = np.random.default_rng(0)

    def names(n):
        return ["".join(rng.choice(list("abcdefghijklmnop"), 6)) for _ in range(n)]

    def texts(some):
        return [f"{name} is a tool that does things" for name in some]

    learned, unseen = names(400), names(20)
    scores = {}
    for copying in (True, False):
        model = Summarizer(
            source="text",
            target="name",
            width=32,
            vocab_size=280,
            batch_tokens=300,
            epochs=6,
            dropout=0.0,
            learning_rate=1e-2,
            copying=copying,
            random_state=0,
        ).fit(texts(learned), learned)
        written = model.predict(texts(unseen), beam=1)
        scores[copying] = np.mean([a == b for a, b in zip(written, unseen, strict=True)])
    assert scores[True] > scores[False] and scores[True] > 0.5


class StopAfter(Callback):
    belongs_to_run = False

    def __init__(self, batches):
        self.batches = batches

    def on_train_batch_end(self, batch, logs):
        if self.trainer.batches_done == self.batches:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", [Translator, Summarizer])
@pytest.mark.parametrize("batches", [2, 7])
def test_a_stopped_fit_goes_on_to_the_same_bits(kind, batches, tmp_path):
    both = {"validation_data": (X[:5], Y[:5])}
    whole = small(kind).fit(X, Y, checkpoint_dir=tmp_path / "whole", **both)
    assert whole.n_steps_ > 9
    with pytest.raises(KeyboardInterrupt):
        small(kind).fit(
            X, Y, checkpoint_dir=tmp_path / "cut", callbacks=[StopAfter(batches)], **both
        )
    resumed = small(kind).fit(X, Y, checkpoint_dir=tmp_path / "cut", resume=True, **both)
    np.testing.assert_array_equal(resumed.model_.parameters.vector, whole.model_.parameters.vector)
    assert resumed.history_ == whole.history_
    assert set(whole.history_) == {"loss", "val_loss", f"val_{kind.score_name}"}


def test_every_epoch_has_other_batches_and_every_pair_once():
    model, seen = small(epochs=2), []
    step = model._step

    def watched(batch, rng):
        numbers = step(batch, rng)
        seen.append([*model._partition[1][batch[0][0]]])
        return numbers

    model._step = watched
    model.fit(X, Y)
    half = len(seen) // 2
    for epoch in (seen[:half], seen[half:]):
        assert sorted(i for rows in epoch for i in rows) == list(range(len(X)))
    assert {tuple(sorted(r)) for r in seen[:half]} != {tuple(sorted(r)) for r in seen[half:]}


def test_the_loss_does_not_depend_on_how_batches_are_cut():
    model = small(dtype="float64").fit(X, Y)
    one = model.nats(X, Y)
    model.batch_tokens = 17
    assert model.nats(X, Y) == pytest.approx(one, rel=1e-12)


def test_the_best_epoch_can_be_kept(tmp_path):
    given = {"validation_data": (X[:9], Y[:9]), "checkpoint_dir": tmp_path}
    model = small(keep_best=True, epochs=6, learning_rate=0.3).fit(X, Y, **given)
    assert model.nats(X[:9], Y[:9]) == pytest.approx(min(model.history_["val_loss"]), rel=1e-6)


def test_scores_and_texts():
    model = small(Summarizer).fit(X, Y)
    written = model.predict(X[:4], beam=2)
    assert all(isinstance(text, str) for text in written) and len(written) == 4
    assert model.score(X[:4], Y[:4], beam=2) == rouge(written, Y[:4])["rougeL"]
    assert copy.deepcopy(model).predict(X[:4], beam=2) == written
    assert model.predict([]) == []
    assert repr(small()).startswith("Translator(source='en', target='fr'")


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"network": "lstm"}, "network is 'lstm'"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0"),
        ({"batch_tokens": 0}, "batch_tokens is 0"),
        ({"most_source": 0}, "most_source is 0"),
        ({"target": "en"}, "both 'en'"),
        ({"vocab_size": 200}, "vocab_size is 200"),
    ],
)
def test_settings_out_of_range_are_refused(changed, what):
    with pytest.raises(ValueError, match=what):
        small(**changed).fit(X, Y)


def test_what_are_no_pairs_is_refused():
    with pytest.raises(ValueError, match="59 predictions for 60"):
        small().fit(X[1:], Y)
    with pytest.raises(TypeError, match="is one str"):
        small().fit("a", ["b"])
    with pytest.raises(RuntimeError, match="not fitted"):
        small().predict(["a"])
    model = small(epochs=1).fit(X, Y)
    with pytest.raises(TypeError, match="X is one str"):
        model.predict("a man")
    with pytest.raises(ValueError, match="beam is 0"):
        model.predict(["a"], beam=0)


# ------------------------------------------------------------------------------------- pretrained


def pretrained(method="denoising_seq2seq", **more):
    given = {"vocab_size": 280, "context": 12, "epochs": 1, "steps_per_epoch": 4, "random_state": 0}
    method = METHODS[method](**{**given, "batch_size": 4, "tokens": "byte pairs", **more})
    return method.fit(TextOfSides({"en": X, "fr": Y}))


def start_of(method, parts="all"):
    weights = {name: np.array(p.value) for name, p in method.model_.named_parameters()}
    return Start("the run", method.tokenizer_, weights, parts)


@pytest.mark.parametrize("network", ["gru", "transformer"])
def test_all_of_a_pretrained_network_is_gone_on_with(network):
    method = pretrained(width=8, network=network, n_layers=1, num_heads=2)
    start = start_of(method)
    model = small(network=network, epochs=1, learning_rate=1e-30).fit(X, Y, start=start)
    assert set(model.taken_over_) == set(start.weights)
    for name, p in model.model_.named_parameters():
        np.testing.assert_allclose(p.value, start.weights[name], rtol=1e-5, atol=1e-6)
    part = small(network=network, epochs=1).fit(X, Y, start=start_of(method, "encoder"))
    assert 0 < len(part.taken_over_) < len(model.taken_over_)
    assert not any("writer" in name for name in part.taken_over_)
    words = small(network=network, epochs=1).fit(X, Y, start=start_of(method, "vocabulary"))
    assert words.taken_over_ == []
    assert words.tokenizer_.to_dict() == model.tokenizer_.to_dict()


def test_encoders_of_other_methods_fit_where_shapes_do():
    method = pretrained("seq_autoencoder", units=4, embedding=8, code=5)
    model = small(epochs=1, learning_rate=1e-30).fit(X, Y, start=start_of(method))
    assert {"embedding/W", "reader/W", "reader_backward/U"} <= set(model.taken_over_)
    assert len(model.tokenizer_) == len(method.tokenizer_) + 3  # <end>, <en>, <fr>
    np.testing.assert_allclose(
        model.model_.get_layer("embedding").W.value[: len(method.tokenizer_)],
        method.model_.get_layer("embedding").W.value,
        rtol=1e-5,
    )


def test_what_does_not_fit_is_told():
    with pytest.raises(ValueError, match=r"nothing of the run fits .* the width"):
        small(epochs=1).fit(X, Y, start=start_of(pretrained(width=6)))
    with pytest.raises(ValueError, match="cut its text into words"):
        small().fit(X, Y, start=start_of(pretrained("word_vectors", tokens="words", context=4)))
    with pytest.raises(ValueError, match="parts is 'half', expected one of all"):
        small().fit(X, Y, start=start_of(pretrained(width=8), "half"))
