"""What every method has from the one training loop."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.layers.parameters import Parameters
from minienc.models import Model
from minienc.pretraining import METHODS, VariationalAutoencoder
from minienc.pretraining.stepped import SteppedPretrainer
from minienc.training.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateScheduler,
    ReduceLROnPlateau,
)
from minienc.training.step import NonFiniteError
from tests.pretraining.test_methods import X, make

STEPPED = [name for name, method in METHODS.items() if issubclass(method, SteppedPretrainer)]


class Watch(Callback):
    """What each epoch ended with; of a method that has stages, of the last one."""

    def on_train_begin(self, logs):
        self.losses, self.weights, self.rates = [], [], []

    def on_epoch_end(self, epoch, logs):
        copies = {
            n: {k: np.copy(a) for k, a in w.items()} for n, w in self.trainer.weights().items()
        }
        self.losses.append(logs["loss"])
        self.weights.append(copies)
        self.rates.append([o.current_learning_rate for o in self.trainer.optimizers])


@pytest.mark.parametrize("name", METHODS)
def test_the_best_weights_come_back(name):
    """The best epoch is the first: a method is told so by what it watches."""
    watch, ends = Watch(), []

    class Rises(Callback):
        def on_epoch_end(self, epoch, logs):
            logs["watched"] = float(epoch != 1)

        def on_train_end(self, logs):
            ends.append(self.trainer)

    stop = EarlyStopping("watched", patience=9, mode="min", restore_best_weights=True)
    make(name, epochs=4).fit(X, callbacks=[Rises(), watch, stop])
    for learner, weights in ends[-1].weights().items():
        for key, array in weights.items():
            np.testing.assert_array_equal(array, watch.weights[1][learner][key], err_msg=key)


@pytest.mark.parametrize("name", METHODS)
def test_samples_held_out_are_watched_in_every_stage_and_not_learned_from(name):
    stop = EarlyStopping(patience=9, restore_best_weights=False)  # of "val_loss"
    watched = make(name).fit(X, validation_data=X[:20], callbacks=[stop])
    found = watched.history_["val_loss"]
    assert len(found) == 3 and np.isfinite(found).all()
    plain = make(name).fit(X)
    for a, b in zip(watched.model_.get_weights(), plain.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", METHODS)
def test_weights_stay_where_they_are_from_step_to_step(name, monkeypatch):
    """No step gathers them into another vector, which would cost a copy of all of them."""
    gathered, gather = [], Parameters.__init__

    def counted(self, named):
        gathered.append(self)
        gather(self, named)

    monkeypatch.setattr(Parameters, "__init__", counted)
    make(name, epochs=1).fit(X)
    once = len(gathered)
    make(name, epochs=5).fit(X)
    assert len(gathered) == 2 * once


@pytest.mark.parametrize("name", METHODS)
def test_the_learning_rates_follow_a_schedule_and_a_plateau(name):
    watch = Watch()
    schedule = LearningRateScheduler(lambda epoch, rate: 1e-3 / (epoch + 1))
    method = make(name, epochs=3).fit(X, callbacks=[schedule, watch])
    for epoch, rates in enumerate(watch.rates):
        assert rates == pytest.approx([1e-3 / (epoch + 1)] * len(rates))
    assert ("learning_rate" in method.history_) == any(watch.rates)

    watch = Watch()
    plateau = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)
    make(name, epochs=3).fit(X, callbacks=[plateau, watch])
    first = watch.rates[0]
    assert watch.rates[2] == pytest.approx([rate / 4 for rate in first]) or not first


class Killed(Exception):
    pass


@pytest.mark.parametrize("name", METHODS)
def test_the_best_weights_come_back_in_a_run_that_was_killed(name, tmp_path):
    """They are in the checkpoint: what learns goes on to change, and they do not."""

    class Rises(Callback):
        """The best epoch is the second; when told so, it dies in the one after."""

        dies = False

        def on_epoch_end(self, epoch, logs):
            logs["watched"] = float(epoch != 1)

        def on_train_batch_end(self, batch, logs):
            if self.dies and (self.trainer.epoch, batch) == (2, 1) and self.is_last_stage():
                raise Killed

        def is_last_stage(self):
            return self.trainer.epochs == 4

    def fit(dies, **more):
        rises = Rises()
        rises.dies = dies
        stop = EarlyStopping("watched", patience=9, mode="min", restore_best_weights=True)
        return make(name, epochs=4).fit(X, callbacks=[rises, stop], **more)

    whole = fit(False)
    with pytest.raises(Killed):
        fit(True, checkpoint_dir=tmp_path)
    resumed = fit(False, checkpoint_dir=tmp_path, resume=True)
    assert resumed.history_ == whole.history_
    for a, b in zip(whole.model_.get_weights(), resumed.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


LEARNERS = [  # every one that has a gradient; of a method that has stages, those of the first
    (name, which)
    for name in METHODS
    if name not in ("kmeans", "patches")
    for which in {"gan": range(2), "aae": range(3)}.get(name, range(1))
]


@pytest.mark.parametrize(("name", "which"), LEARNERS)
def test_a_loss_that_is_not_a_number_changes_nothing(name, which, monkeypatch):
    found = {}

    class Spoil(Callback):
        """From the third batch on, one learner's loss is NaN."""

        def on_train_batch_end(self, batch, logs):
            if batch != 1 or self.trainer.epoch:
                return
            learner = list(self.trainer.learners.values())[which]
            forward = learner.objective.forward

            def spoilt(batch, rng=None):
                found.setdefault("before", self.trainer.weights())
                found.setdefault("steps", learner.optimizer.iterations)
                (_, *others), cache = forward(batch, rng)
                return (np.nan, *others), cache

            found["trainer"], found["learner"] = self.trainer, learner
            found["loss"] = learner.objective.names[0].replace("_", " ")
            monkeypatch.setattr(learner.objective, "forward", spoilt)

    with pytest.raises(NonFiniteError) as refusal:
        make(name, epochs=2, batch_size=7).fit(X, callbacks=[Spoil()])
    sentence = f"training stopped in epoch 1, batch 3: the {found['loss']} is nan; what every"
    assert str(refusal.value).startswith(sentence)
    after = found["trainer"].weights()
    for learner, weights in found["before"].items():
        for key, array in weights.items():
            np.testing.assert_array_equal(after[learner][key], array, err_msg=f"{learner} {key}")
    assert found["learner"].optimizer.iterations == found["steps"] == 2


@pytest.mark.parametrize("name", METHODS)
def test_what_is_handed_out_as_weights_are_copies(name):
    class Spoil(Callback):
        def on_epoch_end(self, epoch, logs):
            for weights in self.trainer.weights().values():
                for array in weights.values():
                    array[...] = 77

    plain, spoilt = make(name, epochs=2).fit(X), make(name, epochs=2).fit(X, callbacks=[Spoil()])
    for a, b in zip(plain.model_.get_weights(), spoilt.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["autoencoder", "variational", "masked"])
def test_the_place_is_named_where_a_sample_is_absurd(name):
    """A sample of 1e30 in float32, whose square is infinite."""
    absurd = X.astype("float32").copy()
    absurd[7, 3] = 1e30
    option = "likelihood" if name == "variational" else "loss"
    value = "gaussian" if name == "variational" else "mean_squared_error"
    with pytest.raises(
        NonFiniteError, match=r"epoch 1, batch \d: the loss is (inf|nan); .*appears in"
    ):
        make(name, **{option: value}).fit(absurd)


def test_the_layer_is_named_where_a_variational_autoencoder_overflows():
    class Last(Callback):
        def on_train_batch_end(self, batch, logs):
            self.kept = [p.value.copy() for p in self.trainer.learners["autoencoder"].parameters]
            self.parameters = list(self.trainer.learners["autoencoder"].parameters)

    last = Last()
    method = VariationalAutoencoder(
        hidden=(6,), code=2, likelihood="gaussian", learning_rate=1e18, random_state=0, epochs=9
    )
    with pytest.raises(NonFiniteError, match=r"epoch \d+, batch \d+: the loss is (nan|inf); it fi"):
        method.fit(X, callbacks=[last])
    for p, kept in zip(last.parameters, last.kept, strict=True):
        np.testing.assert_array_equal(p.value, kept)


@pytest.mark.parametrize("name", METHODS)
def test_what_learns_is_built_once(name, monkeypatch):
    times: dict[int, int] = {}
    held = []  # so that no id is given again
    for owner in {c for kind in METHODS.values() for c in kind.__mro__ if "build" in vars(c)}:
        build = vars(owner)["build"]

        def counted(self, *args, build=build):
            held.append(self)
            times[id(self)] = times.get(id(self), 0) + 1
            return build(self, *args)

        monkeypatch.setattr(owner, "build", counted)
    make(name, epochs=1).fit(X)
    assert times and set(times.values()) == {1}


@pytest.mark.parametrize("name", METHODS)
def test_checking_values_builds_nothing(name, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a model was made")

    monkeypatch.setattr(Model, "__init__", refuse)
    make(name).check_params(X.shape[1:])
