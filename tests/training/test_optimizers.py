"""Optimisers: one step is the formula, a trajectory an independent reference's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minienc.functions.optimizers import orthogonalized
from minienc.layers import Dense, Input
from minienc.layers.parameters import Gradients, Parameters
from minienc.models import Model, Sequential
from minienc.training.optimizers import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Lion,
    Muon,
    RMSprop,
    get_optimizer,
)
from minienc.training.schedules import CosineDecay, ExponentialDecay, PiecewiseConstantDecay

RNG = np.random.default_rng(0)


def slow(name, w, gs, lr, **k):
    """Each algorithm on one Python number, straight from its formula."""
    s = v = m = 0.0
    if name == "adagrad":
        s = 0.1
    for t, g in enumerate(gs, 1):
        if name == "sgd":
            v = k.get("momentum", 0) * v - lr * g
            w += k["momentum"] * v - lr * g if k.get("nesterov") else v
        elif name == "rmsprop":
            s = 0.9 * s + 0.1 * g * g
            v = k.get("momentum", 0) * v + lr * g / math.sqrt(s + 1e-7)
            w -= v
        elif name == "adagrad":
            s += g * g
            w -= lr * g / math.sqrt(s + 1e-7)
        elif name == "lion":
            c = 0.9 * m + 0.1 * g
            w -= lr * (math.copysign(1, c) + k["weight_decay"] * w)
            m = 0.99 * m + 0.01 * g
        else:
            if name == "adamw":
                w -= lr * 0.004 * w
            m = 0.9 * m + 0.1 * g
            v = 0.999 * v + 0.001 * g * g
            a = lr * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            w -= a * m / (math.sqrt(v) + 1e-7)
    return w


VARIANTS = [
    (SGD(0.1), "sgd", {}),
    (SGD(0.1, momentum=0.9), "sgd", {"momentum": 0.9}),
    (SGD(0.1, momentum=0.9, nesterov=True), "sgd", {"momentum": 0.9, "nesterov": True}),
    (RMSprop(0.1), "rmsprop", {}),
    (RMSprop(0.1, momentum=0.5), "rmsprop", {"momentum": 0.5}),
    (Adagrad(0.1), "adagrad", {}),
    (Adam(0.1), "adam", {}),
    (AdamW(0.1), "adamw", {}),
    (Lion(0.1, weight_decay=0.01), "lion", {"weight_decay": 0.01}),
]


def vectors(dtype="float64"):
    """The flat vectors of a small model, and gradients for them."""
    model = Sequential([Input((3,), dtype=dtype), Dense(2, "tanh", seed=0), Dense(3, seed=1)])
    return Parameters(model.named_parameters()), Gradients(model.named_parameters())


def fresh(optimizer):
    return type(optimizer)(**optimizer.get_config())


@pytest.mark.parametrize(("optimizer", "name", "options"), VARIANTS)
def test_a_trajectory_is_that_of_the_formula(optimizer, name, options):
    optimizer = fresh(optimizer)
    parameters, grads = vectors()
    start = parameters.vector.copy()
    steps = RNG.standard_normal((7, start.size))
    for g in steps:
        grads.vector[:] = g
        optimizer.step(parameters, grads)
        np.testing.assert_array_equal(grads.vector, g)  # not written to
    expected = [slow(name, w, gs, 0.1, **options) for w, gs in zip(start, steps.T, strict=True)]
    np.testing.assert_allclose(parameters.vector, expected, rtol=1e-11)
    assert optimizer.iterations == 7


def test_by_hand():
    """One step of Adam on w = 1, g = 2: m = 0.2, v = 0.004, a = 0.1 sqrt(0.001) / 0.1, so w goes
    down by a m / sqrt(v) = 0.0316 * 0.2 / 0.0632 = 0.1: the learning rate, whatever g is."""
    parameters, grads = vectors()
    parameters.vector[:] = 1.0
    grads.vector[:] = 2.0
    Adam(0.1).step(parameters, grads)
    np.testing.assert_allclose(parameters.vector, 0.9, atol=1e-6)


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adagrad", "Adam", "AdamW"])
def test_torch_agrees_where_its_formula_is_the_same(name):
    torch = pytest.importorskip("torch")
    ours, theirs = {
        "SGD": (SGD(0.1, momentum=0.9, nesterov=True), dict(lr=0.1, momentum=0.9, nesterov=True)),
        "RMSprop": (RMSprop(0.1, epsilon=1e-300), dict(lr=0.1, alpha=0.9, eps=1e-300)),
        "Adagrad": (
            Adagrad(0.1, epsilon=1e-300),
            dict(lr=0.1, initial_accumulator_value=0.1, eps=1e-300),
        ),
        "Adam": (Adam(0.1, epsilon=1e-300), dict(lr=0.1, eps=1e-300)),
        "AdamW": (AdamW(0.1, epsilon=1e-300), dict(lr=0.1, eps=1e-300, weight_decay=0.004)),
    }[name]
    parameters, grads = vectors()
    w = torch.tensor(parameters.vector.copy(), requires_grad=True)
    reference = getattr(torch.optim, name)([w], **theirs)
    for _ in range(10):
        grads.vector[:] = RNG.standard_normal(grads.vector.size)
        w.grad = torch.tensor(grads.vector.copy())
        reference.step()
        ours.step(parameters, grads)
    np.testing.assert_allclose(parameters.vector, w.detach().numpy(), rtol=1e-10)


@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (4, 4), (1, 5)])
@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_moves_a_matrix_along_its_singular_directions(shape, nesterov):
    """Beside the decomposition itself: the iteration's polynomial, five times, of each value."""
    x = Input((shape[0],), dtype="float64")
    model = Model(x, Dense(shape[1], use_bias=False, name="matrix", seed=0)(x))
    parameters, grads = Parameters(model.named_parameters()), model.new_gradients()
    optimizer = Muon(0.1, nesterov=nesterov, weight_decay=0.2)
    W, m = parameters.vector.reshape(shape).copy(), np.zeros(shape)
    for _ in range(3):
        G = RNG.standard_normal(shape)
        grads.vector[:] = G.ravel()
        optimizer.step(parameters, grads)
        m = 0.95 * m + G
        U, S, Vt = np.linalg.svd(G + 0.95 * m if nesterov else m, full_matrices=False)
        S = S / (np.sqrt((S * S).sum()) + 1e-7)
        for _ in range(5):
            S = 3.4445 * S - 4.7750 * S**3 + 2.0315 * S**5
        W -= 0.1 * (max(1, shape[1] / shape[0]) ** 0.5 * (U * S) @ Vt + 0.2 * W)
    np.testing.assert_allclose(parameters.vector, W.ravel(), rtol=1e-9)


def test_what_is_orthogonalized_has_singular_values_near_1():
    G = RNG.standard_normal((64, 32)) * np.logspace(0, -1.5, 32)
    values = np.linalg.svd(orthogonalized(G), compute_uv=False)
    assert values.min() > 0.5 and values.max() < 1.3


def test_muon_leaves_vectors_and_what_is_excluded_to_adamw():
    x = Input((3,), dtype="float64")
    hidden = Dense(4, "tanh", name="hidden", seed=0)(x)
    model = Model(x, Dense(2, name="head", seed=1)(hidden))
    parameters, grads = Parameters(model.named_parameters()), model.new_gradients()
    start = parameters.vector.copy()
    muon = Muon(0.1, weight_decay=0.2)
    adam = AdamW(0.01, beta_2=0.95, weight_decay=0.2)
    grads.vector[:] = RNG.standard_normal(start.size)
    muon.step(parameters, grads)
    by_muon = {name: a.copy() for name, a in parameters.items()}
    parameters.vector[:] = start
    adam.step(parameters, grads)
    for name, a in parameters.items():
        assert np.allclose(a, by_muon[name], rtol=1e-9) == (name != "hidden/W")


@pytest.mark.parametrize(("optimizer", "name", "options"), VARIANTS)
def test_float32_stays_float32(optimizer, name, options):
    optimizer = fresh(optimizer)
    parameters, grads = vectors("float32")
    grads.vector[:] = RNG.standard_normal(grads.vector.size)
    optimizer.step(parameters, grads)
    state = [v for v in optimizer.state_dict().values() if isinstance(v, np.ndarray)]
    assert {parameters.vector.dtype, *(v.dtype for v in state)} == {np.dtype("float32")}


def test_frozen_parameters_are_untouched_and_multipliers_scale():
    parameters, grads = vectors()
    W1, _, W2, b2 = parameters
    W1.trainable = b2.trainable = False
    W2.learning_rate_multiplier = 0.5
    before = parameters.vector.copy()
    grads.vector[:] = 1.0
    SGD(0.1).step(parameters, grads)
    moved = (before - parameters.vector).round(12)
    expected = np.concatenate([np.zeros(6), np.full(2, 0.1), np.full(6, 0.05), np.zeros(3)])
    np.testing.assert_allclose(moved, expected)


def test_clipping_is_by_the_norm_of_what_may_move():
    parameters, grads = vectors()
    next(iter(parameters)).trainable = False
    grads.vector[:] = 100.0
    grads.vector[6:] = 3.0
    before = parameters.vector.copy()
    SGD(1.0, global_clipnorm=1.0).step(parameters, grads)
    moved = before - parameters.vector
    assert np.linalg.norm(moved) == pytest.approx(1)
    grads.vector[:] = 1e-3
    before = parameters.vector.copy()
    SGD(1.0, global_clipnorm=1.0).step(parameters, grads)
    np.testing.assert_allclose((before - parameters.vector)[6:], 1e-3)


@pytest.mark.parametrize(("optimizer", "name", "options"), VARIANTS)
def test_a_state_taken_back_goes_on_with_the_same_bits(optimizer, name, options):
    steps = RNG.standard_normal((6, 17))
    runs = []
    for break_at in (None, 3):
        one = fresh(optimizer)
        parameters, grads = vectors()
        for i, g in enumerate(steps):
            if i == break_at:
                state = one.state_dict()
                one = fresh(optimizer)
                one.load_state_dict(state)
            grads.vector[:] = g
            one.step(parameters, grads)
        runs.append(parameters.vector.tobytes())
    assert runs[0] == runs[1]


def test_an_optimizer_belongs_to_one_model():
    optimizer = Adam()
    parameters, grads = vectors()
    optimizer.step(parameters, grads)
    x = Input((4,), dtype="float64")
    other = Model(x, Dense(2)(x))
    with pytest.raises(ValueError, match="make a new one for each model"):
        optimizer.step(Parameters(other.named_parameters()), Gradients(other.named_parameters()))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: SGD(-0.1),
        lambda: Adam(float("nan")),
        lambda: Adam(beta_1=1.0),
        lambda: SGD(momentum=-0.1),
        lambda: AdamW(weight_decay=-1),
        lambda: Adam("fast"),
        lambda: Adam(global_clipnorm=0),
        lambda: Lion(beta_2=1.0),
        lambda: Muon(ns_steps=0),
        lambda: get_optimizer("adan"),
    ],
)
def test_bad_hyper_parameters_are_refused_where_they_enter(wrong):
    with pytest.raises(ValueError, match="expected"):
        wrong()


# --------------------------------------------------------------------------------------- schedules


def test_a_schedule_is_followed_step_by_step():
    parameters, grads = vectors()
    optimizer = SGD(ExponentialDecay(0.1, 1, 0.5))
    grads.vector[:] = 1.0
    for rate in (0.1, 0.05, 0.025):
        before = parameters.vector.copy()
        assert optimizer.current_learning_rate == pytest.approx(rate)
        optimizer.step(parameters, grads)
        np.testing.assert_allclose(before - parameters.vector, rate)


def test_the_schedules_formulas():
    steps = PiecewiseConstantDecay([2, 5], [1.0, 0.5, 0.1])
    assert [steps(i) for i in range(7)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.1]
    decay = ExponentialDecay(1.0, 10, 0.5, staircase=True)
    assert [decay(i) for i in (0, 9, 10, 25)] == [1, 1, 0.5, 0.25]
    assert ExponentialDecay(1.0, 10, 0.5)(5) == pytest.approx(0.5**0.5)
    cosine = CosineDecay(0.0, 100, alpha=0.1, warmup_target=1.0, warmup_steps=10)
    assert [cosine(i) for i in (0, 5, 10)] == pytest.approx([0, 0.5, 1])
    assert cosine(60) == pytest.approx(0.9 * 0.5 + 0.1)
    assert cosine(110) == cosine(1000) == pytest.approx(0.1)
    assert CosineDecay(2.0, 10)(5) == pytest.approx(1)
    for schedule in (steps, decay, cosine):
        again = type(schedule)(**schedule.get_config())
        assert [again(i) for i in range(120)] == [schedule(i) for i in range(120)]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: PiecewiseConstantDecay([1], [1.0]),
        lambda: PiecewiseConstantDecay([2, 1], [1.0, 1.0, 1.0]),
        lambda: ExponentialDecay(0.1, 0, 0.5),
        lambda: CosineDecay(0.1, 10, alpha=2),
    ],
)
def test_bad_schedules_are_refused(wrong):
    with pytest.raises(ValueError):
        wrong()
