"""Telling by its kind what was given to ``gradcheck``: one table, read from top to bottom.

Each row of ``KINDS`` says what it recognises and who brings it to the one form of ``subject``. How
its backward is then called is the table of ``calls``, which gradient is whose that of ``match``,
and where an object leaves gradients that of ``weights``. What fits no row is refused, with the line
to write.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MethodType
from typing import Any, NamedTuple

from minienc.layers.base import Layer
from minienc.training.losses import Loss
from minienc.verify.adapters.arguments import as_outputs, name_of, rewound
from minienc.verify.adapters.bridges import Bridge, jax_bridge, torch_bridge
from minienc.verify.adapters.calls import ones_like, signature_of
from minienc.verify.adapters.devices import find_device, run_on
from minienc.verify.adapters.free import (
    functions_of,
    generators,
    name_constants,
    name_kept_functions,
    name_what_is_left,
)
from minienc.verify.adapters.functions import (
    is_function,
    of_given_gradient,
    of_pair,
    of_returned,
)
from minienc.verify.adapters.integers import with_integers
from minienc.verify.adapters.jax import is_of_jax, of_jax
from minienc.verify.adapters.layers import of_layer, of_model_with_loss
from minienc.verify.adapters.objects import (
    find_loss,
    find_methods,
    of_loss_method,
    of_object,
    returns_loss,
)
from minienc.verify.adapters.pytorch import is_of_torch, is_torch_function, of_torch
from minienc.verify.adapters.replay import Noise
from minienc.verify.adapters.statics import is_static, of_static
from minienc.verify.adapters.trees import holds_floats
from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, Subject, SubjectError, own


@dataclass
class Given:
    """What ``gradcheck`` was called with."""

    what: Any
    args: tuple
    gradient: Any
    targets: Any
    options: dict[str, Any]
    stopped: tuple[str, ...]

    @property
    def second(self) -> Any:
        """A backward behind the forward; None where there is none."""
        second = self.args[0] if self.args else None
        return second if callable(second) and not hasattr(second, "shape") else None

    @property
    def backward(self) -> Any:
        """The function that the gradient comes from."""
        return self.gradient if self.second is None else self.second

    @property
    def by_hand(self) -> bool:
        """Whether there is a gradient beside the function."""
        return self.second is not None or self.has_gradient

    @property
    def by_hand_elsewhere(self) -> bool:
        """Whether that is not what the function returns."""
        return self.by_hand and self.gradient is not True

    @property
    def has_gradient(self) -> bool:
        return self.gradient is not None and self.gradient is not False

    @property
    def functions(self) -> list[Any]:
        """All that runs."""
        found = [f for f in (self.what, self.second, self.gradient) if callable(f)]
        return found if is_function(self.what) else [*found, *functions_of(self.what)]


class Kind(NamedTuple):
    """A row: in words, how it is recognised, and what brings it to a subject."""

    name: str
    fits: Callable[[Given], bool]
    build: Callable[[Given], Subject]


KINDS = (
    Kind(
        "a compiled model with its loss: gradcheck(model, x, y)",
        lambda g: _is_compiled(g.what) and (len(g.args) > 1 or g.targets is not None),
        lambda g: of_model_with_loss(g.what, g.args, g.targets),
    ),
    Kind(
        "a layer or model of this library: gradcheck(layer, x)",
        lambda g: isinstance(g.what, Layer),
        lambda g: of_layer(g.what, g.args, g.options),
    ),
    Kind(
        "a loss of this library: gradcheck(loss, y, target)",
        lambda g: isinstance(g.what, Loss),
        lambda g: of_pair(g.what.pair, g.what.pair.backward, g.args, g.what.options | g.options),
    ),
    Kind(
        "a torch.autograd.Function: gradcheck(Square, x)",
        lambda g: is_torch_function(g.what),
        lambda g: of_torch(g.what.apply, g.args, g.options, g.what.__name__),
    ),
    Kind(
        "a module of PyTorch; a function of its tensors, differentiated by autograd",
        lambda g: callable(g.what) and not g.by_hand and any(map(is_of_torch, (g.what, *g.args))),
        lambda g: of_torch(g.what, g.args, g.options, is_gradient=g.gradient),
    ),
    Kind(
        "functions by hand, of PyTorch's tensors",
        lambda g: _any_array(g, is_of_torch),
        lambda g: _across(g, torch_bridge(), is_of_torch),
    ),
    Kind(
        "a function of JAX's arrays, such as a jax.custom_vjp",
        lambda g: callable(g.what) and not g.by_hand and any(map(is_of_jax, (g.what, *g.args))),
        lambda g: of_jax(g.what, g.args, g.options),
    ),
    Kind(
        "functions by hand, of JAX's arrays",
        lambda g: _any_array(g, is_of_jax),
        lambda g: _across(g, jax_bridge(), is_of_jax),
    ),
    Kind(
        "static methods: forward(ctx, x), backward(ctx, dy)",
        lambda g: not is_function(g.what) and is_static(g.what),
        lambda g: of_static(g.what, g.args, g.options, g.stopped),
    ),
    Kind(
        "a class, of which an object is needed",
        lambda g: isinstance(g.what, type) and not g.by_hand,
        lambda g: _refuse_class(g.what),
    ),
    Kind(
        "two methods of one object: gradcheck(net.forward, net.backward, x), or gradient=net.grad",
        lambda g: _are_of_one_object(g.what, g.backward),
        lambda g: of_object(
            g.what.__self__,
            g.args if g.second is None else g.args[1:],
            g.options,
            g.stopped,
            (g.what.__func__, g.backward.__func__),
        ),
    ),
    Kind(
        "a method that returns (loss, gradients of parameters): gradcheck(net.loss, x, t)",
        lambda g: not g.by_hand_elsewhere and returns_loss(g.what, g.args, g.options),
        lambda g: of_loss_method(g.what, g.args, g.options, g.stopped),
    ),
    Kind(
        "an object with two of objects.METHODS, such as forward and backward: gradcheck(layer, x)",
        lambda g: not is_function(g.what) and not g.by_hand and _has_methods(g.what),
        lambda g: of_object(g.what, g.args, g.options, g.stopped),
    ),
    Kind(
        "an object whose loss(x, t) returns (loss, gradients): gradcheck(net, x, t)",
        lambda g: not is_function(g.what) and not g.by_hand and find_loss(g.what) is not None,
        lambda g: of_loss_method(find_loss(g.what), g.args, g.options, g.stopped),
    ),
    Kind(
        "nothing that can be called",
        lambda g: not callable(g.what),
        lambda g: _refuse(g.what),
    ),
    Kind(
        "a function that returns (y, gradients): gradcheck(f, x, gradient=True)",
        lambda g: g.gradient is True,
        lambda g: of_returned(g.what, g.args, g.options, g.stopped, is_gradient=True),
    ),
    Kind(
        "a function and its derivative: gradcheck(f, x, gradient=f_prime)",
        lambda g: g.has_gradient,
        lambda g: of_given_gradient(g.what, g.gradient, g.args, g.options, g.stopped),
    ),
    Kind(
        "a pair: gradcheck(forward, backward, x)",
        lambda g: g.second is not None,
        lambda g: of_pair(g.what, g.second, g.args[1:], g.options, g.stopped),
    ),
    Kind(
        "a function that knows its backward: gradcheck(dense_forward, x, W)",
        lambda g: callable(getattr(g.what, "backward", None)),
        lambda g: of_pair(g.what, g.what.backward, g.args, g.options, g.stopped),
    ),
    Kind(
        "a function that returns (y, backward), or (loss, gradients): gradcheck(f, x)",
        lambda g: True,
        lambda g: of_returned(g.what, g.args, g.options, g.stopped),
    ),
)


def make_subject(
    what: object,
    args: tuple,
    *,
    gradient: object = None,
    targets: object = None,
    surrogate: object = None,
    stop_gradient: str | tuple[str, ...] = (),
    options: dict[str, Any],
) -> Subject:
    """The subject that ``gradcheck(what, *args, ...)`` means."""
    stopped = (stop_gradient,) if isinstance(stop_gradient, str) else tuple(stop_gradient)
    own = {} if targets is None else {"targets": targets}
    device = find_device(what, args, {**own, **options})
    given = Given(what, args, gradient, targets, options, stopped)
    noise = Noise(generators(given.functions))
    build = lambda args: _build(replace(given, args=args))  # noqa: E731
    subject = build(args)
    if not isinstance(what, (Layer, Loss)):
        subject = with_integers(build, subject, args)
    if is_function(what) and gradient is not False:
        name_constants(subject, [what])
        name_what_is_left(subject, given.functions)
    elif not isinstance(what, (Layer, Loss)):
        name_constants(subject, functions_of(what))
        name_kept_functions(subject, what)
    subject.stopped = subject.stopped or stopped
    for name in subject.stopped:
        if name not in subject.arguments and name not in subject.unchecked:
            raise SubjectError(
                f"gradcheck: stop_gradient names {name!r}, expected one of "
                f"{', '.join([*subject.arguments, *subject.unchecked])}"
            )
    declared = {*stopped, *subject.stopped}
    subject.unchecked = {k: why for k, why in subject.unchecked.items() if k not in declared}
    noise.set_back()
    noise.replay(subject)
    if surrogate is not None:
        _put_in_place(subject, surrogate, options)
    return subject if device == "cpu" else run_on(subject, device)


def _build(given: Given) -> Subject:
    """By the first row that fits; with arrays that were given by keyword as arguments, if their
    gradients are there."""
    by_position = _by_position(given)
    if by_position is not None:
        try:
            subject = _build(by_position)
            y, cache = subject.forward(own(subject.arguments))
            subject.backward(tuple(map(ones_like, y)), cache)
            return subject
        except SubjectError:
            pass
    return next(kind for kind in KINDS if kind.fits(given)).build(given)


def _by_position(given: Given) -> Given | None:
    """The same with arrays by position; None where there are none by keyword."""
    signature = signature_of(given.what) if is_function(given.what) else None
    constants = getattr(given.what, "constants", ())
    if signature is None or not any(
        holds_floats(v) for k, v in given.options.items() if k not in constants
    ):
        return None
    args, options = list(given.args), dict(given.options)
    for p in list(signature.parameters.values())[len(args) - (given.second is not None) :]:
        if p.kind is not p.POSITIONAL_OR_KEYWORD or p.name not in options:
            break
        args.append(options.pop(p.name))
    return (
        replace(given, args=tuple(args), options=options)
        if len(options) < len(given.options)
        else None
    )


def _is_compiled(what: object) -> bool:
    return isinstance(what, Layer) and getattr(what, "optimizer", None) is not None


def _has_methods(what: object) -> bool:
    """This library's own functions know their backwards, and are functions."""
    return not hasattr(what, "definition") and find_methods(what) is not None


def _are_of_one_object(f: Any, g: Any) -> bool:
    """Two bound methods; what is bound to a class has no state."""
    methods = isinstance(f, MethodType) and isinstance(g, MethodType)
    return methods and f.__self__ is g.__self__ and not isinstance(f.__self__, type)


def _any_array(given: Given, is_of_library: Callable[[Any], bool]) -> bool:
    """Whether any argument is, or holds, an array of a library."""

    def holds(x: object) -> bool:
        if isinstance(x, dict):
            return any(map(holds, x.values()))
        return any(map(holds, x)) if isinstance(x, (list, tuple)) else is_of_library(x)

    return any(holds(x) for x in (*given.args, *given.options.values()) if not callable(x))


def _across(given: Given, bridge: Bridge, is_of_library: Callable[[Any], bool]) -> Subject:
    """The same with functions of NumPy's arrays."""
    if not given.by_hand and not is_function(given.what):
        raise SubjectError(
            f"gradcheck: {name_of(given.what)} is an object of tensors, which is not searched for "
            f"weights; give a pair of functions whose weights are arguments"
        )
    args = tuple(bridge.over(a) if a is given.second else bridge.bring_home(a) for a in given.args)
    gradient = bridge.over(given.gradient) if callable(given.gradient) else given.gradient
    there = replace(
        given,
        what=bridge.over(given.what, draws=True),
        args=args,
        gradient=bridge.bring_home(gradient) if not callable(gradient) else gradient,
        options=bridge.bring_home(given.options),
    )
    return _build(there)


def _refuse_class(what: type) -> Subject:
    name = what.__name__
    methods = find_methods(what)
    if methods is None:
        own = [k for k, v in vars(what).items() if callable(v) and not k.startswith("_")]
        raise SubjectError(
            f"gradcheck: {name} is a class; give two methods of an object of it, say layer: "
            f"gradcheck(layer.{', layer.'.join([*own, 'forward', 'backward'][:2])}, x)"
        )
    try:
        inspect.signature(what).bind()
        inside = ""
    except TypeError:
        inside = "..."
    raise SubjectError(
        f"gradcheck: {name} is a class; give an object of it: gradcheck({name}({inside}), x)"
    )


def _refuse(what: object) -> Subject:
    own = [k for k in dir(what) if not k.startswith("_") and callable(getattr(what, k))]
    methods = f"; it has {', '.join(own[:6])}: give two of them" if own and not _plain(what) else ""
    raise SubjectError(
        f"gradcheck: a {type(what).__name__} cannot be checked, expected a function, a layer, "
        f"a model, or an object with forward and backward{methods}"
    )


def _plain(what: object) -> bool:
    return type(what).__module__ in ("builtins", "numpy")


def _put_in_place(subject: Subject, surrogate: Any, options: dict[str, Any]) -> None:
    """Take differences of a declared function in the place of the forward."""
    names, nested = tuple(subject.arguments), subject.inputs

    def outputs(given: Arguments) -> Outputs:
        values = nested.values(given) if nested else {k: given[k] for k in names}
        noise = {k: rewound(v) for k, v in options.items()}
        return as_outputs(surrogate(*map(rewound, values.values()), **noise))

    subject.surrogate, subject.traceable = outputs, None
