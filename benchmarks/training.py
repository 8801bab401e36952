"""One training step of an autoencoder, timed beside the libraries that courses use.

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
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks import machine
from minienc.files import write_json
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.primitive import workspace
from minienc.kernel import usable_cpus
from minienc.training.loop import Batches, Trainer
from minienc.training.optimizers import Adam

# Adam's own numbers, but for an epsilon so small that it does not matter where it stands: added to
# sqrt(v), as in Keras and minienc, or to sqrt(v) / sqrt(1 - b2^t), as in PyTorch.
RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-10


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

Weights = list[tuple[np.ndarray, np.ndarray]]  # (W, b) of each layer, W (D, M)


def problem(row: Row, seed: int = 0) -> tuple[np.ndarray, Weights]:
    """A batch x (N, D) that looks like ink on paper, one pixel in five, and the first weights."""
    rng = np.random.default_rng(seed)
    shape = (row.batch, row.layers[0])
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


# ------------------------------------------------------------------------------------- candidates


class Candidate:
    """``step()`` trains once; ``reset()`` goes back to the first weights and a new optimiser."""

    same_loss = True

    def step(self) -> Any:
        """Train once; return the loss of before, as the library gives it."""
        raise NotImplementedError

    def reset(self) -> None:
        raise NotImplementedError

    def losses(self, n: int) -> list[float]:
        """The losses of the first n steps."""
        self.reset()
        return [float(self.step()) for _ in range(n)]


class Minienc(Candidate):
    """What ``fit`` does for a batch; the batch is ready, as it is for everybody here."""

    def __init__(self, x: np.ndarray, weights: Weights, device: str = "cpu") -> None:
        tensor = inputs = Input(shape=(x.shape[1],))
        for i, (W, _) in enumerate(weights):
            last = i == len(weights) - 1
            tensor = Dense(W.shape[1], activation="sigmoid" if last else "relu")(tensor)
        self.weights = weights
        self.model = Model(inputs, tensor)
        adam = Adam(RATE, BETA_1, BETA_2, EPSILON)
        self.model.compile(optimizer=adam, loss="binary_crossentropy")
        self.model.to(device)
        indices = np.arange(len(x))
        self.workspace = workspace()
        self.trainer = Trainer(
            self.model,
            PreparedBatch(self.model, x, x),
            indices,
            None,
            epochs=1,
            batch_size=len(x),
            shuffle=False,
            seed=0,
            callbacks=[],
            initial_epoch=0,
        )
        self.batch = self.trainer._take(indices)
        self.reset()

    def step(self) -> None:
        with self.workspace:  # which fit enters once for all its steps
            self.trainer._step(self.batch)

    def losses(self, n: int) -> list[float]:
        """The trainer adds up the losses of its epoch: here an epoch is a step."""
        self.reset()
        found = []
        for _ in range(n):
            self.trainer.sums, self.trainer.n_seen = {}, 0
            self.step()
            found.append(self.trainer._means()["loss"])
        return found

    def reset(self) -> None:
        self.model.set_weights([a for pair in self.weights for a in pair])
        self.model.optimizer.load_state_dict({"iterations": 0})


class PreparedBatch(Batches):
    """Hands out the same arrays each time, without copying them out of a larger array."""

    def take(self, indices: np.ndarray) -> tuple[tuple, tuple, tuple]:
        return self.xs, self.ys, ()


class NumpyByHand(Candidate):
    """As one writes it for speed: nothing allocated in a step, weights and gradients flat."""

    def __init__(self, x: np.ndarray, weights: Weights, dtype: str = "float32") -> None:
        self.x = x.astype(dtype)
        self.first = np.concatenate([a.ravel() for pair in weights for a in pair]).astype(dtype)
        self.w, self.g = np.empty_like(self.first), np.empty_like(self.first)
        self.m, self.v, self.scratch = (np.empty_like(self.first) for _ in range(3))
        self.W, self.b = self._views(self.w, weights)
        self.dW, self.db = self._views(self.g, weights)
        self.y = [np.empty((len(x), len(b)), dtype) for b in self.b]  # of each layer
        self.dy = [np.empty_like(y) for y in self.y]
        self.e, self.p = np.empty_like(self.y[-1]), np.empty_like(self.y[-1])
        self.reset()

    @staticmethod
    def _views(flat: np.ndarray, weights: Weights) -> tuple[list[np.ndarray], list[np.ndarray]]:
        parts = np.split(flat, np.cumsum([a.size for pair in weights for a in pair])[:-1])
        Ws = [part.reshape(W.shape) for part, (W, _) in zip(parts[::2], weights, strict=True)]
        return Ws, parts[1::2]

    def reset(self) -> None:
        self.w[:] = self.first
        self.m[:] = self.v[:] = self.t = 0

    def step(self) -> float:
        loss = self._forward()
        self._backward()
        self._adam()
        return loss

    def _forward(self) -> float:
        a = self.x
        for i, y in enumerate(self.y):
            np.matmul(a, self.W[i], out=y)
            y += self.b[i]
            if i < len(self.y) - 1:
                np.maximum(y, 0, out=y)
            a = y
        # l = max(z, 0) - z t + log(1 + e), p = sigmoid(z) = (1 if z > 0 else e) / (1 + e), where
        # e = exp(-|z|) cannot overflow
        z, e, p, dz = self.y[-1], self.e, self.p, self.dy[-1]
        np.abs(z, out=e)
        np.negative(e, out=e)
        np.exp(e, out=e)
        np.multiply(z, self.x, out=dz)
        np.maximum(z, 0, out=p)
        p -= dz
        np.log1p(e, out=dz)
        p += dz
        loss = float(p.mean())
        np.copyto(p, e)
        np.copyto(p, 1, where=z > 0)
        e += 1
        p /= e
        np.subtract(p, self.x, out=dz)
        dz *= 1 / dz.size
        return loss

    def _backward(self) -> None:
        for i in reversed(range(len(self.y))):
            dz = self.dy[i]
            if i < len(self.y) - 1:
                dz *= self.y[i] > 0
            below = self.y[i - 1] if i else self.x
            np.matmul(below.T, dz, out=self.dW[i])
            np.sum(dz, axis=0, out=self.db[i])
            if i:
                np.matmul(dz, self.W[i].T, out=self.dy[i - 1])

    def _adam(self) -> None:
        self.t += 1
        g, m, v, s = self.g, self.m, self.v, self.scratch
        m *= BETA_1
        np.multiply(g, 1 - BETA_1, out=s)
        m += s
        v *= BETA_2
        np.multiply(g, g, out=s)
        s *= 1 - BETA_2
        v += s
        np.sqrt(v, out=s)
        s += EPSILON
        np.divide(m, s, out=s)
        s *= RATE * math.sqrt(1 - BETA_2**self.t) / (1 - BETA_1**self.t)
        self.w -= s


class Torch(Candidate):
    """PyTorch as its tutorials train; ``fused`` is Adam's option, ``compiled`` the loss's graph."""

    def __init__(
        self,
        x: np.ndarray,
        weights: Weights,
        fused: bool = False,
        compiled: bool = False,
        device: str = "cpu",
        **of_adam: Any,
    ) -> None:
        import torch

        self.x = torch.from_numpy(x.copy()).to(device)
        modules: list[Any] = []
        for W, _ in weights:
            modules += [torch.nn.Linear(*W.shape), torch.nn.ReLU()]
        self.net = torch.nn.Sequential(*modules[:-1]).to(device)
        self.first = [torch.from_numpy(a.T.copy()) for pair in weights for a in pair]
        numbers = dict(lr=RATE, betas=(BETA_1, BETA_2), eps=EPSILON, fused=fused)
        self.adam = torch.optim.Adam(self.net.parameters(), **numbers, **of_adam)
        loss = torch.nn.BCEWithLogitsLoss()
        self.loss = lambda x: loss(self.net(x), x)
        if compiled:
            torch.compiler.reset()  # what was compiled for other shapes is not generalised
            self.loss = torch.compile(self.loss, dynamic=False)
        self.no_grad = torch.no_grad
        self.reset()

    def step(self) -> Any:
        self.adam.zero_grad()
        loss = self.loss(self.x)
        loss.backward()
        self.adam.step()
        return loss.detach()

    def reset(self) -> None:
        with self.no_grad():
            for p, first in zip(self.net.parameters(), self.first, strict=True):
                p.copy_(first)
            for state in self.adam.state.values():
                for tensor in state.values():
                    tensor.zero_()


class TorchWholeStep(Candidate):
    """All of a step in one compiled graph: the gradient by ``torch.func``, Adam written out."""

    def __init__(self, x: np.ndarray, weights: Weights, device: str = "cpu") -> None:
        import torch
        from torch.nn import functional

        def loss_of(ws: list, x: Any) -> Any:
            y = x
            for i in range(0, len(ws), 2):
                y = functional.linear(y if i == 0 else functional.relu(y), ws[i], ws[i + 1])
            return functional.binary_cross_entropy_with_logits(y, x)

        def train(ws: list, ms: list, vs: list, t: Any, x: Any) -> Any:
            gradients, loss = torch.func.grad_and_value(loss_of)(ws, x)
            t.add_(1)
            rate = RATE * torch.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
            for w, m, v, g in zip(ws, ms, vs, gradients, strict=True):
                m.mul_(BETA_1).add_(g, alpha=1 - BETA_1)
                v.mul_(BETA_2).addcmul_(g, g, value=1 - BETA_2)
                w.sub_(rate * m / (v.sqrt() + EPSILON))
            return loss

        self.first = [torch.from_numpy(a.T.copy()).to(device) for pair in weights for a in pair]
        self.ws, self.ms, self.vs = ([torch.empty_like(a) for a in self.first] for _ in range(3))
        self.t = torch.zeros((), device=device)
        self.x = torch.from_numpy(x.copy()).to(device)
        torch.compiler.reset()
        self.train = torch.compile(torch.no_grad()(train), dynamic=False)
        self.reset()

    def step(self) -> Any:
        return self.train(self.ws, self.ms, self.vs, self.t, self.x)

    def reset(self) -> None:
        self.t.zero_()
        for w, m, v, first in zip(self.ws, self.ms, self.vs, self.first, strict=True):
            w.copy_(first)
            m.zero_()
            v.zero_()


class Jax(Candidate):
    """The whole step jitted, its state donated, Adam written out."""

    def __init__(self, x: np.ndarray, weights: Weights) -> None:
        import jax
        from jax import numpy as jnp

        def loss_of(ws: list, x: Any) -> Any:
            y = x
            for i, (W, b) in enumerate(ws):
                y = (y if i == 0 else jnp.maximum(y, 0)) @ W + b
            return (jnp.maximum(y, 0) - y * x + jnp.log1p(jnp.exp(-jnp.abs(y)))).mean()

        def train(state: tuple, x: Any) -> Any:
            ws, ms, vs, t = state
            loss, gs = jax.value_and_grad(loss_of)(ws, x)
            t = t + 1
            rate = RATE * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
            tree = jax.tree.map
            ms = tree(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, ms, gs)
            vs = tree(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, vs, gs)
            ws = tree(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + EPSILON), ws, ms, vs)
            return loss, (ws, ms, vs, t)

        self.train = jax.jit(train, donate_argnums=0)
        self.jax, self.first, self.x = jax, weights, jax.device_put(x)
        self.reset()

    def step(self) -> Any:
        loss, self.state = self.train(self.state, self.x)
        self.jax.block_until_ready(self.state)
        return loss

    def reset(self) -> None:
        jnp, tree = self.jax.numpy, self.jax.tree.map
        zeros = [tree(jnp.zeros_like, self.first) for _ in range(2)]
        # arrays of JAX's own: a step takes the memory of its state for the next
        self.state = (tree(jnp.array, self.first), *zeros, jnp.zeros(()))


class ScikitLearn(Candidate):
    """``MLPRegressor.partial_fit``: the squared loss and an identity at the end, for it has no
    other."""

    same_loss = False

    def __init__(self, x: np.ndarray, weights: Weights) -> None:
        from sklearn.neural_network import MLPRegressor

        self.x = x
        self.settings = dict(
            hidden_layer_sizes=[len(b) for _, b in weights[:-1]],
            solver="adam",
            alpha=0.0,
            batch_size=len(x),
            learning_rate_init=RATE,
            shuffle=False,
            random_state=0,
        )
        self.make = MLPRegressor
        self.reset()

    def step(self) -> float:
        return self.regressor.partial_fit(self.x, self.x).loss_

    def reset(self) -> None:
        self.regressor = self.make(**self.settings)


CANDIDATES: dict[str, Callable[[np.ndarray, Weights], Candidate]] = {
    "minienc": Minienc,
    "NumPy by hand": NumpyByHand,
    "PyTorch eager": Torch,
    "PyTorch eager, fused Adam": partial(Torch, fused=True),
    "torch.compile, fused Adam": partial(Torch, fused=True, compiled=True),
    "torch.compile, whole step": TorchWholeStep,
    "JAX jit": Jax,
    "scikit-learn*": ScikitLearn,
}
OWN = ("minienc", "NumPy by hand")  # all others are peers


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


STEPS = 10


# ------------------------------------------------------------------------------------ measurement


def measure(row: Row, candidates: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Time a row: medians and quartiles, and how many times minienc's each candidate takes."""
    x, weights = problem(row)
    made, missing = machine.build(candidates, x, weights)
    for name in [n for n in made if n not in OWN]:  # they compile at the first step
        try:
            made[name].step()
        except Exception as error:
            del made[name]
            missing[name] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    check(made, x, weights)
    samples = machine.interleaved(
        {name: candidate.step for name, candidate in made.items()},
        seconds,
        before={name: candidate.reset for name, candidate in made.items()},
    )
    for candidate in made.values():
        candidate.reset()
    result: dict[str, Any] = {
        "layers": row.layers,
        "batch": row.batch,
        "flops": flops(row),
        "bytes": traffic(row),
        "rounds": len(next(iter(samples.values()))),
        "seconds": {name: machine.spread(values) for name, values in samples.items()},
        "missing": missing,
    }
    if "minienc" in samples:
        result["times_minienc"] = {
            name: machine.ratio(values, samples["minienc"]) for name, values in samples.items()
        }
    return result


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
        cells = [machine.time_text(medians[n]) if n in medians else "-" for n in names]
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
                machine.share_text(rate, about["fma_peak"]["float32"]),
                machine.share_text(row["bytes"] / medians["minienc"], about["copy_bandwidth"]),
            ]
        )
    header = ["layers, batch", "best peer", "best peer / minienc", "NumPy by hand / minienc"]
    header += ["work", "minienc's GFLOP/s", "of the FMA peak", "of the copy bandwidth"]
    parts = [machine.describe(about), machine.table(["layers, batch", *names], times)]
    if shares:
        parts.append(machine.table(header, shares))
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
    candidates = machine.chosen(CANDIDATES, given.candidates)
    results: dict[str, Any] = {"machine": machine.machine(given.threads[0]), "rows": []}
    others = machine.OtherPrograms()
    for row in [ROWS[i - 1] for i in given.rows or range(1, len(ROWS) + 1)]:
        results["rows"].append(measure(row, candidates, given.seconds))
        machine.say(f"{row.name}: {results['rows'][-1]['rounds']} rounds")
    machine.close(results["machine"], others)
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure in a process for each number of threads, print, and with ``--save`` keep."""
    options = machine.parser("benchmarks.training", __doc__ or "", [row.name for row in ROWS])
    given = options.parse_args(arguments)
    if given.child:
        write_json(given.child, measure_all(given))
        return
    runs = machine.in_children("benchmarks.training", given, [usable_cpus()])
    text = "\n\n".join(render(run) for run in runs)
    print(text)
    if given.save:
        machine.save("training", {"runs": runs}, text, plot(runs[-1]))


if __name__ == "__main__":
    main()
