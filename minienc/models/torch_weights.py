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
another order there, channel by channel; its rows are brought into ours (``channel_order.py``).

Nothing is guessed: which module goes with which layer is said, or is the order in which both stand,
and each pair must be of one kind and of one shape. No file that could run code is opened: PyTorch's
.pt and .pth files are pickles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import to_numpy
from minienc.layers.base import Layer
from minienc.models.channel_order import Turned, turned_layers
from minienc.models.module_names import is_sorted, pairs, parted
from minienc.models.network import Network
from minienc.shapes import kind_of

Tensor = Any  # of PyTorch's, or what NumPy takes for an array
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
        in the order in which they stand. A file has its names sorted, and so no order: there,
        modules must be called as the layers, or be numbered as those of a ``Sequential``.

    Raises
    ------
    ValueError
        If the numbers of layers and modules differ, a pair is of two kinds or shapes, something is
        left over on either side, the order is not known, or the file is a pickle. Nothing has been
        changed then.
    TypeError
        If ``weights`` is no dictionary, but the module itself, say.

    Examples
    --------
    >>> from minienc.layers import Dense
    >>> model = Sequential([Input((3,)), Dense(2, name="code")])
    >>> load_torch(model, {"0.weight": np.ones((2, 3)), "0.bias": np.zeros(2)})
    >>> model.get_weights()[0].shape
    (3, 2)
    """
    in_order = True
    if isinstance(weights, (str, Path)):
        weights, in_order = _read(Path(weights)), False
    if not isinstance(weights, Mapping):
        raise TypeError(
            f"load_torch: weights is {kind_of(weights)}, expected a state_dict, as "
            f"module.state_dict() returns it, or the path of a .safetensors file"
        )
    in_order = in_order and not is_sorted(list(map(str, weights)))
    modules: dict[str, Named] = {}
    for name, array in weights.items():
        module, own = parted(str(name), weights)
        if own != UNUSED:
            modules.setdefault(module, {})[own] = as_numbers(f"load_torch: {name}", array)
    layers = layers_with_weights(model)
    turned = turned_layers(model.graph)
    found: Named = {}
    for path, module in pairs(layers, list(modules), mapping, in_order):
        layer, names = layers[path]
        ours = _read_module(path, layer, names, module, modules[module])
        if path in turned:
            ours = _reordered(ours, turned[path])
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
    turned = turned_layers(model.graph)
    found: Named = {}
    for path, (layer, names) in layers_with_weights(model).items():
        kind = _kind(path, layer)
        ours = {own: np.array(to_numpy(p)) for own, p in names.items()}
        if path in turned:
            ours = _reordered(ours, turned[path].back())
        module = path.replace("/", ".") if mapping is None else mapping.get(path)
        if module is None:
            raise ValueError(f"to_torch: mapping says nothing of {path}")
        for own, array in kind.write(ours).items():
            found[f"{module}.{own}"] = np.ascontiguousarray(array)
    return found


def as_numbers(what: str, x: object) -> np.ndarray:
    """A tensor of PyTorch's, wherever it lives, or what NumPy takes for an array of real numbers.

    bfloat16 and smaller kinds, which NumPy does not know, come as float32, which has all of theirs.
    """
    if isinstance(x, Mapping):
        raise ValueError(
            f"{what} holds {', '.join(map(repr, list(x)[:3]))} and so on, expected an array; of a "
            f"checkpoint, give the state_dict that it contains"
        )
    there: Tensor = x
    for step in ("detach", "cpu"):
        there = getattr(there, step)() if hasattr(there, step) else there
    if hasattr(there, "is_floating_point") and there.is_floating_point():
        there = there.float() if there.element_size() < 4 else there
    array = np.asarray(there)
    if array.dtype.kind == "V" and "float" in array.dtype.name:
        array = array.astype("float32")
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{what} is of {array.dtype}, expected real numbers")
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
        from safetensors import deserialize
    except ImportError:
        raise ValueError(f"{path}: to read it, pip install safetensors") from None
    try:
        return {name: _tensor(**said) for name, said in deserialize(path.read_bytes())}
    except Exception as error:
        raise ValueError(f"{path}: no file of safetensors, or damaged: {error}") from error


def _tensor(shape: Sequence[int], dtype: str, data: bytes) -> np.ndarray:
    """A tensor of a file. Of a float32, bfloat16 is the upper half, which NumPy has no name for."""
    if dtype == "BF16":
        halves = np.frombuffer(data, "<u2").astype("uint32")
        return (halves << 16).view("float32").reshape(shape)
    kinds = {"F": "f", "I": "i", "U": "u"}
    return np.frombuffer(data, f"<{kinds[dtype[0]]}{int(dtype[1:]) // 8}").reshape(shape)


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


def _reordered(ours: Named, turned: Turned) -> Named:
    """A layer's arrays, the numbers that come in and those that go out in another order."""
    rows, columns = turned
    found = dict(ours)
    if "W" in ours and rows is not None:
        found["W"] = found["W"][rows]
    for name in ours:
        if columns is not None:
            found[name] = found[name][..., columns]
    return found


def _kind(path: str, layer: Layer) -> Kind:
    kind = KINDS.get(type(layer).__name__)
    if kind is None:
        raise ValueError(
            f"{path} is a {type(layer).__name__}, and PyTorch has none; known are "
            f"{', '.join(KINDS)}"
        )
    return kind


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
