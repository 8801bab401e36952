"""The five laws of ``layers/base.py``, on shared, tied, frozen and reused layers, and threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minienc.layers import Add, Concatenate, Dense, DenseTranspose, Dropout, Gradients, Input
from minienc.models import Model, Sequential
from minienc.training.optimizers import Adam
from minienc.verify import numerical_gradient

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape)


def numeric_parameter_gradients(model, x, dy):
    """The gradient of sum(dy * model(x)) by differences, for every parameter."""
    found = {}
    for name, p in model.named_parameters():
        original = p.value.copy()

        def f(value, p=p):
            p.value = value
            return model.forward(x)[0]

        found[name] = numerical_gradient(f, original, dy)
        p.value = original
    return found


def check_model(model, x, dy):
    """Parameter gradients and dx against differences."""
    numeric = numeric_parameter_gradients(model, x, dy)
    _, cache = model.forward(x)
    grads = model.new_gradients()
    dx = model.backward(dy, cache, grads)
    for name, gradient in grads.items():
        np.testing.assert_allclose(gradient, numeric[name], rtol=1e-7, atol=1e-8, err_msg=name)
    if not isinstance(x, tuple):
        expected = numerical_gradient(lambda v: model.forward(v)[0], x, dy)
        np.testing.assert_allclose(dx, expected, rtol=1e-7, atol=1e-8)


# -- law 1: forward changes nothing, backward may be repeated, in any order, from any thread


def mixed_model():
    """Shared and tied layers, a fork and a meeting."""
    x = Input((5,), dtype="float64")
    shared = Dense(5, "tanh", seed=1)
    h = shared(shared(x))
    code = Dense(3, "sigmoid", seed=2)
    tied = DenseTranspose(code, "softplus", seed=3)
    left = tied(code(h))
    right = Dense(5, "elu", seed=4)(h)
    return Model(x, Add()([left, right]))


def test_forward_changes_nothing():
    model, x = mixed_model(), normal(4, 5)
    before = [w.copy() for w in model.get_weights()]
    first, _ = model.forward(x)
    second, _ = model.forward(x)
    np.testing.assert_array_equal(first, second)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_caches_may_be_used_in_any_order_and_again():
    model = mixed_model()
    a, b, dy = normal(4, 5), normal(4, 5), normal(4, 5)
    (_, cache_a), (_, cache_b) = model.forward(a), model.forward(b)
    alone = model.backward(dy, cache_a, None)
    model.backward(dy, cache_b, None)
    np.testing.assert_array_equal(model.backward(dy, cache_a, None), alone)


def test_eight_threads_agree_bit_for_bit():
    model, x, dy = mixed_model(), normal(64, 5), normal(64, 5)

    def once(_):
        _, cache = model.forward(x)
        grads = model.new_gradients()
        dx = model.backward(dy, cache, grads)
        return dx.tobytes() + grads.vector.tobytes()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(once, range(64)))) == 1


# -- law 2: dy has y's shape, dx has x's; several are tuples in the same order


def test_several_inputs_and_outputs_keep_their_order():
    a, b = Input((2,), dtype="float64"), Input((3,), dtype="float64")
    joined = Concatenate()([a, b])
    model = Model([a, b], [Dense(4, "tanh", seed=0)(joined), Dense(1, seed=1)(b)])
    x = (normal(6, 2), normal(6, 3))
    (y, z), cache = model.forward(x)
    assert y.shape == (6, 4) and z.shape == (6, 1)
    dxs = model.backward((np.ones((6, 4)), np.ones((6, 1))), cache, None)
    assert [d.shape for d in dxs] == [(6, 2), (6, 3)]
    check_model(model, x, (normal(6, 4), normal(6, 1)))


def test_an_output_that_nothing_asks_about_may_be_left_out():
    x = Input((2,), dtype="float64")
    model = Model(x, [Dense(2, seed=0, name="a")(x), Dense(2, seed=1, name="b")(x)])
    _, cache = model.forward(normal(3, 2))
    grads = model.new_gradients()
    model.backward((normal(3, 2), None), cache, grads)
    assert np.any(grads["a/W"]) and not np.any(grads["b/W"])


# -- law 3: gradients add; sharing is identity


def test_shared_tied_and_forked_layers_have_the_sum_of_their_gradients():
    check_model(mixed_model(), normal(4, 5), normal(4, 5))


def test_gradients_add_to_what_was_there():
    model, x, dy = mixed_model(), normal(4, 5), normal(4, 5)
    _, cache = model.forward(x)
    once, twice = model.new_gradients(), model.new_gradients()
    model.backward(dy, cache, once)
    model.backward(dy, cache, twice)
    model.backward(dy, cache, twice)
    np.testing.assert_allclose(twice.vector, 2 * once.vector, rtol=1e-12)


def test_layers_of_equal_values_are_not_tied():
    x = Input((2,))
    model = Model(x, Dense(2, kernel_initializer="zeros")(Dense(2, kernel_initializer="zeros")(x)))
    assert len(model.parameters) == 4


def test_tied_weights_stay_tied_when_trained():
    x = Input((6,))
    encoder = Dense(3, "tanh", seed=0, name="encoder")
    code = encoder(x)
    model = Model(x, DenseTranspose(encoder, name="decoder")(code))
    assert model.parameters.names == ("encoder/W", "encoder/b", "decoder/b")
    model.compile("adam", "mse")
    X = RNG.random((32, 6), dtype="float32")
    before = encoder.W.value.copy()
    model.fit(X, X, epochs=3, verbose=0, seed=0)
    assert not np.array_equal(encoder.W.value, before)
    z = RNG.random((4, 3), dtype="float32")
    decoder = model.get_layer("decoder")
    expected = z @ encoder.W.value.T + decoder.b.value  # a kernel may sum in another order
    np.testing.assert_allclose(decoder(z), expected, rtol=1e-5, atol=1e-6)


def test_a_discriminator_is_passed_through_without_a_trace():
    """A generator's step: through the critic, which keeps nothing of it."""
    generator = Sequential([Input((3,), dtype="float64"), Dense(4, "tanh", seed=0)])
    critic = Sequential([Input((4,), dtype="float64"), Dense(1, seed=1)])
    z = normal(5, 3)
    fake, g = generator.forward(z)
    _, c = critic.forward(fake)
    before = [w.copy() for w in critic.get_weights()]
    grads = generator.new_gradients()
    generator.backward(critic.backward(np.ones((5, 1)), c, None), g, grads)
    assert np.all(grads["dense_1/W"] != 0)
    for a, b in zip(before, critic.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    whole = Model(generator.input, critic(generator(generator.input)))
    numeric = numeric_parameter_gradients(whole, z, np.ones((5, 1)))
    np.testing.assert_allclose(grads["dense_1/W"], numeric["sequential_1/dense_1/W"], rtol=1e-7)


def test_a_layer_called_over_time_is_one_cell_with_many_caches():
    cell = Dense(3, "tanh", seed=0)
    cell.build((3,), "float64")
    h = h0 = normal(2, 3)
    caches = []
    for _ in range(4):
        h, cache = cell.forward(h)
        caches.append(cache)
    dy = normal(2, 3)
    grads, dh = cell.new_gradients(), dy
    for cache in reversed(caches):
        dh = cell.backward(dh, cache, grads)

    def unrolled(W):
        h = h0
        for _ in range(4):
            h = np.tanh(h @ W + cell.b.value)
        return h

    np.testing.assert_allclose(grads["W"], numerical_gradient(unrolled, cell.W.value, dy), 1e-7)


# -- law 4: nothing is written to; a cache from before a step is refused


def test_inputs_may_be_read_only_and_results_own_their_memory():
    model, x, dy = mixed_model(), normal(4, 5), normal(4, 5)
    x.flags.writeable = dy.flags.writeable = False
    y, cache = model.forward(x)
    dx = model.backward(dy, cache, model.new_gradients())
    for result in (y, dx):
        for given in (x, dy, *(p.value for p in model.parameters_used())):
            assert not np.shares_memory(result, given)


def test_a_cache_from_before_a_step_is_refused():
    model, x = mixed_model(), normal(4, 5)
    _, cache = model.forward(x)
    grads = model.new_gradients()
    model.backward(normal(4, 5), cache, grads)
    Adam().step(model.parameters, grads)
    with pytest.raises(ValueError, match="was changed after this cache's forward"):
        model.backward(normal(4, 5), cache, grads)


def test_another_layers_cache_is_refused():
    one, two = Dense(2, name="one"), Dense(2, name="two")
    x = normal(3, 2)
    one.build((2,), "float64")
    two.build((2,), "float64")
    _, cache = one.forward(x)
    with pytest.raises(ValueError, match="two: the cache is of one"):
        two.backward(x, cache, None)


def test_a_frozen_layer_passes_its_gradient_and_does_not_move():
    x = Input((4,))
    frozen = Dense(4, "tanh", seed=1, name="frozen")
    model = Model(x, Dense(4, seed=2)(frozen(Dense(4, "tanh", seed=0, name="below")(x))))
    frozen.trainable = False
    model.compile("adam", "mse")
    X = RNG.random((32, 4), dtype="float32")
    before = {name: view.copy() for name, view in model.parameters.items()}
    model.fit(X, X, epochs=2, verbose=0, seed=0)
    for name, view in model.parameters.items():
        assert np.array_equal(view, before[name]) == name.startswith("frozen"), name


# -- law 5: on arrays a layer computes, on symbolic tensors it builds


def test_a_layer_on_arrays_is_its_forward():
    x = normal(3, 4)
    layer = Dense(2, "relu", seed=0)
    np.testing.assert_array_equal(layer(x), layer.forward(x)[0])
    assert layer(Input((4,), dtype="float64")).shape == (None, 2)
    noise = Dropout(0.5)
    np.testing.assert_array_equal(noise(x), x)
    assert np.any(noise(x, rng=np.random.default_rng(0)) == 0)


# -- section 2: one flat vector


def test_weights_are_views_of_one_vector_wherever_they_are_trained():
    x = Input((4,))
    shared = Dense(3, "tanh", seed=0)
    code = shared(x)
    first = Model(x, Dense(4, seed=1)(code))
    second = Model(x, Dense(2, seed=2)(code))
    X = RNG.random((16, 4), dtype="float32")
    first.compile("sgd", "mse")
    second.compile("sgd", "mse")
    for model, target in ((first, X), (second, X[:, :2]), (first, X)):
        before = model.parameters.vector.copy()
        model.fit(X, target, epochs=1, verbose=0, seed=0)
        assert np.all(model.parameters.vector != before)
        assert model.parameters.vector.flags.c_contiguous
        assert np.shares_memory(shared.W.value, model.parameters.vector)
        np.testing.assert_array_equal(model.parameters["dense_1/W"], shared.W.value)


def test_every_trained_weight_moves():
    model = mixed_model()
    model.compile("adam", "mse")
    X = normal(32, 5)
    before = model.parameters.vector.copy()
    model.fit(X, X, epochs=1, verbose=0, seed=0)
    assert np.all(model.parameters.vector != before)


# ----------------------------------------------------------- zeros that are written when looked at


def _gradients_with_rubbish() -> tuple[Dense, Gradients]:
    layer = Dense(4, "tanh", seed=0)
    layer.build((3,), "float64")
    grads = layer.new_gradients()
    grads.vector[...] = 7.0
    return layer, grads.zero()


def test_whoever_looks_after_zero_sees_zeros():
    layer, grads = _gradients_with_rubbish()
    assert not grads[layer.W].any() and not grads["b"].any()
    assert not _gradients_with_rubbish()[1].vector.any()
    assert not any(view.any() for _, view in _gradients_with_rubbish()[1].items())


@pytest.mark.parametrize("n", [5, 1, 0])
def test_the_first_backward_after_zero_writes_and_the_next_adds(n):
    layer, grads = _gradients_with_rubbish()
    x = np.random.default_rng(0).standard_normal((n, 3))
    y, cache = layer.forward(x)
    layer.backward(y, cache, grads)
    once = grads.vector.copy()
    assert np.isfinite(once).all() and (once.any() == (n > 0))
    layer.backward(y, cache, grads)
    np.testing.assert_allclose(grads.vector, 2 * once)
    fresh = layer.new_gradients()
    layer.backward(y, cache, fresh)
    np.testing.assert_array_equal(fresh.vector, once)


def test_a_gradient_that_somebody_began_is_added_to():
    layer, grads = _gradients_with_rubbish()
    grads[layer.b][...] = 1.0  # a regulariser, say, before the backward
    x = np.random.default_rng(0).standard_normal((5, 3))
    y, cache = layer.forward(x)
    layer.backward(y, cache, grads)
    fresh = layer.new_gradients()
    layer.backward(y, cache, fresh)
    np.testing.assert_allclose(grads["b"], fresh["b"] + 1.0)
    np.testing.assert_allclose(grads["W"], fresh["W"])
