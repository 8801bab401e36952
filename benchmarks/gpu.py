"""minienc on a GPU: that it computes what it computes on the CPU, and how fast beside its peers.

    python -m benchmarks.gpu                      everything
    python -m benchmarks.gpu --only-check         what is computed alone
    python -m benchmarks.gpu --rows 1 2 --seconds 5
    python -m benchmarks.gpu --save               kept in benchmarks/results/gpu.*

First every function, every layer and runs of training are compared with the CPU's. Then one step of
training is timed, of the models of ``benchmarks.training`` and of two wide ones, all candidates in
turns in one process, and beside them what the card does at most: a large product, and a copy.
All compute float32 as float32: no candidate rounds to TF32.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks import command, timing, training, training_candidates
from benchmarks.gpu_checks import TOLERANCE, check
from benchmarks.training import Row
from benchmarks.training_candidates import Weights
from minienc.files import write_json, write_text
from minienc.gpu import gpu_info

ROWS = (*training.ROWS, Row((2048, 2048, 2048), 1024), Row((8192, 8192, 8192), 1024))
# ----------------------------------------------------------------------------------- candidates


class Minienc(training_candidates.Minienc):
    """What ``fit`` does for a batch, and looks at the loss of each."""

    def __init__(self, x: np.ndarray, weights: Weights, recorded: bool = True) -> None:
        super().__init__(x, weights, device="cuda")
        self.recorded = recorded
        self.pipeline.cannot_record = not recorded

    def losses(self, n: int) -> list[float]:
        found = super().losses(n)
        if self.recorded and not self.pipeline.records:
            raise RuntimeError("its step could not be recorded")
        return found

    def timed(self, n: int) -> float:
        import cupy

        return _between_events(cupy.cuda.Event, cupy.cuda.get_elapsed_time, self.step, n)


class GraphAlone(Minienc):
    """The recorded step launched again and again, as the GPU would like it: nobody looks."""

    def timed(self, n: int) -> float:
        import cupy

        (record,) = self.pipeline.records.values()
        launch = record.graph.launch
        return _between_events(cupy.cuda.Event, cupy.cuda.get_elapsed_time, launch, n)


class _TimedByTorch:
    def timed(self, n: int) -> float:
        import torch

        event = partial(torch.cuda.Event, enable_timing=True)
        return _between_events(event, lambda a, b: a.elapsed_time(b), self.step, n)  # type: ignore[attr-defined]


class Torch(_TimedByTorch, training_candidates.Torch):
    """PyTorch as its tutorials train."""


class TorchWholeStep(_TimedByTorch, training_candidates.TorchWholeStep):
    """All of a step in one compiled graph."""


class TorchGraph(_TimedByTorch, training_candidates.Torch):
    """PyTorch's step recorded as a CUDA graph, as its manual says: after some on another stream."""

    def __init__(self, x: np.ndarray, weights: Weights) -> None:
        import torch

        super().__init__(x, weights, fused=True, device="cuda", capturable=True)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                super().step()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        self.adam.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph):
            self.loss_of_step = self.loss(self.x)
            self.loss_of_step.backward()
            self.adam.step()
        self.reset()

    def step(self) -> Any:
        self.graph.replay()
        return self.loss_of_step.detach()


class Jax(training_candidates.Jax):
    """The whole step jitted. Its stream is its own: its clock is the host's, from idle to idle."""

    def __init__(self, x: np.ndarray, weights: Weights) -> None:
        import jax

        if jax.default_backend() != "gpu":
            raise ImportError("JAX for a GPU is not installed", name="jax[cuda13]")
        jax.config.update("jax_default_matmul_precision", "highest")  # else TF32
        super().__init__(x, weights)

    def timed(self, n: int) -> float:
        self.jax.block_until_ready(self.state)
        start = time.perf_counter()
        for _ in range(n):
            _, self.state = self.train(self.state, self.x)
        self.jax.block_until_ready(self.state)
        return (time.perf_counter() - start) / n


CANDIDATES: dict[str, Callable[[np.ndarray, Weights], Any]] = {
    "minienc": Minienc,
    "minienc, no graph": partial(Minienc, recorded=False),
    "minienc, graph alone": GraphAlone,
    "PyTorch eager": partial(Torch, device="cuda"),
    "PyTorch eager, fused Adam": partial(Torch, device="cuda", fused=True),
    "PyTorch, CUDA graph": TorchGraph,
    "torch.compile, fused Adam": partial(Torch, device="cuda", fused=True, compiled=True),
    "torch.compile, whole step": partial(TorchWholeStep, device="cuda"),
    "JAX jit": Jax,
}


def _between_events(make: Any, elapsed: Any, step: Callable[[], Any], n: int) -> float:
    """Seconds a step by the GPU's own clock: milliseconds between two events, over n steps."""
    first, last = make(), make()
    first.record()
    for _ in range(n):
        step()
    last.record()
    last.synchronize()
    return elapsed(first, last) / 1e3 / n


# ---------------------------------------------------------------------------------- measurement


def in_turns(
    timed: Mapping[str, Callable[[int], float]], seconds: float, seed: int = 0
) -> dict[str, list[float]]:
    """Seconds a step of each candidate, one sample a round, in a new order every round.

    A sample is as many steps as take 20 ms; before it a candidate runs for as long untimed, so
    that clocks and caches are its own.
    """
    rng, names = np.random.default_rng(seed), list(timed)
    steps = {}
    for name in names:
        timed[name](5)
        steps[name] = max(1, round(20e-3 / min(timed[name](3) for _ in range(3))))
    samples: dict[str, list[float]] = {name: [] for name in names}
    started = time.perf_counter()
    while len(samples[names[0]]) < 5 or time.perf_counter() - started < seconds:
        for i in rng.permutation(len(names)):
            timed[names[i]](steps[names[i]])
            samples[names[i]].append(timed[names[i]](steps[names[i]]))
    return samples


def measure(row: Row, candidates: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Time a row, after each candidate has shown the reference's losses."""
    x, weights = training.problem(row)
    made, missing = {}, {}
    reference = training_candidates.NumpyByHand(x, weights, "float64").losses(training.STEPS)
    for name, factory in candidates.items():
        try:
            candidate = factory(x, weights)
            losses = candidate.losses(training.STEPS)
        except Exception as error:
            missing[name] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            continue
        if np.allclose(losses, reference, rtol=1e-3, atol=0):
            made[name] = candidate
        else:
            missing[name] = f"it trains something else: {losses}, not {reference}"
    samples = in_turns({name: c.timed for name, c in made.items()}, seconds) if made else {}
    return {
        "layers": row.layers,
        "batch": row.batch,
        "flops": training.flops(row),
        "bytes": training.traffic(row),
        "missing": missing,
        **timing.summary(samples),
    }


def limits() -> dict[str, float]:
    """What the card does at most: FLOP/s of a large product in float32, bytes/s of a copy."""
    import cupy

    from minienc.fast.cublas import matmul

    n = 8192
    a, b, c = (cupy.ones((n, n), dtype="float32") for _ in range(3))
    big, copied = cupy.ones(1 << 28, dtype="float32"), cupy.empty(1 << 28, dtype="float32")
    event, elapsed = cupy.cuda.Event, cupy.cuda.get_elapsed_time
    product = min(_between_events(event, elapsed, lambda: matmul(a, b, c), 5) for _ in range(5))
    copy = partial(cupy.copyto, copied, big)
    return {
        "matrix_rate": 2 * n**3 / product,
        "copy_rate": 2
        * big.nbytes
        / min(_between_events(event, elapsed, copy, 5) for _ in range(5)),
    }


def about(with_limits: bool) -> dict[str, Any]:
    """The card, the driver and the libraries; ``with_limits``, what the card does at most."""
    info = gpu_info()
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    for name in ("torch", "jax"):
        try:
            versions[name] = __import__(name).__version__
        except ImportError:
            continue
    return {"gpu": info["reason"], "versions": versions, **(limits() if with_limits else {})}


# --------------------------------------------------------------------------------- presentation


def render(results: dict[str, Any]) -> str:
    """The tables, in Markdown."""
    checks = results["checks"]
    worst = [
        [
            dtype,
            str(len(of)),
            f"{max(c['error'] for c in of):.1e}",
            str(sum(c["passed"] for c in of)),
        ]
        for dtype in TOLERANCE
        if (of := [c for c in checks if c["dtype"] == dtype])
    ]
    header = ["against the CPU", "comparisons", "largest difference", "pass"]
    parts = [_describe(results["about"]), command.table(header, worst)]
    parts += [
        f"Fails: {c['of']}, {c['dtype']}, {c['error']:.1e} {c['says']}" for c in failed(checks)
    ]
    if results.get("rows"):
        parts += [_times(results["rows"]), _shares(results["rows"], results["about"])]
        missing = {n: why for row in results["rows"] for n, why in row["missing"].items()}
        parts += [f"Not timed: {name}, {why}." for name, why in missing.items()]
    return "\n\n".join(parts)


def failed(checks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [c for c in checks if not c["passed"]]


def _describe(card: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in card["versions"].items())
    measured = (
        f" Measured: a product of 8192 x 8192 in float32 {card['matrix_rate'] / 1e12:.1f} TFLOP/s, "
        f"a copy {card['copy_rate'] / 1e9:.0f} GB/s."
        if "matrix_rate" in card
        else ""
    )
    return f"{card['gpu']}.{measured} {versions}."


def _title(row: dict[str, Any]) -> str:
    return Row(tuple(row["layers"]), row["batch"]).name


def _times(rows: Sequence[dict[str, Any]]) -> str:
    names = [n for n in CANDIDATES if any(n in row["seconds"] for row in rows)]
    cells = [
        [
            _title(row),
            *(
                command.time_text(row["seconds"][n]["median"]) if n in row["seconds"] else "-"
                for n in names
            ),
        ]
        for row in rows
    ]
    return command.table(["layers, batch", *names], cells)


def _shares(rows: Sequence[dict[str, Any]], card: dict[str, Any]) -> str:
    """For each line its share of what the card does at most, and the best peer's time over it."""
    cells = []
    for row in rows:
        peers = [n for n in row["seconds"] if not n.startswith("minienc")]
        best = min(peers, key=lambda n: row["seconds"][n]["median"], default=None)
        for name, spread in row["seconds"].items():
            ratio = (
                "-" if best is None else f"{row['seconds'][best]['median'] / spread['median']:.2f}"
            )
            cells.append(
                [
                    f"{_title(row)}: {name}",
                    command.share_text(row["flops"] / spread["median"], card["matrix_rate"]),
                    command.share_text(row["bytes"] / spread["median"], card["copy_rate"]),
                    ratio,
                ]
            )
    return command.table(
        ["", "of the product's rate", "of the copy's rate", "best peer / this"], cells
    )


# ----------------------------------------------------------------------------------- the command


def main(arguments: Sequence[str] | None = None) -> int:
    """0: all is computed as on the CPU, and minienc is in each row; 1: not so; 2: no GPU."""
    numbered = "".join(f"  {i} {row.name}\n" for i, row in enumerate(ROWS, 1))
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=(__doc__ or "").partition("\n")[0],
        epilog=f"rows:\n{numbered}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = options.add_argument
    add("--rows", type=int, nargs="+", metavar="I", choices=range(1, len(ROWS) + 1), help="(all)")
    add("--seconds", type=float, default=20.0, help="for each row, all candidates together (20)")
    add("--candidates", nargs="+", metavar="WORD", help="only those whose names hold such a word")
    add("--only-check", action="store_true", help="compare with the CPU, and time nothing")
    add("--save", action="store_true", help="keep the figures in benchmarks/results/")
    given = options.parse_args(arguments)
    info = gpu_info()
    if info["why_not"]:
        print(f"benchmarks.gpu needs a GPU: {info['why_not']}", file=sys.stderr)
        return 2
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the memory is for all
    candidates = timing.chosen(CANDIDATES, given.candidates)
    results: dict[str, Any] = {"about": about(not given.only_check), "checks": check(), "rows": []}
    if not given.only_check:
        for row in [ROWS[i - 1] for i in given.rows or range(1, len(ROWS) + 1)]:
            results["rows"].append(measure(row, candidates, given.seconds))
            command.say(row.name)
    text = render(results)
    print(text)
    if given.save:
        command.RESULTS.mkdir(exist_ok=True)
        write_json(command.RESULTS / "gpu.json", results)
        write_text(command.RESULTS / "gpu.md", text + "\n")
    own = [name for name in candidates if name.startswith("minienc")]
    left_out = [row for row in results["rows"] if set(own) & set(row["missing"])]
    return 1 if failed(results["checks"]) or left_out else 0


if __name__ == "__main__":
    sys.exit(main())
