"""The benchmarks measure what they say: the same training for all, in turns, in honest tables."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import command, dense, epochs, machine, sequences, timing, training
from benchmarks.training_candidates import Minienc, NumpyByHand

TINY = training.Row((20, 60, 30, 20), 9)


# ------------------------------------------------------------------------------- with the kernel


def test_the_first_line_says_where_the_kernel_does_not_serve(monkeypatch):
    info = {"serves": ("dense_forward",), "edited": (), "reason": "in use for 1 of the functions"}
    monkeypatch.setattr(command, "kernel_info", lambda: info)
    assert command.without_kernel() == ""
    info.update(serves=(), reason="no compiled kernel is built in a clone")
    assert "no compiled kernel is built in a clone. What follows" in command.without_kernel()
    info.update(serves=("dense_forward",), edited=("relu_forward",), reason="edited: relu_forward")
    assert "edited: relu_forward. What follows" in command.without_kernel()


def test_a_benchmark_without_the_kernel_begins_with_it(monkeypatch, capsys):
    monkeypatch.setattr(command, "without_kernel", lambda: "without\n")
    monkeypatch.setattr(command, "in_children", lambda *given: ["run"])
    command.main("x", "", [], [], dict, lambda run: f"table of {run}", print, [1])
    assert capsys.readouterr().out == "without\ntable of run\n"


# ------------------------------------------------------------------------------------ the timing


def test_candidates_take_turns_in_a_new_order_each_round():
    log = []
    candidates = {name: lambda name=name: log.append(name) for name in "abc"}
    before = {name: lambda name=name: log.append(name.upper()) for name in "abc"}
    samples = timing.interleaved(candidates, rounds=12, before=before, sample=0, settle=0)
    assert {name: len(values) for name, values in samples.items()} == dict.fromkeys("abc", 12)
    turns = [entry.lower() for entry in log if entry.isupper()]
    rounds = ["".join(turns[i : i + 3]) for i in range(0, len(turns), 3)]
    assert len(rounds) == 12
    assert all(sorted(order) == list("abc") for order in rounds)
    assert len(set(rounds)) > 1


def test_a_sample_is_the_mean_of_as_many_calls_as_fill_its_time():
    calls = {"slow": 0, "quick": 0}

    def call(name, seconds):
        calls[name] += 1
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass

    candidates = {"slow": lambda: call("slow", 2e-3), "quick": lambda: call("quick", 1e-5)}
    samples = timing.interleaved(candidates, rounds=5, sample=1e-3, settle=0)
    assert min(samples["slow"]) >= 2e-3
    assert 1e-5 <= min(samples["quick"]) < 1e-3
    assert calls["slow"] == 5 + 3 + 3  # a call a round, the warm-up, the first measurements
    assert calls["quick"] > 5 * 10


def test_interleaved_wants_seconds_or_rounds():
    with pytest.raises(ValueError, match="seconds or rounds"):
        timing.interleaved({"a": int})


def test_ratios_are_taken_round_by_round():
    slowing = np.array([1.0, 2.0, 4.0, 8.0])  # the machine slows down, for both alike
    assert timing.ratio(3 * slowing, slowing) == {"median": 3.0, "lower": 3.0, "upper": 3.0}
    assert timing.spread([1, 2, 3, 4, 5]) == {"median": 3.0, "lower": 2.0, "upper": 4.0}


def test_the_peak_is_measured_and_float32_has_about_twice_that_of_float64():
    if machine.fma_peak("float32", 1) is None:
        pytest.skip("nothing here compiles C")
    tries = []
    for _ in range(8):  # whatever else the machine is doing, one of them is undisturbed
        tries.append([machine.fma_peak(t, 1) for t in ("float32", "float64")])
        single, double = map(max, zip(*tries, strict=True))
        if 1.2 < single / double < 3.5:
            break
    assert single > 1e9
    assert 1.2 < single / double < 3.5


def test_the_copy_bandwidth_is_that_of_a_machine():
    assert 1e8 < machine.copy_bandwidth(1, megabytes=8) < 1e13


def test_other_programs_are_told_from_this_one():
    others = machine.OtherPrograms()
    end = time.perf_counter() + 0.1
    while time.perf_counter() < end:
        pass
    share = others.share()
    assert share is None or 0 <= share <= 1


# ---------------------------------------------------------------------------------- the training


@pytest.mark.parametrize("row", [TINY, training.ROWS[0]], ids=lambda row: row.name)
def test_numpy_by_hand_and_minienc_train_the_same(row):
    x, weights = training.problem(row)
    ours, by_hand = (
        Minienc(x, weights),
        NumpyByHand(x, weights),
    )
    exact = NumpyByHand(x, weights, "float64")
    np.testing.assert_allclose(ours.losses(20), exact.losses(20), rtol=1e-4)
    np.testing.assert_allclose(by_hand.losses(20), exact.losses(20), rtol=1e-4)
    moved = exact.w - exact.first
    for found in (ours.model.parameters.vector, by_hand.w):
        assert np.linalg.norm(found - exact.w) < 1e-2 * np.linalg.norm(moved)


def test_numpy_by_hand_follows_the_gradient():
    x, weights = training.problem(TINY)
    by_hand = NumpyByHand(x, weights, "float64")
    by_hand._forward()
    by_hand._backward()
    g = by_hand.g.copy()
    rng = np.random.default_rng(1)
    direction = rng.standard_normal(g.size)
    losses = []
    for h in (1e-6, -1e-6):
        by_hand.w[:] = by_hand.first + h * direction
        losses.append(by_hand._forward())
    np.testing.assert_allclose((losses[0] - losses[1]) / 2e-6, g @ direction, rtol=1e-5)


@pytest.mark.parametrize("package, names", [("torch", ["PyTorch"]), ("jax", ["JAX"])])
def test_peers_train_the_same(package, names):
    pytest.importorskip(package)
    x, weights = training.problem(TINY)
    made, missing = timing.build(timing.chosen(training.CANDIDATES, names), x, weights)
    assert made and not missing
    training.check(made, x, weights)


class Sluggish(NumpyByHand):
    """Trains at half the rate."""

    def _adam(self):
        before = self.w.copy()
        super()._adam()
        self.w += 0.5 * (before - self.w)


class Forgetful(NumpyByHand):
    """Does not go back to the first weights."""

    def reset(self):
        if not hasattr(self, "t"):
            super().reset()


@pytest.mark.parametrize("kind", [Sluggish, Forgetful])
def test_what_trains_something_else_is_refused(kind):
    x, weights = training.problem(TINY)
    training.check({"right": NumpyByHand(x, weights)}, x, weights)
    with pytest.raises(RuntimeError, match="wrong trains something else"):
        training.check({"wrong": kind(x, weights)}, x, weights)


@pytest.mark.parametrize("row", training.ROWS, ids=lambda row: row.name)
def test_the_work_of_a_step_is_that_of_its_layers(row):
    n_layers = len(row.layers) - 1
    x, weights = np.zeros((row.batch, row.layers[0])), 0
    for i in range(n_layers):
        D, M = row.layers[i : i + 2]
        weights += 2 * x.shape[0] * D * M * (3 if i else 2)
    assert training.flops(row) == weights
    assert training.traffic(row) > 4 * 7 * sum(
        (D + 1) * M for D, M in zip(row.layers, row.layers[1:], strict=False)
    )


# ------------------------------------------------------------------------------------- an epoch


@pytest.mark.parametrize("name", [n for n in epochs.EPOCHS if not n.startswith("torch.compile")])
def test_an_epoch_trains_on_every_sample_in_the_order_that_it_is_given(name):
    package = "torch" if "orch" in name else "jax" if "JAX" in name else "numpy"
    pytest.importorskip(package)
    X, weights = training.problem(TINY, batches=3)
    order = np.arange(len(X))
    exact = NumpyByHand(X[: TINY.batch], weights, "float64")
    expected = []
    for start in range(0, len(X), TINY.batch):
        exact.x = X[start : start + TINY.batch].astype("float64")
        expected.append(exact.step())
    epoch = epochs.EPOCHS[name](X, weights, TINY.batch)
    epoch.reset()
    np.testing.assert_allclose(epoch.epoch(order), np.mean(expected), rtol=1e-4)
    assert np.isfinite(epoch.epoch())  # in an order of its own


def test_an_epoch_is_measured_and_told(monkeypatch):
    X, weights = training.problem(TINY, batches=3)
    names = dict.fromkeys(["minienc", "NumPy by hand"])
    found = epochs.measure(X, weights, TINY.batch, names, 0.1)
    assert found["steps"] == 3
    assert set(found["seconds"]) == set(names)
    text = epochs.render([(TINY, {"epoch": found})])
    assert TINY.name in text and "JAX scan / minienc" in text


# -------------------------------------------------------------------------------- the dense layer


@pytest.mark.parametrize("row", [dense.Row(7, 5, 3), dense.ROWS[0]], ids=lambda row: row.name)
def test_dense_candidates_agree_with_float64(row):
    p = dense.problem(row)
    made, _ = timing.build(timing.chosen(dense.CANDIDATES, ["minienc", "numpy"]), p)
    assert list(made) == ["minienc", "NumPy by hand"]
    dense.check(made, p)


@pytest.mark.parametrize("which", range(4), ids=["y", "dx", "dW", "db"])
def test_dense_results_that_are_off_are_refused(which):
    p = dense.problem(dense.Row(7, 5, 3))
    right = dense.numpy_by_hand(p)

    def arrays(y, grads):
        found = list(right.arrays(y, grads))
        found[which] = found[which] * np.float32(1.001)
        return tuple(found)

    with pytest.raises(RuntimeError, match=f"wrong: {('y', 'dx', 'dW', 'db')[which]} is off"):
        dense.check({"wrong": right._replace(arrays=arrays)}, p)


@pytest.mark.parametrize("package, name", [("torch", "PyTorch eager"), ("jax", "JAX jit")])
def test_dense_peers_agree(package, name):
    pytest.importorskip(package)
    p = dense.problem(dense.Row(7, 5, 3))
    dense.check({name: dense.CANDIDATES[name](p)}, p)


# ---------------------------------------------------------------------------- tables and commands


def test_a_peer_that_is_missing_or_fails_is_named():
    def absent():
        raise ModuleNotFoundError("No module named 'peer'", name="peer")

    def broken():
        raise RuntimeError("no compiler\nand more")

    made, missing = timing.build({"here": dict, "absent": absent, "broken": broken})
    assert made == {"here": {}}
    assert missing == {"absent": "not installed (peer)", "broken": "RuntimeError: no compiler"}
    with pytest.raises(RuntimeError, match="no compiler"):
        timing.build({"minienc": broken})


def test_tables_are_markdown():
    text = command.table(["a", "long header"], [["first row", "1"], ["b", "22"]])
    assert text.splitlines() == [
        "| a         | long header |",
        "|-----------|------------:|",
        "| first row |           1 |",
        "| b         |          22 |",
    ]


@pytest.mark.parametrize(
    "seconds, text",
    [
        (2.43e-6, "2.4 us"),
        (2.34e-4, "234 us"),
        (1.2e-3, "1.20 ms"),
        (0.12, "120 ms"),
        (3, "3.00 s"),
    ],
)
def test_times_have_the_unit_that_suits(seconds, text):
    assert command.time_text(seconds) == text


ABOUT = {
    "processor": "A processor",
    "processors": 4,
    "instruction_sets": ["avx2"],
    "caches": {"L1": "48K"},
    "threads": 2,
    "system": "Linux",
    "python": "3.11",
    "minienc": "1",
    "kernel": {"loaded": False, "instruction_set": None, "serves": [], "reason": "no kernel"},
    "numpy": {"version": "2", "blas": "a blas"},
    "peers": {"torch": "2"},
    "fma_peak": {"float32": 1e11, "float64": None},
    "copy_bandwidth": 1e10,
    "others": 0.25,
}


def three(value):
    return {"median": value, "lower": value, "upper": value}


def test_the_training_table_compares_with_the_best_library_that_trains_the_same():
    seconds = {"minienc": 2e-3, "NumPy by hand": 1e-3, "JAX jit": 3e-3, "scikit-learn*": 1e-4}
    seconds["PyTorch eager"] = 5e-3
    row = {
        "layers": [4, 2, 4],
        "batch": 8,
        "flops": 2e7,
        "bytes": 2e6,
        "rounds": 5,
        "seconds": {name: three(s) for name, s in seconds.items()},
        "times_minienc": {name: three(s / 2e-3) for name, s in seconds.items()},
        "missing": {"torch.compile, whole step": "RuntimeError: no compiler"},
    }
    results = {"machine": ABOUT, "rows": [row]}
    lines = training.render(results).splitlines()
    assert training.best_peer(row) == "JAX jit"
    assert any("4-2-4, 8" in line and "2.00 ms" in line and "100 us" in line for line in lines)
    cells = next(line for line in lines if "MFLOP" in line).strip("| ").split("|")
    assert [cell.strip() for cell in cells] == [
        *("4-2-4, 8", "JAX jit", "1.50", "0.50", "20 MFLOP", "10.0", "10 %", "10 %")
    ]
    assert "Not timed: torch.compile, whole step, RuntimeError: no compiler." in lines
    assert "Other programs took 25 % meanwhile" in lines[0]
    assert training.plot(results).axes


@pytest.mark.parametrize("program, row", [(training, TINY), (dense, dense.Row(5, 4, 3))])
def test_a_run_without_peers_prints_and_keeps_its_figures(
    program, row, tmp_path, monkeypatch, capsys
):
    """The command as it is, but for the process of its own that each number of threads has."""

    def here(module, given, threads):
        assert module == program.__name__
        runs = []
        for n in threads:
            given.threads = [n]
            runs.append(json.loads(json.dumps(program.measure_all(given))))
        return runs

    monkeypatch.setattr(command, "in_children", here)
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    monkeypatch.setattr(machine, "fma_peak", lambda dtype, threads: None)
    monkeypatch.setattr(machine, "copy_bandwidth", lambda threads: 1e10)
    monkeypatch.setattr(program, "ROWS", (row,))
    program.main(["--seconds", "0.01", "--candidates", "minienc", "numpy", "--save"])
    printed = capsys.readouterr().out
    assert row.name in printed
    assert "not measured" in printed
    name = program.__name__.rpartition(".")[2]
    assert (tmp_path / f"{name}.md").read_text() in printed + "\n"
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    kept = json.loads((tmp_path / f"{name}.json").read_text())
    assert kept["runs"][0]["machine"]["threads"] == 1 or program is training
    assert len(kept["runs"][0]["rows"]) == 1


def test_a_number_of_threads_has_a_process_of_its_own(tmp_path, monkeypatch):
    options = command.parser("p", "What it does.", ["a row"])
    given = options.parse_args(["--rows", "1", "--seconds", "0.5", "--candidates", "minienc"])
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "program.py").write_text(
        "import json, os, sys\n"
        "from minienc.kernel import usable_cpus\n"
        "seen = [sys.argv[1:-1], os.environ['OMP_NUM_THREADS'], usable_cpus()]\n"
        "open(sys.argv[-1], 'w').write(json.dumps(seen))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(command.__file__).parents[1]))
    (result,) = command.in_children("package.program", given, [1])
    arguments, threads, cpus = result
    assert " ".join(arguments) == (
        "--seconds 0.5 --rows 1 --candidates minienc --threads 1 --child"
    )
    assert threads == "1"
    assert cpus == 1 or not hasattr(os, "sched_setaffinity")


# ---------------------------------------------------------------------------------- the sequences

SMALL = [
    sequences.Row("LSTM", (3, 4, 5, 6), "small"),
    sequences.Row("GRU", (3, 4, 5, 6), "small"),
    sequences.Row("causal attention", (2, 2, 5, 4), "small"),
    sequences.Row("Conv1D", (2, 7, 3, 4, 3), "small"),
    sequences.Row("Transformer's step", (2, 6, 8, 2, 2), "small"),
    sequences.Row("convolutional step", (3,), "small"),
]


@pytest.mark.parametrize("row", SMALL, ids=lambda row: row.kind)
@pytest.mark.parametrize("library", ["minienc", "torch", "jax"])
def test_every_library_computes_the_same_of_a_sequence(library, row):
    names = {"minienc": [], "torch": [sequences.TORCH, sequences.WRITTEN], "jax": [sequences.JAX]}
    if library != "minienc":
        pytest.importorskip(library)
    factories, start = sequences.candidates(row)
    chosen = {n: factories[n] for n in ["minienc", *names[library]] if n in factories}
    calls, missing = timing.build(chosen)
    assert len(calls) == len(chosen) and not missing
    sequences.check(row, calls, start)


@pytest.mark.parametrize("row", [SMALL[0], SMALL[4]], ids=lambda row: row.kind)
def test_what_computes_something_else_of_a_sequence_is_refused(row):
    factories, start = sequences.candidates(row)
    right = factories["minienc"]()

    def wrong():
        result = right()
        return 1.01 * result if isinstance(start, sequences.steps.Step) else (result[0] * 1.01, 0)

    with pytest.raises(RuntimeError, match="wrong"):
        sequences.check(row, {"minienc": right, "wrong": wrong}, start)


def test_a_table_of_sequences_is_rendered_and_drawn(tmp_path):
    row = sequences.measure(SMALL[2], {"minienc": None}, 0.05)
    run = {"machine": machine.machine(1), "rows": [row]}
    assert "causal attention, small" in sequences.render(run)
    sequences.plot([run]).savefig(tmp_path / "drawn.png")


def test_the_work_of_sequences():
    lstm, nano, images = sequences.ROWS[0], sequences.ROWS[7], sequences.ROWS[9]
    assert sequences.flops(lstm) == pytest.approx(15.1e9, rel=0.01)
    assert sequences.flops(nano) == pytest.approx(3.8e9, rel=0.02)
    assert sequences.flops(images) == pytest.approx(0.47e9, rel=0.03)
