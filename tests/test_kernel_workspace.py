"""The workspace: a step's arrays take the memory of those of the step before, nobody else's."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

_kernels = pytest.importorskip("minienc._kernels")
Workspace = _kernels.Workspace


def address(a: np.ndarray) -> int:
    return a.__array_interface__["data"][0]


def test_memory_is_used_again():
    with Workspace():
        first = np.ones(10_000)
        where = address(first)
        del first
        second = np.empty(10_000)
        assert address(second) == where
        assert where % 64 == 0


def test_what_is_held_is_not_written_to():
    rng = np.random.default_rng(0)
    with Workspace():
        held = [rng.random(n) for n in (3, 1000, 100_000)]
        copies = [a.tolist() for a in held]
        for _ in range(20):
            for n in (3, 1000, 100_000):
                np.full(n, 7.0)
        assert [a.tolist() for a in held] == copies
    for n in (3, 1000, 100_000):
        np.full(n, 7.0)
    gc.collect()
    assert [a.tolist() for a in held] == copies  # arrays outlive the workspace


@pytest.mark.parametrize("hoards", (False, True))
def test_steps_of_other_sizes_do_not_add_up(hoards):
    """Sentences of other lengths: at most twice what a step needs is held, unless a plan hoards."""
    room = Workspace(hoards)
    with room:
        for n in range(1000, 9000, 40):
            held = [np.ones(n), np.ones(2 * n)]
        most = 2 * sum(a.nbytes for a in held) + 2 * held[1].nbytes  # two steps' meet in a loop
    assert (room.nbytes > 2 * most) == hoards
    assert room.nbytes >= sum(a.nbytes for a in held)


def test_equal_steps_give_nothing_back():
    with Workspace() as room:
        for _ in range(3):
            step = [np.ones(n) for n in (10, 5000, 300, 70_000)]
            where = [address(a) for a in step]
            del step
            held = room.nbytes
        again = [np.ones(n) for n in (10, 5000, 300, 70_000)]
        assert [address(a) for a in again] == where and room.nbytes == held


def test_views_keep_their_memory():
    with Workspace():
        view = np.arange(50_000.0)[10:20]
        for _ in range(5):
            np.zeros(50_000)
        assert view.tolist() == list(range(10, 20))


def test_zeros_are_zeros():
    with Workspace():
        for n in (1, 63, 64, 65, 1000, 4097, 1 << 20):
            np.full(n, 3, dtype=np.uint8)
            assert not np.zeros(n, dtype=np.uint8).any()


@pytest.mark.parametrize("seed", range(3))
def test_every_size_and_growing(seed):
    """Arrays of random sizes come, go, and grow; each keeps its numbers."""
    rng = np.random.default_rng(seed)
    alive: dict[int, np.ndarray] = {}
    with Workspace():
        for i in range(2000):
            n = int(2 ** rng.uniform(0, 18))
            alive[i] = np.full(n, i)
            if rng.random() < 0.2:
                alive[i].resize(2 * n, refcheck=False)
                alive[i][n:] = i
            while len(alive) > 20:
                k = list(alive)[rng.integers(len(alive))]
                assert (alive.pop(k) == k).all()
    assert all((a == k).all() for k, a in alive.items())


def test_outside_numpys_own_memory_serves():
    with Workspace():
        pass
    with Workspace(), pytest.raises(ZeroDivisionError):
        1 // 0  # noqa: B018
    from numpy._core.multiarray import get_handler_name

    assert get_handler_name(np.zeros(3)) == "default_allocator"


def handler():
    from numpy._core.multiarray import get_handler_name

    return get_handler_name()


def test_it_may_be_entered_within_itself_and_within_another():
    one, two = Workspace(), Workspace()
    with one:
        with one, two, one:
            assert handler() == "minienc workspace"
        assert handler() == "minienc workspace"
    assert handler() == "default_allocator"


def test_threads_may_share_one():
    shared, wrong = Workspace(), []
    inside, leave = threading.Barrier(2), threading.Event()

    def work():
        with shared:
            inside.wait(60)
            leave.wait(60)
        wrong.append(handler() != "default_allocator")

    thread = threading.Thread(target=work)
    thread.start()
    with shared:
        inside.wait(60)
    assert handler() == "default_allocator"
    leave.set()
    thread.join(60)
    assert wrong == [False]


def test_arrays_dropped_by_another_thread():
    with Workspace():
        arrays = [np.full(10_000, i) for i in range(50)]
        thread = threading.Thread(target=arrays.clear)
        thread.start()
        more = [np.full(10_000, -i) for i in range(50)]
        thread.join()
    assert all((a == -i).all() for i, a in enumerate(more))


def test_fit_uses_it_and_a_callback_may_keep_arrays():
    from minienc.layers import Dense, Input
    from minienc.models import Model
    from minienc.training.callbacks import Callback

    kept = []

    class Keep(Callback):
        def on_epoch_end(self, epoch, logs):
            kept.append(self.trainer.model.get_weights())

    x = Input((8,))
    model = Model(x, Dense(8, seed=0)(Dense(4, "tanh", seed=0)(x)))
    model.compile("adam", "mse")
    data = np.random.default_rng(0).random((64, 8), dtype=np.float32)
    model.fit(data, data, epochs=5, batch_size=16, verbose=0, seed=0, callbacks=[Keep()])
    assert len({w[0].tobytes() for w in kept}) == 5
    for one, two in zip(kept[-1], model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
