"""The optimiser's step in a plan's call, and steps made ahead: the same bits, and when not."""

from __future__ import annotations

import copy
import gc
import pickle
import re
import signal

import numpy as np
import pytest

from minienc.devices import has_plans
from minienc.layers import Dense, DenseTranspose, Dropout, Input
from minienc.models import Model
from minienc.training import planned, planned_update
from minienc.training.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from minienc.training.optimizers import SGD, Adagrad, Adam, AdamW, Lion, Muon, RMSprop
from minienc.training.planned_update import WholeStep
from minienc.training.schedules import CosineDecay, ExponentialDecay, PiecewiseConstantDecay
from minienc.training.step import NonFiniteError
from tests.training.test_planned import (
    LABELS,
    Watcher,
    X,
    autoencoder,
    changed_in_the_middle,
    same_as_written,
    trained,
)

kernels = pytest.importorskip("minienc._kernels")
if not has_plans():
    pytest.skip("the kernel is switched off", allow_module_level=True)


@pytest.fixture
def unplanned(monkeypatch):
    return lambda: monkeypatch.setattr(planned, "has_plans", lambda: False)


@pytest.fixture
def one_by_one(monkeypatch):
    """The numbers of the steps that were made each by a call of its own."""
    found = []
    before = WholeStep.__call__

    def call(self, learner, *rest):
        numbers = before(self, learner, *rest)
        found.append(learner.optimizer.iterations)
        return numbers

    monkeypatch.setattr(WholeStep, "__call__", call)
    return found


OPTIMIZERS = {
    "sgd": lambda **s: SGD(0.1, **s),
    "momentum": lambda **s: SGD(0.1, momentum=0.9, **s),
    "nesterov": lambda **s: SGD(0.1, momentum=0.9, nesterov=True, **s),
    "rmsprop": lambda **s: RMSprop(0.01, **s),
    "adagrad": lambda **s: Adagrad(0.1, **s),
    "adam": lambda **s: Adam(0.01, **s),
    "adam without beta_1": lambda **s: Adam(0.01, beta_1=0, **s),
    "adam of a tiny epsilon": lambda **s: Adam(0.01, epsilon=1e-20, **s),
    "adamw": lambda **s: AdamW(0.01, weight_decay=0.1, **s),
}


@pytest.mark.parametrize("settings", [{}, {"global_clipnorm": 0.05}, {"global_clipnorm": 50}])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_all_optimizers_of_the_kernel_are_in_the_call(name, dtype, settings, unplanned):
    step = same_as_written(
        lambda: autoencoder(optimizer=OPTIMIZERS[name](**settings), dtype=dtype), unplanned
    )
    assert step.n_whole == step.n_planned == 11
    assert step.says() == "of 15 steps, 11 had forward, backward and update as one call"


@pytest.mark.parametrize(
    ("optimizer", "why"),
    [
        (lambda: Lion(0.01), "Lion's step is not the kernel's"),
        (lambda: Muon(0.01), "Muon has a move_part of its own"),
        (lambda: RMSprop(0.01, momentum=0.5), "RMSprop's step is not the kernel's for these"),
        (lambda: Adam(0.01, beta_1=np.float32(0.9)), "Adam's beta_1 is a float32"),
    ],
)
def test_the_others_move_as_they_are_written_and_it_is_said_why(optimizer, why, unplanned):
    step = same_as_written(lambda: autoencoder(optimizer=optimizer()), unplanned)
    assert (step.n_planned, step.n_whole) == (11, 0)
    says = "of 15 steps, 11 had forward and backward as one call, 0 with the update: "
    assert step.says().startswith(says + why)


def test_an_optimizer_with_a_method_of_its_own_is_asked_at_each_step(unplanned):
    class Halved(Adam):
        def move(self, parameters, gradients, step, rate):
            super().move(parameters, gradients, step, rate / 2)

    step = same_as_written(lambda: autoencoder(optimizer=Halved(0.01)), unplanned)
    assert step.apart == "Halved has a move of its own"


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 5])
def test_a_vector_of_many_blocks_moves_the_same_on_any_threads(threads, unplanned):
    data = np.random.default_rng(0).random((40, 300), dtype="float32")

    def make():
        x = Input((300,))
        h = Dense(150, "relu", seed=1)(x)
        model = Model(x, Dense(300, "sigmoid", seed=2)(h))  # 90,450 weights
        model.compile(Adam(0.01, global_clipnorm=0.1), "binary_crossentropy")
        return model

    before = kernels.get_num_threads()
    kernels.set_num_threads(threads)
    try:
        step = same_as_written(make, unplanned, x=data, y=data, batch_size=8)
    finally:
        kernels.set_num_threads(before)
    assert step.n_whole > 0


def three_layers(optimizer):
    x = Input((12,))
    layers = [Dense(9, "relu", seed=1), Dense(7, "tanh", seed=2), Dense(12, "sigmoid", seed=3)]
    h = x
    for layer in layers:
        h = layer(h)
    model = Model(x, h)
    model.compile(optimizer, "binary_crossentropy")
    return model, layers


@pytest.mark.parametrize("clipnorm", [None, 0.05])
@pytest.mark.parametrize("optimizer", [Adam, AdamW, RMSprop])
def test_frozen_layers_and_learning_rates_of_their_own(optimizer, clipnorm, unplanned):
    def make():
        model, layers = three_layers(optimizer(0.01, global_clipnorm=clipnorm))
        layers[1].trainable = False
        layers[2].W.learning_rate_multiplier = 0.3
        layers[2].b.learning_rate_multiplier = 0.0
        return model

    step = same_as_written(make, unplanned)
    assert step.n_whole > 0


def test_a_model_of_which_nothing_learns(unplanned):
    def make():
        model, layers = three_layers(Adam(0.01, global_clipnorm=1))
        for layer in layers:
            layer.trainable = False
        return model

    assert same_as_written(make, unplanned).n_whole > 0


@pytest.mark.parametrize(
    "schedule",
    [
        CosineDecay(0.0, 8, warmup_target=0.1, warmup_steps=5),
        ExponentialDecay(0.1, 3, 0.5),
        PiecewiseConstantDecay([3, 9], [0.1, 0.5, 0.0]),
        lambda step: 0.1 / (1 + step),
        lambda step: np.float32(0.1) * step,
    ],
)
@pytest.mark.parametrize("optimizer", [SGD, AdamW])
def test_schedules(schedule, optimizer, unplanned):
    step = same_as_written(lambda: autoencoder(optimizer=optimizer(schedule)), unplanned)
    assert step.n_whole == 11


def test_a_schedule_of_the_users_own_is_asked_at_its_step(unplanned):
    """It may be no pure function: the library's own are asked ahead."""
    asked = []

    def schedule(step):
        asked.append(step)
        return 0.1

    trained(autoencoder(optimizer=Adam(schedule)))
    assert asked == list(range(15))


def test_tied_weights_are_added_to_in_each_step_made_ahead(unplanned, one_by_one):
    def make():
        x = Input((12,))
        first = Dense(5, "relu", seed=1)
        model = Model(x, DenseTranspose(first, "sigmoid")(first(x)))
        model.compile("adam", "binary_crossentropy")
        return model

    trained(make())
    assert len(one_by_one) < 11
    assert same_as_written(make, unplanned).n_whole == 11


def test_what_numpy_draws_or_adds_up_is_between_the_steps(unplanned, one_by_one):
    def noisy():
        x = Input((12,))
        model = Model(x, Dense(12, "sigmoid", seed=2)(Dropout(0.5)(x)))
        model.compile("adam", "binary_crossentropy")
        return model

    trained(noisy())
    assert len(one_by_one) == 11
    assert same_as_written(noisy, unplanned).n_whole == 11


def test_a_loss_that_is_added_up_behind_the_plan(unplanned):
    def penalised():
        x = Input((12,))
        h = Dense(7, "relu", kernel_regularizer="l2", seed=1)(x)
        model = Model(x, Dense(12, "sigmoid", seed=2)(h))
        model.compile("adam", "binary_crossentropy")
        return model

    step = same_as_written(penalised, unplanned)
    assert (step.n_planned, step.n_whole) == (11, 0)
    assert step.apart == "the loss is added up behind the plan"


def test_metrics_are_computed_behind_each_step(unplanned, one_by_one):
    def make():
        return autoencoder(
            "relu", "softmax", "sparse_categorical_crossentropy", units=3, metrics=["accuracy"]
        )

    _, _, history = trained(make(), y=LABELS)
    assert len(one_by_one) == 11 and set(history) == {"loss", "accuracy"}
    assert same_as_written(make, unplanned, y=LABELS).n_whole == 11


# -------------------------------------------------------------------------------- steps made ahead


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int32"])
def test_rows_are_taken_by_the_kernel(dtype, unplanned, one_by_one):
    data = (X * 255).astype(dtype)
    trained(autoencoder("relu", "linear", "mean_squared_error"), data, data)
    assert 0 < len(one_by_one) < 11
    same_as_written(
        lambda: autoencoder("relu", "linear", "mean_squared_error"), unplanned, x=data, y=data
    )


@pytest.mark.parametrize(
    "data",
    [
        X.astype("float16"),
        np.asfortranarray(X),
        X[:, ::-1],
        X.astype(">f4"),
        (X * 100).astype("int64"),
    ],
    ids=["float16", "columns", "backwards", "swapped", "int64"],
)
def test_rows_that_the_kernel_does_not_take(data, unplanned, one_by_one):
    trained(autoencoder("relu", "linear", "mean_squared_error"), data, data)
    assert len(one_by_one) == 11
    same_as_written(
        lambda: autoencoder("relu", "linear", "mean_squared_error"), unplanned, x=data, y=data
    )


def test_large_batches_are_taken_by_several_threads(unplanned):
    data = np.random.default_rng(0).random((512, 600), dtype="float32")

    def make():
        x = Input((600,))
        model = Model(x, Dense(600, "sigmoid", seed=2)(Dense(3, "relu", seed=1)(x)))
        model.compile("adam", "binary_crossentropy")
        return model

    assert same_as_written(make, unplanned, x=data, y=data, batch_size=64, epochs=4).n_whole > 0


@pytest.mark.parametrize("seconds", [0.0, 10.0])
def test_it_does_not_matter_how_long_a_call_may_take(seconds, monkeypatch, unplanned, one_by_one):
    monkeypatch.setattr(planned_update, "SECONDS", seconds)
    trained(autoencoder(), epochs=10)
    # Five batches an epoch, the last of another size, which is planned in the third epoch; the
    # first by itself, then one ahead and one by itself, or all that there are.
    assert len(one_by_one) == (1 + 2 + 8 * 3 if seconds == 0 else 1 + 1 + 8 * 2)
    same_as_written(autoencoder, unplanned, epochs=10)


def test_nobody_who_does_not_look_at_batches_keeps_them_from_being_made_ahead(tmp_path, one_by_one):
    model = autoencoder()
    model.fit(
        X,
        X,
        batch_size=4,
        epochs=2,
        verbose=2,
        seed=0,
        callbacks=[
            ModelCheckpoint(tmp_path / "a.npz"),
            CSVLogger(tmp_path / "a.csv"),
            EarlyStopping("loss", patience=5),
            LambdaCallback(on_epoch_end=lambda epoch, logs: None),
        ],
    )
    assert len(one_by_one) < 10
    before = len(one_by_one)
    every = ModelCheckpoint(tmp_path / "b.npz", save_freq=3)
    model.fit(X, X, batch_size=4, epochs=2, verbose=0, seed=0, callbacks=[every])
    assert len(one_by_one) - before >= 30


@pytest.mark.parametrize(
    "make_callback",
    [
        lambda: LearningRateScheduler(lambda epoch, rate: rate * 0.5),
        lambda: ReduceLROnPlateau("loss", patience=1, min_delta=10.0),
        lambda: EarlyStopping("loss", patience=2, min_delta=10.0, restore_best_weights=True),
    ],
)
def test_callbacks_between_epochs_are_obeyed(make_callback, unplanned):
    def run():
        model = autoencoder(optimizer=Adam(0.1))
        _, weights, history = trained(model, epochs=5, callbacks=[make_callback()])
        return weights.tobytes(), history

    found = run()
    unplanned()
    assert found == run()


def test_validation_between_epochs(unplanned):
    same_as_written(autoencoder, unplanned, validation_split=0.2)


def test_a_run_resumed_behind_an_epoch_ends_in_the_same_bits(tmp_path, one_by_one):
    schedule = CosineDecay(0.05, 20)
    whole = trained(autoencoder(optimizer=AdamW(schedule)), epochs=4)
    path = tmp_path / "checkpoint.npz"
    checkpoint = ModelCheckpoint(path)
    trained(autoencoder(optimizer=AdamW(schedule)), epochs=2, callbacks=[checkpoint])
    step, weights, history = trained(
        autoencoder(optimizer=AdamW(schedule)), epochs=4, callbacks=[checkpoint], resume_from=path
    )
    assert step.n_whole > 0
    assert weights.tobytes() == whole[1].tobytes()
    assert history == whole[2]


def test_ctrl_c_ends_a_run_where_a_call_ends_and_it_goes_on_from_there(tmp_path):
    path = tmp_path / "checkpoint.npz"
    whole = trained(autoencoder(), epochs=4)[1]

    class Press(Callback):
        is_done = False

        def on_epoch_begin(self, epoch, logs):
            if epoch == 2 and not self.is_done:
                self.is_done = True
                signal.raise_signal(signal.SIGINT)

    callbacks = [Press(), ModelCheckpoint(path)]
    with pytest.raises(KeyboardInterrupt):
        trained(autoencoder(), epochs=4, callbacks=callbacks)
    found = []
    look = LambdaCallback(on_train_begin=lambda logs: found.append(look.trainer.batch))
    look.belongs_to_run = False
    callbacks = [*callbacks, look]
    weights = trained(autoencoder(), epochs=4, callbacks=callbacks, resume_from=path)[1]
    assert 0 < found[0] < 5  # in the middle of an epoch
    assert weights.tobytes() == whole.tobytes()


def test_a_loss_that_is_not_finite_moves_no_weight_and_has_its_place(unplanned):
    def run():
        model = autoencoder("relu", "linear", "mean_squared_error", optimizer="sgd")

        def spoil(epoch, logs):
            if epoch == 2:
                model.optimizer.learning_rate = 1e30

        callback = LambdaCallback(on_epoch_begin=spoil)
        with pytest.raises(NonFiniteError, match=r"epoch 3, batch [2345]: the loss is") as caught:
            trained(model, callbacks=[callback])
        return str(caught.value), model.parameters.vector.tobytes(), model.optimizer.iterations

    found = run()
    unplanned()
    assert found == run()


def test_a_label_that_is_none_is_refused_where_it_comes():
    labels = LABELS.copy()
    model = autoencoder("relu", "softmax", "sparse_categorical_crossentropy", units=3)

    def spoil(epoch, logs):
        if epoch == 2:
            spoiler.trainer.data.ys[0][...] = 7

    spoiler = LambdaCallback(on_epoch_begin=spoil)
    with pytest.raises(ValueError, match="7"):
        trained(model, y=labels, callbacks=[spoiler])


# ----------------------------------------------------------------------- what changes in the middle


def optimizer_of(trainer):
    return trainer.learners["model"].optimizer


def set_clipping(trainer):
    optimizer_of(trainer).global_clipnorm = 0.01


def set_beta(trainer):
    optimizer_of(trainer).beta_1 = 0.5


def set_beta_of_numpy(trainer):
    optimizer_of(trainer).beta_1 = np.float32(0.5)


def set_a_schedule(trainer):
    optimizer_of(trainer).learning_rate = ExponentialDecay(0.1, 3, 0.5)


def set_another_optimizer(trainer):
    trainer.learners["model"].optimizer = SGD(0.5, momentum=0.5)


def load_another_state(trainer):
    optimizer = optimizer_of(trainer)
    state = optimizer.state_dict()
    optimizer.load_state_dict({**state, "iterations": 2, "m": state["m"] * 0 + 1})


def forget_the_state(trainer):
    optimizer_of(trainer).load_state_dict({"iterations": 0})


def count_anew(trainer):
    optimizer_of(trainer).iterations = 0


def give_it_a_method_of_its_own(trainer):
    optimizer = optimizer_of(trainer)
    before = optimizer.move
    optimizer.move = lambda p, g, step, rate: before(p, g, step, rate / 2)


def set_a_multiplier(trainer):
    next(layer for layer in trainer.model.layers if layer.learned).W.learning_rate_multiplier = 0.1


@pytest.mark.parametrize(
    "change",
    [
        set_clipping, set_beta, set_beta_of_numpy, set_a_schedule, set_another_optimizer,
        load_another_state, forget_the_state, count_anew, give_it_a_method_of_its_own,
        set_a_multiplier,
    ],
)  # fmt: skip
def test_what_a_callback_changes_of_the_optimizer_is_obeyed(change, unplanned):
    step = changed_in_the_middle(change, unplanned)
    assert step.n_whole > 0


def test_a_definition_that_is_edited_in_the_middle_is_obeyed():
    from minienc.fast import proved
    from minienc.functions.optimizers import adam_step

    definition, calls = adam_step.definition, []

    def edited(*args, **kwargs):
        calls.append(args)
        return definition(*args, **kwargs)

    def edit(trainer):
        adam_step.definition = edited

    try:
        step = trained(autoencoder(), callbacks=[Watcher(8, edit)])[0]
        assert len(calls) == 7  # of 15
        assert 0 < step.n_whole < 8
    finally:
        adam_step.definition = definition
        proved.look_at_definitions()


def test_gradients_and_caches_are_as_after_a_step_as_it_is_written():
    """A cache from before the last step is refused; the gradients are the last step's."""
    model = autoencoder()
    y, cache = model.forward(X)
    trained(model)
    with pytest.raises(ValueError, match=re.compile("cache", re.IGNORECASE)):
        model.backward(y, cache, model.new_gradients())


# -------------------------------------------------------------------------------- from run to run


def test_the_next_run_goes_on_with_a_small_models_plans_to_the_same_bits(unplanned):
    def run():
        model = autoencoder(optimizer=AdamW(0.05))
        found = []
        for epochs in (1, 2, 3):
            history = model.fit(X, X, batch_size=7, epochs=epochs, verbose=0, seed=epochs)
            found.append((history.history, model.parameters.vector.tobytes()))
        return found, history.steps

    found, steps = run()
    assert steps == "of 30 steps, 30 had forward, backward and update as one call"
    unplanned()
    assert (found, None) == run()


def change_nothing(model):
    pass


def compile_again(model):
    model.compile(SGD(0.5), "mean_squared_error")


def compile_with_another_optimizer(model):
    model.compile(SGD(0.5), "binary_crossentropy")


def gather_the_weights_elsewhere(model):
    x = Input((12,))
    _ = Model(x, next(layer for layer in model.layers if layer.learned)(x)).parameters


def set_another_activation(model):
    next(layer for layer in model.layers if layer.learned).activation = "tanh"


def freeze_a_layer(model):
    next(layer for layer in model.layers if layer.learned).trainable = False


def set_other_weights(model):
    model.set_weights([w * 0.5 for w in model.get_weights()])


def forget_what_the_optimizer_remembers(model):
    model.optimizer.load_state_dict({"iterations": 0})


@pytest.mark.parametrize(
    "change",
    [
        change_nothing, compile_again, compile_with_another_optimizer, gather_the_weights_elsewhere,
        set_another_activation, freeze_a_layer, set_other_weights,
        forget_what_the_optimizer_remembers,
    ],
)  # fmt: skip
def test_what_is_changed_between_two_runs_is_obeyed(change, unplanned):
    def run():
        model = autoencoder()
        trained(model)
        change(model)
        _, weights, history = trained(model)
        return weights.tobytes(), history

    found = run()
    unplanned()
    assert found == run()


def test_a_run_that_failed_and_one_within_another(unplanned):
    def run():
        model = autoencoder()
        trained(model)
        with pytest.raises(ZeroDivisionError):
            trained(model, callbacks=[Watcher(8, lambda trainer: 1 / 0)])
        trained(model, callbacks=[Watcher(8, lambda trainer: trained(model, epochs=1))])
        return trained(model)[1].tobytes()

    found = run()
    unplanned()
    assert found == run()


def test_plans_are_gone_with_their_model_and_large_ones_with_their_run(monkeypatch):
    gc.collect()
    before = len(planned._put_away)
    model = autoencoder()
    trained(model)
    assert len(planned._put_away) == before + 1
    other = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    assert len(planned._put_away) == before + 1
    del model
    gc.collect()
    assert len(planned._put_away) == before
    monkeypatch.setattr(planned, "KEPT", 1000)
    trained(other)
    assert len(planned._put_away) == before


def test_gradients_are_zero_when_a_run_begins():
    model, found = autoencoder(), []
    look = LambdaCallback(
        on_train_begin=lambda logs: found.append(look.trainer.learners["model"].gradients)
    )
    for _ in range(2):
        trained(model, callbacks=[look])
        assert found[-1].vector.any()
    assert found[0] is found[1]
    found.clear()
    check = LambdaCallback(
        on_train_begin=lambda logs: found.append(
            check.trainer.learners["model"].gradients.vector.any()
        )
    )
    trained(model, callbacks=[check])
    assert found == [False]
