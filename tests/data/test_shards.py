"""Data larger than memory: each sample once, the same bits after a stop, damage by its shard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minienc.data import Pixels, iterated_shards, made_shards, open_shards
from minienc.data.shards import Shard, Shards
from minienc.devices import has_plans
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.pretraining import DenoisingAutoencoder, VariationalAutoencoder
from minienc.training.callbacks import Callback, ModelCheckpoint
from minienc.training.checkpoints import read_archive

ROOT = Path(__file__).parent.parent.parent


def make(i, rows=50):
    return np.random.default_rng(i).random((rows, 12), dtype="float32")


def shards(n=6, window=2, rows=50):
    return made_shards(lambda i: make(i, rows), n, rows, window)


def fitted(X, y=None, epochs=2, **fit):
    x = Input((12,))
    model = Model(x, Dense(12, "sigmoid", seed=2)(Dense(5, "relu", seed=1)(x)))
    model.compile("adam", "mse")
    history = model.fit(
        X, X if y is None else y, epochs=epochs, batch_size=32, verbose=0, seed=0, **fit
    )
    return model.parameters.vector.copy(), history


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("minienc-shards")]


# -- as an array


@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.data())
@settings(deadline=None, max_examples=40)
def test_it_is_indexed_as_an_array_is(sizes, data):
    parts = [np.random.default_rng(i).random((n, 3)) for i, n in enumerate(sizes)]
    whole = np.concatenate(parts)
    X = Shards([Shard(str(i), len(a), lambda a=a: a) for i, a in enumerate(parts)], (3,), "float64")
    assert (X.shape, X.ndim, X.size, len(X)) == (whole.shape, 2, whole.size, len(whole))
    n = len(whole)
    index = data.draw(st.lists(st.integers(-n, n - 1), max_size=9))
    np.testing.assert_array_equal(X[np.array(index, int)], whole[np.array(index, int)])
    a, b = data.draw(st.integers(-n, n)), data.draw(st.integers(-n, n))
    np.testing.assert_array_equal(X[a:b], whole[a:b])
    np.testing.assert_array_equal(X[-1], whole[-1])
    mask = whole[:, 0] > 0.5
    np.testing.assert_array_equal(X[mask], whole[mask])
    with pytest.raises(IndexError, match=f"{n} samples"):
        X[[n]]


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=7),
    st.integers(1, 12),
    st.integers(1, 4),
    st.booleans(),
    st.data(),
)
@settings(deadline=None, max_examples=60)
def test_each_sample_comes_once_an_epoch(sizes, batch, window, shuffled, data):
    sources = [Shard(str(i), n, lambda n=n: np.zeros((n, 1))) for i, n in enumerate(sizes)]
    X = Shards(sources, (1,), "float64", window)
    n = data.draw(st.integers(1, len(X)))  # the first so many, as with a part for validation
    rng = np.random.default_rng(1) if shuffled else None
    with X.epoch(batch, rng, n) as epoch:
        parts = list(epoch)
    assert all(len(part) == batch for part in parts[:-1]) and 0 < len(parts[-1]) <= batch
    order = np.concatenate(parts)
    assert sorted(order.tolist()) == list(range(n))
    if not shuffled:
        assert order.tolist() == list(range(n))
    assert not threads()


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=7),
    st.integers(1, 12),
    st.integers(1, 4),
    st.integers(0, 9),
    st.data(),
)
@settings(deadline=None, max_examples=60)
def test_its_rows_are_those_of_the_whole_wherever_it_begins(sizes, batch, window, skipped, data):
    """Asked for ahead, and from a batch in the middle on, as by a run that goes on."""
    whole = np.arange(2 * sum(sizes), dtype="float64").reshape(-1, 2)
    cuts = np.split(whole, np.cumsum(sizes)[:-1])
    sources = [Shard(str(i), len(a), lambda a=a: a) for i, a in enumerate(cuts)]
    X = Shards(sources, (2,), "float64", window)
    n = data.draw(st.integers(1, len(X)))
    dtype = data.draw(st.sampled_from(["float64", "float32"]))
    with X.epoch(batch, np.random.default_rng(2), n) as epoch:
        for part in list(epoch)[skipped:]:
            rows = np.full((len(part), 2), -1, dtype)
            epoch.take_into(part, rows)
            np.testing.assert_array_equal(rows, whole[part])
        strange = np.array([0, len(whole) - 1, 0])  # of no batch, by somebody who looks
        np.testing.assert_array_equal(epoch[strange], whole[strange])
        np.testing.assert_array_equal(X[strange], whole[strange])
    assert not threads()


def test_a_shard_is_read_once_and_two_groups_are_held():
    X = shards(20, window=3)
    X[:]
    with X.epoch(32, np.random.default_rng(0)) as epoch:
        before = X.n_read
        for part in epoch:
            epoch[part]
            assert [len(room) for room in epoch.rooms] == [3 * 50] * 2
            X[[0, 999]]  # of whoever else asks one is held, beside
            assert len(X._held) == 1
        assert X.n_read - before >= 20
    assert not epoch.rooms
    rooms = X._rooms  # for the next epoch, in which there is no new memory
    with X.epoch(32, np.random.default_rng(0)) as epoch:
        before = X.n_read
        for part in epoch:
            epoch[part]
        assert epoch.rooms[0] is rooms[0] and epoch.rooms[1] is rooms[1]
    assert X.n_read - before == 20
    with X.epoch(32, np.random.default_rng(0)) as epoch:
        before = X.n_read
        epoch[list(epoch)[-1]]
    assert X.n_read - before == 2  # of the last group; no other was needed


def test_bytes_stay_bytes_and_are_seen_as_numbers_from_0_to_1():
    make_bytes = lambda i: np.random.default_rng(i).integers(0, 256, (50, 4, 3), "uint8")  # noqa: E731
    sources = [Shard(f"part {i}", 50, lambda i=i: make_bytes(i)) for i in range(6)]
    X = Shards(sources, (4, 3), "uint8", 2, scale=1 / 255)
    whole = Pixels(np.concatenate([make_bytes(i) for i in range(6)]))
    assert X.dtype == "float32"
    np.testing.assert_array_equal(X[:], whole[:])
    np.testing.assert_array_equal(
        fitted(X.flatten_samples(), shuffle=False)[0],
        fitted(whole.flatten_samples(), shuffle=False)[0],
    )
    with X.epoch(32, None) as epoch:
        epoch[np.arange(32)]
        assert epoch.rooms[0].dtype == np.uint8
    with pytest.raises(TypeError, match="scale is for bytes, and these are float32"):
        Shards(sources, (4, 3), "float32", scale=0.5)


# -- a run


def test_one_window_that_holds_all_is_an_order_of_all_samples():
    """And in order, without shuffling, the weights are those of the same data in memory."""
    whole = np.concatenate([make(i) for i in range(6)])
    np.testing.assert_array_equal(
        fitted(shards(), shuffle=False)[0], fitted(whole, shuffle=False)[0]
    )
    with shards(window=9).epoch(32, np.random.default_rng(0)) as epoch:
        order = np.concatenate(list(epoch))
    moved = np.abs(order - np.arange(300))
    assert moved.max() > 200  # from one end to the other


def test_the_same_seed_is_the_same_bits_however_long_reading_takes():
    slow = made_shards(lambda i: (time.sleep(0.01 * (i % 3)), make(i))[1], 6, 50, 2)
    quick, history = fitted(shards())
    np.testing.assert_array_equal(fitted(slow)[0], quick)
    assert history.history["loss"][1] < history.history["loss"][0]
    assert not slow._rooms
    if has_plans():
        assert "as one call" in history.steps  # plans are made of shards, too
    assert not threads()


class Stops(Callback):
    belongs_to_run = False

    def on_train_batch_end(self, batch, logs):
        if self.trainer.batches_done == 7:  # within a shard, within an epoch
            raise KeyboardInterrupt


def test_a_run_that_is_stopped_within_a_shard_goes_on_to_the_same_bits(tmp_path):
    whole, _ = fitted(shards())
    with pytest.raises(KeyboardInterrupt):
        saves = ModelCheckpoint(tmp_path / "s.npz", save_freq=3)
        fitted(shards(), callbacks=[saves, Stops()])
    assert not threads()
    header, _ = read_archive(tmp_path / "s.npz")
    assert (header["position"]["epoch"], header["position"]["batch"]) == (0, 6)
    saves = ModelCheckpoint(tmp_path / "s.npz", save_freq=3)
    again, _ = fitted(shards(), callbacks=[saves], resume_from=tmp_path / "s.npz")
    np.testing.assert_array_equal(again, whole)


SCRIPT = """
import sys, time
import numpy as np
from minienc.data import made_shards
from minienc.training.callbacks import ModelCheckpoint
from tests.data.test_shards import fitted, make
slow = made_shards(lambda i: (time.sleep(float(sys.argv[1])), make(i))[1], 6, 50, 2)
resume = sys.argv[2] if len(sys.argv) > 2 else None
saves = ModelCheckpoint("s.npz", save_freq=2)
weights, _ = fitted(slow, epochs=4, callbacks=[saves], resume_from=resume)
np.save("weights.npy", weights)
"""


def test_a_process_that_is_killed_within_a_shard_goes_on_to_the_same_bits(tmp_path):
    (tmp_path / "run.py").write_text(SCRIPT)
    words = [sys.executable, "run.py"]
    how = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": str(ROOT)}}
    run = subprocess.Popen([*words, "0.4"], **how)
    deadline = time.monotonic() + 120
    while not (tmp_path / "s.npz").exists():
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    assert run.wait(30) == -signal.SIGKILL
    assert not (tmp_path / "weights.npy").exists()
    subprocess.run([*words, "0", "s.npz"], check=True, timeout=120, **how)
    again = [ModelCheckpoint(tmp_path / "w.npz", save_freq=2)]
    whole, _ = fitted(shards(), epochs=4, callbacks=again)
    np.testing.assert_array_equal(np.load(tmp_path / "weights.npy"), whole)


@pytest.mark.parametrize("method", [DenoisingAutoencoder, VariationalAutoencoder])
def test_methods_take_them(method):
    params = {"hidden": (6,), "epochs": 2, "batch_size": 32, "random_state": 0}
    X = shards()
    one, two = method(**params).fit(X), method(**params).fit(shards())
    np.testing.assert_array_equal(one.transform(X), two.transform(X))
    assert one.transform(X).shape[0] == 300
    assert one.history_["loss"][1] < one.history_["loss"][0]


def test_images_and_targets_of_their_own():
    images = made_shards(lambda i: make(i).reshape(50, 4, 3), 6, 50, 2)
    np.testing.assert_array_equal(images.flatten_samples()[[3, 299]], shards()[[3, 299]])
    whole = [np.concatenate([f(make(i)) for i in range(6)]) for f in (np.abs, np.square)]
    for rows, window, most in ((50, 2, 12), (100, 2, 3), (30, 1, 20)):  # cut alike, or otherwise
        targets = made_shards(
            lambda i, rows=rows: whole[1][i * rows : (i + 1) * rows], 300 // rows, rows, window
        )
        X = shards()
        found = fitted(X, targets, shuffle=False)[0]
        np.testing.assert_array_equal(found, fitted(*whole, shuffle=False)[0])
        assert X.n_read == 12 and targets.n_read == most  # of two epochs


# -- arrays that come one behind the other


def test_iterated_arrays():
    arrays = [make(i, 10 + i) for i in range(7)]
    begun = []

    def generate():
        begun.append(1)
        yield from arrays

    whole = np.concatenate(arrays)
    X = iterated_shards(generate, window=2)
    np.testing.assert_array_equal(X[:], whole)
    begun.clear()
    for _ in range(2):
        with X.epoch(8, np.random.default_rng(0)) as epoch:
            parts = list(epoch)
            for part in parts:
                np.testing.assert_array_equal(epoch[part], whole[part])
    assert len(begun) == 2  # once an epoch: in their order, in spite of the generator
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(whole)))
    assert parts[0].tolist() != list(range(8)) and parts[0].max() < 21  # and mixed in a group
    np.testing.assert_array_equal(fitted(X)[0], fitted(iterated_shards(generate, window=2))[0])
    of_a_list = iterated_shards(arrays, window=2)
    assert not of_a_list.in_order
    np.testing.assert_array_equal(of_a_list[[-1, 3]], whole[[-1, 3]])
    again = type("Again", (), {"__iter__": lambda self: iter(arrays)})()  # a loader's way
    np.testing.assert_array_equal(iterated_shards(again)[:], whole)


def test_arrays_that_come_once_are_refused():
    with pytest.raises(TypeError, match=r"a generator.* once, expected a function.*without \(\)"):
        iterated_shards(make(i) for i in range(3))
    with pytest.raises(TypeError, match="arrays is an int, expected a list or a function"):
        iterated_shards(3)
    with pytest.raises(ValueError, match="there are no arrays"):
        iterated_shards([])
    with pytest.raises(
        ValueError, match=r"array 0 has \(12,\).*array 1 has \(5,\).*all of one kind"
    ):
        iterated_shards([make(0), make(1)[:, :5]])
    with pytest.raises(ValueError, match="array 1 is a single number"):
        iterated_shards([make(0), np.float32(1)])
    left = [make(0), make(1)]
    X, Y = iterated_shards(lambda: iter(left)), iterated_shards(lambda: iter(left))
    left.pop()
    with pytest.raises(ValueError, match="array 1: it is missing this time"):
        X[:]
    left[0] = make(0)[:7]
    with pytest.raises(ValueError, match=r"array 0: holds \(7, 12\).*expected \(50, 12\)"):
        Y[:]


# -- files, and what is wrong with them


@pytest.fixture
def folder(tmp_path):
    for i in range(4):
        np.save(tmp_path / f"{i}.npy", make(i))
    return tmp_path


def test_files(folder):
    expected = np.concatenate([make(i) for i in range(4)])
    for where in (folder, f"{folder}/*.npy", sorted(folder.glob("*.npy"))):
        np.testing.assert_array_equal(open_shards(where)[:], expected)
    with pytest.raises(FileNotFoundError, match=r"nothing: no files are there; expected \.npy"):
        open_shards(folder / "nothing")


def test_damage_is_told_by_its_shard(folder):
    X = open_shards(folder, window=1)
    (folder / "2.npy").unlink()
    with pytest.raises(ValueError, match=r"2\.npy: it cannot be read"):
        fitted(X)
    assert not threads()
    np.save(folder / "2.npy", make(2)[:, :5])
    with pytest.raises(ValueError, match=r"2\.npy: holds \(50, 5\).*expected \(50, 12\)"):
        fitted(X)
    with pytest.raises(ValueError, match="shards of several kinds"):
        open_shards(folder)
    (folder / "2.npy").write_bytes((folder / "1.npy").read_bytes()[:300])
    with pytest.raises(ValueError, match=r"2\.npy: "):
        open_shards(folder)
    wrong = make(2)
    wrong[7, 3] = np.nan
    np.save(folder / "2.npy", wrong)
    with pytest.raises(ValueError, match=r"2\.npy has NaN or infinity in 1 of 50 rows \(row 7"):
        fitted(open_shards(folder, window=1))
    np.save(folder / "2.npy", make(2) + 3)
    method = DenoisingAutoencoder(hidden=(6,), epochs=1, loss="binary_crossentropy")
    with pytest.raises(ValueError, match=r"2\.npy runs from 3.* expected values in \[0, 1\]"):
        method.fit(open_shards(folder, window=1))
    assert not threads()


def test_what_is_no_shard_is_refused():
    with pytest.raises(ValueError, match="there are none"):
        Shards([], (1,), "float32")
    with pytest.raises(ValueError, match="window is 0"):
        shards(window=0)
    with pytest.raises(ValueError, match="nothing: a shard without samples"):
        Shards([Shard("nothing", 0, lambda: None)], (1,), "float32")
    with pytest.raises(ValueError, match=r"shard 0 is \(50, 12\), expected 40 rows"):
        made_shards(make, 3, 40)
