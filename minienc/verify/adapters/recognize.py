"""Telling by its kind what was given to ``gradcheck``."""

from __future__ import annotations

from typing import Any

import numpy as np

from minienc.layers.base import Layer
from minienc.training.losses import Loss
from minienc.verify.adapters.arguments import as_outputs, rewound
from minienc.verify.adapters.devices import find_device, run_on
from minienc.verify.adapters.functions import of_given_gradient, of_pair, of_returned_backward
from minienc.verify.adapters.jax import is_of_jax, of_jax
from minienc.verify.adapters.layers import of_layer, of_model_with_loss
from minienc.verify.adapters.objects import of_object
from minienc.verify.adapters.pytorch import is_of_torch, of_torch
from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, Subject, SubjectError


def make_subject(
    what: Any,
    args: tuple,
    *,
    gradient: Any = None,
    targets: Any = None,
    surrogate: Any = None,
    stop_gradient: str | tuple[str, ...] = (),
    options: dict[str, Any],
) -> Subject:
    """The subject that ``gradcheck(what, *args, ...)`` means."""
    stopped = (stop_gradient,) if isinstance(stop_gradient, str) else tuple(stop_gradient)
    own = {} if targets is None else {"targets": targets}
    device = find_device(what, args, {**own, **options})
    subject = _by_kind(what, args, gradient, targets, options, stopped)
    subject.stopped = stopped
    for name in stopped:
        if name not in subject.arguments and name not in subject.unchecked:
            raise SubjectError(
                f"gradcheck: stop_gradient names {name!r}, expected one of "
                f"{', '.join(subject.arguments)}"
            )
    subject.unchecked = {k: why for k, why in subject.unchecked.items() if k not in stopped}
    _replay_global_noise(subject)
    if surrogate is not None:
        _put_in_place(subject, surrogate, options)
    return subject if device == "cpu" else run_on(subject, device)


def _by_kind(
    what: Any,
    args: tuple,
    gradient: Any,
    targets: Any,
    options: dict[str, Any],
    stopped: tuple[str, ...],
) -> Subject:
    if isinstance(what, Layer):
        if getattr(what, "optimizer", None) is not None and (len(args) > 1 or targets is not None):
            return of_model_with_loss(what, args, targets)
        return of_layer(what, args, options)
    if isinstance(what, Loss):
        return of_pair(what.pair, what.pair.backward, args, {**what.options, **options})
    if callable(what) and any(map(is_of_torch, (what, *args))):
        return of_torch(what, args, options)
    second = bool(args) and callable(args[0])
    if callable(what) and not second and any(map(is_of_jax, (what, *args))):
        return of_jax(what, args, options)
    if hasattr(what, "forward") and hasattr(what, "backward") and not hasattr(what, "definition"):
        return of_object(what, args)
    if not callable(what):
        raise SubjectError(
            f"gradcheck: a {type(what).__name__} cannot be checked, expected a function, a layer, "
            f"a model, or an object with forward and backward"
        )
    if gradient is not None:
        return of_given_gradient(what, gradient, args, options, stopped)
    if second and not hasattr(args[0], "shape"):
        return of_pair(what, args[0], args[1:], options, stopped)
    return of_returned_backward(what, args, options, stopped)


def _put_in_place(subject: Subject, surrogate: Any, options: dict[str, Any]) -> None:
    """Take differences of a declared function in the place of the forward."""
    names = tuple(subject.arguments)

    def outputs(given: Arguments) -> Outputs:
        values = [rewound(given[k]) for k in names]
        return as_outputs(surrogate(*values, **{k: rewound(v) for k, v in options.items()}))

    subject.surrogate, subject.traceable = outputs, None


def _replay_global_noise(subject: Subject) -> None:
    """Set ``np.random`` back before every forward: the same masks in every evaluation. A backward
    that draws again finds it where its forward left it, and so gets another mask. A forward that
    left it alone the first time is not asked again: setting it back takes longer than most."""
    forward, before = subject.forward, np.random.get_state()
    draws = True

    def replaying(given: Arguments) -> tuple[Outputs, Any]:
        nonlocal draws
        if not draws:
            return forward(given)
        np.random.set_state(before)
        result = forward(given)
        after = np.random.get_state()
        draws = any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        return result

    subject.forward = replaying
