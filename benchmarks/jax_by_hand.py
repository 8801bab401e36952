"""What it costs JAX to compile backwards that were written by hand, beside those it derives itself.

    python -m benchmarks.jax_by_hand                 all rows
    python -m benchmarks.jax_by_hand --rows 1 2 --seconds 5
    python -m benchmarks.jax_by_hand --save          kept in benchmarks/results/jax_by_hand.*

A step of ``benchmarks.training`` on JAX's arrays, in turns: minienc's ``Learner.step``, whose
forward, backward and Adam are compiled as they stand (``model.to("jax")``); the same compiled
function by itself, without what Python does around it; and ``jax.value_and_grad`` of the forward,
jitted with Adam. Beside them minienc with its own kernel. All must first show the same losses.

The children keep memory that was freed (``MALLOC_TRIM_THRESHOLD_``, in one arena): otherwise glibc
gives the end of the heap back after a step and takes it again at the next, or does not, as chance
has it, and a page fault for each 4096 bytes can be five times a step of row 3.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import command, machine, timing, training
from benchmarks.training import ROWS, Row
from benchmarks.training_candidates import RATE, Jax, Minienc, Weights
from minienc.kernel import usable_cpus

DERIVED = "jax.value_and_grad"


class OnJax(Minienc):
    """What ``fit`` does for a batch on JAX's arrays, and looks at its loss."""

    def __init__(self, x: np.ndarray, weights: Weights) -> None:
        super().__init__(x, weights, device="jax")

    def losses(self, n: int) -> list[float]:
        found = super().losses(n)
        if self.train.cannot_trace:
            raise RuntimeError(f"its step was not compiled: {self.train.cannot_trace}")
        return found


class Compiled(OnJax):
    """The function that JAX compiled for it, called again and again on what it returned."""

    def __init__(self, x: np.ndarray, weights: Weights) -> None:
        super().__init__(x, weights)
        OnJax.step(self)  # compiles it
        ((self.compiled, _),) = self.train.compiled.values()
        self.reset()

    def step(self) -> float:
        if not hasattr(self, "compiled"):
            return super().step()
        self.n += 1
        numbers = np.asarray((self.n, RATE), "float32")
        self.state, found = self.compiled(self.state, self.arrays, tuple(numbers), [])
        return float(found[0])

    def losses(self, n: int) -> list[float]:
        self.reset()
        return [self.step() for _ in range(n)]

    def reset(self) -> None:
        super().reset()
        w, b = self.model.parameters.vector.copy(), self.batch[0]
        self.n, self.arrays = 0, [b.values]
        self.state = [w.values, *((0 * w).copy().values for _ in range(3))]


CANDIDATES = {
    "minienc on JAX": OnJax,
    "its compiled function": Compiled,
    DERIVED: Jax,
    "minienc's kernel": Minienc,
}


def measure(row: Row, candidates: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Medians and quartiles of a step, and how many times minienc's on JAX each takes."""
    x, weights = training.problem(row)
    made, missing = timing.build(candidates, x, weights)
    training.check(made, x, weights)
    samples = timing.interleaved(
        {name: candidate.step for name, candidate in made.items()},
        seconds,
        before={name: candidate.reset for name, candidate in made.items()},
    )
    about = {"layers": row.layers, "batch": row.batch, "missing": missing}
    return {**about, "samples": samples, **timing.summary(samples)}


def render(results: dict[str, Any]) -> str:
    """The table of one number of threads, in Markdown."""
    names, lines = list(CANDIDATES), []
    for row in results["rows"]:
        seconds = row["seconds"]
        cells = [command.time_text(seconds[n]["median"]) if n in seconds else "-" for n in names]
        if {"its compiled function", DERIVED} <= set(seconds):
            by_hand, derived = (row["samples"][n] for n in ("its compiled function", DERIVED))
            cells.append(f"{np.median(np.divide(by_hand, derived)):.2f}")
        else:
            cells.append("-")
        lines.append([Row(tuple(row["layers"]), row["batch"]).name, *cells])
    table = command.table(["layers, batch", *names, "by hand / derived"], lines)
    about = machine.describe(results["machine"])
    return f"{about}\n\n{table}\n\nMedians; the ratio is the median of the rounds' own."


def plot(results: dict[str, Any]) -> Any:
    """For each row, its candidates' times over those of what JAX derives itself."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    rows = [row for row in results["rows"] if DERIVED in row["seconds"]]
    for name in CANDIDATES:
        ratios = [
            row["seconds"][name]["median"] / row["seconds"][DERIVED]["median"]
            for row in rows
            if name in row["seconds"]
        ]
        axes.plot(range(len(ratios)), ratios, "o-", label=name)
    labels = [Row(tuple(row["layers"]), row["batch"]).name for row in rows]
    axes.set_xticks(range(len(rows)), labels, rotation=20, ha="right", fontsize=7)
    axes.set_ylabel(f"time of a step, in times of {DERIVED}'s")
    axes.set_yscale("log", base=2)
    axes.legend()
    return figure


def measure_all(given: Any) -> dict[str, Any]:
    return command.measure_rows(given, ROWS, CANDIDATES, measure)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and with ``--save`` keep."""
    kept = str(2**31 - 1)
    os.environ |= {"MALLOC_TRIM_THRESHOLD_": kept, "MALLOC_MMAP_THRESHOLD_": kept}
    os.environ["MALLOC_ARENA_MAX"] = "1"
    command.main(
        "jax_by_hand",
        __doc__ or "",
        arguments,
        ROWS,
        measure_all,
        render,
        lambda runs: plot(runs[-1]),
        [usable_cpus()],
    )


if __name__ == "__main__":
    main()
