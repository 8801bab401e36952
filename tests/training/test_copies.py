"""What is copied or pickled learns on as the original does, and shares nothing with it."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from minienc.functions import dense_forward
from minienc.layers import Dense, Input
from minienc.models import Model, Sequential
from minienc.pretraining import METHODS
from minienc.primitive import REGISTRY
from minienc.training.callbacks import EarlyStopping, History, ReduceLROnPlateau
from minienc.training.optimizers import SGD, Adagrad, Adam, AdamW, Lion, Muon, RMSprop
from tests.layer_cases import LAYERS, model_with, shape_for
from tests.pretraining.test_methods import X, make

COPY = {"deepcopy": copy.deepcopy, "pickle": lambda x: pickle.loads(pickle.dumps(x))}
OPTIMIZERS = {
    "sgd": lambda: SGD(0.1, momentum=0.9),
    "rmsprop": lambda: RMSprop(momentum=0.5),
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": lambda: AdamW(global_clipnorm=1.0),
    "lion": Lion,
    "muon": Muon,
}


def test_a_primitive_is_copied_by_its_name():
    for name, primitive in REGISTRY.items():
        if primitive.definition.__module__.startswith("minienc."):
            assert copy.deepcopy(primitive) is primitive, name
            assert pickle.loads(pickle.dumps(primitive)) is primitive, name


def check_learns_on_alike(one, two, *data):
    before = one.parameters.vector.copy()
    np.testing.assert_array_equal(two.parameters.vector, before)
    for model in (one, two):
        model.fit(*data, epochs=3, batch_size=8, verbose=0, seed=3)
    assert not np.array_equal(one.parameters.vector, before)
    np.testing.assert_array_equal(one.parameters.vector, two.parameters.vector)
    one.set_weights([0 * w for w in one.get_weights()])
    assert two.parameters.vector.any()  # it has weights of its own


@pytest.mark.parametrize("how", COPY)
@pytest.mark.parametrize("name", LAYERS)
def test_a_trained_model_is_copied_whole(name, how):
    rng = np.random.default_rng(0)
    x, y = rng.random((20, *shape_for(name))), rng.random((20, 2))
    model = model_with(name)
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(x, y, epochs=2, batch_size=8, verbose=0, seed=1)
    again = COPY[how](model)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    check_learns_on_alike(model, again, x, y)


@pytest.mark.parametrize("how", COPY)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_copied_with_what_it_remembers(name, how):
    model = Sequential([Input((8,)), Dense(4, "tanh", seed=0), Dense(8, seed=1)])
    model.compile(OPTIMIZERS[name](), "mse")
    model.fit(X, X, epochs=2, verbose=0, seed=0)
    again = COPY[how](model)
    assert again.optimizer.iterations == model.optimizer.iterations
    check_learns_on_alike(model, again, X, X)


@pytest.mark.parametrize("how", COPY)
def test_copies_of_several_that_share_weights_share_them(how):
    x = Input((8,))
    code = Dense(3, seed=0)(x)
    whole, encoder = Model(x, Dense(8, seed=1)(code)), Model(x, code)
    whole.compile("sgd", "mse")
    whole.fit(X, X, verbose=0, seed=0)
    gradients = whole.new_gradients()
    gradients.vector[...] = np.arange(gradients.vector.size)
    whole, encoder, gradients = COPY[how]((whole, encoder, gradients))
    before = encoder.predict(X)
    whole.fit(X, X, verbose=0, seed=0)
    assert not np.array_equal(encoder.predict(X), before)
    np.testing.assert_array_equal(encoder.predict(X), Model(whole.input, encoder.output).predict(X))
    parameter = whole.layers[0].W
    np.testing.assert_array_equal(gradients[parameter], np.arange(24).reshape(8, 3))


@pytest.mark.parametrize("how", COPY)
@pytest.mark.parametrize("name", METHODS)
def test_a_fitted_method_is_copied(name, how):
    method = make(name).fit(X)
    again = COPY[how](method)
    np.testing.assert_array_equal(again.transform(X), method.transform(X))
    assert again.get_params() == method.get_params() and again.history_ == method.history_
    np.testing.assert_array_equal(again.fit(X).transform(X), method.transform(X))


@pytest.mark.parametrize("how", COPY)
def test_a_callback_is_copied_without_its_run(how):
    model = Sequential([Input((8,)), Dense(8, seed=1)])
    model.compile("sgd", "mse")
    callbacks = [EarlyStopping("loss", 0, 3, restore_best_weights=True), ReduceLROnPlateau("loss")]
    history = model.fit(X, X, epochs=4, verbose=0, callbacks=callbacks)
    for callback in (*callbacks, history):
        again = COPY[how](callback)
        assert not hasattr(again, "trainer")
        assert str(again.state_dict()) == str(callback.state_dict())
    assert isinstance(history, History)


@pytest.mark.parametrize("how", COPY)
def test_a_thousand_layers_are_no_problem(how):
    x = y = Input((2,))
    for _ in range(1000):
        y = Dense(2)(y)
    again = COPY[how](Model(x, y))
    assert len(again.layers) == 1000


def test_weights_that_came_read_only_are_copied(monkeypatch):
    """joblib hands large arrays to its workers as read-only memory maps."""
    model = Sequential([Input((8,)), Dense(8, seed=1)])
    model.compile("adam", "mse")
    model.fit(X, X, verbose=0)
    buffers = []
    data = pickle.dumps(model, protocol=5, buffer_callback=buffers.append)
    again = pickle.loads(data, buffers=[bytes(b) for b in buffers])
    again.initialize(0)
    again.fit(X, X, verbose=0)


def test_a_cache_is_pickled_with_its_function():
    x = np.ones((2, 3))
    _, cache = dense_forward(x, np.ones((3, 2)), None, "tanh")
    dx, _, _ = dense_forward.backward(np.ones((2, 2)), pickle.loads(pickle.dumps(cache)))
    assert dx.shape == x.shape
