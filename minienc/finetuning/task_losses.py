"""The loss of several tasks that share an encoder, and how each of them pulls at it.

    h = trunk(x)                             the shared encoder, with what stands before and behind
    z_k = h W_k + b_k,  l_k = loss_k(z_k, y_k)       each task's head
    L = sum_k w_k l_k                        the plain sum, or

    L = sum_k exp(-s_k) w_k l_k + s_k / 2    with s learned (``functions/uncertainty.py``)

Backward, the heads are tasks of their own. At h their paths meet: by the chain rule the gradient by
the shared weights is the sum of what each task would send back alone. So each is sent through the
trunk by itself, g_k, which costs a backward pass for each task in the place of one, and shows what
the sum hides: how hard each task pulls, |g_k|, and whether two of them pull against one another,
cos(g_i, g_j) < 0. What then goes to the optimiser is their sum, or what
``functions/conflicts.py`` makes of them. Neither a norm nor a projection is a sum over samples: of
a batch that several processes share, it is made of the joint g_k, which are sums, and costs one sum
over the processes of K vectors more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from minienc.arrays import Array, Cache, Rng, Scalar, get_array_module, to_device_of, to_numpy
from minienc.functions.conflicts import norms_and_cosines, project_conflicts
from minienc.functions.losses import mean_squared_error_forward
from minienc.functions.losses import sparse_categorical_crossentropy_forward as crossentropy
from minienc.functions.merging import weighted_sum_forward
from minienc.layers import Dense, UncertaintyWeighting
from minienc.layers.parameters import Gradients, Grads, Parameter
from minienc.models import Model
from minienc.primitive import Primitive
from minienc.training.ranks import joint_batch
from minienc.training.step import Objective


class Head(NamedTuple):
    """What a task has of its own.

    Attributes
    ----------
    name : str
    layer : Dense
        From the code to logits; of a quantity, to the one number.
    is_quantity : bool
        Its loss is the squared error, in the place of the cross-entropy.
    weight : float
        w_k.
    """

    name: str
    layer: Dense
    is_quantity: bool
    weight: float


class TaskLosses(Objective):
    """L of a batch (x, y_1, ..., y_K).

    Parameters
    ----------
    network : Model
        All that is learned, in one vector.
    trunk : Model
        From x to the code h (M,) that all heads take.
    heads : sequence of Head
    weighting : UncertaintyWeighting or None
        None: the plain sum.
    projects : bool
        Whether gradients that are in conflict are projected.
    label_smoothing : float

    Attributes
    ----------
    seen : dict of str to float
        Of the last backward: "digit_norm", "digit_speaker_cosine", "digit_speaker_conflict" (1 if
        the cosine is below 0) and, where it is learned, "digit_weight". To be logged.
    """

    def __init__(
        self,
        network: Model,
        trunk: Model,
        heads: Sequence[Head],
        weighting: UncertaintyWeighting | None = None,
        projects: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        self.network, self.trunk, self.heads = network, trunk, list(heads)
        self.weighting, self.projects = weighting, projects
        self.label_smoothing = label_smoothing
        classes = [head for head in self.heads if not head.is_quantity]
        self.names = ("loss", *[f"{head.name}_loss" for head in self.heads])
        self.names += tuple([f"{head.name}_accuracy" for head in classes])
        self.greater_is_better = {f"{head.name}_accuracy": True for head in classes}
        self.seen: dict[str, float] = {}

    # -- forward, and the loss

    def forward(self, batch: tuple, rng: Rng = None) -> tuple[tuple[Scalar, ...], Cache]:
        x, *targets = batch
        K = len(self.heads)
        orders = np.arange(K * K).reshape(K, K) % K
        if rng is not None:
            orders = rng.permuted(orders, axis=1)  # in which a task meets the others (PCGrad)
        h, trunk_cache = self.trunk.forward(x, rng)  # (1)
        losses, rights, caches = [], [], []
        for head, y in zip(self.heads, targets, strict=True):
            z, head_cache = head.layer.forward(h)  # (2)
            loss, loss_cache, backward = self._loss(head, z, y)  # (3)
            losses.append(loss)
            caches.append((head_cache, loss_cache, backward))
            if not head.is_quantity:
                rights.append((z.argmax(axis=1) == y).mean())
        total, total_cache = self._total(losses)  # (4)
        return (total, *losses, *rights), (trunk_cache, caches, total_cache, orders)

    def _loss(self, head: Head, z: Array, y: Array) -> tuple[Scalar, Cache, Primitive]:
        if head.is_quantity:
            loss, cache = mean_squared_error_forward(z[:, 0], y)
            return loss, (cache, z.shape), mean_squared_error_forward.backward
        loss, cache = crossentropy(z, y, from_logits=True, label_smoothing=self.label_smoothing)
        return loss, (cache, z.shape), crossentropy.backward

    def _total(self, losses: list[Scalar]) -> tuple[Scalar, Cache]:
        weights = [head.weight for head in self.heads]
        if self.weighting is None:
            return weighted_sum_forward(*losses, weights=weights)
        l = get_array_module(losses[0]).stack(losses)
        halves = [0.5 * w if h.is_quantity else w for w, h in zip(weights, self.heads, strict=True)]
        factors = to_device_of(np.array(halves, l.dtype), l)
        y, cache = self.weighting.forward((l * factors)[None])
        return y[0, 0], (cache, factors)

    # -- backward

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        G, ranks = self.task_gradients(dloss, cache, grads), joint_batch()
        if ranks is not None:
            ranks.sum(G)
        self.seen = self._look(G)
        *_, orders = cache
        g = project_conflicts(G, orders) if self.projects else G.sum(axis=0)
        if ranks is not None and ranks.rank > 0:
            g = 0 * g  # what is of all by now is handed on once
        shared = Gradients(self.trunk.named_parameters())
        shared.vector[...] = g
        for parameter in self.trunk.parameters_used():
            grads.add(parameter, shared[parameter])

    def task_gradients(self, dloss: Scalar, cache: Cache, grads: Grads = None) -> Array:
        """G (K, P): the gradient by the shared weights that each task sends back. Those by weights
        that are a task's own, or of the weighting, are added to ``grads``."""
        trunk_cache, caches, total_cache, _ = cache
        found = []
        dlosses = self._dlosses(dloss, total_cache, grads)  # (4)
        for head, dl, (head_cache, loss_cache, backward) in zip(
            self.heads, dlosses, caches, strict=True
        ):
            inner, shape = loss_cache
            dz = backward(dl, inner).reshape(shape)  # (3)
            dh = head.layer.backward(dz, head_cache, grads)  # (2)
            own = Gradients(self.trunk.named_parameters())
            self.trunk.backward(dh, trunk_cache, own, need_dx=False)  # (1)
            found.append(own.vector)
        return get_array_module(found[0]).stack(found)

    def _dlosses(self, dloss: Scalar, cache: Cache, grads: Grads) -> Iterable[Scalar]:
        if self.weighting is None:
            return weighted_sum_forward.backward(dloss, cache)
        cache, factors = cache
        dy = dloss + 0 * factors[:1, None]
        dl = self.weighting.backward(dy, cache, grads)
        return list(dl[0] * factors)

    def _look(self, G: Array) -> dict[str, float]:
        """What there is to log of the gradients."""
        norms, cosines = (to_numpy(a) for a in norms_and_cosines(G))
        names = [head.name for head in self.heads]
        found = {f"{name}_norm": float(n) for name, n in zip(names, norms, strict=True)}
        for i, j in zip(*np.triu_indices(len(names), 1), strict=True):
            pair = f"{names[i]}_{names[j]}"
            found[f"{pair}_cosine"] = float(cosines[i, j])
            found[f"{pair}_conflict"] = float(cosines[i, j] < 0)
        if self.weighting is not None:
            weights = np.exp(-to_numpy(self.weighting.s.value))
            found |= {f"{name}_weight": float(w) for name, w in zip(names, weights, strict=True)}
        return found

    def updates(self, cache: Cache) -> Iterable[tuple[Parameter, Array]]:
        return self.trunk.graph.updates(cache[0].layers)
