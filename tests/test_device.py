"""Everything that trains runs where arrays refuse to become NumPy's: on guard arrays.

The same NumPy computes beneath them, so results are the same bits, or nearly: where the model lives
on the host, the compiled kernel serves.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import minienc.layers
from minienc import devices
from minienc.arrays import get_array_module, to_numpy
from minienc.audio import METHODS as SOUND_METHODS
from minienc.data import load_digits
from minienc.devices import Pipeline
from minienc.fast.replayable import ReplayableStep
from minienc.finetuning import MultiTask, few_label_curve, finetune, knn_probe, linear_probe
from minienc.finetuning.multitask import COMBINE
from minienc.language import METHODS as TEXT_METHODS
from minienc.language.seq2seq import NETWORKS
from minienc.layers import Dense, Input
from minienc.models import Model, clone_model
from minienc.primitive import REGISTRY
from minienc.tasks import Summarizer
from minienc.training import optimizers
from minienc.training.callbacks import CSVLogger, EarlyStopping, ModelCheckpoint
from minienc.training.losses import LOSSES
from minienc.training.optimizers import OPTIMIZERS, get_optimizer
from minienc.training.schedules import CosineDecay, ExponentialDecay, PiecewiseConstantDecay
from tests.audio.test_methods import make as make_sound
from tests.audio.test_methods import sounds
from tests.cases import FORWARDS, all_cases, call, parts
from tests.functions.test_gradients import cotangent
from tests.guard_array import GuardArray, counting, to_guard
from tests.language.test_methods import TEXT
from tests.language.test_methods import make as make_text
from tests.layer_cases import LAYERS, model_with, shape_for
from tests.layers.test_sequences import DECODERS
from tests.planting import places, planted
from tests.pretraining.test_methods import METHODS, make
from tests.tasks.test_pairs_models import X as SOURCES
from tests.tasks.test_pairs_models import Y as TARGETS
from tests.tasks.test_pairs_models import small as small_task
from tests.verify.adapters import test_devices

RNG = np.random.default_rng(0)
ROWS, IMAGES = RNG.random((12, 6)), RNG.random((12, 4, 6, 2))
SEQUENCES = RNG.random((12, 5, 3))


def same(there, here, rtol=1e-10):
    """Arrays of the device, with the numbers of the host."""
    np.testing.assert_allclose(to_numpy(there), to_numpy(here), rtol=rtol, atol=rtol)


# -- functions


def check_function(name):
    """Forward and backward of all its cases: arrays of the device, with the host's numbers."""
    forward = REGISTRY[name]
    for arguments, options in all_cases(name):
        y, cache = forward_and_backward(forward, arguments, options)
        g_y, g_cache = forward_and_backward(forward, to_guard(arguments), options)
        assert all(isinstance(part, GuardArray) for part in parts(g_y))
        for one, two in zip((*parts(y), *cache), (*parts(g_y), *g_cache), strict=True):
            assert (one is None) == (two is None)
            if one is not None:
                assert isinstance(two, GuardArray), f"{name} left the device"
                same(two, one, 1e-12)


def forward_and_backward(forward, arguments, options):
    y, cache = call(forward, arguments, options)
    here = tuple(map(to_numpy, y)) if isinstance(y, tuple) else to_numpy(y)
    dy = cotangent(here, np.random.default_rng(1))
    dy = dy if isinstance(dy, tuple) else np.asarray(dy)
    dy = to_guard(dy) if isinstance(parts(y)[0], GuardArray) else dy
    gradients = forward.backward(dy, cache)
    return y, gradients if isinstance(gradients, tuple) else (gradients,)


@pytest.mark.parametrize("name", FORWARDS)
def test_every_function(name):
    check_function(name)


# -- layers


L = minienc.layers


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_learns_there(name):
    data = {a.shape[1:]: a for a in (ROWS, IMAGES, SEQUENCES)}[shape_for(name)]
    trained_alike(model_with(name), data, RNG.random((12, 2)))


@pytest.mark.parametrize("name", DECODERS)
def test_a_model_goes_on_there(name):
    model = DECODERS[name]()
    twin = clone_model(model).to("guard")
    ids, past, there = RNG.integers(0, 7, (3, 12)), None, None
    for part in np.split(ids, [5, 6], axis=1):
        y, past = model.forward_from(part, past)
        g_y, there = twin.forward_from(to_guard(part), there)
        assert isinstance(g_y, GuardArray)
        same(g_y, y)


def trained_alike(model, x, y, loss="mse", optimizer="adam", metrics=(), **fit):
    """Train here and there from the same weights: the same losses and weights."""
    twin = clone_model(model).to("guard")
    histories = []
    for one in (model, twin):
        one.compile(optimizer() if callable(optimizer) else optimizer, loss, metrics=metrics)
        settings = {"epochs": 2, "batch_size": 5, "verbose": 0, "seed": 0, **fit}
        histories.append(one.fit(x, y, **settings).history)
    assert isinstance(twin.parameters.vector, GuardArray)
    same(twin.parameters.vector, model.parameters.vector)
    for key, values in histories[0].items():
        np.testing.assert_allclose(histories[1][key], values, rtol=1e-9, err_msg=key)
    return model, twin


def small(units=4, activation="linear", **options):
    x = Input((6,), dtype="float64")
    return Model(x, Dense(units, activation, seed=2)(Dense(5, "tanh", seed=1, **options)(x)))


# -- losses, optimisers, schedules


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss(name):
    labels = "sparse" in name
    activation = "softmax" if "categorical" in name or "divergence" in name else "sigmoid"
    target = RNG.integers(0, 4, 12) if labels else RNG.random((12, 4))
    target = target if labels else target / target.sum(axis=1, keepdims=True)
    trained_alike(small(activation=activation), ROWS, target, name)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("clip", [None, 0.01])
def test_every_optimizer(name, clip):
    def optimizer():
        return type(get_optimizer(name))(global_clipnorm=clip)

    trained_alike(small(), ROWS, RNG.random((12, 4)), optimizer=optimizer)


@pytest.mark.parametrize(
    "schedule",
    [CosineDecay(0.1, 6), ExponentialDecay(0.1, 2, 0.5), PiecewiseConstantDecay([2], [0.1, 0.01])],
)
def test_every_schedule(schedule):
    def optimizer():
        return optimizers.SGD(schedule, momentum=0.9, nesterov=True)

    trained_alike(small(), ROWS, RNG.random((12, 4)), optimizer=optimizer)


@pytest.mark.parametrize("name", sorted(TEXT_METHODS))
def test_every_method_of_text(name):
    here, there = (
        make_text(name, dtype="float64", device=device).fit(TEXT, validation_data=TEXT[:200])
        for device in ("cpu", "guard")
    )
    assert isinstance(there.model_.parameters.vector, GuardArray)
    same(there.model_.parameters.vector, here.model_.parameters.vector, 1e-7)
    np.testing.assert_allclose(there.score(TEXT[:300]), here.score(TEXT[:300]), rtol=1e-7)
    np.testing.assert_allclose(there.transform(TEXT), here.transform(TEXT), rtol=1e-5, atol=1e-7)
    if hasattr(here, "generate"):
        assert there.generate("the", 9, temperature=0) == here.generate("the", 9, temperature=0)


@pytest.mark.parametrize("name", sorted(SOUND_METHODS))
def test_every_method_of_sound(name):
    x = sounds(12, dtype="float64")
    here, there = (
        make_sound(name, dtype="float64", device=device).fit(x, validation_data=x[:4])
        for device in ("cpu", "guard")
    )
    assert isinstance(there.model_.parameters.vector, GuardArray)
    same(there.model_.parameters.vector, here.model_.parameters.vector, 1e-7)
    np.testing.assert_allclose(there.score(x), here.score(x), rtol=1e-7)
    np.testing.assert_allclose(there.transform(x), here.transform(x), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(there.found(x), here.found(x), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("combine", COMBINE)
def test_several_tasks(combine):
    x = Input((6,), dtype="float64")
    encoder = Model(x, Dense(4, "tanh", seed=1)(x))
    y = {"one": np.arange(12) % 3, "other": (ROWS[:, 0] > 0.5).astype(int), "far": ROWS[:, 1]}
    here, there = (
        MultiTask(
            encoder, combine, quantities=("far",), device=device, epochs=3, batch_size=5,
            random_state=0, head_initializer="glorot_uniform",
        ).fit(ROWS, y, validation_data=(ROWS, y))
        for device in ("cpu", "guard")
    )  # fmt: skip
    vectors = [one.learners_["model"].network.parameters.vector for one in (there, here)]
    assert isinstance(vectors[0], GuardArray)
    same(*vectors, 1e-7)
    assert there.history_.keys() == here.history_.keys()
    for name, values in here.history_.items():
        np.testing.assert_allclose(there.history_[name], values, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(there.outputs(ROWS)["far"], here.outputs(ROWS)["far"], rtol=1e-6)


@pytest.mark.parametrize("network", NETWORKS)
def test_pairs_of_texts(network):
    here, there = (
        small_task(Summarizer, network=network, dtype="float64", device=device, epochs=2).fit(
            SOURCES, TARGETS, validation_data=(SOURCES[:5], TARGETS[:5])
        )
        for device in ("cpu", "guard")
    )
    assert isinstance(there.model_.parameters.vector, GuardArray)
    same(there.model_.parameters.vector, here.model_.parameters.vector, 1e-7)
    for beam in (1, 3):
        assert there.predict(SOURCES[:4], beam=beam) == here.predict(SOURCES[:4], beam=beam)


# -- np. planted in the place of xp.


FOR_JAX_ALONE = {"functions.convolution._look_through: stack 0"}
ROOMS = ("fast", "functions", "layers", "training", "pretraining", "audio", "finetuning", "verify")
PLACES = [p for room in ROOMS for p in places(room)]


class Replaying(Pipeline):
    """As where steps are recorded: numbers come as arrays of no axes, and nobody looks at them."""

    def step_of(self, learner):
        return ReplayableStep(learner, self.compute, lambda: None)

    @staticmethod
    def compute(arithmetic, batch, numbers, noise, bound_to):
        numbers = tuple(to_guard(np.array(float(n))) for n in numbers)
        with counting() as counts:
            found = arithmetic(batch, numbers, noise)
        assert (counts.waits, counts.uploads) == (0, 0)
        return found


@pytest.fixture
def replaying(monkeypatch):
    monkeypatch.setitem(devices._pipelines, "guard", Replaying)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_that_can_be_replayed(name, replaying):
    test_every_optimizer(name, 0.01)


def test_state_and_metrics_of_a_step_that_can_be_replayed(replaying):
    x = Input((6,), dtype="float64")
    model = Model(x, Dense(4, seed=2)(L.BatchNormalization()(Dense(5, "tanh", seed=1)(x))))
    metrics = ["mean_absolute_error", "mean_squared_error"]
    trained_alike(model, ROWS, RNG.random((12, 4)), metrics=metrics)


def everything(place):
    """All checks of this file that the place may come into, those first that are likeliest to
    notice."""
    if place.module.startswith("minienc.pretraining."):
        test_centroids_of_nobody_move()
        for way in sorted(WAYS, key=lambda way: METHODS[way[0]].__module__ != place.module):
            test_every_method_of_pretraining(*way)
        return
    if place.module.startswith(("minienc.audio.", "minienc.layers.masking")):
        for name in SOUND_METHODS:
            test_every_method_of_sound(name)
        return
    if place.module.startswith(("minienc.finetuning.", "minienc.functions.conflicts")):
        for combine in COMBINE:
            test_several_tasks(combine)
        return
    if place.module.startswith("minienc.verify."):
        test_devices.test_the_laws_hold_for_the_arrays_of_the_device()
        test_devices.test_layers_models_losses_and_objects()
        return
    names = [n for n in FORWARDS if REGISTRY[n].definition.__module__ == place.module]
    for name in [*names, *(n for n in FORWARDS if n not in names)]:
        check_function(name)
    for name in DECODERS:
        test_a_model_goes_on_there(name)
    for name in LAYERS:
        test_every_layer_learns_there(name)
    for name in OPTIMIZERS:
        test_every_optimizer(name, 0.01)
    for name in LOSSES:
        test_every_loss(name)
    small().to("guard").predict(to_guard(ROWS), batch_size=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(devices._pipelines, "guard", Replaying)
        test_state_and_metrics_of_a_step_that_can_be_replayed(None)


def test_no_room_is_left_out():
    """What computes with an array module stands where a mistake is planted; in ``arrays.py`` there
    are two doors, one of which is JAX's alone."""
    root = Path(minienc.layers.__file__).parent.parent
    rooms = [f.name for f in root.iterdir() if f.is_dir() and any(places(f.name))]
    assert sorted(rooms) == sorted(ROOMS)
    doors = {"arrays.to_device_of: asarray 0", "arrays.zeros_aligned: zeros 0"}
    assert {str(p) for p in places("")} == doors


@pytest.mark.parametrize("place", [p for p in PLACES if str(p) not in FOR_JAX_ALONE], ids=str)
def test_np_in_the_place_of_xp_is_noticed(place):
    with planted(place), pytest.raises((TypeError, AssertionError, AttributeError)):
        everything(place)


def test_planting_finds_the_places_and_leaves_nothing_behind():
    assert len(PLACES) > 120 and {str(p) for p in PLACES} > FOR_JAX_ALONE
    place = next(p for p in PLACES if p.function == "tanh_forward")
    with planted(place):
        pass
    check_function("tanh_forward")


# -- a whole fit


def test_a_whole_fit_whose_checkpoint_goes_on_on_either_side(tmp_path):
    """Noise, a regulariser, validation, callbacks; and half of it here, half of it there."""
    x = Input((6,), dtype="float64")
    h = L.BatchNormalization()(Dense(5, "relu", seed=1, kernel_regularizer="l1")(x))
    model = Model(x, Dense(6, "sigmoid", seed=2)(L.Dropout(0.2)(h)))
    X = ROWS

    def fit(device, folder, epochs, resume_from=None):
        one = clone_model(model).to(device)
        one.compile("adamw", "binary_crossentropy", metrics=["mse"])
        one.fit(
            *(X, X),
            epochs=epochs,
            batch_size=5,
            validation_data=(X[:4], X[:4]),
            callbacks=[
                CSVLogger(tmp_path / f"{folder}.csv"),
                ModelCheckpoint(tmp_path / f"{folder}.npz"),
                EarlyStopping("val_loss", patience=9),
            ],
            verbose=0,
            seed=0,
            resume_from=resume_from,
        )
        return one

    here, there = fit("cpu", "here", 4), fit("guard", "there", 4)
    same(there.parameters.vector, here.parameters.vector)
    for first, then in (("cpu", "guard"), ("guard", "cpu")):
        fit(first, f"half {first}", 2)
        whole = fit(then, f"half {first}", 4, tmp_path / f"half {first}.npz")
        assert whole.device == then
        same(whole.parameters.vector, here.parameters.vector)
    assert get_array_module(there.predict(to_guard(X))) is not np
    assert isinstance(there.predict(X), np.ndarray)
    same(there.predict(to_guard(X)), here.predict(X))
    assert there.evaluate(X, X) == pytest.approx(here.evaluate(X, X), rel=1e-9)


WAYS = [  # every method, and the options that compute something else
    *((name, {}) for name in METHODS),
    ("aae", {"loss": "mean_squared_error"}),
    ("contractive", {"loss": "mean_squared_error", "projections": None, "activation": "tanh"}),
    ("contractive", {"hidden": (5,)}),
    ("dbn", {"visible": "gaussian", "code_units": "binary"}),
    ("gan", {"loss": "wasserstein"}),
    ("gan", {"architecture": "conv", "filters": (3,), "image_shape": (4, 2)}),
    ("kmeans", {"algorithm": "minibatch"}),
    ("masked", {"loss": "mean_squared_error"}),
    ("rbm", {"persistent": False, "momentum": 0.0, "weight_decay": 0.01}),
    ("rbm", {"visible": "gaussian", "hidden_units": "gaussian", "learning_rate": 1e-3}),
    ("sparse", {"penalty": "l1"}),
    ("sparse", {"penalty": "k", "k": 3}),
    ("variational", {"likelihood": "gaussian", "warm_up": 2}),
    ("variational", {"binarize": True}),
    ("vq", {"loss": "mean_squared_error"}),
]


@pytest.mark.parametrize(("name", "options"), WAYS, ids=str)
def test_every_method_of_pretraining(name, options):
    X = np.asarray(load_digits().x).reshape(-1, 64)[:40, :8]
    pretrained_alike(X, name, **options)


def test_centroids_of_nobody_move():
    three = np.repeat(RNG.random((3, 8)), 9, axis=0)
    pretrained_alike(three, "kmeans", n_clusters=5)


def pretrained_alike(X, name, **options):
    """Here and there, with samples from either: the same codes, scores and losses."""
    here = make(name, epochs=2, **options).fit(X)
    for device, X_given in (("guard", X), (None, to_guard(X.reshape(-1, 4, 2)))):
        there = make(name, epochs=2, device=device, **options).fit(X_given)
        assert there.model_.device == "guard"
        codes = there.transform(X_given)
        assert type(codes) is type(X_given)
        same(codes, here.transform(X), 1e-4)
        assert there.score(X_given) == pytest.approx(here.score(X), rel=1e-4, abs=1e-5)
        for key, values in here.history_.items():
            found = there.history_[key]
            np.testing.assert_allclose(found, values, rtol=1e-4, atol=1e-5, err_msg=key)


def test_fine_tuning_and_probes_of_samples_that_live_there():
    X, y = ROWS.astype("float32"), np.arange(12) % 2
    encoder = make("autoencoder", epochs=1).fit(X).encoder_
    found = []
    for bring, device in ((np.asarray, "cpu"), (to_guard, "guard")):
        given, there = bring(X), clone_model(encoder).to(device)
        classifier = finetune(there, given, y, epochs=2, batch_size=4, random_state=0)
        assert classifier.device == device
        curve = few_label_curve(there, given, y, given, y, labels=(4,), seeds=(0,), steps=4)
        arms = np.concatenate(list(curve.arms.values()))
        probes = linear_probe(there, given, y, given, y), knn_probe(there, given, y, given, y, k=3)
        found.append((classifier.predict(X), arms, np.array(probes)))
    for here, there in zip(*found, strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-5)
