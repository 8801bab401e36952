"""A derivative that was given in the place of a backward, brought to dx = <dy, dy/dx>."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from minienc.arrays import Cache, to_numpy
from minienc.verify.adapters.match import shape_of
from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, Subject, SubjectError, own


def fits_as_derivative(g: object, x: object, y: object) -> bool:
    """Whether it has the shape of the gradient of a number, of f'(x) element by element, or of a
    Jacobian."""
    shape, of_x, of_y = shape_of(g), shape_of(x), shape_of(y)
    n_x, n_y = int(np.prod(of_x)), int(np.prod(of_y))
    jacobian = shape in (of_y + of_x, (n_y, n_x))
    return jacobian or (shape in (of_x, ()) and (n_y == 1 or of_x == of_y))


def times_derivative(name: str, dy: np.ndarray, g: object, x: object) -> Any:
    """dx of one argument: dy times

    - the gradient of a number: dy g,
    - the Jacobian, of shape y.shape + x.shape, or (y.size, x.size): sum_j dy_j dy_j/dx,
    - the elementwise derivative, for x and y of one shape: dy f'(x).
    """
    if g is None:
        return None
    g, of_x, of_y = to_numpy(g), shape_of(x), shape_of(dy)
    if dy.size == 1:
        g = g.reshape(of_x) if g.shape == of_y + of_x else g
        return g * dy.reshape(())
    if g.shape == of_y + of_x:
        return np.tensordot(dy, g, dy.ndim)
    if g.shape == (dy.size, int(np.prod(of_x))):
        return (dy.ravel() @ g).reshape(of_x)
    if of_x == of_y and g.shape in (of_x, ()):
        return dy * g
    turned = "; it is the transpose" if g.shape == of_x + of_y else ""
    elementwise = f"{of_x} element by element, or " if of_x == of_y else ""
    raise SubjectError(
        f"gradcheck: the derivative by {name} has shape {g.shape}, expected {elementwise}the "
        f"Jacobian's y.shape + {name}.shape = {of_y + of_x}{turned}"
    )


def times_all(name: str, dys: Outputs, gradients: Arguments, given: Arguments) -> Arguments:
    """The same of all arguments."""
    if len(dys) != 1:
        raise SubjectError(
            f"gradcheck: {name} has {len(dys)} outputs, and its derivative is that of one; give a "
            f"backward that takes a cotangent for each"
        )
    return {k: times_derivative(k, dys[0], g, given[k]) for k, g in gradients.items()}


def where_dy_is_left_out(subject: Subject) -> Subject:
    """A loss whose ``backward(dout=1)`` does not look at dout gives the derivative for dout = 1.

    That is right where the loss comes last; it is asked of those alone that have a number for dout.
    """

    def gradients(dy: float) -> Arguments:
        y, cache = subject.forward(own(subject.arguments))
        if len(y) != 1 or y[0].size != 1:
            return {}
        return subject.backward((np.full(y[0].shape, dy),), cache)

    one, two = gradients(1.0), gradients(2.0)
    present = [k for k, g in one.items() if g is not None and np.any(to_numpy(g))]
    if not present or any(two[k] is None or np.any(to_numpy(two[k]) != one[k]) for k in present):
        return subject
    subject.notes.append(
        "the backward does not look at its cotangent: its gradients hold where this number is the "
        "last, and dy = 1"
    )
    backward: Callable = subject.backward

    def scaled(dys: Outputs, cache: Cache) -> Arguments:
        found = backward(tuple(np.ones_like(dy) for dy in dys), cache)
        return {k: None if g is None else g * dys[0].reshape(()) for k, g in found.items()}

    return replace(subject, backward=scaled)
