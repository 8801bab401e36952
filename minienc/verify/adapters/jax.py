"""JAX: functions of its arrays, and its differentiation as an oracle for others."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from minienc.verify.adapters.arguments import find_differentiable, name_inputs, name_of
from minienc.verify.adapters.complexstep import first_line
from minienc.verify.line import Outputs
from minienc.verify.measure import Direction
from minienc.verify.oracles import Answer, Oracle, add_up
from minienc.verify.subject import Arguments, Subject, Trial


def is_of_jax(x: object) -> bool:
    """Whether it is an array or a function of JAX."""
    return any(cls.__module__.partition(".")[0] in ("jax", "jaxlib") for cls in type(x).__mro__)


def of_jax(f: Callable, args: tuple, options: dict[str, Any]) -> Subject:
    """A function of JAX arrays, differentiated by ``jax.vjp``: which finds a ``custom_vjp`` that is
    wrong."""
    arguments = name_inputs([np.array(x) if hasattr(x, "shape") else x for x in args])
    differentiable = find_differentiable(name_of(f), arguments)

    def forward(given: Arguments) -> tuple[Outputs, Any]:
        ys, vjp = _vjp(lambda a: f(*a.values(), **options), given, differentiable)
        return tuple(np.array(y) for y in ys), vjp

    def backward(dys: Outputs, vjp: Callable) -> dict[str, Any]:
        return vjp(dys)

    return Subject(name_of(f), arguments, differentiable, forward, backward)


def jax_vjp(trial: Trial) -> Oracle:
    """The oracle by ``jax.vjp`` of the same forward, in float64."""
    name, traceable = "jax.vjp", trial.subject.traceable
    if importlib.util.find_spec("jax") is None:
        return Oracle(name, None, "JAX is not installed")
    if traceable is None:
        return Oracle(name, None, "only a function that is given arrays can be traced")
    try:
        _, vjp = _vjp(traceable, trial.arguments, trial.subject.differentiable)
        gradients = vjp(trial.v)
    except Exception as error:  # a forward that needs NumPy itself, and JAX says so in many ways
        return Oracle(name, None, f"the forward cannot be traced: {first_line(error)}")

    def ask(direction: Direction) -> Answer:
        return add_up([np.asarray(gradients[direction.name], np.float64) * direction.vector])

    return Oracle(name, ask)


def _vjp(
    f: Callable[[Arguments], Any], given: Arguments, differentiable: tuple[str, ...]
) -> tuple[tuple, Callable[[Outputs], dict[str, Any]]]:
    """The outputs, and a function from their cotangents to the gradients, as NumPy's arrays."""
    import jax

    def forward(variables: Arguments) -> tuple:
        y = f({**arrays, **variables})
        return tuple(y) if isinstance(y, (tuple, list)) else (y,)

    def backward(dys: Outputs) -> dict[str, Any]:
        with jax.enable_x64(True):
            cotangents = tuple(
                jax.numpy.asarray(dy, y.dtype).reshape(y.shape)
                for dy, y in zip(dys, ys, strict=True)
            )
            return {k: np.array(g) for k, g in vjp(cotangents)[0].items()}

    with jax.enable_x64(True):
        arrays = {
            k: jax.numpy.asarray(a) if isinstance(a, np.ndarray) else a for k, a in given.items()
        }
        ys, vjp = jax.vjp(forward, {k: arrays[k] for k in differentiable})
    return ys, backward
