"""The weights that an object keeps, and where its backward leaves their gradients.

Whatever changes the outputs and is not an argument is a weight: it stands beside its gradient, or
it is named as unchecked. So an object is searched wherever it may keep something, and of what is
found each is changed, to see whether the outputs change. A gradient is left in one of these
places, looked for from top to bottom:

    W beside dW, grad_W, W_diff, gW, ...           W.data beside W.grad           (``spelling``)
    params["W"] beside grads["W"] or grads["dW"]   weights[0] beside nabla_w[0]
    W beside grads["W"] or grads["dW"]             weights beside dW, bias beside db
    W and b, or [W, b], beside [dW, db]            in order, or where all shapes differ by those
    returned, behind dx                            (``objects``)
    W itself, which the backward moved by          -lr dW, with lr a parameter or an attribute
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import to_numpy
from minienc.verify.adapters.calls import RATE
from minienc.verify.adapters.match import fits, shape_of
from minienc.verify.adapters.paths import Path, at, equal, find, floats, parts, put, spelled
from minienc.verify.adapters.spelling import gradient_rank, is_holder, others
from minienc.verify.line import Outputs

STATE = ("running", "moving")  # averages that only tests use
# plain numbers that are chosen, not learned
CHOSEN = (
    "eps",
    "momentum",
    "rate",
    "prob",
    "keep",
    "drop",
    "decay",
    "lambda",
    "reg",
    "temperature",
)
CHANGES: tuple[Callable[[Any], Any], ...] = (
    lambda x: x * 1.1 + 0.1,
    lambda x: 0.3 - x,
    lambda x: x * (1 + 1e-7),
)


class Weight(NamedTuple):
    """Where an object keeps a weight, and where its backward leaves that weight's gradient."""

    name: str
    places: list[Path]
    gradients: list[Path]
    is_number: bool
    is_moved: bool = False  # by the backward itself, by -dW

    def put(self, one: object, value: np.ndarray) -> None:
        value = value.copy() if self.is_moved else value
        put(one, self.places, value.item() if self.is_number else value)

    def clear(self, one: object) -> None:
        """What earlier calls left where the gradient goes, which a layer may add to."""
        for path in self.gradients:
            try:
                left = at(one, path)
                if isinstance(left, float):
                    put(one, [path], 0.0)
                else:
                    left[...] = 0
            except (AttributeError, LookupError, TypeError, ValueError):
                continue  # the backward makes it

    def gradient(self, one: object, before: object) -> Any:
        """A weight that several parts share has a gradient in each: all together are the whole."""
        if self.is_moved:
            return before - at(one, self.places[0])
        found: list[Any] = []
        for path in self.gradients:
            g = at(one, path)
            if not any(g is part or equal(g, part) for part in found):
                found.append(g)
        several = len({shape_of(part) for part in found}) == 1 and len(found) > 1
        return sum(found[1:], found[0]) if several else found[0]


class Run(NamedTuple):
    """An object's forward and backward, on the arguments of the check."""

    forward: Callable[[Any], Outputs]  # of an object
    backward: Callable[[Any, float], Any]  # of one that ran forward; dy is so many times ones


class Found(NamedTuple):
    """What was found: the weights, and what is no weight."""

    weights: list[Weight]
    alone: list[Weight]  # change the outputs, and no gradient is left for them on the object
    notes: list[str]


def find_weights(obj: object, run: Run) -> Found:
    """Run forward and backward once on a copy, and see what changes the outputs, and which of that
    has a gradient beside it."""
    one = copy.deepcopy(obj)
    run.forward(one)
    before = copy.deepcopy(one)
    run.backward(one, 1.0)
    found: list[Weight] = []
    alone: list[Weight] = []
    chosen: list[str] = []
    for places in _groups(obj):
        name, is_number = spelled(places[0]), isinstance(at(obj, places[0]), float)
        gradients = [g for path in places if (g := _gradient_path(one, before, path)) is not None]
        if not gradients and any(word in name for word in STATE):
            continue
        matters, survives = _matters(obj, places, run)
        if gradients and (matters or (survives and not is_number)):
            found.append(Weight(name, places, gradients, is_number))
        elif matters and is_number and _is_chosen(places[0]):
            chosen.append(name)
        elif matters:
            alone.append(Weight(name, places, [], is_number))
    _in_lists(one, found, alone)
    notes = [
        f"the gradient of {w.name} is the sum of those that its places have"
        for w in found
        if len({id(at(one, path)) for path in w.gradients}) > 1
    ]
    notes += [f"taken for constants: {', '.join(chosen)}"] if chosen else []
    return Found(found, alone, notes)


def find_moved(obj: object, alone: list[Weight], run: Run, rates: list[str]) -> list[Weight]:
    """Those that the backward itself moves by -lr dW, with lr = 1: twice as far for twice dy."""

    def steps(dy: float) -> list[Any]:
        one = copy.deepcopy(obj)
        run.forward(one)
        before = [np.array(to_numpy(at(one, w.places[0]))) for w in alone]
        run.backward(one, dy)
        return [b - to_numpy(at(one, w.places[0])) for b, w in zip(before, alone, strict=True)]

    if not rates:
        return []
    return [
        w._replace(is_moved=True)
        for w, single, double in zip(alone, steps(1.0), steps(2.0), strict=True)
        if np.any(single) and np.allclose(2 * single, double, rtol=1e-6)
    ]


def set_rates(one: object) -> list[str]:
    """Let an object's own learning rates be 1; return their names."""
    found = [p for p in floats(one) if p and p[-1][0] == "attribute" and p[-1][1] in RATE]
    found = [p for p in found if isinstance(at(one, p), float)]
    put(one, found, 1.0)
    return [spelled(p) for p in found]


def built(obj: object, run: Run) -> Any:
    """The object, or a copy whose first forward has made its weights: what was not there before,
    stays the same in a second forward, and changes the outputs."""
    one = copy.deepcopy(obj)
    run.forward(one)
    two = copy.deepcopy(one)
    run.forward(two)
    before = set(floats(obj))
    for path in set(floats(one)) - before:
        try:
            stays = equal(at(one, path), at(two, path))
        except (AttributeError, LookupError, TypeError):
            continue
        if stays and _matters(one, [path], run)[0]:
            return one
    return obj


def _groups(obj: object) -> Iterator[list[Path]]:
    """The places of each weight: the same array may be kept in several."""
    groups: dict[Any, list[Path]] = {}
    for path in floats(obj):
        value = at(obj, path)
        groups.setdefault(path if isinstance(value, float) else id(value), []).append(path)
    yield from groups.values()


def _is_chosen(path: Path) -> bool:
    key = str(path[-1][1]).lower()
    return key in ("p", "q", "lr", "tau") or any(word in key for word in CHOSEN)


def _is_value(x: object) -> bool:
    return isinstance(x, float) or getattr(x, "shape", None) is not None


# ------------------------------------------------------------------------------ beside the weight


def _gradient_path(one: object, before: object, path: Path) -> Path | None:
    """Where the gradient of the weight at a path is; the plainest name is taken."""
    ranked: list[tuple[int, int, Path]] = []
    for i, (kind, key) in enumerate(path):
        if kind != "attribute":
            continue
        owner, rest = at(one, path[:i]), path[i + 1 :]
        for other, value in [(k, v) for (of, k), v in parts(owner) if of == "attribute"]:
            here: Path = (*path[:i], ("attribute", other))
            for rank, candidate in _beside(here, key, other, value, rest):
                left = find(one, candidate)
                is_plain = rank < 2 or not _same(left, find(before, candidate))
                as_shaped = rank < 10 or fits(left, at(one, path))
                if _is_value(left) and candidate != path and is_plain and as_shaped:
                    ranked.append((rank, len(ranked), candidate))
    return min(ranked)[2] if ranked else None


def _beside(
    here: Path, key: str, other: str, value: object, rest: Path
) -> Iterator[tuple[int, Path]]:
    """What an attribute may hold for another, or for what is in that, the plainest first."""
    rank = gradient_rank(other, key)
    if not rest and key in ("data", "value") and other in ("grad", "gradient"):
        yield 0, here
    if rank is not None:
        yield rank, (*here, *rest)
        yield from ((rank, p) for p in _keyed(here, value, rest))
    if is_holder(other) and (rest or isinstance(value, dict)):
        within = rest or ((("item", key),) if isinstance(value, dict) else ())
        yield 1, (*here, *within)
        yield from ((1, p) for p in _keyed(here, value, within))
    for synonym in others(key):
        if (rank := gradient_rank(other, synonym)) is not None:
            yield 10 + rank, (*here, *rest)
    if rest and isinstance(value, dict) and is_holder(other):
        for synonym in others(str(rest[-1][1])):
            yield from ((10, p) for p in _keyed(here, value, (*rest[:-1], ("item", synonym))))


def _keyed(here: Path, value: object, rest: Path) -> Iterator[Path]:
    """``grads["dW"]`` for what is called W."""
    if len(rest) == 1 and isinstance(value, dict):
        wanted = str(rest[0][1])
        ranked = [(r, str(k), k) for k in value if (r := gradient_rank(str(k), wanted)) is not None]
        yield from ((*here, ("item", k)) for _, _, k in sorted(ranked, key=lambda r: r[:2]))


def _same(a: object, b: object) -> bool:
    return a is not None and b is not None and shape_of(a) == shape_of(b) and equal(a, b)


def _in_lists(one: object, found: list[Weight], alone: list[Weight]) -> None:
    """A list of gradients beside weights that are attributes; and the order of two lists, where it
    is not the same and all shapes differ."""
    for owner in dict.fromkeys(w.places[0][:-1] for w in alone):
        mine = [w for w in alone if w.places[0][:-1] == owner]
        for (_, key), value in parts(at(one, owner)):
            if not is_holder(str(key)):
                continue
            here: Path = (*owner, ("attribute", key))
            is_list = isinstance(value, (list, tuple))
            order = _order(value if is_list else [value], [at(one, w.places[0]) for w in mine])
            for w, place in zip(mine, order, strict=False):
                alone.remove(w)
                path = (*here, ("item", place)) if is_list else here
                found.append(w._replace(gradients=[path]))
            if order:
                break
    for holder in dict.fromkeys(w.gradients[0][:-1] for w in found if w.gradients):
        gradients = find(one, holder)
        mine = [w for w in found if w.gradients[0][:-1] == holder and len(w.gradients) == 1]
        if isinstance(gradients, (list, tuple)) and len(mine) == len(gradients):
            order = _order(gradients, [at(one, w.places[0]) for w in mine])
            for w, place in zip(mine, order, strict=False):
                w.gradients[:] = [(*holder, ("item", place))]


def _order(gradients: Any, weights: list[Any]) -> list[int]:
    """Which gradient is which weight's: as they stand, or by their shapes if all differ."""
    if len(gradients) != len(weights) or not all(map(_is_value, gradients)):
        return []
    if all(map(fits, gradients, weights)):
        return list(range(len(weights)))
    shapes = [shape_of(g) for g in gradients]
    wanted = [shape_of(w) for w in weights]
    if len(set(shapes)) < len(shapes) or set(shapes) != set(wanted):
        return []
    return [shapes.index(shape) for shape in wanted]


# ---------------------------------------------------------------------------- what changes outputs


def _matters(obj: object, places: list[Path], run: Run) -> tuple[bool, bool]:
    """Whether the outputs change with what the object keeps, and whether that outlives a forward
    (a cache does neither: the forward writes it anew)."""
    noise = np.random.get_state()  # the same for all

    def outputs(one: object) -> Outputs:
        np.random.set_state(noise)
        return tuple(to_numpy(part).copy() for part in run.forward(one))

    value, plain = at(obj, places[0]), outputs(copy.deepcopy(obj))
    refused, survives = True, True
    for change in CHANGES:
        one = copy.deepcopy(obj)
        try:
            changed = change(at(one, places[0]))
            put(one, places, changed)
            y = outputs(one)
            survives &= equal(at(one, places[0]), changed)
        except Exception:  # it refuses another value
            continue
        refused = False
        if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(y, plain, strict=True)):
            return True, survives
    return refused and not isinstance(value, float), survives
