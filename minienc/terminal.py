"""What the command line prints, wherever it goes.

A terminal that knows ASCII alone, a pipe whose reader has gone, a full disk behind ``>``: none of
them is a reason to end a training. What cannot be shown is shown otherwise, or not at all.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_PLAIN = str.maketrans({"±": "+/-", "×": "x", "–": "-", "≥": ">=", "≤": "<=", "−": "-"})


class Patient:
    """A text stream that goes on without whoever does not listen any more."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream  # None: nobody listens

    def write(self, text: str) -> int:
        try:
            if self.stream is not None:
                self.stream.write(self._encodable(text))
        except (OSError, ValueError):  # ValueError: somebody closed it
            self._leave()
        return len(text)

    def flush(self) -> None:
        try:
            if self.stream is not None:
                self.stream.flush()
        except (OSError, ValueError):
            self._leave()

    def _encodable(self, text: str) -> str:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            text = text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
        except LookupError:  # an encoding of no name that Python knows
            pass
        return text

    def _leave(self) -> None:
        """Nobody reads: what Python still wants to write when it ends goes nowhere."""
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)
        self.stream = None

    def isatty(self) -> bool:
        return self.stream is not None and self.stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def patient_streams() -> Iterator[None]:
    """Within the block, ``sys.stdout`` and ``sys.stderr`` are patient."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Patient(before[0]), Patient(before[1])  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before
