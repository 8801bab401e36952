"""Several processes that share each batch, and end with the same weights: what a step knows of it.

A process of such a run is called by its number, its rank. Every rank holds all weights and draws
the same batches; of each batch it takes its own rows. Then

    loss      is the mean over the joint batch: sum_r n_r loss_r / n, n_r the rows that rank r has
    gradient  sum_r (n_r / n) gradient_r, one sum over all ranks for each step
    update    is the same everywhere, for all have the same gradient, weights and state

So the weights are those of one process with the joint batch, but for the order of sums. What makes
this true beyond the gradient of a mean:

*A penalty on weights* is the same on every rank, and the n_r / n sum to 1.

*Noise* is drawn for the joint batch, in the same order by every rank, which then takes its own
rows: ``joint_draws.py``.

*Batch statistics* are those of the joint batch: ``functions/joint_normalization.py``, and for the
mean activity that a sparse code is held to, ``functions/joint_sparsity.py``.

*What a method makes of the rows of a batch* (states that go on, gradients that are bent toward each
other, codes that are chosen) it makes of those of all: ``joint_batch`` says whether there are
others, ``Ranks.picked`` and ``Ranks.whole`` bring their rows here.

*A batch of fewer rows than there are ranks* is made whole by each of them, and counts 1 / ranks.

*What one rank notices, all notice*: losses are summed, so that NaN on one is NaN on all; Ctrl-C on
one ends all after the same batch; a seed that nobody gave, the weights that a run begins with, and
what was measured at an epoch's end are the first rank's.

What else couples the samples of a batch says so in ``couples`` and is refused: its gradient is no
sum over the ranks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from minienc.arrays import Array, Cache, Scalar, to_device_of, zeros_where
from minienc.layers.joint import joint_total
from minienc.layers.parameters import Gradients
from minienc.training.joint_draws import JointDraws, Rows

if TYPE_CHECKING:
    from minienc.training.callbacks import Callback
    from minienc.training.step import Learner

Plain = Any  # what JSON can say
Wrapped = Any  # an objective of any kind

SHOWS = 2  # the order of callbacks that show, and behind them those that save


class Ranks:
    """One of several processes, and how it hears of the others.

    A way of communication gives ``sum`` and ``first``; everything here is made of them. Whatever is
    called here, all ranks call, in the same order.

    Attributes
    ----------
    rank, size : int
        Its number, from 0, and how many there are.
    rows : Rows or None
        Its part of the batch under way; None: no batch is.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.rows: Rows | None = None
        self.pressed: list[bool] = []  # of the run: holds something once Ctrl-C was pressed here
        self.stopping = False  # and once all have heard of it, in the same step

    # -- what a way of communication gives

    def sum(self, a: Array) -> None:
        """Put the sum over all ranks into ``a``, the same bits everywhere."""
        raise NotImplementedError

    def first(self, value: Plain) -> Plain:
        """What the first rank calls this with: numbers, strings, lists and dictionaries of them."""
        raise NotImplementedError

    # -- a batch

    def cut(self, part: Sequence[int]) -> Sequence[int]:
        """The rows of a joint batch that are this rank's."""
        rows = self.rows_of(len(part))
        return part[rows.start : rows.stop]

    def rows_of(self, n: int) -> Rows:
        if n < self.size:
            return Rows(0, n, n)
        return Rows(self.rank * n // self.size, (self.rank + 1) * n // self.size, n)

    def taking(self, take: Callable) -> Callable:
        """``take(part)`` of the rows of it that are this rank's."""
        return lambda part, *into: take(self.cut(part), *into)

    def begin_batch(self, n: int) -> None:
        """From here on, what learns does so from this rank's rows of a joint batch of n."""
        self.rows = self.rows_of(n)
        joint_total.set(self.sum)

    def end_batches(self) -> None:
        """What follows, a validation say, is made whole by every rank."""
        self.rows = None
        joint_total.set(None)

    def summed(self, numbers: Sequence[float]) -> list[float]:
        """The numbers of a step, each summed over all ranks; and all hear whether Ctrl-C was
        pressed anywhere."""
        sums = np.array([*numbers, bool(self.pressed)], dtype=float)
        self.sum(sums)
        *found, pressed = sums.tolist()
        self.stopping = bool(pressed)
        return found

    # -- what is made of the rows of all

    def total(self, a: Array) -> Array:
        """The sum over the rows of the joint batch; ``a`` is that over this rank's."""
        assert self.rows is not None
        found = 0 * a if self.rows.n < self.size and self.rank > 0 else a.copy()
        self.sum(found)
        return found

    def picked(self, a: Array, numbers: np.ndarray) -> Array:
        """Rows of the joint batch's array, by their numbers in it; ``a`` are this rank's rows of
        it, as many for each sample as on the other ranks."""
        assert self.rows is not None
        start, stop, n = self.rows
        first = start * (len(a) // (stop - start))  # of a in the joint array
        mine = (numbers >= first) & (numbers < first + len(a))
        if n < self.size:  # all have them all, and the first gives them
            mine &= self.rank == 0
        found = _zero_rows(len(numbers), a)
        if mine.any():
            found[to_device_of(np.flatnonzero(mine), a)] = a[to_device_of(numbers[mine] - first, a)]
        self.sum(found)
        return found

    def whole(self, a: Array) -> Array:
        """All rows of the joint batch's array; ``a`` are this rank's."""
        return self.picked(a, np.arange(self.length(a)))

    def length(self, a: Array) -> int:
        """How many rows the joint batch's array has; ``a`` are this rank's."""
        assert self.rows is not None
        start, stop, n = self.rows
        return n * (len(a) // (stop - start))

    # -- a run

    def check_alike(self, what: dict[str, float | list[float]]) -> None:
        """Refuse, on every rank, a run that is not the same on all: one that has more batches than
        the others would wait for them, and rows of other data would be learned without a word.

        Parameters
        ----------
        what : dict of {what it is called: numbers}
            The same names on all ranks. Numbers may differ by rounding.
        """
        of_first = self.first(what)
        same = [
            np.shape(mine) == np.shape(of_first[name])
            and np.allclose(mine, of_first[name], rtol=1e-3)
            for name, mine in what.items()
        ]
        others = np.array([not alike for alike in same], "float64")
        self.sum(others)
        if others.any():
            differ = [name for name, n in zip(what, others, strict=True) if n]
            raise ValueError(
                f"the {self.size} processes have different {', '.join(differ)}; expected the same: "
                f"each gives all of the data, and fit takes its rows of each batch"
            )

    # -- a learner

    def begin(self, learner: Learner) -> None:
        """Begin with the first rank's weights, and what its optimiser and arrays remember."""
        parameters = learner.network.parameters
        parameters.vector[...] = self._of_first(parameters.vector)
        parameters.touch()
        for name, a in learner.arrays.items():
            learner.arrays[name] = self._of_first(a)
        if learner.optimizer is not None:
            for a in learner.optimizer.remembered.values():
                a[...] = self._of_first(a)

    def _of_first(self, a: Array) -> Array:
        """The first rank's numbers: all others add zeros."""
        found = a.copy() if self.rank == 0 else 0 * a
        if found.dtype.kind in "iub":
            total = found.astype("float64")
            self.sum(total)
            return total.astype(found.dtype)
        self.sum(found)
        return found

    def told(self, callbacks: Sequence[Callback]) -> list[Callback]:
        """Those of the callbacks that this rank calls: the first one's alone write or print."""
        return [c for c in callbacks if self.rank == 0 or c.order < SHOWS]

    def exchange(self, gradients: Gradients) -> None:
        """Between backward and update: each rank's share becomes the joint gradient."""
        self.sum(gradients.vector)


class JointObjective:
    """An objective whose batch is a rank's rows, and whose numbers and gradient are the joint ones.

    Outside of a joint batch (validation, which every rank makes whole) it is the objective itself.
    """

    def __init__(self, objective: object, ranks: Ranks) -> None:
        self.objective: Wrapped = objective
        self.ranks = ranks
        if why := couples(objective):
            raise ValueError(_refusal("this model", ranks.size, why))

    def __getattr__(self, name: str) -> Plain:
        return getattr(self.objective, name)

    def __setattr__(self, name: str, value: object) -> None:
        """What a method sets on its objective (the data, a temperature) is meant for the inner."""
        if name in ("objective", "ranks"):
            object.__setattr__(self, name, value)
        else:
            setattr(self.objective, name, value)

    def forward(
        self, batch: tuple, rng: np.random.Generator | None = None
    ) -> tuple[tuple[Scalar, ...], Cache]:
        ranks, rows = self.ranks, self.ranks.rows
        if rows is None:
            numbers, cache = self.objective.forward(batch, rng)
            return numbers, (cache, 1.0)
        drawn = None if rng is None else JointDraws(rng, rows)
        numbers, cache = self.objective.forward(batch, drawn)
        n = self._n_counted(batch, cache)
        *totals, counted = ranks.summed([*(n * float(number) for number in numbers), n])
        joint = tuple([total / counted if counted else total for total in totals])
        return joint, (cache, n / counted if counted else 0.0)

    def _n_counted(self, batch: tuple, cache: Cache) -> float:
        """What the numbers are the mean of: samples, unless the objective counts something else."""
        if hasattr(self.objective, "counted"):
            return float(self.objective.counted(cache))
        if hasattr(self.objective, "n_counted"):
            return self.objective.n_counted(batch)
        return len(batch[0])

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> object:
        inner, weight = cache
        return self.objective.backward(dloss * weight, inner, grads)

    def updates(self, cache: Cache) -> Iterable:
        return self.objective.updates(cache[0])


def refuse_coupled(method: object) -> None:
    """Refuse a method whose steps cannot be shared, where there are others to share them with."""
    ranks, why = ranks_here(), getattr(method, "couples", None)
    if ranks is not None and why is not None:
        raise ValueError(_refusal(type(method).__name__, ranks.size, why))


def _refusal(name: str, size: int, why: str) -> str:
    return (
        f"{name} cannot be shared among {size} processes: {why}, so its gradient is no sum of "
        f"theirs; run it in one process"
    )


def couples(objective: object) -> str | None:
    """Why the gradient of an objective is no sum over parts of a batch; None where it is."""
    why = getattr(objective, "couples", None)
    for step in getattr(objective, "steps", ()):
        penalty = getattr(step.layer, "regularizer", None)
        why = why or getattr(step.layer, "couples", None) or getattr(penalty, "couples", None)
    return why


# -------------------------------------------------------------------------------- where they are


_here: ContextVar[Ranks | None] = ContextVar("_here", default=None)


def ranks_here() -> Ranks | None:
    """The ranks that this process is one of; None where it is alone."""
    return _here.get()


def joint_batch() -> Ranks | None:
    """The ranks that share the batch under way, their ``rows`` set; None where there is no other,
    and of a batch that each makes whole, such as one of a validation."""
    ranks = _here.get()
    return None if ranks is None or ranks.rows is None else ranks


def rows_here(n: int) -> Rows:
    """Which rows of the batch under way those n are that are here: all, where there is no other."""
    ranks = _here.get()
    return Rows(0, n, n) if ranks is None or ranks.rows is None else ranks.rows


def share_rows(n: int) -> None:
    """Let the ranks share n rows, in the place of those that the batch under way has."""
    if (ranks := joint_batch()) is not None:
        ranks.begin_batch(n)


def cut_here(arrays: tuple) -> tuple:
    """Of arrays that were made for the whole of a joint batch (padded as its longest row is, for
    noise goes by the shape) the rows that are here."""
    start, stop, _ = rows_here(len(arrays[0]))
    return tuple([a[start:stop] for a in arrays])


def of_all_rows(make: Callable[[slice], Array], n: int) -> Array:
    """``make(slice(0, n))``, an array of n rows, of which each rank makes its part."""
    ranks = _here.get()
    if ranks is None:
        return make(slice(0, n))
    start, stop, n = ranks.rows_of(n)
    part = make(slice(start, stop))
    whole = _zero_rows(n, part)
    if n >= ranks.size or ranks.rank == 0:
        whole[start:stop] = part
    ranks.sum(whole)
    return whole


def _zero_rows(n: int, like: Array) -> Array:
    shape = n, *like.shape[1:]
    return zeros_where(like, math.prod(shape)).reshape(shape)


@contextmanager
def joined(ranks: Ranks) -> Iterator[Ranks]:
    """Within the block, whatever is trained is shared with the other ranks."""
    token = _here.set(ranks if ranks.size > 1 else None)
    try:
        yield ranks
    finally:
        _here.reset(token)


@contextmanager
def alone() -> Iterator[None]:
    """Within the block, what is trained is this process's own: the first goes on by itself."""
    token = _here.set(None)
    try:
        yield
    finally:
        _here.reset(token)


def is_first() -> bool:
    """Whether this process is the one that writes: the first rank, or all there is."""
    ranks = _here.get()
    return ranks is None or ranks.rank == 0
