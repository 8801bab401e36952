"""Samples in many files, of which a few are in memory at a time: data larger than memory.

``Shards`` has what training needs of an array, ``shape``, ``dtype``, ``len`` and indexing, and says
in which order its samples are best taken. For an epoch the shards are put into an order by the
seed, and taken in groups of ``window``; within a group all samples are mixed. So each sample comes
once, each shard is read once, and while a group is learned from, a thread reads the next one. Where
a run stands is the number of its next batch, as for data in memory, so a run that is stopped within
a shard goes on to the same bits.

    in memory      the whole permuted             n samples
    shards         permuted within a group        2 window shards: this group and the next
"""

from __future__ import annotations

import bisect
import glob
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from minienc.data.checks import check_data

Index = Any  # a whole number, a slice, an array of int or bool


class Shard(NamedTuple):
    """A part of the samples, on a disk or made when it is asked for."""

    name: str
    n: int
    load: Callable[[], np.ndarray]  # (n, ...)


class Shards:
    """Samples (N, ...) that are read, or made, a shard at a time.

    Parameters
    ----------
    shards : sequence of Shard
        ``open_shards`` finds those of a folder, ``made_shards`` takes a function.
    sample_shape : tuple of int
    dtype : dtype
    window : int
        How many shards are mixed with one another. Twice as many are in memory.

    Attributes
    ----------
    shape, dtype, ndim, size : as of an array
    n_read : int
        Shards that were read so far.

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
    ) -> None:
        if not shards:
            raise ValueError("Shards: there are none")
        if isinstance(window, bool) or not isinstance(window, int) or window < 1:
            raise ValueError(f"Shards: window is {window!r}, expected a whole number from 1")
        empty = [shard.name for shard in shards if shard.n < 1]
        if empty:
            raise ValueError(f"{empty[0]}: a shard without samples")
        self.shards, self.window = list(shards), window
        self.ends = list(accumulate(shard.n for shard in shards))
        self.shape, self.dtype = (self.ends[-1], *sample_shape), np.dtype(dtype)
        self.n_read = 0
        self._inside: tuple[int, ...] = tuple(
            sample_shape
        )  # of a shard's samples, as they lie there
        self._held: OrderedDict[int, np.ndarray] = OrderedDict()
        self._coming: dict[int, Future] = {}
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
        rows = Shards(self.shards, (int(np.prod(self.shape[1:])),), self.dtype, self.window)
        rows._inside, rows._watched = self._inside, list(self._watched)
        return rows

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
            start = self.ends[k] - self.shards[k].n
            found[here] = self._part(int(k))[index[here] - start].reshape(-1, *self.shape[1:])
        return found

    def _part(self, k: int) -> np.ndarray:
        """Shard k, from memory where it is held."""
        if k in self._held:
            self._held.move_to_end(k)
            return self._held[k]
        coming = self._coming.pop(k, None)
        part = self._read(k) if coming is None else coming.result()
        self._held[k] = part
        while len(self._held) > 2 * self.window:
            self._held.popitem(last=False)
        return part

    def _read(self, k: int) -> np.ndarray:
        shard = self.shards[k]
        try:
            part = np.asarray(shard.load())
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(f"{shard.name}: it cannot be read: {error}") from error
        if part.shape != (shard.n, *self._inside) or part.dtype != self.dtype:
            raise ValueError(
                f"{shard.name}: holds {part.shape} of {part.dtype}, expected "
                f"{(shard.n, *self._inside)} of {self.dtype}, as the others"
            )
        self._check(k, part, self._watched)
        self.n_read += 1
        return part

    def _check(self, k: int, part: np.ndarray, questions: Sequence[dict[str, Any]]) -> None:
        for how in questions:
            check_data(part, name=self.shards[k].name, minimum=1, **how)

    # -- the order of an epoch

    def batches(
        self, batch_size: int, rng: np.random.Generator | None, n: int | None = None
    ) -> Iterator[np.ndarray]:
        """Index arrays that together hold 0 ... n - 1 once: as ``batch_indices``, group by group.

        The next group is read by a thread meanwhile, which is gone when the last batch is.
        """
        n = len(self) if n is None else n
        last = bisect.bisect_left(self.ends, n) + 1
        order = np.arange(last) if rng is None else rng.permutation(last)
        groups = [order[i : i + self.window].tolist() for i in range(0, last, self.window)]
        rest = np.empty(0, int)
        reader = ThreadPoolExecutor(1, thread_name_prefix="minienc-shards")
        try:
            self._send_for(reader, groups[0])
            for group, following in zip(groups, [*groups[1:], []], strict=True):
                rows = self._rows_of(group, n)
                rest = np.concatenate([rest, rows if rng is None else rng.permutation(rows)])
                self._send_for(reader, following)
                whole = len(rest) // batch_size * batch_size
                yield from np.split(rest[:whole], whole // batch_size) if whole else ()
                rest = rest[whole:]
            if len(rest):
                yield rest
        finally:
            reader.shutdown(wait=True, cancel_futures=True)
            self._coming.clear()

    def _send_for(self, reader: ThreadPoolExecutor, group: Iterable[int]) -> None:
        for k in group:
            if k not in self._held and k not in self._coming:
                self._coming[k] = reader.submit(self._read, k)

    def _rows_of(self, group: Iterable[int], n: int) -> np.ndarray:
        starts = [(self.ends[k] - self.shards[k].n, min(self.ends[k], n)) for k in group]
        return np.concatenate([np.arange(a, b) for a, b in starts])


def open_shards(where: str | Path | Sequence[str | Path], window: int = 4) -> Shards:
    """Samples in .npy files, which are read when they are needed.

    Parameters
    ----------
    where : path or sequence of paths
        A folder, whose .npy files are taken in the order of their names; a pattern,
        ``"shards/*.npy"``; or the files.
    window : int
        As of ``Shards``.

    Returns
    -------
    Shards

    Raises
    ------
    FileNotFoundError, ValueError
        If there are no such files, or their samples are of several shapes or dtypes.

    Examples
    --------
    >>> for i in range(3):
    ...     np.save(f"part-{i}.npy", np.zeros((10, 4), "float32"))
    >>> open_shards("part-*.npy").shape
    (30, 4)
    """
    if isinstance(where, (str, Path)):
        files = sorted(Path(where).glob("*.npy")) if Path(where).is_dir() else _matching(str(where))
        if not files:
            raise FileNotFoundError(f"{where}: no .npy files are there")
    else:
        files = [Path(one) for one in where]
    shards: list[Shard] = []
    kinds: dict[tuple, Path] = {}
    for file in files:
        try:
            header = np.load(file, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"{file}: no .npy file, or damaged: {error}") from error
        if header.ndim == 0:
            raise ValueError(f"{file}: a single number, expected samples in rows")
        kinds.setdefault((header.shape[1:], header.dtype), file)
        shards.append(Shard(str(file), len(header), partial(_load, file)))
    if len(kinds) > 1:
        told = ", ".join(f"{file} has {shape} of {dtype}" for (shape, dtype), file in kinds.items())
        raise ValueError(f"shards of several kinds: {told}; expected samples all of one")
    ((shape, dtype),) = kinds
    return Shards(shards, shape, dtype, window)


def _matching(pattern: str) -> list[Path]:
    return [Path(one) for one in sorted(glob.glob(pattern))]


def _load(file: Path) -> np.ndarray:
    return np.load(file, allow_pickle=False)


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
