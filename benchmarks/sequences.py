"""Sequences and images: layers and whole training steps, timed beside PyTorch and JAX.

    python -m benchmarks.sequences                      on one thread, then on all
    python -m benchmarks.sequences --rows 1 2 --threads 1 --seconds 5
    python -m benchmarks.sequences --candidates minienc torch
    python -m benchmarks.sequences --save               kept in benchmarks/results/sequences.*

A layer is its forward and its backward, with the gradients of x and of all weights; a step is
forward, loss, backward and the optimiser's update. All in float32. Before anything is timed, a
layer's y and dx must be those of the definition in float64, and a step's first losses must be the
same in every library: what computes something else is not timed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks import command, machine, timing
from benchmarks import sequences_parts as parts
from benchmarks import sequences_steps as steps
from minienc.devices import workspace
from minienc.kernel import usable_cpus
from minienc.primitive import definitions_only

STEPS = 5  # whose losses are compared


class Row(NamedTuple):
    kind: str
    sizes: tuple[int, ...]
    what: str  # the sizes, in words

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.what}"


ROWS = (
    Row("LSTM", (64, 100, 128, 256), "64 x 100, 128 to 256"),
    Row("LSTM", (32, 64, 64, 128), "32 x 64, 64 to 128"),
    Row("GRU", (64, 100, 128, 256), "64 x 100, 128 to 256"),
    Row("GRU", (32, 64, 64, 128), "32 x 64, 64 to 128"),
    Row("causal attention", (32, 4, 64, 32), "32 x 4 heads x 64, 32"),
    Row("Conv1D", (32, 64, 128, 128, 3), "32 x 64, 128 to 128, kernel 3"),
    Row("Conv1D", (64, 100, 40, 64, 5), "64 x 100, 40 to 64, kernel 5"),
    Row("Transformer's step", (12, 64, 128, 4, 4), "nanoGPT: 12 x 64, width 128, 4 blocks"),
    Row("Transformer's step", (32, 64, 128, 4, 2), "32 x 64, width 128, 2 blocks"),
    Row("convolutional step", (128,), "128 images of 28 x 28, filters 16 and 32"),
)
TORCH, COMPILED, WRITTEN = "PyTorch eager", "torch.compile", "PyTorch, written out"
JAX = "JAX jit"
NAMES = ("minienc", TORCH, WRITTEN, COMPILED, JAX)


def flops(row: Row) -> int:
    """2 for each multiply-add, forward and twice as many backward; of attention what is seen."""
    if row.kind in parts.GATES:
        N, T, D, M = row.sizes
        return 6 * N * T * (D + M) * parts.GATES[row.kind] * M
    if row.kind == "causal attention":
        N, H, T, D = row.sizes
        return 6 * N * H * T * (T + 1) * D
    if row.kind == "Conv1D":
        N, T, C, M, K = row.sizes
        return 6 * N * T * C * M * K
    if row.kind == "Transformer's step":
        N, T, D, H, L = row.sizes
        attention = Row("causal attention", (N, H, T, D // H), "")
        return 6 * N * T * (12 * L * D * D + steps.V * D) + L * flops(attention)
    convolutions = 14 * 14 * 9 * 16 + 7 * 7 * 9 * 16 * 32
    return row.sizes[0] * (6 * 2 * (convolutions + 7 * 7 * 32 * 32) - 2 * 14 * 14 * 9 * 16)


# ------------------------------------------------------------------------------------- candidates


def candidates(row: Row) -> tuple[dict[str, Callable[[], Any]], Any]:
    """What makes each library's call of a row, and what the row begins with."""
    if row.kind in parts.GATES:
        p: Any = parts.recurrent_problem(row.kind, *row.sizes)
        made = [partial(f, row.kind) for f in (parts.recurrent_minienc, parts.recurrent_torch)]
        return _of_library(p, *made, partial(parts.recurrent_jax, row.kind)), p
    if row.kind == "causal attention":
        p = parts.attention_problem(*row.sizes)
        of = _of_library(p, parts.attention_minienc, parts.attention_torch, parts.attention_jax)
        of[WRITTEN] = lambda: parts.attention_torch(p, False, plain=True)
        return of, p
    if row.kind == "Conv1D":
        p = parts.conv1d_problem(*row.sizes)
        return _of_library(p, parts.conv1d_minienc, parts.conv1d_torch, parts.conv1d_jax), p
    if row.kind == "Transformer's step":
        p, H = steps.transformer(*row.sizes), row.sizes[3]
        torch = partial(_with_heads, steps.transformer_torch, H)
        return _of_library(p, lambda p: p, torch, lambda p: steps.transformer_jax(p, H)), p
    p = steps.convolutional(*row.sizes)
    return _of_library(p, lambda p: p, steps.convolutional_torch, steps.convolutional_jax), p


def _with_heads(make: Callable, H: int, p: Any, compiled: bool) -> Callable[[], Any]:
    return make(p, H, compiled)


def _of_library(p: Any, minienc: Any, torch: Any, jax: Any) -> dict[str, Callable[[], Any]]:
    return {
        "minienc": lambda: _in_workspace(minienc(p)),
        TORCH: lambda: torch(p, False),
        COMPILED: lambda: torch(p, True),
        JAX: lambda: jax(p),
    }


def _in_workspace(call: Callable[[], Any]) -> Callable[[], Any]:
    """As ``fit`` runs its steps: new arrays take the memory of those that are gone, as the other
    libraries' tensors do."""
    kept = workspace()

    def within() -> Any:
        with kept:
            return call()

    return within


def check(row: Row, calls: Mapping[str, Callable[[], Any]], start: Any) -> None:
    """Refuse a candidate that computes something else.

    Raises
    ------
    RuntimeError
        If y or dx of a layer is further off, in norm, than 1 in 10,000; or a step's loss.
    """
    if isinstance(start, steps.Step):
        found = {name: [float(call()) for _ in range(STEPS)] for name, call in calls.items()}
        expected = found.get("minienc", next(iter(found.values())))
        for name, losses in found.items():
            if not np.allclose(losses, expected, rtol=1e-3, atol=0):
                raise RuntimeError(f"{name} trains something else: {losses}, not {expected}")
        return
    right = _exact(row, start)
    for name, call in calls.items():
        for what, expected, array in zip(("y", "dx"), right, call(), strict=True):
            off = np.linalg.norm(np.asarray(array) - expected) / np.linalg.norm(expected)
            if not off <= 1e-4:
                raise RuntimeError(f"{name}: {what} is off by {off:.2g} of its norm")


def _exact(row: Row, p: parts.Arrays) -> Any:
    """(y, dx) of the definition in float64."""
    wide = tuple(a.astype("float64") for a in p)
    with definitions_only():
        if row.kind in parts.GATES:
            return parts.recurrent_minienc(row.kind, wide)()
        return {"causal attention": parts.attention_minienc, "Conv1D": parts.conv1d_minienc}[
            row.kind
        ](wide)()


# ------------------------------------------------------------------------------------ measurement


def measure(row: Row, names: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Time a row: medians and quartiles, and how many times minienc's each candidate takes."""
    factories, start = candidates(row)
    chosen = {name: factories[name] for name in names if name in factories}
    calls, missing = timing.build(chosen)
    for name in [n for n in calls if n != "minienc" and n != TORCH]:  # they compile at first
        try:
            if not isinstance(start, steps.Step):
                calls[name]()
        except Exception as error:
            del calls[name]
            missing[name] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    check(row, calls, start)
    samples = timing.interleaved(calls, seconds)
    return {
        "row": row,
        "flops": flops(row),
        "missing": missing,
        **timing.summary(samples),
    }


# ----------------------------------------------------------------------------------- presentation


def render(results: dict[str, Any]) -> str:
    """The table of one number of threads, in Markdown."""
    about, rows = results["machine"], results["rows"]
    names = [n for n in NAMES if any(n in row["seconds"] for row in rows)]
    header = ["forward and backward; step", *names, "best peer / minienc", "minienc's GFLOP/s"]
    lines = [[Row(*row["row"]).name, *_cells(row, names, about)] for row in rows]
    rounds = [row["rounds"] for row in rows]
    notes = [
        f"Medians of {min(rounds)} to {max(rounds)} rounds; ratios are medians of the rounds' own."
    ]
    missing = {name: why for row in rows for name, why in row["missing"].items()}
    notes += [f"Not timed: {name}, {why}." for name, why in missing.items()]
    table = command.table([*header, "of the FMA peak"], lines)
    return "\n\n".join([machine.describe(about), table, *notes])


def _cells(row: dict[str, Any], names: Sequence[str], about: dict[str, Any]) -> list[str]:
    medians = {name: spread["median"] for name, spread in row["seconds"].items()}
    cells = [command.time_text(medians[n]) if n in medians else "-" for n in names]
    if "minienc" not in medians:
        return [*cells, "-", "-", "-"]
    best = min((n for n in medians if n != "minienc"), key=medians.__getitem__, default=None)
    rate = row["flops"] / medians["minienc"]
    ratio = f"{row['times_minienc'][best]['median']:.2f}" if best else "-"
    share = command.share_text(rate, about["fma_peak"]["float32"])
    return [*cells, ratio, f"{rate / 1e9:.1f}", share]


def plot(runs: Sequence[dict[str, Any]]) -> Any:
    """For each row and peer, its time over minienc's, a panel for each number of threads."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 1.5 + 0.5 * len(ROWS)), layout="constrained")
    panels = figure.subplots(1, len(runs), squeeze=False, sharey=True)[0]
    for run, axes in zip(runs, panels, strict=True):
        rows = [row for row in run["rows"] if "times_minienc" in row]
        for k, name in enumerate(NAMES[1:], 1):
            found = [(i, row["times_minienc"].get(name)) for i, row in enumerate(rows)]
            shown = [(s["median"], i) for i, s in found if s is not None]
            axes.plot(*zip(*shown, strict=True), "o", color=f"C{k}", label=name) if shown else None
        axes.axvline(1, color="0.6", lw=1, zorder=0)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        axes.set_yticks(range(len(rows)), [Row(*row["row"]).name for row in rows], fontsize=7)
        axes.set_title(f"{run['machine']['threads']} threads", fontsize=9)
        axes.set_xlabel("time, in times of minienc's (median)")
    panels[0].invert_yaxis()
    panels[0].legend(fontsize=7)
    figure.suptitle(machine.describe(runs[-1]["machine"]), fontsize=6, wrap=True)
    return figure


# ------------------------------------------------------------------------------------ the command


def measure_all(given: Any) -> dict[str, Any]:
    """Every row, in this process and on the threads that it was given."""
    return command.measure_rows(given, ROWS, dict.fromkeys(NAMES), measure)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure in a process for each number of threads, print, and with ``--save`` keep."""
    threads = sorted({1, usable_cpus()})
    command.main("sequences", __doc__ or "", arguments, ROWS, measure_all, render, plot, threads)


if __name__ == "__main__":
    main()
