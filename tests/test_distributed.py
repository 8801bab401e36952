"""Processes that share each batch end with the weights of one: by threads, and by MPI where it is.

The law, in float64: the weights of 1, 2, 3, 4 ranks are those of one process with the joint batch,
to 1e-12, and the same bits on every rank.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minienc.arrays import to_numpy
from minienc.audio import METHODS as SOUND_METHODS
from minienc.data import load_digits
from minienc.distributed import NCCLRanks, mpi_ranks
from minienc.functions import (
    batch_normalization_backward,
    batch_normalization_forward,
    joint_batch_normalization_backward,
    joint_batch_normalization_forward,
)
from minienc.language import METHODS as TEXT_METHODS
from minienc.layers import BatchNormalization, Dense, Dropout, GaussianNoise, Input
from minienc.models import Model
from minienc.pretraining import Autoencoder
from minienc.training.callbacks import Callback, CSVLogger, EarlyStopping, ModelCheckpoint
from minienc.training.joint_draws import JointDraws, Rows
from minienc.training.losses import SparseCategoricalCrossentropy
from minienc.training.ranks import alone, joined
from minienc.training.step import NonFiniteError
from tests.audio.test_methods import make as make_sound
from tests.audio.test_methods import sounds
from tests.guard_array import guard_module
from tests.language.test_methods import TEXT
from tests.language.test_methods import make as make_text
from tests.pretraining.test_methods import make
from tests.test_device import WAYS
from tests.thread_ranks import Meeting, ThreadRanks, run_ranks

ROOT = Path(__file__).parent.parent
X = np.asarray(load_digits().x, "float64").reshape(-1, 64)[:44, 10:20]
SIZES = (1, 2, 3, 4)


def noisy():
    """All that is more than the gradient of a mean: noise, batch statistics, a penalty."""
    x = Input((10,), dtype="float64")
    h = Dense(8, "relu", seed=1, kernel_regularizer="l2")(GaussianNoise(0.1)(x))
    return Model(x, Dense(10, "sigmoid", seed=2)(Dropout(0.2)(BatchNormalization()(h))))


def trained(optimizer="adam", epochs=2, batch_size=13, callbacks=(), **fit):
    """Batches of 13, 13, 13 and 5: no number of ranks but 1 and 13 divides them."""
    model = noisy()
    model.compile(optimizer, "mse", metrics=["mean_absolute_error"])
    history = model.fit(
        X, X, epochs=epochs, batch_size=batch_size, verbose=0, callbacks=callbacks, **fit
    )
    return model, history


# -- the law


@pytest.mark.parametrize("size", SIZES)
def test_the_weights_are_those_of_one_process(size):
    from minienc.training.optimizers import AdamW

    def work(ranks=None):
        clipped = AdamW(global_clipnorm=0.01)  # the norm of the joint gradient
        model, history = trained(clipped, seed=0, validation_data=(X[:9], X[:9]))
        return model.parameters.vector.copy(), history.history

    weights, logs = work()
    found = run_ranks(size, work)
    for vector, history in found:
        np.testing.assert_array_equal(vector, found[0][0])
        np.testing.assert_allclose(vector, weights, rtol=0, atol=1e-12)
        assert history == found[0][1]
        for name, values in logs.items():
            np.testing.assert_allclose(history[name], values, rtol=1e-12, err_msg=name)


def test_fewer_rows_than_ranks():
    """The last batch is one sample; four ranks make it whole."""

    def work(ranks=None):
        model, _ = trained(seed=0, batch_size=43)
        return model.parameters.vector.copy()

    one = work()
    for vector in run_ranks(4, work):
        np.testing.assert_allclose(vector, one, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "options"), WAYS, ids=str)
def test_every_method(name, options):
    def work(ranks=None):
        method = make(name, epochs=2, dtype="float64", **options).fit(X[:, :8])
        learners = getattr(method, "learners_", {})
        models = [one.network for one in learners.values()] or [method.model_]
        return np.concatenate([model.parameters.vector for model in models])

    one, found = work(), run_ranks(3, work)
    for vector in found:
        np.testing.assert_array_equal(vector, found[0])
        np.testing.assert_allclose(vector, one, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [*sorted(TEXT_METHODS), *sorted(SOUND_METHODS)])
def test_methods_of_text_and_sound(name):
    """Their losses are means over what was asked, of which each rank has another number."""
    of_sound = name in SOUND_METHODS

    def work(ranks=None):
        if of_sound:
            method = make_sound(name, dtype="float64").fit(sounds(12, dtype="float64"))
        else:
            method = make_text(name, dtype="float64").fit(TEXT)
        return method.model_.parameters.vector.copy()

    one, found = work(), run_ranks(2, work)
    for vector in found:
        np.testing.assert_array_equal(vector, found[0])
        np.testing.assert_allclose(vector, one, rtol=0, atol=1e-12)


def pairs_alike():
    """A method of one's own, whose loss is one of pairs of samples."""

    class PairsAlike(Autoencoder):
        method = "pairs_alike"
        couples = "its loss is one of pairs"

    return PairsAlike(epochs=1).fit(X)


def two_means():
    """A penalty on activities, a mean over samples, and a loss that is one over labels."""
    x = Input((10,))
    model = Model(x, Dense(3, activity_regularizer="l1")(x))
    model.compile(
        "sgd", SparseCategoricalCrossentropy(from_logits=True, ignore_class=0), metrics=[]
    )
    return model.fit(X, np.arange(44) % 3, verbose=0)


@pytest.mark.parametrize(
    ("fit", "why"),
    [(pairs_alike, "its loss is one of pairs"), (two_means, "its penalty on activities is a mean")],
)
def test_what_couples_its_samples_otherwise_is_refused(fit, why):
    with pytest.raises(
        ValueError, match=rf"cannot be shared among 2 processes: {why}.*run it in one process"
    ):
        run_ranks(2, lambda ranks: fit())
    fit()  # as it says


# -- what it is made of


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 5), st.integers(1, 12), st.sampled_from(["random", "standard_normal"]))
def test_noise_is_that_of_the_joint_batch(size, n, method):
    joint = getattr(np.random.default_rng(3), method)((n, 2))
    parts, states = [], []
    for rank in range(size):
        rows = ThreadRanks(rank, size, Meeting(size)).rows_of(n)
        rng = np.random.default_rng(3)
        parts.append(getattr(JointDraws(rng, rows), method)((rows.stop - rows.start, 2)))
        states.append(rng.bit_generator.state)
    whole = parts[0] if n < size else np.concatenate(parts)
    np.testing.assert_array_equal(whole, joint)
    assert all(state == states[0] for state in states)


def test_what_is_not_drawn_for_samples_is_the_same_everywhere():
    found = [
        JointDraws(np.random.default_rng(0), Rows(start, start + 2, 4)).random((5, 2))
        for start in (0, 2)
    ]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("with_affine", [True, False])
def test_normalisation_of_parts_is_that_of_the_whole(with_affine):
    rng = np.random.default_rng(0)
    x, dy = rng.normal(2, 3, (7, 2, 3)), rng.normal(size=(7, 2, 3))
    own = (rng.normal(size=3), rng.normal(size=3)) if with_affine else (None, None)
    y, cache = batch_normalization_forward(x, *own)
    wanted = batch_normalization_backward(dy, cache)

    def work(ranks):
        rows = ranks.rows_of(7)
        part = slice(rows.start, rows.stop)
        y, cache = joint_batch_normalization_forward(x[part], *own, total=ranks.sum)
        return y, joint_batch_normalization_backward(dy[part], cache), cache.mean, cache.variance

    found = run_ranks(3, work)
    np.testing.assert_allclose(np.concatenate([y for y, *_ in found]), y, rtol=1e-12)
    dx = np.concatenate([gradients[0] for _, gradients, *_ in found])
    np.testing.assert_allclose(dx, wanted[0], rtol=1e-10, atol=1e-12)
    for k in (1, 2):
        parts = [gradients[k] for _, gradients, *_ in found]
        if with_affine:
            np.testing.assert_allclose(sum(parts), wanted[k], rtol=1e-12)
        else:
            assert parts == [None] * 3
    np.testing.assert_allclose(found[0][3], cache.variance, rtol=1e-12)


def test_two_sums_a_step_one_of_them_small():
    """The gradient once, as one vector; before it the loss, the rows and whether to stop."""

    def work(ranks):
        x = Input((10,))
        model = Model(x, Dense(10, seed=1)(Dense(4, seed=2)(x)))
        model.compile("sgd", "mse")
        before = ranks.n_sums, ranks.bytes
        model.fit(X.astype("float32"), X.astype("float32"), batch_size=11, verbose=0)
        return ranks.n_sums - before[0], ranks.bytes - before[1], model.parameters.vector.size

    sums, sent, P = run_ranks(2, work)[0]
    assert sums == 2 + 4 * 2  # what differs, the weights to begin with, and four steps
    assert sent == 5 * 8 + (1 + 4) * 4 * P + 4 * 3 * 8


# -- all notice what one does


def test_nobody_gave_a_seed():
    def work(ranks):
        x = Input((10,), dtype="float64")
        model = Model(x, Dense(10)(Dropout(0.3)(Dense(4)(x))))  # drawn by each on its own
        model.compile("sgd", "mse")
        model.fit(X, X, epochs=2, batch_size=11, verbose=0)
        return model.parameters.vector.copy()

    one, two = run_ranks(2, work)
    np.testing.assert_array_equal(one, two)


def test_nan_on_one_is_nan_on_all():
    def work(ranks):
        model, data = noisy(), X.copy()
        model.compile("sgd", lambda: None) if False else model.compile("sgd", "mse")
        if ranks.rank == 1:
            model.layers[1].W.value = model.layers[1].W.value * np.inf
        model.set_weights([np.full(w.shape, 1e200) for w in model.get_weights()])
        with pytest.raises(NonFiniteError, match="epoch 1, batch 1"):
            model.fit(data, data, batch_size=11, verbose=0, seed=0)
        return True

    assert run_ranks(2, work) == [True, True]


class Presses(Callback):
    """As Ctrl-C on one of the ranks, in the middle of an epoch."""

    order = 0

    def on_train_batch_end(self, batch, logs):
        if batch == 1 and self.trainer.ranks.rank == 1:
            self.trainer.ranks.pressed.append(True)


class Waits(Callback):
    """In its place, in a run that goes on."""


Waits.__name__ = Presses.__name__  # by which a checkpoint knows it


def test_ctrl_c_on_one_stops_all_after_the_same_batch(tmp_path):
    def work(ranks):
        path = tmp_path / "state.npz"
        with pytest.raises(KeyboardInterrupt):
            trained(seed=0, callbacks=[Presses(), ModelCheckpoint(path)])
        return True

    kept = tmp_path / "kept.npz"

    assert run_ranks(2, work) == [True, True]

    def go_on(ranks=None):
        again = [Waits(), ModelCheckpoint(tmp_path / "state.npz")]
        model, _ = trained(seed=0, callbacks=again, resume_from=tmp_path / "state.npz")
        return model.parameters.vector.copy()

    whole = trained(seed=0)[0].parameters.vector
    shutil.copy(tmp_path / "state.npz", kept)
    for size in (1, 2, 3):  # another number of ranks goes on from there
        shutil.copy(kept, tmp_path / "state.npz")
        found = go_on() if size == 1 else run_ranks(size, go_on)[0]
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-12)


def test_one_stops_early_and_so_do_all():
    def work(ranks):
        stops = EarlyStopping("val_loss", patience=0, min_delta=1e9)
        _, history = trained(seed=0, epochs=9, callbacks=[stops], validation_data=(X, X))
        return len(history.history["loss"])

    assert run_ranks(3, work) == [2, 2, 2]


def test_the_first_alone_writes(tmp_path):
    def work(ranks):
        root = tmp_path / str(ranks.rank)
        root.mkdir()
        trained(seed=0, callbacks=[CSVLogger(root / "log.csv"), ModelCheckpoint(root / "w.npz")])

    run_ranks(2, work)
    names = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.*"))
    assert names == ["0/log.csv", "0/w.npz"]


def test_alone_within_a_shared_run():
    def work(ranks):
        if ranks.rank == 0:
            with alone():
                return trained(seed=0)[0].parameters.vector.copy()
        return None

    np.testing.assert_array_equal(run_ranks(2, work)[0], trained(seed=0)[0].parameters.vector)


# -- between GPUs: on a stand-in


class Backend:
    """What ``cupyx.distributed`` returns, among threads that hold arrays of a device."""

    xp = guard_module

    def __init__(self, rank, meeting):
        self.rank, self.meeting = rank, meeting

    def all_reduce(self, a, out, op):
        assert op == "sum"
        parts = self.meeting.gather(self.rank, a.get())
        total = parts[0].copy()
        for part in parts[1:]:
            total += part
        out[...] = guard_module.asarray(total)

    def broadcast(self, a, root):
        a[...] = guard_module.asarray(self.meeting.gather(self.rank, a.get())[root])


def test_ranks_with_a_gpu_each():
    def work(ranks):
        with joined(NCCLRanks(2, ranks.rank, Backend(ranks.rank, ranks.meeting))) as gpus:
            assert gpus.first({"seed": ranks.rank, "name": "ä"}) == {"seed": 0, "name": "ä"}
            model = noisy().to("guard")
            model.compile("adam", "mse")
            model.fit(X, X, epochs=2, batch_size=13, verbose=0, seed=0)
            return to_numpy(model.parameters.vector)

    whole = noisy()
    whole.compile("adam", "mse")
    whole.fit(X, X, epochs=2, batch_size=13, verbose=0, seed=0)
    for vector in run_ranks(2, work):
        np.testing.assert_allclose(vector, whole.parameters.vector, rtol=0, atol=1e-12)


# -- MPI


def mpiexec(n, *words, cwd):
    """A process of mpiexec's; skipped where MPI is not."""
    pytest.importorskip("mpi4py")
    program = Path(sys.executable).parent / "mpiexec"
    if not program.exists():
        pytest.skip("needs mpiexec beside this Python: pip install mpich")
    command = [program, "-n", str(n), sys.executable, *words]
    quiet = {k: v for k, v in os.environ.items() if not k.startswith(("COV_", "PYTEST"))}
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=quiet | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


SCRIPT = """
import sys
import numpy as np
from minienc.distributed import mpi_ranks
from tests.test_distributed import trained
with mpi_ranks() as ranks:
    model, history = trained(seed=0)
    np.save(f"{ranks.rank}.npy", model.parameters.vector)
"""


@pytest.mark.parametrize("size", [2, 4])
def test_a_script_of_several_processes(size, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    process = mpiexec(size, "-m", "mpi4py", "script.py", cwd=tmp_path)
    assert process.wait(240) == 0, process.stdout.read()
    vectors = [np.load(tmp_path / f"{rank}.npy") for rank in range(size)]
    whole = trained(seed=0)[0].parameters.vector
    for vector in vectors:
        np.testing.assert_array_equal(vector, vectors[0])
        np.testing.assert_allclose(vector, whole, rtol=0, atol=1e-12)


def test_a_rank_is_killed_and_others_go_on_from_the_checkpoint(tmp_path):
    words = ("-m", "mpi4py", "-m", "minienc", "pretrain", "--method", "denoising")
    process = mpiexec(3, *words, "--epochs", "4000", "--out", "run", cwd=tmp_path)
    state = tmp_path / "run/checkpoints/checkpoint.npz"
    deadline = time.monotonic() + 200
    while not state.exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(ranks_of(process)[1], signal.SIGKILL)
    began = time.monotonic()
    assert process.wait(60) != 0
    assert time.monotonic() - began < 20
    assert re.search("signal 9|KILLED|BAD TERMINATION", process.stdout.read())
    from minienc.training.checkpoints import read_archive

    header, _ = read_archive(state)
    assert header["position"]["epoch"] >= 1
    for size in (2, 1):
        (tmp_path / "less.py").write_text(
            "import sys\nfrom minienc.commands import shared\nfrom minienc import cli\n"
            "sys.exit(cli.main(['pretrain', '--resume', 'run', '--quiet']))"
        )
        again = mpiexec(size, "-m", "mpi4py", "less.py", cwd=tmp_path)
        time.sleep(8)
        assert again.poll() is None, again.stdout.read()  # it goes on
        again.send_signal(signal.SIGINT)
        text, _ = again.communicate(timeout=60)
        assert "stopped; go on with: minienc pretrain --resume run" in text
        later, _ = read_archive(state)
        assert later["position"]["epoch"] >= header["position"]["epoch"]


def ranks_of(process):
    """The numbers of the processes that mpiexec started, by /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                line = (entry / "cmdline").read_bytes().split(b"\0")
                parent = (entry / "environ").read_bytes()
            except OSError:
                continue
            if line[0] == sys.executable.encode() and b"PMI_RANK=" in parent:
                place = os.readlink(entry / "cwd")
                if place == os.readlink(f"/proc/{process.pid}/cwd"):
                    found.append(int(entry.name))
    return sorted(found)


def test_what_is_wrong_is_said_once(tmp_path):
    process = mpiexec(3, "-m", "mpi4py", "-m", "minienc", "pretrain", "nothing", cwd=tmp_path)
    text, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert text.count("minienc: error: load_dataset: there is no nothing") == 1
    process = mpiexec(2, "-m", "mpi4py", "-m", "minienc", "info", cwd=tmp_path)
    text, _ = process.communicate(timeout=120)
    assert "minienc info is the work of one process" in text
    process = mpiexec(2, "-m", "minienc", "pretrain", cwd=tmp_path)
    text, _ = process.communicate(timeout=120)
    assert "put -m mpi4py behind python" in text


def test_without_mpi4py_it_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", None)
    with (
        pytest.raises(
            RuntimeError, match=r"2 processes were started.*pip install 'minienc\[mpi\]'"
        ),
        mpi_ranks(),
    ):
        pass
