"""Training an autoencoder, timed beside the libraries that courses use: a step, and an epoch.

    python -m benchmarks.training                       all rows, all candidates that are installed
    python -m benchmarks.training --rows 1 2 --seconds 5
    python -m benchmarks.training --candidates minienc numpy
    python -m benchmarks.training --save                kept in benchmarks/results/training.*

A step is forward, loss, backward and Adam's update, in float32, of an autoencoder with relu in its
hidden layers and a sigmoid at its end, whose loss is the binary cross-entropy; every candidate
computes it from the logits, as one function. All have the same data, shapes and first weights, and
before anything is timed each must show the losses of the first steps that a reference in float64
has: what trains something else is not timed. (scikit-learn's regressor has the squared loss alone,
and is marked.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks import command, epochs, machine, timing
from benchmarks.training_candidates import CANDIDATES, OWN, Candidate, NumpyByHand, Weights
from minienc.kernel import usable_cpus

STEPS = 10  # whose losses are compared


class Row(NamedTuple):
    layers: tuple[int, ...]
    batch: int

    @property
    def name(self) -> str:
        return f"{'-'.join(map(str, self.layers))}, {self.batch}"


ROWS = (
    Row((64, 32, 64), 32),
    Row((64, 32, 64), 128),
    Row((784, 128, 32, 128, 784), 64),
    Row((784, 512, 128, 512, 784), 128),
    Row((784, 1000, 500, 250, 30, 250, 500, 1000, 784), 256),
    Row((784, 1024, 784), 1024),
)


def problem(row: Row, seed: int = 0, batches: int = 1) -> tuple[np.ndarray, Weights]:
    """Batches x (N, D) that look like ink on paper, one pixel in five, and the first weights."""
    rng = np.random.default_rng(seed)
    shape = (batches * row.batch, row.layers[0])
    x = (rng.random(shape) * (rng.random(shape) < 0.2)).astype("float32")
    weights = []
    for D, M in zip(row.layers, row.layers[1:], strict=False):
        W = rng.standard_normal((D, M)) * math.sqrt(1 / D)
        weights.append((W.astype("float32"), np.zeros(M, "float32")))
    return x, weights


def flops(row: Row) -> int:
    """2 N D M for each matrix product: z, dW, and dx in all layers but the first."""
    products = [D * M for D, M in zip(row.layers, row.layers[1:], strict=False)]
    return 2 * row.batch * (3 * sum(products) - products[0])


def traffic(row: Row) -> int:
    """Bytes that would move if nothing stayed in a cache from one pass to the next.

    Each pass counts what it reads and writes once, and passes that can be one are one: the
    forward reads x and W, writes y; the loss reads the logits and the targets, writes their
    gradient; the backward reads dy, x and W, writes dW and dx; Adam reads w, g, m, v and writes
    w, m, v.
    """
    numbers = 3 * row.batch * row.layers[-1]
    for i, (D, M) in enumerate(zip(row.layers, row.layers[1:], strict=False)):
        P, need_dx = (D + 1) * M, i > 0
        numbers += row.batch * (D + M) + P
        numbers += row.batch * (D + M) + P + need_dx * (row.batch * D + P)
        numbers += 7 * P
    return 4 * numbers


def check(candidates: Mapping[str, Candidate], x: np.ndarray, weights: Weights) -> None:
    """Refuse a candidate that does not train as the reference does, twice over.

    Raises
    ------
    RuntimeError
        If its first losses differ from NumPy's in float64 by more than 1 in 1000, or if after
        ``reset`` they are others; or if the loss hardly falls, for then they would show nothing.
    """
    reference = NumpyByHand(x, weights, "float64").losses(STEPS)
    if not reference[-1] < 0.98 * reference[0]:
        raise RuntimeError(f"the loss hardly falls, from {reference[0]} to {reference[-1]}")
    for name, candidate in candidates.items():
        for _ in range(2):
            losses = candidate.losses(STEPS)
            if candidate.same_loss and not np.allclose(losses, reference, rtol=1e-3, atol=0):
                raise RuntimeError(f"{name} trains something else: {losses}, not {reference}")


# ------------------------------------------------------------------------------------ measurement


def measure(row: Row, candidates: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Time a row: medians and quartiles, and how many times minienc's each candidate takes."""
    x, weights = problem(row)
    made, missing = timing.build(candidates, x, weights)
    for name in [n for n in made if n not in OWN]:  # they compile at the first step
        try:
            made[name].step()
        except Exception as error:
            del made[name]
            missing[name] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    check(made, x, weights)
    samples = timing.interleaved(
        {name: candidate.step for name, candidate in made.items()},
        seconds,
        before={name: candidate.reset for name, candidate in made.items()},
    )
    for candidate in made.values():
        candidate.reset()
    X, weights = problem(row, batches=epochs.n_steps(flops(row)))
    return {
        "epoch": epochs.measure(X, weights, row.batch, candidates, seconds),
        "layers": row.layers,
        "batch": row.batch,
        "flops": flops(row),
        "bytes": traffic(row),
        "missing": missing,
        **timing.summary(samples),
    }


# ----------------------------------------------------------------------------------- presentation


def best_peer(result: dict[str, Any]) -> str | None:
    """The fastest library that trains the same; NumPy by hand and minienc are none."""
    peers = [n for n in result["seconds"] if n not in OWN and not n.endswith("*")]
    return min(peers, key=lambda n: result["seconds"][n]["median"], default=None)


def render(results: dict[str, Any]) -> str:
    """The tables of one number of threads, in Markdown."""
    about, rows = results["machine"], results["rows"]
    names = [n for n in CANDIDATES if any(n in row["seconds"] for row in rows)]
    times, shares = [], []
    for row in rows:
        title = Row(tuple(row["layers"]), row["batch"]).name
        medians = {name: spread["median"] for name, spread in row["seconds"].items()}
        cells = [command.time_text(medians[n]) if n in medians else "-" for n in names]
        times.append([title, *cells])
        if "minienc" not in medians:
            continue
        over, best = row["times_minienc"], best_peer(row)
        rate = row["flops"] / medians["minienc"]
        shares.append(
            [
                title,
                best or "-",
                f"{over[best]['median']:.2f}" if best else "-",
                f"{over[OWN[1]]['median']:.2f}" if OWN[1] in over else "-",
                _work_text(row["flops"]),
                f"{rate / 1e9:.1f}",
                command.share_text(rate, about["fma_peak"]["float32"]),
                command.share_text(row["bytes"] / medians["minienc"], about["copy_bandwidth"]),
            ]
        )
    header = ["layers, batch", "best peer", "best peer / minienc", "NumPy by hand / minienc"]
    header += ["work", "minienc's GFLOP/s", "of the FMA peak", "of the copy bandwidth"]
    parts = [machine.describe(about), command.table(["layers, batch", *names], times)]
    if shares:
        parts.append(command.table(header, shares))
    if any("epoch" in row for row in rows):
        parts.append(epochs.render([(Row(tuple(r["layers"]), r["batch"]), r) for r in rows]))
    return "\n\n".join([*parts, _notes(rows)])


def _notes(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        f"Medians of {min(r['rounds'] for r in rows)} to {max(r['rounds'] for r in rows)} rounds; "
        f"ratios are medians of the rounds' own. More than 100 % of the copy bandwidth: the caches "
        f"held what would else have moved."
    ]
    if any("scikit-learn*" in row["seconds"] for row in rows):
        lines.append("\\* MLPRegressor has another loss, the squared one: it is not compared.")
    missing = {name: why for row in rows for name, why in row["missing"].items()}
    lines += [f"Not timed: {name}, {why}." for name, why in missing.items()]
    return "\n\n".join(lines)


def _work_text(count: int) -> str:
    return f"{count / 1e9:.2f} GFLOP" if count >= 1e9 else f"{count / 1e6:.3g} MFLOP"


def plot(results: dict[str, Any]) -> Any:
    """For each row and candidate, its time over minienc's: left of 1 is faster."""
    from matplotlib.figure import Figure

    rows = [row for row in results["rows"] if "times_minienc" in row]
    names = [n for n in CANDIDATES if any(n in row["seconds"] for row in rows)]
    figure = Figure(figsize=(9, 1.5 + 0.8 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for k, name in enumerate(names):
        spreads = [(i, row["times_minienc"].get(name)) for i, row in enumerate(rows)]
        found = [(i + 0.07 * (k - len(names) / 2), s) for i, s in spreads if s is not None]
        x = np.array([s["median"] for _, s in found])
        errors = [[s["median"] - s["lower"] for _, s in found]]
        errors += [[s["upper"] - s["median"] for _, s in found]]
        axes.errorbar(
            x, [y for y, _ in found], xerr=errors, fmt="o", ms=5, color=f"C{k}", label=name
        )
    axes.axvline(1, color="0.6", lw=1, zorder=0)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.set_yticks(range(len(rows)), [Row(tuple(r["layers"]), r["batch"]).name for r in rows])
    axes.invert_yaxis()
    axes.set_xlabel("time of one training step, in times of minienc's (median, quartiles)")
    axes.set_title(machine.describe(results["machine"]), fontsize=6, wrap=True)
    figure.legend(loc="outside lower center", ncols=4, fontsize=8)
    return figure


# ------------------------------------------------------------------------------------ the command


def measure_all(given: Any) -> dict[str, Any]:
    """Every row, in this process and on the threads that it was given."""
    return command.measure_rows(given, ROWS, CANDIDATES, measure)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure in a process for each number of threads, print, and with ``--save`` keep."""
    command.main(
        "training",
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
