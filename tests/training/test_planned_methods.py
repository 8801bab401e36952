"""Methods with an objective of their own, by plans: the bits of the steps as they are written."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.devices import has_plans
from minienc.language import (
    ConvLanguageModel,
    MaskedLanguageModel,
    RNNLanguageModel,
    TransformerLanguageModel,
)
from minienc.pretraining import (
    GAN,
    AdversarialAutoencoder,
    VariationalAutoencoder,
    VQAutoencoder,
)
from minienc.training import planned
from minienc.training.callbacks import Callback
from minienc.training.computed import ComputedObjective
from minienc.training.planned import PlannedStep
from minienc.training.step import Learner
from tests.training.test_planned import unplanned  # noqa: F401

kernels = pytest.importorskip("minienc._kernels")
if not has_plans():
    pytest.skip("the kernel is switched off", allow_module_level=True)

X = np.random.default_rng(0).random((70, 64), dtype="float32")
COMMON = {"epochs": 4, "batch_size": 16, "verbose": 0, "random_state": 0}


def vae(**params):
    return VariationalAutoencoder(**{"hidden": (20,), "code": 4, **COMMON, **params})


def gan(**params):
    return GAN(**{"hidden": (20, 10), "noise": 4, "filters": (4, 6), **COMMON, **params})


def vq(**params):
    given = {"hidden": (20,), "groups": 3, "n_codes": 8, "dim": 2, **COMMON, **params}
    return VQAutoencoder(**given)


METHODS = {
    "vae": vae,
    "gaussian": lambda: vae(likelihood="gaussian", stddev=0.3),
    "binarised": lambda: vae(binarize=True, beta=0.5),
    "no hidden layer": lambda: vae(hidden=()),
    "gan": gan,
    "dcgan": lambda: gan(architecture="conv"),
    "two turns to one": lambda: gan(n_critic=2),
    "vector-quantised": lambda: vq(),
    "of a squared error": lambda: vq(loss="mean_squared_error", beta=1),
    "codes begin anew": lambda: vq(n_codes=40, patience=2),
    "adversarial autoencoder": lambda: AdversarialAutoencoder(hidden=(20,), code=4, **COMMON),
}


TEXT = "".join(np.random.default_rng(0).choice(list("abcdefgh \n"), 900))


def language_model(cell="lstm", **params):
    given = {"hidden": (9,), "embedding": 6, "context": 7, "cell": cell, **COMMON, **params}
    return RNNLanguageModel(**{**given, "batch_size": 4})


LANGUAGE = {
    "lstm": language_model,
    "gru": lambda: language_model("gru", dropout=0.0),
    "simple recurrent": lambda: language_model("rnn", hidden=(9, 5)),
    "tied": lambda: language_model(hidden=(6,), tied=True),
    "float64": lambda: language_model(dtype="float64"),
}


WINDOWS = {"embedding": 8, "context": 7, **COMMON, "batch_size": 4}


def transformer(**params):
    return TransformerLanguageModel(**{"n_layers": 2, "num_heads": 2, **WINDOWS, **params})


FROM_WINDOWS = {
    "transformer": transformer,
    "learned places": lambda: transformer(
        positions="learned", norm="layer", activation="gelu", use_bias=True, qk_norm=False
    ),
    "dropout": lambda: transformer(dropout=0.2, optimizer="adamw", learning_rate=0.001),
    "transformer, float64": lambda: transformer(dtype="float64"),
    "masked": lambda: MaskedLanguageModel(n_layers=1, num_heads=2, **WINDOWS),
    "convolutional": lambda: ConvLanguageModel(**WINDOWS),
}


@pytest.fixture
def steps(monkeypatch):
    """The steps that are made of learners from here on."""
    made = []

    class Kept(PlannedStep):
        def __init__(self, learner):
            super().__init__(learner)
            made.append(self)

    monkeypatch.setattr(planned, "PlannedStep", Kept)
    return made


def fitted(method, data=X, **given):
    method.fit(data, **given)
    learners = method.learners_.values()
    return [learner.network.parameters.vector.tobytes() for learner in learners], method.history_


@pytest.mark.parametrize("name", METHODS)
def test_it_is_planned_to_the_bit(name, steps, unplanned):  # noqa: F811
    found = fitted(METHODS[name]())
    assert steps
    for step in steps:  # two shapes of batches: 16 rows, and 6 at the end of each epoch
        assert step.declined is None
        assert step.n_planned == step.n_steps - (2 + 2)
    unplanned()
    assert fitted(METHODS[name]()) == found


@pytest.mark.parametrize("name", [*LANGUAGE, *FROM_WINDOWS])
def test_a_language_model_is_planned_to_the_bit(name, steps, unplanned):  # noqa: F811
    make = (LANGUAGE | FROM_WINDOWS)[name]
    found = fitted(make(), TEXT)
    (step,) = steps
    assert step.declined is None
    assert step.n_planned == step.n_steps - 2
    unplanned()
    method = make()
    assert fitted(method, TEXT) == found
    states = getattr(method.learners_["model"].objective, "states", [])
    assert len(states) > 0 or name not in LANGUAGE  # which are carried


def test_a_language_model_is_resumed_with_its_states(steps, tmp_path):
    whole = fitted(language_model(), TEXT)[0]
    with pytest.raises(KeyboardInterrupt):
        language_model().fit(TEXT, checkpoint_dir=tmp_path, callbacks=[Interrupt(50)])
    given = {"checkpoint_dir": tmp_path, "callbacks": [Interrupt(-1)]}
    assert fitted(language_model(), TEXT, resume=True, **given)[0] == whole
    assert all(step.n_planned for step in steps)


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    "name", ["vae", "dcgan", "vector-quantised", "transformer", "convolutional"]
)
def test_on_any_threads(name, threads, steps, unplanned):  # noqa: F811
    make, data = (METHODS[name], X) if name in METHODS else (FROM_WINDOWS[name], TEXT)
    before, found = kernels.get_num_threads(), []
    try:
        kernels.set_num_threads(threads)
        found.append(fitted(make(), data))
        assert all(step.n_planned for step in steps)
        kernels.set_num_threads(1)
        unplanned()
        found.append(fitted(make(), data))
    finally:
        kernels.set_num_threads(before)
    assert found[0] == found[1]


def test_while_beta_grows_steps_are_made_as_they_are_written(steps, unplanned):  # noqa: F811
    found = fitted(vae(warm_up=2, epochs=6))
    assert (steps[0].n_steps, steps[0].n_planned) == (30, 20 - 4)
    unplanned()
    assert fitted(vae(warm_up=2, epochs=6)) == found


def test_wasserstein_says_why_not(steps):
    fitted(gan(loss="wasserstein", epochs=1))
    assert [step.declined for step in steps] == ["Wasserstein's loss has arithmetic of its own"] * 2


def test_a_validation_in_between_changes_nothing(steps, unplanned):  # noqa: F811
    found = fitted(vae(), validation_data=X[:20])
    assert steps[0].n_planned == 16
    unplanned()
    assert fitted(vae(), validation_data=X[:20]) == found


class Moves(Callback):
    """Another model gathers the generator's weights after so many batches: elsewhere."""

    def __init__(self, method, at):
        self.method, self.at, self.n = method, at, 0

    def on_train_batch_end(self, batch, logs):
        self.n += 1
        if self.n == self.at:
            from minienc.layers import Input
            from minienc.models import Model

            x = Input((4,))
            _ = Model(x, self.method.generator_(x)).parameters


@pytest.mark.parametrize("at", [3, 8])
def test_weights_of_the_other_learner_that_move_are_read_where_they_are(
    at,
    steps,
    unplanned,  # noqa: F811
):
    def run():
        method = gan()
        return fitted(method, callbacks=[Moves(method, at)])

    found = run()
    assert all(step.n_planned > 0 for step in steps)
    unplanned()
    assert run() == found


class Interrupt(Callback):
    def __init__(self, batches):
        self.batches = batches

    def on_train_batch_end(self, batch, logs):
        if self.trainer.batches_done == self.batches:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["vae", "dcgan", "codes begin anew"])
@pytest.mark.parametrize("batches", [7, 10])
def test_a_run_that_is_resumed_ends_in_the_same_bits(name, batches, steps, tmp_path):
    whole = fitted(METHODS[name]())[0]
    with pytest.raises(KeyboardInterrupt):
        METHODS[name]().fit(X, checkpoint_dir=tmp_path, callbacks=[Interrupt(batches)])
    given = {"checkpoint_dir": tmp_path, "callbacks": [Interrupt(-1)]}
    assert fitted(METHODS[name](), resume=True, **given)[0] == whole


def test_a_constant_that_numpy_makes_in_the_middle_is_seen(monkeypatch, steps):
    """The negative control: its memory was another array's, which the plan writes to again."""
    from minienc.pretraining import gan as module

    right = module.answer_forward

    def made_there(logits, is_real, target):
        return right(logits, is_real, np.full_like(logits, is_real))

    monkeypatch.setattr(module, "answer_forward", made_there)
    fitted(gan())
    assert steps[0].declined == "it computed something else than the step as it is written"


class Halved(ComputedObjective):
    """A loss that is not all a primitive's."""

    def __init__(self, objective):
        self.objective = objective

    @property
    def graphs(self):
        return self.objective.graphs

    def prepare(self, batch, rng):
        return self.objective.prepare(batch, rng)

    def compute(self, arrays, rng):
        losses, cache = self.objective.compute(arrays, rng)
        return (*losses, losses[0] / 2), cache

    def numbers(self, losses, cache):
        return (losses[1],)

    def backward(self, dloss, cache, grads):
        self.objective.backward(dloss / 2, cache, grads)


def test_a_loss_that_is_not_the_kernels_is_no_plans():
    method = vae()
    method.check_params((64,))
    method.build((64,), np.random.default_rng(0))
    (learner,) = method.learners_.values()
    step = PlannedStep(Learner(learner.network, Halved(learner.objective), learner.optimizer))
    rng = np.random.default_rng(0)
    for _ in range(4):
        step((X[:16],), rng)
    assert step.declined == "the losses are not all the kernel's"
