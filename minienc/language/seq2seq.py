"""Sequence to sequence: one network reads, another one writes, and asks what was read.

    memory = encoder(x_1 ... x_S)                          a vector for each token that was read
    p(y_t | y_1 ... y_(t-1), x) = decoder(y_1 ... y_(t-1), memory)

Three of them, which share one table of vectors for all that is read and written, and the logits'
weights are that table, too:

    gru                 the encoder reads from both ends; the decoder is a GRU that begins with what
                        was read last; its state h_t asks the memory, and tanh([h_t; answer] W) is
                        what the logits are made of. The answer is not fed back into the GRU: so in
                        training nothing loops over steps but the recurrence itself.
    gru_no_attention    the same, but all that the decoder knows of x is the state it begins with
    transformer         blocks of attention, the decoder's with a context

With ``copying``, the decoder may write a word that it reads (``functions/copying.py``): another
attention on the memory says which, and a gate how likely.

Sources: Sutskever, Vinyals and Le 2014, "Sequence to sequence learning with neural networks"; Cho
et al. 2014, "Learning phrase representations using RNN encoder-decoder"; Luong, Pham and Manning
2015, "Effective approaches to attention-based neural machine translation", section 3.1 (without
input feeding); Vaswani et al. 2017, "Attention is all you need"; Press and Wolf 2017, "Using the
output embedding to improve language models" (one table).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import Cache, Rng, Scalar, to_device_of
from minienc.functions.copying import (
    copying_crossentropy_backward,
    copying_crossentropy_forward,
)
from minienc.functions.losses import (
    sparse_categorical_crossentropy_backward,
    sparse_categorical_crossentropy_forward,
)
from minienc.language.base import check_heads, make_small
from minienc.language.objective import NOT_ASKED
from minienc.layers import (
    GRU,
    Attention,
    Concatenate,
    Dense,
    DenseTranspose,
    Dropout,
    Embedding,
    GlobalAveragePooling1D,
    Input,
    Reverse,
    RMSNormalization,
    TransformerBlock,
)
from minienc.layers.parameters import Gradients
from minienc.models import Model
from minienc.pretraining.base import check_counts
from minienc.training.step import Objective

NETWORKS = ("gru", "gru_no_attention", "transformer")
WIDTH = {"gru": 256, "gru_no_attention": 256, "transformer": 128}  # where none is said
# Of the vectors at first. Where they are smaller, what blocks add to a token drowns it, a GRU hears
# none of them, and it takes epochs until tokens are told one from another.
DEVIATION = 0.1
T = 8  # steps of the graph's inputs; it runs on any number


class Shape(NamedTuple):
    """What a network is made of; ``V`` is the vocabulary's size."""

    V: int
    network: str = "gru"
    width: int = 256  # of a vector; the encoder's two directions have half of it each
    n_layers: int = 3  # blocks of a transformer's encoder, and of its decoder
    num_heads: int = 4
    dropout: float = 0.2
    copying: bool = False
    dtype: str = "float32"


class Seq2Seq(NamedTuple):
    """The whole that is trained, and its two parts, of the same layers.

    Inputs of the whole: x (N, S) integers, lengths (N,), and what stands before each token that is
    to be written (N, T). Outputs: logits (N, T, V); with copying also the gate's logits (N, T, 1),
    and the attention (N, T, S) by which is copied.
    """

    whole: Model
    encoder: Model  # (x, lengths) to (memory (N, S, D), first state (N, D) of a recurrent decoder)
    decoder: Model  # (before, memory, lengths, first state) to the outputs of the whole
    code: Model  # (x, lengths) to the mean of the memory (N, D): what the encoder is by itself


def check_shape(name: str, shape: Shape) -> None:
    """Refuse what cannot be built."""
    if shape.network not in NETWORKS:
        raise ValueError(
            f"{name}: network is {shape.network!r}, expected one of {', '.join(NETWORKS)}"
        )
    check_counts(name, width=shape.width, n_layers=shape.n_layers, num_heads=shape.num_heads)
    if shape.network == "transformer":
        check_heads(name, shape.width, shape.num_heads)
    elif shape.width % 2:
        raise ValueError(f"{name}: width is {shape.width}, expected an even number: two directions")
    if not 0 <= shape.dropout < 1:
        raise ValueError(f"{name}: dropout is {shape.dropout!r}, expected a part, in [0, 1)")


def build(shape: Shape, rng: np.random.Generator) -> Seq2Seq:
    """Make the network, its weights drawn from ``rng``."""
    x, lengths = Input((T,), dtype="int32"), Input((), dtype="int32")
    before = Input((T,), dtype="int32")
    table = Embedding(shape.V, shape.width, dtype=shape.dtype, name="embedding")
    make = _Transformer if shape.network == "transformer" else _Recurrent
    parts = make(shape, table)
    memory, *first = parts.encode(x, lengths)
    h = parts.decode(before, memory, lengths, *first)
    outputs = [DenseTranspose(table, name="head")(h)]
    if shape.copying:
        point = Attention(return_attention_scores=True, name="pointer")
        answer, weights = point([h, memory, lengths])
        outputs += [Dense(1, name="gate")(Concatenate()([h, answer])), weights]
    whole = Model([x, lengths, before], outputs, name=shape.network)
    whole.initialize(rng)
    make_small(table, DEVIATION)
    code = Model([x, lengths], GlobalAveragePooling1D()([memory, lengths]), name="encoder")
    return Seq2Seq(
        whole,
        Model([x, lengths], [memory, *first]),
        Model([before, memory, lengths, *first], outputs),
        code,
    )


class _Recurrent:
    """The layers of both networks of GRUs."""

    def __init__(self, shape: Shape, table: Embedding) -> None:
        D = shape.width
        self.rate, self.table = shape.dropout, table
        self.asks = shape.network == "gru"
        both: dict[str, Any] = {"return_sequences": True, "return_state": True}
        self.reader = GRU(D // 2, name="reader", **both)
        self.reader_backward = GRU(D // 2, name="reader_backward", **both)
        self.to_state = Dense(D, "tanh", name="to_state")
        self.writer = GRU(D, return_sequences=True, name="writer")
        self.attention = Attention(name="attention")
        self.mixed = Dense(D, "tanh", name="mixed")

    def encode(self, x: Any, lengths: Any) -> list[Any]:
        e = _dropped(self.table(x), self.rate)
        there, last = self.reader(e, lengths=lengths)
        back, first = self.reader_backward(Reverse()([e, lengths]), lengths=lengths)
        memory = Concatenate()([there, Reverse()([back, lengths])])
        return [memory, self.to_state(Concatenate()([last, first]))]

    def decode(self, before: Any, memory: Any, lengths: Any, first: Any) -> Any:
        e = _dropped(self.table(before), self.rate)
        h = self.writer(e, initial_state=first)
        if self.asks:
            h = Concatenate()([h, self.attention([h, memory, lengths])])
        return _dropped(self.mixed(h), self.rate)


class _Transformer:
    """The blocks of both sides; those of the encoder are named as a masked language model's."""

    def __init__(self, shape: Shape, table: Embedding) -> None:
        self.rate, self.table, numbers = shape.dropout, table, range(1, shape.n_layers + 1)
        how: dict[str, Any] = {
            "expansion": 2,
            "activation": "relu_squared",
            "rotary": True,
            "qk_norm": True,
            "dropout": shape.dropout,
            "norm": "rms",
            "use_bias": False,
        }
        heads = shape.num_heads
        self.blocks = [TransformerBlock(heads, name=f"block_{k}", **how) for k in numbers]
        self.norm = RMSNormalization(name="norm")
        self.writing = [
            TransformerBlock(heads, causal=True, name=f"writer_{k}", **how) for k in numbers
        ]
        self.last_norm = RMSNormalization(name="writer_norm")

    def encode(self, x: Any, lengths: Any) -> list[Any]:
        h = _dropped(self.table(x), self.rate)
        for block in self.blocks:
            h = block(h, lengths=lengths)
        return [self.norm(h)]

    def decode(self, before: Any, memory: Any, lengths: Any) -> Any:
        h = _dropped(self.table(before), self.rate)
        for block in self.writing:
            h = block(h, memory, lengths)
        return self.last_norm(h)


def _dropped(x: Any, rate: float) -> Any:
    return Dropout(rate)(x) if rate else x


# ---------------------------------------------------------------------------------------- the loss


class Writing(Objective):
    """Nats of a token that is to be written, a mean over those that count.

    A subclass gives ``draw(batch, rng)``: x (n, S), lengths (n,), before (n, T), labels (n, T),
    ``NOT_ASKED`` where there is none.

    Parameters
    ----------
    network : Model
        The whole of a ``Seq2Seq``.
    copying : bool
        Whether it copies.
    label_smoothing : float
    """

    def __init__(self, network: Model, copying: bool, label_smoothing: float = 0.0) -> None:
        self.network, self.copying = network, copying
        self.label_smoothing = label_smoothing

    def draw(self, batch: tuple, rng: Rng) -> Any:
        raise NotImplementedError

    def forward(self, batch: tuple, rng: Rng = None) -> tuple[tuple[Scalar, ...], Cache]:
        x, lengths, before, labels = self.draw(batch, rng)
        return self.loss_of(x, lengths, before, labels, rng, self.label_smoothing)

    def loss_of(
        self,
        x: Any,
        lengths: Any,
        before: Any,
        labels: Any,
        rng: Rng = None,
        smoothing: float = 0.0,
    ) -> tuple[tuple[Scalar, ...], Cache]:
        """The loss of given texts, and a cache; without ``rng`` nothing is dropped."""
        like = self.network.parameters.vector
        x, lengths, before, labels = (to_device_of(a, like) for a in (x, lengths, before, labels))
        outputs, caches = self.network.graph.forward((x, lengths, before), rng)  # (1)
        how: dict[str, Any] = {"ignore_class": NOT_ASKED, "label_smoothing": smoothing}
        if self.copying:
            z, s, a = outputs
            loss, cache = copying_crossentropy_forward(z, s[..., 0], a, x, labels, **how)  # (2)
        else:
            loss, cache = sparse_categorical_crossentropy_forward(
                outputs[0], labels, from_logits=True, **how
            )  # (2)
        return (loss,), (caches, cache)

    def counted(self, cache: Cache) -> Scalar:
        """What the loss is the mean of: tokens that are to be written."""
        return (cache[1].factor > 0).sum()

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        caches, cache = cache
        douts: tuple[Any, ...]
        if self.copying:
            dz, ds, da = copying_crossentropy_backward(dloss, cache)  # (2)
            douts = dz, ds[..., None], da
        else:
            douts = (sparse_categorical_crossentropy_backward(dloss, cache),)  # (2)
        self.network.graph.backward(douts, caches, grads, need_dx=False)  # (1)


def shifted(targets: np.ndarray, lengths: np.ndarray, first: Any, pad: int = 0) -> Any:
    """(before, labels), (N, T) both, of padded targets (N, T): what stands before each token,
    ``first`` (a number, or one a row) before the first; and the tokens, ``NOT_ASKED`` behind the
    ends."""
    N, T = targets.shape
    before = np.concatenate([np.full((N, 1), pad, np.int32), targets[:, :-1]], axis=1)
    before[:, 0] = first
    return before, np.where(np.arange(T) < lengths[:, None], targets, NOT_ASKED)
