"""What a file may ask for, said before memory is taken for it.

A file is a stranger's: its header may declare anything, a kilobyte of it may stand for a gigabyte.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

MOST_CLASSES = 100_000  # a classifier has as many outputs: ImageNet's largest set has 21,841
MOST_PIXELS = 50_000_000  # of one image; the photos of telephones have up to 48 million
_ALWAYS = 1 << 28  # bytes that any compressed file may become
_EXPANSION = 100  # and what a larger one may, as a multiple of its size; MNIST's files: 5
_PIECE = 1 << 18


def memory_there() -> int | None:
    """Bytes of this machine's memory; None where nobody says."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows: NumPy's MemoryError is left
        return None


def check_memory(n_bytes: int, where: str) -> None:
    """Raise ValueError if so many bytes are more than this machine has."""
    there = memory_there()
    if there is not None and n_bytes > there:
        raise ValueError(
            f"{where} would take {n_bytes:,} bytes, more than this machine's memory, {there:,}"
        )


def check_expansion(n_bytes: int, compressed: int, where: str, verb: str = "declares") -> None:
    """Raise ValueError if so many bytes come out of suspiciously few compressed ones."""
    if n_bytes > max(_ALWAYS, _EXPANSION * compressed):
        raise ValueError(
            f"{where} {verb} {n_bytes:,} bytes, more than {_EXPANSION} times its {compressed:,} "
            f"compressed ones, and than {_ALWAYS:,}; if you trust it, decompress it yourself"
        )


def read_numbers(file: Any, n_bytes: int, where: str) -> tuple[np.ndarray, int]:
    """Read ``n_bytes`` into new memory; return it as uint8 (n_bytes,), and how many came."""
    check_memory(n_bytes, where)
    try:
        content = np.empty(n_bytes, np.uint8)
    except MemoryError:
        raise ValueError(f"{where} would take {n_bytes:,} bytes, more than is free") from None
    view, done = content.data, 0
    # in pieces: gzip and zip decompress what they are asked for into a bytes object of its own
    while done < n_bytes and (count := file.readinto(view[done : done + _PIECE])):
        done += count
    return content, done
