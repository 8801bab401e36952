"""Products, quotients, masks and sums whose rule is another one in the backward.

Each row has a sentence, and changes to the forward: where one operand moves, its operation follows
by the wrong rule instead of by its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minienc.arrays import Array
from minienc.verify.lesson.evidence import Changes
from minienc.verify.lesson.factors import constants
from minienc.verify.lesson.operations import Place, places, sites
from minienc.verify.lesson.tape import Change, Operation

PRODUCTS = ("matmul", "dot", "multiply", "einsum", "tensordot", "inner", "outer")


def wrong_products(operations: list[Operation]) -> Iterator[tuple[str, Changes]]:
    """Products, quotients, masks and sums whose rule is another one."""
    for place in places(operations):
        yield from _wrong_products(place)
        yield from _wrong_axis(place)


def wrong_signs(operations: list[Operation]) -> Iterator[tuple[str, Changes]]:
    """In a loop, what has the wrong sign in each turn has it twice after two: no share shows it."""
    for place in places(operations):
        if len(place.numbers) > 1:
            told = f"what comes back through {place.told} has the wrong sign"
            yield told, dict.fromkeys(place.numbers, _mirrored(place.operands))


def _mirrored(operands: tuple[int, ...]) -> Change:
    def change(was: Operation, now: list) -> Array:
        held = was.call([was.operands[k] if k in operands else a for k, a in enumerate(now)])
        return held - (was.call(now) - held)

    return change


def _wrong_products(place: Place) -> Iterator[tuple[str, Changes]]:
    """A product's gradient with another factor: none, transposed, of another step, any other."""
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
    if first.name in ("add", "maximum") and (
        small := [n for n in constants(first) if 0 < n < 1e-2]
    ):
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
        mine = np.shape(first.operands[i])
        if first.name != "multiply" and len(mine) > 1 and mine[-1] == mine[-2]:
            across = f"{told}, what belongs to it is transposed, or not where it should be"
            yield across, dict.fromkeys(place.numbers, _across(i))
        shape = first.output.shape
        if first.name != "multiply" and len(shape) > 1 and shape[-1] == shape[-2]:
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

    def change(was: Operation, now: list) -> Array:
        held, moved = (
            [was.operands[k] if (k == i) == one else a for k, a in enumerate(now)]
            for one in (True, False)
        )
        return was.call(held) + (was.call(moved) - was.output).swapaxes(-1, -2)

    return change


def _across(i: int) -> Change:
    """One operand moves as its transpose does."""

    def change(was: Operation, now: list) -> Array:
        moved = list(now)
        moved[i] = was.operands[i] + (now[i] - was.operands[i]).swapaxes(-1, -2)
        return was.call(moved)

    return change


def _unmasked(i: int) -> Change:
    def change(was: Operation, now: list) -> Array:
        held = [was.operands[k] if k == i else a for k, a in enumerate(now)]
        return was.call(held) + (now[i] - was.operands[i])

    return change


def _rolled(step: int) -> Change:
    """The padded array a place further, along the axes that are padded."""

    def change(was: Operation, now: list) -> Array:
        grown = [k for k, n in enumerate(now[0].shape) if n != was.output.shape[k]]
        moved = was.call(now) - was.output
        return was.output + np.roll(moved, [step] * len(grown), grown)

    return change


def _turned_round(was: Operation, now: list) -> Array:
    mask = np.logical_not(was.operands[0])
    moved, before = was.call([mask, *now[1:]]), was.call([mask, *was.operands[1:]])
    return was.output + moved - before


def _with_partner(i: int, j: int, partner: np.ndarray) -> Change:
    """The operand i times another factor in the place of j; all else as it is."""

    def change(was: Operation, now: list) -> Array:
        held = [was.operands[k] if k == i else a for k, a in enumerate(now)]
        moved = list(was.operands)
        moved[i], moved[j] = now[i] - was.operands[i], partner
        return was.call(held) + was.call(moved)

    return change


def _wrong_quotients(place: Place, told: str) -> Iterator[tuple[str, Changes]]:
    """a / b has the derivatives 1/b and -a/b^2."""
    a, b = map(np.asarray, place.first.operands)
    if place.operands == (1,) and b.ndim and b.shape != a.shape:
        axes = tuple(k for k, (n, m) in enumerate(zip(a.shape, b.shape, strict=False)) if n != m)
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
            (
                "a is missing as the factor: the derivative of a/b by b is -a/b^2",
                lambda a, b: -1 / b**2,
            ),
        ]
    for words, slope in rows:
        yield (
            f"{told}, {words}",
            dict.fromkeys(place.numbers, _with_slope(place.operands[0], slope)),
        )


def _own_part(was: Operation, now: list) -> Array:
    """a / sum(a), where each number moves its own quotient alone."""
    a, b = was.operands
    return now[0] / b - a / b**2 * (now[0] - a)


def _with_slope(i: int, slope: Callable) -> Change:
    def change(was: Operation, now: list) -> Array:
        held = [was.operands[k] if k == i else a for k, a in enumerate(now)]
        return was.call(held) + slope(*was.operands) * (now[i] - was.operands[i])

    return change


def _others(place: Place, j: int) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Other arrays that fit in the place of operand j: one in each turn of the loop."""
    own = [place.operations[k].operands[j] for k in place.numbers]
    seen = [own]
    for words, others in (*_reordered(own), *_series(place.operations, len(own))):
        try:
            others = [np.broadcast_to(a, b.shape) for a, b in zip(others, own, strict=True)]
        except ValueError:  # they have other shapes
            continue
        if any(all(map(np.array_equal, others, known)) for known in seen):
            continue
        seen.append(others)
        for mine, theirs, word in (
            (own[1:], others[:-1], "later"),
            (own[:-1], others[1:], "earlier"),
        ):
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

    def change(was: Operation, now: list) -> Array:
        held = [was.operands[k] if k == i else a for k, a in enumerate(now)]
        before, after = list(was.operands), list(was.operands)
        before[i], after[i] = was.operands[i][:, None], now[i][:, None]
        return was.call(held) + was.call(after) - was.call(before)

    yield (
        f"it is summed over axis 1, the outputs, instead of axis 0, the batch (`{first.text}`)",
        dict.fromkeys(place.numbers, change),
    )
