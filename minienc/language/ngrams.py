"""What a language model has to beat: counting, and a compressor.

Kneser-Ney's model of order n counts how often each character followed the n - 1 before it. Where a
context was rare it listens to the shorter one, in which a character counts by how many contexts it
followed, not how often: "Francisco" is frequent, but after "San" alone.

    p_n(w | h) = max(c(h w) - D, 0) / c(h) + D N(h) / c(h) p_(n-1)(w | h')

with h' the context without its first character, N(h) how many characters followed h, and D the
discount. In all orders but the highest, c is the number of distinct characters in front.

Sources: Kneser and Ney 1995, "Improved backing-off for m-gram language modeling"; Chen and Goodman
1999, "An empirical study of smoothing techniques for language modeling", eq. 2 and section 3 (the
interpolated form, and D).
"""

from __future__ import annotations

import bz2
import math
from typing import NamedTuple

import numpy as np

from minienc.shapes import is_whole


class _Counted(NamedTuple):
    """What ``np.unique`` says of the k-grams of a text."""

    grams: np.ndarray  # (G,) those that occur, ascending
    first: np.ndarray  # (G,) where in ``which`` each occurs first
    which: np.ndarray  # the gram that ends at each place, from the first at which one does
    counts: np.ndarray  # (G,)


class _Order(NamedTuple):
    """The counts of k-grams, each a number: the (k-1)-gram in front times V, plus the character."""

    grams: np.ndarray  # (G,) the k-grams that occur, ascending
    counts: np.ndarray  # (G,)
    totals: np.ndarray  # c(h) of each (k-1)-gram
    kinds: np.ndarray  # N(h)
    discount: float


class KneserNey:
    """An n-gram model of characters.

    Parameters
    ----------
    order : int
        n, the characters that count with the one that is said.

    Examples
    --------
    >>> text = "the cat sat on the mat. the dog sat on the log. " * 40
    >>> model = KneserNey(order=3).fit(text)
    >>> bool(model.nats_per_character("the cat.") < model.nats_per_character("tac eht."))
    True
    """

    def __init__(self, order: int = 6) -> None:
        if not is_whole(order, 1):
            raise ValueError(f"KneserNey: order is {order!r}, expected a whole number from 1")
        self.order = order

    def fit(self, text: str) -> KneserNey:
        """Count."""
        if len(text) < self.order:
            raise ValueError(
                f"KneserNey: the text has {len(text)} characters, expected {self.order} or more"
            )
        self.characters_ = np.unique(_codes(text))
        ids = np.searchsorted(self.characters_, _codes(text))
        self.n_ids_ = len(self.characters_) + 1  # one for those that it never saw
        found: list[_Counted] = []
        for k in range(1, self.order + 1):
            # in front of a character stands the gram of k - 1 that ends before it
            prefix = found[-1].which[:-1] if found else 0
            found.append(
                _Counted(*np.unique(prefix * self.n_ids_ + ids[k - 1 :], True, True, True))
            )
        longer = [*found[1:], None]
        self.orders_ = [self._order(*pair) for pair in zip(found, longer, strict=True)]
        return self

    @staticmethod
    def _counts(of: _Counted, longer: _Counted | None) -> np.ndarray:
        """How many different characters stood in front of each gram; of the longest, how often."""
        if longer is None:
            return of.counts
        ends = of.which[1:][longer.first]  # the gram at the end of each longer one
        return np.bincount(ends, minlength=len(of.grams))

    def _order(self, of: _Counted, longer: _Counted | None) -> _Order:
        counts = self._counts(of, longer)
        prefixes = of.grams // self.n_ids_
        n = int(prefixes.max()) + 1
        totals, kinds = np.bincount(prefixes, counts, n), np.bincount(prefixes, counts > 0, n)
        once, twice = (counts == 1).sum(), (counts == 2).sum()
        discount = once / (once + 2 * twice) if once else 0.5  # too small a text for a count of it
        return _Order(of.grams, counts, totals, kinds, discount)

    def nats_per_character(self, text: str) -> float:
        """Mean of -log p over the characters of a text."""
        codes = _codes(text)
        ids = np.searchsorted(self.characters_, codes)
        known = self.characters_[np.minimum(ids, len(self.characters_) - 1)] == codes
        ids = np.where(known, ids, self.n_ids_ - 1)
        p = np.full(len(ids), 1 / self.n_ids_)
        prefix = np.zeros(len(ids), dtype=np.int64)  # -1: it did not occur
        for order in self.orders_:
            keys = prefix * self.n_ids_ + ids
            at = np.minimum(np.searchsorted(order.grams, keys), len(order.grams) - 1)
            is_there = (prefix >= 0) & (order.grams[at] == keys)
            c = np.where(is_there, order.counts[at], 0)
            h = np.clip(prefix, 0, len(order.totals) - 1)
            total = np.where((prefix >= 0) & (prefix < len(order.totals)), order.totals[h], 0)
            D, some = order.discount, np.maximum(total, 1)
            mixed = (np.maximum(c - D, 0) + D * order.kinds[h] * p) / some
            p = np.where(total > 0, mixed, p)
            prefix = np.concatenate([[-1], np.where(is_there, at, -1)[:-1]])
        return float(-np.log(p).mean())


def compressed_nats(train: str, text: str) -> float:
    """Nats a character of what bzip2 makes of ``text`` behind ``train``.

    Examples
    --------
    >>> bool(compressed_nats("ab" * 500, "ab" * 50) < compressed_nats("ab" * 500, "ba x" * 25))
    True
    """
    before, both = (len(bz2.compress(t.encode("utf-8"))) for t in (train, train + text))
    return (both - before) * 8 * math.log(2) / len(text)


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
