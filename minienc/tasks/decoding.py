"""Decoding: from what was read to what is written, the likeliest that can be found.

    greedy(parts, x, lengths, rule)            the likeliest token each time
    beam_search(parts, x, lengths, rule)       the K likeliest beginnings are kept side by side

What was computed for the tokens so far is kept (``Graph.forward_from``): a step costs but its own.
A sum of log p is the lower the longer the text is, so finished texts are compared by

    score(y) = log p(y) / |y|^alpha,           |y| with its end

A text is finished by its end token alone; where it reaches the most that is allowed, nothing else
may follow. What one sentence becomes does not depend on those beside it.

Sources: Sutskever, Vinyals and Le 2014, "Sequence to sequence learning with neural networks",
section 3.2; Wu et al. 2016, "Google's neural machine translation system", section 7 (the length);
Paulus, Xiong and Socher 2018, "A deep reinforced model for abstractive summarization", section 2.5
(no n-gram twice).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import to_device_of, to_numpy
from minienc.functions.activations import sigmoid, softmax_forward
from minienc.functions.copying import copying_forward
from minienc.language.seq2seq import Seq2Seq
from minienc.shapes import is_whole

LEAST = 1e-30  # of a probability, before its logarithm


class Rule(NamedTuple):
    """How it is written.

    ``first`` is the token before the first, ``end`` the one behind the last, ``never`` those that
    no text has. A text of S tokens read becomes one of ``per_token`` S + ``more`` at most.
    """

    first: int
    end: int
    never: Sequence[int] = ()
    beam: int = 5
    alpha: float = 1.0  # how much of the length is divided by
    no_repeat: int = 0  # no n-gram of so many tokens twice; 0: whatever comes
    per_token: float = 1.5
    more: int = 10


class Written(NamedTuple):
    """A text, without its end."""

    ids: list[int]
    score: float


def check_rule(rule: Rule) -> Rule:
    """Refuse settings that make no sense."""
    if not is_whole(rule.beam, 1):
        raise ValueError(f"beam is {rule.beam!r}, expected a whole number from 1")
    if not is_whole(rule.no_repeat, 0):
        raise ValueError(f"no_repeat is {rule.no_repeat!r}, expected a whole number from 0")
    if not 0 <= rule.alpha <= 10:
        raise ValueError(f"alpha is {rule.alpha!r}, expected a number in [0, 10]")
    if not (rule.per_token >= 0 and rule.more >= 1):
        raise ValueError(f"more is {rule.more!r}, expected at least 1, and per_token at least 0")
    return rule


class _Steps:
    """The decoder, one step of all rows at a time."""

    def __init__(self, parts: Seq2Seq, x: np.ndarray, lengths: np.ndarray, rule: Rule) -> None:
        self.parts, self.rule = parts, rule
        self.like = parts.whole.parameters.vector
        self.x, self.lengths = (to_device_of(a.astype(np.int32), self.like) for a in (x, lengths))
        (memory, *first), _ = parts.encoder.graph.forward((self.x, self.lengths))
        self.memory, self.first_state = memory, first
        self.past: Any = None
        self.limits = (rule.per_token * np.asarray(lengths)).astype(int) + rule.more

    def take(self, rows: np.ndarray) -> None:
        """Go on with these rows alone, in this order; one may be taken several times."""
        rows = to_device_of(rows, self.like)
        self.x, self.lengths, self.memory = self.x[rows], self.lengths[rows], self.memory[rows]
        self.first_state = [state[rows] for state in self.first_state]
        self.past = _rows_of(self.past, rows)
        self.limits = self.limits[to_numpy(rows)]

    def next(self, ids: np.ndarray, so_far: Sequence[Sequence[int]]) -> np.ndarray:
        """log p (n, V) of what follows ``ids`` (n,), -inf where it may not; ``so_far`` is what was
        written of each row."""
        before = to_device_of(ids.astype(np.int32)[:, None], self.like)
        given = (before, self.memory, self.lengths, *self.first_state)
        outputs, self.past = self.parts.decoder.graph.forward_from(given, self.past)
        v, _ = softmax_forward(outputs[0])
        if len(outputs) > 1:
            v, _ = copying_forward(v, sigmoid(outputs[1][..., 0]), outputs[2], self.x)
        log_p = np.log(np.maximum(to_numpy(v)[:, -1].astype(np.float64), LEAST))
        rule = self.rule
        log_p[:, list(rule.never)] = -np.inf
        for row, written in enumerate(so_far):
            if len(written) + 1 >= self.limits[row]:
                log_p[row, np.arange(log_p.shape[1]) != rule.end] = -np.inf
                continue
            if not written:
                log_p[row, rule.end] = -np.inf
            if rule.no_repeat:
                log_p[row, repeats(written, rule.no_repeat)] = -np.inf
        return log_p


def _rows_of(past: Any, rows: Any) -> Any:
    """What layers remember, of some rows; a place in the text is that of all."""
    if isinstance(past, (tuple, list)):
        return type(past)(_rows_of(part, rows) for part in past)
    return past if past is None or isinstance(past, int) else past[rows]


def repeats(ids: Sequence[int], n: int) -> list[int]:
    """The tokens that would make the last n tokens an n-gram that is there already."""
    ids = list(ids)
    last = ids[len(ids) - n + 1 :] if n > 1 else []
    places = range(len(ids) - n + 1)
    return [ids[i + n - 1] for i in places if ids[i : i + n - 1] == last]


def greedy(parts: Seq2Seq, x: np.ndarray, lengths: np.ndarray, rule: Rule) -> list[Written]:
    """The likeliest token each time.

    Parameters
    ----------
    parts : Seq2Seq
    x : array (N, S) of integers
        What is read, padded.
    lengths : array (N,) of integers
    rule : Rule
        ``beam`` is not looked at.

    Returns
    -------
    written : list of N
    """
    steps = _Steps(parts, x, lengths, rule)
    texts: list[list[int]] = [[] for _ in range(len(x))]
    sums, alive = np.zeros(len(x)), np.arange(len(x))
    ids = np.full(len(x), rule.first)
    while len(alive):
        log_p = steps.next(ids, [texts[n] for n in alive])
        ids = log_p.argmax(axis=1)
        sums[alive] += log_p[np.arange(len(alive)), ids]
        goes_on = ids != rule.end
        for n, i in zip(alive[goes_on], ids[goes_on], strict=True):
            texts[n].append(int(i))
        if not goes_on.all():
            steps.take(np.flatnonzero(goes_on))
            alive, ids = alive[goes_on], ids[goes_on]
    return [
        Written(text, float(total / (len(text) + 1) ** rule.alpha))
        for text, total in zip(texts, sums, strict=True)
    ]


class _Beam:
    """The beginnings of one sentence that are still gone on with, and those that are finished."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.texts: list[list[int]] = [[]]
        self.sums: list[float] = [0.0]
        self.finished: list[Written] = []

    def extend(self, log_p: np.ndarray) -> tuple[list[int], list[int]]:
        """Go on by log_p (k, V): (which beginning each of the new ones had, its last token)."""
        K, V = self.rule.beam, log_p.shape[1]
        totals = (np.array(self.sums)[:, None] + log_p).ravel()
        # of 2 K, at most K end: so K go on
        best = np.argpartition(-totals, min(2 * K, len(totals)) - 1)[: 2 * K]
        best = best[np.lexsort((best, -totals[best]))]
        texts: list[list[int]] = []
        sums: list[float] = []
        came_from: list[int] = []
        for rank, candidate in enumerate(best):
            total = float(totals[candidate])
            k, token = divmod(int(candidate), V)
            if total == -np.inf or len(texts) == K:
                break
            if token != self.rule.end:
                texts.append([*self.texts[k], token])
                sums.append(total)
                came_from.append(k)
            elif rank < K:
                text = self.texts[k]
                score = total / (len(text) + 1) ** self.rule.alpha
                self.finished.append(Written(text, score))
        if len(self.finished) >= K:
            texts, sums, came_from = [], [], []
        self.texts, self.sums = texts, sums
        return came_from, [text[-1] for text in texts]

    def best(self) -> Written:
        """The finished text of the highest score, the first of equals."""
        return max(self.finished, key=lambda written: written.score)


def beam_search(parts: Seq2Seq, x: np.ndarray, lengths: np.ndarray, rule: Rule) -> list[Written]:
    """The best of the texts that K beginnings lead to; with K = 1, ``greedy``.

    A sentence is done when K of its texts have ended among the K likeliest of a step.

    Parameters
    ----------
    parts, x, lengths, rule
        As of ``greedy``.

    Returns
    -------
    written : list of N
    """
    steps = _Steps(parts, x, lengths, rule)
    beams = [_Beam(rule) for _ in range(len(x))]
    ids = np.full(len(x), rule.first)
    while len(ids):
        going = [beam for beam in beams if beam.texts]
        log_p = steps.next(ids, [text for beam in going for text in beam.texts])
        rows, tokens, start = [], [], 0
        for beam in going:
            n = len(beam.texts)
            came_from, new = beam.extend(log_p[start : start + n])
            rows += [start + k for k in came_from]
            tokens += new
            start += n
        ids = np.array(tokens, dtype=int)
        if len(ids):
            steps.take(np.array(rows))
    return [beam.best() for beam in beams]
