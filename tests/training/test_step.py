"""One step of a learner: its parts in their order, and the seam between backward and update."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from minienc.arrays import on_device, to_numpy
from minienc.layers import BatchNormalization, Dense, Dropout, Input
from minienc.models import Model, clone_model
from minienc.training.optimizers import SGD, Adam
from minienc.training.step import Learner, NonFiniteError, Objective
from tests.guard_array import GuardArray, to_guard

RNG = np.random.default_rng(0)
X = RNG.random((12, 4))


def network(*middle):
    x = Input((4,), dtype="float64")
    h = Dense(5, "tanh", seed=0)(x)
    for layer in middle:
        h = layer(h)
    return Model(x, Dense(4, "sigmoid", seed=1)(h))


def learner_of(model, optimizer, **more):
    model.compile(optimizer, "binary_crossentropy")
    return Learner(model, model.objective, optimizer, **more)


def rng():
    return np.random.default_rng(7)


def test_the_parts_come_in_their_order(monkeypatch):
    said = []
    learner = learner_of(
        network(BatchNormalization()), SGD(0.1), exchange=lambda g: said.append("exchange")
    )
    for owner, name in (
        (learner.objective, "forward"),
        (learner.objective, "backward"),
        (learner.objective, "updates"),
        (learner.optimizer, "step"),
    ):
        right = getattr(owner, name)
        monkeypatch.setattr(
            owner, name, lambda *a, right=right, name=name: (said.append(name), right(*a))[1]
        )
    numbers = learner.step((X, X), rng())
    assert said == ["forward", "backward", "exchange", "step", "updates"]
    assert list(numbers) == ["loss"] and np.isfinite(numbers["loss"])


def test_a_step_is_what_fit_does():
    one = network(Dropout(0.2))
    two = clone_model(one)
    learner = learner_of(one, Adam(0.01))
    noise = np.random.default_rng([3, 0, 1])  # fit's, in the first epoch of seed 3
    for part in (slice(0, 6), slice(6, 12)):
        learner.step((X[part], X[part]), noise)
    two.compile(Adam(0.01), "binary_crossentropy")
    two.fit(X, X, batch_size=6, shuffle=False, seed=3, verbose=0)
    np.testing.assert_array_equal(one.parameters.vector, two.parameters.vector)


def test_nothing_changes_where_the_loss_is_not_finite():
    learner = learner_of(network(BatchNormalization()), Adam(0.01))
    learner.step((X, X), rng())
    before = {n: v.copy() for n, v in learner.optimizer.remembered.items()}
    vector, bad = learner.parameters.vector.copy(), X.copy()
    bad[3, 1] = np.nan
    noise = rng()
    with pytest.raises(NonFiniteError, match=r"the loss is nan; it first appears in the output of"):
        learner.step((bad, X), noise)
    np.testing.assert_array_equal(learner.parameters.vector, vector)
    assert learner.optimizer.iterations == 1
    for name, array in before.items():
        np.testing.assert_array_equal(learner.optimizer.remembered[name], array)


def test_it_goes_on_where_another_model_has_gathered_the_weights():
    model = network()
    learner = learner_of(model, SGD(0.1))
    encoder = Model(model.input, model.layers[0](model.input))
    vector = encoder.parameters.vector.copy()
    learner.step((X, X), rng())
    assert learner.parameters.is_home and np.any(encoder.get_weights()[0].ravel() != vector[:20])


def test_it_goes_on_where_the_network_has_moved_to_another_device():
    here, there = (learner_of(network(BatchNormalization()), Adam(0.01)) for _ in range(2))
    for learner in (here, there):
        learner.step((X, X), rng())
    there.network.to("guard")
    here.step((X, X), rng())
    with on_device("guard"):
        there.step((to_guard(X), to_guard(X)), rng())
    assert there.parameters.is_home and isinstance(there.gradients.vector, GuardArray)
    assert there.parameters is there.network.parameters
    moved = to_numpy(there.parameters.vector)
    np.testing.assert_allclose(moved, here.parameters.vector, rtol=1e-9, atol=1e-12)


def test_the_exchange_is_given_the_gradient_and_the_update_takes_what_it_leaves():
    found = []

    def halve(gradients):
        found.append(gradients.vector.copy())
        gradients.vector[...] /= 2

    learner = learner_of(network(), SGD(0.5), exchange=halve)
    before = learner.parameters.vector.copy()
    _, cache = learner.objective.forward((X, X))
    grads = learner.network.new_gradients()
    learner.objective.backward(1.0, cache, grads)
    learner.step((X, X), rng())
    np.testing.assert_array_equal(found[0], grads.vector)
    np.testing.assert_allclose(before - learner.parameters.vector, 0.25 * found[0], atol=1e-15)


class Pair:
    """Two learners that exchange their gradients, each in a thread of its own."""

    def __init__(self, optimizer):
        self.meeting, self.gradients = threading.Barrier(2), [None, None]
        model = network()
        self.learners = [
            learner_of(clone_model(model), optimizer(), exchange=lambda g, k=k: self.exchange(k, g))
            for k in range(2)
        ]
        self.alone = learner_of(clone_model(model), optimizer())

    def exchange(self, k, gradients):
        self.gradients[k] = gradients.vector.copy()
        self.meeting.wait(20)
        gradients.vector[...] = (self.gradients[0] + self.gradients[1]) / 2
        self.meeting.wait(20)

    def step(self, x):
        halves = x[: len(x) // 2], x[len(x) // 2 :]
        threads = [
            threading.Thread(target=learner.step, args=((half, half), rng()))
            for learner, half in zip(self.learners, halves, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.alone.step((x, x), rng())


@pytest.mark.parametrize("optimizer", [lambda: SGD(0.5, 0.9), lambda: Adam(0.01)])
def test_two_halves_that_exchange_are_as_one_whole(optimizer):
    pair = Pair(optimizer)
    first = pair.alone.parameters.vector.copy()
    for _ in range(5):
        pair.step(RNG.random((10, 4)))
    assert np.abs(pair.alone.parameters.vector - first).max() > 1e-3
    for learner in pair.learners:
        np.testing.assert_allclose(
            learner.parameters.vector, pair.alone.parameters.vector, rtol=0, atol=1e-12
        )


def test_an_objective_of_ones_own():
    """Least squares, written out: y = x W, loss = mean |y - t|^2 / 2."""
    x = Input((4,), dtype="float64")
    dense = Dense(2, use_bias=False, seed=0)
    model = Model(x, dense(x))

    class LeastSquares(Objective):
        names = ("loss", "largest")
        uses_rng = False

        def forward(self, batch, rng=None):
            x, t = batch
            y, cache = model.forward(x)
            e = y - t
            return ((e * e).sum() / (2 * len(x)), abs(e).max()), (cache, e)

        def backward(self, dloss, cache, grads):
            cache, e = cache
            model.backward(dloss * e / len(e), cache, grads, need_dx=False)

    W = RNG.standard_normal((4, 2))
    learner = Learner(model, LeastSquares(), SGD(0.5))
    for _ in range(800):
        numbers = learner.step((X, X @ W), rng())
    assert set(numbers) == {"loss", "largest"} and numbers["largest"] < 1e-3
    np.testing.assert_allclose(dense.W.value, W, atol=1e-2)


def test_what_it_takes_back_lies_where_what_it_has_lies():
    """Best weights out of a checkpoint come as NumPy's, wherever the learner computes."""
    arrays = {"seen": to_guard(np.zeros(3))}
    learner = learner_of(network(), SGD(0.1), arrays=arrays)
    learner.network.to("guard")
    kept = {"": np.ones(learner.parameters.vector.shape), "seen": np.arange(3.0)}
    with on_device("guard"):
        learner.set_weights(kept)
    assert isinstance(learner.arrays["seen"], GuardArray) and learner.arrays is arrays
    np.testing.assert_array_equal(to_numpy(learner.arrays["seen"]), kept["seen"])
    np.testing.assert_array_equal(to_numpy(learner.network.parameters.vector), kept[""])
    learner.arrays["seen"][...] = 7
    assert kept["seen"][1] == 1, "what was given stays as it was"
