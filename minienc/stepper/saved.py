"""A record in a file: what the page carries, as ``.npz``.

minienc.step(model, x).save("step.npz")
minienc step step.npz --out step.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minienc.stepper.payload import VERSION, encode
from minienc.stepper.record import Record
from minienc.training.archives import damage_is_told, short, take, take_all
from minienc.training.checkpoints import read_archive, write_archive

FORMAT = "minienc step"
LISTS = (
    *(
        "values",
        "parts",
        "ops",
        "sources",
        "frames",
        "visits",
        "steps",
        "verdicts",
        "graph",
        "parameters",
    ),
    "gradients",
)


class Saved(NamedTuple):
    """The header and the numbers of a record, as ``payload.encode`` has them."""

    header: dict[str, Any]
    numbers: bytes

    @property
    def title(self) -> str:
        return self.header["title"]


def save_record(path: str | Path, record: Record) -> None:
    """Write a record, all or nothing."""
    header, numbers = encode(record)
    content = {"numbers": np.frombuffer(numbers, np.uint8)}
    write_archive(path, {"format": FORMAT, "record": header}, content)


def load_record(path: str | Path) -> Saved:
    """Read what ``save_record`` wrote.

    What stands in it is shown as text; of its formulas the page takes over MathML alone.

    Raises
    ------
    OSError, ValueError
        If it cannot be read, is damaged, or is of another version or something else.
    """
    content, arrays = read_archive(path)
    with damage_is_told(path, "the record"):
        if content.get("format") != FORMAT:
            raise ValueError(f"its format is {short(content.get('format'))}, expected {FORMAT!r}")
        header = take(content, "record", dict, "its header")
        if header.get("version") != VERSION:
            raise ValueError(
                f"it is of version {short(header.get('version'))}, expected {VERSION}: record the "
                f"step again"
            )
        take(header, "title", str, "the record")
        for name in LISTS:
            take(header, name, list, "the record")
        numbers = arrays.get("numbers")
        if numbers is None or numbers.dtype != np.uint8 or numbers.ndim != 1:
            raise ValueError("the record has no numbers")
        take_all(header, "formulas", str, "the record")
    return Saved(header, numbers.tobytes())
