"""What can be checked, brought to one form.

A pair of forward and backward, a function that returns its own backward, a plain function with a
claimed gradient, a layer, a model, a model with its loss: each becomes a ``Subject``, named
arguments, a forward from them to a tuple of outputs, and gradients for given cotangents. The
checker knows nothing else.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

Arguments = dict[str, Any]
Outputs = tuple[np.ndarray, ...]


class SubjectError(TypeError):
    """What was given cannot be checked; the message says why."""


@dataclass
class Subject:
    """One thing to check.

    Attributes
    ----------
    name : str
    arguments : dict
        Every array argument by name, in order, as it was given.
    differentiable : tuple of str
        Those that have a gradient: floating, and not declared constant.
    forward : function(arguments) -> (outputs, cache)
    backward : function(cotangents, cache) -> {name: gradient}
    model : Model or None
        Where there is one, its layers can be checked one by one.
    """

    name: str
    arguments: Arguments
    differentiable: tuple[str, ...]
    forward: Callable[[Arguments], tuple[Outputs, Any]]
    backward: Callable[[Outputs, Any], dict[str, Any]]
    model: Any = None
    inputs: tuple = ()  # of the model

    def outputs(self, arguments: Arguments) -> Outputs:
        """The forward's outputs alone."""
        return self.forward(arguments)[0]


def make_subject(
    what: Any, args: tuple, gradient: Any, targets: Any, options: dict[str, Any]
) -> Subject:
    """Tell by their kind what was given to ``gradcheck``."""
    from minienc.layers.base import Layer

    if isinstance(what, Layer):
        if getattr(what, "optimizer", None) is not None and (len(args) > 1 or targets is not None):
            return _of_objective(what, args, targets)
        return _of_layer(what, args)
    if not callable(what):
        raise SubjectError(
            f"gradcheck: a {type(what).__name__} cannot be checked, expected a function, a layer "
            f"or a model"
        )
    if gradient is not None:
        return _of_claim(what, gradient, args, options)
    if args and callable(args[0]) and not hasattr(args[0], "shape"):
        return _of_pair(what, args[0], args[1:], options)
    return _of_returned_backward(what, args, options)


# -------------------------------------------------------------------------------------- functions


def _of_pair(forward: Any, backward: Any, args: tuple, options: dict[str, Any]) -> Subject:
    """``forward(*args) -> y, cache`` and ``backward(dy, cache) -> gradients``."""
    arguments, differentiable = _name_arguments(forward, args)
    name = getattr(forward, "__name__", type(forward).__name__)
    call = _replaying(forward, arguments, args, options)

    def run(given: Arguments) -> tuple[Outputs, Any]:
        result = call(given)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise SubjectError(
                f"{name} returned a {_what(result)}, expected (y, cache); for a function without a "
                f"cache give gradient=..."
            )
        y, cache = result
        return _as_outputs(y), (cache, isinstance(y, tuple))

    def back(dys: Outputs, cache: Any) -> dict[str, Any]:
        inner, several = cache
        claimed = backward(dys if several else _scalar_like(dys[0]), inner)
        return _assign(name, claimed, arguments, differentiable)

    return Subject(name, arguments, differentiable, run, back)


def _of_returned_backward(f: Any, args: tuple, options: dict[str, Any]) -> Subject:
    """``f(*args) -> y, backward`` and ``backward(dy) -> gradients``."""
    arguments, differentiable = _name_arguments(f, args)
    name = getattr(f, "__name__", type(f).__name__)
    call = _replaying(f, arguments, args, options)

    def run(given: Arguments) -> tuple[Outputs, Any]:
        result = call(given)
        if not (isinstance(result, tuple) and len(result) == 2 and callable(result[1])):
            raise SubjectError(
                f"{name} returned a {_what(result)}, expected (y, backward); give its backward as "
                f"the second argument, or gradient=..."
            )
        y, backward = result
        return _as_outputs(y), (backward, isinstance(y, tuple))

    def back(dys: Outputs, cache: Any) -> dict[str, Any]:
        backward, several = cache
        claimed = backward(dys if several else _scalar_like(dys[0]))
        return _assign(name, claimed, arguments, differentiable)

    return Subject(name, arguments, differentiable, run, back)


def _of_claim(f: Any, gradient: Any, args: tuple, options: dict[str, Any]) -> Subject:
    """``f(*args) -> a number`` and its gradient: a function of the same arguments, or arrays."""
    arguments, differentiable = _name_arguments(f, args)
    name = getattr(f, "__name__", type(f).__name__)
    call = _replaying(f, arguments, args, options)

    def run(given: Arguments) -> tuple[Outputs, Any]:
        outputs = _as_outputs(call(given))
        if len(outputs) != 1 or outputs[0].size != 1:
            raise SubjectError(
                f"{name} returned {_what(outputs[0])}, expected a number: a claimed gradient is "
                f"that of a number; for arrays give a backward(dy, cache)"
            )
        return outputs, given

    def back(dys: Outputs, given: Any) -> dict[str, Any]:
        claimed = gradient(*given.values(), **options) if callable(gradient) else gradient
        found = _assign(name, claimed, arguments, differentiable)
        return {
            k: None if g is None else np.asarray(g) * float(dys[0].reshape(()))
            for k, g in found.items()
        }

    return Subject(name, arguments, differentiable, run, back)


def _name_arguments(f: Any, args: tuple) -> tuple[Arguments, tuple[str, ...]]:
    """Array arguments under the function's own names, and which of them have a gradient."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    arguments: Arguments = {}
    differentiable = []
    constants = set(getattr(f, "constants", ()))
    for i, value in enumerate(args):
        variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters[: i + 1])
        name = f"x{i}" if i >= len(parameters) or variadic else parameters[i].name
        arguments[name] = value
        is_float = hasattr(value, "shape") and np.dtype(value.dtype).kind == "f"
        if is_float and name not in constants:
            differentiable.append(name)
    if not differentiable:
        raise SubjectError(
            f"gradcheck: {getattr(f, '__name__', f)} was given no floating array to differentiate "
            f"by; nothing can be checked"
        )
    return arguments, tuple(differentiable)


def _replaying(f: Any, arguments: Arguments, args: tuple, options: dict[str, Any]) -> Callable:
    """``f`` with every generator among its arguments set back before each call: the same noise in
    every evaluation."""
    names = list(arguments)

    def call(given: Arguments) -> Any:
        values = [_rewound(given[name]) for name in names]
        return f(*values, **{k: _rewound(v) for k, v in options.items()})

    return call


def _rewound(value: Any) -> Any:
    return copy.deepcopy(value) if isinstance(value, np.random.Generator) else value


def _as_outputs(y: Any) -> Outputs:
    if isinstance(y, (tuple, list)):
        if not y:
            raise SubjectError("the forward returned no outputs; nothing can be checked")
        return tuple(_one_output(part) for part in y)
    return (_one_output(y),)


def _one_output(y: Any) -> np.ndarray:
    if y is None or not (hasattr(y, "dtype") or isinstance(y, (int, float))):
        raise SubjectError(f"the forward returned a {_what(y)}, expected an array or a number")
    return np.asarray(y)


def _scalar_like(dy: np.ndarray) -> Any:
    """A cotangent of a number is a number."""
    return dy[()] if dy.ndim == 0 else dy


def _assign(
    name: str, claimed: Any, arguments: Arguments, differentiable: tuple[str, ...]
) -> dict[str, Any]:
    """Which gradient is whose: by order, one for each differentiable argument, or one for each
    array argument with None for the others."""
    if isinstance(claimed, dict):
        missing = set(differentiable) - set(claimed)
        if missing:
            raise SubjectError(
                f"{name}: the backward gave no gradient for {', '.join(sorted(missing))}"
            )
        return {k: claimed[k] for k in differentiable}
    parts = list(claimed) if isinstance(claimed, (tuple, list)) else [claimed]
    while len(parts) > len(arguments) and parts[-1] is None:
        parts.pop()  # of an argument that was left out
    arrays = [k for k, v in arguments.items() if hasattr(v, "dtype")]
    for names in (list(differentiable), arrays, list(arguments)):
        if len(parts) == len(names):
            found = dict(zip(names, parts, strict=True))
            return {k: found[k] for k in differentiable}
    raise SubjectError(
        f"{name}: the backward returned {len(parts)} gradient(s), expected {len(differentiable)}: "
        f"one each for {', '.join(differentiable)}, in this order"
    )


def _what(x: Any) -> str:
    if hasattr(x, "shape"):
        return f"{type(x).__name__} of shape {tuple(x.shape)}"
    return f"{type(x).__name__}" + (f" of {len(x)}" if isinstance(x, (tuple, list)) else "")


# ------------------------------------------------------------------------------- layers and models


def _of_layer(layer: Any, args: tuple) -> Subject:
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
                x if layer.takes_several else x[0], **{k: _rewound(v) for k, v in kwargs.items()}
            )
        return _as_outputs(y), (cache, given, isinstance(y, tuple))

    def back(dys: Outputs, cache: Any) -> dict[str, Any]:
        inner, given, several = cache
        with _parameters_as(named, given):
            grads = layer.new_gradients()
            dx = layer.backward(dys if several else dys[0], inner, grads)
            found = {n: grads[p].copy() for n, p in named}
        dxs = dx if isinstance(dx, tuple) else (dx,)
        return {**dict(zip(inputs, dxs, strict=True)), **found}

    model = layer if hasattr(layer, "graph") else None
    return Subject(layer.label, arguments, differentiable, run, back, model, tuple(xs))


def _of_objective(model: Any, args: tuple, targets: Any) -> Subject:
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
    return Subject(name, arguments, differentiable, run, back, model, tuple(xs))


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
