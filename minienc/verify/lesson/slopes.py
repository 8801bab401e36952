"""Activations whose derivative is another one in the backward.

Of the forward's operations, those that make one array of another element by element are an
activation, whether it is one call of ``np.tanh`` or four that make a sigmoid. In its place is put a
straight line through the point, whose slope is the wrong derivative: the forward's slope is then
what the backward says, if it has that derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import Array
from minienc.verify.lesson.evidence import Changes
from minienc.verify.lesson.tape import Operation


def wrong_slopes(operations: list[Operation], known: bool) -> Iterator[tuple[str, Changes]]:
    """Activations with another derivative: those that are known by their numbers, or the others."""
    for chains in _chains(operations):
        if bool(kind_of(chains[0])) == known:
            yield from _wrong_slopes(chains)


class Chain(NamedTuple):
    """Operations that make one array of another, element by element: an activation."""

    first: int  # the operation that is given u
    operand: int  # and where
    last: int  # the operation that gives w
    inside: tuple[int, ...]
    operations: list[Operation]

    @property
    def u(self) -> np.ndarray:
        return self.operations[self.first].operands[self.operand]

    @property
    def w(self) -> np.ndarray:
        return self.operations[self.last].output

    def __call__(self, u: np.ndarray) -> np.ndarray:
        """w of another u."""
        made: dict[int, Any] = {}
        for k in self.inside:
            was = self.operations[k]
            given = [
                made.get(-1 if s is None else s, u) if _is_moving(a) else a
                for s, a in zip(was.sources, was.operands, strict=True)
            ]
            made[k] = was.call(given)
        return made[self.last]

    def slope(self, u: np.ndarray) -> np.ndarray:
        """Its derivative, element by element."""
        h = 1e-5 * (1 + np.abs(u))
        with np.errstate(all="ignore"):
            return (self(u + h) - self(u - h)) / (2 * h)


def _chains(operations: list[Operation]) -> Iterator[list[Chain]]:
    """All activations; those of one place in the source, as in a loop, together."""
    roots: dict[int, tuple[Any, int, int, tuple[int, ...]]] = {}
    found: dict[tuple, list[Chain]] = {}
    for k, operation in enumerate(operations):
        root = _root(k, operations, roots)
        if root is None:
            continue
        roots[k] = root
        _, first, operand, inside = root
        chain = Chain(first, operand, k, inside, operations)
        if chain.u.shape == chain.w.shape:
            found.setdefault((operations[first].site, operation.site), []).append(chain)
    yield from found.values()


def _root(k: int, operations: list[Operation], roots: dict) -> tuple | None:
    """Of which one array an operation's result is made, element by element."""
    operation = operations[k]
    ufunc = getattr(np, operation.name, None)
    by_elements = isinstance(ufunc, np.ufunc) and ufunc.signature is None
    if not by_elements and operation.name not in ("where", "clip", "setitem"):
        return None
    found: dict[Any, tuple[int, int]] = {}
    inside = {k}
    for i, a in enumerate(operation.operands):
        if not _is_moving(a) and operation.sources[i] is None:
            continue
        if np.shape(a) != operation.output.shape:
            return None
        source, made = operation.sources[i], None
        if source is not None and np.array_equal(operations[source].output, a):
            made = source  # all of it, not a part
        if made in roots:
            key, first, operand, more = roots[made]
            inside |= set(more)
            found.setdefault(key, (first, operand))
        else:
            key = ("object", id(operation.objects[i])) if made is None else made
            found.setdefault(key, (k, i))
    if len(found) != 1:
        return None
    ((key, (first, operand)),) = found.items()
    return key, first, operand, tuple(sorted(inside))


def _is_moving(a: object) -> bool:
    """Whether it is an array of numbers: not a number of Python's, and not a mask."""
    return isinstance(a, np.ndarray) and a.dtype.kind == "f"


def _wrong_slopes(chains: list[Chain]) -> Iterator[tuple[str, Changes]]:
    """An activation whose derivative is forgotten, or another."""
    text, kind = f"`{chains[0].operations[chains[0].last].text}`", kind_of(chains[0])
    try:
        slopes = [c.slope(c.u) for c in chains]
    except Exception:  # not what it was taken for
        return
    every = np.concatenate([np.ravel(s) for s in slopes])
    if not np.isfinite(every).all() or np.allclose(every, every[0], rtol=1e-6):
        return
    for sentence, wrong in WRONG_SLOPES[kind] + WRONG_SLOPES["any"]:
        with np.errstate(all="ignore"):
            others = [wrong(c, s) for c, s in zip(chains, slopes, strict=True)]
        if all(np.isfinite(s).all() for s in others):
            yield f"{sentence} ({text})", _with_slopes(zip(chains, others, strict=True))


# what stands in place of the slope s of an activation w = f(u)
WRONG_SLOPES: dict[str, list[tuple[str, Callable[[Chain, np.ndarray], np.ndarray]]]] = {
    "tanh": [
        ("the derivative of tanh is 1 - y^2, and the square is missing", lambda c, s: 1 - c.w),
        ("tanh has the derivative of sigmoid here, y (1 - y)", lambda c, s: c.w * (1 - c.w)),
        ("the derivative of tanh is 1 - y^2, not y^2", lambda c, s: c.w**2),
        ("the derivative of tanh is 1 - y^2, and its sign is a plus", lambda c, s: 1 + c.w**2),
    ],
    "sigmoid": [
        ("the derivative of sigmoid is y (1 - y), and one factor is missing", lambda c, s: c.w),
        ("the derivative of sigmoid is y (1 - y), and one factor is missing", lambda c, s: 1 - c.w),
        ("sigmoid has the derivative of tanh here, 1 - y^2", lambda c, s: 1 - c.w**2),
        (
            "the derivative of sigmoid is y (1 - y), and its sign is a plus",
            lambda c, s: c.w * (1 + c.w),
        ),
    ],
    "relu": [("the mask of relu is turned round", lambda c, s: 1 - s)],
    "": [("1 minus the activation's derivative stands in its place", lambda c, s: 1 - s)],
    "any": [
        ("the activation's derivative is missing", lambda c, s: np.ones_like(s)),
        (
            "the activation's derivative is taken at y = f(z) instead of z",
            lambda c, s: c.slope(c.w),
        ),
        ("the activation's derivative is there twice", lambda c, s: s * s),
        ("in place of the activation's derivative stands its value", lambda c, s: c.w),
        ("in place of the activation's derivative stands its argument", lambda c, s: c.u),
    ],
}


def straight(operations: list[Operation]) -> Iterator[tuple[str, Changes, Changes]]:
    """Activations of slope 1, and the same held: (as it is written, one, the other)."""
    for chains in _chains(operations):
        text = chains[0].operations[chains[0].last].text
        slopes, nothing = ([f(c.w) for c in chains] for f in (np.ones_like, np.zeros_like))
        line, held = (_with_slopes(zip(chains, s, strict=True)) for s in (slopes, nothing))
        yield f"`{text}`", line, held


def kind_of(chain: Chain) -> str:
    """The activation's name, if its numbers are those of a known one."""
    with np.errstate(all="ignore"):
        known = {
            "tanh": np.tanh(chain.u),
            "sigmoid": 1 / (1 + np.exp(-chain.u)),
            "relu": np.maximum(chain.u, 0),
        }
    for name, y in known.items():
        if np.allclose(y, chain.w, rtol=1e-9, atol=1e-12):
            return name
    return ""


def _with_slopes(slopes: Any) -> Changes:
    """Activations that are straight lines of these slopes, through the point."""
    changes: Changes = {}
    for chain, slope in slopes:
        kept: list = []
        begin = _keeping(kept, chain, changes.get(chain.first))
        if chain.first != chain.last:
            changes[chain.first] = begin
        changes[chain.last] = _line(kept, chain, slope)
    return changes


def _keeping(kept: list, chain: Chain, other: Any) -> Callable:
    def change(was: Operation, now: list) -> Array:
        kept[:] = [now[chain.operand]]
        return other(was, now) if other else was.call(now)

    return change


def _line(kept: list, chain: Chain, slope: np.ndarray) -> Callable:
    def change(was: Operation, now: list) -> Array:
        u = now[chain.operand] if chain.first == chain.last else kept[0]
        return chain.w + slope * (u - chain.u)

    return change
