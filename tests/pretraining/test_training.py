"""What every method has from the one training loop."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.models import Model
from minienc.pretraining import METHODS, VariationalAutoencoder
from minienc.pretraining.stepped import SteppedPretrainer
from minienc.training.callbacks import (
    Callback,
    EarlyStopping,
    LambdaCallback,
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


@pytest.mark.parametrize("name", [name for name in STEPPED if name != "kmeans"])
def test_a_loss_that_is_not_a_number_changes_nothing(name, monkeypatch):
    found = {}

    class Spoil(Callback):
        """From the third batch on, the first learner's loss is NaN."""

        def on_train_batch_end(self, batch, logs):
            if batch != 1 or self.trainer.epoch:
                return
            found["before"] = self.trainer.weights()
            found["trainer"] = self.trainer
            learner = next(iter(self.trainer.learners.values()))
            forward = learner.objective.forward

            def spoilt(batch, rng=None):
                (_, *others), cache = forward(batch, rng)
                return (np.nan, *others), cache

            monkeypatch.setattr(learner.objective, "forward", spoilt)

    kind = METHODS[name]
    ours = LambdaCallback()
    with pytest.raises(NonFiniteError, match="epoch 1, batch 3: the loss is nan"):
        make(name, epochs=2, batch_size=7).fit(X, callbacks=[Spoil(), ours])
    assert kind is METHODS[name]
    after = found["trainer"].weights()
    for learner, weights in found["before"].items():
        np.testing.assert_array_equal(after[learner][""], weights[""])


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
