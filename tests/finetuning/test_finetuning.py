"""Fine-tuning, probes, and the curve that shows whether pretraining helped."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minienc.data import load_digits
from minienc.finetuning import few_label_curve, finetune, knn_probe, linear_probe
from minienc.finetuning.curve import PRETRAINED, RANDOM, draw_labelled
from minienc.language import RNNLanguageModel
from minienc.layers import Activation, Dense, GaussianNoise, Input
from minienc.models import Model, load_model
from minienc.pretraining import METHODS, Autoencoder
from minienc.training.callbacks import Callback
from tests.pretraining.test_methods import make

RNG = np.random.default_rng(0)


def blobs(n=90, k=3, d=5, seed=0):
    """k classes around k far points."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    centres = np.random.default_rng(9).standard_normal((k, d)) * 4
    return (centres[y] + 0.3 * rng.standard_normal((n, d))).astype("float32"), y


def encoder():
    x = Input((5,))
    code = Dense(4, "tanh", seed=2, name="b")(Dense(6, "tanh", seed=1, name="a")(x))
    return Model(x, code, name="encoder")


@pytest.mark.parametrize("mode", ["full", "frozen", "gradual"])
def test_fine_tuning_learns_and_leaves_the_encoder_as_it_was(mode):
    X, y = blobs()
    start = encoder()
    before = start.parameters.vector.copy()
    model = finetune(
        start, X, y, mode=mode, epochs=30, learning_rate=0.02, random_state=0, layer_decay=0.5
    )
    assert model.evaluate(X, y, return_dict=True)["accuracy"] > 0.9
    np.testing.assert_array_equal(start.parameters.vector, before)
    moved = {n: not np.array_equal(v, before_part(start, n)) for n, v in model.parameters.items()}
    assert moved.pop("classes/W") and moved.pop("classes/b")
    assert all(moved.values()) if mode != "frozen" else not any(moved.values())


def before_part(start, name):
    return start.parameters[name.removeprefix("encoder/")] if "classes" not in name else np.zeros(1)


@pytest.mark.parametrize("mode", ["full", "frozen", "gradual"])
def test_codes_are_standardised_as_they_are_at_first(mode):
    """Whatever then happens to the encoder: the layer keeps the first mean and deviation."""
    X, y = blobs()
    start = encoder()
    codes = start.predict(X).astype("float64")
    how = dict(epochs=30, learning_rate=0.02, random_state=0, standardize=True)
    model = finetune(start, X, y, mode=mode, **how)
    layer = model.get_layer("standardize")
    np.testing.assert_allclose(layer.moving_mean.value, codes.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance.value, codes.var(axis=0), rtol=1e-5)
    assert (layer.gamma.value == 1).all() and (layer.beta.value == 0).all()
    assert model.evaluate(X, y, return_dict=True)["accuracy"] > 0.9
    rates = {n: p.learning_rate_multiplier for n, p in model.named_parameters()}
    assert rates["classes/W"] == rates["encoder/b/W"] == 1


def test_a_number_that_never_changes_is_left_out_by_standardising():
    X, y = blobs()
    X = np.concatenate([X, np.full((len(X), 1), 3, "float32")], axis=1)
    x = Input((6,))
    model = finetune(Model(x, Activation("linear")(x)), X, y, standardize=True, epochs=3)
    assert np.isfinite(model.predict(X)).all()
    assert model.get_layer("standardize").moving_variance.value[5] == 1


def test_its_score_is_the_accuracy():
    X, y = np.random.default_rng(0).random((40, 6)), np.arange(40) % 3
    x = Input((6,))
    classifier = finetune(Model(x, Dense(4, "relu", seed=1)(x)), X, y, epochs=5, random_state=0)
    right = classifier.predict(X).argmax(axis=1) == y
    assert classifier.score(X, y) == pytest.approx(right.mean())
    weights = np.where(right, 1.0, 0.0)
    assert classifier.score(X, y, weights) == classifier.score(X, y, sample_weight=weights)


def test_without_a_metric_a_score_is_minus_the_loss():
    X = np.random.default_rng(0).random((40, 6))
    x = Input((6,))
    model = Model(x, Dense(6, seed=1)(x))
    model.compile("sgd", "mse")
    assert model.score(X, X) == -model.evaluate(X, X)
    model.compile("sgd", "mse", metrics=["mean_absolute_error"])  # which is better, smaller
    assert model.score(X, X) == -model.evaluate(X, X)[1]
    with pytest.raises(RuntimeError, match="compile"):
        Model(x, Dense(2)(x)).score(X, X[:, :2])


def test_without_a_copy_the_encoder_itself_is_trained():
    X, y = blobs()
    start = encoder()
    before = start.get_weights()
    finetune(start, X, y, copy=False, epochs=2, random_state=0)
    assert not np.array_equal(start.get_weights()[0], before[0])


def test_lower_layers_learn_slower():
    X, y = blobs()
    model = finetune(encoder(), X, y, epochs=1, layer_decay=0.1, random_state=0)
    rates = {n: p.learning_rate_multiplier for n, p in model.named_parameters()}
    assert rates["classes/W"] == 1
    assert rates["encoder/b/W"] == pytest.approx(0.1)
    assert rates["encoder/a/W"] == pytest.approx(0.01)


def test_gradual_unfreezing_reaches_down_stage_by_stage(monkeypatch):
    seen = []
    original = Model.fit

    def spy(self, *args, **kwargs):
        seen.append(([step.path for step in self.graph.steps if step.layer.trainable], kwargs))
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Model, "fit", spy)
    X, y = blobs()
    finetune(encoder(), X, y, mode="gradual", epochs=6, random_state=0)
    assert [paths for paths, _ in seen] == [
        ["classes"],
        ["encoder/b", "classes"],
        ["encoder/a", "encoder/b", "classes"],
    ]
    assert [(k["initial_epoch"], k["epochs"]) for _, k in seen] == [(0, 2), (2, 4), (4, 6)]


@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        (np.zeros(5, int), "expected (90,)"),
        (np.zeros(90), "expected integer labels"),
        (np.full(90, -1), "expected classes from 0"),
    ],
)
def test_wrong_labels_are_refused(y, sentence):
    with pytest.raises((ValueError, TypeError)) as refusal:
        finetune(encoder(), blobs()[0], y)
    assert sentence in str(refusal.value)


def test_a_fitted_method_stands_for_its_encoder():
    X, y = blobs()
    method = Autoencoder(hidden=(4,), loss="mse", epochs=1, random_state=0).fit(X)
    one, other = (finetune(e, X, y, epochs=2, random_state=0) for e in (method, method.encoder_))
    np.testing.assert_array_equal(one.parameters.vector, other.parameters.vector)
    settings = dict(labels=(9,), seeds=(0,), steps=3)
    one, other = (
        few_label_curve(e, X, y, X, y, **settings).rows() for e in (method, method.encoder_)
    )
    assert one == other


@pytest.mark.parametrize("use", [finetune, linear_probe, knn_probe, few_label_curve])
def test_what_encodes_nothing_is_refused(use):
    data = blobs() if use is finetune else (*blobs(), *blobs())
    with pytest.raises(TypeError, match="encoder is an int, expected a Model or a fitted method"):
        use(3, *data)
    with pytest.raises(RuntimeError, match="Autoencoder is not fitted yet"):
        use(Autoencoder(), *data)


def test_images_are_laid_out_as_rows_as_everywhere():
    digits = load_digits()
    X, y = digits.x[:60], digits.y[:60]
    rows = np.asarray(X).reshape(60, 64)
    small = Autoencoder(hidden=(4,), epochs=1, random_state=0).fit(X).encoder_
    one = finetune(small, X, y, epochs=1, random_state=0, validation_data=(X, y))
    other = finetune(small, rows, y, epochs=1, random_state=0, validation_data=(rows, y))
    np.testing.assert_array_equal(one.parameters.vector, other.parameters.vector)
    assert one.history.history == other.history.history


def test_probes_tell_apart_what_is_apart():
    (X, y), (X_test, y_test) = blobs(), blobs(seed=1)
    assert linear_probe(None, X, y, X_test, y_test) == 1
    assert knn_probe(None, X, y, X_test, y_test) == 1
    assert linear_probe(encoder(), X, y, X_test, y_test) > 0.9


@pytest.mark.parametrize("name", METHODS)
def test_every_method_feeds_the_curve_and_the_probes(name):
    """Its encoder begins the first arm; its ``transform`` is what the probes see."""
    rng, y = np.random.default_rng(3), np.arange(80) % 2
    bright = np.arange(8) % 2 == y[:, None]  # the left column of each image, or the right one
    X = np.clip(0.2 + 0.6 * bright + 0.1 * rng.standard_normal((80, 8)), 0, 1)
    method = make(name).fit(X)
    codes = method.transform(X)
    for probe in (linear_probe, knn_probe):
        through = probe(method, X[:60], y[:60], X[60:], y[60:])
        assert through == probe(None, codes[:60], y[:60], codes[60:], y[60:])
        assert through > 0.7, probe.__name__
    curve = few_label_curve(
        method.encoder_, X[:60], y[:60], X[60:], y[60:], labels=(4,), seeds=(0, 1), steps=20
    )
    assert len(curve.arms) == 5 and list(curve.arms)[:2] == [PRETRAINED, RANDOM]
    assert all(a.shape == (1, 2) and (a >= 0).all() for a in curve.arms.values())
    np.testing.assert_array_equal(method.transform(X), codes)  # and is as it was


def test_probes_find_nothing_where_there_is_nothing():
    X, X_test = RNG.random((200, 5)), RNG.random((500, 5))
    y, y_test = RNG.integers(0, 2, 200), RNG.integers(0, 2, 500)
    assert 0.4 < linear_probe(None, X, y, X_test, y_test) < 0.6
    assert 0.4 < knn_probe(None, X, y, X_test, y_test) < 0.6


@pytest.mark.parametrize("k", [1, 4, 7])
def test_nearest_neighbours_are_those_of_a_slow_loop(k):
    rng = np.random.default_rng(k)
    X, X_test = rng.random((40, 3)), rng.random((700, 3))
    y, y_test = rng.integers(0, 3, 40), rng.integers(0, 3, 700)
    right = 0
    for x, truth in zip(X_test.astype("float32"), y_test, strict=True):
        nearest = y[np.argsort(((X.astype("float32") - x) ** 2).sum(axis=1))[:k]]
        votes = np.bincount(nearest, minlength=3)
        tied = np.flatnonzero(votes == votes.max())
        first = next(label for label in nearest if label in tied)
        right += (first if len(tied) > 1 else votes.argmax()) == truth
    assert knn_probe(None, X, y, X_test, y_test, k=k) == right / 700


def test_labelled_samples_are_drawn_evenly():
    y = np.repeat(np.arange(4), [100, 50, 10, 3])
    chosen = draw_labelled(y, 12, np.random.default_rng(0))
    assert len(set(chosen)) == 12
    assert np.bincount(y[chosen]).tolist() == [3, 3, 3, 3]
    assert set(draw_labelled(y, 163, np.random.default_rng(0))) == set(range(163))


def test_the_curve_has_its_control_arms_and_repeats_itself():
    digits = load_digits()
    method = Autoencoder(hidden=(64, 10), epochs=10, batch_size=32, random_state=0).fit(digits.x)
    arguments = (method.encoder_, digits.x, digits.y, digits.test_x, digits.test_y)
    settings = dict(labels=(10, 50), seeds=(0, 1), steps=60)
    before = method.encoder_.parameters.vector.copy()
    curve = few_label_curve(*arguments, **settings)
    np.testing.assert_array_equal(method.encoder_.parameters.vector, before)
    assert list(curve.arms) == [
        "pretrained, fine-tuned",
        "random weights, same budget",
        "pretrained codes, linear",
        "raw input, linear",
        "PCA codes, linear",
    ]
    for accuracy in curve.arms.values():
        assert accuracy.shape == (2, 2)
        assert accuracy[1].mean() > accuracy[0].mean() > 0.2
    again = few_label_curve(*arguments, **settings)
    for name, accuracy in curve.arms.items():
        np.testing.assert_array_equal(accuracy, again.arms[name])
    assert curve.table().count("\n") == 6


def test_pretraining_that_cannot_help_does_not_seem_to():
    """An encoder that lost everything: the control arm is ahead, and the curve shows it."""
    digits = load_digits()
    x = Input((64,))
    blind = Model(x, Dense(30, "tanh", seed=0)(x))
    blind.layers[0].W.value = np.zeros((64, 30))
    curve = few_label_curve(
        blind,
        digits.x,
        digits.y,
        digits.test_x,
        digits.test_y,
        labels=(50,),
        seeds=(0, 1),
        steps=200,
    )
    assert curve.difference(PRETRAINED, RANDOM).mean() < -0.3


def test_too_few_labels_are_refused():
    digits = load_digits()
    with pytest.raises(ValueError, match="labels has 5, expected at least one for each of 10"):
        few_label_curve(encoder(), digits.x, digits.y, digits.test_x, digits.test_y, labels=(5,))


def test_an_encoder_of_text_is_fine_tuned_on_windows_of_ids():
    """Two kinds of sentences: with a few labels the pretrained reader tells them apart."""
    kinds = ["the cat sat on the mat and purred. " * 30, "a ship sailed across the dark sea. " * 30]
    reader = RNNLanguageModel(
        hidden=(16,), embedding=8, context=16, batch_size=4, steps_per_epoch=60, random_state=0
    ).fit("".join(kinds))
    X = np.concatenate([reader.windows(text) for text in kinds])
    y = np.repeat([0, 1], len(X) // 2)
    curve = few_label_curve(reader, X[::2], y[::2], X[1::2], y[1::2], labels=(20,), seeds=range(2))
    assert curve.arms[PRETRAINED].mean() > 0.9


# -- what keeps a classifier from learning its few samples by heart


def test_a_cosine_schedule_rises_and_ends_at_zero():
    X, y = blobs()
    rates = []

    class Note(Callback):
        def on_train_batch_end(self, batch, logs):
            rates.append(self.trainer.model.optimizer.current_learning_rate)

    finetune(encoder(), X, y, epochs=10, batch_size=30, schedule="cosine", callbacks=[Note()])
    assert len(rates) == 30 and max(rates) == pytest.approx(1e-3) == rates[2]
    assert rates[0] < rates[1] < rates[2] and rates[-1] == pytest.approx(0, abs=1e-12)
    assert all(a >= b for a, b in itertools.pairwise(rates[2:]))


def test_weights_that_decay_end_smaller():
    X, y = blobs()
    how = dict(epochs=20, random_state=0, learning_rate=0.01)
    norms = []
    for decay in (0.0, 1.0):
        model = finetune(encoder(), X, y, optimizer="adamw", **how, weight_decay=decay or 1e-9)
        norms.append(np.linalg.norm(model.get_layer("classes").W.value))
    assert norms[1] < norms[0]
    with pytest.raises(ValueError, match=r"weight_decay is 0\.1, .* adamw, lion or muon"):
        finetune(encoder(), X, y, optimizer="sgd", weight_decay=0.1)
    with pytest.raises(ValueError, match="schedule is 'linear', expected one of constant, cosine"):
        finetune(encoder(), X, y, schedule="linear")


def test_smoothed_labels_make_it_less_sure():
    X, y = blobs()
    X = X / 5  # that no tanh is saturated
    how = dict(epochs=60, learning_rate=0.02, random_state=0)
    models = [finetune(encoder(), X, y, label_smoothing=s, **how) for s in (0.0, 0.3)]
    sure, smoothed = (model.predict(X).max(axis=1).mean() for model in models)
    assert sure > 0.95 > 0.85 > smoothed
    assert all((model.predict(X).argmax(axis=1) == y).mean() > 0.9 for model in models)
    with pytest.raises(ValueError, match=r"label_smoothing is 1\.5"):
        finetune(encoder(), X, y, label_smoothing=1.5)


def test_what_disturbs_is_in_training_alone_and_is_saved(tmp_path):
    X, y = blobs()
    model = finetune(
        encoder(), X, y, epochs=3, dropout=0.5, augment=[GaussianNoise(0.5)], random_state=0
    )
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["GaussianNoise", "Dense", "Dense", "Dropout", "Dense"]
    model.class_names = ("a", "b", "c")
    model.save(tmp_path / "c.npz")
    loaded = load_model(tmp_path / "c.npz")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.class_names == ("a", "b", "c")
    assert load_model(_saved(encoder(), tmp_path)).class_names is None


def _saved(model, folder):
    model.save(folder / "plain.npz")
    return folder / "plain.npz"
