"""Functions: a pair of forward and backward, one that returns its own backward, and one of a
number whose gradient is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from minienc.arrays import to_numpy
from minienc.verify.adapters.arguments import (
    as_outputs,
    assign_gradients,
    describe,
    find_differentiable,
    find_unchecked,
    name_arguments,
    name_of,
    rewound,
)
from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, Subject, SubjectError


class _Function:
    """A function whose arguments have names. Every generator among them is set back before each
    call: the same noise in every evaluation."""

    def __init__(self, f: Any, args: tuple, options: dict[str, Any]) -> None:
        self.f, self.options, self.name = f, options, name_of(f)
        self.arguments = name_arguments(f, args)
        constants = getattr(f, "constants", ())
        self.differentiable = find_differentiable(self.name, self.arguments, constants)

    def __call__(self, given: Arguments) -> Any:
        values = [rewound(given[k]) for k in self.arguments]
        return self.f(*values, **{k: rewound(v) for k, v in self.options.items()})

    def subject(self, forward: Callable, backward: Callable, stopped: tuple[str, ...]) -> Subject:
        """With a backward that returns gradients in any way: by name, in order, or one alone."""

        def named(dys: Outputs, cache: Any) -> dict[str, Any]:
            found = backward(dys, cache)
            return assign_gradients(self.name, found, self.arguments, self.differentiable, stopped)

        unchecked = find_unchecked(self.f, self.arguments, self.options)
        what = self.name, self.arguments, self.differentiable
        return Subject(*what, forward, named, unchecked=unchecked, traceable=self)


def of_pair(
    f: Any, f_backward: Any, args: tuple, options: dict[str, Any], stopped: tuple[str, ...] = ()
) -> Subject:
    """``f(*args) -> y, cache`` and ``f_backward(dy, cache) -> gradients``."""
    expected = "(y, cache); for a function without a cache give gradient=..."
    return _of_two_results(f, f_backward, lambda cache: True, expected, args, options, stopped)


def of_returned_backward(
    f: Any, args: tuple, options: dict[str, Any], stopped: tuple[str, ...] = ()
) -> Subject:
    """``f(*args) -> y, backward`` and ``backward(dy) -> gradients``: a pair whose cache is its
    backward."""
    expected = "(y, backward); give its backward as the second argument, or gradient=..."
    call = lambda dy, backward: backward(dy)  # noqa: E731
    return _of_two_results(f, call, callable, expected, args, options, stopped)


def _of_two_results(
    f: Any,
    f_backward: Any,
    is_cache: Callable[[Any], bool],
    expected: str,
    args: tuple,
    options: dict[str, Any],
    stopped: tuple[str, ...],
) -> Subject:
    """What both have in common: f returns y and a second thing, which its backward is given."""
    call = _Function(f, args, options)

    def forward(given: Arguments) -> tuple[Outputs, Any]:
        result = call(given)
        if not (isinstance(result, tuple) and len(result) == 2 and is_cache(result[1])):
            raise SubjectError(f"{call.name} returned a {describe(result)}, expected {expected}")
        y, cache = result
        return as_outputs(y), (cache, isinstance(y, (tuple, list)))

    def backward(dys: Outputs, cache: Any) -> Any:
        inner, several = cache
        first = dys[0][()] if dys[0].ndim == 0 else dys[0]  # a number's cotangent is a number
        return f_backward(dys if several else first, inner)

    subject = call.subject(forward, backward, stopped)
    subject.traceable = lambda given: call(given)[0]
    return subject


def of_given_gradient(
    f: Any, gradient: Any, args: tuple, options: dict[str, Any], stopped: tuple[str, ...] = ()
) -> Subject:
    """``f(*args) -> a number`` and its gradient: a function of the same arguments, or arrays."""
    call = _Function(f, args, options)

    def forward(given: Arguments) -> tuple[Outputs, Any]:
        outputs = as_outputs(call(given))
        if len(outputs) != 1 or outputs[0].size != 1:
            raise SubjectError(
                f"{call.name} returned {describe(outputs[0])}, expected a number, as "
                f"gradient= is for functions of one; for arrays give a backward(dy, cache)"
            )
        return outputs, given

    def backward(dys: Outputs, given: Any) -> Any:
        return gradient(*given.values(), **options) if callable(gradient) else gradient

    def scaled(dys: Outputs, given: Any) -> dict[str, Any]:
        dy = float(dys[0].reshape(()))
        found = subject.backward(dys, given)
        return {k: None if g is None else to_numpy(g) * dy for k, g in found.items()}

    subject = call.subject(forward, backward, stopped)
    return replace(subject, backward=scaled, fixed=not callable(gradient), has_samples=False)
