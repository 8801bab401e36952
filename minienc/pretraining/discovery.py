"""Methods are found by themselves: a file with one that is put into their folder is enough."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Any


def methods_in(path: Iterable[str], package: str) -> dict[str, Any]:
    """{name of a method: its class} of the files of a package: classes that give ``method``."""
    found: dict[str, Any] = {}
    for file in pkgutil.iter_modules(path):
        for value in vars(importlib.import_module(f"{package}.{file.name}")).values():
            if isinstance(value, type) and "method" in vars(value):
                found[vars(value)["method"]] = value
    return found
