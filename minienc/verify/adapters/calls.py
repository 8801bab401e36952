"""How a backward is called: one table, from the contract of a pair down to the habits of courses.

``CALLS`` says what the forward gives and what the backward takes for it. The rows whose number of
parameters fits are tried, first those that no parameter's name contradicts (``cache``, ``dy``, the
forward's own arguments), each in the table's order; the first whose gradients have the shapes of
their arguments is taken. No number is compared, so no wrong gradient is made right by the choice.

A row with ``dy`` gives dx = <dy, dy/dx>. One without gives a derivative at the same arguments:
the gradient of a number, f' element by element, or a Jacobian (``derivatives``).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import Array, Scalar, get_array_module
from minienc.verify.adapters.arguments import describe, name_of
from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, SubjectError

CALLS = (
    # the forward gives, the backward takes
    ("y, cache", "dy, cache"),  # this library, CS231n
    ("y, cache", "cache, dy"),  # jax.custom_vjp, autograd
    ("*y, cache", "*dy, cache"),  # h, c, cache of an LSTM
    ("*y, cache", "dys, cache"),
    ("*y, cache", "cache, *dy"),
    ("y, *cache", "dy, *cache"),
    ("y, *cache", "*cache, dy"),
    ("y, cache", "cache"),  # the gradient of a loss
    ("y", "by name"),  # dy and arguments of the forward, as the parameters are called
    ("*y", "by name"),
    ("y", "dy, *x"),  # relu_backward(dy, x)
    ("y", "*x, dy"),
    ("y", "dy, y"),  # sigmoid_backward(dy, y)
    ("y", "*x"),  # f'(x), scipy's jac
    ("y", "dy"),  # the cache is the function's or the object's own
    ("y", ""),  # a loss: backward()
    ("*y", "*dy, *x"),
    ("*y", "*dy"),
    ("*y", "dys"),
)

CACHE = (
    "cache",
    "caches",
    "ctx",
    "context",
    "saved",
    "memory",
    "tape",
    "res",
    "residuals",
    "stash",
)
OUTPUT = ("y", "out", "output", "outputs", "result")
RATE = ("lr", "learning_rate", "eta", "step_size", "learningrate")
COTANGENT = re.compile(
    r"(?!(data|denom|depth|debug|decay|degree|device|dict|diffs?|dims?|dists?|drop|dropout|dtype)$)"
    r"(d\w{0,4}|d_\w+|dout\w*|delta\w*|.*grad\w*|error\w*|upstream\w*|g|gy|ct|cotangents?|\w+_bar)$",
    re.IGNORECASE,
)


class Way(NamedTuple):
    """A row of the table, and the backward's parameters."""

    gives: str
    takes: str
    parameters: tuple[inspect.Parameter, ...] = ()
    inputs: tuple[str, ...] = ()  # the forward's own names of its arguments

    def outputs(self, result: Any) -> Any:
        """What of the forward's result is y: an array, or a sequence of several."""
        if self.gives == "y, cache" or self.gives == "y, *cache":
            return result[0]
        return result[:-1] if self.gives == "*y, cache" else result

    def call(self, f: Callable, dys: Outputs, result: Any, xs: Arguments) -> Any:
        """What the backward gives for these cotangents."""
        words: dict[str, list] = {
            "dy": [_first(dys) if not self.has_several(result) else dys],
            "*dy": [part[()] if part.ndim == 0 else part for part in dys],
            "dys": [dys],
            "cache": [result[-1]] if "cache" in self.gives else [],
            "*cache": list(result[1:]) if "*cache" in self.gives else [],
            "*x": list(xs.values()),
            "y": [self.outputs(result)],
        }
        if self.takes == "by name":
            return f(*self._by_name(words["*dy"], words["y"][0], xs))
        return f(*[a for word in self.takes.split(", ") if word for a in words[word]])

    def has_several(self, result: object) -> bool:
        return isinstance(self.outputs(result), (tuple, list))

    @property
    def takes_dy(self) -> bool:
        if self.takes == "by name":
            return any(_role(p.name, self.inputs) == "dy" for p in self.parameters)
        return "dy" in self.takes

    @property
    def may_leave_dy(self) -> bool:
        """Whether dy is a parameter that the backward has a number for: ``backward(dout=1)``."""
        return (
            self.takes == "dy"
            and bool(self.parameters)
            and self.parameters[0].default is not inspect.Parameter.empty
        )

    def told(self, f: Callable, forward: Callable) -> str:
        """As a note, where it is not the contract."""
        takes = (
            ", ".join(p.name for p in self.parameters) if self.takes == "by name" else self.takes
        )
        gives = self.gives.replace("*y", "y0, y1, ...").replace("*cache", "a, b, ...")
        takes = takes.replace("*cache", "a, b, ...").replace("*dy", "dy0, dy1, ...")
        takes = takes.replace("*x", ", ".join(self.inputs))
        return f"called as {name_of(forward)}(...) -> {gives}; {name_of(f)}({takes})"

    def _by_name(self, dys: list, y: object, xs: Arguments) -> list[Any]:
        left, given = list(dys), []
        for p in self.parameters:
            role = _role(p.name, self.inputs)
            given.append(xs[p.name] if role == "x" else y if role == "y" else left.pop(0))
        if left and len(left) < len(dys):
            raise TypeError("not every output has a cotangent")
        return given


def find_way(
    f: Callable,
    result: object,
    xs: Arguments,
    accepts: Callable[[Way, Any], bool],
    forward: Callable,
) -> Way:
    """How ``f`` is to be called for what the forward gave.

    Raises
    ------
    SubjectError
        If no row has as many arguments as it has parameters.
    """
    ways = list(_ways(f, result, xs))
    if not ways:
        raise SubjectError(
            f"gradcheck: {name_of(forward)} returned {describe(result)}, and {_signature(f)} is no "
            f"backward for that; expected (y, cache) and backward(dy, cache), y and "
            f"backward(dy, {', '.join(xs)}), or a function of a number and gradient=..."
        )
    ran = None
    for way in ways:
        try:
            y = way.outputs(result)
            parts = y if isinstance(y, (tuple, list)) else [y]
            dys = tuple(map(ones_like, parts))
            found = way.call(f, dys, result, xs)
        except Exception:  # the wrong row; or a mistake of the backward, which will be seen
            continue
        ran = ran or way
        if accepts(way, found):
            return way
    return ran or ways[0]


def takes_by_name(f: Callable, names: tuple[str, ...]) -> tuple[str, ...]:
    """Which of the forward's arguments a derivative takes, where it does not take them all.

    Raises
    ------
    SubjectError
        If it takes something else.
    """
    parameters = _parameters(f)
    if parameters is None or _least(parameters) <= len(names) <= len(parameters):
        return ()
    wanted = tuple(p.name for p in parameters if p.default is p.empty or p.name in names)
    if set(wanted) <= set(names):
        return wanted
    raise SubjectError(
        f"gradcheck: gradient= is called with the forward's arguments ({', '.join(names)}), and "
        f"{_signature(f)} takes others; a backward(dy, ...) is the second argument"
    )


def signature_of(f: Callable) -> inspect.Signature | None:
    """Its parameters; None where Python cannot say."""
    try:
        return inspect.signature(f)
    except (TypeError, ValueError):
        return None


def rate_of(f: Callable) -> dict[str, float]:
    """A learning rate among the parameters, as 1: then an update is the gradient."""
    return {p.name: 1.0 for p in _parameters(f) or () if p.name.lower() in RATE}


def _ways(f: Callable, result: object, xs: Arguments) -> Iterator[Way]:
    """The rows that fit, the best first."""
    parameters = _parameters(f)
    ranked = []
    for place, (gives, takes) in enumerate(CALLS):
        if not _gives(gives, result):
            continue
        roles = _roles(gives, takes, result, xs)
        if takes == "by name":
            named = _named(parameters, tuple(xs))
            if named:
                ranked.append((0, place, Way(gives, takes, named, tuple(xs))))
        elif parameters is None or _least(parameters) <= len(roles) <= _most(parameters):
            some = (parameters or ())[: len(roles)]
            bad = sum(map(_contradicts, some, roles, [tuple(xs)] * len(some), [f] * len(some)))
            dys = [p.name for p, role in zip(some, roles, strict=False) if role == "dy"]
            bad += len({_role(name, tuple(xs)) for name in dys}) > 1  # dy and a: a is none
            ranked.append((bad, place, Way(gives, takes, tuple(some), tuple(xs))))
    yield from (way for _, _, way in sorted(ranked, key=lambda r: r[:2]))


def _gives(gives: str, result: object) -> bool:
    """Whether the forward's result can be read so."""
    if not isinstance(result, tuple):
        return gives == "y"
    n = len(result)
    if gives == "y, cache":
        return n == 2 and _is_output(result[0])
    if gives == "y, *cache":
        return n > 2 and _is_output(result[0])
    if gives == "*y, cache":
        return n > 2 and all(map(_is_output, result[:-1]))
    return gives == "*y" and n > 0 and all(map(_is_output, result))


def _is_output(y: object) -> bool:
    if isinstance(y, (tuple, list)):
        return all(map(_is_output, y))  # none at all is told later
    return hasattr(y, "dtype") or isinstance(y, (int, float))


def _roles(gives: str, takes: str, result: object, xs: Arguments) -> list[str]:
    """What each argument of a row is."""
    n_y = len(result) - ("cache" in gives) if isinstance(result, tuple) else 1
    n_y = 1 if gives.startswith("y") else n_y
    many = {"*dy": ["dy"] * n_y, "*x": ["x"] * len(xs), "dys": ["dy"]}
    if isinstance(result, tuple):
        many["*cache"] = ["cache"] * (len(result) - 1)
    return [role for word in takes.split(", ") if word for role in many.get(word, [word])]


def _role(name: str, inputs: tuple[str, ...]) -> str:
    """What a parameter is by its name; "" where that says nothing."""
    if name in inputs:
        return "x"
    if name in CACHE:
        return "cache"
    if COTANGENT.match(name):
        return "dy"
    return "y" if name in OUTPUT else ""


def _contradicts(p: inspect.Parameter, role: str, inputs: tuple[str, ...], f: Callable) -> bool:
    """Whether a parameter's name says that it is something else. (A cache may have any name but a
    cotangent's; the unnamed argument of a method is what its object does not have: dy.)"""
    named = _role(p.name, inputs)
    if not named and role == "x":
        return hasattr(f, "of_object") and not _is_derivative(f)
    if role == "cache":
        return named == "dy"
    return bool(named) and named != role


def _is_derivative(f: Callable) -> bool:
    """Whether a method is called for what it computes, not for when it runs."""
    return not re.search("back|bprop", name_of(f))


def _named(
    parameters: tuple[inspect.Parameter, ...] | None, inputs: tuple[str, ...]
) -> tuple[inspect.Parameter, ...]:
    """Parameters whose names all say what they are; none where one does not."""
    wanted = [p for p in parameters or () if p.default is p.empty or p.name in inputs]
    roles = [_role(p.name, inputs) for p in wanted]
    if not wanted or any(r not in ("x", "y", "dy") for r in roles) or "x" not in roles:
        return ()
    return tuple(wanted) if all(p.kind is p.POSITIONAL_OR_KEYWORD for p in wanted) else ()


def _parameters(f: Callable) -> tuple[inspect.Parameter, ...] | None:
    """Its positional parameters but for a learning rate; None where Python cannot say, or there may
    be any number."""
    signature = signature_of(f)
    if signature is None:
        return None
    every = signature.parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in every):
        return None
    return tuple(p for p in every if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))


def _least(parameters: tuple[inspect.Parameter, ...]) -> int:
    return sum(p.default is p.empty and p.name.lower() not in RATE for p in parameters)


def _most(parameters: tuple[inspect.Parameter, ...]) -> int:
    return sum(p.name.lower() not in RATE for p in parameters)


def _signature(f: Callable) -> str:
    return f"{name_of(f)}{signature_of(f) or ''}"


def _first(dys: Outputs) -> Array:
    """A number's cotangent is a number."""
    return dys[0][()] if dys[0].ndim == 0 else dys[0]


def ones_like(y: Scalar) -> Array:
    """A cotangent of ones, where y lives."""
    y = y if hasattr(y, "dtype") else np.asarray(float(y))
    return get_array_module(y).ones_like(y, dtype=y.dtype if y.dtype.kind == "f" else "float64")
