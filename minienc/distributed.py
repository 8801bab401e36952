"""Training in several processes that share each batch: by MPI, or by NCCL between GPUs.

    mpiexec -n 4 python -m mpi4py -m minienc pretrain --data photos/
    mpiexec -n 4 python -m mpi4py my_script.py

and in the script

    from minienc.distributed import mpi_ranks

    with mpi_ranks():
        model.fit(X, X, epochs=5, batch_size=256)  # 64 rows of each batch for each process

What is shared and why the weights are those of one process stands in ``training/ranks.py``. Every
process runs the whole script; the first alone saves and prints. ``-m mpi4py`` matters: a process
that fails then ends the others, which would wait for it for ever.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minienc.arrays import Array, get_array_module, to_device_of, to_numpy
from minienc.kernel import set_num_threads, usable_cpus
from minienc.system import THREAD_VARIABLES, n_started
from minienc.training.ranks import Plain, Ranks, joined, ranks_here

Communicator = Any  # of mpi4py, or of cupyx.distributed

__all__ = ["MPIRanks", "NCCLRanks", "mpi_ranks", "ranks_here"]


class MPIRanks(Ranks):
    """The processes of an MPI communicator, by mpi4py.

    Parameters
    ----------
    communicator : mpi4py.MPI.Comm
    """

    def __init__(self, communicator: Communicator) -> None:
        super().__init__(communicator.Get_rank(), communicator.Get_size())
        self.communicator = communicator

    def sum(self, a: Array) -> None:
        """An allreduce in place, of the vector as it lies; of an array on a GPU, by way of the host
        (between GPUs, ``NCCLRanks``)."""
        in_place = importlib.import_module("mpi4py.MPI").IN_PLACE
        if get_array_module(a) is np and a.flags.c_contiguous:
            self.communicator.Allreduce(in_place, a)
            return
        host = np.ascontiguousarray(to_numpy(a))
        self.communicator.Allreduce(in_place, host)
        a[...] = to_device_of(host, a)

    def first(self, value: Plain) -> Plain:
        """Sent as JSON: what comes from another process is text, not objects."""
        text = json.dumps(value) if self.rank == 0 else None
        size = np.array([0 if text is None else len(text.encode())])
        self.communicator.Bcast(size)
        letters = np.zeros(int(size[0]), np.uint8)
        if text is not None:
            letters[:] = np.frombuffer(text.encode(), np.uint8)
        self.communicator.Bcast(letters)
        return json.loads(letters.tobytes().decode())

    def wait_for_all(self) -> None:
        """Until all have come here, without the processor: MPI's own waiting would look out for
        messages all the time."""
        request = self.communicator.Ibarrier()
        while not request.Test():
            time.sleep(0.05)

    def abort(self, status: int) -> None:
        """End all processes: this one cannot go on, and the others would wait for it."""
        self.communicator.Abort(status)


class NCCLRanks(Ranks):
    """Processes with a GPU each, by ``cupyx.distributed``.

    Parameters
    ----------
    size, rank : int
    backend : object, optional
        What has ``all_reduce(a, out, "sum")`` and ``broadcast(a, root)``; without it,
        ``cupyx.distributed.init_process_group(size, rank)`` makes one (its processes find each
        other by ``CUPYX_DISTRIBUTED_HOST`` and ``CUPYX_DISTRIBUTED_PORT``).

    Notes
    -----
    Proved on a stand-in for CuPy's; on GPUs nothing has been measured.
    """

    def __init__(self, size: int, rank: int, backend: Communicator | None = None) -> None:
        super().__init__(rank, size)
        self._cupy = importlib.import_module("cupy") if backend is None else backend.xp
        if backend is None:
            backend = importlib.import_module("cupyx.distributed").init_process_group(size, rank)
        self.backend = backend

    def sum(self, a: Array) -> None:
        if get_array_module(a) is not np:
            self.backend.all_reduce(a, a, "sum")
            return
        there = self._cupy.asarray(a)  # the few numbers of a loss, which Python looks at
        self.backend.all_reduce(there, there, "sum")
        a[...] = self._cupy.asnumpy(there)

    def first(self, value: Plain) -> Plain:
        letters = np.frombuffer(json.dumps(value).encode(), np.uint8)
        size = self._cupy.asarray(np.array([len(letters)]))
        self.backend.broadcast(size, 0)
        there = self._cupy.zeros(int(size[0]), "uint8")
        if self.rank == 0:
            there[...] = self._cupy.asarray(letters)
        self.backend.broadcast(there, 0)
        return json.loads(self._cupy.asnumpy(there).tobytes().decode())


# ----------------------------------------------------------------------------- where they come from


@contextmanager
def mpi_ranks() -> Iterator[Ranks]:
    """Within the block, ``fit`` shares its batches with the other processes of ``mpiexec``.

    Alone, without ``mpiexec``, it does nothing, and needs no mpi4py.

    Yields
    ------
    Ranks
        With ``rank`` and ``size``.

    Raises
    ------
    RuntimeError
        If there are several processes, and mpi4py is missing, or was not there from the beginning.

    Examples
    --------
    >>> with mpi_ranks() as ranks:
    ...     (ranks.rank, ranks.size)
    (0, 1)
    """
    if n_started() == 1 and "mpi4py.MPI" not in sys.modules:
        yield Ranks(0, 1)
        return
    with joined(_of_mpi()) as ranks:
        yield ranks


def _of_mpi() -> MPIRanks:
    """The processes that mpiexec started."""
    try:
        mpi = importlib.import_module("mpi4py.MPI")
    except (ImportError, RuntimeError) as error:
        raise RuntimeError(
            f"{n_started()} processes were started by mpiexec, and there is no MPI here ({error}); "
            f"pip install 'minienc[mpi]'"
        ) from error
    if "mpi4py.run" not in sys.modules and mpi.COMM_WORLD.Get_size() > 1:
        raise RuntimeError(
            "a process that fails would leave the others waiting; put -m mpi4py behind python: "
            "mpiexec -n 4 python -m mpi4py ..."
        )
    ranks = MPIRanks(mpi.COMM_WORLD)
    here = mpi.COMM_WORLD.Split_type(mpi.COMM_TYPE_SHARED).Get_size()  # on this machine
    if here > 1 and not any(name in os.environ for name in THREAD_VARIABLES):
        with warnings.catch_warnings():  # without a kernel it has no effect
            warnings.simplefilter("ignore")
            set_num_threads(max(1, usable_cpus() // here))
    return ranks
