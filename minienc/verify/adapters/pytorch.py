"""PyTorch: functions of its tensors, and its modules with their parameters.

Its own automatic differentiation is the backward that is checked: which finds a custom
``autograd.Function`` that is wrong. Arguments cross over by copies.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from minienc.arrays import Cache
from minienc.verify.adapters.arguments import find_differentiable, name_inputs, name_of
from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, Subject, SubjectError, own


def is_of_torch(x: object) -> bool:
    """Whether it is a tensor, a module or a function of PyTorch."""
    return any(cls.__module__.partition(".")[0] == "torch" for cls in type(x).__mro__)


def is_torch_function(what: object) -> bool:
    """Whether it is a class of ``torch.autograd.Function``."""
    return isinstance(what, type) and any(
        cls.__module__ == "torch.autograd.function" for cls in what.__mro__
    )


def of_torch(
    f: Any,
    args: tuple,
    options: dict[str, Any],
    name: str | None = None,
    is_gradient: bool | None = None,
) -> Subject:
    """A function of tensors, or a module: then its parameters are checked, too."""
    import torch

    name = name or name_of(f)

    inputs = name_inputs([_to_numpy(x) for x in args])
    is_module = isinstance(f, torch.nn.Module)
    parameters = {k: _to_numpy(p) for k, p in f.named_parameters()} if is_module else {}
    arguments = {**inputs, **parameters}
    differentiable = find_differentiable(name, arguments)

    def forward(given: Arguments) -> tuple[Outputs, Any]:
        tensors = {
            k: torch.tensor(np.array(a, order="C"), requires_grad=k in differentiable)
            if hasattr(a, "dtype")
            else a
            for k, a in given.items()
        }
        xs = [tensors[k] for k in inputs]
        torch.manual_seed(0)  # the same noise in every evaluation
        if is_module:  # a copy, whose running statistics are thrown away, in the arguments' dtype
            module = copy.deepcopy(f).to(tensors[differentiable[0]].dtype)
            weights = {k: tensors[k] for k in parameters}
            y = torch.func.functional_call(module, weights, tuple(xs), options)
        else:
            y = f(*xs, **options)
        ys = tuple(_parts(y))
        return tuple(map(_to_numpy, ys)), (tensors, ys)

    def backward(dys: Outputs, cache: Cache) -> dict[str, Any]:
        tensors, ys = cache
        pairs = [
            (y, torch.tensor(np.array(dy)).to(y.dtype).reshape(y.shape))
            for y, dy in zip(ys, dys, strict=True)
            if y.requires_grad
        ]
        found = torch.autograd.grad(
            [y for y, _ in pairs],
            [tensors[k] for k in differentiable],
            [dy for _, dy in pairs],
            retain_graph=True,
            allow_unused=True,
        )
        return dict(zip(differentiable, map(_to_numpy, found), strict=True))

    subject = Subject(name, arguments, differentiable, forward, backward)
    if is_gradient is None and not is_module:
        subject.unchecked = _gradients_by_hand(subject)
    return subject


def _gradients_by_hand(subject: Subject) -> dict[str, str]:
    """Behind a number, an output of an argument's shape may be its gradient by hand, which autograd
    does not look at."""
    y = subject.forward(own(subject.arguments))[0]
    shapes = {subject.arguments[k].shape for k in subject.differentiable}
    if len(y) < 2 or y[0].size != 1 or not {part.shape for part in y[1:]} <= shapes:
        return {}
    return {
        "what is returned behind the number": "may be its gradient: then say gradient=True; or "
        "gradient=False for outputs that autograd differentiates"
    }


def _parts(y: object) -> Iterator[Any]:
    """The tensors of a result: an LSTM returns y, (h, c)."""
    if isinstance(y, (tuple, list)):
        for part in y:
            yield from _parts(part)
    elif hasattr(y, "detach"):
        yield y
    elif y is not None:
        raise SubjectError(f"gradcheck: it returned a {type(y).__name__}, expected tensors")


def _to_numpy(x: object) -> Any:
    """A copy of a tensor; anything else as it is."""
    return x.detach().numpy().copy() if hasattr(x, "detach") else x
