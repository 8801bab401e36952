"""Which gradient is whose, by name, by order, and by shape.

A backward gives gradients in one of these forms, tried from top to bottom; the first that fits is
taken, before any number is looked at. Where a shape cannot be right, it is told by the check.

    {"x": dx, "W": dW}, {"dx": ..., "dW": ...}     by name: of arguments, or of arrays within them
    (dx, dW, db)                                   one for each argument that has a gradient, or
                                                   for each array, or each argument (None beside)
    (dx, {"W": dW, "b": db}), (dx, [dW, db])       as the arguments are nested
    (dx, dW, db)                                   for x and {"W": W, "b": b}: array by array
    (dW, db, dx)                                   in another order, where all shapes differ
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minienc.verify.adapters.spelling import gradient_rank, plain
from minienc.verify.adapters.trees import NESTED, Leaf, leaves_of
from minienc.verify.subject import Arguments, SubjectError

# arguments that rarely have a gradient, for the message that asks which one has none
TARGETS = ("t", "target", "targets", "ytrue", "true", "label", "labels", "truth", "groundtruth")


class _Mismatch(Exception):
    """This form does not fit."""


class Wanted(NamedTuple):
    """Of what gradients are wanted."""

    name: str  # whose, for messages
    trees: Arguments  # arguments, by their names, with leaves in place of arrays
    leaves: Arguments
    differentiable: tuple[str, ...]
    stopped: tuple[str, ...] = ()

    @property
    def moving(self) -> tuple[str, ...]:
        return tuple(k for k in self.differentiable if k not in self.stopped)

    def has(self, tree: object, names: Sequence[str]) -> bool:
        return any(leaf.name in names for leaf in leaves_of(tree))


class Matcher:
    """Brings what a backward gives to its arguments; in the same order every time."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.order: dict[str, str] = {}  # where gradients come in another order: whose is whose's
        self.notes: list[str] = []

    def __call__(self, found: object) -> Arguments:
        """The gradient of each differentiable leaf; None where the backward said so.

        Raises
        ------
        SubjectError
            If no form fits, or a gradient is there that is of no argument.
        """
        if isinstance(found, dict):
            matched = _by_name(found, self.wanted)
        else:
            parts = list(found) if isinstance(found, (tuple, list)) else [found]
            matched = _in_order(parts, self.wanted)
            matched = {k: matched.get(self.order.get(k, k)) for k in matched}
        return {k: matched.get(k) for k in self.wanted.differentiable}

    def learn_order(self, found: object) -> None:
        """See whether only another order gives every gradient its argument's shape."""
        if not isinstance(found, dict):
            self.order = _by_shape(self(found), self.wanted)
        if self.order:
            came = {mine: k for k, mine in self.order.items()}
            told = ", ".join(came.get(k, k) for k in self.wanted.differentiable)
            self.notes.append(f"the gradients come in the order {told}, by their shapes")


def shape_of(x: Any) -> tuple[int, ...]:
    """An array's shape, wherever it lives; a number's."""
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


def fits(g: object, x: object) -> bool:
    """Whether a gradient has its argument's shape, but for axes of 1 in front."""
    one, other = list(shape_of(g)), list(shape_of(x))
    while one[:1] == [1]:
        one.pop(0)
    while other[:1] == [1]:
        other.pop(0)
    return one == other


# ----------------------------------------------------------------------------------------- by name


def _by_name(found: dict, wanted: Wanted) -> Arguments:
    if len(wanted.trees) == 1:  # the parameters, all in one dictionary
        (tree,) = wanted.trees.values()
        try:
            return _along(tree, found)
        except _Mismatch:
            pass
    every = {leaf.name: leaf for tree in wanted.trees.values() for leaf in leaves_of(tree)}
    every |= wanted.trees
    matched: Arguments = {}
    for key, g in found.items():
        name = _meant(key, every)
        if name is None and g is None:
            continue
        if name is None:
            raise SubjectError(
                f"{wanted.name}: the backward gives a gradient {key!r} that is of no argument "
                f"({', '.join(wanted.trees)}); give what it is the gradient of as an argument"
            )
        refuse_number(wanted, name, g)
        try:
            matched |= _along(every[name], g)
        except _Mismatch:
            raise SubjectError(
                f"{wanted.name}: the gradient of {name} has other parts than {name}"
            ) from None
    missing = [k for k in wanted.moving if k not in matched]
    if missing:
        raise SubjectError(
            f"{wanted.name}: the backward gave no gradient for {', '.join(missing)}; return one, "
            f"or say {_stop(missing)} if there is none"
        )
    return matched


def _meant(key: Any, names: Any) -> str | None:
    """The name that a key means: itself, or what it is spelled as the gradient of."""
    if key in names:
        return key
    ranked = [(gradient_rank(str(key), str(n)), n) for n in names]
    best = sorted((rank, str(n)) for rank, n in ranked if rank is not None)
    return best[0][1] if best else None


def _along(tree: object, g: object) -> Arguments:
    """A gradient that is nested as its argument."""
    if isinstance(tree, Leaf):
        if isinstance(g, dict):
            raise _Mismatch
        return {tree.name: _as_array(g) if isinstance(g, (list, tuple)) else g}
    leaves = list(leaves_of(tree))
    if g is None:
        return {leaf.name: None for leaf in leaves}
    if isinstance(tree, dict) and isinstance(g, dict):
        matched: Arguments = {}
        used = {k: _meant(k, tree) for k in g}
        if None in used.values() or any(
            any(True for _ in leaves_of(part)) and k not in used.values()
            for k, part in tree.items()
        ):
            raise _Mismatch
        for k, mine in used.items():
            matched |= _along(tree[mine], g[k])
        return matched
    if isinstance(tree, NESTED) and isinstance(g, (list, tuple)):
        parts = [p for p in (tree.values() if isinstance(tree, dict) else tree)]
        holding = [p for p in parts if any(True for _ in leaves_of(p))]
        for some in (parts, holding, leaves):
            if len(some) == len(g):
                return {k: v for p, q in zip(some, g, strict=True) for k, v in _along(p, q).items()}
    if isinstance(tree, NESTED) and len(leaves) == 1 and not isinstance(g, NESTED):
        return {leaves[0].name: g}
    if not isinstance(tree, NESTED):
        return {}  # a constant
    raise _Mismatch


def _as_array(g: object) -> np.ndarray:
    """A list of numbers."""
    try:
        return np.asarray(g, dtype=float)
    except (TypeError, ValueError):
        raise _Mismatch from None


# ---------------------------------------------------------------------------------------- in order


def _in_order(parts: list, wanted: Wanted) -> Arguments:
    trees, leaves = wanted.trees, wanted.leaves
    while len(parts) > len(trees) and parts[-1] is None:
        parts.pop()  # of an argument that was left out
    is_array = lambda t: any(hasattr(leaves.get(n.name), "dtype") for n in leaves_of(t))  # noqa: E731
    is_none = lambda t: isinstance(t, Leaf) and leaves[t.name] is None  # noqa: E731
    has = wanted.has
    first, rest = list(trees)[: len(parts)], list(trees)[len(parts) :]
    if any(has(trees[k], wanted.differentiable) for k in rest) or any(
        g is not None and not is_array(trees[k]) for k, g in zip(first, parts, strict=False)
    ):
        first = []  # not one for each of the first arguments, None for those that are none
    for names in (
        [k for k, t in trees.items() if has(t, wanted.differentiable)],
        first,
        [k for k, t in trees.items() if is_array(t)],
        list(trees),
        [k for k, t in trees.items() if has(t, wanted.moving)],
        [k for k, t in trees.items() if has(t, wanted.differentiable) or is_none(t)],
    ):
        if len(parts) != len(names):
            continue
        try:
            matched: Arguments = {}
            for k, g in zip(names, parts, strict=True):
                refuse_number(wanted, k, g)
                matched |= _along(trees[k], g)
            return matched
        except _Mismatch:
            continue
    if len(trees) == 1 and any(isinstance(t, NESTED) for t in trees.values()):
        try:
            return _along(next(iter(trees.values())), parts)
        except _Mismatch:
            pass
    flat = flatten(parts)
    for leaf_names in (wanted.differentiable, wanted.moving):
        if len(flat) == len(leaf_names):
            return dict(zip(leaf_names, flat, strict=True))
    raise SubjectError(_not_so_many(flat, wanted))


def flatten(parts: object) -> list:
    """All gradients of nested ones, in order."""
    if isinstance(parts, dict):
        parts = list(parts.values())
    if isinstance(parts, (list, tuple)):
        return [g for part in parts for g in flatten(part)]
    return [parts]


def refuse_number(wanted: Wanted, name: str, g: object) -> None:
    """A gradient of a plain number, which is not moved."""
    value = wanted.leaves.get(name)
    if g is not None and isinstance(value, float) and not hasattr(value, "dtype"):
        raise SubjectError(
            f"{wanted.name}: the backward returned a gradient for the number {name}; give {name} "
            f"as np.array({value}) to have it checked, or return None for it"
        )


def _not_so_many(parts: list, wanted: Wanted) -> str:
    names = wanted.moving
    told = (
        f"{wanted.name}: the backward returned {len(parts)} gradient(s), expected "
        f"{len(wanted.differentiable)}: one each for {', '.join(wanted.differentiable)}, in this "
        f"order"
    )
    if len(parts) < len(names):
        n = len(names) - len(parts)
        named = [k for k in names if plain(k) in TARGETS]
        rest = named if len(named) == n else names[len(parts) :]
        first = [k for k in names if k not in rest]
        if all(fits(g, wanted.leaves[k]) for g, k in zip(parts, first, strict=True)):
            have = "has" if len(rest) == 1 else "have"
            return f"{told}; if {' and '.join(rest)} {have} none, write {_stop(rest)}"
    return f"{told} (None for one that has none, and stop_gradient='its name')"


def _stop(names: Sequence[str]) -> str:
    said = repr(names[0] if len(names) == 1 else tuple(names))
    return f"stop_gradient={said} (--stop-gradient {','.join(names)})"


# ---------------------------------------------------------------------------------------- by shape


def _by_shape(matched: Arguments, wanted: Wanted) -> dict[str, str]:
    """In the place of whose gradient each one's is, where no two arguments have the same shape."""
    names = [k for k in matched if matched[k] is not None]
    if all(fits(matched[k], wanted.leaves[k]) for k in names):
        return {}
    places = {shape_of(matched[k]): k for k in names}
    shapes = {k: shape_of(wanted.leaves[k]) for k in names}
    if len(set(shapes.values())) < len(names) or set(places) != set(shapes.values()):
        return {}
    return {k: places[shape] for k, shape in shapes.items()}
