"""An object of a course's class: ``forward(x)``, ``backward(dy)``, and gradients left on itself."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import get_array_module, to_numpy
from minienc.verify.adapters.arguments import as_outputs, floating, name_inputs
from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, Subject, SubjectError, lives_on_device

Path = tuple[tuple[str, Any], ...]  # ("attribute", "W") or ("item", key or position), outer first


class _Weight(NamedTuple):
    """Where an object keeps a weight, and where its backward leaves that weight's gradient."""

    name: str
    places: list[Path]
    gradient: Path


def of_object(obj: Any, args: tuple) -> Subject:
    """``y = obj.forward(x)``, ``dx = obj.backward(dy)``, and gradients left on the object.

    A weight is an array attribute ``W`` beside ``dW``, ``grad_W`` or ``W_grad``, an entry of
    ``params`` (a list or a dictionary) beside one of ``grads``, or ``W.data`` beside ``W.grad``; of
    the object itself or of its parts. Every call runs on a copy of the object: so its running
    statistics and its generator are the same in each, and no call finds another's cache.
    """
    if isinstance(obj, type):
        raise SubjectError(
            f"gradcheck: {obj.__name__} is a class; give an object of it: {obj.__name__}(...)"
        )
    name = type(obj).__name__
    weights, unchecked = _find_weights(obj, args)
    inputs = name_inputs(args)
    arguments = {**inputs, **{w.name: _at(obj, w.places[0]) for w in weights}}

    def forward(given: Arguments) -> tuple[Outputs, Any]:
        one = copy.deepcopy(obj)
        for w in weights:
            _put(one, w.places, given[w.name])
        y = one.forward(*[given[k] for k in inputs])
        return as_outputs(y), (one, isinstance(y, (tuple, list)))

    def backward(dys: Outputs, cache: Any) -> dict[str, Any]:
        one, several = copy.deepcopy(cache)
        dx = one.backward(dys if several else dys[0])
        dxs = dx if isinstance(dx, (tuple, list)) else (dx,)
        if len(dxs) != len(inputs):
            raise SubjectError(
                f"{name}.backward returned {len(dxs)} gradient(s), expected {len(inputs)}: one for "
                f"each input of forward"
            )
        found = dict(zip(inputs, dxs, strict=True))
        return {**found, **{w.name: _at(one, w.gradient) for w in weights}}

    return Subject(name, arguments, floating(arguments), forward, backward, unchecked=unchecked)


def _find_weights(obj: Any, args: tuple) -> tuple[list[_Weight], dict[str, str]]:
    """Run forward and backward once on a copy, and see which arrays have a gradient beside them.

    Returns them, and of the others those that the outputs depend on all the same.
    """
    one = copy.deepcopy(obj)
    y = one.forward(*args)
    one.backward(_ones_like(y) if not isinstance(y, tuple) else tuple(map(_ones_like, y)))
    paths: dict[int, list[Path]] = {}  # the same array may be kept in several places
    for path in _float_arrays(obj, (), set()):
        paths.setdefault(id(_at(obj, path)), []).append(path)
    found, unchecked = [], {}
    for places in paths.values():
        gradient = next(filter(None, (_gradient_path(one, path) for path in places)), None)
        name = _spelled(places[0])
        if gradient is not None:
            found.append(_Weight(name, places, gradient))
        elif "running" not in name and "moving" not in name and _matters(obj, places, args):
            unchecked[name] = "changes the outputs, and no gradient stands beside it"
    return found, unchecked


def _ones_like(y: Any) -> Any:
    return get_array_module(y).ones_like(y)


def _float_arrays(x: Any, path: Path, seen: set[int]) -> Iterator[Path]:
    """Where an object, its lists, its dictionaries and its parts keep floating arrays."""
    if isinstance(x, np.ndarray) or lives_on_device(x):
        if x.dtype.kind == "f":
            yield path
        return
    if id(x) in seen or len(path) > 8:
        return
    seen.add(id(x))
    if isinstance(x, dict):
        parts = [(("item", k), v) for k, v in x.items()]
    elif isinstance(x, list):
        parts = [(("item", k), v) for k, v in enumerate(x)]
    elif hasattr(x, "__dict__") and not isinstance(x, type) and not callable(x):
        parts = [(("attribute", k), v) for k, v in vars(x).items()]
    else:
        return
    for step, value in parts:
        yield from _float_arrays(value, (*path, step), seen)


def _at(x: Any, path: Path) -> Any:
    for kind, key in path:
        x = getattr(x, key) if kind == "attribute" else x[key]
    return x


def _put(x: Any, places: list[Path], value: Any) -> None:
    for path in places:
        owner, (kind, key) = _at(x, path[:-1]), path[-1]
        if kind == "attribute":
            setattr(owner, key, value)
        else:
            owner[key] = value


def _spelled(path: Path) -> str:
    """As Python spells it, but for entries of ``params``, which go by their own name."""
    if len(path) == 2 and path[0] == ("attribute", "params") and isinstance(path[1][1], str):
        return path[1][1]
    text = "".join(f".{key}" if kind == "attribute" else f"[{key!r}]" for kind, key in path)
    return text.removeprefix(".")


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
                if getattr(_at(one, candidate), "shape", None) is not None:
                    return candidate
            except (AttributeError, LookupError, TypeError):
                continue
    return None


def _matters(obj: Any, places: list[Path], args: tuple) -> bool:
    """Whether the outputs change with an array that the object keeps."""
    outputs = []
    noise = np.random.get_state()  # the same for both
    for factor in (1.0, 1.1):
        one = copy.deepcopy(obj)
        _put(one, places, _at(one, places[0]) * factor + (factor - 1))
        try:
            np.random.set_state(noise)
            outputs.append(tuple(map(to_numpy, as_outputs(one.forward(*args)))))
        except Exception:  # it refuses another value: no weight then
            return False
    return not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(*outputs, strict=True))
