"""An epoch of training through the public path, as courses run it: part of ``benchmarks.training``.

A step by itself, with the batch ready and its loss waited for, says what a library computes in; an
epoch says what a user waits for. Here each draws an order, cuts batches out of data in memory,
makes all steps of an epoch, and waits once, at its end. Each does what it does best: PyTorch takes
rows by a tensor of indices, JAX takes them inside the jitted step and runs ahead of Python, or is
given the whole epoch as one program (``lax.scan``), which no course writes but everybody could.

Before anything is timed, each must find the mean loss of an epoch that a reference in float64 has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from benchmarks import command, timing
from benchmarks.training_candidates import (
    OWN,
    Jax,
    Minienc,
    NumpyByHand,
    Torch,
    TorchWholeStep,
    Weights,
)

SECONDS = 0.05  # of an epoch, as far as its steps can be guessed
MOST, LEAST = 400, 8  # steps of one


class Epoch:
    """``epoch()`` trains on all of X (N, D) once, in an order of its own, and returns the mean
    loss of its steps; given ``order``, in that."""

    candidate: type[Any]
    options: ClassVar[dict[str, bool]] = {}

    def __init__(self, X: np.ndarray, weights: Weights, batch: int) -> None:
        self.X, self.batch = X, batch
        self.made = self.candidate(X[:batch], weights, **self.options)
        self.rng = np.random.default_rng(0)

    def reset(self) -> None:
        self.made.reset()

    def epoch(self, order: np.ndarray | None = None) -> float:
        order = self.rng.permutation(len(self.X)) if order is None else order
        return self.train(order.reshape(-1, self.batch))

    def train(self, parts: np.ndarray) -> float:
        raise NotImplementedError


class MiniencEpoch(Epoch):
    """``Model.fit``, which draws its own order."""

    candidate = Minienc

    def epoch(self, order: np.ndarray | None = None) -> float:
        X, shuffle = self.X, order is None
        history = self.made.model.fit(
            X, X, batch_size=self.batch, epochs=1, verbose=0, shuffle=shuffle, seed=0
        )
        return history.history["loss"][0]


class NumpyEpoch(Epoch):
    candidate = NumpyByHand

    def train(self, parts: np.ndarray) -> float:
        total = 0.0
        for part in parts:
            self.X.take(part, axis=0, out=self.made.x, mode="clip")
            total += self.made.step()
        return total / len(parts)


class TorchEpoch(Epoch):
    candidate = Torch

    def __init__(self, X: np.ndarray, weights: Weights, batch: int) -> None:
        import torch

        super().__init__(X, weights, batch)
        self.torch, self.rows = torch, torch.from_numpy(X)

    def train(self, parts: np.ndarray) -> float:
        order, total = self.torch.from_numpy(parts), self.torch.zeros(())
        for part in order:
            self.made.x = self.rows[part]
            total += self.made.step()
        return float(total) / len(parts)


class TorchFused(TorchEpoch):
    options: ClassVar[dict[str, bool]] = {"fused": True}


class TorchCompiled(TorchEpoch):
    options: ClassVar[dict[str, bool]] = {"fused": True, "compiled": True}


class TorchWholeEpoch(TorchEpoch):
    candidate = TorchWholeStep


class JaxEpoch(Epoch):
    """The rows are taken within the jitted step; nobody waits before the epoch's end."""

    candidate = Jax

    def __init__(self, X: np.ndarray, weights: Weights, batch: int) -> None:
        import jax

        super().__init__(X, weights, batch)
        self.jax, self.rows = jax, jax.device_put(X)
        train = self.made.train.__wrapped__
        self.step = jax.jit(
            lambda state, rows, order, i: train(state, rows[order[i]]), donate_argnums=0
        )

    def train(self, parts: np.ndarray) -> float:
        made, order, losses = self.made, self.jax.device_put(parts), []
        for i in range(len(parts)):
            loss, made.state = self.step(made.state, self.rows, order, i)
            losses.append(loss)
        self.jax.block_until_ready(made.state)
        return float(sum(map(float, losses)) / len(parts))


class JaxScan(JaxEpoch):
    """The whole epoch as one program."""

    def __init__(self, X: np.ndarray, weights: Weights, batch: int) -> None:
        super().__init__(X, weights, batch)
        train, jax = self.made.train.__wrapped__, self.jax

        def run(state: tuple, rows: Any, order: Any) -> tuple:
            def one(state: tuple, part: Any) -> tuple:
                loss, state = train(state, rows[part])
                return state, loss

            state, losses = jax.lax.scan(one, state, order)
            return state, losses.mean()

        self.run = jax.jit(run, donate_argnums=0)

    def train(self, parts: np.ndarray) -> float:
        made = self.made
        made.state, loss = self.run(made.state, self.rows, self.jax.device_put(parts))
        self.jax.block_until_ready(made.state)
        return float(loss)


EPOCHS: dict[str, Callable[..., Epoch]] = {
    "minienc": MiniencEpoch,
    "NumPy by hand": NumpyEpoch,
    "PyTorch eager, fused Adam": TorchFused,
    "torch.compile, fused Adam": TorchCompiled,
    "torch.compile, whole step": TorchWholeEpoch,
    "JAX jit": JaxEpoch,
    "JAX scan": JaxScan,
}


def n_steps(flops: int) -> int:
    """Of an epoch: so many that it takes a moment, on a processor of 100 GFLOP/s."""
    return int(np.clip(SECONDS * 100e9 / flops, LEAST, MOST))


def measure(
    X: np.ndarray, weights: Weights, batch: int, names: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
    """Medians and quartiles of a step's share of an epoch, and how many times minienc's it is."""
    some = {name: epoch for name, epoch in EPOCHS.items() if name in names or name == "JAX scan"}
    if "JAX jit" not in names:
        some.pop("JAX scan", None)
    made, missing = timing.build(some, X, weights, batch)
    order, n = np.arange(len(X)), len(X) // batch
    reference = NumpyEpoch.__new__(NumpyEpoch)
    reference.X, reference.batch = X.astype("float64"), batch
    reference.made = NumpyByHand(X[:batch], weights, "float64")
    expected = reference.epoch(order)
    for name in list(made):
        try:
            made[name].reset()
            found = made[name].epoch(order)
        except Exception as error:
            if name in OWN:
                raise
            del made[name]
            missing[name] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            continue
        if not np.isclose(found, expected, rtol=1e-3, atol=0):
            raise RuntimeError(f"{name} trains something else: {found}, not {expected}")
    samples = timing.interleaved(
        {name: epoch.epoch for name, epoch in made.items()},
        seconds,
        before={name: epoch.reset for name, epoch in made.items()},
    )
    steps = {name: [value / n for value in values] for name, values in samples.items()}
    return {"steps": n, "missing": missing, **timing.summary(steps)}


def render(rows: list[tuple[Any, dict[str, Any]]]) -> str:
    """The table of (row, its result): a step's share of an epoch, and how many times minienc's the
    fastest loop of a peer and JAX's one program take."""
    names = [n for n in EPOCHS if any(n in r["epoch"]["seconds"] for _, r in rows)]
    head = ["an epoch, by its steps", "steps", *names, "best loop / minienc", "JAX scan / minienc"]
    lines = []
    for row, result in rows:
        medians = {n: s["median"] for n, s in result["epoch"]["seconds"].items()}
        over = {n: s["median"] for n, s in result["epoch"].get("times_minienc", {}).items()}
        loops = [over[n] for n in over if n not in (*OWN, "JAX scan")]
        times = [command.time_text(medians[n]) if n in medians else "-" for n in names]
        scan = f"{over['JAX scan']:.2f}" if "JAX scan" in over else "-"
        best = f"{min(loops):.2f}" if loops else "-"
        lines.append([row.name, str(result["epoch"]["steps"]), *times, best, scan])
    return command.table(head, lines)
