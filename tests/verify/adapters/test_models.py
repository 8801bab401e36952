"""Whole models: the first wrong layer is named, and gradients have to be added."""

from __future__ import annotations

import numpy as np

from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.verify import gradcheck

RNG = np.random.default_rng(0)


class Careless(Dense):
    """Forgets a factor on the way down."""

    def backward(self, dy, cache, grads, need_dx=True):
        dx = super().backward(dy, cache, grads, need_dx)
        return None if dx is None else 0.9 * dx


def test_the_first_wrong_layer_is_named():
    x = Input((3,), dtype="float64")
    h = Dense(4, "tanh", seed=0, name="fine")(x)
    h = Careless(4, "tanh", seed=1, name="careless")(h)
    model = Model(x, Dense(2, seed=2, name="also_fine")(h))
    report = gradcheck(model, RNG.standard_normal((5, 3)))
    assert report.verdict == "fail"
    assert report.notes[0].startswith("the first wrong layer is careless")
    model.compile("sgd", "mse")
    report = gradcheck(model, RNG.standard_normal((5, 3)), RNG.standard_normal((5, 2)))
    assert report.verdict == "fail"
    assert "the first wrong layer is careless" in str(report)


class Overwriting(Dense):
    """Right when it is used once: it writes its gradients where it should add them."""

    def backward(self, dy, cache, grads, need_dx=True):
        if grads is not None:
            grads[self.W][...] = 0
        return super().backward(dy, cache, grads, need_dx)


def test_a_layer_that_does_not_add_its_gradients():
    report = gradcheck(Overwriting(4, "tanh", seed=0), RNG.standard_normal((5, 3)))
    assert all(t.verdict == "pass" for t in report.tensors)
    assert report.problems == [
        "the gradient of W is written over what was there, instead of added to it: a layer that is "
        "used twice would lose a use"
    ]
