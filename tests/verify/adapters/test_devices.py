"""The checker on arrays of a device: it computes there, and judges as it does on the host."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.arrays import get_array_module, to_numpy
from minienc.functions import dense_backward, dense_forward
from minienc.layers import BatchNormalization, Dense, Dropout, Input
from minienc.models import Model, clone_model
from minienc.training.losses import get_loss
from minienc.verify import SubjectError, assert_gradients, gradcheck, numerical_gradient
from tests.guard_array import GuardArray, to_guard

RNG = np.random.default_rng(5)


def normal(*shape):
    return RNG.standard_normal(shape)


x, W, b = normal(5, 3), normal(3, 4), normal(4)


def classifier():
    inputs = Input((3,), dtype="float64")
    h = Dropout(0.3)(BatchNormalization()(Dense(4, "tanh", seed=1)(inputs)))
    return Model(inputs, Dense(3, "softmax", seed=2)(h))


def test_a_pair_is_checked_where_its_arrays_live():
    report = gradcheck(dense_forward, dense_backward, *to_guard((x, W, b)), activation="tanh")
    assert report, report
    assert report.device == "guard" and "dense_forward on guard" in str(report)
    here = gradcheck(dense_forward, dense_backward, x, W, b, activation="tanh")
    assert here.device == "cpu" and " on " not in here.title
    assert {t.name: t.shape for t in here.tensors} == {t.name: t.shape for t in report.tensors}


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda dx, dW, db: (dx, 1.001 * dW, db), "W"),
        (lambda dx, dW, db: (dx, dW, -db), "b"),
        (lambda dx, dW, db: (None, dW, db), "x"),
        (lambda dx, dW, db: (to_numpy(dx), dW, db), "the gradient of x lives on cpu"),
    ],
)
def test_a_mistake_is_seen_there(spoil, says):
    def backward(dy, cache):
        return spoil(*dense_backward(dy, cache))

    report = gradcheck(dense_forward, backward, *to_guard((x, W, b)), activation="tanh")
    assert report.verdict == "fail" and says in str(report)


def test_the_laws_hold_for_the_arrays_of_the_device():
    def shares(x):
        return 1 * x, x

    report = gradcheck(shares, lambda dy, cache: dy, to_guard(x))
    assert "shares memory with the cotangent" in str(report)

    def writes(dy, cache):
        dy *= 2
        return dy / 2

    assert "writes into the cotangent" in str(gradcheck(shares, writes, to_guard(x)))


def test_numpy_in_the_place_of_the_array_module_stops_the_check():
    def forward(x):
        y = np.tanh(x)
        return y, y

    with pytest.raises(TypeError, match=r"np\.tanh was called on an array of the device"):
        gradcheck(forward, lambda dy, y: dy * (1 - y * y), to_guard(x))


def test_layers_models_losses_and_objects():
    model = classifier().to("guard")
    assert_gradients(model, to_guard(x))
    model.compile("adam", "sparse_categorical_crossentropy")
    report = gradcheck(model, x, RNG.integers(0, 3, 5))
    assert report and report.device == "guard"
    assert_gradients(Dense(4, "gelu"), to_guard(x))
    p = np.abs(x) / np.abs(x).sum(axis=1, keepdims=True)
    assert gradcheck(get_loss("kl_divergence"), *to_guard((p, p[::-1].copy()))).device == "guard"

    class Affine:
        def __init__(self):
            self.W, self.dW = to_guard(normal(3, 2)), None

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, dy):
            self.dW = self.x.T @ dy
            return dy @ self.W.T

    assert_gradients(Affine(), to_guard(x))


def test_weights_are_left_where_they_were():
    model = classifier().to("guard")
    before = to_numpy(model.parameters.vector).copy()
    gradcheck(model, to_guard(x))
    assert model.device == "guard"
    np.testing.assert_array_equal(to_numpy(model.parameters.vector), before)
    assert gradcheck(clone_model(model).to("cpu"), x).device == "cpu"


def test_two_devices_are_refused_by_name():
    with pytest.raises(SubjectError, match="argument 1 on guard, argument 2 on cpu"):
        gradcheck(dense_forward, dense_backward, to_guard(x), W, b)
    with pytest.raises(SubjectError, match=r"lives on guard and the weights of .* on cpu"):
        gradcheck(classifier(), to_guard(x))


def test_the_slow_gradient_there():
    def f(x):
        return get_array_module(x).sin(x) * x

    there = numerical_gradient(f, to_guard(x), to_guard(np.ones((5, 3))))
    assert isinstance(there, GuardArray)
    np.testing.assert_allclose(to_numpy(there), np.cos(x) * x + np.sin(x), rtol=1e-8)
