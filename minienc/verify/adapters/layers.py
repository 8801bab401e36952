"""What has parameters: a layer, a model, a compiled model with its loss.

The parameters are arguments of the check like the inputs: within a call they are replaced by what
is asked for, afterwards they are what they were, whatever happened.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minienc.arrays import Array, Cache, device_of, lives_on_device, to_device
from minienc.data.plain import DataLike
from minienc.layers.base import Layer
from minienc.layers.parameters import Parameter
from minienc.models import Model
from minienc.verify.adapters.arguments import as_outputs, floating, name_inputs, rewound
from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, Subject, SubjectError


def of_layer(layer: Layer, args: tuple, options: dict[str, Any]) -> Subject:
    """A layer or a model: its input(s) and every parameter it reads.

    It is checked as it trains, with noise and ``training=True``, unless ``options`` say otherwise.
    """
    xs = args[0] if len(args) == 1 and isinstance(args[0], (tuple, list)) else args
    if not xs:
        raise SubjectError(f"gradcheck: {layer.label} needs an input: gradcheck(layer, x)")
    _build_for(layer, xs)
    inputs, named = name_inputs(xs), layer.named_parameters()
    as_in_training: dict[str, Any] = {}
    if layer.uses_rng:
        as_in_training["rng"] = np.random.default_rng(0)
    if layer.uses_training:
        as_in_training["training"] = True
    options = {**as_in_training, **options}

    def forward(given: Arguments) -> tuple[Outputs, Any]:
        x = tuple(given[k] for k in inputs)
        with _parameters_as(named, given):
            y, cache = layer.forward(
                x if layer.takes_several else x[0], **{k: rewound(v) for k, v in options.items()}
            )
        return as_outputs(y), (cache, given, isinstance(y, tuple))

    def run_backward(dys: Outputs, cache: Cache, start: float) -> tuple[Any, dict[str, Any]]:
        inner, given, several = cache
        with _parameters_as(named, given):
            grads = layer.new_gradients()
            grads.vector[...] = start
            dx = layer.backward(dys if several else dys[0], inner, grads)
            return dx, {n: grads[p].copy() for n, p in named}

    def backward(dys: Outputs, cache: Cache) -> dict[str, Any]:
        dx, found = run_backward(dys, cache, 0.0)
        return {**dict(zip(inputs, dx if isinstance(dx, tuple) else (dx,), strict=True)), **found}

    return Subject(
        layer.label,
        *_arguments(inputs, named),
        forward,
        backward,
        backward_onto=lambda *call: run_backward(*call)[1],
        parts=(lambda: _parts(layer, tuple(xs))) if hasattr(layer, "graph") else None,
    )


def of_model_with_loss(model: Model, args: tuple, targets: DataLike) -> Subject:
    """A compiled model with its loss: the gradient of one number by everything."""
    xs = args[0] if isinstance(args[0], (tuple, list)) else (args[0],)
    y = args[1] if targets is None else targets
    ys = y if isinstance(y, (tuple, list)) else (y,)
    if model.device != "cpu":  # as fit brings them over
        ys = tuple(to_device(part, model.device) for part in ys)
    inputs, named = name_inputs(xs), model.named_parameters()

    def forward(given: Arguments) -> tuple[Outputs, Any]:
        x = [given[k] for k in inputs]
        t = [part.astype(x[0].dtype) if part.dtype.kind == "f" else part for part in ys]
        with _parameters_as(named, given):
            numbers, cache = model.objective.forward((*x, *t), np.random.default_rng(0))
        return as_outputs(numbers[0]), (cache, given)

    def backward(dys: Outputs, cache: Cache) -> dict[str, Any]:
        inner, given = cache
        with _parameters_as(named, given):
            grads = model.new_gradients()
            dxs = model.objective.backward(float(dys[0]), inner, grads, need_dx=True)
            found = {n: grads[p].copy() for n, p in named}
        return {**dict(zip(inputs, dxs, strict=False)), **found}  # none by the targets

    return Subject(
        f"{model.label} with its loss",
        *_arguments(inputs, named),
        forward,
        backward,
        parts=lambda: _parts(model, tuple(xs)),
    )


def _build_for(layer: Layer, xs: Sequence[Array]) -> None:
    """Give a layer that has no weights yet those that it needs for these inputs."""
    if layer.built_for is not None:
        return
    shapes = [x.shape[1:] for x in xs]
    layer.build(shapes if layer.takes_several else shapes[0], xs[0].dtype)
    if lives_on_device(xs[0]):
        for _, p in layer.named_parameters():
            p.to(device_of(xs[0]))


def _arguments(
    inputs: Arguments, named: list[tuple[str, Parameter]]
) -> tuple[Arguments, tuple[str, ...]]:
    """Inputs and parameters, and which have a gradient: what is floating, but for the layers'
    state, such as moving averages."""
    arguments = {**inputs, **{n: p.value for n, p in named}}
    state = {n for n, p in named if p.is_state}
    return arguments, tuple(k for k in floating(arguments) if k not in state)


@contextmanager
def _parameters_as(named: list[tuple[str, Parameter]], given: Arguments) -> Iterator[None]:
    """Within the block the parameters are these arrays; afterwards what they were."""
    before = [(p, p._value) for _, p in named]
    try:
        for n, p in named:
            p._value = given[n]
        yield
    finally:
        for p, value in before:
            p._value = value


def _parts(model: Any, xs: tuple) -> Iterator[tuple[str, Any, Any]]:
    """The model's layers in the order in which they run, each with what it is given there."""
    graph = copy.copy(model.graph)
    graph.output_slots = list(range(graph.n_slots))
    values, _ = graph.forward(tuple(to_device(x, model.device) for x in xs))
    for step in graph.steps:
        x = tuple(values[s] for s in step.inputs)
        yield step.path, step.layer, x if step.several else x[0]
