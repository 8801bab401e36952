"""Who trains in ``benchmarks.training``: the same autoencoder, the same step, in each library.

Each is written as its library's users would write it for speed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minienc.devices import pipeline, workspace
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.training.batches import Batches
from minienc.training.optimizers import Adam
from minienc.training.step import Learner

# Adam's own numbers, but for an epsilon so small that it does not matter where it stands: added to
# sqrt(v), as in Keras and minienc, or to sqrt(v) / sqrt(1 - b2^t), as in PyTorch.
RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-10

Weights = list[tuple[np.ndarray, np.ndarray]]  # (W, b) of each layer, W (D, M)


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
        self.pipeline = pipeline(device)
        self.train = self.pipeline.step_of(Learner(self.model, self.model.objective, adam))
        self.batch = self.pipeline.upload(Batches(self.model, x, x).arrays)
        self.rng = np.random.default_rng(0)
        self.workspace = workspace()
        self.reset()

    def step(self) -> float:
        with self.workspace:  # which fit enters once for all its steps
            return self.train(self.batch, self.rng)["loss"]

    def reset(self) -> None:
        self.model.set_weights([a for pair in self.weights for a in pair])
        self.model.optimizer.load_state_dict({"iterations": 0})


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
        self.state = (tree(jnp.array, self.first), *zeros, jnp.zeros((), "float32"))


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
