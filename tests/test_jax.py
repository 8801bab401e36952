"""Everything that trains runs on JAX's arrays, and its steps are compiled by ``jax.jit``.

Held against the host, in float64, where both agree to rounding. To compile takes JAX seconds: here
stand examples of layers and methods; with ``MINIENC_PROOFS=1`` (``make proofs``) it is all of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minienc.arrays import device_of, get_array_module, to_device, to_numpy
from minienc.audio import METHODS as SOUND_METHODS
from minienc.data import load_digits
from minienc.language import METHODS as TEXT_METHODS
from minienc.layers import BatchNormalization, Dense, Dropout, Input
from minienc.models import Model, clone_model
from minienc.primitive import REGISTRY
from minienc.training.callbacks import Callback, ModelCheckpoint
from minienc.training.losses import LOSSES
from minienc.training.optimizers import OPTIMIZERS, get_optimizer
from minienc.training.step import NonFiniteError
from tests.audio.test_methods import make as make_sound
from tests.audio.test_methods import sounds
from tests.cases import FORWARDS, all_cases, call, parts
from tests.functions.test_gradients import cotangent
from tests.language.test_methods import TEXT
from tests.language.test_methods import make as make_text
from tests.layer_cases import LAYERS, model_with, shape_for
from tests.pretraining.test_methods import make
from tests.test_device import WAYS

jax = pytest.importorskip("jax")
RNG = np.random.default_rng(0)
ROWS = RNG.random((12, 6))
PROOFS = os.environ.get("MINIENC_PROOFS") == "1"


def some(of, *examples):
    """The examples of these; for proofs, all."""
    assert set(examples) <= set(of)
    return list(of) if PROOFS else list(examples)


@pytest.fixture(autouse=True)
def float64():
    """JAX computes in float64 where it is told that it may."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def there(x):
    if isinstance(x, tuple):
        return tuple(map(there, x))
    return to_device(x, "jax") if isinstance(x, np.ndarray) else x


def same(one, two, rtol=1e-9):
    np.testing.assert_allclose(to_numpy(one), to_numpy(two), rtol=rtol, atol=rtol)


# -- the array


INDICES = [
    np.s_[2], np.s_[-1], np.s_[1:3], np.s_[:, 1], np.s_[..., 0], np.s_[None, 1:], np.s_[::2, ::-1],
    np.s_[:], np.s_[...],
]  # fmt: skip
CHANGES = [
    ("view[...] = 3", lambda v: v.__setitem__(Ellipsis, 3.0)),
    ("view += 1", lambda v: v.__iadd__(1.0)),
    ("view *= view", lambda v: v.__imul__(v)),
    ("view -= ", lambda v: v.__isub__(0.5)),
    ("view /= ", lambda v: v.__itruediv__(2.0)),
    ("view[:1] = 7", lambda v: v.__setitem__(slice(None, 1), 7.0)),
]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(["T", "flat", *range(len(INDICES))]), min_size=1, max_size=3),
    st.sampled_from(CHANGES),
)
def test_a_view_is_written_to_as_numpys_is(steps, change):
    """Slices, transposes, other shapes of each other: what is written lands where NumPy's does."""
    whole = np.arange(24.0).reshape(4, 6)
    other = there(whole.copy())
    one, two = whole, other
    for step in steps:
        if step == "T":
            one, two = one.T, two.T
        elif step == "flat":
            if not one.flags.c_contiguous:
                break  # NumPy copies then
            one, two = one.reshape(-1), two.reshape(-1)
        else:
            try:
                part = one[INDICES[step]]
            except IndexError:
                break
            if not isinstance(part, np.ndarray):
                break
            one, two = part, two[INDICES[step]]
    same(two, one)
    if one.ndim == 0:
        return
    _, do = change
    do(one), do(two)
    same(two, one), same(other, whole)


def test_what_it_says_of_itself():
    a = there(np.arange(6.0).reshape(2, 3))
    assert (device_of(a), a.shape, a.ndim, a.size, a.nbytes, len(a)) == ("jax", (2, 3), 2, 6, 48, 2)
    assert a.dtype == np.float64 and str(a).startswith("JaxArray(")
    assert [float(row.sum()) for row in a] == [3.0, 12.0]
    same(np.float64(2) * a, 2 * to_numpy(a)), same(a @ a.T, to_numpy(a) @ to_numpy(a).T)
    host = to_numpy(a)
    host += 1  # its own memory
    assert float(a[0, 0]) == 0
    total = there(np.zeros(3))
    get_array_module(total).add.at(total, there(np.array([0, 0, 2])), there(np.ones(3)))
    assert to_numpy(total).tolist() == [2, 0, 1]


def test_what_jax_array_there_is_stays_as_it_is():
    """A JAX array that somebody brings is copied: a step gives its own vectors' memory away."""
    mine = jax.numpy.ones(3)
    a = to_device(mine, "jax")
    a[...] = 2
    assert mine.tolist() == [1, 1, 1]


# -- functions and layers

EXAMPLES = ("Conv2D", "GRU", "MultiHeadAttention of a context", "BatchNormalization", "Dropout")


@pytest.mark.parametrize("name", FORWARDS)
def test_every_function(name):
    forward = REGISTRY[name]
    cases = list(all_cases(name))
    for arguments, options in cases if PROOFS else cases[:1]:
        y, cache = call(forward, arguments, options)
        dy = cotangent(y, np.random.default_rng(1))
        dx = forward.backward(dy, cache)
        j_y, j_cache = call(forward, there(arguments), options)
        j_dx = forward.backward(there(dy), j_cache)
        for one, two in zip((*parts(y), *parts(dx)), (*parts(j_y), *parts(j_dx)), strict=True):
            assert (one is None) == (two is None)
            if one is not None:
                assert device_of(two) == "jax", f"{name} left the device"
                same(two, one)


def trained_alike(model, x, y, loss="mse", optimizer="adam", **fit):
    """Here and there: the same weights, losses and metrics; and every step was compiled."""
    twin = clone_model(model).to("jax")
    found = []
    for one in (model, twin):
        one.compile(optimizer() if callable(optimizer) else optimizer, loss)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            settings = {"epochs": 2, "batch_size": 5, "verbose": 0, "seed": 0, **fit}
            found.append(one.fit(x, y, **settings).history)
    assert device_of(twin.parameters.vector) == "jax"
    same(twin.parameters.vector, model.parameters.vector, 1e-8)
    for key, values in found[0].items():
        np.testing.assert_allclose(found[1][key], values, rtol=1e-8, err_msg=key)
    return model, twin


def small(units=4, activation="linear", **options):
    x = Input((6,), dtype="float64")
    return Model(x, Dense(units, activation, seed=2)(Dense(5, "tanh", seed=1, **options)(x)))


@pytest.mark.parametrize("name", some(LAYERS, *EXAMPLES))
def test_every_layer(name):
    shape = shape_for(name)
    trained_alike(model_with(name), RNG.random((12, *shape)), RNG.random((12, 2)))


@pytest.mark.parametrize("name", some(LOSSES, "binary_crossentropy"))
def test_every_loss(name):
    labels = "sparse" in name
    activation = "softmax" if "categorical" in name or "divergence" in name else "sigmoid"
    target = RNG.integers(0, 4, 12) if labels else RNG.random((12, 4))
    target = target if labels else target / target.sum(axis=1, keepdims=True)
    trained_alike(small(activation=activation), ROWS, target, name)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("clip", [None, 0.01] if PROOFS else [0.01])
def test_every_optimizer(name, clip):
    def optimizer():
        return type(get_optimizer(name))(global_clipnorm=clip)

    trained_alike(small(), ROWS, RNG.random((12, 4)), optimizer=optimizer)


# -- methods


OF_METHODS = [("autoencoder", {}), ("variational", {}), ("kmeans", {})]


@pytest.mark.parametrize(("name", "options"), WAYS if PROOFS else OF_METHODS, ids=str)
def test_every_method_of_pretraining(name, options):
    X = np.asarray(load_digits().x).reshape(-1, 64)[:40, :8]
    host, jaxed = (
        make(name, epochs=2, device=device, dtype="float64", **options).fit(X)
        for device in ("cpu", "jax")
    )
    assert jaxed.model_.device == "jax"
    same(jaxed.transform(X), host.transform(X), 1e-6)
    assert jaxed.score(X) == pytest.approx(host.score(X), rel=1e-6, abs=1e-7)
    for key, values in host.history_.items():
        np.testing.assert_allclose(jaxed.history_[key], values, rtol=1e-6, atol=1e-7, err_msg=key)


TEXT_AND_SOUND = [*sorted(TEXT_METHODS), *sorted(SOUND_METHODS)]


@pytest.mark.parametrize("name", some(TEXT_AND_SOUND, "word_vectors"))
def test_every_method_of_text_and_sound(name):
    new, x = (
        (make_sound, sounds(12, dtype="float64")) if name in SOUND_METHODS else (make_text, TEXT)
    )
    host, jaxed = (new(name, dtype="float64", device=device).fit(x) for device in ("cpu", "jax"))
    same(jaxed.model_.parameters.vector, host.model_.parameters.vector, 1e-6)


# -- a run


def noisy():
    x = Input((6,), dtype="float64")
    h = BatchNormalization()(Dense(5, "relu", seed=1, kernel_regularizer="l1")(x))
    return Model(x, Dense(6, "sigmoid", seed=2)(Dropout(0.2)(h)))


def test_noise_state_and_a_checkpoint_that_goes_on_on_either_side(tmp_path):
    def fit(device, name, epochs, resume_from=None):
        one = clone_model(noisy()).to(device)
        one.compile("adamw", "binary_crossentropy", metrics=["mse"])
        callbacks = [ModelCheckpoint(tmp_path / f"{name}.npz")]
        settings = {"batch_size": 5, "verbose": 0, "seed": 0, "resume_from": resume_from}
        one.fit(ROWS, ROWS, epochs=epochs, callbacks=callbacks, **settings)
        return one

    whole = fit("cpu", "whole", 4).parameters.vector
    same(fit("jax", "whole there", 4).parameters.vector, whole)
    for first, then in (("cpu", "jax"), ("jax", "cpu")):
        fit(first, f"half {first}", 2)
        again = fit(then, f"half {first}", 4, tmp_path / f"half {first}.npz")
        same(again.parameters.vector, whole)


class Meddles(Callback):
    """Changes in the middle of an epoch what a compiled step was made for."""

    def __init__(self, what):
        self.what = what

    def on_train_batch_end(self, batch, logs):
        if batch == 1:
            self.what(self.trainer.model)


def freeze(model):
    model.layers[-1].trainable = False


def other_weights(model):
    model.set_weights([w * 0.5 for w in model.get_weights()])


def other_rate(model):
    model.optimizer.learning_rate = 0.5


def fresh_state(model):
    model.optimizer.load_state_dict(model.optimizer.state_dict())


@pytest.mark.parametrize("what", [freeze, other_weights, other_rate, fresh_state])
def test_what_a_callback_changes_counts_at_the_next_step(what):
    found = []
    for device in ("cpu", "jax"):
        model = noisy().to(device)
        model.compile("adam", "mse")
        history = model.fit(
            ROWS, ROWS, epochs=2, batch_size=3, verbose=0, seed=0, callbacks=[Meddles(what)]
        )
        found.append((model.parameters.vector, history.history["loss"]))
    same(*(vector for vector, _ in found))
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-9)


def test_a_loss_that_is_not_finite_changes_nothing():
    model = small(6).to("jax")
    model.compile("sgd", "mse")
    model.fit(ROWS, ROWS, batch_size=5, verbose=0)
    model.set_weights([w * 1e200 for w in model.get_weights()])
    before = to_numpy(model.parameters.vector)
    with pytest.raises(NonFiniteError, match="epoch 1, batch 1"):
        model.fit(ROWS, ROWS, batch_size=5, verbose=0)
    same(model.parameters.vector, before)


def test_what_looks_at_its_numbers_is_said_and_run_plainly():
    def picky(target, y):
        return (target - y) ** 2 if float(y.sum()) < 1e9 else target

    found = []
    for device in ("cpu", "jax"):
        model = small(6).to(device)
        model.compile("adam", "mse", metrics=[lambda target, y: picky(target, y).mean(axis=-1)])
        if device == "jax":
            with pytest.warns(RuntimeWarning, match="not compiled by JAX") as told:
                model.fit(ROWS, ROWS, epochs=2, batch_size=5, verbose=0, seed=0)
            assert len(told) == 1
        else:
            model.fit(ROWS, ROWS, epochs=2, batch_size=5, verbose=0, seed=0)
        found.append(model.parameters.vector)
    same(*found)


def test_the_seed_program_in_float32():
    """A hundred steps with their shuffling: weights and losses as NumPy's, to 1e-5."""
    X = np.asarray(load_digits().x, "float32").reshape(-1, 64)[:640]
    found = []
    for device in ("cpu", "jax"):
        x = Input(shape=(64,))
        hidden = Dense(units=32, activation="relu", seed=1)(x)
        model = Model(x, Dense(units=64, activation="sigmoid", seed=2)(hidden)).to(device)
        model.compile(optimizer="adam", loss="binary_crossentropy")
        history = model.fit(X, X, epochs=5, batch_size=32, shuffle=True, seed=0, verbose=0)
        assert model.parameters.vector.dtype == np.float32
        found.append((to_numpy(model.parameters.vector), history))
    assert "of 100 steps, 100 were compiled by JAX" in found[1][1].steps
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found[1][1].history["loss"], found[0][1].history["loss"], rtol=1e-5)
    assert found[1][1].history["loss"][-1] < 0.65 * found[1][1].history["loss"][0]


def test_float64_needs_to_be_allowed():
    """JAX would make float32 of it, and say nothing."""
    jax.config.update("jax_enable_x64", False)
    with pytest.raises(ValueError, match=r"float64.*jax_enable_x64"):
        small().to("jax")


def test_without_jax_it_says_what_to_install():
    code = (
        "import sys; sys.modules['jax'] = None\n"
        "from minienc.layers import Dense, Input\nfrom minienc.models import Model\n"
        "x = Input((3,)); m = Model(x, Dense(2)(x))\n"
        "try: m.to('jax')\nexcept RuntimeError as error: print(error)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    assert "device 'jax' cannot be used" in found.stdout, found.stderr
    assert found.stdout.rstrip().endswith("pip install jax")
