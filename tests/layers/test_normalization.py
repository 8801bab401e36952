"""Normalising layers: two modes, state that training keeps, and what frozen means."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minienc
from minienc.fast.replayable import ReplayableStep
from minienc.layers import (
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DenseTranspose,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    LayerNormalization,
    MaxPool2D,
    SpectralNormalization,
    UpSampling2D,
)
from minienc.layers.regularizers import L2
from minienc.models import Model, Sequential, clone_model
from minienc.training.callbacks import LambdaCallback, ModelCheckpoint
from minienc.training.optimizers import SGD, Adam
from minienc.training.step import Learner, NonFiniteError
from minienc.verify import gradcheck

RNG = np.random.default_rng(0)
X = 3 + 2 * RNG.standard_normal((40, 4))
STILL = 1e-300  # a learning rate at which no weight moves


def built(layer, shape=(4,)):
    layer.build(shape, "float64")
    return layer


def normalized_model(momentum=0.9, lr=STILL):
    """y = BatchNormalization(x); nothing but the state moves, unless lr says so."""
    layer = BatchNormalization(momentum=momentum)
    model = Sequential([Input((4,), "float64"), layer])
    model.compile(SGD(lr), "mse")
    return model, layer


# ---------------------------------------------------------------------------- batch normalisation


def test_fit_updates_the_moving_averages_once_a_step():
    model, layer = normalized_model()
    seen = []
    model.fit(
        X,
        X,
        batch_size=10,
        epochs=2,
        shuffle=False,
        verbose=0,
        callbacks=[
            LambdaCallback(
                on_train_batch_end=lambda *_: seen.append(layer.moving_mean.value.copy())
            )
        ],
    )
    mean, variance, expected = np.zeros(4), np.ones(4), []
    for _ in range(2):
        for batch in X.reshape(4, 10, 4):
            mean = 0.9 * mean + 0.1 * batch.mean(axis=0)
            variance = 0.9 * variance + 0.1 * batch.var(axis=0)
            expected.append(mean)
    np.testing.assert_allclose(seen, expected, rtol=1e-12)
    np.testing.assert_allclose(layer.moving_variance.value, variance, rtol=1e-12)


def test_fit_normalises_by_the_batch_and_the_others_by_the_averages():
    model, layer = normalized_model()
    mean, std = X.mean(axis=0), np.sqrt(X.var(axis=0) + 1e-3)
    by_batch = float((((X - mean) / std) ** 2).mean())
    zeros = np.zeros_like(X)
    untrained = (X / np.sqrt(1 + 1e-3)) ** 2
    np.testing.assert_allclose(model.evaluate(X, zeros), untrained.mean())
    history = model.fit(X, zeros, batch_size=40, epochs=200, verbose=0, validation_data=(X, zeros))
    np.testing.assert_allclose(history.history["loss"], by_batch, rtol=1e-9)
    assert history.history["val_loss"][0] != pytest.approx(by_batch, rel=1e-3)
    np.testing.assert_allclose(history.history["val_loss"][-1], by_batch, rtol=1e-6)
    np.testing.assert_allclose(model.predict(X), (X - mean) / std, rtol=1e-6, atol=1e-6)
    before = layer.moving_mean.value.copy()
    model.predict(X + 5)
    model.evaluate(X + 5, zeros)
    np.testing.assert_array_equal(layer.moving_mean.value, before)


def test_predictions_do_not_depend_on_the_company():
    model, _ = normalized_model()
    model.fit(X, X, verbose=0, seed=0)
    np.testing.assert_allclose(model.predict(X)[:1], model.predict(X[:1]), rtol=1e-12)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{}, {"center": False}, {"scale": False}])
def test_gradients_in_both_modes(training, options):
    layer = built(BatchNormalization(**options))
    layer.moving_mean.value = RNG.standard_normal(4)
    layer.moving_variance.value = RNG.uniform(0.5, 2, 4)
    report = gradcheck(layer, X[:6], training=training)
    assert report, report
    assert "moving_mean" not in [t.name for t in report.tensors]
    conv = Conv2D(3, 2, use_bias=False, seed=0)  # a bias has no gradient: the mean takes it out
    images = Sequential([Input((3, 3, 2), "float64"), conv, BatchNormalization()])
    report = gradcheck(images, RNG.standard_normal((2, 3, 3, 2)), training=training)
    assert report, report


def test_forward_changes_nothing():
    layer = built(BatchNormalization())
    _, cache = layer.forward(X, training=True)
    layer.backward(X, cache, layer.new_gradients())
    assert not layer.moving_mean.value.any() and (layer.moving_variance.value == 1).all()


def test_no_optimiser_moves_the_state():
    layer = built(BatchNormalization())
    assert [p.trainable for p in layer.parameters_used()] == [True, True, False, False]
    layer.trainable = False
    layer.trainable = True
    assert [p.trainable for p in layer.parameters_used()] == [True, True, False, False]
    grads = layer.new_gradients()
    _, cache = layer.forward(X, training=True)
    layer.backward(X, cache, grads)
    assert grads["gamma"].any() and not grads["moving_mean"].any()


def test_a_frozen_layer_is_in_inference_and_stays_as_it_is():
    """As in Keras: a pretrained encoder that is not fine-tuned computes what it computed."""
    model, layer = normalized_model(lr=0.1)
    model.fit(X, X, verbose=0, seed=0)
    layer.trainable = False
    before = [w.copy() for w in model.get_weights()]
    expected = model.evaluate(X, X)
    history = model.fit(X, X, batch_size=40, epochs=3, verbose=0)
    np.testing.assert_allclose(history.history["loss"], expected)
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_layer_used_twice_is_updated_for_each_use():
    x = Input((4,), dtype="float64")
    layer = BatchNormalization(momentum=0.5)
    model = Model(x, layer(layer(x)))
    model.compile(SGD(STILL), "mse")
    model.fit(X, X, batch_size=40, verbose=0)
    once = 0.5 * X.mean(axis=0)
    np.testing.assert_allclose(layer.moving_mean.value, 0.5 * once, atol=1e-12)  # then mean 0


def test_a_loop_of_ones_own():
    """Generator and critic: each keeps its state after its own step, and no other's."""
    generator = Sequential(
        [Input((4,), "float64"), Dense(4, seed=0), BatchNormalization(momentum=0.5)]
    )
    critic = Sequential(
        [Input((4,), "float64"), BatchNormalization(momentum=0.5), Dense(1, seed=1)]
    )
    g_state, c_state = generator.layers[1].moving_mean, critic.layers[0].moving_mean
    fake, g = generator.forward(X, training=True)
    score, c = critic.forward(fake, training=True)
    grads = generator.new_gradients()
    generator.backward(critic.backward(np.ones_like(score), c, None), g, grads)
    Adam().step(generator.parameters, grads)
    generator.update_state(g)
    assert g_state.value.any() and not c_state.value.any()
    with pytest.raises(ValueError, match="was changed after this cache's forward"):
        generator.backward(fake, g, grads)
    plain = Sequential([Input((4,), "float64"), BatchNormalization(momentum=0.5)])
    np.testing.assert_array_equal(  # without a word about training it is inference
        plain.forward(X)[0], plain.forward(X, training=False)[0]
    )
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(  # a generator is given in training alone
        plain.forward(X, rng=rng)[0], plain.forward(X, training=True)[0]
    )
    assert np.any(plain.forward(X, rng=rng)[0] != plain.forward(X, rng=rng, training=False)[0])


def test_a_batch_that_is_not_finite_leaves_the_state():
    model, layer = normalized_model()
    data = X.copy()
    model.layers[0].gamma.value = np.full(4, np.inf)
    with pytest.raises(NonFiniteError):
        model.fit(data, data, verbose=0)
    assert not layer.moving_mean.value.any()
    learner = Learner(model, model.objective, model.optimizer)
    step = ReplayableStep(learner, compute=None, meanwhile=None)  # where nobody may look, the same
    step.arithmetic((X, X), (1, 0.01), np.random.default_rng(0))
    assert not layer.moving_mean.value.any()
    model.layers[0].gamma.value = np.ones(4)
    step.arithmetic((X, X), (1, 0.01), np.random.default_rng(0))
    np.testing.assert_allclose(layer.moving_mean.value, 0.1 * X.mean(axis=0))


# -------------------------------------------------------------------------- layer normalisation


def test_layer_normalisation_is_the_same_in_training():
    layer = LayerNormalization()
    model = Sequential([Input((3, 4), "float64"), layer])
    x = RNG.standard_normal((5, 3, 4))
    np.testing.assert_array_equal(model.forward(x, training=True)[0], model.forward(x)[0])
    assert layer.gamma.shape == layer.beta.shape == (4,)
    assert layer.flops((3, 4)) == 4 * 12
    assert LayerNormalization(center=False, scale=False)(x).shape == x.shape


# ------------------------------------------------------------------------ spectral normalisation


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: Dense(5, "tanh", seed=0), (4,)),
        (lambda: Dense(5, use_bias=False, seed=0), (4,)),
        (lambda: Conv2D(3, 2, padding="same", seed=0), (3, 4, 2)),
        (lambda: Conv2DTranspose(3, 2, 2, seed=0), (2, 2, 2)),
    ],
)
def test_gradients_go_through_the_division(layer, shape):
    wrapped = SpectralNormalization(layer(), seed=1)
    report = gradcheck(wrapped, RNG.standard_normal((3, *shape)))
    assert report, report
    assert "u" not in [t.name for t in report.tensors]
    x = RNG.standard_normal((3, *shape))
    y, cache = wrapped.forward(x)
    matrix = wrapped.layer.W.value.reshape(-1, wrapped.u.size)
    sigma = np.linalg.norm(matrix @ wrapped.u.value)
    plain = layer()
    plain.build(shape, "float64")
    plain.W.value = wrapped.layer.W.value / sigma
    np.testing.assert_allclose(y, plain(x), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(
        wrapped.backward(y, cache, None), wrapped.backward(y, cache, wrapped.new_gradients())
    )
    assert wrapped.flops(shape) == plain.flops(shape)


def test_training_finds_the_largest_singular_value():
    wrapped = SpectralNormalization(Dense(6, seed=0, name="inner"), seed=1)
    model = Sequential([Input((4,), "float64"), wrapped])
    model.compile(SGD(1e-3), "mse")
    rng = np.random.default_rng(6)
    y = X @ rng.standard_normal((4, 6))
    model.fit(X, y, batch_size=10, epochs=100, verbose=0, seed=0)
    W, u = wrapped.layer.W.value, wrapped.u.value
    np.testing.assert_allclose(np.linalg.norm(u), 1)
    np.testing.assert_allclose(np.linalg.norm(W @ u), np.linalg.norm(W, 2), rtol=1e-3)
    a, b = rng.standard_normal((2, 50, 4))
    stretched = np.linalg.norm(wrapped(a) - wrapped(b), axis=1) / np.linalg.norm(a - b, axis=1)
    assert stretched.max() <= 1.001


def test_more_iterations_a_step_arrive_sooner():
    def gap(iterations):
        wrapped = SpectralNormalization(Dense(6, seed=0), iterations, seed=1)
        model = Sequential([Input((4,), "float64"), wrapped])
        model.compile(SGD(STILL), "mse")
        model.fit(X, np.zeros((40, 6)), batch_size=40, verbose=0)
        W = wrapped.layer.W.value
        return np.linalg.norm(W, 2) - np.linalg.norm(W @ wrapped.u.value)

    assert gap(100) < 1e-9 < gap(1)


def test_a_frozen_wrapped_layer_stays():
    wrapped = SpectralNormalization(Dense(4, seed=0, trainable=False), seed=1)
    model = Sequential([Input((4,), "float64"), wrapped, Dense(4, seed=2)])
    assert not wrapped.trainable and not wrapped.layer.W.trainable
    model.compile("adam", "mse")
    before = [w.copy() for w in model.get_weights()[:3]]
    model.fit(X, X, verbose=0, seed=0)
    for one, two in zip(before, model.get_weights()[:3], strict=True):
        np.testing.assert_array_equal(one, two)


# -------------------------------------------------------------------------------- all together


def everything(dtype="float32"):
    x = Input((6, 6, 2), dtype)
    h = SpectralNormalization(
        Conv2D(4, 3, 1, "same", "relu", kernel_regularizer=L2(0.01), seed=0), seed=1
    )(x)
    h = BatchNormalization(momentum=0.9, gamma_regularizer="l2")(h)
    h = Dropout(0.1)(MaxPool2D()(h))
    h = Conv2DTranspose(2, 2, 2, activation="tanh", seed=2)(h)
    h = LayerNormalization(scale=False)(h)
    wrapped = SpectralNormalization(Dense(3, "softmax", seed=3, activity_regularizer="l1"), seed=4)
    small = AveragePooling2D(3, 2, "same")(UpSampling2D((1, 2))(h))
    both = Concatenate()([Flatten()(small), GlobalAveragePooling2D()(h)])
    model = Model(x, wrapped(both), name="everything")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


IMAGES = RNG.standard_normal((24, 6, 6, 2)).astype("float32")
LABELS = np.arange(24) % 3


def test_state_is_saved_with_the_weights(tmp_path):
    model = everything()
    model.fit(IMAGES, LABELS, epochs=2, batch_size=8, verbose=0, seed=0)
    assert "batch_normalization_1/moving_variance" in model.parameters.names
    model.save(tmp_path / "model.npz")
    loaded = minienc.load_model(tmp_path / "model.npz")
    for other in (loaded, clone_model(model)):
        assert other.parameters.names == model.parameters.names
        np.testing.assert_array_equal(other.predict(IMAGES), model.predict(IMAGES))
        assert other.evaluate(IMAGES, LABELS) == model.evaluate(IMAGES, LABELS)
        for p, q in zip(other.parameters, model.parameters, strict=True):
            assert (p.trainable, p.is_state) == (q.trainable, q.is_state)
    lines = [[], []]
    model.summary(lines[0].append)
    loaded.summary(lines[1].append)
    assert lines[0] == lines[1]
    assert any("SpectralNormalization(Conv2D) relu" in line for line in lines[0])
    state = 4 + 4 + 4 + 3  # two moving averages, two u
    assert f"{state} of state" in lines[0][-1] and "0 frozen" in lines[0][-1]
    weights = model.parameters.vector.size - state
    assert f"({weights:,} trainable" in lines[0][-1]
    loaded.fit(IMAGES, LABELS, epochs=1, verbose=0, seed=0)


def test_a_run_that_is_resumed_ends_in_the_same_bits(tmp_path):
    def run(epochs, **how):
        model = everything()
        model.fit(IMAGES, LABELS, epochs=epochs, batch_size=8, verbose=0, seed=5, **how)
        return model.parameters.vector.tobytes()

    whole = run(4)
    path = tmp_path / "state.npz"
    run(2, callbacks=[ModelCheckpoint(path)])
    assert run(4, callbacks=[ModelCheckpoint(tmp_path / "other.npz")], resume_from=path) == whole


def test_the_laws_of_layers():
    """Forward changes nothing, backward may be repeated, threads agree, nothing is written to."""
    model, dy = everything("float64"), RNG.standard_normal((4, 3))
    x = IMAGES[:4].astype(float)
    x.flags.writeable = dy.flags.writeable = False
    before = model.parameters.vector.copy()

    def once(training):
        y, cache = model.forward(x, training=training)
        grads = model.new_gradients()
        dx = model.backward(dy, cache, grads)
        np.testing.assert_array_equal(model.backward(dy, cache, None), dx)
        for result in (y, dx):
            for given in (x, dy, model.parameters.vector):
                assert not np.shares_memory(result, given)
        return y.tobytes() + dx.tobytes() + grads.vector.tobytes()

    with ThreadPoolExecutor(8) as pool:
        for training in (True, False):
            assert len(set(pool.map(once, [training] * 16))) == 1
    np.testing.assert_array_equal(model.parameters.vector, before)


def test_every_weight_moves_in_training():
    model = everything()
    before = [w.copy() for w in model.get_weights()]
    model.fit(IMAGES, LABELS, batch_size=8, verbose=0, seed=0)
    for name, one, two in zip(model.parameters.names, before, model.get_weights(), strict=True):
        assert np.any(one != two), name


def test_the_whole_model_with_its_loss_passes_the_checker():
    report = gradcheck(everything("float64"), IMAGES[:4].astype(float), LABELS[:4])
    assert report, report


def test_refusals():
    with pytest.raises(ValueError, match=r"BatchNormalization: momentum is 1\.0, expected a num"):
        BatchNormalization(momentum=1.0)
    with pytest.raises(ValueError, match="LayerNormalization: epsilon is 0, expected a number > 0"):
        LayerNormalization(epsilon=0)
    layer = BatchNormalization(name="norm")
    layer(Input((4,)))
    with pytest.raises(ValueError, match=r"norm: it was built for 4 features on the last axis, an"):
        layer(Input((5,)))
    for axis in (1, None):
        with pytest.raises(ValueError, match=f"axis is {axis}, expected the last, -1: channels"):
            LayerNormalization(axis)(Input((3, 4)))
    assert LayerNormalization(2)(Input((3, 4))).shape == (None, 3, 4)
    with pytest.raises(ValueError, match="has no weights yet"):
        LayerNormalization().forward(X)
    with pytest.raises(TypeError, match="layer is <Dropout dropout>, expected one with a ker"):
        SpectralNormalization(Dropout(0.5))
    tied = Dense(3)
    tied(Input((4,)))
    with pytest.raises(TypeError, match=r"layer is <DenseTranspose .*>, expected one with a k"):
        SpectralNormalization(DenseTranspose(tied))
    for wrong in (0, 1.5, True, "1"):
        with pytest.raises(
            ValueError, match=r"power_iterations is .*, expected a positive integer"
        ):
            SpectralNormalization(Dense(3), wrong)
    for wrong in (-0.1, "a", None):
        with pytest.raises(ValueError, match=r"momentum is .*, expected a number in"):
            BatchNormalization(momentum=wrong)
    with pytest.raises(ValueError, match="with at least one sample to take the mean of"):
        built(BatchNormalization()).forward(X[:0], training=True)
