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

from minienc.verify.subject import Arguments, Outputs, Subject, SubjectError, as_outputs, rewound


def of_layer(layer: Any, args: tuple) -> Subject:
    """A layer or an uncompiled model: its input(s) and every parameter it reads."""
    xs = args[0] if len(args) == 1 and isinstance(args[0], (tuple, list)) else args
    if not xs:
        raise SubjectError(f"gradcheck: {layer.label} needs an input: gradcheck(layer, x)")
    if layer.built_for is None:
        layer.build(
            [x.shape[1:] for x in xs] if layer.takes_several else xs[0].shape[1:], xs[0].dtype
        )
    inputs = {("x" if len(xs) == 1 else f"x{i}"): x for i, x in enumerate(xs)}
    named = layer.named_parameters()
    arguments = {**inputs, **{n: np.asarray(p.value) for n, p in named}}
    differentiable = tuple(k for k, v in arguments.items() if np.dtype(v.dtype).kind == "f")
    kwargs = {"rng": np.random.default_rng(0)} if layer.uses_rng else {}

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
    inputs = {("x" if len(xs) == 1 else f"x{i}"): x for i, x in enumerate(xs)}
    named = model.named_parameters()
    arguments = {**inputs, **{n: np.asarray(p.value) for n, p in named}}
    differentiable = tuple(k for k, v in arguments.items() if np.dtype(v.dtype).kind == "f")

    def run(given: Arguments) -> tuple[Outputs, Any]:
        with _parameters_as(named, given):
            x = [given[k] for k in inputs]
            dtype = x[0].dtype
            t = [part.astype(dtype) if part.dtype.kind == "f" else part for part in ys]
            values, cache = model.objective.forward(x, t, rng=np.random.default_rng(0))
        return (np.asarray(values["loss"]),), (cache, given)

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

    A weight is an array attribute ``W`` beside ``dW``, ``grad_W`` or ``W_grad``, or an entry of a
    dictionary ``params`` beside one of ``grads``. Every call runs on a copy of the object: so its
    running statistics and its generator are the same in each, and its one cache is its own.
    """
    name = type(obj).__name__
    weights = _find_weights(obj, args)
    inputs = {("x" if len(args) == 1 else f"x{i}"): x for i, x in enumerate(args)}
    arguments = {**inputs, **{w.name: np.array(w.read(obj)) for w in weights}}
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

    return Subject(name, arguments, differentiable, run, back)


def _find_weights(obj: Any, args: tuple) -> list[_Weight]:
    """Run forward and backward once on a copy, and see which attributes have a gradient beside."""
    one = copy.deepcopy(obj)
    y = one.forward(*args)
    one.backward(np.ones_like(y) if not isinstance(y, tuple) else tuple(map(np.ones_like, y)))
    found = []
    for key, value in vars(obj).items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            for beside in (f"d{key}", f"grad_{key}", f"{key}_grad"):
                if getattr(getattr(one, beside, None), "shape", None) is not None:
                    found.append(_attribute(key, beside))
                    break
    params, grads = getattr(one, "params", None), getattr(one, "grads", None)
    if isinstance(params, dict) and isinstance(grads, dict):
        found += [_entry(key) for key in params if key in grads]
    return found


def _attribute(key: str, beside: str) -> _Weight:
    return _Weight(
        key,
        lambda o: getattr(o, key),
        lambda o, v: setattr(o, key, v),
        lambda o: getattr(o, beside),
    )


def _entry(key: str) -> _Weight:
    return _Weight(
        key,
        lambda o: o.params[key],
        lambda o, v: o.params.__setitem__(key, v),
        lambda o: o.grads[key],
    )
