"""Byte-pair encoding: a vocabulary between letters and words, made by what the text itself repeats.

It begins with the 256 bytes. The pair of neighbours that stands most often in the text becomes a
token of its own, again and again:

    l o w e r   n e w e r   w i d e r        ->   l o w er   n e w er   w i d er   ->   ...

Pairs never reach over the edge of a word (``PIECES`` says what a word is: it takes the space before
it along). So only different words are looked through, each as often as it stands in the text; a
table says in which words a pair stands, and a heap which pair is next. Of pairs that stand equally
often, the one of the earlier tokens is taken; bytes that can be seen come before the others, as in
GPT-2's alphabet.

Because bytes are the alphabet, every text can be encoded, and what is decoded is what was encoded.

Sources: Gage 1994, "A new algorithm for data compression"; Sennrich, Haddow and Birch 2016, "Neural
machine translation of rare words with subword units"; Radford et al. 2019, "Language models are
unsupervised multitask learners", section 2.2 (bytes).
"""

from __future__ import annotations

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise

# Endings such as 's, letters, digits, other signs, each with the space before it; then what is left
# of white space, but for the last space before a word.
PIECES = re.compile(r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")

VISIBLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
ORDER = [*VISIBLE, *(b for b in range(256) if b not in VISIBLE)]  # the alphabet

Pair = tuple[int, int]


def parts_of(text: str | Iterable[str]) -> Iterable[str]:
    """The parts of a text that comes in parts, each of which ends where a word does."""
    return [text] if isinstance(text, str) else text


def train_merges(text: str | Iterable[str], n_merges: int) -> list[Pair]:
    """The pairs that become tokens, in their order: merge k makes token 256 + k.

    Fewer come back where no pair stands twice any more.
    """
    counts: Counter[str] = Counter()
    for part in parts_of(text):
        counts.update(PIECES.findall(part))
    words = [list(to_bytes(word)) for word in counts]
    often = list(counts.values())
    how_often: Counter[Pair] = Counter()
    stands_in: defaultdict[Pair, set[int]] = defaultdict(set)
    for i, word in enumerate(words):
        for pair in pairwise(word):
            how_often[pair] += often[i]
            stands_in[pair].add(i)
    place = {b: i for i, b in enumerate(ORDER)}

    def entry(pair: Pair) -> tuple[int, int, int, Pair]:
        a, b = pair
        return -how_often[pair], place.get(a, a), place.get(b, b), pair

    heap = [entry(pair) for pair in how_often]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < n_merges:
        count, _, _, pair = heapq.heappop(heap)
        if -count != how_often[pair]:  # it has become rarer since: put back where it belongs now
            if how_often[pair] > 0:
                heapq.heappush(heap, entry(pair))
            continue
        if -count < 2:
            break
        new = 256 + len(merges)
        merges.append(pair)
        changed = set()
        for i in stands_in.pop(pair):
            changed |= _merge_in_word(words[i], pair, new, often[i], how_often, stands_in, i)
        del how_often[pair]
        for other in changed:
            if other in how_often and other != pair:
                heapq.heappush(heap, entry(other))
    return merges


def _merge_in_word(
    word: list[int],
    pair: Pair,
    new: int,
    times: int,
    how_often: Counter[Pair],
    stands_in: defaultdict[Pair, set[int]],
    i: int,
) -> set[Pair]:
    """Put ``new`` in the place of the pair in one word; count its pairs anew; return those that
    are more frequent now."""
    before = list(pairwise(word))
    word[:] = merged(word, pair, new)
    after = list(pairwise(word))
    for p in before:
        how_often[p] -= times
    for p in after:
        how_often[p] += times
        stands_in[p].add(i)
    for p in set(before) - set(after):
        stands_in[p].discard(i)
    return {p for p in after if new in p}


def merged(word: list[int], pair: Pair, new: int) -> list[int]:
    """The word with ``new`` wherever the pair stands, from the left."""
    found, k = [], 0
    while k < len(word):
        if k + 1 < len(word) and word[k] == pair[0] and word[k + 1] == pair[1]:
            found.append(new)
            k += 2
        else:
            found.append(word[k])
            k += 1
    return found


def encode_word(word: bytes, ranks: dict[Pair, int]) -> list[int]:
    """The word's tokens: of the pairs in it, the one that was merged first is merged first."""
    ids = list(word)
    while len(ids) > 1:
        best = min(pairwise(ids), key=lambda p: ranks.get(p, len(ranks)))
        if best not in ranks:
            break
        ids = merged(ids, best, 256 + ranks[best])
    return ids


def to_bytes(text: str) -> bytes:
    """UTF-8; half of a surrogate pair, which has none, as the three bytes that would be its own."""
    return text.encode("utf-8", "surrogatepass")
