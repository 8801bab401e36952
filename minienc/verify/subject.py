"""The one form that everything takes to be checked: arguments, a forward, a backward.

``adapters`` bring functions, layers, models, classes and other libraries to it; the rest of the
checker knows nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import get_array_module, is_array, to_numpy
from minienc.verify.line import Outputs, float_outputs

Arguments = dict[str, Any]


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
    stopped: tuple[str, ...] = ()  # arguments whose gradient is declared to be zero (or None)
    # what may have a gradient that this check does not see, and why: with any of these there is
    # no pass, unless they are named in ``stopped``
    unchecked: dict[str, str] = field(default_factory=dict)
    # what the backward is declared to differentiate in the forward's place
    surrogate: Callable[[Arguments], Outputs] | None = None
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
        if self.surrogate is not None:
            return self.surrogate(arguments)
        return self.forward(arguments)[0]


class Trial(NamedTuple):
    """A subject at one point, run forward and backward once: what every check looks at."""

    subject: Subject
    given: Arguments
    arguments: Arguments  # the same in float64, where differences are taken
    y: Outputs
    v: Outputs  # a cotangent: random, for with all ones a sum that is constant shows no mistake
    gradients: dict[str, Any]  # what the backward gives; nothing where a number is not finite

    def undefined(self) -> str:
        """Why nothing can be differentiated here; "" where everything is a finite number."""
        named = [(k, self.arguments[k]) for k in self.subject.differentiable]
        one = len(self.y) == 1
        named += [("the output" if one else f"output {i}", a) for i, a in enumerate(self.y)]
        for name, a in named:
            bad = np.argwhere(~np.isfinite(a))
            if len(bad):
                at = tuple(map(int, bad[0]))
                return f"{name} is {a[at]} at {list(at)}: there is no derivative at this point"
        return ""


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
    if trial.undefined():
        return trial
    gradients = subject.backward(v, subject.forward(arguments)[1])
    for name, g in gradients.items():
        dtype = np.asarray(0 if g is None else g).dtype
        if dtype.kind not in "fiub":
            raise SubjectError(
                f"{subject.name}: the gradient of {name} is made of {dtype}, expected real numbers"
            )
    return trial._replace(gradients=gradients)


def lives_on_device(x: Any) -> bool:
    """Whether ``x`` is an array that NumPy's functions cannot take. Those of JAX they can."""
    if not is_array(x):
        return False
    module = get_array_module(x)
    return module is not np and getattr(module, "__name__", "") != "jax.numpy"


def to_host(x: Any) -> Any:
    """An array, or all arrays of a tuple or dictionary, as arrays of the host."""
    if isinstance(x, dict):
        return {k: to_host(part) for k, part in x.items()}
    if isinstance(x, tuple):
        return tuple(map(to_host, x))
    return to_numpy(x) if lives_on_device(x) else x
