"""Data larger than memory: what a run holds of it, and what reading it costs.

    python -m benchmarks.streaming memory 200          a run on so many MB, and its peak of memory
    python -m benchmarks.streaming memory 20000
    python -m benchmarks.streaming speed               beside the same samples in memory
    python -m benchmarks.streaming --save              all three, kept in benchmarks/results/

Samples are those of MNIST in size, 784 numbers of float32; shards of 2,000 are made when they are
asked for, or, for the speed, lie in files. The network is 784-128-784, batches are of 128.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import command
from minienc.data import Shards, made_shards, open_shards
from minienc.files import write_json, write_text
from minienc.layers import Dense, Input
from minienc.models import Model

ROWS, WIDTH, BATCH = 2000, 784, 128
MADE = np.random.default_rng(0).random((ROWS, WIDTH), dtype="float32")


def make(i: int) -> np.ndarray:
    """Shard i: the same numbers in another order; to draw them would take longer than to learn."""
    return np.roll(MADE, 37 * i + 1, axis=1)


def network() -> Model:
    x = Input((WIDTH,))
    model = Model(x, Dense(WIDTH, "sigmoid", seed=1)(Dense(128, "relu", seed=0)(x)))
    model.compile("adam", "mse")
    return model


def memory(megabytes: int) -> dict[str, Any]:
    """An epoch on so many MB of samples that are made on the fly."""
    n = max(8, round(megabytes * 1e6 / MADE.nbytes))
    X = made_shards(make, n, ROWS)
    started = time.perf_counter()
    network().fit(X, X, batch_size=BATCH, verbose=0, seed=0)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"megabytes": n * MADE.nbytes / 1e6, "peak": peak, "seconds": seconds}


def speed(rounds: int = 11, n: int = 24, epochs: int = 3) -> dict[str, Any]:
    """Samples a second from files, from memory, in turns: some epochs of each, over and over."""
    with tempfile.TemporaryDirectory() as folder:
        for i in range(n):
            np.save(Path(folder, f"{i:03d}.npy"), make(i))
        whole = np.concatenate([make(i) for i in range(n)])
        times: dict[str, list[np.ndarray]] = {"memory": [], "shards": []}
        models = {name: network() for name in times}
        for k in range(rounds + 1):
            turns = list(models.items())
            for name, model in turns if k % 2 else turns[::-1]:
                X: np.ndarray | Shards = whole if name == "memory" else open_shards(folder)
                started = time.perf_counter(), time.process_time()
                model.fit(X, X, batch_size=BATCH, epochs=epochs, verbose=0, seed=0)
                ended = time.perf_counter(), time.process_time()
                times[name].append(np.subtract(ended, started))
    taken = {name: np.array(rows[1:]) for name, rows in times.items()}  # (rounds, 2)
    found = {name: epochs * n * ROWS / float(np.median(rows[:, 0])) for name, rows in taken.items()}
    ratios = taken["memory"] / taken["shards"]
    low, ratio, high = map(float, np.quantile(ratios[:, 0], [0.25, 0.5, 0.75]))
    work = float(np.median(1 / ratios[:, 1]))
    return found | {"ratio": ratio, "low": low, "high": high, "work": work, "rounds": rounds}


def child(*words: str) -> dict[str, Any]:
    """In a process of its own, whose peak of memory is its own."""
    arguments = [sys.executable, "-m", "benchmarks.streaming", *words, "--json"]
    return json.loads(subprocess.run(arguments, check=True, capture_output=True).stdout)


def render(results: dict[str, Any]) -> str:
    rows = [
        [f"{one['megabytes']:,.0f} MB", f"{one['peak'] / 1e6:.0f} MB", f"{one['seconds']:.0f} s"]
        for one in results["memory"]
    ]
    tables = [command.table(["data of an epoch", "peak of memory", "an epoch"], rows)]
    found = results["speed"]
    rows = [[name, f"{found[name]:,.0f}"] for name in ("memory", "shards")]
    tables.append(command.table(["samples from", "samples a second"], rows))
    tables.append(
        f"From shards at {100 * found['ratio']:.0f} % of the speed from memory: the median of "
        f"{found['rounds']} pairs of runs in turns; half of them lie between "
        f"{100 * found['low']:.0f} and {100 * found['high']:.0f} %. The processors work "
        f"{100 * found['work'] - 100:.0f} % longer."
    )
    return "\n\n".join(tables)


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.streaming")
    options.add_argument("what", nargs="*", help="memory MB, or speed; nothing: both")
    options.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--save", action="store_true", help="keep it in benchmarks/results/")
    given = options.parse_args(arguments)
    if given.what:
        found = speed() if given.what[0] == "speed" else memory(int(given.what[1]))
        print(json.dumps(found) if given.json else found)
        return
    results = {"memory": [child("memory", mb) for mb in ("200", "20000")], "speed": child("speed")}
    text = render(results)
    print(text)
    if given.save:
        write_json(command.RESULTS / "streaming.json", results)
        write_text(command.RESULTS / "streaming.md", text + "\n")


if __name__ == "__main__":
    main()
