"""What can be checked, brought to one form, and the functions among it.

Everything becomes a ``Subject``: named arguments, a forward from them to a tuple of outputs, and
gradients for given cotangents. The checker knows nothing else. Here are the functions: a pair of
forward and backward, one that returns its own backward, a plain one with a claimed gradient;
``owners`` has what owns weights, ``foreign`` the functions of PyTorch and JAX, and ``ways_in``
tells them apart.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minienc.arrays import get_array_module, is_array, to_numpy

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
    inputs : tuple
        The model's.
    traceable : function(arguments) -> outputs as the forward gives them, or None
        For automatic differentiation of the forward's own lines.
    surrogate : function(arguments) -> outputs, or None
        What the backward is declared to differentiate in the forward's place.
    stopped : tuple of str
        Arguments whose gradient is declared to be zero (or None).
    backward_onto : function(cotangents, cache, start) -> {name: gradient}, or None
        Where gradients are added to a caller's arrays: the same, with ``start`` in all of them.
    unchecked : dict
        What may have a gradient that this check does not see, and why: with any of these there is
        no pass, unless they are named in ``stopped``.
    device : str
        Where forward and backward compute; see ``devices``.
    there : function, or None
        On a device: brings arrays over, those of a tuple or dictionary as well.
    on_device : Subject, or None
        On a device: the same with arguments, outputs and gradients that live there.
    """

    name: str
    arguments: Arguments
    differentiable: tuple[str, ...]
    forward: Callable[[Arguments], tuple[Outputs, Any]]
    backward: Callable[[Outputs, Any], dict[str, Any]]
    model: Any = None
    fixed: bool = False  # the gradient was given as numbers, for this point alone
    has_samples: bool = True  # the first axis of the first argument may be samples
    inputs: tuple = ()
    traceable: Callable[[Arguments], Any] | None = None
    surrogate: Callable[[Arguments], Outputs] | None = None
    stopped: tuple[str, ...] = ()
    backward_onto: Callable[[Outputs, Any, float], dict[str, Any]] | None = None
    unchecked: dict[str, str] = field(default_factory=dict)
    device: str = "cpu"
    there: Callable[[Any], Any] | None = None
    on_device: Subject | None = None

    def outputs(self, arguments: Arguments) -> Outputs:
        """What differences are taken of: the outputs of the forward, or of its surrogate."""
        if self.surrogate is not None:
            return self.surrogate(arguments)
        return self.forward(arguments)[0]


# -------------------------------------------------------------------------------------- functions


def of_pair(
    forward: Any,
    backward: Any,
    args: tuple,
    options: dict[str, Any],
    stopped: tuple[str, ...] = (),
) -> Subject:
    """``forward(*args) -> y, cache`` and ``backward(dy, cache) -> gradients``."""
    expected = "(y, cache); for a function without a cache give gradient=..."
    return _of_two_results(forward, backward, expected, args, options, stopped)


def of_returned_backward(
    f: Any, args: tuple, options: dict[str, Any], stopped: tuple[str, ...] = ()
) -> Subject:
    """``f(*args) -> y, backward`` and ``backward(dy) -> gradients``: a pair whose cache is its
    backward."""
    expected = "(y, backward); give its backward as the second argument, or gradient=..."

    def call_returned(dy: Any, backward: Any) -> Any:
        return backward(dy)

    return _of_two_results(f, call_returned, expected, args, options, stopped, callable)


def _of_two_results(
    f: Any,
    backward: Any,
    expected: str,
    args: tuple,
    options: dict[str, Any],
    stopped: tuple[str, ...],
    is_cache: Callable[[Any], bool] = lambda cache: True,
) -> Subject:
    """What both have in common: f returns y and a second thing, which its backward is given."""
    arguments, differentiable = _name_arguments(f, args)
    unchecked = _find_unchecked(f, arguments, options)
    name = getattr(f, "__name__", type(f).__name__)
    call = _replaying(f, arguments, args, options)

    def run(given: Arguments) -> tuple[Outputs, Any]:
        result = call(given)
        if not (isinstance(result, tuple) and len(result) == 2 and is_cache(result[1])):
            raise SubjectError(f"{name} returned a {_what(result)}, expected {expected}")
        y, cache = result
        return as_outputs(y), (cache, isinstance(y, (tuple, list)))

    def back(dys: Outputs, cache: Any) -> dict[str, Any]:
        inner, several = cache
        claimed = backward(dys if several else _scalar_like(dys[0]), inner)
        return _assign(name, claimed, arguments, differentiable, stopped)

    return Subject(
        name,
        arguments,
        differentiable,
        run,
        back,
        traceable=lambda given: call(given)[0],
        unchecked=unchecked,
    )


def of_claim(
    f: Any,
    gradient: Any,
    args: tuple,
    options: dict[str, Any],
    stopped: tuple[str, ...] = (),
) -> Subject:
    """``f(*args) -> a number`` and its gradient: a function of the same arguments, or arrays."""
    arguments, differentiable = _name_arguments(f, args)
    unchecked = _find_unchecked(f, arguments, options)
    name = getattr(f, "__name__", type(f).__name__)
    call = _replaying(f, arguments, args, options)

    def run(given: Arguments) -> tuple[Outputs, Any]:
        outputs = as_outputs(call(given))
        if len(outputs) != 1 or outputs[0].size != 1:
            raise SubjectError(
                f"{name} returned {_what(outputs[0])}, expected a number: a claimed gradient is "
                f"that of a number; for arrays give a backward(dy, cache)"
            )
        return outputs, given

    def back(dys: Outputs, given: Any) -> dict[str, Any]:
        claimed = gradient(*given.values(), **options) if callable(gradient) else gradient
        found = _assign(name, claimed, arguments, differentiable, stopped)
        return {
            k: None if g is None else to_numpy(g) * float(dys[0].reshape(()))
            for k, g in found.items()
        }

    fixed = not callable(gradient)
    return Subject(
        name,
        arguments,
        differentiable,
        run,
        back,
        traceable=call,
        fixed=fixed,
        has_samples=False,
        unchecked=unchecked,
    )


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
        while name in arguments:  # f(x1, *xs)
            name += "_"
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


def _find_unchecked(f: Any, arguments: Arguments, options: dict[str, Any]) -> dict[str, str]:
    """Arrays that the function is given where no gradient is asked for."""
    constants = set(getattr(f, "constants", ()))
    found = {}
    for name, value in arguments.items():
        if hasattr(value, "dtype") and np.dtype(value.dtype).kind == "c":
            found[name] = "is complex; give its real and imaginary parts as arguments of their own"
        elif isinstance(value, (dict, list, tuple)) and _holds_floats(value):
            found[name] = (
                f"is a {type(value).__name__} of arrays; give them as arguments of their own"
            )
    for name, value in options.items():
        if name not in constants and _holds_floats(value):
            found[name] = "was given by keyword; give it by position"
    return found


def _holds_floats(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_floats(v) for k, v in value.items() if "running" not in str(k))
    if isinstance(value, (list, tuple)):
        return any(map(_holds_floats, value))
    return hasattr(value, "shape") and np.dtype(value.dtype).kind in "fc"


def _replaying(f: Any, arguments: Arguments, args: tuple, options: dict[str, Any]) -> Callable:
    """``f`` with every generator among its arguments set back before each call: the same noise in
    every evaluation."""
    names = list(arguments)

    def call(given: Arguments) -> Any:
        values = [rewound(given[name]) for name in names]
        return f(*values, **{k: rewound(v) for k, v in options.items()})

    return call


def rewound(value: Any) -> Any:
    noisy = isinstance(value, (np.random.Generator, np.random.RandomState))
    return copy.deepcopy(value) if noisy else value


def as_outputs(y: Any) -> Outputs:
    if isinstance(y, (tuple, list)):
        if not y:
            raise SubjectError("the forward returned no outputs; nothing can be checked")
        return tuple(_one_output(part) for part in y)
    return (_one_output(y),)


def _one_output(y: Any) -> np.ndarray:
    if y is None or not (hasattr(y, "dtype") or isinstance(y, (int, float))):
        raise SubjectError(f"the forward returned a {_what(y)}, expected an array or a number")
    return y if lives_on_device(y) else np.asarray(y)


def lives_on_device(x: Any) -> bool:
    """Whether ``x`` is an array that NumPy's functions cannot take. Those of JAX they can, and it
    has its own way in."""
    if not is_array(x):
        return False
    module = get_array_module(x)
    return module is not np and getattr(module, "__name__", "") != "jax.numpy"


def _scalar_like(dy: np.ndarray) -> Any:
    """A cotangent of a number is a number."""
    return dy[()] if dy.ndim == 0 else dy


def _assign(
    name: str,
    claimed: Any,
    arguments: Arguments,
    differentiable: tuple[str, ...],
    stopped: tuple[str, ...],
) -> dict[str, Any]:
    """Which gradient is whose: by order, one for each differentiable argument, or one for each
    array argument with None for the others."""
    if isinstance(claimed, dict):
        missing = set(differentiable) - set(claimed) - set(stopped)
        if missing:
            raise SubjectError(
                f"{name}: the backward gave no gradient for {', '.join(sorted(missing))}"
            )
        return {k: claimed.get(k) for k in differentiable}
    parts = list(claimed) if isinstance(claimed, (tuple, list)) else [claimed]
    while len(parts) > len(arguments) and parts[-1] is None:
        parts.pop()  # of an argument that was left out
    arrays = [k for k, v in arguments.items() if hasattr(v, "dtype")]
    moving = [k for k in differentiable if k not in stopped]
    possible = [k for k, v in arguments.items() if k in differentiable or v is None]  # left out
    for names in (list(differentiable), arrays, list(arguments), moving, possible):
        if len(parts) == len(names):
            found = dict(zip(names, parts, strict=True))
            for k, g in found.items():
                if g is not None and isinstance(arguments[k], float) and k not in differentiable:
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


def _what(x: Any) -> str:
    if hasattr(x, "shape"):
        return f"{type(x).__name__} of shape {tuple(x.shape)}"
    return f"{type(x).__name__}" + (f" of {len(x)}" if isinstance(x, (tuple, list)) else "")
