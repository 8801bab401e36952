"""Valid files, changed at random, handed to a reader; what it may do, and what it did.

A reader may return, or raise a ValueError or an OSError that names the file. Everything else is a
finding: another exception, a message without the file's name, a wait, gigabytes.
"""

from __future__ import annotations

import random
import re
import resource
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63)
TEXTS = (b"-1", b"0", b"1e999", b"1_0", b"nan", b"", b"99999999999999999999", b"0.5", b"#", b'"')


class Target(NamedTuple):
    """One reader.

    ``valid()`` gives whole files. A change is made in one of them, ``wrap`` (gzip, a zip) is put
    around it, the bytes are written to a file of this ``name``, and ``read(path)`` is called.
    """

    valid: Callable[[], Sequence[bytes]]
    read: Callable[[Path], Any]
    name: str = "file"
    wrap: Callable[[bytes], bytes] = bytes
    change: Callable[[random.Random, Sequence[bytes]], bytes] | None = None  # None: ``mutated``


@dataclass
class Report:
    """What came of a target's inputs."""

    inputs: int = 0
    accepted: int = 0
    seconds: float = 0.0
    peak_mb: float = 0.0  # beyond what was there before, of the worst input
    findings: dict[str, int] = field(default_factory=dict)  # how often, by what was seen
    examples: dict[str, bytes] = field(default_factory=dict)  # the first input of each


def mutated(rng: random.Random, files: Sequence[bytes]) -> bytes:
    """One of the files with one to eight changes."""
    data = bytearray(rng.choice(files))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        _change(rng, data, files)
    return bytes(data)


def _change(rng: random.Random, data: bytearray, files: Sequence[bytes]) -> None:
    i, n = rng.randrange(len(data) + 1), rng.choice((1, 2, 4, 8, 64))
    kind = rng.randrange(9)
    if kind == 0 and data:
        data[i % len(data)] ^= 1 << rng.randrange(8)
    elif kind == 1 and data:
        data[i % len(data)] = rng.choice((0, 1, 127, 128, 254, 255, 10, 34, 44))
    elif kind == 2:  # a number that a header might hold
        size, order = rng.choice((2, 4, 8)), rng.choice(("little", "big"))
        number = rng.choice(NUMBERS) % 256**size
        data[i : i + size] = number.to_bytes(size, order)  # type: ignore[arg-type]
    elif kind == 3 and (digits := list(re.finditer(rb"\d+", data))):
        place = rng.choice(digits)
        data[place.start() : place.end()] = rng.choice(TEXTS)
    elif kind == 4:
        del data[i : i + n]
    elif kind == 5:
        data[i:i] = data[i : i + n]
    elif kind == 6:
        data[i:i] = rng.randbytes(n)
    elif kind == 7:
        del data[i:]
    else:
        other = rng.choice(files)
        start = rng.randrange(len(other))
        data[i : i + n] = other[start : start + n]


def fuzz(
    target: Target,
    folder: Path,
    *,
    inputs: int | None = None,
    seconds: float = float("inf"),
    seed: int = 0,
    wait: float = 10.0,
    most_mb: float = 1024,
) -> Report:
    """Read so many changed files, or for so many seconds; the same seed gives the same files."""
    files, report, started = target.valid(), Report(), time.monotonic()
    path = folder / target.name
    while report.seconds < seconds and (inputs is None or report.inputs < inputs):
        rng = random.Random(f"{seed} {report.inputs}")
        content = target.wrap((target.change or mutated)(rng, files))
        path.write_bytes(content)
        before = _start_peak()
        seen = _seen(target, path, wait)
        peak = _peak() - before
        report.peak_mb = max(report.peak_mb, peak)
        if not seen and peak > most_mb:
            seen = f"more than {most_mb:g} MB of memory"
        report.inputs += 1
        report.accepted += seen is None
        report.seconds = time.monotonic() - started
        if seen:
            report.findings[seen] = report.findings.get(seen, 0) + 1
            report.examples.setdefault(seen, content)
    return report


def _seen(target: Target, path: Path, wait: float) -> str | None:
    """What is wrong with the reader's answer: "" for nothing, None for a file that was read."""
    try:
        with warnings.catch_warnings(), _alarm(wait):
            warnings.simplefilter("ignore")
            target.read(path)
        return None
    except _Waits:
        return f"more than {wait:g} seconds"
    except (ValueError, OSError) as error:
        named = str(path.parent) in str(error)
        return "" if named else f"a message without the file: {_shape(error)}"
    except Exception as error:
        return _shape(error)


def _shape(error: BaseException) -> str:
    """Of all messages that differ in numbers alone, one."""
    text = re.sub(r"\\x[\da-f]{2}|0x[\da-f]+|\d+", "N", str(error))
    return f"{type(error).__name__}: {text[:80]}"


class _Waits(BaseException):
    pass


@contextmanager
def _alarm(seconds: float) -> Any:
    def ring(*_: Any) -> None:
        raise _Waits

    old = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def _start_peak() -> float:
    with suppress(OSError):  # Linux forgets the peak of before
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> float:
    """The most memory that this process has held, in MB."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(x for x in lines if x.startswith("VmHWM")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
