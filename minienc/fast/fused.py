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
    slope, alpha = (g.definition.__defaults__[0] for g in (f.leaky_relu_forward, f.elu_forward))
    identity = codes["identity"], 0.0, f.IdentityCache
    return {
        "identity": identity,
        "linear": identity,
        None: identity,
        "relu": (codes["relu"], 0.0, f.ReluCache),
        "leaky_relu": (codes["leaky_relu"], slope, lambda y: f.LeakyReluCache(y, slope)),
        "elu": (codes["elu"], alpha, lambda y: f.EluCache(y, alpha)),
        "sigmoid": (codes["sigmoid"], 0.0, f.SigmoidCache),
        "tanh": (codes["tanh"], 0.0, f.TanhCache),
        "softplus": (codes["softplus"], 0.0, f.SoftplusCache),
        "gelu": (codes["gelu"], 0.0, None),
    }
