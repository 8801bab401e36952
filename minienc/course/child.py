"""The process of one submission: ``python -I child.py FOLDER SECONDS MEMORY FILE [LIBRARY]``.

It reads messages from standard input and answers on standard output; what the submission prints
goes where standard error does. It imports NumPy and its three siblings, nothing else of the
library: no answer, no seed and no result of the grader is ever in this process. With LIBRARY, where
the library lies, it is the other process of a submission, in which ``examine`` looks for hints.
"""

from __future__ import annotations

import builtins
import importlib.util
import linecache
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

# What travels: arrays, numbers, words, lists of these; from a stranger, anything.
Value = Any

FILE = "submission.py"


def sibling(name: str) -> Value:
    """A file beside this one, as a module: ``-I`` leaves the folder out of the path."""
    spec = importlib.util.spec_from_file_location(
        f"_{name}", Path(__file__).with_name(f"{name}.py")
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Child:
    """A submission, and what was noticed of it."""

    def __init__(self, folder: str, library: str) -> None:
        self.wire, self.calls, guard = map(sibling, ("wire", "calls", "guard"))
        self.guard_module = guard
        self.watched = [np, np.linalg, np.random, builtins]
        self.before = guard.contents(self.watched)
        self.guard = guard.Guard(folder, allowed=("minienc",) if library else ())
        if library:
            sys.path.append(library)
            from minienc.course.examine import examine

            self.examine = examine
        self.names: dict[str, Any] = {"__name__": "submission", "__file__": FILE}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """One message."""
        self.guard.on = True
        try:
            if request["do"] == "load":
                said = self._load(request["source"], request["questions"])
            elif request["do"] == "examine":
                said = self.examine(self.names, request, self.wire)
            else:
                said = self.calls.call(self.names, request, self.wire)
        finally:
            self.guard.on = False
        said["tried"] = self.guard.tried + [f"imports {n}" for n in self.guard.borrowed()]
        said["patched"] = self.guard_module.patched(self.before, self.watched)[:5]
        return said

    def _load(self, source: str | list[str], questions: list[str]) -> dict[str, Any]:
        """Run a file, or the cells of a notebook: of these, those that can be run."""
        cells, line = [source] if isinstance(source, str) else source, 0
        said: dict[str, Any] = {}
        text = "\n".join(cells)
        linecache.cache[FILE] = (len(text), None, text.splitlines(True), FILE)
        for cell in cells:
            try:
                exec(compile("\n" * line + cell, FILE, "exec"), self.names)
            except BaseException as error:
                where = "the file" if isinstance(source, str) else "a cell"
                said = said or {"error": self.calls.told(error, where, FILE)}
            line += cell.count("\n") + 1
        if isinstance(source, str) and said:
            return said
        answers = {name: self.names.get(name) for name in questions}
        return {"answers": answers, "failed": said.get("error")}


def main(folder: str, seconds: str, memory: str, file: str, library: str = "") -> None:
    """Answer until there are no more messages."""
    child = Child(folder, library)
    messages, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # a submission that asks for input gets none,
    os.dup2(2, 1)  # and what it prints is no answer
    os.chdir(folder)
    warnings.simplefilter("default")
    child.guard_module.limit(int(seconds), int(memory), int(file))
    while start := messages.read(16):
        head, body = child.wire.sizes(start)
        said = child.answer(child.wire.decode(messages.read(head), messages.read(body)))
        sys.stdout.flush()
        replies.write(child.wire.encode(said))
        replies.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
