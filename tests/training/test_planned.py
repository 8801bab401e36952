"""Steps that were noted as plans: the same bits as the steps as they are written, and when not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minienc.devices import has_plans
from minienc.layers import (
    Attention,
    Conv2D,
    Dense,
    DenseTranspose,
    Dropout,
    Flatten,
    GaussianNoise,
    GlobalMaxPooling1D,
    Input,
    MaskingNoise,
    Reshape,
    SaltAndPepperNoise,
    TransformerBlock,
)
from minienc.layers.regularizers import L1, L1L2, L2, KLSparsity
from minienc.models import Model
from minienc.primitive import definitions_only, recording
from minienc.training import planned
from minienc.training.callbacks import Callback, ModelCheckpoint
from minienc.training.loop import Trainer
from minienc.training.planned import PlannedStep
from minienc.training.step import Learner

kernels = pytest.importorskip("minienc._kernels")
if not has_plans():
    pytest.skip("the kernel is switched off", allow_module_level=True)

X = np.random.default_rng(0).random((70, 12), dtype="float32")
LABELS = np.random.default_rng(1).integers(0, 3, 70)


def autoencoder(activation="relu", output="sigmoid", loss="binary_crossentropy", **settings):
    x = Input((12,), dtype=settings.pop("dtype", "float32"))
    h = Dense(7, activation, seed=1)(x)
    model = Model(x, Dense(settings.pop("units", 12), output, seed=2)(h))
    model.compile(settings.pop("optimizer", "adam"), loss, **settings)
    return model


class Keeper(Callback):
    """Keeps the step of the run, and hears of no batch: steps may be made ahead."""

    step = None

    def on_train_begin(self, logs):
        self.step = self.trainer.step


class Watcher(Keeper):
    """Calls ``does(trainer)`` after so many batches; it hears of each, so none is made ahead."""

    def __init__(self, at=-1, does=None):
        self.at, self.does, self.n = at, does, 0

    def on_train_batch_end(self, batch, logs):
        self.n += 1
        if self.n == self.at:
            self.does(self.trainer)


def trained(model, x=X, y=X, epochs=3, callbacks=(), batch_size=16, **given):
    """The step, the weights and the losses after a fit."""
    keeper = Keeper()
    history = model.fit(
        x,
        y,
        epochs=epochs,
        batch_size=batch_size,
        seed=0,
        verbose=0,
        callbacks=[keeper, *callbacks],
        **given,
    )
    return keeper.step, model.parameters.vector.copy(), history.history


@pytest.fixture
def unplanned(monkeypatch):
    """Call it, and steps are made as they are written from then on."""
    return lambda: monkeypatch.setattr(planned, "has_plans", lambda: False)


def same_as_written(make, unplanned, is_planned=True, **given):
    """Steps made ahead, one by one, and as they are written have the same bits."""
    step, weights, history = trained(make(), **given)
    assert isinstance(step, PlannedStep)
    assert (step.n_planned > 0) is is_planned, step.declined
    one_by_one, its_weights, its_history = trained(make(), callbacks=[Watcher()], **given)
    assert (one_by_one.n_planned, one_by_one.n_whole) == (step.n_planned, step.n_whole)
    assert (weights.tobytes(), history) == (its_weights.tobytes(), its_history)
    unplanned()
    plain_step, plain_weights, plain_history = trained(make(), **given)
    assert not isinstance(plain_step, PlannedStep)
    assert weights.tobytes() == plain_weights.tobytes()
    assert history == plain_history
    return step


# ----------------------------------------------------------------------------------- the same bits


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 5])
def test_weights_are_the_same_to_the_bit_on_any_threads(threads, unplanned):
    before = kernels.get_num_threads()
    kernels.set_num_threads(threads)
    try:
        step = same_as_written(autoencoder, unplanned)
    finally:
        kernels.set_num_threads(before)
    assert step.declined is None
    assert step.n_planned == 3 * 5 - (2 + 2)  # two shapes of batches: 16 rows, and 6 at the end


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "activation", ["relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "gelu", "softmax"]
)
def test_all_activations(activation, dtype, unplanned):
    same_as_written(lambda: autoencoder(activation, dtype=dtype), unplanned)


@pytest.mark.parametrize(
    ("output", "loss", "units", "y"),
    [
        ("sigmoid", "binary_crossentropy", 12, X),
        ("softmax", "binary_crossentropy", 12, X),  # which the loss does not take over
        ("linear", "mean_squared_error", 12, X),
        ("sigmoid", "mean_squared_error", 12, X),
        ("softmax", "categorical_crossentropy", 3, np.eye(3, dtype="float32")[LABELS]),
        ("softmax", "sparse_categorical_crossentropy", 3, LABELS),
    ],
)
def test_all_losses(output, loss, units, y, unplanned):
    same_as_written(lambda: autoencoder("relu", output, loss, units=units), unplanned, y=y)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_labels_of_any_type_are_read_anew_at_each_step(dtype, unplanned):
    """Sorted, so that several batches have the same ones: those of before would do for a while."""
    labels = np.sort(LABELS).astype(dtype)
    same_as_written(
        lambda: autoencoder("relu", "softmax", "sparse_categorical_crossentropy", units=3),
        unplanned,
        y=labels,
        batch_size=7,
        shuffle=False,
    )


@pytest.mark.parametrize("dtype", ["uint8", "float64", "float16"])
def test_data_of_any_type_become_the_models(dtype, unplanned):
    data = (X * 255).astype(dtype)
    same_as_written(lambda: autoencoder("relu", "linear", "mean_squared_error"), unplanned, x=data)


@pytest.mark.parametrize(
    "optimizer", ["sgd", "rmsprop", "adagrad", "adam", "adamw", "lion", "muon"]
)
def test_all_optimizers(optimizer, unplanned):
    same_as_written(lambda: autoencoder(optimizer=optimizer), unplanned)


def test_metrics_and_two_outputs_are_computed_behind_the_plan(unplanned):
    def make():
        x = Input((12,))
        h = Dense(6, "tanh", seed=1)(x)
        g = Dense(5, "relu", seed=4)(x)
        outputs = [Dense(12, "sigmoid", seed=2)(h), Dense(3, "softmax", seed=3)(g)]
        model = Model(x, outputs)
        losses = ["binary_crossentropy", "sparse_categorical_crossentropy"]
        model.compile("adam", losses, loss_weights=[1.0, 0.5], metrics=[[], ["accuracy"]])
        return model

    same_as_written(make, unplanned, y=[X, LABELS])


@pytest.mark.parametrize(
    "between",
    [
        lambda x: Dropout(0.5)(x),
        lambda x: MaskingNoise(0.25)(x),
        lambda x: SaltAndPepperNoise(0.3)(x),
        lambda x: GaussianNoise(0.1)(x),
        lambda x: Dropout(0.2)(
            Dense(9, "tanh", kernel_regularizer="l2", seed=5)(GaussianNoise(1.0)(x))
        ),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_noise_is_drawn_from_the_same_generator_in_the_same_order(between, dtype, unplanned):
    def make():
        x = Input((12,), dtype=dtype)
        h = Dense(7, "relu", kernel_regularizer="l1", bias_regularizer="l2", seed=1)(between(x))
        model = Model(x, Dense(12, "sigmoid", seed=2)(Dropout(0.5)(h)))
        model.compile("adam", "binary_crossentropy")
        return model

    same_as_written(make, unplanned)


def test_convolutions(unplanned):
    images = np.random.default_rng(0).random((70, 8, 8, 1), dtype="float32")

    def make():
        x = Input((8, 8, 1))
        h = Conv2D(4, 3, strides=2, padding="same", activation="relu", seed=1)(x)
        h = Conv2D(6, 3, padding="valid", activation="gelu", seed=2)(h)
        model = Model(x, Conv2D(3, 1, activation="sigmoid", seed=3)(h))
        model.compile("adam", "mean_squared_error")
        return model

    targets = np.random.default_rng(1).random((70, 2, 2, 3), dtype="float32")
    same_as_written(make, unplanned, x=images, y=targets)


def test_tied_weights(unplanned):
    def make():
        x = Input((12,))
        first = Dense(5, "relu", seed=1)
        model = Model(x, DenseTranspose(first, "sigmoid")(first(x)))
        model.compile("adam", "binary_crossentropy")
        return model

    same_as_written(make, unplanned)


def test_a_callback_that_hears_of_each_batch_sees_the_same_logs_and_gradients(unplanned):
    def seen():
        found = []

        class Look(Callback):
            def on_train_batch_end(self, batch, logs):
                gradients = self.trainer.learners["model"].gradients
                found.append((batch, dict(logs), gradients.vector.tobytes()))

        trained(autoencoder(), callbacks=[Look()])
        return found

    with_plans = seen()
    unplanned()
    assert with_plans == seen()


@given(
    widths=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    batch_size=st.integers(1, 40),
    dtype=st.sampled_from(["float32", "float64"]),
)
@settings(max_examples=15, deadline=None)
def test_any_network_of_dense_layers(widths, batch_size, dtype):
    def make():
        x = h = Input((12,), dtype=dtype)
        for i, width in enumerate(widths):
            h = Dense(width, "relu", seed=i)(h)
        model = Model(x, Dense(12, "sigmoid", seed=9)(h))
        model.compile("adam", "binary_crossentropy")
        return model

    _, weights, history = trained(make(), batch_size=batch_size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planned, "has_plans", lambda: False)
        _, plain, plain_history = trained(make(), batch_size=batch_size)
    assert weights.tobytes() == plain.tobytes()
    assert history == plain_history


class Stop(Callback):
    def __init__(self, batches):
        self.batches = batches

    def on_train_batch_end(self, batch, logs):
        if self.trainer.batches_done == self.batches:
            raise KeyboardInterrupt


@pytest.mark.parametrize("batches", [2, 3, 4, 5, 6, 8, 11])
def test_a_run_that_is_resumed_at_any_step_ends_in_the_same_bits(batches, tmp_path):
    whole = trained(autoencoder())[1]
    path = tmp_path / "checkpoint.npz"
    with pytest.raises(KeyboardInterrupt):
        trained(autoencoder(), callbacks=[Stop(batches), ModelCheckpoint(path, save_freq=1)])
    model, others = autoencoder(), [Stop(-1), ModelCheckpoint(path, save_freq=1)]
    step, weights, _ = trained(model, callbacks=others, resume_from=path)
    assert step.n_planned > 0
    assert weights.tobytes() == whole.tobytes()


# ------------------------------------------------------------------------------ what is not planned


def attended(x):
    steps = Reshape((3, 4))(Dense(12, "relu", seed=1)(x))
    return Attention()([steps, steps])


@pytest.mark.parametrize(
    ("between", "why"),
    [
        (attended, "attention_1 has arithmetic of its own"),
        (
            lambda x: GlobalMaxPooling1D()(Reshape((3, 4))(x)),
            "global_max_pooling1d_forward is not computed by the kernel alone",
        ),
    ],
)
def test_a_step_that_is_not_all_the_kernels_is_made_as_it_is_written(between, why, unplanned):
    def make():
        x = Input((12,))
        model = Model(x, Dense(12, "sigmoid", seed=2)(Flatten()(between(x))))
        model.compile("adam", "binary_crossentropy")
        model.initialize(np.random.default_rng(3))
        return model

    step = same_as_written(make, unplanned, is_planned=False)
    assert why in step.declined


def test_weights_of_samples_and_penalties_are_computed_by_numpy(unplanned):
    step = same_as_written(
        autoencoder, unplanned, is_planned=False, sample_weight=np.linspace(0.5, 1, 70)
    )
    assert step.declined == "the losses of samples have weights"


def sparse(penalty):
    x = Input((12,))
    h = Dense(7, "sigmoid", activity_regularizer=penalty, seed=1)(x)
    model = Model(x, Dense(12, "sigmoid", seed=2)(h))
    model.compile("adam", "binary_crossentropy", metrics=["mean_squared_error"])
    return model


@pytest.mark.parametrize("penalty", [L1(0.1), L2(0.1), L1L2(0.1), KLSparsity(0.1, 0.5)])
def test_penalties_on_what_a_layer_returns(penalty, unplanned):
    assert same_as_written(lambda: sparse(penalty), unplanned).declined is None


def test_two_penalties_in_one_are_computed_by_numpy(unplanned):
    step = same_as_written(lambda: sparse(L1L2(0.1, 0.1)), unplanned, is_planned=False)
    assert "activity_regularizer has arithmetic of its own" in step.declined


def test_a_penalty_that_a_callback_makes_stronger_is_obeyed_at_the_next_step(unplanned):
    def strengthen(trainer):
        trainer.model.layers[0].activity_regularizer.strength = 5.0

    changed_in_the_middle(strengthen, unplanned, lambda: sparse(KLSparsity(0.1, 0.5)))


def test_a_plan_that_computes_something_else_is_dropped(monkeypatch, unplanned):
    monkeypatch.setattr(planned.PlannedObjective, "agrees", lambda *_: False)
    step = same_as_written(autoencoder, unplanned, is_planned=False)
    assert step.declined == "it computed something else than the step as it is written"


def test_trying_out_sees_a_call_that_the_plan_lacks(monkeypatch):
    """The negative control of ``agrees``: what NumPy computes behind the boundary's back."""
    from minienc.fast import cpu

    before = cpu._kernels.dense_backward

    def half_noted(dy, *rest):
        return before(dy * np.float32(0.5), *rest)  # a product that is not in the plan

    monkeypatch.setattr(cpu._kernels, "dense_backward", half_noted)
    step, _, _ = trained(autoencoder())
    assert step.n_planned == 0
    assert step.declined == "it computed something else than the step as it is written"


def test_who_listens_and_who_wants_the_definitions_is_obeyed():
    heard = []
    with recording(lambda call: heard.append(call.primitive.__name__)):
        step, _, _ = trained(autoencoder())
    assert step.n_planned == 0
    assert heard.count("dense_forward") == 2 * 2 * 15  # enter and leave, two layers, 15 steps
    with definitions_only():
        step, _, _ = trained(autoencoder())
    assert step.n_planned == 0


def test_an_edited_definition_is_obeyed(monkeypatch):
    from minienc.functions.activations import relu_forward

    trained(autoencoder())
    definition = relu_forward.definition
    calls = []

    def edited(x):
        calls.append(x)
        return definition(x)

    try:
        relu_forward.definition = edited
        step, _, _ = trained(autoencoder())
        assert len(calls) == 15
        assert step.n_planned == 0
    finally:
        relu_forward.definition = definition
        from minienc.fast import proved

        proved.look_at_definitions()


# ----------------------------------------------------------------------- what changes in the middle


def changed_in_the_middle(change, unplanned, make=autoencoder, x=None, y=None):
    """Weights after a run in which ``change(trainer)`` is called after 8 of 15 batches; the same
    with steps as they are written."""

    def run():
        watcher = Watcher(8, change)
        model = make()
        data = (X, X) if x is None else (x, y)
        model.fit(*data, epochs=3, batch_size=16, seed=0, verbose=0, callbacks=[watcher])
        return watcher.step, model.parameters.vector.copy()

    step, weights = run()
    assert step.n_planned > 0
    unplanned()
    assert weights.tobytes() == run()[1].tobytes()
    return step


def set_rate(trainer):
    trainer.model.optimizer.learning_rate = 0.1


def set_weights(trainer):
    first = (
        trainer.model.layers[1]
        if trainer.model.layers[0].learned == ()
        else trainer.model.layers[0]
    )
    first.W.value = np.full(first.W.shape, 0.1, "float32")


def set_activation(trainer):
    next(layer for layer in trainer.model.layers if layer.learned).activation = "tanh"


def freeze(trainer):
    next(layer for layer in trainer.model.layers if layer.learned).trainable = False


def gather_elsewhere(trainer):
    layer = next(layer for layer in trainer.model.layers if layer.learned)
    x = Input((12,))
    _ = Model(x, layer(x)).parameters


def swap_a_parameter(trainer):
    layer = next(layer for layer in trainer.model.layers if layer.learned)
    layer.W.value = layer.W.value * 2


def write_to_the_data(trainer):
    X[:] = X[::-1].copy()


@pytest.mark.parametrize(
    "change",
    [
        set_rate, set_weights, set_activation, freeze, gather_elsewhere, swap_a_parameter,
        write_to_the_data,
    ],
)  # fmt: skip
def test_what_a_callback_changes_is_obeyed_at_the_next_step(change, unplanned, monkeypatch):
    own = X.copy()
    monkeypatch.setitem(globals(), "X", own)

    def fresh():
        own[...] = np.random.default_rng(0).random((70, 12), dtype="float32")
        return autoencoder()

    changed_in_the_middle(change, unplanned, fresh)


def test_a_label_that_is_none_is_refused_as_ever():
    labels = LABELS.copy()
    labels.flags.writeable = True

    def spoil(trainer):
        trainer.data.ys[0][...] = 7

    model = autoencoder("relu", "softmax", "sparse_categorical_crossentropy", units=3)
    with pytest.raises(ValueError, match="7"):
        trained(model, y=labels, callbacks=[Watcher(8, spoil)])


def test_a_loss_that_is_not_finite_stops_the_run_and_says_where():
    from minienc.training.step import NonFiniteError

    def spoil(trainer):
        trainer.model.optimizer.learning_rate = 1e30

    model = autoencoder("relu", "linear", "mean_squared_error", optimizer="sgd")
    with pytest.raises(NonFiniteError, match=r"epoch 2, batch \d+: the loss is"):
        trained(model, callbacks=[Watcher(8, spoil)])


# ------------------------------------------------------------------------------------------- memory


def wide(x):
    return Dense(512, "relu", seed=2)(Dense(512, "relu", seed=1)(x))


def transformer(x):
    h = Reshape((8, 32))(x)
    for k in range(2):
        h = TransformerBlock(2, rotary=True, causal=True, qk_norm=True, seed=k)(h)
    return Flatten()(h)


@pytest.mark.parametrize("between", [wide, transformer])
def test_a_plan_holds_what_the_step_held(between, monkeypatch):
    """At most a tenth more memory than the arrays of a step as it is written take."""
    x = Input((256,))
    model = Model(x, Dense(256, "sigmoid", seed=3)(between(x)))
    model.compile("adam", "binary_crossentropy")
    learner, rng = Learner(model, model.objective, model.optimizer), np.random.default_rng(0)
    data = rng.random((512, 256), dtype="float32")
    learner.step((data, data), rng)
    with kernels.Workspace() as room:
        for _ in range(3):
            learner.step((data, data), rng)
        held = room.nbytes
    monkeypatch.setattr(planned, "WORK", 2**40)
    step = PlannedStep(learner)
    for _ in range(5):
        step((data, data), rng)
    (plan,) = step.plans.values()
    assert step.n_planned > 0
    assert 512 * 512 * 4 < plan.plan.workspace.nbytes <= 1.1 * held


def test_a_large_step_is_noted_when_that_may_be_saved_again(monkeypatch):
    monkeypatch.setattr(planned, "WORK", 2**18)
    model = autoencoder()
    data = np.random.default_rng(0).random((9000, 12), dtype="float32")  # 187 weights
    step, _, _ = trained(model, data, data, epochs=6, batch_size=4500)
    assert 187 * 4500 // planned.WORK == 3
    assert (step.n_steps, step.n_planned) == (12, 12 - 5)  # one, three more, and the noted one


def test_a_run_that_is_over_holds_no_plan_and_says_how_its_steps_were_made():
    watcher = Watcher()
    model = autoencoder()
    history = model.fit(X, X, epochs=3, batch_size=16, verbose=0, seed=0, callbacks=[watcher])
    assert isinstance(watcher.trainer, Trainer)
    assert watcher.trainer.step is None
    assert history.steps == "of 15 steps, 11 had forward, backward and update as one call"
    x = Input((12,))
    model = Model(x, Dense(12, "sigmoid")(Flatten()(attended(x))))
    model.compile("adam", "binary_crossentropy")
    history = model.fit(X, X, epochs=1, batch_size=16, verbose=0, seed=0)
    assert history.steps == (
        "of 5 steps, 0 had forward and backward as one call: attention_1 has arithmetic of its own"
    )
