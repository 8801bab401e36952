"""The arguments of a function: their names, which have a gradient, and which gradient is whose."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, SubjectError, lives_on_device


def name_of(f: Any) -> str:
    """A function's name; an object's class."""
    return getattr(f, "__name__", type(f).__name__)


def name_inputs(xs: Sequence[Any]) -> Arguments:
    """Names for inputs that have none: x, or x0, x1, ..."""
    return {("x" if len(xs) == 1 else f"x{i}"): x for i, x in enumerate(xs)}


def name_arguments(f: Any, args: tuple) -> Arguments:
    """The arguments under the function's own names."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    arguments: Arguments = {}
    for i, value in enumerate(args):
        variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters[: i + 1])
        name = f"x{i}" if i >= len(parameters) or variadic else parameters[i].name
        while name in arguments:  # f(x1, *xs)
            name += "_"
        arguments[name] = value
    return arguments


def floating(arguments: Arguments) -> tuple[str, ...]:
    """The names of those that are floating arrays."""
    return tuple(k for k, a in arguments.items() if _kind(a) == "f")


def find_differentiable(
    name: str, arguments: Arguments, constants: Sequence[str] = ()
) -> tuple[str, ...]:
    """The floating arrays that are not declared constant; an error if there are none."""
    found = tuple(k for k in floating(arguments) if k not in constants)
    if not found:
        raise SubjectError(
            f"gradcheck: {name} was given no floating array to differentiate by; nothing can be "
            f"checked"
        )
    return found


def find_unchecked(f: Any, arguments: Arguments, options: dict[str, Any]) -> dict[str, str]:
    """Arrays that the function is given where no gradient is asked for, and why none is."""
    constants = getattr(f, "constants", ())
    found = {}
    for name, value in arguments.items():
        if _kind(value) == "c":
            found[name] = "is complex; give its real and imaginary parts as arguments of their own"
        elif isinstance(value, (dict, list, tuple)) and _holds_floats(value):
            found[name] = (
                f"is a {type(value).__name__} of arrays; give them as arguments of their own"
            )
    for name, value in options.items():
        if name not in constants and _holds_floats(value):
            found[name] = "was given by keyword; give it by position"
    return found


def _kind(x: Any) -> str:
    """The kind of an array's dtype ("f", "i", "c"); "" for what is no array."""
    return np.dtype(x.dtype).kind if hasattr(x, "dtype") and hasattr(x, "shape") else ""


def _holds_floats(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_floats(v) for k, v in value.items() if "running" not in str(k))
    if isinstance(value, (list, tuple)):
        return any(map(_holds_floats, value))
    return _kind(value) in ("f", "c")


def rewound(value: Any) -> Any:
    """A generator as it is now, each time: the same noise in every evaluation."""
    noisy = isinstance(value, (np.random.Generator, np.random.RandomState))
    return copy.deepcopy(value) if noisy else value


def as_outputs(y: Any) -> Outputs:
    """What a forward returned, as a tuple of arrays."""
    if not isinstance(y, (tuple, list)):
        return (_one_output(y),)
    if not y:
        raise SubjectError("the forward returned no outputs; nothing can be checked")
    return tuple(map(_one_output, y))


def _one_output(y: Any) -> np.ndarray:
    if not hasattr(y, "dtype") and not isinstance(y, (int, float)):
        raise SubjectError(f"the forward returned a {describe(y)}, expected an array or a number")
    return y if lives_on_device(y) else np.asarray(y)


def assign_gradients(
    name: str,
    gradients: Any,
    arguments: Arguments,
    differentiable: tuple[str, ...],
    stopped: tuple[str, ...],
) -> dict[str, Any]:
    """Which gradient is whose: by name or by order, one for each differentiable argument, or one
    for each array argument with None for the others."""
    if isinstance(gradients, dict):
        missing = set(differentiable) - set(gradients) - set(stopped)
        if missing:
            raise SubjectError(
                f"{name}: the backward gave no gradient for {', '.join(sorted(missing))}"
            )
        return {k: gradients.get(k) for k in differentiable}
    parts = list(gradients) if isinstance(gradients, (tuple, list)) else [gradients]
    while len(parts) > len(arguments) and parts[-1] is None:
        parts.pop()  # of an argument that was left out
    arrays = [k for k, v in arguments.items() if hasattr(v, "dtype")]
    moving = [k for k in differentiable if k not in stopped]
    possible = [k for k, v in arguments.items() if k in differentiable or v is None]  # left out
    for names in (list(differentiable), arrays, list(arguments), moving, possible):
        if len(parts) == len(names):
            found = dict(zip(names, parts, strict=True))
            for k in set(found) - set(differentiable):
                if found[k] is not None and isinstance(arguments[k], float):
                    raise SubjectError(
                        f"{name}: the backward returned a gradient for the number {k}; give {k} as "
                        f"np.array({arguments[k]}) to have it checked, or return None for it"
                    )
            return {k: found.get(k) for k in differentiable}
    raise SubjectError(
        f"{name}: the backward returned {len(parts)} gradient(s), expected {len(differentiable)}: "
        f"one each for {', '.join(differentiable)}, in this order (None for one that has none, "
        f"and stop_gradient='its name')"
    )


def describe(x: Any) -> str:
    """A value's type and size, for an error message."""
    if hasattr(x, "shape"):
        return f"{type(x).__name__} of shape {tuple(x.shape)}"
    return f"{type(x).__name__}" + (f" of {len(x)}" if isinstance(x, (tuple, list)) else "")
