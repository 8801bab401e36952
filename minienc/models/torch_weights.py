"""Weights of the same architecture from PyTorch, and back.

    load_torch(model, network.state_dict())              or the path of a .safetensors file
    network.load_state_dict(...)                         to_torch(model): {name: array}

PyTorch computes the same functions and lays their numbers out otherwise:

    dense          W (in, out)                   weight (out, in)
    convolution    W (KH, KW, in, out)           weight (out, in, KH, KW)
    its transpose  W (KH, KW, out, in)           weight (in, out, KH, KW)
    LSTM           i f g o side by side, b       below each other, and two biases that are added
    GRU            z r n, b; v within the reset  r z n, bias_ih and bias_hh
    attention      Wq, Wk, Wv                    in_proj_weight, all three below each other

And images: PyTorch's channels come first. So a dense layer behind ``Flatten`` sees their numbers in
another order there, channel by channel; its rows are brought into ours.

Nothing is guessed: which module goes with which layer is said, or is the order in which both stand,
and each pair must be of one kind and of one shape. No file that could run code is opened: PyTorch's
.pt and .pth files are pickles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minienc.arrays import to_numpy
from minienc.layers.base import Layer
from minienc.layers.shaping import Reshape
from minienc.models.network import Network

Named = dict[str, np.ndarray]  # a layer's arrays: by the names of its parameters, or of a module's


class Kind(NamedTuple):
    """How the arrays of one kind of layer are laid out by PyTorch.

    ``read`` takes those of a module, by their names in it, and returns those of the layer;
    ``write`` goes back. Both are given what is there: a layer without bias has none.
    """

    module: str  # what PyTorch calls it
    read: Callable[[Named], Named]
    write: Callable[[Named], Named]


# ------------------------------------------------------------------------------------ the layouts


def _renamed(module: str, names: Mapping[str, str], axes: Sequence[int] = (1, 0)) -> Kind:
    """Arrays under other names ({ours: theirs}); what has axes is transposed.

    The axes are those of theirs in our order, and as a permutation must be its own inverse, or are
    inverted for the way back.
    """
    back = tuple(int(i) for i in np.argsort(axes))

    def read(theirs: Named) -> Named:
        ours = {name: theirs[their] for name, their in names.items() if their in theirs}
        return {k: a.transpose(axes) if a.ndim == len(axes) else a for k, a in ours.items()}

    def write(ours: Named) -> Named:
        theirs = {their: ours[name] for name, their in names.items() if name in ours}
        return {k: a.transpose(back) if a.ndim == len(axes) else a for k, a in theirs.items()}

    return Kind(module, read, write)


def _recurrent(module: str, gates: Sequence[int], one_bias: bool) -> Kind:
    """W, U and the biases of a layer whose ``gates`` are PyTorch's in this order.

    PyTorch adds two biases. Where ours is one, it is their sum, and goes back as bias_ih, beside a
    bias_hh of zeros.
    """

    def turned(a: np.ndarray, order: Sequence[int]) -> np.ndarray:
        parts = np.split(a, len(order), axis=-1)
        return np.concatenate([parts[i] for i in order], axis=-1)

    def read(theirs: Named) -> Named:
        found = {
            "W": turned(theirs["weight_ih_l0"].T, gates),
            "U": turned(theirs["weight_hh_l0"].T, gates),
        }
        if "bias_ih_l0" not in theirs:
            return found
        b, v = (turned(theirs[f"bias_{k}_l0"], gates) for k in ("ih", "hh"))
        return found | ({"b": b + v} if one_bias else {"b": b, "v": v})

    def write(ours: Named) -> Named:
        back = [int(i) for i in np.argsort(gates)]
        found = {
            "weight_ih_l0": turned(ours["W"], back).T,
            "weight_hh_l0": turned(ours["U"], back).T,
        }
        if "b" in ours:
            found["bias_ih_l0"] = turned(ours["b"], back)
            found["bias_hh_l0"] = turned(ours["v"] if "v" in ours else 0 * ours["b"], back)
        return found

    return Kind(module, read, write)


def _attention() -> Kind:
    """Queries, keys and values of PyTorch stand below each other in one matrix."""

    def read(theirs: Named) -> Named:
        q, k, v = np.split(theirs["in_proj_weight"], 3)
        found = {"Wq": q.T, "Wk": k.T, "Wv": v.T, "Wo": theirs["out_proj.weight"].T}
        if "in_proj_bias" in theirs:
            found |= zip(("bq", "bk", "bv"), np.split(theirs["in_proj_bias"], 3), strict=True)
            found["bo"] = theirs["out_proj.bias"]
        return found

    def write(ours: Named) -> Named:
        found = {"in_proj_weight": np.concatenate([ours[f"W{k}"].T for k in "qkv"])}
        if "bq" in ours:
            found["in_proj_bias"] = np.concatenate([ours[f"b{k}"] for k in "qkv"])
        found["out_proj.weight"] = ours["Wo"].T
        return found | ({"out_proj.bias": ours["bo"]} if "bo" in ours else {})

    return Kind("MultiheadAttention", read, write)


_AFFINE = {"W": "weight", "b": "bias"}
_NORM = {"gamma": "weight", "beta": "bias"}
_MOVING = {"moving_mean": "running_mean", "moving_variance": "running_var"}

KINDS: dict[str, Kind] = {
    "Dense": _renamed("Linear", _AFFINE),
    "Conv1D": _renamed("Conv1d", _AFFINE, (2, 1, 0)),
    "Conv2D": _renamed("Conv2d", _AFFINE, (2, 3, 1, 0)),
    "Conv2DTranspose": _renamed("ConvTranspose2d", _AFFINE, (2, 3, 1, 0)),
    "Embedding": _renamed("Embedding", {"W": "weight"}, (0, 1)),
    "BatchNormalization": _renamed("BatchNorm", _NORM | _MOVING),
    "LayerNormalization": _renamed("LayerNorm", _NORM),
    "RMSNormalization": _renamed("RMSNorm", {"gamma": "weight"}),
    "SimpleRNN": _recurrent("RNN", (0,), one_bias=True),
    "LSTM": _recurrent("LSTM", (0, 1, 2, 3), one_bias=True),
    "GRU": _recurrent("GRU", (1, 0, 2), one_bias=False),  # r z n there, z r n here
    "MultiHeadAttention": _attention(),
}
_KEEP_ROWS = ("Dropout", "Activation", "GaussianNoise", "MaskingNoise")  # behind a Flatten
UNUSED = "num_batches_tracked"  # a count beside PyTorch's moving averages, which has no use here


# ------------------------------------------------------------------------------------- PyTorch


def load_torch(
    model: Network, weights: Mapping | str | Path, mapping: Mapping[str, str] | None = None
) -> None:
    """Give a model the weights of a PyTorch module of the same architecture.

    Parameters
    ----------
    model : Model or Sequential
        Built: its weights have their shapes.
    weights : state_dict, or path of a .safetensors file
        ``{"encoder.0.weight": tensor, ...}``; arrays of NumPy serve as well.
    mapping : dict of {layer's path: module's name}, optional
        ``{"dense_1": "encoder.0"}``. Without it, layers that have weights and modules go together
        in the order in which they stand.

    Raises
    ------
    ValueError
        If the numbers of layers and modules differ, a pair is of two kinds or shapes, something is
        left over on either side, or the file is a pickle. Nothing has been changed then.

    Examples
    --------
    >>> from minienc.layers import Dense
    >>> model = Sequential([Input((3,)), Dense(2, name="code")])
    >>> load_torch(model, {"0.weight": np.ones((2, 3)), "0.bias": np.zeros(2)})
    >>> model.get_weights()[0].shape
    (3, 2)
    """
    if isinstance(weights, (str, Path)):
        weights = _read(Path(weights))
    modules: dict[str, Named] = {}
    for name, array in weights.items():
        module, own = _parted(name)
        if own != UNUSED:
            modules.setdefault(module, {})[own] = _as_array(array)
    layers = layers_with_weights(model)
    images = _flattened(model)
    found: Named = {}
    for path, module in _pairs(layers, list(modules), mapping):
        layer, names = layers[path]
        ours = _read_module(path, layer, names, module, modules[module])
        if path in images:
            H, W, C = images[path]
            ours["W"] = _rows(ours["W"], (C, H, W), (1, 2, 0))
        found |= {f"{path}/{own}": np.array(a) for own, a in ours.items()}
    model._set_named(found, "load_torch")


def to_torch(model: Network, mapping: Mapping[str, str] | None = None) -> Named:
    """A model's weights as a state_dict of the same architecture: copies, in PyTorch's layouts.

    Parameters
    ----------
    model : Model or Sequential
    mapping : dict of {layer's path: module's name}, optional
        Without it, the modules have the layers' paths with dots: "encoder/dense_1" is
        "encoder.dense_1".

    Returns
    -------
    dict of {str: array}
        For ``module.load_state_dict({k: torch.from_numpy(v) for k, v in found.items()})``, or for
        ``safetensors.numpy.save_file``.

    Examples
    --------
    >>> from minienc.layers import Dense
    >>> model = Sequential([Input((3,)), Dense(2, name="code")])
    >>> {name: a.shape for name, a in to_torch(model).items()}
    {'code.weight': (2, 3), 'code.bias': (2,)}
    """
    images = _flattened(model)
    found: Named = {}
    for path, (layer, names) in layers_with_weights(model).items():
        kind = _kind(path, layer)
        ours = {own: np.array(to_numpy(p)) for own, p in names.items()}
        if path in images:
            ours["W"] = _rows(ours["W"], images[path], (2, 0, 1))
        module = path.replace("/", ".") if mapping is None else mapping.get(path)
        if module is None:
            raise ValueError(f"to_torch: mapping says nothing of {path}")
        for own, array in kind.write(ours).items():
            found[f"{module}.{own}"] = np.ascontiguousarray(array)
    return found


def _parted(name: str) -> tuple[str, str]:
    """("encoder.0", "weight"). A module within PyTorch's own attention is a part of it."""
    for own in ("out_proj.weight", "out_proj.bias"):
        if name.endswith(f".{own}") or name == own:
            return name[: -len(own) - 1], own
    module, _, own = name.rpartition(".")
    return module, own


def _as_array(x: object) -> np.ndarray:
    """A tensor of PyTorch's, wherever it lives, as an array."""
    for step in ("detach", "cpu"):
        x = getattr(x, step)() if hasattr(x, step) else x
    array = np.asarray(x)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"load_torch: {array.dtype} came, expected numbers")
    return array


def _read(path: Path) -> Named:
    """The tensors of a .safetensors file."""
    with open(path, "rb") as file:
        start = file.read(2)
    if start == b"PK" or start[:1] == b"\x80":
        raise ValueError(
            f"{path}: a pickle of PyTorch's, which could run any code; in PyTorch, write "
            f"safetensors.torch.save_file(module.state_dict(), 'weights.safetensors')"
        )
    try:
        from safetensors.numpy import load_file
    except ImportError:
        raise ValueError(f"{path}: to read it, pip install safetensors") from None
    try:
        return load_file(path)
    except Exception as error:
        raise ValueError(f"{path}: no file of safetensors, or damaged: {error}") from error


def layers_with_weights(model: Network) -> dict[str, tuple[Layer, Named]]:
    """{path: (layer, {name of a parameter: its numbers})} of the layers that have weights."""
    owners = {id(p): layer for layer in model.layers for p in layer._own}
    found: dict[str, tuple[Layer, Named]] = {}
    for name, p in model.named_parameters():
        path, _, own = name.rpartition("/")
        layer = owners.get(id(p))
        if layer is None:
            raise ValueError(f"{name} belongs to a layer within another one: it has no counterpart")
        found.setdefault(path, (layer, {}))[1][own] = p.value
    return found


def _flattened(model: Network) -> dict[str, tuple[int, int, int]]:
    """{path of a dense layer: (H, W, C)} of those that see images as rows."""
    made_by = {slot: step for step in model.graph.steps for slot in step.outputs}
    found = {}
    for step in model.graph.steps:
        before = made_by.get(step.inputs[0]) if step.inputs else None
        while before is not None and type(before.layer).__name__ in _KEEP_ROWS:
            before = made_by.get(before.inputs[0])
        if type(step.layer).__name__ == "Dense" and before is not None:
            shape = before.in_shapes
            flattens = len(before.out_shapes[0]) == 1 and isinstance(shape, tuple)
            if isinstance(before.layer, Reshape) and flattens and len(shape) == 3:
                found[step.path] = shape
    return found


def _rows(W: np.ndarray, image: tuple[int, ...], order: tuple[int, ...]) -> np.ndarray:
    """The rows of W, which are the numbers of an image, with the image's axes in another order."""
    return W.reshape(*image, -1).transpose(*order, 3).reshape(W.shape)


def _kind(path: str, layer: Layer) -> Kind:
    kind = KINDS.get(type(layer).__name__)
    if kind is None:
        raise ValueError(
            f"{path} is a {type(layer).__name__}, and PyTorch has none; known are "
            f"{', '.join(KINDS)}"
        )
    return kind


def _pairs(
    layers: Mapping[str, object], modules: Sequence[str], mapping: Mapping[str, str] | None
) -> Iterable[tuple[str, str]]:
    """(layer's path, module's name), each layer and each module once."""
    if mapping is None:
        if len(layers) != len(modules):
            raise ValueError(
                f"load_torch: {len(layers)} layers with weights ({', '.join(layers)}) and "
                f"{len(modules)} modules ({', '.join(modules)}); say by mapping= which go together"
            )
        return zip(layers, modules, strict=True)
    for what, said, there in (
        ("layer", mapping.keys(), layers),
        ("module", mapping.values(), modules),
    ):
        strange = [name for name in said if name not in there]
        missing = [name for name in there if name not in said]
        if strange:
            raise ValueError(
                f"load_torch: mapping names the {what} {strange[0]!r}, and there are "
                f"{', '.join(there)}"
            )
        if missing:
            raise ValueError(f"load_torch: mapping says nothing of the {what} {missing[0]!r}")
    if len(set(mapping.values())) < len(mapping):
        raise ValueError("load_torch: mapping names a module twice")
    return mapping.items()


def _read_module(path: str, layer: Layer, names: Named, module: str, theirs: Named) -> Named:
    """A module's arrays as the layer's; refused if they do not fit."""
    kind = _kind(path, layer)
    what = f"load_torch: module {module!r} has {_shapes(theirs)}"
    expected = kind.write({own: np.empty(p.shape, "float32") for own, p in names.items()})
    wanted = f"layer {path}, as PyTorch's {kind.module}, has {_shapes(expected)}"
    if {k: a.shape for k, a in theirs.items()} != {k: a.shape for k, a in expected.items()}:
        raise ValueError(f"{what}; {wanted}{_hint(theirs)}")
    return kind.read(theirs)


def _hint(theirs: Named) -> str:
    """What a module has that a layer here cannot have."""
    if any(name.endswith("_reverse") for name in theirs):
        return "; a bidirectional module is two layers here: load each direction by itself"
    if any(name.endswith("_l1") for name in theirs):
        return "; a module of several layers is as many here: load each by itself"
    return ""


def _shapes(arrays: Named) -> str:
    return ", ".join(f"{name} {a.shape}" for name, a in arrays.items()) or "nothing"
