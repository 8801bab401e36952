"""An epoch of shards: the order of its samples, and their rows, read ahead of who learns from them.

The shards are put into an order by the seed, and taken in groups of ``window``; within a group all
samples are mixed. So each sample comes once, and each shard is read once. A group lies in memory
one sample behind the other, so that a batch is taken from it at once. There is room for two: while
one is learned from, a thread reads the next one into the other.

    shards    5 0 | 3 1 | 4 2                 an order of the shards, groups of 2
    room A    5 0         4 2
    room B          3 1
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from minienc.data.limits import check_memory

if TYPE_CHECKING:
    from minienc.data.shards import Shards


class Epoch:
    """Batches of shards; iterating gives the indices of each, taking gives their rows.

    The indices do not wait for anything to be read, and may be asked for ahead. Rows are read where
    a batch first asks for one of a group; so a run that goes on in the middle reads from there.

    Parameters
    ----------
    shards : Shards
    batch_size : int
    rng : numpy.random.Generator, optional
        Draws the order; without it samples come in theirs.
    n : int, optional
        The first so many samples take part; all.

    Attributes
    ----------
    shape, dtype : as of the shards
    """

    def __init__(
        self,
        shards: Shards,
        batch_size: int,
        rng: np.random.Generator | None,
        n: int | None = None,
    ) -> None:
        self.shards, self.batch_size, self.rng = shards, batch_size, rng
        self.shape, self.dtype = shards.shape, shards.dtype
        self.n = len(shards) if n is None else n
        last = int(np.searchsorted(shards.ends, self.n)) + 1
        order = np.arange(last) if rng is None or shards.in_order else rng.permutation(last)
        bounds = [*range(0, last, shards.window), last]
        self.groups = [order[a:b] for a, b in pairwise(bounds)]
        # of each shard: its group, and what makes of a sample's number its place in the room
        self.group_of = np.full(len(shards.ends), -1)
        self.shift = np.zeros(len(shards.ends), np.int64)
        self.longest = 0
        sizes = shards.ends - shards.starts
        for g, group in enumerate(self.groups):
            starts = np.cumsum(sizes[group]) - sizes[group]
            self.group_of[group], self.shift[group] = g, starts - shards.starts[group]
            self.longest = max(self.longest, int(sizes[group].sum()))
        self.now, self.coming = -1, -1  # groups: the one that is taken from, the one that is read
        self.rooms: list[np.ndarray] = []
        self.room = 0  # of the group that is taken from
        self.future: Future | None = None
        self.is_closed = False
        self.reader = ThreadPoolExecutor(1, thread_name_prefix="minienc-shards")

    def __len__(self) -> int:
        return len(self.shards)

    # -- the order

    def __iter__(self) -> Iterator[np.ndarray]:
        """Index arrays that together hold 0 ... n - 1 once, as those of ``batch_indices``."""
        size, rest = self.batch_size, np.empty(0, np.int64)
        for group in self.groups:
            ends = np.minimum(self.shards.ends[group], self.n)
            ranges = map(np.arange, self.shards.starts[group], ends)
            rows = np.concatenate(list(ranges))
            rest = np.concatenate([rest, rows if self.rng is None else self.rng.permutation(rows)])
            whole = len(rest) // size * size
            yield from np.split(rest[:whole], whole // size) if whole else ()
            rest = rest[whole:]
        if len(rest):
            yield rest

    # -- the rows

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        rows = np.empty((len(indices), *self.shape[1:]), self.dtype)
        self.take_into(indices, rows)
        return rows

    def take_into(self, indices: np.ndarray, rows: np.ndarray) -> None:
        """Write the rows of a batch to where they are wanted."""
        of = np.searchsorted(self.shards.ends, indices, side="right")
        groups, places = self.group_of[of], indices + self.shift[of]
        if (groups == self.now).all():
            self._take(places, rows)
            return
        for g in np.unique(groups).tolist():  # the one that ends first, then the one that begins
            here = groups == g
            if g < self.now or g < 0:  # whoever asks does not follow the order
                rows[here] = self.shards[indices[here]]
            else:
                self._go_to(g)
                part = np.empty((int(here.sum()), *self.shape[1:]), self.dtype)
                self._take(places[here], part)
                rows[here] = part

    def lying(self, parts: list[np.ndarray]) -> tuple[np.ndarray | None, list[np.ndarray]]:
        """The room that is taken from, and in it the places of the first of these batches, as many
        as lie there whole and are learned from as they are."""
        alike = [part for part in parts if len(part) == len(parts[0])]
        if self.now < 0 or self.shards.scale is not None or self.dtype != self.shards.stored:
            return None, []
        rows = np.array(alike)
        of = np.searchsorted(self.shards.ends, rows, side="right")
        is_here = (self.group_of[of] == self.now).all(axis=1)
        n = len(rows) if is_here.all() else int(is_here.argmin())
        return self.rooms[self.room], list((rows + self.shift[of])[:n])

    def _take(self, places: np.ndarray, rows: np.ndarray) -> None:
        room, shards = self.rooms[self.room], self.shards
        if shards.scale is not None and rows.dtype == self.dtype:
            shards.seen(room.take(places, 0, mode="clip"), rows)
        elif rows.dtype == room.dtype:
            room.take(places, 0, rows, "clip")  # "clip" alone writes to ``rows`` directly
        else:
            rows[...] = shards.seen(room.take(places, 0, mode="clip"))

    def _go_to(self, g: int) -> None:
        """Take from group g, and let the next one be read."""
        if g == self.now:
            return
        if g != self.coming:
            self._wait()
            self._send_for(g)
        self._wait()
        self.now, self.room = g, 1 - self.room
        if g + 1 < len(self.groups):
            self._send_for(g + 1)

    def _send_for(self, g: int) -> None:
        """Let group g be read into the room that nobody takes from."""
        if not self.rooms:
            inside = self.longest, *self.shape[1:]
            n_bytes = 2 * math.prod(inside) * self.shards.stored.itemsize
            check_memory(n_bytes, f"two groups of shards, each of window={self.shards.window}")
            self.rooms = self.shards.take_rooms(inside)
        self.coming = g
        self.future = self.reader.submit(self._read, g, self.rooms[1 - self.room])

    def _wait(self) -> None:
        """Until what was sent for is there; what is wrong with it is raised here."""
        future, self.future, self.coming = self.future, None, -1
        if future is not None:
            future.result()

    def _read(self, g: int, room: np.ndarray) -> None:
        at = 0
        for k in self.groups[g].tolist():
            if self.is_closed:
                return
            end = at + self.shards.shards[k].n
            self.shards.read_into(k, room[at:end])
            at = end

    def close(self) -> None:
        """Hold nothing from here on, and let the thread end; the shards keep the rooms for the next
        epoch."""
        self.is_closed = True
        self.reader.shutdown(wait=True, cancel_futures=True)
        self.shards.closed(self, self.rooms)
        self.rooms, self.now, self.future = [], -1, None

    def __enter__(self) -> Epoch:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def open_epochs(
    arrays: tuple, batch_size: int, generator: Callable[[], np.random.Generator | None], n: int
) -> tuple[tuple, list[Epoch]]:
    """The arrays of a run, with an epoch in the place of each that is shards, and these epochs.

    The first one says the order. Others follow it if they are cut as the first, a shard of targets
    for each shard of inputs; what is cut in another way stays, and is asked for by numbers.
    ``generator`` returns a generator that draws the same each time, or None.
    """
    opened: dict[int, Epoch] = {}
    first = None
    for a in arrays:
        if hasattr(a, "epoch") and id(a) not in opened:
            first = a if first is None else first
            if a is first or _cut_alike(a, first):
                opened[id(a)] = a.epoch(batch_size, generator(), n)
    return tuple([opened.get(id(a), a) for a in arrays]), list(opened.values())


def in_rooms(arrays: tuple, parts: list[np.ndarray]) -> tuple[tuple, list[np.ndarray]]:
    """Arrays and batches, as indices, that can be taken without waiting: as they are; of an epoch,
    its room and the places there of the next batches, as far as they are in it."""
    epochs = [a for a in arrays if isinstance(a, Epoch)]
    if not epochs:
        return arrays, parts
    if not parts or any(a is not epochs[0] for a in arrays):
        return arrays, []
    room, places = epochs[0].lying(parts[:16])
    return (room,) * len(arrays), places


def _cut_alike(a: Shards, b: Shards) -> bool:
    ways = (a.window, a.in_order), (b.window, b.in_order)
    return ways[0] == ways[1] and np.array_equal(a.ends, b.ends)
