"""The arguments of a function: their names, which have a gradient, and what is not checked."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minienc.arrays import lives_on_device
from minienc.verify.adapters.paths import floats
from minienc.verify.adapters.trees import holds_floats, kind_of
from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, SubjectError


def name_of(f: Callable) -> str:
    """A function's name; an object's class."""
    return getattr(f, "__name__", type(f).__name__)


def name_inputs(xs: Sequence[Any]) -> Arguments:
    """Names for inputs that have none: x, or x0, x1, ..."""
    return {("x" if len(xs) == 1 else f"x{i}"): x for i, x in enumerate(xs)}


def name_arguments(f: Callable, args: tuple) -> Arguments:
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
    return tuple(k for k, a in arguments.items() if kind_of(a) == "f")


def find_differentiable(
    name: str, arguments: Arguments, constants: Sequence[str] = ()
) -> tuple[str, ...]:
    """The floating arrays that are not declared constant; an error if there are none."""
    found = tuple(k for k in floating(arguments) if k not in constants)
    if found:
        return found
    kinds = {"c": "complex; give its real and imaginary parts", "i": "of integers; give floats"}
    why = [f"{k} is {kinds[kind_of(a)]}" for k, a in arguments.items() if kind_of(a) in kinds]
    raise SubjectError(
        f"gradcheck: {name} was given no floating array to differentiate by; nothing can be "
        f"checked{''.join('; ' + w for w in why)}"
    )


def find_unchecked(f: Callable, arguments: Arguments, options: dict[str, Any]) -> dict[str, str]:
    """Arrays that the function is given where no gradient is asked for, and why none is."""
    constants = getattr(f, "constants", ())
    found = {}
    for name, value in arguments.items():
        if kind_of(value) == "c":
            found[name] = "is complex; give its real and imaginary parts as arguments of their own"
        elif _holds_weights(value):
            found[name] = (
                f"is a {type(value).__name__} that holds arrays; give them in a dictionary"
            )
            if hasattr(value, "backward"):
                found[name] += f", or {name} itself: gradcheck({name}, x)"
    for name, value in options.items():
        if name not in constants and holds_floats(value):
            found[name] = "was given by keyword; give it by position"
    return found


def _holds_weights(value: object) -> bool:
    """Whether it is an object of somebody's class with arrays in it."""
    plain = isinstance(value, (dict, list, tuple, str, type, np.random.Generator))
    if plain or kind_of(value) or not hasattr(value, "__dict__"):
        return False
    return any(len(path) > 0 for path in floats(value))


def rewound(value: object) -> Any:
    """A generator as it is now, each time: the same noise in every evaluation."""
    noisy = isinstance(value, (np.random.Generator, np.random.RandomState))
    return copy.deepcopy(value) if noisy else value


def as_outputs(y: object) -> Outputs:
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


def is_number(y: object, arrays: bool = False) -> bool:
    """Whether it is one number; or an array of them, if those count, too."""
    if hasattr(y, "dtype"):
        return arrays or int(getattr(y, "size", 0)) == 1
    return isinstance(y, (int, float)) and not isinstance(y, bool)


def describe(x: object) -> str:
    """A value's type and size, for an error message."""
    if hasattr(x, "shape"):
        return f"{type(x).__name__} of shape {tuple(x.shape)}"
    return f"{type(x).__name__}" + (f" of {len(x)}" if isinstance(x, (tuple, list)) else "")
