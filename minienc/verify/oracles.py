"""Second opinions on a derivative, from sources that are not differences.

*Complex step.* For an analytic f, f(x + i h d) = f(x) + i h f'(x) d - O(h^2): the imaginary part
over h is the derivative, and nothing was subtracted, so with h = 1e-100 it is exact to rounding
(Squire and Trapp 1998, "Using complex variables to estimate derivatives of real functions"). It
needs a forward that takes complex numbers and treats them as mathematics does: |x| does not.

*Automatic differentiation.* Where JAX is installed and the forward takes its arrays,
``jax.vjp`` differentiates the very lines that were written.

An oracle may be wrong where a function does not qualify, so it is believed only where it agrees
with differences; then it can decide what lies below their noise.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minienc.verify.subject import Arguments, Outputs, Subject

EPS = float(np.finfo(np.float64).eps)
TINY = 1e-100  # any step will do whose square is lost beside 1


class Answer(NamedTuple):
    """A derivative, and what rounding may have done to it."""

    value: float
    rounding: float


class Oracle(NamedTuple):
    """Derivatives of <v, y> from another source; or the reason why it has none."""

    name: str
    along: Callable[[str, np.ndarray], Answer] | None  # of an argument and a direction
    reason: str = ""


def complex_step(subject: Subject, arguments: Arguments, v: Outputs) -> Oracle:
    """The oracle by complex steps, where the forward takes complex numbers."""
    name = "complex step"

    as_complex = {
        k: a.astype(complex) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a
        for k, a in arguments.items()
    }

    def along(argument: str, direction: np.ndarray) -> Answer:
        moved = {**as_complex, argument: as_complex[argument] + 1j * TINY * direction}
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error")  # of an imaginary part that is thrown away
            y = subject.outputs(moved)
        if not any(np.iscomplexobj(part) for part in y):
            raise TypeError("the outputs are real for a complex argument")
        terms = [c * np.imag(part) / TINY for c, part in zip(v, y, strict=True)]
        size = sum(float(np.sum(np.abs(term))) for term in terms)
        return Answer(sum(float(np.sum(term)) for term in terms), 64 * EPS * size)

    for argument in subject.differentiable:
        x = arguments[argument]
        if x.size == 0:
            continue
        try:
            along(argument, np.ones(x.shape))
        except Exception as error:  # whatever it raises, it does not qualify
            return Oracle(name, None, f"the forward does not take complex numbers: {_first(error)}")
    return Oracle(name, along)


def jax_vjp(subject: Subject, arguments: Arguments, v: Outputs) -> Oracle:
    """The oracle by ``jax.vjp`` of the same forward, in float64."""
    name = "jax.vjp"
    if importlib.util.find_spec("jax") is None:
        return Oracle(name, None, "JAX is not installed")
    if subject.traceable is None:
        return Oracle(name, None, "only a function that is given arrays can be traced")
    import jax

    traceable = subject.traceable
    variables = {k: arguments[k] for k in subject.differentiable}
    constants = {
        k: jax.numpy.asarray(a) if isinstance(a, np.ndarray) else a
        for k, a in arguments.items()
        if k not in variables
    }

    def forward(given: Arguments) -> tuple:
        y = traceable({**arguments, **constants, **given})
        return tuple(y) if isinstance(y, (tuple, list)) else (y,)

    try:
        with jax.enable_x64(True):
            y, vjp = jax.vjp(forward, {k: jax.numpy.asarray(a) for k, a in variables.items()})
            (found,) = vjp(
                tuple(
                    jax.numpy.asarray(c, part.dtype).reshape(part.shape)
                    for c, part in zip(v, y, strict=True)
                )
            )
        gradients = {k: np.asarray(g, dtype=np.float64) for k, g in found.items()}
    except Exception as error:  # a forward that needs NumPy itself, and JAX says so in many ways
        return Oracle(name, None, f"the forward cannot be traced: {_first(error)}")

    def along(argument: str, direction: np.ndarray) -> Answer:
        terms = gradients[argument] * direction
        return Answer(float(np.sum(terms)), 64 * EPS * float(np.sum(np.abs(terms))))

    return Oracle(name, along)


def _first(error: Exception) -> str:
    """The first line of what an exception says."""
    says = str(error).strip().splitlines()
    line = says[0] if says else type(error).__name__
    return line if len(line) <= 120 else line[:117] + "..."


def consult(
    oracle: Oracle, argument: str, seen: list[tuple[np.ndarray, Any]], is_wrong: Callable
) -> tuple[list[Answer] | None, str]:
    """What an oracle says along directions that were measured; None if differences contradict it.

    Parameters
    ----------
    seen : list of (direction, Derivative)
    is_wrong : function (number, Derivative) -> bool
        The judgement that a claimed gradient gets, too.
    """
    assert oracle.along is not None
    values = []
    for direction, d in seen:
        answer = oracle.along(argument, direction)
        if is_wrong(answer.value, d):
            return None, (
                f"along one direction of {argument} it gives {answer.value:.6g}, differences "
                f"{d.value:.6g}"
            )
        values.append(answer)
    return values, ""
