"""What a function reads beside its arguments: generators, arrays, and objects that keep gradients.

Generators are set back before every forward. Arrays are the function's constants, and are named as
such. But where the backward *leaves* something that is called a gradient, in a dictionary or an
object of outside, there is a gradient that nobody checked, and so there is no pass.
"""

from __future__ import annotations

import dis
import functools
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from minienc.arrays import to_numpy
from minienc.verify.adapters.paths import Path, at, equal, floats, spelled
from minienc.verify.adapters.spelling import gradient_rank, is_holder
from minienc.verify.adapters.trees import holds_floats
from minienc.verify.subject import Subject, own


def read_by(f: Callable, depth: int = 3) -> dict[str, Any]:
    """What a function finds in its closure and in its module, and what it calls there does."""
    if isinstance(f, functools.partial):
        return {**read_by(f.func, depth), **f.keywords}
    if isinstance(f, MethodType):
        return read_by(f.__func__, depth)
    if not isinstance(f, FunctionType):
        return {}
    found = {name: f.__globals__[name] for name in _names(f.__code__) if name in f.__globals__}
    for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not yet filled
            continue
    for value in list(found.values()) if depth else ():
        if isinstance(value, FunctionType) and not str(value.__module__).startswith(
            ("numpy", "minienc.")
        ):
            found = {**read_by(value, depth - 1), **found}
    return found


def _names(code: CodeType) -> Iterator[str]:
    """Names of the module that it reads or writes; those of attributes are others."""
    yield from (i.argval for i in dis.get_instructions(code) if i.opname.endswith("_GLOBAL"))
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _names(part)


def generators(functions: list[Any]) -> list[Any]:
    """The generators that functions read."""
    kinds = (np.random.Generator, np.random.RandomState)
    found = [v for f in functions for v in read_by(f).values() if isinstance(v, kinds)]
    return list({id(g): g for g in found}.values())


def functions_of(obj: object) -> list[Any]:
    """The methods of an object's class."""
    mine = vars(type(obj)).values()
    return [f for f in mine if isinstance(f, (FunctionType, MethodType, functools.partial))]


def name_kept_functions(subject: Subject, obj: object) -> None:
    """Arrays within functions that an object keeps, which are not searched for weights."""
    for name, f in getattr(obj, "__dict__", {}).items():
        for k, v in read_by(f).items():
            if holds_floats(v, "f"):
                subject.unchecked[k] = f"is read by the function {name} that the object keeps"


def name_constants(subject: Subject, functions: list[Any]) -> None:
    """Arrays that functions read beside their arguments."""
    every = {k: v for f in functions for k, v in read_by(f).items()}
    found = sorted(k for k, v in every.items() if holds_floats(v, "f"))
    if found:
        subject.notes.append(
            f"read by {subject.name}, and taken for constants as they are no arguments: "
            f"{', '.join(found)}"
        )


def name_what_is_left(subject: Subject, functions: list[Any]) -> None:
    """Gradients that the backward leaves outside are named, and unchecked."""

    def everything() -> dict[str, Any]:
        every = {k: v for f in functions for k, v in read_by(f).items()}
        kinds = (type, ModuleType, FunctionType, np.random.Generator)
        return {k: v for k, v in every.items() if not isinstance(v, kinds) and not _is_library(v)}

    if not everything() and not functions:
        return
    start = _snapshot(everything())
    try:
        y, cache = subject.forward(own(subject.arguments))
        before = _snapshot(everything())
        rng = np.random.default_rng(2)  # another cotangent than any before: what is left, changes
        subject.backward(tuple(rng.standard_normal(np.shape(part)) for part in y), cache)
    except Exception:  # what it raises is told when it is called to be checked
        return
    after = _snapshot(everything())
    still = [p for p, a in before.items() if p in start and equal(a, start[p])]
    for path, value in after.items():
        if path in before and equal(before[path], value):
            continue
        if _is_gradient(path, still):
            name = spelled((("attribute", path[0][1]), *path[1:]))
            subject.unchecked[name] = (
                "is left by the backward, and is the gradient of no argument; give the weights as "
                "arguments, or the object itself that keeps them"
            )


def _is_library(value: object) -> bool:
    return type(value).__module__.partition(".")[0] in ("torch", "jax", "jaxlib")


def _snapshot(values: dict[str, Any]) -> dict[Path, Any]:
    found = {}
    for path in floats(values):
        value = at(values, path)
        found[path] = value if isinstance(value, float) else np.array(to_numpy(value))
    return found


def _is_gradient(path: Path, still: list[Path]) -> bool:
    """Whether it is called a gradient: it is in ``grads``, or stands beside its weight."""
    if any(is_holder(str(key)) for _, key in path):
        return True
    return any(
        other[:-1] == path[:-1] and gradient_rank(str(path[-1][1]), str(other[-1][1])) is not None
        for other in still
    )
