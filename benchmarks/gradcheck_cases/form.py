"""The form of a case: a gradient that is right, or one that was made wrong in a known way.

A mistake is written as what a hand would change: ``wrong("sign", "p - t", "t - p")`` takes the
source of the backward (of the whole class, for objects), replaces one piece of it by another, and
keeps beside it what the true cause is, in the words of ``causes``.
"""

from __future__ import annotations

import copy
import inspect
import linecache
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minienc.verify import gradcheck


@dataclass
class Case:
    """One gradient. Other checkers are given ``forward`` and ``backward`` of ``args``."""

    name: str
    causes: tuple[str, ...]  # none: it is right
    forward: Callable
    backward: Callable
    args: tuple
    given: tuple  # what a user would give it: without an object's weights
    check: Callable[..., Any]  # minienc's report

    @property
    def is_right(self) -> bool:
        return not self.causes


class Wrong(NamedTuple):
    """A mistake: its cause, and the piece of the source that is replaced by another."""

    causes: tuple[str, ...]
    old: str
    new: str


def wrong(causes: str, old: str, new: str) -> Wrong:
    """A mistake; ``causes`` are one, or several that are all true, with a | between them."""
    return Wrong(tuple(causes.split("|")), old, new)


def numbers(*shape: int, seed: int = 0, low: float | None = None) -> np.ndarray:
    """Random numbers: normal, or in [low, low + 1)."""
    rng = np.random.default_rng([*shape, seed])
    return rng.standard_normal(shape) if low is None else low + rng.random(shape)


def spoil(what: Any, mistake: Wrong) -> Any:
    """A function or class of the same source but for one piece."""
    source = textwrap.dedent(inspect.getsource(what))
    if source.count(mistake.old) != 1:
        raise ValueError(
            f"{what.__name__}: {mistake.old!r} occurs {source.count(mistake.old)} times"
        )
    source = source.replace(mistake.old, mistake.new)
    file = f"<{what.__name__}: {mistake.new}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    names = dict(inspect.getmodule(what).__dict__)  # type: ignore[union-attr]
    exec(compile(source, file, "exec"), names)
    return names[what.__name__]


def _name(what: Any, mistake: Wrong | None = None) -> str:
    name = what.__name__.removesuffix("_forward").replace("_", " ")
    return f"{name}: {mistake.causes[0]}, {mistake.new}" if mistake else name


def pair(forward: Callable, backward: Callable, *args: Any, mistakes: Any = ()) -> list[Case]:
    """``forward(*args) -> y, cache`` and ``backward(dy, cache) -> gradients``."""

    def case(backward: Callable, mistake: Wrong | None = None) -> Case:
        return Case(
            _name(forward, mistake),
            mistake.causes if mistake else (),
            forward,
            backward,
            args,
            args,
            lambda *given, **options: gradcheck(forward, backward, *given, **options),
        )

    return [case(backward), *(case(spoil(backward, m), m) for m in mistakes)]


def loss(f: Callable, gradient: Callable, *args: Any, mistakes: Any = ()) -> list[Case]:
    """``f(*args) -> a number``, and ``gradient(*args)``."""

    def case(gradient: Callable, mistake: Wrong | None = None) -> Case:
        def backward(dy: Any, given: tuple) -> Any:
            found = gradient(*given)
            parts = found if isinstance(found, (tuple, list)) else (found,)
            return tuple(dy * g for g in parts)

        return Case(
            _name(f, mistake),
            mistake.causes if mistake else (),
            lambda *given: (f(*given), given),
            backward,
            args,
            args,
            lambda *given, **options: gradcheck(f, *given, gradient=gradient, **options),
        )

    return [case(gradient), *(case(spoil(gradient, m), m) for m in mistakes)]


def layer(
    make: type, *args: Any, weights: dict[str, str], before: Any = None, mistakes: Any = ()
) -> list[Case]:
    """An object of a class with ``forward(x)`` and ``backward(dy)``, made without arguments.

    ``weights`` are its attributes with those that get their gradients; ``before`` is done with it
    first.
    """

    def case(cls: type, mistake: Wrong | None = None) -> Case:
        def new() -> Any:
            one = cls()
            if before is not None:
                before(one, *args)
            return one

        def forward(*given: Any) -> tuple[Any, Any]:
            one = copy.deepcopy(first)
            for name, value in zip(weights, given[len(args) :], strict=True):
                exec(f"one.{name} = value", {"one": one, "value": value.copy()})
            return one.forward(*(a.copy() for a in given[: len(args)])), one

        def backward(dy: Any, one: Any) -> tuple:
            one = copy.deepcopy(one)
            dx = one.backward(np.array(dy))
            dxs = dx if isinstance(dx, tuple) else (dx,)
            return (*dxs, *(np.asarray(eval(f"one.{g}", {"one": one})) for g in weights.values()))

        first = new()
        first.forward(*(a.copy() for a in args))  # some make their weights only now
        values = tuple(np.array(eval(f"one.{w}", {"one": first})) for w in weights)
        return Case(
            _name(make, mistake),
            mistake.causes if mistake else (),
            forward,
            backward,
            (*args, *values),
            args,
            lambda *given, **options: gradcheck(new(), *given, **options),
        )

    return [case(make), *(case(spoil(make, m), m) for m in mistakes)]
