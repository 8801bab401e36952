"""An object of a course's class: ``forward(x)``, ``backward(dy)``, and gradients left on itself."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from minienc.verify.adapters.arguments import as_outputs, floating, name_inputs
from minienc.verify.adapters.weights import at, find_weights
from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, Subject, SubjectError


def of_object(obj: Any, args: tuple) -> Subject:
    """``y = obj.forward(x)``, ``dx = obj.backward(dy)``, and gradients left on the object.

    A weight is an array attribute ``W`` beside ``dW``, ``grad_W`` or ``W_grad``, an entry of
    ``params`` (a list or a dictionary) beside one of ``grads``, or ``W.data`` beside ``W.grad``; of
    the object itself or of its parts (``weights``). Every call runs on a copy of the object: so its
    running statistics and its generator are the same in each, and no call finds another's cache.
    """
    if isinstance(obj, type):
        raise SubjectError(
            f"gradcheck: {obj.__name__} is a class; give an object of it: {obj.__name__}(...)"
        )
    name = type(obj).__name__
    obj, weights, unchecked, notes = find_weights(obj, args)
    inputs = name_inputs(args)
    arguments = {**inputs, **{w.name: _as_array(at(obj, w.places[0])) for w in weights}}

    def forward(given: Arguments) -> tuple[Outputs, Any]:
        one = copy.deepcopy(obj)
        for w in weights:
            w.put(one, given[w.name])
        y = one.forward(*[given[k] for k in inputs])
        return as_outputs(y), (one, isinstance(y, (tuple, list)))

    def backward(dys: Outputs, cache: Any) -> dict[str, Any]:
        one, several = copy.deepcopy(cache)
        for w in weights:
            w.clear(one)
        dx = one.backward(dys if several else dys[0])
        dxs = dx if isinstance(dx, (tuple, list)) else (dx,)
        if len(dxs) != len(inputs):
            raise SubjectError(
                f"{name}.backward returned {len(dxs)} gradient(s), expected {len(inputs)}: one for "
                f"each input of forward"
            )
        found = dict(zip(inputs, dxs, strict=True))
        return {**found, **{w.name: w.gradient(one) for w in weights}}

    what = name, arguments, floating(arguments)
    return Subject(*what, forward, backward, unchecked=unchecked, notes=notes)


def _as_array(x: Any) -> Any:
    return np.array(x) if isinstance(x, float) else x
