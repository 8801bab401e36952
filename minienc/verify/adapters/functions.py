"""Functions: a pair of forward and backward, and one that comes with its gradient alone."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from minienc.arrays import Cache
from minienc.verify.adapters.arguments import (
    as_outputs,
    describe,
    find_differentiable,
    find_unchecked,
    is_number,
    name_arguments,
    name_of,
    rewound,
)
from minienc.verify.adapters.calls import CALLS, Way, find_way, takes_by_name
from minienc.verify.adapters.derivatives import (
    fits_as_derivative,
    times_all,
    where_dy_is_left_out,
)
from minienc.verify.adapters.match import Matcher, Wanted, fits
from minienc.verify.adapters.trees import take_apart
from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, Subject, SubjectError, own

CONTRACT = Way(*CALLS[0])


class _Function:
    """A function whose arguments have names. Every generator among them is set back before each
    call: the same noise in every evaluation."""

    def __init__(
        self, f: Callable, args: tuple, options: dict[str, Any], stopped: tuple[str, ...]
    ) -> None:
        self.f, self.options, self.name = f, options, name_of(f)
        self.inputs = take_apart(name_arguments(f, args))
        self.arguments, trees = self.inputs.leaves, self.inputs.trees
        constants = self.inputs.under(tuple(getattr(f, "constants", ())))
        differentiable = find_differentiable(self.name, self.arguments, constants)
        self.stopped = self.inputs.under(stopped)
        wanted = Wanted(self.name, trees, self.arguments, differentiable, self.stopped)
        self.match = Matcher(wanted)

    def values(self, given: Arguments) -> Arguments:
        """What it is called with, by name."""
        return {k: rewound(v) for k, v in self.inputs.values(given).items()}

    def __call__(self, values: Arguments) -> Any:
        return self.f(*values.values(), **{k: rewound(v) for k, v in self.options.items()})

    def once(self) -> tuple[Any, Arguments]:
        """What it returns here, and what it was called with."""
        values = self.values(own(self.arguments))
        return self(values), values

    def accepts(self, found: object, y: object, takes_dy: bool) -> bool:
        """Whether all of these gradients are somebody's, and have the shape for it."""
        try:
            self.match.learn_order(found)
            matched = self.match(found)
        except SubjectError:
            return False
        return all(
            g is None
            or (
                fits(g, self.arguments[k])
                if takes_dy
                else fits_as_derivative(g, self.arguments[k], y)
            )
            for k, g in matched.items()
        )

    def subject(
        self,
        outputs: Callable[[Any], Any],
        backward: Callable[[Outputs, Any, Arguments], Any],
        is_derivative: bool = False,
        note: str = "",
    ) -> Subject:
        """With ``outputs(result)``, what of it is y, and ``backward(dys, result, values)``."""

        def forward(given: Arguments) -> tuple[Outputs, Any]:
            values = self.values(given)
            result = self(values)
            return as_outputs(outputs(result)), (result, values, given)

        def named(dys: Outputs, cache: Cache) -> Arguments:
            result, values, given = cache
            found = self.match(backward(dys, result, values))
            return times_all(self.name, dys, found, given) if is_derivative else found

        what = self.name, self.arguments, self.match.wanted.differentiable
        subject = Subject(*what, forward, named, stopped=self.stopped)
        subject.has_samples, subject.inputs = not is_derivative, self.inputs
        subject.unchecked = find_unchecked(self.f, self.arguments, self.options)
        subject.traceable = lambda given: outputs(self(self.values(given)))
        subject.notes = [*self.inputs.notes, *([note] if note else []), *self.match.notes]
        return subject


def of_pair(
    f: Callable,
    f_backward: Callable,
    args: tuple,
    options: dict[str, Any],
    stopped: tuple[str, ...] = (),
) -> Subject:
    """``f(*args) -> y, cache`` and ``f_backward(dy, cache) -> gradients``; or another row of
    ``calls.CALLS``."""
    call = _Function(f, args, options, stopped)
    way, note = CONTRACT, ""
    if getattr(f, "backward", None) is not f_backward:  # not this library's own
        result, values = call.once()
        accepts = lambda way, found: call.accepts(found, way.outputs(result), way.takes_dy)  # noqa: E731
        way = find_way(f_backward, result, values, accepts, f)
        note = "" if way[:2] == CONTRACT[:2] else way.told(f_backward, f)

    def outputs(result: object) -> Any:
        if "cache" in way.gives and not (isinstance(result, tuple) and len(result) > 1):
            raise SubjectError(f"{call.name} returned a {describe(result)}, expected (y, cache)")
        return way.outputs(result)

    backward = functools.partial(way.call, f_backward)
    subject = call.subject(outputs, backward, not way.takes_dy, note)
    subject.shares_cache = way.takes in ("dy", "*dy", "dys")  # so it must be outside
    return where_dy_is_left_out(subject) if way.may_leave_dy else subject


def of_given_gradient(
    f: Callable,
    gradient: object,
    args: tuple,
    options: dict[str, Any],
    stopped: tuple[str, ...] = (),
) -> Subject:
    """``f(*args) -> y`` and its derivative: a function of the same arguments, or arrays. Of a
    number it is the gradient; of arrays f' element by element, or the Jacobian."""
    call = _Function(f, args, options, stopped)
    names = tuple(call.inputs.trees)
    by_name = takes_by_name(gradient, names) if callable(gradient) else ()

    def derivative(dys: Outputs, result: object, values: Arguments) -> Any:
        if not callable(gradient):
            return gradient
        xs = [values[k] for k in by_name] if by_name else values.values()
        return gradient(*xs, **options)

    def one(result: object) -> Any:
        if isinstance(result, (tuple, list)):
            raise SubjectError(
                f"{call.name} returned a {describe(result)}, expected y alone beside gradient=; if "
                f"it is (y, gradient), write gradient=True; if (y, cache), give its backward as "
                f"the second argument"
            )
        return result

    subject = call.subject(one, derivative, is_derivative=True)
    result, values = call.once()
    found = derivative((), result, values)
    if call.accepts(found, one(result), takes_dy=False):
        subject.notes += call.match.notes
    return replace(subject, fixed=not callable(gradient))


RETURNS = (
    # a function that comes with its gradient returns
    ("y, backward", lambda result: (result[:-1], result[-1])),
    ("y, gradients", lambda result: (result[:1], result[1:])),  # scipy's jac=True, CS231n's losses
    ("gradients, y", lambda result: (result[-1:], result[:-1])),
)


def of_returned(
    f: Callable,
    args: tuple,
    options: dict[str, Any],
    stopped: tuple[str, ...] = (),
    is_gradient: bool = False,
) -> Subject:
    """``f(*args) -> y, backward``, with ``backward(dy) -> gradients``; or ``(loss, gradients)``."""
    call = _Function(f, args, options, stopped)
    result, _ = call.once()
    if isinstance(result, (tuple, list)) and len(result) > 1:
        if callable(result[-1]):
            return _of_returned_backward(call, result)
        for text, split in RETURNS[1:]:
            (y, *_), gradients = split(tuple(result))
            shaped = call.accepts(_alone(gradients), y, takes_dy=False)
            if shaped and is_number(y, arrays=is_gradient):
                return _of_returned_gradients(call, text, split)
        if is_gradient:
            return _of_returned_gradients(call, *RETURNS[1])
        if is_number(result[0]):
            call.match(_alone(tuple(result[1:])))  # which says what is missing, if that is all
    raise SubjectError(
        f"{call.name} returned a {describe(result)}, expected (y, backward) or (loss, gradients); "
        f"give its backward as the second argument, or gradient=..."
    )


def _of_returned_backward(call: _Function, result: object) -> Subject:
    split = lambda result: (_alone(tuple(result[:-1])), result[-1])  # noqa: E731
    y, inner = split(result)
    accepts = lambda way, found: call.accepts(found, way.outputs(y), way.takes_dy)  # noqa: E731
    way = find_way(inner, y, {}, accepts, call.f)

    def outputs(result: object) -> Any:
        return way.outputs(split(result)[0])

    def backward(dys: Outputs, result: object, values: Arguments) -> Any:
        y, inner = split(result)
        return way.call(inner, dys, y, {})

    subject = call.subject(outputs, backward, not way.takes_dy)
    return where_dy_is_left_out(subject) if way.may_leave_dy else subject


def _of_returned_gradients(call: _Function, text: str, split: Callable) -> Subject:
    note = f"{call.name} was taken to return ({text})"
    return call.subject(
        lambda result: split(tuple(result))[0][0],
        lambda dys, result, values: _alone(split(tuple(result))[1]),
        is_derivative=True,
        note=note,
    )


def _alone(parts: tuple) -> Any:
    return parts[0] if len(parts) == 1 else parts


def is_function(f: object) -> bool:
    """A function, not an object of somebody's class."""
    return inspect.isroutine(f) or isinstance(f, functools.partial) or type(f).__name__ == "ufunc"
