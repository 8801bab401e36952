"""``mpiexec -n 4 python -m mpi4py -m minienc pretrain ...``: one run by several processes.

The first writes and prints as it does alone. The others do the same work in a folder that is gone
at the end, and are quiet; what they have to say is heard where the first says nothing.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np

from minienc.distributed import MPIRanks, mpi_ranks

PATIENCE = 2.0  # seconds that the first has to say what is wrong with all
STOPPED = 130  # the status after Ctrl-C, which ends all after the same batch


def main(words: list[str], run: Callable[[list[str]], int]) -> int:
    """``run(words)`` as one of several processes; the exit status."""
    try:
        with mpi_ranks() as ranks:
            if ranks.size == 1 or not isinstance(ranks, MPIRanks):
                return run(words)
            if words[:1] != ["pretrain"]:
                return _refuse(ranks, words)
            if ranks.rank == 0:
                ranks.sum(np.zeros(1))  # the others have copied the run that is gone on with
                status = run(words)
            else:
                status = _beside(ranks, words, run)
            if status not in (0, STOPPED):
                ranks.abort(status)
            ranks.wait_for_all()
            return status
    except RuntimeError as error:
        print(f"minienc: error: {error}", file=sys.stderr)
        return 2


def _refuse(ranks: MPIRanks, words: list[str]) -> int:
    if ranks.rank == 0:
        name = " ".join(["minienc", *words[:1]])
        print(
            f"minienc: error: {name} is the work of one process; of several, minienc "
            f"pretrain alone: start it without mpiexec",
            file=sys.stderr,
        )
    return 2


def _beside(ranks: MPIRanks, words: list[str], run: Callable[[list[str]], int]) -> int:
    """The same work, without a trace."""
    said = io.StringIO()
    with _own_folder(words) as own, redirect_stdout(io.StringIO()), redirect_stderr(said):
        ranks.sum(np.zeros(1))
        status = run(own)
    if status not in (0, STOPPED):
        time.sleep(PATIENCE)  # by then the first has said it, and ended all
        sys.stderr.write(said.getvalue())
    return status


@contextmanager
def _own_folder(words: list[str]) -> Iterator[list[str]]:
    """The words with a folder of this process's own in the place of the run's."""
    with tempfile.TemporaryDirectory(prefix="minienc-") as root:
        own = str(Path(root, "run"))
        at = next((i for i, word in enumerate(words) if word.partition("=")[0] == "--resume"), None)
        if at is None:
            yield [*words, "--quiet", "--out", own]
            return
        _, given, run = words[at].partition("=")
        run = run if given else words[at + 1]
        if Path(run).is_dir():  # else it is refused by its own name
            shutil.copytree(run, own)
        changed = [f"--resume={own if Path(run).is_dir() else run}"]
        yield [*words[:at], *changed, *words[at + (1 if given else 2) :], "--quiet"]
