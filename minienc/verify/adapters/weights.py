"""The weights that an object keeps, and where its backward leaves their gradients.

Whatever changes the outputs and is not an argument is a weight: it stands beside its gradient, or
it is named as unchecked. So an object is searched wherever it may keep something, and of what is
found each is changed, to see whether the outputs change.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import get_array_module, lives_on_device, to_numpy
from minienc.verify.adapters.arguments import as_outputs
from minienc.verify.line import Outputs

Path = tuple[tuple[str, Any], ...]  # ("attribute", "W") or ("item", key or position), outer first

MANY = 20  # a list of more numbers than this is a history, not weights
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

    def put(self, one: Any, value: np.ndarray) -> None:
        _put(one, self.places, value.item() if self.is_number else value)

    def clear(self, one: Any) -> None:
        """What earlier calls left where the gradient goes, which a layer may add to."""
        for path in self.gradients:
            try:
                left = at(one, path)
                if isinstance(left, float):
                    _put(one, [path], 0.0)
                else:
                    left[...] = 0
            except (AttributeError, LookupError, TypeError, ValueError):
                continue  # the backward makes it

    def gradient(self, one: Any) -> Any:
        """A weight that several parts share has a gradient in each: all together are the whole."""
        parts: list[Any] = []
        for path in self.gradients:
            g = at(one, path)
            if not any(g is part or _equal(g, part) for part in parts):
                parts.append(g)
        several = len({getattr(part, "shape", ()) for part in parts}) == 1 and len(parts) > 1
        return sum(parts[1:], parts[0]) if several else parts[0]


class Found(NamedTuple):
    """What was found: the object with all its weights made, the weights, and what is no weight."""

    obj: Any
    weights: list[Weight]
    unchecked: dict[str, str]
    notes: list[str]


def find_weights(obj: Any, args: tuple) -> Found:
    """Run forward and backward once on a copy, and see what changes the outputs, and which of that
    has a gradient beside it."""
    obj = _built(obj, args)
    one = copy.deepcopy(obj)
    y = one.forward(*_copies(args))
    one.backward(_ones_like(y) if not isinstance(y, tuple) else tuple(map(_ones_like, y)))
    found, unchecked, chosen, notes = [], {}, [], []
    for places in _groups(obj):
        name, is_number = _spelled(places[0]), isinstance(at(obj, places[0]), float)
        gradients = [g for path in places if (g := _gradient_path(one, path)) is not None]
        if not gradients and any(word in name for word in STATE):
            continue
        matters, survives = _matters(obj, places, args)
        if gradients and (matters or (survives and not is_number)):
            found.append(Weight(name, places, gradients, is_number))
            if len({id(at(one, path)) for path in gradients}) > 1:
                notes.append(f"the gradient of {name} is the sum of those that its places have")
        elif matters and is_number and _is_chosen(places[0]):
            chosen.append(name)
        elif matters:
            unchecked[name] = "changes the outputs, and no gradient stands beside it"
    if chosen:
        notes.append(f"taken for constants: {', '.join(chosen)}")
    return Found(obj, found, unchecked, notes)


def _built(obj: Any, args: tuple) -> Any:
    """The object, or a copy whose first forward has made its weights: what was not there before,
    stays the same in a second forward, and changes the outputs."""
    one = copy.deepcopy(obj)
    one.forward(*_copies(args))
    two = copy.deepcopy(one)
    two.forward(*_copies(args))
    before = set(_floats(obj, (), set()))
    for path in set(_floats(one, (), set())) - before:
        try:
            stays = _equal(at(one, path), at(two, path))
        except (AttributeError, LookupError, TypeError):
            continue
        if stays and _matters(one, [path], args)[0]:
            return one
    return obj


def _copies(args: tuple) -> list[Any]:
    return [a.copy() if isinstance(a, np.ndarray) else a for a in args]


def _equal(a: Any, b: Any) -> bool:
    return np.array_equal(to_numpy(a), to_numpy(b))


def _ones_like(y: Any) -> Any:
    return get_array_module(y).ones_like(y)


def _groups(obj: Any) -> Iterator[list[Path]]:
    """The places of each weight: the same array may be kept in several."""
    groups: dict[Any, list[Path]] = {}
    for path in _floats(obj, (), set()):
        value = at(obj, path)
        groups.setdefault(path if isinstance(value, float) else id(value), []).append(path)
    yield from groups.values()


def _floats(x: Any, path: Path, seen: set[int]) -> Iterator[Path]:
    """Where an object, its lists, its dictionaries and its parts keep floating numbers."""
    if isinstance(x, np.ndarray) or lives_on_device(x):
        if x.dtype.kind == "f":
            yield path
        return
    if isinstance(x, float):
        yield path
        return
    if id(x) in seen or len(path) > 8:
        return
    seen.add(id(x))
    for step, value in _parts(x):
        yield from _floats(value, (*path, step), seen)


def _parts(x: Any) -> Iterator[tuple[tuple[str, Any], Any]]:
    """What an object is made of, and how to get there from it."""
    if isinstance(x, dict):
        yield from ((("item", k), v) for k, v in x.items())
    elif isinstance(x, (list, tuple, deque)):
        few = len(x) <= MANY
        yield from ((("item", k), v) for k, v in enumerate(x) if few or not isinstance(v, float))
    elif isinstance(x, MethodType):
        yield ("attribute", "__self__"), x.__self__
    elif not isinstance(x, (type, ModuleType, FunctionType, BuiltinFunctionType)):
        own = dict(getattr(x, "__dict__", {}))
        for cls in type(x).__mro__[:-1]:
            slots = vars(cls).get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if hasattr(x, name):
                    own.setdefault(name, getattr(x, name))
            for name, value in vars(cls).items():  # shared by all objects of the class
                if isinstance(value, (np.ndarray, float)) and not name.startswith("__"):
                    own.setdefault(name, value)
        yield from ((("attribute", k), v) for k, v in own.items())


def at(x: Any, path: Path) -> Any:
    """What an object keeps at a path."""
    for kind, key in path:
        x = getattr(x, key) if kind == "attribute" else x[key]
    return x


def _put(x: Any, places: list[Path], value: Any) -> None:
    for path in places:
        owner, (kind, key) = at(x, path[:-1]), path[-1]
        if kind == "attribute":
            setattr(owner, key, value)
        elif isinstance(owner, tuple):  # made anew
            parts = [value if i == key else part for i, part in enumerate(owner)]
            made = type(owner)(*parts) if hasattr(owner, "_fields") else tuple(parts)
            _put(x, [path[:-1]], made)
        else:
            owner[key] = value


def _spelled(path: Path) -> str:
    """As Python spells it, but for entries of ``params``, which go by their own name."""
    if len(path) == 2 and path[0] == ("attribute", "params") and isinstance(path[1][1], str):
        return path[1][1]
    text = "".join(f".{key}" if kind == "attribute" else f"[{key!r}]" for kind, key in path)
    return text.removeprefix(".")


def _is_chosen(path: Path) -> bool:
    key = str(path[-1][1]).lower()
    return key in ("p", "q", "lr", "tau") or any(word in key for word in CHOSEN)


def _gradient_path(one: Any, path: Path) -> Path | None:
    """``W`` beside ``dW``; ``W.data`` beside ``W.grad``; ``params[key]`` beside ``grads[key]``."""
    for i, (kind, key) in enumerate(path):
        if kind != "attribute":
            continue
        names = [f"d{key}", f"d_{key}", f"grad_{key}", f"{key}_grad", f"grad{key}"]
        if i == len(path) - 1 and key in ("data", "value"):
            names = ["grad", "gradient"]
        if key in ("params", "parameters"):
            names += ["grads", "gradients"]
        for name in names:
            candidate: Path = (*path[:i], ("attribute", name), *path[i + 1 :])
            try:
                left = at(one, candidate)
                if isinstance(left, float) or getattr(left, "shape", None) is not None:
                    return candidate
            except (AttributeError, LookupError, TypeError):
                continue
    return None


def _matters(obj: Any, places: list[Path], args: tuple) -> tuple[bool, bool]:
    """Whether the outputs change with what the object keeps, and whether that outlives a forward
    (a cache does neither: the forward writes it anew)."""
    noise = np.random.get_state()  # the same for all

    def run(one: Any) -> Outputs:
        np.random.set_state(noise)
        return tuple(to_numpy(part).copy() for part in as_outputs(one.forward(*_copies(args))))

    value, plain = at(obj, places[0]), run(copy.deepcopy(obj))
    refused, survives = True, True
    for change in CHANGES:
        one = copy.deepcopy(obj)
        try:
            changed = change(at(one, places[0]))
            _put(one, places, changed)
            y = run(one)
            survives &= _equal(at(one, places[0]), changed)
        except Exception:  # it refuses another value
            continue
        refused = False
        if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(y, plain, strict=True)):
            return True, survives
    return refused and not isinstance(value, float), survives
