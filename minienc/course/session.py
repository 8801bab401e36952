"""A submission's answers to all hidden calls, whatever becomes of its process on the way."""

from __future__ import annotations

from typing import Any

from minienc.course.key import Asked, Key, Reply
from minienc.course.process import Ended, Limits, Process, Source

AGAIN = 2  # processes for one submission: what hangs in a backward has a forward


class Session:
    """A context manager: a submission in its process, asked by the key.

    Attributes
    ----------
    replies : list of Reply
        As ``Key.right``.
    answers : dict
    error : dict or None
        Why the file could not be run.
    """

    def __init__(self, source: Source, key: Key, limits: Limits | None = None) -> None:
        self.source, self.key, self.limits = source, key, limits
        self.replies: list[Reply] = []
        self.answers: dict[str, Any] = {}
        self.error: dict[str, Any] | None = None
        self.failed: dict[str, Any] | None = None  # a cell of a notebook
        self.tried: list[str] = []
        self.patched: list[str] = []
        self.ends: list[str] = []  # sentences
        self.printed, self.output, self.written = 0, "", 0
        self.dead: dict[str, str] = {}  # functions that ended the process, and how
        self.process: Process | None = None

    def __enter__(self) -> Session:
        try:
            self._start()
            if self.error is None:
                self.replies = [self._reply(asked) for asked in self.key.asked]
        except BaseException:  # Ctrl-C, or nbgrader's: the process is not left behind
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _start(self) -> None:
        self.process = Process(self.source, self.key.questions, self.limits)
        self.process.__enter__()
        try:
            self.process.load()
            self.error, self.answers = self.process.error, self.process.answers
            self.failed = self.process.failed
        except Ended as end:
            self.ends.append(f"the file {end}")
            self.error = _ended("the file", str(end))

    def _stop(self) -> None:
        if self.process is None:
            return
        process, self.process = self.process, None
        self.tried += [t for t in process.tried if t not in self.tried]
        self.patched += [p for p in process.patched if p not in self.patched]
        self.printed = max(self.printed, process.printed_bytes())
        self.output = process.output() or self.output
        self.written = max(self.written, process.written())
        process.__exit__()

    def _reply(self, asked: Asked) -> Reply:
        """One call; without the backward, where that has ended a process before."""
        functions = asked.request["functions"]
        if functions[0] in self.dead:
            return {"error": _ended(functions[0], self.dead[functions[0]])}
        dead = self.dead.get(functions[-1])
        request = asked.request if dead is None else {**asked.request, "dys": []}
        reply = self.call(request)
        return reply if dead is None else {**reply, "error": _ended(functions[-1], dead)}

    def call(self, request: dict[str, Any]) -> Reply:
        """A call, whose end becomes its error."""
        functions = request["functions"]
        if self.process is None:
            return {"error": _ended(functions[0], "is not asked any more")}
        try:
            return self.process.call(request)
        except Ended as end:
            where = functions[-1] if request.get("dys") else functions[0]
            self.dead[where] = str(end)
            self.ends.append(f"{where} {end}")
            self._stop()
            if len(self.ends) < AGAIN:
                self._start()
            if where != functions[0]:
                return {**self.call({**request, "dys": []}), "error": _ended(where, str(end))}
            return {"error": _ended(where, str(end))}


def _ended(where: str, told: str) -> dict[str, Any]:
    return {"where": where, "type": "Ended", "message": told, "line": 0, "text": ""}


def sentence(error: dict[str, Any]) -> str:
    """An error of a submission, in a sentence."""
    where, kind, message = (str(error.get(k, "")) for k in ("where", "type", "message"))
    if kind == "Ended":
        return f"{where} {message}"
    if kind == "NotImplementedError":
        return f"{where} is not written yet"
    if kind == "SystemExit":
        return f"{where} calls exit()"
    if kind == "MemoryError":
        return f"{where} asked for more memory than there is for it"
    if message.startswith("refused: "):
        return f"{where}: {message}"
    line, text = error.get("line"), str(error.get("text", ""))
    at = f" in line {line}" + (f", `{text}`" if text else "") if line else ""
    return f"{where} raised {kind}{at}: {message or 'no message'}"
