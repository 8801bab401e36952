"""A class whose forward and backward are static: ``forward(ctx, x)``, ``backward(ctx, dy)``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from minienc.verify.adapters.functions import of_pair
from minienc.verify.adapters.objects import find_methods
from minienc.verify.subject import Subject


class Context:
    """What a static forward leaves for its backward."""

    saved_tensors: tuple = ()

    def __init__(self, n: int) -> None:
        self.needs_input_grad = (True,) * n

    def save_for_backward(self, *arrays: object) -> None:
        self.saved_tensors = arrays


def is_static(what: object) -> bool:
    """Whether it needs no object: its methods are static, or keep all in a context."""
    methods = find_methods(what)
    if methods is None:
        return False
    kinds = [inspect.getattr_static(what, name, None) for name in methods]
    if all(isinstance(kind, (staticmethod, classmethod)) for kind in kinds):
        return True
    return not isinstance(what, type) and _has_context(getattr(what, methods[0]))


def _has_context(f: Callable) -> bool:
    try:
        first = next(iter(inspect.signature(f).parameters), "")
    except (TypeError, ValueError):
        return False
    return first in ("ctx", "context")


def of_static(
    what: object, args: tuple, options: dict[str, Any], stopped: tuple[str, ...] = ()
) -> Subject:
    """As a pair: with a context for each call, where they take one."""
    methods = find_methods(what)
    assert methods is not None
    f, f_backward = (getattr(what, name) for name in methods)
    if not _has_context(f):
        return of_pair(f, f_backward, args, options, stopped)

    def forward(*xs: object, **given: object) -> tuple[Any, Context]:
        ctx = Context(len(xs))
        return f(ctx, *xs, **given), ctx

    def backward(dy: object, ctx: Context) -> Any:
        return f_backward(ctx, *dy) if isinstance(dy, tuple) else f_backward(ctx, dy)

    signature = inspect.signature(f)
    forward.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=list(signature.parameters.values())[1:]
    )
    forward.__name__ = getattr(what, "__name__", type(what).__name__)
    return of_pair(forward, backward, args, options, stopped)
