"""Language models: how likely is each next token, given those before it?

    p(text) = prod_t p(w_t | w_1 ... w_(t-1)),        loss = - 1/T sum_t log p(w_t | ...)

The loss is in nats a token; divided by log 2 it is bits, and the exponential of it is perplexity. A
model is layers between an embedding and logits, none of which may look ahead. What it learns from
are windows of the text, at random places; or, where a model has states, N long streams that are
read side by side, the states being carried from each window into the next (truncated
backpropagation through time: gradients end at the window's beginning).

Sources: Bengio, Ducharme, Vincent and Jauvin 2003, "A neural probabilistic language model";
Williams and Peng 1990, "An efficient gradient-based algorithm for on-line training of recurrent
network trajectories" (truncated).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minienc.arrays import Array, Cache, to_device_of
from minienc.data.text import next_token_windows, parallel_streams, random_windows
from minienc.functions.losses import sparse_categorical_crossentropy_forward
from minienc.language.base import TextPretrainer, Texts, make_small, one_text
from minienc.language.generation import first_prompt, generate_ids, pieces
from minienc.language.objective import TokenCrossEntropy
from minienc.layers import Dense, DenseTranspose, Dropout, Embedding, GlobalAveragePooling1D, Input
from minienc.layers.symbolic import SymbolicTensor, Tensors
from minienc.models import Model
from minienc.pretraining.base import check_counts
from minienc.training.computed import Remembered
from minienc.training.ranks import joint_batch, rows_here
from minienc.training.step import Learner

N_STREAMS = 16  # of a text that is evaluated with its states carried
N_WINDOWS = 128  # that are evaluated at a time


class NextToken(TokenCrossEntropy):
    """Nats of the next token: a mean over the windows of a batch.

    Parameters
    ----------
    network : Model
        ids and states to logits and states.
    T : int
    n_states : int
        They stand in ``arrays``, with the ``place`` in the streams where the next window begins.
    arrays : dict
    """

    def __init__(self, network: Model, T: int, n_states: int, arrays: dict[str, Array]) -> None:
        super().__init__(network, T)
        self.arrays = arrays
        self.states = [f"state_{i}" for i in range(n_states)]

    def draw(self, n: int, rng: np.random.Generator) -> tuple[tuple[Any, ...], np.ndarray]:
        """The streams' next windows with the states so far, or windows anywhere."""
        if not self.states:
            window = random_windows(self.ids, n, self.T + 1, rng)
            return (window[:, :-1],), window[:, 1:]
        rows = rows_here(n)
        x, y = parallel_streams(self.ids, rows.n)
        (place,) = self.arrays["place"]
        part, mine = slice(place, place + self.T), slice(rows.start, rows.stop)
        return (x[mine, part], *[self.arrays[name][mine] for name in self.states]), y[mine, part]

    def updates(self, cache: Cache) -> list[tuple[Any, Array]]:
        """The states go on, up to the end of the streams: of all streams, on each process that
        reads some of them, so that any number of them can go on from what one has saved."""
        if not self.states:
            return []
        *_, after = cache
        if (ranks := joint_batch()) is not None:
            after = [ranks.whole(state) for state in after]
        place, n = int(self.arrays["place"][0]) + self.T, len(after[0])
        at_end = place + self.T > (len(self.ids) - 1) // n
        found = [(Remembered(self.arrays, "place"), np.array([0 if at_end else place]))]
        for name, state in zip(self.states, after, strict=True):
            found.append((Remembered(self.arrays, name), 0 * state if at_end else state))
        return found


class LanguageModel(TextPretrainer):
    """What language models share; a subclass gives ``body``, and ``state_widths`` if it has states.

    Parameters
    ----------
    embedding : int
        Features of a token's vector.
    dropout : float
        Of the embedded tokens, and of what comes to the logits.
    tied : bool
        Whether the logits are products with the tokens' vectors; the last layer is as wide then.
    **params
        As of ``TextPretrainer``.

    Attributes
    ----------
    model_ : Model
        ids (T,) to logits (T, V).
    encoder_ : Model
        ids (T,) to the mean of what the last layer before the logits makes of them.
    """

    embedding: int = 128
    dropout: float = 0.0
    tied: bool = False

    # -- what learns

    def state_widths(self) -> list[int]:
        """Of the states that are carried from window to window."""
        return []

    def make_layers(self) -> None:
        """Make the layers that ``body`` connects."""

    def body(self, x: SymbolicTensor, states: Tensors) -> tuple[SymbolicTensor, Tensors]:
        """From embedded tokens (T, E) to (T, M), and the states after; none is given at first."""
        raise NotImplementedError

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        T, V = sample_shape
        table = Embedding(V, self.embedding, dtype=self.dtype, name="embedding")
        self.make_layers()
        ids = Input((T,), dtype="int32")
        states = [Input((width,), self.dtype) for width in self.state_widths()]
        self.embedded_ = table(ids)
        x = self._dropped(self.embedded_)
        h = self._dropped(self.body(x, [])[0])
        head = DenseTranspose(table, name="head") if self.tied else Dense(V, name="head")
        self.model_ = Model(ids, head(h), name="language_model")
        self.encoder_ = Model(ids, GlobalAveragePooling1D()(h), name="encoder")
        if states:
            h, after = self.body(x, states)
            network = Model([ids, *states], [head(self._dropped(h)), *after])
        else:
            network = Model([ids], self.model_.outputs)
        network.initialize(rng)
        if self.tied:
            make_small(table)
        arrays: dict[str, Array] = {}
        loss = NextToken(network, T, len(states), arrays)
        self.learners_ = {"model": Learner(network, loss, self._new_optimizer(), arrays)}

    def pooled(self, x: SymbolicTensor, lengths: SymbolicTensor) -> SymbolicTensor:
        """The mean over the tokens of a text: no step looks ahead, so none sees the padding."""
        self.make_layers()
        h = self._dropped(self.body(self._dropped(x), [])[0])
        return GlobalAveragePooling1D()([h, lengths])

    def _dropped(self, x: SymbolicTensor) -> SymbolicTensor:
        return Dropout(self.dropout)(x) if self.dropout else x

    def read(self, ids: np.ndarray) -> None:
        learner = self.learners_["model"]
        loss: Any = learner.objective
        loss.ids = ids
        n = self.batch_size
        if loss.states and (len(ids) - 1) // n < self.context:
            raise ValueError(
                f"the text has {len(ids)} tokens, too few for {n} streams of {self.context}: a "
                f"longer text, a smaller batch_size, or a smaller context"
            )
        like = self.model_.parameters.vector
        for name, width in zip(loss.states, self.state_widths(), strict=True):
            state = np.zeros((n, width), dtype=self.dtype)
            learner.arrays[name] = to_device_of(state, like)
        if loss.states:
            learner.arrays["place"] = np.array([0])

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        check_counts(type(self).__name__, embedding=self.embedding)

    # -- how likely is a text?

    @property
    def carries(self) -> bool:
        """Whether states are carried from window to window."""
        return bool(self.state_widths())

    @property
    def evaluation(self) -> str:
        """How ``nats`` reads a text, in words."""
        if self.carries:
            return f"state carried, {N_STREAMS} streams"
        return f"windows of {self.context} that start empty"

    def nats(self, ids: np.ndarray) -> float:
        """Mean nats of the next token, over a whole text."""
        total, n = 0.0, 0
        like = self.model_.parameters.vector
        for x, y, past in self._stretches(ids):
            logits, after = self.model_.forward_from(to_device_of(x, like), past.get("of"))
            past["of"] = after if self.carries else None
            loss, _ = sparse_categorical_crossentropy_forward(
                logits, to_device_of(y, like), from_logits=True, reduction="sum"
            )
            total, n = total + float(loss), n + y.size
        return total / n

    def _stretches(self, ids: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, dict]]:
        """(x, y, what is remembered): parts of a text that follow one another."""
        past: dict[str, Any] = {}
        if self.carries:
            x, y = parallel_streams(ids, min(N_STREAMS, len(ids) - 1))
            for t in range(0, x.shape[1], self.context):
                yield x[:, t : t + self.context], y[:, t : t + self.context], past
            return
        x, y = next_token_windows(ids, self.context)
        for k in range(0, len(x), N_WINDOWS):
            yield x[k : k + N_WINDOWS], y[k : k + N_WINDOWS], past

    def nats_per_character(self, text: Texts) -> float:
        """Nats of a text, by the number of its characters: comparable whatever the tokens are."""
        self.check_fitted()
        text = one_text(text)
        ids = self._ids(text, "text")
        return self.nats(ids) * len(ids) / len(text)

    def score(self, text: Texts, y: object = None) -> float:  # type: ignore[override]
        """Minus the nats a character: greater is better."""
        return -self.nats_per_character(text)

    # -- and what would it write?

    def generate(
        self,
        prompt: str | None = None,
        length: int = 500,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        stop: str | None = None,
        random_state: int | None = None,
    ) -> str:
        """The prompt, continued by ``length`` tokens; see ``generation.generate_ids``. None is the
        beginning of a line."""
        self.check_fitted()
        prompt = first_prompt(self.tokenizer_) if prompt is None else prompt
        ids = self.tokenizer_.encode(prompt)
        found = generate_ids(
            self.model_,
            ids,
            length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            rng=np.random.default_rng(random_state),
        )
        return prompt + "".join(pieces(self.tokenizer_, found, stop))


def bits(nats: float) -> float:
    """Bits, of nats."""
    return nats / math.log(2)
