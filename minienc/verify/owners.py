"""Subjects that own weights: layers, models, a model with its loss, a course's classes.

Their weights are arguments of the check like their inputs: within a call they are replaced by what
is asked for, afterwards they are what they were, whatever happened.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import device_of, get_array_module, to_device, to_numpy
from minienc.verify.subject import (
    Arguments,
    Outputs,
    Subject,
    SubjectError,
    as_outputs,
    lives_on_device,
    rewound,
)


def of_layer(layer: Any, args: tuple, options: dict[str, Any]) -> Subject:
    """A layer or an uncompiled model: its input(s) and every parameter it reads.

    It is checked as it trains, with noise and ``training=True``, unless ``options`` say otherwise.
    """
    xs = args[0] if len(args) == 1 and isinstance(args[0], (tuple, list)) else args
    if not xs:
        raise SubjectError(f"gradcheck: {layer.label} needs an input: gradcheck(layer, x)")
    if layer.built_for is None:
        layer.build(
            [x.shape[1:] for x in xs] if layer.takes_several else xs[0].shape[1:], xs[0].dtype
        )
        for _, p in layer.named_parameters() if lives_on_device(xs[0]) else ():
            p.to(device_of(xs[0]))
    inputs = {("x" if len(xs) == 1 else f"x{i}"): x for i, x in enumerate(xs)}
    named = layer.named_parameters()
    arguments = {**inputs, **{n: _bare(p.value) for n, p in named}}
    differentiable = _differentiable(arguments, named)
    as_in_training = {"rng": np.random.default_rng(0), "training": True}
    wishes = {"rng": layer.uses_rng, "training": layer.uses_training}
    kwargs = {**{k: v for k, v in as_in_training.items() if wishes[k]}, **options}

    def run(given: Arguments) -> tuple[Outputs, Any]:
        with _parameters_as(named, given):
            x = tuple(given[k] for k in inputs)
            y, cache = layer.forward(
                x if layer.takes_several else x[0], **{k: rewound(v) for k, v in kwargs.items()}
            )
        return as_outputs(y), (cache, given, isinstance(y, tuple))

    def run_backward(dys: Outputs, cache: Any, start: float) -> tuple[Any, dict[str, Any]]:
        inner, given, several = cache
        with _parameters_as(named, given):
            grads = layer.new_gradients()
            grads.vector[...] = start
            dx = layer.backward(dys if several else dys[0], inner, grads)
            return dx, {n: grads[p].copy() for n, p in named}

    def back(dys: Outputs, cache: Any) -> dict[str, Any]:
        dx, found = run_backward(dys, cache, 0.0)
        dxs = dx if isinstance(dx, tuple) else (dx,)
        return {**dict(zip(inputs, dxs, strict=True)), **found}

    def back_onto(dys: Outputs, cache: Any, start: float) -> dict[str, Any]:
        return run_backward(dys, cache, start)[1]

    model = layer if hasattr(layer, "graph") else None
    return Subject(
        layer.label,
        arguments,
        differentiable,
        run,
        back,
        model=model,
        inputs=tuple(xs),
        backward_onto=back_onto,
    )


def of_objective(model: Any, args: tuple, targets: Any) -> Subject:
    """A compiled model with its loss: the gradient of one number by everything."""
    xs = args[0] if isinstance(args[0], (tuple, list)) else (args[0],)
    y = args[1] if targets is None else targets
    ys = y if isinstance(y, (tuple, list)) else (y,)
    if model.device != "cpu":  # as fit brings them over
        ys = tuple(to_device(part, model.device) for part in ys)
    inputs = {("x" if len(xs) == 1 else f"x{i}"): x for i, x in enumerate(xs)}
    named = model.named_parameters()
    arguments = {**inputs, **{n: _bare(p.value) for n, p in named}}
    differentiable = _differentiable(arguments, named)

    def run(given: Arguments) -> tuple[Outputs, Any]:
        with _parameters_as(named, given):
            x = [given[k] for k in inputs]
            dtype = x[0].dtype
            t = [part.astype(dtype) if part.dtype.kind == "f" else part for part in ys]
            values, cache = model.objective.forward(x, t, rng=np.random.default_rng(0))
        return as_outputs(values["loss"]), (cache, given)

    def back(dys: Outputs, cache: Any) -> dict[str, Any]:
        inner, given = cache
        with _parameters_as(named, given):
            grads = model.new_gradients()
            dxs = model.objective.backward(inner, grads, need_dx=True)
            scale = float(dys[0])
            found = {n: grads[p] * scale for n, p in named}
        return {**{k: d * scale for k, d in zip(inputs, dxs, strict=True)}, **found}

    name = f"{model.label} with its loss"
    return Subject(name, arguments, differentiable, run, back, model=model, inputs=tuple(xs))


def _bare(value: Any) -> Any:
    return value if lives_on_device(value) else np.asarray(value)


def _differentiable(arguments: Arguments, named: list[tuple[str, Any]]) -> tuple[str, ...]:
    """What is floating, but for the layers' state: no gradient is asked for a moving average."""
    state = {n for n, p in named if p.is_state}
    return tuple(
        k for k, v in arguments.items() if np.dtype(v.dtype).kind == "f" and k not in state
    )


@contextmanager
def _parameters_as(named: list[tuple[str, Any]], given: Arguments) -> Iterator[None]:
    """Within the block the parameters are these arrays; afterwards what they were, whatever
    happened."""
    before = [(p, p._value) for _, p in named]
    try:
        for n, p in named:
            p._value = given[n]
        yield
    finally:
        for p, value in before:
            p._value = value


# -------------------------------------------------------------------------------- a course's class


class _Weight(NamedTuple):
    """Where an object keeps a weight, and where its backward leaves that weight's gradient."""

    name: str
    read: Callable[[Any], Any]
    write: Callable[[Any, Any], None]
    gradient: Callable[[Any], Any]


def of_object(obj: Any, args: tuple) -> Subject:
    """``y = obj.forward(x)``, ``dx = obj.backward(dy)``, and gradients left on the object.

    A weight is an array attribute ``W`` beside ``dW``, ``grad_W`` or ``W_grad``, an entry of
    ``params`` (a list or a dictionary) beside one of ``grads``, or ``W.data`` beside ``W.grad``; of
    the object itself or of its parts. Every call runs on a copy of the object: so its
    running statistics and its generator are the same in each, and its one cache is its own.
    """
    if isinstance(obj, type):
        raise SubjectError(
            f"gradcheck: {obj.__name__} is a class; give an object of it: {obj.__name__}(...)"
        )
    name = type(obj).__name__
    weights, unchecked = _find_weights(obj, args)
    inputs = {("x" if len(args) == 1 else f"x{i}"): x for i, x in enumerate(args)}
    arguments = {**inputs, **{w.name: _bare(w.read(obj)).copy() for w in weights}}
    differentiable = tuple(
        k for k, v in arguments.items() if hasattr(v, "dtype") and np.dtype(v.dtype).kind == "f"
    )

    def run(given: Arguments) -> tuple[Outputs, Any]:
        one = copy.deepcopy(obj)
        for w in weights:
            w.write(one, given[w.name])
        y = one.forward(*[given[k] for k in inputs])
        return as_outputs(y), (one, isinstance(y, (tuple, list)))

    def back(dys: Outputs, cache: Any) -> dict[str, Any]:
        one, several = copy.deepcopy(cache)
        dx = one.backward(dys if several else dys[0])
        dxs = dx if isinstance(dx, (tuple, list)) else (dx,)
        if len(dxs) != len(inputs):
            raise SubjectError(
                f"{name}.backward returned {len(dxs)} gradient(s), expected {len(inputs)}: one for "
                f"each input of forward"
            )
        found = dict(zip(inputs, dxs, strict=True))
        return {**found, **{w.name: w.gradient(one) for w in weights}}

    return Subject(name, arguments, differentiable, run, back, unchecked=unchecked)


Path = tuple[tuple[str, Any], ...]  # ("attribute", "W") or ("item", key or position), outer first


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
        beside = next(filter(None, (_gradient_beside(one, path) for path in places)), None)
        name = _spelled(places[0])
        if beside is not None:
            found.append(_weight(name, places, beside))
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


def _put(x: Any, path: Path, value: Any) -> None:
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


def _gradient_beside(one: Any, path: Path) -> Path | None:
    """``W`` beside ``dW``; ``W.data`` beside ``W.grad``; ``params[key]`` beside ``grads[key]``."""
    candidates: list[Path] = []
    for i, (kind, key) in enumerate(path):
        if kind != "attribute":
            continue
        last = i == len(path) - 1
        beside = [f"d{key}", f"d_{key}", f"grad_{key}", f"{key}_grad", f"grad{key}"]
        if last and key in ("data", "value"):
            beside = ["grad", "gradient"]
        if key in ("params", "parameters"):
            beside += ["grads", "gradients"]
        candidates += [(*path[:i], ("attribute", other), *path[i + 1 :]) for other in beside]
    for candidate in candidates:
        try:
            if getattr(_at(one, candidate), "shape", None) is not None:
                return candidate
        except (AttributeError, LookupError, TypeError):
            continue
    return None


def _weight(name: str, places: list[Path], beside: Path) -> _Weight:
    def write(o: Any, value: Any) -> None:
        for path in places:
            _put(o, path, value)

    return _Weight(name, lambda o: _at(o, places[0]), write, lambda o: _at(o, beside))


def _matters(obj: Any, places: list[Path], args: tuple) -> bool:
    """Whether the outputs change with an array that the object keeps."""
    outputs = []
    noise = np.random.get_state()  # the same for both
    for factor in (1.0, 1.1):
        one = copy.deepcopy(obj)
        value = _at(one, places[0]) * factor + (factor - 1)
        for path in places:
            _put(one, path, value)
        try:
            np.random.set_state(noise)
            with np.errstate(all="ignore"):
                outputs.append(tuple(map(to_numpy, as_outputs(one.forward(*args)))))
        except Exception:  # it refuses another value: no weight then
            return False
    return not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(*outputs, strict=True))
