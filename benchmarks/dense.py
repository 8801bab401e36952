"""The dense layer with relu, forward and backward, timed beside the libraries that courses use.

    python -m benchmarks.dense                          on one thread, then on all
    python -m benchmarks.dense --rows 9 --threads 1 --seconds 5
    python -m benchmarks.dense --candidates minienc numpy
    python -m benchmarks.dense --save                   kept in benchmarks/results/dense.*

Forward is y = relu(x W + b); backward takes dy and what the forward kept, and returns dx, dW and
db. All in float32, on arrays that every candidate has in its own favourite layout beforehand; the
results are new arrays, as a library hands them out. Each candidate must first agree with float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks import command, machine, timing
from minienc.functions.dense import dense_backward, dense_forward
from minienc.kernel import usable_cpus


class Row(NamedTuple):
    N: int
    D: int
    M: int

    @property
    def name(self) -> str:
        return f"{self.N}x{self.D}x{self.M}"


ROWS = (
    Row(32, 64, 32),
    Row(128, 64, 32),
    Row(64, 784, 128),
    Row(64, 128, 32),
    Row(128, 784, 512),
    Row(256, 784, 1000),
    Row(256, 250, 30),
    Row(256, 30, 250),
    Row(1024, 1024, 1024),
    Row(1024, 784, 1024),
    Row(4096, 784, 1024),
)
PASSES = ("forward", "backward")


class Problem(NamedTuple):
    x: np.ndarray  # (N, D)
    W: np.ndarray  # (D, M)
    b: np.ndarray  # (M,)
    dy: np.ndarray  # (N, M)


def problem(row: Row, seed: int = 0) -> Problem:
    """Normal numbers, of a size at which relu lets about half of them through."""
    rng = np.random.default_rng(seed)
    normal = partial(rng.standard_normal, dtype="float32")
    W = normal((row.D, row.M)) * np.float32(1 / math.sqrt(row.D))
    return Problem(normal((row.N, row.D)), W, normal(row.M), normal((row.N, row.M)))


def flops(row: Row, which: str) -> int:
    """2 N D M for each matrix product: one forward, two backward."""
    return 2 * row.N * row.D * row.M * (1 if which == "forward" else 2)


def traffic(row: Row, which: str) -> int:
    """Bytes of the arrays read and written, each once: x, W, b, y, and dy, y, x, W, dx, dW, db."""
    x, W, b, y = row.N * row.D, row.D * row.M, row.M, row.N * row.M
    return 4 * (x + W + b + y if which == "forward" else 2 * (x + W + y) + b)


# ------------------------------------------------------------------------------------- candidates


class Candidate(NamedTuple):
    """Two functions without arguments, and what makes arrays (y, dx, dW, db) of their results."""

    forward: Callable[[], Any]
    backward: Callable[[], Any]
    arrays: Callable[[Any, Any], tuple[np.ndarray, ...]]


def minienc(p: Problem) -> Candidate:
    """The functions of ``minienc.functions``, whichever serves: compiled, or the definition."""
    _, cache = dense_forward(p.x, p.W, p.b, "relu")
    return Candidate(
        lambda: dense_forward(p.x, p.W, p.b, "relu"),
        lambda: dense_backward(p.dy, cache),
        lambda forward, backward: (forward[0], *backward),
    )


def numpy_by_hand(p: Problem) -> Candidate:
    """No temporary array but dz, which has to be."""

    def forward() -> np.ndarray:
        y = p.x @ p.W
        y += p.b
        return np.maximum(y, 0, out=y)

    y = forward()

    def backward() -> tuple[np.ndarray, ...]:
        dz = p.dy * (y > 0)
        return dz @ p.W.T, p.x.T @ dz, dz.sum(axis=0)

    return Candidate(forward, backward, lambda y, grads: (y, *grads))


def torch(p: Problem, compiled: bool = False) -> Candidate:
    """``F.linear`` and relu; backward what autograd would call, without autograd's own time."""
    import torch
    from torch.nn import functional

    x, b, dy = (torch.from_numpy(a.copy()) for a in (p.x, p.b, p.dy))
    W = torch.from_numpy(p.W.T.copy())  # (M, D), as torch.nn.Linear has it

    def forward(x: Any, W: Any, b: Any) -> Any:
        return functional.relu_(functional.linear(x, W, b))

    def backward(dy: Any, y: Any, x: Any, W: Any) -> tuple:
        dz = torch.ops.aten.threshold_backward(dy, y, 0)
        return dz @ W, dz.T @ x, dz.sum(0)

    if compiled:
        torch.compiler.reset()  # what was compiled for other shapes is not generalised
        forward = torch.compile(forward, dynamic=False)
        backward = torch.compile(backward, dynamic=False)
    y = forward(x, W, b)  # tensors that nobody differentiates: no graph is recorded
    return Candidate(
        lambda: forward(x, W, b),
        lambda: backward(dy, y, x, W),
        lambda y, grads: (y.numpy(), grads[0].numpy(), grads[1].numpy().T, grads[2].numpy()),
    )


def jax(p: Problem) -> Candidate:
    """Both jitted, and waited for."""
    import jax
    from jax import numpy as jnp

    @jax.jit
    def forward(x: Any, W: Any, b: Any) -> Any:
        return jnp.maximum(x @ W + b, 0)

    @jax.jit
    def backward(dy: Any, y: Any, x: Any, W: Any) -> tuple:
        dz = jnp.where(y > 0, dy, 0)
        return dz @ W.T, x.T @ dz, dz.sum(axis=0)

    x, W, b, dy = (jax.device_put(a) for a in p)
    y = forward(x, W, b)
    return Candidate(
        lambda: forward(x, W, b).block_until_ready(),
        lambda: jax.block_until_ready(backward(dy, y, x, W)),
        lambda y, grads: tuple(map(np.asarray, (y, *grads))),
    )


CANDIDATES: dict[str, Callable[[Problem], Candidate]] = {
    "minienc": minienc,
    "NumPy by hand": numpy_by_hand,
    "PyTorch eager": torch,
    "torch.compile": partial(torch, compiled=True),
    "JAX jit": jax,
}
OWN = ("minienc", "NumPy by hand")  # all others are peers


def check(candidates: Mapping[str, Candidate], p: Problem) -> None:
    """Refuse a candidate whose results are not those of float64, but for float32's rounding.

    Raises
    ------
    RuntimeError
        If one of y, dx, dW and db is further off, in norm, than 1 in 100,000.
    """
    x, W, b, dy = (a.astype("float64") for a in p)
    y = np.maximum(x @ W + b, 0)
    dz = dy * (y > 0)
    right = {"y": y, "dx": dz @ W.T, "dW": x.T @ dz, "db": dz.sum(axis=0)}
    for name, candidate in candidates.items():
        found = candidate.arrays(candidate.forward(), candidate.backward())
        for (what, expected), array in zip(right.items(), found, strict=True):
            # At a z of 0 within rounding, relu' is 0 here and 1 there: one dy more or less.
            kinks = 0 if what == "y" else np.linalg.norm(_at_kinks(x, W, b, dy))
            off = np.linalg.norm(array - expected)
            if not off <= 1e-5 * np.linalg.norm(expected) + 10 * kinks:
                raise RuntimeError(f"{name}: {what} is off by {off}")


def _at_kinks(x: np.ndarray, W: np.ndarray, b: np.ndarray, dy: np.ndarray) -> np.ndarray:
    return dy[np.abs(x @ W + b) < 1e-6]


# ------------------------------------------------------------------------------------ measurement


def measure(row: Row, candidates: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Time both passes of a row: medians and quartiles, and ratios to minienc's."""
    p = problem(row)
    made, missing = timing.build(candidates, p)
    check(made, p)
    result: dict[str, Any] = {"shape": row, "missing": missing, "passes": {}}
    for which in PASSES:
        calls = {name: getattr(candidate, which) for name, candidate in made.items()}
        samples = timing.interleaved(calls, seconds / len(PASSES))
        result["passes"][which] = {
            "flops": flops(row, which),
            "bytes": traffic(row, which),
            **timing.summary(samples),
        }
    return result


# ----------------------------------------------------------------------------------- presentation


def render(results: dict[str, Any]) -> str:
    """The tables of one number of threads, in Markdown."""
    about = results["machine"]
    parts = [machine.describe(about)]
    for which in PASSES:
        lines = [(Row(*row["shape"]).name, row["passes"][which]) for row in results["rows"]]
        names = [n for n in CANDIDATES if any(n in found["seconds"] for _, found in lines)]
        header = [f"{which}, NxDxM", *names, "best peer / minienc", "minienc's GFLOP/s"]
        header += ["of the FMA peak", "of the copy bandwidth"]
        parts.append(
            command.table(header, [[name, *_cells(found, names, about)] for name, found in lines])
        )
    rounds = [found["rounds"] for row in results["rows"] for found in row["passes"].values()]
    notes = [
        f"Medians of {min(rounds)} to {max(rounds)} rounds; ratios are medians of the rounds' "
        f"own. More than 100 % of the copy bandwidth: the caches held what would else have moved."
    ]
    missing = {name: why for row in results["rows"] for name, why in row["missing"].items()}
    notes += [f"Not timed: {name}, {why}." for name, why in missing.items()]
    return "\n\n".join([*parts, *notes])


def _cells(found: dict[str, Any], names: Sequence[str], about: dict[str, Any]) -> list[str]:
    medians = {name: spread["median"] for name, spread in found["seconds"].items()}
    cells = [command.time_text(medians[n]) if n in medians else "-" for n in names]
    if "minienc" not in medians:
        return [*cells, "-", "-", "-", "-"]
    best = min((n for n in medians if n not in OWN), key=medians.__getitem__, default=None)
    rate = found["flops"] / medians["minienc"]
    return [
        *cells,
        f"{found['times_minienc'][best]['median']:.2f}" if best else "-",
        f"{rate / 1e9:.1f}",
        command.share_text(rate, about["fma_peak"]["float32"]),
        command.share_text(found["bytes"] / medians["minienc"], about["copy_bandwidth"]),
    ]


def plot(runs: Sequence[dict[str, Any]]) -> Any:
    """GFLOP/s over the shapes, a panel for each pass and number of threads, below the peak."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 0.5 + 4 * len(runs)), layout="constrained")
    panels = figure.subplots(len(runs), len(PASSES), squeeze=False)
    for run, line in zip(runs, panels, strict=True):
        rows, threads = run["rows"], run["machine"]["threads"]
        for which, axes in zip(PASSES, line, strict=True):
            for k, name in enumerate(CANDIDATES):
                rates = [_rate(row["passes"][which], name) for row in rows]
                if any(rate is not None for rate in rates):
                    shown = [np.nan if rate is None else rate / 1e9 for rate in rates]
                    axes.plot(shown, "o-", ms=4, lw=1, color=f"C{k}", label=name)
            if peak := run["machine"]["fma_peak"]["float32"]:
                axes.axhline(peak / 1e9, color="0.4", ls="--", lw=1, label="measured FMA peak")
            labels = [Row(*row["shape"]).name for row in rows]
            axes.set_xticks(range(len(rows)), labels, rotation=40, ha="right", fontsize=7)
            axes.set_ylim(bottom=0)
            axes.set_ylabel("GFLOP/s (median)")
            axes.set_title(f"{which}, {threads} thread{'s' if threads > 1 else ''}", fontsize=9)
    panels[0, 0].legend(fontsize=7)
    figure.suptitle(machine.describe(runs[-1]["machine"]), fontsize=6, wrap=True)
    return figure


def _rate(found: dict[str, Any], name: str) -> float | None:
    spread = found["seconds"].get(name)
    return None if spread is None else found["flops"] / spread["median"]


# ------------------------------------------------------------------------------------ the command


def measure_all(given: Any) -> dict[str, Any]:
    """Every row, in this process and on the threads that it was given."""
    return command.measure_rows(given, ROWS, CANDIDATES, measure)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure in a process for each number of threads, print, and with ``--save`` keep."""
    threads = sorted({1, usable_cpus()})
    command.main("dense", __doc__ or "", arguments, ROWS, measure_all, render, plot, threads)


if __name__ == "__main__":
    main()
