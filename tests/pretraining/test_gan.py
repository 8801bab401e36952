"""Adversarial networks: gradients of both turns, the penalty's second order, and what is made."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.data import load_digits
from minienc.gallery.gan import memorisation, mode_coverage
from minienc.layers import (
    Activation,
    Add,
    AveragePooling2D,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DenseTranspose,
    Flatten,
    Input,
    MaxPool2D,
    Reshape,
    UpSampling2D,
)
from minienc.models import Model
from minienc.pretraining import METHODS
from minienc.pretraining.second_order import contraction, gradient_penalty
from minienc.verify import gradcheck, numerical_gradient

GAN = METHODS["gan"]
RNG = np.random.default_rng(0)


def critic_of(activation, widths=(7, 5), n=4):
    x = tensor = Input((n,), dtype="float64")
    for i, units in enumerate(widths):
        tensor = Dense(units, activation, seed=i, bias_initializer="glorot_uniform")(tensor)
    return Model(x, Dense(1, seed=9)(tensor))


def image_critic(activation):
    """One of every layer that the penalty is derived for, one of them twice."""
    x = tensor = Input((16,), dtype="float64")
    wide = Dense(16, activation, seed=5)
    twice = Conv2D(2, 3, 1, "same", activation, bias_initializer="glorot_uniform", seed=1)
    for layer in (
        wide,
        DenseTranspose(wide, activation),
        Reshape((4, 4, 1)),
        Conv2D(2, 3, 2, "same", seed=0),
        Activation(activation),
        Conv2DTranspose(2, 2, 2, "valid", activation, bias_initializer="glorot_uniform", seed=2),
        twice,
        AveragePooling2D(2),
        twice,
        UpSampling2D(2),
        Flatten(),
        Dense(1, use_bias=False, seed=9),
    ):
        tensor = layer(tensor)
    return Model(x, tensor)


def of_vector(model, f):
    """f as a function of the model's flat vector of weights."""
    vector = model.parameters.vector

    def function(values):
        before = vector.copy()
        vector[...] = values
        model.parameters.touch()
        found = f()
        vector[...] = before
        return found

    return function, vector.copy()


# -- the penalty


@pytest.mark.parametrize("activation", ["tanh", "softplus", "sigmoid", "elu", "leaky_relu", None])
@pytest.mark.parametrize("widths", [(), (6,), (7, 5), (4, 5, 3)])
def test_the_gradient_of_second_order_by_differences(activation, widths):
    critic, x = critic_of(activation, widths), RNG.standard_normal((3, 4))
    f, vector = of_vector(critic, lambda: gradient_penalty(critic, x, None, 2.0))
    gradients = critic.new_gradients()
    value = gradient_penalty(critic, x, gradients, 2.0)
    assert value == pytest.approx(f(vector))
    numeric = numerical_gradient(f, vector)
    np.testing.assert_allclose(gradients.vector, numeric, rtol=2e-6, atol=1e-8)


@pytest.mark.parametrize("loss", ["penalty", "contraction"])
def test_the_checker_passes_what_is_of_second_order_and_no_other(loss):
    model, x = critic_of("tanh", (5,), 3), np.random.default_rng(1).standard_normal((2, 3))

    def value(gradients):
        if loss == "penalty":
            return gradient_penalty(model, x, gradients, 2.0)
        return contraction(model, x, np.eye(1), gradients, 2.0)

    def gradient():
        gradients = model.new_gradients()
        value(gradients)
        return gradients.vector.copy()

    f, vector = of_vector(model, lambda: value(None))
    g, _ = of_vector(model, gradient)
    assert gradcheck(f, vector, gradient=g), gradcheck(f, vector, gradient=g)
    assert gradcheck(f, vector, gradient=lambda v: 1.01 * g(v)).verdict == "fail"


@pytest.mark.parametrize("activation", ["tanh", "softplus", "leaky_relu"])
def test_of_every_kind_of_layer_by_differences(activation):
    critic, x = image_critic(activation), np.random.default_rng(1).standard_normal((2, 16))
    f, vector = of_vector(critic, lambda: gradient_penalty(critic, x, None, 2.0))
    gradients = critic.new_gradients()
    assert gradient_penalty(critic, x, gradients, 2.0) == pytest.approx(f(vector))
    numeric = numerical_gradient(f, vector)
    np.testing.assert_allclose(gradients.vector, numeric, rtol=2e-6, atol=1e-8)


def test_the_penalty_is_on_the_norm_of_the_slope_at_each_point():
    critic, x = critic_of("tanh"), RNG.standard_normal((3, 4))
    slopes = [numerical_gradient(lambda v: critic(v[None])[0, 0], one) for one in x]
    expected = 5 * np.mean([(np.linalg.norm(r) - 1) ** 2 for r in slopes])
    assert gradient_penalty(critic, x, None, 5.0) == pytest.approx(expected, rel=1e-6)
    linear = critic_of(None, ())
    W = RNG.standard_normal((4, 1))
    linear.set_weights([W / np.linalg.norm(W), np.zeros(1)])
    assert gradient_penalty(linear, x) == pytest.approx(0, abs=1e-20)


def test_the_penalty_by_jax():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    critic, x = critic_of("softplus"), RNG.standard_normal((3, 4))
    jax.config.update("jax_enable_x64", True)

    def penalty(weights):
        def score(v):
            for W, b in zip(weights[:-2:2], weights[1:-2:2], strict=True):
                v = jax.nn.softplus(v @ W + b)
            return (v @ weights[-2] + weights[-1])[0]

        r = jax.vmap(jax.grad(score))(jnp.asarray(x))
        return 10 * ((jnp.linalg.norm(r, axis=1) - 1) ** 2).mean()

    expected = jax.grad(penalty)([jnp.asarray(w) for w in critic.get_weights()])
    gradients = critic.new_gradients()
    gradient_penalty(critic, x, gradients)
    for (_, mine), theirs in zip(gradients.items(), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_the_penalty_of_a_convolutional_critic_by_jax():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    jax.config.update("jax_enable_x64", True)
    image = tensor = Input((6, 6, 2), dtype="float64")
    for i in range(2):
        conv = Conv2D(3, 3, 2, "same", "tanh", bias_initializer="glorot_uniform", seed=i)
        tensor = conv(tensor)
    critic = Model(image, Dense(1, seed=9)(Flatten()(tensor)))
    x = RNG.standard_normal((3, 6, 6, 2))

    def penalty(weights):
        def score(v):
            v = v[None]
            for W, b in zip(weights[:-2:2], weights[1:-2:2], strict=True):
                layout = ("NHWC", "HWIO", "NHWC")
                v = jnp.tanh(
                    jax.lax.conv_general_dilated(v, W, (2, 2), "SAME", dimension_numbers=layout) + b
                )
            return (v.reshape(-1) @ weights[-2] + weights[-1])[0]

        r = jax.vmap(jax.grad(score))(jnp.asarray(x)).reshape(3, -1)
        return 10 * ((jnp.linalg.norm(r, axis=1) - 1) ** 2).mean()

    expected = jax.grad(penalty)([jnp.asarray(w) for w in critic.get_weights()])
    gradients = critic.new_gradients()
    gradient_penalty(critic, x, gradients)
    for (_, mine), theirs in zip(gradients.items(), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_critics_that_it_is_not_derived_for_are_refused():
    x = Input((4, 4, 1))
    with pytest.raises(ValueError, match="is a MaxPool2D, expected Dense, DenseTranspose, Conv2D"):
        gradient_penalty(Model(x, Dense(1)(Flatten()(MaxPool2D(2)(x)))), None)
    with pytest.raises(ValueError, match="is a Dense with gelu"):
        gradient_penalty(critic_of("gelu"), None)
    v = Input((4,))
    with pytest.raises(ValueError, match="must be Dense, linear, of one unit"):
        gradient_penalty(Model(v, Dense(2)(v)), None)
    with pytest.raises(ValueError, match="must be Dense, linear, of one unit"):
        gradient_penalty(Model(x, Conv2D(1, 4)(x)), None)
    two_ways = Add()((Dense(4)(v), v))
    with pytest.raises(ValueError, match="expected layers one behind the other"):
        gradient_penalty(Model(v, Dense(1)(two_ways)), None)


# -- the two turns


class Replayed:
    """A generator that draws the same numbers at each call."""

    def __getattr__(self, name):
        return getattr(np.random.default_rng(3), name)


def built(n_features=5, **params):
    method = GAN(hidden=(6, 4), noise=3, dtype="float64", **params)
    method.random_state_ = 0
    method.check_params(n_features)
    method._make(n_features, 0)
    return method


def sgd(method):
    """Record gradients in place of steps."""
    found = {}
    for name, optimizer in method.optimizers_.items():
        optimizer.step = lambda parameters, gradients, name=name: found.update(
            {name: gradients.vector.copy()}
        )
    return found


@pytest.mark.parametrize("loss", ["non_saturating", "wasserstein"])
@pytest.mark.parametrize("architecture", ["dense", "conv"])
def test_each_turn_follows_the_gradient_of_its_own_loss(loss, architecture):
    method = built(16, loss=loss, architecture=architecture, filters=(2, 3))
    x, rng = RNG.random((4, 16)), Replayed()
    D, G = method.discriminator_, method.generator_
    found = sgd(method)
    method._discriminator_turn(x, rng)
    method._generator_turn(x, rng)

    def of_discriminator():
        real, made = D(x), D(method._make_samples(4, rng))
        if loss == "wasserstein":
            t = rng.random((4, 1), dtype="float32")
            between = t * x + (1 - t) * method._make_samples(4, rng)
            return made.mean() - real.mean() + gradient_penalty(D, between, None, 10.0)
        return np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(made)).mean()

    def of_generator():
        made = D(method._make_samples(4, rng))
        return -made.mean() if loss == "wasserstein" else np.log1p(np.exp(-made)).mean()

    for name, network, f in (
        ("discriminator", D, of_discriminator),
        ("generator", G, of_generator),
    ):
        function, vector = of_vector(network, f)
        numeric = numerical_gradient(function, vector)
        np.testing.assert_allclose(found[name], numeric, rtol=1e-5, atol=1e-8, err_msg=name)


# -- what is made


def rings():
    """Samples around eight points of the plane."""
    rng = np.random.default_rng(1)
    angle = rng.integers(0, 8, 800) * np.pi / 4
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.05 * rng.standard_normal((800, 2))


def test_wasserstein_covers_eight_modes():
    X = rings()
    method = GAN(
        hidden=(64, 64),
        noise=4,
        loss="wasserstein",
        penalty=0.1,
        n_critic=5,
        epochs=80,
        batch_size=100,
        learning_rate=1e-3,
        output_activation="linear",
        random_state=0,
    ).fit(X)
    made = method.sample(800)
    angle = np.round(np.arctan2(made[:, 1], made[:, 0]) / (np.pi / 4)).astype(int) % 8
    assert (np.bincount(angle, minlength=8) > 40).all()
    assert abs(np.linalg.norm(made, axis=1) - 1).mean() < 0.25
    real, share = mode_coverage(method, n_modes=8)
    assert real.sum() == pytest.approx(1) and share.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("architecture", "loss"),
    [("dense", "non_saturating"), ("conv", "non_saturating"), ("conv", "wasserstein")],
)
def test_digits_are_made(architecture, loss):
    digits = load_digits()
    method = GAN(
        hidden=(64, 32),
        filters=(8, 16),
        architecture=architecture,
        loss=loss,
        epochs=12,
        batch_size=64,
        learning_rate=1e-3,
        random_state=0,
    ).fit(digits.x)
    made = method.sample(200)
    assert made.shape == (200, 64) and made.min() >= 0 and made.max() <= 1
    mean, real = made.mean(axis=0), np.asarray(digits.x).reshape(-1, 64).mean(axis=0)
    assert np.corrcoef(mean, real)[0, 1] > 0.7
    assert method.transform(digits.test_x).shape == (360, 32)
    of_made, of_test = memorisation(method, digits.test_x)
    assert np.median(of_made) > 0.5 * np.median(of_test)
    assert (method.arrays_["snapshots"].std(axis=(1, 2)) > 0).all(), "every snapshot was taken"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"loss": "hinge"}, "loss is 'hinge', expected non_saturating or wasserstein"),
        ({"architecture": "resnet"}, "architecture is 'resnet', expected dense or conv"),
        ({"noise": 0}, "noise is 0, expected a whole number"),
        ({"n_critic": 0}, "n_critic is 0"),
        ({"architecture": "conv", "filters": (4, 4, 4, 4)}, "halve an image 4 times, and 8 x 8"),
    ],
)
def test_refusals(params, message):
    with pytest.raises(ValueError, match=message):
        GAN(**params).check_params(64)
