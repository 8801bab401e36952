"""A model's structure as JSON values, and back: what stands in the header of a saved model.

A layer is written as the name of its class and its constructor's arguments, the graph as the list
of the layers' uses. A model inside another is written as its layers, under their full paths.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from minienc import layers as layer_classes
from minienc.arrays import is_array
from minienc.files import plain
from minienc.layers import SymbolicTensor, initializers, regularizers
from minienc.layers.base import Layer
from minienc.layers.parameters import at_most_numbers
from minienc.layers.symbolic import Input
from minienc.training import optimizers, schedules
from minienc.training.archives import take, take_all
from minienc.training.checkpoints import check_optimizer_state
from minienc.training.losses import LOSSES
from minienc.training.optimizer import Optimizer

if TYPE_CHECKING:
    from minienc.models import Model

FORMAT = "minienc model"


def model_header(model: Model) -> dict[str, Any]:
    """Describe a model: everything but its numbers.

    Raises
    ------
    ValueError
        If the model holds something that JSON cannot (a function of the user's own); its weights
        can still be saved, with ``save_weights``.
    """
    paths = {id(step.layer): step.path for step in reversed(model.graph.steps)}
    return {
        "format": FORMAT,
        "name": model.name,
        **({} if model.class_names is None else {"class_names": list(model.class_names)}),
        "inputs": [
            {"shape": list(t.sample_shape), "dtype": str(t.dtype), "name": t.name or None}
            for t in model.inputs
        ],
        "several": [model.takes_several, isinstance(model.output, list)],
        "layers": [
            {"path": paths[id(layer)], **_described(layer, paths)} for layer in model.layers
        ],
        "input_slots": model.graph.input_slots,
        "steps": [[paths[id(s.layer)], list(s.inputs), list(s.outputs)] for s in model.graph.steps],
        "output_slots": model.graph.output_slots,
        "compiled": _compiled(model),
    }


def _described(layer: Layer, paths: dict[int, str]) -> dict[str, Any]:
    """A layer by its class and its constructor's arguments."""
    return {
        "class": type(layer).__name__,
        "config": {k: _plain(v, layer, paths) for k, v in layer.get_config().items()},
        "trainable": layer.trainable,
    }


def _plain(value: object, owner: Layer, paths: dict[int, str]) -> Any:
    """One constructor's argument as a JSON value."""
    if isinstance(value, Layer):
        if id(value) not in paths and hasattr(owner, "layer"):  # around one of its own
            return {"wrapped": _described(value, paths)}
        if id(value) not in paths:
            raise ValueError(
                f"{owner.label} is tied to {value.label}, which is not in this model; save the "
                f"whole model, or this one's weights with save_weights"
            )
        return {"layer": paths[id(value)]}
    name = getattr(value, "__name__", "")
    if name and getattr(initializers, name, None) is value:
        return name
    if hasattr(value, "get_config"):
        return {"class": type(value).__name__, "config": value.get_config()}
    value = plain(value)
    if value is None or isinstance(value, (bool, int, float, str, list)):
        return value
    raise ValueError(
        f"{owner.label}: {value!r} cannot be saved, only names and numbers can; save the weights "
        f"alone with save_weights"
    )


def _compiled(model: Model) -> dict[str, Any] | None:
    """How the model was compiled; None if it was not, or with functions of the user's own."""
    if model.optimizer is None:
        return None
    how = model._compiled_with
    losses = how["loss"] if isinstance(how["loss"], (list, tuple)) else [how["loss"]]
    if not all(isinstance(name, str) and name in LOSSES for name in losses):
        return None
    if not _all_strings(how["metrics"]):
        return None
    optimizer = model.optimizer
    rate = optimizer.learning_rate
    if callable(rate) and getattr(schedules, type(rate).__name__, None) is not type(rate):
        return None
    config = {k: _rate(v) for k, v in optimizer.get_config().items()}
    return {**how, "optimizer": {"class": type(optimizer).__name__, "config": config}}


def _rate(value: object) -> object:
    """An optimiser's argument as a JSON value; the learning rate may be a schedule."""
    if hasattr(value, "get_config"):
        return {"class": type(value).__name__, "config": value.get_config()}
    return plain(value)


def _all_strings(metrics: object) -> bool:
    if isinstance(metrics, (list, tuple)):
        return all(_all_strings(m) for m in metrics)
    return metrics is None or isinstance(metrics, str)


# ------------------------------------------------------------------------------------ and back


def graph_from_header(header: dict[str, Any], n_numbers: int) -> tuple[Any, Any]:
    """Connect the layers anew: (inputs, outputs) for ``Model``. Their weights are drawn at random,
    and may not be more than ``n_numbers``, those that are there to take their place.

    Raises
    ------
    ValueError
        For a header that lacks something or has something else in its place. A layer that is given
        what its constructor does not know may raise as it does for anybody.
    """
    if header.get("format") != FORMAT:
        raise ValueError(f"it holds {header.get('format', 'something else')}, not a model")
    inputs = [_input(i) for i in take_all(header, "inputs", dict, "the model", 1)]
    described = {}
    for layer in take_all(header, "layers", dict, "the model"):
        described[take(layer, "path", str, "a layer")] = layer
    slots = take_all(header, "input_slots", int, "the model")
    if len(slots) != len(inputs):
        raise ValueError(f"the model has {len(inputs)} inputs and {len(slots)} input_slots")
    tensors: dict[int, Any] = dict(zip(slots, inputs, strict=True))
    made: dict[str, Layer] = {}
    with at_most_numbers(n_numbers):
        for step in take_all(header, "steps", list, "the model"):
            _add_step(step, described, made, tensors)
    outputs = [_tensor(tensors, s) for s in take_all(header, "output_slots", int, "the model", 1)]
    several = take_all(header, "several", bool, "the model")
    if len(several) != 2:
        raise ValueError(f"the model: 'several' is {several}, expected two")
    return inputs if several[0] else inputs[0], outputs if several[1] else outputs[0]


def _input(described: dict[str, Any]) -> SymbolicTensor:
    shape = take_all(described, "shape", int, "an input")
    dtype = take(described, "dtype", str, "an input")
    return Input(tuple(shape), dtype, take(described, "name", (str, type(None)), "an input"))


def _add_step(step: list, described: dict, made: dict[str, Layer], tensors: dict[int, Any]) -> None:
    """One use of a layer: [its path, the slots that it reads, those that it fills]."""
    named = dict(zip(("path", "inputs", "outputs"), step, strict=False))
    path = take(named, "path", str, "a step")
    if path not in made:
        made[path] = _make_layer(take(described, path, dict, "the model's layers"), path, made)
    x = [_tensor(tensors, s) for s in take_all(named, "inputs", int, "a step", 1)]
    y = made[path](x if made[path].takes_several else x[0])
    slots = take_all(named, "outputs", int, "a step", 1)
    tensors.update(zip(slots, y if isinstance(y, list) else [y], strict=True))


def _tensor(tensors: dict[int, Any], slot: int) -> SymbolicTensor:
    if slot not in tensors:
        raise ValueError(f"the model's slot {slot} is read and never filled")
    return tensors[slot]


def compile_arguments(compiled: dict[str, Any]) -> dict[str, Any]:
    """What ``Model.compile`` was given, from the header's "compiled"."""
    described = take(compiled, "optimizer", dict, "the model's 'compiled'")
    optimizer = _from_table(described, optimizers, optimizers.Optimizer)
    return {**compiled, "optimizer": optimizer}


def _make_layer(description: dict[str, Any], path: str | None, made: dict[str, Layer]) -> Layer:
    where = f"the layer {path!r}"
    name = take(description, "class", str, where)
    cls = getattr(layer_classes, name, None)
    if not (isinstance(cls, type) and issubclass(cls, Layer) and cls is not Layer):
        raise ValueError(f"there is no layer {name!r}")
    config = {}
    for key, value in take(description, "config", dict, where).items():
        if isinstance(value, dict) and "wrapped" in value:
            value = _make_layer(take(value, "wrapped", dict, where), None, made)
        elif isinstance(value, dict) and "layer" in value:
            value = _made(made, take(value, "layer", str, where))
        elif isinstance(value, dict):
            value = _from_table(value, regularizers)
        config[key] = value
    layer = cls(**{**config, "name": None})
    layer.name = path  # begins with the names of the models it stood in
    layer.trainable = take(description, "trainable", bool, where)
    return layer


def _made(made: dict[str, Layer], path: str) -> Layer:
    if path not in made:
        raise ValueError(f"there is no layer {path!r} before the one that is tied to it")
    return made[path]


def _from_table(description: dict[str, Any], module: ModuleType, base: type = object) -> Any:
    """An object of a class of ``module``, by name and arguments: nothing else can be made."""
    where = module.__name__
    cls = getattr(module, take(description, "class", str, where), None)
    if not (isinstance(cls, type) and hasattr(cls, "get_config") and issubclass(cls, base)):
        raise ValueError(f"{where} has no {description['class']!r}")
    if cls in (optimizers.Optimizer, schedules.LearningRateSchedule):
        raise ValueError(f"{where}: {cls.__name__} is what others have in common, and does nothing")
    config = {
        k: _from_table(v, schedules) if isinstance(v, dict) else v
        for k, v in take(description, "config", dict, where).items()
    }
    return cls(**config)


# -------------------------------------------------------------------------- where training stands

OPTIMIZER = "optimizer."  # begins the names of what an optimiser remembers; a weight's has a "/"


def optimizer_state(optimizer: Optimizer) -> tuple[int, dict[str, Any]]:
    """The number of steps done, and what they have left, under names for an archive."""
    state = optimizer.state_dict()
    vectors = {OPTIMIZER + name: v for name, v in state.items() if is_array(v)}
    return state["iterations"], vectors


def restore_optimizer(model: Model, header: dict[str, Any], vectors: dict[str, Any]) -> None:
    """Give the optimiser of a loaded model what ``optimizer_state`` noted of it."""
    described = take(take(header, "compiled", dict, "the model"), "optimizer", dict, "'compiled'")
    if "iterations" not in described:  # it was saved without
        return
    optimizer = model.optimizer
    check_optimizer_state(
        optimizer,
        state := {"iterations": described["iterations"], **vectors},
        sum(p.size for p in model.parameters_used()),
        model.dtype,
    )
    with np.errstate(over="ignore"):  # a square may be infinite
        state = {k: v.astype(model.dtype) if is_array(v) else v for k, v in state.items()}
    optimizer.load_state_dict(state)
