"""A model's structure as JSON values, and back: what stands in the header of a saved model.

Layers are kept as the name of their class and their constructor's arguments, the graph as the
list of their uses. A model that stood inside another is kept opened up, its layers under their
full paths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minienc import layers as layer_classes
from minienc.layers import initializers, regularizers
from minienc.layers.base import Layer
from minienc.layers.symbolic import Input
from minienc.training import optimizers, schedules
from minienc.training.losses import LOSSES

if TYPE_CHECKING:
    from minienc.models import Model

FORMAT = "minienc model"


def model_header(model: Model) -> dict[str, Any]:
    """Everything but the numbers.

    Raises
    ------
    ValueError
        If the model has something that JSON cannot keep (a function of one's own); the weights
        can still be saved with ``save_weights``.
    """
    paths = {id(step.layer): step.path for step in reversed(model.graph.steps)}
    return {
        "format": FORMAT,
        "name": model.name,
        "inputs": [
            {"shape": list(t.sample_shape), "dtype": str(t.dtype), "name": t.name or None}
            for t in model.inputs
        ],
        "several": [model.takes_several, isinstance(model.output, list)],
        "layers": [
            {"path": paths[id(layer)], **_described(layer, paths)} for layer in model.layers
        ],
        "input_slots": model.graph.input_slots,
        "steps": [[paths[id(s.layer)], s.inputs, s.outputs] for s in model.graph.steps],
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


def _plain(value: Any, owner: Layer, paths: dict[int, str]) -> Any:
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
    if value is None or isinstance(value, (bool, int, float, str, list, tuple)):
        return value
    raise ValueError(
        f"{owner.label}: {value!r} cannot be saved, only names and numbers can; save the weights "
        f"alone with save_weights"
    )


def _compiled(model: Model) -> dict[str, Any] | None:
    """How the model was compiled; None if it was not, or with functions of one's own."""
    if model.optimizer is None:
        return None
    how = model._compiled_with
    losses = how["loss"] if isinstance(how["loss"], (list, tuple)) else [how["loss"]]
    if not all(isinstance(name, str) and name in LOSSES for name in losses):
        return None
    if not _all_strings(how["metrics"]):
        return None
    optimizer = model.optimizer
    config = {k: _rate(v) for k, v in optimizer.get_config().items()}
    return {**how, "optimizer": {"class": type(optimizer).__name__, "config": config}}


def _rate(value: Any) -> Any:
    if hasattr(value, "get_config"):
        return {"class": type(value).__name__, "config": value.get_config()}
    return value


def _all_strings(metrics: Any) -> bool:
    if isinstance(metrics, (list, tuple)):
        return all(_all_strings(m) for m in metrics)
    return metrics is None or isinstance(metrics, str)


# ------------------------------------------------------------------------------------ and back


def graph_from_header(header: dict[str, Any], source: str) -> tuple[Any, Any]:
    """Connect the layers anew: (inputs, outputs) for ``Model``. Their weights are drawn at random.

    ``source`` is where the header was read, for messages.
    """
    if header.get("format") != FORMAT:
        raise ValueError(
            f"{source}: it holds {header.get('format', 'something else')}, not a model"
        )
    try:
        tensors: dict[int, Any] = {}
        inputs = [Input(tuple(i["shape"]), i["dtype"], i["name"]) for i in header["inputs"]]
        tensors.update(zip(header["input_slots"], inputs, strict=True))
        described = {d["path"]: d for d in header["layers"]}
        made: dict[str, Layer] = {}
        for path, slots_in, slots_out in header["steps"]:
            if path not in made:
                made[path] = _make_layer(described[path], made)
            x = [tensors[s] for s in slots_in]
            y = made[path](x if made[path].takes_several else x[0])
            tensors.update(zip(slots_out, y if isinstance(y, list) else [y], strict=True))
        outputs = [tensors[s] for s in header["output_slots"]]
        several_in, several_out = header["several"]
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{source}: the model's description is damaged: {error!r}") from error
    return inputs if several_in else inputs[0], outputs if several_out else outputs[0]


def compile_arguments(compiled: dict[str, Any]) -> dict[str, Any]:
    """What ``Model.compile`` was given, from the header's "compiled"."""
    return {**compiled, "optimizer": _from_table(compiled["optimizer"], optimizers)}


def _make_layer(description: dict[str, Any], made: dict[str, Layer]) -> Layer:
    cls = getattr(layer_classes, description["class"], None)
    if not (isinstance(cls, type) and issubclass(cls, Layer)):
        raise ValueError(f"there is no layer {description['class']!r}")
    config = {}
    for key, value in description["config"].items():
        if isinstance(value, dict) and "wrapped" in value:
            value = _make_layer({"path": None, **value["wrapped"]}, made)
        elif isinstance(value, dict):
            value = made[value["layer"]] if "layer" in value else _from_table(value, regularizers)
        config[key] = value
    layer = cls(**{**config, "name": None})
    layer.name = description["path"]  # with the names of the models that it stood in
    layer.trainable = description["trainable"]
    return layer


def _from_table(description: dict[str, Any], module: Any) -> Any:
    """An object of a class of ``module``, by name and arguments: nothing else can be made."""
    cls = getattr(module, description["class"], None)
    if not isinstance(cls, type) or not hasattr(cls, "get_config"):
        raise ValueError(f"{module.__name__} has no {description['class']!r}")
    config = {
        k: _from_table(v, schedules) if isinstance(v, dict) else v
        for k, v in description["config"].items()
    }
    return cls(**config)
