"""Which line of the source did what: the lines that a run visits, and the names that they bind.

A function is watched while it runs, as a debugger does it (``sys.settrace``). A *visit* is one
statement, run once; a loop's body is visited in each turn. Operations of the tape belong to the
visit during which they are made, so lines, names and numbers come from the very run.
"""

from __future__ import annotations

import ast
import functools
import io
import linecache
import re
import sys
import textwrap
import tokenize
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from minienc import functions
from minienc.stepper.tape import Tape, bare, referred, refs_in

FUNCTIONS = str(Path(functions.__file__).parent)


@dataclass
class Frame:
    """One call of a function."""

    function: str
    file: str
    line: int  # where it is defined
    outer: int  # the visit that called it, -1 for none
    arguments: dict[str, Any]  # by name: a Ref, or a structure with Refs, or plain things
    returned: Any = None


@dataclass
class Visit:
    """One statement, run once."""

    frame: int
    line: int  # the statement's first
    bound: dict[str, Any] = field(default_factory=dict)  # names that are new, or other values now


class Tracer:
    """A context that fills ``frames`` and ``visits``, and tells the tape whose turn it is.

    Parameters
    ----------
    tape : Tape
    files : functions of a path
        Whose functions are watched.
    """

    def __init__(self, tape: Tape, wanted: Callable[[str], bool] | None = None) -> None:
        self.tape = tape
        self.wanted = wanted or (lambda file: file.startswith(FUNCTIONS))
        self.frames: list[Frame] = []
        self.visits: list[Visit] = []
        self._open: list[tuple[int, dict[str, Any], int]] = []  # (frame, its names so far, visit)

    def __enter__(self) -> Tracer:
        self._before = sys.gettrace()
        sys.settrace(self._enter)
        return self

    def __exit__(self, *error: Any) -> None:
        sys.settrace(self._before)

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        if code.co_name.startswith("<") or not self.wanted(code.co_filename):
            return None
        given = _with_values(frame, code)
        outer = self.tape.visit
        line = code.co_firstlineno
        self.frames.append(Frame(code.co_name, code.co_filename, line, outer, given))
        self._open.append((len(self.frames) - 1, dict(given), -1))
        return self._within

    def _within(self, frame: FrameType, event: str, arg: Any) -> Any:
        number, known, visit = self._open[-1]
        if event == "exception":
            return self._within
        if visit >= 0:
            now = _with_values(frame, frame.f_code)
            changed = {k: v for k, v in now.items() if k not in known or known[k] != v}
            self.visits[visit].bound.update(changed)
            known.update(changed)
        if event == "line":
            first = statements(frame.f_code.co_filename).get(frame.f_lineno, (frame.f_lineno, 0))[0]
            if visit < 0 or self.visits[visit].line != first or frame.f_lineno <= first:
                self.visits.append(Visit(number, first))
                visit = len(self.visits) - 1
            self._open[-1] = number, known, visit
            self.tape.visit = visit
        elif event == "return":
            self.frames[number].returned = referred(arg)
            self._open.pop()
            self.tape.visit = self.frames[number].outer
        return self._within


def _with_values(frame: FrameType, code: CodeType) -> dict[str, Any]:
    """The variables that hold values of the tape."""
    found = {k: frame.f_locals[k] for k in code.co_varnames if k in frame.f_locals}
    refs = {k: referred(v) for k, v in found.items()}
    return {k: v for k, v in refs.items() if any(True for _ in refs_in(v))}


# ------------------------------------------------------------------------------------- the source


@functools.cache
def statements(file: str) -> dict[int, tuple[int, int]]:
    """Each line of a file -> the first and last line of the statement that it belongs to; of an
    ``if`` or a ``for``, its head."""
    found: dict[int, tuple[int, int]] = {}
    for node in ast.walk(ast.parse("".join(linecache.getlines(file)))):
        if not isinstance(node, ast.stmt):
            continue
        last = node.end_lineno or node.lineno
        body = getattr(node, "body", None)
        if body:
            last = max(node.lineno, body[0].lineno - 1)
        for line in range(node.lineno, last + 1):
            if line not in found or found[line][0] < node.lineno:
                found[line] = node.lineno, last
    return found


def text_of(file: str, line: int) -> str:
    """The statement that begins at a line, its comment with it."""
    _, last = statements(file).get(line, (line, line))
    lines = linecache.getlines(file)[line - 1 : last]
    return textwrap.dedent("".join(lines)).rstrip()


def comment_of(text: str) -> str:
    """The last comment of a statement, without its #."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, IndentationError):  # the head of a block
        return text.partition("#")[2].strip()
    comments = [t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT]
    return comments[-1] if comments else ""


def numbers_of(comment: str) -> set[int]:
    """The lines that a comment speaks of: 1 and 3 of "(1, 3) was", 1 to 3 of "(1) to (3)"."""
    if not (head := re.match(r"(# *)?\(\d+(, \d+)*\)( to \(\d+\))?", comment)):
        return set()
    numbers = [int(n) for n in re.findall(r"\d+", head[0])]
    return set(range(numbers[0], numbers[-1] + 1)) if "to" in head[0] else set(numbers)


# ----------------------------------------------------------------------------------------- a replay


@dataclass
class Replay:
    """A function's run, line by line."""

    tape: Tape
    frames: list[Frame]
    visits: list[Visit]
    watched: Any  # what the function returned
    result: Any  # the same in plain arrays
    returned: Any  # the same in Refs


def replay(
    function: Callable,
    args: tuple,
    kwargs: dict[str, Any] | None = None,
    tape: Tape | None = None,
    wanted: Callable[[str], bool] | None = None,
) -> Replay:
    """Run a function on watched copies of its arguments."""
    tape = Tape() if tape is None else tape
    given, options = tape.watch(args), tape.watch(kwargs or {})
    tracer = Tracer(tape, wanted)
    with tape, tracer:
        result = function(*given, **options)
    return Replay(tape, tracer.frames, tracer.visits, result, bare(result), referred(result))
