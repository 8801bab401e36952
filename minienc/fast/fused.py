"""The activations that a kernel computes, alone or in a dense layer: one table for all kernels."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from minienc.functions import activations as f
from minienc.primitive import Primitive

# In the order of their codes, in kernels/kernels.h as in cuda.cu. softmax is not here: it needs
# whole rows, and a tile of the product holds a part of some.
NAMES = ("identity", "relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "gelu")

_FUNCTIONS = vars(f)  # looked up at each call: a module that is loaded again has another table


def fused_activations(codes: Mapping[str, int]) -> dict[Primitive, tuple[int, float, Any]]:
    """An activation's forward -> (its code, its parameter if it has one, what makes a cache of y).

    A dense layer calls the activation by its name alone, so the parameter has its default. gelu's
    cache is not made of y: None.
    """
    parameters = {"leaky_relu": f.NEGATIVE_SLOPE, "elu": f.ALPHA}
    return {
        f.ACTIVATIONS[name]: (codes[name], parameters.get(name, 0.0), f.CACHE_OF_OUTPUT.get(name))
        for name in NAMES
    }


def fused(table: Mapping[Primitive, Any], activation: Any) -> tuple[int, float, Any] | None:
    """What the table has for an activation by this name, as ``get_activation`` finds it now.

    None where a kernel cannot take its place: it is another one, was edited, or is none at all.
    """
    try:
        pair = _FUNCTIONS["ACTIVATIONS"]["identity" if activation is None else activation]
    except (KeyError, TypeError):
        return None
    return None if pair.runs_as_written else table.get(pair)


def register_activations(
    register: Callable[[Callable], Any],
    codes: Mapping[str, int],
    forward: Callable[..., Any],
    backward: Callable[..., Any],
) -> None:
    """Register twins of the activations.

    ``forward(x, code, alpha)`` gives y, ``backward(dy, y, code, alpha)`` dx (gelu's takes x for y);
    or None for arrays that are not served. ``alpha`` is the parameter of an activation that has
    one.
    """
    for definition, (code, alpha, cache_of) in fused_activations(codes).items():
        if code == codes["identity"]:  # nothing to compute
            continue
        has_alpha = alpha > 0
        register(_forward(definition, code, alpha, forward, cache_of, has_alpha))
        register(_backward(definition.backward, code, alpha, backward, has_alpha))


def _forward(
    definition: Primitive, code: int, alpha: float, compute: Any, cache_of: Any, has_alpha: bool
) -> Callable:
    @functools.wraps(definition.definition)
    def twin(x, *given, **named):
        value = (*given, *named.values(), alpha)[0]
        if has_alpha and not (type(value) is float and value > 0):
            return NotImplemented  # the definition says what is wrong with it
        y = compute(x, code, value)
        if y is None:
            return NotImplemented
        cache = f.GeluCache(x) if cache_of is None else cache_of(y)
        return y, cache if value == alpha else cache._replace(**{cache._fields[1]: value})

    return twin


def _backward(
    definition: Primitive, code: int, alpha: float, compute: Any, has_alpha: bool
) -> Callable:
    @functools.wraps(definition.definition)
    def twin(dy, cache):
        dx = compute(dy, cache[0], code, cache[1] if has_alpha else alpha)
        return NotImplemented if dx is None else dx

    return twin
