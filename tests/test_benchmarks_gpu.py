"""benchmarks.gpu where there is no GPU: what it says, its comparisons on a stand-in, its tables."""

from __future__ import annotations

import shutil
import sys

import pytest

from benchmarks import gpu, gpu_checks, timing
from minienc import primitive
from tests import cuda_double as double
from tests.layer_cases import LAYERS


def test_without_a_gpu_it_ends_with_one_line_and_exit_code_2(monkeypatch, capsys):
    none = {"devices": (), "why_not": "none is here; buy one"}
    monkeypatch.setattr(gpu, "gpu_info", lambda: none)
    assert gpu.main([]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "none is here" in said.err


@pytest.mark.skipif(shutil.which("g++") is None or sys.platform != "linux", reason="no stand-in")
def test_its_comparisons_pass_on_the_stand_in_and_find_what_is_wrong(monkeypatch):
    def some(dtype):
        functions = gpu_checks.function_checks(dtype)
        return {name: functions[name] for name in ("relu", "dropout", "patches", "l1_penalty")}

    with double.installed():
        checks = {**some("float64"), **gpu_checks.layer_checks("float64")}
        assert {f"layer {name}" for name in LAYERS} <= set(checks)
        assert {name: e for name, c in checks.items() if not (e := c("cuda")) <= 1e-10} == {}
        in_float32 = gpu_checks.layer_checks("float32")
        assert {name: e for name, c in in_float32.items() if not (e := c("cuda")) <= 1e-4} == {}
        served = primitive._fast_of_type[double.ndarray]
        right = served["dense_forward"]

        def dense_forward(*args, **options):
            y, cache = right(*args, **options)
            return y * 1.01, cache

        monkeypatch.setitem(served, "dense_forward", dense_forward)
        assert checks["layer Dense elu"]("cuda") > 1e-3


def test_candidates_take_turns_by_their_own_clock():
    log = []

    def clock(name):
        def timed(n):
            log.append(name)
            return 1.0

        return timed

    samples = gpu.in_turns({name: clock(name) for name in "ab"}, seconds=0)
    assert {name: len(values) for name, values in samples.items()} == {"a": 5, "b": 5}
    assert sorted(log) == ["a"] * 14 + ["b"] * 14


def test_the_tables_say_shares_and_what_fails():
    spreads = {name: timing.spread([t]) for name, t in {"minienc": 1e-3, "JAX jit": 2e-3}.items()}
    row = {
        **{"layers": (2, 3), "batch": 4, "flops": 1e9, "bytes": 1e6},
        **{"seconds": spreads, "missing": {"PyTorch eager": "not installed (torch)"}},
    }
    checks = [
        {"of": "relu", "dtype": "float64", "error": 0.0, "passed": True, "says": ""},
        {"of": "dense", "dtype": "float32", "error": 0.5, "passed": False, "says": ""},
    ]
    about = {"gpu": "a card", "versions": {"numpy": "2"}, "matrix_rate": 2e12, "copy_rate": 1e12}
    text = gpu.render({"checks": checks, "about": about, "rows": [row]})
    assert "Fails: dense, float32, 5.0e-01" in text
    assert "2-3, 4: minienc" in text and "50 %" in text and "2.00" in text
    assert "Not timed: PyTorch eager, not installed (torch)." in text


@pytest.mark.parametrize(("missing", "code"), [({}, 0), ({"minienc": "not recorded"}, 1)])
def test_the_card_is_said_and_to_be_left_out_is_no_success(monkeypatch, capsys, missing, code):
    found = {"devices": ("a card",), "why_not": None, "reason": "a card; CuPy 14"}
    spreads = {"PyTorch eager": timing.spread([2e-3])}
    checks = [{"of": "relu", "dtype": "float64", "error": 0.0, "passed": True, "says": ""}]
    row = {"layers": (2, 3), "batch": 4, "flops": 1e9, "bytes": 1e6, "seconds": spreads}
    monkeypatch.setattr(gpu, "gpu_info", lambda: found)
    monkeypatch.setattr(gpu, "check", lambda: checks)
    monkeypatch.setattr(gpu, "limits", lambda: {"matrix_rate": 5e13, "copy_rate": 3e12})
    monkeypatch.setattr(gpu, "measure", lambda *_: {**row, "missing": missing})
    assert gpu.main(["--rows", "1"]) == code
    said = capsys.readouterr().out
    assert said.startswith("a card; CuPy 14. Measured: a product of 8192 x 8192 in float32 50.0 TF")
    assert all(why in said for why in missing.values())
    assert gpu.main(["--only-check"]) == 0
    assert capsys.readouterr().out.startswith("a card; CuPy 14. python ")


class Pipeline:
    """One that records nothing."""

    records: dict = {}  # noqa: RUF012


def test_a_step_that_was_not_recorded_is_not_timed_as_one(monkeypatch):
    candidate = object.__new__(gpu.Minienc)
    candidate.recorded, candidate.pipeline = True, Pipeline()
    monkeypatch.setattr(gpu.training_candidates.Minienc, "losses", lambda self, n: [0.5] * n)
    with pytest.raises(RuntimeError, match="could not be recorded"):
        candidate.losses(3)
    candidate.recorded = False
    assert candidate.losses(2) == [0.5, 0.5]
