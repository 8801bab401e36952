"""A submission's process, seen from the grader: asked, waited for, ended.

Answers, seeds and results stay here. What ends the process, whatever it is, becomes one sentence.
"""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from minienc.course import replies, wire
from minienc.course.wire import Value

CHILD = Path(__file__).with_name("child.py")
Source = str | list[str]
TOKEN = "MINIENC_GRADED"  # in the environment of a submission and of whatever it starts
PATIENCE = 4.0  # seconds of the clock for one of the processor
GLANCE = 0.5  # seconds: what a wait counts at most, however long the machine itself stood still


class Limits(NamedTuple):
    """What a submission may use.

    ``seconds`` of the processor, bytes of memory, and of what it prints or writes. Time in which
    others had the machine is not counted; what sleeps is ended by the clock, ``wall`` seconds.
    """

    seconds: float = 20.0
    memory: int = 2 << 30
    file: int = 1 << 20

    @property
    def wall(self) -> float:
        """The most that is waited for a process: long, for a busy machine is nobody's mistake."""
        return PATIENCE * self.seconds


class Ended(Exception):
    """The process is over; the message says why."""


class Process:
    """A context manager: the process of one submission.

    Parameters
    ----------
    source : str or list of str
        The submission: a file, or the cells of a notebook.
    questions : list of str
        Names whose values are the student's answers.
    limits : Limits
    library : path, optional
        Where this library lies, for the process in which a submission is examined.
    """

    def __init__(
        self,
        source: Source,
        questions: list[str],
        limits: Limits | None = None,
        library: Path | None = None,
    ) -> None:
        self.source, self.questions = source, questions
        self.library = [] if library is None else [str(library)]
        self.limits = Limits() if limits is None else limits
        self.tried: list[str] = []
        self.patched: list[str] = []
        self.answers: dict[str, Any] = {}
        self.error: dict[str, Any] | None = None  # of running the file,
        self.failed: dict[str, Any] | None = None  # or one of its cells

    def __enter__(self) -> Process:
        self.folder = tempfile.mkdtemp(prefix="graded-")
        self.printed = tempfile.TemporaryFile()
        self.token = secrets.token_hex(16)
        self.left = self.limits.wall  # of waiting for it: the grader's own time is not its
        bounds = [str(int(n)) for n in self.limits]
        self.child = subprocess.Popen(
            [sys.executable, "-I", "-B", str(CHILD), self.folder, *bounds, *self.library],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.printed,
            cwd=self.folder,
            env=self._environment(),
            start_new_session=True,
        )
        self.replies: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def _environment(self) -> dict[str, str]:
        """Nothing of the grader's own; one thread for each library that would take all."""
        kept = {k: os.environ[k] for k in ("PATH", "SYSTEMROOT", "LANG") if k in os.environ}
        threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        return kept | dict.fromkeys(threads, "1") | {"HOME": self.folder, TOKEN: self.token}

    def __exit__(self, *_: object) -> None:
        self._kill()
        for pipe in (self.child.stdin, self.child.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        self.printed.close()
        _remove(self.folder)

    # -- questions and answers

    def load(self) -> None:
        """Run the file."""
        said = self.ask({"do": "load", "source": self.source, "questions": self.questions})
        with _as_an_end():
            said = replies.loaded(said)
        self.error, self.failed, self.answers = said["error"], said["failed"], said["answers"]

    def call(self, request: dict[str, Any]) -> dict[str, Any]:
        """``calls.call``, over there."""
        said = self.ask({"do": "call", **request})
        with _as_an_end():
            return replies.called(said, request)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """One question; what comes back was made by a stranger's code.

        Raises
        ------
        Ended
            If the process is over, or takes too long.
        """
        try:
            self.child.stdin.write(wire.encode(request))  # type: ignore[union-attr]
            self.child.stdin.flush()  # type: ignore[union-attr]
            said = self._wait()
        except queue.Empty:
            raise Ended(self._too_long()) from None
        except (OSError, ValueError):
            said = None
        if not isinstance(said, dict):
            raise Ended(self._how_it_ended())
        self.tried = _words(said.get("tried"), 200)
        self.patched = _words(said.get("patched"), 80)
        return said

    def _wait(self) -> Value:
        """The next reply. A laptop that slept for an hour has waited for a moment."""
        while True:
            started = time.monotonic()
            try:
                return self.replies.get(timeout=GLANCE)
            except queue.Empty:
                if self.left <= 0:
                    raise
            finally:
                self.left -= min(time.monotonic() - started, 2 * GLANCE)

    def _too_long(self) -> str:
        return f"took longer than {self.limits.seconds:g} s: is there a loop without an end?"

    def _listen(self) -> None:
        pipe: Value = self.child.stdout
        try:
            while start := pipe.read(16):
                head, body = wire.sizes(start)
                self.replies.put(wire.decode(pipe.read(head), pipe.read(body)))
        except (wire.Malformed, OSError, ValueError):
            pass
        self.replies.put(None)

    # -- the end

    def _how_it_ended(self) -> str:
        before = _seconds_of_children()
        try:
            code = self.child.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return "answered with something that is no answer"
        used = _seconds_of_children() - before
        if code == -getattr(signal, "SIGXCPU", 0):
            return self._too_long()
        if code == -getattr(signal, "SIGKILL", 0):  # by the system, where it did not stop at that
            return self._too_long() if used >= self.limits.seconds else "was killed"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"crashed the interpreter ({signal.Signals(-code).name})"
        if "MemoryError" in self.output():
            return f"asked for more than {self.limits.memory / 2**30:.1g} GB of memory"
        return f"ended its own process, with exit status {code}"

    def output(self) -> str:
        """What it printed, its last part."""
        size = self.printed.seek(0, os.SEEK_END)
        self.printed.seek(max(size - 4000, 0))
        return self.printed.read().decode("utf-8", "replace")

    def printed_bytes(self) -> int:
        return self.printed.seek(0, os.SEEK_END)

    def written(self) -> int:
        """How many files it left in its folder."""
        return sum(not entry.is_dir(follow_symlinks=False) for entry in _inside(self.folder))

    def _kill(self) -> None:
        """The process, its group, and what went out of the group."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(OSError):
                os.killpg(self.child.pid, signal.SIGKILL)
        self.child.kill()
        self.child.wait()
        for pid in _with_token(self.token) if self.tried else []:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _inside(folder: str) -> Iterator[os.DirEntry[str]]:
    """What lies in a folder, without recursion: a stranger's folders may be a thousand deep."""
    open_ones = [folder]
    while open_ones:
        place = open_ones.pop()
        with contextlib.suppress(OSError):
            os.chmod(place, 0o700)  # one that nobody may enter could not be removed
            with os.scandir(place) as entries:
                for entry in entries:
                    yield entry
                    if entry.is_dir(follow_symlinks=False):
                        open_ones.append(entry.path)


def _remove(folder: str) -> None:
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if os.path.exists(folder) and (rm := shutil.which("rm")):
        subprocess.run([rm, "-rf", folder], check=False)


@contextlib.contextmanager
def _as_an_end() -> Iterator[None]:
    try:
        yield
    except replies.NoAnswer as error:
        raise Ended(str(error)) from None


def _words(said: Value, most: int) -> list[str]:
    return [wire.plain(t, most) for t in said[:20]] if isinstance(said, list) else []


def _seconds_of_children() -> float:
    """Of the processor, by processes that were started here and are over."""
    used = os.times()
    return used.children_user + used.children_system


def _with_token(token: str) -> list[int]:
    """Processes whose environment has the token, where the system shows it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if token.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found
