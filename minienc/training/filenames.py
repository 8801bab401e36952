"""Names of files with numbers in them: ``{epoch:03d}-{val_loss:.2f}.npz``.

A field is one of the logs' names, and behind a colon how Python formats it; nothing else is looked
up, and nothing in it is evaluated.
"""

from __future__ import annotations

import math
import os
import re


def fields_of(name: str) -> dict[str, str]:
    """{"val_loss": "{val_loss:.2f}"}: each field of a file's name.

    Raises
    ------
    ValueError
        For what stands in braces and is no field, or cannot be formatted so.
    """
    fields = {}
    for text in re.findall(r"\{[^{}]*\}", name):
        field = re.fullmatch(r"\{(\w+)(:[^{}]*)?\}", text)
        if field is None:
            raise ValueError(
                f"ModelCheckpoint: {text} in {name!r} is no field, such as {{epoch}} or "
                f"{{val_loss:.2f}}"
            )
        _formatted(text, 1 if field[1] == "epoch" else 1.0)
        fields[field[1]] = text
    return fields


def filled(name: str, fields: dict[str, str], numbers: dict[str, float]) -> str:
    """The name with each field's number in its place; one that is not known is nan."""
    for field, text in fields.items():
        name = name.replace(text, _formatted(text, numbers.get(field, math.nan)))
    return name


def _formatted(field: str, number: float) -> str:
    """``number`` as the field says: of "{val_loss:.2f}", what stands behind the colon."""
    try:
        text = format(number, field[1:-1].partition(":")[2])
    except ValueError as error:
        raise ValueError(f"ModelCheckpoint: {field} cannot be formatted: {error}") from None
    return text.replace("/", "-").replace(os.sep, "-")
