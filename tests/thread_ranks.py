"""Ranks that are threads of one process: a stand-in for MPI's, with the same two ways to talk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import numpy as np

from minienc.arrays import get_array_module, to_device_of, to_numpy
from minienc.training.ranks import Ranks, joined

SECONDS = 60


class Meeting:
    """Where all ranks put something down, and take what all put down."""

    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size)
        self.places: list[Any] = [None] * size

    def gather(self, rank: int, value: Any) -> list[Any]:
        self.places[rank] = value
        self.barrier.wait(SECONDS)
        found = list(self.places)
        self.barrier.wait(SECONDS)  # before anybody puts down the next
        return found


class ThreadRanks(Ranks):
    def __init__(self, rank: int, size: int, meeting: Meeting) -> None:
        super().__init__(rank, size)
        self.meeting, self.n_sums, self.bytes = meeting, 0, 0

    def sum(self, a: Any) -> None:
        parts = self.meeting.gather(self.rank, np.array(to_numpy(a)))
        self.n_sums += 1
        self.bytes += parts[0].nbytes
        total = parts[0].copy()
        for part in parts[1:]:
            total += part
        a[...] = total if get_array_module(a) is np else to_device_of(total, a)

    def first(self, value: Any) -> Any:
        return self.meeting.gather(self.rank, value)[0]


def run_ranks(size: int, work: Callable[[ThreadRanks], Any]) -> list[Any]:
    """``work(ranks)`` in ``size`` threads; what each returned. If one fails, so do all."""
    meeting = Meeting(size)
    found: list[Any] = [None] * size
    errors: list[BaseException] = []

    def one(rank: int) -> None:
        try:
            with joined(ThreadRanks(rank, size, meeting)) as ranks:
                found[rank] = work(ranks)
        except BaseException as error:
            errors.append(error)
            meeting.barrier.abort()

    threads = [
        threading.Thread(target=copy_context().run, args=(one, rank)) for rank in range(size)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    real = [e for e in errors if not isinstance(e, threading.BrokenBarrierError)]
    if errors:
        raise (real or errors)[0]
    return found
