"""Operations whose own rule is wrong in the backward: (sentence, the forward that has it so)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minienc.verify.lesson.evidence import Changes
from minienc.verify.lesson.factors import constants
from minienc.verify.lesson.operations import Place, places, sites
from minienc.verify.lesson.tape import Change, Operation

PRODUCTS = ("matmul", "dot", "multiply", "einsum", "tensordot", "inner", "outer")

def wrong_slopes(operations: list[Operation], known: bool) -> Iterator[tuple[str, Changes]]:
    """Activations with another derivative: those that are known by their numbers, or the others."""
    for chains in _chains(operations):
        if bool(kind_of(chains[0])) == known:
            yield from _wrong_slopes(chains)


def wrong_products(operations: list[Operation]) -> Iterator[tuple[str, Changes]]:
    """Products, quotients, masks and sums whose rule is another one."""
    for place in places(operations):
        yield from _wrong_products(place)
        yield from _wrong_axis(place)


# ------------------------------------------------------------------------------ activations


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
                a if not np.ndim(a) else made[s] if s in made else u
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
        if chain.u.shape == chain.w.shape and chain.u.size > 1:
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
        if not np.ndim(a) and operation.sources[i] is None:
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


def _wrong_slopes(chains: list[Chain]) -> Iterator[tuple[str, Changes]]:
    """An activation whose derivative is forgotten, or another."""
    text, kind = f"`{chains[0].operations[chains[0].last].text}`", kind_of(chains[0])
    try:
        slopes = [c.slope(c.u) for c in chains]
    except Exception:  # not what it was taken for
        return
    if not all(np.isfinite(s).all() for s in slopes) or np.ptp(slopes[0]) == 0:
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
    ],
    "sigmoid": [
        ("the derivative of sigmoid is y (1 - y), and one factor is missing", lambda c, s: c.w),
        ("the derivative of sigmoid is y (1 - y), and one factor is missing", lambda c, s: 1 - c.w),
        ("sigmoid has the derivative of tanh here, 1 - y^2", lambda c, s: 1 - c.w**2),
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
        both = (_with_slopes(zip(chains, s, strict=True)) for s in (slopes, nothing))
        yield (f"`{text}`", *both)


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
    def change(was: Operation, now: list) -> Any:
        kept[:] = [now[chain.operand]]
        return other(was, now) if other else was.call(now)

    return change


def _line(kept: list, chain: Chain, slope: np.ndarray) -> Callable:
    def change(was: Operation, now: list) -> Any:
        u = now[chain.operand] if chain.first == chain.last else kept[0]
        return chain.w + slope * (u - chain.u)

    return change


# --------------------------------------------------------------------------------- products


def _wrong_products(place: Place) -> Iterator[tuple[str, Changes]]:
    """A product's gradient with another factor: none, transposed, of another step, another array."""
    first, (i, *more) = place.first, place.operands
    told = f"in what comes back through {place.told}"
    if first.name in ("divide", "true_divide") and not more:
        yield from _wrong_quotients(place, told)
    if first.name == "where" and i > 0:
        yield f"{told}, the mask is turned round", dict.fromkeys(place.numbers, _turned_round)
        yield f"{told}, the mask is missing", dict.fromkeys(place.numbers, _unmasked(i))
    if first.name == "pad":
        for words, step in (("the start", -1), ("the end", 1)):
            cut = f"{told}, the padding is cut off too near to {words}: off by one"
            yield cut, dict.fromkeys(place.numbers, _rolled(step))
    if first.name in ("add", "maximum") and (small := [n for n in constants(first) if 0 < n < 1e-2]):
        yield (
            f"it is right without the epsilon of the forward: {small[0]:g} in `{first.text}`",
            dict.fromkeys(place.numbers, lambda was, now: now[i]),
        )
    if first.name not in PRODUCTS or more:
        return
    for j in set(first.moving()) - {i}:
        partner, name = first.operands[j], first.names[j] or "the other factor"
        if first.name == "multiply":
            ones = {k: _with_partner(i, j, np.ones_like(partner)) for k in place.numbers}
            yield f"{told}, {name} is missing as the factor", ones
        elif partner.ndim >= 2 and partner.shape[-1] == partner.shape[-2]:
            yield (
                f"{told}, {name} is transposed where it should not be, or not where it should",
                {k: _with_partner(i, j, _transposed(k, j, place)) for k in place.numbers},
            )
        if first.output.ndim >= 2 and first.output.shape[-1] == first.output.shape[-2]:
            if first.name != "multiply":
                turned = f"what comes back to `{first.text}` is transposed, or not where it should be"
                yield turned, dict.fromkeys(place.numbers, _turned_output(i))
        for words, others in _others(place, j):
            yield (
                f"{told}, {words}",
                {k: _with_partner(i, j, q) for k, q in zip(place.numbers, others, strict=True)},
            )


def _transposed(k: int, j: int, place: Place) -> np.ndarray:
    return place.operations[k].operands[j].swapaxes(-1, -2)


def _turned_output(i: int) -> Change:
    """What one operand moves, in the transpose of the output."""

    def change(was: Operation, now: list) -> Any:
        held, moved = ([was.operands[k] if (k == i) == one else a for k, a in enumerate(now)]
                       for one in (True, False))
        return was.call(held) + (was.call(moved) - was.output).swapaxes(-1, -2)

    return change


def _unmasked(i: int) -> Change:
    def change(was: Operation, now: list) -> Any:
        held = [was.operands[k] if k == i else a for k, a in enumerate(now)]
        return was.call(held) + (now[i] - was.operands[i])

    return change


def _rolled(step: int) -> Change:
    """The padded array a place further, along the axes that are padded."""

    def change(was: Operation, now: list) -> Any:
        grown = [k for k, n in enumerate(now[0].shape) if n != was.output.shape[k]]
        moved = was.call(now) - was.output
        return was.output + np.roll(moved, [step] * len(grown), grown)

    return change


def _turned_round(was: Operation, now: list) -> Any:
    condition, a, b = was.operands
    return was.output + np.where(condition, now[2] - b, now[1] - a)


def _with_partner(i: int, j: int, partner: np.ndarray) -> Change:
    """The operand i times another factor in the place of j; all else as it is."""

    def change(was: Operation, now: list) -> Any:
        held = [was.operands[k] if k == i else a for k, a in enumerate(now)]
        moved = list(was.operands)
        moved[i], moved[j] = now[i] - was.operands[i], partner
        return was.call(held) + was.call(moved)

    return change


def _wrong_quotients(place: Place, told: str) -> Iterator[tuple[str, Changes]]:
    """a / b has the derivatives 1/b and -a/b^2."""
    a, b = map(np.asarray, place.first.operands)
    if place.operands == (1,) and b.ndim and b.shape != a.shape:
        axes = tuple(k for k, (n, m) in enumerate(zip(a.shape, b.shape)) if n != m)
        if a.ndim == b.ndim and np.allclose(a.sum(axes, keepdims=True), b):
            yield (
                f"{told}, only each number's own part counts: the derivative of a softmax has "
                f"terms off its diagonal",
                dict.fromkeys(place.numbers, _own_part),
            )
    if place.operands == (0,):
        rows = [("the division is missing as the factor", lambda a, b: np.ones_like(a))]
    else:
        rows = [
            ("the square is missing: the derivative of 1/b is -1/b^2", lambda a, b: -a / b),
            ("a is missing as the factor: the derivative of a/b by b is -a/b^2", lambda a, b: -1 / b**2),
        ]
    for words, slope in rows:
        yield f"{told}, {words}", dict.fromkeys(place.numbers, _with_slope(place.operands[0], slope))


def _own_part(was: Operation, now: list) -> Any:
    """a / sum(a), where each number moves its own quotient alone."""
    a, b = was.operands
    return now[0] / b - a / b**2 * (now[0] - a)


def _with_slope(i: int, slope: Callable) -> Change:
    def change(was: Operation, now: list) -> Any:
        held = [was.operands[k] if k == i else a for k, a in enumerate(now)]
        return was.call(held) + slope(*was.operands) * (now[i] - was.operands[i])

    return change


def _others(place: Place, j: int) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Other arrays that fit in the place of operand j: one in each turn of the loop."""
    own = [place.operations[k].operands[j] for k in place.numbers]
    seen = [own]
    for words, others in (*_reordered(own), *_series(place.operations, len(own))):
        if any(np.shape(a) != b.shape for a, b in zip(others, own, strict=True)):
            continue
        if any(all(map(np.array_equal, others, known)) for known in seen):
            continue
        seen.append(others)
        for mine, theirs, word in ((own[1:], others[:-1], "later"), (own[:-1], others[1:], "earlier")):
            if mine and all(map(np.array_equal, mine, theirs)):
                words = f"the factor is that of a step {word}: off by one in time"
        yield words, others


def _reordered(own: list[np.ndarray]) -> Iterator[tuple[str, list[np.ndarray]]]:
    """The same factors in another turn, or the other way round."""
    turns, side = len(own), int(len(own) ** 0.5)
    for step in (1, -1):
        yield "the factor is that of another step", [own[(k + step) % turns] for k in range(turns)]
    yield "the factors run backwards: flip them", own[::-1]
    if side > 1 and side**2 == turns:
        across = [own[k % side * side + k // side] for k in range(turns)]
        yield "the factors stand in each other's places: the axes of a kernel?", across
    for axes in ((-1,), (-2, -1)) if own[0].ndim >= 2 else ((-1,),) if own[0].ndim else ():
        yield "the factor runs backwards: flip it", [np.flip(a, axes) for a in own]


def _series(operations: list[Operation], turns: int) -> Iterator[tuple[str, list[Any]]]:
    """Whatever the forward computes as many times, or once, where it is no loop."""
    for found in sites(operations).values():
        if len(found) != turns:
            continue
        one = operations[found[0]]
        rows = [(f"`{one.text}`", [operations[k].output for k in found])]
        for i in one.moving():
            words = one.names[i] or f"an operand of `{one.text}`"
            rows.append((words, [operations[k].operands[i] for k in found]))
        for words, others in rows:
            yield f"{words} stands as the factor", others
            if np.ndim(others[0]) >= 2:
                turned = [a.swapaxes(-1, -2) for a in others]
                yield f"{words} stands as the factor, transposed", turned


def _wrong_axis(place: Place) -> Iterator[tuple[str, Changes]]:
    """A bias of M in a matrix of (M, M): its gradient summed over the wrong axis."""
    first, i = place.first, place.operands[0]
    a, y = first.operands[i], first.output
    if a.ndim != 1 or y.ndim != 2 or y.shape != (len(a), len(a)) or len(place.operands) > 1:
        return
    if first.name not in ("add", "subtract", "multiply"):
        return

    def change(was: Operation, now: list) -> Any:
        held = [was.operands[k] if k == i else a for k, a in enumerate(now)]
        before, after = list(was.operands), list(was.operands)
        before[i], after[i] = was.operands[i][:, None], now[i][:, None]
        return was.call(held) + was.call(after) - was.call(before)

    yield (
        f"it is summed over axis 1, the outputs, instead of axis 0, the batch (`{first.text}`)",
        dict.fromkeys(place.numbers, change),
    )
