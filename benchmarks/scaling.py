"""What several processes gain: steps measured on 1 and 2, and a model of what more would.

    mpiexec -n 2 python -m mpi4py -m benchmarks.scaling --save

A step of a model on p processes is its arithmetic on n / p rows, and the sum of P gradients:

    t(p) = t_rows(n / p) + t_sum(p),    t_sum(p) = 2 log2(p) alpha + 8 P (p - 1) / (p beta)

(Thakur, Rabenseifner and Gropp 2005, "Optimization of collective communication operations in
MPICH", section 4.5: reduce-scatter and allgather move each number twice.) Measured are t_rows, on
one process, and the sum over two; alpha and beta of a cluster's network are what its makers say (2
us and 12 GB/s).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import command, machine
from minienc import set_num_threads
from minienc.distributed import mpi_ranks
from minienc.files import write_json, write_text
from minienc.layers import Conv2D, Dense, Flatten, Input
from minienc.models import Model
from minienc.training.ranks import Ranks, alone

ALPHA, BETA = 2e-6, 12e9  # seconds, bytes a second: a network of 100 Gbit/s
PROCESSES = (2, 4, 16, 64, 256, 1024, 4096)
ROUNDS = 7


def dense(widths: Sequence[int]) -> Model:
    x = h = Input((widths[0],))
    for width in widths[1:-1]:
        h = Dense(width, "relu")(h)
    return Model(x, Dense(widths[-1], "sigmoid")(h))


def convolutional() -> Model:
    x = Input((28, 28, 1))
    h = Conv2D(32, 3, strides=2, padding="same", activation="relu")(x)
    h = Conv2D(64, 3, strides=2, padding="same", activation="relu")(h)
    return Model(x, Dense(64)(Flatten()(h)))


MODELS: dict[str, tuple[Callable[[], Model], int]] = {
    "784-512-128-512-784": (lambda: dense((784, 512, 128, 512, 784)), 1024),
    "784-1024-784": (lambda: dense((784, 1024, 784)), 4096),
    "convolutions, 28x28": (convolutional, 512),
}


def seconds_of_a_step(make: Callable[[], Model], batch: int, steps: int = 4) -> float:
    """Of an epoch of ``fit``; the joint batch, where there are ranks."""
    model = make()
    model.initialize(0)
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    x = rng.random((batch * steps, *model.inputs[0].sample_shape), "float32")
    y = rng.random((batch * steps, *model.outputs[0].sample_shape), "float32")
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        model.fit(x, y, batch_size=batch, verbose=0, seed=0)
        times.append((time.perf_counter() - start) / steps)
    return float(np.median(times))


def seconds_of_a_sum(ranks: Ranks, n: int) -> float:
    a, times = np.zeros(n, "float32"), []
    for _ in range(4 * ROUNDS):
        start = time.perf_counter()
        ranks.sum(a)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def measure(ranks: Ranks) -> list[dict[str, Any]]:
    found = []
    for name, (make, batch) in MODELS.items():
        shared = seconds_of_a_step(make, batch)
        sums = seconds_of_a_sum(ranks, make().parameters.vector.size)
        with alone():  # both at once, as they are when they share
            whole, part = (seconds_of_a_step(make, n) for n in (batch, batch // ranks.size))
        found.append(
            {
                "name": name,
                "batch": batch,
                "P": make().parameters.vector.size,
                "whole": whole,
                "part": part,
                "shared": shared,
                "sum": sums,
            }
        )
    return found


def predicted(row: dict[str, Any], p: int) -> float:
    """t(p) on a cluster with ``ALPHA`` and ``BETA``: the arithmetic of the whole batch by p."""
    move = 8 * row["P"] * (p - 1) / (p * BETA)
    return row["whole"] / p + 2 * np.log2(p) * ALPHA + move


def render(results: dict[str, Any]) -> str:
    size, rows = results["size"], results["rows"]
    measured = [
        [
            f"{row['name']}, {row['batch']}",
            f"{row['P']:,}",
            command.time_text(row["whole"]),
            command.time_text(row["part"]),
            command.time_text(row["sum"]),
            command.time_text(row["shared"]),
            command.time_text(row["part"] + row["sum"]),
            f"{row['whole'] / row['shared']:.2f}",
        ]
        for row in rows
    ]
    head = ["model, batch", "P", "1 process", f"its batch / {size}", "the sum", f"{size} processes"]
    tables = [command.table([*head, "as the model has it", "gain"], measured)]
    ahead = [
        [f"{row['name']}, {row['batch']}"]
        + [f"{row['whole'] / predicted(row, p):.1f}" for p in PROCESSES]
        + [next((str(p) for p in PROCESSES if row["whole"] / predicted(row, p) < p / 2), "-")]
        for row in rows
    ]
    title = ["gain on nodes, predicted", *map(str, PROCESSES), "below one half from"]
    tables.append(command.table(title, ahead))
    note = (
        f"One thread for each process. Predicted with {ALPHA * 1e6:.0f} us and {BETA / 1e9:.0f} "
        f"GB/s, the joint batch as it stands: a larger one on more nodes gains more."
    )
    return "\n\n".join([machine.describe(results["machine"]), *tables, note])


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.scaling")
    options.add_argument("--save", action="store_true", help="keep it in benchmarks/results/")
    given = options.parse_args(arguments)
    set_num_threads(1)
    with mpi_ranks() as ranks:
        about = machine.machine(1) if ranks.rank == 0 else {}
        results = {"size": ranks.size, "rows": measure(ranks)}
    if ranks.rank > 0:
        return
    results["machine"] = about
    text = render(results)
    print(text)
    if given.save:
        write_json(command.RESULTS / "scaling.json", results)
        write_text(command.RESULTS / "scaling.md", text + "\n")


if __name__ == "__main__":
    main()
