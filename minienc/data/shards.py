"""Samples in many files, of which a few are in memory at a time: data larger than memory.

``Shards`` has what training needs of an array, ``shape``, ``dtype``, ``len`` and indexing, and
opens epochs (``epochs.py``): their order, and a thread that reads ahead. Where a run stands is
the number of its next batch, as for data in memory, so a run that is stopped within a shard goes on
to the same bits.

    in memory      the whole permuted             n samples
    shards         permuted within a group        2 window shards: this group and the next
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from minienc.data.checks import check_data
from minienc.data.epochs import Epoch
from minienc.data.pixels import Pixels, check_float_dtype
from minienc.shapes import is_whole, kind_of

Repeatable = Iterable[np.ndarray] | Callable[[], Iterable[np.ndarray]]
Index = Any  # a whole number, a slice, an array of int or bool


class Shard(NamedTuple):
    """A part of the samples, on a disk or made when it is asked for."""

    name: str
    n: int
    load: Callable[[], np.ndarray]  # (n, ...)
    # Reads straight into room for them, and says whether it could; else ``load`` is called.
    fill: Callable[[np.ndarray], bool] = lambda room: False


class Shards:
    """Samples (N, ...) that are read, or made, a shard at a time.

    Parameters
    ----------
    shards : sequence of Shard
        ``open_shards`` finds those of a folder, ``made_shards`` takes a function.
    sample_shape : tuple of int
    dtype : dtype
        Of the numbers as they lie there.
    window : int
        How many shards are mixed with one another. Twice as many are in memory.
    scale : float, optional
        What bytes are multiplied by, batch by batch, as in ``Pixels``: they stay bytes in memory,
        and are seen as ``seen``.
    seen : {"float32", "float64"}
    in_order : bool
        Whether the shards are always taken in their order: they come one behind the other from
        where they come. Samples are mixed within a group all the same.

    Attributes
    ----------
    shape, dtype, ndim, size : as of an array
    n_read : int
        Shards that were read so far.

    Raises
    ------
    ValueError, TypeError
        If there are no shards, or one without samples, if ``window`` is no whole number from 1, if
        there is a ``scale`` for other numbers than bytes.

    Examples
    --------
    >>> shards = made_shards(lambda i: np.full((3, 2), i, "float32"), n_shards=4, rows=3)
    >>> shards.shape
    (12, 2)
    >>> shards[[0, 4, 11]][:, 0].tolist()
    [0.0, 1.0, 3.0]
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        sample_shape: Sequence[int],
        dtype: DTypeLike,
        window: int = 4,
        *,
        scale: float | None = None,
        seen: DTypeLike = "float32",
        in_order: bool = False,
    ) -> None:
        if not shards:
            raise ValueError("Shards: there are none")
        if not is_whole(window, 1):
            raise ValueError(f"Shards: window is {window!r}, expected a whole number from 1")
        empty = [shard.name for shard in shards if shard.n < 1]
        if empty:
            raise ValueError(f"{empty[0]}: a shard without samples")
        self.shards, self.window, self.in_order = list(shards), window, in_order
        self.ends = np.fromiter(accumulate(shard.n for shard in shards), np.int64)
        self.starts = np.concatenate([[0], self.ends[:-1]])
        self.stored, self.scale = np.dtype(dtype), scale
        if scale is not None and self.stored != np.uint8:
            raise TypeError(f"Shards: scale is for bytes, and these are {self.stored}")
        self.dtype = self.stored if scale is None else check_float_dtype(seen, "Shards")
        self.shape = (int(self.ends[-1]), *sample_shape)
        self.inside = tuple(sample_shape)  # of a shard's samples, as they lie there
        self.n_read = 0
        self._rooms: list[np.ndarray] = []  # of the last epoch
        self._held: OrderedDict[int, np.ndarray] = OrderedDict()
        self._epochs: weakref.WeakSet[Epoch] = weakref.WeakSet()  # those that are open
        self._watched: list[dict[str, Any]] = []  # what every shard is asked when it is read

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=object))

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Shards({self.shape}, {self.dtype}, in {len(self.shards)}, {self.window} at a time)"

    def flatten_samples(self) -> Shards:
        """The same seen as rows (N, D)."""
        rows = self.with_shards(self.shards)
        rows.shape = len(self), int(np.prod(self.shape[1:]))
        return rows

    def with_shards(self, shards: Sequence[Shard]) -> Shards:
        """Other shards, all else as here."""
        seen = "float32" if self.scale is None else self.dtype
        how: dict[str, Any] = {"scale": self.scale, "seen": seen, "in_order": self.in_order}
        others = Shards(shards, self.inside, self.stored, self.window, **how)
        others.shape = len(others), *self.shape[1:]
        others._watched = list(self._watched)
        return others

    def watch(self, **how: Any) -> None:
        """Ask each shard what ``check_data`` asks, when it is read: to ask all at once would mean
        to read all twice."""
        self._watched.append(how)
        for k, part in self._held.items():
            self._check(k, part, [how])

    # -- reading

    def __getitem__(self, index: Index) -> np.ndarray:
        """The samples ``index`` (int, slice, array of int or bool), as a new array."""
        if isinstance(index, (int, np.integer)):
            return self[np.array([index])][0]
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        index = np.asarray(index)
        index = np.flatnonzero(index) if index.dtype == bool else index
        if index.size and not (-len(self) <= index.min() and index.max() < len(self)):
            raise IndexError(f"{len(self)} samples, and number {index.max()} was asked for")
        index = np.where(index < 0, index + len(self), index)
        found = np.empty((len(index), *self.shape[1:]), self.dtype)
        of = np.searchsorted(self.ends, index, side="right")
        for k in np.unique(of):
            here = np.flatnonzero(of == k)
            found[here] = self.seen(self._part(int(k))[index[here] - self.starts[k]])
        return found

    def seen(self, rows: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Rows as they lie there become what they are seen as: bytes are scaled, into ``out``."""
        if self.scale is None:
            return rows
        factor = np.asarray(self.scale, self.dtype)
        return np.multiply(rows, factor, out=out, dtype=self.dtype)

    def _part(self, k: int) -> np.ndarray:
        """Shard k, from memory where it is held: as many as an epoch holds, one while there is
        one."""
        if k in self._held:
            self._held.move_to_end(k)
            return self._held[k]
        most = 1 if self._epochs or self._rooms else 2 * self.window
        while len(self._held) >= most:
            self._held.popitem(last=False)
        part = np.empty((self.shards[k].n, *self.shape[1:]), self.stored)
        self.read_into(k, part)
        self._held[k] = part
        return part

    def read_into(self, k: int, room: np.ndarray) -> None:
        """Shard k, to room (n, ...) for its samples.

        Raises
        ------
        ValueError
            If it cannot be read, or holds what it did not promise; with its name.
        """
        shard = self.shards[k]
        inside = room.reshape(shard.n, *self.inside)  # a view: room is contiguous
        try:
            if not shard.fill(inside):
                part = np.asarray(shard.load())
                if part.shape != inside.shape or part.dtype != self.stored:
                    raise ValueError(
                        f"{shard.name}: holds {part.shape} of {part.dtype}, expected "
                        f"{inside.shape} of {self.stored}, as the others"
                    )
                inside[...] = part
        except FileNotFoundError as error:
            raise ValueError(
                f"{shard.name}: it cannot be read: it is gone since it was opened; bring it back"
            ) from error
        except (OSError, ValueError, EOFError) as error:
            if str(error).startswith(shard.name):
                raise
            raise ValueError(f"{shard.name}: it cannot be read: {error}") from error
        self._check(k, inside, self._watched)
        self.n_read += 1

    def _check(self, k: int, part: np.ndarray, questions: Sequence[dict[str, Any]]) -> None:
        x = part if self.scale is None else Pixels(part, self.dtype, self.scale)
        for how in questions:
            check_data(x, name=self.shards[k].name, minimum=1, **how)

    # -- an epoch

    def epoch(
        self, batch_size: int, rng: np.random.Generator | None, n: int | None = None
    ) -> Epoch:
        """An epoch of the first n samples in batches; without ``rng`` in their order. It holds two
        groups of shards until it is closed; meanwhile the shards themselves hold one at most."""
        while len(self._held) > 1:
            self._held.popitem(last=False)
        opened = Epoch(self, batch_size, rng, n)
        self._epochs.add(opened)
        return opened

    def take_rooms(self, shape: tuple[int, ...]) -> list[np.ndarray]:
        """Two rooms for groups of samples: those of the last epoch, where they are large enough.
        New memory takes the system about as long as reading does."""
        rooms, self._rooms = self._rooms, []
        if not rooms or len(rooms[0]) < shape[0]:
            rooms = [np.empty(shape, self.stored) for _ in range(2)]
        return rooms

    def closed(self, epoch: Epoch, rooms: list[np.ndarray]) -> None:
        """An epoch is over, and gives its rooms back."""
        self._epochs.discard(epoch)
        self._rooms = rooms

    def let_go(self) -> None:
        """Hold no rooms: there is no next epoch."""
        self._rooms = []


def made_shards(
    make: Callable[[int], np.ndarray], n_shards: int, rows: int, window: int = 4
) -> Shards:
    """Samples that a function makes, or fetches: from a data base, a network, a simulation.

    Parameters
    ----------
    make : function of int
        ``make(i)`` returns shard i, (rows, ...): the same whenever it is asked.
    n_shards, rows : int
    window : int
        As of ``Shards``.

    Examples
    --------
    >>> shards = made_shards(lambda i: np.random.default_rng(i).random((100, 8)), 50, 100)
    >>> len(shards)
    5000
    """
    first = np.asarray(make(0))
    shards = [Shard(f"shard {i}", rows, partial(make, i)) for i in range(n_shards)]
    if first.shape[:1] != (rows,):
        raise ValueError(f"made_shards: shard 0 is {first.shape}, expected {rows} rows")
    return Shards(shards, first.shape[1:], first.dtype, window)


def iterated_shards(arrays: Repeatable, window: int = 4) -> Shards:
    """Samples that come as arrays, one behind the other: of a loop, a generator, another library.

    They are gone through once to count them, and once an epoch; always in their order, for nobody
    can ask for the next but one. Samples are mixed within ``window`` arrays.

    Parameters
    ----------
    arrays : list of arrays, or function () -> iterator of arrays, or what can be iterated again
        Each is (rows, ...), a shard; the same whenever they are gone through.
    window : int
        As of ``Shards``.

    Returns
    -------
    Shards

    Raises
    ------
    TypeError, ValueError
        For a generator, which can be gone through once, and for arrays of several kinds, or none.

    Examples
    --------
    >>> def arrays():
    ...     for i in range(5):
    ...         yield np.full((10, 3), i, "float32")
    >>> iterated_shards(arrays).shape
    (50, 3)
    """
    source = _Repeated(arrays)
    sizes: list[int] = []
    kinds: dict[tuple, int] = {}
    for i, array in enumerate(source):
        part = np.asarray(array)
        if part.ndim == 0:
            raise ValueError(f"iterated_shards: array {i} is a single number, expected rows")
        sizes.append(len(part))
        kinds.setdefault((part.shape[1:], part.dtype), i)
    if not sizes:
        raise ValueError("iterated_shards: there are no arrays")
    if len(kinds) > 1:
        told = ", ".join(f"array {i} has {s} of {dtype}" for (s, dtype), i in kinds.items())
        raise ValueError(f"iterated_shards: {told}; expected samples all of one kind")
    ((shape, dtype),) = kinds
    shards = [Shard(f"array {i}", n, partial(source.take, i)) for i, n in enumerate(sizes)]
    return Shards(shards, shape, dtype, window, in_order=not isinstance(arrays, (list, tuple)))


class _Repeated:
    """Arrays that can be gone through again, and number i of them: at once in their order."""

    def __init__(self, arrays: Repeatable) -> None:
        if not callable(arrays) and not hasattr(arrays, "__iter__"):
            came = kind_of(arrays)
            raise TypeError(f"iterated_shards: arrays is {came}, expected a list or a function")
        if hasattr(arrays, "__next__"):
            raise TypeError(
                "iterated_shards: arrays is a generator, which can be gone through once, expected "
                "a function that returns a new one; pass the function itself, without ()"
            )
        self.arrays = arrays
        self.lock = Lock()  # the thread that reads ahead asks, and others may
        self.going: Iterator[np.ndarray] = iter(())
        self.next = -1  # what comes next of it; none was begun

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.arrays() if callable(self.arrays) else self.arrays)

    def take(self, i: int) -> np.ndarray:
        with self.lock:
            if isinstance(self.arrays, (list, tuple)):
                return np.asarray(self.arrays[i])
            if not 0 <= self.next <= i:
                self.going, self.next = iter(self), 0
            for array in self.going:
                self.next += 1
                if self.next == i + 1:
                    return np.asarray(array)
            self.next = -1
            raise ValueError(f"array {i}: it is missing this time; expected the same arrays again")
