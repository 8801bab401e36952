"""Subjects of other libraries: functions of PyTorch tensors and modules, functions of JAX arrays.

Their own automatic differentiation is the backward that is checked: which finds a custom
``autograd.Function`` or ``custom_vjp`` that is wrong. Arguments cross over by copies.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from minienc.verify.subject import Arguments, Outputs, Subject, SubjectError


def library_of(x: Any) -> str:
    """ "torch", "jax" or "": whose array or module this is."""
    for cls in type(x).__mro__:
        root = cls.__module__.partition(".")[0]
        if root in ("torch", "jax", "jaxlib"):
            return "torch" if root == "torch" else "jax"
    return ""


def of_torch(f: Any, args: tuple, options: dict[str, Any]) -> Subject:
    """A function of tensors, or a module: then its parameters are checked, too."""
    import torch

    name = getattr(f, "__name__", type(f).__name__)
    inputs = {("x" if len(args) == 1 else f"x{i}"): _from_torch(x) for i, x in enumerate(args)}
    is_module = isinstance(f, torch.nn.Module)
    parameters = {k: _from_torch(p) for k, p in f.named_parameters()} if is_module else {}
    arguments = {**inputs, **parameters}
    differentiable = _floats(name, arguments)

    def run(given: Arguments) -> tuple[Outputs, Any]:
        tensors = {
            k: torch.tensor(np.array(a, order="C"), requires_grad=k in differentiable)
            if isinstance(a, np.ndarray)
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
        return tuple(part.detach().numpy().copy() for part in ys), (tensors, ys)

    def back(dys: Outputs, cache: Any) -> dict[str, Any]:
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
        return {
            k: None if g is None else g.detach().numpy().copy()
            for k, g in zip(differentiable, found, strict=True)
        }

    return Subject(name, arguments, differentiable, run, back)


def of_jax(f: Any, args: tuple, options: dict[str, Any]) -> Subject:
    """A function of JAX arrays, differentiated by ``jax.vjp``."""
    import jax

    name = getattr(f, "__name__", type(f).__name__)
    arguments = {
        ("x" if len(args) == 1 else f"x{i}"): np.array(x) if hasattr(x, "shape") else x
        for i, x in enumerate(args)
    }
    differentiable = _floats(name, arguments)

    def run(given: Arguments) -> tuple[Outputs, Any]:
        with jax.enable_x64(True):
            fixed = {
                k: jax.numpy.asarray(a) if isinstance(a, np.ndarray) else a
                for k, a in given.items()
            }

            def of_floats(*floats: Any) -> tuple:
                values = {**fixed, **dict(zip(differentiable, floats, strict=True))}
                y = f(*values.values(), **options)
                return tuple(y) if isinstance(y, (tuple, list)) else (y,)

            ys, vjp = jax.vjp(of_floats, *[fixed[k] for k in differentiable])
            return tuple(np.array(y) for y in ys), (vjp, ys)

    def back(dys: Outputs, cache: Any) -> dict[str, Any]:
        vjp, ys = cache
        with jax.enable_x64(True):
            found = vjp(
                tuple(
                    jax.numpy.asarray(dy, y.dtype).reshape(y.shape)
                    for dy, y in zip(dys, ys, strict=True)
                )
            )
            return {k: np.array(g) for k, g in zip(differentiable, found, strict=True)}

    return Subject(name, arguments, differentiable, run, back)


def _parts(y: Any) -> Iterator[Any]:
    """The tensors of a result: an LSTM returns y, (h, c)."""
    if isinstance(y, (tuple, list)):
        for part in y:
            yield from _parts(part)
    elif hasattr(y, "detach"):
        yield y
    elif y is not None:
        raise SubjectError(f"gradcheck: it returned a {type(y).__name__}, expected tensors")


def _from_torch(x: Any) -> Any:
    return x.detach().numpy().copy() if hasattr(x, "detach") else x


def _floats(name: str, arguments: Arguments) -> tuple[str, ...]:
    found = tuple(
        k for k, a in arguments.items() if isinstance(a, np.ndarray) and a.dtype.kind == "f"
    )
    if not found:
        raise SubjectError(
            f"gradcheck: {name} was given no floating array to differentiate by; nothing can be "
            f"checked"
        )
    return found
