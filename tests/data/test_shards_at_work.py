"""Shards where they are learned from: every method, several processes, a disk that is full."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from minienc.audio import METHODS as SOUND_METHODS
from minienc.data import made_shards, open_shards
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.pretraining import METHODS
from minienc.training.callbacks import Callback, ModelCheckpoint
from minienc.training.checkpoints import read_archive
from tests.audio.test_methods import make as make_sound
from tests.data.test_shards import fitted, make, shards, threads
from tests.pretraining.test_methods import make as make_method
from tests.test_files import largest_file
from tests.thread_ranks import run_ranks


@pytest.mark.parametrize("name", [*METHODS, *SOUND_METHODS])
def test_every_method_takes_them(name):
    of_sound = name in SOUND_METHODS
    inside = (16, 8) if of_sound else (8,)
    n = 6 if of_sound else 20
    part = lambda i: np.random.default_rng(i).random((n, *inside), dtype="float32")  # noqa: E731
    fit = lambda X: (make_sound if of_sound else make_method)(name, epochs=1).fit(X)  # noqa: E731
    X, whole = made_shards(part, 4, n, 2), np.concatenate([part(i) for i in range(4)])
    one, two = fit(X), fit(made_shards(part, 4, n, 2))
    codes = one.transform(whole)
    np.testing.assert_array_equal(two.transform(whole), codes)
    np.testing.assert_allclose(one.transform(X), codes, rtol=1e-5, atol=1e-6)
    assert one.score(X) == pytest.approx(one.score(whole), rel=1e-4)
    assert not threads()


# -- several processes


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_learn_what_one_process_learns(size):
    """Each takes its rows of the same batches, which the seed cuts of shards of its own."""
    x = lambda i: make(i).astype("float64")  # noqa: E731

    def work(ranks=None):
        inputs = Input((12,), dtype="float64")
        hidden = Dense(5, "tanh", seed=1)(inputs)
        model = Model(inputs, Dense(12, "sigmoid", seed=2)(hidden))
        model.compile("adam", "mse")
        X = made_shards(x, 6, 50, 2)
        history = model.fit(X, X, epochs=2, batch_size=32, verbose=0, seed=0)
        return model.parameters.vector.copy(), history.history["loss"], X.n_read

    one, losses, n_read = work()
    assert n_read == 12
    for vector, found, read in run_ranks(size, work):
        np.testing.assert_allclose(vector, one, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found, losses, rtol=1e-12)
        assert read == n_read + 1  # and once to see that all have the same
    assert not threads()


# -- what goes wrong on the way


def test_a_full_disk_leaves_the_last_checkpoint_to_go_on_from(tmp_path):
    path = tmp_path / "s.npz"
    whole, _ = fitted(shards(), callbacks=[ModelCheckpoint(tmp_path / "w.npz", save_freq=3)])

    class Filling(Callback):
        belongs_to_run = False

        def on_train_batch_end(self, batch, logs):
            if self.trainer.batches_done == 7:  # within a shard; the next file is not written
                self.full = largest_file(100)
                self.full.__enter__()

    filling = Filling()
    try:
        with pytest.raises(OSError, match=r"s\.npz") as refused:
            fitted(shards(), callbacks=[ModelCheckpoint(path, save_freq=3), filling])
    finally:
        filling.full.__exit__(None, None, None)
    assert refused.value.errno in (errno.EFBIG, errno.ENOSPC) and "\n" not in str(refused.value)
    assert not threads()
    header, _ = read_archive(path)
    assert (header["position"]["epoch"], header["position"]["batch"]) == (0, 6)
    assert [p.name for p in tmp_path.glob("s.npz*")] == ["s.npz"]
    saves = [ModelCheckpoint(path, save_freq=3)]
    again, _ = fitted(shards(), callbacks=saves, resume_from=path)
    np.testing.assert_array_equal(again, whole)


@pytest.mark.parametrize("how", ["gone", "cut short", "another"])
def test_a_shard_that_is_damaged_on_the_way(tmp_path, how):
    files = [tmp_path / f"{i}.npy" for i in range(6)]
    for i, file in enumerate(files):
        np.save(file, make(i))
    saves = lambda name: ModelCheckpoint(tmp_path / name, save_freq=2)  # noqa: E731
    whole, _ = fitted(open_shards(tmp_path / "?.npy", 2), callbacks=[saves("w.npz")])

    class Damages(Callback):
        belongs_to_run = False

        def on_epoch_end(self, epoch, logs):
            if how == "gone":
                files[4].unlink()
            elif how == "cut short":
                files[4].write_bytes(files[5].read_bytes()[:1000])
            else:
                np.save(files[4], make(4)[:40])

    told = {
        "gone": r"4\.npy: it cannot be read: it is gone since it was opened; bring it back",
        "cut short": r"4\.npy: it cannot be read: .*4\.npy is cut short",
        "another": r"4\.npy: holds \(40, 12\) of float32, expected \(50, 12\) of float32",
    }[how]
    with pytest.raises(ValueError, match=told) as refused:
        fitted(open_shards(tmp_path / "?.npy", 2), callbacks=[saves("s.npz"), Damages()])
    assert "\n" not in str(refused.value) and not threads()
    np.save(files[4], make(4))
    X = open_shards(tmp_path / "?.npy", 2)
    again, _ = fitted(X, callbacks=[saves("s.npz")], resume_from=tmp_path / "s.npz")
    np.testing.assert_array_equal(again, whole)


def test_steps_that_are_made_ahead_have_the_bits_of_those_that_are_not(monkeypatch):
    """Batches within a group, and those of two: by plans where there are any, and one by one."""

    def work():
        inputs = Input((12,))
        model = Model(inputs, Dense(12, "sigmoid", seed=2)(Dense(5, "tanh", seed=1)(inputs)))
        model.compile("adam", "mse")
        X = made_shards(lambda i: make(i).astype("float32"), 6, 50, 2)
        history = model.fit(X, X, epochs=3, batch_size=16, verbose=0, seed=0)
        return model.parameters.vector.tobytes(), history.history["loss"], history.steps

    *ahead, says = work()
    monkeypatch.setattr("minienc.training.planned.in_rooms", lambda arrays, parts: (arrays, []))
    *one_by_one, also_says = work()
    assert (ahead, says) == (one_by_one, also_says)
    monkeypatch.setattr("minienc.training.planned.PlannedPipeline.step_of", lambda _, one: one.step)
    assert work()[:2] == tuple(ahead)
