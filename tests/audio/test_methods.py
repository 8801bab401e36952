"""Every method of sound keeps the protocol, learns, and goes on to the same bits."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from minienc.audio import METHODS, FramesEncoder
from minienc.data import load_dataset
from minienc.layers import Input
from minienc.models import Model, load_model
from minienc.training.callbacks import Callback

SMALL = {"filters": (3, 4), "units": 5, "epochs": 2, "batch_size": 8, "learning_rate": 0.02}
SMALL["random_state"] = 0
OWN = {"frame_autoencoder": {"code": 6}, "masked_frames": {}, "predictive_coding": {}}


def sounds(n=32, T=24, F=8, seed=0, dtype="float32"):
    """Frames whose bands rise and fall, of lengths from 9 to T, with 0 behind them."""
    rng = np.random.default_rng(seed)
    t, f = np.arange(T)[:, None], np.arange(F)
    x = np.zeros((n, T, F))
    for row in x:
        length = rng.integers(9, T + 1)
        speed, phase = rng.uniform(0.2, 0.5), rng.uniform(0, 6)
        row[:] = np.cos(speed * t + 0.5 * f + phase) + 0.05 * rng.standard_normal((T, F))
        row[length:] = 0
    return x.astype(dtype)


X = sounds()


def make(name, **changed):
    return METHODS[name](**{**SMALL, **OWN[name], **changed})


@pytest.fixture(params=sorted(METHODS))
def name(request):
    return request.param


def test_every_method_has_a_small_one_here():
    assert set(OWN) == set(METHODS)


def test_it_learns_and_repeats_itself(name):
    one = make(name, epochs=8).fit(X, validation_data=X[:8])
    two = make(name, epochs=8).fit(X, validation_data=X[:8])
    losses = one.history_["loss"]
    assert losses[-1] < 0.9 * losses[0] and len(one.history_["val_loss"]) == 8
    np.testing.assert_array_equal(one.model_.parameters.vector, two.model_.parameters.vector)
    Z = one.transform(X)
    assert Z.shape == (32, 10) and np.isfinite(Z).all() and Z.dtype == np.float32
    assert one.score(X) == one.score(X) == pytest.approx(-one.loss(X))
    assert one.history_["val_loss"][-1] == pytest.approx(one.loss(X[:8]), rel=1e-5)
    assert one.found(X[:3]).shape == (3, 24, 8)


class StopAfter(Callback):
    belongs_to_run = False

    def __init__(self, batches):
        self.batches = batches

    def on_train_batch_end(self, batch, logs):
        if self.trainer.batches_done == self.batches:
            raise KeyboardInterrupt


def test_a_stopped_fit_goes_on_to_the_same_bits(name, tmp_path):
    whole = make(name).fit(X, checkpoint_dir=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        make(name).fit(X, checkpoint_dir=tmp_path / "cut", callbacks=[StopAfter(5)])
    resumed = make(name).fit(X, checkpoint_dir=tmp_path / "cut", resume=True)
    np.testing.assert_array_equal(resumed.model_.parameters.vector, whole.model_.parameters.vector)
    for a, b in zip(resumed.model_.get_weights(), whole.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert resumed.history_ == whole.history_


@pytest.mark.parametrize("centered", [False, True])
def test_its_gradient_is_that_of_its_loss(name, centered):
    """Along one direction, in float64, whatever is drawn being drawn alike."""
    X = sounds(dtype="float64")
    method = make(name, dtype="float64", epochs=1, centered=centered).fit(X)
    learner = method.learners_["model"]
    objective, network = learner.objective, learner.network
    w, grads = network.parameters.vector, network.new_gradients()
    batch = (sounds(6, seed=3, dtype="float64"),)

    def loss():
        network.parameters.touch()
        (value,), cache = objective.forward(batch, np.random.default_rng(5))
        return float(value), cache

    _, cache = loss()
    objective.backward(1.0, cache, grads)
    is_learned = np.concatenate(
        [np.full(p.size, not p.is_state) for _, p in network.named_parameters()]
    )
    start, direction = w.copy(), np.random.default_rng(1).standard_normal(w.size) * is_learned
    ends = []
    for h in (1e-7, -1e-7):
        w[:] = start + h * direction
        ends.append(loss()[0])
    assert (ends[0] - ends[1]) / 2e-7 == pytest.approx(grads.vector @ direction, rel=1e-4)


@pytest.mark.parametrize("centered", [False, True])
def test_padding_changes_no_code_and_no_loss(name, centered):
    """Once training is over; the weights do not know how many frames samples have."""
    method = make(name, centered=centered).fit(X)
    longer = np.pad(X, ((0, 0), (0, 16), (0, 0)))
    other = make(name, centered=centered)
    other.build(longer.shape[1:], np.random.default_rng(0))
    other.model_.set_weights(method.model_.get_weights())
    np.testing.assert_allclose(other.transform(longer), method.transform(X), rtol=0, atol=1e-6)
    if name != "masked_frames":  # which draws as many numbers as there are groups
        assert other._loss(longer) == pytest.approx(method._loss(X), rel=1e-5)


def test_a_sound_alone_has_the_code_that_it_has_among_others(name):
    method = make(name).fit(X)
    np.testing.assert_allclose(method.transform(X[5:6]), method.transform(X)[5:6], atol=1e-6)


def test_padding_is_never_asked_for(name):
    method = make(name).fit(X)
    question = method.ask(X, np.random.default_rng(0))
    lengths = -(-np.array([np.flatnonzero(x.any(axis=1)).max() + 1 for x in X]) // 4)
    k = getattr(method, "ahead", 0)
    for target, w in zip(question.targets, question.weights, strict=True):
        assert target.shape == (32, 6, 32) and w.shape == (32, 6)
        for row, n in zip(w, lengths, strict=True):
            assert not row[n:].any() and row.sum() <= max(n - k, 0)
    assert sum(w.sum() for w in question.weights) > 0


def test_what_is_no_sound_is_refused(name):
    with pytest.raises(ValueError, match=r"samples are \(8,\), expected sequences of frames"):
        make(name).fit(np.ones((9, 8), "float32"))
    with pytest.raises(ValueError, match=r"have 22 frames, expected a multiple of 4 .* frames=20"):
        make(name).fit(X[:, :22])
    for wrong in ({"filters": ()}, {"units": 0}, {"mask_ratio": 1.0}, {"ahead": 1}, {"code": 0}):
        if set(wrong) <= set(METHODS[name]._parameters()):
            with pytest.raises(ValueError, match="expected"):
                make(name, **wrong).fit(X)
    with pytest.raises(RuntimeError, match="is not fitted yet"):
        make(name).transform(X)


def test_copies_and_files_hold_the_whole(name, tmp_path):
    one = make(name).fit(X)
    two = copy.deepcopy(one)
    np.testing.assert_array_equal(one.transform(X), two.transform(X))
    one.encoder_.save(tmp_path / "encoder.npz")
    np.testing.assert_array_equal(load_model(tmp_path / "encoder.npz").predict(X, 1000), Z(one))
    one.model_.save(tmp_path / "model.npz")
    assert len(load_model(tmp_path / "model.npz").inputs) == len(one.model_.inputs)


def Z(method):
    return method.transform(X)


# ------------------------------------------------------------------------------------- by itself


def test_the_mask_hides_the_same_part_of_each_sound():
    method = make("masked_frames").fit(X)
    counted = method.counted(X)
    m = method.draw_mask(counted, np.random.default_rng(0))
    expected = np.maximum(np.rint(0.5 * counted.sum(axis=1)), 1)
    np.testing.assert_array_equal(m.sum(axis=1), expected)
    assert not (m * (1 - counted)).any()
    seen, whole = method.ask(X, np.random.default_rng(0)).inputs
    hidden = np.repeat(m, 4, axis=1) > 0
    assert not seen[hidden].any()
    np.testing.assert_array_equal(seen[~hidden], whole[~hidden])


def test_what_is_predicted_has_not_been_seen():
    """What comes k steps later, changed, changes nothing of what is said of it."""
    method = make("predictive_coding").fit(X)
    x = sounds(4, seed=7)
    x[:] = np.where(x == 0, 0.1, x)  # all of full length
    later, before = method.model_.forward((x,))[0]
    changed = x.copy()
    changed[:, 16:] += 1.0  # groups 4 and 5
    np.testing.assert_array_equal(method.model_.forward((changed,))[0][0][:, :3], later[:, :3])
    changed = x.copy()
    changed[:, :8] += 1.0  # groups 0 and 1
    np.testing.assert_array_equal(method.model_.forward((changed,))[0][1][:, 3:], before[:, 3:])
    question = method.ask(x, None)
    np.testing.assert_array_equal(question.targets[0][:, 1], method.groups(x)[:, 3])
    np.testing.assert_array_equal(question.targets[1][:, 3], method.groups(x)[:, 1])


def test_the_encoder_may_stand_in_several_graphs_with_the_same_weights():
    layers, x, y = FramesEncoder((2,), 3), Input((12, 6)), Input((16, 6))
    one, two = Model(x, layers(x).code), Model(y, layers(y).code)
    one.initialize(0)
    assert [p for _, p in one.named_parameters()] == [p for _, p in two.named_parameters()]
    short = sounds(5, 12, 6)
    long = np.pad(short, ((0, 0), (0, 4), (0, 0)))
    np.testing.assert_allclose(two.predict(long), one.predict(short), atol=1e-6)


def test_seen_without_its_means_a_sound_is_the_same_by_any_microphone():
    """Of both kernels' parts, that of the sound as it is being 0: another constant in each band
    changes no code."""
    layers, x = FramesEncoder((2,), 3, centered=True), Input((12, 6))
    model = Model(x, layers(x).code)
    model.initialize(0)
    heard = sounds(5, 12, 6)
    louder = heard + (heard != 0).any(axis=2, keepdims=True) * np.arange(1, 7, dtype="float32")
    assert np.abs(model.predict(louder) - model.predict(heard)).max() > 1e-3
    layers.convolutions[0].W.value[:, :, 0] = 0
    model.parameters.touch()
    np.testing.assert_allclose(model.predict(louder), model.predict(heard), atol=1e-5)


def test_vowels_are_told_apart_after_pretraining():
    """Codes that have seen no label know more of them than chance, of speakers never heard."""
    from minienc.finetuning import linear_probe

    d = load_dataset("vowels")
    method = METHODS["masked_frames"](filters=(8, 8), units=16, epochs=2, random_state=0).fit(d.x)
    assert linear_probe(method, d.x, d.y, d.test_x, d.test_y, steps=200) > 0.35


def test_other_microphones_are_heard_in_training_alone(name):
    method = make(name).fit(X)
    objective = method.learners_["model"].objective
    losses = [float(objective.forward((X,), np.random.default_rng(s))[0][0]) for s in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]
    assert method.loss(X) == method.loss(X)
    plain = make(name, equalizer=0.0).fit(X)
    assert (plain.model_.parameters.vector != method.model_.parameters.vector).any()
    with pytest.raises(ValueError, match="equalizer is -1"):
        make(name, equalizer=-1).fit(X)
