"""What must hold beside the numbers: arguments stay as they were, results have memory of their own,
and float32 stays float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minienc.course.compare import same
from minienc.course.key import Asked, Key, Reply, gradients_of, results_of
from minienc.course.parts import Function, Pair
from minienc.course.session import sentence

UNCHANGED, MEMORY, DTYPE = "arguments unchanged", "no shared memory", "float32 stays float32"


def broken(law: str, replies: list[Reply], key: Key) -> str:
    """How a law is broken; "" where it is not."""
    told = (broken_here(law, a, r) for a, r in zip(key.asked, replies, strict=True))
    return next(filter(None, told), "")


def broken_here(law: str, asked: Asked, reply: Reply) -> str:
    """How one call breaks it."""
    if law == DTYPE:
        return _wider(asked, reply) if asked.single else ""
    if "error" in reply:
        return "" if asked.single else sentence(reply["error"])
    if law == UNCHANGED:
        return _changed(asked, reply)
    if reply.get("shared"):
        return f"{_title(asked)}: memory is shared by {reply['shared'][0]}"
    return ""


def _title(asked: Asked) -> str:
    return " and ".join(asked.case.functions)


def _changed(asked: Asked, reply: Reply) -> str:
    changed = [k if isinstance(k, str) else asked.names[k] for k in reply.get("changed", [])]
    if changed:
        return f"{_title(asked)} changed the argument {', '.join(changed)}"
    given = reply.get("gradients", [])
    if len(given) == 2 and not same(given[0], given[1], 1e-9):
        return f"{asked.case.functions[-1]} gives other numbers when it is called again"
    return ""


def _wider(asked: Asked, reply: Reply) -> str:
    if "error" in reply:
        return sentence(reply["error"])
    for name, value in _results(asked, reply):
        if isinstance(value, np.ndarray) and value.dtype == np.float64:
            return f"{name} is float64 where all arguments are float32"
    return ""


def _results(asked: Asked, reply: Reply) -> list[tuple[str, Any]]:
    """All that came back, by its name."""
    case = asked.case
    if isinstance(case, Function):
        found = results_of(asked, reply)
        names = (*case.outputs, *case.changes)
        return list(zip(names, found, strict=True)) if isinstance(found, tuple) else []
    assert isinstance(case, Pair)
    rows = zip(asked.names, asked.point.args, strict=False)
    floats = [n for n, a in rows if getattr(a, "dtype", None) == np.float32]
    wrt = tuple(n for n in floats if n not in case.constants)
    gradients = gradients_of(asked._replace(wrt=wrt), reply["gradients"][0])
    named = [(f"d{k}", g) for k, g in gradients.items()] if isinstance(gradients, dict) else []
    return [("y", reply["y"]), *named]
