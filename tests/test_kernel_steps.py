"""Steps by plans, several in a call: the same numbers as the calls made one after another."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

kernels = pytest.importorskip("minienc._kernels")

N, D = 6, 4  # rows of a batch, numbers of a row


class Descent:
    """A plan that finds the mean squared error of a batch x (N, D), and an update that moves w
    against a gradient that stays: all that a step needs, each part by itself."""

    def __init__(self, operation="adam", dtype="float32", n=D, clipnorm=0.0, constants=None):
        rng = np.random.default_rng(0)
        self.clipnorm = 0.0
        self.x, self.target = np.zeros((N, D), dtype), np.full((N, D), 0.25, dtype)
        self.w = rng.standard_normal(n).astype(dtype)
        self.g = rng.standard_normal(n).astype(dtype)
        self.a, self.b = np.zeros(n, dtype), np.zeros(n, dtype)
        self.code = kernels.step_codes[operation]
        self.constants = constants or {
            "sgd": [], "momentum": [0.9], "nesterov": [0.9], "rmsprop": [0.9, 1 - 0.9, 1e-7],
            "adagrad": [1e-7], "adam": [0.9, 0.999, 1e-7], "adamw": [0.9, 0.999, 1e-7, 0.01],
        }[operation]  # fmt: skip
        squared = kernels.loss_codes["squared"][0]
        self.plan = noted(
            kernels.Plan(), lambda: kernels.reduced_loss(self.x, self.target, squared, True)
        )
        self.update = noted(kernels.Plan(only_notes=True), lambda: self.move(1, 1.0))
        self.steps = kernels.Steps(self.plan, self.update, [1.0], 0, dtype == "float32", [])
        self.clipnorm = clipnorm

    def numbers(self, step, rate):
        """As ``fast/pointwise.py`` has them: what is behind the scale, the factor, epsilon."""
        c = self.constants
        if self.code >= kernels.step_codes["adam"]:
            factor = rate * math.sqrt(1 - c[1] ** step) / (1 - c[0] ** step)
            numbers = [c[0], 1 - c[0], c[1], 1 - c[1], factor, c[2]]
            return numbers + [rate * wd for wd in c[3:]], factor, c[2]
        has_epsilon = self.code >= kernels.step_codes["rmsprop"]
        return [rate, *c], rate, c[-1] if has_epsilon else 1

    def move(self, step, rate):
        numbers, factor, epsilon = self.numbers(step, rate)
        scale = 1.0
        if self.clipnorm:
            norm = math.sqrt(kernels.sum_of_squares(self.g))
            scale = self.clipnorm / norm if norm > self.clipnorm else 1.0
        arrays = self.w, self.g, self.a, self.b
        assert kernels.optimizer_step(self.code, *arrays, (scale, *numbers), factor, epsilon)

    def state(self):
        return [a.tobytes() for a in (self.w, self.a, self.b)]


def noted(plan, compute):
    with plan.workspace:
        plan.start()
        try:
            compute()
        finally:
            plan.stop()
    return plan


@pytest.mark.parametrize("clipnorm", [0.0, 0.5, 1e3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("operation", kernels.step_codes)
def test_an_update_is_the_optimizers_step_to_the_bit(operation, dtype, clipnorm):
    one, other = (Descent(operation, dtype, clipnorm=clipnorm) for _ in range(2))
    assert one.state() == other.state()  # noting has moved nothing
    for step in range(1, 6):
        rate = 0.1 / step
        numbers, error = one.steps.once(step, rate, clipnorm)
        assert error == 0
        assert numbers[0] == np.float32(0.0625)
        other.move(step, rate)
        assert one.state() == other.state()


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 5])
def test_a_norm_is_the_sum_of_blocks_in_their_order_on_any_threads(threads):
    before = kernels.get_num_threads()
    kernels.set_num_threads(threads)
    try:
        one, other = (Descent("adamw", n=100_000, clipnorm=0.5) for _ in range(2))
        for step in (1, 2):
            one.steps.once(step, 0.1, 0.5)
            other.move(step, 0.1)
        assert one.state() == other.state()
    finally:
        kernels.set_num_threads(before)


@given(
    step=st.integers(1, 10**7),
    rate=st.floats(0, 1e3),
    beta_1=st.floats(0, 0.9999),
    beta_2=st.floats(0, 0.99999),
    epsilon=st.sampled_from([1e-7, 1e-12, 1e-20, 0.0]),
)
@settings(max_examples=200, deadline=None)
def test_what_adam_makes_of_a_steps_number_is_what_python_makes_of_it(
    step, rate, beta_1, beta_2, epsilon
):
    constants = [beta_1, beta_2, epsilon]
    one, other = (Descent("adam", "float64", constants=constants) for _ in range(2))
    one.steps.once(step, rate, 0.0)
    other.move(step, rate)
    assert one.state() == other.state()


def as_parts(rng, n_rows, n):
    return [rng.integers(0, n_rows, N) for _ in range(n)]


@pytest.mark.parametrize(
    ("of", "to"),
    [
        ("float32", "float32"),
        ("float64", "float64"),
        ("uint8", "float32"),
        ("uint8", "float64"),
        ("int32", "float32"),
        ("int32", "float64"),
        ("float32", "float64"),
        ("float64", "float32"),
    ],
)
def test_a_run_is_the_same_as_its_steps(of, to):
    rng = np.random.default_rng(1)
    data = (rng.random((30, D)) * 200).astype(of)
    one, other = (Descent("adam", to) for _ in range(2))
    parts, rates = as_parts(rng, 30, 9), list(np.linspace(0, 0.1, 9))
    (losses,) = one.steps.run([data], [one.x], parts, 1, rates, 0.0, 10.0)
    expected = []
    for i, part in enumerate(parts):
        other.x[...] = data[part]
        numbers, _ = other.steps.once(1 + i, rates[i], 0.0)
        expected += numbers
    assert losses == expected and len(set(losses)) == 9
    assert one.state() == other.state()
    assert one.x.tobytes() == other.x.tobytes()
    if to == "float32":
        assert losses == [float(np.float32(loss)) for loss in losses]


def test_rows_of_several_axes_on_several_threads():
    data = np.random.default_rng(0).random((40, 50, 80), dtype="float32")
    made = Descent()
    room = np.zeros((N, 50, 80), "float32")  # 96 KB, and
    large = np.zeros((N, 200, 80), "float32")  # 384 KB
    part = np.array([3, 39, 0, 3, 17, 22])
    for own, source in ((room, data), (large, data.reshape(10, 200, 80))):
        rows = part % len(source)
        assert made.steps.run([source], [own], [rows], 1, [0.1], 0.0, 1.0) is not None
        assert own.tobytes() == source[rows].tobytes()


def test_it_stops_before_a_step_that_cannot_be_made():
    data = np.zeros((10, D), "float32")
    data[7] = np.inf
    good, bad, none = np.arange(N), np.array([0, 1, 2, 3, 4, 7]), np.array([0, 1, 2, 3, 4, 10])
    for wrong in (bad, none, -1 - good):
        one, other = Descent(), Descent()
        rates = [0.1] * 4
        (losses,) = one.steps.run([data], [one.x], [good, good, wrong, good], 1, rates, 0, 10.0)
        assert len(losses) == 2
        other.steps.run([data], [other.x], [good, good], 1, rates[:2], 0, 10.0)
        assert one.state() == other.state()
    one.x[...] = np.nan
    before = one.state()
    numbers, error = one.steps.once(1, 0.1, 0.0)
    assert np.isnan(numbers[0]) and error == kernels.loss_is_not_finite
    assert one.state() == before


def test_a_loss_that_float32_cannot_hold_is_not_finite():
    one = Descent()
    one.x[...] = 3e38
    assert one.steps.once(1, 0.1, 0.0)[1] == kernels.loss_is_not_finite
    one = Descent(dtype="float64")
    one.x[...] = 3e38
    assert one.steps.once(1, 0.1, 0.0)[1] == 0


def test_it_comes_back_when_its_time_is_over():
    data, made = np.zeros((10, D), "float32"), Descent()
    parts = [np.arange(N)] * 60
    (losses,) = made.steps.run([data], [made.x], parts, 1, [0.1] * 60, 0.0, 0.0)
    assert len(losses) == 1


def test_what_must_be_zero_is_zero_before_each_step():
    made = Descent()
    total = np.ones(3, "float32")
    steps = kernels.Steps(made.plan, made.update, [1.0], 0, True, [total])
    steps.once(1, 0.1, 0.0)
    assert not total.any()


def test_what_is_not_served_is_left_alone():
    made = Descent()
    data, part = np.zeros((10, D), "float32"), np.arange(N)
    run = made.steps.run
    before = made.state()
    for source in (
        data.astype("float16"), data.astype("int64"), data.astype(">f4"), np.asfortranarray(data),
        data[:, :3], data[::2], data.ravel(), list(data), made.x,
    ):  # fmt: skip
        assert run([source], [made.x], [part], 1, [0.1], 0.0, 1.0) is None
    for wrong in (part.astype("int32"), part[:5], part.reshape(2, 3), list(part), part[::-1]):
        assert run([data], [made.x], [wrong], 1, [0.1], 0.0, 1.0) is None
    most = kernels.steps_of_a_call
    assert run([data], [made.x], [part] * (most + 1), 1, [0.1] * (most + 1), 0.0, 1.0) is None
    assert run([data], [made.x], [part], 1, [], 0.0, 1.0) is None
    assert run([data], [], [part], 1, [0.1], 0.0, 1.0) is None
    assert run([], [], [part], 1, [0.1], 0.0, 1.0) is None
    assert made.state() == before
    assert run([data], [made.x], [part] * most, 1, [0.1] * most, 0.0, 60.0) is not None


def test_plans_that_do_not_go_together_are_refused():
    made = Descent()
    with pytest.raises(IndexError, match="the plan has 1 numbers, not one of 1"):
        kernels.Steps(made.plan, made.update, [1.0], 1, True, [])
    with pytest.raises(ValueError, match="not a multiplier for each call"):
        kernels.Steps(made.plan, made.update, [], 0, True, [])
    with pytest.raises(ValueError, match="does not lie in one piece"):
        kernels.Steps(made.plan, made.update, [1.0], 0, True, [np.zeros((4, 4))[:, ::2]])
    with pytest.raises(ValueError, match="not all of the update's calls move weights"):
        kernels.Steps(made.plan, made.plan, [1.0] * len(made.plan), 0, True, [])
    declined = noted(kernels.Plan(only_notes=True), lambda: kernels.sum_of_squares(made.g))
    with pytest.raises(ValueError, match="not all of the update's calls move weights"):
        kernels.Steps(made.plan, declined, [1.0] * len(declined), 0, True, [])
