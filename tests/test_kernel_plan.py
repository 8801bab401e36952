"""Plans by themselves: calls that are noted, and made again on what lies there then."""

from __future__ import annotations

import threading

import numpy as np
import pytest

kernels = pytest.importorskip("minienc._kernels")
RELU = kernels.activation_codes["relu"]


def noted(compute):
    """The plan of what ``compute()`` calls, and what it returned."""
    plan = kernels.Plan()
    with plan.workspace:
        plan.start()
        try:
            result = compute()
        finally:
            plan.stop()
    return plan, result


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_calls_are_made_again_on_what_lies_there_then(dtype):
    rng = np.random.default_rng(0)
    x, W, b = rng.standard_normal((5, 7)), rng.standard_normal((7, 3)), rng.standard_normal(3)
    x, W, b = (a.astype(dtype) for a in (x, W, b))

    def compute():
        y = kernels.dense_forward(x, W, b, RELU)
        return y, kernels.softmax(y)

    plan, (y, p) = noted(compute)
    assert len(plan) == 2 and plan.declined is None
    for _ in range(3):
        x[...] = rng.standard_normal((5, 7))
        W[...] = rng.standard_normal((7, 3))
        assert plan.run() == 0
        expected_y, expected_p = compute()
        assert y.tobytes() == expected_y.tobytes()
        assert p.tobytes() == expected_p.tobytes()


def test_a_loss_is_a_number_of_the_plan():
    z = np.random.default_rng(0).standard_normal((6, 4)).astype("float32")
    target = np.random.default_rng(1).random((6, 4)).astype("float32")
    operation = kernels.loss_codes["binary"][0]
    plan, (loss, _, _) = noted(lambda: kernels.reduced_loss(z, target, operation, True))
    plan.run()
    assert np.float32(plan.number(0)) == loss
    z *= 2
    plan.run()
    assert np.float32(plan.number(0)) == kernels.reduced_loss(z, target, operation, True)[0]
    for i in (-1, 1):
        with pytest.raises(IndexError, match="there are 1 numbers"):
            plan.number(i)


def test_labels_are_looked_at_each_time():
    """They are indices: one that is none must not be read."""
    z = np.zeros((4, 3), "float32")
    labels = np.array([0, 1, 2, 0])
    operation = kernels.loss_codes["categorical"][0]
    plan, _ = noted(lambda: kernels.reduced_loss(z, labels, operation, True))
    assert plan.run() == 0
    for wrong in (3, -1, 2**40):
        labels[2] = wrong
        assert plan.run() == -2
    labels[2] = 1
    assert plan.run() == 0


def test_what_numpy_must_do_is_declined_and_says_why():
    x, W = np.zeros((8, 6), "float32"), np.zeros((6, 2), "float32")
    plan, _ = noted(lambda: kernels.norm_forward(x, None, None, 1e-3, True))
    assert plan.declined is None
    q = np.zeros((1, 4, 2, 3), "float32").swapaxes(-1, -2)
    plan, _ = noted(lambda: kernels.attention_forward(q, q, q, None, False))
    assert plan.declined == "an array lies so that NumPy must copy it"
    plan, _ = noted(lambda: kernels.sum_of_squares(W))
    assert plan.declined == "the norm of a gradient is looked at"
    kernels.decline(b"nobody notes")  # says nothing to nobody
    plan, _ = noted(lambda: kernels.decline(b"of somebody's own"))
    assert plan.declined == "of somebody's own"


def test_each_thread_notes_its_own_calls():
    x = np.ones((3, 4), "float32")
    found = {}

    def note(name, n):
        plan = kernels.Plan()
        with plan.workspace:
            plan.start()
            barrier.wait()
            for _ in range(n):
                kernels.softmax(x)
            barrier.wait()
            plan.stop()
        found[name] = len(plan)

    barrier = threading.Barrier(2)
    threads = [threading.Thread(target=note, args=(str(n), n)) for n in (3, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == {"3": 3, "8": 8}


def test_two_plans_are_not_noted_at_once():
    plan, other = kernels.Plan(), kernels.Plan()
    plan.start()
    try:
        with pytest.raises(RuntimeError, match="this thread is noting another one"):
            other.start()
        other.stop()  # not its own
        kernels.softmax(np.ones((2, 2), "float32"))
        assert len(plan) == 1
    finally:
        plan.stop()
    kernels.softmax(np.ones((2, 2), "float32"))
    assert len(plan) == 1


def test_memory_changes_hands_within_a_plan_as_it_did():
    """What is dropped in a step leaves its place to what is made after it: the same at each run."""
    x = np.random.default_rng(0).random((64, 64)).astype("float32")

    def compute():
        y = x
        for _ in range(6):  # each is dropped when the next but one is made
            y = kernels.softmax(y)
        return y

    plan, y = noted(compute)
    assert plan.workspace.nbytes == 2 * 64 * 64 * 4
    for _ in range(2):
        x[...] = np.random.default_rng(1).random((64, 64))
        plan.run()
        assert y.tobytes() == compute().tobytes()


def test_a_plan_may_outlive_its_arrays_and_they_it():
    x = np.ones((100, 100), "float32")
    plan, y = noted(lambda: kernels.softmax(x))
    del plan
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-5)
    plan, y = noted(lambda: kernels.softmax(kernels.softmax(x)))
    del y
    assert plan.run() == 0  # into memory that is its own
    del plan


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_that_meet_and_where_they_belong_are_noted(dtype):
    rng = np.random.default_rng(0)
    a, b, total, other = rng.standard_normal((4, 3, 5)).astype(dtype)
    plan = kernels.Plan()
    with plan.workspace:
        plan.start()
        try:
            y = plan.meet(a, b)
            plan.put(total, y, True)
            plan.put(other, y, False)
        finally:
            plan.stop()
    assert len(plan) == 3 and plan.declined is None
    for _ in range(2):
        a[...] = rng.standard_normal((3, 5))
        other[...] = 1
        plan.run()
        np.testing.assert_array_equal(total, a + b)
        np.testing.assert_array_equal(other, 1 + (a + b))


def test_what_the_kernel_cannot_add_is_added_and_declined():
    a, total = np.arange(6, dtype="float32").reshape(2, 3), np.zeros((2, 3), "float32")

    def meet(plan):
        np.testing.assert_array_equal(plan.meet(a[:, ::2], a[:, ::2]), 2 * a[:, ::2])

    def add(plan):
        plan.put(total[:, ::2], a[:, ::2], False)
        np.testing.assert_array_equal(total[:, ::2], a[:, ::2])

    def write(plan):
        plan.put(total.T, a.T, True)
        np.testing.assert_array_equal(total, a)

    def into_itself(plan):
        plan.put(total, total, False)
        np.testing.assert_array_equal(total, 2 * a)

    for does, why in (
        (meet, "gradients meet that NumPy must add"),
        (add, "a gradient lies where NumPy must add it"),
        (write, "a gradient lies where NumPy must add it"),
        (into_itself, "a gradient lies where NumPy must add it"),
    ):
        plan = kernels.Plan()
        plan.start()
        try:
            does(plan)
        finally:
            plan.stop()
        assert plan.declined == why
        assert len(plan) == 0
