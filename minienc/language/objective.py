"""The loss that methods of text share: nats of the tokens that a network is asked about.

    l_nt = -log p(label_nt),    p = softmax(logits),    loss = the mean of l over what is asked

A method says what is given and what is asked, in ``draw``; forward and backward are the same.
"""

from __future__ import annotations

import numpy as np

from minienc.arrays import Array, Rng, to_device_of
from minienc.functions.losses import (
    sparse_categorical_crossentropy_backward,
    sparse_categorical_crossentropy_forward,
)
from minienc.layers.graph import Graph
from minienc.layers.parameters import Gradients
from minienc.models import Model
from minienc.training.computed import ComputedObjective
from minienc.training.step import Cache, Scalar

NOT_ASKED = -1  # the label of a token that is not asked about


class TokenCrossEntropy(ComputedObjective):
    """The cross-entropy of the logits (N, T, V) of a network with labels (N, T) of a text.

    Parameters
    ----------
    network : Model
        Its first output is the logits.
    T : int
        Tokens of a window.

    Attributes
    ----------
    ids : array (L,)
        The text that windows are drawn from.
    all_asked : bool
        Whether no label is ``NOT_ASKED``.
    """

    all_asked = True

    def __init__(self, network: Model, T: int) -> None:
        self.network, self.T = network, T
        self.ids = np.zeros(0, dtype=np.int32)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[tuple[Array, ...], np.ndarray]:
        """(the network's inputs, labels (n, T)) of n windows."""
        raise NotImplementedError

    @property
    def graphs(self) -> list[Graph]:
        return [self.network.graph]

    def prepare(self, batch: tuple, rng: np.random.Generator) -> tuple[Array, ...]:
        (numbers,) = batch  # so many windows; which, is drawn
        inputs, labels = self.draw(len(numbers), rng)
        return *inputs, labels

    def compute(self, arrays: tuple, rng: np.random.Generator) -> tuple[tuple[Scalar, ...], Cache]:
        *inputs, labels = arrays
        return self.loss_of(tuple(inputs), labels, rng)

    def loss_of(
        self, inputs: tuple[Array, ...], labels: np.ndarray, rng: Rng = None
    ) -> tuple[tuple[Scalar, ...], Cache]:
        """The loss of given windows, and a cache: of the network, of the loss, and what the network
        returned behind the logits."""
        like = self.network.parameters.vector
        outputs, cache = self.network.forward([to_device_of(a, like) for a in inputs], rng)  # (1)
        logits, *others = outputs if isinstance(outputs, tuple) else (outputs,)
        ignored = None if self.all_asked else NOT_ASKED
        loss, loss_cache = sparse_categorical_crossentropy_forward(
            logits, to_device_of(labels, like), from_logits=True, ignore_class=ignored
        )  # (2)
        return (loss,), (cache, loss_cache, others)

    def counted(self, cache: Cache) -> Scalar:
        """What the loss is the mean of: tokens that were asked for."""
        return (cache[1].factor > 0).sum()

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        cache, loss_cache, _ = cache
        dlogits = sparse_categorical_crossentropy_backward(dloss, loss_cache)  # (2)
        self.network.backward((dlogits,), cache, grads, need_dx=False)  # (1)
