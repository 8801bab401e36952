"""Which activations a kernel puts into the dense layer's products: one table for all kernels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minienc.functions import activations as f

# In the order of their codes, in kernels/kernels.h as in cuda.cu. softmax is not here: it needs
# whole rows, and a tile of the product holds a part of some.
NAMES = ("identity", "relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "gelu")


def fused_activations(codes: Mapping[str, int]) -> dict[Any, tuple[int, float, Any]]:
    """name -> (code, the parameter of an activation that has one, what makes its cache of y).

    A dense layer calls the activation by its name alone, so the parameter has its default. gelu's
    cache is made of more than y: None.
    """
    options = {"leaky_relu": f.NEGATIVE_SLOPE, "elu": f.ALPHA}
    fused: dict[Any, tuple[int, float, Any]] = {
        name: (codes[name], options.get(name, 0.0), f.CACHE_OF_OUTPUT.get(name)) for name in NAMES
    }
    return {**fused, "linear": fused["identity"], None: fused["identity"]}
