"""An object of somebody's class: a forward, a backward, and gradients left on itself or returned.

    y = layer.forward(x);  dx = layer.backward(dy);  layer.dW

Forward and backward may have other names (``METHODS``) and be called in other ways (``calls``); the
weights and their gradients are found by ``weights``. Every call runs on a copy of the object: so
its running statistics and its generator are the same in each, and no call finds another's cache.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import MethodType
from typing import Any

import numpy as np

from minienc.arrays import Cache
from minienc.verify.adapters.arguments import (
    as_outputs,
    find_unchecked,
    floating,
    is_number,
    name_arguments,
    name_of,
    rewound,
)
from minienc.verify.adapters.calls import Way, find_way, ones_like, rate_of, signature_of
from minienc.verify.adapters.derivatives import (
    fits_as_derivative,
    times_all,
    where_dy_is_left_out,
)
from minienc.verify.adapters.match import Matcher, Wanted, fits, flatten
from minienc.verify.adapters.paths import at, spelled, tensors
from minienc.verify.adapters.trees import Inputs, Leaf, take_apart
from minienc.verify.adapters.weights import Run, Weight, built, find_moved, find_weights, set_rates
from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, Subject, SubjectError, own

METHODS = (
    # what runs forward, and what runs backward through it: the first of each that an object has
    (
        "forward fprop forward_pass forward_propagation forward_prop forwardprop feedforward "
        "feed_forward propagate call __call__ predict",
        "backward bprop backprop backward_pass backpropagation backpropagate backward_propagation "
        "backward_prop back_prop back_propagate back",
    ),
    # what computes, and what computes its derivative
    (
        "loss cost objective value fun fn f function calc calculate activation activate compute "
        "evaluate forward __call__",
        "grad gradient gradients derivative deriv prime jac jacobian df d dloss loss_grad "
        "loss_gradient loss_derivative backward grads",
    ),
)


def find_methods(obj: object) -> tuple[str, str] | None:
    """What of an object, or of a class, is called forward and backward."""
    for pair in METHODS:
        have = [[name for name in names.split() if _has(obj, name)] for names in pair]
        if all(have):
            return have[0][0], have[1][0]
    return None


def find_loss(obj: object) -> Callable | None:
    """A method that may return (loss, gradients), of an object without a backward."""
    names = ("loss", "cost", "objective", "loss_and_grad", "loss_and_gradients", "cost_function")
    found = [getattr(obj, name) for name in names if _has(obj, name)]
    return found[0] if found and not isinstance(obj, type) else None


def returns_loss(f: Callable, args: tuple, options: dict[str, Any]) -> bool:
    """Whether it is an object's method that returns a number and what is no backward."""
    if not isinstance(f, MethodType) or isinstance(f.__self__, type):
        return False
    try:
        one = copy.deepcopy(f.__self__)
        result = f.__func__(one, *copy.deepcopy(args), **copy.deepcopy(options))
    except Exception:  # it is told where it is called to be checked
        return False
    is_pair = isinstance(result, tuple) and len(result) == 2
    return is_pair and is_number(result[0]) and not callable(result[1])


def of_loss_method(
    f: Any, args: tuple, options: dict[str, Any], stopped: tuple[str, ...]
) -> Subject:
    """``loss, gradients = net.loss(x, t)``: a pair whose cache is what the backward returns."""

    def gradients(self: object, cache: Cache) -> Any:
        return cache

    return of_object(f.__self__, args, options, stopped, (f.__func__, gradients))


def _has(obj: object, name: str) -> bool:
    if name == "__call__":  # every class can be called; its objects if it says so
        return any(
            "__call__" in vars(c) for c in (obj if isinstance(obj, type) else type(obj)).__mro__
        )
    return callable(getattr(obj, name, None))


Methods = tuple[Any, Any]  # by name, or the functions that methods are of a class


class _Object:
    """An object, what it is given, and how its methods are called."""

    def __init__(self, obj: Any, methods: Methods, args: tuple, options: dict) -> None:
        self.obj, self.methods, self.options = obj, methods, options
        self.name, self.backward_name = name_of(obj), name_of(self.method(obj, 1))
        named = name_arguments(self.method(obj, 0), args)
        self.inputs: Inputs = take_apart(named)
        self.rates = rate_of(self.method(obj, 1))
        self.moves_weights = False  # the backward does, with its object's learning rate
        self.way: Way | None = None

    def method(self, one: object, which: int) -> Callable:
        name = self.methods[which]
        return getattr(one, name) if isinstance(name, str) else name.__get__(one)

    def forward(self, one: object, values: Arguments) -> Any:
        options = {k: rewound(v) for k, v in self.options.items()}
        return self.method(one, 0)(*values.values(), **options)

    def backward(self, one: Any, dys: Outputs, result: Any, values: Arguments) -> Any:
        assert self.way is not None
        if self.moves_weights:
            set_rates(one)
        f = self.method(one, 1)
        call = (lambda *args: f(*args, **self.rates)) if self.rates else f
        return self.way.call(call, dys, result, values)

    def values(self, given: Arguments) -> Arguments:
        return {k: rewound(v) for k, v in self.inputs.values(given).items()}

    def learn_way(self) -> None:
        """See how the backward is called."""
        one, values = copy.deepcopy(self.obj), self.values(own(self.inputs.leaves))
        result = self.forward(one, values)
        f = self.method(one, 1)

        def accepts(way: Way, found: object) -> bool:
            """It leaves its gradients, or the first ones that it returns are shaped as inputs."""
            parts, y = flatten(found), way.outputs(result)
            xs = [self.inputs.leaves[k] for k in floating(self.inputs.leaves)]
            if found is None or isinstance(found, dict):
                return True
            some = [(g, x) for g, x in zip(parts, xs, strict=False) if g is not None]
            test = fits if way.takes_dy else lambda g, x: fits_as_derivative(g, x, y)
            return bool(parts) and all(test(g, x) for g, x in some)

        call = _on_copies(f, lambda: self.method(copy.deepcopy(one), 1))
        self.way = find_way(call, result, values, accepts, self.method(one, 0))

    def outputs(self, result: object) -> Any:
        return self.way.outputs(result) if self.way else result

    def run(self) -> Run:
        """On the arguments of the check."""
        results: dict[int, Any] = {}

        def forward(one: object) -> Outputs:
            values = self.values(own(self.inputs.leaves))
            results[id(one)] = self.forward(one, values), values
            y = self.outputs(results[id(one)][0])
            return _first_outputs(y)

        def backward(one: Any, dy: float) -> Any:
            result, values = results[id(one)]
            ones = map(ones_like, as_outputs(self.outputs(result)))
            return self.backward(one, tuple(dy * c for c in ones), result, values)

        return Run(forward, backward)


def _first_outputs(y: object) -> Outputs:
    """Before it is known which part of a result is y: what of it are arrays."""
    if isinstance(y, tuple):
        y = tuple(part for part in y if hasattr(part, "dtype") or isinstance(part, (int, float)))
    return as_outputs(y)


def _on_copies(f: Callable, anew: Callable[[], Callable]) -> Callable:
    """A method that runs on another copy of its object each time, for it may use up what the
    forward left."""

    class Call:
        __name__, of_object = name_of(f), True
        __signature__ = signature_of(f)

        def __call__(self, *args: object) -> Any:
            return anew()(*args, **rate_of(f))

    return Call()


def of_object(
    obj: object,
    args: tuple,
    options: dict[str, Any] | None = None,
    stopped: tuple[str, ...] = (),
    methods: Methods | None = None,
) -> Subject:
    """An object with these methods, or with a pair of ``METHODS``."""
    methods = methods or find_methods(obj)
    assert methods is not None
    call = _Object(obj, methods, args, options or {})
    if found := [spelled(path) for path in tensors(obj)]:
        raise SubjectError(
            f"gradcheck: {call.name} keeps tensors ({', '.join(found[:4])}), which are not taken "
            f"for weights; give a pair of functions whose weights are arguments"
        )
    call.obj = built(obj, call.run())
    call.learn_way()
    left, alone, notes = find_weights(call.obj, call.run())
    match, returned = _match_returned(call, left, alone, stopped)
    alone = [w for w in alone if w.name not in returned]
    moved = _find_moved(call, alone)
    notes += [f"the gradient of {w.name} is read off its update, with a rate of 1" for w in moved]
    kept = [*left, *moved, *(w for w in returned.values() if w not in left)]
    names = {w.name for w in kept}
    leaves = call.inputs.leaves
    arguments = {**leaves, **{w.name: _as_array(at(call.obj, w.places[0])) for w in kept}}
    known = match.wanted.differentiable if match else ()
    without = [k for k in floating(leaves) if k not in known]
    differentiable = tuple(k for k in floating(arguments) if k not in without)
    subject = _subject(call, kept, match, arguments, differentiable)
    subject.stopped, subject.inputs = call.inputs.under(stopped), call.inputs
    subject.notes = [*call.inputs.notes, *notes, *(match.notes if match else [])]
    subject.unchecked = find_unchecked(call.method(obj, 0), leaves, call.options)
    for w in alone:
        if w.name not in names:
            subject.unchecked[w.name] = "changes the outputs, and no gradient stands beside it"
    for k in without:
        subject.unchecked[k] = f"has no gradient: {call.backward_name} returns none"
    assert call.way is not None
    return where_dy_is_left_out(subject) if call.way.may_leave_dy else subject


def _find_moved(call: _Object, alone: list[Weight]) -> list[Weight]:
    """Weights that the backward moves by itself."""
    call.moves_weights = True
    own_rates = set_rates(copy.deepcopy(call.obj))
    moved = find_moved(call.obj, alone, call.run(), [*call.rates, *own_rates])
    call.moves_weights = bool(moved)
    return moved


def _match_returned(
    call: _Object, left: list[Weight], alone: list[Weight], stopped: tuple[str, ...]
) -> tuple[Matcher | None, dict[str, Weight]]:
    """What the backward returns: gradients of the inputs; of weights, too; or of those alone."""
    assert call.way is not None
    run, one = call.run(), copy.deepcopy(call.obj)
    run.forward(one)
    returned = run.backward(one, 1.0)
    if returned is None:
        return None, {}
    refusal = None
    for inputs, weights in (
        (call.inputs, []),
        (call.inputs, alone),
        (None, alone),
        (call.inputs, [*left, *alone]),
        (None, [*left, *alone]),
    ):
        trees, leaves = (inputs.trees, inputs.leaves) if inputs else ({}, {})
        trees = {**trees, **{w.name: Leaf(w.name) for w in weights}}
        leaves = {**leaves, **{w.name: _as_array(at(call.obj, w.places[0])) for w in weights}}
        if not floating(leaves):
            continue
        whose = f"{call.name}.{call.backward_name}"
        wanted = Wanted(whose, trees, leaves, floating(leaves), call.inputs.under(stopped))
        matcher = Matcher(wanted)
        try:
            matcher.learn_order(returned)
            found = matcher(returned)
        except SubjectError as error:
            refusal = error if inputs else refusal  # the longest list of what was expected
            continue
        misfit = any(g is not None and not fits(g, leaves[k]) for k, g in found.items())
        if misfit and call.way.takes_dy and weights:
            continue
        return matcher, {w.name: w for w in weights}
    if refusal is None:
        return None, {}
    raise refusal


def _subject(
    call: _Object,
    weights: list[Weight],
    match: Matcher | None,
    arguments: Arguments,
    differentiable: tuple[str, ...],
) -> Subject:
    way = call.way
    assert way is not None

    def forward(given: Arguments) -> tuple[Outputs, Any]:
        one = copy.deepcopy(call.obj)
        for w in weights:
            w.put(one, given[w.name])
        values = call.values(given)
        result = call.forward(one, values)
        return as_outputs(call.outputs(result)), (one, result, values, given)

    def backward(dys: Outputs, cache: Cache) -> Arguments:
        kept, result, values, given = cache
        one, result = copy.deepcopy((kept, result))
        for w in weights:
            w.clear(one)
        before = {w.name: at(kept, w.places[0]) for w in weights if w.is_moved}
        returned = call.backward(one, dys, result, values)
        found = match(returned) if match else {}
        if not way.takes_dy:
            found = times_all(call.name, dys, found, given)
        left = {w.name: w.gradient(one, before.get(w.name)) for w in weights if w.name not in found}
        if not way.takes_dy:  # what is left is that of a number, too
            left = times_all(call.name, dys, left, given)
        return {k: {**found, **left}.get(k) for k in differentiable}

    return Subject(call.name, arguments, differentiable, forward, backward)


def _as_array(x: object) -> Any:
    return np.array(x) if isinstance(x, float) else x
