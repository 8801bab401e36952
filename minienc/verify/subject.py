"""The one form that everything takes to be checked: arguments, a forward, a backward.

``adapters`` bring functions, layers, models, classes and other libraries to it; the rest of the
checker knows nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import is_array
from minienc.verify.line import Outputs, float_outputs

Arguments = dict[str, Any]
OUTSIDE = (ValueError, ArithmeticError, AssertionError)  # raised by forwards outside their domain


class SubjectError(TypeError):
    """What was given cannot be checked; the message says why."""


@dataclass
class Subject:
    """One thing to check."""

    name: str
    arguments: Arguments  # all of them by name, in order, as they were given
    differentiable: tuple[str, ...]  # those with a gradient: floating, and not declared constant
    forward: Callable[[Arguments], tuple[Outputs, Any]]  # arguments -> outputs, cache
    backward: Callable[[Outputs, Any], dict[str, Any]]  # cotangents, cache -> gradients by name
    fixed: bool = False  # the gradient was given as numbers, for this point alone
    has_samples: bool = True  # the first axis of the first argument may be samples
    shares_cache: bool = False  # forward and backward meet outside: no other call in between
    stopped: tuple[str, ...] = ()  # arguments whose gradient is declared to be zero (or None)
    # what may have a gradient that this check does not see, and why: with any of these there is
    # no pass, unless they are named in ``stopped``
    unchecked: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what was taken for what
    # what the backward is declared to differentiate in the forward's place
    surrogate: Callable[[Arguments], Outputs] | None = None
    inputs: Any = None  # its ``values(given)`` are the arguments as they were nested
    # the forward without a cache, for automatic differentiation of its own lines
    traceable: Callable[[Arguments], Any] | None = None
    # the backward that adds to arrays of the caller, which hold this number before
    backward_onto: Callable[[Outputs, Any, float], dict[str, Any]] | None = None
    # (path, part, its input) of all that can be checked by itself, in the order in which it runs
    parts: Callable[[], Iterator[tuple[str, Any, Any]]] | None = None
    # on a device: which one, what brings arrays there, and the same subject with arrays of there
    device: str = "cpu"
    to_device: Callable[[Any], Any] | None = None
    on_device: Subject | None = None

    def outputs(self, arguments: Arguments) -> Outputs:
        """What differences are taken of: the outputs of the forward, or of its surrogate."""
        arguments = own(arguments)
        return self.surrogate(arguments) if self.surrogate else self.forward(arguments)[0]

    def gradients(self, arguments: Arguments, v: Outputs) -> dict[str, Any]:
        """What the backward gives. It is handed copies, for it may write into them, and what it
        returns is copied, for it may be a view. (M,) for (1, M) is the same, number by number."""
        cache = self.forward(own(arguments))[1]
        found = self.backward(tuple(part.copy() for part in v), cache)
        for name, g in found.items():
            shape = arguments[name].shape
            found[name] = g = None if g is None else np.array(g)
            if g is not None and g.shape != shape and _no_ones(g.shape) == _no_ones(shape):
                found[name] = g.reshape(shape)
                note = f"the gradient of {name} has shape {g.shape}; {name}'s is {shape}"
                self.notes += [] if note in self.notes else [note]
        return found


def own(arguments: Arguments) -> Arguments:
    """The same with copies of all arrays, for a function that may write into what it is given."""
    return {k: a.copy() if isinstance(a, np.ndarray) else a for k, a in arguments.items()}


def _no_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without its first ones, which broadcasting adds by itself."""
    return _no_ones(shape[1:]) if shape[:1] == (1,) else shape


class Trial(NamedTuple):
    """A subject at one point, run forward and backward once: what every check looks at."""

    subject: Subject
    given: Arguments
    arguments: Arguments  # the same in float64, where differences are taken
    y: Outputs
    v: Outputs  # a cotangent: random, for with all ones a sum that is constant shows no mistake
    gradients: dict[str, Any]  # what the backward gives; nothing where a number is not finite

    def is_finite(self) -> bool:
        """Whether there can be derivatives here."""
        x = [self.arguments[k] for k in self.subject.differentiable]
        return all(bool(np.isfinite(a).all()) for a in (*x, *self.y))

    def natural_size(self, name: str) -> float:
        """How large the gradient is for smaller arguments, too. Where all is saturated it is what
        1 - y^2 left of numbers of that size, and their rounding is in it."""
        (subject, _, arguments), size = self[:3], 0.0
        for factor in (1.0,) if subject.fixed else (1.0, 0.5, 0.1, 0.01):
            for names in (subject.differentiable, *((k,) for k in subject.differentiable)):
                smaller = {**arguments, **{k: factor * arguments[k] for k in names}}
                try:
                    g = subject.gradients(smaller, self.v)[name]
                except OUTSIDE:
                    continue
                if g is not None and np.isfinite(g).all():
                    size = max(size, float(np.abs(g).max(initial=0)))
        return size


def try_out(subject: Subject, given: Arguments, rng: np.random.Generator) -> Trial:
    """Run a subject forward and, if every number is finite, backward."""
    floats = {k: a for k, a in given.items() if is_array(a) and a.dtype.kind == "f"}
    arguments = {**given, **{k: a.astype(np.float64) for k, a in floats.items()}}
    y = subject.outputs(arguments)
    if any(np.iscomplexobj(part) for part in y):
        raise SubjectError(
            f"{subject.name} returned complex numbers, expected real ones: return the real and the "
            f"imaginary part as two outputs"
        )
    y = float_outputs(y)
    v = tuple(rng.standard_normal(part.shape) for part in y)
    trial = Trial(subject, given, arguments, y, v, {})
    if not trial.is_finite():
        return trial
    gradients = subject.gradients(arguments, v)
    for name, g in gradients.items():
        dtype = np.asarray(0 if g is None else g).dtype
        if dtype.kind not in "fiub":
            raise SubjectError(
                f"{subject.name}: the gradient of {name} is made of {dtype}, expected real numbers"
            )
    return trial._replace(gradients=gradients)
